# SPDX-License-Identifier: BSD-3-Clause
"""Names that a script's functions bring along: what they refer to, for engines that lack it.

Modules go by name; functions and classes by value, with what they refer to in turn; plain constants
by value if they are small. The code of a function tells what it needs. All of that is sent as one
bundle of definitions, each a name, a token and a pickle. Equal tokens mean equal content, so an
engine makes each definition only once (`brought`).

A bundle is made once for a function's code, and used as long as the names stand for the same
objects and the objects have not been changed, as far as that can be seen: the attributes of
classes and functions, the contents of lists and dicts.
"""
from __future__ import annotations

import pickle
import sys
import types
import zlib
from typing import Any, Iterator

from .. import _pxrun
from . import kinds, pickling
from .brought import TOKEN, Module
from .modules import can_be_imported

#: The most bytes of a function or a class, pickled.
DEFINITION_MAX = 256 * 1024

_CACHE_MAX = 1024
_ABSENT = object()


# --- what code refers to ----------------------------------------------------

_LOADS = {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"}

# The global names that a code object loads, and all names of attributes; by id(), together with the code.
_referred: dict[int, tuple[types.CodeType, tuple[str, ...], frozenset[str]]] = {}


def _refers(code: types.CodeType) -> tuple[tuple[str, ...], frozenset[str]]:
    found = _referred.get(id(code))
    if found is None:
        if len(_referred) >= _CACHE_MAX:
            _referred.clear()
        loaded: dict[str, None] = {}
        attributes: set[str] = set()
        _search(code, loaded, attributes)
        found = _referred[id(code)] = code, tuple(loaded), frozenset(attributes)
    return found[1:]


def _search(code: types.CodeType, loaded: dict[str, None], attributes: set[str]) -> None:
    """Including those of functions, classes and comprehensions inside."""
    import dis

    attributes.update(code.co_names)
    for instruction in dis.get_instructions(code):
        if instruction.opname in _LOADS:
            loaded[instruction.argval] = None
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            _search(constant, loaded, attributes)


# --- definitions ------------------------------------------------------------


class _Definition:
    """A name's value, pickled; `pickled` is None if it is not brought."""

    __slots__ = ("contents", "functions", "is_constant", "pickled", "places")

    def __init__(self, pickled: bytes | None = None) -> None:
        self.pickled = pickled
        self.is_constant = False
        #: Functions and classes that go by value in it: they refer to names, too.
        self.functions: list[types.FunctionType] = []
        #: Namespaces of functions and classes in it, which may change: see _pxrun.same().
        self.places: list[tuple[Any, tuple, tuple, int]] = []
        #: Lists, dicts and the like in it, and their contents at that time.
        self.contents: list[tuple[Any, Any]] = []


# By namespace and name: the namespace, the value, and the value's definition.
_defined: dict[tuple[int, str], tuple[dict, Any, _Definition]] = {}


def _define(space: dict, name: str, value: Any) -> _Definition:
    """The definition of a value that is no module."""
    known = _defined.get((id(space), name))
    if known is not None and known[1] is value and _unchanged(known[2].places, known[2].contents):
        return known[2]
    made = _Definition()
    try:
        _pickle_into(made, value)
    except Exception:  # of the user's classes, or it cannot be pickled: push() says why
        made.pickled = None
    if made.pickled is not None:  # a value that is not brought may be large, and must not be kept alive here
        if len(_defined) >= _CACHE_MAX:
            _defined.clear()
        _defined[id(space), name] = space, value, made
    return made


def _pickle_into(made: _Definition, value: Any) -> None:
    is_definition = kinds.is_definition(value)
    if not is_definition and not kinds.is_small(value):
        return
    classes: list[type] = []
    limit = DEFINITION_MAX if is_definition else kinds.BYTES_MAX
    made.pickled = pickling.dumps_definition(value, limit, made.functions.append, classes.append)
    if isinstance(value, types.FunctionType):
        # the registry of a singledispatch function is among its attributes
        made.places += [_place(d) for d in (vars(value), *vars(value).values()) if type(d) in (dict, types.MappingProxyType)]
    elif not is_definition:
        made.is_constant = True
        _watch(made, [value])
    for cls in classes:
        made.places.append(_place(vars(cls)))
        _watch(made, [item for name, item in vars(cls).items() if not name.startswith("__")])


def _place(items: Any) -> tuple[Any, tuple, tuple, int]:
    return items, tuple(items), tuple(items.values()), len(items)


def _watch(made: _Definition, values: list) -> None:
    made.contents += [(v, kinds.content(v)) for v in values if kinds.can_change(v) and kinds.is_small(v)]


def _unchanged(places: list, contents: list) -> bool:
    if not _pxrun.same(places, _ABSENT):
        return False
    for value, content in contents:
        if kinds.content(value) != content:
            return False
    return True


def _module(module: types.ModuleType, attributes: set[str]) -> _Definition:
    """The definition of a module; attributes are the names in expressions such as ``a.b.c``."""
    if can_be_imported(module.__name__):
        return _Definition(pickle.dumps(Module(module.__name__, list(_submodules(module.__name__, attributes))), 5))
    made = _Definition()
    try:
        made.pickled = pickling.dumps_definition(module, DEFINITION_MAX, made.functions.append, lambda cls: None)
        made.places.append(_place(vars(module)))
    except Exception:  # as in _define()
        pass
    return made


def _submodules(name: str, attributes: set[str]) -> Iterator[str]:
    for attribute in sorted(attributes):
        inner = f"{name}.{attribute}"
        if inner in sys.modules and can_be_imported(inner):
            yield inner
            yield from _submodules(inner, attributes)


# --- bundles ----------------------------------------------------------------


class _Search:
    """The search for what a function refers to, directly and through what it brings."""

    def __init__(self, function: types.FunctionType) -> None:
        #: By the id() of a namespace: the namespace, and the values of names in it.
        self.seen: dict[int, tuple[dict, dict[str, Any]]] = {}
        self.definitions: dict[str, _Definition] = {}
        modules: dict[str, types.ModuleType] = {}
        attributes: set[str] = set()
        todo = [function]
        while todo:
            function = todo.pop()
            names, used = _refers(function.__code__)
            attributes |= used
            todo += self._look_up(function.__globals__, names, modules)
        self.definitions.update((name, _module(module, attributes)) for name, module in modules.items())

    def _look_up(self, space: dict, names: tuple[str, ...], modules: dict) -> list[types.FunctionType]:
        """The functions that are to be searched next."""
        _, seen = self.seen.setdefault(id(space), (space, {}))
        functions: list[types.FunctionType] = []
        for name in names:
            if name in seen:
                continue
            value = seen[name] = space.get(name, _ABSENT)
            if isinstance(value, types.ModuleType):
                modules[name] = value
            elif value is not _ABSENT:
                definition = self.definitions[name] = _define(space, name, value)
                functions += definition.functions
        return functions


class _Bundle:
    """All that a function brings. It refers to the code, whose id() is its key."""

    def __init__(self, function: types.FunctionType) -> None:
        self.code, self.globals = function.__code__, function.__globals__
        #: Submodules are found among those that are imported.
        self.imported = len(sys.modules)
        self.refers = bool(_refers(self.code)[0])
        search = _Search(function)
        brought = {name: d for name, d in search.definitions.items() if d.pickled is not None}
        self.places = [place for definition in brought.values() for place in definition.places]
        self.contents = [content for definition in brought.values() for content in definition.contents]
        #: Values that are not brought are not kept here, for they may be large.
        self.passed_by: list[tuple[dict, str, tuple]] = []
        for space, seen in search.seen.values():
            kept = {name: value for name, value in seen.items() if value is _ABSENT or name in brought}
            self.places.append((space, tuple(kept), tuple(kept.values()), -1))
            self.passed_by += [(space, name, _mark(value)) for name, value in seen.items() if name not in kept]
        self.names = frozenset(brought)
        self.bytes = _pickled(brought)

    def holds(self) -> bool:
        """Whether nothing that it was made of has changed."""
        if not self.refers:
            return True
        if self.imported != len(sys.modules) or not _unchanged(self.places, self.contents):
            return False
        for space, name, mark in self.passed_by:
            if _mark(space.get(name, _ABSENT)) != mark:
                return False
        return True


def _mark(value: Any) -> tuple:
    """An identity for a value that does not keep it alive."""
    kind = type(value)
    return kind, id(value), len(value) if kind in (list, dict, set, str, bytes) else 0


def _pickled(definitions: dict[str, _Definition]) -> bytes | None:
    import hashlib  # loads OpenSSL, which engines that only receive need not wait for

    parts = []
    for name, definition in sorted(definitions.items()):
        pickled: Any = definition.pickled
        token = hashlib.blake2b(pickled, digest_size=TOKEN).digest()
        parts.append((name, token, pickled, not definition.is_constant))
    if not parts:
        return None
    token = hashlib.blake2b(repr([part[:2] for part in parts]).encode(), digest_size=TOKEN).digest()
    return token + zlib.compress(pickle.dumps(parts, 5))  # read once, but sent with each call


# By the id() of a function's code.
_bundles: dict[int, _Bundle] = {}


def _bundle_of(function: types.FunctionType) -> _Bundle:
    code = function.__code__
    bundle = _bundles.get(id(code))
    if bundle is None or bundle.globals is not function.__globals__ or not bundle.holds():
        if len(_bundles) >= _CACHE_MAX:
            _bundles.clear()
        bundle = _bundles[id(code)] = _Bundle(function)
    return bundle


def along(function: types.FunctionType) -> bytes | None:
    """What a function of the script brings along; None: nothing."""
    return _bundle_of(function).bytes


class Along:
    """As along(), for all functions in one message: each definition is brought only once."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def __call__(self, function: types.FunctionType) -> bytes | None:
        bundle = _bundle_of(function)
        if bundle.names <= self.names:
            return None
        self.names |= bundle.names
        return bundle.bytes
