# SPDX-License-Identifier: BSD-3-Clause
"""Peers that are measured in turns, round after round, so that what the machine does meanwhile meets them all.

Each round has a fresh pool: where the scheduler happens to put its processes decides by a factor of two, and a pool
keeps its luck. A figure is the median of the rounds' medians, and its quartiles are theirs.
"""
from __future__ import annotations

import contextlib
import dataclasses
import functools

import measure
import mpi_world
import peers
import rows

ROUNDS = 10


class At:
    """What there is in a round. Each function that measures is given it, and says a time in µs."""

    def __init__(self, pxrun, pool, seconds):
        self.pxrun, self.pool, self.seconds = pxrun, pool, seconds

    def time(self, f, *args, **kwargs):
        """Of one hot call."""
        return measure.median_us(functools.partial(f, *args, **kwargs), self.seconds)

    def few(self, count, f, *args, pause=0.0, **kwargs):
        """Of so many calls, of what takes long or rests between them."""
        return measure.median_us(functools.partial(f, *args, **kwargs), 0, at_least=count, pause=pause, warm=2)


@dataclasses.dataclass
class Entry:
    """A row to be: {who: what measures it in a round}, and the order for mpi4py, if that has such a thing."""

    what: str
    by: dict
    goals: tuple = ()
    mpi: str = "mpi4py"
    order: dict | None = None


def measured(entries, seconds=0, workers=None, rounds=ROUNDS):
    """The rows of the entries; ``workers`` of mpi4py, if any, take part."""
    found = [{} for _ in entries]
    with mpi_world.worlds(workers) if workers else contextlib.nullcontext({}) as worlds:
        for _ in range(rounds):
            with peers.Pool() as pool, peers.Pxrun() as pxrun:
                at = At(pxrun, pool, seconds)
                for entry, medians in zip(entries, found):
                    for who, measure_it in entry.by.items():
                        medians.setdefault(who, []).append(measure_it(at))
                    for way, world in worlds.items() if entry.order else ():
                        # the least number of times: who spins on as many processors as there are ranks takes milliseconds
                        median = world.median(seconds=seconds, at_least=5, warm=2, **entry.order)
                        medians.setdefault(entry.mpi + way, []).append(median)
    for entry, medians in zip(entries, found):
        values = {who: rows.Figure.of(each) for who, each in medians.items()}
        yield rows.Row(entry.what, "µs", values, entry.goals)
