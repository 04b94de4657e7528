# SPDX-License-Identifier: BSD-3-Clause
"""When requests were submitted, begun and completed, and where: what time lines are made of."""
from __future__ import annotations

from typing import Any, Iterator, NamedTuple

from .. import error
from ..wire import failure

#: Characters of a name, and of an exception, that are shown.
_NAME, _WORDS = 40, 100


class Span(NamedTuple):
    """One entry of a result, or what is known of it so far.

    Attributes
    ----------
    engine : int or None
        None: no engine has begun it.
    submitted, started, completed : int
        Nanoseconds since the epoch; 0: not yet. Where no engine completed it, it is completed when that was known.
    state : 'waiting', 'running', 'ok', 'error' or 'aborted'
    words : str
        The exception in a line; else empty.
    """

    name: str
    label: str | None
    msg_id: str
    engine: int | None
    submitted: int
    started: int
    completed: int
    state: str
    words: str


def name_of(ar: Any) -> str:
    """What a result is of: a function's name, or code; in one short line."""
    return in_a_line(ar._fname if ar._code is None else ar._code)


def label_of(ar: Any) -> str | None:
    """Its label, in one short line."""
    return None if ar._label is None else in_a_line(ar._label)


def failure_of(ar: Any, i: int) -> BaseException | None:
    """The exception of entry i, as far as is known without reading a value."""
    if ar._lenders:
        lender, there = ar._lenders[i]
        return failure_of(lender, there)
    found = ar._outcomes[i]
    if found is None and ar._result.code(i):
        found = ar._outcome(i)
    if found is not None and found[1] is not None:
        return found[1]
    return next(iter(ar._raised.get(i, {}).values()), None)  # of an element


def spans(ar: Any, indices: Any = None) -> Iterator[Span]:
    """Those of a result, or of some of its entries."""
    name, label, ids = name_of(ar), label_of(ar), ar.msg_ids
    for i in range(ar._count) if indices is None else indices:
        done, words = ar._result.done(i), ""
        submitted, started, completed, received = ar._result.times(i)
        completed = completed or received or (submitted if done else 0)
        state = "ok" if done else "running" if started else "waiting"
        exception = failure_of(ar, i) if done else None
        if exception is not None:
            state = "aborted" if error.is_own(exception, error.TaskAborted) else "error"
            words = _words(exception)
        yield Span(name, label, ids[i], ar._engine(i), submitted, started, completed, state, words)


def _words(exception: BaseException) -> str:
    remote = isinstance(exception, error.RemoteError)
    words = failure.line(exception.ename, exception.evalue) if remote else failure.words(exception)  # type: ignore[attr-defined]
    return in_a_line(words, _WORDS)


def in_a_line(words: str, most: int = _NAME) -> str:
    """The first line, if it has no more characters, else its beginning."""
    line = next(iter(words.strip().splitlines()), "")
    return line if len(line) <= most else line[: most - 1] + "…"
