# SPDX-License-Identifier: BSD-3-Clause
"""Engines that die, come and go while they have tasks."""
import os
import signal

import numpy as np
import pytest

import pxrun
from gates import enter


@pytest.fixture
def own():
    """A pool of two engines, which may die."""
    with pxrun.Cluster(n=2) as client:
        yield client


def die(x=0):
    os.kill(os.getpid(), signal.SIGKILL)


def test_engine_that_dies_in_a_task(own):
    view = own.load_balanced_view()
    with pytest.raises(pxrun.EngineError, match="(?i)sigkill|signal 9"):
        view.apply_sync(die)
    with pytest.raises(pxrun.EngineError):
        view.set_flags(retries=2).apply_sync(die)
    assert view.apply_sync(abs, -1) == 1


@pytest.mark.parametrize("chunksize", [None, 1, 5])
def test_task_of_a_dead_engine_is_run_again(own, tmp_path, chunksize):
    marker = str(tmp_path / "died")

    def once(x):
        if x == 13 and not os.path.exists(marker):
            open(marker, "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
        return x * x

    view = own.load_balanced_view(retries=1)
    assert view.map_sync(once, range(40), chunksize=chunksize) == [x * x for x in range(40)]
    assert os.path.exists(marker)


@pytest.mark.parametrize("chunksize", [1, 5])
def test_element_that_fails_is_run_again(own, tmp_path, chunksize):
    def at_the_third_time(x):
        open(f"{tmp_path}/{x}", "a").write("x")
        if os.path.getsize(f"{tmp_path}/{x}") < 3:
            raise ValueError(x)
        return x

    view = own.load_balanced_view(retries=2)
    assert view.map_sync(at_the_third_time, range(10), chunksize=chunksize) == list(range(10))
    assert view.apply_sync(at_the_third_time, 77) == 77
    with pytest.raises(ValueError):
        view.set_flags(retries=1).apply_sync(at_the_third_time, 78)


@pytest.mark.parametrize("chunksize, lost", [(1, [7]), (5, [5, 6, 7, 8, 9])])
def test_dead_engine_loses_the_chunk_that_it_was_at(own, chunksize, lost):
    view = own.load_balanced_view()
    got = view.map_sync(lambda x: os.kill(os.getpid(), 9) if x == 7 else x, range(20), chunksize=chunksize, return_exceptions=True)
    assert [i for i, value in enumerate(got) if isinstance(value, pxrun.EngineError)] == lost
    assert [value for i, value in enumerate(got) if i not in lost] == [i for i in range(20) if i not in lost]


@pytest.mark.parametrize("leave", [lambda: os._exit(0), lambda: os.execv("/bin/true", ["true"])])
def test_engine_that_exits_with_0_is_gone_for_good(own, leave):
    ar = own.load_balanced_view().apply_async(leave)
    with pytest.raises(pxrun.EngineError, match="exited with code 0"):
        ar.get(30)
    while own.engines[ar.engine_id].state != "gone":
        assert own.engines[ar.engine_id].restarts == 0
    assert own.ids == [1 - ar.engine_id]


def test_engines_that_come_and_go_during_a_map(own, new_gate, tmp_path):
    gate = new_gate()
    array = np.ones(100_000)  # sent apart, which the new engine has to get as well

    def work(x):
        (tmp_path / str(os.getpid())).touch()
        enter(gate.path)
        return os.getpid(), x, array.sum()

    ar = own.load_balanced_view(retries=1).map_async(work, range(30), chunksize=1)
    own._core.add(1)
    own.wait_for_engines(3)
    new = own.engines[2].pid
    while not (tmp_path / str(new)).exists():
        assert not ar.ready()
    gate.open(1)
    own.shutdown(0)
    gate.open(40)
    found = ar.get(60)
    assert [r[1:] for r in found] == [(x, 100_000.0) for x in range(30)] and new in [r[0] for r in found]


def test_tasks_without_any_engine(own):
    view = own.load_balanced_view()
    own.shutdown("all")
    while own.ids:
        pass
    with pytest.raises((pxrun.NoEnginesRegistered, pxrun.EngineError)):
        view.apply_sync(abs, -1)


def test_engine_that_dies_during_imap(own, tmp_path):
    def once(x):
        if x == 13 and not (tmp_path / "died").exists():
            (tmp_path / "died").touch()
            die()
        return x * x

    view = own.load_balanced_view(retries=1)
    assert list(view.imap(once, range(40))) == [x * x for x in range(40)] and (tmp_path / "died").exists()


def test_task_after_one_whose_engine_died(own):
    view = own.load_balanced_view()
    first = view.apply_async(die)
    with view.temp_flags(after=first):
        second = view.apply_async(abs, -1)
    with pytest.raises(pxrun.ImpossibleDependency, match="engine"):
        second.get(20)


def test_restarted_engine_gets_what_was_sent_apart(own):
    array = np.ones(100_000)

    def work(x):
        if x == 5:
            die()
        return x, array.sum()

    got = own.load_balanced_view().map_sync(work, range(60), chunksize=1, return_exceptions=True)
    assert isinstance(got[5], pxrun.EngineError) and got[:5] + got[6:] == [(x, 100_000.0) for x in range(60) if x != 5]
