# SPDX-License-Identifier: BSD-3-Clause
"""Replies as the extension gives them, made into values and exceptions."""
from __future__ import annotations

import functools
import re
import types
from typing import Any, Callable

from .. import _pxrun, _serialize, _values

#: A value and None, or None and what went wrong.
Outcome = tuple[Any, "BaseException | None"]


def unpickle(body: bytes, buffers: list | None) -> Any:
    """What a call returned."""
    return _serialize.loads(body, buffers or ())


def outcome_of(code: int, body: Any, buffers: list | None, engine: int, decode: Callable = unpickle, known: dict | None = None) -> Outcome:
    """(value, None) or (None, exception) for a reply.

    Parameters
    ----------
    code, body, buffers
        As Result.reply() has them.
    engine : int
        The id of who answered.
    decode : callable
        Makes a value of a body and its buffers.
    known : dict, optional
        The names that the function saw here that was sent, see `names_seen_by`.
    """
    if code == 0:
        try:
            return decode(body, buffers), None
        except Exception as e:
            what = TypeError(f"the result of engine {engine} cannot be unpickled here: {type(e).__name__}: {e}")
            what.__cause__ = e
            return None, what
    from .. import error

    if code != _pxrun.EREMOTE:
        return None, error.from_words(code, body, {"engine_id": engine, "method": "apply"})
    ename, evalue, traceback, pickled, method = _values.decode(body)
    made = error.remote_error(ename, evalue, traceback, {"engine_id": engine, "method": method}, pickled)
    if known is not None and ename == "NameError":
        made.hint = _missing_name(evalue, known)
    return None, made


# --- names that the client has and an engine has not -------------------------


def names_seen_by(f: Any) -> dict | None:
    """The globals of a function that is sent by value; None for what the engine imports itself."""
    while type(f) is functools.partial:
        f = f.func
    f = getattr(f, "__func__", f)
    f = getattr(f, "__wrapped__", f)
    if type(f) is not types.FunctionType or _serialize._importable(f):
        return None
    return f.__globals__


def _missing_name(evalue: str, known: dict) -> str:
    """What to do about "name 'x' is not defined"; empty if that is not what it says."""
    found = re.match(r"(?:global |free )?(?:name|variable) '([^']+)' is not defined", evalue)
    if found is None:
        return ""
    name = found[1]
    if name not in known:
        return f"(a function that is sent sees the engine's names; there is no {name!r} there, nor here)"
    return f"({name!r} is defined here, but a function that is sent sees the engine's names. {_how_to_send(name, known[name])})"


def _how_to_send(name: str, value: Any) -> str:
    if isinstance(value, types.ModuleType):
        if value.__name__ == name:
            return f"Import it there: `with view.sync_imports(): import {name}`, or put @pxrun.require({name!r}) before the function"
        return f"Import it there: view.execute('import {value.__name__} as {name}'), or import it inside the function"
    home = getattr(value, "__module__", None)
    if callable(value) and home not in (None, "__main__") and getattr(value, "__name__", None) == name:
        return f"Import it there: `with view.sync_imports(): from {home} import {name}`, or send it: view.push({{{name!r}: {name}}})"
    if callable(value) and getattr(value, "__name__", None) == name:
        return f"Send it: view.push({{{name!r}: {name}}}), or put @pxrun.require({name}) before the function"
    return f"Send it: view.push({{{name!r}: {name}}})"
