# SPDX-License-Identifier: BSD-3-Clause
"""Pools that are given arrays, behind one small interface.

``push`` to all of four; ``push_and_sum``; ``make`` an array on one worker, and ``pull`` it;
``scatter_gather`` over four. Each as its users would do it at their best.
"""
from __future__ import annotations

from multiprocessing import resource_tracker

import numpy

import functions
import peers

WORKERS = peers.WORKERS


class Pxrun(peers.Pxrun):
    def push(self, array):
        self.all.push({"a": array}, block=True)

    def push_and_sum(self, array):
        self.push(array)
        return self.all.apply_sync(functions.sum_of_a)

    def make(self, size):
        self.one.execute(f"import numpy; kept = numpy.ones({size}, 'u1')", block=True)

    def pull(self, size):
        return self.one["kept"]

    def scatter_gather(self, array):
        self.all.scatter("s", array, block=True)
        return self.all.gather("s", block=True)


class Ipyparallel(peers.Ipyparallel):
    push = Pxrun.push
    make = Pxrun.make
    pull = Pxrun.pull
    scatter_gather = Pxrun.scatter_gather

    def push_and_sum(self, array):
        self.push(array)
        return self.all.pull("float(a.sum())", block=True)


class Pool(peers.Pool):
    name = "multiprocessing.Pool"

    def push(self, array):
        self.pool.map(len, [array] * WORKERS, chunksize=1)

    def push_and_sum(self, array):
        return self.pool.map(numpy.sum, [array] * WORKERS, chunksize=1)

    def make(self, size):
        pass

    def pull(self, size):
        return self.pool.apply(functions.kept, (size,))

    def scatter_gather(self, array):
        return numpy.concatenate(self.pool.map(functions.same, numpy.array_split(array, WORKERS), chunksize=1))


class SharedMemory(Pool):
    """A Pool, and arrays in multiprocessing.shared_memory: a new block for each, as its users make them."""

    name = "SharedMemory and Pool"

    def __enter__(self):
        # before the fork, for all to have one: each of its own would warn of every block that another unlinked
        resource_tracker.ensure_running()
        return super().__enter__()

    def _share(self, array, f):
        from multiprocessing import shared_memory

        block = shared_memory.SharedMemory(create=True, size=array.nbytes)
        try:
            there = numpy.ndarray(array.shape, array.dtype, block.buf)
            there[...] = array
            return self.pool.map(f, [(block.name, array.shape, array.dtype.str)] * WORKERS, chunksize=1)
        finally:
            del there
            block.close()
            block.unlink()

    def push(self, array):
        self._share(array, functions.attach)

    def push_and_sum(self, array):
        return self._share(array, functions.attach_and_sum)

    def pull(self, size):
        from multiprocessing import shared_memory

        block = shared_memory.SharedMemory(self.pool.apply(functions.kept_in_block, (size,)))
        got = numpy.frombuffer(block.buf, "u1")[:size].copy()
        block.close()
        block.unlink()
        return got

    scatter_gather = None


class Joblib:
    name = "joblib"

    def __enter__(self):
        import joblib

        self.joblib = joblib
        self.parallel = joblib.Parallel(n_jobs=WORKERS)
        self.parallel.__enter__()
        return self

    def __exit__(self, *exc):
        self.parallel.__exit__(*exc)

    def _each(self, f, arguments):
        return self.parallel(self.joblib.delayed(f)(a) for a in arguments)

    # A view each time: the file of an array object is used again, even if the array has changed since.

    def push(self, array):
        self._each(len, [array.view()] * WORKERS)

    def push_and_sum(self, array):
        return self._each(numpy.sum, [array.view()] * WORKERS)

    def make(self, size):
        pass

    def pull(self, size):
        return self._each(functions.kept, [size])[0]

    def scatter_gather(self, array):
        return numpy.concatenate(self._each(functions.same, numpy.array_split(array, WORKERS)))


class Dask:
    name = "dask"

    def __enter__(self):
        import distributed

        self.cluster = distributed.LocalCluster(
            n_workers=WORKERS, threads_per_worker=1, dashboard_address=None, silence_logs=50, memory_limit=0
        )
        self.client = distributed.Client(self.cluster)
        return self

    def __exit__(self, *exc):
        self.client.close()
        self.cluster.close()

    def _broadcast(self, array):
        return self.client.scatter(array, broadcast=True, hash=False)

    def push(self, array):
        self._broadcast(array)

    def push_and_sum(self, array):
        future = self._broadcast(array)
        workers = list(self.client.scheduler_info()["workers"])
        return self.client.gather([self.client.submit(numpy.sum, future, workers=[w], pure=False) for w in workers])

    def make(self, size):
        self.future = self.client.submit(functions.kept, size, pure=False)

    def pull(self, size):
        return self.future.result()

    def scatter_gather(self, array):
        parts = self.client.scatter(numpy.array_split(array, WORKERS), hash=False)
        return numpy.concatenate(self.client.gather(self.client.map(functions.same, parts, pure=False)))


ALL = [Pxrun, Pool, SharedMemory, Joblib, Dask, Ipyparallel]
