# SPDX-License-Identifier: BSD-3-Clause
"""Results of maps, of gathers, and of executed code."""
from __future__ import annotations

import contextlib
import functools
import itertools
from typing import Any, Callable, Iterable, Iterator

from .. import error
from ..engine import calls
from ..wire import failure, salvage
from . import metadata, outcome
from .asyncresult import AsyncResult
from .map import Map

__all__ = ["AsyncExecuteResult", "AsyncMapResult", "AsyncResult"]


class AsyncMapResult(AsyncResult):
    """Of map() and gather(): the engines' parts, joined in order.

    Can be iterated at any time: elements of the first part are yielded before later parts are there.

    Parameters
    ----------
    mapping : Map
        How the parts are joined.
    length : int, optional
        The number of elements of a map; default that of the parts.
    ordered : bool
        Whether iteration follows the order of the elements, or takes parts as they finish.
    return_exceptions : bool
        Whether an element of a map that failed is its exception, instead of being raised.
    progress : bool
        Whether get() and iteration show a bar while they wait.
    """

    _noted = (*AsyncResult._noted, "_mapping", "_length", "_ordered", "_return_exceptions", "_raised")
    _is_map = True
    _has_bar = False

    def __init__(
        self,
        *args: Any,
        mapping: Map | None = None,
        length: int | None = None,
        ordered: bool = True,
        return_exceptions: bool = False,
        progress: bool = False,
        **kwargs: Any,
    ) -> None:
        self._mapping = mapping or Map()
        self._length = length
        self._ordered = ordered
        self._return_exceptions = return_exceptions
        self._has_bar = progress
        self._raised: dict[int, dict[int, BaseException]] = {}
        super().__init__(*args, **kwargs)

    def __len__(self) -> int:
        return self._count if self._length is None else self._length

    def get(self, timeout: float | None = None, return_exceptions: bool | None = None, return_when: str | None = None) -> Any:
        with self._bar_if_wanted():
            return super().get(timeout, return_exceptions, return_when)

    get.__doc__ = AsyncResult.get.__doc__

    def _bar_if_wanted(self) -> Any:
        return self._with_bar() if self._has_bar else contextlib.nullcontext()

    def _wait_for_all(self, timeout: float | None) -> bool:
        return self._in_slices(self._result.wait, timeout)

    def _wait_for_entry(self, i: int) -> None:
        self._in_slices(functools.partial(self._result.wait_entry, i), None)

    # --- elements that failed

    def _decoder(self, i: int) -> Callable:
        if self._return_exceptions:
            return functools.partial(self._with_exceptions, i)
        return outcome.unpickle

    def _in_lists(self) -> bool | None:
        return None if self._return_exceptions else False

    def _with_exceptions(self, i: int, body: bytes, buffers: list | None) -> Any:
        value, unread = salvage.loads(body, buffers or ())
        engine, core = self._engine(i), self._client._core
        raised = {n: outcome.unreadable(e, engine, core) for n, e in unread.items()}
        some = isinstance(value, list) and calls.Raised in set(map(type, value))  # quicker than the loop, for which there is seldom a need
        for n, item in enumerate(value if some else ()):
            if n not in raised and type(item) is calls.Raised:
                raised[n] = outcome.remote_error(item.described, engine, core, "apply", self._known)
        for n, exception in raised.items():
            value[n] = exception
            failure.add_note(exception, failure.element(self._place(i, n)))
        if raised:
            self._raised[i] = raised
        return value

    def _place(self, i: int, n: int) -> int:
        """Which element of the map is element n of part i."""
        return self._mapping.index(self._length or 0, i, self._count, n)

    def _size_of(self, i: int) -> int:
        """The number of elements of part i of a map."""
        size, more = divmod(self._length or 0, self._count)
        return size + (i < more)

    def _elements(self, i: int, value: Any, exception: BaseException | None) -> Iterable:
        """The elements of part i. Its exception is that of each element, if they have places in the result."""
        if exception is not None:
            return [exception] * (self._size_of(i) if self._return_exceptions and self._length else 1)
        if hasattr(type(value), "__iter__") or hasattr(type(value), "__getitem__"):
            return value
        return (value,)  # gather() of what is no sequence

    # --- values

    def _joined(self, outcomes: list[outcome.Outcome]) -> Any:
        if all([exception is None for _, exception in outcomes]):
            return self._mapping.join([value for value, _ in outcomes])
        parts = [self._elements(i, *found) for i, found in enumerate(outcomes)]
        if self._return_exceptions and self._length:
            return self._mapping.join(parts)
        # part by part, since a part that failed is one element, and has no place in the order of elements
        return [element for part in parts for element in part]

    def _in_places(self, outcomes: list[outcome.Outcome]) -> Any:
        if self._length is None:  # nobody knows how many elements have failed
            self._raise_failure()
        return self._mapping.join([value if e is None else [e] * self._size_of(i) for i, (value, e) in enumerate(outcomes)])

    def _done_of(self, i: int) -> int:
        if self._length is None:
            return super()._done_of(i)
        return self._size_of(i) if self._result.done(i) else self._result.progress(i)

    def __iter__(self) -> Iterator:
        with self._bar_if_wanted():
            yield from self._all_elements()

    def _all_elements(self) -> Iterator:
        for i in range(self._count) if self._ordered else self._finishing():
            self._wait_for_entry(i)
            value, exception = self._outcome(i)
            if exception is not None and not self._return_exceptions:
                raise error.again(error.without_end(exception))
            elements = self._elements(i, value, exception)
            raised = self._raised.get(i)
            if raised and not self._return_exceptions:
                first = min(raised)
                yield from elements[:first]  # type: ignore[index]
                raise error.again(error.without_end(raised[first]))
            yield from elements


class AsyncTaskMapResult(AsyncMapResult):
    """Of a load-balanced map: each entry is a task of one or more elements, and errors are those of elements.

    Parameters
    ----------
    sizes : list of int
        The number of elements of each task.
    first : int
        The index of the first element, of an imap.
    """

    _noted = (*AsyncMapResult._noted, "_sizes", "_first")
    _starts: list[int] | None = None  # the index of each task's first element, once one has failed

    def __init__(self, *args: Any, sizes: list[int], first: int = 0, **kwargs: Any) -> None:
        self._sizes, self._first = sizes, first
        super().__init__(*args, length=sum(sizes), **kwargs)

    def _place(self, i: int, n: int) -> int:
        starts = self._starts
        if starts is None:
            starts = self._starts = list(itertools.accumulate(self._sizes, initial=self._first))
        return starts[i] + n

    def _read(self, i: int) -> outcome.Outcome:
        value, exception = super()._read(i)
        if exception is not None and not error.is_own(exception, error.TaskAborted, error.TaskTimeout, error.PoolError):
            last = self._sizes[i] - 1
            behind = f", or one of the {last} behind it" if last else ""
            failure.add_note(exception, failure.element(self._place(i, 0)) + behind)
        return value, exception

    def _size_of(self, i: int) -> int:
        return self._sizes[i]

    def _in_lists(self) -> bool | None:
        return True if len(self._sizes) == self._length else None

    def _wait_for_all(self, timeout: float | None) -> bool:
        if timeout is None and self._in_lists() is None:
            for i in range(self._count):
                self._wait_for_entry(i)
                self._outcome(i)
        return super()._wait_for_all(timeout)

    def _decoder(self, i: int) -> Callable:
        if self._sizes[i] == 1:
            return _alone
        return functools.partial(self._with_exceptions, i)

    def _elements(self, i: int, value: Any, exception: BaseException | None) -> Iterable:
        return value if exception is None else [exception] * self._sizes[i]

    def _each(self, i: int) -> list[outcome.Outcome]:
        """(value, exception) of each element of task i, which is done."""
        value, exception = self._outcome(i)
        if exception is not None:
            return [(None, exception)] * self._sizes[i]
        raised = self._raised.get(i, {})
        return [(None, raised[n]) if n in raised else (element, None) for n, element in enumerate(value)]

    def _in_places(self, outcomes: list[outcome.Outcome]) -> Any:
        return self._joined(outcomes)

    def _joined(self, outcomes: list[outcome.Outcome]) -> Any:
        if all([exception is None for _, exception in outcomes]):
            return list(itertools.chain.from_iterable([value for value, _ in outcomes]))
        return [element for i, found in enumerate(outcomes) for element in self._elements(i, *found)]


def _alone(body: bytes, buffers: list | None) -> list:
    return [outcome.unpickle(body, buffers)]


class AsyncExecuteResult(AsyncResult):
    """Of execute(): values are `ExecuteReply`."""

    def _in_lists(self) -> None:
        return None

    def _decoder(self, i: int) -> Callable:
        # must not refer to this result, which holds the reply
        read = functools.partial(metadata.read, self._result, i, self._about(i))
        return lambda body, _: outcome.execute_reply(body, self._engine(i), read)
