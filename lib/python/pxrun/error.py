# SPDX-License-Identifier: BSD-3-Clause
"""The exceptions, under the names of ipyparallel.error.

An exception that a request raised on one engine is a `RemoteError`, and also an
instance of the class that the engine raised, where this process has that class. From
several engines it is a `CompositeError`, which is a group of these: ``except*`` takes
it apart by the classes that the engines raised.

wire/failure.py describes an exception on the engine, wire/twins.py makes it again here. At the end
of this module the C library's error codes are mapped to these classes.
"""
from __future__ import annotations

import builtins
import sys
from concurrent.futures import CancelledError
from typing import Any, Iterable, NoReturn, Sequence

from . import _pxrun
from .wire import failure

TimeoutError = builtins.TimeoutError


class IPythonError(Exception):
    """The base of all of pxrun's own errors; the name is ipyparallel's."""


class KernelError(IPythonError):
    """The base of errors about engines and requests."""


class PoolError(IPythonError, ConnectionError):
    """The pool is gone, cannot be reached, or cannot be started."""


class NoPoolError(PoolError, FileNotFoundError):
    """No pool runs under that profile."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class ArenaError(IPythonError, MemoryError):
    """The pool's memory, or the machine's, is used up."""


class ClosedError(PoolError, RuntimeError):
    """The client is closed, or was made by a parent process."""


class EngineError(KernelError, IndexError):
    """An engine died, or there is no engine of that id. Says which engine, how it died, and why."""


class NoEnginesRegistered(KernelError):
    """The pool has no engines."""

    def __str__(self) -> str:
        return f"{super().__str__() or 'the pool has no engines'}. Try client.wait_for_engines(n)"


class TaskAborted(KernelError):
    """The request was aborted before it ran, or was cancelled while it ran."""


class TaskCancelled(TaskAborted, CancelledError):
    """The request was cancelled, before it ran or while it did; an instance of concurrent.futures.CancelledError as well."""


class CannotSend(TypeError):
    """A part of a call cannot be pickled.

    Attributes
    ----------
    reason : str
        Why not.
    library : str or None
        What was to pickle it, 'cloudpickle' or 'dill'; None: pxrun itself.
    """

    def __init__(self, part: str, reason: str, library: str | None) -> None:
        super().__init__(f"{part} cannot be sent: {reason}")
        self.part, self.reason, self.library = part, reason, library

    def __reduce__(self) -> tuple:
        return CannotSend, (self.part, self.reason, self.library)


class TaskTimeout(KernelError, builtins.TimeoutError):
    """The request did not finish within the time that was set for it."""


class TaskRejectError(KernelError):
    """An engine refused a request, because its dependencies are not met there."""


class UnmetDependency(KernelError):
    """A function's requirement is not met on the engine."""


class ImpossibleDependency(UnmetDependency):
    """A function's requirement is met on no engine."""


class DependencyTimeout(ImpossibleDependency):
    """A function's requirement was not met in time."""


class InvalidDependency(ImpossibleDependency):
    """A dependency that can never be met."""


UnmetDependencyError = UnmetDependency


class RemoteError(KernelError):
    """An exception that a request raised on an engine.

    Where this process has the class that the engine raised, the exception is an instance
    of it as well: ``except ZeroDivisionError`` catches it, and it has the attributes that
    the engine's exception had.

    Attributes
    ----------
    ename, evalue : str
        The name of the exception's class, and its str().
    traceback : str
        The engine's traceback.
    engine_info : dict
        ``engine_id``, ``engine_uuid`` and ``method`` ("apply", "execute").
    hint : str
        Advice, where there is some; else empty.
    """

    def __init__(self, ename: str, evalue: str, traceback: str, engine_info: dict | None = None) -> None:
        BaseException.__init__(self, ename, evalue)  # not the other base's, of a twin
        self.ename = ename
        self.evalue = evalue
        self.traceback = traceback or ""
        self.engine_info = engine_info or {}
        self.hint = ""
        self._pickled = b""
        self._engine_notes = 0  # so many of its notes came from the engine, whose traceback has them
        self.args = (ename, evalue)
        _prepare_ipython()

    def _where(self) -> str:
        info = self.engine_info
        return f"[{info['engine_id']}:{info.get('method', 'apply')}]" if "engine_id" in info else ""

    def __str__(self) -> str:
        what = f"{self._where()} {failure.line(self.ename, self.evalue)}".lstrip()
        return f"{what}\n{self.hint}" if self.hint else what

    def __repr__(self) -> str:
        return f"<RemoteError[{self.engine_info.get('engine_id')}]:{self.ename}({self.evalue})>"

    def render_traceback(self) -> list[str]:
        """The engine's traceback as lines."""
        lines = failure.cut(self.traceback or failure.line(self.ename, self.evalue)).rstrip("\n").split("\n")
        return [*lines, *_added(self), *(self.hint.split("\n") if self.hint else ())]

    def _render_traceback_(self) -> list[str]:
        """What IPython shows of it: where it was raised here, and the engine's traceback."""
        return [*failure.callers(self), *filter(None, [self._where() and f"{self._where()}:"]), *self.render_traceback()]

    def print_traceback(self, excid: int | None = None) -> None:
        """Prints the engine's traceback."""
        print("\n".join(self.render_traceback()))

    def __reduce__(self) -> tuple:
        notes = failure.notes(self)
        return _rebuild, (self.ename, self.evalue, self.traceback, self.engine_info, self._pickled, self.hint, notes)


class EngineTraceback(Exception):
    """The cause of a RemoteError: makes Python print the engine's traceback."""

    def __str__(self) -> str:
        return "\n" + str(self.args[0]).rstrip("\n")


class CompositeError(RemoteError):
    """Exceptions of several engines, which are each a `RemoteError`.

    If all engines raised the same class it is an instance of that class as well, with the attributes
    of the first exception. It is also an ExceptionGroup, unless Python cannot combine that with the class,
    as with OSError and NameError.

    Parameters
    ----------
    msg : str
    elist : sequence
        The exceptions, or tuples (ename, evalue, traceback, engine_info). Other
        CompositeErrors among them are replaced by their exceptions.

    Attributes
    ----------
    msg : str
    elist : list of (ename, evalue, traceback, engine_info)
        Those engines that failed, in the order of the targets.
    exceptions : tuple of Exception
        The same, as exceptions of the classes that the engines raised.
    tb_limit : int
        How many are shown when it is printed.
    """

    tb_limit = 4
    exceptions: tuple[Any, ...]

    def __new__(cls, msg: str, elist: Sequence) -> "CompositeError":
        exceptions = list(_flattened(elist))
        if not exceptions:
            raise ValueError("a CompositeError is made of at least one exception, and there is none")
        return _twin_of_all(msg, exceptions) or ExceptionGroup.__new__(_Group, msg, exceptions)  # type: ignore[type-var]

    def __init__(self, msg: str, elist: Sequence) -> None:
        RemoteError.__init__(self, "CompositeError", msg, "", None)
        self.msg = msg
        self.elist = [_as_tuple(e) for e in self.exceptions]
        self.args = tuple(e[0] for e in self.elist)
        self.ename = self.evalue = self.traceback = None  # type: ignore[assignment]

    def _more(self) -> list[str]:
        more = len(self.elist) - self.tb_limit
        return [f"... {more} more exceptions ..."] if more > 0 else []

    def __str__(self) -> str:
        lines = [self.msg]
        for ename, evalue, _, info in self.elist[: self.tb_limit]:
            lines.append(f"{_header(info)} {failure.line(ename, evalue)}".lstrip())
        return "\n".join([*lines, *self._hints(range(len(self.elist))), *self._more()])

    def __repr__(self) -> str:
        return f"CompositeError({len(self.elist)})"

    def _hints(self, which: Iterable[int]) -> list[str]:
        """The hints of these exceptions, each once."""
        found = (getattr(self.exceptions[i], "hint", "") for i in which)
        return list(dict.fromkeys(hint for hint in found if hint))

    def _one_traceback(self, excid: int) -> list[str]:
        ename, evalue, traceback, info = self._entry(excid)
        lines = failure.cut(traceback or failure.line(ename, evalue)).rstrip("\n").split("\n")
        return [*filter(None, [_header(info)]), *lines, *_added(self.exceptions[excid])]

    def render_traceback(self, excid: int | None = None) -> list[str]:
        """The tracebacks of one engine, or of the first `tb_limit`, as lines."""
        which = [excid] if excid is not None else list(range(min(len(self.elist), self.tb_limit)))
        lines: list[str] = []
        for i in which:
            lines += [*self._one_traceback(i), ""]
        lines += self._hints(which)
        return lines[:-1] if excid is not None and not lines[-1] else [*lines, *self._more()]

    def _render_traceback_(self) -> list[str]:
        return [*failure.callers(self), *self.render_traceback()]

    def print_traceback(self, excid: int | None = None) -> None:
        """Prints one engine's traceback, or those of the first `tb_limit`."""
        print("\n".join(self.render_traceback(excid)))

    def _entry(self, excid: int) -> tuple:
        try:
            return self.elist[excid]
        except IndexError:
            raise IndexError(f"there is no exception {excid}: {len(self.elist)} engines failed") from None

    def raise_exception(self, excid: int = 0) -> NoReturn:
        """Raises one of the exceptions."""
        self._entry(excid)
        raise again(self.exceptions[excid])

    def __reduce__(self) -> tuple:
        return CompositeError, (self.msg, list(self.exceptions))


class _Group(CompositeError, ExceptionGroup):  # type: ignore[misc]
    def derive(self, excs: Sequence) -> CompositeError:  # type: ignore[override]
        """A CompositeError of some of the exceptions: ``except*`` calls this."""
        return CompositeError(self.msg, excs)


_Group.__name__ = _Group.__qualname__ = CompositeError.__name__
_Group.__doc__ = CompositeError.__doc__


def _twin_of_all(msg: str, exceptions: list) -> CompositeError | None:
    """A CompositeError that is also of the class that all engines raised; None if there is none."""
    from .wire import twins

    cls = twins.common_class(RemoteError, exceptions)
    if cls is None:
        return None

    def alone(twin: type) -> Any:
        made = twins.bare(twin, ())
        made.exceptions = tuple(exceptions)
        return made

    made = twins.attempt(_Group, cls, lambda twin: ExceptionGroup.__new__(twin, msg, exceptions), (msg, exceptions))
    if made is None:
        made = twins.attempt(CompositeError, cls, alone, (msg, exceptions))
        if made is None:
            return None
        made.__cause__ = EngineTraceback("\n".join(made.render_traceback()))  # a group shows them by itself
    twins.copy_attributes(exceptions[0], made)
    return made


class AlreadyDisplayedError(_Group):
    """A CompositeError whose tracebacks have been shown already, while the engines ran."""

    def __new__(cls, original: CompositeError) -> "AlreadyDisplayedError":
        return ExceptionGroup.__new__(cls, original.msg, list(original.exceptions))  # type: ignore[type-var]

    def __init__(self, original: CompositeError) -> None:
        super().__init__(original.msg, [original])
        self.original_error = original

    def __str__(self) -> str:
        count = len(self.elist)
        return f"{count} error{'s' if count != 1 else ''}"

    def render_traceback(self, excid: int | None = None) -> list[str]:
        """The number of errors as a line; with `excid` one engine's traceback."""
        return [str(self)] if excid is None else super().render_traceback(excid)

    def __reduce__(self) -> tuple:
        return AlreadyDisplayedError, (self.original_error,)


def _prepare_ipython() -> None:
    """The IPython that runs here, if one does by now, may be about to show an error."""
    from .client import ipython

    shell = ipython.running()
    if shell is not None:
        from .client import prompt

        prompt.teach(shell)


def _added(e: BaseException) -> list[str]:
    """The notes of an exception that were added here, as lines."""
    return [line for note in failure.notes(e)[getattr(e, "_engine_notes", 0) :] for line in note.split("\n")]


def _header(info: dict | None) -> str:
    """Where something was raised, in the message of several; empty if no engine has begun it."""
    return f"[{info['engine_id']}:{info.get('method', 'apply')}]:" if info and "engine_id" in info else ""


def _as_tuple(e: Any) -> tuple:
    """An exception's entry in a CompositeError's elist."""
    if isinstance(e, RemoteError):
        return e.ename, e.evalue, e.traceback, e.engine_info
    return type(e).__name__, str(e), "", getattr(e, "engine_info", {})


def _flattened(elist: Iterable) -> Iterable[BaseException]:
    for e in elist:
        if isinstance(e, CompositeError):
            yield from e.exceptions
        elif isinstance(e, BaseException):
            yield e
        else:
            yield remote_error(*e)


def remote_error(ename: str, evalue: str, traceback: str, info: dict | None, pickled: bytes = b"") -> RemoteError:
    """The exception to raise for what an engine reported.

    Parameters
    ----------
    ename, evalue, traceback, info
        As RemoteError has them.
    pickled : bytes
        The engine's exception; empty if it could not be pickled.
    """
    from .wire import twins

    made = twins.make(RemoteError, ename, evalue, pickled)
    made.__init__(ename, evalue, traceback, info)  # type: ignore[misc]
    made._pickled = pickled
    made._engine_notes = len(failure.notes(made))
    if traceback:
        made.__cause__ = EngineTraceback(traceback)
    return made


def _rebuild(
    ename: str, evalue: str, traceback: str, info: dict, pickled: bytes, hint: str, notes: list[str]
) -> RemoteError:
    made = remote_error(ename, evalue, traceback, info, pickled)
    made.hint = hint
    for note in notes[made._engine_notes :]:
        failure.add_note(made, note)
    return made


# --- helpers ----------------------------------------------------------------


def collect_exceptions(rdict_or_list: Any, method: str = "unspecified") -> Any:
    """Raises a `CompositeError` of the RemoteErrors among some results; without any returns the results.

    Parameters
    ----------
    rdict_or_list : dict or sequence
        Results, of which some may be exceptions.
    method : str
        The name of the method that they are results of, for the message.
    """
    results = rdict_or_list.values() if isinstance(rdict_or_list, dict) else rdict_or_list
    failed = [r for r in results if isinstance(r, RemoteError)]
    if failed:
        raise CompositeError(f"one or more exceptions raised in: {method}", failed)
    return rdict_or_list


def wrap_exception(engine_info: dict | None = None) -> dict:
    """The exception that is being handled as a dict: what `unwrap_exception` takes."""
    exception = sys.exc_info()[1]
    if exception is None:
        raise RuntimeError("no exception is being handled: call this in an except clause")
    ename, evalue, traceback, pickled = failure.describe(exception)
    return {
        "status": "error",
        "ename": ename,
        "evalue": evalue,
        "traceback": traceback,
        "engine_info": dict(engine_info or {}),
        "pickled": pickled,
    }


def unwrap_exception(content: dict) -> RemoteError:
    """The exception that `wrap_exception` described, as a `RemoteError`."""
    return remote_error(
        content["ename"], content["evalue"], content["traceback"], content.get("engine_info"), content.get("pickled", b"")
    )


def is_own(exception: BaseException | None, *kinds: type) -> bool:
    """Whether an exception of these kinds is about the request itself, and not what the request raised."""
    return isinstance(exception, kinds) and not isinstance(exception, RemoteError)


def again(exception: BaseException) -> BaseException:
    """An equal exception to raise: the traceback of one that is raised keeps what its frames hold, and a result keeps its own."""
    from .wire import twins

    if isinstance(exception, CompositeError):
        made: BaseException = CompositeError(exception.msg, exception.exceptions)
    else:
        made = twins.copy(exception)
    made.__cause__ = exception.__cause__
    return made


def without_end(exception: BaseException) -> BaseException:
    """As an iterator or a coroutine can raise it: a StopIteration would be its end, and nothing would be said."""
    if not (isinstance(exception, RemoteError) and isinstance(exception, StopIteration)):
        return exception
    from .wire import twins

    plain = RemoteError(exception.ename, exception.evalue, exception.traceback, exception.engine_info)
    plain.hint, plain._pickled, plain.__cause__ = exception.hint, exception._pickled, exception.__cause__
    plain._engine_notes = exception._engine_notes
    twins.copy_notes(exception, plain)
    return plain


# --- codes ------------------------------------------------------------------

#: What a call of the extension raises for each code. EREMOTE is an engine's own exception; the other codes that
#: are missing here are handled inside the extension, and never raised.
_CLASSES: dict[int, type[BaseException]] = {
    _pxrun.EINVAL: ValueError,
    _pxrun.ENOMEM: ArenaError,
    _pxrun.ETIMEDOUT: builtins.TimeoutError,
    _pxrun.EENGINE: EngineError,
    _pxrun.EPOOL: PoolError,
    _pxrun.ENOPOOL: NoPoolError,
    _pxrun.EEXIST: PoolError,
    _pxrun.ECLOSED: ClosedError,
    _pxrun.EABORTED: TaskAborted,
    _pxrun.EVERSION: PoolError,
    _pxrun.EPERM: PermissionError,
    _pxrun.ECORRUPT: KernelError,
    _pxrun.ESYSTEM: OSError,
}
_pxrun.set_errors(_CLASSES)

#: The codes with which an entry of a result may fail, apart from failures of its engine.
_OF_ENTRIES = {_pxrun.ENOMEM, _pxrun.EPOOL, _pxrun.ECLOSED, _pxrun.EABORTED, _pxrun.ECORRUPT}


def from_words(code: int, words: str, info: dict) -> BaseException:
    """The exception for an entry that failed without the engine's own report."""
    if code not in _OF_ENTRIES:
        return remote_error("EngineError", words, "", info)
    error = _CLASSES[code](words)
    error.engine_info = info  # type: ignore[attr-defined]
    return error


__all__ = [name for name, value in list(globals().items()) if isinstance(value, type) and issubclass(value, BaseException)]
for _name in ("CancelledError", "EngineTraceback", "_Group"):
    __all__.remove(_name)
__all__ += ["collect_exceptions", "unwrap_exception", "wrap_exception"]
