# SPDX-License-Identifier: BSD-3-Clause
"""The bodies of the tasks of one map: the function is pickled once, each element once.

The body of a single element is mostly a call of the function, see `frames`. That of a chunk, or with a seed, is a pickle of (function of
engine/tasks.py, arguments, {}) like that of each call, put together of a beginning that all tasks of a map
share, the pickle of what is the task's own, and an end. That is possible because the beginning and the end
leave nothing in the pickle's memo.
"""
from __future__ import annotations

import array
import os
import pickle
import sys
from typing import Any, Callable, Iterable, Sequence

from ..engine import tasks
from ..error import CannotSend
from ..serialize import PrePickled, Reference
from . import calls, columns, foreign, frames, pickling

#: A body and its buffers.
Body = tuple[bytes, "list | None"]
#: Bytes of a function's pickle that go along with each task; a longer one is sent to each engine once.
_ALONG = 8192
#: Sequences that are sent as they are: their elements are numbers and strings.
_FLAT = (range, str, bytes, bytearray, array.array)
_END = pickle.TUPLE3 + pickle.EMPTY_DICT + pickle.TUPLE3 + pickle.STOP
_START = pickle.PROTO + bytes([5])


def _global(module: str, name: str) -> bytes:
    return pickle.GLOBAL + f"{module}\n{name}\n".encode()


def _bytes(value: bytes | None) -> bytes:
    return pickle.NONE if value is None else pickle.BINBYTES + len(value).to_bytes(4, "little") + value


def has_live(buffers: list | None) -> bool:
    """Whether there is memory among them that is to be shared and not copied."""
    return buffers is not None and any(pickling.is_live(buffer.raw()) for buffer in buffers)


def keeping(token: bytes, value: Any, bring: bool) -> Body:
    """The request that has an engine keep an object, for tasks that refer to it."""
    return pickling.dumps((tasks.keep, (token, value), {}), bring=bring)


class Frozen:
    """An object as it was at one moment; unpickled, it is the object."""

    __slots__ = ("pickled",)

    def __init__(self, body: bytes, buffers: list | None) -> None:
        self.pickled = body, pickling.snapshot(buffers)

    def __reduce_ex__(self, protocol: Any) -> tuple:
        body, buffers = self.pickled
        return pickling.loads, (body, buffers or ())


def _changes(arg: Any) -> bool:
    """Whether what is read later may differ from what is read now."""
    return type(arg) not in pickling.PLAIN and type(arg) not in (Reference, Frozen) and not columns.is_scalar(type(arg))


def frozen(args: tuple, bring: bool, library: str | None) -> tuple:
    """Arguments that are sent later as they are now."""
    return tuple([Frozen(*pickling.dumps(_by(arg, library), bring=bring)) if _changes(arg) else arg for arg in args])


def _by(arg: Any, library: str | None) -> Any:
    return arg if library is None else foreign.By(library, arg)


def _dumps(arguments: tuple, bring: bool) -> Body:
    """As pickling.dumps(); ValueError if there is memory that is to be shared: what tasks carry is copied."""
    body, buffers = pickling.dumps(arguments, bring=bring)
    _refuse_live(buffers)
    return body, buffers


def _refuse_live(buffers: list | None) -> None:
    if has_live(buffers):
        raise ValueError("a shared array is no element of a map: bind it to the function, as functools.partial(f, array)")


def _are_plain(elements: Iterable) -> bool:
    """Whether all are numbers, of numpy's or not, and strings: plain pickle is enough for them."""
    return all(map(columns.is_scalar, set(map(type, elements)) - pickling.PLAIN))


def _is_plain(column: Any) -> bool:
    """The same of all elements of a sequence."""
    if type(column) in _FLAT:
        return True
    if type(column) in (list, tuple):
        return _are_plain(column)
    numpy = sys.modules.get("numpy")
    return numpy is not None and type(column) is numpy.ndarray and column.ndim == 1 and columns.is_scalar(column.dtype.type)


class LiveCall:
    """A call with memory that is to be shared: each engine gets the call once, and a task has it run there.

    Attributes
    ----------
    token, apart
        As Mapped has them.
    body : bytes
        The task.
    """

    def __init__(self, body: bytes, buffers: list | None) -> None:
        self.token = os.urandom(16)
        self.apart = pickling.dumps((tasks.keep_call, (self.token, body, buffers), {}))
        self.body = pickle.dumps((tasks.call, (self.token,), {}), 5)


class Mapped:
    """The tasks of one map, or of calls of one function.

    Parameters
    ----------
    f : callable or Reference
    resolve : bool
        Whether there are References among the elements.
    bring, library
        As calls.dumps() has them.
    seed : tuple, optional
        See `randomness.seeded`.
    retries : int
        How often an element of a chunk that fails is tried again.

    Attributes
    ----------
    token : bytes
        By which engines know the function.
    apart : tuple or None
        The request by which engines get the function, if it is not in each task.
    """

    def __init__(
        self, f: Any, resolve: bool, bring: bool, library: str | None, seed: tuple | None = None, retries: int = 0
    ) -> None:
        if not callable(f) and type(f) not in (Reference, PrePickled):
            raise TypeError(f"f must be callable, and {f!r} is not")
        self._f, self._bring, self._library, self._seed, self._retries = f, bring, library, seed, retries
        self._general = resolve or type(f) is Reference or library is not None
        self.token = os.urandom(16)
        self.apart: Body | None = None
        if not self._general:
            self._begin(f)

    def _begin(self, f: Any) -> None:
        try:
            pickled, buffers = pickling.dumps(f, bring=self._bring)
        except Exception as e:
            raise calls.cannot_send([(f"the function {calls.name_of(f)}", f)], e, None) from e
        if buffers or len(pickled) > _ALONG:
            self.apart = keeping(self.token, f, self._bring)
        there = _bytes(self.token) + _bytes(None if self.apart else pickled)
        self._chunk = self._starting("chunk", there)
        if self._seed is not None:
            self._seeded = self._starting("one_seeded", there)
        elif (named := pickling.by_name(f)) is not None:
            self._one = frames.named(*named)
        else:
            self._one = frames.by_token(self.token, b"" if self.apart else pickled)

    @staticmethod
    def _starting(name: str, there: bytes) -> bytes:
        return _START + _global(tasks.__name__, name) + there

    # --- bodies

    def one(self, i: int, args: tuple) -> Body:
        """The task of element i."""
        if self._general:
            return self._of_columns(i, [[arg] for arg in args], True)
        if self._seed is not None:
            body, buffers = _dumps((args, self._seed_at(i)), self._bring)
            return b"".join((self._seeded, body[:-1], _END)), buffers
        if _are_plain(args):
            return self._one + pickle.dumps(args, 5), None
        body, buffers = _dumps(args, self._bring)
        return self._one + body, buffers

    def ones(self, columns: Sequence) -> list[bytes] | None:
        """The tasks of elements, one for each, if they are plain values; else None."""
        if self._general or self._seed is not None or not all(map(_is_plain, columns)):
            return None
        start, dumps = self._one, pickle.dumps
        return [start + dumps(args, 5) for args in zip(*columns)]

    def chunk(self, i: int, columns: Sequence) -> Body:
        """The task of some elements, of which i is the first."""
        if self._general:
            listed: list = [list(column) for column in columns]
            return self._of_columns(i, [self._separate(column) for column in listed] if self._retries else listed, False)
        rest = [self._column(column) for column in columns], self._seed_at(i), self._retries
        body, buffers = _dumps(rest, False)
        return b"".join((self._chunk, body[:-1], _END)), buffers

    def frozen(self, i: int, args: tuple) -> tuple:
        """The arguments of element i, for one() or chunk() later; `CannotSend` if they cannot be pickled."""
        try:
            found = frozen(args, self._bring, self._library)
            for arg in found:
                _refuse_live(arg.pickled[1] if type(arg) is Frozen else None)
            return found
        except Exception as e:
            raise self.unsent(e, i, [[arg] for arg in args]) from e

    def _seed_at(self, i: int) -> tuple | None:
        if self._seed is None:
            return None
        entropy, key, pool_size, first = self._seed
        return entropy, key, pool_size, first + i

    def _column(self, column: Any) -> Any:
        packed = columns.packed(column)
        if packed is not column:
            return packed
        numpy = sys.modules.get("numpy")
        if _is_plain(column) or numpy is not None and type(column) is numpy.ndarray and not column.dtype.hasobject:
            return column
        return self._separate(column)

    def _separate(self, column: Iterable) -> tasks.Separate:
        return tasks.Separate([self._alone(element) for element in column])

    def _alone(self, element: Any) -> Body:
        """An element that is pickled alone."""
        return element.pickled if type(element) is Frozen else pickling.dumps(_by(element, self._library), bring=self._bring)

    def _of_columns(self, i: int, columns: list, alone: bool) -> Body:
        """A task for which the function is looked up on the engine, or pickled by another library."""
        run: Callable = tasks.one_resolved if alone else tasks.chunk_resolved
        return calls.dumps(run, (self._f, columns, self._seed_at(i), self._retries), {}, self._bring, self._library)

    # --- what cannot be sent

    def unsent(self, e: BaseException, i: int, columns: Iterable[Iterable]) -> CannotSend:
        """The error of elements from i on that cannot be pickled, which names the first of them."""
        name = calls.name_of(self._f)
        named = [(f"the function {name}", self._f)] + [
            (f"element {at} of argument {number} of the map of {name}", element)
            for number, column in enumerate(columns, 1)
            for at, element in enumerate(column, i)
        ]
        return calls.cannot_send(named, e, self._library)
