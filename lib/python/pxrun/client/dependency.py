# SPDX-License-Identifier: BSD-3-Clause
"""Requirements of functions, checked on the engine before they run: require, depend."""
from __future__ import annotations

import functools
import importlib
import sys
import types
from typing import Any, Callable

from ..error import UnmetDependency


class dependent:
    """A function that runs only if a condition holds on the engine.

    Parameters
    ----------
    _wrapped_f : callable
    _wrapped_df : callable
        Called first on the engine, with the other arguments; if it returns False, the function is
        not run and `UnmetDependency` is raised.
    """

    def __init__(self, _wrapped_f: Callable, _wrapped_df: Callable, *dargs: Any, **dkwargs: Any) -> None:
        self.f, self.df, self.dargs, self.dkwargs = _wrapped_f, _wrapped_df, dargs, dkwargs
        functools.update_wrapper(self, _wrapped_f, updated=())
        self.__dict__.pop("__wrapped__", None)  # it would be sent twice

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.df(*self.dargs, **self.dkwargs) is False:
            name = getattr(self.df, "__name__", repr(self.df))
            raise UnmetDependency(f"{name} says that {self.__name__} cannot run here")  # type: ignore[attr-defined]
        return self.f(*args, **kwargs)


class depend:
    """Decorator: the function runs only where ``f(*args, **kwargs)`` is not False; see `dependent`."""

    def __init__(self, _wrapped_f: Callable, *args: Any, **kwargs: Any) -> None:
        self.f, self.args, self.kwargs = _wrapped_f, args, kwargs

    def __call__(self, f: Callable) -> dependent:
        return dependent(f, self.f, *self.args, **self.kwargs)


def require(*objects: Any, **mapping: Any) -> depend:
    """Decorator: modules, functions and classes that a function uses, put into the engine's namespace.

    Parameters
    ----------
    *objects : str, module, function or class
        Modules, by name or as they are, are imported on the engine; functions and classes are
        assigned to their names.
    **mapping : object
        Values for other names; modules are imported here, too.

    Raises
    ------
    UnmetDependency
        From the call: the engine cannot import a module. The function was not run.
    TypeError
        For an object without a name.

    Examples
    --------
    >>> @pxrun.require("re", json)              # doctest: +SKIP
    ... def f(text): return re.findall("a", json.loads(text))
    """
    names: list[tuple[str, str]] = []
    values = {}
    for each in objects:
        if isinstance(each, types.ModuleType):
            each = each.__name__
        if isinstance(each, str):
            names.append((each.partition(".")[0], each))
        elif isinstance(each, type) or callable(each) and hasattr(each, "__name__"):
            values[each.__name__] = each
        else:
            raise TypeError(f"require() takes modules, their names, functions and classes, not {each!r}; use a keyword")
    for name, value in mapping.items():
        if isinstance(value, types.ModuleType):
            names.append((name, value.__name__))
        else:
            values[name] = value
    return depend(_provide, names, values)


def _provide(names: list[tuple[str, str]], values: dict) -> bool:
    """Runs on the engine: imports and assigns."""
    user = sys.modules["__main__"].__dict__
    for name, module in names:
        try:
            found = importlib.import_module(module)
        except ImportError as e:
            raise UnmetDependency(f"the engine cannot import {module}: {e}") from e
        user[name] = found if name != module.partition(".")[0] else sys.modules[name]
    user.update(values)
    return True
