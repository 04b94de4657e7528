# SPDX-License-Identifier: BSD-3-Clause
"""Several results of the extension as one, with the same methods."""
from __future__ import annotations

import time
from typing import Any, Callable, Sequence


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
        self._alone = {id(part) for part in self.parts if part.count == 1}

    def _done(self) -> bool:
        return all(result.done(i) for result, i in self.entries)

    def ready(self) -> bool:
        """Whether every entry is done; reads what has arrived."""
        for result, _ in self.entries[:1]:
            result.ready()
        return self._done()

    def wait(self, timeout: float | None, shower: Callable[[Any], object] | None = None) -> bool:
        """Waits until every entry is done; shower(self) is called as Result.wait() of the extension calls it."""
        if shower is None:
            return self._until("done", "wait", timeout)
        show: Callable[[Any], object] = shower
        try:
            return self._until("done", "wait", timeout, lambda part: show(self))
        finally:
            show(self)

    def wait_sent(self, timeout: float | None) -> bool:
        """Waits until no engine holds tracked memory that was sent to it."""
        return self._until("sent", "wait_sent", timeout)

    def _until(self, done: str, wait: str, timeout: float | None, *shower: Callable) -> bool:
        end = None if timeout is None or timeout < 0 else time.monotonic() + timeout
        for result, i in self.entries:
            while not getattr(result, done)(i):
                left = None if end is None else max(0.0, end - time.monotonic())
                if id(result) not in self._alone:
                    # the whole result may take longer than this entry: wait in short slices
                    left = 0.001 if left is None else min(left, 0.001)
                getattr(result, wait)(left, *shower)
                if end is not None and not getattr(result, done)(i) and time.monotonic() >= end:
                    return False
        return True

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

    def news(self, i: int) -> list:
        """What no earlier call has given of chunks(i): whole lines, until the entry is done."""
        result, i = self.entries[i]
        return result.news(i)

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
