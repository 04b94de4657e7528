# SPDX-License-Identifier: BSD-3-Clause
"""IPython's ``%px``, ``%%px``, ``%pxresult``, ``%pxconfig`` and ``%autopx``, which run code on a view's engines."""
from __future__ import annotations

import argparse
import ast
import collections
import contextlib
import inspect
import re
import signal
import sys
from typing import Any, Iterator

from IPython import get_ipython
from IPython.core.error import UsageError
from IPython.core.magic import Magics, magics_class
from IPython.core.magic_arguments import argument, construct_parser

from .. import error
from . import prompt
from .progress import is_noninteractive

#: The number of results that are kept for %pxresult.
_KEPT = 100
_GROUPS = ("engine", "order", "type")
#: What %pxconfig sets, apart from the targets.
_CONFIG = ("block", "verbose", "stream", "progress_after", "signal_on_interrupt")
#: Cells that %autopx leaves to this process begin so: with magics of this family, of any suffix, or with what ends the session.
_HERE = re.compile(r"\s*(%%?(px|autopx|result)|get_ipython\(\).*autopx|(exit|quit)(\(\))?\s*$|$)")

#: A line that begins as if with an option.
_OPTION = re.compile(r"--?[a-z][a-z-]*\s")


class _Choice(argparse.Action):
    """One of several options of which a command can have one."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option: str | None = None) -> None:
        value = values if self.nargs is None else self.const
        before = namespace.__dict__.setdefault("_chosen_by", {}).setdefault(self.dest, option)
        if getattr(namespace, self.dest) not in (None, value):
            parser.error(f"{before} and {option} contradict each other")
        setattr(namespace, self.dest, value)


def _choice(*names: str, **options: Any) -> Any:
    """An option that is one of a choice, and takes no value if it has a `const`."""
    return argument(*names, action=_Choice, **({"nargs": 0} if "const" in options else {}), **options)


def _signal(text: str) -> str:
    """The value of ``--signal-on-interrupt``."""
    if not (text.isdigit() or text.startswith("SIG") and hasattr(signal, text)):
        raise argparse.ArgumentTypeError(f"there is no signal {text!r}")
    return text


def _common(f: Any) -> Any:
    """Options of all magics that run code."""
    options = [
        argument("-t", "--targets", help="engines: 0, [0,2], ::2, all"),
        _choice("-b", "--block", const=True, dest="block", help="wait for results"),
        _choice("-a", "--noblock", const=False, dest="block", help="do not wait; results are shown after a later cell"),
        _choice("--stream", const=True, dest="stream", help="show output as it comes"),
        _choice("--no-stream", const=False, dest="stream", help="show output at the end"),
        _choice("--verbose", const=True, dest="verbose", help="say what runs where"),
        _choice("--no-verbose", const=False, dest="verbose", help="do not say it"),
        argument("--progress-after", type=float, dest="progress_after", help="seconds until a progress bar; -1: none"),
        argument("--signal-on-interrupt", type=_signal, dest="signal_on_interrupt", help="what Ctrl-C sends to the engines; 0: nothing"),
    ]
    for option in reversed(options):  # as decorators: the last one first
        f = option(f)
    return f


def _showing(f: Any) -> Any:
    """Options of all magics that show results."""
    options = [
        _choice("-r", const="order", dest="groupby", help="group outputs by order"),
        _choice("-e", const="engine", dest="groupby", help="group outputs by engine"),
        _choice("--group-outputs", choices=_GROUPS, dest="groupby", help="show outputs at the end, in this order"),
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


class _Job:
    """A command that nobody waits for, until what became of it has been shown."""

    def __init__(self, magic: str, result: Any, code: str, groupby: str) -> None:
        self.result, self.groupby = result, groupby
        lines = code.strip().split("\n")
        self.name = f"%{magic} {lines[0]}" if len(lines) == 1 else f"%%{magic} {lines[0]} ..."
        self.late = False  # whether it was still running when its own cell was done

    def tell(self) -> None:
        """Shows its output and error, unless somebody has asked for them."""
        if self.result._asked:
            return
        failed = self.result._failure()
        if self.late and (failed is not None or self._shows_something()):
            print(f"{self.name} {'has failed' if failed is not None else 'is done'}:")
        self.result.display_outputs(self.groupby)
        if failed is not None:
            print(prompt.text(get_ipython(), failed), file=sys.stderr)

    def _shows_something(self) -> bool:
        entries = [self.result.metadata] if self.result._single else self.result.metadata
        printed = () if self.result._shown else ("stdout", "stderr", "outputs")
        return any(entry[key] for entry in entries for key in ("execute_result", *printed))


@magics_class
class ParallelMagics(Magics):
    """The magics of one view; ``suffix`` is appended to their names.

    Attributes
    ----------
    view : DirectView
        UsageError while there is none.
    results : deque of AsyncResult
        Of the last commands.
    """

    def __init__(self, shell: Any, view: Any = None, suffix: str = "") -> None:
        self._view, self.suffix = view, suffix
        self.results: collections.deque = collections.deque(maxlen=_KEPT)  # AsyncResults, the last one last
        self.verbose, self.stream = False, not is_noninteractive()
        self.progress_after, self.signal_on_interrupt = 2.0, "SIGINT"
        self._jobs: list[_Job] = []
        self._local = False  # whether %autopx is to leave a cell alone
        super().__init__(shell=shell)
        names = {"px": self.px, "pxresult": self.result, "result": self.result, "pxconfig": self.pxconfig, "autopx": self.autopx}
        self.magics = {
            "line": {name + suffix: f for name, f in names.items()},
            "cell": {"px" + suffix: self.cell_px},
        }

    @property
    def view(self) -> Any:
        if self._view is None:
            raise UsageError(
                f"%px{self.suffix} has no engines yet: make a client, rc = pxrun.Client(), "
                "or start a pool, rc = pxrun.Cluster(n=4).start_and_connect_sync()"
            )
        return self._view

    def is_over(self) -> bool:
        """Whether there is no view, or its pool or client is gone."""
        if self._view is None:
            return True
        try:
            len(self._view.client)
        except error.PoolError:
            return True
        return False

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
        try:
            if ":" in text:
                chosen: Any = slice(*(int(part) if part else None for part in text.split(":")))
            else:
                chosen = ast.literal_eval(text)
            return self.view.client.direct_view(chosen).targets
        except (SyntaxError, ValueError, TypeError):
            raise UsageError(f"--targets is like 0, [0,2], ::2 or all, not {text!r}") from None
        except (error.EngineError, error.NoEnginesRegistered) as e:
            raise UsageError(f"--targets {text}: {e}") from None

    def px(self, line: str) -> Any:
        """``%px code``: runs the code on the view's engines.

        With the view's `block` it waits and shows what the engines print; else it returns the AsyncResult, and shows
        what came of it after the cell or, if it takes longer, a later one.

        It takes no options itself: ``%pxconfig`` sets those of ``%%px`` for both.
        """
        if _OPTION.match(line) and not _is_python(line):
            raise UsageError(
                f"%px{self.suffix} takes no options: %pxconfig{self.suffix} sets them, "
                f"or write %%px{self.suffix} and the code below it"
            )
        return self._run(line, _options(self.cell_px, ""))

    px.__dict__["_ipython_magic_no_var_expand"] = True

    @_parsed_as("%px")
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
        if options.stream and options.groupby is not None:
            raise UsageError("--stream shows output as it comes, which cannot be grouped")
        if options.stream and options.block is False:
            raise UsageError("--stream shows output while it waits, and --noblock does not wait")
        stream = self.stream and options.groupby is None if options.stream is None else options.stream
        with self._flags(options):
            if self.verbose if options.verbose is None else options.verbose:
                print(f"{'Parallel' if block else 'Async parallel'} execution on engine(s): {_shortly(self.view.targets)}")
            result = self.view.execute(code, silent=False, block=False)
        result._fname = f"%px{self.suffix}"  # what bars and errors call it
        if block:
            result._shows = False  # it is shown below
        self.results.append(result)
        if options.save_name:
            self.shell.user_ns[options.save_name] = result
        if getattr(options, "local", False):
            self._run_here(code)
        if not block:
            self._tell_later(self._job(result, code, options))
            return result
        try:
            self._show(result, options, stream)
        except KeyboardInterrupt:
            if self._goes_on(result, options.signal_on_interrupt):
                self._tell_later(self._job(result, code, options))
                return None
            raise
        return None

    def _run_here(self, code: str) -> None:
        self._local = True
        try:
            self.shell.run_cell(code)
        finally:
            self._local = False

    def _job(self, result: Any, code: str, options: Any) -> _Job:
        return _Job(f"px{self.suffix}", result, code, options.groupby or "type")

    def _show(self, result: Any, options: Any, stream: bool) -> None:
        after = self.progress_after if options.progress_after is None else options.progress_after
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

    def _wait(self, result: Any, after: float) -> None:
        if after < 0:
            result.wait()
        elif not result.wait(after):
            result.wait_interactive()

    def _goes_on(self, result: Any, chosen: str | None) -> bool:
        """After Ctrl-C while a command waits: whether that was to end the wait alone. Else signals the engines."""
        sent = self.signal_on_interrupt if chosen is None else chosen
        if sent == "0":
            print("Received Keyboard Interrupt. The engines go on: what comes of it is shown later.", file=sys.stderr)
            return True
        print(f"Received Keyboard Interrupt. Sending signal {sent} to engines...", file=sys.stderr)
        if sent in ("SIGINT", str(int(signal.SIGINT))):
            result._interrupt()  # no other client's requests, and what waits is taken back
        else:
            self.view.client.send_signal(int(sent) if sent.isdigit() else sent, result.targets)
        return False

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
        """``%pxconfig [options]``: sets the defaults of later commands; without options it shows them."""
        options = _options(self.pxconfig, line)
        if not line.strip():
            print(f"targets = {_shortly(self.view.targets)}")
            for name in _CONFIG:
                print(f"{name} = {getattr(self._home(name), name)}")
        if options.targets is not None:
            self.view.targets = self._targets(options.targets)
        for name in _CONFIG:
            value = getattr(options, name)
            if value is not None:
                setattr(self._home(name), name, value)

    def _home(self, name: str) -> Any:
        """What has a setting as its attribute."""
        return self.view if name == "block" else self

    # --- everything on engines

    def autopx(self, line: str = "") -> None:
        """``%autopx``: switches on or off that all input runs on the engines, as if each cell began with %%px."""
        transforms = self.shell.input_transformers_cleanup
        if self._to_engines in transforms:
            transforms.remove(self._to_engines)
            print("%autopx disabled")
        else:
            self.view  # says if there is none
            transforms.append(self._to_engines)
            print("%autopx enabled")

    def _to_engines(self, lines: list[str]) -> list[str]:
        """A cell that runs on the engines."""
        if self._local or not lines or _HERE.match(lines[0]):
            return lines
        return [f"%%px{self.suffix}\n", *lines]

    _to_engines.has_side_effects = True  # type: ignore[attr-defined]  # it is not to be asked whether a cell is complete

    # --- what nobody waits for

    def _tell_later(self, job: _Job) -> None:
        if not self._jobs:
            self.shell.events.register("post_run_cell", self._tell)
        self._jobs.append(job)

    def _tell(self, _cell: Any) -> None:
        """After each cell: shows what has become of jobs that are done, as a shell does."""
        jobs, self._jobs = self._jobs, [job for job in self._jobs if not job.result.ready()]
        if not self._jobs:
            self.shell.events.unregister("post_run_cell", self._tell)
        for job in jobs:
            if job not in self._jobs:
                job.tell()
            job.late = True


# %px? is to show the options
ParallelMagics.px.__doc__ = f"{inspect.cleandoc(ParallelMagics.px.__doc__ or '')}\n\n{ParallelMagics.cell_px.__doc__}"


def _shortly(targets: Any) -> str:
    """Targets as text; of many only the first and the last."""
    if isinstance(targets, list) and len(targets) > 10:
        return f"{str(targets[:4])[:-1]}, ..., {str(targets[-4:])[1:]}"
    return str(targets)


def _is_python(code: str) -> bool:
    try:
        ast.parse(code)
    except (SyntaxError, ValueError):
        return False
    return True


def _options(method: Any, line: str) -> Any:
    """A command's options; UsageError in argparse's words."""
    return method._px_parser.parse_argstring(line)


def offer(shell: Any, client: Any = None) -> None:
    """Has a shell show our errors, and its ``%px`` run on a client's engines unless it has others that are there."""
    prompt.teach(shell)
    found = getattr(shell.magics_manager.magics["line"].get("px"), "__self__", None)
    if found is not None and not (isinstance(found, ParallelMagics) and found.is_over()):
        return
    if client is not None:
        client.activate()
    elif found is None:
        shell.register_magics(ParallelMagics(shell))


def activate(view: Any, suffix: str = "") -> None:
    """Registers the magics of a view in the running IPython; warns if there is none."""
    shell = get_ipython()
    if shell is None:
        import warnings

        warnings.warn("the %px magics are for IPython, which does not run here", stacklevel=3)
        return
    prompt.teach(shell)
    shell.register_magics(ParallelMagics(shell, view, suffix))
