# SPDX-License-Identifier: BSD-3-Clause
"""How many elements of a map go into one task, when the caller leaves that open."""
from __future__ import annotations

import operator
from typing import Any

#: Seconds of work that a chunk should have, and below which smaller ones do not pay.
AIM, LEAST = 0.01, 0.0005
#: Chunks that each engine should still find, so that all end at the same time.
LEFT = 4
#: Bytes of arrays that a chunk may have: to hand out as many again takes no time beside copying them.
BYTES = 1 << 22
#: Elements of a chunk whose duration is not known, and the share of the rest that it may be.
UNKNOWN, SHARE = 1000, 64


def check(chunksize: int | None) -> None:
    """ValueError or TypeError for what is no chunksize of a map."""
    if chunksize is not None and whole("chunksize", chunksize) < 1:
        raise ValueError(f"chunksize is at least 1, or None, not {chunksize!r}")


def whole(name: str, number: Any) -> int:
    """A number as an int; TypeError if it is none."""
    try:
        if not isinstance(number, bool):
            return operator.index(number)
    except TypeError:
        pass
    raise TypeError(f"{name} must be an int, not {number!r}")


def sizes(count: int, seconds: float | None, engines: int, large: float = 0) -> list[int]:
    """The sizes of chunks for the rest of a map, in their order; they become smaller towards the end.

    Parameters
    ----------
    count : int
        Elements.
    seconds : float or None
        How long one takes; None: not known.
    engines : int
        How many work on them.
    large : float
        Bytes of arrays that an element has.
    """
    if seconds is None:
        most, least, share = UNKNOWN, 1, SHARE
    else:
        most, least, share = max(1, int(AIM / seconds)), max(1, int(LEAST / seconds)), LEFT
    if large:
        most = max(1, min(most, int(BYTES / large)))
        least = min(least, most)
    found = []
    while count:
        size = min(count, max(least, min(most, count // (share * engines))))
        found.append(size)
        count -= size
    return found


def probe(count: int, seconds: float | None, engines: int) -> int:
    """The size of chunks by which durations are measured; 0 if there is nothing to gain by it.

    Parameters
    ----------
    seconds : float or None
        How long an element took in smaller chunks; None: none have run yet.
    """
    if count <= 2 * engines:
        return 0
    if seconds is None:
        return 1
    if seconds * count <= engines * AIM:
        return 0  # it is done sooner than measured
    return min(int(AIM / 4 / seconds), count // (2 * LEFT * engines))
