# SPDX-License-Identifier: BSD-3-Clause
"""What is measured of many calls of unequal length. As workloads.py."""
from __future__ import annotations

import heapq
import random
import time

import functions
import measure
import peers
from rows import Figure, Row, at_most

TRIVIAL = 20_000
#: On as many workers as processors, so that the ideal can be told.
FEW = 2


class Pxrun(peers.Pxrun):
    def __enter__(self):
        super().__enter__()
        self.view = self.client.load_balanced_view()
        return self

    def map_one_by_one(self, f, items):
        return self.view.map_sync(f, items, chunksize=1)

    def map_at_its_best(self, f, items):
        return self.view.map_sync(f, items)

    def submit(self, f):
        return self.view.apply_sync(f)


class Direct(peers.Pxrun):
    name = "pxrun, direct view"

    def map_one_by_one(self, f, items):
        return self.all.map_sync(f, items)


class Pool(peers.Pool):
    def map_one_by_one(self, f, items):
        return self.pool.map(f, items, chunksize=1)

    def map_at_its_best(self, f, items):
        """Of some chunk sizes the fastest; it is told which by who calls."""
        return self.pool.map(f, items, chunksize=self.chunk)

    def submit(self, f):
        return self.pool.apply(f)


class Unordered(peers.Pool):
    name = "Pool.imap_unordered"

    def map_one_by_one(self, f, items):
        return list(self.pool.imap_unordered(f, items))


class _Executor:
    def map_one_by_one(self, f, items):
        return list(self.pool.map(f, items))

    def submit(self, f):
        return self.pool.submit(f).result()


class ProcessPoolExecutor(_Executor, peers.ProcessPoolExecutor):
    pass


class Loky(_Executor, peers.Loky):
    pass


class Joblib:
    name = "joblib (loky, its own batches)"

    def __enter__(self):
        import joblib

        self.parallel = joblib.Parallel(n_jobs=peers.WORKERS)
        self.delayed = joblib.delayed
        return self

    def __exit__(self, *exc):
        pass

    def map_one_by_one(self, f, items):
        return self.parallel(self.delayed(f)(item) for item in items)


class Ipyparallel(peers.Ipyparallel):
    def map_one_by_one(self, f, items):
        return self.client.load_balanced_view().map_sync(f, items, chunksize=1)

    def submit(self, f):
        return self.client.load_balanced_view().apply_sync(f)


class Dask:
    name = "dask.distributed"

    def __enter__(self):
        import logging

        import distributed

        self.client = distributed.Client(
            n_workers=peers.WORKERS, threads_per_worker=1, dashboard_address=None, silence_logs=logging.ERROR
        )
        return self

    def __exit__(self, *exc):
        self.client.close()

    def map_one_by_one(self, f, items):
        return self.client.gather(self.client.map(f, items, pure=False))

    def submit(self, f):
        return self.client.submit(f, pure=False).result()


#: Their maps take milliseconds an item.
SLOW = (Ipyparallel, Dask)
ALL_PEERS = [Pxrun, Pool, Unordered, ProcessPoolExecutor, Loky, Joblib, Dask, Ipyparallel]


def _seconds(f, *args):
    begin = time.perf_counter()
    f(*args)
    return time.perf_counter() - begin


def map_trivial(quick):
    """A function that does nothing: what a task costs by itself."""

    def one_by_one(pool):
        count = TRIVIAL // 20 if isinstance(pool, SLOW) else TRIVIAL
        pool.map_one_by_one(functions.same, range(100))
        times = [_seconds(pool.map_one_by_one, functions.same, range(count)) for _ in range(3 if quick else 7)]
        return Figure.of(times).scaled(1e6 / count)

    found = peers.with_each(ALL_PEERS, one_by_one)
    if (median := peers.mpi("-m", "mpi4py.futures", "mpi_map.py", TRIVIAL, 3 if quick else 7)) is not None:
        found["mpi4py.futures"] = float(median)
    return [Row("map of a trivial function, item by item", "µs", found, (at_most(1 / 5, "multiprocessing.Pool"),))]


def map_chunks(quick):
    """The same in chunks: pxrun chooses their size, Pool gets the best of several."""
    count = 200_000 if quick else 1_000_000

    def at_its_best(pool):
        pool.map_one_by_one(functions.same, range(100))
        found = []
        for pool.chunk in (100, 1000, 10_000, count // (4 * peers.WORKERS)) if isinstance(pool, Pool) else (None,):
            times = [_seconds(pool.map_at_its_best, functions.same, range(count)) for _ in range(3)]
            found.append(sorted(times)[1])
        return min(found) / count * 1e6

    found = peers.with_each([Pxrun, Pool], at_its_best)
    return [Row("map of a trivial function, in chunks", "µs", found, (at_most(1.1, "multiprocessing.Pool"),))]


def _greedy(times, workers):
    """How long it takes if each worker takes the next as soon as it is free."""
    free = [0.0] * workers
    for each in times:
        heapq.heapreplace(free, free[0] + each)
    return max(free)


def uneven(quick):
    """Tasks of very different length on as many workers as processors, over the time that the greedy order takes."""
    dice = random.Random(1)
    drawn = [dice.lognormvariate(0.0, 1.0) for _ in range(100 if quick else 400)]
    few = [2 * t / max(drawn) for t in drawn]
    mean = sum(few) / len(few)
    times = [t * 0.02 / mean for t in few]
    equal = [0.001] * (2000 if quick else 10_000)
    workers, peers.WORKERS = peers.WORKERS, FEW
    try:
        for what, tasks, goal in (
            ("tasks of 1 ms, over the ideal", equal, at_most(1.03)),
            ("log-normal tasks, over the greedy order", times, at_most(1.05)),
        ):
            ideal = _greedy(tasks, FEW)

            def over_the_ideal(pool, tasks=tasks, ideal=ideal):
                pool.map_one_by_one(functions.busy, [0.001] * 20)
                return _seconds(pool.map_one_by_one, functions.busy, tasks) / ideal

            kinds = [Pxrun, Direct, Pool, Unordered, ProcessPoolExecutor, Loky]
            yield Row(what, "x", peers.with_each(kinds, over_the_ideal), (goal,))
    finally:
        peers.WORKERS = workers


def submit(quick):
    """One task and its result, again and again; beside it a request to one engine."""
    seconds = 0.3 if quick else 1.5

    def hot(pool):
        return measure.median_us(lambda: pool.submit(functions.noop), seconds)

    found = peers.with_each([Pxrun, Pool, ProcessPoolExecutor, Loky, Dask, Ipyparallel], hot)
    with Pxrun() as pool:
        found["pxrun, to one engine"] = measure.median_us(pool.call, seconds)
        executor = pool.client.executor()
        found["pxrun, submit().result()"] = measure.median_us(lambda: executor.submit(functions.noop).result(), seconds)
    return [Row("a task and its result, hot", "µs", found, (at_most(1.5, "pxrun, to one engine"),))]


ALL = {f.__name__: f for f in (map_trivial, map_chunks, uneven, submit)}
