# SPDX-License-Identifier: BSD-3-Clause
"""Client, a connection to a pool, from which views are made.

Its other parts: requests.py, what it has sent; engines.py, the pool's engines and memory.
"""
from __future__ import annotations

import os
import sys
import time
import weakref
from typing import TYPE_CHECKING, Any, Callable, Iterator

from .. import _pxrun, error, keywords
from . import ipython
from .engines import Engines
from .history import History
from .outputs import is_shown
from .pictured import Pictured
from .requests import Requests
from .staying import Incomplete, Staying
from .view import BroadcastView, DirectView

if TYPE_CHECKING:
    from ..cluster import Cluster
    from .balanced import LoadBalancedView


class Client(Engines, Requests, Pictured, Incomplete, Staying):
    """Attaches to a pool that runs.

    May be used by several threads at once, also closed while others use it: they get `ClosedError`.
    Not in a child after a fork.

    Parameters
    ----------
    connection_info : str or dict, optional
        Path of a connection file, or its content. Without it and without a profile:
        ``$PXRUN_CONNECTION`` (set by ``pxrun run``, and on engines), else the profile.
    profile : str, optional
        The pool's name; default ``$PXRUN_PROFILE``, else "default".
    cluster_id : str, optional
        The same: ipyparallel's second name of a pool.
    timeout : float
        Seconds to wait for a pool that is not there yet, for which it prints a line, and for a supervisor
        that does not answer; this one is given ten seconds if `timeout` is 0.
    cluster : Cluster, optional
        Attaches to its pool, and is the client's `cluster`.
    send_globals : bool
        Whether functions of a script bring along the names that they refer to; see `DirectView`.
    output : 'show' or 'keep'
        Whether what engines print is shown here; see `DirectView`.

    Other keywords of ipyparallel's Client are ignored with a warning, once each, or refused if
    they ask for another machine. ``url_file`` is an old name of `connection_info`.

    Attributes
    ----------
    block : bool
        The `block` of views that are made from now on.
    signal_on_interrupt, send_globals, output
        The same attributes of these views, see `DirectView`.
    cluster : Cluster or None
        The cluster that started the pool, if this process did.

    Raises
    ------
    NoPoolError
        No pool runs there; says how to start one.
    TimeoutError
        The pool's supervisor does not answer: it is stopped, or hangs.

    Examples
    --------
    >>> rc = pxrun.Client()                     # doctest: +SKIP
    >>> rc.ids                                  # doctest: +SKIP
    [0, 1, 2, 3]
    >>> rc[:].apply_sync(os.getpid)             # doctest: +SKIP
    """

    _instead = "code on an engine that needs one makes its own, pxrun.Client(CONNECTION_FILE)"

    def __init__(
        self,
        connection_info: str | dict | None = None,
        *,
        profile: str | None = None,
        cluster_id: str | None = None,
        timeout: float = 10.0,
        cluster: Cluster | None = None,
        send_globals: bool = True,
        output: str = "show",
        url_file: str | None = None,
        **foreign: Any,
    ) -> None:
        is_shown(output)
        for name in keywords.without_foreign("Client", foreign):
            raise TypeError(f"Client() got an unexpected keyword argument {name!r}")
        if connection_info is None:
            connection_info = url_file
        if connection_info is None and cluster is not None:
            connection_info = cluster.to_dict()["connection_file"]
        self._set_up(_attach(_where(connection_info, keywords.pool_name(profile, cluster_id)), timeout), cluster)
        self.send_globals = send_globals
        self.output = output

    @classmethod
    def _of(cls, core: Any, cluster: Any = None) -> "Client":
        """A client over a connection that exists already."""
        self = cls.__new__(cls)
        self._set_up(core, cluster)
        return self

    def _set_up(self, core: Any, cluster: Any) -> None:
        self.block = False
        self.signal_on_interrupt = True
        self.send_globals = True if cluster is None else cluster.send_globals
        self.output = "show" if cluster is None else cluster.output
        self.cluster = cluster
        self._sent = History(self)
        self._told = None
        self._core = core
        _clients[:] = [known for known in _clients if known() is not None]
        _clients.append(weakref.ref(self))
        _offer_magics(self)

    def __repr__(self) -> str:
        return "<Client: closed>" if self._core.closed else f"<Client of {self._core.profile!r}: {len(self)} engines>"

    # --- views

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
        return self._view(DirectView, targets, flags)

    def _view(self, kind: Any, targets: Any, flags: dict) -> Any:
        if isinstance(targets, str):
            if targets != "all":
                raise TypeError(f"targets are ids, a slice, or 'all', not {targets!r}")
            return kind(self, "all", **flags)
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
            self._core.check_gone(-1)
            raise error.NoEnginesRegistered("no targets: that selects none of the pool's engines " + str(ids))
        return kind(self, targets, **flags)

    def broadcast_view(self, targets: Any = "all", is_coalescing: bool = False, **flags: Any) -> BroadcastView:
        """As direct_view(): every view sends the data of a call only once for all its engines."""
        view = self._view(BroadcastView, targets, flags)
        view.is_coalescing = is_coalescing
        return view

    def load_balanced_view(self, targets: Any = None, **flags: Any) -> LoadBalancedView:
        """A view whose calls are tasks: each runs on one engine, the next of some that is free; default all engines.

        Raises
        ------
        RuntimeError
            In a task, of its own pool.
        """
        from .balanced import LoadBalancedView

        if targets is None or isinstance(targets, str) and targets == "all":
            return LoadBalancedView(self, None, **flags)
        return self._view(LoadBalancedView, [targets] if isinstance(targets, int) else targets, flags)

    def _one_id(self, target: int, ids: list[int]) -> int:
        if target < 0 and -target <= len(ids):
            return ids[target]
        if target not in ids:
            self._core.check_gone(target)
            raise error.EngineError(f"No such engine: {target}; the live ones are {ids}")
        return target

    def executor(
        self,
        targets: Any = None,
        *,
        max_workers: int | None = None,
        initializer: Callable | None = None,
        initargs: tuple = (),
        seed: Any = None,
    ) -> Any:
        """The pool as a concurrent.futures.Executor: each call runs on one engine, the next that is free.

        Parameters
        ----------
        targets : optional
            Engines, as in load_balanced_view(); default all. executor(2) is that of engine 2 alone: for two
            workers say max_workers=2.
        max_workers, initializer, initargs
            As ProcessPoolExecutor has them; see `PoolExecutor`.
        seed : optional
            For random numbers that can be repeated; see `PoolExecutor`.
        """
        from .pool_executor import PoolExecutor

        try:
            view = self.load_balanced_view(targets)
        except error.EngineError as e:
            if type(targets) is not int or targets < 0:
                raise
            raise error.EngineError(f"{e}. For so many workers: executor(max_workers={targets})") from None
        return PoolExecutor(view, max_workers=max_workers, initializer=initializer, initargs=initargs, seed=seed)

    def register_joblib_backend(self, name: str | None = None, make_default: bool = False) -> None:
        """Registers the pool with joblib under a name, by default 'pxrun' and 'ipyparallel'; see `pxrun.joblib`."""
        from ..joblib import register

        register(name, make_default, client=self)

    def activate(self, targets: Any = "all", suffix: str = "") -> DirectView:
        """Makes a blocking view, and its ``%px`` magics in IPython."""
        view = self.direct_view(targets, block=True)
        view.activate(suffix)
        return view

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

    def timeline(self, path: Any = None, last: int = 1000) -> Any:
        """The last requests as a trace, for https://ui.perfetto.dev and Chrome's about:tracing.

        Each engine has a track, on which a request is from its start to its end; before that it is a span of
        category "waiting". Requests that run or wait are in it up to now. Those for which no AsyncResult was made, as
        for a blocking call of one function, have no name but "call".

        Parameters
        ----------
        path : str or path, optional
            A file to write it to, as JSON.
        last : int
            How many requests, one for each engine that was asked, or each task; about 1000 are remembered.

        Returns
        -------
        dict, or the path
        """
        from . import timeline

        return timeline.write(self, path, last)

    # --- its end

    def close(self, linger: Any = None) -> None:
        """Detaches from the pool, which goes on, at any time; requests that have not begun are dropped."""
        self._core.detach()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *exc: Any) -> None:
        self.close()


#: The clients of this process, in the order in which they were attached.
_clients: list[weakref.ref] = []


def latest() -> Client | None:
    """The client that was attached last, of those that are not closed; if there is one, of those whose pool runs."""
    lost = None
    for known in reversed(_clients):
        found = known()
        if found is not None and not found._core.closed:
            if _pool_runs(found):
                return found
            lost = lost or found
    return lost


def _pool_runs(client: Client) -> bool:
    try:
        client._core.poll()
    except error.PoolError:
        return False
    return True


def unlist(client: Client) -> None:
    """latest() is not to give this one: it was made for a library's purposes."""
    _clients[:] = [known for known in _clients if known() is not client]


def _offer_magics(client: Client) -> None:
    """In IPython: see `magics.offer`."""
    shell = ipython.running()
    if shell is not None:
        from . import magics

        magics.offer(shell, client)


def _where(connection_info: str | dict | None, profile: str | None) -> str | None:
    """What to attach to, for px_client_attach(): a path with a slash in it, a profile's name, or None for its default."""
    if isinstance(connection_info, dict):
        if "socket" not in connection_info:
            raise ValueError("a dict is to be what stands in a connection file, with its 'socket'")
        return os.path.join(os.path.dirname(connection_info["socket"]), "connection.json")
    if isinstance(connection_info, str) and "://" in connection_info:
        raise ValueError(f"{connection_info!r} is a URL: pools are found by the path of a connection file, or by a profile")
    if profile is not None and os.sep in profile:
        raise ValueError(f"{profile!r} is no profile name; the path of a connection file is the first argument")
    if connection_info is None:
        return profile
    if profile is None and os.sep not in connection_info and not os.path.exists(connection_info):
        return connection_info  # a bare word is a profile's name
    return os.path.abspath(connection_info)


def _attach(where: str | None, timeout: float) -> Any:
    end = time.monotonic() + timeout
    told = False
    while True:
        try:
            return _pxrun.attach(where, max(timeout, 0))
        except error.NoPoolError as missing:
            if time.monotonic() >= end:
                raise
            if not told:
                print(f"{missing}\nWaiting up to {timeout:g} seconds for it to appear", file=sys.stderr)
                told = True
            time.sleep(0.01)
