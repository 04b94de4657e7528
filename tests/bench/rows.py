# SPDX-License-Identifier: BSD-3-Clause
"""What a workload finds: rows of figures, of pxrun and of its peers, and whether its goals are met.

A goal is a text for people; nothing here fails a build.
"""
from __future__ import annotations

import dataclasses
import math
import statistics


class Figure(float):
    """A median that knows its quartiles; arithmetic other than ``scaled`` forgets them."""

    quartiles: tuple[float, float] | None = None

    @classmethod
    def of(cls, samples):
        """The median of some samples."""
        self = cls(statistics.median(samples))
        if len(samples) > 1:
            low, _, high = statistics.quantiles(samples, n=4, method="inclusive")
            self.quartiles = low, high
        return self

    def scaled(self, factor):
        """The same in another unit."""
        other = Figure(self * factor)
        if self.quartiles:
            other.quartiles = self.quartiles[0] * factor, self.quartiles[1] * factor
        return other


def _words(number):
    """Three digits, or all before the point."""
    return f"{number:.3g}" if abs(number) < 1000 else f"{number:,.0f}"


@dataclasses.dataclass(frozen=True)
class Goal:
    """A bound of pxrun's figure: in times the least of some peers in the same row, or, without peers, in the row's unit."""

    sign: str
    limit: float
    peers: tuple[str, ...]

    def verdict(self, row):
        """The goal in words, what was reached, and whether that is enough."""
        text = f"goal {self.sign} {_words(self.limit)} " + (f"x {self.peers[0]}" if self.peers else row.unit)
        text = text.rstrip()
        there = [row.values[peer] for peer in self.peers if peer in row.values]
        if self.peers and not there:
            return text + ": not measured"
        reached = row.values["pxrun"] / min(there) if there else row.values["pxrun"]
        met = reached <= self.limit if self.sign == "≤" else reached >= self.limit
        return f"{text}: {_words(reached)} {'met' if met else 'missed'}"


def at_most(limit, *peers):
    return Goal("≤", limit, peers)


def at_least(limit, *peers):
    return Goal("≥", limit, peers)


@dataclasses.dataclass(frozen=True)
class Row:
    """What was measured, in which unit, of whom, with which goals. One of ``values`` is named pxrun."""

    what: str
    unit: str
    values: dict[str, float]
    goals: tuple[Goal, ...] = ()

    def ratio(self, peer):
        """How many times pxrun is faster (or smaller) than the peer."""
        return self.values[peer] / self.values["pxrun"] if self.values["pxrun"] else math.inf

    def as_json(self):
        return {
            "what": self.what,
            "unit": self.unit,
            "values": self.values,
            "quartiles": {who: q for who, value in self.values.items() if (q := getattr(value, "quartiles", None))},
            "goals": [goal.verdict(self) for goal in self.goals],
        }
