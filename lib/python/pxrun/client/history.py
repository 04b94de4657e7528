# SPDX-License-Identifier: BSD-3-Clause
"""Requests by message id: the history, results that somebody holds, and outstanding ones that nobody holds."""
from __future__ import annotations

import collections
import contextlib
import os
import weakref
from typing import TYPE_CHECKING, Any, Callable, Iterable, Iterator

from .. import _pxrun, error
from . import unheld

if TYPE_CHECKING:
    from .asyncresult import AsyncResult

#: The number of requests that a history keeps.
HISTORY = 100_000
#: At this number of notes, and then at twice the number still needed, those no longer needed are removed.
_MANY = 1000
#: Of so many requests the names are kept, as long as the client's journal has them; of code, so many characters.
_NAMED, _CODE = 1024, 100
_session = os.urandom(8).hex()


def message_id(number: int, i: int) -> str:
    """The id of entry i of this process's request of that number."""
    return f"{_session}_{os.getpid()}_{number}_{i}"


class History(_pxrun.Sent):
    """The requests of a client, or of one of its views: their ids, not their results.

    A result is kept by its AsyncResult only. An outstanding request is known by its ids even if
    nobody holds its AsyncResult; once it is answered, it has an id here but no value.

    Parameters
    ----------
    client : Client
    of_client : History, optional
        For a view: its client's history.
    """

    def __init__(self, client: Any, of_client: "History | None" = None) -> None:
        self._client = weakref.ref(client)  # which holds this
        self._of_client = of_client
        # (number, engines) each; the ids are made of them on demand
        self._numbers = collections.deque()
        self._numbers_most = HISTORY
        self._older: dict[int, int] = {}  # the same for outstanding requests that are older than the history
        self._older_most = _MANY
        if of_client is None:
            # not a WeakValueDictionary, which takes longer than all the rest of add()
            self._results = {}
            self._results_most = _MANY
            # of requests that may be outstanding; those that were answered are taken out now and then
            self._notes = {}
            self._notes_most = _MANY
            # what the last requests were, for a time line: number, ids and counts as in notes, name, label, code
            self.named = collections.deque(maxlen=_NAMED)

    def add(self, ar: AsyncResult) -> None:
        """Remembers a request. Those of plain calls are remembered by lib/python/ext/sent.c."""
        if self._of_client is None:
            code = ar._code and ar._code[:_CODE]
            self._record(ar, ar._first_number, ar._count, unheld.note(ar), ar._fname, ar._label, code)
        else:
            self._record(ar, ar._first_number, ar._count)

    def _tidy(self) -> None:
        """There are many by now: what need not be remembered is forgotten."""
        if self._of_client is None and len(self._notes) >= self._notes_most:
            self._forget_answered()
        if self._of_client is None and len(self._results) >= self._results_most:
            self._forget_gone()
        while len(self._numbers) > HISTORY:
            number, count = self._numbers.popleft()
            self._older[number] = count
        if len(self._older) >= self._older_most:
            home = self._home()
            self._older = {n: c for n, c in self._older.items() if n in home._notes or home._is_held(n)}
            self._older_most = max(_MANY, 2 * len(self._older))

    def _is_held(self, number: int) -> bool:
        ref = self._results.get(number)
        return ref is not None and ref() is not None

    def _home(self) -> "History":
        return self if self._of_client is None else self._of_client

    def answered(self, ar: AsyncResult) -> None:
        """For a client: this request needs no note any more."""
        self._notes.pop(ar._first_number, None)

    def _forget_answered(self) -> None:
        out = self._out()
        for number, note in list(self._notes.items()):
            if not any(out(id) for id in note[1]):
                self._notes.pop(number, None)
        self._notes_most = max(_MANY, 2 * len(self._notes))

    def _forget_gone(self) -> None:
        for number, ref in list(self._results.items()):
            found = self._results.pop(number, ref) if ref() is None else ref
            if found is not ref:
                self._results[number] = found  # made again meanwhile
        self._results_most = max(_MANY, 2 * len(self._results))

    def _out(self) -> Callable[..., Any]:
        """Outstanding requests, by the extension's ids."""
        client = self._client()
        out: dict[int, Any] = {}
        if client is not None:
            with contextlib.suppress(error.PoolError):  # the client is closed or the pool gone: nothing is outstanding
                out = client._core.outstanding()
        return unheld.with_later(out.get)

    def _result_of(self, number: int, out: Callable[..., Any] | None = None) -> AsyncResult | None:
        """The AsyncResult of a number; a new one if the request is outstanding and nobody holds its own."""
        home = self._home()
        ref = home._results.get(number)
        found = None if ref is None else ref()
        note, client = home._notes.get(number), self._client()
        if found is not None or note is None or client is None:
            return found
        try:
            found = unheld.again(note, client, out or unheld.with_later(client._core.find))
        except error.PoolError:  # nothing is outstanding
            pass
        if found is not None:
            home._results[number] = weakref.ref(found)
        else:
            home._notes.pop(number, None)
        return found

    def ids(self) -> list[str]:
        """Ids in the order of submission, one for each engine of each request."""
        return [message_id(number, i) for number, count in list(self._numbers) for i in range(count)]

    def live(self) -> dict[str, tuple[AsyncResult, int]]:
        """AsyncResults that are held or outstanding, with the index of the part, by id, in the order of submission."""
        held = self._home()._held()
        chosen = (held[number] for number in self._known() if number in held)
        return {msg_id: (ar, i) for ar in chosen for i, msg_id in enumerate(ar.msg_ids)}

    def _known(self) -> list[int]:
        """The numbers of all requests that may be in live(), in the order of submission."""
        return [*self._older, *(number for number, _ in list(self._numbers))]

    def _held(self) -> dict[int, AsyncResult]:
        """For a client: the AsyncResults of live(), by number."""
        held = ((number, ref()) for number, ref in list(self._results.items()))
        found = {number: ar for number, ar in held if ar is not None}
        unknown = [number for number in list(self._notes) if number not in found]
        out = self._out() if unknown else None
        for number in unknown:
            ar = self._result_of(number, out)
            if ar is not None:
                found[number] = ar
        return found

    def requests(self) -> list[AsyncResult]:
        """The AsyncResults of live(), each once."""
        return list(dict.fromkeys(ar for ar, _ in self.live().values()))

    def unfinished(self) -> list[AsyncResult]:
        """The AsyncResults of what is not answered, in the order of submission."""
        held = self._home()._held()
        return [held[number] for number in self._known() if number in held and not held[number].ready()]

    def outstanding(self) -> set[str]:
        """Ids of what has not been answered."""
        return {msg_id for msg_id, (ar, i) in self.live().items() if not (ar.ready() or ar._result.done(i))}

    def forget(self, msg_ids: Iterable[str]) -> None:
        """Removes requests from the history."""
        gone = {_numbered(msg_id)[0] for msg_id in msg_ids}
        self._numbers = collections.deque(n for n in self._numbers if n[0] not in gone)

    def find(self, jobs: Any) -> list:
        """The AsyncResults and Futures of jobs: these themselves, ids, indices into the history, or an iterable.

        Ids of answered requests whose result is gone are left out.
        """
        found: dict[Any, None] = {}
        for job in _one_by_one(jobs):
            if isinstance(job, (int, str)):
                job = self.part(self.id_of(job))
            if job is not None:
                found[job] = None
        return list(found)

    def result(self, job: Any) -> AsyncResult:
        """The AsyncResult of one id or index; KeyError if it is answered and nobody holds it any more."""
        if hasattr(job, "msg_ids"):
            return job
        job = self.id_of(job)
        ar = self.part(job)
        if ar is None:
            raise KeyError(
                f"nobody holds an AsyncResult of {job!r}, which is answered: a result lives in its AsyncResult and nowhere else"
            )
        return ar

    def part(self, msg_id: str) -> AsyncResult | None:
        """The AsyncResult of one engine's part, None if it is gone."""
        ar = self._result_of(_numbered(msg_id)[0])
        if ar is None or msg_id not in ar.msg_ids:
            return None
        return ar if ar._count == 1 else ar._part(ar.msg_ids.index(msg_id))

    def id_of(self, job: Any) -> str:
        """An id, or the id at an index into the history."""
        if isinstance(job, int):
            return self._at(job)
        if not isinstance(job, str):
            raise TypeError(f"a job is an AsyncResult, a message id or an index into the history, not {job!r}")
        return job

    def __contains__(self, msg_id: str) -> bool:
        number, i = _numbered(msg_id)
        return any(number == known and i < count for known, count in self._numbers)

    def _at(self, index: int) -> str:
        history = self.ids()
        if not -len(history) <= index < len(history):
            raise IndexError(f"the history has {len(history)} entries, there is none of index {index}")
        return history[index]


def _numbered(msg_id: str) -> tuple[int, int]:
    """The request's number and the index of the part; (-1, 0) if this is no id of this process."""
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
