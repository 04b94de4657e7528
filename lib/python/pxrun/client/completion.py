# SPDX-License-Identifier: BSD-3-Clause
"""Watches results in a thread, for callbacks, timeouts, and requests that do not stop when cancelled.

One thread for each client, which runs while there is something to watch. It takes results from a list
into which the extension puts them as they finish, so each is looked at once, however many there are.
Plain get() and wait() never start it: they read the rings themselves, which is faster.

A signal's handler may raise anywhere in the main thread. So locks are taken as such, not as the conditions
that have them: Condition.__enter__() is Python code, and raises with the lock taken.
"""
from __future__ import annotations

import _thread
import collections
import contextlib
import functools
import heapq
import itertools
import sys
import threading
import time
import weakref
from typing import Any, Callable, Iterable, Sequence

from .. import error

#: Seconds without work after which the thread ends; a new one takes 0.1 ms.
_IDLE = 1.0
#: Seconds after which it looks for other work while it waits for results.
_SLICE = 0.1

_of_client: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
_making = threading.Lock()

#: A result of the extension and the index of an entry, or None for all of them.
Source = tuple[Any, "int | None"]


def of(client: Any) -> "Completion":
    """The Completion of a client."""
    with _making:
        found = _of_client.get(client)
        if found is None:
            found = _of_client[client] = Completion(client._core)
        return found


class _Watch:
    """A result of the extension, and what is to be called when it or one of its entries is done."""

    def __init__(self, result: Any) -> None:
        self.result = result
        self.known = 0  # of its entries: so many were done when it was last looked at
        self.whole: list[Callable[[], Any]] = []
        self.entries: dict[int, list[Callable[[], Any]]] = {}

    def news(self) -> list[Callable[[], Any]]:
        """What is to be called for the entries that are done since the last time."""
        calls: list[Callable[[], Any]] = []
        done = self.result.finished(self.known, 0)
        self.known += len(done)
        for i in done:
            calls += self.entries.pop(i, ())
        if self.known == self.result.count:
            calls += self.whole
        return calls


class Order:
    """The indices of entries that are done, in the order in which they were."""

    def __init__(self) -> None:
        self._done: list[int] = []
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)

    def add(self, i: int) -> None:
        with self._lock:
            self._done.append(i)
            self._changed.notify_all()

    def after(self, known: int, timeout: float | None) -> list[int]:
        """Those behind the first known ones; waits until there is one. Empty: timeout."""
        with self._lock:
            self._changed.wait_for(lambda: len(self._done) > known, timeout)
            return self._done[known:]


class _Due:
    """Something that is to be called at a time, unless it is cancelled before."""

    def __init__(self, when: float, number: int, call: Callable[[], Any]) -> None:
        self.when, self.number = when, number
        self.call: Callable[[], Any] | None = call

    def __lt__(self, other: "_Due") -> bool:
        return (self.when, self.number) < (other.when, other.number)

    def cancel(self) -> None:
        self.call = None


class Completion:
    """Calls what is to be called when results are done, and at times.

    It refers to results of the extension, and what it calls to AsyncResults and their client.
    """

    def __init__(self, core: Any) -> None:
        self._core = core
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._watched: dict[int, _Watch] = {}  # by the extension's ids
        self._due: list[_Due] = []  # a heap
        self._due_most = 100  # entries, of which some may be cancelled, before these are removed
        self._numbers = itertools.count()
        self.runner: object | None = None  # who is the thread
        self.told: Any = None  # by the extension's ids: what next_result() has still to give

    def watch(self, sources: Sequence[Source], call: Callable[[], Any]) -> bool:
        """Has `call` called in the thread when all of the sources are done; false if they are done already.

        Raises
        ------
        ClosedError
            This is a forked child.
        """
        try:
            if self._core.closed:
                self._core.poll()  # raises; in a forked child the lock may be taken for ever
            with self._lock:
                return self._add([source for source in sources if not _is_done(source)], call)
        except error.ClosedError:
            if not all(map(_is_done, sources)):
                raise
            return False

    def after(self, seconds: float, sources: Sequence[Source], call: Callable[[], Any]) -> None:
        """Has `call` called after a time, unless all of the sources are done by then."""
        due = _Due(time.monotonic() + seconds, next(self._numbers), call)
        if not self.watch(sources, due.cancel):
            return
        with self._lock:
            if len(self._due) >= self._due_most:
                self._due = [entry for entry in self._due if entry.call is not None]
                heapq.heapify(self._due)
                self._due_most = max(100, 2 * len(self._due))
            heapq.heappush(self._due, due)
            self._wake()

    def order_of(self, joined: Any) -> "Order":
        """The order in which entries of several results, which are Joined, finish."""
        with joined.lock:
            if joined.order is None:
                order = Order()
                for n, entry in enumerate(joined.entries):
                    if not self.watch([entry], functools.partial(order.add, n)):
                        order.add(n)
                joined.order = order
            return joined.order

    # --- with the lock

    def _add(self, out: list[Source], call: Callable[[], Any]) -> bool:
        if not out:
            return False
        if len(out) > 1:
            call = _Countdown(len(out), call)
        try:
            for result, i in out:
                if hasattr(result, "when_done"):  # a Later
                    if not result.when_done(i, call):
                        heapq.heappush(self._due, _Due(time.monotonic(), next(self._numbers), call))
                    continue
                found = self._watched.get(result.id)
                if found is None:
                    found = self._watched[result.id] = _Watch(result)
                (found.whole if i is None else found.entries.setdefault(i, [])).append(call)
                result.watch(bool(found.entries))  # if it is done by now, it is given at once
        finally:
            self._wake()
        return True

    def _wake(self) -> None:
        if self.runner is None:
            # Not threading's: Thread.start() waits, and what a signal's handler raises meanwhile becomes a KeyError.
            runner = object()
            _thread.start_new_thread(self._run, (runner,))  # if there can be none now, the next call tries again
            self.runner = runner
        else:
            self._changed.notify()

    def _rest(self) -> bool:
        """Sleeps until there may be something to do; false if there is nothing."""
        while self._due and self._due[0].call is None:
            heapq.heappop(self._due)
        if not self._due:
            return self._changed.wait(_IDLE)
        left = self._due[0].when - time.monotonic()
        if left > 0:
            self._changed.wait(min(left, _IDLE))
        return True

    # --- the thread

    def _run(self, runner: object) -> None:
        with self._lock:
            if self.runner is not runner:
                return  # a signal's handler raised just when it was started
        while True:
            with self._lock:
                # after the wait it looks again: something may have come when its time was over
                if not self._watched and not self._rest() and not self._watched and not self._due:
                    self.runner = None
                    return
                watching = bool(self._watched)
            if watching:
                self._take()
            self._call_due()

    def _take(self) -> None:
        """Calls what waits for results that have finished; if none has, waits for one for a moment."""
        try:
            ids = self._core.take(self._slice())
        except error.PoolError:  # the client is closed or the pool gone: all have failed, and are done
            with self._lock:
                ids = list(self._watched)
        for id in ids:
            with self._lock:
                watch = self._watched.get(id)
                calls = watch.news() if watch is not None else []
                if watch is not None and watch.known == watch.result.count:
                    del self._watched[id]
                    self._pass_on(watch.result)
            watch = None
            while calls:
                attempt(calls.pop(0))

    def _pass_on(self, result: Any) -> None:
        """Has next_result() give what was taken from it to be watched."""
        if self.told is not None and result.id in self.told:
            with contextlib.suppress(error.PoolError):  # next_result() says so itself
                result.tell()

    def _slice(self) -> float:
        with self._lock:
            left = self._due[0].when - time.monotonic() if self._due else _SLICE
        return min(max(left, 0.0), _SLICE)

    def _call_due(self) -> None:
        while True:
            with self._lock:
                if not self._due or self._due[0].when > time.monotonic():
                    return
                call = heapq.heappop(self._due).call
            if call is not None:
                attempt(call, error.IPythonError)  # the engine or the pool has ended meanwhile


class _Countdown:
    """Calls something when it was called itself so many times, all in one thread."""

    def __init__(self, count: int, call: Callable[[], Any]) -> None:
        self.left = count
        self.call = call

    def __call__(self) -> None:
        self.left -= 1
        if not self.left:
            self.call()


def attempt(call: Callable[[], Any], *expected: type[Exception]) -> None:
    """Calls something; what it raises is shown, as nobody else will see it, unless it is expected."""
    try:
        call()
    except expected:
        pass
    except BaseException:  # a callback's sys.exit(): others wait for this thread as well
        sys.excepthook(*sys.exc_info())


class _Attempts(threading.local):
    """What a thread is still to call."""

    left: collections.deque | None = None


_attempts = _Attempts()


def attempt_all(calls: Iterable[Callable[[], Any]]) -> None:
    """Attempts one after the other; within one of them, it is done after those: a chain of them may be long, the stack not."""
    if _attempts.left is not None:
        _attempts.left.extend(calls)
        return
    _attempts.left = left = collections.deque(calls)
    try:
        while left:
            attempt(left.popleft())
    finally:
        _attempts.left = None


def _is_done(source: Source) -> bool:
    result, i = source
    return result.ready() if i is None else result.done(i)
