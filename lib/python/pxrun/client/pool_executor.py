# SPDX-License-Identifier: BSD-3-Clause
"""The pool as an executor of concurrent.futures: each call runs on one engine, the next that is free."""
from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import functools
import itertools
import os
import threading
import time
import weakref
from typing import Any, Callable, Iterable, Iterator

from .. import error
from ..engine.calls import map_chunk
from ..engine.residents import begin, call_after
from ..engine.tasks import call_seeded, map_seeded
from ..wire import calls, frames, mapped, pickling
from .asyncresult import AsyncResult
from .balanced import LoadBalancedView
from .cancel import take_back
from .chunks import whole
from .residents import PreparedFuture, Resident
from .seeds import Seeds, sequence
from .sequences import for_map
from .staying import Staying


class TaskFuture(AsyncResult):
    """The future of one call of an executor; an AsyncResult whose cancel() is that of Future."""

    def cancel(self, grace: float | None = None) -> bool:
        """Takes the call back, unless an engine has begun it; whether it is cancelled. What runs is not stopped."""
        return self._cancel_waiting() or self.cancelled()

    @property
    def entries(self) -> Any:
        """The result of the extension."""
        return self._result

    def _stop_running(self) -> None:
        super().cancel()

    def _complete(self) -> None:
        if self._shows:  # perhaps nobody will ask for the value, and wait for it
            self._show_news(self._result)
        super()._complete()

    def result(self, timeout: float | None = None) -> Any:
        """As Future.result(): the value; TimeoutError if it is not done in time, at once if that is over, as -1 is, too."""
        return super().result(_not_negative(timeout))

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """What the call raised, or None; CancelledError if it was cancelled, TimeoutError if it is not done in time."""
        failure = super().exception(_not_negative(timeout))
        if error.is_own(failure, error.TaskCancelled):
            raise failure  # type: ignore[misc]
        return failure


def _not_negative(timeout: float | None) -> float | None:
    """A timeout as concurrent.futures has them: -1 is over, too."""
    return 0 if timeout == -1 else timeout


class PoolExecutor(Staying, concurrent.futures.Executor):
    """Runs each call on one engine: the next that is free takes it.

    What waits lies in shared memory, and engines take it from there by themselves, whatever this
    process does meanwhile. Engines that are added later take part. shutdown() never stops engines.
    When the script ends, it waits for calls that are still out, also after shutdown(wait=False); Ctrl-C ends that.

    Parameters
    ----------
    view : LoadBalancedView or DirectView
        Whose engines may take calls. Its flags of this moment are those of the calls.
    max_workers : int, optional
        So many of these engines, if there are more.
    initializer : callable, optional
        Called as initializer(*initargs) in each engine's process before its first call of this executor, also
        in processes that are started later. Global names that it assigns are those of the engine, which other
        executors and views see and replace. If it raises, all calls fail with BrokenExecutor.
    initargs : tuple
    seed : int, sequence of int or numpy.random.SeedSequence, optional
        For random numbers that can be repeated, as that of `LoadBalancedView.map`: call i, counted from 0 in the
        order in which they are submitted, has child i of ``SeedSequence(seed).spawn``, whatever engine runs it.
        Each element of a map is a call.

    Attributes
    ----------
    max_workers : int
        How many engines may run calls at once.
    """

    _instead = "code on an engine cannot hand calls to its own pool, and returns what is to be done next"

    def __init__(
        self,
        view: Any,
        *,
        max_workers: int | None = None,
        initializer: Callable | None = None,
        initargs: tuple = (),
        seed: Any = None,
    ) -> None:
        if max_workers is not None and whole("max_workers", max_workers) <= 0:
            raise ValueError("max_workers must be greater than 0")
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        self.view = _balanced(view, max_workers)  # its history are the calls of this executor
        self._seeds = None if seed is None else Seeds(seed)
        self._lock = threading.RLock()  # pickling may run code of the user's that submits
        self._closed = False
        self._broken: BaseException | None = None
        self._prepared: set[Any] = set()  # that are not done
        self._initial: Resident | None = None
        if initializer is not None:
            self._initial = Resident(self.view, begin, (initializer, tuple(initargs)), failed=self._break)
        self._given = False
        _live.add(self)

    def __del__(self) -> None:
        with contextlib.suppress(Exception):  # it was not made, or Python ends
            _left[:] = [view for view in {*_left, self.view} if view.outstanding]

    @property
    def max_workers(self) -> int:
        return len(self.view)

    _max_workers = max_workers  # as dask asks

    def submit(self, fn: Callable, /, *args: Any, **kwargs: Any) -> Any:
        """As Executor.submit(): a future of one call.

        Raises
        ------
        RuntimeError
            The executor is shut down.
        BrokenExecutor
            The initializer has failed.
        TypeError
            fn is not callable, or something cannot be pickled.
        """
        if self._seeds is None or not callable(fn):
            return self._submit(fn, fn, args, kwargs)
        with self._lock:  # the number of a call is that of its seed, so nobody else submits meanwhile
            self._must_be_open()
            if isinstance(fn, functools.partial) and fn.func is map_chunk:
                with self._seeds.taken(len(args[0])) as seed:
                    return self._submit(fn, map_seeded, (seed, *fn.args, *args), kwargs)
            with self._seeds.taken(1) as seed:
                return self._submit(fn, call_seeded, (seed, fn, args, kwargs), {})

    def _submit(self, fn: Callable, *call: Any) -> Any:
        """The same, of a function with what it is called as: another function, its arguments and keywords."""
        if self._initial is None:
            body = self._dumps(*call)
            with self._lock:
                self._must_be_open()
                return self._post(fn, body)
        pickled, buffers = self._dumps(call_after, (self._initial.token, *call), {})
        kept = pickled, pickling.snapshot(buffers)  # for an engine that was restarted it is posted again
        return self._prepare(lambda: self._post(fn, kept), {self._initial.token: self._initial})

    def map(
        self, fn: Callable, *iterables: Iterable, timeout: float | None = None, chunksize: int = 1, buffersize: int | None = None
    ) -> Iterator:
        """As Executor.map(): a call for each element, results in order, as soon as they and those before are there.

        Parameters
        ----------
        timeout : float, optional
            Seconds from now until TimeoutError.
        chunksize : int
            So many elements go to an engine as one call.
        buffersize : int, optional
            The iterables are read only as far as that: so many calls are out whose results have not been taken.
        """
        if whole("chunksize", chunksize) < 1:
            raise ValueError("chunksize must be >= 1.")
        if buffersize is not None and whole("buffersize", buffersize) < 1:
            raise ValueError("buffersize must be None or > 0")
        end = None if timeout is None else time.monotonic() + timeout
        if buffersize is None and self._initial is None and "submit" not in self.__dict__:
            with self._lock:
                self._must_be_open()
                ar = self._mapped(fn, iterables, chunksize)
            futures = collections.deque(_Chunk(ar, i) for i in range(len(ar and ar.targets)))
            return self._results(futures, lambda: None, end, True)
        # somebody who replaced submit(), such as a progress bar, wants to see each call
        call: Callable = fn
        tuples: Iterator[tuple] = zip(*iterables)
        if chunksize > 1:
            call = functools.partial(map_chunk, fn)
            tuples = _columns((self._frozen(fn, each) for each in tuples), chunksize)
        futures = collections.deque(self.submit(call, *each) for each in itertools.islice(tuples, buffersize))

        def submit_next() -> None:
            futures.extend(self.submit(call, *each) for each in itertools.islice(tuples, 1))

        return self._results(futures, submit_next, end, chunksize > 1)

    def _frozen(self, fn: Callable, args: tuple) -> tuple:
        """The arguments of an element as they are now, for a chunk that is sent when all of it has been read."""
        try:
            return mapped.frozen(args, self.view._send_globals, self.view._library)
        except Exception as e:
            raise calls.cannot_send(calls.parts_of(fn, args, {}), e, self.view._library) from e

    def _mapped(self, fn: Callable, iterables: tuple, chunksize: int) -> Any:
        """The calls of a map, posted at once: a good deal faster than one by one."""
        if self._seeds is None:
            return self.view.map_async(fn, *iterables, chunksize=chunksize)
        listed = for_map(iterables)
        with self._seeds.taken(min(map(len, listed))) as seed:
            return self.view.map_async(fn, *listed, chunksize=chunksize, seed=sequence(seed))

    def _results(self, futures: collections.deque, submit_next: Callable, end: float | None, chunked: bool) -> Iterator:
        """The values in order; calls of which nobody will take the values any more are taken back, if they wait."""
        try:
            while futures:
                try:
                    found = futures[0].result(None if end is None else max(0.0, end - time.monotonic()))
                except StopIteration as raised:  # the function did, and here it would be the end
                    raise error.without_end(raised) from None
                futures.popleft()
                submit_next()
                if chunked:
                    yield from found
                else:
                    yield found
        except KeyboardInterrupt:
            if self.view.signal_on_interrupt:
                take_back({future.entries for future in futures if isinstance(future, (_Chunk, TaskFuture))})
            raise
        finally:
            for future in futures:
                future.cancel()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As Executor.shutdown(): takes no more calls; with `cancel_futures` those that wait are taken back."""
        with self._lock:
            self._closed = True
        if cancel_futures:
            for future in list(self._prepared):
                future.cancel()
            for ar in self.view._sent.requests():
                for i in range(ar._count):
                    ar._cancel_waiting(i)
        if wait:
            self._wait()
            if self._initial is not None:
                self._initial.take_back()

    def _wait(self) -> None:
        concurrent.futures.wait(list(self._prepared))
        self.view.wait()

    # --- tasks

    def _dumps(self, f: Callable, args: tuple, kwargs: dict) -> tuple[bytes, list | None]:
        return calls.dumps(f, args, kwargs, self.view._send_globals, self.view._library)

    def _post(self, fn: Callable, body: tuple[bytes, list | None]) -> TaskFuture:
        """Posts a task with this body and its buffers."""
        view, (pickled, buffers) = self.view, body
        if mapped.has_live(buffers):
            result: Any = view._post_live(pickled, buffers)
        else:
            result = view._post([pickled], None if buffers is None else [buffers])
        return view._new(TaskFuture, result, calls.name_of(fn), True, function=None if frames.is_named(pickled) else fn)

    def _prepare(self, post: Callable[[], TaskFuture], needed: dict[str, Resident]) -> PreparedFuture:
        """A task that needs these on its engine."""
        with self._lock:
            self._must_be_open()
            if self._initial is not None and not self._given:
                self._given = True
                self._initial.give(self._ids())
            future = PreparedFuture(post, needed)
            self._prepared.add(future)
        future.add_done_callback(self._prepared.discard)
        return future

    def _ids(self) -> list[int]:
        return self.view.client.ids if self.view.targets is None else self.view.targets

    def _must_be_open(self) -> None:
        if self._broken is not None:
            raise concurrent.futures.BrokenExecutor("the initializer of this executor has failed") from self._broken
        if self._closed:
            raise RuntimeError("cannot schedule new futures after shutdown")

    def _break(self, reason: BaseException) -> None:
        """The initializer has failed."""
        with self._lock:
            if self._broken is not None:
                return
            self._broken = reason
        for future in list(self._prepared):
            broken = concurrent.futures.BrokenExecutor(f"the initializer has failed: {reason}")
            broken.__cause__ = reason
            future.fail(broken)


# --- the script's end


_live: weakref.WeakSet[PoolExecutor] = weakref.WeakSet()
#: Views of executors that nobody holds any more, with calls that were out then.
_left: list[Any] = []


def _wait_for_calls() -> None:
    """At the script's end, as concurrent.futures does: before pools end with it, until nothing is out."""
    waits = [executor._wait for executor in list(_live)] + [view.wait for view in list(_left)]
    try:
        for wait in waits:
            with contextlib.suppress(error.IPythonError):  # the client is closed, or the pool gone
                wait()
    except KeyboardInterrupt:
        pass


def _forget_calls() -> None:
    """A forked child has none out."""
    _live.clear()
    _left.clear()


threading._register_atexit(_wait_for_calls)  # type: ignore[attr-defined]
os.register_at_fork(after_in_child=_forget_calls)


class _Chunk:
    """A task of a map: one element or more."""

    __slots__ = ("_ar", "_i")

    def __init__(self, ar: Any, i: int) -> None:
        self._ar, self._i = ar, i

    def result(self, timeout: float | None) -> Iterator:
        ar, i = self._ar, self._i
        if not ar._result.wait_entry(i, timeout, ar._shower()):
            raise TimeoutError("the call is not done in time")
        found = ar._each(i)
        ar._outcomes[i] = None, None  # nobody asks again
        return _values(found)

    @property
    def entries(self) -> Any:
        """The result of the extension, of which this is one entry."""
        return self._ar._result

    def cancel(self) -> None:
        self._ar._cancel_waiting(self._i)


def _values(found: list) -> Iterator:
    """The values of elements; raises what the first that failed has raised."""
    for value, exception in found:
        if exception is not None:
            raise error.again(error.without_end(exception))
        yield value


def _columns(tuples: Iterator, size: int) -> Iterator[tuple]:
    """The columns of so many tuples, again and again."""
    while chunk := tuple(itertools.islice(tuples, size)):
        yield tuple(zip(*chunk))


def _balanced(view: Any, most: int | None) -> LoadBalancedView:
    """A load-balanced view of a view's engines, or of some of them, with its flags."""
    flags = {name: getattr(view, name) for name in view._names if name != "targets"}
    made = LoadBalancedView(view.client, view.targets, **flags)
    made._library = view._library
    if most is not None and most < len(made):
        made.targets = (view.client.ids if made.targets is None else made.targets)[:most]
    return made
