# SPDX-License-Identifier: BSD-3-Clause
"""What can go wrong, under the names of ipyparallel.error.

An exception that a request raised on one engine is a `RemoteError`, and also an
instance of the class that the engine raised, where this process has that class. From
several engines it is a `CompositeError`.
"""
from __future__ import annotations

import builtins
import pickle
import sys
from typing import Any

from . import _pxrun, _serialize

TimeoutError = builtins.TimeoutError


class IPythonError(Exception):
    """The base of all of pxrun's own errors; the name is ipyparallel's."""


class KernelError(IPythonError):
    """Something about an engine."""


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
    """An engine died, or there is none of that id. Says which engine, how, and why."""


class NoEnginesRegistered(KernelError):
    """The pool has no engines."""


class TaskAborted(KernelError):
    """The request was aborted before it ran."""


class UnmetDependency(KernelError):
    """What a function requires cannot be had on the engine."""


UnmetDependencyError = UnmetDependency


class RemoteError(KernelError):
    """An exception that a request raised on an engine.

    Attributes
    ----------
    ename, evalue : str
        The name of the exception's class, and what it says.
    traceback : str
        The engine's traceback.
    engine_info : dict
        ``engine_id`` and ``method`` ("apply", "execute").
    """

    def __init__(self, ename: str, evalue: str, traceback: str, engine_info: dict | None = None) -> None:
        BaseException.__init__(self, ename, evalue)  # not that of a twin's other base
        self.ename = ename
        self.evalue = evalue
        self.traceback = traceback or ""
        self.engine_info = engine_info or {}
        self.args = (ename, evalue)

    def _where(self) -> str:
        info = self.engine_info
        return f"[{info['engine_id']}:{info.get('method', 'apply')}] " if "engine_id" in info else ""

    def __str__(self) -> str:
        return f"{self._where()}{self.ename}: {self.evalue}"

    def __repr__(self) -> str:
        return f"<RemoteError[{self.engine_info.get('engine_id')}]:{self.ename}({self.evalue})>"

    def render_traceback(self) -> list[str]:
        """The engine's traceback as lines."""
        return self.traceback.rstrip("\n").split("\n")

    _render_traceback_ = render_traceback

    def print_traceback(self, excid: int | None = None) -> None:
        """Prints the engine's traceback."""
        print("\n".join(self.render_traceback()))

    def __reduce__(self) -> tuple:
        return _rebuild, (self.ename, self.evalue, self.traceback, self.engine_info, getattr(self, "_original", b""))


class CompositeError(RemoteError):
    """Exceptions of several engines.

    Attributes
    ----------
    msg : str
    elist : list of (ename, evalue, traceback, engine_info)
        Those engines that failed, in the order of the targets.
    """

    tb_limit = 4

    def __init__(self, msg: str, elist: list[tuple]) -> None:
        super().__init__("CompositeError", msg, "", None)
        self.msg = msg
        self.elist = list(elist)
        self.args = tuple(e[0] for e in self.elist)
        self.ename = self.evalue = self.traceback = None  # type: ignore[assignment]

    def _header(self, entry: tuple) -> str:
        info = entry[3] or {}
        return f"[{info.get('engine_id', '?')}:{info.get('method', 'apply')}]: "

    def __str__(self) -> str:
        lines = [self.msg]
        lines += [f"{self._header(e)}{e[0]}: {e[1]}" for e in self.elist[: self.tb_limit]]
        more = len(self.elist) - self.tb_limit
        if more > 0:
            lines.append(f".... {more} more exceptions ...")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"CompositeError({len(self.elist)})"

    def render_traceback(self, excid: int | None = None) -> list[str]:
        """The tracebacks of one engine, or of the first `tb_limit`, as lines."""
        if excid is not None:
            entry = self._entry(excid)
            return [self._header(entry).rstrip(), *(entry[2] or f"{entry[0]}: {entry[1]}").rstrip("\n").split("\n")]
        lines: list[str] = []
        for i in range(min(len(self.elist), self.tb_limit)):
            lines += [*self.render_traceback(i), ""]
        more = len(self.elist) - self.tb_limit
        if more > 0:
            lines.append(f"... {more} more exceptions ...")
        return lines

    def _render_traceback_(self) -> list[str]:
        return self.render_traceback()

    def print_traceback(self, excid: int | None = None) -> None:
        """Prints one engine's traceback, or those of the first `tb_limit`."""
        print("\n".join(self.render_traceback(excid)))

    def _entry(self, excid: int) -> tuple:
        try:
            return self.elist[excid]
        except IndexError:
            raise IndexError(f"there is no exception {excid}: {len(self.elist)} engines failed") from None

    def raise_exception(self, excid: int = 0) -> None:
        """Raises one of the exceptions, as a RemoteError."""
        raise self.exceptions_of(excid)

    def exceptions_of(self, excid: int) -> BaseException:
        """One of the exceptions, not raised."""
        ename, evalue, traceback, info, *original = self._entry(excid)
        return remote_error(ename, evalue, traceback, info, original[0] if original else b"")

    def __reduce__(self) -> tuple:
        return CompositeError, (self.msg, self.elist)


# --- RemoteErrors that are also what the engine raised ----------------------

_twins: dict[type, type] = {}


def _twin(cls: type) -> type:
    """A class that is RemoteError and cls; plain RemoteError where the two cannot be one."""
    found = _twins.get(cls)
    if found is None:
        try:
            found = type(f"RemoteError_{cls.__name__}", (RemoteError, cls), {"__module__": __name__})
            found("probe", "probe", "", {})
        except Exception:  # the class has a constructor of its own that refuses this
            found = RemoteError
        _twins[cls] = found
    return found


def _class_of(ename: str, original: bytes) -> tuple[type | None, Any]:
    """The class that the engine raised, and its exception, as far as they can be had."""
    if original:
        try:
            exception = _serialize.loads(original)
            return type(exception), exception
        except Exception:
            pass  # its module is not here, or its constructor fails: the name may do
    cls = getattr(builtins, ename, None)
    if isinstance(cls, type) and issubclass(cls, BaseException):
        return cls, None
    return None, None


def remote_error(ename: str, evalue: str, traceback: str, info: dict, original: bytes = b"") -> BaseException:
    """The exception to raise for what an engine reported."""
    if ename == "EngineError":
        error: BaseException = EngineError(evalue)
        error.engine_info = info  # type: ignore[attr-defined]
        return error
    cls, exception = _class_of(ename, original)
    made = RemoteError
    if cls is not None and not issubclass(cls, (SystemExit, KeyboardInterrupt, GeneratorExit)):
        # an engine's SystemExit must not end the client's process
        made = _twin(cls)
    error = made(ename, evalue, traceback, info)
    for name, value in getattr(exception, "__dict__", {}).items():
        error.__dict__.setdefault(name, value)
    error._original = original  # type: ignore[attr-defined]
    return error


def _rebuild(ename: str, evalue: str, traceback: str, info: dict, original: bytes) -> BaseException:
    return remote_error(ename, evalue, traceback, info, original)


_pxrun.set_errors(
    {
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
)

#: For replies that come as a code and words.
_CLASSES = {
    _pxrun.ENOMEM: ArenaError,
    _pxrun.EPOOL: PoolError,
    _pxrun.ECLOSED: ClosedError,
    _pxrun.EABORTED: TaskAborted,
    _pxrun.ECORRUPT: KernelError,
}


def from_words(code: int, words: str, engine_id: int) -> BaseException:
    """The exception for an entry that failed without the engine's own report."""
    error = _CLASSES.get(code, EngineError)(words)
    error.engine_info = {"engine_id": engine_id, "method": "apply"}  # type: ignore[attr-defined]
    return error


__all__ = [name for name, value in list(globals().items()) if isinstance(value, type) and issubclass(value, Exception)]
