# SPDX-License-Identifier: BSD-3-Clause
"""What an engine does for ``pxrun map``: chunks of records, each through a function or a shell command.

A chunk is one call. A record that fails does not take the others of its chunk with it, and what an interrupted
chunk has done by then is sent as well. bin/map_chunk.c reads the replies.
"""
from __future__ import annotations

import ast
import collections
import contextlib
import csv
import faulthandler
import functools
import importlib.util
import io
import itertools
import json
import linecache
import os
import re
import shlex
import signal
import sys
import time
import traceback
import types
from typing import Any, Callable, cast

from ..wire import failure
from . import jsontext

#: What a record is called in code, for each format of the input.
_NAMES = {"lines": "line", "json": "x", "csv": "row"}
_IMPORTABLE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
#: What is replaced in a command, as GNU parallel does: the record's number, or what of the record, and of it what.
_REPLACED = r"\{(?:(#)|(%s)(\.|/|//|/\.|))\}"
#: Jobs that an engine remembers; clients of one pool may run several at once.
_JOBS_KEPT = 8
#: Seconds that code has to end when its time is over.
_HEED = 2
_SHOWN = 60  # characters of a record in a message
_GENERATOR = 0x20  # inspect.CO_GENERATOR, whose module takes as long to import as half of what is here


class Unusable(Exception):
    """The job itself is wrong, not a record."""


class CommandFailed(Exception):
    """A shell command with another exit code than 0."""

    def __init__(self, output: bytes, code: int, number: int) -> None:
        ended = f"signal {number} ended the command" if number else f"the command exited with {code}"
        super().__init__(ended)
        self.output, self.code, self.number = output, code, number


class _Output(bytes):
    """What a command has printed: sent as it is, without a newline behind it."""


class _Failed:
    def __init__(self, error: BaseException) -> None:
        self.error = error


# --- what is done with a record ---------------------------------------------


def _compiled(source: Any, name: str) -> Callable:
    made: dict = {}
    exec(compile(source, "<function>", "exec", dont_inherit=True), sys.modules["__main__"].__dict__, made)
    return made[name]


def _is_command(name: str) -> bool:
    import shutil  # only for what failed: it loads three libraries

    return shutil.which(name) is not None


def _parsed(code: str) -> ast.Module:
    try:
        tree = ast.parse(code, "<function>")
    except (SyntaxError, ValueError) as error:
        shown = "".join(traceback.format_exception_only(type(error), error)).rstrip()
        words = code.split()
        command = f"\n(a shell command is behind -c: -c {shlex.quote(code)})" if words and _is_command(words[0]) else ""
        raise Unusable(f"the function cannot be read:\n{shown}{command}") from None
    if not tree.body:
        raise Unusable("the function is empty: give code, such as 'line.upper()', or module:function")
    linecache.cache["<function>"] = (len(code), None, [line + "\n" for line in code.split("\n")], "<function>")
    return tree


def _uses(tree: ast.Module, name: str) -> bool:
    return any(isinstance(node, ast.Name) and node.id == name for node in ast.walk(tree))


def _expression(tree: ast.Module, name: str) -> tuple[Callable, bool]:
    """A function of code whose last expression is its value, and whether it wants the record's number, ``n``."""
    last, numbered = tree.body[-1], _uses(tree, "n")
    if isinstance(last, ast.Expr) and isinstance(last.value, ast.Lambda):
        raise Unusable(f"the function is a lambda, which nothing calls: give what it returns, of {name}")
    if isinstance(last, ast.Expr):
        last = ast.copy_location(ast.Return(last.value), last)
    whole = ast.parse(f"def function({name}{', n' * numbered}):\n _ = {name}", "<function>")
    define: Any = whole.body[0]
    define.body = define.body * _uses(tree, "_") + tree.body[:-1] + [last]
    try:
        function = _compiled(whole, "function")
    except SyntaxError as error:  # such as a break outside of a loop
        raise Unusable(f"the function cannot be read: {failure.words(error)}") from None
    if function.__code__.co_flags & _GENERATOR:
        raise Unusable("the function yields, and has to give one result: a list, for instance")
    return function, numbered


def _loop(tree: ast.Module, name: str) -> Callable | None:
    """A whole loop over records, if the code is a plain expression of them: a third less than calling a function."""
    only = tree.body[0]
    if len(tree.body) > 1 or not isinstance(only, ast.Expr) or _uses(tree, "n") or _uses(tree, "_"):
        return None
    whole = ast.parse(f"def loop(_px_records, _px_append):\n for {name} in _px_records:\n  _px_append(0)", "<function>")
    call: Any = whole.body[0].body[0].body[0].value  # type: ignore[attr-defined]
    call.args[0] = only.value
    try:
        return _compiled(whole, "loop")
    except SyntaxError:
        return None


def _imported(name: str) -> Callable:
    module, _, path = name.partition(":")
    try:
        found = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except Exception as error:
        raise Unusable(f"{name}: {failure.words(error)}") from error
    if not callable(found):
        raise Unusable(f"{name} is no function, but of type {type(found).__name__}")
    return found


def _quoted(path: str, kind: str) -> str:
    if kind == "//":
        path = os.path.dirname(path) or "."
    elif "/" in kind:
        path = os.path.basename(path)
    return shlex.quote(os.path.splitext(path)[0] if "." in kind else path)


def _splitter(colsep: str) -> Callable[[str], list[str]]:
    try:
        separator = re.compile(colsep)
    except re.error as error:
        raise Unusable(f"--colsep: {colsep!r} is no regular expression: {error}") from None
    return lambda text: [column.strip() for column in separator.split(text)]


class _Command:
    """Runs a shell command for each record, and gives what it prints.

    With ``split``, which gives a record's columns, ``{1}`` and so on are one of them, and so are their names.
    """

    def __init__(self, template: str, split: Callable[[str], list[str]] | None, names: list[str]) -> None:
        self.split = split
        self.columns = {name: index for index, name in enumerate(names) if name}
        # without columns, {1} is the record, as in parallel
        of = "|".join([r"[1-9]\d*" if split else "1"] + [re.escape(name) for name in self.columns])
        self.replaced = re.compile(_REPLACED % (of + "|"))
        self.template = template if self.replaced.search(template) else template + " {}"

    def line(self, record: str, n: int) -> str:
        """The command with the record in the places of ``{}`` and so on, quoted."""
        columns = self.split(record) if self.split else [record]

        def replace(found):
            number, column, kind = found.groups()
            if number:
                return str(n)
            if not column:
                return " ".join(_quoted(text, kind) for text in columns)
            index = self.columns[column] if column in self.columns else int(column) - 1
            return _quoted(columns[index] if index < len(columns) else "", kind)

        return self.replaced.sub(replace, self.template)

    def __call__(self, record: str, n: int) -> _Output:
        line = os.fsencode(self.line(record, n))
        if b"\0" in line:
            raise ValueError("a NUL byte cannot be in a command")
        ours, theirs = os.pipe()
        with open(ours, "rb", buffering=0) as output:
            try:
                # a group of its own, so that all of it can be ended
                child = os.posix_spawn("/bin/sh", [b"sh", b"-c", line], os.environ, setpgroup=0, setsigmask=[],
                                       setsigdef=[signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT], file_actions=[
                                           (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                                           (os.POSIX_SPAWN_DUP2, theirs, 1)])
            finally:
                os.close(theirs)
            try:
                printed = output.read()
                _, status = os.waitpid(child, 0)
            except BaseException:  # it takes too long, or is interrupted
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child, signal.SIGKILL)
                os.waitpid(child, 0)
                raise
        if status:
            raise CommandFailed(printed, max(os.waitstatus_to_exitcode(status), 0), os.WTERMSIG(status))
        return _Output(printed)


class _Limit:
    """The time that each record has. The function gets a TimeoutError; an engine whose code does not heed it ends."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.runs = False  # or else the signal has come too late, and would hit the next record
        self.watched = 0.0  # since when

    def __enter__(self) -> None:
        self.before = signal.signal(signal.SIGALRM, self._alarm)
        self.watched = 0.0

    def __exit__(self, *_: Any) -> None:
        signal.signal(signal.SIGALRM, self.before)
        faulthandler.cancel_dump_traceback_later()

    def _alarm(self, *_: Any) -> None:
        if self.runs:
            raise TimeoutError("took longer than --timeout allows")

    def _watch(self) -> None:
        """Has a thread of C end the process; started anew now and then only, as that takes 50 us."""
        now = time.monotonic()
        if now - self.watched > _HEED / 2:
            self.watched = now
            faulthandler.dump_traceback_later(self.seconds + _HEED, exit=True)

    def applied_to(self, f: Callable) -> Callable:
        @functools.wraps(f)
        def limited(*arguments):
            self._watch()
            self.runs = True
            signal.setitimer(signal.ITIMER_REAL, self.seconds)
            try:
                return f(*arguments)
            finally:
                self.runs = False
                signal.setitimer(signal.ITIMER_REAL, 0)

        return limited


def _retried(f: Callable, retries: int) -> Callable:
    @functools.wraps(f)
    def retried(*arguments):
        for _ in range(retries):
            with contextlib.suppress(Exception):
                return f(*arguments)
        return f(*arguments)

    return retried


# --- results ----------------------------------------------------------------


def _to_json(value: Any) -> str:
    return jsontext.dumps(value) + "\n"


_CELL = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def _to_tsv(value: Any) -> str:
    if isinstance(value, dict):
        value = value.values()
    elif isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
        value = (value,)
    return "\t".join(("" if cell is None else _to_text(cell)).translate(_CELL) for cell in value) + "\n"


def _to_text(value: Any) -> str:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, (bytes, bytearray)) else str(value)


def _to_line(value: Any) -> str:
    if isinstance(value, (types.FunctionType, types.MethodType, types.BuiltinFunctionType, type)):
        raise ValueError(f"the result is a function, {getattr(value, '__qualname__', value)}, which nothing calls: write its arguments behind it")
    return "" if value is None else _to_text(value) + "\n"


_FORMS = {"lines": _to_line, "json": _to_json, "tsv": _to_tsv}


def _encoded(text: str) -> bytes:
    """Bytes that were no UTF-8 come out as they were."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace")


class _Printed(io.RawIOBase):
    """Keeps what is printed while a record is worked on, which is the one that has no result yet."""

    def __init__(self, results: list) -> None:
        self.results = results
        self.pieces: dict[int, bytes] = {}

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        index = len(self.results)
        self.pieces[index] = self.pieces.get(index, b"") + bytes(data)
        return len(data)


# --- jobs and chunks --------------------------------------------------------


class Job:
    """What one `pxrun map` wants of its engines; the keys are those that bin/map_chunk.c sends."""

    def __init__(self, wants: dict[str, Any]) -> None:
        self.wants = wants
        self.code = os.fsdecode(wants["code"])
        self.header: list[str] = next(csv.reader([os.fsdecode(wants["header"])]), [])
        self.timed = bool(wants["log"])
        self.form = _FORMS[wants["output"]]
        self.command = self._command() if wants["shell"] else None
        self.limit: _Limit | None = None
        self.loop: Callable | None = None
        self.numbered = True
        if wants["dry"]:
            self.function: Callable = self._shown
            return
        self._initialize(os.fsdecode(wants["init"]))
        self.limit = _Limit(wants["timeout"]) if wants["timeout"] else None
        if self.command:
            f = cast(Callable, self.command)
        elif _IMPORTABLE.fullmatch(self.code):
            f, self.numbered = _imported(self.code), False
        else:
            tree, name = _parsed(self.code), _NAMES[wants["input"]]
            f, self.numbered = _expression(tree, name)
            if wants["input"] == "lines" and not (self.timed or self.limit or wants["retries"]):
                self.loop = _loop(tree, name)
        f = self._reading(f)
        if self.limit:
            f = self.limit.applied_to(f)
        self.function = _retried(f, wants["retries"]) if wants["retries"] else f

    def _command(self) -> _Command:
        colsep = os.fsdecode(self.wants["colsep"])
        split = (lambda text: next(csv.reader([text]))) if self.wants["input"] == "csv" else _splitter(colsep) if colsep else None
        return _Command(self.code, split, self.header)

    def _shown(self, text: str, n: int) -> _Output:
        """What would run, for --dry-run."""
        return _Output(_encoded((self.command.line(text, n) if self.command else self.title(text, n)) + "\n"))

    def _reading(self, f: Callable) -> Callable:
        """The function of the text of a record."""
        if self.wants["input"] == "json":
            return lambda text, *n: f(json.loads(text), *n)
        if self.wants["input"] == "csv" and not self.command:
            return lambda text, *n: f(dict(zip(self.header, next(csv.reader([text])))), *n)
        return f

    def _initialize(self, code: str) -> None:
        if not code:
            return
        try:
            exec(compile(code, "<--init>", "exec", dont_inherit=True), sys.modules["__main__"].__dict__)
        except Exception as error:
            raise Unusable(f"--init: {failure.words(error)}") from error

    def title(self, text: str, n: int) -> str:
        """The last column of the job log."""
        words = f"{self.code} {text}"
        if self.command:
            with contextlib.suppress(csv.Error):  # it has no columns, and has failed
                words = self.command.line(text, n)
        return words.translate(_CELL)


class _Chunk:
    def __init__(self, job: Job, first: int, texts: list[str]) -> None:
        self.job, self.first, self.texts = job, first, texts
        self.results: list = []
        self.times: list[tuple[float, float]] = []  # when each began, and how long it took
        self.interrupted = ""
        self.printed = _Printed(self.results)

    def run(self) -> None:
        texts = iter(self.texts)
        while len(self.results) < len(self.texts):
            try:
                self._go_on(texts)
            except KeyboardInterrupt as error:
                self.interrupted = self._words(len(self.results), error)
                return
            except BaseException as error:
                self.results.append(_Failed(error))
                if not self.job.wants["keep_going"]:
                    return

    def _go_on(self, texts: Any) -> None:
        """Until one raises; the results of those before it are there then."""
        job, results = self.job, self.results
        if job.loop:
            return job.loop(texts, results.append)
        numbers = [itertools.count(self.first + len(results))] * job.numbered
        results.extend(map(self._timed(job.function) if job.timed else job.function, texts, *numbers))
        if len(results) < len(self.texts):
            raise RuntimeError("the function raised StopIteration")

    def _timed(self, f: Callable) -> Callable:
        def timed(*arguments):
            began, t0 = time.time(), time.perf_counter()
            try:
                return f(*arguments)
            finally:
                self.times.append((began, time.perf_counter() - t0))

        return timed

    def reply(self, began_ns: int) -> list:
        """Payload, records done, time, failures, lines of the log, words about an interrupt."""
        done = len(self.results)
        failures: list[tuple[int, BaseException]] = []
        log = b""
        try:
            if self.printed.pieces or self.job.timed or self.job.form is not _to_line:
                raise TypeError
            payload = _encoded("\n".join(self.results) + "\n" * (done > 0))
        except TypeError:
            texts, failures = self._one_by_one()
            done = len(texts)
            payload = b"".join(texts)
            if self.job.timed:
                log = _encoded("".join(map(self._log_line, range(done), map(len, texts))))
        words = [[index, self._words(index, error)] for index, error in failures]
        return [payload, done, time.perf_counter_ns() - began_ns, words, log, self.interrupted]

    def _one_by_one(self) -> tuple[list[bytes], list[tuple[int, BaseException]]]:
        texts: list[bytes] = []
        failures: list[tuple[int, BaseException]] = []
        for index, value in enumerate(self.results):
            text = b""
            if not isinstance(value, (_Failed, _Output)):
                try:
                    text = _encoded(self.job.form(value))
                except Exception as error:
                    value = self.results[index] = _Failed(error)
            if isinstance(value, _Failed):
                failures.append((index, value.error))
                text = getattr(value.error, "output", b"")
            elif isinstance(value, _Output):
                text = value
            texts.append(self.printed.pieces.get(index, b"") + text)
            if failures and not self.job.wants["keep_going"]:
                break
        return texts, failures

    def _log_line(self, index: int, received: int) -> str:
        """As GNU parallel's: Seq, Host, Starttime, JobRuntime, Send, Receive, Exitval, Signal, Command."""
        began, took = self.times[index]
        error = getattr(self.results[index], "error", None)
        code, number = (error.code, error.number) if isinstance(error, CommandFailed) else (int(error is not None), 0)
        text, n = self.texts[index], self.first + index
        sent = len(_encoded(text))
        return f"{n}\t:\t{began:.3f}\t{took:10.3f}\t{sent}\t{received}\t{code}\t{number}\t{self.job.title(text, n)}\n"

    def _words(self, index: int, error: BaseException) -> str:
        """Which record, and why; with a traceback if the job ends by it."""
        text = self.texts[index]
        record = repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")
        why = str(error) if isinstance(error, (CommandFailed, TimeoutError)) else failure.words(error) + _hint(error)
        said = f"record {self.first + index}, {record}: {why}"
        if self.job.wants["keep_going"] or isinstance(error, (CommandFailed, TimeoutError, KeyboardInterrupt)):
            return said
        tb = error.__traceback__
        while tb and tb.tb_frame.f_code.co_filename == __file__:
            tb = tb.tb_next
        if not tb or not tb.tb_next and tb.tb_frame.f_code.co_filename == "<function>":  # says nothing that is not seen
            return said
        return said + "\n" + "".join(traceback.format_tb(tb)).rstrip()


def _hint(error: BaseException) -> str:
    name = getattr(error, "name", None) if type(error) is NameError else None
    if not name:
        return ""
    hints = []
    if importlib.util.find_spec(name):
        hints.append(f"--init 'import {name}' imports it")
    if _is_command(name):
        hints.append(f"a shell command is behind -c: -c {name}")
    return f" ({'; '.join(hints)})" if hints else ""


_jobs: collections.OrderedDict[str, Job] = collections.OrderedDict()


def _job(wants: dict[str, Any]) -> Job:
    """The job, which is made ready once in each engine."""
    job = _jobs.get(wants["id"])
    if job is None:
        job = _jobs[wants["id"]] = Job(wants)
        while len(_jobs) > _JOBS_KEPT:
            _jobs.popitem(last=False)
    return job


@contextlib.contextmanager
def _in_folder(folder: bytes):
    """Relative paths, and modules, are those of where the command was called, also in a pool of somewhere else."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def run(wants: dict[str, Any], first: int, data: bytes) -> list:
    """Works on records, each of which ends with the separator. See _Chunk.reply() for what it gives."""
    began_ns = time.perf_counter_ns()
    with _in_folder(wants["folder"]):
        job = _job(wants)
        texts = data.decode("utf-8", "surrogateescape").split(wants["separator"])
        texts.pop()
        chunk = _Chunk(job, first, texts)
        stdout = io.TextIOWrapper(cast(Any, chunk.printed), "utf-8", "surrogateescape", write_through=True)
        with contextlib.redirect_stdout(stdout), job.limit or contextlib.nullcontext():
            chunk.run()
    return chunk.reply(began_ns)
