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
