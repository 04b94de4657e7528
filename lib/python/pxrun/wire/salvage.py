# SPDX-License-Identifier: BSD-3-Clause
"""Reads the pickle of a list of which some elements cannot be read here: their classes are missing, or raise."""
from __future__ import annotations

import io
import pickle
from typing import Any, Callable, Sequence

from . import pickling

#: Opcodes by which something is made, and raises: what made it has left the stack; a callable lies on it.
_MAKE = pickle.GLOBAL + pickle.STACK_GLOBAL + pickle.NEWOBJ + pickle.NEWOBJ_EX
_CALL = pickle.REDUCE
#: Opcodes that change the object on top of the stack, by its own methods.
_CHANGE = pickle.BUILD + pickle.SETITEM + pickle.SETITEMS + pickle.ADDITEMS + pickle.APPEND + pickle.APPENDS
#: Opcodes that get an object which was read before.
_GET = pickle.GET + pickle.BINGET + pickle.LONG_BINGET


def loads(body: bytes, buffers: Sequence) -> tuple[Any, dict[int, Exception]]:
    """As pickling.loads(), and what reading raised, by the index of the element, which is then to be ignored."""
    try:
        return pickling.loads(body, buffers), {}
    except Exception as e:
        reader = _Reader(io.BytesIO(body), buffers)
        try:
            value = reader.load()
        except Exception:  # it is no such list, or its pickle is damaged
            raise e from None
        if not reader.failed:
            raise  # a signal handler's: there is nothing wrong with any element
        return value, reader.failed


class _Broken:
    """What stands for an object that could not be made; takes all that a pickle does with one."""

    def __init__(self, e: Exception) -> None:
        self.e = e

    def __call__(self, *args: Any, **kwargs: Any) -> "_Broken":
        return self

    append = extend = add = update = __setitem__ = __setstate__ = __call__


#: The one in Python, whose stack can be seen.
_Unpickler: Any = pickle._Unpickler  # type: ignore[attr-defined]


class _Reader(_Unpickler):
    """Unpickles a list of several elements: these lie on the stack behind a mark, until APPENDS puts them into the list.

    An object is put together of what lies on the stack from its place on. So what failed moves down with what it
    becomes a part of, and at last its place is that of an element.

    Attributes
    ----------
    failed : dict
        An exception of each element that has failed, by index.
    """

    def __init__(self, file: io.BytesIO, buffers: Sequence) -> None:
        super().__init__(file, buffers=buffers)
        self.failed: dict[int, Exception] = {}
        self.places: dict[tuple[int, int], Exception] = {}  # what failed: how many marks lie below it, and its place behind the last
        self.spoilt: dict[int, tuple[Any, Exception]] = {}  # objects that something broken is a part of, by id()

    def step(self, load: Callable, opcode: int) -> None:
        """One opcode."""
        if opcode in pickle.APPENDS and len(self.metastack) == 1:
            done = len(self.metastack[0][-1])
            self.failed.update((done + place, e) for (_, place), e in self.places.items())
            self.places.clear()
        try:
            load(self)
        except Exception as e:
            if opcode not in _MAKE + _CALL + _CHANGE:
                raise
            if opcode not in _MAKE:
                half = self.stack.pop()
                if opcode in _CHANGE:
                    self.spoilt[id(half)] = half, e
            self.stack.append(_Broken(e))
            self.note(e)
        if opcode in _GET and id(self.stack[-1]) in self.spoilt:
            self.note(self.spoilt[id(self.stack[-1])][1])
        if self.places:
            self.settle()

    def note(self, e: Exception) -> None:
        """What lies on top of the stack has failed."""
        if not self.metastack:
            raise e  # it is no list of several elements
        self.places.setdefault((len(self.metastack), len(self.stack) - 1), e)

    def settle(self) -> None:
        """Moves down what has become a part of what lies on top of the stack now."""
        top = len(self.metastack), len(self.stack) - 1
        for place in [place for place in self.places if place > top]:
            self.places.setdefault(top, self.places.pop(place))
        if top in self.places:
            self.spoilt[id(self.stack[-1])] = self.stack[-1], self.places[top]


def _stepping(opcode: int, load: Callable) -> Callable:
    return lambda self: self.step(load, opcode)


_Reader.dispatch = {opcode: _stepping(opcode, load) for opcode, load in _Unpickler.dispatch.items()}
