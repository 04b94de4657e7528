# SPDX-License-Identifier: BSD-3-Clause
"""Which of a script's values are sent along with its functions: definitions, and small plain constants."""
from __future__ import annotations

import marshal
import sys
import types
from typing import Any

from .modules import can_be_imported, of_hidden_object

#: Callables that are like functions: they have no state that changes. By the name of their class.
_LIKE_FUNCTIONS = {
    "functools": {"_lru_cache_wrapper"},
    "numpy": {"ufunc", "vectorize"},
    "operator": {"attrgetter", "itemgetter", "methodcaller"},
    "pxrun.client.dependency": {"dependent"},
    "types": {"GenericAlias", "UnionType"},
}


def is_definition(value: Any) -> bool:
    """Whether a value is a function, a class, or like them."""
    kind = type(value)
    if isinstance(value, (type, types.FunctionType, types.MethodDescriptorType)):
        return True
    if kind is types.BuiltinFunctionType:
        return isinstance(value.__self__, (types.ModuleType, type, types.NoneType)) or of_hidden_object(value) is not None
    if kind is types.MethodType:
        return isinstance(value.__self__, type) or of_hidden_object(value) is not None
    if kind.__module__ == "functools" and kind.__name__ == "partial":
        return is_definition(value.func) and is_small((value.args, value.keywords))
    if kind.__module__ == "typing" or kind.__name__ in _LIKE_FUNCTIONS.get(kind.__module__, ()):
        return True
    # numba's functions and the like say what they were made of
    return callable(value) and isinstance(getattr(value, "__dict__", {}).get("__wrapped__"), types.FunctionType)


def why_not(value: Any) -> str:
    """Why a value is not sent along with a function; empty if it is."""
    if isinstance(value, types.ModuleType):
        return "" if can_be_imported(value.__name__) else "is a module that engines cannot import, and that is too large to go along"
    if is_definition(value):
        return ""
    if type(value) in _CONTAINERS or type(value) in (str, bytes):
        if is_small(value):
            return ""
        return f"is no plain constant of at most {ELEMENTS_MAX} elements and {BYTES_MAX // 1024} KiB, as go along with a function"
    if _is_leaf(value) or is_small(value):
        return ""
    return f"is of type {type(value).__name__}: only modules, functions, classes and small constants go along with a function"


# --- constants --------------------------------------------------------------

#: More elements, or more bytes when pickled, are not small.
ELEMENTS_MAX, BYTES_MAX = 1000, 16 * 1024

_LEAVES = {int, float, complex, bool, str, bytes, type(None), type(...), type(NotImplemented), range, slice}
_PATHS = {"PosixPath", "PurePosixPath", "PureWindowsPath", "WindowsPath"}
#: By the name of their class, whose module need not be imported. None of them can be changed.
_NAMED_LEAVES = {
    "datetime": {"date", "datetime", "time", "timedelta", "timezone"},
    "decimal": {"Decimal"},
    "fractions": {"Fraction"},
    "logging": {"Logger", "RootLogger"},  # by their name
    "pathlib": _PATHS,
    "pathlib._local": _PATHS,  # in Python 3.13
    "re": {"Pattern"},
    "uuid": {"UUID"},
    "zoneinfo": {"ZoneInfo"},
}
_CONTAINERS = {list, tuple, dict, set, frozenset}
_NAMED_CONTAINERS = {"Counter", "OrderedDict", "defaultdict", "deque"}


def is_small(value: Any) -> bool:
    """Whether a value is a plain constant of at most `ELEMENTS_MAX` elements. Their bytes are counted when it is pickled."""
    return _count(value, ELEMENTS_MAX, set()) >= 0


def _count(value: Any, room: int, within: set[int]) -> int:
    """How many more elements are allowed after this value; below 0 if it is too large or not a plain constant."""
    room -= 1
    if room < 0 or _is_leaf(value):
        return room
    if id(value) in within or (hasattr(value, "__len__") and len(value) > room):
        return -1
    items = _items(value)
    if items is None:
        return -1
    within.add(id(value))
    for item in items:
        room = _count(item, room, within)
        if room < 0:
            return room
    within.discard(id(value))
    return room


def _is_leaf(value: Any) -> bool:
    kind = type(value)
    if kind in (str, bytes):
        return len(value) <= BYTES_MAX
    if kind in _LEAVES or kind.__qualname__ in _NAMED_LEAVES.get(kind.__module__, ()):
        return True
    if kind.__module__ == "numpy" and isinstance(value, sys.modules["numpy"].generic):
        return value.nbytes <= BYTES_MAX and not value.dtype.hasobject
    enum = sys.modules.get("enum")
    return (enum is not None and isinstance(value, enum.Enum)) or is_definition(value)


def _items(value: Any) -> list | None:
    """The elements of a container; None if the value is none."""
    kind = type(value)
    if kind is dict or (kind.__module__ == "collections" and kind.__name__ in _NAMED_CONTAINERS and isinstance(value, dict)):
        return [item for pair in value.items() for item in pair] + [getattr(value, "default_factory", None)]
    if kind in _CONTAINERS or (kind.__module__ == "collections" and kind.__name__ in _NAMED_CONTAINERS):
        return list(value)
    if isinstance(value, tuple) and hasattr(kind, "_fields"):
        return list(value)
    if "__dataclass_fields__" in vars(kind):
        return [getattr(value, name) for name in kind.__dataclass_fields__ if hasattr(value, name)]
    return None


def can_change(value: Any) -> bool:
    """Whether a plain constant can be changed in place."""
    kind = type(value)
    if kind is tuple or (isinstance(value, tuple) and hasattr(kind, "_fields")):
        return any(map(can_change, value))
    return kind not in _LEAVES and kind is not frozenset and _items(value) is not None


def content(value: Any) -> Any:
    """A snapshot of a small constant, to find out later whether it has changed."""
    try:
        return marshal.dumps(value, 2)  # that version says nothing of who else holds the parts
    except ValueError:
        return _form(value)


def _form(value: Any) -> Any:
    """A copy of nested containers; immutable values in them stay the same objects."""
    items = None if _is_leaf(value) else _items(value)
    return value if items is None else (type(value), [_form(item) for item in items])
