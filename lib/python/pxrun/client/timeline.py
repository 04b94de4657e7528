# SPDX-License-Identifier: BSD-3-Clause
"""A client's last requests as a trace, for Perfetto and Chrome's about:tracing (the Trace Event Format)."""
from __future__ import annotations

import json
import os
import time
from typing import Any, Iterator

from .. import _pxrun, error
from . import spans
from .chunks import whole
from .history import message_id
from .spans import Span


def write(client: Any, path: Any, last: int) -> Any:
    """As `Client.timeline`."""
    if whole("last", last) < 1:
        raise ValueError(f"last is a number of requests, at least 1, not {last}")
    made = trace([*_answered(client), *_unanswered(client)][-last:], client.profile)
    if path is None:
        return made
    with open(path, "w", encoding="utf-8") as file:
        json.dump(made, file)
    return path


def _answered(client: Any) -> Iterator[Span]:
    """Of the client's journal, with the names of requests of which there was an AsyncResult."""
    named = {}
    for number, ids, counts, *words in list(client._sent.named):
        first = 0
        for id, count in zip(ids, counts):
            named[id] = (number, first, *words)
            first += count
    for id, i, engine, submitted, started, completed, received, code in client._core.journal():
        number, first, name, label, text = named.get(id, (None, 0, "call", None, None))
        state = "ok" if code == 0 else "aborted" if code == _pxrun.EABORTED else "error"
        msg_id = "" if number is None else message_id(number, first + i)
        words = "" if number is None or state == "ok" else _words(client, number, first + i)
        name = spans.in_a_line(text or name)
        yield Span(name, label, msg_id, None if engine < 0 else engine, submitted, started, completed or received, state, words)


def _words(client: Any, number: int, i: int) -> str:
    """The exception of an entry of an AsyncResult that somebody holds."""
    ref = client._sent._results.get(number)
    ar = None if ref is None else ref()
    return "" if ar is None or i >= ar._count else next(spans.spans(ar, [i])).words


def _unanswered(client: Any) -> Iterator[Span]:
    try:
        for ar in client._sent.unfinished():
            yield from (span for span in spans.spans(ar) if span.state in ("running", "waiting"))
    except error.PoolError:  # closed, or gone: nothing is outstanding
        pass


def trace(found: list[Span], name: str) -> dict:
    """The trace of spans, of a pool of that name."""
    now, pid = time.time_ns(), os.getpid()
    begin = min((span.submitted for span in found), default=now)

    def event(phase: str, ns: int, tid: int, **more: Any) -> dict:
        return {"ph": phase, "ts": max(0, ns - begin) / 1000, "pid": pid, "tid": tid, **more}

    events = []
    for n, span in enumerate(found):
        tid = -1 if span.engine is None else span.engine
        end = span.completed or now
        about = {"name": span.name, "args": _args(span)}
        waiting = {"cat": "waiting", "id": n, "name": f"{span.name} waits", "args": about["args"]}
        events.append(event("b", span.submitted, tid, **waiting))
        events.append(event("e", max(span.started or end, span.submitted), tid, **waiting))
        if span.started:
            events.append(event("X", span.started, tid, cat="request", dur=max(0, end - span.started) / 1000, **about))
    events.sort(key=lambda e: e["ts"])
    tracks = sorted({e["tid"] for e in events})
    names = [event("M", begin, tid, name="thread_name", args={"name": "not begun" if tid < 0 else f"engine {tid}"}) for tid in tracks]
    names += [event("M", begin, tid, name="thread_sort_index", args={"sort_index": tid}) for tid in tracks]
    names.append(event("M", begin, 0, name="process_name", args={"name": f"pxrun {name}"}))
    return {"traceEvents": [*names, *events], "displayTimeUnit": "ms", "otherData": {"pool": name, "began_ns": begin}}


def _args(span: Span) -> dict[str, Any]:
    about = {"function": span.name, "label": span.label, "msg_id": span.msg_id, "status": span.state, "error": span.words}
    return {key: value for key, value in about.items() if value}
