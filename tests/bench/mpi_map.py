# SPDX-License-Identifier: BSD-3-Clause
"""A map of a trivial function by mpi4py.futures, item by item: the median time in µs of an item.

    mpiexec -n 5 python -m mpi4py.futures mpi_map.py ITEMS REPEATS
"""
from __future__ import annotations

import statistics
import sys
import time

from mpi4py.futures import MPIPoolExecutor

import functions

if __name__ == "__main__":
    items, repeats = map(int, sys.argv[1:])
    times = []
    with MPIPoolExecutor() as pool:
        list(pool.map(functions.same, range(100)))
        for _ in range(repeats):
            begin = time.perf_counter()
            assert len(list(pool.map(functions.same, range(items)))) == items
            times.append(time.perf_counter() - begin)
    print(statistics.median(times) / items * 1e6)
