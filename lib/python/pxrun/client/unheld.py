# SPDX-License-Identifier: BSD-3-Clause
"""Outstanding requests whose AsyncResults are gone: notes of what these were."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from .joined import Joined

if TYPE_CHECKING:
    from .asyncresult import AsyncResult

#: A class, the ids of the extension's results and how many entries each has, and attributes, by the class's `_noted`:
#: neither the client nor replies.
Note = tuple[type, "tuple[int, ...]", "tuple[int, ...]", tuple]


def note(ar: Any) -> Note:
    """What is needed to make an AsyncResult again."""
    # made with each AsyncResult and not when one is deleted: what signal handlers raise in __del__ is lost
    result, kind = ar._result, type(ar)
    if type(result) is not Joined:
        return kind, (result.id,), (result.count,), kind._note_of(ar)
    return kind, tuple(part.id for part in result.parts), tuple(part.count for part in result.parts), kind._note_of(ar)


def with_later(find: Callable[..., Any]) -> Callable[..., Any]:
    """The same, and also those of tasks that are posted later: their ids are negative."""

    def found(id: int) -> Any:
        if id >= 0:
            return find(id)
        from . import later

        return later.find(id)

    return found


def again(known: Note, client: Any, out: Callable[..., Any]) -> AsyncResult | None:
    """An AsyncResult of what is still outstanding; None if all is answered.

    Parameters
    ----------
    known : Note
    client : Client
    out : callable
        Returns the extension's Result of an id, None if it is answered.
    """
    kind, ids, counts, kept = known
    found = [out(id) for id in ids]
    parts = [part for part in found if part is not None]
    if not parts:
        return None
    ar: Any = kind.__new__(kind)  # type: ignore[call-overload]
    ar._client = client
    for name, value in zip(kind._noted, kept):  # type: ignore[attr-defined]
        setattr(ar, name, value)
    ar._result = parts[0] if len(found) == 1 else Joined(parts)
    ar._shows = client.output == "show"
    if len(parts) < len(found):
        _shorten(ar, [part is not None for part, count in zip(found, counts) for _ in range(count)])
    ar._count = ar._result.count
    return ar


def _shorten(ar: Any, there: list[bool]) -> None:
    """For when some parts are answered and their values gone: a result of the others, not joined."""
    from .asyncresult import AsyncResult

    ar.__class__ = AsyncResult
    ar._places = [place for place, is_there in zip(ar._places or range(len(there)), there) if is_there]
