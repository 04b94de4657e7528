# SPDX-License-Identifier: BSD-3-Clause
"""What must hold before something runs: require and depend on the engine, `Dependency` on other results."""
from __future__ import annotations

import functools
import importlib
import sys
import types
from typing import Any, Callable, Collection, Iterable

from ..error import UnmetDependency


class Dependency(set):
    """Message ids of requests on which something depends.

    Parameters
    ----------
    dependencies : AsyncResult, message id, or an iterable of them
    all : bool
        Whether all of them are needed, or any one.
    success, failure : bool
        Whether a request that has succeeded counts, and whether one that has failed does. ValueError if
        neither.
    """

    def __init__(self, dependencies: Any = (), all: bool = True, success: bool = True, failure: bool = False) -> None:
        if not (success or failure):
            raise ValueError("a dependency is met by requests that succeed, that fail, or both: neither was given")
        self.all, self.success, self.failure = all, success, failure
        super().__init__(_ids_of(dependencies))

    def check(self, completed: Collection[str], failed: Collection[str] | None = None) -> bool:
        """Whether it is met, given the ids of what has succeeded and of what has failed."""
        return not self or self._holds(self._chosen(self.success, completed, self.failure, failed), self.all)

    def unreachable(self, completed: Collection[str], failed: Collection[str] | None = None) -> bool:
        """Whether it will never be met: too many have ended otherwise than they should."""
        return bool(self) and self._holds(self._chosen(not self.success, completed, not self.failure, failed), not self.all)

    @staticmethod
    def _chosen(first: bool, completed: Collection[str], second: bool, failed: Collection[str] | None) -> set[str]:
        return {*(completed if first else ()), *((failed or ()) if second else ())}

    def _holds(self, ids: set[str], all: bool) -> bool:
        return self <= ids if all else not self.isdisjoint(ids)

    def as_dict(self) -> dict[str, Any]:
        """Its ids and flags, as plain values."""
        return {"dependencies": list(self), "all": self.all, "success": self.success, "failure": self.failure}


def _ids_of(dependencies: Any) -> Iterable[str]:
    if isinstance(dependencies, str) or hasattr(dependencies, "msg_ids"):
        dependencies = [dependencies]
    for each in dependencies:
        if isinstance(each, str):
            yield each
        elif hasattr(each, "msg_ids"):
            yield from each.msg_ids
        else:
            raise TypeError(f"what something depends on are AsyncResults and message ids, not {each!r}")


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
