# SPDX-License-Identifier: BSD-3-Clause
"""Outstanding requests whose AsyncResults are gone."""
from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any, Callable

from .joined import Joined

if TYPE_CHECKING:
    from .asyncresult import AsyncResult

#: Attributes that a new AsyncResult of the same request does not take over.
_ANEW = ("_client", "_result", "_outcomes", "_parts", "_lock")


class Leaving:
    """The part of AsyncResult that leaves a note with its client if it is deleted before the reply arrives."""

    def __del__(self: Any, _ending: Callable[[], bool] = sys.is_finalizing) -> None:
        result = self.__dict__.get("_result")  # not set if the constructor failed
        if result is None or self._lenders or _ending():
            return
        if not all([result.done(i) for i in range(self._count)]):
            self._client._sent.leave(self)


class Unheld:
    """What is needed to make an AsyncResult again, without the client and the replies."""

    __slots__ = ("kind", "kept", "ids")

    def __init__(self, ar: Any) -> None:
        self.kind = type(ar)
        self.kept = {name: value for name, value in ar.__dict__.items() if name not in _ANEW}
        self.ids = [part.id for part in getattr(ar._result, "parts", (ar._result,))]

    def again(self, client: Any, out: Callable[..., Any]) -> AsyncResult | None:
        """An AsyncResult of what is still outstanding; None if all is answered.

        Parameters
        ----------
        out : callable
            Returns the extension's Result of an id, None if it is answered.
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
        """For when some parts are answered and their values gone: a result of the others, not joined."""
        from .asyncresult import AsyncResult

        ar.__class__ = AsyncResult
        ar._places = [place for place, is_there in zip(ar._places, there) if is_there]
        ar.targets = [target for target, is_there in zip(ar.targets, there) if is_there]
        ar._count = len(ar.targets)
