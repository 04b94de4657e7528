# SPDX-License-Identifier: BSD-3-Clause
"""A connection to a pool."""
from __future__ import annotations

import os
import time
import weakref
from typing import TYPE_CHECKING, Any, Iterator

from .. import _pxrun, error
from .view import DirectView

if TYPE_CHECKING:
    from .asyncresult import AsyncResult


class Client:
    """Attaches to a pool that runs.

    Parameters
    ----------
    connection_info : str, optional
        Path of a connection file. Without it and without a profile:
        ``$PXRUN_CONNECTION`` (set by ``pxrun run``), else the profile.
    profile : str, optional
        The pool's name; default ``$PXRUN_PROFILE``, else "default".
    timeout : float
        Seconds to wait for the pool to appear.

    Raises
    ------
    NoPoolError
        No pool runs there; says how to start one.

    Examples
    --------
    >>> rc = pxrun.Client()                     # doctest: +SKIP
    >>> rc.ids                                  # doctest: +SKIP
    [0, 1, 2, 3]
    >>> rc[:].apply_sync(os.getpid)             # doctest: +SKIP
    """

    def __init__(self, connection_info: str | None = None, *, profile: str | None = None, timeout: float = 0.0) -> None:
        self.block = False
        self.cluster: Any = None
        self._pending: weakref.WeakSet = weakref.WeakSet()
        self._core = _attach(_where(connection_info, profile), timeout)

    @classmethod
    def _of(cls, core: Any, cluster: Any = None) -> "Client":
        """A client over a connection that exists already."""
        self = cls.__new__(cls)
        self.block = False
        self.cluster = cluster
        self._pending = weakref.WeakSet()
        self._core = core
        return self

    def __repr__(self) -> str:
        return f"<Client of {self._core.profile!r}: {len(self)} engines>"

    # --- engines

    @property
    def ids(self) -> list[int]:
        """Ids of the engines, ascending; a new list each time."""
        return self._core.engines()

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[DirectView]:
        return (self[i] for i in self.ids)

    def __getitem__(self, key: Any) -> DirectView:
        """A view: an int is an engine's id (negative: from the end), a slice cuts the list of ids."""
        if isinstance(key, (int, slice, list, tuple, range)):
            return self.direct_view(key)
        raise TypeError(f"index by int, slice, list, tuple or range, not {type(key).__name__}")

    def direct_view(self, targets: Any = "all", **flags: Any) -> DirectView:
        """A view on some engines; 'all' is looked up at each call, None is all that are there now."""
        if isinstance(targets, str):
            if targets != "all":
                raise TypeError(f"targets are ids, a slice, or 'all', not {targets!r}")
            return DirectView(self, "all", **flags)
        ids = self.ids
        if targets is None:
            targets = ids
        elif isinstance(targets, slice):
            targets = ids[targets]
        elif isinstance(targets, int):
            targets = self._one_id(targets, ids)
        else:
            targets = [self._one_id(t, ids) for t in targets]
        if isinstance(targets, list) and not targets:
            raise error.NoEnginesRegistered("no targets: that selects none of the pool's engines " + str(ids))
        return DirectView(self, targets, **flags)

    def _one_id(self, target: int, ids: list[int]) -> int:
        if target < 0 and -target <= len(ids):
            return ids[target]
        if target not in ids:
            raise error.EngineError(f"No such engine: {target}; the live ones are {ids}")
        return target

    # --- results

    def _remember(self, ar: AsyncResult) -> None:
        self._pending.add(ar)

    def wait(self, jobs: Any = None, timeout: float | None = -1) -> bool:
        """Waits for results.

        Parameters
        ----------
        jobs : AsyncResult or iterable of them, optional
            Default: all of this client that are still pending.
        timeout : float
            Seconds; None or negative: for ever.

        Returns
        -------
        bool
            Whether all are there.
        """
        from .asyncresult import AsyncResult

        if jobs is None:
            jobs = list(self._pending)
        elif isinstance(jobs, AsyncResult):
            jobs = [jobs]
        end = None if timeout is None or timeout < 0 else time.monotonic() + timeout
        for job in jobs:
            if not job.wait(None if end is None else max(0.0, end - time.monotonic())):
                return False
        return True

    # --- the pool

    @property
    def profile(self) -> str:
        """The pool's name."""
        return self._core.profile

    @property
    def connection_file(self) -> str:
        """Path by which other processes find the pool."""
        return os.path.join(self._core.folder, "connection.json")

    @property
    def supervisor_pid(self) -> int:
        """Process id of the pool's supervisor."""
        return self._core.supervisor_pid

    def status(self) -> str:
        """The pool's state as JSON, as ``pxrun status --json`` prints it."""
        return self._core.status()

    def send_signal(self, sig: int | str, targets: Any = None) -> None:
        """Sends a signal to engines; SIGINT raises KeyboardInterrupt in the request that runs."""
        import signal

        number = int(getattr(signal, sig) if isinstance(sig, str) else sig)
        view = self.direct_view("all" if targets is None else targets)
        for engine in view._targets(None)[0]:
            self._core.signal(engine, number)

    def restart(self, engine: int) -> None:
        """Starts an engine anew: the same id, an empty namespace."""
        self._core.restart(engine)

    def close(self) -> None:
        """Detaches. The pool goes on; requests that have not begun are dropped."""
        self._core.detach()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *exc: Any) -> None:
        self.close()


def _where(connection_info: str | None, profile: str | None) -> str | None:
    """What to attach to: a path (with a slash in it), a profile's name, or None."""
    if connection_info is None and profile is None:
        connection_info = os.environ.get("PXRUN_CONNECTION") or None
    if connection_info is None:
        return profile
    if profile is None and os.sep not in connection_info and not os.path.exists(connection_info):
        return connection_info  # a bare word is a profile's name
    return os.path.abspath(connection_info)


def _attach(where: str | None, timeout: float) -> Any:
    end = time.monotonic() + timeout
    while True:
        try:
            return _pxrun.attach(where)
        except error.NoPoolError:
            if time.monotonic() >= end:
                raise
            time.sleep(0.01)
