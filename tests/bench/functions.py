# SPDX-License-Identifier: BSD-3-Clause
"""What the pools are asked to run; importable, as every peer needs it."""


def noop():
    """Nothing: what a call costs by itself."""


def numpy_ready(barrier=None):
    """1 once numpy can be used; then meets others at a barrier."""
    import numpy

    one = int(numpy.ones(1)[0])
    if barrier is not None:
        barrier.wait()
    return one


def pid():
    import os

    return os.getpid()


# --- arrays -----------------------------------------------------------------


def sum_of_a():
    """Of what was pushed under that name."""
    import sys

    return float(sys.modules["__main__"].a.sum())


def same(x):
    return x


_kept = {}


def kept(size):
    """An array that the worker keeps."""
    import numpy

    if size not in _kept:
        _kept[size] = numpy.ones(size, "u1")
    return _kept[size]


def _attached(where, f):
    from multiprocessing import shared_memory

    import numpy

    name, shape, dtype = where
    block = shared_memory.SharedMemory(name)
    value = f(numpy.ndarray(shape, dtype, block.buf))
    block.close()
    return value


def attach(where):
    return _attached(where, len)


def attach_and_sum(where):
    return _attached(where, lambda array: float(array.sum()))


def kept_in_block(size):
    """The name of a new block that holds a copy of kept(size)."""
    from multiprocessing import shared_memory

    block = shared_memory.SharedMemory(create=True, size=size)
    block.buf[:size] = kept(size).data
    block.close()
    return block.name
