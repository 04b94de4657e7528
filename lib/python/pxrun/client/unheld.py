# SPDX-License-Identifier: BSD-3-Clause
"""Requests that are out, and whose AsyncResults are gone."""
from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any, Callable

from .joined import Joined

if TYPE_CHECKING:
    from .asyncresult import AsyncResult

#: What another AsyncResult of the same request gets anew.
_ANEW = ("_client", "_result", "_outcomes", "_parts", "_lock")


class Leaving:
    """The part of AsyncResult that leaves a note of itself with its client, if it goes before its answer comes."""

    def __del__(self: Any, _ending: Callable[[], bool] = sys.is_finalizing) -> None:
        result = self.__dict__.get("_result")  # there is none if the constructor failed
        if result is None or self._lenders or _ending():
            return
        if not all([result.done(i) for i in range(self._count)]):
            self._client._sent.leave(self)


class Unheld:
    """What an AsyncResult is made of again. It has neither the client nor replies."""

    __slots__ = ("kind", "kept", "ids")

    def __init__(self, ar: Any) -> None:
        self.kind = type(ar)
        self.kept = {name: value for name, value in ar.__dict__.items() if name not in _ANEW}
        self.ids = [part.id for part in getattr(ar._result, "parts", (ar._result,))]

    def again(self, client: Any, out: Callable[..., Any]) -> AsyncResult | None:
        """An AsyncResult of what is still out; None if all is answered.

        Parameters
        ----------
        out : callable
            The extension's Result of an id, None for one that is answered.
        """
        found = [out(id) for id in self.ids]
        parts = [part for part in found if part is not None]
        if not parts:
            return None
        ar: Any = object.__new__(self.kind)
        ar.__dict__.update(self.kept, _client=client, _parts=None, _lock=threading.RLock())
        ar._result = parts[0] if len(found) == 1 else Joined(parts)
        if len(parts) < len(found):
            self._shorten(ar, [part is not None for part in found])
        ar._outcomes = [None] * ar._count
        return ar

    def _shorten(self, ar: Any, there: list[bool]) -> None:
        """Some parts are answered, and their values gone: it is of the others, which are not joined any more."""
        from .asyncresult import AsyncResult

        ar.__class__ = AsyncResult
        ar._places = [place for place, is_there in zip(ar._places, there) if is_there]
        ar.targets = [target for target, is_there in zip(ar.targets, there) if is_there]
        ar._count = len(ar.targets)
