# SPDX-License-Identifier: BSD-3-Clause
"""Functions that run on engines when they are called: remote, parallel, and the map of views."""
from __future__ import annotations

import functools
import inspect
from typing import Any, Callable, Sequence

from ..engine.calls import map_chunk, map_guarded, map_resolved
from ..error import CannotSend
from ..serialize import Reference
from ..wire.calls import find_culprit, name_of
from ..wire.columns import packed
from . import map as maps
from .cancel import take_back
from .joined import Joined
from .sequences import for_map, for_parts, have_references


def remote(view: Any, block: bool | None = None, **flags: Any) -> Callable[[Callable], "RemoteFunction"]:
    """Decorator: calls run on every target of the view."""
    return lambda f: RemoteFunction(view, f, block=block, **flags)


def parallel(view: Any, dist: str = "b", block: bool | None = None, **flags: Any) -> Callable[[Callable], "RemoteFunction"]:
    """Decorator: calls divide their sequences into parts, one for each engine; see also `LoadBalancedView.parallel`."""
    if hasattr(view, "retries"):
        return lambda f: BalancedFunction(view, f, block=block, **flags)
    return lambda f: ParallelFunction(view, f, dist=dist, block=block, **flags)


class RemoteFunction:
    """Calls `f` on every target of `view`.

    Parameters
    ----------
    block : bool, optional
        Whether calls wait; None: as the view does at the call.
    """

    def __init__(self, view: Any, f: Callable, block: bool | None = None, **flags: Any) -> None:
        functools.update_wrapper(self, f, updated=())
        self.__doc__ = f"{type(self).__name__} wrapping:\n{f.__doc__ or ''}"
        try:
            self.__signature__ = inspect.signature(f)
        except (TypeError, ValueError):
            pass
        self.view, self.func, self.block, self.flags = view, f, block, flags

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        block = self.view.block if self.block is None else self.block
        with self.view.temp_flags(block=block, **self.flags):
            return self.view.apply(self.func, *args, **kwargs)


class BalancedFunction(RemoteFunction):
    """A function whose `map` hands elements to the engines of a load-balanced view as they become free; a call is one task.

    Parameters
    ----------
    chunksize, ordered, return_exceptions, progress
        As LoadBalancedView.map() has them.
    """

    def __init__(
        self,
        view: Any,
        f: Callable,
        block: bool | None = None,
        chunksize: int | None = None,
        ordered: bool = True,
        return_exceptions: bool = False,
        progress: bool = False,
        **flags: Any,
    ) -> None:
        super().__init__(view, f, block, **flags)
        self.options = {"chunksize": chunksize, "ordered": ordered, "return_exceptions": return_exceptions, "progress": progress}

    def map(self, *sequences: Any) -> Any:
        """The function of each element, as a list."""
        with self.view.temp_flags(**self.flags):
            return self.view.map(self.func, *sequences, block=self.block, **self.options)


class ParallelFunction(RemoteFunction):
    """Divides sequences into parts. A call passes each engine its part, `map` each element of it.

    Parameters
    ----------
    dist : 'b' or 'r'
        Parts are blocks, or every n-th element.
    return_exceptions : bool
        Whether an element of a map for which the function raises is its exception in the result.
    progress : bool
        Whether a bar is shown while the result of a map is waited for.
    """

    def __init__(
        self,
        view: Any,
        f: Callable,
        dist: str = "b",
        block: bool | None = None,
        return_exceptions: bool = False,
        progress: bool = False,
        **flags: Any,
    ) -> None:
        super().__init__(view, f, block, **flags)
        self.mapping = maps.by_name(dist)
        self.return_exceptions, self.progress = return_exceptions, progress

    def __call__(self, *sequences: Any, **kwargs: Any) -> Any:
        if kwargs:
            raise TypeError("a parallel function takes sequences only, no keyword arguments")
        listed = for_parts(sequences)
        lengths = [len(s) for s in listed]
        if len(set(lengths)) > 1:
            raise ValueError(f"all sequences must have equal length, but have {lengths}")
        return self._distribute(self.func, listed, False)

    def map(self, *sequences: Any) -> Any:
        """The function of each element, as a list."""
        listed = for_map(sequences)
        references = type(self.func) is Reference or have_references(listed)
        guard = self.return_exceptions
        if references:
            return self._distribute(functools.partial(map_resolved, self.func, guard=guard), listed, True)
        chunk: Any = map_guarded if guard else map_chunk
        return self._distribute(functools.partial(chunk, self.func), listed, True)

    def _element_of(self, unsent: CannotSend, arguments: list, length: int, part: int, parts: int) -> CannotSend:
        """The same of the element that cannot be sent, by its index in the whole."""
        name = name_of(self.func)
        named = [(f"the function {name}", self.func)] + [
            (f"element {self.mapping.index(length, part, parts, i)} of argument {number} of the map of {name}", element)
            for number, argument in enumerate(arguments, 1)
            for i, element in enumerate(argument)
        ]
        culprit = find_culprit(named, unsent.library)
        return unsent if culprit is None else CannotSend(culprit, unsent.reason, unsent.library)

    def _at(self, length: int, part: int, parts: int) -> dict:
        """Which elements of a map are those of a part, for `map_chunk`, where an exception is that of the whole part."""
        if self.return_exceptions:
            return {}
        first, second = (self.mapping.index(length, part, parts, i) for i in (0, 1))
        return {"at": (first, second - first)}

    def _distribute(self, f: Callable, sequences: Sequence, mapped: bool) -> Any:
        with self.view.temp_flags(**self.flags):
            return self._send_parts(f, sequences, mapped)

    def _send_parts(self, f: Callable, sequences: Sequence, mapped: bool) -> Any:
        view = self.view
        length = min((len(s) for s in sequences), default=0)
        if length == 0:
            return []
        targets, _ = view._targets(None)
        parts = min(len(targets), length)
        view._check_alive(targets[:parts])
        if any(len(s) != length for s in sequences):
            sequences = [s[:length] for s in sequences]
        results: list = []
        try:
            for i, engine in enumerate(targets[:parts]):
                arguments = [self.mapping.partition(s, i, parts) for s in sequences]
                sent = map(packed, arguments) if mapped else arguments
                results.append(view._submit_call(f, tuple(sent), self._at(length, i, parts) if mapped else {}, [engine], view._track_flag()))
        except CannotSend as unsent:
            take_back(results)
            raise self._element_of(unsent, arguments, length, i, parts) from unsent.__cause__
        except BaseException:
            take_back(results)
            raise
        name = getattr(self.func, "__name__", type(self.func).__name__)
        options = {"mapping": self.mapping, "length": length if mapped else None, "return_exceptions": self.return_exceptions}
        options["progress"] = self.progress and mapped
        ar = view._new("AsyncMapResult", Joined(results), name, False, function=self.func, **options)
        return view._finish(ar, view.block if self.block is None else self.block)
