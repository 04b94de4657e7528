# SPDX-License-Identifier: BSD-3-Clause
"""The load-balanced view: each call is a task, which the next engine that has nothing to do takes."""
from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Callable

from .. import _pxrun, error
from ..wire import calls, failure, frames, mapped, pickling
from . import chunks, completion, dependency, seeds
from .apart import Apart
from .cancel import take_back
from .dependency import Conditions
from .joined import Joined, sources
from .later import Later
from .remotefunction import BalancedFunction
from .sequences import for_map, have_references
from .taskmap import TaskMap
from .viewbase import View

if TYPE_CHECKING:
    from .imap import LazyMapIterator

_loads = pickling.loads
#: The largest number of retries: in a task it is a uint32_t.
_RETRIES = 2**32 - 1


class LoadBalancedView(View):
    """The engines of a pool as one: each task goes to the engine that is free first.

    Made by `Client.load_balanced_view`. Engines take tasks by themselves, in the order in which they were
    submitted, whatever this process does meanwhile. Requests of direct views go before them.

    Calls are as those of a `DirectView` with one target: a call gives a bare value, and what it raises is a
    `RemoteError`. Which engine ran it, its result says: ``ar.engine_id``.

    Attributes
    ----------
    targets : list of int or None
        The engines that may take tasks; None: all, also those that are added later.
    retries : int
        How often a task that failed is run again, also one whose engine died; at most 2**32 - 1. Each time it
        gets its arguments as they were sent, whatever it has done to them.
    after : AsyncResult, message id, a list of these, Dependency or None
        Tasks begin when these are done. `ImpossibleDependency` if they do not end as they should: without
        a `Dependency` that says otherwise, all of them by success.
    follow : the same
        As `after`, and tasks run on the engine that did it.
    timeout : float or None
        Seconds from the submission after which a task is stopped, however long it has waited; get() then raises
        `TaskTimeout`, or `DependencyTimeout` if it was still waiting for what it depends on. It is not run again.
    track : bool
        Has no effect: tasks are copies of what they were given.
    block, label, signal_on_interrupt, send_globals, output
        As of a `DirectView`.
    """

    _instead = "code on an engine gets its data as arguments, and returns what is to be done next"
    _names = (*View._names, "retries", "after", "follow")
    _after: dependency.Dependency | None
    _follow: dependency.Dependency | None

    def __init__(self, client: Any, targets: Any = None, **flags: Any) -> None:
        _refuse_within(client)
        self._retries, self._after, self._follow = 0, None, None
        super().__init__(client, targets, **flags)

    def __len__(self) -> int:
        return len(self.client if self.targets is None else self.targets)

    def _everywhere(self) -> Any:
        return self.client.direct_view("all" if self.targets is None else self.targets, block=self.block)

    # --- flags

    def _set_targets(self, targets: Any) -> None:
        if targets is None or isinstance(targets, str) and targets == "all":
            self._targets_set = None
            return
        super()._set_targets([targets] if isinstance(targets, int) else targets)

    @property
    def retries(self) -> int:
        return self._retries

    @retries.setter
    def retries(self, retries: int) -> None:
        if not isinstance(retries, int) or isinstance(retries, bool):
            raise TypeError(f"retries is an int, not {retries!r}")
        if not 0 <= retries <= _RETRIES:
            raise ValueError(f"retries is how often a task is run again, from 0 to {_RETRIES} times, and not {retries}")
        self._retries = int(retries)

    @property
    def after(self) -> dependency.Dependency | None:
        return self._after

    @after.setter
    def after(self, dependencies: Any) -> None:
        self._after = dependency.needed(dependencies, "after")

    @property
    def follow(self) -> dependency.Dependency | None:
        return self._follow

    @follow.setter
    def follow(self, dependencies: Any) -> None:
        self._follow = dependency.needed(dependencies, "follow")

    # --- posting

    def _engines(self) -> list[int] | None:
        """The engines that may take a task; NoEnginesRegistered or EngineError if there are none."""
        live = self.client.ids
        targets = self._targets_set
        if not live:
            self.client._core.check_gone(-1)
            raise error.NoEnginesRegistered("no engine can take tasks")
        if targets is not None and not set(targets) & set(live):
            self.client._core.check_gone(targets[0] if targets else -1)
            raise error.EngineError(f"there is none of the engines {targets}; the live ones are {live}")
        return targets

    def _width(self) -> int:
        """How many engines work on tasks."""
        live = self.client.ids
        return max(1, len(live if self._targets_set is None else set(live) & set(self._targets_set)))

    def _post(self, bodies: list, buffers: list | None, apart: Apart | None = None, waits: bool = True) -> Any:
        """Posts tasks; apart: what they refer to; waits: where the arena is full, until others leave room.

        Returns
        -------
        _pxrun.Result, or Later if the client has to look after the tasks.
        """
        engines = self._engines()
        if apart is None and not (self._after or self._follow):
            return self.client._core.post(bodies, buffers, engines, self._retries, True, None, waits)
        conditions = Conditions(self.client, self._after, self._follow)
        later = Later(self.client, bodies, buffers, self._retries, apart)
        _post_when_met(later, conditions, engines)
        return later

    def _call(self, f: Any, args: tuple, kwargs: dict, block: bool) -> Any:
        body, buffers = calls.dumps(f, args, kwargs, self._send_globals, self._library)
        if mapped.has_live(buffers):
            result: Any = self._post_live(body, buffers)
        else:
            result = self._post([body], None if buffers is None else [buffers])
        if block and self._timeout is None and type(result) is not Later:
            return self._wait_at_once(result, f)
        return self._finish(self._result_of(result, f, True, frames.is_named(body)), block)

    def _post_live(self, body: bytes, buffers: list | None) -> Later:
        """Posts a call with memory that is shared, which tasks cannot carry."""
        live = mapped.LiveCall(body, buffers)
        apart = Apart(self.client, live.token, live.apart)
        try:
            return self._post([live.body], None, apart)
        finally:
            apart.release()

    def _wait_at_once(self, result: Any, f: Any) -> Any:
        """The value of a blocking call, for which an AsyncResult is made only after a failure."""
        try:
            result.wait(None, self._shower)
        except KeyboardInterrupt:
            ar = self._result_of(result, f, True)
            if self._goes_on(ar):
                return ar
            raise
        reply = code, body, buffers = result.reply(0)
        if not code:
            try:
                return _loads(body, buffers or ())
            except BaseException as e:
                if failure.may_be_ctrl_c(e):
                    raise
                # the AsyncResult raises that in words
        ar = self._result_of(result, f, True)
        ar._take([reply])
        return ar.get()

    def _new(self, *args: Any, **options: Any) -> Any:
        ar = super()._new(*args, **options)
        if self._after or self._follow:
            ar._depends = {"after": sorted(self._after or ()), "follow": sorted(self._follow or ())}
        return ar

    # --- maps

    def map(
        self,
        f: Callable,
        *sequences: Any,
        block: bool | None = None,
        chunksize: int | None = None,
        ordered: bool = True,
        return_exceptions: bool = False,
        label: str | None = None,
        seed: Any = None,
        progress: bool = False,
    ) -> Any:
        """Calls f on each element; engines take elements as they become free.

        Parameters
        ----------
        f : callable or Reference
            Read once on each engine, for all elements there: what it keeps in itself, by ``self.n += 1``, goes on
            from element to element, whatever the chunksize. After use_dill() or use_cloudpickle(), and with
            References, it is read for each task.
        *sequences : iterables
            As for the built-in map(): whatever can be iterated over, and the shortest decides. What is no
            sequence is turned into a list here.
        chunksize : int, optional
            How many elements are one task. None: the first elements are tasks of their own, and show within
            0.02 s how many make some milliseconds of work; results and what f raises are as if it were 1. But
            when an engine dies in the middle of a chunk, or the chunk is cancelled, interrupted or out of time,
            all its elements are lost; with 1, that element alone.
        ordered : bool
            Whether iteration over the AsyncMapResult follows the order of the elements, or takes tasks as they
            finish. get() has the order of the elements always.
        return_exceptions : bool
            Whether an element for which f raises is its exception in the result, instead of its being raised.
            Such an exception has a note that names the element.
        seed : int, sequence of int or numpy.random.SeedSequence, optional
            For random numbers that can be repeated: the generators of the modules random and numpy.random are
            seeded for element i from child i of ``SeedSequence(seed).spawn``, whatever engine runs it; numpy's
            is as of ``RandomState(MT19937(child))``. Afterwards they are as before.
        progress : bool
            Whether to show a bar of the elements while the result is waited for, as `AsyncResult.wait_interactive`.

        Returns
        -------
        AsyncMapResult, or with block a list in the order of the elements.
        """
        listed = for_map(sequences)
        length = min(len(s) for s in listed)
        chunks.check(chunksize)
        of = self._mapped(f, listed, seed)
        if length == 0:
            return []
        tasks = TaskMap(self, of, listed, length)
        try:
            tasks.post(chunksize)
        except BaseException:
            take_back(tasks.results)
            raise
        finally:
            tasks.close()
        options = {"ordered": ordered, "return_exceptions": return_exceptions, "progress": progress}
        ar = self._of_tasks(tasks.results, tasks.sizes, f, label, **options)
        return self._finish(ar, self._blocks(block))

    def _mapped(self, f: Any, listed: list, seed: Any) -> mapped.Mapped:
        return mapped.Mapped(f, have_references(listed), self._send_globals, self._library, seeds.described(seed), self._retries)

    def _of_tasks(self, results: list, sizes: list[int], f: Any, label: str | None = None, **options: Any) -> Any:
        result = results[0] if len(results) == 1 else Joined(results)
        return self._new("AsyncTaskMapResult", result, calls.name_of(f), False, label=label, function=f, sizes=sizes, **options)

    def imap(
        self,
        f: Callable,
        *sequences: Any,
        ordered: bool = True,
        max_outstanding: int | str = "auto",
        chunksize: int | None = None,
        return_exceptions: bool = False,
        seed: Any = None,
        progress: bool = False,
    ) -> LazyMapIterator:
        """As map(), lazily: elements are read as engines become free, also from an endless iterable.

        Elements are read by the thread that calls this, the first ones at once, and by next(): while it has no
        result to give, until there is one. While there is one, it reads on only from sequences, and, where
        max_outstanding is 'auto' and engines would run out of work, from iterables that have given their last
        elements in less than a millisecond. So one that waits for what is to come holds a result back for one
        element at most.

        What nobody will take any more, because the iterator is
        deleted, or its cancel() called, is taken back. While the pool's memory is full, elements wait until
        results have been taken; `ArenaError` only if that frees none.

        Parameters
        ----------
        f, chunksize, return_exceptions, seed
            As map() has them.
        *sequences : iterables
            An element is sent as it was when it was read: an iterable may use the same buffer again and again.
            What they raise is raised here after the results of the elements before.
        ordered : bool
            Whether results come in the order of the elements, or as they finish.
        max_outstanding : int or 'auto'
            How many elements may be out: submitted, and not finished. Where one takes long, 30 times as many
            may have finished besides, whose results wait for its own. 0: any number, so that all are read at
            once. 'auto': as many as keep the engines at work, 3 chunks for each, and no more than 30 chunks for
            each engine are read ahead of what next() has taken. With 1, no element is read before the result of
            the one before was taken: an iterable may make it of that.
        progress : bool
            Whether to show a bar of the elements that were given, until the end, or until something is raised.

        Returns
        -------
        LazyMapIterator
        """
        from .imap import CountedMapIterator, LazyMapIterator

        kind = CountedMapIterator if progress else LazyMapIterator
        return kind(self, f, sequences, ordered, max_outstanding, chunksize, return_exceptions, seed)

    def parallel(self, block: bool | None = None, **options: Any) -> Callable[[Callable], BalancedFunction]:
        """Decorator: the function's `map` is that of this view, with these options and flags."""
        return lambda f: BalancedFunction(self, f, block=self._blocks(block), **options)

    def queue_status(self, targets: Any = None, verbose: bool = False) -> dict:
        """See `Client.queue_status`."""
        chosen = self.targets if targets is None else targets
        return self.client.queue_status("all" if chosen is None else chosen, verbose)

    def shutdown(self, targets: Any = None, restart: bool = False, hub: bool = False, block: bool | None = None) -> None:
        """Stops engines; see `Client.shutdown`."""
        chosen = self.targets if targets is None else targets
        self.client.shutdown("all" if chosen is None else chosen, restart, hub)


def _refuse_within(client: Any) -> None:
    """RuntimeError on an engine of the client's own pool."""
    if _pxrun.is_engine() and os.getppid() == client.supervisor_pid:
        raise RuntimeError(
            "a task cannot hand tasks to its own pool: if all engines did that and waited, none would be left to run them. "
            "Return what is to be done next, and submit it where the first task was submitted"
        )


def _post_when_met(later: Later, conditions: Conditions, engines: list[int] | None) -> None:
    """Posts tasks as soon as their conditions are met, now or in the thread of the client whose results they are."""

    def look() -> None:
        if later.posted or later.ready():
            return
        try:
            met, places = conditions.met(engines)
            if met:
                later.post(places)
        except Exception as e:
            later.fail(e)

    for ar in conditions.results.values():
        completion.of(ar._client).watch(sources(ar._result), look)
    look()
