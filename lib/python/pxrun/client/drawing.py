# SPDX-License-Identifier: BSD-3-Clause
"""Time lines and bars as SVG, and text in XML: readable on light and dark pages, without scripts."""
from __future__ import annotations

import html
import re
from typing import Any, Iterable, Sequence

from .spans import Span

#: Of medium lightness, for light and dark pages; text has the page's own colour.
COLOURS = {"waiting": "#8c929a", "running": "#d99a2b", "ok": "#4b87c6", "error": "#d64f5f", "aborted": "#a58bb5"}
WORDS = {"waiting": "waited", "running": "runs", "ok": "ran", "error": "failed", "aborted": "aborted"}
#: Pixels: of the picture, of the names of its rows, of half a number at its right, of a row.
_WIDTH, _LEFT, _RIGHT, _ROW = 720, 84, 24, 18
#: The most rows and bars that are drawn.
ROWS, BARS = 32, 300
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def text(anything: Any) -> str:
    """Text between tags of HTML and XML; what these cannot have is a question mark in a diamond."""
    return html.escape(_NO_XML.sub("\ufffd", str(anything)), quote=False)


def seconds(ns: float) -> str:
    """A duration as people read it."""
    if ns >= 600e9:
        return f"{ns / 60e9:.0f} min" if ns < 36000e9 else f"{ns / 3600e9:.0f} h"
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if ns >= size:
            return f"{ns / size:.3g} {unit}" if ns < 1000 * size else f"{ns / size:.0f} {unit}"
    return f"{ns:.0f} ns"


def share(part: float, whole: float, colour: str, width: int = 240) -> str:
    """A bar of which a part is full."""
    full = width * min(1.0, part / whole) if whole else 0.0
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="8" style="vertical-align:middle">'
        f'<rect width="{width}" height="8" rx="2" fill="#8c929a" fill-opacity=".3"/>'
        f'<rect width="{full:.1f}" height="8" rx="2" fill="{colour}"/></svg>'
    )


class _Bar:
    """One request, or several that are one at this scale."""

    def __init__(self, begin: int, end: int, span: Span, kind: str) -> None:
        self.begin, self.end, self.span, self.kind, self.count = begin, end, span, kind, 1

    def take(self, other: "_Bar") -> None:
        """Becomes one with another one, of the same kind."""
        self.end, self.count = max(self.end, other.end), self.count + other.count


class TimeLine:
    """Requests over time: a row for each engine, and one for what no engine has begun.

    Parameters
    ----------
    spans : iterable of Span
    now : int
        Nanoseconds since the epoch: where that ends which has not ended yet.
    """

    def __init__(self, spans: Iterable[Span], now: int) -> None:
        self.spans = list(spans)
        self.begin = min((s.submitted for s in self.spans), default=now)
        over = all([s.completed for s in self.spans])
        self.end = max([s.completed or s.submitted for s in self.spans] + ([] if over else [now]), default=now)
        self.end = max(self.end, self.begin + 1000)
        engines = {s.engine for s in self.spans}
        rows = sorted(e for e in engines if e is not None) + [None] * (None in engines)  # type: ignore[list-item]
        self.rows: list[int | None] = rows[:ROWS]
        self.left_out = len(rows) - len(self.rows)

    def svg(self) -> str:
        """The picture."""
        height = _ROW * len(self.rows) + 22
        by_kind: dict[str, list[str]] = {}
        for row, bar in self._bars():
            by_kind.setdefault(bar.kind, []).append(self._rect(row, bar))
        opacity = {"waiting": 0.6, "aborted": 0.6}
        groups = [
            f'<g fill="{colour}" fill-opacity="{opacity.get(kind, 1)}">{"".join(by_kind[kind])}</g>'
            for kind, colour in COLOURS.items()
            if kind in by_kind
        ]
        names = "".join(
            f'<text x="{_LEFT - 8}" y="{_ROW * n + 13}" text-anchor="end">{"not begun" if engine is None else f"engine {engine}"}</text>'
            for n, engine in enumerate(self.rows)
        )
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
            f'style="max-width:100%;height:auto;font:11px sans-serif" fill="currentColor">{self._axis(height - 20)}{names}{"".join(groups)}</svg>'
        )

    def _x(self, ns: int) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (ns - self.begin) / (self.end - self.begin)

    def _axis(self, bottom: int) -> str:
        step = _round_step((self.end - self.begin) / 5)
        ticks = [step * n for n in range(int((self.end - self.begin) / step) + 1)]
        lines = "".join(f'<path d="M{self._x(self.begin + round(t)):.1f} 0V{bottom}"/>' for t in ticks)
        words = "".join(
            f'<text x="{self._x(self.begin + round(t)):.1f}" y="{bottom + 14}" text-anchor="middle">{seconds(t) if t else "0"}</text>' for t in ticks
        )
        return f'<g stroke="currentColor" stroke-opacity=".2">{lines}</g><g fill-opacity=".75">{words}</g>'

    def _rect(self, row: int, bar: _Bar) -> str:
        """A request in its row; below it a thin line where it waited."""
        x, width = self._x(bar.begin), max(1.0, self._x(bar.end) - self._x(bar.begin) - 0.5)
        y, height = (14, 2) if bar.kind == "waiting" and self.rows[row] is not None else (3, 10)
        title = _title(bar.span) if bar.count == 1 else f"{bar.count} × {bar.span.name}: {WORDS[bar.kind]}"
        return (
            f'<rect x="{x:.1f}" y="{_ROW * row + y}" width="{width:.1f}" height="{height}"><title>{text(title)}</title></rect>'
        )

    def has_waited(self) -> bool:
        """Whether it has lines of what waited."""
        return any(bar.kind == "waiting" for span in self.spans for bar in self._of(span))

    # --- bars

    def _bars(self) -> list[tuple[int, _Bar]]:
        """What is drawn, with its row: where there are too many, those that are closest together are one."""
        places = {engine: n for n, engine in enumerate(self.rows)}
        rows: dict[tuple[int, bool], list[_Bar]] = {}
        for span in self.spans:
            if span.engine in places:
                for bar in self._of(span):
                    rows.setdefault((places[span.engine], bar.kind == "waiting"), []).append(bar)
        for bars in rows.values():
            bars.sort(key=lambda bar: bar.begin)
        gap = self._pixel() / 2
        while True:
            drawn = [(row, bar) for (row, _), bars in rows.items() for bar in _merged(bars, gap)]
            if len(drawn) <= BARS or gap > self.end - self.begin:
                return drawn[:BARS]
            gap *= 2

    def _of(self, span: Span) -> list[_Bar]:
        if span.completed and not span.started:
            return [_Bar(span.submitted, span.completed, span, span.state)]
        found = [_Bar(span.started, span.completed or self.end, span, span.state)] if span.started else []
        waited = (span.started or self.end) - span.submitted
        if waited > self._pixel() or not found:
            found.append(_Bar(span.submitted, span.submitted + waited, span, "waiting"))
        return found

    def _pixel(self) -> float:
        """Nanoseconds."""
        return (self.end - self.begin) / (_WIDTH - _LEFT - _RIGHT)


def _merged(bars: Sequence[_Bar], gap: float) -> list[_Bar]:
    """The same; as one, those of one kind that would touch each other and are too short to be told apart, and what waits together."""
    found: list[_Bar] = []
    for bar in bars:
        last = found[-1] if found else None
        if last is not None and bar.begin - last.end <= gap and (bar.kind == last.kind == "waiting" or _are_one(last, bar, gap)):
            last.take(bar)
        else:
            copy = _Bar(bar.begin, bar.end, bar.span, bar.kind)
            copy.count = bar.count
            found.append(copy)
    return found


def _are_one(a: _Bar, b: _Bar, gap: float) -> bool:
    return a.kind == b.kind and min(a.end - a.begin, b.end - b.begin) <= 4 * gap


def _title(span: Span) -> str:
    """What one sees who points at a bar."""
    parts = [f"{span.name}{f' ({span.label})' if span.label else ''}"]
    if span.engine is not None:
        parts.append(f"engine {span.engine}")
    if span.started:
        parts.append(f"waited {seconds(span.started - span.submitted)}")
    if span.started and span.completed:
        parts.append(f"ran {seconds(span.completed - span.started)}")
    parts.append(span.words or {"waiting": "waits", "running": "runs"}.get(span.state, ""))
    return ", ".join(part for part in parts if part)


def _round_step(ns: float) -> float:
    """1, 2 or 5 times a power of ten, not below that."""
    power = 10.0 ** (len(str(int(max(ns, 1)))) - 1)
    return next((power * n for n in (1, 2, 5) if power * n >= ns), power * 10)
