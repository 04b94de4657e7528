# SPDX-License-Identifier: BSD-3-Clause
"""Progress bars, one at a time: tqdm's, or a line of text where it is not installed."""
from __future__ import annotations

import contextlib
import os
import sys
import time
import weakref
from typing import Any, Callable, Iterator, TypeVar

from . import ipython
from .deadline import check_return_when, end_of, left

#: Seconds between two looks at how far a result is; the share of the time that they may take.
INTERVAL, _SHARE = 0.1, 0.1

_T = TypeVar("_T")


def is_noninteractive() -> bool:
    """Whether ipyparallel's variable says that nobody watches, as where notebooks are built."""
    return _is_set("IPP_NONINTERACTIVE")


def _is_set(variable: str) -> bool:
    return os.environ.get(variable, "0") not in ("", "0")


class Progress:
    """The part of AsyncResult that shows a bar while it waits."""

    def wait_interactive(
        self: Any,
        interval: float = INTERVAL,
        timeout: float | None = -1,
        widget: bool | None = None,
        return_when: str = "ALL_COMPLETED",
    ) -> None:
        """Waits, and shows a progress bar of its elements; returns when all is done or the time is over.

        What engines print meanwhile stands above the bar. The bar goes to stderr; there is none if
        ``$IPP_NONINTERACTIVE`` or ``$TQDM_DISABLE`` is set, or while another one is shown.

        Parameters
        ----------
        interval : float
            Seconds after which the bar is drawn again.
        timeout : float, optional
            Seconds; None or -1: for ever.
        widget : bool, optional
            Whether the bar is a notebook's widget; None: in a notebook that has ipywidgets.
        return_when : str
            FIRST_EXCEPTION ends the wait when an engine raised, FIRST_COMPLETED when one is done.
        """
        check_return_when(return_when)
        with self._with_bar(interval, widget):
            self._wait_for(return_when, timeout)

    _bar: "Bar | None" = None  # while it waits and shows one

    @contextlib.contextmanager
    def _with_bar(self: Any, interval: float = INTERVAL, widget: bool | None = None) -> Iterator[None]:
        """In a with statement: what waits by _in_slices() shows a bar."""
        if self._bar is not None:
            yield
            return
        with Bar(len(self), self._fname, interval, widget) as bar:
            self._bar = bar
            try:
                yield
            finally:
                self._bar = None
                bar.update(self.progress - bar.n)

    def _in_slices(self: Any, wait: Callable[[float | None, Any], _T], timeout: float | None, always: bool = False) -> _T:
        """What wait(timeout, shower) returns: falsy if the time is over. A bar, or `always`, has it called every 0.1 s."""
        end = end_of(timeout)
        while True:
            seconds, shower = left(end), self._shower()
            last = not (always or self._bar) or seconds is not None and seconds <= INTERVAL
            found = wait(seconds if last else INTERVAL, shower)
            if found or last:
                return found
            if self._bar:
                self._bar.look(self)


#: The bar that is shown: a second one would only be in its way.
_shown: weakref.ref | None = None


class Bar:
    """A progress bar in a with statement; it shows nothing where that is not wanted, or another one is shown.

    Parameters
    ----------
    total : int or None
        The number of elements; None: not known.
    name : str
        What stands before it.
    interval, widget
        As of `Progress.wait_interactive`.

    Attributes
    ----------
    n : int
        How many elements are done.
    """

    def __init__(self, total: int | None, name: str, interval: float = INTERVAL, widget: bool | None = None) -> None:
        global _shown
        self.n, self._inner, self._next_look = 0, None, 0.0
        other = None if _shown is None else _shown()
        # one without an inner bar was interrupted as it was made, and a traceback keeps it
        shown = other is not None and other._inner is not None
        if not shown and not is_noninteractive() and not _is_set("TQDM_DISABLE"):
            _shown = weakref.ref(self)
            self._inner = _new(total, name, interval, widget)

    def look(self, ar: Any) -> None:
        """Shows how far a result is; seldom if it has so many entries that to look takes long."""
        began = time.monotonic()
        if began >= self._next_look:
            self.update(ar.progress - self.n)
            self._next_look = began + (time.monotonic() - began) / _SHARE

    def update(self, more: int) -> None:
        """So many elements more are done."""
        self.n += more
        if self._inner is not None:
            self._inner.update(more)

    def close(self) -> None:
        """Leaves it as it is; nothing if that was done before."""
        global _shown
        inner, self._inner = self._inner, None
        if inner is not None:
            _shown = None
            inner.close()

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *exc: Any) -> None:
        self.close()

    def __del__(self) -> None:
        with contextlib.suppress(Exception):  # Python ends
            self.close()


@contextlib.contextmanager
def above() -> Iterator[None]:
    """In a with statement: what is printed there stands above a bar that is shown, also one of the user's, and does not tear it."""
    bar = None if _shown is None else _shown()
    inner = None if bar is None else bar._inner
    if isinstance(inner, _TextBar):
        inner.clear()
        try:
            yield
        finally:
            inner.refresh()
        return
    tqdm = sys.modules.get("tqdm")
    if tqdm is None or not getattr(tqdm.tqdm, "_instances", None):
        yield
        return
    with tqdm.tqdm.external_write_mode():
        yield


def _new(total: int | None, name: str, interval: float, widget: bool | None) -> Any:
    in_kernel = hasattr(ipython.running(), "kernel")
    try:
        import tqdm
    except ImportError:
        return _TextBar(total, name, _DisplayedLine() if in_kernel else sys.stderr)
    # miniters: also if none is done, so that the time shows that it is alive
    options: dict[str, Any] = {"desc": name, "total": total, "unit": "tasks", "mininterval": interval, "miniters": 0}
    if (in_kernel if widget is None else widget) and _has_widgets():
        import tqdm.notebook

        return tqdm.notebook.tqdm(**options)
    return tqdm.tqdm(**options, file=_DisplayedLine() if in_kernel else sys.stderr, dynamic_ncols=not in_kernel)


def _has_widgets() -> bool:
    import importlib.util

    return importlib.util.find_spec("ipywidgets") is not None


class _DisplayedLine:
    """A file for the bar in a notebook without widgets: one output, which is replaced, instead of many lines."""

    encoding = "utf-8"  # tqdm asks which characters it may use

    def __init__(self) -> None:
        from IPython.display import display

        self._handle = display({"text/plain": ""}, raw=True, display_id=True)

    def write(self, text: str) -> None:
        line = text.strip("\r\n")
        if line.strip():
            self._handle.update({"text/plain": line}, raw=True)

    def flush(self) -> None:
        pass


class _TextBar:
    """A bar where there is no tqdm: one line that is rewritten."""

    def __init__(self, total: int | None, name: str, file: Any) -> None:
        self.n, self._name, self._file = 0, name, file
        self._of = "" if total is None else f"/{total}"
        self._began = self._drawn = time.monotonic()
        self.refresh()

    def update(self, more: int) -> None:
        self.n += more
        if time.monotonic() - self._drawn >= INTERVAL:
            self.refresh()

    def refresh(self) -> None:
        self._drawn = time.monotonic()
        print(f"\r{self._line()}", end="", file=self._file, flush=True)

    def clear(self) -> None:
        print(f"\r{' ' * len(self._line())}\r", end="", file=self._file, flush=True)

    def close(self) -> None:
        self.refresh()
        print(file=self._file)

    def _line(self) -> str:
        return f"{self._name}: {self.n}{self._of} tasks done after {time.monotonic() - self._began:4.0f} s"
