# SPDX-License-Identifier: BSD-3-Clause
"""Starting and stopping pools: `Cluster`, over px_pool_start() of the C library."""
from __future__ import annotations

import atexit
import functools
import json
import operator
import os
import sys
import warnings
import weakref
from typing import TYPE_CHECKING, Any, Callable, Iterable

from . import _pxrun, keywords
from .client.staying import Staying

if TYPE_CHECKING:
    from .client.client import Client

def _for_asyncio(method: Callable) -> Callable:
    """The method as a coroutine: it blocks, so it runs in a thread."""

    @functools.wraps(method)
    async def coroutine(self: Any, *args: Any, **kwargs: Any) -> Any:
        import asyncio

        return await asyncio.to_thread(method, self, *args, **kwargs)

    coroutine.__name__ = method.__name__.removesuffix("_sync")
    coroutine.__qualname__ = method.__qualname__.removesuffix("_sync")
    return coroutine


class _Signature:
    """Cluster.__signature__, of which help and completion learn the settings; made when somebody asks."""

    def __get__(self, instance: Any, owner: type) -> Any:
        # a subclass may take other arguments
        if instance is not None or owner.__init__ is not Cluster.__init__:  # type: ignore[misc]
            raise AttributeError("__signature__")
        import inspect

        def parameter(name: str) -> inspect.Parameter:
            return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None)

        n = inspect.Parameter("n", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None)
        others = [row["keyword"] for row in _pxrun.settings() if row["keyword"] not in (None, "n")]
        own = ["profile", "cluster_id", "shutdown_atexit", "send_globals", "output"]
        return inspect.Signature([n, *map(parameter, [*others, *own])])


class Cluster(Staying):
    """A pool of engines, stopped at the end of a with statement.

    Clients come and go: each connect_client() makes one, and the pool goes on when they are closed.
    All methods that are named so have a twin for asyncio without ``_sync``.

    Parameters
    ----------
    {settings}
    profile : str, optional
        A name by which others can attach. Without one the pool is private: it ends with this object
        and its clients, and with this process, however that ends.
    cluster_id : str, optional
        The same: ipyparallel's second name of a pool.
    shutdown_atexit : bool, optional
        Whether a pool with a profile is stopped when this process exits; default no. A private one always is.
    send_globals : bool, optional
        Whether functions of a script bring along the names that they refer to; see `DirectView`.
    output : {'show', 'keep'}, optional
        Whether what engines print is shown here; see `DirectView`.

    Other keywords of ipyparallel's Cluster are ignored with a warning, once each, or refused if
    they ask for other machines.

    Examples
    --------
    >>> with pxrun.Cluster(n=4) as rc:          # doctest: +SKIP
    ...     rc[:].apply_sync(os.getpid)
    """

    __signature__ = _Signature()

    _instead = "send its to_dict(), of which Cluster.from_dict() makes another one"

    def __init__(
        self,
        n: int | None = None,
        *,
        profile: str | None = None,
        cluster_id: str | None = None,
        shutdown_atexit: bool | None = None,
        send_globals: bool = True,
        output: str = "show",
        **settings: Any,
    ) -> None:
        if output not in ("show", "keep"):
            raise ValueError(f"output is 'show' or 'keep', not {output!r}")
        self.n = n
        self.profile = keywords.pool_name(profile, cluster_id)
        if self.profile is None and shutdown_atexit is False:
            raise ValueError("shutdown_atexit=False: a pool that outlives this process needs a name, profile=...")
        self.shutdown_atexit = shutdown_atexit
        self.send_globals = send_globals
        self.output = output
        self._settings = _checked(n, keywords.without_foreign("Cluster", settings))
        self._running = False
        self._empty = False  # no engines have been asked for yet
        self._spare: list[Client] = []  # that nobody has got
        self._clients: list[weakref.ref] = []
        self._end: Any = None  # ends a private pool
        self._connection_file = ""

    def __repr__(self) -> str:
        return f"<Cluster of {self.n or 'all processors'}: {'running' if self._running else 'not started'}>"

    # --- life

    def start_cluster_sync(self, n: int | None = None) -> "Cluster":
        """Starts the pool; returns when all engines answer. After start_controller_sync(), starts the engines.

        Parameters
        ----------
        n : int, optional
            The number of engines, if it differs from the cluster's.
        """
        if not self._running:
            if n is not None:
                self._settings = _checked(n, self._settings)
                self.n = n
            self._launch(False)
        elif self._empty:
            self.start_engines_sync(n)
        return self

    def start_controller_sync(self) -> None:
        """Starts a pool without engines; start_engines_sync() adds them. RuntimeError if it runs."""
        if self._running:
            raise RuntimeError("the cluster runs already: stop_cluster_sync() comes first")
        self._launch(True)
        self._empty = True

    def _launch(self, empty: bool) -> None:
        core, owner, warned = _pxrun.start(
            self._settings, self.profile or "", _sys_path(), sys.executable or None, empty, _client_class
        )
        if owner >= 0:
            self._end = weakref.finalize(self, os.close, owner)
            self._end.atexit = False  # atexit functions may use the pool
        elif self.shutdown_atexit:
            atexit.register(self.stop_cluster_sync)
        self._has_begun(_client_class()._of(core, self))
        for words in warned.splitlines():
            warnings.warn(words, RuntimeWarning, stacklevel=_callers_level())

    def _has_begun(self, client: Client) -> None:
        self._spare.append(client)
        self._connection_file = client.connection_file
        self._running = True

    def is_running(self) -> bool:
        """Whether the pool runs."""
        from . import error

        try:
            return self._running and bool(self._control().status())
        except error.PoolError:
            return False

    def connect_client_sync(self) -> Client:
        """A client of the pool, another one each time."""
        self._must_run()
        try:
            client = self._spare.pop()
        except IndexError:
            client = self._attach()
        self._clients[:] = [known for known in self._clients if known() is not None]
        self._clients.append(weakref.ref(client))
        return client

    def _must_run(self) -> None:
        if not self._running:
            raise RuntimeError("the cluster is not started: use it in a with statement, or start_cluster_sync()")

    def _attach(self) -> Client:
        return _client_class()._of(_pxrun.attach(self._connection_file, 0.0), self)

    def _open_clients(self) -> list[Client]:
        known = [*self._spare, *(client() for client in list(self._clients))]
        return [client for client in known if client is not None and not client._core.closed]

    def _control(self) -> Client:
        """A client for what the cluster itself asks; NoPoolError if the pool has ended."""
        self._must_run()
        known = self._open_clients()
        if not known:
            known = [self._attach()]
            self._spare += known
        return known[0]

    def start_and_connect_sync(self, n: int | None = None, activate: bool = False) -> Client:
        """Starts the pool, if it does not run, and returns a client.

        Parameters
        ----------
        n : int, optional
            The number of engines, if it differs from the cluster's.
        activate : bool
            Whether ``%px`` in IPython is to be for all engines.
        """
        client = self.start_cluster_sync(n).connect_client_sync()
        if activate:
            client.activate()
        return client

    def stop_cluster_sync(self, timeout: float = 10.0) -> None:
        """Stops the pool, if it runs, waits until its processes are gone, and closes the clients made here."""
        from . import error

        if not self._running:
            return
        try:
            self._control()._core.stop_pool(timeout)
        except error.NoPoolError:
            pass  # Client.shutdown(hub=True)
        finally:
            self._running = self._empty = False
            for client in self._open_clients():
                client.close()
            self._spare.clear()
            if self._end is not None:
                self._end()
            atexit.unregister(self.stop_cluster_sync)

    def stop_controller_sync(self) -> None:
        """As stop_cluster_sync(): engines end with their supervisor."""
        self.stop_cluster_sync()

    # --- engines

    def start_engines_sync(self, n: int | None = None) -> list[int]:
        """Adds engines, by default as many as the cluster's settings ask for; returns their ids when they serve."""
        core = self._control()._core
        if n is None:
            n = self.n or json.loads(core.status())["n"]
        first = core.add(n)
        self._empty = False
        return list(range(first, first + n))

    def stop_engines_sync(self, engines: Any = "all") -> None:
        """Stops engines for good: their ids are not used again."""
        self._control().shutdown(engines)

    def restart_engines_sync(self, engines: Any = "all") -> None:
        """Restarts engines: the same ids, empty namespaces. Returns when they serve."""
        client = self._control()
        client.shutdown(engines, restart=True)
        client.wait_for_engines(len(client))

    def signal_engines_sync(self, signum: int | str, engines: Any = "all") -> None:
        """Sends a signal to engines' processes."""
        self._control().send_signal(signum, engines)

    # --- the same for asyncio

    start_cluster = _for_asyncio(start_cluster_sync)
    start_controller = _for_asyncio(start_controller_sync)
    connect_client = _for_asyncio(connect_client_sync)
    start_and_connect = _for_asyncio(start_and_connect_sync)
    stop_cluster = _for_asyncio(stop_cluster_sync)
    stop_controller = _for_asyncio(stop_controller_sync)
    start_engines = _for_asyncio(start_engines_sync)
    stop_engines = _for_asyncio(stop_engines_sync)
    restart_engines = _for_asyncio(restart_engines_sync)
    signal_engines = _for_asyncio(signal_engines_sync)

    # --- pools that run already

    @classmethod
    def from_file(
        cls, connection_file: str | None = None, *, profile: str | None = None, cluster_id: str | None = None
    ) -> "Cluster":
        """The cluster of a pool that runs, by the path of its connection file or by its profile.

        Leaving a with statement stops the pool, as if it had been started here.
        """
        client = _client_class()(connection_file, profile=profile, cluster_id=cluster_id, timeout=0.0)
        self = cls(len(client) or None, profile=client.profile)
        client.cluster = self
        self._has_begun(client)
        return self

    def to_dict(self) -> dict[str, Any]:
        """What another process needs to find the pool, as plain values; see from_dict()."""
        return {"profile": self._control().profile, "connection_file": self._connection_file}

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


def _callers_level() -> int:
    """Of the caller's caller that is no part of this package, as a `stacklevel`."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == __package__:
        level, frame = level + 1, frame.f_back
    return level


def _client_class() -> type[Client]:
    """The class Client, and modules that the first result needs: imported while the engines start."""
    from .client import mapresult  # noqa: F401
    from .client.client import Client

    return Client


def _checked(n: int | None, settings: dict[str, Any]) -> dict[str, str]:
    """Settings as texts, without those that are None. TypeError for a name, ValueError for a value that cannot be."""
    if n is not None:
        # a text is no number, though the text would do
        settings = settings | {"n": repr(n) if isinstance(n, str) else n}
    texts = {name: _text(name, value) for name, value in settings.items() if value is not None}
    _pxrun.check_settings(texts)
    return texts


def _text(name: str, value: Any) -> str:
    """A value as it would be written in a profile."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return str(int(value) if value.is_integer() else value)
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if hasattr(value, "__index__"):
        return str(operator.index(value))
    if isinstance(value, Iterable):
        return (" " if name == "mpi_args" else ",").join(value)
    raise TypeError(f"{name} must be a text, a number or several texts, not of type {type(value).__name__}")


def _sys_path() -> str:
    """This process's sys.path, for the engines, without what lay in a working folder that is gone."""
    try:
        here = os.getcwd()
    except FileNotFoundError:
        here = ""
    folders = [os.path.normpath(os.path.join(here, p)) for p in sys.path if here or os.path.isabs(p)]
    return ":".join(f for f in folders if ":" not in f)


_TYPES = {
    "count": "int",
    "size": "int or str",
    "flag": "bool",
    "program": "str or os.PathLike",
    "command": "str or os.PathLike",
    "arguments": "str or iterable of str",
    "modules": "iterable of str",
}


def _parameters() -> str:
    """The part of Cluster's docstring on its settings."""
    lines = []
    for row in _pxrun.settings():
        if row["keyword"]:
            of = _TYPES.get(row["type"]) or "{" + ", ".join(map(repr, row["words"])) + "}"
            default = "the one that runs this" if row["keyword"] == "python" else row["default"]
            lines.append(f"{row['keyword']} : {of}, optional")
            lines.append(f"    {row['help'][0].upper()}{row['help'][1:]}; default {default}.")
    return "\n    ".join(lines)


if Cluster.__doc__:
    Cluster.__doc__ = Cluster.__doc__.replace("{settings}", _parameters())
