# SPDX-License-Identifier: BSD-3-Clause
"""imap of load-balanced views: reads its iterables as engines become free."""
from __future__ import annotations

import collections
import contextlib
import copy
import functools
import itertools
import queue
import threading
import time
from typing import Any, Callable, Iterator, Sequence

from .. import error
from ..wire.calls import name_of
from . import chunks, completion
from .apart import Apart
from .cancel import take_back
from .progress import Bar
from .sequences import for_imap, is_there

#: Chunks for each engine that 'auto' has out at a time; and how many more may have finished and wait for others.
_AHEAD, _KEPT = 3, 30
#: Seconds from which on an iterable takes so long for an element that it may wait for something; how fast that is forgotten.
_SLOW, _FADE = 0.001, 0.9
#: The share of an iterable's seconds for an element for which a result is waited for before the next is read.
_PATIENCE = 0.1
#: A chunk has at most so many times the elements of those before it.
_GROWTH = 4


class _Out:
    """A chunk that was submitted: its result, and how many elements it has."""

    def __init__(self, ar: Any, size: int) -> None:
        self.ar, self.size = ar, size
        self.finished = False


class LazyMapIterator:
    """The results of `LoadBalancedView.imap`.

    An element that failed raises its exception; the next call of next() goes on behind it. Threads may share
    it: each result is given to one of them.
    """

    def __init__(
        self,
        view: Any,
        f: Callable,
        iterables: Sequence,
        ordered: bool,
        max_outstanding: int | str,
        chunksize: int | None,
        return_exceptions: bool,
        seed: Any,
    ) -> None:
        self._view = copy.copy(view)  # its flags of this moment
        self._of = self._view._mapped(f, [], seed)
        self._apart = self._of.apart and Apart(view.client, self._of.token, self._of.apart)
        self._f, self._ordered, self._return_exceptions = f, ordered, return_exceptions
        self._width = self._view._width()
        self._limit = _limit(max_outstanding)
        chunks.check(chunksize)
        self._chunksize = chunksize
        self._size, self._seconds = 1, 0.0
        self._items: Iterator | None = for_imap(iterables)  # None: at its end
        self._never_blocks = all(map(is_there, iterables))
        self._took = self._slowest = 0.0  # seconds, of the element that was read last; of the slowest, less for each read since
        self._failure: BaseException | None = None  # of the iterables, or of an element that cannot be sent
        self._held: list[tuple] = []  # elements that were read, and for which there was no memory yet
        self._at = 0  # elements submitted
        self._unfinished = self._untaken = 0  # of these: on their way; submitted, and their results not looked at
        self._out: dict[_Out, None] = {}  # in the order of the elements
        self._over: collections.deque[_Out] = collections.deque()  # of these, what has finished, if that order does not matter
        self._done: queue.SimpleQueue[_Out | None] = queue.SimpleQueue()  # None: it was cancelled
        self._ready: collections.deque = collections.deque()  # (value, exception)
        self._cancelled = False
        self._lock = threading.RLock()  # of all but cancel(), which does not wait for an iterable that is slow
        self._begin()

    def __iter__(self) -> "LazyMapIterator":
        return self

    def __next__(self) -> Any:
        try:
            with self._lock:
                value, exception = self._next()
        except KeyboardInterrupt:
            if self._view.signal_on_interrupt:
                self.cancel()
            raise
        if exception is None:
            return value
        if self._return_exceptions:
            return exception
        raise error.again(error.without_end(exception))

    def _next(self) -> tuple[Any, BaseException | None]:
        """The next value, or the exception in its place; StopIteration at the end."""
        while not self._cancelled and not self._ready:
            self._look()
            out = self._next_out()
            if out is not None:
                self._take(out)
            elif not self._read_on():
                if not self._out:
                    self._raise_failure()
                    raise StopIteration
                self._finished(self._done.get())
        if self._cancelled:
            self._forget()
            raise StopIteration
        return self._ready.popleft()

    def cancel(self) -> None:
        """Reads no more elements, takes back what has not begun, interrupts what runs. The iterator is at its end then."""
        self._cancelled = True
        self._done.put(None)  # for a thread that waits in next()
        take_back([out.ar._result for out in list(self._out)])
        if self._lock.acquire(blocking=False):  # else the thread that has it does that
            try:
                self._forget()
            finally:
                self._lock.release()

    def _forget(self) -> None:
        """Lets go of what was cancelled."""
        self._items = self._failure = None
        self._held.clear()
        self._ready.clear()
        self._out.clear()
        apart, self._apart = self._apart, None
        if apart:
            apart.release()

    def __del__(self) -> None:
        if "_lock" in self.__dict__:
            with contextlib.suppress(Exception):
                self.cancel()

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    # --- submitting

    def _begin(self) -> None:
        """Submits as many elements as may be out; of an iterable that is slow, the first one."""
        while self._fill() and (self._limit == 0 or not self._is_slow()):
            pass

    def _read_on(self) -> bool:
        """While no result is there: submits a chunk, or waits a little; false if there is nothing to do but wait."""
        if self._is_slow() and self._unfinished and self._next_size():
            with contextlib.suppress(queue.Empty):
                self._finished(self._done.get(timeout=_PATIENCE * self._took))
                return True
        return self._fill()

    def _is_slow(self) -> bool:
        """Whether reading on may block."""
        return not self._never_blocks and self._slowest >= _SLOW

    def _keep_busy(self) -> None:
        """While a result is there: submits as many elements as may be out, if the iterable is not one that may block."""
        quick = self._limit is None and self._unfinished < self._width * self._size
        while (self._held or self._never_blocks or quick and not self._is_slow()) and self._fill():
            pass

    def _fill(self) -> bool:
        """Submits a chunk, if one may be out; whether it did."""
        size = self._next_size() if self._held or self._items is not None else 0
        if self._cancelled or not size:
            return False
        items, self._held = self._held or self._read(size), []
        try:
            self._submit(items)
        except error.ArenaError as e:
            if self._out:  # what these leave is enough, or none will be left when it is tried for the last time
                self._held = [self._of.frozen(self._at + i, args) for i, args in enumerate(items)]
                return False
            self._fail(e)
        except Exception as e:
            self._fail(e)
        return True

    def _fail(self, e: BaseException) -> None:
        """No more elements are read: that is raised after the results of those before."""
        self._items, self._failure = None, e

    def _next_size(self) -> int:
        """How many elements the next chunk may have; 0: too many are out."""
        size = self._chunksize or (1 if self._is_slow() else self._size)
        if self._limit is None:
            full = self._unfinished >= _AHEAD * self._width * size or len(self._out) >= _KEPT * self._width
            return 0 if full else size
        if self._limit == 0:
            return size
        if self._chunksize is None:
            size = max(1, min(size, self._limit // (2 * self._width)))
        left = self._limit - max(self._unfinished, self._untaken - _KEPT * self._limit)
        return min(size, max(0, left))

    def _read(self, size: int) -> list[tuple]:
        """The next elements: fewer at the end, and if they come slowly. Of several, each is as it was when it was read."""
        items: list[tuple] = []
        begun = before = time.monotonic()
        self._slowest *= _FADE
        try:
            for args in itertools.islice(self._items or (), size):
                now = time.monotonic()
                self._took = now - before
                self._slowest = max(self._slowest, self._took)
                items.append(args if size == 1 else self._of.frozen(self._at + len(items), args))
                if self._took >= _SLOW or now - begun > chunks.AIM:
                    break
                before = time.monotonic()
            else:
                if len(items) < size:
                    self._items = None
        except Exception as e:
            self._fail(e)
        return items

    def _submit(self, items: list[tuple]) -> None:
        """Submits elements as one task."""
        if not items:
            return
        if len(items) == 1:
            try:
                body, buffers = self._of.one(self._at, items[0])
            except Exception as e:
                raise self._of.unsent(e, self._at, [[arg] for arg in items[0]]) from e
        else:
            body, buffers = self._of.chunk(self._at, list(zip(*items)))
        result = self._view._post([body], None if buffers is None else [buffers], self._apart, waits=False)
        ar = self._view._of_tasks([result], [len(items)], self._f, first=self._at)
        out = _Out(ar, len(items))
        self._at += out.size
        self._unfinished += out.size
        self._untaken += out.size
        self._out[out] = None
        if not completion.of(self._view.client).watch([(result, None)], functools.partial(self._done.put, out)):
            self._done.put(out)
        if self._cancelled:  # meanwhile, so that cancel() may not have seen this one
            take_back([result])

    # --- results

    def _take(self, out: _Out) -> None:
        """Takes the results of a chunk that has finished."""
        self._out.pop(out, None)  # a signal's handler may have cancelled it
        self._untaken -= out.size
        out.ar.wait(0)  # shows what was printed
        self._ready.extend(out.ar._each(0))
        self._keep_busy()

    def _next_out(self) -> _Out | None:
        """The chunk whose results come next, if it has finished."""
        if not self._ordered:
            return self._over.popleft() if self._over else None
        first = next(iter(self._out), None)
        if first is not None and not first.finished and first.ar._result.ready():
            self._finished(first)  # it was not told yet
        return first if first is not None and first.finished else None

    def _look(self) -> None:
        """Notes all chunks that have finished."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._finished(self._done.get_nowait())

    def _finished(self, out: _Out | None) -> None:
        if out is None or out.finished:
            return
        out.finished = True
        if not self._ordered:
            self._over.append(out)
        self._unfinished -= out.size
        _, started, completed, _ = out.ar._result.times(0)
        if started and completed:
            each = max((completed - started) / 1e9 / out.size, 1e-9)
            self._seconds = (self._seconds + each) / 2 if self._seconds else each
            self._size = max(1, min(int(chunks.AIM / self._seconds), _GROWTH * out.size))


class CountedMapIterator(LazyMapIterator):
    """The same with a progress bar, which counts what was given. It is closed at the end, and when something is raised."""

    def __init__(self, view: Any, f: Callable, iterables: Sequence, *args: Any) -> None:
        known = all([hasattr(type(iterable), "__len__") for iterable in iterables])
        super().__init__(view, f, iterables, *args)
        self._bar = Bar(min(map(len, iterables)) if known else None, name_of(f))

    def __next__(self) -> Any:
        try:
            value = super().__next__()
        except BaseException:
            self._bar.close()
            raise
        self._bar.update(1)
        return value

    def cancel(self) -> None:
        if "_bar" in self.__dict__:  # it was made
            self._bar.close()
        super().cancel()


def _limit(max_outstanding: int | str) -> int | None:
    if max_outstanding == "auto":
        return None
    try:
        limit = chunks.whole("max_outstanding", max_outstanding)
    except TypeError:
        raise TypeError(f"max_outstanding is a number, or 'auto', not {max_outstanding!r}") from None
    if limit < 0:
        raise ValueError(f"max_outstanding is a number of elements, or 0 for any number, not {limit}")
    return limit
