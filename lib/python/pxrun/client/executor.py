# SPDX-License-Identifier: BSD-3-Clause
"""A view as an executor of concurrent.futures: each call runs on one of its engines."""
from __future__ import annotations

import concurrent.futures
import functools
import itertools
import threading
import time
from typing import Any, Callable, Iterator

from .. import error
from ..engine.calls import map_chunk


class ViewExecutor(concurrent.futures.Executor):
    """Runs each call on the engine of a view that has the fewest unanswered requests of this client.

    Futures are AsyncResults of one engine. shutdown() takes no more calls, waits for those that were
    submitted here, and never stops engines.

    Parameters
    ----------
    view : DirectView
        Its flags of this moment are those of the calls.
    """

    def __init__(self, view: Any) -> None:
        self.view = view._copy()  # its history are the calls of this executor
        self._max_workers = len(view)
        self._lock = threading.Lock()  # the choice of an engine with the submission that it is for
        self._turn = 0
        self._closed = False

    def submit(self, fn: Callable, /, *args: Any, **kwargs: Any) -> Any:
        """As Executor.submit(): a future of one call.

        Raises
        ------
        RuntimeError
            The executor is shut down.
        TypeError
            fn is not callable, or something cannot be pickled.
        """
        with self._lock:
            if self._closed:
                raise RuntimeError("cannot schedule new futures after shutdown")
            return self.view._call(fn, args, kwargs, False, self._least_busy())

    def _least_busy(self) -> int:
        ids, _ = self.view._targets(None)
        if len(ids) == 1:
            return ids[0]
        queued = self.view.client._core.queued()
        # of those with equally many the next in turn
        first = self._turn % len(ids)
        engine = min(ids[first:] + ids[:first], key=lambda i: queued.get(i, 0))
        self._turn = ids.index(engine) + 1
        return engine

    def map(self, fn: Callable, *iterables: Any, timeout: float | None = None, chunksize: int = 1) -> Iterator:
        """As Executor.map(): a call for each element, results in order, as soon as they and those before are there.

        Parameters
        ----------
        timeout : float, optional
            Seconds from now until TimeoutError.
        chunksize : int
            So many elements go to an engine as one request.
        """
        if chunksize < 1:
            raise ValueError("chunksize must be >= 1.")
        end = None if timeout is None else time.monotonic() + timeout
        if chunksize == 1:
            return _results([self.submit(fn, *items) for items in zip(*iterables)], end)
        chunk = functools.partial(map_chunk, fn)
        futures = [self.submit(chunk, *zip(*items)) for items in _chunks(zip(*iterables), chunksize)]
        return itertools.chain.from_iterable(_results(futures, end))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As Executor.shutdown(): takes no more calls; with `cancel_futures` those that wait are taken back."""
        with self._lock:
            self._closed = True
        if cancel_futures:
            for ar in self.view._sent.requests():
                ar._cancel_waiting()
        if wait:
            self.view.wait()


def _chunks(items: Iterator, size: int) -> Iterator[tuple]:
    while chunk := tuple(itertools.islice(items, size)):
        yield chunk


def _results(futures: list, end: float | None) -> Iterator:
    """The values in order; those that nobody will take any more are taken back, if they wait."""
    futures.reverse()  # each goes when its value is given
    try:
        while futures:
            try:
                value = futures[-1].result(None if end is None else max(0.0, end - time.monotonic()))
            except StopIteration as raised:  # the function did, and here it would be the end
                raise error.without_end(raised) from None
            futures.pop()
            yield value
    finally:
        for ar in futures:
            ar._cancel_waiting()
