# SPDX-License-Identifier: BSD-3-Clause
"""Calls as bytes and buffers: the body of APPLY requests; says what part of a call cannot be pickled."""
from __future__ import annotations

import functools
from typing import Any, Iterable

from .. import serialize
from ..error import CannotSend
from . import failure, foreign, pickling


def name_of(f: Any) -> str:
    """What a function is called in messages; of a partial its function's name."""
    while isinstance(f, functools.partial):
        f = f.func
    return getattr(f, "__name__", None) or type(f).__name__


def dumps(f: Any, args: tuple, kwargs: dict, bring: bool, library: str | None = None) -> tuple[bytes, list | None]:
    """A call, as a pickle or a frame, and its buffers; `CannotSend`, naming the part, if it cannot be sent.

    Parameters
    ----------
    bring : bool
        See pickling.dumps().
    library : str, optional
        What pickles the call and its result, see `foreign`.
    """
    if not callable(f) and type(f) not in (serialize.Reference, serialize.PrePickled):
        raise TypeError(f"f must be callable, and {f!r} is not")
    try:
        plain = pickling.dumps_plainly(f, args, kwargs, bring) if library is None else None
        if plain is not None:
            return plain
        call: tuple = f, args, kwargs
        if type(f) is serialize.Reference or serialize.holds(args, kwargs):
            call = serialize.call_resolved, call, {}
        if library is not None:
            call = foreign.call, (library, foreign.By(library, call)), {}
        return pickling.dumps(call, bring=bring)
    except Exception as e:
        raise cannot_send(parts_of(f, args, kwargs), e, library) from e


def cannot_send(parts: Iterable[tuple[str, Any]], e: BaseException, library: str | None) -> CannotSend:
    """The error for the first part that cannot be pickled; raises `e` if there is none: it is a signal handler's."""
    culprit = find_culprit(parts, library)
    if culprit is None:
        raise e
    return CannotSend(culprit, getattr(e, "reason", failure.words(e)), library)


def parts_of(f: Any, args: tuple, kwargs: dict) -> Iterable[tuple[str, Any]]:
    """What a call consists of, in words."""
    from ..engine import calls, residents, tasks

    if f is residents.begin:
        return [("the initializer", args[1]), *((f"initargs[{i}]", arg) for i, arg in enumerate(args[2]))]
    if f is residents.call_after:
        _, f, args, kwargs = args
    if f is tasks.call_seeded:
        _, f, args, kwargs = args
    elif f is tasks.map_seeded:
        f, args = args[1], args[2:]
    if f is calls.push:
        return [(f"the value of {name!r}", value) for name, value in args[0].items()]
    name = name_of(f)
    parts = [(f"the function {name}", f)]
    parts += [(f"argument {i + 1} of {name}", a) for i, a in enumerate(args)]
    return parts + [(f"argument {k!r} of {name}", a) for k, a in kwargs.items()]


def find_culprit(parts: Iterable[tuple[str, Any]], library: str | None) -> str | None:
    """The first part that cannot be pickled, in words, down to what is within lists and dicts; None: all of them can."""

    def fails(part: Any) -> bool:
        try:
            pickling.dumps(part if library is None else foreign.By(library, part))
        except Exception:
            return True
        return False

    for words, part in parts:
        if fails(part):
            where, inner = _within(part, fails)
            return f"{words}, of type {type(part).__name__}," + (f" at {where}, of type {type(inner).__name__}," if where else "")
    return None


def _within(part: Any, fails: Any) -> tuple[str, Any]:
    """Where in a container, as ``[0]['key']``, something is that cannot be pickled, and what; else '' and the part."""
    where = ""
    while len(where) < 200:  # a container may hold itself
        items: Iterable = part.items() if type(part) is dict else enumerate(part) if type(part) in (list, tuple) else ()
        found = next(((key, item) for key, item in items if fails(item)), None)
        if found is None:
            break
        where, part = f"{where}[{found[0]!r}]", found[1]
    return where, part
