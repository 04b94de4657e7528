# SPDX-License-Identifier: BSD-3-Clause
"""What must hold before something runs: require and depend on the engine, `Dependency` on other results."""
from __future__ import annotations

import functools
import importlib
import sys
import types
from typing import Any, Callable, Collection, Iterable

from ..error import ImpossibleDependency, InvalidDependency, PoolError, UnmetDependency, is_own


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
        self.known: dict[str, Any] = {}  # the AsyncResult of one engine's part, of those that were given as such
        super().__init__(self._ids_of(dependencies))

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

    def _ids_of(self, dependencies: Any) -> Iterable[str]:
        if isinstance(dependencies, str) or hasattr(dependencies, "msg_ids"):
            dependencies = [dependencies]
        elif not hasattr(dependencies, "__iter__"):
            raise TypeError(f"what something depends on are AsyncResults and message ids, not {dependencies!r}")
        for each in dependencies:
            if isinstance(each, str):
                yield each
            elif hasattr(each, "msg_ids"):
                self.known.update(zip(each.msg_ids, each.split()))
                yield from each.msg_ids
            else:
                raise TypeError(f"what something depends on are AsyncResults and message ids, not {each!r}")

    def as_dict(self) -> dict[str, Any]:
        """Its ids and flags, as plain values."""
        return {"dependencies": list(self), "all": self.all, "success": self.success, "failure": self.failure}


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


# --- on other results --------------------------------------------------------


def needed(dependencies: Any, flag: str) -> Dependency | None:
    """What a view has as `after` or `follow`; ValueError for what is no dependency."""
    if dependencies is None or isinstance(dependencies, Dependency):
        return dependencies
    try:
        return Dependency(dependencies)
    except TypeError:
        words = "AsyncResults, message ids, lists of these, a Dependency, or None"
        raise ValueError(f"invalid dependency: {flag} takes {words}, not {dependencies!r}") from None


_BADLY = "did not end as it should: "


class Conditions:
    """What tasks wait for, and where they may run then.

    Parameters
    ----------
    client : Client
    after : Dependency or None
        What must be done before.
    follow : Dependency or None
        The same, and the tasks run on the engine that did it.

    Raises
    ------
    InvalidDependency
        An id is none of this client's, or that of a result which nobody holds any more; or `follow` is a result of another pool.
    """

    def __init__(self, client: Any, after: Dependency | None, follow: Dependency | None) -> None:
        self._client = client
        self._after, self._follow = after or Dependency(), follow or Dependency()
        self.results = {id: self._result(client, id) for id in self._after | self._follow}
        if any(self.results[id]._client.supervisor_pid != client.supervisor_pid for id in self._follow):
            raise InvalidDependency("follow is a result of another pool, whose engines are not those of this view: use after")

    def _result(self, client: Any, id: str) -> Any:
        ar = self._after.known.get(id) or self._follow.known.get(id) or client._sent.part(id)
        if ar is not None:
            return ar
        why = "its result is gone, so that nobody knows how it ended: depend on the AsyncResult" if id in client._sent else "there is none"
        raise InvalidDependency(f"no request {id!r} can be waited for: {why}")

    def met(self, targets: Collection[int] | None) -> tuple[bool, list[int] | None]:
        """Whether the tasks can be posted now, and for which engines, of those that are allowed.

        Raises
        ------
        ImpossibleDependency
            They never can.
        PoolError
            The client is closed, or the pool gone.
        """
        ended = {id: ar for id, ar in self.results.items() if ar.ready()}
        bad = {id for id, ar in ended.items() if not ar.successful()}
        for id in bad:
            if self.results[id]._client is self._client and is_own(lost := self.results[id].exception(), PoolError):
                raise lost
        good = set(ended) - bad
        for name, needed in (("after", self._after), ("follow", self._follow)):
            if needed.unreachable(good, bad):
                raise ImpossibleDependency(f"what the task depends on ({name}) {_BADLY}{self._ends(needed, good, bad)}")
        if not (self._after.check(good, bad) and self._follow.check(good, bad)):
            return False, None
        return True, self._places(targets, good, bad)

    def _ends(self, needed: Dependency, good: Collection[str], bad: Collection[str]) -> str:
        """How the first that did not end as it should has ended."""
        first = next(id for id in needed if id in needed._chosen(not needed.success, good, not needed.failure, bad))
        if first in good:
            return f"{self.results[first]._fname} succeeded"
        said = str(self.results[first].exception()).partition("\n")[0]
        return said.partition(_BADLY)[2] or said  # the first cause, in a chain of tasks

    def _places(self, targets: Collection[int] | None, good: set[str], bad: set[str]) -> list[int] | None:
        follow = self._follow
        if not follow:
            return None if targets is None else list(targets)
        met = follow & follow._chosen(follow.success, good, follow.failure, bad)
        engines = {self.results[id].targets[0] for id in met} - {None}
        allowed = engines if targets is None else engines & set(targets)
        if not allowed or follow.all and len(engines) > 1:
            raise ImpossibleDependency(f"no engine is left: what the task follows ran on {sorted(engines)}, its targets are {targets}")
        return sorted(allowed)
