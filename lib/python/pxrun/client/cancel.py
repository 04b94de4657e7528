# SPDX-License-Identifier: BSD-3-Clause
"""The part of AsyncResult that aborts and cancels requests, also when their timeout is over."""
from __future__ import annotations

import contextlib
import signal
from typing import Any, Callable, Iterable

from .. import error
from ..error import TaskCancelled
from . import completion
from .joined import sources

#: Seconds that a request has to end after it was interrupted; then its engine is killed.
GRACE = 2.0
#: Seconds that Ctrl-C waits for what it interrupted.
MOMENT = 1.0


def take_back(results: Iterable[Any]) -> None:
    """Stops requests, of which nobody will have the results, without waiting for it."""
    for result in results:
        for i in reversed(range(result.count)):  # as in Cancellable._stop()
            with contextlib.suppress(error.IPythonError):
                _stop(result, i)


def _stop(result: Any, i: int) -> None:
    """Takes an entry back, or interrupts it."""
    if not result.abort(i):
        result.interrupt(i)
        result.abort(i)  # a task that had failed just before was posted once more


class Cancellable:
    """The part of AsyncResult that stops requests."""

    def abort(self: Any) -> None:
        """Aborts what no engine has begun; what runs goes on, see cancel().

        Raises
        ------
        RuntimeError
            Everything is done already.
        """
        if self.ready():
            raise RuntimeError("Can't abort: the request is done already")
        for i in range(self._count):
            self._result.abort(i)

    def cancel(self: Any, grace: float | None = GRACE) -> bool:
        """Stops the request, also where it runs.

        What waits is aborted. What runs is interrupted: KeyboardInterrupt is raised in it, and in
        no other request. If it has not ended after `grace` seconds its engine is killed, and the
        pool's restart policy decides what follows. get() raises `TaskAborted` as soon as the engines
        are free again.

        Parameters
        ----------
        grace : float or None
            Seconds; None: engines are never killed.

        Returns
        -------
        bool
            Whether there was something to stop.
        """
        return self._stop(lambda what: TaskCancelled(f"{what} was cancelled"), grace)

    def cancelled(self: Any) -> bool:
        """Whether cancel() has ended it."""
        return self.ready() and error.is_own(self._failure(), TaskCancelled)

    def _cancel_waiting(self: Any, i: int = 0) -> bool:
        """Cancels one entry as cancel() does, unless it was begun."""
        if self._result.done(i):
            return False
        self._stopped[i] = lambda what: TaskCancelled(f"{what} was cancelled")
        if self._result.abort(i):
            return True
        del self._stopped[i]
        return False

    def _interrupt(self: Any) -> None:
        """Stops the request, and waits a moment until it has ended; KeyboardInterrupt if another Ctrl-C comes."""
        self._stop(lambda what: TaskCancelled(f"{what} was interrupted here by Ctrl-C"), None)
        self._result.wait(MOMENT)

    def _stop(self: Any, reason: Callable[[str], Exception], grace: float | None) -> bool:
        interrupted = []
        stopped = False
        self.ready()
        # what waits before what runs: an engine that is interrupted begins the next
        for i in reversed(range(self._count)):
            source, there = self._lenders[i] if self._lenders else (self, i)
            if source._stop_entry(there, reason):
                stopped = True
                if not self._result.done(i):
                    interrupted.append(i)
        if interrupted and grace is not None:
            completion.of(self._client).after(grace, sources(self._result), lambda: self._kill(interrupted))
        return stopped

    def _stop_entry(self: Any, i: int, reason: Callable[[str], Exception]) -> bool:
        """Aborts or interrupts one entry; false if it was done already."""
        if self._result.done(i):
            return False
        self._stopped[i] = reason  # before it is done: from then on other threads may read it
        with contextlib.suppress(error.EngineError):  # it died meanwhile, and the entry fails
            _stop(self._result, i)
        return True

    def _kill(self: Any, entries: Iterable[int]) -> None:
        """Ends the engines that still work on these entries."""
        for i in entries:
            if not self._result.done(i) and self._result.running(i):
                with contextlib.suppress(error.EngineError):  # it died meanwhile
                    self._client._core.signal(self._engine(i), signal.SIGKILL)

    def _expire_after(self: Any, seconds: float) -> None:
        """Starts the request's own timeout."""
        if not seconds > 0:
            raise ValueError(f"a timeout is a number of seconds above 0, not {seconds!r}")

        def late(what: str) -> Exception:
            if not getattr(self._result, "posted", True):
                return error.DependencyTimeout(f"{what} was not begun: what it depends on was not done in {seconds:g} s, its timeout")
            return error.TaskTimeout(f"{what} had not finished after {seconds:g} s, its timeout")

        completion.of(self._client).after(seconds, sources(self._result), lambda: self._stop(late, GRACE))
