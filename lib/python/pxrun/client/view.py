# SPDX-License-Identifier: BSD-3-Clause
"""Handles on engines: what people drive them by."""
from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Callable, Iterator, Sequence

from .. import _pxrun, _serialize, error
from . import map as maps
from . import reference, remote_calls
from .remotefunction import ParallelFunction, RemoteFunction
from .reply import names_seen_by, outcome_of
from .results import Results

if TYPE_CHECKING:
    from .asyncresult import AsyncResult

_FLAGS = ("targets", "block", "track", "label", "timeout")


class DirectView:
    """Some engines of a pool, addressed directly.

    Made by indexing a client. Requests to one engine run in the order in which they
    were sent. Methods other than ``apply`` take ``block`` and ``targets``, which for the
    duration of a call stand in for the attributes of these names.

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
        Seconds that requests may take, from when they are sent. What takes longer is
        interrupted, and its result is `TaskTimeout`.
    """

    def __init__(self, client: Any, targets: Any, **flags: Any) -> None:
        self.client = client
        self.targets = targets
        self.block = client.block
        self.track = False
        self.label: str | None = None
        self._timeout: float | None = None
        self.set_flags(**flags)

    def __repr__(self) -> str:
        text = str(self.targets)
        if len(text) > 16:
            text = text[:12] + "...]"
        return f"<{type(self).__name__} {text}>"

    def __len__(self) -> int:
        if isinstance(self.targets, int):
            return 1
        return len(self.client) if self.targets == "all" else len(self.targets)

    # --- flags

    @property
    def timeout(self) -> float | None:
        return self._timeout

    @timeout.setter
    def timeout(self, seconds: float | None) -> None:
        if seconds is not None and not seconds > 0:
            raise ValueError(f"a timeout is None or a number of seconds above 0, not {seconds!r}")
        self._timeout = seconds

    def set_flags(self, **flags: Any) -> "DirectView":
        """Sets attributes; KeyError for one that is no flag. Returns the view."""
        for name, value in flags.items():
            if name not in _FLAGS:
                raise KeyError(f"Invalid name: {name!r}; flags are {', '.join(_FLAGS)}")
            setattr(self, name, value)
        return self

    @contextlib.contextmanager
    def temp_flags(self, **flags: Any) -> Iterator[None]:
        """Sets attributes for the duration of a with statement."""
        before = {name: getattr(self, name) for name in _FLAGS}
        try:
            self.set_flags(**flags)
            yield
        finally:
            self.set_flags(**before)

    def _targets(self, targets: Any) -> tuple[list[int], bool]:
        """Engine ids, and whether the result is a bare value."""
        targets = self.targets if targets is None else targets
        if type(targets) is int:
            return [targets], True
        if targets == "all":
            ids = self.client.ids
        elif isinstance(targets, slice):
            ids = self.client.ids[targets]
        else:
            ids = [int(t) for t in targets]
        if not ids:
            raise error.NoEnginesRegistered("no targets: the view names no engines, or the pool has none")
        return ids, False

    def _check_alive(self, ids: list[int]) -> None:
        live = self.client.ids
        missing = [i for i in ids if i not in live]
        if missing:
            raise error.EngineError(f"there is no engine {missing[0]}; the live ones are {live}")

    # --- sending

    def _submit_call(self, f: Any, args: tuple, kwargs: dict, engines: list[int]) -> Any:
        body, buffers = _dump_call(f, args, kwargs)
        return self.client._core.submit(_pxrun.APPLY, 0, engines, body, buffers)

    def _finish(self, ar: AsyncResult, block: bool) -> Any:
        """The result, or with block its value. Ctrl-C ends the wait, not the request."""
        if self._timeout is not None:
            ar._expire_after(self._timeout)
        if not block:
            return ar
        try:
            return ar.get()
        except KeyboardInterrupt:
            if not ar.ready():
                return ar
            raise

    def _call(self, f: Any, args: tuple, kwargs: dict, block: bool, targets: Any = None) -> Any:
        ids, single = self._targets(targets)
        if single and block and self._timeout is None:
            return self._call_one(f, args, kwargs, ids[0])
        if len(ids) > 1:
            self._check_alive(ids)
        result = self._submit_call(f, args, kwargs, ids)
        from .asyncresult import AsyncResult

        return self._finish(AsyncResult(self.client, result, _name(f), single, self.label, function=f), block)

    def _call_one(self, f: Any, args: tuple, kwargs: dict, engine: int) -> Any:
        """The blocking call to one engine: no AsyncResult is made."""
        body, buffers = _dump_call(f, args, kwargs)
        reply, result = self.client._core.call1(_pxrun.APPLY, 0, engine, body, buffers)
        if reply is None:
            from .asyncresult import AsyncResult

            return AsyncResult(self.client, result, _name(f), True, self.label, function=f)
        code, body, buffers = reply
        if code == 0:
            if body == _serialize.NONE:
                return None
        value, exception = outcome_of(code, body, buffers, engine, self.client._core, known=names_seen_by(f) if code else None)
        if exception is not None:
            raise exception
        return value

    # --- functions

    def apply(self, __ipp_f: Callable, *args: Any, **kwargs: Any) -> Any:
        """Calls f(*args, **kwargs) on the targets; waits if `block` says so.

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
        return self._call(__ipp_f, args, kwargs, self.block)

    def apply_async(self, __ipp_f: Callable, *args: Any, **kwargs: Any) -> AsyncResult:
        """As apply(), without waiting."""
        return self._call(__ipp_f, args, kwargs, False)

    def apply_sync(self, __ipp_f: Callable, *args: Any, **kwargs: Any) -> Any:
        """As apply(), waiting."""
        return self._call(__ipp_f, args, kwargs, True)

    def map(self, f: Callable, *sequences: Any, block: bool | None = None) -> Any:
        """f of each element, one part of the sequences for each engine.

        Returns
        -------
        AsyncMapResult, or with block a list in the order of the elements.
        """
        return ParallelFunction(self, f, block=self.block if block is None else block).map(*sequences)

    def map_async(self, f: Callable, *sequences: Any) -> Any:
        """As map(), without waiting."""
        return self.map(f, *sequences, block=False)

    def map_sync(self, f: Callable, *sequences: Any) -> list:
        """As map(), waiting."""
        return self.map(f, *sequences, block=True)

    def imap(self, f: Callable, *sequences: Any) -> Iterator:
        """As map(); elements come as they are ready, in order."""
        return iter(self.map(f, *sequences, block=False))

    def remote(self, block: bool | None = None, **flags: Any) -> Callable[[Callable], RemoteFunction]:
        """Decorator: calls of the function run on the view's targets."""
        block = self.block if block is None else block
        return lambda f: RemoteFunction(self, f, block=block, **flags)

    def parallel(self, dist: str = "b", block: bool | None = None, **flags: Any) -> Callable[[Callable], ParallelFunction]:
        """Decorator: calls of the function give each engine a part of the sequences."""
        block = self.block if block is None else block
        return lambda f: ParallelFunction(self, f, dist=dist, block=block, **flags)

    # --- code

    def execute(self, code: str, silent: bool = True, targets: Any = None, block: bool | None = None, label: str | None = None) -> AsyncResult:
        """Runs code in the engines' namespaces.

        Parameters
        ----------
        code : str
        silent : bool
            With False the value of a last expression is in the result, as a prompt would show it.

        Returns
        -------
        AsyncResult
            Also with block, and then its exceptions have been raised.
        """
        if not isinstance(code, str):
            raise TypeError(f"code is a str, not {type(code).__name__}")
        ids, single = self._targets(targets)
        if len(ids) > 1:
            self._check_alive(ids)
        flags = _pxrun.EXECUTE_SILENT if silent else 0
        result = self.client._core.submit(_pxrun.EXECUTE, flags, ids, code.encode(), None)
        from .asyncresult import AsyncExecuteResult

        ar = AsyncExecuteResult(self.client, result, "execute", single, label or self.label, code)
        self._finish(ar, self.block if block is None else block)
        return ar

    def run(self, filename: str, targets: Any = None, block: bool | None = None) -> AsyncResult:
        """Executes a file that is read here."""
        with open(filename, encoding="utf-8") as file:
            code = file.read() + "\n"
        return self.execute(code, targets=targets, block=block)

    # --- objects

    def push(self, ns: dict, targets: Any = None, block: bool | None = None, track: bool | None = None) -> Any:
        """Assigns each value of a dict to its name on the engines.

        Names may be any assignment target, ``"a.b"`` or ``"d['k']"``. Arrays are copied into
        shared memory once, however many engines there are; the caller may change
        them as soon as the call returns.
        """
        if not isinstance(ns, dict):
            raise TypeError(f"push takes a dict of names and values, not {type(ns).__name__}")
        for name in ns:
            if not isinstance(name, str):
                raise TypeError(f"a name is a str, not {name!r}")
        return self._call(remote_calls.push, (ns,), {}, self.block if block is None else block, targets)

    def pull(self, names: Any, targets: Any = None, block: bool | None = None) -> Any:
        """The values of a name or an expression, or with a list of them, lists of values."""
        if not isinstance(names, str):
            if not isinstance(names, (list, tuple, set)) or not all(isinstance(n, str) for n in names):
                raise TypeError(f"pull takes a name or a list of names, not {names!r}")
            names = list(names)
        return self._call(remote_calls.pull, (names,), {}, self.block if block is None else block, targets)

    def update(self, ns: dict) -> Any:
        """As push()."""
        return self.push(ns)

    def get(self, key: str) -> Any:
        """As pull(), waiting."""
        return self.pull(key, block=True)

    def __getitem__(self, key: str) -> Any:
        return self.get(key)

    def __setitem__(self, key: str, value: Any) -> None:
        self.push({key: value})

    def scatter(self, key: str, seq: Sequence, dist: str = "b", flatten: bool = False, targets: Any = None, block: bool | None = None, track: bool | None = None) -> Any:
        """Cuts a sequence into one part for each engine and assigns them.

        Parameters
        ----------
        dist : 'b' or 'r'
            Blocks, or every n-th element.
        flatten : bool
            Whether a part of one element is assigned bare.
        """
        try:
            len(seq)
        except TypeError:
            raise TypeError(f"scatter takes a sequence, not {type(seq).__name__}") from None
        mapping = maps.by_name(dist)
        ids, _ = self._targets(targets)
        self._check_alive(ids)
        results = []
        for i, engine in enumerate(ids):
            part = mapping.partition(seq, i, len(ids))
            if flatten and len(part) == 1:
                part = part[0]
            results.append(self._submit_call(remote_calls.push, ({key: part},), {}, [engine]))
        from .asyncresult import AsyncResult

        ar = AsyncResult(self.client, Results(results), "scatter", False, self.label)
        got = self._finish(ar, self.block if block is None else block)
        return ar if got is ar else None

    def gather(self, key: str, dist: str = "b", targets: Any = None, block: bool | None = None) -> Any:
        """The parts that the engines have under a name, joined.

        Returns
        -------
        AsyncMapResult, or with block an array (parts are arrays), a list (lists, tuples),
        or a list of the parts.
        """
        mapping = maps.by_name(dist)
        ids, _ = self._targets(targets)
        self._check_alive(ids)
        result = self._submit_call(remote_calls.pull, (key,), {}, ids)
        from .asyncresult import AsyncMapResult

        ar = AsyncMapResult(self.client, result, "gather", False, self.label, mapping=mapping)
        return self._finish(ar, self.block if block is None else block)

    # --- the rest

    def clear(self, targets: Any = None, block: bool | None = None) -> Any:
        """Empties the engines' namespaces."""
        return self._call(remote_calls.clear, (), {}, self.block if block is None else block, targets)

    def wait(self, jobs: Any = None, timeout: float | None = -1) -> bool:
        """Waits for results; see `Client.wait`."""
        return self.client.wait(jobs, timeout)


def _name(f: Any) -> str:
    return getattr(f, "__name__", None) or type(f).__name__


def _dump_call(f: Any, args: tuple, kwargs: dict) -> tuple[bytes, list | None]:
    """The pickle of a call and its buffers; TypeError in words for what cannot be sent."""
    if not callable(f) and type(f) is not reference.Reference:
        raise TypeError(f"f must be callable, and {f!r} is not")
    if (args or kwargs or type(f) is reference.Reference) and (
        type(f) is reference.Reference or reference.holds(args, kwargs)
    ):
        f, args, kwargs = reference.call_resolved, (f, args, kwargs), {}
    try:
        return _serialize.dumps_call(f, args, kwargs)
    except Exception as e:
        raise TypeError(f"{_culprit(f, args, kwargs)} cannot be sent: {type(e).__name__}: {e}") from e


def _culprit(f: Any, args: tuple, kwargs: dict) -> str:
    """Which part of a call cannot be pickled, in words."""
    parts = [(f"the function {_name(f)}", f)]
    parts += [(f"argument {i + 1} of {_name(f)}", a) for i, a in enumerate(args)]
    parts += [(f"argument {k!r} of {_name(f)}", a) for k, a in kwargs.items()]
    for what, part in parts:
        try:
            _serialize.dumps(part)
        except Exception:
            return f"{what}, of type {type(part).__name__},"
    return f"the call of {_name(f)}"
