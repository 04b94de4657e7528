# SPDX-License-Identifier: BSD-3-Clause
"""A backend of joblib: ``Parallel`` on a pool's engines, for what uses joblib, such as scikit-learn.

    import joblib, pxrun.joblib                         # which registers it

    with joblib.parallel_backend('pxrun', n_jobs=4):    # a private pool, kept until this process ends
        search.fit(X, y)
    with joblib.parallel_config('pxrun', client=rc):    # or one that runs
        ...

Large arrays are not written to files: each lies in shared memory once, for all engines and for all
batches of a call of ``Parallel``. A batch refers to it by a token, see engine/residents.py.
"""
from __future__ import annotations

import collections
import contextlib
import difflib
import functools
import io
import threading
import weakref
from typing import Any, Callable

import numpy
from joblib._memmapping_reducer import _get_backing_memmap, _reduce_memmap_backed
from joblib._parallel_backends import AutoBatchingMixin, FallbackToBackend, ParallelBackendBase, SequentialBackend
from joblib.parallel import cpu_count, register_parallel_backend

from . import _pxrun, arrays, error
from .client.outputs import LOOK
from .client.pool_executor import PoolExecutor
from .client.residents import PreparedFuture, Resident
from .engine import residents
from .wire import calls, failure, foreign, pickling

try:
    import cloudpickle
except ImportError:
    from joblib.externals import cloudpickle  # the same, but exceptions of a script's own class come back as RemoteErrors only

#: As joblib does, functions and classes are sent with all that they refer to.
_LIBRARY = cloudpickle.__name__

#: What callers may give to the backend.
_OPTIONS = ("client", "view", "profile")

_making = threading.Lock()
_private: dict[str | None, Any] = {}  # clients by profile; None: of the private pool


# --- on engines --------------------------------------------------------------


def run(batch: Callable[[], list]) -> Any:
    """Runs a batch of calls; the results go back by the library that brought them."""
    return foreign.By(_LIBRARY, batch())


def array_of(token: str, mode: str) -> Any:
    """A large array, as a memmap of that mode would be."""
    kept = residents.value_of(token)
    if mode == "c":
        return kept.copy(order="K")
    view = kept.view()
    view.flags.writeable = mode != "r"
    return view


# --- large arrays ------------------------------------------------------------


class _Arrays:
    """The large arrays of a call of Parallel, which engines have once each.

    Parameters
    ----------
    executor : PoolExecutor
        Whose engines get them.
    least : int or None
        Bytes from which on an array is large; None: none is.
    mode : str
        As that of a memmap.
    """

    def __init__(self, executor: PoolExecutor, least: int | None, mode: str) -> None:
        self._executor, self._least, self._mode = executor, least, mode
        self._known: dict[int, tuple[weakref.ref, Resident]] = {}  # by id() of the array
        self._given: set[str] = set()  # tokens of what engines have
        self._gone: collections.deque[str] = collections.deque()  # of what no batch needs any more
        self._lock = threading.RLock()

    def stand_in(self, array: Any, needed: dict[str, Resident]) -> Any:
        """How an array is pickled; NotImplemented: as always. Adds what the batch then needs."""
        mapped = _get_backing_memmap(array)
        if isinstance(mapped, numpy.memmap):
            return _reduce_memmap_backed(array, mapped)
        live = pickling.live_under(array) is not None
        if type(array) is not numpy.ndarray or array.dtype.hasobject:
            return NotImplemented
        if not live and (self._least is None or array.nbytes <= self._least):
            return NotImplemented
        resident = self._resident(array)
        needed[resident.token] = resident
        return array_of, (resident.token, "r+" if live else self._mode)

    def _resident(self, array: Any) -> Resident:
        with self._lock:
            known = self._known.get(id(array))
            if known is not None and known[0]() is array:
                return known[1]
            resident = self._share(array)
            self._known[id(array)] = weakref.ref(array, functools.partial(self._forget, id(array))), resident
        resident.give(self._executor._ids())
        return resident

    def _share(self, array: Any) -> Resident:
        view = self._executor.view
        if self._mode in ("r+", "w+") and pickling.live_under(array) is None:
            array = arrays.shared(array, client=view.client)  # workers see what others write
        elif pickling.live_under(array) is None:
            array = arrays.asarray(array, client=view.client)
        resident = Resident(view, residents.keep, (array,), _pxrun.URGENT)
        weakref.finalize(resident, self._gone.append, resident.token).atexit = False
        self._given.add(resident.token)
        return resident

    def _forget(self, key: int, ref: weakref.ref) -> None:
        known = self._known.get(key)
        if known is not None and known[0] is ref:
            self._known.pop(key, None)

    def forget_unneeded(self) -> None:
        """Has engines forget what no batch needs."""
        tokens = []
        while self._gone:
            tokens.append(self._gone.popleft())
        self._drop(tokens)

    def clear(self) -> None:
        """The call is over: engines forget all."""
        self._known.clear()
        self._drop(list(self._given))

    def _drop(self, tokens: list[str]) -> None:
        if not tokens:
            return
        self._given.difference_update(tokens)
        client = self._executor.view.client
        body, _ = calls.dumps(residents.drop, (tokens,), {}, False)
        with contextlib.suppress(error.IPythonError):  # engines or the pool have ended meanwhile
            client._core.submit(_pxrun.APPLY, _pxrun.URGENT, client.ids, body, None)


class _Pickler(cloudpickle.CloudPickler):
    """joblib's own pickler, but for large arrays."""

    def __init__(self, stream: Any, buffers: pickling.Buffers, known: _Arrays) -> None:
        super().__init__(stream, 5, buffer_callback=buffers)
        self.known = known
        self.needed: dict[str, Resident] = {}

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, numpy.ndarray):
            return self.known.stand_in(obj, self.needed)
        return super().reducer_override(obj)


# --- the backend -------------------------------------------------------------


class PxrunBackend(AutoBatchingMixin, ParallelBackendBase):
    """Batches of calls as tasks of a pool.

    Parameters
    ----------
    client : Client, optional
        Whose pool runs them.
    view : LoadBalancedView or DirectView, optional
        Whose engines run them.
    profile : str, optional
        The pool of that name. Without any of these a private pool is started, with as many engines as n_jobs
        asks for, and kept until this process ends.
    """

    default_n_jobs = -1
    supports_retrieve_callback = True
    supports_timeout = True
    uses_threads = False
    supports_sharedmem = False

    def __init__(
        self, *, client: Any = None, view: Any = None, profile: str | None = None, nesting_level: int | None = None, **others: Any
    ) -> None:
        for name in others.keys() - {"inner_max_num_threads"}:
            near = difflib.get_close_matches(name, _OPTIONS, 1)
            meant = f": is {near[0]!r} meant?" if near else f", only {', '.join(_OPTIONS)}"
            raise TypeError(f"the backend 'pxrun' has no option {name!r}{meant}")
        if sum(given is not None for given in (client, view, profile)) > 1:
            raise ValueError("client=, view= and profile= each say whose engines run the calls: give one of them")
        super().__init__(nesting_level=nesting_level, **others)
        self._given = client, view, profile
        self._executor: PoolExecutor | None = None
        self._arrays: _Arrays | None = None
        self._out: set[Any] = set()
        self._options: tuple = (1_000_000, "r")
        self._over = threading.Event()  # the call of Parallel

    # --- what joblib calls

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """How many engines run batches at once, if so many are asked for."""
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        if n_jobs is None or self._is_nested():
            return 1
        own = self._given == (None, None, None)
        most = cpu_count() if own else len(self._view())
        if n_jobs < 0:
            return max(most + 1 + n_jobs, 1)
        return n_jobs if own else min(n_jobs, most)

    def configure(
        self,
        n_jobs: int = 1,
        parallel: Any = None,
        *,
        client: Any = None,
        view: Any = None,
        profile: str | None = None,
        max_nbytes: int | None = 1_000_000,
        mmap_mode: str | None = "r",
        **others: Any,
    ) -> int:
        """Attaches to the pool, or starts it; how many engines will run batches."""
        if (client, view, profile) != (None, None, None):
            self._given = client, view, profile
        n_jobs = self.effective_n_jobs(n_jobs)
        if n_jobs == 1:
            raise FallbackToBackend(SequentialBackend(nesting_level=self.nesting_level))
        self.parallel = parallel
        self._options = (None, "r") if mmap_mode is None else (max_nbytes, mmap_mode)
        self._executor = PoolExecutor(self._view(n_jobs), max_workers=n_jobs)
        return n_jobs

    def start_call(self) -> None:
        """A call of Parallel begins."""
        assert self._executor is not None
        self._arrays = _Arrays(self._executor, *self._options)
        if self._executor.view.output == "show":
            self._over.set()
            self._over = threading.Event()
            threading.Thread(target=self._keep_showing, args=(self._over,), name="pxrun-output", daemon=True).start()

    def submit(self, func: Callable, callback: Callable | None = None) -> PreparedFuture:
        """Posts a batch; its future."""
        executor, known = self._executor, self._arrays
        if executor is None or known is None:
            raise RuntimeError("this backend has been terminated: its call of Parallel is over")
        known.forget_unneeded()
        body, buffers, needed = self._dumps(func, known)
        future = PreparedFuture(functools.partial(executor._post, run, (body, buffers)), needed)
        future.get = future.result  # type: ignore[attr-defined]  # joblib before 1.3
        self._out.add(future)
        future.add_done_callback(self._out.discard)
        if callback is not None:
            future.add_done_callback(callback)
        return future

    apply_async = submit  # its name before joblib 1.4

    def retrieve_result_callback(self, out: PreparedFuture) -> Any:
        """The values of a batch."""
        return out.result()

    def stop_call(self) -> None:
        """A call of Parallel has ended."""
        self._over.set()
        if self._arrays is not None:
            self._arrays.clear()
            self._arrays = None

    def terminate(self) -> None:
        """The pool stays, for the next call."""
        self._executor = None
        self.reset_batch_stats()

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Takes back what waits, and interrupts what runs."""
        for future in list(self._out):
            future.stop()

    # --- how it does it

    def _keep_showing(self, over: threading.Event) -> None:
        """Shows what batches print while they run: joblib waits in its own way, which does not."""
        while not over.wait(LOOK):
            for future in list(self._out):
                future.show_news()

    def _is_nested(self) -> bool:
        return _pxrun.is_engine() and self._given == (None, None, None)

    def _view(self, n_jobs: int | None = None) -> Any:
        client, view, profile = self._given
        if view is not None:
            return view
        return (_client_of(profile, n_jobs) if client is None else client).direct_view("all")

    def _dumps(self, batch: Any, known: _Arrays) -> tuple[bytes, list | None, dict]:
        stream, buffers = io.BytesIO(), pickling.Buffers(False)
        pickler = _Pickler(stream, buffers, known)
        try:
            pickler.dump((run, (batch,), {}))
        except Exception as e:
            raise error.CannotSend("a batch of calls", failure.words(e), _LIBRARY) from e
        return stream.getvalue(), buffers.found or None, pickler.needed


def _client_of(profile: str | None, n_jobs: int | None) -> Any:
    """The client of a profile's pool; without a profile that of the private pool, with so many engines at least."""
    from .client.client import Client, unlist
    from .cluster import Cluster

    with _making:
        client = _private.get(profile)
        if client is None or not _is_usable(client):
            client = Client(profile=profile) if profile else Cluster(n=n_jobs).start_and_connect_sync()
            unlist(client)  # pxrun.shared() means one of the script's own
            _private[profile] = client
        if profile is None and n_jobs is not None and len(client) < n_jobs:
            client.cluster.start_engines_sync(n_jobs - len(client))
        return client


def _is_usable(client: Any) -> bool:
    """Not if this process was forked after it was made, or its pool has ended."""
    try:
        client._core.status()
        return True
    except error.PoolError:
        return False


def register(name: str | None = None, make_default: bool = False, **where: Any) -> None:
    """Registers the backend with joblib under a name.

    Parameters
    ----------
    name : str, optional
        Default: 'pxrun', and 'ipyparallel' for scripts that were written for that.
    make_default : bool
        Whether ``Parallel`` uses it from now on where nothing else is asked for.
    client, view, profile : optional
        See `PxrunBackend`.
    """

    def made(**options: Any) -> PxrunBackend:
        return PxrunBackend(**(options if options.keys() & set(_OPTIONS) else where | options))

    for each in ("ipyparallel", "pxrun") if name is None else (name,):
        register_parallel_backend(each, made, make_default=make_default)


register("pxrun")
