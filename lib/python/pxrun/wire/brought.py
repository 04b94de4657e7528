# SPDX-License-Identifier: BSD-3-Clause
"""The engine's side of names that functions bring along: see `names`."""
from __future__ import annotations

import importlib
import pickle
import sys
import zlib
from typing import Any

from .. import _pxrun

#: Bytes at the beginning of what is brought that tell it from everything else.
TOKEN = 16

#: So many different ones are kept; then they are made anew from what comes.
_KEPT = 1024

# What has come so far: the names and values of a bundle by its token, values by theirs.
_bundles: dict[bytes, list[tuple[str, Any]]] = {}
_values: dict[bytes, Any] = {}
# The names in the engine's namespace that were brought, and the value that was.
_names: dict[str, Any] = {}
_NOTHING, _NEVER = object(), object()


def take(bundle: bytes) -> None:
    """Puts into the engine's namespace what a function brings, where there is nothing else of that name.

    What was brought earlier is replaced; what the user assigned on the engine is not.
    """
    if not _pxrun.is_engine():
        return
    found = _bundles.get(bundle[:TOKEN])
    if found is None:
        found = _read(bundle)
    user = sys.modules["__main__"].__dict__
    for name, value in found:
        there = user.get(name, _NOTHING)
        if there is not value and (there is _NOTHING or there is _names.get(name, _NEVER)):
            user[name] = _names[name] = value


def _read(bundle: bytes) -> list[tuple[str, Any]]:
    if len(_values) >= _KEPT or len(_bundles) >= _KEPT:
        _values.clear()
        _bundles.clear()
    found = []
    for name, token, pickled in pickle.loads(zlib.decompress(memoryview(bundle)[TOKEN:])):
        value = _values.get(token, _NOTHING)
        if value is _NOTHING:
            value = _values[token] = pickle.loads(pickled)
        found.append((name, value))
    _bundles[bundle[:TOKEN]] = found
    return found


def forget() -> None:
    """The namespace has been emptied: whatever is in it from now on is the user's."""
    _names.clear()


class Module:
    """Stands for a module in a pickle, with those of its submodules that were imported where it is from."""

    def __init__(self, name: str, submodules: list[str]) -> None:
        self.made_of = name, submodules

    def __reduce__(self) -> tuple:
        return _imported, self.made_of


def _imported(name: str, submodules: list[str]) -> Any:
    for each in submodules:
        importlib.import_module(each)
    return importlib.import_module(name)
