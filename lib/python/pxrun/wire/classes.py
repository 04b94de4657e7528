# SPDX-License-Identifier: BSD-3-Clause
"""Classes by value: what cloudpickle does not do, or does otherwise."""
from __future__ import annotations

import functools
import sys
import weakref
from typing import Any

# Classes that were sent by value, by their id: those that are of this process, and those that are not.
_own: weakref.WeakValueDictionary[int, type] = weakref.WeakValueDictionary()
_foreign: weakref.WeakValueDictionary[int, type] = weakref.WeakValueDictionary()


def sent_class(cls: type, reduced: tuple) -> tuple:
    """What cloudpickle makes of a class, such that it changes nothing where the class comes from."""
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


CACHED = type(functools.lru_cache(len))


def cached(function: Any, parameters: dict) -> Any:
    """What ``functools.lru_cache`` makes of a function, with nothing in it yet."""
    return functools.lru_cache(**parameters)(function)


@functools.cache
def dataclass_words() -> dict[int, str]:
    """Names of what dataclasses compares by identity, as MISSING."""
    import dataclasses

    return {id(value): name for name, value in vars(dataclasses).items() if type(value).__module__ == "dataclasses"}
