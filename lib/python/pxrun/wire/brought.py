# SPDX-License-Identifier: BSD-3-Clause
"""The engine's side of names that functions bring along: see `names`."""
from __future__ import annotations

import importlib
import pickle
import sys
import zlib
from typing import Any

from .. import _pxrun

#: The first bytes of a bundle, by which it is recognised.
TOKEN = 16

#: The number of bundles and of values that are kept; then they are made again from what arrives.
_KEPT = 1024

# What has come so far, by its token: names, with the tokens, pickles and kinds of their values.
_bundles: dict[bytes, list[tuple[str, bytes, bytes, bool]]] = {}
# Functions, classes and modules by name and token. Lists and the like are made anew, for code may change them.
_definitions: dict[tuple[str, bytes], Any] = {}
# The names in the engine's namespace that were brought: the value that was, and its token.
_names: dict[str, tuple[Any, bytes]] = {}
_NOTHING = object()


def take(bundle: bytes) -> None:
    """Puts into the engine's namespace what a function brings, if nothing else has that name.

    Another version that was brought before is replaced; what the user assigned on the engine is not.
    """
    if not _pxrun.is_engine():
        return
    found = _bundles.get(bundle[:TOKEN])
    if found is None:
        found = _read(bundle)
    user = sys.modules["__main__"].__dict__
    for name, token, pickled, is_definition in found:
        there, brought = user.get(name, _NOTHING), _names.get(name)
        if there is _NOTHING or (brought is not None and brought[0] is there and brought[1] != token):
            user[name] = value = _value(name, token, pickled, is_definition)
            _names[name] = value, token


def _read(bundle: bytes) -> list[tuple[str, bytes, bytes, bool]]:
    if len(_definitions) >= _KEPT or len(_bundles) >= _KEPT:
        _definitions.clear()
        _bundles.clear()
    found = _bundles[bundle[:TOKEN]] = pickle.loads(zlib.decompress(memoryview(bundle)[TOKEN:]))
    return found


def _value(name: str, token: bytes, pickled: bytes, is_definition: bool) -> Any:
    if not is_definition:
        return pickle.loads(pickled)
    value = _definitions.get((name, token), _NOTHING)
    if value is _NOTHING:
        value = _definitions[name, token] = pickle.loads(pickled)
    return value


def forget() -> None:
    """The namespace has been emptied: what is assigned in it from now on is the user's."""
    _names.clear()
    _definitions.clear()


class Module:
    """A module by name in a pickle, with those of its submodules that the client had imported."""

    def __init__(self, name: str, submodules: list[str]) -> None:
        self.made_of = name, submodules

    def __reduce__(self) -> tuple:
        return _imported, self.made_of


def _imported(name: str, submodules: list[str]) -> Any:
    for each in submodules:
        importlib.import_module(each)
    return importlib.import_module(name)
