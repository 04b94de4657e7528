# SPDX-License-Identifier: BSD-3-Clause
"""Small helpers, under the name of ipyparallel's module."""
from __future__ import annotations

import sys
import types
from typing import Any

__all__ = ["interactive"]


def interactive(f: Any) -> Any:
    """Decorator for functions of modules: on engines their globals are the engine's namespace.

    For functions of a script or a prompt that is so without it. Classes may be decorated as well,
    and are then sent by value.

    Parameters
    ----------
    f : function or class

    Returns
    -------
    A function with the same code, defaults and closure, or the same class.
    """
    if isinstance(f, types.FunctionType):
        main = sys.modules["__main__"]
        new = types.FunctionType(f.__code__, main.__dict__, f.__name__, f.__defaults__, f.__closure__)
        new.__kwdefaults__ = f.__kwdefaults__
        new.__dict__.update(f.__dict__)
        new.__doc__, new.__qualname__ = f.__doc__, f.__qualname__
        new.__annotations__ = f.__annotations__
        f = new
    elif not isinstance(f, type):
        raise TypeError(f"interactive() takes a function or a class, not {type(f).__name__}")
    f.__module__ = "__main__"
    return f
