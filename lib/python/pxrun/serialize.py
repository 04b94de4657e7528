# SPDX-License-Identifier: BSD-3-Clause
"""Arguments that stand for other objects: `Reference`, a name that engines look up, and `PrePickled`."""
from __future__ import annotations

import pickle
import sys
from typing import Any


class Reference:
    """An expression that each engine evaluates in its own namespace.

    Allowed as the function, as an argument, or one level inside a list, tuple, set or dict
    argument of ``apply``.

    Parameters
    ----------
    name : str
        Any expression: ``"a"``, ``"d['k']"``.
    """

    def __init__(self, name: str) -> None:
        if not isinstance(name, str):
            raise TypeError(f"a Reference takes a str, not {type(name).__name__}")
        self.name = name

    def __repr__(self) -> str:
        return f"<Reference: {self.name!r}>"


class PrePickled:
    """An object that is pickled once and can be sent in many calls; engines get the object itself.

    Allowed as the function of ``apply``, or anywhere in an argument.

    Parameters
    ----------
    obj : object
        Pickled as it is now; what is changed in it later is not sent.
    """

    def __init__(self, obj: Any) -> None:
        from .wire import pickling

        self._pickle = pickling.dumps(obj, in_band=True, bring=True)[0]
        self._name = getattr(obj, "__name__", type(obj).__name__)

    def __reduce__(self) -> tuple:
        return pickle.loads, (self._pickle,)

    def __repr__(self) -> str:
        return f"<PrePickled: {self._name}, {len(self._pickle)} bytes>"


def holds(args: tuple, kwargs: dict) -> bool:
    """Whether there is a Reference that call_resolved() would replace."""
    for arg in (*args, *kwargs.values()):
        kind = type(arg)
        if kind is Reference:
            return True
        if kind in (list, tuple, set) and any(type(item) is Reference for item in arg):
            return True
        if kind is dict and any(type(item) is Reference for item in arg.values()):
            return True
    return False


def _resolve(arg: Any, namespace: dict) -> Any:
    kind = type(arg)
    if kind is Reference:
        return eval(arg.name, namespace)
    if kind in (list, tuple, set):
        return kind([eval(i.name, namespace) if type(i) is Reference else i for i in arg])
    if kind is dict:
        return {k: eval(v.name, namespace) if type(v) is Reference else v for k, v in arg.items()}
    return arg


def call_resolved(f: Any, args: tuple, kwargs: dict) -> Any:
    """Runs on the engine: f(*args, **kwargs) with every Reference replaced by its value."""
    namespace = sys.modules["__main__"].__dict__
    f = _resolve(f, namespace)
    # lists: a generator would make a RuntimeError of StopIteration
    return f(*[_resolve(a, namespace) for a in args], **{k: _resolve(v, namespace) for k, v in kwargs.items()})
