# SPDX-License-Identifier: BSD-3-Clause
"""What mpi4py does with arrays on five ranks, rank 0 the client: medians in µs, as JSON, by size.

    mpirun -n 5 python mpi.py push|sum|pull SIZE…
"""
from __future__ import annotations

import json
import sys

import numpy
from mpi4py import MPI

world = MPI.COMM_WORLD
rank = world.rank


def push(source, size):
    into = source if rank == 0 else numpy.empty(size, "u1")
    world.Bcast(into, 0)
    return into


def summed(source, size):
    into = push(source, size)
    world.gather(float(into.view("f8").sum()) if rank else None, 0)


def pull(source, size):
    if rank == 1:
        world.Send(source, 0)
    elif rank == 0:
        world.Recv(numpy.empty(size, "u1"), 1)


def median_us(f, size):
    source = numpy.ones(size, "u1") if rank < 2 else None
    times = []
    for i in range(7 if size > 1 << 20 else 200):
        world.Barrier()
        begin = MPI.Wtime()
        f(source, size)
        world.Barrier()
        times.append((MPI.Wtime() - begin) * 1e6)
    return sorted(times[2:])[len(times[2:]) // 2]


chosen = {"push": push, "sum": summed, "pull": pull}[sys.argv[1]]
found = {size: median_us(chosen, int(size)) for size in sys.argv[2:]}
if rank == 0:
    print(json.dumps(found))
