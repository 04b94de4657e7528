# SPDX-License-Identifier: BSD-3-Clause
"""Watches results in a thread, for callbacks, timeouts, and requests that do not stop when cancelled.

One thread for each client, which runs while there is something to watch. Plain get() and wait() never
start it: they read the rings themselves, which is faster.
"""
from __future__ import annotations

import heapq
import itertools
import sys
import threading
import time
import weakref
from typing import Any, Callable

from .. import error

#: Seconds without work after which the thread ends; a new one takes 0.1 ms.
_IDLE = 1.0
#: Seconds after which it looks for other work while it waits for results.
_SLICE = 0.1

_of_client: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
_making = threading.Lock()


def of(client: Any) -> "Completion":
    """The Completion of a client."""
    with _making:
        found = _of_client.get(client)
        if found is None:
            found = _of_client[client] = Completion()
        return found


class Completion:
    """Completes the results that it watches, and calls what is due. It refers to results, and they to the client."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._watched: set = set()
        self._due: list[tuple] = []  # a heap of (time, number, result, call)
        self._numbers = itertools.count()
        self._thread: threading.Thread | None = None

    def watch(self, ar: Any) -> None:
        """Calls ar._complete() once the result is ready, perhaps at once. ClosedError in a forked child."""
        if not ar.ready():
            try:
                ar._client._core.wait_any(-1, 0)
            except error.ClosedError:
                # where several futures are waited for, an exception here would leave others locked
                if not ar.ready():
                    raise
        with self._changed:
            self._watched.add(ar)
            self._wake()
        # if it became ready before the thread watched it, the thread would not notice
        if ar.ready():
            self._finish(ar)

    def after(self, seconds: float, ar: Any, call: Callable[[], Any]) -> None:
        """Calls `call` after a time, unless the result is ready by then."""
        with self._changed:
            heapq.heappush(self._due, (time.monotonic() + seconds, next(self._numbers), ar, call))
            self._wake()

    # --- with the lock

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="pxrun-completion", daemon=True)
            self._thread.start()
        else:
            self._changed.notify()

    def _rest(self) -> bool:
        """Sleeps until there may be something to do; false if there is nothing."""
        if not self._due:
            return self._changed.wait(_IDLE) or bool(self._due)
        left = self._due[0][0] - time.monotonic()
        if left > 0:
            self._changed.wait(min(left, _IDLE))
        self._due = [entry for entry in self._due if not entry[2].ready()]
        heapq.heapify(self._due)
        return True

    # --- the thread

    def _run(self) -> None:
        while True:
            with self._changed:
                watching = next(iter(self._watched), None)
                if watching is None and not self._rest():
                    self._thread = None
                    return
            if watching is not None:
                self._wait_for_any(watching)
            watching = None
            self._call_due()

    def _wait_for_any(self, one: Any) -> None:
        """Completes what is ready; if nothing is, waits first until a request finishes."""
        try:
            seen = one._client._core.wait_any(-1, 0)
            if not self._finish_ready():
                one._client._core.wait_any(seen, self._slice())
        except error.PoolError:
            pass  # everything has failed then, and is ready
        began = time.monotonic()
        self._finish_ready()
        spent = time.monotonic() - began
        if spent > 0.001:
            time.sleep(spent)  # even with very many results: use at most half of a processor

    def _slice(self) -> float:
        with self._changed:
            left = self._due[0][0] - time.monotonic() if self._due else _SLICE
        return min(max(left, 0.0), _SLICE)

    def _finish_ready(self) -> bool:
        with self._changed:
            watched = list(self._watched)
        ready = [ar for ar in watched if ar.ready()]
        for ar in ready:
            try:
                self._finish(ar)
            except BaseException:  # a callback's sys.exit(): others wait for this thread as well
                sys.excepthook(*sys.exc_info())
        return bool(ready)

    def _finish(self, ar: Any) -> None:
        with self._changed:
            if ar not in self._watched:
                return
            self._watched.discard(ar)
        ar._complete()

    def _call_due(self) -> None:
        while True:
            with self._changed:
                if not self._due or self._due[0][0] > time.monotonic():
                    return
                _, _, ar, call = heapq.heappop(self._due)
            if not ar.ready():
                try:
                    call()
                except error.IPythonError:
                    pass  # the engine or the pool has ended meanwhile
                except Exception:
                    sys.excepthook(*sys.exc_info())
