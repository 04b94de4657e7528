# SPDX-License-Identifier: BSD-3-Clause
"""The part of AsyncResult that shows engines' output."""
from __future__ import annotations

import contextlib
import functools
import itertools
import operator
import sys
import threading
import time
from typing import Any, Callable, Iterator

from ..datapub import DISPLAY, STDERR, STDOUT, displayed
from ..error import CompositeError
from . import bounded, ipython
from .progress import above

_STREAMS = {STDOUT: "stdout", STDERR: "stderr"}


def is_shown(output: str) -> bool:
    """What views and clients have as `output`; ValueError for what is none."""
    if output not in ("show", "keep"):
        raise ValueError(f"output is 'show' or 'keep', not {output!r}")
    return output == "show"


#: Seconds between two looks at what engines have printed, while a call waits.
LOOK = 0.1


class Outputs:
    """The part of AsyncResult that shows output."""

    _shown = False  # whether that, or stream_output(), has shown something

    def _shower(self) -> Callable[[Any], None] | None:
        """What the extension is to call while it waits."""
        return self._show_news if self._shows else None

    def _show_news(self, result: Any) -> None:
        self._shown = show_news(result) or self._shown

    def wait_for_output(self, timeout: float | None = -1) -> bool:
        """Waits until all output has arrived, which engines send before the reply; whether it has."""
        return self._result.wait(timeout)  # type: ignore[attr-defined]

    def display_outputs(self: Any, groupby: str = "type", result_only: bool = False) -> None:
        """Shows what the engines printed and displayed, and the values of last expressions.

        What was shown already while the result was waited for, or by stream_output(), is not shown again. In a
        notebook only the beginning and the end of long text are shown.

        Parameters
        ----------
        groupby : 'type', 'engine' or 'order'
            'type': all of stdout, then all of stderr, and so on; 'engine': engine by engine; 'order':
            as 'type', but displayed objects in turn, the first of each engine, then the second.
        result_only : bool
            Whether to show only the values, as is right after `stream_output`.
        """
        if groupby not in ("type", "engine", "order"):
            raise ValueError(f"groupby is 'type', 'engine' or 'order', not {groupby!r}")
        self._must_be_ready()
        self._asked = True
        if self._shown:
            self._show_news(self._result)
        self._display(groupby, result_only or self._shown)
        if self._shows:
            for i in range(self._count):
                self._result.news(i)  # nor is it shown when the result is waited for later

    def _display(self: Any, groupby: str, result_only: bool) -> None:
        found = [self.metadata] if self._single else self.metadata
        replies = [self._outcome(i)[0] for i in range(self._count)]
        shortened = functools.partial(bounded.shortened, count=self._count, folder=self._result.folder)
        if groupby == "engine":
            for one, reply in zip(found, replies):
                if not result_only:
                    _show_streams([one], self._single, shortened)
                    _show_objects([(one["engine_id"], o) for o in one["outputs"]], self._single)
                _show_value(reply)
            return
        if not result_only:
            _show_streams(found, self._single, shortened)
            objects = [(m["engine_id"], o) for m in found for o in m["outputs"]]
            if groupby == "order":
                most = max(len(m["outputs"]) for m in found)
                objects = [(m["engine_id"], m["outputs"][i]) for i in range(most) for m in found if i < len(m["outputs"])]
            _show_objects(objects, self._single)
        for reply in replies:
            _show_value(reply)

    @contextlib.contextmanager
    def stream_output(self: Any, errors: bool = True) -> Iterator[None]:
        """In a with statement: shows output as it arrives, beginning with what has arrived already; with `errors` also errors."""
        stop = threading.Event()
        live = _Live(self, errors)
        shows, self._shows, self._shown = self._shows, False, True
        live.show()
        thread = threading.Thread(target=_keep_showing, args=(live, stop), name="pxrun-output", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            live.show()
            live.count_the_rest()
            self._shows = shows


# --- showing ------------------------------------------------------------------


def _show_text(text: str, prefix: str, file: Any) -> None:
    """Shows text with a prefix: on the same line if it is one line, else above it."""
    if not text:
        return
    if prefix and "\n" in text[:-1]:
        prefix += "\n"
    elif prefix:
        prefix += " "
    _write(prefix + text + ("" if text.endswith("\n") else "\n"), file)


def _file(which: int) -> Any:
    return sys.stdout if which == STDOUT else sys.stderr


def _show_streams(found: list, bare: bool, shortened: Callable[[str], str]) -> None:
    for name, file in (("stdout", sys.stdout), ("stderr", sys.stderr)):
        for one in found:
            _show_text(shortened(one[name]), "" if bare else f"[{name}:{one['engine_id']}]", file)


def _show_objects(objects: list, bare: bool) -> None:
    """Shows displayed objects; an engine's number is shown once for consecutive ones, and not where one changes its place's content."""
    before = None
    for engine, found in objects:
        if not (bare or engine == before or found.get("update") and bounded.in_notebook()):
            print(f"[output:{engine}]")
            before = engine
        _show_object(engine, **found)


def _painted(lines: list[str]) -> str:
    """Lines of tracebacks as a text, in IPython's colours where that runs."""
    shell = ipython.running()
    if shell is None:
        return "\n".join(lines)
    from .prompt import painted

    return painted(shell, lines)


def _show_object(engine: int, data: dict, metadata: dict, transient: dict | None = None, update: bool = False) -> None:
    if ipython.running() is not None:
        from IPython.display import publish_display_data

        more: dict = {"update": update} if transient else {}
        if transient:  # an id that code gave is the same on all engines
            more["transient"] = {**transient, "display_id": f"{transient['display_id']} of engine {engine}"}
        try:
            publish_display_data(data, {**metadata, "engine": engine}, **more)
        except Exception as e:  # what the engine sent is nothing for this IPython
            _write(f"[pxrun: what is displayed here cannot be shown: {type(e).__name__}: {e}]\n", sys.stdout)
    else:
        _write(f"{data.get('text/plain', '<an object as ' + ', '.join(map(str, data)) + '>')}\n", sys.stdout)


def _show_value(reply: Any) -> None:
    """Shows the value of a last expression, from execute(silent=False)."""
    if getattr(reply, "execute_result", None) is None:
        return
    if ipython.running() is not None:
        from IPython.display import display

        display(reply)
    else:
        print(reply.pretty())


# --- showing output as it arrives ----------------------------------------------


def show_news(result: Any) -> bool:
    """Shows what the engines of a result have printed and displayed since the last time; whether that was something.

    Each line has its own mark, for it may stand among those of others. A stream that cannot show it
    is not worth losing a result.
    """
    shown = False
    for i in range(result.count):
        news = bounded.news(result, i)
        if news:
            shown = True
            with above():
                _show_chunks(result.engine(i), news, False, _show_lines)
    return shown


def _show_chunks(engine: Any, chunks: list, bare: bool, show_text: Callable[[bytes, int, str], None]) -> None:
    """Shows output in order; show_text(text, which, mark) shows what was printed."""
    for which, some in itertools.groupby(chunks, operator.itemgetter(0)):
        if which in _STREAMS:
            show_text(b"".join(chunk for _, chunk in some), which, f"[{_STREAMS[which]}:{engine}]")
        elif which == DISPLAY:
            _show_objects([(engine, displayed(chunk)) for _, chunk in some], bare)


def _show_lines(text: bytes, which: int, mark: str) -> None:
    lines = text.decode("utf-8", "replace").splitlines()
    _write("".join(f"{mark} {line}\n" for line in lines), _file(which))


def _write(text: str, file: Any) -> None:
    try:
        print(text, end="", file=file, flush=True)
    except UnicodeEncodeError:
        print(text.encode("ascii", "backslashreplace").decode(), end="", file=file, flush=True)
    except (OSError, ValueError):  # closed
        pass


class _Live:
    """A result whose output is shown while it runs, and of which engines the errors have been."""

    def __init__(self, ar: Any, errors: bool) -> None:
        self.ar = ar
        self.errors = errors
        self.failed: set[int] = set()

    def show(self) -> None:
        self.ar.ready()
        for i in range(self.ar._count):
            done = self.ar._result.done(i)
            news = bounded.news(self.ar._result, i)
            if news:
                with above():
                    _show_chunks(self.ar._engine(i), news, self.ar._single, self._show_block)
            if self.errors and done and i not in self.failed and self.ar._outcome(i)[1] is not None:
                self.failed.add(i)
                if len(self.failed) <= CompositeError.tb_limit:
                    with above():
                        self._show_error(i, self.ar._outcome(i)[1])

    def _show_block(self, text: bytes, which: int, mark: str) -> None:
        _show_text(text.decode("utf-8", "replace"), "" if self.ar._single else mark, _file(which))

    def _show_error(self, i: int, exception: Any) -> None:
        info = getattr(exception, "engine_info", {})
        lines = exception.render_traceback() if hasattr(exception, "render_traceback") else [f"{type(exception).__name__}: {exception}"]
        print(_painted([f"[{self.ar._engine(i)}:{info.get('method', 'apply')}]:", *lines]), file=sys.stderr)

    def count_the_rest(self) -> None:
        """Says how many errors were not shown."""
        more = len(self.failed) - CompositeError.tb_limit
        if more > 0:
            print(f"... {more} more exceptions ...", file=sys.stderr)


def _keep_showing(live: _Live, stop: threading.Event) -> None:
    nap = 0.02
    while not stop.wait(nap):
        began = time.monotonic()
        live.show()
        nap = max(0.02, 5 * (time.monotonic() - began))  # much output leaves time for other threads
