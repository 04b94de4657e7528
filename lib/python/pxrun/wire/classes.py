# SPDX-License-Identifier: BSD-3-Clause
"""Classes by value: what cloudpickle does not do, or does differently."""
from __future__ import annotations

import contextlib
import functools
import sys
import types
import weakref
from typing import Any, ContextManager, Iterator

from .modules import MAIN, can_be_imported

# Classes that were sent by value, by their id(): those defined in this process, and those received.
_own: weakref.WeakValueDictionary[int, type] = weakref.WeakValueDictionary()
_foreign: weakref.WeakValueDictionary[int, type] = weakref.WeakValueDictionary()


def sent_class(cls: type, reduced: tuple) -> tuple:
    """Cloudpickle's reduction of a class, changed so that unpickling it in its own process changes nothing."""
    make, args, state, _, _, set_state = reduced
    if _foreign.get(id(cls)) is not cls:
        _own[id(cls)] = cls
    typing = sys.modules.get("typing")
    if typing and typing.NamedTuple in getattr(cls, "__orig_bases__", ()):
        args = (*args[:2], cls.__bases__, *args[3:])  # that base can only be used in a class statement
    return make, args, (set_state, state), None, None, _class_state


def _class_state(cls: type, state: tuple) -> None:
    if _own.get(id(cls)) is not cls:
        _foreign[id(cls)] = cls
        set_state, attributes = state
        set_state(cls, attributes)


def by_value(obj: Any) -> ContextManager:
    """With statement: cloudpickle takes a class, function or module by value if engines cannot import the module."""
    name = getattr(obj, "__name__" if isinstance(obj, types.ModuleType) else "__module__", None)
    if not isinstance(obj, (type, types.FunctionType, types.ModuleType)) or name in MAIN or name not in sys.modules:
        return contextlib.nullcontext()
    return contextlib.nullcontext() if can_be_imported(name) else _registered(name)


@contextlib.contextmanager
def _registered(name: str) -> Iterator[None]:
    import cloudpickle

    before = name in cloudpickle.list_registry_pickle_by_value()
    if not before:
        cloudpickle.register_pickle_by_value(sys.modules[name])
    try:
        yield
    finally:
        if not before:
            cloudpickle.unregister_pickle_by_value(sys.modules[name])


# --- what functools makes of functions ---------------------------------------

CACHED = type(functools.lru_cache(len))


def cached(function: Any, parameters: dict) -> Any:
    """What ``functools.lru_cache`` makes of a function, with an empty cache."""
    return functools.lru_cache(**parameters)(function)


#: The code of all functions that ``functools.singledispatch`` makes.
DISPATCHER = functools.singledispatch(len).__code__  # type: ignore[attr-defined]


def reduce_dispatcher(function: Any) -> tuple:
    """Reduces such a function to what was registered with it: it holds weak references, which cannot be pickled."""
    return functools.singledispatch, (function.__wrapped__,), dict(function.registry), None, None, _register


def _register(function: Any, registry: dict) -> None:
    for cls, implementation in registry.items():
        function.register(cls, implementation)


def reduce_descriptor(made: functools.cached_property | functools.singledispatchmethod) -> tuple:
    """Leaves out the lock of cached_property up to Python 3.11, and the weak cache of the other one since 3.13."""
    state = {name: value for name, value in vars(made).items() if name not in ("func", "lock", "_method_cache")}
    return type(made), (made.func,), state


@functools.cache
def dataclass_words() -> dict[int, str]:
    """Names of the objects that dataclasses compares by identity, such as MISSING, by id()."""
    import dataclasses

    return {id(value): name for name, value in vars(dataclasses).items() if type(value).__module__ == "dataclasses"}
