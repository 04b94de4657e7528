# SPDX-License-Identifier: BSD-3-Clause
"""Several results of the extension as one, with the same methods."""
from __future__ import annotations

import threading
from typing import Any, Callable, Sequence

from .deadline import end_of, left


def sources(result: Any) -> list[tuple[Any, int | None]]:
    """What a result of the extension, or several as one, are made of; None: all entries."""
    return result.sources() if type(result) is Joined else [(result, None)]


class Joined:
    """The entries of several results, one after the other.

    Parameters
    ----------
    parts : sequence of _pxrun.Result
        The results of requests that were sent one by one.
    entries : sequence of (result, index), optional
        Instead of all entries of the parts, these.
    """

    def __init__(self, parts: Sequence, entries: Sequence[tuple[Any, int]] | None = None) -> None:
        self.parts = list(parts)
        self.entries = list(entries) if entries is not None else [(part, i) for part in self.parts for i in range(part.count)]
        self.count = len(self.entries)
        self.lock = threading.RLock()  # a signal's handler may look at it as well
        self.order: Any = None  # made by Completion.order_of() when somebody asks for it

    def _done(self) -> bool:
        return all(result.done(i) for result, i in self.entries)

    def ready(self) -> bool:
        """Whether every entry is done; reads what has arrived."""
        for result, _ in self.entries[:1]:
            result.ready()
        return self._done()

    @property
    def folder(self) -> str:
        """The pool's runtime folder."""
        return self.parts[0].folder if self.parts else ""

    def sources(self) -> list[tuple[Any, int | None]]:
        """The results that it is made of, with None where it has all of their entries."""
        mine = set(self.entries)
        whole = {part for part in self.parts if all((part, i) in mine for i in range(part.count))}
        return [*((part, None) for part in whole), *((part, i) for part, i in mine if part not in whole)]

    def wait(self, timeout: float | None, shower: Callable[[Any], object] | None = None) -> bool:
        """Waits until every entry is done; shower(self) is called as Result.wait() of the extension calls it."""
        if shower is None:
            return self._until(timeout)
        show: Callable[[Any], object] = shower
        try:
            return self._until(timeout, lambda part: show(self))
        finally:
            show(self)

    def wait_entry(self, i: int, timeout: float | None, shower: Callable[[Any], object] | None = None) -> bool:
        """Waits until entry i is done; as wait()."""
        result, i = self.entries[i]
        return result.wait_entry(i, timeout, None if shower is None else lambda part: shower(self))

    def wait_sent(self, timeout: float | None) -> bool:
        """Waits until no engine holds tracked memory that was sent to it."""
        end = end_of(timeout)
        return all(result.wait_sent(left(end), i) for result, i in self.entries)

    def _until(self, timeout: float | None, *shower: Callable) -> bool:
        end = end_of(timeout)
        return all(result.wait_entry(i, left(end), *shower) for result, i in self.entries)

    def sent(self, i: int) -> bool:
        """Whether entry i's engine holds no tracked memory that was sent to it."""
        result, i = self.entries[i]
        return result.sent(i)

    def done(self, i: int) -> bool:
        """Whether entry i is done, as far as has been read."""
        result, i = self.entries[i]
        return result.done(i)

    def engine(self, i: int) -> int:
        """The id of entry i's engine."""
        result, i = self.entries[i]
        return result.engine(i)

    def reply(self, i: int) -> tuple:
        """(code, body, buffers), once."""
        result, i = self.entries[i]
        return result.reply(i)

    def code(self, i: int) -> int:
        """The code of reply(i), which this does not take; 0: a value, or not done."""
        result, i = self.entries[i]
        return result.code(i)

    def times(self, i: int) -> tuple:
        """(submitted, started, completed, received) in nanoseconds since the epoch."""
        result, i = self.entries[i]
        return result.times(i)

    def output(self, i: int, which: int) -> bytes:
        """The output on one stream so far."""
        result, i = self.entries[i]
        return result.output(i, which)

    def chunks(self, i: int) -> list:
        """All output in the order in which it came."""
        result, i = self.entries[i]
        return result.chunks(i)

    def news(self, i: int, *how: Any) -> list:
        """What no earlier call has given of chunks(i): whole lines, until the entry is done."""
        result, i = self.entries[i]
        return result.news(i, *how)

    def told(self, i: int) -> int:
        """How many bytes of what the entry has printed news(i) has given."""
        result, i = self.entries[i]
        return result.told(i)

    def abort(self, i: int) -> bool:
        """Aborts the entry; false if it has begun."""
        result, i = self.entries[i]
        return result.abort(i)

    def interrupt(self, i: int) -> None:
        """Raises KeyboardInterrupt in the entry, if its engine works on it."""
        result, i = self.entries[i]
        result.interrupt(i)

    def running(self, i: int) -> bool:
        """Whether its engine works on the entry."""
        result, i = self.entries[i]
        return result.running(i)

    def progress(self, i: int) -> int:
        """How many elements its engine has done."""
        result, i = self.entries[i]
        return result.progress(i)
