# SPDX-License-Identifier: BSD-3-Clause
"""What map and scatter are given, as sequences of which slices are the parts for engines."""
from __future__ import annotations

import array
import itertools
import sys
from collections.abc import Mapping
from typing import Any, Iterator, Sequence

from ..serialize import Reference

# Slices of these are of the same kind, and iterating over slices is iterating over the whole.
_SLICED = (list, tuple, range, str, bytes, bytearray, memoryview, array.array)


def for_map(iterables: Sequence[Any]) -> list:
    """What a map iterates over: sequences, of which the shortest decides; other iterables are listed up to its length.

    Raises
    ------
    TypeError
        Something is not iterable.
    """
    if not iterables:
        raise TypeError("a map needs at least one iterable")
    found = [_elements(each, i) for i, each in enumerate(iterables)]
    lengths = [len(each) for each in found if hasattr(each, "__len__")]
    if len(lengths) == len(found):
        return found
    if lengths:
        return [each if hasattr(each, "__len__") else list(itertools.islice(each, min(lengths))) for each in found]
    return [list(found[0])] if len(found) == 1 else [list(each) for each in zip(*zip(*found))] or [[]]


def for_imap(iterables: Sequence[Any]) -> Iterator[tuple]:
    """The arguments of each element; TypeError as for_map()."""
    if not iterables:
        raise TypeError("a map needs at least one iterable")
    return zip(*[_iterator(each, i) for i, each in enumerate(iterables)])


def have_references(sequences: Sequence[Any]) -> bool:
    """Whether there is a `Reference` among the elements of lists and tuples."""
    return any(Reference in set(map(type, each)) for each in sequences if isinstance(each, (list, tuple)))


def is_there(iterable: Any) -> bool:
    """Whether all elements can be had at once: reading them cannot block."""
    return _is_sliced(iterable) or type(iterable) in (set, frozenset, dict, itertools.count, itertools.repeat)


def _elements(each: Any, i: int) -> Any:
    """A sequence, or an iterator over what has no length."""
    if _is_sliced(each):
        return each
    return _listed(each) if hasattr(each, "__len__") else _iterator(each, i)


def _iterator(each: Any, i: int) -> Iterator:
    try:
        return iter(each)
    except TypeError:
        kind = type(each).__name__
        raise TypeError(f"a map needs iterables, and its argument {i + 1}, of type {kind}, is none") from None


def for_scatter(sequence: Any) -> Any:
    """What is cut into parts: the sequence itself if it can be sliced, else its elements as a list.

    Raises
    ------
    TypeError
        It has no length, or no order.
    """
    kind = type(sequence).__name__
    if isinstance(sequence, Mapping):
        raise TypeError(f"scatter takes a sequence, not {kind}: scatter its items, list(d.items()), and make dicts of them on the engines")
    if not _has_length(sequence):
        how = ": scatter a list of its elements" if hasattr(sequence, "__iter__") else ""
        raise TypeError(f"scatter takes a sequence, and {kind} has no length{how}")
    return _cut(sequence)


def for_parts(iterables: Sequence[Any]) -> list:
    """What a call of a parallel function cuts: sequences as for_scatter(), other iterables listed."""
    if not iterables:
        raise TypeError("at least one sequence is needed, to be cut into parts for the engines")
    return [_cut(each) if _has_length(each) and not isinstance(each, Mapping) else list(each) for each in iterables]


def first(part: Any) -> Any:
    """The first element of a part."""
    return part.iloc[0] if hasattr(part, "iloc") else part[0]


def _cut(sequence: Any) -> Any:
    if _is_sliced(sequence):
        return sequence
    if hasattr(sequence, "iloc"):
        return _Rows(sequence)
    try:
        if len(sequence[0:1]) == min(1, len(sequence)):
            return sequence
    except Exception:  # of a class whose __getitem__ does not expect slices
        pass
    return _listed(sequence)


def _is_sliced(sequence: Any) -> bool:
    if type(sequence) in _SLICED:
        return True
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if numpy is not None and isinstance(sequence, numpy.ndarray):
        return sequence.ndim > 0
    return torch is not None and isinstance(sequence, torch.Tensor) and sequence.ndim > 0


def _has_length(sequence: Any) -> bool:
    try:
        len(sequence)
    except TypeError:  # also arrays without dimensions
        return hasattr(sequence, "__array__") and _as_array(sequence).ndim > 0
    return True


def _listed(sized: Any) -> Any:
    """The elements of what has a length."""
    if hasattr(sized, "__iter__"):
        return list(sized)
    if hasattr(sized, "__getitem__"):  # which may not say where it ends
        return [sized[i] for i in range(len(sized))]
    if hasattr(sized, "__array__"):
        return _as_array(sized)
    raise TypeError(f"{type(sized).__name__} has a length, and no elements: neither __iter__ nor __getitem__")


def _as_array(array_like: Any) -> Any:
    import numpy

    return numpy.asarray(array_like)


class _Rows:
    """A DataFrame or a Series by the position of its rows: its own slices go by labels."""

    def __init__(self, frame: Any) -> None:
        self.frame = frame

    def __len__(self) -> int:
        return len(self.frame)

    def __getitem__(self, rows: slice) -> Any:
        return self.frame.iloc[rows]
