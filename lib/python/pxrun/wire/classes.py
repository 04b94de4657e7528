# SPDX-License-Identifier: BSD-3-Clause
"""Classes by value: what cloudpickle does not do, or does differently."""
from __future__ import annotations

import contextlib
import functools
import sys
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
    """While cloudpickle looks at a class or function whose module cannot be imported elsewhere: has it taken for what it is."""
    name = getattr(obj, "__module__", None)
    if not callable(obj) or not isinstance(name, str) or name in MAIN or name not in sys.modules or can_be_imported(name):
        return contextlib.nullcontext()
    return _registered(name)


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


CACHED = type(functools.lru_cache(len))


def cached(function: Any, parameters: dict) -> Any:
    """The function with an empty ``functools.lru_cache``."""
    return functools.lru_cache(**parameters)(function)


@functools.cache
def dataclass_words() -> dict[int, str]:
    """Names of the objects that dataclasses compares by identity, such as MISSING, by id()."""
    import dataclasses

    return {id(value): name for name, value in vars(dataclasses).items() if type(value).__module__ == "dataclasses"}
