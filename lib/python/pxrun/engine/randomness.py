# SPDX-License-Identifier: BSD-3-Clause
"""Random generators in forked engines.

A fork copies the state of those that preloaded modules have made. Generators that were seeded by
chance are seeded anew in each engine, as if it had imported the modules itself; those that were made
with a seed keep it, and are alike on all engines, as they would be then.
"""
from __future__ import annotations

import contextlib
import gc
import os
import sys
from typing import Any, Iterator

# The instances of random.Random that were seeded from the system's randomness, by id.
_random: dict[int, Any] = {}
# The same of numpy: seed sequences, bit generators, and RandomStates that use one of these.
_sequences: list[Any] = []
_bits: list[Any] = []
_states: list[Any] = []


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """With statement: notes the generators that are made in it, by modules that are imported."""
    import random

    seed, setstate, randbits = random.Random.seed, random.Random.setstate, random.SystemRandom.getrandbits
    drawn: set[int] = set()

    def note_seed(self: Any, a: Any = None, version: int = 2) -> None:
        seed(self, a, version)
        _random.pop(id(self), None)
        if a is None:
            _random[id(self)] = self

    def note_state(self: Any, state: Any) -> None:
        setstate(self, state)
        _random.pop(id(self), None)

    def note_bits(self: Any, k: int) -> int:
        bits = randbits(self, k)
        drawn.add(bits)
        return bits

    def take_randbits() -> None:
        """Gives the modules that have a bound getrandbits() of their own the one that is in force."""
        for name in ("secrets", "numpy.random.bit_generator"):
            if hasattr(sys.modules.get(name), "randbits"):
                setattr(sys.modules[name], "randbits", random.SystemRandom().getrandbits)

    random.Random.seed, random.Random.setstate, random.SystemRandom.getrandbits = note_seed, note_state, note_bits  # type: ignore
    # numpy takes its seeds from secrets. That is left for it to import: it takes 3 ms, more where OpenSSL is not in memory
    take_randbits()
    try:
        yield
    finally:
        random.Random.seed, random.Random.setstate, random.SystemRandom.getrandbits = seed, setstate, randbits  # type: ignore
        take_randbits()
        if "numpy.random.bit_generator" in sys.modules:
            try:
                _find_numpys(sys.modules["numpy.random"], drawn)
            except AttributeError as error:
                print(f"pxrun: numpy's random generators may be alike on all engines: {error}", file=sys.stderr)


def _find_numpys(numpy_random: Any, drawn: set[int]) -> None:
    def by_chance(seeded_with: Any) -> bool:
        entropy = getattr(seeded_with, "entropy", None)
        return isinstance(entropy, int) and entropy in drawn

    own = numpy_random.mtrand._rand._bit_generator._seed_seq  # of numpy.random.rand() and other module functions
    if not drawn - {getattr(own, "entropy", None)}:
        return  # looking at all objects takes tens of milliseconds
    kinds = sequence, bits, state = numpy_random.SeedSequence, numpy_random.BitGenerator, numpy_random.RandomState
    found = [obj for obj in gc.get_objects() if isinstance(obj, kinds)]
    _sequences.extend(obj for obj in found if isinstance(obj, sequence) and by_chance(obj))
    _bits.extend(obj for obj in found if isinstance(obj, bits) and by_chance(obj._seed_seq))
    _states.extend(obj for obj in found if isinstance(obj, state) and obj._bit_generator in _bits)


@contextlib.contextmanager
def seeded(seed: tuple, i: int) -> Iterator[None]:
    """With statement: the generators of the modules random and numpy.random are those of a map's element, and afterwards as before.

    Parameters
    ----------
    seed : tuple
        Entropy, spawn key and pool size of a numpy SeedSequence, and how many children it has before the first of these.
    i : int
        Which of its children.
    """
    import random

    import numpy

    entropy, key, pool_size, first = seed
    child = numpy.random.SeedSequence(entropy, spawn_key=(*key, first + i), pool_size=pool_size)
    ours, numpys = random.getstate(), numpy.random.get_state(legacy=False)
    kind = getattr(numpy.random, numpys["bit_generator"])
    numpy.random.set_state(kind(child).state)
    random.seed(int.from_bytes(child.generate_state(8).tobytes(), "little"))
    try:
        yield
    finally:
        random.setstate(ours)
        numpy.random.set_state(numpys)


def reseed() -> None:
    """Seeds the generators anew, in an engine that was forked. Modules that are imported later seed themselves."""
    if "random" in sys.modules:
        sys.modules["random"].seed()
    for generator in _random.values():
        with contextlib.suppress(Exception):  # a subclass may need an argument
            generator.seed()
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed(int.from_bytes(os.urandom(4), "little"))
    for sequence in _sequences:
        sequence.__init__()  # also for those that spawn() makes of it later
    for bits in _bits:
        bits.state = type(bits)().state
    for state in _states:
        with contextlib.suppress(TypeError):  # only MT19937 can; others were seeded with their bit generator
            state.seed()  # it may also have kept the second of a pair of normal numbers
    if "torch" in sys.modules:
        sys.modules["torch"].seed()
