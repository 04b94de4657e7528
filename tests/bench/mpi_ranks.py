# SPDX-License-Identifier: BSD-3-Clause
"""What mpi4py's ranks do for a client, rank 0: they receive pickled objects, and send back what these ask for.

    mpiexec -n RANKS python mpi_ranks.py SOCKET

An order, from mpi_world.py, is the job, "to" one worker (by send and recv) or all of them (by bcast and
gather), the "size" of what is sent, and for how many "seconds". Rank 0 answers with the median in µs.
"""
from __future__ import annotations

import json
import socket
import sys

import numpy
from mpi4py import MPI

import functions
import measure

comm = MPI.COMM_WORLD
rank = comm.rank


def call(what):
    f, args, kwargs = what
    return f(*args, **kwargs)


#: {job: (what rank 0 sends, given the size, and what a worker does with it)}
JOBS = {
    "call": (lambda size: (functions.add, (1, 2), {}), call),
    "push": (functions.pushed, lambda got: None),
    "pull": (lambda size: size, functions.kept),
}


def one_by_one(what, answer, time):
    """Another worker than rank 1 has nothing to do."""
    if rank == 1:
        while (got := comm.recv(source=0)) is not None:
            comm.send(answer(got), 0)
    elif rank == 0:

        def there_and_back():
            comm.send(what, 1)
            comm.recv(source=1)

        found = time(there_and_back)
        comm.send(None, 1)
        return found


def all_at_once(what, answer, time):
    if rank:
        while (got := comm.bcast(None)) is not None:
            comm.gather(answer(got))
    else:

        def there_and_back():
            comm.bcast(what)
            comm.gather(None)

        found = time(there_and_back)
        comm.bcast(None)
        return found


def scatter(size, time):
    """Over all workers, and back, each time into fresh arrays."""
    part = size // (comm.size - 1)
    counts = [0] + [part] * (comm.size - 1)
    source = None if rank else [numpy.ones(size, "u1"), counts, None, MPI.BYTE]

    def there_and_back():
        mine = numpy.empty(counts[rank], "u1")
        comm.Scatterv(source, mine)
        comm.Gatherv(mine, None if rank else [numpy.empty(size, "u1"), counts, None, MPI.BYTE])

    def asked():
        comm.bcast(True)
        there_and_back()

    if rank:
        while comm.bcast(None):
            there_and_back()
    else:
        found = time(asked)
        comm.bcast(False)
        return found


def obey(job, seconds, to=1, size=0, **how):
    def time(f):
        return measure.median_us(f, seconds, **how)

    if job == "scatter":
        return scatter(size, time)
    make, answer = JOBS[job]
    return (one_by_one if to == 1 else all_at_once)(make(size), answer, time)


with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(sys.argv[1])
    with connection.makefile("rw") as orders:
        print(rank, file=orders, flush=True)
        for order in orders:
            median = obey(**json.loads(order))
            if rank == 0:
                print(median, file=orders, flush=True)
