# SPDX-License-Identifier: BSD-3-Clause
"""The seed of a map or of an executor, from which each element or call gets its own."""
from __future__ import annotations

import threading
from typing import Any


def described(seed: Any) -> tuple | None:
    """What `engine.randomness.seeded` takes, of an int, a sequence of them, or a numpy SeedSequence; None for None.

    Raises
    ------
    TypeError, ValueError
        As SeedSequence.
    """
    if seed is None:
        return None
    import numpy

    if not isinstance(seed, numpy.random.SeedSequence):
        seed = numpy.random.SeedSequence(seed)
    return seed.entropy, tuple(seed.spawn_key), seed.pool_size, seed.n_children_spawned


class Seeds:
    """The seeds of an executor's calls: child i of a SeedSequence for call i."""

    def __init__(self, seed: Any) -> None:
        self._entropy, self._key, self._pool_size, self._next = described(seed)  # type: ignore[misc]
        self._lock = threading.Lock()

    def take(self, count: int) -> tuple:
        """The seed of the next calls, as `engine.randomness.seeded` takes it."""
        with self._lock:
            first = self._next
            self._next += count
        return self._entropy, self._key, self._pool_size, first

    def sequence(self, count: int) -> Any:
        """The same as a SeedSequence."""
        import numpy

        entropy, key, pool_size, first = self.take(count)
        return numpy.random.SeedSequence(entropy, spawn_key=key, pool_size=pool_size, n_children_spawned=first)
