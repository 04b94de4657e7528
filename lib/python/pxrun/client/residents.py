# SPDX-License-Identifier: BSD-3-Clause
"""What engines are given once, for all tasks of an executor or of a joblib call, and tasks that need it there.

It goes to the engines by direct requests, which they serve before tasks. An engine that takes a task and
lacks what it needs, because it has been restarted, answers `Absent`: it is given the thing, and the
task is posted again. See engine/residents.py.
"""
from __future__ import annotations

import concurrent.futures
import contextlib
import itertools
import os
import threading
from typing import Any, Callable, Mapping

from .. import _pxrun, error
from ..engine.residents import Absent
from ..wire import calls, pickling
from . import completion, outcome
from .cancel import TaskCancelled

#: A thing that so many engines in a row died of is not tried again.
_DEATHS = 3
_numbers = itertools.count()
_session = os.urandom(8).hex()


class Resident:
    """Something that engines are given.

    Parameters
    ----------
    view : DirectView or LoadBalancedView
        Its client's engines, and how it pickles.
    f : callable
        Called on each engine as f(token, *args); it returns the id of its process.
    args : tuple
    flags : int
        _pxrun.URGENT: ahead of other requests.
    failed : callable, optional
        Called with what f raised on an engine.
    """

    def __init__(self, view: Any, f: Callable, args: tuple, flags: int = 0, failed: Callable | None = None) -> None:
        self.token = f"{_session}_{os.getpid()}_{next(_numbers)}"
        self._client = view.client
        self._body, buffers = calls.dumps(f, (self.token, *args), {}, view._send_globals, view._library)
        # an initializer's arguments are the caller's, who may change them before the last engine has come
        self._buffers = buffers if failed is None else pickling.snapshot(buffers)
        self._flags = flags
        self._failed = failed
        self._gifts: dict[int, _Gift] = {}  # the last one for each engine
        self._deaths = 0
        self._lock = threading.RLock()

    def give(self, engines: list[int]) -> None:
        """Sends it to these engines, if they are there."""
        with self._lock, contextlib.suppress(error.EngineError):
            result = self._client._core.submit(_pxrun.APPLY, self._flags, engines, self._body, self._buffers)
            for i, engine in enumerate(engines):
                self._gifts[engine] = _Gift(self._client, result, i)
                self._gifts[engine].when_done(self._told)

    def _told(self, gift: "_Gift") -> None:
        pid, exception = gift.outcome()
        with self._lock:
            self._deaths = 0 if pid is not None else self._deaths + 1
        if exception is not None and self._failed is not None and self._is_bad(exception):
            self._failed(exception)

    def _is_bad(self, exception: BaseException) -> bool:
        """Whether another attempt is of no use."""
        died = isinstance(exception, error.EngineError) and not isinstance(exception, Absent)
        return not error.is_own(exception, error.TaskAborted) and (not died or self._deaths >= _DEATHS)

    def fetch(self, lacking: Absent, engine: int, then: Callable[[BaseException | None], Any]) -> None:
        """An engine lacks it: calls `then` when it has it, or with an exception if it cannot have it."""
        with self._lock:
            gift = self._gifts.get(engine)
            if gift is None or gift.is_of_another(lacking.pid):
                self._gifts.pop(engine, None)
                self.give([engine])
                gift = self._gifts.get(engine)
        if gift is None:
            then(None)  # the engine has ended, and another one will take the task
            return

        def answered(gift: _Gift) -> None:
            exception = gift.outcome()[1]
            then(exception if exception is not None and self._is_bad(exception) else None)

        gift.when_done(answered)

    def take_back(self) -> None:
        """What no engine has begun to take is aborted."""
        with self._lock:
            for gift in self._gifts.values():
                gift.abort()


class _Gift:
    """A direct request that gives something to one engine."""

    def __init__(self, client: Any, result: Any, i: int) -> None:
        self._client, self._result, self._i = client, result, i
        self._outcome: outcome.Outcome | None = None
        self._lock = threading.RLock()

    def when_done(self, call: Callable[["_Gift"], Any]) -> None:
        if not completion.of(self._client).watch([(self._result, self._i)], lambda: call(self)):
            call(self)

    def outcome(self) -> outcome.Outcome:
        """(process, None) or (None, exception), of one that is done."""
        with self._lock:  # the extension gives a reply once
            if self._outcome is None:
                code, body, buffers = self._result.reply(self._i)
                engine = self._result.engine(self._i)
                self._outcome = outcome.outcome_of(code, body, buffers, engine, self._client._core)
            return self._outcome

    def is_of_another(self, pid: int) -> bool:
        """Whether it is done, and not by that process."""
        return self._result.done(self._i) and self.outcome()[0] != pid

    def abort(self) -> None:
        with contextlib.suppress(error.IPythonError):
            self._result.abort(self._i)


class PreparedFuture(concurrent.futures.Future):
    """A task that needs something on its engine: posted again where that was absent.

    Parameters
    ----------
    post : callable
        Posts the task: a `TaskFuture`, another one each time.
    needed : mapping
        The Residents that it needs, by token.
    """

    _condition: threading.Condition

    def __init__(self, post: Callable[[], Any], needed: Mapping[str, Resident]) -> None:
        super().__init__()
        self._post: Any = post
        self._needed = needed
        self._task: Any = None
        self._notified = False
        self._stopped = False
        self._begin()

    def _begin(self, problem: BaseException | None = None) -> None:
        """Posts the task, again after what it needs has been sent; `problem`: it could not be."""
        with self._condition:  # cancel() comes before or after this
            if self.done():
                return
            try:
                if problem is None:
                    self._task = self._post()
            except Exception as e:
                problem = e
        if problem is None:
            self._task.add_done_callback(self._ended)
        else:
            self._settle(None, problem)

    def _ended(self, task: Any) -> None:
        value, exception = task._outcome(0)
        lacking = self._needed.get(exception.token) if isinstance(exception, Absent) and not self._stopped else None
        if lacking is not None:
            lacking.fetch(exception, task._result.engine(0), self._begin)
        else:
            self._settle(value, exception)

    def _settle(self, value: Any, exception: BaseException | None) -> None:
        with contextlib.suppress(concurrent.futures.InvalidStateError):  # it was cancelled, or has failed
            if exception is None:
                self.set_result(value)
            elif error.is_own(exception, TaskCancelled):
                self._be_cancelled()
            else:
                self.set_exception(error.without_end(exception))
        self._let_go()

    def fail(self, exception: BaseException) -> None:
        """Ends it, if it has not ended, with an exception; what waits or runs of it is stopped."""
        self._settle(None, exception)
        self.stop()

    def stop(self) -> None:
        """Stops the task, also where it runs."""
        self._stopped = True
        task = self._task
        if not self.cancel() and task is not None and not task.done():
            task._stop_running()

    def show_news(self) -> None:
        """Shows what the task has printed since the last time."""
        task = self._task
        if task is not None:
            task._show_news(task._result)

    def running(self) -> bool:
        return not self.done() and self._task is not None and self._task.running()

    def cancel(self) -> bool:
        """As Future.cancel(): takes the task back, unless an engine has begun it."""
        with self._condition:
            waits = not self.done() and (self._task is None or self._task.done() or self._task.cancel())
        if waits:
            self._be_cancelled()
        return self.cancelled()

    def _let_go(self) -> None:
        """What it was made of is not needed any more: arrays, for instance."""
        self._needed, self._post = {}, None

    def _be_cancelled(self) -> None:
        super().cancel()
        with self._condition:
            if self.cancelled() and not self._notified:
                self._notified = True
                self.set_running_or_notify_cancel()
        self._let_go()
