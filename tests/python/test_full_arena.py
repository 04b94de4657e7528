# SPDX-License-Identifier: BSD-3-Clause
"""Tasks whose arguments are more than the arena holds: they are handed out as room comes."""
import os
import signal
import threading

import numpy as np
import pytest

import pxrun
from gates import enter

COUNT, LENGTH = 100, 1 << 17


@pytest.fixture(scope="module")
def small():
    with pxrun.Cluster(n=2, arena="32M") as rc:
        yield rc


@pytest.fixture
def arrays():
    """Three times the arena."""
    return [np.full(LENGTH, i, float) for i in range(COUNT)]


def second_of(array):
    return float(array[1])


def hold(array, path):
    return enter(path)


def double(array):
    return array * 2


@pytest.mark.parametrize("chunksize", [1, 3, None])
def test_map(small, arrays, chunksize):
    assert small.load_balanced_view().map_sync(second_of, arrays, chunksize=chunksize) == list(range(COUNT))


def test_submit(small, arrays):
    with small.executor() as executor:
        futures = [executor.submit(second_of, array) for array in arrays]
        assert [future.result() for future in futures] == list(range(COUNT))
        assert list(executor.map(second_of, arrays)) == list(range(COUNT))


def test_results_have_room(small, arrays):
    """As large as the arguments: a task's memory is free when it has ended."""
    view = small.load_balanced_view()
    assert [float(view.apply_async(double, array).get()[1]) for array in arrays] == [2.0 * i for i in range(COUNT)]
    found = view.map_sync(double, arrays[:10], chunksize=1)
    assert [float(array[1]) for array in found] == [2.0 * i for i in range(10)]


def test_what_a_waiting_client_keeps_warm_is_there_for_results(small):
    """It cannot let go of it in advance: what was an argument may be one again."""
    for _ in range(3):
        assert small[0].apply_sync(len, bytearray(20 << 20)) == 20 << 20
        assert len(small[0].apply_sync(bytearray, 20 << 20)) == 20 << 20


def test_results_that_one_client_has_let_go_of_leave_room_for_anothers():
    with pxrun.Cluster(n=1, arena="32M") as rc, pxrun.Client(rc.profile) as other:
        for _ in range(3):
            assert len(rc[0].apply_sync(bytearray, 20 << 20)) == 20 << 20
            assert len(other[0].apply_sync(bytearray, 24 << 20)) == 24 << 20


def test_a_refusal_is_no_reason_for_the_next():
    with pxrun.Cluster(n=2, arena="32M") as rc:
        for _ in range(3):
            held = pxrun.zeros(20 << 20, "u1")
            with pytest.raises(pxrun.ArenaError):
                rc[0].apply_sync(bytearray, 18 << 20)
            del held
            assert len(pxrun.zeros(24 << 20, "u1")) == 24 << 20  # and is kept warm
            assert len(rc[0].apply_sync(bytearray, 18 << 20)) == 18 << 20


def test_one_that_is_too_large_is_refused_while_others_wait(small, arrays):
    view = small.load_balanced_view()
    ars = [view.apply_async(second_of, array) for array in arrays[:8]]
    with pytest.raises(pxrun.ArenaError, match="raise"):
        view.apply_async(second_of, np.ones(1 << 23))
    assert [ar.get() for ar in ars] == list(range(8))


def test_ctrl_c_ends_the_wait(small, arrays, new_gate):
    gate = new_gate()
    view = small.load_balanced_view()
    held = [view.apply_async(hold, array, gate.path) for array in arrays[:2]]
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            view.map_async(second_of, arrays, chunksize=1)
    finally:
        gate.open(2)
        timer.join()
    for ar in held:
        ar.wait()
    assert view.map_sync(second_of, arrays[:10], chunksize=1) == list(range(10))


def test_engines_that_are_all_dead_end_the_wait(arrays, new_gate):
    gate = new_gate()
    with pxrun.Cluster(n=2, arena="32M", restart="never") as rc:
        view = rc.load_balanced_view()
        held = [view.apply_async(hold, array, gate.path) for array in arrays[:2]]
        timer = threading.Timer(0.3, lambda: [os.kill(engine.pid, signal.SIGKILL) for engine in rc.engines.values()])
        timer.start()
        with pytest.raises(pxrun.EngineError):
            view.map_sync(second_of, arrays, chunksize=1)
        timer.join()
        for ar in held:
            with pytest.raises(pxrun.EngineError):
                ar.get()
    gate.open(2)
