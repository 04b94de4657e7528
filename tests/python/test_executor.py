# SPDX-License-Identifier: BSD-3-Clause
"""Views as executors of concurrent.futures, for what takes one: one call, one engine."""
import asyncio
import concurrent.futures
import itertools
import os
import threading

import pytest

import pxrun
from pxrun import AsyncResult, Client


@pytest.fixture
def rc(pool):
    """A client of its own: what it has out is this test's."""
    with Client(pool.connection_file) as client:
        yield client


def test_submit_runs_on_one_engine(rc):
    future = rc.executor().submit(os.getpid)
    assert isinstance(future, AsyncResult) and isinstance(future, concurrent.futures.Future)
    assert future.result(10) in rc[:].apply_sync(os.getpid)
    assert rc.executor([0, 2]).submit(pow, 2, exp=5).result(10) == 32
    assert rc[1].executor.submit(lambda: 1).result(10) == 1


def test_engines_take_turns(rc):
    executor = rc.executor()
    engines = []
    for _ in range(8):
        future = executor.submit(abs, -1)
        future.result(10)
        engines.append(future.engine_id)
    assert engines == [0, 1, 2, 3] * 2


def test_least_busy_engine_is_next(rc, hold):
    gates = [hold(engine) for engine in (0, 1)]
    executor = rc.executor([0, 1])
    rc[0].apply_async(abs, -1)
    rc[0].apply_async(abs, -1)  # nobody holds them, and they count
    futures = [executor.submit(abs, -1) for _ in range(4)]
    assert [f.engine_id for f in futures] == [1, 1, 0, 1] or [f.engine_id for f in futures] == [1, 1, 1, 0]
    futures[0].abort()
    rc[0].abort()
    for gate in gates:
        gate.open()
    assert [f.result(10) for f in futures[1:]] == [1, 1, 1]


def test_aborted_requests_are_no_business(rc, hold):
    hold(0)
    waiting = [rc[0].apply_async(abs, -1) for _ in range(3)]
    assert rc.queue_status(0)["queue"] == 3 and rc._core.queued() == {0: 3}
    waiting[1].abort()
    assert rc._core.queued() == {0: 2}
    rc.abort()
    assert rc._core.queued() == {}


def test_map_gives_results_in_order(rc):
    with rc.executor() as executor:
        assert list(executor.map(pow, [2, 3, 4], [5, 2, 1, 9])) == [32, 9, 4]
        assert list(executor.map(abs, range(-25, 0), chunksize=4)) == list(range(25, 0, -1))
        assert list(executor.map(pow, range(5), itertools.count(), chunksize=2)) == [1, 1, 4, 27, 256]
        assert list(executor.map(abs, [])) == []
        with pytest.raises(ValueError, match="chunksize"):
            executor.map(abs, [1], chunksize=0)


def test_map_spreads_its_calls(rc):
    assert set(rc.executor().map(lambda x: os.getpid(), range(8))) == set(rc[:].apply_sync(os.getpid))


def test_map_raises_where_a_call_raised(rc):
    results = rc.executor().map(lambda x: 1 / x, [1, 2, 0, 4])
    assert next(results) == 1 and next(results) == 0.5
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_map_that_is_late_takes_back_what_waits(rc, hold):
    hold(0)
    results = rc[0].executor.map(abs, [-1, -2], timeout=0.01)
    assert rc._core.queued() == {0: 2}
    with pytest.raises(TimeoutError):
        next(results)
    assert rc._core.queued() == {} and rc.wait(timeout=0)


def test_map_that_is_not_read_to_its_end_takes_back_what_waits(rc, hold):
    hold(0)
    results = rc.executor([2, 0]).map(abs, [-1, -2])
    assert next(results) == 1 and rc._core.queued() == {0: 1}
    results.close()
    assert rc._core.queued() == {}


def test_shutdown_waits_for_its_calls(rc, hold):
    gate = hold(0)
    executor = rc[0].executor
    future = executor.submit(abs, -1)
    executor.submit(abs, -2)  # which nobody holds
    executor.shutdown(wait=False)
    assert not future.done()
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(abs, 1)
    waiter = threading.Thread(target=executor.shutdown)
    waiter.start()
    gate.open()
    waiter.join()
    assert future.done() and rc.outstanding == set()
    assert rc[0].apply_sync(abs, -3) == 3, "engines stay"


def test_shutdown_waits_for_its_own_calls_only(rc, hold):
    hold(0)
    rc[0].apply_async(abs, -1)
    with rc[1].executor as executor:
        assert executor.submit(abs, -2).result(10) == 2
    assert rc.outstanding


def test_shutdown_cancels_what_was_not_begun(rc, hold, new_gate):
    gate = new_gate()
    executor = rc[0].executor
    runs = executor.submit(lambda path: open(path).read(1), gate.path)
    while not runs.running():
        assert not runs.done()
    waits = executor.submit(abs, -1)
    executor.shutdown(wait=False, cancel_futures=True)
    assert waits.done() and waits.cancelled() and not runs.done()
    with pytest.raises(concurrent.futures.CancelledError):
        waits.result(10)
    gate.open()
    assert runs.result(10) == "x"


def test_wait_and_as_completed(rc, hold):
    gate = hold(0)
    executor = rc.executor([0, 1])
    futures = [executor.submit(abs, -i) for i in range(4)]
    done, waiting = concurrent.futures.wait(futures, timeout=10, return_when=concurrent.futures.FIRST_COMPLETED)
    assert done and waiting
    gate.open()
    assert sorted(f.result() for f in concurrent.futures.as_completed(futures, timeout=10)) == [0, 1, 2, 3]


def test_asyncio_runs_in_it(rc):
    async def main():
        loop = asyncio.get_running_loop()
        with rc.executor() as executor:
            loop_results = await asyncio.gather(*(loop.run_in_executor(executor, pow, 2, i) for i in range(20)))
            with pytest.raises(ZeroDivisionError):
                await loop.run_in_executor(executor, lambda: 1 / 0)
        return loop_results

    assert asyncio.run(main()) == [2**i for i in range(20)]


def test_dask_computes_on_it(rc):
    dask = pytest.importorskip("dask")
    seen = dask.delayed(sum)([dask.delayed(pow)(i, 2) for i in range(20)])
    with rc.executor() as executor:
        assert seen.compute(scheduler=executor) == sum(i * i for i in range(20))


def test_many_threads_submit(rc):
    executor = rc.executor()

    def work(i):
        return [executor.submit(abs, -j).result(10) for j in range(20)]

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        assert list(threads.map(work, range(8))) == [list(range(20))] * 8


def test_flags_of_the_view_hold(rc):
    view = rc[:].set_flags(timeout=0.05, label="mine")
    future = view.executor.submit(__import__("time").sleep, 60)
    assert future.label == "mine"
    with pytest.raises(pxrun.TaskTimeout):
        future.result(30)
