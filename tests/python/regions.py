# SPDX-License-Identifier: BSD-3-Clause
"""Helpers of tests of arrays: where an array lies, and what is held."""
import numpy as np

import pxrun

N = 40_000  #: doubles: more than what is pickled or copied by the engine


def region_of(array):
    """The Region under an array, or None."""
    while isinstance(array, np.ndarray):
        array = array.base
    return array if type(array) is pxrun._pxrun.Region else None


def used(pool):
    """Bytes of this client's arena that somebody holds."""
    return pool.memory()["client"]["used"]
