# SPDX-License-Identifier: BSD-3-Clause
"""Load-balanced views: calls and maps whose tasks engines take as they become free."""
import functools
import operator
import os
import random
import select
import threading

import numpy as np
import pytest

import pxrun
from gates import enter
from pxrun import AsyncMapResult, CompositeError, RemoteError


def running(ar):
    """Waits until an engine has begun it."""
    while not ar.running():
        assert not ar.ready()


# --- calls


def test_apply_runs_on_one_engine(rc, view):
    ar = view.apply_async(os.getpid)
    assert ar.get(10) == rc[ar.engine_id].apply_sync(os.getpid)
    assert view.apply_sync(pow, 2, exp=5) == 32 and view.apply(abs, -1).get(10) == 1
    assert view.set_flags(block=True).apply(abs, -2) == 2


def test_arguments_of_any_name_are_the_functions(view):
    assert view.apply_sync(lambda **kw: sorted(kw), f=1, block=2, targets=3, retries=4) == ["block", "f", "retries", "targets"]


def test_functions_see_the_namespace_of_their_engine(rc, view):
    rc[:].push({"a": 5, "b": 10}, block=True)
    assert view.apply_sync(lambda x: a + b + x, 27) == 42  # noqa: F821
    assert view.map_sync(lambda x: a + x, range(3)) == [5, 6, 7]  # noqa: F821
    assert view.apply_sync(abs, pxrun.Reference("-a")) == 5
    assert view.map_sync(pow, [pxrun.Reference("a"), 3, 4], [2, pxrun.Reference("b"), 1]) == [25, 3**10, 4]


def test_error_is_that_of_one_engine(view):
    with pytest.raises(ZeroDivisionError) as caught:
        view.apply_sync(lambda: 1 / 0)
    assert isinstance(caught.value, RemoteError) and not isinstance(caught.value, CompositeError)
    with pytest.raises(TypeError, match="callable"):
        view.apply(5)
    with pytest.raises(TypeError, match="argument 1 of abs.*cannot be sent"):
        view.apply(abs, threading.Lock())


def test_large_arrays_travel_both_ways(view):
    array = np.arange(200_000.0)
    there = view.apply_sync(lambda x: x * 2, array)
    assert (there == array * 2).all() and there.flags.writeable
    ar = view.apply_async(np.sum, array)
    array[:] = 0
    assert ar.get(10) == np.arange(200_000.0).sum(), "the sender may write at once"


def test_live_arrays_are_shared(view):
    u = pxrun.shared(np.zeros(100_000), client=view.client)

    def write(array, i):
        array[i] = i

    view.apply_sync(write, u, 7)
    assert u[7] == 7
    view.map_sync(functools.partial(write, u), range(20, 40))
    assert (u[20:40] == range(20, 40)).all()
    for size in (None, 1, 2):
        with pytest.raises(ValueError, match="functools.partial"):
            view.map_sync(np.sum, [u] * 4, chunksize=size)
    with pytest.raises(ValueError, match="functools.partial"):
        list(view.imap(np.sum, [u] * 4))


def test_targets(rc):
    view = rc.load_balanced_view([1, 3])
    assert len(view) == 2 and view.targets == [1, 3]
    ids = rc[:].apply_sync(os.getpid)
    assert set(view.map_sync(lambda x: os.getpid(), range(40))) <= {ids[1], ids[3]}
    assert rc.load_balanced_view(-1).targets == [3] and rc.load_balanced_view("all").targets is None
    assert len(rc.load_balanced_view()) == 4 and repr(rc.load_balanced_view(2)) == "<LoadBalancedView [2]>"
    with pytest.raises(pxrun.EngineError, match="99"):
        rc.load_balanced_view(99)


def test_executor_is_over_the_view(rc):
    ids = rc[:].apply_sync(os.getpid)
    for view, allowed in ((rc.load_balanced_view(), ids), (rc.load_balanced_view(targets=[0, 1]), ids[:2])):
        executor = view.executor
        assert executor.submit(pow, 2, 3).result(10) == 8
        assert set(executor.map(lambda x: os.getpid(), range(40))) <= set(allowed)


def test_engine_is_known_once_it_has_begun(view, hold_all):
    ar = view.apply_async(abs, -1)
    assert ar.engine_id is None and ar.targets == [None] and ar.engine_uuid is None
    hold_all[2].open()
    assert ar.get(10) == 1 and ar.engine_id == 2 and ar["engine_uuid"]


def test_free_engine_takes_what_waits(view, hold_all):
    waiting = [view.apply_async(abs, -i) for i in range(20)]
    hold_all[1].open()
    assert [ar.get(10) for ar in waiting] == list(range(20)) and {ar.engine_id for ar in waiting} == {1}


# --- flags


def test_flags_are_checked(view):
    for name, value in [("retries", "5"), ("retries", 1.5), ("retries", None), ("block", 5), ("label", 3)]:
        with pytest.raises(TypeError):
            view.set_flags(**{name: value})
    for name, value in [("retries", -1), ("timeout", -1), ("after", 5), ("follow", [5]), ("after", object())]:
        with pytest.raises(ValueError):
            view.set_flags(**{name: value})
    with pytest.raises(KeyError, match="retries"):
        view.set_flags(nosuch=1)


def test_temp_flags_come_back(view):
    with pytest.raises(RuntimeError):
        with view.temp_flags(retries=3, block=True, targets=[1], after="x", label="l"):
            assert view.retries == 3 and view.targets == [1] and view.after == {"x"}
            raise RuntimeError
    assert (view.retries, view.block, view.targets, view.after, view.label) == (0, False, None, None, None)


def test_label_and_metadata(view):
    ar = view.set_flags(label="mine").set_flags(output="keep").apply_async(print, "hi")
    ar.get(10)
    assert ar.label == "mine" and ar.stdout == "hi\n" and ar.submitted <= ar.started <= ar.completed <= ar.received


def test_timeout_stops_a_task(view):
    import time

    ar = view.set_flags(timeout=0.05, retries=3).apply_async(time.sleep, 60)
    with pytest.raises(pxrun.TaskTimeout):
        ar.get(20)


def test_timeout_of_a_task_that_waits(view, hold_all):
    ar = view.set_flags(timeout=0.05).apply_async(abs, -1)
    with pytest.raises(pxrun.TaskTimeout):
        ar.get(20)
    assert not any(gate.ar.ready() for gate in hold_all)


# --- maps


@pytest.mark.parametrize("chunksize", [None, 1, 7, 1000])
def test_map(view, chunksize):
    assert view.map_sync(lambda x: x * x, range(300), chunksize=chunksize) == [x * x for x in range(300)]
    assert view.map_sync(pow, [2, 3, 4], [5, 2, 1, 9], chunksize=chunksize) == [32, 9, 4]
    assert view.map(abs, (x for x in range(-50, 0)), chunksize=chunksize).get(10) == list(range(50, 0, -1))
    ar = view.map_async(str, np.arange(30.0), chunksize=chunksize)
    assert isinstance(ar, AsyncMapResult) and len(ar) == 30
    assert list(ar) == [str(x) for x in np.arange(30.0)] and ar.progress == 30


def test_map_of_nothing(view):
    assert view.map_sync(abs, []) == [] and view.map_async(abs, [], chunksize=3) == []
    with pytest.raises(TypeError):
        view.map_sync(abs)
    with pytest.raises(TypeError, match="block"):
        view.map_sync(abs, [1], block=False)
    for wrong in (0, -3):
        with pytest.raises(ValueError, match="chunksize"):
            view.map(abs, [1], chunksize=wrong)
    with pytest.raises(TypeError):
        view.map(abs, [1], chunksize=1.5)
    with pytest.raises(TypeError, match="callable"):
        view.map(5, [1])


def test_map_of_what_is_no_plain_value(view):
    class Point:
        def __init__(self, x):
            self.x = x

    points = [Point(i) for i in range(100)]
    assert view.map_sync(lambda p: p.x, points, chunksize=9) == list(range(100))
    assert view.map_sync(lambda p: p.x, points) == list(range(100))
    arrays = [np.full(5000, i) for i in range(30)]
    assert view.map_sync(np.max, arrays, chunksize=4) == list(range(30))


@pytest.mark.parametrize("chunksize", [1, 7])
def test_function_is_read_once_for_many_elements(view, chunksize):
    class Heavy:
        def __init__(self):
            self.read = 0

        def __setstate__(self, state):
            self.read, self.calls = state["read"] + 1, 0

        def __call__(self, x):
            self.calls += 1
            return self.read, self.calls

    found = view.map_sync(Heavy(), range(400), chunksize=chunksize)
    assert {read for read, _ in found} == {1} and max(calls for _, calls in found) >= 100


def test_large_function_is_sent_apart(view):
    from pxrun.wire.mapped import Mapped

    nth = functools.partial(operator.getitem, list(range(50_000, 0, -1)))
    assert view.map_sync(nth, range(100), chunksize=1) == list(range(50_000, 49_900, -1))
    body, _ = Mapped(nth, False, True, None).one(0, (5,))
    assert len(body) < 200


@pytest.mark.parametrize("mapped", ["map_sync", "imap"])
def test_large_function_is_sent_once(rc, view, mapped):
    class Large:
        def __init__(self):
            self.data = bytes(100_000)

        def __setstate__(self, state):
            global reads
            reads += 1
            self.data = state["data"]

        def __call__(self, x):
            return len(self.data) + x

    rc[:].push({"reads": 0}, block=True)
    count_kept = "len(__import__('pxrun.engine.tasks').engine.tasks.kept)"
    kept = rc[:][count_kept]
    assert list(getattr(view, mapped)(Large(), range(200), chunksize=2)) == list(range(100_000, 100_200))
    assert max(rc[:]["reads"]) == 1
    while rc[:][count_kept] != kept:
        pass  # it is forgotten, by a request of the client's thread


@pytest.mark.parametrize("chunksize", [None, 1, 7])
def test_element_that_fails_leaves_the_others(view, chunksize):
    def f(x):
        if x % 10 == 7:
            raise ValueError(x)
        if x == 22:
            raise SystemExit
        return x

    got = view.map_sync(f, range(40), chunksize=chunksize, return_exceptions=True)
    assert [g for g in got if not isinstance(g, BaseException)] == [x for x in range(40) if x % 10 != 7 and x != 22]
    assert isinstance(got[17], ValueError) and got[17].evalue == '17' and isinstance(got[17], RemoteError)
    assert got[22].ename == "SystemExit"
    ar = view.map_async(f, range(40), chunksize=chunksize)
    with pytest.raises(CompositeError) as caught:
        ar.get(10)
    assert [e[1] for e in caught.value.elist] == ["7", "17", "", "27", "37"]
    elements = iter(ar)
    assert [next(elements) for _ in range(7)] == list(range(7))
    with pytest.raises(ValueError, match="7"):
        next(elements)


@pytest.mark.parametrize("chunksize", [1, 7])
def test_result_that_cannot_be_sent_leaves_the_others(view, chunksize):
    got = view.map_sync(lambda x: threading.Lock() if x == 17 else x, range(20), chunksize=chunksize, return_exceptions=True)
    assert got[:17] + got[18:] == [*range(17), 18, 19] and isinstance(got[17], TypeError)


def test_argument_that_cannot_be_read_leaves_the_others(view):
    class Odd:
        def __init__(self, x):
            self.x = x

        def __setstate__(self, state):
            if state["x"] == 17:
                raise OSError("not here")
            self.__dict__.update(state)

    got = view.map_sync(lambda o: o.x, [Odd(i) for i in range(20)], chunksize=5, return_exceptions=True)
    assert got[:17] + got[18:] == [*range(17), 18, 19] and isinstance(got[17], OSError)


@pytest.mark.parametrize("chunksize", [None, 1, 7])
def test_element_that_cannot_be_sent_is_named(rc, view, chunksize):
    elements = [*range(17), threading.Lock(), *range(20)]
    with pytest.raises(TypeError, match="element 17 of argument 1 of the map of abs"):
        view.map(abs, elements, chunksize=chunksize)
    assert rc.wait(timeout=10)
    with pytest.raises(TypeError, match="the function"):
        view.map(functools.partial(print, threading.Lock()), [1], chunksize=chunksize)


def test_exceptions_that_are_values_are_no_errors(view):
    got = view.map_sync(lambda x: ValueError(x), range(20), chunksize=6)
    assert [e.args for e in got] == [(i,) for i in range(20)]


def test_unordered_map_gives_what_is_there(view, new_gate):
    gate = new_gate()

    def f(x):
        return enter(gate.path) if x == 0 else x

    ar = view.map_async(f, range(8), chunksize=1, ordered=False)
    elements = iter(ar)
    assert sorted(next(elements) for _ in range(7)) == list(range(1, 8))
    assert ar.progress == 7
    gate.open()
    assert next(elements) == b"x" and ar.get(10) == [b"x", *range(1, 8)]


def test_long_elements_are_tasks_of_their_own(view, new_gate):
    gate = new_gate()
    ar = view.map_async(lambda x: enter(gate.path), range(12))
    gate.open(12)
    assert ar.get(10) == [b"x"] * 12 and len(ar.msg_ids) == 12


def test_quick_elements_share_tasks(view):
    ar = view.map_async(abs, range(20_000))
    assert ar.get(30) == list(range(20_000)) and len(ar.msg_ids) < 5000
    assert len(view.map_async(abs, range(100), chunksize=10).msg_ids) == 10


def test_progress_counts_elements(view, new_gate):
    gate = new_gate()

    def f(x):
        return enter(gate.path) if x == 90 else x

    ar = view.map_async(f, range(100), chunksize=10)
    while ar.progress < 90:
        assert not ar.ready()
    gate.open()
    ar.get(10)
    assert ar.progress == 100 == len(ar)


def test_decorators(view):
    @view.parallel(block=True, chunksize=3, label="mine")
    def square(x):
        return x * x

    assert square.map(range(10)) == [x * x for x in range(10)] and square.__name__ == "square"
    assert square(7) == 49
    ar = pxrun.parallel(view, ordered=False)(abs).map(range(-3, 0))
    assert sorted(ar) == [1, 2, 3] and view.label is None
    assert view.remote(block=True)(pow)(2, 3) == 8


# --- random numbers


def seeded(seed, i):
    child = np.random.SeedSequence(seed).spawn(i + 1)[i]
    return np.random.RandomState(np.random.MT19937(child)).rand()


def draw(x):
    import random

    return np.random.rand(), random.random()


@pytest.mark.parametrize("chunksize", [None, 1, 7])
def test_seed_gives_each_element_its_numbers(view, chunksize):
    got = view.map_sync(draw, range(30), chunksize=chunksize, seed=42)
    assert [a for a, _ in got] == [seeded(42, i) for i in range(30)]
    assert got == view.map_sync(draw, range(30), chunksize=3, seed=42) == list(view.imap(draw, range(30), seed=42))
    assert len(set(got)) == 30


@pytest.mark.parametrize("chunksize", [1, 5])
def test_seed_counts_for_functions_that_are_methods_of_a_generator(rc, view, chunksize):
    for f in (random.gauss, np.random.normal):
        got = view.map_sync(f, [0] * 10, [1] * 10, chunksize=chunksize, seed=7)
        assert len(set(got)) == 10 and got == view.map_sync(f, [0] * 10, [1] * 10, seed=7)
        with rc.executor(seed=7) as executor:
            assert list(executor.map(f, [0] * 10, [1] * 10)) == got


def test_seed_gives_the_generators_back(rc, view):
    rc[:].execute("import random, numpy; numpy.random.seed(1); random.seed(1)", block=True)
    view.map_sync(draw, range(50), seed=1)
    expected = np.random.RandomState(1).rand()
    assert [a for a, _ in rc[:].apply_sync(draw, 0)] == [expected] * 4
    with pytest.raises(ValueError):
        view.map(abs, [1], seed=-1)


# --- requests


def test_history_and_waiting(rc, view, hold_all):
    ar = view.apply_async(abs, -1)
    mapped = view.map_async(abs, range(5), chunksize=1)
    assert view.history == [*ar.msg_ids, *mapped.msg_ids] and view.outstanding == set(view.history) <= rc.outstanding
    assert not view.wait(timeout=0) and view.get_result(-1).msg_ids == mapped.msg_ids[-1:]
    assert rc.queue_status()["unassigned"] == 6
    hold_all[0].open()
    assert view.wait(timeout=10) and view.outstanding == set() and rc.queue_status()["unassigned"] == 0


def test_queue_status_counts_tasks(rc, view, hold, new_gate):
    for engine in (0, 1):
        hold(engine)
    gate = new_gate()
    began = [view.apply_async(enter, gate.path) for _ in range(2)]
    for ar in began:
        running(ar)
    waiting = [view.apply_async(abs, -1), view.map_async(abs, range(5), chunksize=2)]
    with view.temp_flags(after=waiting[0]):
        waiting.append(view.apply_async(abs, -1))
    direct = rc[2].apply_async(abs, -1)
    status, ids = rc.queue_status(), rc.queue_status(verbose=True)
    assert [status[i]["tasks"] for i in range(4)] == [0, 0, 1, 1] and status["unassigned"] == 5
    assert [status[i]["queue"] for i in range(4)] == [0, 0, 1, 0] and rc.queue_status(2)["tasks"] == 1
    assert sorted(ids[2]["tasks"] + ids[3]["tasks"]) == sorted(i for ar in began for i in ar.msg_ids)
    assert ids[2]["queue"] == direct.msg_ids and ids["unassigned"] == [i for ar in waiting for i in ar.msg_ids]
    gate.open(2)
    assert rc.wait(timeout=20)
    status, ids = rc.queue_status(), rc.queue_status(verbose=True)
    assert status["unassigned"] == 0 and all(status[i]["tasks"] == status[i]["queue"] == 0 for i in range(4))
    assert set(began[0].msg_ids) <= set(ids[began[0].engine_id]["completed"])


def test_tasks_that_nobody_holds_are_known(view, hold_all):
    view.apply_async(abs, -1)
    view.map_async(abs, range(5), chunksize=2)
    assert len(view.outstanding) == 4 and not view.wait(timeout=0)
    view.abort()
    assert view.wait(timeout=10)


def test_abort_of_what_waits(view, hold_all):
    ar, other = view.apply_async(abs, -1), view.apply_async(abs, -2)
    ar.abort()
    with pytest.raises(pxrun.TaskAborted):
        ar.get(10)
    hold_all[0].open()
    assert other.get(10) == 2


def test_cancel_of_what_runs(view, new_gate):
    gate = new_gate()
    ar = view.set_flags(retries=5).apply_async(enter, gate.path)
    running(ar)
    assert ar.cancel()
    with pytest.raises(pxrun.TaskAborted):
        ar.get(10)
    assert view.apply_sync(abs, -1) == 1


def test_cancel_of_a_map_begins_no_other_elements(view, new_gate, tmp_path):
    gate, begun = new_gate(), tmp_path / "begun"

    def f(x):
        os.write(os.open(begun, os.O_WRONLY | os.O_APPEND | os.O_CREAT), b"x")
        enter(gate.path)

    for _ in range(12):
        begun.unlink(missing_ok=True)
        ar = view.map_async(f, range(2000), chunksize=1)
        while not begun.exists():
            assert not ar.ready()
        assert ar.cancel() and ar.wait(30) and len(begun.read_text()) <= 4  # the engines


def test_cancel_of_a_map(view, new_gate):
    gate = new_gate()
    ar = view.map_async(lambda x: enter(gate.path), range(40), chunksize=1)
    running(ar)
    assert ar.cancel() and ar.wait(10) and ar.cancelled() is ar.cancelled()
    with pytest.raises(pxrun.IPythonError):
        ar.get(10)


def test_results_are_futures(view):
    import concurrent.futures

    ars = [view.apply_async(abs, -i) for i in range(10)]
    assert sorted(ar.result() for ar in concurrent.futures.as_completed(ars, timeout=10)) == list(range(10))
    called = threading.Event()
    view.map_async(abs, range(5)).add_done_callback(lambda ar: called.set())
    assert called.wait(10)


def test_next_result_gives_tasks(rc, view):
    assert rc.next_result(0) is None
    ar = view.apply_async(abs, -1)
    assert rc.next_result(10) is ar


def test_next_result_gives_tasks_that_are_posted_later(rc, view, hold_all):
    assert rc.next_result(0) is None
    first = view.apply_async(abs, -1)
    with view.temp_flags(after=first):
        second, mapped = view.apply_async(abs, -2), view.map_async(abs, range(4), chunksize=2)
        never = view.apply_async(abs, -3)
    needs = view.apply_async(pxrun.require("os")(lambda: 4))
    large = view.map_async(functools.partial(operator.contains, bytes(100_000)), range(3))
    assert rc.next_result(0) is None
    never.abort()
    assert rc.next_result(10) is never
    for gate in hold_all:
        gate.open()
    found = [rc.next_result(20) for _ in range(5)]
    assert {id(ar) for ar in found} == {id(ar) for ar in (first, second, mapped, needs, large)}
    assert all(ar.ready() for ar in found) and rc.next_result(0) is None


def test_next_result_is_polled_for_a_task_that_is_posted_later(rc, view, hold_all):
    first = view.apply_async(abs, -1)
    with view.temp_flags(after=first):
        second = view.apply_async(abs, -2)
    fd = rc.fileno()  # from now on they are told of
    assert select.select([fd], [], [], 0)[0] == []
    hold_all[0].open()
    found = []
    while len(found) < 2:
        assert select.select([fd], [], [], 20)[0] == [fd]
        found.append(rc.next_result(0))
    assert found == [first, second]


def test_closed_client(rc, view, hold_all):
    ar = view.apply_async(abs, -1)
    with view.temp_flags(after=ar):
        later = view.apply_async(abs, -1)
    rc.close()
    for one in (ar, later):
        with pytest.raises(pxrun.ClosedError):
            one.get(10)
    with pytest.raises(pxrun.ClosedError):
        view.apply_async(abs, -1)


def test_other_picklers(rc, view):
    pytest.importorskip("cloudpickle")
    view.use_cloudpickle().get(10)
    assert view.map_sync(lambda x: x + 1, range(20), chunksize=3) == list(range(1, 21))
    assert view.apply_sync(lambda x: x + 1, 1) == 2


def test_task_that_hands_tasks_to_its_own_pool(rc, view):
    def inner(file):
        with pxrun.Client(file) as own:
            return own.load_balanced_view().map_sync(abs, range(5))

    with pytest.raises(RuntimeError, match="its own pool"):
        view.apply_sync(inner, rc.connection_file)
