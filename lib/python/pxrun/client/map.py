# SPDX-License-Identifier: BSD-3-Clause
"""How sequences are cut into parts for engines, and joined again (after ipyparallel's map.py)."""
from __future__ import annotations

import sys
from typing import Any, Sequence


class Map:
    """Contiguous parts; the first ``n % q`` of them have one element more. Joined in order."""

    def partition(self, sequence: Sequence, part: int, parts: int) -> Any:
        """Part number `part` of `parts`: a slice of the sequence."""
        if part < 0 or part >= parts:
            raise IndexError(f"there is no part {part} of {parts}")
        size, more = divmod(len(sequence), parts)
        start = part * size + min(part, more)
        return sequence[start : start + size + (part < more)]

    def join(self, parts: list) -> Any:
        """One array, one list, or the list of parts; the first part's type decides."""
        first = parts[0] if parts else None
        if _is_array(first):
            return sys.modules["numpy"].concatenate(parts)
        if isinstance(first, (list, tuple)):
            return [item for part in parts for item in part]
        return parts


class RoundRobinMap(Map):
    """Every q-th element."""

    def partition(self, sequence: Sequence, part: int, parts: int) -> Any:
        if part < 0 or part >= parts:
            raise IndexError(f"there is no part {part} of {parts}")
        return sequence[part : len(sequence) : parts]

    def join(self, parts: list) -> Any:
        first = parts[0] if parts else None
        if _is_array(first):
            shape = (sum(len(part) for part in parts), *first.shape[1:])
            joined = sys.modules["numpy"].empty(shape, dtype=first.dtype)
            for i, part in enumerate(parts):
                joined[i :: len(parts)] = part
            return joined
        if isinstance(first, (list, tuple)):
            longest = max(len(part) for part in parts)
            return [part[i] for i in range(longest) for part in parts if i < len(part)]
        return parts


def _is_array(part: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(part, numpy.ndarray) and part.ndim > 0


dists = {"b": Map, "r": RoundRobinMap}


def by_name(dist: str) -> Map:
    """The distribution of that letter: 'b' for blocks, 'r' for round robin."""
    try:
        return dists[dist]()
    except KeyError:
        raise ValueError(f"dist is 'b' (blocks) or 'r' (round robin), not {dist!r}") from None
