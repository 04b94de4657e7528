# SPDX-License-Identifier: BSD-3-Clause
"""An AsyncResult as a future of concurrent.futures: it becomes one when it is first used so."""
from __future__ import annotations

import _thread
import concurrent.futures
import threading
from typing import Any, Generator

from . import completion
from .joined import sources

#: Attributes that concurrent.futures uses; made when one of them is first read.
ATTRIBUTES = frozenset(("_condition", "_state", "_waiters", "_done_callbacks"))
_PENDING, _FINISHED = "PENDING", "FINISHED"
#: Seconds after which a condition's lock is not given back any more: as_completed() and wait() hold it for microseconds,
#: but leave it taken when a signal's handler raises in these.
_FOR_GOOD = 5.0


class AsFuture(concurrent.futures.Future):
    """The part of AsyncResult that concurrent.futures and asyncio use."""

    _state: str

    def _become_future(self: Any) -> None:
        """Makes the attributes that concurrent.futures uses, and has the result watched."""
        with self._lock:
            if "_condition" in self.__dict__:
                return
            out = completion.of(self._client).watch(sources(self._result), self._complete)
            self.__dict__.update(_state=_PENDING, _waiters=[], _done_callbacks=[], _condition=threading.Condition())
        if not out:
            self._complete()

    def _complete(self: Any) -> None:
        """Tells waiters and callbacks of concurrent.futures that the result is ready. Once."""
        if self._condition.acquire(blocking=False):
            self._finish(True)
        else:  # nobody else's results wait meanwhile
            _thread.start_new_thread(lambda: self._finish(self._condition.acquire(timeout=_FOR_GOOD)), ())

    def _finish(self: Any, locked: bool) -> None:
        """What _complete() does, with the lock of the condition, or without, where it was left taken for good."""
        failed = bool(self._failed())
        try:
            if self._state == _FINISHED:
                return
            self._state = _FINISHED
            for waiter in self._waiters:
                (waiter.add_exception if failed else waiter.add_result)(self)
            if locked:
                self._condition.notify_all()
        finally:
            if locked:
                self._condition.release()
        self._invoke_callbacks()

    def set_result(self, result: Any) -> None:
        """Refused: engines give results."""
        raise concurrent.futures.InvalidStateError("an AsyncResult gets its result from engines")

    def set_exception(self, exception: Any) -> None:
        """Refused: engines give results."""
        raise concurrent.futures.InvalidStateError("an AsyncResult gets its result from engines")

    def set_running_or_notify_cancel(self) -> bool:
        """Refused: engines begin requests by themselves."""
        raise concurrent.futures.InvalidStateError("an AsyncResult is begun by engines")

    def __await__(self) -> Generator[Any, None, Any]:
        import asyncio

        return asyncio.wrap_future(self).__await__()
