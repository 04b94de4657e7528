# SPDX-License-Identifier: BSD-3-Clause
"""Pictures of clients, views and results, as HTML for notebooks."""
from __future__ import annotations

import json
import os
import threading
import time
from typing import Any, Iterable, Sequence

from .. import error
from . import drawing, spans
from .asyncresult import AsyncResult
from .drawing import COLOURS, TimeLine, seconds, share, text
from .viewbase import View

#: The most rows of a table; the most entries of a result that are looked at; seconds for which the supervisor is waited for.
_ROWS, _ENTRIES, _PATIENCE = 32, 5000, 1.0
_STATES = {"up": "#4a9d6b", "starting": "#d99a2b", "backoff": "#d99a2b"}


def html_of(shown: Any) -> str:
    """The picture of a client, a view or a result."""
    make = of_result if isinstance(shown, AsyncResult) else of_view if isinstance(shown, View) else of_client
    try:
        parts = make(shown)
    except error.PoolError as e:  # meanwhile
        parts = [_head(type(shown).__name__), _line(text(e))]
    return f'<div style="font-family:sans-serif;font-size:13px;line-height:1.5">{"".join(parts)}</div>'


# --- parts


def _head(name: str, more: str = "") -> str:
    return f'<div><b>{text(name)}</b>{" " + more if more else ""}</div>'


def _line(html: str) -> str:
    return f'<div style="opacity:.75;font-size:12px">{html}</div>'


def _code(words: Any) -> str:
    return f'<code style="background:none;color:inherit;padding:0">{text(words)}</code>'


def _dot(colour: str) -> str:
    return f'<span style="display:inline-block;width:8px;height:8px;border-radius:4px;margin-right:5px;background:{colour}"></span>'


def _table(names: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[int] = ()) -> str:
    """A table of cells that are HTML; right: the columns of numbers."""

    def row(tag: str, cells: Sequence[str], line: str) -> str:
        style = "background:none;border:0;padding:2px 14px 2px 0;color:inherit;white-space:nowrap;text-align:"
        made = (f'<{tag} style="{style}{"right" if i in right else "left"}">{cell}</{tag}>' for i, cell in enumerate(cells))
        return f'<tr style="background:none;border-bottom:1px solid rgba(128,128,128,{line})">{"".join(made)}</tr>'

    body = "".join(row("td", cells, ".15") for cells in rows)
    return (
        '<table style="color:inherit;background:none;border-collapse:collapse;border:0;margin:4px 0;font-size:12px;font-variant-numeric:tabular-nums">'
        f'<thead>{row("th", names, ".5")}</thead><tbody>{body}</tbody></table>'
    )


def _bytes(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            break
        count /= 1024
    else:
        unit = "TiB"
    return f"{count:.1f} {unit}" if unit != "B" and count < 100 else f"{count:.0f} {unit}"


def _count(n: int, word: str) -> str:
    return f"{n} {word}{'' if n == 1 else 's'}"


# --- the client


def of_client(client: Any) -> list[str]:
    """The pool: its engines and what they do, its memory."""
    name = type(client).__name__
    if client._core.closed:
        return [_head(name, "closed")]
    head = f"of {_code(client.profile)}"
    try:
        state = _status(client)
    except error.PoolError as e:
        return [_head(name, f"{head} {_dot(COLOURS['error'])}"), _line(text(e))]
    if state is None:
        words = f"The supervisor, process {client.supervisor_pid}, does not answer: it is stopped, or hangs."
        return [_head(name, f"{head} with {_count(len(client), 'engine')}"), _line(words)]
    engines = state["engines"]
    up = f"{_count(len(engines), 'engine')}, {text(state['state'])} for {seconds(state['uptime'] * 1e9)}"
    return [
        _head(name, f"{head}: {up}"),
        _engines(client, state) if engines else "",
        _memory(state["arena"]),
        _line(f"supervisor {state['pid']} · {_code(client.connection_file)}"),
    ]


def _status(client: Any) -> dict | None:
    """The pool's state; None: the supervisor does not answer at once."""
    found: list = []

    def ask() -> None:
        try:
            found.append(json.loads(client._core.status()))
        except Exception as e:
            found.append(e)

    thread = threading.Thread(target=ask, name="pxrun-picture", daemon=True)
    thread.start()
    thread.join(_PATIENCE)
    if not found:
        return None
    if isinstance(found[0], Exception):
        raise found[0]
    return found[0]


def _engines(client: Any, state: dict) -> str:
    engines = state["engines"]
    pids = {c["slot"]: c["pid"] for c in state["clients"]}
    shown = engines[:_ROWS] if len(engines) > _ROWS + 1 else engines
    mine = _own(client) if any(pids.get(e["client"]) == os.getpid() for e in shown) else {}
    rows = [_engine(e, pids, mine) for e in shown]
    more = engines[len(shown) :]
    busy = sum(e["busy"] is not None for e in more)
    names = ["engine", "process", "state", "runs", "for", "memory", "done"]
    table = _table(names, rows, (0, 1, 4, 5, 6))
    return table + (_line(f"and {_count(len(more), 'engine')} more, {busy} of them busy") if more else "")


def _engine(e: dict, pids: dict, mine: dict) -> list[str]:
    runs = ""
    if e["busy"] is not None:
        here = pids.get(e["client"]) == os.getpid()
        name = _code(mine[e["id"]]) if here and e["id"] in mine else "a call" if here else ""
        runs = name + ("" if here else f"for process {pids.get(e['client'], '?')}")
    why = f' <span style="opacity:.75">{text(e["why"])[:200]}</span>' if e["state"] != "up" and e.get("why") else ""
    return [
        str(e["id"]),
        str(e["pid"] or ""),
        _dot(_STATES.get(e["state"], COLOURS["error"])) + text(e["state"]) + why,
        runs,
        "" if e["busy"] is None else seconds(e["busy"] * 1e9),
        _bytes(e["in_use"]),
        str(e["done"]),
    ]


def _own(client: Any) -> dict[int, str]:
    """What engines run for this client, by id."""
    found: dict[int, str] = {}
    left = _ENTRIES
    for ar in client._sent.unfinished():
        for i in range(ar._count):
            if left == 0:
                return found
            left -= 1
            if not ar._result.done(i) and ar._result.running(i):
                found[ar._engine(i)] = spans.name_of(ar)
    return found


def _memory(arena: dict) -> str:
    words = f"{_bytes(arena['used'])} of {_bytes(arena['total'])} shared memory, {_bytes(arena['budget'])} free"
    if arena["limit"] != "arena":
        words += f" (bounded by the {arena['limit']})"
    return _line(f"{share(arena['used'], arena['total'], COLOURS['ok'])}&#160; {words}")


# --- views


def of_view(view: Any) -> list[str]:
    """Its engines, flags that were set, and what it has out."""
    targets = "all engines" if view.targets in (None, "all") else f"engine {view.targets}" if isinstance(view.targets, int) else ""
    if not targets:
        targets = f"engines {', '.join(map(str, view.targets[:_ROWS]))}"
        targets += f" and {len(view.targets) - _ROWS} more" if len(view.targets) > _ROWS else ""
    parts = [_head(type(view).__name__, f"of {targets}")]
    flags = _changed_flags(view)
    if flags:
        parts.append(_line(", ".join(_code(f"{name}={value}") for name, value in flags.items())))
    try:
        view.client._core.check_gone(-1)
    except error.PoolError as e:  # the client is closed, or the pool gone
        return [*parts, _line(text(e))]
    return [*parts, _outstanding(view._sent.unfinished())]


def _changed_flags(view: Any) -> dict[str, str]:
    """The flags that are not as they are at first, as their reprs in short."""
    first = object.__new__(type(view))
    first.client = view.client
    first.__dict__.update(_retries=0, _after=None, _follow=None)
    first._begin_flags(view.targets, {})
    names = [n for n in view._names if n != "targets" and getattr(view, n) != getattr(first, n)]
    found = {n: repr(getattr(view, n)) for n in names}
    if view._library:
        found["serializer"] = view._library
    return {n: value if len(value) < 60 else value[:57] + "..." for n, value in found.items()}


def _outstanding(results: list) -> str:
    if not results:
        return _line("nothing outstanding")
    now = time.time_ns()
    rows = []
    for ar in results[:10]:
        began = ar._result.times(0)[0]
        rows.append([_code(spans.name_of(ar)), text(spans.label_of(ar) or ""), f"{ar.progress} of {len(ar)}", seconds(now - began)])
    more = _line(f"and {len(results) - 10} more") if len(results) > 10 else ""
    return _table(["outstanding", "label", "done", "for"], rows, (2, 3)) + more


# --- results


def of_result(ar: Any) -> list[str]:
    """Its state, and the time line of its requests."""
    ready = ar.ready()
    step = max(1, -(-ar._count // _ENTRIES))
    line = TimeLine(spans.spans(ar, range(0, ar._count, step)), time.time_ns())
    counts = {state: sum(s.state == state for s in line.spans) for state in COLOURS}
    parts = [_head(type(ar).__name__, f"{_code(spans.name_of(ar))}: {_state(ar, ready, counts)}")]
    if not ready:
        parts.append(f"<div>{share(ar.progress, len(ar), COLOURS['ok'])}&#160; {ar.progress} of {len(ar)}</div>")
    parts.append(_line(_times(ar, ready)))
    if ar._count:
        parts += [line.svg(), _line(_legend(line, counts, step))]
    return parts


def _state(ar: Any, ready: bool, counts: dict[str, int]) -> str:
    word = "pending" if not ready else "failed" if counts["error"] else "aborted" if counts["aborted"] else "finished"
    bad = [f"{counts[state]} {what}" for state, what in (("error", "failed"), ("aborted", "aborted")) if counts[state]]
    return f"{word} ({' and '.join(bad)} of {sum(counts.values())} requests)" if bad and ar._count > 1 else word


def _times(ar: Any, ready: bool) -> str:
    elapsed = ar.elapsed
    taken = f"{seconds(elapsed * 1e9)}{'' if ready else ' so far'}"
    label = f"label {_code(spans.label_of(ar))} · " if ar._label else ""
    if not ready or not elapsed:
        return label + taken
    computed = ar.serial_time
    return f"{label}{taken} · engines computed for {seconds(computed * 1e9)}, {computed / elapsed:.1f} at a time"


def _legend(line: TimeLine, counts: dict[str, int], step: int) -> str:
    words = {"ok": "ran", "running": "runs", "error": "failed", "aborted": "aborted"}
    shown = [f"{_dot(drawing.COLOURS[state])}{word}" for state, word in words.items() if counts[state]]
    if line.has_waited():
        shown.append(f"{_dot(drawing.COLOURS['waiting'])}waited")
    found = "&#160;&#160; ".join(shown)
    if step > 1:
        found += f" · one of {step} requests is drawn"
    if line.left_out:
        found += f" · {_count(line.left_out, 'engine')} more"
    return found
