# SPDX-License-Identifier: BSD-3-Clause
"""What all views have: the ways of calling, blocking and not, and the requests that were sent."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from ..wire import calls, foreign
from .cancel import take_back
from .flags import Flags
from .history import History
from .pictured import Pictured
from .remotefunction import RemoteFunction
from .staying import Incomplete, Staying

if TYPE_CHECKING:
    from .asyncresult import AsyncResult


def _results() -> Any:
    """The module of AsyncResult, imported on first use: it takes a third of the time of all imports."""
    from . import mapresult

    return mapresult


class View(Flags, Pictured, Incomplete, Staying):
    """The part that views have in common: `_call` and `map` are those of each kind of them."""

    _call: Callable
    map: Callable

    def __init__(self, client: Any, targets: Any, **flags: Any) -> None:
        self.client = client
        self._sent = History(client, client._sent)
        self._begin_flags(targets, flags)

    def __repr__(self) -> str:
        text = str(self.targets)
        if len(text) > 16:
            text = text[:12] + "...]"
        return f"<{type(self).__name__} {text}>"

    def __copy__(self) -> Any:
        new = type(self).__new__(type(self))
        new.__dict__.update(self.__dict__)
        for name in ("client", "_library", "_sent", *self._kept()):  # which a DirectView does not have in its __dict__
            setattr(new, name, getattr(self, name))
        return new

    def _blocks(self, block: bool | None) -> bool:
        return self._block if block is None else block

    # --- results

    def _new(self, kind: Any, result: Any, fname: str, single: bool, *code: str, label: str | None = None, **options: Any) -> Any:
        """The AsyncResult of a request, of a class or the class of that name; if it cannot be made, for Ctrl-C say, the request is taken back."""
        try:
            make = getattr(_results(), kind) if isinstance(kind, str) else kind
            ar = make(self.client, result, fname, single, label or self._label, *code, timeout=self._timeout, **options)
            ar._shows = self._shower is not None
            self._sent.add(ar)
        except BaseException:
            take_back([result])
            raise
        return ar

    def _finish(self, ar: AsyncResult, block: bool) -> Any:
        """The result, or with block its value."""
        if not block:
            return ar
        try:
            return ar.get()
        except KeyboardInterrupt:
            if self._goes_on(ar):
                return ar
            raise

    def _goes_on(self, ar: AsyncResult) -> bool:
        """Ctrl-C came while a call waited for this result: whether that is to end the wait alone. Else it is stopped."""
        if not self._signal_on_interrupt and not ar.ready():
            return True
        ar._interrupt()
        return False

    def _result_of(self, result: Any, f: Any, single: bool, named: bool = False) -> AsyncResult:
        """The AsyncResult of a call; named: f was sent by its name, and sees the globals of its module there."""
        return self._new("AsyncResult", result, calls.name_of(f), single, function=None if named else f)

    # --- functions

    def apply(self, f: Callable, /, *args: Any, **kwargs: Any) -> Any:
        """Calls ``f(*args, **kwargs)`` on the targets; waits if `block` says so.

        A function that the engines cannot import is sent by value, and its globals are
        the engine's namespace.

        Returns
        -------
        AsyncResult, or with block the value (one target) or a list (several).

        Raises
        ------
        TypeError
            f is not callable, or something cannot be pickled.
        EngineError
            A target is not there.
        """
        return self._call(f, args, kwargs, self._block)

    def apply_async(self, f: Callable, /, *args: Any, **kwargs: Any) -> AsyncResult:
        """As apply(), without waiting."""
        return self._call(f, args, kwargs, False)

    def apply_sync(self, f: Callable, /, *args: Any, **kwargs: Any) -> Any:
        """As apply(), waiting."""
        return self._call(f, args, kwargs, True)

    def map_async(self, f: Callable, *sequences: Any, **options: Any) -> Any:
        """As map(), without waiting."""
        return self.map(f, *sequences, block=False, **_without_block(options))

    def map_sync(self, f: Callable, *sequences: Any, **options: Any) -> list:
        """As map(), waiting."""
        return self.map(f, *sequences, block=True, **_without_block(options))

    def remote(self, block: bool | None = None, **flags: Any) -> Callable[[Callable], RemoteFunction]:
        """Decorator: calls of the function run on the view's targets."""
        return lambda f: RemoteFunction(self, f, block=self._blocks(block), **flags)

    @property
    def executor(self) -> Any:
        """A concurrent.futures.Executor: each call runs on one of the view's engines, the next that is free."""
        from .pool_executor import PoolExecutor

        return PoolExecutor(self)

    def register_joblib_backend(self, name: str | None = None, make_default: bool = False) -> None:
        """Registers the view's engines with joblib under a name, by default 'pxrun' and 'ipyparallel'; see `pxrun.joblib`."""
        from ..joblib import register

        register(name, make_default, view=self)

    # --- serializers

    def use_cloudpickle(self) -> Any:
        """From now on cloudpickle pickles this view's calls and their results; functions carry this process's globals with them."""
        return self._use("cloudpickle")

    def use_dill(self) -> Any:
        """From now on dill pickles this view's calls and their results; it must be installed on both sides."""
        return self._use("dill")

    def use_pickle(self) -> Any:
        """Back to pxrun's own pickling."""
        return self._use(None)

    def _use(self, library: str | None) -> Any:
        """Chooses what pickles; the result is that of the engines, which look whether they have it."""
        foreign.check(library)
        self._library = None
        looked = self._everywhere().apply(foreign.check, library)
        self._library = library
        return looked

    def _everywhere(self) -> Any:
        """A view whose calls run on all engines of this one."""
        return self

    # --- requests

    @property
    def history(self) -> list[str]:
        """Message ids of this view's requests, one for each engine."""
        return self._sent.ids()

    @property
    def outstanding(self) -> set[str]:
        """Message ids of requests that are not answered."""
        return self._sent.outstanding()

    @property
    def results(self) -> dict:
        """AsyncResults of this view that somebody holds, by message id."""
        return {msg_id: ar for msg_id, (ar, _) in self._sent.live().items()}

    def get_result(self, ids: Any = None, block: bool | None = None, owner: bool = True) -> Any:
        """As Client.get_result(), by indices into this view's history; default the last."""
        if ids is None:
            ids = -1
        if isinstance(ids, int):
            ids = self._sent.result(ids)
        elif isinstance(ids, list):
            ids = [self._sent.result(i) if isinstance(i, int) else i for i in ids]
        return self.client.get_result(ids, self._blocks(block), owner)

    def wait(self, jobs: Any = None, timeout: float | None = -1) -> bool:
        """Waits for results; default: all of this view. See `Client.wait`."""
        return self.client.wait(self._sent.requests() if jobs is None else self._sent.find(jobs), timeout)

    def abort(self, jobs: Any = None, targets: Any = None, block: bool | None = None) -> None:
        """Aborts what no engine has begun; default: all of this view. See `Client.abort`."""
        self.client.abort(self._sent.requests() if jobs is None else jobs, targets)

    def queue_status(self, targets: Any = None, verbose: bool = False) -> dict:
        """See `Client.queue_status`."""
        return self.client.queue_status(self.targets if targets is None else targets, verbose)

    def shutdown(self, targets: Any = None, restart: bool = False, hub: bool = False, block: bool | None = None) -> None:
        """Stops engines; see `Client.shutdown`."""
        self.client.shutdown(self.targets if targets is None else targets, restart, hub)

    def purge_results(self, jobs: Any = (), targets: Any = ()) -> None:
        """See `Client.purge_results`."""
        self.client.purge_results(jobs, targets)

    def spin(self) -> None:
        """Does nothing: results arrive by themselves."""


def _without_block(options: dict) -> dict:
    if "block" in options:
        raise TypeError("map_sync() and map_async() take no 'block': that is what their names say")
    return options
