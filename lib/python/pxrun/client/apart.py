# SPDX-License-Identifier: BSD-3-Clause
"""What tasks refer to and do not carry: a large function, or a call with shared arrays, which each engine gets once."""
from __future__ import annotations

import contextlib
import threading
from typing import Any, Iterable

from .. import _pxrun, error
from ..engine import tasks
from ..wire import pickling


class Apart:
    """An object on the engines that run the tasks of a map; they forget it when nobody needs it any more.

    Parameters
    ----------
    client : Client
    token : bytes
        By which tasks refer to it.
    request : tuple
        Body and buffers of the request by which an engine gets it; as they are now, for engines that come later, too.
    """

    def __init__(self, client: Any, token: bytes, request: tuple) -> None:
        self.token = token
        self._client, self._request = client, (request[0], pickling.snapshot(request[1]))
        self._lock = threading.Lock()
        self._users = 1  # whoever has made it
        self._there: set[int] = set()

    def send(self, engines: Iterable[int], again: bool = False) -> None:
        """Has it sent to those engines that did not get it; again: to all of them."""
        with self._lock:
            new = [engine for engine in engines if again or engine not in self._there]
            self._there.update(new)
        for engine in new:
            self._submit(engine, *self._request)

    def hold(self) -> None:
        """One user more."""
        with self._lock:
            self._users += 1

    def release(self) -> None:
        """One user less; after the last one engines forget it."""
        with self._lock:
            self._users -= 1
            engines, self._there = ((), self._there) if self._users else (sorted(self._there), set())
        if engines:
            body, _ = pickling.dumps((tasks.drop, (self.token,), {}))
            with contextlib.suppress(error.IPythonError):  # the client is closed
                for engine in engines:
                    self._submit(engine, body, None)

    def _submit(self, engine: int, body: bytes, buffers: list | None) -> None:
        with contextlib.suppress(error.EngineError):
            self._client._core.submit(_pxrun.APPLY, 0, [engine], body, buffers)
