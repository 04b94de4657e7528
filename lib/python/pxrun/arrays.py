# SPDX-License-Identifier: BSD-3-Clause
"""numpy arrays whose memory is shared with the engines.

Sending such an array, or a contiguous part of it, copies nothing, at any size and to any number
of engines; engines get views of their own, in which they may write. The arrays are ordinary
ones: what is computed from them lies in ordinary memory again. They stay valid after the pool has
ended. After a fork, parent and child each have their own copy, and from then on such an array is
copied when it is sent; live ones stay live.

In a client the memory belongs to the client that was attached last, or to `client`; in code that
runs on an engine it belongs to the engine, and a result that lies there is not copied.

The memory is a ``_pxrun.Region``; lib/link/memory.c recognises it by its address when it is sent.
"""
from __future__ import annotations

import operator
from typing import Any

import numpy

from . import _pxrun
from .wire import pickling


def _memory(client: Any) -> Any:
    """What makes regions and knows them by address: the client's connection, or on an engine the extension."""
    if client is not None:
        return client._core
    if _pxrun.is_engine():
        return _pxrun
    from .client.client import latest

    found = latest()
    if found is not None:
        return found._core
    raise RuntimeError("shared arrays need a pool: attach to one first, with pxrun.Cluster() or pxrun.Client()")


def _lies_in(memory: Any, array: Any) -> bool:
    flags = array.flags
    contiguous = (flags.c_contiguous or flags.f_contiguous) and array.nbytes and not array.dtype.hasobject
    return bool(contiguous and memory.has(array.reshape(-1, order="A").view("u1")))


def _new(memory: Any, shape: Any, dtype: Any, order: Any) -> tuple[Any, Any]:
    """A new array and its region; an empty array has none."""
    dtype = numpy.dtype(dtype)
    if dtype.hasobject:
        raise TypeError(f"an array of {dtype} holds references, which mean nothing in another process: push it as it is")
    shape = (shape,) if hasattr(shape, "__index__") else tuple(shape)
    size = dtype.itemsize
    for extent in shape:
        size *= operator.index(extent)
    if size <= 0:
        return numpy.empty(shape, dtype, order), None
    region = memory.region(max(size, _pxrun.REGION_LARGE_BYTES))
    return numpy.ndarray(shape, dtype, region, order=order), region


def fill(to: Any, source: Any, fresh: bool = False) -> None:
    """Copies an array into another of its shape and dtype, which does not overlap with it.

    Parameters
    ----------
    fresh : bool
        Whether this process has not used the memory of the first one yet.
    """
    ours, theirs = to.flags, source.flags
    alike = ours.c_contiguous and theirs.c_contiguous or ours.f_contiguous and theirs.f_contiguous
    if alike and to.nbytes >= _pxrun.REGION_LARGE_BYTES:
        _pxrun.copy(to.reshape(-1, order="A").view("u1"), source.reshape(-1, order="A").view("u1"), fresh)
    else:
        to[...] = source


def _layout(array: Any, order: Any) -> Any:
    """'C' or 'F', as numpy reads order 'K' and 'A'."""
    if order in ("C", "F"):
        return order
    return "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"


def empty(shape: Any, dtype: Any = float, order: Any = "C", *, client: Any = None) -> Any:
    """As numpy.empty(): an array that is sent without being copied.

    Parameters
    ----------
    shape, dtype, order
        As numpy's; a dtype that holds objects is refused.
    client : Client, optional
        Whose pool the memory is of. Default: the one that was attached last.

    Raises
    ------
    MemoryError
        The arena is full; says how much it has.
    RuntimeError
        There is no pool.
    """
    return _new(_memory(client), shape, dtype, order)[0]


def zeros(shape: Any, dtype: Any = float, order: Any = "C", *, client: Any = None) -> Any:
    """As numpy.zeros(); see empty()."""
    array, region = _new(_memory(client), shape, dtype, order)
    if region is not None:
        numpy.frombuffer(region, "u1")[...] = 0
    return array


def full(shape: Any, fill_value: Any, dtype: Any = None, order: Any = "C", *, client: Any = None) -> Any:
    """As numpy.full(); see empty()."""
    array = empty(shape, numpy.asarray(fill_value).dtype if dtype is None else dtype, order, client=client)
    array[...] = fill_value
    return array


def empty_like(prototype: Any, dtype: Any = None, order: Any = "K", *, shape: Any = None, client: Any = None) -> Any:
    """As numpy.empty_like(); see empty()."""
    prototype = numpy.asanyarray(prototype)
    return empty(
        prototype.shape if shape is None else shape,
        prototype.dtype if dtype is None else dtype,
        _layout(prototype, order),
        client=client,
    )


def asarray(a: Any, dtype: Any = None, order: Any = None, *, client: Any = None) -> Any:
    """As numpy.asarray(): the array itself if it lies in shared memory already, else a copy there.

    Also takes objects with ``__dlpack__``, such as tensors of other libraries, which can in turn use
    these arrays through it.
    """
    memory = _memory(client)
    if hasattr(a, "__dlpack__") and not isinstance(a, numpy.ndarray):
        a = numpy.from_dlpack(a)
    array = numpy.asarray(a, dtype, order)
    if _lies_in(memory, array):
        return array
    copy = _new(memory, array.shape, array.dtype, _layout(array, order))[0]
    fill(copy, array)
    return copy


# --- live arrays ------------------------------------------------------------


def shared(a: Any, *, client: Any = None) -> Any:
    """A copy of an array that all processes see and may write.

    Pushed, or passed to a function, it is the same memory in the engines: what one writes, the
    others read, at once and with no message; so are contiguous and strided parts of it. There is
    no locking: calls that return say who may write when, as in

        u = pxrun.shared(u)
        view.push({"u": u})
        view.execute("u[mine] = ...", block=True)   # each engine its own part

    Results are copies: an engine that returns such an array, or a part of it, returns its values at
    that moment.

    Returns
    -------
    numpy.ndarray
        Valid as long as an array over it exists, also after the pool has ended.
    """
    array = numpy.asarray(a)
    live, region = _live(_memory(client), array.shape, array.dtype, _layout(array, None))
    fill(live, array)
    return live


def _live(memory: Any, shape: Any, dtype: Any, order: Any = "C") -> tuple[Any, Any]:
    array, region = _new(memory, shape, dtype, order)
    if region is not None:
        region.set_live(True)
    return array, region


def reduce_live(array: Any) -> tuple:
    """How an array over a live region is pickled: as a view, whatever its strides."""
    region = pickling.live_under(array)
    low, high = _bounds(array)
    start = _bounds(numpy.frombuffer(region, "u1"))[0]
    # an array and no memoryview: of one that is exported, Python's collector makes a crash
    part = pickling.Live(numpy.ndarray((high - low,), "u1", region, low - start))
    return _view, (part, array.shape, array.dtype, array.strides, array.__array_interface__["data"][0] - low)


def _view(part: Any, shape: tuple, dtype: Any, strides: tuple, offset: int) -> Any:
    return numpy.ndarray(shape, dtype, part, offset, strides)


def _bounds(array: Any) -> tuple[int, int]:
    """The address of an array's first byte, and of the byte after its last."""
    low = high = array.__array_interface__["data"][0]
    for extent, stride in zip(array.shape, array.strides):
        low += min(0, (extent - 1) * stride)
        high += max(0, (extent - 1) * stride)
    return low, high + array.itemsize
