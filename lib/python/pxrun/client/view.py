# SPDX-License-Identifier: BSD-3-Clause
"""Views: handles on some engines, by which calls, code and objects are sent to them."""
from __future__ import annotations

import operator
import signal
import types
from typing import TYPE_CHECKING, Any, Callable, Iterator

from .. import _pxrun, error
from ..engine import calls as engine_calls
from ..wire import calls, failure, frames, pickling
from .parts import Parts
from .remotefunction import ParallelFunction
from .viewbase import View

if TYPE_CHECKING:
    from .asyncresult import AsyncResult

# short names: looking up attributes takes a good part of the time of a call
_APPLY, _loads = _pxrun.APPLY, pickling.loads


class DirectView(_pxrun.Direct, View, Parts):
    """Some engines of a pool, addressed directly.

    Made by indexing a client. Requests to one engine run in the order in which they
    were sent. Methods other than ``apply`` take ``block`` and ``targets``, which override the
    attributes of these names for one call.

    Attributes
    ----------
    targets : int, list of int or 'all'
        An int gives bare results, a list gives lists in its order; 'all' is looked
        up at each call.
    block : bool
        Whether calls wait for results, or return an `AsyncResult` at once.
    track : bool
        Whether results tell when arrays that were sent are released.
    label : str or None
        Kept in the metadata of results.
    timeout : float or None
        Seconds from its submission after which a request is stopped as by `AsyncResult.cancel`; get() then
        raises `TaskTimeout`.
    signal_on_interrupt : bool
        Whether Ctrl-C in a blocking call also interrupts what the call began on the engines, and
        raises KeyboardInterrupt. Else it ends the wait alone: the call returns its AsyncResult.
    send_globals : bool
        Whether functions of a script or a prompt bring along the names that they refer to and an engine
        lacks: modules (imported there), functions and classes, and plain constants of at most
        1000 elements and 16 KiB. Names that were assigned on the engine go first.
    output : 'show' or 'keep'
        Whether what the engines print and display is shown here while a call waits, or while its
        AsyncResult is waited for; with 'keep' only the AsyncResult has it.
    """

    _instead = "code on an engine that needs one makes its own, pxrun.Client(CONNECTION_FILE)[:]"

    def __len__(self) -> int:
        if isinstance(self.targets, int):
            return 1
        return len(self.client) if self.targets == "all" else len(self.targets)

    def _targets(self, targets: Any) -> tuple[list[int], bool]:
        """Engine ids, and whether the result is a bare value."""
        targets = self._targets_set if targets is None else targets
        if type(targets) is int:
            return [targets], True
        if targets == "all":
            ids = self.client.ids
        elif isinstance(targets, slice):
            ids = self.client.ids[targets]
        else:
            ids = [operator.index(t) for t in targets]
        if not ids:
            self.client._core.check_gone(-1)
            raise error.NoEnginesRegistered("no targets: the view names no engines, or the pool has none")
        return ids, False

    def _check_alive(self, ids: list[int]) -> None:
        live = self.client.ids
        missing = [i for i in ids if i not in live]
        if missing:
            self.client._core.check_gone(missing[0])
            raise error.EngineError(f"there is no engine {missing[0]}; the live ones are {live}")

    # --- sending

    def _submit_call(self, f: Any, args: tuple, kwargs: dict, engines: list[int], flags: int = 0) -> Any:
        body, buffers = calls.dumps(f, args, kwargs, self._send_globals, self._library)
        return self.client._core.submit(_APPLY, flags, engines, body, buffers)

    def _track_flag(self, track: bool | None = None) -> int:
        return _pxrun.TRACK if (self._track if track is None else track) else 0

    def _call(
        self, f: Any, args: tuple, kwargs: dict, block: bool, targets: Any = None, flags: int = 0, track: bool | None = None
    ) -> Any:
        ids, single = self._targets(targets)
        if self._track if track is None else track:
            flags |= _pxrun.TRACK
        body, buffers = calls.dumps(f, args, kwargs, self._send_globals, self._library)
        if block and not flags and self._timeout is None:
            return self._call_at_once(f, body, buffers, ids, single)
        result = self.client._core.submit(_APPLY, flags, ids, body, buffers)
        return self._finish(self._result_of(result, f, single, frames.is_named(body)), block)

    def _call_at_once(self, f: Any, body: bytes, buffers: list | None, ids: list[int], single: bool) -> Any:
        """A blocking call, in which an AsyncResult is made only after a failure."""
        replies, result = self.client._core.call(_APPLY, 0, ids, body, buffers, self._shower)
        if replies is None:
            return self._interrupted(f, result, single)
        return self._values_of(f, replies, result, single)

    def _interrupted(self, f: Any, result: Any, single: bool) -> AsyncResult:
        """Ctrl-C came while a call waited: its AsyncResult, or KeyboardInterrupt."""
        ar = self._result_of(result, f, single)
        if self._goes_on(ar):
            return ar
        raise KeyboardInterrupt

    def _read_replies(self, f: Any, result: Any, single: bool) -> Any:
        """What a call gives whose replies the extension does not read by itself: pickled ones, and failures."""
        return self._values_of(f, [result.reply(i) for i in range(result.count)], result, single)

    def _values_of(self, f: Any, replies: list, result: Any, single: bool) -> Any:
        values = []
        try:
            for code, body, buffers in replies:
                if code:
                    break
                values.append(_loads(body, buffers or ()))
            else:
                return values[0] if single else values
        except BaseException as e:
            if failure.may_be_ctrl_c(e):
                raise
            # a value cannot be unpickled here: the AsyncResult raises that in words
        ar = self._result_of(result, f, single)
        ar._take(replies)
        return ar.get()

    # --- functions

    def map(
        self,
        f: Callable,
        *sequences: Any,
        block: bool | None = None,
        track: bool | None = None,
        return_exceptions: bool = False,
        label: str | None = None,
        progress: bool = False,
    ) -> Any:
        """Calls f on each element; each engine gets one part of the sequences.

        Parameters
        ----------
        f : callable or Reference
        *sequences : iterables
            As for the built-in map(): whatever can be iterated over, and the shortest decides. What is no
            sequence is turned into a list here.
        return_exceptions : bool
            Whether an element for which f raises is its exception in the result, instead of its being raised.
            What f raises has a note that names the element.
        progress : bool
            Whether to show a bar of the elements while the result is waited for, as `AsyncResult.wait_interactive`.

        Returns
        -------
        AsyncMapResult, or with block a list in the order of the elements.
        """
        mapped = ParallelFunction(self, f, block=self._blocks(block), return_exceptions=return_exceptions, progress=progress)
        with self.temp_flags(label=label or self._label, track=self._track if track is None else track):
            return mapped.map(*sequences)

    def imap(self, f: Callable, *sequences: Any, **options: Any) -> Iterator:
        """As map(); elements come as they are ready, in order."""
        return iter(self.map_async(f, *sequences, **options))

    def parallel(self, dist: str = "b", block: bool | None = None, **flags: Any) -> Callable[[Callable], ParallelFunction]:
        """Decorator: calls of the function give each engine a part of the sequences."""
        return lambda f: ParallelFunction(self, f, dist=dist, block=self._blocks(block), **flags)

    # --- code

    def execute(
        self, code: str, silent: bool = True, targets: Any = None, block: bool | None = None, label: str | None = None
    ) -> AsyncResult:
        """Runs code in the engines' namespaces.

        Parameters
        ----------
        code : str
        silent : bool
            With False the result has the value of a last expression, as a prompt shows it; and if
            the code fails, code that waits on that engine is aborted, as in a notebook.

        Returns
        -------
        AsyncResult
            Its values are `ExecuteReply`. Also with block, which raises its exceptions.
        """
        if not isinstance(code, str):
            raise TypeError(f"code is a str, not {type(code).__name__}")
        ids, single = self._targets(targets)
        flags = _pxrun.EXECUTE_SILENT if silent else _pxrun.STOP_ON_ERROR
        result = self.client._core.submit(_pxrun.EXECUTE, flags, ids, code.encode(), None)
        ar = self._new("AsyncExecuteResult", result, "execute", single, code, label=label)
        self._finish(ar, self._blocks(block))
        return ar

    def run(self, filename: str, targets: Any = None, block: bool | None = None, label: str | None = None) -> AsyncResult:
        """Executes a file that is read here."""
        with open(filename, encoding="utf-8") as file:
            code = file.read() + "\n"
        return self.execute(code, targets=targets, block=block, label=label)

    # --- objects

    def _push(self, ns: dict, targets: Any = None, block: bool | None = None, track: bool | None = None) -> Any:
        """push(), whatever it is given."""
        if not isinstance(ns, dict):
            raise TypeError(f"push takes a dict of names and values, not {type(ns).__name__}")
        for name in ns:
            if not isinstance(name, str):
                raise TypeError(f"a name is a str, not {name!r}")
        return self._call(engine_calls.push, (ns,), {}, self._blocks(block), targets, track=track)

    def _pull(self, names: Any, targets: Any = None, block: bool | None = None) -> Any:
        """pull(), whatever it is given."""
        if not isinstance(names, str):
            if not isinstance(names, (list, tuple, set)) or not all(isinstance(n, str) for n in names):
                raise TypeError(f"pull takes a name or a list of names, not {names!r}")
            names = list(names)
        return self._call(engine_calls.pull, (names,), {}, self._blocks(block), targets)

    # what a TypeError calls them
    _push.__qualname__, _pull.__qualname__ = "DirectView.push", "DirectView.pull"

    def update(self, ns: dict) -> Any:
        """As push()."""
        return self.push(ns)

    # else Python would call __getitem__ with 0, 1, ...
    __iter__: Any = None
    __contains__: Any = None

    # --- modules

    def sync_imports(self, local: bool = True, quiet: bool = False) -> Any:
        """For a with statement: imports inside it are made on the engines, too, under the same names.

        Parameters
        ----------
        local : bool
            Whether to import here as well. Without, the names cannot be used here.
        quiet : bool
            Whether not to print what is imported.
        """
        from .imports import sync_imports

        return sync_imports(self, local, quiet)

    @property
    def importer(self) -> Any:
        """sync_imports(), as a property."""
        return self.sync_imports()

    def reload(self, module: Any, targets: Any = None, block: bool | None = None) -> Any:
        """Loads a module anew on the engines, where its file was edited after they had loaded it.

        Those of its submodules that were edited are loaded anew before it, and names in an engine's namespace
        that stood for the module's functions and classes stand for the new ones. Other modules that have
        taken something from it by ``from … import`` keep what they have, as with importlib.reload(), which
        is what does it here, in this process.

        Parameters
        ----------
        module : module or str
            A module, or its name. One that an engine has not loaded yet is imported there.
        """
        from ..engine import changes
        from ..wire.modules import MAIN

        name = module if isinstance(module, str) else getattr(module, "__name__", None)
        if not isinstance(name, str) or not (isinstance(module, str) or isinstance(module, types.ModuleType)):
            raise TypeError(f"what can be loaded anew is a module, or the name of one, not {module!r}")
        if name in MAIN:
            raise ValueError(f"{name} is this script itself, and no module that engines load: its functions are sent with each call")
        return self._call(changes.reload, (name,), {}, self._blocks(block), targets)

    # --- engines

    def clear(self, targets: Any = None, block: bool | None = None) -> Any:
        """Empties the engines' namespaces, ahead of requests that wait there."""
        return self._call(engine_calls.clear, (), {}, self._blocks(block), targets, _pxrun.URGENT)

    def kill(self, targets: Any = None) -> None:
        """Ends engines' processes at once (SIGKILL); the pool's restart policy decides what follows."""
        self.client.send_signal(signal.SIGKILL, self.targets if targets is None else targets)

    def activate(self, suffix: str = "") -> None:
        """Makes this the view of IPython's ``%px`` magics; with a suffix, of ``%px<suffix>``."""
        from .magics import activate

        activate(self, suffix)


class BroadcastView(DirectView):
    """The same as a DirectView: every view sends the data of a call only once for all its engines.

    Attributes
    ----------
    is_coalescing : bool
        Has no effect: each engine sends its own reply.
    """

    is_coalescing = False
