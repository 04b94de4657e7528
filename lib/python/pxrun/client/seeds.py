# SPDX-License-Identifier: BSD-3-Clause
"""The seed of a map, from which each of its elements gets its own."""
from __future__ import annotations

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
