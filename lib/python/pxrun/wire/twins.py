# SPDX-License-Identifier: BSD-3-Clause
"""RemoteErrors that are also instances of what the engine raised.

A twin is a class with two bases, RemoteError and the class of the engine's exception, so
that either catches it. Where the two classes cannot be combined, a plain RemoteError is made.
"""
from __future__ import annotations

import builtins
import types
import weakref
from typing import Any

from . import failure, pickling

#: Weak, so that classes that were sent by value are freed with their last exception.
_twins: weakref.WeakValueDictionary = weakref.WeakValueDictionary()


def make(base: type, ename: str, evalue: str, pickled: bytes) -> Any:
    """A bare instance of base, or of its twin with the class that the engine raised."""
    cls, original = _class_of(ename, pickled)
    error = None
    if cls is not None and _can_be_two(base, cls):
        try:
            error = _bare(_twin(base, cls), ename, evalue, original)
            # the combination may fail in many ways, depending on the class
            base.__init__(error, ename, evalue, "", {})  # type: ignore[misc]
            str(error)
        except BaseException as e:
            if failure.may_be_ctrl_c(e):
                raise
            error = None
    if error is None:
        error = _bare(base, ename, evalue, None)
    if original is not None:
        _copy_attributes(original, error)
    return error


def _can_be_two(base: type, cls: type) -> bool:
    # what is no Exception ends the process, the task or the generator that raised it: an engine's must not end ours
    return issubclass(cls, Exception) and not issubclass(base, cls)


def _class_of(ename: str, pickled: bytes) -> tuple[type | None, Any]:
    """The class that the engine raised and its exception, each None if this process cannot have it."""
    if pickled:
        try:
            exception = pickling.loads(pickled)
            if isinstance(exception, BaseException):
                return type(exception), exception
        except BaseException as e:
            if failure.may_be_ctrl_c(e):
                raise
            # its module is not here, or its constructor fails: try the name
    cls = getattr(builtins, ename, None)
    if not isinstance(cls, type):
        from .. import error

        cls = getattr(error, ename, None)
    if isinstance(cls, type) and issubclass(cls, BaseException):
        return cls, None
    return None, None


def _twin(base: type, cls: type) -> type:
    found = _twins.get((base, cls))
    if found is None:
        names: dict[str, Any] = {"__module__": base.__module__, "__qualname__": base.__qualname__, "__doc__": base.__doc__}
        if issubclass(cls, BaseExceptionGroup):
            # splitting such a group gives groups of the engine's kind
            names["derive"] = cls.derive if cls.derive is not BaseExceptionGroup.derive else _derive
        found = _twins[base, cls] = type(base)(base.__name__, (base, cls), names)
    return found


def _derive(self: Any, excs: Any) -> BaseExceptionGroup:
    return BaseExceptionGroup(self.message, excs)


def _bare(cls: Any, ename: str, evalue: str, original: Any) -> Any:
    """An instance made without the class's own constructor, whose arguments are not known."""
    if isinstance(original, BaseExceptionGroup):
        return BaseExceptionGroup.__new__(cls, original.message, original.exceptions)
    kinds: tuple[Any, ...] = (BaseException, OSError, MemoryError)
    for kind in kinds:
        try:
            return kind.__new__(cls, ename, evalue)
        except TypeError:
            continue  # Python wants the __new__ of the C type that lays out the instance
    return cls.__new__(cls, ename, evalue)


def _copy_attributes(original: BaseException, error: Any) -> None:
    """Copies the exception's attributes: errno, filename, name, value, and the user's own."""
    for cls in type(original).__mro__:
        if cls is BaseException or cls is Exception:
            continue
        for name, member in vars(cls).items():
            if isinstance(member, (types.MemberDescriptorType, types.GetSetDescriptorType)):
                if not name.startswith("__"):
                    _copy(original, error, name)
    for name, value in original.__dict__.items():
        error.__dict__.setdefault(name, value)


def _copy(original: BaseException, error: Any, name: str) -> None:
    try:
        setattr(error, name, getattr(original, name))
    except Exception:
        pass  # not set, or read only, or the class has its own way of refusing
