# SPDX-License-Identifier: BSD-3-Clause
"""The part of Client for what it has sent: finds results, waits for them, aborts and forgets them."""
from __future__ import annotations

import collections
import contextlib
import functools
import weakref
from typing import TYPE_CHECKING, Any

from .. import error
from .deadline import end_of, left
from .joined import Joined, sources

if TYPE_CHECKING:
    from .asyncresult import AsyncResult


class Requests:
    """The part of Client for its requests and their results."""

    _told: weakref.WeakValueDictionary[int, AsyncResult] | None  # by the extension's ids
    _early: dict[int, None]  # ids that were given before the call that sent them had told of them, the last 1000

    def _remember(self: Any, ar: AsyncResult) -> None:
        self._sent.add(ar)
        if self._told is not None:
            self._tell_of(ar)

    def _tell(self: Any) -> None:
        """From now on next_result() gives results."""
        if self._told is None:
            from . import completion

            self._early = {}
            completion.of(self).told = self._told = weakref.WeakValueDictionary()
            self._core.tell()
            for ar in self._sent.requests():
                self._tell_of(ar)

    def _tell_of(self: Any, ar: AsyncResult) -> None:
        parts = [result for result, _ in sources(ar._result)]
        if hasattr(parts[0], "when_done"):  # tasks that the extension does not know as such
            from . import completion

            tell = functools.partial(self._tell_that_done, weakref.ref(ar))
            if not completion.of(self).watch([(part, None) for part in parts], tell):
                tell()
            return
        for result in parts:
            self._told[result.id] = ar  # type: ignore[index]
            if self._early.pop(result.id, False) is None:
                result.tell()

    def _tell_that_done(self: Any, ref: weakref.ref[AsyncResult]) -> None:
        """Has next_result() give this one."""
        ar = ref()
        if ar is None:
            return
        with contextlib.suppress(error.PoolError):  # next_result() says so itself
            ar._herald = self._core.new_done()  # held as long as it is
            self._told[ar._herald.id] = ar
            ar._herald.tell()

    def next_result(self: Any, timeout: float | None = None) -> AsyncResult | None:
        """An AsyncResult that is ready, each once, in the order in which they became it.

        Given are those that somebody holds, and that were made since the first call of this or of fileno(),
        or were outstanding then.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait for one; None: for ever; 0 only looks.

        Returns
        -------
        AsyncResult or None
            None: there was none in time.
        """
        self._tell()
        end = end_of(timeout)
        while True:
            id = self._core.next(left(end))
            if id is None:
                return None
            ar = self._told.get(id)  # type: ignore[union-attr]
            if ar is None:
                ar = self._early_or_told(id)
            if ar is not None and ar.ready():
                for told in [id, *(result.id for result, _ in sources(ar._result))]:
                    self._told.pop(told, None)  # type: ignore[union-attr]
                return ar

    def _early_or_told(self: Any, id: int) -> AsyncResult | None:
        """Nobody holds that result, or another thread has sent it and is about to tell of it, and it is given again then."""
        self._early[id] = None
        while len(self._early) > 1000:
            self._early.pop(next(iter(self._early)), None)
        ar = self._told.get(id)
        return ar if ar is not None and self._early.pop(id, False) is None else None

    def fileno(self: Any) -> int:
        """A descriptor for select() and poll(): readable as long as next_result() has something to give."""
        self._tell()
        return self._core.fileno()

    @property
    def history(self: Any) -> list[str]:
        """Message ids of requests, in the order of submission, one for each engine; the last 100,000 requests.

        A blocking call, which returns its value, has none.
        """
        return self._sent.ids()

    @property
    def outstanding(self: Any) -> set[str]:
        """Message ids of what is not answered, whether or not somebody holds its AsyncResult."""
        return self._sent.outstanding()

    @property
    def results(self: Any) -> dict[str, AsyncResult]:
        """AsyncResults of what is outstanding, by message id: a value lives in its AsyncResult and nowhere else."""
        return {msg_id: ar for msg_id, (ar, _) in self._sent.live().items() if not ar.ready()}

    @property
    def metadata(self: Any) -> dict[str, Any]:
        """Metadata of the same, by message id; of others it is empty."""
        from .metadata import KEYS, Metadata

        found: dict[str, Any] = collections.defaultdict(lambda: Metadata(dict.fromkeys(KEYS)))
        found.update((msg_id, ar._metadata_of(i)) for msg_id, (ar, i) in self._sent.live().items() if not ar.ready())
        return found

    def wait(self: Any, jobs: Any = None, timeout: float | None = -1) -> bool:
        """Waits for results.

        Parameters
        ----------
        jobs : AsyncResult, message id, index into the history, Future, or an iterable of them, optional
            Default: all that this client has sent, including blocking calls of other threads. Unknown
            ids count as done.
        timeout : float
            Seconds; None or -1: for ever.

        Returns
        -------
        bool
            Whether all are there.
        """
        end = end_of(timeout)
        for job in self._sent.requests() if jobs is None else self._sent.find(jobs):
            if not _wait_for(job, left(end)):
                return False
        return self._core.wait_idle(left(end)) if jobs is None else True

    def wait_interactive(self: Any, jobs: Any = None, interval: float = 1.0, timeout: float | None = -1) -> None:
        """Waits, and shows how far the requests are; default: all that are outstanding."""
        found = [ar for ar in (self._sent.requests() if jobs is None else self._sent.find(jobs)) if not ar.done()]
        if found:
            found[0].join(*found).wait_interactive(interval, timeout)

    def get_result(self: Any, ids: Any = None, block: bool | None = None, owner: bool = True) -> AsyncResult:
        """The AsyncResult of message ids, indices into the history, or AsyncResults; default the last request's.

        A request that is outstanding has one, whether or not somebody holds it. Several become one
        AsyncResult of all their parts.

        Raises
        ------
        KeyError
            It is answered, and nobody holds the result any more.
        """
        if ids is None:
            ids = -1
        if isinstance(ids, (list, tuple)):
            parts = [self._sent.result(i) for i in ids]
            if not parts:
                raise ValueError("no results are named: an empty list makes no AsyncResult")
            found = parts[0].join(*parts)
        else:
            found = self._sent.result(ids)
        if self.block if block is None else block:
            found.wait()
        return found

    def result_status(self: Any, msg_ids: Any, status_only: bool = True) -> dict:
        """Which requests are 'pending' and which 'completed'.

        With status_only=False also the values by id, as far as somebody holds their
        AsyncResults. KeyError for an id that is not in the history.
        """
        asked = [msg_ids] if isinstance(msg_ids, (str, int)) or hasattr(msg_ids, "msg_ids") else list(msg_ids)
        status: dict[Any, Any] = {"pending": [], "completed": []}
        for job in asked:
            try:
                parts = self._sent.result(job).split()
            except KeyError:
                msg_id = self._sent.id_of(job)
                if msg_id not in self._sent:
                    raise
                status["completed"].append(msg_id)
                continue
            for part in parts:
                status["completed" if part.ready() else "pending"] += part.msg_ids
                if not status_only and part.ready():
                    status[part.msg_ids[0]] = part.get(return_exceptions=True)
        return status

    def queue_status(self: Any, targets: Any = "all", verbose: bool = False) -> dict:
        """The numbers of requests and tasks that engines have waiting and done.

        Parameters
        ----------
        verbose : bool
            Whether to list message ids, of results that somebody holds, instead.

        Returns
        -------
        dict
            By engine id: 'queue', requests of this client to that engine that wait or run; 'tasks', tasks of
            this client that it has taken, and not done: one at a time; 'completed', what the engine has
            done for all clients. For a single engine its inner dict alone; for several also 'unassigned',
            tasks of this client that no engine has taken. Elements of a map are one task for each chunk.
        """
        ids, single = self.direct_view(targets)._targets(None)
        if verbose:
            found, unassigned = self._by_engine(ids)
        else:
            from .later import not_posted

            queued, tasks, waiting = self._core.queued()
            done = {e.id: e.done for e in self.engines.values()}
            found = {i: {"queue": queued.get(i, 0), "completed": done.get(i, 0), "tasks": tasks.get(i, 0)} for i in ids}
            unassigned = waiting + not_posted(self)
        return found[ids[0]] if single else {**found, "unassigned": unassigned}

    def _by_engine(self: Any, ids: list[int]) -> tuple[dict[Any, Any], list[str]]:
        """Message ids of what waits, runs, and is done, by engine, and of tasks that no engine has taken."""
        found: dict[Any, Any] = {i: {"queue": [], "completed": [], "tasks": []} for i in ids}
        unassigned = []
        for msg_id, (ar, i) in self._sent.live().items():
            engine, done = ar._engine(i), ar.ready() or ar._result.done(i)
            if engine in found:
                found[engine]["completed" if done else "tasks" if _is_task(ar) else "queue"].append(msg_id)
            elif engine is None and not done:
                unassigned.append(msg_id)
        return found, unassigned

    def abort(self: Any, jobs: Any = None, targets: Any = None, block: bool | None = None) -> None:
        """Aborts requests that no engine has begun; their results raise TaskAborted.

        Parameters
        ----------
        jobs : AsyncResult, message id, or an iterable of them, optional
            Default: all that are outstanding.
        targets : optional
            Only what waits on these engines.
        """
        chosen = None if targets is None else set(self.direct_view(targets)._targets(None)[0])
        for ar in self._sent.requests() if jobs is None else self._sent.find(jobs):
            if not hasattr(ar, "msg_ids"):
                raise TypeError(f"what can be aborted are AsyncResults and message ids, not {ar!r}")
            for i, engine in enumerate(ar.targets):
                if chosen is None or engine in chosen:
                    ar._result.abort(i)

    def purge_results(self: Any, jobs: Any = (), targets: Any = ()) -> None:
        """Removes requests from the history, by jobs or by engines; 'all' is all.

        Raises
        ------
        RuntimeError
            One of them is outstanding.
        ValueError
            Neither jobs nor targets.
        """
        if not jobs and jobs != 0 and not targets and targets != 0:
            raise ValueError("name the jobs or the targets whose results are to be forgotten, or 'all'")
        live = self._sent.live()
        if jobs == "all":
            chosen = set(self.history)
        else:
            found = self._sent.find(jobs) if jobs or jobs == 0 else []
            chosen = {i for ar in found for i in ar.msg_ids}
            engines = set(self.direct_view(targets)._targets(None)[0]) if targets or targets == 0 else set()
            chosen |= {msg_id for msg_id, (ar, i) in live.items() if ar._engine(i) in engines}
        busy = chosen & self.outstanding
        if busy:
            raise RuntimeError(f"cannot forget {len(busy)} requests that are outstanding: wait for them, or abort them")
        self._sent.forget(chosen)

    def purge_local_results(self: Any, jobs: Any = (), targets: Any = ()) -> None:
        """As purge_results(): there are no other results than local ones."""
        self.purge_results(jobs, targets)

    def purge_hub_results(self: Any, jobs: Any = (), targets: Any = ()) -> None:
        """As purge_results(): there is no hub that would keep results."""
        self.purge_results(jobs, targets)

    def purge_everything(self: Any) -> None:
        """Forgets the history; RuntimeError if something is outstanding."""
        self.purge_results("all")

    def spin(self: Any) -> None:
        """Does nothing: results arrive by themselves."""


def _is_task(ar: Any) -> bool:
    """Whether engines take it by themselves: the extension's ids of such results have the highest bit, those of a Later a sign."""
    result = ar._result.parts[0] if type(ar._result) is Joined else ar._result
    return bool(result.id >> 63)


def _wait_for(job: Any, timeout: float | None) -> bool:
    """Whether an AsyncResult, or any Future, is done within so many seconds."""
    if hasattr(job, "msg_ids"):
        return job.wait(timeout)
    from concurrent.futures import wait

    return not wait([job], timeout).not_done
