# SPDX-License-Identifier: BSD-3-Clause
"""How IPython shows our errors: once, in the manual's layout, coloured, with the user's lines and none of pxrun's.

IPython asks an exception for its ``_render_traceback_()``; but from 8.16 on it leaves what is a group, or was raised
while a group was handled, to the module traceback. So a CompositeError was shown twice and at full length, and in a
notebook as text on stderr instead of an error.
"""
from __future__ import annotations

import functools
import os
import re
import sys
import types
from typing import Any, Iterator

from IPython.core.error import UsageError
from pygments import highlight, token
from pygments.formatters import Terminal256Formatter
from pygments.lexer import bygroups, inherit
from pygments.lexers.python import PythonTracebackLexer
from pygments.style import Style

from .. import error
from ..wire import failure


def teach(shell: Any) -> None:
    """Has a running IPython show our errors as this module does, and all others as it did."""
    others = shell.showtraceback
    if hasattr(others, "_shows_pxrun"):
        return

    @functools.wraps(others)
    def showtraceback(
        exc_tuple: Any = None, filename: Any = None, tb_offset: int | None = None, exception_only: bool = False, **options: Any
    ) -> None:
        try:
            found = shell._get_exc_info(exc_tuple)[1]
        except ValueError:  # there is none, and IPython says so
            found = None
        if isinstance(found, error.AlreadyDisplayedError) and exc_tuple is None and not options.get("running_compiled_code"):
            found = found.original_error.with_traceback(found.__traceback__)  # it is asked for by %tb
        was_here = _leave_out_our_frames(found)
        shown = None if found is None or exception_only else _shown(shell, found, was_here, tb_offset)
        if shown is None:
            others(exc_tuple, filename, tb_offset, exception_only, **options)
            return
        shell.InteractiveTB.tb = found.__traceback__  # where %debug begins
        shell._showtraceback(type(found), found, shown)
        if shell.call_pdb:
            shell.debugger(force=True)

    showtraceback._shows_pxrun = True  # type: ignore[attr-defined]
    shell.showtraceback = showtraceback


def _shown(shell: Any, found: BaseException, was_here: bool, tb_offset: int | None) -> list[str] | None:
    """What IPython is to show of an exception, as its _showtraceback() takes it; None: it knows by itself.

    Parameters
    ----------
    was_here : bool
        Whether its traceback had frames of pxrun; if nothing is left but a magic, the words suffice.
    """
    if isinstance(found, error.RemoteError) or was_here and not failure.callers(found):
        return [text(shell, found)]  # as one: how several are joined depends on %xmode
    groups = [e for e in _chain(found) if isinstance(e, BaseExceptionGroup)]
    if not groups or isinstance(found, (SyntaxError, UsageError)) or not all(isinstance(e, error.RemoteError) for e in groups):
        return None
    return shell.InteractiveTB.structured_traceback(type(found), found, found.__traceback__, tb_offset=tb_offset)


# --- frames -------------------------------------------------------------------


#: What says all without the place in pxrun where it was raised. Other errors there may be our own mistakes.
_OURS = (error.IPythonError, error.CannotSend, TimeoutError, KeyboardInterrupt)


def _leave_out_our_frames(found: BaseException | None) -> bool:
    """Takes pxrun's frames out of the tracebacks of what it raises, in a chain of exceptions; whether the last had some."""
    had = False
    for e in _chain(found):
        tb = e.__traceback__
        if isinstance(e, _OURS) and any(failure.is_ours(_file(link)) for link in _links(tb)):
            BaseException.with_traceback(e, _of_the_user(tb))  # a class may forbid to set attributes
            if e is found:
                had = True
                sys.last_traceback = e.__traceback__
    return had


def _chain(found: BaseException | None) -> Iterator[BaseException]:
    """An exception, its causes, and those that were handled when they were raised."""
    todo, seen = [found], set()
    while todo:
        e = todo.pop()
        if e is not None and id(e) not in seen:
            seen.add(id(e))
            yield e
            todo += [e.__context__, e.__cause__]


def _of_the_user(tb: types.TracebackType | None) -> types.TracebackType | None:
    """A traceback without pxrun's frames, nor those of IPython but for the first, where debuggers begin."""
    links = list(_links(tb))
    while failure.is_library(_file(links[-1])):  # Ctrl-C may come anywhere
        links.pop()
    made = None
    for link in reversed(links):
        if link is tb or not failure.is_machinery(_file(link)):
            made = types.TracebackType(made, link.tb_frame, link.tb_lasti, link.tb_lineno)
    return made


def _links(tb: types.TracebackType | None) -> Iterator[types.TracebackType]:
    while tb is not None:
        yield tb
        tb = tb.tb_next


def _file(link: types.TracebackType) -> str:
    return link.tb_frame.f_code.co_filename


# --- text ---------------------------------------------------------------------


def text(shell: Any, found: BaseException) -> str:
    """One of our errors: what %xmode asks for of those of engines, one sentence of others."""
    if not isinstance(found, error.RemoteError):
        return painted(shell, [failure.words(found)])
    return painted(shell, [str(found)] if shell.InteractiveTB.mode == "Minimal" else found._render_traceback_())


def painted(shell: Any, lines: list[str]) -> str:
    """Lines of tracebacks as this IPython shows its own: with the numbers of its cells, and in colours if it has them."""
    plain = _with_cells(shell, "\n".join(lines).rstrip("\n"))
    if shell.colors.lower() == "nocolor" or os.environ.get("NO_COLOR"):
        return plain
    return highlight(plain, _Lexer(stripnl=False), Terminal256Formatter(style=_Colours)).removesuffix("\n")


def _with_cells(shell: Any, text: str) -> str:
    """Instead of the name that IPython gives a cell as a file, its number."""
    numbers = getattr(shell.compile, "_filename_map", {})

    def cell(found: re.Match) -> str:
        number = numbers.get(found[2])
        return found[0] if number is None else f"{found[1]}Cell In[{number}]{found[3]}"

    return re.sub(r'^([ |+]*)File "(.+)"(, line \d+)(?:, in <module>$)?', cell, text, flags=re.MULTILINE)


class _Lexer(PythonTracebackLexer):
    tokens = {
        "root": [
            (r"^\[\d+:\w+\]:\n", token.Generic.Heading),
            inherit,
        ],
        "intb": [
            (
                r"^(  )(Cell In\[\d+\])(, line )(\d+)(, in )?(.+)?(\n)",
                bygroups(token.Text, token.Name.Builtin, token.Text, token.Number, token.Text, token.Name, token.Whitespace),
            ),
            inherit,
        ],
    }


class _Colours(Style):
    """Of those that a terminal's user chooses, so that they can be read on any background."""

    styles = {
        token.Generic.Heading: "bold",
        token.Generic.Error: "ansired",
        token.Name.Builtin: "ansigreen",
        token.Number: "ansigreen",
        token.Keyword: "bold",
        token.String: "ansiblue",
        token.Comment: "ansibrightblack",
        token.Punctuation.Marker: "ansired",
    }
