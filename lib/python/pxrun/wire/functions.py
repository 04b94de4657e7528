# SPDX-License-Identifier: BSD-3-Clause
"""Functions by value: their code and what belongs to it, without their globals.

The globals of a script's functions are, on the engine, the engine's namespace; what they need
there and it lacks goes along as the names of `names`. Those of a module's functions are the module's.
"""
from __future__ import annotations

import importlib
import marshal
import sys
import types
import zlib
from typing import Any, Callable

from . import brought
from .modules import MAIN, can_be_imported

#: A function that returns what a function of the script brings along; None: nothing.
Along = Callable[[types.FunctionType], "bytes | None"]


class NeedsCloudpickle(Exception):
    """Raised for what the fast pickler cannot do."""


# Marshalled code by id() of the code, together with the code, so that the id stays its own. Cached because
# marshalling takes longer than all the rest for a small function.
_marshalled: dict[int, tuple[types.CodeType, bytes]] = {}
_codes: dict[bytes, types.CodeType] = {}
_CACHE_MAX = 4096
#: Code runs in the minor version of Python that has compiled it, and in no other.
VERSION = bytes(sys.version_info[:2])


_CHECKSUM_BYTES = 4
_HEAD_BYTES = len(VERSION) + _CHECKSUM_BYTES


def _checksum(marshalled: bytes) -> bytes:
    """Since damaged bytes would end the process that reads them, or runs what they have become, and nothing else tells."""
    return zlib.crc32(marshalled).to_bytes(_CHECKSUM_BYTES, "little")


def code_bytes(code: types.CodeType) -> bytes:
    """Code for code_of()."""
    found = _marshalled.get(id(code))
    if found is not None:
        return found[1]
    if len(_marshalled) >= _CACHE_MAX:
        _marshalled.clear()
    marshalled = marshal.dumps(code)
    data = VERSION + _checksum(marshalled) + marshalled
    _marshalled[id(code)] = code, data
    return data


def check_version(version: bytes) -> None:
    """TypeError for code of another minor version of Python, which would crash this process."""
    if version != VERSION:
        theirs, ours = (".".join(map(str, v)) for v in (version, VERSION))
        raise TypeError(
            f"a function or class that is sent by value comes from Python {theirs}, and cannot run in {ours}, which {sys.executable} is: "
            "use the same version for the pool and its client (pxrun status tells the pool's), or send what both can import"
        )


def code_of(data: bytes) -> types.CodeType:
    """The code that code_bytes() was given."""
    code = _codes.get(data)
    if code is None:
        if len(_codes) >= _CACHE_MAX:
            _codes.clear()
        check_version(data[: len(VERSION)])
        checksum, marshalled = data[len(VERSION) : _HEAD_BYTES], data[_HEAD_BYTES:]
        if checksum != _checksum(marshalled):
            raise ValueError(
                "the code of a function that is sent by value has arrived damaged: something in its client's process, "
                "an extension module perhaps, writes where it must not"
            )
        code = _codes[data] = marshal.loads(marshalled)
    return code


def _home(function: types.FunctionType) -> str | None:
    """The module whose globals a function uses; None: the script's, for which the engine's namespace is used there."""
    name = function.__globals__.get("__name__")
    # a wrapper has the __module__ of what it wraps, and globals of its own
    if name in MAIN or (function.__module__ in MAIN and "__wrapped__" not in function.__dict__):
        return None
    module = sys.modules.get(name) if isinstance(name, str) else None
    if getattr(module, "__dict__", None) is not function.__globals__ or not can_be_imported(str(name)):
        raise NeedsCloudpickle  # it has globals of its own, like methods of a namedtuple, and they have to be sent
    return name


def globals_of(home: str | None) -> dict:
    """The globals of that module; if there is no such module here, the engine's namespace."""
    if home is not None:
        module = sys.modules.get(home)
        if module is not None:
            return module.__dict__
        try:
            return importlib.import_module(home).__dict__
        except ImportError:
            pass
    return sys.modules["__main__"].__dict__


def _function(data: bytes, free: int, home: str | None, along: bytes | None = None) -> types.FunctionType:
    """A function without its state, which _function_state() sets."""
    code = code_of(data)
    if along is not None:
        brought.take(along)
    closure = tuple(types.CellType() for _ in range(free)) or None
    return types.FunctionType(code, globals_of(home), None, None, closure)


def _function_state(function: types.FunctionType, state: tuple) -> None:
    """Sets a function's state. A second step, so that the function may refer to itself."""
    module, name, qualname, doc, defaults, kwdefaults, annotations, attributes, cells = state
    function.__module__ = module
    function.__name__ = name
    function.__qualname__ = qualname
    function.__doc__ = doc
    function.__defaults__ = defaults
    function.__kwdefaults__ = kwdefaults
    if annotations:
        function.__annotations__ = annotations
    if attributes:
        function.__dict__.update(attributes)
    for cell, content in zip(function.__closure__ or (), cells):
        if content:
            cell.cell_contents = content[0]


def plain_function(data: bytes, name: str, home: str | None, along: bytes | None = None) -> types.FunctionType:
    """A function that has only code and a name, like most lambdas."""
    code = code_of(data)
    if along is not None:
        brought.take(along)
    return types.FunctionType(code, globals_of(home), name)


def _cell(cell: types.CellType) -> tuple:
    try:
        return (cell.cell_contents,)
    except ValueError:  # not filled yet
        return ()


def reduce_function(function: types.FunctionType, along: Along | None = None) -> tuple:
    """A function's reduction for pickle; `along` returns what it brings, if it is one of the script's."""
    data = code_bytes(function.__code__)
    home = _home(function)
    brings = along(function) if along is not None and home is None else None
    closure = function.__closure__
    if (
        closure is None
        and function.__defaults__ is None
        and function.__kwdefaults__ is None
        and not function.__dict__
        and function.__module__ == function.__globals__.get("__name__")
        and not function.__annotations__
        and function.__qualname__ == function.__code__.co_qualname
    ):
        return plain_function, (data, function.__name__, home, brings) if brings else (data, function.__name__, home)
    state = (
        function.__module__,
        function.__name__,
        function.__qualname__,
        function.__doc__,
        function.__defaults__,
        function.__kwdefaults__,
        function.__annotations__,
        function.__dict__,
        [_cell(cell) for cell in closure or ()],
    )
    made_of = (data, len(closure or ()), home, brings) if brings else (data, len(closure or ()), home)
    return _function, made_of, state, None, None, _function_state


def importable(obj: Any) -> bool:
    """Whether importing the object's module and looking its name up gives this very object."""
    module = getattr(obj, "__module__", None)
    if module is None or not can_be_imported(module):
        return False
    found = sys.modules[module]
    try:
        for part in obj.__qualname__.split("."):
            found = getattr(found, part)
    except AttributeError:
        return False
    return found is obj
