# SPDX-License-Identifier: BSD-3-Clause
"""Tasks that are posted when what they depend on is done, or again where an engine lacked what they refer to."""
from __future__ import annotations

import functools
import itertools
import threading
import time
import weakref
from typing import Any, Callable, Sequence

from .. import _pxrun, error
from ..wire import failure, pickling, values
from . import completion, deadline
from .apart import Apart
from .outputs import LOOK

_ids = itertools.count(-1, -1)
_outstanding: weakref.WeakValueDictionary[int, "Later"] = weakref.WeakValueDictionary()


def find(id: int) -> "Later | None":
    """The one of that id, if somebody holds it or it is outstanding."""
    found = _outstanding.get(id)
    return None if found is None or found.ready() else found


def not_posted(client: Any) -> int:
    """How many tasks of a client wait for what they depend on."""
    mine = [one for one in list(_outstanding.values()) if one._client is client and not one.posted]
    return sum(one.count - len(one._order) for one in mine)


def failed(e: BaseException) -> tuple:
    """The reply of an entry that fails with this exception, as if an engine had raised it."""
    return _pxrun.EREMOTE, values.encode([*failure.describe(e), "apply"]), None


class Later:
    """Entries of which each is a task that may be posted several times, one after the other; has the methods of _pxrun.Result.

    A thread of the client looks at each reply (client/completion.py). One that lacks what was sent apart is posted
    again with it. Those that failed otherwise are posted again as often as `retries` says. An engine that has refused
    one, by an `UnmetDependency`, does not get it again; what was refused by all of them has failed.

    Parameters
    ----------
    client : Client
    bodies, buffers
        As post() of the extension takes them. What they hold now is sent, whenever that is.
    retries : int
    apart : Apart or None
        What the tasks refer to; it is held until they are done.
    """

    def __init__(self, client: Any, bodies: list, buffers: list | None, retries: int, apart: Apart | None) -> None:
        self.count = len(bodies)
        self.id = next(_ids)
        self.posted = False  # whether what it depends on is done
        self._client, self._apart = client, apart
        if apart is not None:
            apart.hold()
        self._targets: list[int] | None = None
        self._completion = completion.of(client)
        self._tasks: list[tuple | None] = list(zip(bodies, map(pickling.snapshot, buffers) if buffers else itertools.repeat(None)))
        self._now: list[tuple[Any, int] | None] = [None] * self.count  # the result of the last post, and its entry
        self._replies: dict[int, tuple] = {}  # of those that are done
        self._order: list[int] = []  # the same in the order in which they were
        self._retries = [retries] * self.count
        self._failed: set[int] = set()  # which are posted again
        self._refused: dict[int, set[int]] = {}  # by entry: the engines that did
        self._stopped: set[int] = set()
        self._calls: dict[int | None, list[Callable]] = {}
        self._lock = threading.RLock()  # a signal's handler may take it again; it is not taken as the condition (completion.py)
        self._changed = threading.Condition(self._lock)
        self._times = (time.time_ns(), 0, 0, 0)
        _outstanding[self.id] = self

    # --- posting

    def post(self, targets: list[int] | None) -> None:
        """Posts all that were not aborted meanwhile, once, for these engines; None: for all."""
        with self._lock:
            if self.posted:
                return
            self.posted = True
            self._targets = targets
            waiting = [i for i in range(self.count) if i not in self._replies]
        if self._apart is not None:
            self._apart.send(self._client.ids if self._targets is None else self._targets)
        self._post(waiting)

    def _post(self, entries: list[int], refused: set[int] | None = None) -> None:
        """Posts some entries, not for engines that have refused them; if that cannot be, they have failed."""
        with self._lock:  # some may have been aborted just now
            sent = [(i, *task) for i in entries if (task := self._tasks[i]) is not None]
        if not sent:
            return
        try:
            bodies, buffers = [body for _, body, _ in sent], [found for _, _, found in sent]
            without = sorted(refused) if refused else None
            result = self._client._core.post(bodies, buffers if any(buffers) else None, self._targets, 0, False, without)
            for j, (i, _, _) in enumerate(sent):
                self._follow(i, result, j)
        except Exception as e:
            self.fail(e, entries)

    def _follow(self, i: int, result: Any, j: int) -> None:
        with self._lock:
            self._now[i] = result, j
            stopped = i in self._stopped
        if stopped:
            result.abort(j)
        if not self._completion.watch([(result, j)], functools.partial(self._answered, i)):
            self._answered(i)

    def fail(self, e: BaseException, entries: Sequence[int] | None = None) -> None:
        """Ends entries, or all, with an exception."""
        code = next((code for code in _OWN if isinstance(e, error._CLASSES[code])), None)
        reply = failed(e) if code is None else (code, str(e), None)
        for i in range(self.count) if entries is None else entries:
            self._end(i, reply)

    # --- replies

    def _answered(self, i: int) -> None:
        """Called when the engine that has entry i has answered, or died."""
        try:
            self._judge(i)
        except Exception as e:  # the client is closed, say
            self.fail(e, [i])

    def _judge(self, i: int) -> None:
        """Ends entry i, or posts it again."""
        with self._lock:
            result, j = self._now[i]  # type: ignore[misc]
        reply = result.reply(j)
        refused = result.refused(j)
        if refused:
            self._refused.setdefault(i, set()).update(refused)
        ename, evalue = values.decode(reply[1])[:2] if reply[0] == _pxrun.EREMOTE else ("", "")
        if i in self._stopped or reply[0] not in (_pxrun.EREMOTE, _pxrun.EENGINE):
            again = reply[0] == _pxrun.EABORTED and i in self._failed
            self._end(i, (reply[0], _AGAIN, None) if again else reply)
        elif ename == "NotKept" and self._apart is not None and evalue == self._apart.token.hex():
            self._apart.send([result.engine(j)], again=True)
            self._post([i], self._refused.get(i))
        elif self._retries[i] and result.engine(j) not in refused:  # else it was the last that might have run it
            self._retries[i] -= 1
            self._failed.add(i)
            self._post([i], self._refused.get(i))
        else:
            self._end(i, reply)

    def _end(self, i: int, reply: tuple) -> None:
        with self._lock:
            if i in self._replies:
                return
            self._replies[i] = reply
            self._order.append(i)
            self._tasks[i] = None
            over = len(self._order) == self.count
            calls = self._calls.pop(i, []) + (self._calls.pop(None, []) if over else [])
            self._changed.notify_all()
        if over and self._apart is not None:
            self._apart.release()
        completion.attempt_all(calls)

    # --- as a result of the extension

    def when_done(self, i: int | None, call: Callable[[], Any]) -> bool:
        """Has `call` called when entry i is done, or all are; false if so already."""
        with self._lock:
            if self.ready() if i is None else i in self._replies:
                return False
            self._calls.setdefault(i, []).append(call)
        return True

    def ready(self) -> bool:
        """Whether every entry is done."""
        return len(self._order) == self.count

    def done(self, i: int) -> bool:
        """Whether entry i is done."""
        return i in self._replies

    def wait(self, timeout: float | None, shower: Callable | None = None) -> bool:
        """Waits until every entry is done."""
        return self._until(self.ready, timeout, shower)

    def wait_entry(self, i: int, timeout: float | None, shower: Callable | None = None) -> bool:
        """Waits until entry i is done."""
        return self._until(lambda: i in self._replies, timeout, shower)

    def finished(self, known: int, timeout: float | None, shower: Callable | None = None) -> list[int]:
        """Entries in the order in which they were done, behind the first known ones; waits until there is one."""
        self._until(lambda: len(self._order) > known, timeout, shower)
        return self._order[known:]

    def _until(self, what: Callable[[], bool], timeout: float | None, shower: Callable | None) -> bool:
        end = deadline.end_of(timeout)
        while True:
            left = deadline.left(end)
            with self._lock:
                there = self._changed.wait_for(what, left if shower is None or left is not None and left < LOOK else LOOK)
            if shower is not None:
                shower(self)
            if there or left is not None and (shower is None or left < LOOK):
                return there

    @property
    def folder(self) -> str:
        """The pool's runtime folder."""
        return next((now[0].folder for now in self._now if now is not None), "")

    def reply(self, i: int) -> tuple:
        """(code, body, buffers), once."""
        with self._lock:
            reply = self._replies[i]
            self._replies[i] = reply[:1]
            return reply

    def code(self, i: int) -> int:
        """The code of reply(i), which this does not take; 0: a value, or not done."""
        return self._replies.get(i, (0,))[0]

    def abort(self, i: int) -> bool:
        """Takes entry i back; false if it has begun."""
        with self._lock:
            self._stopped.add(i)
            now = self._now[i]
        if now is not None:
            return now[0].abort(now[1])
        self._end(i, (_pxrun.EABORTED, "the task was aborted before it ran", None))
        return True

    def interrupt(self, i: int) -> None:
        """Raises KeyboardInterrupt in entry i, if an engine works on it."""
        self._stopped.add(i)
        self._ask(i, "interrupt", None)

    def _ask(self, i: int, method: str, without: Any, *args: Any) -> Any:
        """What the result of the last post says of entry i; what is said if there is none."""
        now = self._now[i]
        return without if now is None else getattr(now[0], method)(now[1], *args)

    def engine(self, i: int) -> int:
        """The id of the engine that ran entry i last; -1: none has."""
        return self._ask(i, "engine", -1)

    def running(self, i: int) -> bool:
        """Whether an engine works on entry i."""
        return self._ask(i, "running", False)

    def progress(self, i: int) -> int:
        """How many elements the engine has done."""
        return self._ask(i, "progress", 0)

    def times(self, i: int) -> tuple:
        """(submitted, started, completed, received) in nanoseconds since the epoch."""
        return (self._times[0], *self._ask(i, "times", self._times)[1:])

    def output(self, i: int, which: int) -> bytes:
        """The output on one stream so far, of the last run."""
        return self._ask(i, "output", b"", which)

    def chunks(self, i: int) -> list:
        """All output of the last run."""
        return self._ask(i, "chunks", [])

    def news(self, i: int, *how: Any) -> list:
        """What no earlier call has given of chunks(i)."""
        return self._ask(i, "news", [], *how)

    def told(self, i: int) -> int:
        """How many bytes of what the last run has printed news(i) has given."""
        return self._ask(i, "told", 0)

    def sent(self, i: int) -> bool:
        """True: tasks are copies."""
        return True

    def wait_sent(self, timeout: float | None, i: int = -1) -> bool:
        """True: tasks are copies."""
        return True


#: As lib/client/tasks.c says it of its tasks.
_AGAIN = "the task had failed, and was aborted before it ran again"
#: Codes of failures that are not the task's own.
_OWN = (_pxrun.ECLOSED, _pxrun.EABORTED, _pxrun.EPOOL, _pxrun.ENOMEM)
