# SPDX-License-Identifier: BSD-3-Clause
"""``.npy`` files, read directly into shared memory and written directly from it."""
from __future__ import annotations

import contextlib
import io
import os
from typing import Any

import numpy

from . import _pxrun, arrays

_format = numpy.lib.format


def load(path: Any, *, client: Any = None) -> Any:
    """As numpy.load() of a ``.npy`` file: an array in shared memory, see `arrays.empty`.

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        It is not a ``.npy`` file, is truncated, or holds Python objects.
    MemoryError
        The arena is full.
    """
    with open(path, "rb") as file:
        if file.read(6) != _format.MAGIC_PREFIX:
            raise ValueError(f"{os.fspath(path)} is no .npy file: numpy.save() makes them")
        file.seek(0)
        shape, fortran, dtype = _header(file)
        if dtype.hasobject:
            raise ValueError(f"{os.fspath(path)} holds Python objects: load it with numpy.load(), and push that")
        array = arrays.empty(shape, dtype, "F" if fortran else "C", client=client)
        start, size = file.tell(), os.fstat(file.fileno()).st_size
        if size - start < array.nbytes:
            raise ValueError(f"{os.fspath(path)} is cut off: {size - start} of {array.nbytes} bytes are there")
        if array.nbytes:
            _pxrun.read_file(file.fileno(), start, _bytes_of(array))
        return array


def _header(file: Any) -> tuple:
    """(shape, whether in Fortran order, dtype) from the header; leaves the file where the data begin."""
    version = _format.read_magic(file)
    if version == (1, 0):
        return _format.read_array_header_1_0(file)
    if version == (2, 0):
        return _format.read_array_header_2_0(file)
    # version 3 has no reader of its own in public
    whole = numpy.load(file.name, mmap_mode="r")
    file.seek(whole.offset)
    return whole.shape, whole.flags.f_contiguous and not whole.flags.c_contiguous, whole.dtype


def save(path: Any, array: Any) -> None:
    """As numpy.save(), but the file gets its name only when it is complete.

    Raises
    ------
    OSError
        The file cannot be written; an earlier file of that name is unchanged.
    """
    if type(array) is not numpy.ndarray:
        raise TypeError(f"a .npy file holds an array, not a {type(array).__name__}")
    name = os.fspath(path)
    folder = os.path.dirname(os.path.abspath(name))
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"there is no folder {folder} to save in")
    name += "" if name.endswith(".npy") else ".npy"
    draft = f"{name}.{os.getpid()}.part"
    try:
        with open(draft, "wb") as file:
            _write(file, array)
        os.replace(draft, name)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(draft)
        raise


def _write(file: Any, array: Any) -> None:
    flags = array.flags
    if array.dtype.hasobject or not array.nbytes or not (flags.c_contiguous or flags.f_contiguous):
        numpy.save(file, array)
        return
    head = io.BytesIO()
    if array.dtype.kind in "mM":
        array = array.view(array.dtype.str)  # pickle leaves metadata on such a dtype, of which numpy warns
    fields = _format.header_data_from_array_1_0(array)
    try:
        _format.write_array_header_1_0(head, fields)
    except (ValueError, UnicodeEncodeError):
        numpy.save(file, array)
        return
    file.write(head.getvalue())
    file.flush()
    _pxrun.write_file(file.fileno(), len(head.getvalue()), _bytes_of(array))


def _bytes_of(array: Any) -> Any:
    return array.reshape(-1, order="A").view("u1")
