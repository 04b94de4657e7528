# SPDX-License-Identifier: BSD-3-Clause
"""Tasks have the arrays as they were when they were submitted, however late they are sent, and to whom."""
import functools
import os
import signal

import numpy as np
import pytest

import pxrun
from gates import enter
from pxrun import depend


def first_of(array, x=None):
    return float(array[0])


@pytest.fixture
def array():
    return np.zeros(100_000)


def test_after(view, new_gate, array):
    gate = new_gate()
    with view.temp_flags(after=view.apply_async(enter, gate.path)):
        called = view.apply_async(first_of, array)
        elements = view.map_async(first_of, [array] * 4)
        partial = view.map_async(functools.partial(first_of, array), range(4))
    array[:] = 7
    gate.open()
    assert called.get(20) == 0 and elements.get(20) == [0] * 4 and partial.get(20) == [0] * 4


def test_bytes(view, new_gate):
    gate, data = new_gate(), bytearray(1 << 20)
    with view.temp_flags(after=view.apply_async(enter, gate.path)):
        ar = view.apply_async(lambda fixed, data: (fixed[0], data[0]), bytes(data), data)
    data[0] = 7
    gate.open()
    assert ar.get(20) == (0, 0)


def test_live_arrays_stay_shared(view, new_gate):
    gate, shared = new_gate(), pxrun.shared(np.zeros(100))
    with view.temp_flags(after=view.apply_async(enter, gate.path)):
        called = view.apply_async(first_of, shared)
        mapped = view.map_async(functools.partial(first_of, shared), range(4))
    shared[:] = 7
    gate.open()
    assert called.get(20) == 7 and mapped.get(20) == [7] * 4


def test_task_that_is_moved(rc, view, new_gate, hold, array):
    gates = [hold(engine) for engine in range(4)]
    pid = rc.engines[2].pid
    ar = view.apply_async(depend(lambda: os.getpid() == pid)(first_of), array)
    array[:] = 7
    gates[0].open()
    rc[0].apply_sync(abs, -1)
    for gate in gates[1:]:
        gate.open()
    assert ar.get(20) == 0


def die_at_gate(array, path, x):
    if x == 0:
        enter(path)
        os.kill(os.getpid(), signal.SIGKILL)
    return float(array[0])


@pytest.mark.parametrize("lazily", [False, True])
def test_engine_that_was_restarted(new_gate, array, lazily):
    gate = new_gate()
    with pxrun.Cluster(n=1) as rc:
        view = rc.load_balanced_view()
        f = functools.partial(die_at_gate, array, gate.path)
        if lazily:
            got = view.imap(f, range(10), return_exceptions=True)
        else:
            got = view.map_async(f, range(10), chunksize=1, return_exceptions=True)
        array[:] = 7
        gate.open()
        died, *rest = got
        assert isinstance(died, pxrun.EngineError) and rest == [0] * 9


def was_prepared():
    pass


def test_executor_with_an_initializer(new_gate, array):
    """An engine that was restarted has it run first; the call is sent again."""
    gate = new_gate()
    with pxrun.Cluster(n=1) as rc:
        executor = rc.executor(initializer=was_prepared)
        died = executor.submit(die_at_gate, array, gate.path, 0)
        future = executor.submit(first_of, array)
        array[:] = 7
        gate.open()
        assert isinstance(died.exception(60), pxrun.EngineError) and future.result(60) == 0
