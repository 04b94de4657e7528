# SPDX-License-Identifier: BSD-3-Clause
"""The pool as an executor of concurrent.futures, for what takes one: one call, one engine."""
import asyncio
import concurrent.futures
import gc
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
import weakref

import pytest

import pxrun
from pxrun import AsyncResult, Client

CancelledError, BrokenExecutor = concurrent.futures.CancelledError, concurrent.futures.BrokenExecutor


@pytest.fixture
def rc(pool):
    """A client of its own: what it has out is this test's."""
    with Client(pool.connection_file) as client:
        yield client


def read_one(path):
    with open(path) as file:
        return file.read(1)


def running(future):
    while not future.running():
        assert not future.done()
    return future


# --- submit


def test_submit_runs_on_one_engine(rc):
    future = rc.executor().submit(os.getpid)
    assert isinstance(future, AsyncResult) and isinstance(future, concurrent.futures.Future)
    assert future.result(10) in rc[:].apply_sync(os.getpid)
    assert rc.executor([0, 2]).submit(pow, 2, exp=5).result(10) == 32
    assert rc[1].executor.submit(lambda: 1).result(10) == 1


def test_the_next_free_engine_takes_a_call(rc, hold):
    for engine in (0, 1, 3):
        hold(engine)
    executor = rc.executor()
    futures = [executor.submit(os.getpid) for _ in range(5)]
    assert {f.result(10) for f in futures} == {rc[2].apply_sync(os.getpid)}


def test_only_engines_of_the_view_run_calls(rc):
    executor = rc.executor([1, 3])
    pids = set(rc[[1, 3]].apply_sync(os.getpid))
    assert {f.result(10) for f in [executor.submit(os.getpid) for _ in range(20)]} <= pids
    assert executor.max_workers == 2


def test_max_workers_bounds_the_engines(rc):
    executor = rc.executor(max_workers=2)
    pids = set(rc[[0, 1]].apply_sync(os.getpid))
    assert {f.result(10) for f in [executor.submit(os.getpid) for _ in range(20)]} <= pids
    assert executor.max_workers == executor._max_workers == 2
    assert rc.executor(max_workers=9).max_workers == rc.executor().max_workers == 4
    for bad in (0, -1):
        with pytest.raises(ValueError, match="max_workers"):
            rc.executor(max_workers=bad)


def test_exceptions_are_as_the_function_raised_them(rc):
    class Mine(Exception):
        def __init__(self, code, why):
            super().__init__(code, why)
            self.code = code

    def fails():
        raise Mine(7, "because")

    future = rc.executor().submit(fails)
    with pytest.raises(Mine) as caught:
        future.result(10)
    assert caught.value.code == 7 and isinstance(future.exception(), Mine)
    assert not future.cancelled()


def test_what_cannot_be_sent_is_refused_at_once(rc):
    executor = rc.executor()
    with pytest.raises(TypeError, match="argument 1 of abs"):
        executor.submit(abs, threading.Lock())
    with pytest.raises(TypeError, match="callable"):
        executor.submit(3)


# --- cancel


def test_cancel_takes_back_what_has_not_begun_and_nothing_else(rc, new_gate):
    gate = new_gate()
    executor = rc[0].executor
    runs = running(executor.submit(read_one, gate.path))
    waits = executor.submit(abs, -1)
    assert not waits.running() and not waits.done()
    assert waits.cancel() and waits.cancel() and waits.cancelled() and waits.done()
    assert not runs.cancel() and not runs.cancelled()
    for ask in (waits.result, waits.exception):
        with pytest.raises(CancelledError):
            ask(10)
    gate.open()
    assert runs.result(10) == "x"
    assert not runs.cancel() and not runs.cancelled()


def test_cancelled_futures_are_done_for_those_who_wait(rc, new_gate):
    gate = new_gate()
    executor = rc[0].executor
    runs = running(executor.submit(read_one, gate.path))
    waits = [executor.submit(abs, -i) for i in range(3)]
    called = []
    waits[0].add_done_callback(called.append)
    for future in waits:
        future.cancel()
    done, out = concurrent.futures.wait([runs, *waits], timeout=10, return_when=concurrent.futures.FIRST_COMPLETED)
    assert done and runs in out
    assert set(concurrent.futures.wait(waits, timeout=10).done) == set(waits)
    assert {f.cancelled() for f in concurrent.futures.as_completed(waits, timeout=10)} == {True}
    gate.open()
    runs.result(10)
    while not called:
        time.sleep(0)
    assert called == [waits[0]]


# --- map


def test_map_gives_results_in_order(rc):
    with rc.executor() as executor:
        assert list(executor.map(pow, [2, 3, 4], [5, 2, 1, 9])) == [32, 9, 4]
        assert list(executor.map(abs, range(-25, 0), chunksize=4)) == list(range(25, 0, -1))
        assert list(executor.map(pow, range(5), itertools.count(), chunksize=2)) == [1, 1, 4, 27, 256]
        assert list(executor.map(abs, [])) == []
        for bad in ({"chunksize": 0}, {"buffersize": 0}):
            with pytest.raises(ValueError, match=next(iter(bad))):
                executor.map(abs, [1], **bad)


def test_map_raises_where_a_call_raised(rc):
    results = rc.executor().map(lambda x: 1 / x, [1, 2, 0, 4])
    assert next(results) == 1 and next(results) == 0.5
    with pytest.raises(ZeroDivisionError):
        next(results)


@pytest.mark.parametrize("options", [{}, {"chunksize": 2}, {"buffersize": 2}])
def test_map_is_not_ended_by_a_stop_iteration_of_the_function(rc, options):
    results = rc.executor().map(next, [iter([1]), iter([]), iter([2])], **options)
    with pytest.raises(pxrun.RemoteError, match="StopIteration"):
        list(results)


def test_map_that_is_late_takes_back_what_waits(rc, hold):
    hold(0)
    results = rc[0].executor.map(abs, [-1, -2], timeout=0.01)
    assert len(rc.outstanding) == 2
    with pytest.raises(TimeoutError):
        next(results)
    assert rc.wait(timeout=10)


def test_map_that_is_not_read_to_its_end_takes_back_what_waits(rc, new_gate, tmp_path):
    gate = new_gate()
    begun = tmp_path / "begun"

    def work(x):
        seen.append(x)  # noqa: F821
        if x == 1:
            begun.touch()
            read_one(gate.path)

    rc[0]["seen"] = []
    executor = rc[0].executor
    results = executor.map(work, range(3))
    next(results)
    while not begun.exists():
        time.sleep(0)
    results.close()
    gate.open()
    executor.shutdown()
    assert rc[0]["seen"] == [0, 1]


def test_map_that_is_not_read_runs_all_the_same(rc):
    rc[0]["seen"] = []
    with rc[0].executor as executor:
        executor.map(lambda x: seen.append(x), range(5))  # noqa: F821
    assert rc[0]["seen"] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("initializer", [None, int])
def test_a_negative_timeout_is_over(rc, hold, initializer):
    gate = hold(0)
    executor = rc.executor([0], initializer=initializer)
    future = executor.submit(abs, -1)
    for timeout in (-1, -1.0, -0.01, -3, 0):
        for get in (future.result, future.exception):
            with pytest.raises(concurrent.futures.TimeoutError):
                get(timeout)
    with pytest.raises(concurrent.futures.TimeoutError):
        list(executor.map(abs, [1], timeout=-1))
    gate.open()
    assert future.result(60) == 1 and future.exception() is None


def test_map_with_a_buffer_reads_only_so_far(rc):
    read = []

    def numbers():
        for i in itertools.count():
            read.append(i)
            yield i

    with rc.executor() as executor:
        results = executor.map(abs, numbers(), buffersize=3)
        assert read == [0, 1, 2]
        assert [next(results) for _ in range(10)] == list(range(10)) and len(read) == 13
        chunked = executor.map(abs, numbers(), buffersize=2, chunksize=5)
        assert list(itertools.islice(chunked, 20)) == list(range(20))
        results.close()


@pytest.mark.parametrize("chunksize", [1, 4])
def test_map_with_a_buffer_over_a_generator_that_reuses_its_own(rc, chunksize):
    numpy = pytest.importorskip("numpy")

    def reused():
        kept = numpy.zeros(20_000)
        for i in range(20):
            kept[0] = i
            yield kept

    with rc.executor() as executor:
        assert list(executor.map(lambda a: a[0], reused(), buffersize=2, chunksize=chunksize)) == list(range(20))


def test_map_shows_each_call_to_who_replaced_submit(rc):
    executor = rc.executor()
    submit, seen = executor.submit, []

    def counted(*args):
        seen.append(submit(*args))
        return seen[-1]

    executor.submit = counted
    assert list(executor.map(abs, [-1, -2])) == [1, 2] and len(seen) == 2


# --- shutdown


def test_shutdown_waits_for_its_calls(rc, hold):
    gate = hold(0)
    executor = rc[0].executor
    future = executor.submit(abs, -1)
    executor.submit(abs, -2)  # which nobody holds
    executor.shutdown(wait=False)
    assert not future.done()
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(abs, 1)
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.map(abs, [1])
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


def test_shutdown_cancels_what_was_not_begun(rc, new_gate):
    gate = new_gate()
    executor = rc[0].executor
    runs = running(executor.submit(read_one, gate.path))
    waits = executor.submit(abs, -1)
    mapped = executor.map(abs, [-2, -3])
    executor.shutdown(wait=False, cancel_futures=True)
    assert waits.done() and waits.cancelled() and not runs.done()
    for ask in (waits.result, mapped.__next__):
        with pytest.raises(CancelledError):
            ask()
    gate.open()
    assert runs.result(10) == "x"


# --- initializers


@pytest.fixture
def marks(tmp_path):
    """A folder in which each process that is initialized leaves a file for each time."""
    folder = tmp_path / "marks"
    folder.mkdir()

    def found():
        return sorted(int(path.name.split(".")[0]) for path in folder.iterdir())

    found.folder = str(folder)
    return found


def leave_a_mark(folder, *_):
    import os
    import tempfile

    os.close(tempfile.mkstemp(prefix=f"{os.getpid()}.", dir=folder)[0])


def was_here(folder):
    import os

    return any(name.startswith(f"{os.getpid()}.") for name in os.listdir(folder))


def test_initializer_runs_once_in_each_engine_before_its_first_call(rc, marks):
    with rc.executor(initializer=leave_a_mark, initargs=(marks.folder,)) as executor:
        assert marks() == []
        futures = [executor.submit(was_here, marks.folder) for _ in range(50)]
        assert all(f.result(30) for f in futures)
        assert all(executor.map(was_here, [marks.folder] * 50, chunksize=7))
    rc.wait(timeout=30)
    assert len(set(marks())) == len(marks()) and set(marks()) <= set(rc[:].apply_sync(os.getpid))


def test_each_executor_has_its_own_initializer(rc, marks):
    for _ in range(2):
        with rc.executor([0], initializer=leave_a_mark, initargs=(marks.folder,)) as executor:
            assert executor.submit(was_here, marks.folder).result(30)
    assert marks() == [rc[0].apply_sync(os.getpid)] * 2


def test_initializer_runs_in_engines_that_are_restarted_and_added(marks):
    with pxrun.Cluster(n=2, restart="always") as rc:
        executor = rc.executor(initializer=leave_a_mark, initargs=(marks.folder,))
        pids = {executor.submit(os.getpid).result(30) for _ in range(20)}
        before = rc[:].apply_sync(os.getpid)
        rc[:].kill()
        rc.wait_for_engines(2, timeout=60)
        assert executor.submit(was_here, marks.folder).result(60)
        rc.cluster.start_engines_sync(1)
        only_new = rc.executor([2], initializer=leave_a_mark, initargs=(marks.folder,))
        assert only_new.submit(was_here, marks.folder).result(60)
        assert pids <= set(before) and set(marks()) - set(before)


def test_large_initargs_go_to_each_engine_once(rc, marks):
    numpy = pytest.importorskip("numpy")
    array = numpy.ones(1 << 20)
    with rc.executor(initializer=leave_a_mark, initargs=(marks.folder, array)) as executor:
        assert all(executor.map(was_here, [marks.folder] * 20))
    assert len(set(marks())) == len(marks())


def test_initializer_of_later_engines_gets_what_the_first_got():
    numpy = pytest.importorskip("numpy")
    with pxrun.Cluster(n=1, restart="always") as rc:
        array = numpy.ones(100_000)
        executor = rc.executor(initializer=lambda array: globals().update(first=array[0]), initargs=(array,))
        assert executor.submit(lambda: first).result(60) == 1  # noqa: F821
        array[:] = 2
        rc[:].kill()
        rc.wait_for_engines(1, timeout=60)
        assert executor.submit(lambda: first).result(60) == 1  # noqa: F821


def test_failing_initializer_breaks_the_executor(rc, hold):
    gate = hold(0)

    def fails():
        raise LookupError("no such thing")

    executor = rc.executor([0], initializer=fails)
    futures = [executor.submit(abs, -i) for i in range(20)]
    gate.open()
    for future in futures:
        with pytest.raises(BrokenExecutor, match="initializer"):
            future.result(30)
    assert isinstance(futures[0].exception().__cause__, LookupError)
    with pytest.raises(BrokenExecutor, match="initializer"):
        executor.submit(abs, 1)
    executor.shutdown()
    assert rc.executor().submit(abs, -1).result(10) == 1, "others are none the worse"


def test_initializer_that_ends_its_engine_breaks_the_executor():
    with pxrun.Cluster(n=1, restart="always") as rc:
        executor = rc.executor(initializer=os._exit, initargs=(3,))
        with pytest.raises(BrokenExecutor):
            executor.submit(abs, -1).result(100)


def test_initialized_calls_can_be_cancelled(rc, new_gate):
    gate = new_gate()
    executor = rc.executor([0], initializer=abs, initargs=(1,))
    runs = running(executor.submit(read_one, gate.path))
    waits = [executor.submit(abs, -i) for i in range(3)]
    assert waits[0].cancel() and waits[0].cancelled() and waits[0].done()
    assert not runs.cancel()
    executor.shutdown(wait=False, cancel_futures=True)
    assert waits[1].cancelled() and waits[2].cancelled() and not runs.done()
    assert set(concurrent.futures.wait(waits, timeout=10).done) == set(waits)
    gate.open()
    assert runs.result(10) == "x"


def test_a_number_of_workers_is_no_engine(rc):
    with pytest.raises(pxrun.error.EngineError, match=r"No such engine: 8; .* For so many workers: executor\(max_workers=8\)"):
        rc.executor(8)
    assert rc.executor(2).view.targets == [2]


def test_initializer_must_be_something_to_call(rc):
    with pytest.raises(TypeError, match="initializer"):
        rc.executor(initializer=3)
    with pytest.raises(TypeError, match="cannot be sent"):
        rc.executor(initializer=abs, initargs=(threading.Lock(),))


# --- for those who take executors


def test_wait_and_as_completed(rc, hold):
    gates = [hold(engine) for engine in (0, 1, 2)]
    executor = rc.executor()
    futures = [executor.submit(abs, -i) for i in range(4)]
    one = rc[0].executor.submit(abs, -4)
    done, waiting = concurrent.futures.wait([*futures, one], timeout=10, return_when=concurrent.futures.FIRST_COMPLETED)
    assert done and one in waiting
    for gate in gates:
        gate.open()
    assert sorted(f.result() for f in concurrent.futures.as_completed([*futures, one], timeout=10)) == [0, 1, 2, 3, 4]


def test_asyncio_runs_in_it(rc):
    async def main():
        loop = asyncio.get_running_loop()
        with rc.executor() as executor:
            loop_results = await asyncio.gather(*(loop.run_in_executor(executor, pow, 2, i) for i in range(20)))
            with pytest.raises(ZeroDivisionError):
                await loop.run_in_executor(executor, lambda: 1 / 0)
            assert await asyncio.wrap_future(executor.submit(abs, -1)) == 1
        return loop_results

    assert asyncio.run(main()) == [2**i for i in range(20)]


def test_cancelling_in_asyncio_takes_the_call_back(rc, hold):
    hold(0)

    async def main():
        task = asyncio.wrap_future(rc[0].executor.submit(abs, -1))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)  # asyncio cancels the call in its next turn, which nest_asyncio, of some Jupyters, leaves out at the end

    asyncio.run(main())
    assert rc.wait(timeout=10)


def test_dask_computes_on_it(rc):
    dask = pytest.importorskip("dask")
    seen = dask.delayed(sum)([dask.delayed(pow)(i, 2) for i in range(20)])
    with rc.executor() as executor:
        assert seen.compute(scheduler=executor) == sum(i * i for i in range(20))


def test_tqdm_shows_it(rc, capsys):
    concurrent_tqdm = pytest.importorskip("tqdm.contrib.concurrent")
    found = concurrent_tqdm._executor_map(rc.executor, abs, range(-20, 0), max_workers=2, chunksize=3)
    assert found == list(range(20, 0, -1))
    assert "20" in capsys.readouterr().err


def test_scipy_has_it_as_workers(rc):
    optimize = pytest.importorskip("scipy.optimize")
    with rc.executor() as executor:
        found = optimize.differential_evolution(
            optimize.rosen, [(-2, 2)] * 2, workers=executor.map, updating="deferred", seed=1, maxiter=200, tol=1e-8
        )
    assert found.fun < 1e-6


@pytest.mark.parametrize("ask", ["result", "map"])
def test_what_calls_print_is_shown(rc, capsys, ask):
    executor = rc.executor([2])
    if ask == "map":
        list(executor.map(print, ["hi"]))
    else:
        executor.submit(print, "hi").result(10)
    assert capsys.readouterr().out.split() == ["[stdout:2]", "hi"]


def test_live_arrays_stay_shared(rc):
    numpy = pytest.importorskip("numpy")
    u = pxrun.shared(numpy.zeros(4), client=rc)

    def write(i, array):
        array[i] = i + 1

    with rc.executor() as executor:
        for future in [executor.submit(write, i, u) for i in range(3)]:
            future.result(10)
    with rc.executor(initializer=abs, initargs=(1,)) as executor:
        executor.submit(write, 3, u).result(10)
    assert u.tolist() == [1, 2, 3, 4]


def test_dependencies_and_retries_of_a_view_hold(rc, tmp_path):
    @pxrun.depend(lambda pid: pid == __import__("os").getpid(), rc[3].apply_sync(os.getpid))
    def where():
        return __import__("os").getpid()

    assert rc.executor().submit(where).result(10) == rc[3].apply_sync(os.getpid)

    def second_time(path):
        try:
            open(path, "x").close()
        except FileExistsError:
            return True
        raise LookupError

    view = rc.load_balanced_view(retries=1)
    assert view.executor.submit(second_time, str(tmp_path / "tried")).result(10)


def test_a_task_cannot_have_an_executor_of_its_own_pool(rc):
    def work(file):
        import pxrun

        with pxrun.Client(file) as client:
            return client.executor()

    with pytest.raises(RuntimeError, match="own pool"):
        rc[0].apply_sync(work, rc.connection_file)


def test_many_threads_submit(rc):
    executor = rc.executor()

    def work(i):
        return [executor.submit(abs, -j).result(10) for j in range(20)]

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        assert list(threads.map(work, range(8))) == [list(range(20))] * 8


def test_many_threads_submit_to_an_initialized_one(rc):
    executor = rc.executor(initializer=abs, initargs=(1,))

    def work(i):
        return [executor.submit(abs, -j).result(30) for j in range(20)]

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        assert list(threads.map(work, range(8))) == [list(range(20))] * 8


@pytest.mark.parametrize("options", [{}, {"initializer": abs, "initargs": (1,)}])
def test_futures_that_nobody_looks_at_do_not_stay(rc, options):
    executor = rc.executor(**options)
    known = [weakref.ref(executor.submit(bytes, 1000)) for _ in range(100)]
    executor.shutdown()
    gc.collect()
    while any(ref() is not None for ref in known):  # a thread may be about to let go of the last
        time.sleep(0)
        gc.collect()
    assert rc.outstanding == set() and not executor._prepared


def test_flags_of_the_view_hold(rc):
    view = rc[:].set_flags(timeout=0.05, label="mine")
    future = view.executor.submit(time.sleep, 60)
    assert future.label == "mine"
    with pytest.raises(pxrun.TaskTimeout):
        future.result(30)


def test_an_engine_that_dies_fails_its_call_only():
    with pxrun.Cluster(n=2, restart="always") as rc:
        executor = rc.executor()
        dies = executor.submit(lambda: os.kill(os.getpid(), signal.SIGKILL))
        with pytest.raises(pxrun.EngineError, match="SIGKILL"):
            dies.result(60)
        assert executor.submit(abs, -1).result(60) == 1


def test_numbers_are_no_flags(rc):
    executor = rc.executor()
    for name, values in {"chunksize": (True, 1.5, "2"), "buffersize": (True, 2.0)}.items():
        for value in values:
            with pytest.raises(TypeError, match=f"{name} must be an int, not {value!r}"):
                executor.map(abs, [1], **{name: value})
    with pytest.raises(TypeError, match="max_workers must be an int, not True"):
        rc.executor(max_workers=True)


# --- seeds


def draw(*_):
    import random

    import numpy

    return random.random(), numpy.random.rand()


def test_seed_gives_each_call_its_numbers_whatever_engine_runs_it(rc, hold):
    expected = rc.load_balanced_view().map_sync(draw, range(6), chunksize=1, seed=7)
    assert len(set(expected)) == 6
    with rc.executor(seed=7) as executor:
        assert [f.result() for f in [executor.submit(draw) for _ in range(6)]] == expected
    for engine in (0, 1, 2):
        hold(engine)
    with rc.executor(seed=7) as executor:
        assert [f.result() for f in [executor.submit(draw) for _ in range(6)]] == expected


@pytest.mark.parametrize("options", [{}, {"chunksize": 2}, {"buffersize": 1}, {"chunksize": 2, "buffersize": 1}])
@pytest.mark.parametrize("initializer", [None, int])
def test_elements_of_maps_are_calls_that_have_seeds(rc, options, initializer):
    expected = rc.load_balanced_view().map_sync(draw, range(8), chunksize=1, seed=7)
    with rc.executor(seed=7, initializer=initializer) as executor:
        assert executor.submit(draw).result() == expected[0]
        assert list(executor.map(draw, range(5), **options)) == expected[1:6]
        assert list(executor.map(draw, iter("ab"), itertools.count(), **options)) == expected[6:]


def test_what_cannot_be_sent_is_named_with_a_seed_too(rc):
    executor = rc.executor(seed=1)
    with pytest.raises(TypeError, match="argument 1 of draw"):
        executor.submit(draw, threading.Lock())
    with pytest.raises(TypeError, match="argument 1 of draw"):
        list(executor.map(draw, [threading.Lock()], chunksize=2, buffersize=1))
    with pytest.raises(TypeError, match="f must be callable"):
        executor.submit(1)
    with pytest.raises(ValueError):
        rc.executor(seed=-1)


@pytest.mark.parametrize("initializer", [None, int])
def test_what_is_refused_uses_up_no_seed(rc, initializer):
    expected = rc.load_balanced_view().map_sync(draw, range(6), chunksize=1, seed=7)
    executor = rc.executor(seed=7, initializer=initializer)

    def refused():
        bad = threading.Lock()
        for submit in (
            lambda: executor.submit(draw, bad),
            lambda: list(executor.map(draw, [bad, bad])),
            lambda: list(executor.map(draw, [bad, bad], chunksize=2)),
            lambda: list(executor.map(draw, [bad, bad], chunksize=2, buffersize=1)),
        ):
            with pytest.raises(TypeError):
                submit()

    refused()
    assert executor.submit(draw).result(10) == expected[0]
    refused()
    assert list(executor.map(draw, range(2), timeout=10)) == expected[1:3]
    refused()
    assert list(executor.map(draw, range(3), chunksize=2, buffersize=1, timeout=10)) == expected[3:]


def test_calls_of_several_threads_have_seeds_of_their_own(rc):
    expected = rc.load_balanced_view().map_sync(draw, range(40), chunksize=1, seed=7)
    with rc.executor(seed=7) as executor, concurrent.futures.ThreadPoolExecutor(4) as threads:
        futures = list(threads.map(lambda _: executor.submit(draw), range(40)))
        assert sorted(f.result(10) for f in futures) == sorted(expected)


class Submits:
    """Has something submitted while it is pickled, and then cannot be pickled."""

    def __init__(self, submit):
        self.submit = submit

    def __reduce__(self):
        self.submit()
        raise OSError("no")


def test_a_call_that_is_submitted_while_another_is_pickled_keeps_its_seed(rc):
    executor, inner = rc.executor(seed=7), []
    with pytest.raises(TypeError):
        executor.submit(draw, Submits(lambda: inner.append(executor.submit(draw))))
    found = [future.result(10) for future in [*inner, executor.submit(draw)]]
    assert inner and len(set(found)) == len(found)


# --- the script's end

LEAVES = """
import os, pxrun, sys
rc = pxrun.Cluster(n=2).start_and_connect_sync()

def save(i):
    import time, warnings
    time.sleep(0.2)  # so that the script has ended
    print("saved", i)
    warnings.warn(f"of {i}")
    os.mkdir(f"{sys.argv[1]}/{i}")

rc[:].execute(f"import os, sys; sys.argv = {sys.argv}", block=True)
executor = rc.executor(**OPTIONS)
"""
LEFT = {
    "futures": "kept = [executor.submit(save, i) for i in range(4)]",
    "no futures": "for i in range(4): executor.submit(save, i)",
    "no executor": "for i in range(4): executor.submit(save, i)\ndel executor",
    "shutdown": "for i in range(4): executor.submit(save, i)\nexecutor.shutdown(wait=False)",
    "map": "results = executor.map(save, range(4))",
}


@pytest.mark.parametrize("options", ["dict()", "dict(initializer=int)"])
@pytest.mark.parametrize("how", LEFT)
def test_calls_that_are_out_at_the_scripts_end_are_done(tmp_path, how, options):
    code = LEAVES.replace("**OPTIONS", "**" + options) + LEFT[how]
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and sorted(os.listdir(tmp_path)) == ["0", "1", "2", "3"]
    assert all(f"saved {i}\n" in done.stdout and f"UserWarning: of {i}\n" in done.stderr for i in range(4))


def test_ctrl_c_ends_the_wait_at_the_scripts_end():
    code = "import pxrun, time\nrc = pxrun.Cluster(n=1).start_and_connect_sync()\nf = rc.executor().submit(time.sleep, 1000)\n"
    code += "while not f.running(): pass\nimport threading; threading._register_atexit(lambda: print('ends', flush=True))"
    script = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert script.stdout.readline() == "ends\n"  # before it waits
    script.send_signal(signal.SIGINT)
    script.communicate(timeout=60)



# --- output


@pytest.mark.parametrize("initializer", [None, int])
def test_what_calls_print_is_shown_without_anybody_asking_for_their_values(rc, capfd, initializer):
    with rc.executor(initializer=initializer) as executor:
        concurrent.futures.wait([executor.submit(print, "printed", i) for i in range(3)])
        told = threading.Event()
        executor.submit(print, "and this").add_done_callback(lambda future: told.set())
        assert told.wait(30)
        shown = capfd.readouterr().out
        assert all(f"] printed {i}\n" in shown for i in range(3)) and "] and this\n" in shown
