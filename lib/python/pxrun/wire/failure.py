# SPDX-License-Identifier: BSD-3-Clause
"""Describes an exception on the engine: in words, and as a pickle where that is possible.

client/outcome.py and error.py make a RemoteError of it.

Nothing here may raise, whatever the exception's own methods do.
"""
from __future__ import annotations

import linecache
import os
import re
import sys
import traceback
from typing import Iterator

from . import pickling

#: The package's folder: tracebacks leave its frames out.
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
#: Characters; longer texts are cut in the middle.
_SHOWN = 64 * 1024


def describe(error: BaseException) -> tuple[str, str, str, bytes]:
    """(ename, evalue, traceback, pickle); the pickle is empty if there can be none."""
    errors = sys.modules.get("pxrun.error")
    if errors and isinstance(error, errors.RemoteError) and error.ename:
        # on an engine that is itself a client: report what its own engine raised
        return error.ename, error.evalue, _text(error, error.ename, error.evalue), error._pickled
    ename, evalue = type(error).__name__, _said(error)
    return ename, evalue, _text(error, ename, evalue), _pickled(error)


def is_unmet(error: BaseException) -> bool:
    """Whether a task says by it that this engine is not for it."""
    errors = sys.modules.get("pxrun.error")
    # of the class itself: isinstance() also asks the exception's __class__, which may be the user's code
    return errors is not None and issubclass(type(error), errors.UnmetDependency)


def notes(error: BaseException) -> list[str]:
    """A list of an exception's notes, a new one, whatever its __notes__ are."""
    try:
        found = getattr(error, "__notes__", ())
        if isinstance(found, str):
            return [found]
        return [note for note in found if isinstance(note, str)] if isinstance(found, (list, tuple)) else []
    except Exception:  # a property of its class, say
        return []


def add_note(error: BaseException, note: str) -> None:
    """As BaseException.add_note(), whatever the class's own is; not where it cannot have one."""
    try:
        if not isinstance(getattr(error, "__notes__", []), list):
            error.__notes__ = notes(error)
        BaseException.add_note(error, note)
    except Exception:
        pass  # the error itself is what matters


def element(n: int) -> str:
    """The note that says which element of a map has failed."""
    return f"element {n} of the map"


def words(error: BaseException) -> str:
    """The exception in one line, as a traceback ends."""
    return line(type(error).__name__, _said(error))


def line(ename: str, evalue: str) -> str:
    """The name of an exception's class and what its str() says, if that is anything."""
    return f"{ename}: {cut(evalue)}" if evalue else ename


def callers(error: BaseException) -> list[str]:
    """The user's lines here that led to an exception, as a traceback has them; a blank one."""
    try:
        stack = [f for f in traceback.extract_tb(error.__traceback__) if not (is_machinery(f.filename) or _is_magic(f.line))]
        lines = "".join(traceback.format_list(stack)).splitlines()
    except Exception:  # such as a source file that cannot be read: the error itself is still shown
        return []
    return ["Traceback (most recent call last):", *lines, ""] if lines else []


def with_source(text: str) -> str:
    """An engine's traceback, with the lines of functions whose source only this process has: those of cells, or of doctests."""
    return _FRAME.sub(_with_line, text)


#: A frame of a traceback that is not followed by a line of source, in an exception group behind a margin.
_FRAME = re.compile(r'^([ |+]*)File "(.+)", line (\d+), in .+\n(?!\1  )', re.MULTILINE)


def _with_line(frame: re.Match) -> str:
    line = linecache.getline(frame[2], int(frame[3])).strip()
    return f"{frame[0]}{frame[1]}  {line}\n" if line else frame[0]


def is_ours(filename: str) -> bool:
    """Whether a file is one of pxrun's."""
    return filename.startswith(_PACKAGE)


def is_library(filename: str) -> bool:
    """Whether a file is of Python's own library."""
    return filename.startswith((os.path.dirname(os.__file__) + os.sep, "<frozen ")) and "-packages" not in filename


def is_machinery(filename: str) -> bool:
    """Whether a file is one of pxrun's or of IPython's."""
    ipython = getattr(sys.modules.get("IPython"), "__file__", None)
    return filename.startswith((_PACKAGE, os.path.dirname(ipython) + os.sep) if ipython else _PACKAGE)


def _is_magic(line: str | None) -> bool:
    """Whether a line is what IPython has made of a magic, which says nothing that was not typed just above."""
    return line is not None and line.startswith("get_ipython().run_")


def may_be_ctrl_c(error: BaseException) -> bool:
    """Whether the user may have interrupted this process: that comes to the main thread only."""
    if not isinstance(error, KeyboardInterrupt):
        return False
    import threading

    return threading.current_thread() is threading.main_thread()


def _said(error: BaseException) -> str:
    try:
        return str.__str__(str(error))
    except BaseException as second:
        return f"<str() of the {type(error).__name__} raised {type(second).__name__}>"


def cut(text: str) -> str:
    """The beginning and the end of a text that is too long."""
    if len(text) <= _SHOWN:
        return text
    half = _SHOWN // 2
    return f"{text[:half]}\n... {len(text) - 2 * half} characters left out ...\n{text[-half:]}"


def _text(error: BaseException, ename: str, evalue: str) -> str:
    ipython = sys.modules.get("IPython.core.error")
    if ipython and isinstance(error, ipython.UsageError):
        return line(ename, evalue)  # a sentence to whoever typed it, as IPython shows it
    try:
        return cut("".join(_format(error)))
    except BaseException as second:
        return f"{line(ename, evalue)}\n(the traceback cannot be shown: {type(second).__name__})\n"


def _format(error: BaseException) -> Iterator[str]:
    """The traceback without pxrun's own frames."""
    trace = traceback.TracebackException.from_exception(error)
    seen = set()
    todo = [trace]
    while todo:
        one = todo.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        one.stack[:] = [f for f in one.stack if not f.filename.startswith(_PACKAGE)]
        todo += [one.__cause__, one.__context__, *(getattr(one, "exceptions", None) or ())]
    return trace.format()


def _pickled(error: BaseException) -> bytes:
    """A pickle of the exception, after trying that it can be read again; else empty."""
    try:
        body, buffers = pickling.dumps(error.with_traceback(None), in_band=True)
        if buffers or type(pickling.loads(body)) is not type(error):
            return b""
        return body
    except BaseException:
        return b""
