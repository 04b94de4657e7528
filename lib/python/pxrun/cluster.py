# SPDX-License-Identifier: BSD-3-Clause
"""Starting and stopping pools."""
from __future__ import annotations

import functools
import os
import sys
from typing import TYPE_CHECKING, Any, Callable, Iterable

from . import _pxrun

if TYPE_CHECKING:
    from .client.client import Client

_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def _for_asyncio(method: Callable) -> Callable:
    """The method as a coroutine: it runs in a thread, for it waits."""

    @functools.wraps(method)
    async def coroutine(self: Any, *args: Any, **kwargs: Any) -> Any:
        import asyncio

        return await asyncio.to_thread(method, self, *args, **kwargs)

    coroutine.__name__ = method.__name__.removesuffix("_sync")
    coroutine.__qualname__ = method.__qualname__.removesuffix("_sync")
    return coroutine


class Cluster:
    """A pool of engines, stopped at the end of a with statement.

    Parameters
    ----------
    n : int, optional
        Number of engines; default as many as processors may be used.
    profile : str, optional
        A name by which others can attach. Without one the pool is this client's alone, and
        ends with this process however that ends.
    arena : int or str, optional
        Shared memory for arrays: bytes, or "4G"; default half of what is available.
    quota : int or str, optional
        The most of it that one client may have; default all.
    huge_pages : {'auto', 'never'}, optional
        Whether large arrays lie in huge pages where these are to be had, as they do by default.
    restart : {'on-failure', 'always', 'never'}, optional
        Whether an engine that died is started again, under its id.
    event_loop : {'auto', 'io_uring', 'epoll'}, optional
        How the supervisor waits.
    preload : iterable of str, optional
        Modules that are imported once, for all engines; default numpy and cloudpickle.
    python : str, optional
        The engines' interpreter; default the one that runs this.

    Examples
    --------
    >>> with pxrun.Cluster(n=4) as rc:          # doctest: +SKIP
    ...     rc[:].apply_sync(os.getpid)
    """

    def __init__(
        self,
        n: int | None = None,
        *,
        profile: str | None = None,
        arena: int | str | None = None,
        quota: int | str | None = None,
        huge_pages: str | None = None,
        restart: str | None = None,
        event_loop: str | None = None,
        preload: Iterable[str] | str | None = None,
        python: str | None = None,
    ) -> None:
        if n is not None and (not isinstance(n, int) or n < 1):
            raise ValueError(f"n is the number of engines, 1 or more, not {n!r}")
        if preload is not None and not isinstance(preload, str):
            preload = ",".join(preload)
        self.n = n
        self.profile = profile
        self._options: dict[str, Any] = {
            "profile": "" if profile is None else profile,
            "engines": n or 0,
            "arena": _bytes(arena),
            "quota": _bytes(quota),
            "huge_pages": huge_pages,
            "restart": restart,
            "event_loop": event_loop,
            "preload": preload,
            "python": _interpreter(python),
        }
        self._client: Client | None = None
        self._connection_file = ""

    def __repr__(self) -> str:
        state = "running" if self._client is not None else "not started"
        return f"<Cluster of {self.n or 'all processors'}: {state}>"

    # --- life

    def start_cluster_sync(self) -> "Cluster":
        """Starts the pool; returns when all engines answer."""
        if self._client is None:
            core = _pxrun.start(sys_path=_sys_path(), meanwhile=_client_class, **self._options)
            self._client = _client_class()._of(core, self)
            self._connection_file = self._client.connection_file
        return self

    def connect_client_sync(self) -> Client:
        """The client that started the pool; another one if that is closed."""
        if self._client is None:
            raise RuntimeError("the cluster is not started: use it in a with statement, or start_cluster_sync()")
        if self._client._core.closed:
            self._client = self._attach_again()
        return self._client

    def _attach_again(self) -> Client:
        """Another client, where that of the start is closed; NoPoolError if the pool has ended with it, as private ones do."""
        client = _client_class()(self._connection_file, timeout=0.0)
        client.cluster = self
        return client

    def start_and_connect_sync(self, n: int | None = None, activate: bool = False) -> Client:
        """Starts the pool; its client.

        Parameters
        ----------
        n : int, optional
            The number of engines, if it is not to be that of the cluster.
        activate : bool
            Whether ``%px`` in IPython is to be for all engines.
        """
        if n is not None and self._client is None:
            self.n = self._options["engines"] = n
        client = self.start_cluster_sync().connect_client_sync()
        if activate:
            client.activate()
        return client

    def stop_cluster_sync(self, timeout: float = 10.0) -> None:
        """Stops the pool, if it runs, and waits until its processes are gone."""
        from . import error

        client, self._client = self._client, None
        if client is None:
            return
        try:
            if client._core.closed:
                client = self._attach_again()
            client._core.stop_pool(timeout)
        except error.NoPoolError:
            pass  # Client.shutdown(hub=True), or a private one's end
        finally:
            client.close()

    # --- engines

    def start_engines_sync(self, n: int | None = None) -> list[int]:
        """Adds engines, by default as many as the cluster began with; their ids, when they answer."""
        core = self.connect_client_sync()._core
        n = n or self.n or len(core.engines())
        first = core.add(n)
        return list(range(first, first + n))

    def stop_engines_sync(self, engines: Any = "all") -> None:
        """Stops engines, for good: their ids are not used again."""
        self.connect_client_sync().shutdown(engines)

    def restart_engines_sync(self, engines: Any = "all") -> None:
        """Starts engines anew: the same ids, empty namespaces. Returns when they answer."""
        client = self.connect_client_sync()
        client.shutdown(engines, restart=True)
        client.wait_for_engines(len(client))

    def signal_engines_sync(self, signum: int | str, engines: Any = "all") -> None:
        """Sends a signal to engines' processes."""
        self.connect_client_sync().send_signal(signum, engines)

    # --- the same for asyncio

    start_cluster = _for_asyncio(start_cluster_sync)
    connect_client = _for_asyncio(connect_client_sync)
    start_and_connect = _for_asyncio(start_and_connect_sync)
    stop_cluster = _for_asyncio(stop_cluster_sync)
    start_engines = _for_asyncio(start_engines_sync)
    stop_engines = _for_asyncio(stop_engines_sync)
    restart_engines = _for_asyncio(restart_engines_sync)
    signal_engines = _for_asyncio(signal_engines_sync)

    # --- pools that run already

    @classmethod
    def from_file(cls, connection_file: str | None = None, *, profile: str | None = None) -> "Cluster":
        """The cluster of a pool that runs, by the path of its connection file or by its profile.

        Leaving a with statement stops it, as if it had been started here.
        """
        client = _client_class()(connection_file, profile=profile, timeout=0.0)
        self = cls(len(client) or None, profile=client.profile)
        self._client = client
        self._connection_file = client.connection_file
        client.cluster = self
        return self

    def to_dict(self) -> dict[str, Any]:
        """What another process needs to find the pool, as plain values; see from_dict()."""
        return {"profile": self.connect_client_sync().profile, "connection_file": self.connect_client_sync().connection_file}

    @classmethod
    def from_dict(cls, found: dict[str, Any]) -> "Cluster":
        """The inverse of to_dict(), in any process."""
        return cls.from_file(found["connection_file"])

    def __enter__(self) -> Client:
        return self.start_and_connect_sync()

    def __exit__(self, *exc: Any) -> None:
        self.stop_cluster_sync()

    async def __aenter__(self) -> Client:
        return await self.start_and_connect()

    async def __aexit__(self, *exc: Any) -> None:
        await self.stop_cluster()


def _client_class() -> type[Client]:
    """Imported while the engines start, on another processor; with what the first result needs."""
    from .client import asyncresult  # noqa: F401
    from .client.client import Client

    return Client


def _bytes(size: int | str | None) -> int:
    """A size as a number of bytes; 0 for None."""
    if size is None:
        return 0
    if isinstance(size, str):
        text = size.strip().upper().removesuffix("B").removesuffix("I")
        unit = _UNITS.get(text[-1:], 1)
        try:
            return int(float(text.rstrip("KMGT")) * unit)
        except ValueError:
            raise ValueError(f"a size is a number of bytes, or like '512M' or '4G', not {size!r}") from None
    return int(size)


def _interpreter(python: str | None) -> str | None:
    """None if the engines' built-in interpreter is the one that runs this, with the same packages."""
    if python is not None:
        return python
    same = sys.prefix == sys.base_prefix and os.path.realpath(sys.executable) == os.path.realpath(_pxrun.PYTHON)
    return None if same else sys.executable


def _sys_path() -> str:
    """This process's module path, as the engines are to have it."""
    return ":".join(os.path.abspath(p) if p else os.getcwd() for p in sys.path if ":" not in p)
