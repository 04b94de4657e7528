# SPDX-License-Identifier: BSD-3-Clause
"""IPython's ``%px``, ``%%px``, ``%pxresult``, ``%pxconfig`` and ``%autopx``, which run code on a view's engines."""
from __future__ import annotations

import ast
import collections
import contextlib
import re
import signal
import sys
from typing import Any, Iterator

from IPython import get_ipython
from IPython.core.error import UsageError
from IPython.core.magic import Magics, magics_class
from IPython.core.magic_arguments import argument, construct_parser

from .. import error
from .progress import is_noninteractive

#: The number of results that are kept for %pxresult.
_KEPT = 100
_GROUPS = ("engine", "order", "type")


def _common(f: Any) -> Any:
    """Options of all magics that run code."""
    options = [
        argument("-t", "--targets", help="engines: 0, [0,2], ::2, all"),
        argument("-b", "--block", action="store_const", const=True, dest="block", help="wait for results"),
        argument("-a", "--noblock", action="store_const", const=False, dest="block", help="do not wait"),
        argument("--stream", action="store_const", const=True, dest="stream", help="show output as it comes"),
        argument("--no-stream", action="store_const", const=False, dest="stream", help="show output at the end"),
        argument("--verbose", action="store_const", const=True, dest="verbose", help="say what runs where"),
        argument("--no-verbose", action="store_const", const=False, dest="verbose"),
        argument("--progress-after", type=float, dest="progress_after", help="seconds until a progress bar; -1: none"),
        argument("--signal-on-interrupt", dest="signal_on_interrupt", help="what Ctrl-C sends to the engines; 0: nothing"),
    ]
    for option in reversed(options):  # as decorators: the last one first
        f = option(f)
    return f


def _showing(f: Any) -> Any:
    """Options of all magics that show results."""
    options = [
        argument("-r", action="store_const", const="order", dest="groupby", help="group outputs by order"),
        argument("-e", action="store_const", const="engine", dest="groupby", help="group outputs by engine"),
        argument("--group-outputs", choices=_GROUPS, dest="groupby", help="show outputs at the end, in this order"),
        argument("-o", "--out", dest="save_name", help="keep the AsyncResult under this name"),
    ]
    for option in reversed(options):  # as decorators: the last one first
        f = option(f)
    return f


def _parsed_as(name: str) -> Any:
    """Makes the parser of a magic's options, which become a part of its docstring."""

    def made(f: Any) -> Any:
        f.argcmd_name = name
        f._px_parser = construct_parser(f)
        return f

    return made


@magics_class
class ParallelMagics(Magics):
    """The magics of one view; ``suffix`` is appended to their names.

    Attributes
    ----------
    view : DirectView
    results : deque of AsyncResult
        Of the last commands.
    """

    def __init__(self, shell: Any, view: Any, suffix: str = "") -> None:
        self.view, self.suffix = view, suffix
        self.results: collections.deque = collections.deque(maxlen=_KEPT)  # AsyncResults, the last one last
        self.verbose, self.stream = False, not is_noninteractive()
        self.progress_after, self.signal_on_interrupt = 2.0, "SIGINT"
        self._auto: tuple | None = None
        super().__init__(shell=shell)
        names = {"px": self.px, "pxresult": self.result, "result": self.result, "pxconfig": self.pxconfig, "autopx": self.autopx}
        self.magics = {
            "line": {name + suffix: f for name, f in names.items()},
            "cell": {"px" + suffix: self.cell_px},
        }

    # --- running code

    @contextlib.contextmanager
    def _flags(self, options: Any) -> Iterator[None]:
        """The view with a command's own targets."""
        with self.view.temp_flags(**({} if options.targets is None else {"targets": self._targets(options.targets)})):
            yield

    def _targets(self, text: str) -> Any:
        """What ``--targets`` means."""
        if text == "all":
            return "all"
        if ":" in text:
            return self.view.client.ids[slice(*(int(part) if part else None for part in text.split(":")))]
        try:
            chosen = ast.literal_eval(text)
        except (SyntaxError, ValueError):
            raise UsageError(f"--targets is like 0, [0,2], ::2 or all, not {text!r}") from None
        return self.view.client.direct_view(chosen).targets

    def px(self, line: str) -> Any:
        """``%px code``: runs the code on the view's engines.

        With the view's `block` it waits and shows what the engines print; else it returns the AsyncResult.
        """
        return self._run(line, _options(self.cell_px, ""))

    px.__dict__["_ipython_magic_no_var_expand"] = True

    @_parsed_as("px")
    @_showing
    @_common
    @argument("--local", action="store_true", help="run the cell here, too")
    def cell_px(self, line: str = "", cell: str | None = None) -> Any:
        """``%%px [options]``: runs the cell on engines."""
        options = _options(self.cell_px, line)
        if cell is None:
            raise UsageError("%%px runs a cell: the code stands in the lines below it")
        return self._run(cell, options)

    def _run(self, code: str, options: Any) -> Any:
        block = self.view.block if options.block is None else options.block
        # what comes while it runs cannot be grouped
        stream = self.stream and options.groupby is None if options.stream is None else options.stream
        with self._flags(options):
            if self.verbose if options.verbose is None else options.verbose:
                print(f"{'Parallel' if block else 'Async parallel'} execution on engine(s): {_shortly(self.view.targets)}")
            result = self.view.execute(code, silent=False, block=False)
        if block:
            result._shows = False  # it is shown below
        self.results.append(result)
        if options.save_name:
            self.shell.user_ns[options.save_name] = result
        if getattr(options, "local", False):
            self.shell.run_cell(code)
        if not block:
            return result
        self._show(result, options, stream)
        return None

    def _show(self, result: Any, options: Any, stream: bool) -> None:
        after = self.progress_after if options.progress_after is None else options.progress_after
        try:
            if stream:
                # a single engine's exception is raised below: not shown here as well
                with result.stream_output(errors=not result._single):
                    self._wait(result, after)
                failed = result.exception()
                if isinstance(failed, error.CompositeError):
                    raise error.AlreadyDisplayedError(failed) from None
                if failed is not None:
                    raise failed
                result.display_outputs(options.groupby or "type", result_only=True)
            else:
                self._wait(result, after)
                result._display(options.groupby or "type", False)
                result.get()
        except KeyboardInterrupt:
            self._interrupt(result, options.signal_on_interrupt)

    def _wait(self, result: Any, after: float) -> None:
        if after < 0:
            result.wait()
        elif not result.wait(after):
            result.wait_interactive()

    def _interrupt(self, result: Any, chosen: str | None) -> None:
        """After Ctrl-C while a command waits: signals the engines."""
        sent = self.signal_on_interrupt if chosen is None else chosen
        print(f"Received Keyboard Interrupt. Sending signal {sent} to engines...", file=sys.stderr)
        if sent in ("SIGINT", str(int(signal.SIGINT))):
            result._interrupt()  # no other client's requests, and what waits is taken back
        elif sent != "0":
            self.view.client.send_signal(int(sent) if sent.isdigit() else sent, result.targets)

    # --- results

    @_parsed_as("pxresult")
    @_showing
    @argument("index", nargs="?", type=int, default=-1, help="which of the view's results: -1 is the last")
    def result(self, line: str = "") -> None:
        """``%pxresult [index]``: waits for the last result, or that of an index, and shows its outputs."""
        # a negative number must not be taken for an option
        line = re.sub(r"(?<!\S)-(\d+)(?!\S)", r"-- -\1", line)
        options = _options(self.result, line)
        try:
            found = self.results[options.index]
        except IndexError:
            raise UsageError(f"%px has {len(self.results)} results: there is none of index {options.index}") from None
        found._shows = False
        failed = found.exception()
        found._display(options.groupby or "type", False)
        if failed is not None:
            raise failed

    @_parsed_as("pxconfig")
    @_common
    def pxconfig(self, line: str) -> None:
        """``%pxconfig [options]``: sets the defaults of later commands."""
        options = _options(self.pxconfig, line)
        if options.targets is not None:
            self.view.targets = self._targets(options.targets)
        for name in ("block", "verbose", "stream", "progress_after", "signal_on_interrupt"):
            value = getattr(options, name)
            if value is not None:
                setattr(self.view if name == "block" else self, name, value)

    # --- everything on engines

    def autopx(self, line: str = "") -> None:
        """``%autopx``: switches on or off that all input runs on the engines."""
        if self._auto is None:
            self._auto = (self.shell.run_cell,)
            self.shell.run_cell = self._run_cell
            print("%autopx enabled")
        else:
            (self.shell.run_cell,) = self._auto
            self._auto = None
            print("%autopx disabled")

    def _run_cell(self, raw_cell: str, *args: Any, **kwargs: Any) -> Any:
        (run_here,) = self._auto or (None,)
        if run_here is None or re.match(rf"\s*(%autopx{self.suffix}|get_ipython\(\).*autopx)", raw_cell):
            return run_here(raw_cell, *args, **kwargs) if run_here else None
        options = _options(self.cell_px, "")
        try:
            self._run(raw_cell, options)
        except Exception:
            self.shell.showtraceback()
        return run_here("pass", False, True)


def _shortly(targets: Any) -> str:
    """Targets as text; of many only the first and the last."""
    if isinstance(targets, list) and len(targets) > 10:
        return f"{str(targets[:4])[:-1]}, ..., {str(targets[-4:])[1:]}"
    return str(targets)


def _options(method: Any, line: str) -> Any:
    """A command's options; UsageError in argparse's words."""
    return method._px_parser.parse_argstring(line)


def activate(view: Any, suffix: str = "") -> None:
    """Registers the magics of a view in the running IPython; warns if there is none."""
    shell = get_ipython()
    if shell is None:
        import warnings

        warnings.warn("the %px magics are for IPython, which does not run here", stacklevel=3)
        return
    shell.register_magics(ParallelMagics(shell, view, suffix))
