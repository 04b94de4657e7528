# SPDX-License-Identifier: BSD-3-Clause
"""Tasks of load-balanced views, as engines run them: single elements of a map, and chunks of some.

The function of a map comes with each of its tasks, or once by a direct request; it is read once and kept
under the map's token. An element of a chunk that fails does not take the others with it.
"""
from __future__ import annotations

import contextlib
import itertools
import pickle
import sys
from typing import Any, Callable, Iterable

from ..wire import failure
from . import calls, randomness

#: How many objects are kept; of more, the oldest goes.
_MOST = 64
#: What is kept; the extension looks here itself.
kept: dict[bytes, Any] = {}


class NotKept(LookupError):
    """The engine does not have what a task needs, and which was sent apart: the client sends it again."""


def keep(token: bytes, value: Any) -> None:
    """Keeps an object that tasks refer to by its token."""
    while len(kept) >= _MOST:
        del kept[next(iter(kept))]
    kept[token] = value


def drop(token: bytes) -> None:
    """Forgets an object, if it is there."""
    kept.pop(token, None)


def keep_pickled(token: bytes, pickled: bytes) -> Any:
    """As keep(), of an object that came along with a task: the object. Empty: it was to be here before."""
    if not pickled:
        raise NotKept(token.hex())
    found = pickle.loads(pickled)
    keep(token, found)
    return found


def _read(token: bytes, pickled: bytes | None) -> Any:
    found = kept.get(token, kept)
    return keep_pickled(token, pickled or b"") if found is kept else found


def one_seeded(token: bytes, pickled: bytes | None, seeded: tuple) -> Any:
    """The task of one element, with random generators that are seeded for it; others are calls of the function itself."""
    args, seed = seeded
    with randomness.seeded(seed, 0):
        return _read(token, pickled)(*args)


def keep_call(token: bytes, body: bytes, buffers: list) -> None:
    """As keep(), of a call that is pickled; its buffers are shared with others."""
    keep(token, pickle.loads(body, buffers=buffers))


def call(token: bytes) -> Any:
    """The task of a call that was sent apart."""
    f, args, kwargs = _read(token, None)
    return f(*args, **kwargs)


def call_seeded(seed: tuple, f: Callable, args: tuple, kwargs: dict) -> Any:
    """A call with random generators that are seeded for it."""
    with randomness.seeded(seed, 0):
        return f(*args, **kwargs)


def map_seeded(seed: tuple, f: Callable, *columns: Any) -> list:
    """As calls.map_chunk(), with random generators that are seeded for each element."""

    def seeded(i: int, *each: Any) -> Any:
        with randomness.seeded(seed, i):
            return f(*each)

    return calls.map_chunk(seeded, itertools.count(), *columns)


# --- chunks -----------------------------------------------------------------


class Separate:
    """Elements of a chunk that are pickled one by one: one that cannot be read is a failure of its own."""

    def __init__(self, parts: list[tuple[bytes, list | None]]) -> None:
        self.parts: Any = parts

    def __reduce__(self) -> tuple:
        return Separate, (self.parts,)

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, i: int) -> Any:
        body, buffers = self.parts[i]
        return pickle.loads(body, buffers=buffers or ())


class _Copies(Separate):
    """The same, of which each reading has memory of its own: an attempt that failed may have changed it."""

    def __getitem__(self, i: int) -> Any:
        body, buffers = self.parts[i]
        return pickle.loads(body, buffers=map(bytearray, buffers or ()))


class _Rows(Separate):
    """Likewise the rows of an array."""

    def __init__(self, array: Any) -> None:
        self.parts = array

    def __getitem__(self, i: int) -> Any:
        return self.parts[i].copy()


class _Resolved(Separate):
    """The same, with what References mean in their place."""

    def __init__(self, column: Any, value: Callable) -> None:
        self.parts, self.value = column, value

    def __getitem__(self, i: int) -> Any:
        return self.value(self.parts[i])


class Items(list):
    """The results of a chunk, of which one that cannot be pickled becomes `calls.Raised`."""


def chunk(token: bytes, pickled: bytes | None, rest: tuple) -> Items:
    """The task of some elements.

    Parameters
    ----------
    rest : tuple
        The columns, one for each argument of the function; the seed of the map and the index of the chunk's
        first element, or None; and how often an element that fails is tried again.
    """
    columns, seed, retries = rest
    return run(_read(token, pickled), columns, seed, retries)


def one_resolved(f: Any, columns: list, seed: tuple | None, retries: int) -> Any:
    """The task of one element, where f or the arguments may be References, or another library pickles."""
    f, columns = _resolved(f, columns)
    with randomness.seeded(seed, 0) if seed is not None else contextlib.nullcontext():
        return f(*[column[0] for column in columns])


def chunk_resolved(f: Any, columns: list, seed: tuple | None, retries: int) -> list:
    """As chunk(), where f or elements may be References, or another library pickles."""
    f, columns = _resolved(f, columns)
    return list(run(f, columns, seed, retries))


def _resolved(f: Any, columns: list) -> tuple[Any, list]:
    from ..serialize import Reference

    user = sys.modules["__main__"].__dict__

    def value(item: Any) -> Any:
        return eval(item.name, user) if type(item) is Reference else item

    return value(f), [_Resolved(c, value) if type(c) is Separate else [value(item) for item in c] for c in columns]


def run(f: Callable, columns: list, seed: tuple | None, retries: int) -> Items:
    """The results of some elements, with progress; of those that fail, `calls.Raised`."""
    call, arguments = _each(f, [_unchanged(column) for column in columns] if retries else columns)
    if seed is not None:
        call, arguments = _seeded(call, seed), enumerate(arguments)
    return Items(calls.counted(_guarded(call, iter(arguments), retries)))


def _each(f: Callable, columns: list) -> tuple[Callable, Iterable]:
    """A function of one argument, and the arguments that it is called with."""
    if any(isinstance(column, Separate) for column in columns):
        return lambda i: f(*[column[i] for column in columns]), range(len(columns[0]))
    if len(columns) == 1:
        return f, columns[0]
    return lambda each: f(*each), zip(*columns)


def _unchanged(column: Any) -> Any:
    """The same column, of which an element is as it was sent whenever it is taken."""
    if type(column) is _Resolved:
        return _Resolved(_unchanged(column.parts), column.value)
    if type(column) is Separate:
        return _Copies(column.parts)
    return _Rows(column) if getattr(column, "ndim", 1) > 1 else column


def _seeded(call: Callable, seed: tuple) -> Callable:
    def seeded(numbered: tuple) -> Any:
        i, each = numbered
        with randomness.seeded(seed, i):
            return call(each)

    return seeded


def _guarded(call: Callable, arguments: Any, retries: int) -> Callable:
    """A function that gives the next n results."""

    def some(n: int) -> list:
        found: list = []
        append = found.append
        for each in itertools.islice(arguments, n):
            try:
                append(call(each))
            except BaseException as e:
                append(_after(e, call, each, retries))
        return found

    return some


def _after(e: BaseException, call: Callable, each: Any, retries: int) -> Any:
    """What stands for an element that has failed: the value of another attempt, or a `calls.Raised`."""
    for _ in range(retries):
        _raise_if_not_its_own(e)
        try:
            return call(each)
        except BaseException as again:
            e = again
    _raise_if_not_its_own(e)
    return calls.Raised(failure.describe(e))


def _raise_if_not_its_own(e: BaseException) -> None:
    """Raises what ends the whole chunk: that it is stopped, or that this engine is not for it."""
    if isinstance(e, KeyboardInterrupt) or failure.is_unmet(e):
        raise e


def sendable(items: Items, dumps: Callable) -> list:
    """The same, with a `calls.Raised` in place of each result that cannot be pickled."""
    found = []
    for item in items:
        try:
            dumps(item)
        except Exception as e:
            item = calls.Raised(failure.describe(e))
        found.append(item)
    return found
