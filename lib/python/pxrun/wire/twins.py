# SPDX-License-Identifier: BSD-3-Clause
"""RemoteErrors that are also instances of what the engine raised.

A twin is a class with two bases, RemoteError and the class of the engine's exception, so
that either catches it. Where the two classes cannot be combined, a plain RemoteError is made.
"""
from __future__ import annotations

import builtins
import types
import weakref
from typing import Any, Callable, Sequence

from . import failure, pickling

#: Weak, so that classes that were sent by value are freed with their last exception.
_twins: weakref.WeakValueDictionary = weakref.WeakValueDictionary()


def make(base: type, ename: str, evalue: str, pickled: bytes) -> Any:
    """A bare instance of base, or of its twin with the class that the engine raised."""
    cls, original = _class_of(ename, pickled)
    error = None
    if cls is not None:
        error = attempt(base, cls, lambda twin: bare(twin, (ename, evalue), original), (ename, evalue, "", {}))
    if error is not None and original is not None:
        copy_attributes(original, error)
        error = error if _has_truth(error) else None
    if error is None:
        error = bare(base, (ename, evalue))
        if original is not None:
            copy_attributes(original, error)
    if original is not None:
        copy_notes(original, error)
    return error


def _has_truth(error: BaseException) -> bool:
    """Whether it can be tested, as the traceback module does; mpi4py's class wants arguments of its own for that."""
    try:
        bool(error)
        return True
    except Exception:
        return False


def attempt(base: type, cls: type, new: Callable[[type], Any], arguments: tuple) -> Any:
    """An instance of base's twin with a class, made by new(twin) and base.__init__(); None if they cannot be combined."""
    if not _can_be_two(base, cls):
        return None
    try:
        error = new(_twin(base, cls))
        # the combination may fail in many ways, depending on the class
        base.__init__(error, *arguments)  # type: ignore[misc]
        str(error)
        return error
    except BaseException as e:
        if failure.may_be_ctrl_c(e):
            raise
        return None


def common_class(base: type, exceptions: Sequence[BaseException]) -> type | None:
    """The class that engines raised, if it is the same for all these instances of base; else None."""
    found = {_other_class(base, e) for e in exceptions}
    cls = found.pop() if len(found) == 1 else None
    # not a group, which would be a member of itself, nor StopIteration, which would end an iteration here
    ends = (BaseExceptionGroup, StopIteration, StopAsyncIteration)
    return None if cls is None or issubclass(cls, ends) else cls


def _other_class(base: type, error: BaseException) -> type | None:
    if not isinstance(error, base):
        return type(error)
    bases = type(error).__bases__
    return bases[1] if len(bases) == 2 and bases[0] is base else None


def copy(error: BaseException) -> BaseException:
    """An equal exception without a traceback."""
    try:
        made = bare(type(error), error.args, error)
        made.__dict__.update(error.__dict__)
        copy_attributes(error, made)
        made.args = error.args
        copy_notes(error, made)
        return made
    except Exception:  # a class of the user's that cannot be made so
        return error.with_traceback(None)


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


def bare(cls: Any, arguments: tuple, original: Any = None) -> Any:
    """An instance made without the class's own constructor, whose arguments are not known."""
    if isinstance(original, BaseExceptionGroup):
        return BaseExceptionGroup.__new__(cls, original.message, original.exceptions)
    kinds: tuple[Any, ...] = (BaseException, OSError, MemoryError)
    for kind in kinds:
        try:
            return kind.__new__(cls, *arguments)
        except TypeError:
            continue  # Python wants the __new__ of the C type that lays out the instance
    return cls.__new__(cls, *arguments)


def copy_attributes(original: BaseException, error: Any) -> None:
    """Copies the exception's attributes: errno, filename, name, value, and the user's own."""
    for cls in type(original).__mro__:
        if cls is BaseException or cls is Exception:
            continue
        for name, member in vars(cls).items():
            if isinstance(member, (types.MemberDescriptorType, types.GetSetDescriptorType)):
                if not name.startswith("__"):
                    _copy(original, error, name)
    for name, value in original.__dict__.items():
        if name != "__notes__":
            error.__dict__.setdefault(name, value)


def copy_notes(original: BaseException, error: BaseException) -> None:
    """Gives an exception the notes of another, in a list of its own: more may be added to one of the two."""
    error.__dict__.pop("__notes__", None)
    for note in failure.notes(original):
        failure.add_note(error, note)


def _copy(original: BaseException, error: Any, name: str) -> None:
    try:
        value = getattr(original, name)
        if value is not None or getattr(error, name) is not None:  # an OSError whose errno is set to None shows it
            setattr(error, name, value)
    except Exception:
        pass  # not set, or read only, or the class has its own way of refusing
