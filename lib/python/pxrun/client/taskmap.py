# SPDX-License-Identifier: BSD-3-Clause
"""Posts the tasks of a map: chunks of a given size, or of one that is measured with the first of them."""
from __future__ import annotations

import statistics
import time
from typing import Any, Sequence

from ..error import CannotSend
from ..wire.mapped import Mapped
from . import chunks
from .apart import Apart

#: Seconds for which a map waits to learn how long elements take, at most.
PATIENCE = 0.02


class TaskMap:
    """The elements of a map, and the tasks that were made of the first of them.

    Parameters
    ----------
    view : LoadBalancedView
    mapped : Mapped
        Makes the tasks.
    sequences : sequence
        The arguments, which can be sliced.
    length : int
        How many elements.

    Attributes
    ----------
    results : list
        Of the extension, one each time that tasks were posted.
    sizes : list of int
        The number of elements of each of their entries.
    """

    def __init__(self, view: Any, mapped: Mapped, sequences: Sequence, length: int) -> None:
        self._view, self._mapped, self._sequences, self._length = view, mapped, sequences, length
        self._apart = mapped.apart and Apart(view.client, mapped.token, mapped.apart)
        self._at = self._large = 0
        self.results: list = []
        self.sizes: list[int] = []

    def post(self, size: int | None) -> None:
        """Posts all; None: chunks whose size is chosen."""
        if size is None:
            self._post_measured()
        else:
            whole, rest = divmod(self._length, size)
            self._post([size] * whole + [rest] * (rest > 0))

    def close(self) -> None:
        """No more will be posted."""
        if self._apart:
            self._apart.release()

    def _post(self, sizes: list[int]) -> None:
        bodies, buffers = self._bodies(sizes)
        self.results.append(self._view._post(bodies, buffers, self._apart))
        self.sizes += sizes
        self._at += sum(sizes)

    def _bodies(self, sizes: list[int]) -> tuple[list, list | None]:
        at, sequences, mapped = self._at, self._sequences, self._mapped
        if set(sizes) == {1}:
            plain = mapped.ones([s[at : at + len(sizes)] for s in sequences])
            if plain is not None:
                return plain, None
        bodies, buffers = [], []
        try:
            for size in sizes:
                if size == 1:
                    body, found = mapped.one(at, tuple([s[at] for s in sequences]))
                else:
                    body, found = mapped.chunk(at, [s[at : at + size] for s in sequences])
                bodies.append(body)
                buffers.append(found)
                at += size
                self._large += sum([buffer.raw().nbytes for buffer in found or ()])
        except Exception as e:
            raise self._unsent(e, at, size) from e
        return bodies, buffers if any(buffers) else None

    def _unsent(self, e: Exception, at: int, size: int) -> CannotSend:
        """The error for an element that cannot be pickled, one of so many from `at` on."""
        return self._mapped.unsent(e, at, [s[at : at + size] for s in self._sequences])

    # --- chunks whose size is chosen

    def _post_measured(self) -> None:
        """Posts small chunks first, and all others as soon as some of these are done, or did not become it soon."""
        engines = self._view._width()
        end = time.monotonic() + PATIENCE
        seconds = None
        while size := min(chunks.probe(self._left(), seconds, engines), self._most()):
            self._post([size] * (2 * engines))
            measured = seconds_each(self.results[-1], [size] * (2 * engines), engines, end)
            settled = measured is None or seconds is not None and measured > seconds / 2
            seconds = measured
            if settled:
                break
        if self._left():
            self._post(chunks.sizes(self._left(), seconds, engines, self._large_each()))

    def _large_each(self) -> float:
        """Bytes of arrays that an element has, by those that were posted."""
        return self._large / self._at if self._at else 0.0

    def _most(self) -> int:
        """Elements that a chunk may have for their size."""
        return max(1, int(chunks.BYTES / self._large_each())) if self._large else self._left()

    def _left(self) -> int:
        return self._length - self._at


def seconds_each(result: Any, sizes: Sequence[int], enough: int, end: float) -> float | None:
    """How long an element takes, by so many entries of a result; waits for them, until a time. None: there are none."""
    known = 0
    while known < enough:
        more = len(result.finished(known, max(0.0, end - time.monotonic())))
        known += more
        if not more:
            break
    done = [i for i in range(result.count) if result.done(i)]
    took = [(result.times(i), sizes[i]) for i in done]
    each = [(times[2] - times[1]) / 1e9 / size for times, size in took if times[1]]
    return max(statistics.median(each), 1e-9) if each else None
