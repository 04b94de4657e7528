# SPDX-License-Identifier: BSD-3-Clause
"""The seed of a map or of an executor, from which each element or call gets its own."""
from __future__ import annotations

import contextlib
from typing import Any, Iterator


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
    """The seeds of an executor's calls: child i of a SeedSequence for call i. For one thread at a time."""

    def __init__(self, seed: Any) -> None:
        self._entropy, self._key, self._pool_size, self._next = described(seed)  # type: ignore[misc]

    @contextlib.contextmanager
    def taken(self, count: int) -> Iterator[tuple]:
        """The seed of the next calls, as `engine.randomness.seeded` takes it; given back if they cannot be submitted."""
        first = self._next
        self._next += count
        try:
            yield self._entropy, self._key, self._pool_size, first
        except Exception:
            if self._next == first + count:  # else pickling has run code that submitted others meanwhile
                self._next = first
            raise


def sequence(described: tuple) -> Any:
    """The SeedSequence that is described so."""
    import numpy

    entropy, key, pool_size, first = described
    return numpy.random.SeedSequence(entropy, spawn_key=key, pool_size=pool_size, n_children_spawned=first)
