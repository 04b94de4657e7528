# SPDX-License-Identifier: BSD-3-Clause
"""IPython's shell as an engine has it: what it shows goes to the client of the request, or of the cell.

Imports IPython; see shell.py, which makes the shell when code first needs it.
"""
from __future__ import annotations

import contextlib
import warnings
from typing import Any

from IPython.core import page, payloadpage
from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.error import TryNext, UsageError
from IPython.core.history import HistoryManager
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_magic, magics_class
from traitlets import Type

from . import cells, displays, kernel


class Publisher(DisplayPublisher):
    """Sends what is displayed to the client of the request, or of the cell."""

    def publish(
        self, data: dict, metadata: dict | None = None, *args: Any, transient: Any = None, update: bool = False, **kwargs: Any
    ) -> None:
        self._validate_data(data, metadata)
        if not isinstance(transient or {}, dict):
            raise TypeError(f"transient must be a dict, got: {transient!r}")
        if cells.running():
            content = {"data": displays.forms(data), "metadata": metadata or {}, "transient": transient or {}}
            cells.send("update_display_data" if update else "display_data", content)
        else:
            displays.send(data, metadata, transient, update)

    def clear_output(self, wait: bool = False) -> None:
        """In a request nothing: where its client shows it stands the output of other engines as well."""
        if cells.running():
            cells.send("clear_output", {"wait": wait})


class Hook(DisplayHook):
    """Sends the value of a cell's last expression."""

    def write_output_prompt(self) -> None:
        if not cells.running():
            super().write_output_prompt()

    def write_format_data(self, format_dict: dict, md_dict: dict | None = None) -> None:
        if cells.running():
            about = {"execution_count": self.prompt_count, "metadata": md_dict or {}}
            cells.send("execute_result", {"data": displays.forms(format_dict), **about})
        else:
            super().write_format_data(format_dict, md_dict)


class Shell(InteractiveShell):
    """On the engine's namespace; without history, colours and event loops, and left by nothing that code does."""

    display_pub_class = Type(Publisher)
    displayhook_class = Type(Hook)
    system = InteractiveShell.system_raw  # its output goes to the engine's streams

    def init_history(self) -> None:
        """No history: all engines would share one file."""
        self.history_manager = HistoryManager(shell=self, parent=self, enabled=False)

    def init_io(self) -> None:
        """No colours: the output is no terminal."""
        super().init_io()
        self.colors = "NoColor"

    def init_hooks(self) -> None:
        super().init_hooks()
        self.set_hook("show_in_pager", page.as_hook(_page), 0)

    def init_magics(self) -> None:
        super().init_magics()
        self.register_magics(ConnectMagics)

    def enable_gui(self, gui: str | None = None) -> None:
        if gui not in (None, "inline"):
            raise UsageError(f"engines have no event loop for {gui!r}: use %matplotlib inline")

    def init_user_ns(self) -> None:
        """Without IPython's exit and quit, which end a prompt: Python's own end the request."""
        super().init_user_ns()
        for name in ("exit", "quit"):
            self.user_ns.pop(name, None)

    def init_builtins(self) -> None:
        """As it is, but does not hide Python's exit and quit while a magic runs code."""
        super().init_builtins()
        for name in ("exit", "quit"):
            self.builtin_trap.auto_builtins.pop(name, None)

    def _tee(self, channel: str) -> Any:
        """Nothing: IPython 9 would keep all that cells print, for %notebook, as long as the engine lives."""
        return contextlib.nullcontext()

    def _showtraceback(self, etype: Any, evalue: Any, stb: Any) -> None:
        if not cells.running():
            super()._showtraceback(etype, evalue, stb)
        elif etype is SystemExit:
            cells.send_error(etype, evalue, [f"SystemExit: {evalue}", cells.LEAVE])
        else:
            cells.send_error(etype, evalue, stb)

    def set_next_input(self, s: str, replace: bool = False) -> None:
        self.payload_manager.write_payload({"source": "set_next_input", "text": s, "replace": replace})


# IPython's own advice after sys.exit(), which does not apply here: _showtraceback() has ours
warnings.filterwarnings("ignore", "To exit: use 'exit', 'quit', or Ctrl-D")


def _page(text: Any, start: int = 0, **options: Any) -> None:
    """In a cell, what is to be paged is the frontend's to page."""
    if not cells.running():
        raise TryNext
    payloadpage.page(text, start)


@magics_class
class ConnectMagics(Magics):
    """How to connect to the engine's kernel."""

    @line_magic
    def connect_info(self, line: str) -> None:
        """``%connect_info``: what Jupyter's clients need to know to connect to this engine."""
        file = _kernel_file()
        with open(file, encoding="utf-8") as content:
            print(content.read(), end="")
        print(f"\n    {file.command}")

    @line_magic
    def qtconsole(self, line: str) -> None:
        """``%qtconsole [OPTIONS]``: opens Jupyter's Qt console on this engine."""
        kernel.start_qtconsole(_kernel_file(), line)


def _kernel_file() -> Any:
    file = kernel.file()
    if file is None:
        raise UsageError("this engine is bound to no kernel: first `%px from pxrun import bind_kernel; bind_kernel()`")
    return file
