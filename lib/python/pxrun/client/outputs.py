# SPDX-License-Identifier: BSD-3-Clause
"""The part of AsyncResult that shows engines' output, and progress bars."""
from __future__ import annotations

import codecs
import contextlib
import pickle
import sys
import threading
import time
from typing import Any, Iterator

from ..datapub import DISPLAY, STDERR, STDOUT

_STREAMS = {STDOUT: "stdout", STDERR: "stderr"}


class Outputs:
    """The part of AsyncResult that shows output and progress."""

    def wait_for_output(self, timeout: float | None = -1) -> bool:
        """Waits until all output has arrived, which engines send before the reply; whether it has."""
        return self._result.wait(timeout)  # type: ignore[attr-defined]

    def display_outputs(self: Any, groupby: str = "type", result_only: bool = False) -> None:
        """Shows what the engines printed and displayed, and the values of last expressions.

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
        found = [self.metadata] if self._single else self.metadata
        replies = [self._outcome(i)[0] for i in range(self._count)]
        if groupby == "engine":
            for one, reply in zip(found, replies):
                if not result_only:
                    _show_streams([one], self._single)
                    _show_objects([(one["engine_id"], o) for o in one["outputs"]], self._single)
                _show_value(reply)
            return
        if not result_only:
            _show_streams(found, self._single)
            objects = [(m["engine_id"], o) for m in found for o in m["outputs"]]
            if groupby == "order":
                most = max(len(m["outputs"]) for m in found)
                objects = [(m["engine_id"], m["outputs"][i]) for i in range(most) for m in found if i < len(m["outputs"])]
            _show_objects(objects, self._single)
        for reply in replies:
            _show_value(reply)

    @contextlib.contextmanager
    def stream_output(self, errors: bool = True) -> Iterator[None]:
        """In a with statement: shows output as it arrives, beginning with what has arrived already; with `errors` also errors."""
        stop = threading.Event()
        live = _Live(self, errors)
        live.show()
        thread = threading.Thread(target=_keep_showing, args=(live, stop), name="pxrun-output", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            live.show(last=True)

    def wait_interactive(
        self: Any, interval: float = 0.1, timeout: float | None = -1, widget: bool | None = None, return_when: str = "ALL_COMPLETED"
    ) -> None:
        """Waits, and shows a progress bar; returns when all is done or the time is over.

        Parameters
        ----------
        interval : float
            Seconds between two looks.
        timeout : float, optional
            Seconds; None or negative: for ever.
        widget : bool, optional
            Whether the bar is a notebook's widget; None: in a notebook that has ipywidgets.
        return_when : str
            FIRST_EXCEPTION ends the wait when an engine raised, FIRST_COMPLETED when one is done.
        """
        reached = self._reached(return_when)
        end = None if timeout is None or timeout < 0 else time.monotonic() + timeout
        bar = _bar(len(self), self._fname, widget)
        try:
            over = False
            while not over:
                left = interval if end is None else min(interval, end - time.monotonic())
                over = self._wait_until(reached, max(left, 0.0)) or left < interval
                bar.update(self.progress - bar.n)
        finally:
            bar.close()


# --- showing ------------------------------------------------------------------


def _show_text(text: str, prefix: str, file: Any) -> None:
    """Shows text with a prefix: on the same line if it is one line, else above it."""
    if not text:
        return
    if prefix and "\n" in text[:-1]:
        prefix += "\n"
    elif prefix:
        prefix += " "
    print(prefix + text, end="" if text.endswith("\n") else "\n", file=file)


def _show_streams(found: list, bare: bool) -> None:
    for name, file in (("stdout", sys.stdout), ("stderr", sys.stderr)):
        for one in found:
            _show_text(one[name], "" if bare else f"[{name}:{one['engine_id']}]", file)


def _show_objects(objects: list, bare: bool) -> None:
    """Shows displayed objects; an engine's number is shown once for consecutive ones."""
    before = None
    for engine, found in objects:
        if engine != before and not bare:
            print(f"[output:{engine}]")
        before = engine
        _show_object(found["data"], {**found["metadata"], "engine": engine})


def _in_ipython() -> bool:
    ipython = sys.modules.get("IPython")
    return ipython is not None and ipython.get_ipython() is not None


def _show_object(data: dict, metadata: dict) -> None:
    if _in_ipython():
        from IPython.display import publish_display_data

        publish_display_data(data, metadata)
    else:
        print(data.get("text/plain", f"<an object as {', '.join(data)}>"))


def _show_value(reply: Any) -> None:
    """Shows the value of a last expression, from execute(silent=False)."""
    if getattr(reply, "execute_result", None) is None:
        return
    if _in_ipython():
        from IPython.display import display

        display(reply)
    else:
        print(reply.pretty())


# --- showing output as it arrives ----------------------------------------------


class _Live:
    """How much of a result's output has been shown."""

    def __init__(self, ar: Any, errors: bool) -> None:
        self.ar = ar
        self.errors = errors
        self.at = [(0, 0)] * ar._count  # the next piece of output, and where in it
        self.failed: set[int] = set()
        make = codecs.getincrementaldecoder("utf-8")
        self.decoders = {(i, s): make("replace") for i in range(ar._count) for s in _STREAMS}
        self.lines = dict.fromkeys(self.decoders, "")  # the incomplete last line of each

    def show(self, last: bool = False) -> None:
        self.ar.ready()
        for i in range(self.ar._count):
            done = self.ar._result.done(i)
            self._show_entry(i, done or last)
            if self.errors and done and i not in self.failed and self.ar._outcome(i)[1] is not None:
                self.failed.add(i)
                self._show_error(i, self.ar._outcome(i)[1])

    def _show_entry(self, i: int, all_of_it: bool) -> None:
        piece, offset = self.at[i]
        for which, chunk in self.ar._result.chunks(i)[piece:]:
            if which in _STREAMS:
                self._show_part(i, which, chunk[offset:])
            elif which == DISPLAY and offset == 0:
                data, metadata = pickle.loads(chunk)
                _show_objects([(self.ar.targets[i], {"data": data, "metadata": metadata})], self.ar._single)
            self.at[i] = piece, len(chunk)
            piece, offset = piece + 1, 0
        if all_of_it:
            for which in _STREAMS:
                self._show_lines(i, which, self.lines[i, which])
                self.lines[i, which] = ""

    def _show_part(self, i: int, which: int, chunk: bytes) -> None:
        text = self.lines[i, which] + self.decoders[i, which].decode(chunk)
        lines, end, rest = text.rpartition("\n")
        self._show_lines(i, which, lines + end)
        self.lines[i, which] = rest

    def _show_lines(self, i: int, which: int, text: str) -> None:
        prefix = "" if self.ar._single else f"[{_STREAMS[which]}:{self.ar.targets[i]}]"
        _show_text(text, prefix, sys.stdout if which == STDOUT else sys.stderr)

    def _show_error(self, i: int, exception: Any) -> None:
        info = getattr(exception, "engine_info", {})
        lines = exception.render_traceback() if hasattr(exception, "render_traceback") else [f"{type(exception).__name__}: {exception}"]
        print(f"[{self.ar.targets[i]}:{info.get('method', 'apply')}]:", *lines, sep="\n", file=sys.stderr)


def _keep_showing(live: _Live, stop: threading.Event) -> None:
    nap = 0.02
    while not stop.wait(nap):
        began = time.monotonic()
        live.show()
        # each look copies all output: with much output, look less often
        nap = max(0.02, 5 * (time.monotonic() - began))


# --- progress -----------------------------------------------------------------


class _TextBar:
    """A progress bar where there is no tqdm: one line that is rewritten."""

    def __init__(self, total: int, desc: str) -> None:
        self.n, self.total, self.desc = 0, total, desc
        self.began = time.monotonic()
        self.update(0)

    def update(self, more: int) -> None:
        self.n += more
        spent = time.monotonic() - self.began
        print(f"\r{self.desc}: {self.n}/{self.total} tasks done after {spent:4.0f} s", end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        print(file=sys.stderr)


def _bar(total: int, name: str, widget: bool | None) -> Any:
    try:
        import tqdm
        import tqdm.notebook
    except ImportError:
        return _TextBar(total, name)
    kind: Any = tqdm.notebook.tqdm if (_in_notebook() if widget is None else widget) else tqdm.tqdm
    return kind(desc=name, total=total, unit="tasks")


def _in_notebook() -> bool:
    if not _in_ipython() or not hasattr(sys.modules["IPython"].get_ipython(), "kernel"):
        return False
    import importlib.util

    return importlib.util.find_spec("ipywidgets") is not None
