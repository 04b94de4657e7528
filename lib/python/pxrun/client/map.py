# SPDX-License-Identifier: BSD-3-Clause
"""How sequences are cut into parts for engines, and joined again (after ipyparallel's map.py)."""
from __future__ import annotations

import itertools
import sys
from typing import Any, Sequence

from .. import _pxrun


class Map:
    """Contiguous parts; the first ``n % q`` of them have one element more. Joined in order."""

    def partition(self, sequence: Sequence, part: int, parts: int) -> Any:
        """Part number `part` of `parts`: a slice of the sequence."""
        if part < 0 or part >= parts:
            raise IndexError(f"there is no part {part} of {parts}")
        size, more = divmod(len(sequence), parts)
        start = part * size + min(part, more)
        return sequence[start : start + size + (part < more)]

    def index(self, length: int, part: int, parts: int, i: int) -> int:
        """The index in the whole sequence of element i of a part."""
        size, more = divmod(length, parts)
        return part * size + min(part, more) + i

    def places(self, whole: Any, lengths: list[int]) -> list:
        """Views of the joined array: the place of each part, given the parts' lengths."""
        ends = list(itertools.accumulate(lengths))
        return [whole[end - length : end] for end, length in zip(ends, lengths)]

    def join(self, parts: list) -> Any:
        """One array, one list, or the list of parts; the first part's type decides."""
        first = parts[0] if parts else None
        if _is_array(first):
            return _concatenated(parts)
        if isinstance(first, (list, tuple, range)):
            _must_be_sequences(parts)
            return [item for part in parts for item in part]
        return parts


class RoundRobinMap(Map):
    """Every q-th element."""

    def partition(self, sequence: Sequence, part: int, parts: int) -> Any:
        if part < 0 or part >= parts:
            raise IndexError(f"there is no part {part} of {parts}")
        return sequence[part : len(sequence) : parts]

    def index(self, length: int, part: int, parts: int, i: int) -> int:
        return part + i * parts

    def places(self, whole: Any, lengths: list[int]) -> list:
        return [whole[i :: len(lengths)] for i in range(len(lengths))]

    def join(self, parts: list) -> Any:
        first = parts[0] if parts else None
        if _is_array(first):
            return self._join_arrays(parts)
        if isinstance(first, (list, tuple, range)):
            _must_be_sequences(parts)
            longest = max(len(part) for part in parts)
            return [part[i] for i in range(longest) for part in parts if i < len(part)]
        return parts

    def _join_arrays(self, parts: list) -> Any:
        numpy = sys.modules["numpy"]
        if any(not getattr(part, "shape", ()) for part in parts):
            return _concatenated(parts)  # it raises an error that says what does not fit
        lengths = [len(part) for part in parts]
        if all(type(part) is numpy.ndarray and part.shape[1:] == parts[0].shape[1:] for part in parts):
            joined = numpy.empty((sum(lengths), *parts[0].shape[1:]), _common_dtype(parts))
            places = self.places(joined, lengths)
            if [len(place) for place in places] == lengths:
                for place, part in zip(places, parts):
                    place[...] = part
                return joined
        # keeps masks and the like; and parts may have other lengths than they were cut to
        order = numpy.concatenate([numpy.arange(length) for length in lengths])
        return _concatenated(parts)[numpy.argsort(order, kind="stable")]


def _common_dtype(arrays: list) -> Any:
    """The common dtype; if all are the same, that one with its byte order, which numpy would make native."""
    dtypes = {array.dtype for array in arrays}
    return dtypes.pop() if len(dtypes) == 1 else sys.modules["numpy"].result_type(*arrays)


def _concatenated(parts: list) -> Any:
    numpy = sys.modules["numpy"]
    arrays = [numpy.asanyarray(part) for part in parts]
    if len({array.shape[1:] for array in arrays}) > 1 or not all(array.ndim for array in arrays):
        shapes = ", ".join(str(array.shape) for array in arrays)
        raise ValueError(f"gather joins arrays along their first axis, and the parts do not fit: {shapes}")
    if any(isinstance(array, numpy.ma.MaskedArray) for array in arrays):
        return numpy.ma.concatenate(arrays)  # numpy.concatenate would drop the masks
    return numpy.concatenate(arrays, dtype=_common_dtype(arrays))


def _must_be_sequences(parts: list) -> None:
    for i, part in enumerate(parts):
        if not hasattr(part, "__len__"):
            first = type(parts[0]).__name__
            raise TypeError(f"gather joins parts of one kind: the first is of type {first}, number {i} of type {type(part).__name__}")


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


# --- parts in shared memory --------------------------------------------------

def shared_parts(client: Any, mapping: Map, sequence: Sequence, count: int) -> tuple[list, bool]:
    """The parts of a sequence, those of a large numpy array in shared memory, and whether they are copies."""

    def cut(whole: Any) -> list:
        return [mapping.partition(whole, i, count) for i in range(count)]

    if not _is_array(sequence) or type(sequence) is not sys.modules["numpy"].ndarray:
        return cut(sequence), False
    array: Any = sequence
    # shorter arrays are pickled part by part
    if array.nbytes < _pxrun.REGION_LARGE_BYTES or array.dtype.hasobject:
        return cut(array), False
    from .. import arrays

    if isinstance(mapping, RoundRobinMap):
        return [arrays.asarray(part, client=client) for part in cut(array)], True
    whole = arrays.asarray(array, order="C", client=client)
    return cut(whole), whole is not array


def room_for(client: Any, mapping: Map, parts: list) -> tuple[Any, Any, list]:
    """A live array for parts, of which shape and dtype are known; its region; and the place of each part."""
    shapes: list[Any] = [getattr(part, "shape", ()) for part in parts]
    dtypes = {getattr(part, "dtype", None) for part in parts}
    if len(dtypes) != 1 or not all(shapes) or len({shape[1:] for shape in shapes}) != 1:
        return None, None, []
    from .. import arrays

    lengths = [shape[0] for shape in shapes]
    whole, region = arrays._live(client._core, (sum(lengths), *shapes[0][1:]), dtypes.pop())
    return whole, region, mapping.places(whole, lengths)
