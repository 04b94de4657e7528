# SPDX-License-Identifier: BSD-3-Clause
"""Client, a connection to a pool: makes views, finds results, and asks the supervisor."""
from __future__ import annotations

import collections
import functools
import json
import os
import signal
import sys
import time
import weakref
from typing import TYPE_CHECKING, Any, Callable, Iterator

from .. import _pxrun, error, keywords
from .history import History
from .joined import sources
from .outputs import is_shown
from .staying import Staying
from .view import BroadcastView, DirectView

if TYPE_CHECKING:
    from concurrent.futures import Future

    from ..cluster import Cluster
    from .asyncresult import AsyncResult

#: What is known of an engine: `Client.engines`. pid: None where there is no process.
EngineInfo = collections.namedtuple("EngineInfo", "id pid state generation restarts done")


class Client(Staying):
    """Attaches to a pool that runs.

    May be used by several threads at once, also closed while others use it: they get `ClosedError`.
    Not in a child after a fork.

    Parameters
    ----------
    connection_info : str or dict, optional
        Path of a connection file, or its content. Without it and without a profile:
        ``$PXRUN_CONNECTION`` (set by ``pxrun run``), else the profile.
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
        self._told: weakref.WeakValueDictionary[int, AsyncResult] | None = None  # by the extension's ids
        self._core = core
        _clients[:] = [known for known in _clients if known() is not None]
        _clients.append(weakref.ref(self))
        _offer_magics(self)

    def __repr__(self) -> str:
        return "<Client: closed>" if self._core.closed else f"<Client of {self._core.profile!r}: {len(self)} engines>"

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

    def _one_id(self, target: int, ids: list[int]) -> int:
        if target < 0 and -target <= len(ids):
            return ids[target]
        if target not in ids:
            self._core.check_gone(target)
            raise error.EngineError(f"No such engine: {target}; the live ones are {ids}")
        return target

    @property
    def engines(self) -> dict[int, EngineInfo]:
        """Facts about each engine, by id; after a restart, counted by `generation`, its namespace is empty."""
        return {e["id"]: EngineInfo(*(e[k] for k in EngineInfo._fields)) for e in json.loads(self._core.status())["engines"]}

    def wait_for_engines(self, n: int | None = None, *, timeout: float = -1, block: bool = True, interactive: Any = None) -> Any:
        """Waits until n engines serve.

        Parameters
        ----------
        n : int, optional
            Default: as many as the cluster of this client has.
        timeout : float
            Seconds; negative: for ever.
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

    def _ready_engines(self, n: int = 0) -> int:
        """How many engines serve; EngineError if n never will, because some have died for good."""
        engines = json.loads(self._core.status())["engines"]
        lost = [e for e in engines if e["state"] == "gone" and not e["removed"]]
        left = sum(e["state"] != "gone" for e in engines)
        if lost and left < n:
            raise error.EngineError(
                f"{n} engines will not be ready: {left} are left, and {lost[0]['why']}; it does not come back. "
                f"Add another with cluster.start_engines(1), or wait for {left}"
            )
        return sum(e["state"] == "up" for e in engines)

    def _wait_for_engines(self, n: int, timeout: float) -> None:
        end = None if timeout is None or timeout < 0 else time.monotonic() + timeout
        while True:
            ready = self._ready_engines(n)
            if ready >= n:
                return
            if end is not None and time.monotonic() >= end:
                raise TimeoutError(f"{n} engines not ready in {timeout} seconds. Currently ready: {ready}")
            time.sleep(0.005)

    def executor(self, targets: Any = None) -> Any:
        """A view as a concurrent.futures.Executor."""
        return self.direct_view("all" if targets is None else targets).executor

    def activate(self, targets: Any = "all", suffix: str = "") -> DirectView:
        """Makes a blocking view, and its ``%px`` magics in IPython."""
        view = self.direct_view(targets, block=True)
        view.activate(suffix)
        return view

    # --- results

    def _remember(self, ar: AsyncResult) -> None:
        self._sent.add(ar)
        if self._told is not None:
            self._tell_of(ar)

    def _tell(self) -> None:
        """From now on next_result() gives results."""
        if self._told is None:
            self._told = weakref.WeakValueDictionary()
            self._core.tell()
            for ar in self._sent.requests():
                self._tell_of(ar)

    def _tell_of(self, ar: AsyncResult) -> None:
        for result, _ in sources(ar._result):
            self._told[result.id] = ar  # type: ignore[index]

    def next_result(self, timeout: float | None = None) -> AsyncResult | None:
        """An AsyncResult that is ready, each once, in the order in which they became it.

        Given are those that somebody holds, and that were made since the first call of this or of fileno(),
        or were outstanding then; not those that have callbacks, a timeout, or are awaited.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait for one; None: for ever; 0 only looks.

        Returns
        -------
        AsyncResult or None
            None: there was none in time.
        """
        self._tell()
        end = None if timeout is None or timeout < 0 else time.monotonic() + timeout
        while True:
            id = self._core.next(None if end is None else max(0.0, end - time.monotonic()))
            if id is None:
                return None
            ar = self._told.get(id)  # type: ignore[union-attr]
            if ar is not None and ar.ready():
                for result, _ in sources(ar._result):
                    self._told.pop(result.id, None)  # type: ignore[union-attr]
                return ar

    @property
    def history(self) -> list[str]:
        """Message ids of requests, in the order of submission, one for each engine; the last 100,000 requests.

        A blocking call, which returns its value, has none.
        """
        return self._sent.ids()

    @property
    def outstanding(self) -> set[str]:
        """Message ids of what is not answered, whether or not somebody holds its AsyncResult."""
        return self._sent.outstanding()

    @property
    def results(self) -> dict[str, AsyncResult]:
        """AsyncResults of what is outstanding, by message id: a value lives in its AsyncResult and nowhere else."""
        return {msg_id: ar for msg_id, (ar, _) in self._sent.live().items() if not ar.ready()}

    @property
    def metadata(self) -> dict[str, Any]:
        """Metadata of the same, by message id; of others it is empty."""
        from .metadata import KEYS, Metadata

        found: dict[str, Any] = collections.defaultdict(lambda: Metadata(dict.fromkeys(KEYS)))
        found.update((msg_id, ar._metadata_of(i)) for msg_id, (ar, i) in self._sent.live().items() if not ar.ready())
        return found

    def wait(self, jobs: Any = None, timeout: float | None = -1) -> bool:
        """Waits for results.

        Parameters
        ----------
        jobs : AsyncResult, message id, index into the history, Future, or an iterable of them, optional
            Default: all that this client has sent, including blocking calls of other threads. Unknown
            ids count as done.
        timeout : float
            Seconds; None or negative: for ever.

        Returns
        -------
        bool
            Whether all are there.
        """
        end = None if timeout is None or timeout < 0 else time.monotonic() + timeout

        def left() -> float | None:
            return None if end is None else max(0.0, end - time.monotonic())

        for job in self._sent.requests() if jobs is None else self._sent.find(jobs):
            if not _wait_for(job, left()):
                return False
        return self._core.wait_idle(left()) if jobs is None else True

    def wait_interactive(self, jobs: Any = None, interval: float = 1.0, timeout: float | None = -1) -> None:
        """Waits, and shows how far the requests are; default: all that are outstanding."""
        found = [ar for ar in (self._sent.requests() if jobs is None else self._sent.find(jobs)) if not ar.done()]
        if found:
            found[0].join(*found).wait_interactive(interval, timeout)

    def get_result(self, ids: Any = None, block: bool | None = None, owner: bool = True) -> AsyncResult:
        """The AsyncResult of message ids, indices into the history, or AsyncResults; default the last request's.

        A request that is outstanding has one, whether or not somebody holds it. Several become one
        AsyncResult of all their parts.

        Raises
        ------
        KeyError
            It is answered, and nobody holds the result any more.
        """
        if ids is None:
            ids = -1
        if isinstance(ids, (list, tuple)):
            parts = [self._sent.result(i) for i in ids]
            if not parts:
                raise ValueError("no results are named: an empty list makes no AsyncResult")
            found = parts[0].join(*parts)
        else:
            found = self._sent.result(ids)
        if self.block if block is None else block:
            found.wait()
        return found

    def result_status(self, msg_ids: Any, status_only: bool = True) -> dict:
        """Which requests are 'pending' and which 'completed'.

        With status_only=False also the values by id, as far as somebody holds their
        AsyncResults. KeyError for an id that is not in the history.
        """
        asked = [msg_ids] if isinstance(msg_ids, (str, int)) or hasattr(msg_ids, "msg_ids") else list(msg_ids)
        status: dict[Any, Any] = {"pending": [], "completed": []}
        for job in asked:
            try:
                parts = self._sent.result(job).split()
            except KeyError:
                msg_id = self._sent.id_of(job)
                if msg_id not in self._sent:
                    raise
                status["completed"].append(msg_id)
                continue
            for part in parts:
                status["completed" if part.ready() else "pending"] += part.msg_ids
                if not status_only and part.ready():
                    status[part.msg_ids[0]] = part.get(return_exceptions=True)
        return status

    def queue_status(self, targets: Any = "all", verbose: bool = False) -> dict:
        """The numbers of requests that engines have waiting and done.

        Parameters
        ----------
        verbose : bool
            Whether to list message ids, of results that somebody holds, instead.

        Returns
        -------
        dict
            By engine id: 'queue', requests of this client that wait or run; 'completed', requests of
            all clients that the engine has done; 'tasks', 0. For a single engine its inner dict
            alone; for several also 'unassigned'.
        """
        ids, single = self.direct_view(targets)._targets(None)
        queued, done = self._core.queued(), {e.id: e.done for e in self.engines.values()}
        if verbose:
            waiting, finished = self._by_engine()
            found: dict[Any, Any] = {
                i: {"queue": waiting.get(i, []), "completed": finished.get(i, []), "tasks": []} for i in ids
            }
        else:
            found = {i: {"queue": queued.get(i, 0), "completed": done.get(i, 0), "tasks": 0} for i in ids}
        return found[ids[0]] if single else {**found, "unassigned": [] if verbose else 0}

    def _by_engine(self) -> tuple[dict, dict]:
        """Message ids of what waits and of what is done, by engine."""
        waiting: dict[int, list] = {}
        finished: dict[int, list] = {}
        for msg_id, (ar, i) in self._sent.live().items():
            into = finished if ar.ready() or ar._result.done(i) else waiting
            into.setdefault(ar.targets[i], []).append(msg_id)
        return waiting, finished

    def abort(self, jobs: Any = None, targets: Any = None, block: bool | None = None) -> None:
        """Aborts requests that no engine has begun; their results raise TaskAborted.

        Parameters
        ----------
        jobs : AsyncResult, message id, or an iterable of them, optional
            Default: all that are outstanding.
        targets : optional
            Only what waits on these engines.
        """
        chosen = None if targets is None else set(self.direct_view(targets)._targets(None)[0])
        for ar in self._sent.requests() if jobs is None else self._sent.find(jobs):
            if not hasattr(ar, "msg_ids"):
                raise TypeError(f"what can be aborted are AsyncResults and message ids, not {ar!r}")
            for i, engine in enumerate(ar.targets):
                if chosen is None or engine in chosen:
                    ar._result.abort(i)

    def purge_results(self, jobs: Any = (), targets: Any = ()) -> None:
        """Removes requests from the history, by jobs or by engines; 'all' is all.

        Raises
        ------
        RuntimeError
            One of them is outstanding.
        ValueError
            Neither jobs nor targets.
        """
        if not jobs and jobs != 0 and not targets and targets != 0:
            raise ValueError("name the jobs or the targets whose results are to be forgotten, or 'all'")
        live = self._sent.live()
        if jobs == "all":
            chosen = set(self.history)
        else:
            found = self._sent.find(jobs) if jobs or jobs == 0 else []
            chosen = {i for ar in found for i in ar.msg_ids}
            engines = set(self.direct_view(targets)._targets(None)[0]) if targets or targets == 0 else set()
            chosen |= {msg_id for msg_id, (ar, i) in live.items() if ar.targets[i] in engines}
        busy = chosen & self.outstanding
        if busy:
            raise RuntimeError(f"cannot forget {len(busy)} requests that are outstanding: wait for them, or abort them")
        self._sent.forget(chosen)

    def purge_local_results(self, jobs: Any = (), targets: Any = ()) -> None:
        """As purge_results(): there are no other results than local ones."""
        self.purge_results(jobs, targets)

    def purge_hub_results(self, jobs: Any = (), targets: Any = ()) -> None:
        """As purge_results(): there is no hub that would keep results."""
        self.purge_results(jobs, targets)

    def purge_everything(self) -> None:
        """Forgets the history; RuntimeError if something is outstanding."""
        self.purge_results("all")

    def spin(self) -> None:
        """Does nothing: results arrive by themselves."""

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

    def _chosen(self, targets: Any) -> list[int]:
        return self.direct_view("all" if targets is None else targets)._targets(None)[0]

    def send_signal(self, sig: int | str, targets: Any = None, block: bool | None = None) -> None:
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

    def clear(self, targets: Any = None, block: bool | None = None) -> Any:
        """Empties engines' namespaces, ahead of requests that wait there."""
        view = self.direct_view("all" if targets is None else targets)
        return view.clear(block=self.block if block is None else block)

    def restart(self, engine: int) -> None:
        """Restarts an engine: the same id, an empty namespace."""
        self._core.restart(engine)

    def shutdown(self, targets: Any = "all", restart: bool = False, hub: bool = False, block: bool | None = None) -> None:
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
        for engine in self._chosen(targets):
            (self._core.restart if restart else self._core.remove)(engine)

    def fileno(self) -> int:
        """A descriptor for select() and poll(): readable as long as next_result() has something to give."""
        self._tell()
        return self._core.fileno()

    # --- memory

    def memory(self) -> dict:
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

    def gc(self) -> int:
        """Gives back shared memory that this client keeps for reuse; returns the bytes. Arrays in use stay."""
        import gc

        gc.collect()
        return self._core.trim()

    def close(self, linger: Any = None) -> None:
        """Detaches from the pool, which goes on, at any time; requests that have not begun are dropped."""
        self._core.detach()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *exc: Any) -> None:
        self.close()


def _holdings(member: dict) -> dict:
    size, used = member["arena"], member["in_use"]
    return {"size": size, "used": used, "warm": max(0, size - used), "given_back": member["given_back"]}


def _wait_for(job: Any, timeout: float | None) -> bool:
    """Whether an AsyncResult, or any Future, is done within so many seconds."""
    if hasattr(job, "msg_ids"):
        return job.wait(timeout)
    from concurrent.futures import wait

    return not wait([job], timeout).not_done


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


#: The clients of this process, in the order in which they were attached.
_clients: list[weakref.ref] = []


def latest() -> Client | None:
    """The client that was attached last, of those that are not closed."""
    for known in reversed(_clients):
        found = known()
        if found is not None and not found._core.closed:
            return found
    return None


def _offer_magics(client: Client) -> None:
    """In IPython, registers ``%px`` for the first client."""
    if "IPython" not in sys.modules:
        return
    shell = sys.modules["IPython"].get_ipython()
    if shell is not None and "px" not in shell.magics_manager.magics["line"]:
        client.activate()


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
