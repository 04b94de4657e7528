# SPDX-License-Identifier: BSD-3-Clause
"""What was asked, by message id: histories, and the results that still live."""
from __future__ import annotations

import collections
import os
import weakref
from typing import TYPE_CHECKING, Any, Iterable, Iterator

if TYPE_CHECKING:
    from .asyncresult import AsyncResult

#: So many requests back, histories reach.
HISTORY = 100_000
_session = os.urandom(8).hex()


def message_id(number: int, i: int) -> str:
    """The id of entry i of this process's request of that number."""
    return f"{_session}_{os.getpid()}_{number}_{i}"


class History:
    """The requests of a client, or of one of its views: it holds their ids, not their results.

    A result lives in its AsyncResult. What nobody keeps any more has an id here, and
    counts as done.

    Parameters
    ----------
    of_client : History, optional
        For a view: those of its client.
    """

    def __init__(self, of_client: "History | None" = None) -> None:
        # (number, engines) each; ids are made of them when somebody asks
        self._numbers: collections.deque[tuple[int, int]] = collections.deque(maxlen=HISTORY)
        self._results: weakref.WeakValueDictionary[int, AsyncResult] = (
            weakref.WeakValueDictionary() if of_client is None else of_client._results
        )
        self._own = of_client is None

    def add(self, ar: AsyncResult) -> None:
        """Remembers a request."""
        self._numbers.append((ar._first_number, ar._count))
        if self._own:
            self._results[ar._first_number] = ar

    def ids(self) -> list[str]:
        """Ids in the order of submission, one for each engine of each request."""
        return [message_id(number, i) for number, count in self._numbers for i in range(count)]

    def live(self) -> dict[str, tuple[AsyncResult, int]]:
        """The AsyncResults that somebody holds and the place in them, by id, in the order of submission."""
        found: dict[str, tuple[AsyncResult, int]] = {}
        for number, count in list(self._numbers):
            ar = self._results.get(number)
            if ar is not None:
                found.update((message_id(number, i), (ar, i)) for i in range(count))
        return found

    def outstanding(self) -> set[str]:
        """Ids of what has not been answered, as far as somebody holds its result."""
        return {msg_id for msg_id, (ar, i) in self.live().items() if not (ar.ready() or ar._result.done(i))}

    def forget(self, msg_ids: Iterable[str]) -> None:
        """Takes requests out of the history."""
        gone = {_numbered(msg_id)[0] for msg_id in msg_ids}
        self._numbers = collections.deque((n for n in self._numbers if n[0] not in gone), maxlen=HISTORY)

    def find(self, jobs: Any) -> list:
        """AsyncResults and Futures, of these themselves, of ids, of indices into the history, or an iterable.

        Of ids whose result is gone nothing is found.
        """
        found: dict[Any, None] = {}
        for job in _one_by_one(jobs):
            if isinstance(job, int):
                job = self._at(job)
            if isinstance(job, str):
                job = self._results.get(_numbered(job)[0])
            if job is not None:
                found[job] = None
        return list(found)

    def result(self, job: Any) -> AsyncResult:
        """The AsyncResult of one id or index; KeyError if nobody holds it any more."""
        if hasattr(job, "msg_ids"):
            return job
        if isinstance(job, int):
            job = self._at(job)
        if not isinstance(job, str):
            raise TypeError(f"a job is an AsyncResult, a message id or an index into the history, not {job!r}")
        number, i = _numbered(job)
        ar = self._results.get(number)
        if ar is None or i >= ar._count:
            raise KeyError(f"nobody holds an AsyncResult of {job!r}: a result lives in its AsyncResult and nowhere else")
        return ar if ar._count == 1 else ar.split()[i]

    def _at(self, index: int) -> str:
        history = self.ids()
        if not -len(history) <= index < len(history):
            raise IndexError(f"the history has {len(history)} entries, there is none of index {index}")
        return history[index]


def _numbered(msg_id: str) -> tuple[int, int]:
    """A request's number and the place in it; (-1, 0) if that is no id of this process."""
    try:
        number, i = (int(part) for part in msg_id.rsplit("_", 2)[1:])
    except ValueError:
        return -1, 0
    return (number, i) if message_id(number, i) == msg_id else (-1, 0)


def _one_by_one(jobs: Any) -> Iterator:
    from concurrent.futures import Future

    kinds = (str, int, Future)
    listed = [jobs] if isinstance(jobs, kinds) else jobs
    try:
        listed = list(listed)
    except TypeError:
        listed = [jobs]
    for job in listed:
        if not isinstance(job, kinds):
            raise TypeError(f"a job is an AsyncResult, a message id, an index into the history or a Future, not {job!r}")
        yield job
