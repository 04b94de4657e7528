# SPDX-License-Identifier: BSD-3-Clause
"""Which modules another process can import by name."""
from __future__ import annotations

import importlib
import os
import sys
import types
from typing import Any

#: The names of the module of a script or a prompt.
MAIN = {"__main__", "__mp_main__"}

# What was found out about a module, together with the module, by name.
_known: dict[str, tuple[types.ModuleType, bool]] = {}


def can_be_imported(name: str) -> bool:
    """Whether a process with the same sys.path gets the module of that name by importing it.

    False for modules that a script has loaded from some path by itself, and for those that the user
    has told cloudpickle to send by value.
    """
    module = sys.modules.get(name)
    if module is None or name in MAIN:
        return False
    known = _known.get(name)
    if known is None or known[0] is not module:
        known = _known[name] = module, _is_found(name, module)
    return known[1] and not _registered(name)


def of_hidden_object(f: Any) -> tuple[str, str] | None:
    """The module and the name of a function that is a method of an object of the module's own; None for all else.

    So are random.gauss and numpy.random.uniform. Each process has such an object, and its state is not sent.
    """
    if type(f) is not types.MethodType and type(f) is not types.BuiltinFunctionType:
        return None
    home = type(f.__self__).__module__
    module = sys.modules.get(home)
    if not isinstance(module, types.ModuleType) or vars(module).get(f.__name__) is not f or not can_be_imported(home):
        return None
    return home, f.__name__


def attribute_of(module: str, name: str) -> Any:
    """What a module has under a name."""
    return getattr(importlib.import_module(module), name)


def _registered(name: str) -> bool:
    # it has none while another thread is importing it
    registry = getattr(sys.modules.get("cloudpickle"), "list_registry_pickle_by_value", None)
    names = registry() if registry is not None else ()
    if not names:
        return False
    parts = name.split(".")
    return any(".".join(parts[: i + 1]) in names for i in range(len(parts)))


def _is_found(name: str, module: types.ModuleType) -> bool:
    parent = name.rpartition(".")[0]
    if not parent:
        return _finds(name, None, module)
    if parent in sys.modules:
        # a module without a file is made by its parent, like six.moves; so is one more name of another module, like
        # collections.abc since Python 3.13
        found = _is_found(parent, sys.modules[parent])
        own_name = getattr(getattr(module, "__spec__", None), "name", name)
        made = not getattr(module, "__file__", None) or (own_name != name and sys.modules.get(own_name) is module)
        return found and (made or _finds(name, getattr(sys.modules[parent], "__path__", None), module))
    return False


def _finds(name: str, path: Any, module: types.ModuleType) -> bool:
    """Whether an import would find this very module."""
    file = getattr(module, "__file__", None)
    for finder in sys.meta_path:
        try:
            spec = finder.find_spec(name, path)
        except Exception:
            continue  # a finder of the user's
        if spec is not None:
            same = file and spec.origin and os.path.realpath(file) == os.path.realpath(spec.origin)
            return bool(same or not file or not spec.has_location)
    return False
