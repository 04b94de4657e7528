# SPDX-License-Identifier: BSD-3-Clause
"""Starting and stopping pools: `Cluster`, over px_pool_start() of the C library."""
from __future__ import annotations

import functools
import operator
import os
import sys
from typing import TYPE_CHECKING, Any, Callable, Iterable

from . import _pxrun
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
        return inspect.Signature([n, *map(parameter, [*others, "profile", "send_globals", "output"])])


class Cluster(Staying):
    """A pool of engines, stopped at the end of a with statement.

    Parameters
    ----------
    {settings}
    profile : str, optional
        A name by which others can attach. Without one the pool is private to this client, and ends
        with this process, however that ends.
    send_globals : bool, optional
        Whether functions of a script bring along the names that they refer to; see `DirectView`.
    output : {'show', 'keep'}, optional
        Whether what engines print is shown here; see `DirectView`.

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
        send_globals: bool = True,
        output: str = "show",
        **settings: Any,
    ) -> None:
        if output not in ("show", "keep"):
            raise ValueError(f"output is 'show' or 'keep', not {output!r}")
        self.n = n
        self.profile = profile
        self.send_globals = send_globals
        self.output = output
        self._client: Client | None = None
        self._settings = _checked(n, settings)
        self._connection_file = ""

    def __repr__(self) -> str:
        state = "running" if self._client is not None else "not started"
        return f"<Cluster of {self.n or 'all processors'}: {state}>"

    # --- life

    def start_cluster_sync(self) -> "Cluster":
        """Starts the pool; returns when all engines answer."""
        if self._client is None:
            settings = _own_interpreter() | self._settings
            core = _pxrun.start(settings, self.profile or "", _sys_path(), _client_class)
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
        """Another client, since the first is closed; NoPoolError if the pool has ended with it, as private pools do."""
        client = _client_class()(
            self._connection_file, timeout=0.0, send_globals=self.send_globals, output=self.output
        )
        client.cluster = self
        return client

    def start_and_connect_sync(self, n: int | None = None, activate: bool = False) -> Client:
        """Starts the pool and returns its client.

        Parameters
        ----------
        n : int, optional
            The number of engines, if it differs from the cluster's.
        activate : bool
            Whether ``%px`` in IPython is to be for all engines.
        """
        if n is not None and self._client is None:
            self._settings = _checked(n, self._settings)
            self.n = n
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
        """Adds engines, by default as many as the cluster began with; returns their ids when they serve."""
        core = self.connect_client_sync()._core
        n = n or self.n or len(core.engines())
        first = core.add(n)
        return list(range(first, first + n))

    def stop_engines_sync(self, engines: Any = "all") -> None:
        """Stops engines for good: their ids are not used again."""
        self.connect_client_sync().shutdown(engines)

    def restart_engines_sync(self, engines: Any = "all") -> None:
        """Restarts engines: the same ids, empty namespaces. Returns when they serve."""
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

        Leaving a with statement stops the pool, as if it had been started here.
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
        return ",".join(value)
    raise TypeError(f"{name} must be a text, a number or several texts, not of type {type(value).__name__}")


def _own_interpreter() -> dict[str, str]:
    """Nothing if the engines' built-in interpreter is the one that runs this, with the same packages."""
    same = sys.prefix == sys.base_prefix and os.path.realpath(sys.executable) == os.path.realpath(_pxrun.PYTHON)
    return {} if same else {"python": sys.executable}


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
