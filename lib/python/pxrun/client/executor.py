# SPDX-License-Identifier: BSD-3-Clause
"""A view as an executor of concurrent.futures."""
from __future__ import annotations

import concurrent.futures
from typing import Any, Callable, Iterator


class ViewExecutor(concurrent.futures.Executor):
    """Submits to a view. Results are AsyncResults, of a view of several engines lists.

    shutdown() waits, and never stops engines.
    """

    def __init__(self, view: Any) -> None:
        self.view = view
        self._max_workers = len(view)
        self._closed = False

    def submit(self, fn: Callable, /, *args: Any, **kwargs: Any) -> Any:
        """As view.apply_async()."""
        if self._closed:
            raise RuntimeError("cannot submit: the executor is shut down")
        return self.view.apply_async(fn, *args, **kwargs)

    def map(self, fn: Callable, *iterables: Any, timeout: float | None = None, chunksize: int = 1) -> Iterator:
        """As view.imap(): elements in order, as they are ready. `chunksize` is ignored."""
        if self._closed:
            raise RuntimeError("cannot submit: the executor is shut down")
        result = self.view.map_async(fn, *iterables)
        if timeout is not None and not result.wait(timeout):
            raise TimeoutError(f"the map was not ready within {timeout} s")
        return iter(result)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Accepts no more calls; waits for the view's requests."""
        self._closed = True
        if cancel_futures:
            self.view.abort()
        if wait:
            self.view.wait()
