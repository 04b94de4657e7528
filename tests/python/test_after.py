# SPDX-License-Identifier: BSD-3-Clause
"""What tasks depend on: engines that can run them, and results that must be there before."""
import os

import pytest

import pxrun
from gates import enter
from pxrun import Dependency, depend, require

# --- engines


def test_require_finds_the_engine_that_can(rc, view):
    rc[2].execute("import sys, types; sys.modules['only_on_two'] = types.ModuleType('only_on_two')", block=True)

    @require("only_on_two")
    def f(x):
        return x

    ars = [view.apply_async(f, i) for i in range(6)]
    assert [ar.get(20) for ar in ars] == list(range(6)) and {ar.engine_id for ar in ars} == {2}
    assert view.map_sync(f, range(30)) == list(range(30)) and view.map_sync(f, range(30), chunksize=8) == list(range(30))
    with pytest.raises(pxrun.UnmetDependency, match="only_on_two"):
        view.set_flags(targets=[0, 1]).apply_sync(f, 1)
    rc[2].execute("del sys.modules['only_on_two']", block=True)


def test_depend_tries_each_engine_once(rc, view):
    rc[:].push({"tried": 0}, block=True)

    def never():
        global tried
        tried += 1
        return False

    with pytest.raises(pxrun.UnmetDependency, match="never"):
        view.apply_sync(depend(never)(abs), -1)
    assert rc[:]["tried"] == [1] * 4


@pytest.mark.parametrize("library", [None, "cloudpickle"])
def test_any_task_that_raises_UnmetDependency_moves_on(rc, view, library):
    rc[:].scatter("mine", range(4), flatten=True, block=True)
    if library:
        view.use_cloudpickle().get()

    def on_three(x):
        import __main__

        if __main__.mine != 3:
            raise pxrun.UnmetDependency("not here")
        return x

    ar = view.apply_async(on_three, 1)
    assert ar.get(20) == 1 and ar.engine_id == 3
    assert view.apply_sync(on_three, 2) == 2
    assert view.map_sync(on_three, range(9), chunksize=1) == view.map_sync(on_three, range(9), chunksize=4) == list(range(9))
    assert list(view.imap(on_three, range(9))) == list(range(9))
    assert rc.executor().submit(on_three, 3).result(20) == 3
    with pytest.raises(pxrun.UnmetDependency, match="not here"):
        view.set_flags(targets=[0, 1], retries=3).apply_sync(on_three, 1)


@pytest.mark.parametrize("retries", [0, 3])
@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("after", [False, True])
def test_each_engine_that_refuses_a_task_is_asked_once(rc, view, large, after, retries):
    rc[:].push({"tried": 0, "mine": -1}, block=True)
    ballast = bytes(100_000) if large else b""

    def on_three(x, ballast=ballast):
        global tried
        tried += 1
        if mine != 3:  # noqa: F821
            raise pxrun.UnmetDependency("not here")
        return x

    ways = [lambda: view.map_async(on_three, [1], chunksize=1), lambda: view.apply_async(on_three, 1)]
    first = view.apply_async(abs, -1)
    with view.temp_flags(after=first if after else None, retries=retries):
        for way in ways:
            with pytest.raises(pxrun.UnmetDependency, match="not here"):
                way().get(20)
            assert rc[:]["tried"] == [1] * 4
            rc[:].push({"tried": 0}, block=True)
        rc[3].push({"mine": 3}, block=True)
        for way in ways:
            assert way().get(20) in (1, [1])
            assert rc[3]["tried"] == 1 and max(rc[:]["tried"]) == 1
            rc[:].push({"tried": 0}, block=True)


def test_engines_that_lack_a_large_function_are_asked_once(rc, view):
    # what is to be kept is dropped when it comes for the first time, as if others had been kept since
    rc[:].execute(
        "import pxrun.engine.tasks as tasks\n"
        "tasks.keep, before = lambda token, value, keep=tasks.keep, seen=set(): "
        "keep(token, value) if token in seen else seen.add(token), tasks.keep",
        block=True,
    )
    rc[:].push({"tried": 0}, block=True)
    ballast = bytes(100_000)

    def nowhere(x, ballast=ballast):
        global tried
        tried += 1
        raise pxrun.UnmetDependency("not here")

    try:
        with pytest.raises(pxrun.UnmetDependency, match="not here"):
            view.map_async(nowhere, range(20), chunksize=1).get(20)
        assert rc[:]["tried"] == [20] * 4
    finally:
        rc[:].execute("tasks.keep = before", block=True)


def test_a_task_that_is_retried_does_not_come_back_to_engines_that_refused_it(rc, view):
    rc[:].scatter("mine", range(4), flatten=True, block=True)
    rc[:].push({"tried": 0}, block=True)

    def fails_on_three():
        global tried
        tried += 1
        raise pxrun.UnmetDependency("not here") if mine != 3 else OSError("fails")  # noqa: F821

    first = view.apply_async(abs, -1)
    with view.temp_flags(after=first, retries=9):
        with pytest.raises(OSError, match="fails"):
            view.apply_async(fails_on_three).get(20)
    tried = rc[:]["tried"]
    assert tried[3] == 10 and max(tried[:3]) <= 1


def test_subclass_of_UnmetDependency_moves_on_and_another_class_of_that_name_does_not(rc, view):
    class Mine(pxrun.UnmetDependency):
        pass

    class UnmetDependency(Exception):
        pass

    def counted(raised):
        global tried
        tried += 1
        raise raised("not here")

    for raised, each in ((Mine, 1), (pxrun.error.ImpossibleDependency, 1), (UnmetDependency, 0)):
        for chunksize in (None, 1, 2):
            rc[:].push({"tried": 0}, block=True)
            with pytest.raises(pxrun.RemoteError, match="not here"):
                if chunksize is None:
                    view.apply_sync(counted, raised)
                else:
                    view.map_sync(counted, [raised], chunksize=chunksize)
            assert sorted(rc[:]["tried"]) == ([1] * 4 if each else [0, 0, 0, 1])


def test_a_task_that_moved_and_is_cancelled_does_not_come_again(rc, view, hold):
    for engine in (1, 2, 3):
        hold(engine)
    rc[:].push({"tried": 0}, targets=0, block=True)

    def nowhere():
        global tried
        tried += 1
        raise pxrun.UnmetDependency("not here")

    ar = view.apply_async(nowhere)
    while rc[0]["tried"] == 0 or ar.running():
        assert not ar.ready()
    assert ar.cancel()
    with pytest.raises(pxrun.TaskAborted):
        ar.get(10)
    assert rc[0]["tried"] == 1


# --- other results


def test_after_begins_when_the_other_is_done(view, new_gate):
    gate = new_gate()
    first = view.apply_async(enter, gate.path)
    with view.temp_flags(after=first):
        second = view.apply_async(abs, -1)
        mapped = view.map_async(abs, range(-5, 0))
    assert view.apply_sync(abs, -3) == 3 and not second.ready() and not mapped.ready()
    assert second.after == first.msg_ids and second.follow == []
    gate.open()
    assert second.get(10) == 1 and mapped.get(10) == [5, 4, 3, 2, 1]
    assert second.started >= first.completed


def test_after_what_failed_is_impossible(view):
    first = view.apply_async(lambda: 1 / 0)
    with view.temp_flags(after=first):
        second = view.apply_async(abs, -1)
    with pytest.raises(pxrun.ImpossibleDependency, match="ZeroDivisionError"):
        second.get(10)
    with view.temp_flags(after=Dependency(first, success=False, failure=True)):
        assert view.apply_sync(abs, -2) == 2
    with view.temp_flags(after=Dependency([first, view.apply_async(abs, 1)], all=False)):
        assert view.apply_sync(abs, -2) == 2


def test_the_one_that_ended_otherwise_is_named(view):
    bad, good = view.apply_async(lambda: 1 / 0), view.apply_async(abs, 1)
    with view.temp_flags(after=Dependency([bad, good], success=False, failure=True)):
        with pytest.raises(pxrun.ImpossibleDependency, match="did not end as it should: abs succeeded"):
            view.apply_sync(abs, -2)
    with view.temp_flags(after=[good, bad]):
        with pytest.raises(pxrun.ImpossibleDependency, match="ZeroDivisionError"):
            view.apply_sync(abs, -2)


def test_after_many_elements(view):
    good, bad = view.map_async(abs, range(50), chunksize=7), view.map_async(lambda x: 1 / x, range(9), chunksize=4)
    with view.temp_flags(after=[good]):
        assert view.apply_sync(abs, -2) == 2
    with view.temp_flags(after=bad):
        with pytest.raises(pxrun.ImpossibleDependency):
            view.apply_sync(abs, -2)


def test_after_an_unknown_request(view):
    with view.temp_flags(after="nosuch"), pytest.raises(pxrun.InvalidDependency, match="nosuch"):
        view.apply_async(abs, -1)
    first = view.apply_async(abs, -1)
    with view.temp_flags(after=first.msg_ids):
        assert view.apply_sync(abs, -2) == 2
        view.wait(first)
        del first
        with pytest.raises(pxrun.InvalidDependency, match="depend on the AsyncResult"):
            view.apply_async(abs, -1)


def test_after_with_a_timeout(view, hold_all):
    first = view.apply_async(abs, -1)
    with view.temp_flags(after=first, timeout=0.05):
        second = view.apply_async(abs, -1)
    with pytest.raises(pxrun.DependencyTimeout):
        second.get(20)
    assert not first.ready()


def test_task_that_waits_for_another_can_be_cancelled(view, hold_all):
    first = view.apply_async(abs, -1)
    with view.temp_flags(after=first):
        second, third = view.apply_async(abs, -1), view.apply_async(abs, -1)
    second.abort()
    assert third.cancel()
    for ar in (second, third):
        with pytest.raises(pxrun.TaskAborted):
            ar.get(10)
    hold_all[0].open()
    assert first.get(10) == 1 and third.cancelled()


def test_follow_runs_where_the_other_ran(rc, view):
    first = rc[2].apply_async(abs, -1)
    with view.temp_flags(follow=first):
        ars = [view.apply_async(abs, -i) for i in range(5)]
    assert [ar.get(10) for ar in ars] == list(range(5)) and {ar.engine_id for ar in ars} == {2}
    with view.temp_flags(follow=rc[[1, 2]].apply_async(abs, -1)), pytest.raises(pxrun.ImpossibleDependency, match="1, 2"):
        view.apply_sync(abs, -1)
    with view.temp_flags(follow=first, targets=[0, 1]), pytest.raises(pxrun.ImpossibleDependency):
        view.apply_sync(abs, -1)


@pytest.mark.parametrize("flag", ["after", "follow"])
def test_result_of_another_client(pool, view, new_gate, flag):
    gate = new_gate()
    with pxrun.Client(pool.connection_file) as other:
        first = other[1].apply_async(enter, gate.path)
        second = other[1].map_async(abs, range(5))
        with view.temp_flags(**{flag: [first, second]}):
            ar = view.apply_async(os.getpid)
        assert view.apply_sync(abs, -1) == 1 and not ar.ready()
        gate.open()
        assert ar.get(20) in other[:].apply_sync(os.getpid) and (flag == "after" or ar.engine_id == 1)


def test_other_client_that_is_closed(pool, view, hold_all):
    with pxrun.Client(pool.connection_file) as other:
        first = other[1].apply_async(abs, -1)
        with view.temp_flags(after=first):
            ar = view.apply_async(abs, -1)
    with pytest.raises(pxrun.ImpossibleDependency, match="closed"):
        ar.get(20)


def test_result_of_another_pool(view, new_gate):
    gate = new_gate()
    with pxrun.Cluster(n=1) as other:
        first = other[0].apply_async(enter, gate.path)
        with view.temp_flags(after=first):
            ar = view.apply_async(abs, -1)
        with view.temp_flags(follow=first), pytest.raises(pxrun.InvalidDependency, match="another pool"):
            view.apply_async(abs, -1)
        gate.open()
        assert ar.get(20) == 1


@pytest.mark.parametrize("how", ["fails", "waits"])
def test_long_chain_of_tasks(view, new_gate, how):
    gate = new_gate()

    def fail(path):
        enter(path)
        raise LookupError("nowhere")

    ars = [view.apply_async(fail, gate.path)]
    for _ in range(400):
        with view.temp_flags(after=ars[-1]):
            ars.append(view.apply_async(abs, -1))
    if how == "waits":
        assert ars[1].cancel()
        cause, ars = "abs was cancelled", ars[1:]
    else:
        gate.open()
        cause = "LookupError: nowhere"
    for ar in ars[1:]:
        with pytest.raises(pxrun.ImpossibleDependency, match=cause) as raised:
            ar.get(20)
        assert str(raised.value).count("did not end as it should") == 1
    gate.open()
