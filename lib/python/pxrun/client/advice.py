# SPDX-License-Identifier: BSD-3-Clause
"""Advice for NameError, ModuleNotFoundError and UnmetDependency: how to send what this process has and an engine lacks."""
from __future__ import annotations

import os
import re
import sys
import types
from typing import Any

from ..wire import functions, kinds
from .staying import Staying


def on(ename: str, evalue: str, known: dict | None) -> str:
    """Advice about an engine's exception, in brackets; empty if there is none.

    Parameters
    ----------
    ename, evalue : str
        The name of the exception's class, and its str().
    known : dict or None
        The globals here of the function that was sent, see `names_seen_by`.
    """
    if ename == "NameError" and known is not None:
        return _missing_name(evalue, known)
    if ename in ("ModuleNotFoundError", "UnmetDependency"):
        return _missing_module(evalue)
    return ""


# --- names ------------------------------------------------------------------


def names_seen_by(f: Any) -> dict | None:
    """The globals of a function that is sent by value; None for what the engine imports itself."""
    for _ in range(10):  # partials of methods of …
        if type(f) is types.FunctionType:
            break
        f = next((getattr(f, name) for name in ("func", "__func__", "__wrapped__", "f") if hasattr(f, name)), None)
    else:
        return None
    if f is None or functions.importable(f):
        return None
    return f.__globals__


def _missing_name(evalue: str, known: dict) -> str:
    """For "name 'x' is not defined"; empty if this process does not have it either."""
    found = re.match(r"(?:global |free )?(?:name|variable) '([^']+)' is not defined", evalue)
    if found is None or found[1] not in known:
        return ""
    name, value = found[1], known[found[1]]
    why = kinds.why_not(value)
    seen = f"and {why}" if why else "but a function that is sent sees the engine's names"
    return f"({name!r} is defined here, {seen}. {_how_to_send(name, value)})"


def _how_to_send(name: str, value: Any) -> str:
    if isinstance(value, Staying):
        return f"It belongs to this process: {value._instead}"
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


# --- modules ----------------------------------------------------------------


def _missing_module(evalue: str) -> str:
    """For "… No module named 'x'"; empty if this process has no file of it either."""
    found = re.search(r"No module named '([^']+)'", evalue)
    folder = _folder_of(found[1].partition(".")[0]) if found is not None else None
    if found is None or folder is None:
        return ""
    add = f"import sys; sys.path.append({folder!r})"
    send = f", or send what is called by value: cloudpickle.register_pickle_by_value({found[1]})" if found[1] in sys.modules else ""
    return (
        f"({found[1]!r} is in {folder} here, where engines do not look. "
        f"Add the folder there: view.execute({add!r}), or start the pool with it in PYTHONPATH{send})"
    )


def _folder_of(module: str) -> str | None:
    """The folder on sys.path in which a module is found here."""
    import importlib.util

    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        spec = None
    file = getattr(sys.modules.get(module), "__file__", None) or (spec.origin if spec is not None and spec.has_location else None)
    if not file:
        return None
    folder = os.path.dirname(os.path.abspath(file))
    return os.path.dirname(folder) if os.path.basename(file).startswith("__init__.") else folder
