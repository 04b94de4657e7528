# SPDX-License-Identifier: BSD-3-Clause
"""AsyncResult: waits, values, exceptions, parts; what becomes of its memory."""
import concurrent.futures
import contextlib
import gc
import json
import os
import resource
import weakref

import pytest

import pxrun
from pxrun import error
from pxrun.client.asyncresult import AsyncResult
from pxrun.client.joined import Joined
from pxrun.client.mapresult import AsyncMapResult


def square(x):
    return x * x


# --- get


def test_get_gives_scalar_or_list(pool):
    assert pool[1].apply_async(square, 3).get() == 9
    assert pool[[1]].apply_async(square, 3).get() == [9]
    assert pool[[3, 1]].apply_async(os.getpid).get() == [pool[3].apply_sync(os.getpid), pool[1].apply_sync(os.getpid)]


def test_a_negative_timeout_is_over_but_for_the_default(pool, hold):
    gate = hold(0)
    ar = pool[0].apply_async(abs, -1)
    joined = ar.join(ar, pool[1].apply_async(abs, -2))
    view = pool.load_balanced_view()
    view.after = ar
    later = view.apply_async(abs, -3)
    for each in (ar, joined, later):
        assert not each.wait(-0.01) and not each.wait(-3, return_when="ALL_COMPLETED")[0] - set(joined.split())
        for get in (each.get, each.result, each.exception):
            with pytest.raises(TimeoutError):
                get(-0.01)
    assert not pool.wait(timeout=-2) and not pool.wait([ar], -2)
    gate.open()
    assert (ar.get(-1), joined.get(-1), later.result(-1)) == (1, [1, 2], 3) and pool.wait(timeout=-1)


@pytest.mark.parametrize("balanced", [True, False])
def test_an_index_asks_for_no_other_elements(pool, balanced):
    view = pool.load_balanced_view() if balanced else pool[:]
    ar = view.map_async(lambda x: 1 / x, [1, 2, 4, 0] * 2)
    if balanced:  # the other elements of a direct map's part fail with the one that does
        assert (ar[-2], ar[0:3], ar[4:-1:2]) == (0.25, [1, 0.5, 0.25], [1, 0.25])
    assert ar[0] == 1 and ar[0:2] == [1, 0.5]
    for key in (3, -1, slice(2, 4), slice(None)):
        with pytest.raises(pxrun.CompositeError, match="division by zero"):
            ar[key]
    with pytest.raises(IndexError):
        ar[8]
    pool[[0, 1]].scatter("of_index", [1, 0], flatten=True)
    calls = pool[[0, 1]].apply_async(lambda: 1 / of_index)  # noqa: F821
    assert calls[0] == 1 and calls[:1] == [1]
    with pytest.raises(pxrun.CompositeError):
        calls[1]


def test_a_bool_is_no_timeout(pool):
    ar = pool[0].apply_async(abs, -1)
    for wait in (ar.get, ar.wait, ar.result, ar.exception, ar.join(ar, ar).get, pool.load_balanced_view().apply_async(abs, 1).get):
        with pytest.raises(TypeError, match="a timeout is a number of seconds, or None, not True"):
            wait(True)
    with pytest.raises(TypeError, match="not False"):
        pool.wait(timeout=False)


def test_get_with_a_timeout_raises_TimeoutError_and_can_be_repeated(pool, hold):
    gate = hold(0)
    ar = pool[0].apply_async(square, 4)
    for timeout in (0, 0.01):
        with pytest.raises(TimeoutError, match="^Result not ready.$"):
            ar.get(timeout)
    with pytest.raises(error.TimeoutError):
        ar.get(0)
    gate.open()
    assert [ar.get(), ar.get(10), ar.get(-1), ar.get(0), ar.r, ar.result(1)] == [16] * 6


def test_get_return_exceptions_and_after_a_raise(pool):
    pool[:].scatter("n", range(4), flatten=True, block=True)
    ar = pool[:].apply_async(lambda: 1 / n)  # noqa: F821
    with pytest.raises(error.CompositeError):
        ar.get()
    values = ar.get(return_exceptions=True)
    assert isinstance(values[0], ZeroDivisionError) and values[1:] == [1, 1 / 2, 1 / 3]
    single = pool[0].apply_async(lambda: 1 / 0)
    assert isinstance(single.get(return_exceptions=True), ZeroDivisionError)
    with pytest.raises(ZeroDivisionError):
        single.get(return_exceptions=False)


def test_get_FIRST_EXCEPTION_raises_before_the_rest_is_there(pool, hold):
    gate = hold(1)
    ar = pool[[0, 1]].apply_async(lambda: 1 / 0)
    with pytest.raises(error.CompositeError) as caught:
        ar.get(return_when=concurrent.futures.FIRST_EXCEPTION)
    assert [e[3]["engine_id"] for e in caught.value.elist] == [0]
    assert not ar.ready()
    with pytest.raises(ValueError, match="FIRST_COMPLETED"):
        ar.get(return_when=concurrent.futures.FIRST_COMPLETED)
    with pytest.raises(TimeoutError):
        ar.get(0.01, return_exceptions=True, return_when=concurrent.futures.FIRST_EXCEPTION)
    gate.open()
    both = ar.get(return_exceptions=True, return_when=concurrent.futures.FIRST_EXCEPTION)
    assert [type(e) for e in both] == [type(both[0])] * 2 and isinstance(both[0], ZeroDivisionError)


def test_get_after_close(pool):
    rc = pxrun.Client(pool.connection_file)
    there = rc[:].apply_async(square, 3)
    unread = rc[0].apply_async(bytes, 1_000_000)
    there.wait(), unread.wait()
    busy = rc[0].execute("import signal; signal.pause()", block=False)
    while not busy._result.running(0):
        assert not busy.ready()
    rc.close()
    assert there.get() == [9] * 4 and unread.get() == bytes(1_000_000)
    assert busy.ready() and "failed" in repr(busy)
    for use in (busy.get, busy.wait_for_send, lambda: list(iter(busy.split()))):
        with pytest.raises(error.ClosedError, match="closed") if use == busy.get else contextlib.nullcontext():
            use()
    assert busy.metadata.status == "error" and busy.engine_id == 0
    pool.send_signal("SIGINT", 0)
    assert pool[0].apply_sync(square, 2) == 4


def test_get_from_several_threads_reads_once(pool):
    ar = pool[0].apply_async(bytearray, 1_000_000)
    with concurrent.futures.ThreadPoolExecutor(8) as executor:
        found = list(executor.map(lambda _: ar.get(), range(8)))
    assert all(value is found[0] for value in found) and len(found[0]) == 1_000_000


# --- wait


def test_wait_returns_bool(pool, hold):
    gate = hold(0)
    ar = pool[0].apply_async(square, 4)
    assert ar.wait(0) is False and ar.wait(0.01) is False
    gate.open()
    assert ar.wait() is True and ar.wait(10) is True and ar.wait(None) is True and ar.wait(0) is True


def test_wait_return_when_gives_sets(pool, hold):
    gate = hold(1)
    ar = pool[:].apply_async(os.getpid)
    done, pending = ar.wait(return_when=concurrent.futures.FIRST_COMPLETED)
    assert done and done | pending == set(ar.split()) and not done & pending
    assert all(part.ready() for part in done)
    failing = pool[:].apply_async(lambda: 1 / 0)
    done, pending = failing.wait(return_when=concurrent.futures.FIRST_EXCEPTION)
    assert done and not failing.ready()
    assert ar.wait(0, return_when=concurrent.futures.ALL_COMPLETED)[1]
    gate.open()
    done, pending = ar.wait(return_when=concurrent.futures.ALL_COMPLETED)
    assert len(done) == 4 and not pending
    with pytest.raises(ValueError, match="return_when"):
        ar.wait(return_when="SOMETIMES")


def test_ready_successful_and_repr(pool, hold):
    gate = hold(0)
    ar = pool[0].apply_async(square, 4)
    assert ar.ready() is False and ar.done() is False and repr(ar) == "<AsyncResult(square): pending>"
    with pytest.raises(RuntimeError, match="not ready"):
        ar.successful()
    gate.open()
    ar.wait()
    assert ar.ready() and ar.done() and ar.successful() and repr(ar) == "<AsyncResult(square): finished>"
    bad = pool[:].apply_async(lambda: 1 / 0)
    bad.wait()
    assert not bad.successful() and repr(bad) == "<AsyncResult(<lambda>): failed>"


def test_get_dict(pool):
    assert pool[[2, 0]].apply_async(square, 3).get_dict() == {2: 9, 0: 9}
    assert pool[1].apply_async(square, 3).get_dict(10) == {1: 9}
    assert pool[:].apply_async(square, 3).result_dict == dict.fromkeys(range(4), 9)
    with pytest.raises(ValueError, match="more than once"):
        pool[[1, 1]].apply_async(square, 3).get_dict()


def test_exception(pool, hold):
    assert pool[0].apply_async(square, 3).exception() is None
    assert isinstance(pool[0].apply_async(lambda: 1 / 0).exception(5), ZeroDivisionError)
    assert isinstance(pool[:].apply_async(lambda: 1 / 0).exception(), error.CompositeError)
    told = pool[0].apply_async(lambda: {}["k"])
    remote = pool[0].execute("raise TimeoutError('mine')", block=False)
    assert isinstance(told.exception(), KeyError) and isinstance(remote.exception(), TimeoutError)
    hold(0)
    with pytest.raises(TimeoutError, match="not ready"):
        pool[0].apply_async(square, 3).exception(0.01)


# --- sequences


def test_iteration_yields_as_they_come_in_order(pool, hold):
    gate = hold(2)
    it = iter(pool[:].apply_async(os.getpid))
    pids = pool[[0, 1, 3]].apply_sync(os.getpid)
    assert [next(it), next(it)] == pids[:2]
    gate.open()
    assert len(list(it)) == 2
    with pytest.raises(TypeError, match="not iterable"):
        iter(pool[0].apply_async(square, 1))


def test_iteration_raises_at_the_failing_element(pool):
    pool[:].scatter("n", [1, 1, 0, 1], flatten=True, block=True)
    it = iter(pool[:].apply_async(lambda: 1 / n))  # noqa: F821
    assert [next(it), next(it)] == [1, 1]
    with pytest.raises(ZeroDivisionError, match=r"\[2:apply\]"):
        next(it)


def test_len_and_index(pool):
    ar = pool[:].apply_async(square, 3)
    assert len(ar) == 4 and len(pool[0].apply_async(square, 1)) == 1
    assert ar[0] == 9 and ar[1:] == [9] * 3 and ar[-1] == 9
    with pytest.raises(KeyError):
        ar["nothing"]
    with pytest.raises(TypeError, match="index a result by"):
        ar[1.5]
    assert len(pool[:].map_async(square, range(10))) == 10


def test_split_and_join(pool):
    ar = pool[:].apply_async(os.getpid)
    parts = ar.split()
    assert [type(p) for p in parts] == [AsyncResult] * 4 and ar.split() is parts
    assert [p.get() for p in parts] == ar.get()
    assert [p.msg_ids for p in parts] == [[i] for i in ar.msg_ids]
    joined = AsyncResult.join(*parts)
    assert joined.get() == ar.get() and joined.targets == ar.targets and joined.msg_ids == ar.msg_ids
    assert AsyncResult.join(ar) is ar and parts[0].split() == (parts[0],)
    mixed = AsyncResult.join(ar, pool[1].apply_async(square, 5))
    assert mixed.get() == [*ar.get(), 25] and mixed.engine_id == [0, 1, 2, 3, 1]
    with pytest.raises(ValueError, match="nothing to join"):
        AsyncResult.join()


def test_split_of_a_map_gives_chunks(pool):
    parts = pool[:].map_async(square, range(4)).split()
    assert [type(p) for p in parts] == [AsyncResult] * 4
    assert [p.get() for p in parts] == [[[0]], [[1]], [[4]], [[9]]]


def test_split_shares_values_that_can_be_read_once(pool):
    ar = pool[:].apply_async(bytearray, 100_000)
    parts = ar.split()
    assert len(parts[2].get()) == 100_000 and parts[2].get() is ar.get()[2]


# --- maps


def test_map_first_chunk_can_be_iterated_before_slow_ones_finish(pool, hold):
    gate = hold(3)
    it = iter(pool[:].map_async(square, range(8)))
    assert [next(it) for _ in range(6)] == [x * x for x in range(6)]
    gate.open()
    assert list(it) == [36, 49]


def submit_map(pool, f, **kwargs):
    from pxrun.engine import calls as engine_calls

    parts = [pool[i]._submit_call(engine_calls.map_chunk, (f, [2 * i, 2 * i + 1]), {}, [i]) for i in range(4)]
    return AsyncMapResult(pool, Joined(parts), "f", False, length=8, **kwargs)


def test_map_unordered_yields_chunks_as_they_finish(pool, hold):
    gate = hold(0)
    ar = submit_map(pool, square, ordered=False)
    it = iter(ar)
    assert sorted(next(it) for _ in range(6)) == [4, 9, 16, 25, 36, 49]
    gate.open()
    assert list(it) == [0, 1]
    assert ar.get() == [x * x for x in range(8)]


def test_map_return_exceptions_has_the_exception_of_a_part_at_its_places(pool):
    ar = submit_map(pool, lambda x: 1 / (x - 2), return_exceptions=True)
    for elements in (ar.get(), list(ar)):
        assert [type(e) for e in elements] == [float] * 2 + [type(elements[2])] * 2 + [float] * 4
        assert isinstance(elements[2], ZeroDivisionError)
    with pytest.raises(error.CompositeError):
        ar.get(return_exceptions=False)


def test_map_error_is_raised_at_its_chunk(pool):
    it = iter(pool[:].map_async(lambda x: 1 / (x - 2), range(8)))
    assert [next(it), next(it)] == [-0.5, -1]
    with pytest.raises(ZeroDivisionError):
        next(it)


# --- memory


def used(rc):
    return json.loads(rc.status())["arena"]["used"]


def test_results_that_nobody_reads_leave_nothing(pool):
    def burst():
        ars = [pool[:].apply_async(bytearray, 100_000) for _ in range(250)]
        last = pool[:].apply_async(square, 1)
        del ars
        last.get()

    gc.collect()  # what other tests split is a cycle
    burst()
    pool._core.trim()
    before, rss = used(pool), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(6):
        burst()
    pool._core.trim()
    # engines keep what they have used once, 25 MB each, for the next; the replies were 600 MB
    assert used(pool) <= before + 4 * 32 * 2**20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - rss < 50_000
    assert not [ar for ar in gc.get_objects() if isinstance(ar, AsyncResult) and ar._fname == "bytearray"]


def test_result_lives_in_its_AsyncResult_only(pool):
    ar = pool[0].apply_async(set, [1])
    value = weakref.ref(ar.get())
    gone = weakref.ref(ar)
    gc.disable()
    try:
        del ar
        assert gone() is None and value() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("targets", [0, [0, 1]])
def test_failed_result_goes_when_it_is_dropped(pool, targets):
    ar = pool[targets].apply_async(lambda: 1 / 0)
    gc.disable()
    try:
        with contextlib.suppress(ZeroDivisionError, error.CompositeError):
            ar.get()
        gone = weakref.ref(ar)
        del ar
        assert gone() is None
    finally:
        gc.enable()
