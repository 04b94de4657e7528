# SPDX-License-Identifier: BSD-3-Clause
"""Functions that views apply on engines: push, pull, a part of a map or of a gather.

They are importable, so only their names travel.
"""
from __future__ import annotations

import itertools
import operator
import sys
import time
from typing import Any

from .. import _pxrun
from ..wire import brought, failure

#: Seconds between two reports of a map's progress.
_COUNT_EVERY = 0.01


class _Behind(dict):
    """Locals of an assignment: reads and writes go to the engine's namespace."""

    def __setitem__(self, name: str, value: Any) -> None:
        sys.modules["__main__"].__dict__[name] = value

    def __missing__(self, name: str) -> Any:
        return sys.modules["__main__"].__dict__[name]


#: Assign names, and give the values of names. What is no plain name is for assign() and evaluate().
push, pull = _pxrun.push, _pxrun.pull


def assign(name: str, value: Any) -> None:
    """Assigns to any assignment target, ``a.b`` or ``d['k']``."""
    code = compile(f"{name} = _px_value", "<push>", "exec")
    exec(code, sys.modules["__main__"].__dict__, _Behind(_px_value=value))


def evaluate(names: Any) -> Any:
    """The value of an expression, or those of a list of them."""
    user = sys.modules["__main__"].__dict__
    return eval(names, user) if isinstance(names, str) else [eval(name, user) for name in names]


def _applied(f: Any, iterators: list) -> Any:
    """A function that gives the next n results; not map(), for which a StopIteration that f raises is the end."""
    if len(iterators) == 1:  # twice as fast
        elements = iterators[0]
        return lambda n: [f(element) for element in itertools.islice(elements, n)]
    tuples = zip(*iterators)
    return lambda n: [f(*each) for each in itertools.islice(tuples, n)]


def map_chunk(f: Any, *sequences: Any, at: tuple[int, int] | None = None) -> list:
    """An engine's part of a map. Reports progress as counted().

    Parameters
    ----------
    at : tuple, optional
        The index of the part's first element in the whole map, and how far the next one is: for a note of what f raises.
    """
    iterators = [iter(sequence) for sequence in sequences]
    try:
        return counted(_applied(f, iterators))
    except Exception as e:
        if at is not None and hasattr(iterators[0], "__length_hint__"):
            read = len(sequences[0]) - operator.length_hint(iterators[0])
            failure.add_note(e, failure.element(at[0] + at[1] * (read - 1)))
        raise


def counted(some: Any) -> list:
    """What some(n), which gives the next n results, has in all. Reports progress after each, or after many if they are quick."""
    done: list = []
    size = 1
    while True:
        before, counted = time.perf_counter(), len(done)
        done += some(size)
        if len(done) < counted + size:
            return done
        _pxrun.progress(size)
        size = 2 * size if time.perf_counter() - before < _COUNT_EVERY else max(1, size // 2)


class Raised:
    """What f raised for one element of a map, as `failure.describe` says it, in place of its value."""

    def __init__(self, described: tuple) -> None:
        self.described = described

    def __reduce__(self) -> tuple:
        return Raised, (self.described,)


def map_guarded(f: Any, *sequences: Any) -> list:
    """As map_chunk; an element for which f raises is a `Raised`, and the others are not lost."""

    def guarded(*args: Any) -> Any:
        try:
            return f(*args)
        except Exception as e:
            return Raised(failure.describe(e))

    return map_chunk(guarded, *sequences)


def map_resolved(f: Any, *sequences: Any, guard: bool = False, **options: Any) -> list:
    """As map_chunk or map_guarded, where f or elements are References."""
    from ..serialize import Reference

    user = sys.modules["__main__"].__dict__

    def value(item: Any) -> Any:
        return eval(item.name, user) if type(item) is Reference else item

    chunk: Any = map_guarded if guard else map_chunk
    return chunk(value(f), *[[value(item) for item in sequence] for sequence in sequences], **options)


def clear() -> None:
    """Empties the namespace; modules stay loaded."""
    user = sys.modules["__main__"].__dict__
    kept = {name: user[name] for name in ("__name__", "__builtins__", "__doc__") if name in user}
    user.clear()
    user.update(kept)
    brought.forget()
    if "pxrun.engine.shell" in sys.modules:
        sys.modules["pxrun.engine.shell"].cleared()


# --- gathering into one array ------------------------------------------------


class Part:
    """Shape and dtype of a large array that an engine has, in place of the array."""

    def __init__(self, shape: tuple, dtype: Any) -> None:
        self.shape, self.dtype = shape, dtype

    def __reduce__(self) -> tuple:
        return Part, (self.shape, self.dtype)


def part(name: str) -> Any:
    """What pull() returns, but for a large array a `Part`."""
    value = pull(name)
    numpy = sys.modules.get("numpy")
    if numpy and type(value) is numpy.ndarray and value.ndim and value.nbytes >= _pxrun.GATHERED_BYTES and not value.dtype.hasobject:
        return Part(value.shape, value.dtype)
    return value


def fill(name: str, place: Any) -> bool:
    """Copies an array into live memory of its size. False: its shape or dtype has changed."""
    value = pull(name)
    if getattr(value, "shape", None) != place.shape or value.dtype != place.dtype:
        return False
    from .. import arrays

    arrays.fill(place, value, fresh=True)
    return True


def drop(name: str) -> None:
    """Forgets a name, if it is known."""
    sys.modules["__main__"].__dict__.pop(name, None)
