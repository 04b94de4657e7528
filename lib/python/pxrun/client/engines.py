# SPDX-License-Identifier: BSD-3-Clause
"""The part of Client for the pool's engines and memory: their state, signals, restarts."""
from __future__ import annotations

import collections
import functools
import json
import signal
import time
from typing import TYPE_CHECKING, Any, Callable

from .. import error
from .deadline import end_of

if TYPE_CHECKING:
    from concurrent.futures import Future

#: What is known of an engine: `Client.engines`. pid: None where there is no process.
EngineInfo = collections.namedtuple("EngineInfo", "id pid state generation restarts done")


class Engines:
    """The part of Client that asks for engines' state, and manages them."""

    @property
    def engines(self: Any) -> dict[int, EngineInfo]:
        """Facts about each engine that was not removed, by id; after a restart, counted by `generation`, its namespace is empty."""
        return {e["id"]: EngineInfo(*(e[k] for k in EngineInfo._fields)) for e in json.loads(self._core.status())["engines"]}

    def wait_for_engines(self: Any, n: int | None = None, *, timeout: float = -1, block: bool = True, interactive: Any = None) -> Any:
        """Waits until n engines serve.

        Parameters
        ----------
        n : int, optional
            Default: as many as the cluster of this client has.
        timeout : float
            Seconds; -1: for ever.
        block : bool
            With False a Future is returned at once.

        Raises
        ------
        TimeoutError
            Says how many there are.
        EngineError
            An engine has died and does not come back, and the others are fewer than n. Says how it died.
        """
        if n is None:
            n = getattr(self.cluster, "n", None) or len(self)
        if block:
            return self._wait_for_engines(n, timeout)
        if self._ready_engines() >= n:
            return _future_of(None)
        return _future_of(functools.partial(self._wait_for_engines, n, timeout))

    def _ready_engines(self: Any, n: int = 0) -> int:
        """How many engines serve; EngineError if n never will, because some have died for good."""
        engines = json.loads(self._core.status())["engines"]
        lost = [e for e in engines if e["state"] == "gone"]
        left = sum(e["state"] != "gone" for e in engines)
        if lost and left < n:
            raise error.EngineError(
                f"{n} engines will not be ready: {left} are left, and {lost[0]['why']}; it does not come back. "
                f"Add another with cluster.start_engines(1), or wait for {left}"
            )
        return sum(e["state"] == "up" for e in engines)

    def _wait_for_engines(self: Any, n: int, timeout: float) -> None:
        end = end_of(timeout)
        while True:
            ready = self._ready_engines(n)
            if ready >= n:
                return
            if end is not None and time.monotonic() >= end:
                raise TimeoutError(f"{n} engines not ready in {timeout} seconds. Currently ready: {ready}")
            time.sleep(0.005)

    def status(self: Any) -> str:
        """The pool's state as JSON, as ``pxrun status --json`` prints it."""
        return self._core.status()

    def _chosen(self: Any, targets: Any) -> list[int]:
        return self.direct_view("all" if targets is None else targets)._targets(None)[0]

    def send_signal(self: Any, sig: int | str, targets: Any = None, block: bool | None = None) -> None:
        """Sends a signal to engines, even while they work; SIGINT raises KeyboardInterrupt in the running request.

        Parameters
        ----------
        sig : int or str
            A number, or a name as 'SIGINT'.
        """
        if isinstance(sig, str):
            number = getattr(signal, sig, None)
            if not isinstance(number, signal.Signals):
                raise ValueError(f"there is no signal {sig!r}")
            sig = number
        for engine in self._chosen(targets):
            self._core.signal(engine, int(sig))

    def clear(self: Any, targets: Any = None, block: bool | None = None) -> Any:
        """Empties engines' namespaces, ahead of requests that wait there."""
        view = self.direct_view("all" if targets is None else targets)
        return view.clear(block=self.block if block is None else block)

    def restart(self: Any, engine: int) -> None:
        """Restarts an engine: the same id, an empty namespace."""
        self._core.restart(engine)

    def shutdown(self: Any, targets: Any = "all", restart: bool = False, hub: bool = False, block: bool | None = None) -> None:
        """Stops engines: their ids are not used again.

        Parameters
        ----------
        restart : bool
            Whether to restart them instead, under the same ids.
        hub : bool
            Whether to stop the whole pool.
        """
        if hub:
            self._core.stop_pool(10.0)
            self.close()
            return
        chosen = self._chosen(targets)
        if restart and json.loads(self._core.status())["launcher"] == "mpi":
            del chosen[1:]  # the others restart with it
        for engine in chosen:
            (self._core.restart if restart else self._core.remove)(engine)

    def memory(self: Any) -> dict:
        """What the pool's shared memory is used for, in bytes.

        Returns
        -------
        dict
            ``size`` of the arena; ``used``: the extents of all members; ``free``: what can still be had,
            and ``limit``, what bounds that ('arena', 'machine', 'cgroup' or 'mount'); ``huge_pages``:
            where they come from, or None. For this ``client``, for ``engines`` (by id) and for
            ``clients`` (a list, with ``pid``): ``size`` of the member's extents; ``used`` by arrays and
            messages; ``warm``, free and kept for reuse; ``given_back`` so far.
        """
        state = json.loads(self.status())
        arena = state["arena"]
        size, used, given_back = self._core.usage()
        return {
            "size": arena["total"],
            "used": arena["used"],
            "free": arena["budget"],
            "limit": arena["limit"],
            "huge_pages": state["segment"]["huge_pages"],
            "client": {"size": size, "used": used, "warm": size - used, "given_back": given_back},
            "engines": {engine["id"]: _holdings(engine) for engine in state["engines"]},
            "clients": [{"pid": client["pid"], **_holdings(client)} for client in state["clients"]],
        }

    def gc(self: Any) -> int:
        """Gives back shared memory that this client keeps for reuse; returns the bytes. Arrays in use stay."""
        import gc

        gc.collect()
        return self._core.trim()


def _holdings(member: dict) -> dict:
    size, used = member["arena"], member["in_use"]
    return {"size": size, "used": used, "warm": max(0, size - used), "given_back": member["given_back"]}


def _future_of(f: Callable[[], Any] | None) -> Future:
    """A Future of f(), called in a thread; without f one that is done already."""
    from concurrent.futures import Future, ThreadPoolExecutor

    if f is None:
        done: Future = Future()
        done.set_result(None)
        return done
    executor = ThreadPoolExecutor(1)
    try:
        return executor.submit(f)
    finally:
        executor.shutdown(wait=False)
