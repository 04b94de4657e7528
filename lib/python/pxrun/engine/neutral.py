# SPDX-License-Identifier: BSD-3-Clause
"""The forms that C programs get of objects that are no plain Python values: lib/python/ext/pyencode.c asks for them.

Every object has one. Numbers of numpy are plain numbers, arrays are arrays if C has their dtype; all else is
its `words`. Nothing is lost in silence: a masked array with masked elements, for instance, is words.
"""
from __future__ import annotations

import struct
import sys
from typing import Any

from ..wire import failure

#: DLPack's code for each of numpy's kinds, with the sizes of elements that C programs know.
_DTYPES: dict[str, tuple[int, tuple[int, ...]]] = {
    "i": (0, (1, 2, 4, 8)), "u": (1, (1, 2, 4, 8)), "f": (2, (2, 4, 8)), "c": (5, (8, 16)),
    "b": (6, (1,)),
}
#: numpy's kind for each letter of the struct module.
_FORMATS = {**dict.fromkeys("bhilqn", "i"), **dict.fromkeys("BHILQNc", "u"), **dict.fromkeys("efd", "f"), "?": "b"}
#: numpy's kind for each of DLPack's codes.
_KINDS = {code: kind for kind, (code, _) in _DTYPES.items()}
#: The plain type for each of numpy's kinds of scalars.
_PLAIN = {"i": int, "u": int, "b": bool, "f": float, "c": complex, "U": str, "S": bytes}
#: Numbers from here on are types that other packages have added, such as bfloat16.
_NUMPYS_OWN = 24


def words(value: Any) -> bytes:
    """What stands for an object that has no other form: its repr, as UTF-8."""
    try:
        text = repr(value)
    except Exception as error:
        if isinstance(value, int):  # of too many digits, or of a class with a repr that fails
            text = hex(value)
        else:
            kind = type(value).__name__
            raise TypeError(f"the result has no form in C, and repr() of its type {kind} raised {failure.words(error)}") from error
    return text.encode("utf-8", "backslashreplace")


#: PX_NDIM_MAX of pxrun.h.
_NDIM_MAX = 32


def to_array(buffer: Any, code: int, bits: int, shape: tuple, strides: tuple | None = None, first: int = 0) -> Any:
    """An array of a C program, over the memory it came in."""
    import numpy

    kind = _KINDS.get(code, "")
    if bits % 8 or bits // 8 not in _DTYPES.get(kind, (0, ()))[1]:
        raise TypeError(f"an array whose elements have the DLPack code {code} and {bits} bits")
    return numpy.ndarray(shape, f"{kind}{bits // 8}", buffer, first, strides)


def form(value: Any) -> tuple:
    """``("v", plain value)``, ``("o", words)`` or ``("a", memory, code, bits, shape[, strides, first])``."""
    numpy: Any = sys.modules.get("numpy")
    if hasattr(numpy, "ndarray"):
        if isinstance(value, numpy.generic):
            return _of_scalar(numpy, value)
        if isinstance(value, numpy.ndarray):
            return _of_array(numpy, value)
        if hasattr(type(value), "__dlpack__") and hasattr(numpy, "from_dlpack"):  # such as a tensor of torch
            return _of_tensor(numpy, value)
    return _of_buffer(value)


def _of_scalar(numpy: Any, value: Any) -> tuple:
    dtype = value.dtype
    if dtype.kind == "V" and dtype.num < _NUMPYS_OWN and not dtype.fields:
        return "v", value.tobytes()
    plain = _PLAIN.get(dtype.kind)
    if plain and dtype.num < _NUMPYS_OWN:
        with numpy.errstate(all="ignore"):  # of a long double that is too large
            number = plain(value)
            if number == value or value != value:
                return "v", number
    return "o", words(value)


def _of_array(numpy: Any, array: Any) -> tuple:
    dtype = array.dtype
    code, sizes = _DTYPES.get(dtype.kind, (0, ()))
    is_known = dtype.itemsize in sizes and dtype.num < _NUMPYS_OWN
    masked = sys.modules.get("numpy.ma")
    if masked and isinstance(array, masked.MaskedArray) and (not is_known or masked.is_masked(array)):
        return "o", words(array)
    if array.ndim == 0 and not dtype.hasobject:
        return _of_scalar(numpy, array.view(numpy.ndarray)[()])
    if not is_known or array.ndim > _NDIM_MAX:
        return "o", words(array)
    array = numpy.asarray(array)  # without the methods of a subclass
    if not dtype.isnative or not array.flags.aligned:
        array = array.astype(dtype.newbyteorder("="))
    rows = array if array.flags.c_contiguous else _in_rows(array)
    if rows is None:
        rows = array = array.copy()
    parts = "a", rows.reshape(-1).view("u1"), code, dtype.itemsize * 8, array.shape
    if array is rows:
        return parts
    first = sum(-stride * (extent - 1) for stride, extent in zip(array.strides, array.shape) if stride < 0)
    return *parts, array.strides, first


def _of_tensor(numpy: Any, tensor: Any) -> tuple:
    try:
        array = numpy.from_dlpack(tensor)
    except Exception:  # whatever a library raises: it is on a GPU, has a gradient, or a dtype that numpy lacks
        return "o", words(tensor)
    return _of_array(numpy, array)


def _in_rows(array: Any) -> Any:
    """The same elements in the order in which they lie in memory, without a copy; None if they have gaps or overlap."""
    forwards = array[tuple(slice(None, None, -1 if stride < 0 else 1) for stride in array.strides)]
    rows = forwards.transpose(sorted(range(array.ndim), key=lambda axis: -forwards.strides[axis]))
    return rows if rows.flags.c_contiguous else None


def _of_buffer(value: Any) -> tuple:
    """Of an object with the buffer protocol, such as an array.array."""
    try:
        memory = memoryview(value)
        letter = memory.format.lstrip("@=<") if sys.byteorder == "little" else memory.format.lstrip("@=>")
    except Exception:  # whatever the class raises where it has no buffer
        return "o", words(value)
    code, sizes = _DTYPES.get(_FORMATS.get(letter, ""), (0, ()))
    if memory.itemsize not in sizes or memory.ndim > _NDIM_MAX:
        return "o", words(value)
    if memory.ndim == 0:
        return "v", struct.unpack(memory.format, memory.tobytes())[0]
    if not memory.c_contiguous:
        return "a", memory.tobytes(), code, memory.itemsize * 8, memory.shape
    return "a", memory, code, memory.itemsize * 8, memory.shape
