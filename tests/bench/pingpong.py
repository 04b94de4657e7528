# SPDX-License-Identifier: BSD-3-Clause
"""mpi4py between two ranks, the same code in engines and under bare mpiexec: ``mpiexec -n 2 python pingpong.py SIZE``."""
from __future__ import annotations

import sys
import time

try:
    import mpi4py

    mpi4py.rc.initialize = __name__ == "__main__"  # engines have done so
    from mpi4py import MPI
except ImportError:
    MPI = None


def median_us(size):
    """There and back of so many bytes."""
    import numpy

    world = MPI.COMM_WORLD
    buffer, times = numpy.ones(size, "u1"), []
    for _ in range(20000 if size < 1000 else 500):
        begin = time.perf_counter_ns()
        if world.rank == 0:
            world.Send(buffer, 1)
            world.Recv(buffer, 1)
        else:
            world.Recv(buffer, 0)
            world.Send(buffer, 0)
        times.append(time.perf_counter_ns() - begin)
    return sorted(times)[len(times) // 2] / 1e3


def wait_for_ever():
    """For a rank that does not come."""
    MPI.COMM_WORLD.Barrier()


if __name__ == "__main__":
    found = median_us(int(sys.argv[1]))
    if MPI.COMM_WORLD.rank == 0:
        print(found)
