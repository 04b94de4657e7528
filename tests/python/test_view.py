# SPDX-License-Identifier: BSD-3-Clause
"""Views: what a direct view does, method by method."""
import os

import numpy
import pytest

import pxrun
from pxrun import AsyncResult, CompositeError, Reference, RemoteError, TaskAborted, TaskTimeout

# --- flags


def test_flags_are_checked(pool):
    view = pool[:]
    for wrong in ({"block": 5}, {"track": "yes"}, {"label": 5}, {"timeout": "1"}, {"targets": 1.5}, {"targets": ["a"]}):
        with pytest.raises(TypeError):
            view.set_flags(**wrong)
    with pytest.raises(KeyError, match="Invalid name"):
        view.set_flags(colour=1)
    assert view.set_flags(block=True, label="x") is view and view.block is True


def test_temp_flags_restores_all_even_after_an_exception(pool):
    view = pool[:]
    with pytest.raises(ZeroDivisionError):
        with view.temp_flags(block=True, targets=1, label="x", track=True, timeout=5):
            assert view.targets == 1 and view.block and view.label == "x"
            1 / 0
    assert (view.targets, view.block, view.track, view.label, view.timeout) == ([0, 1, 2, 3], False, False, None, None)


def test_repr_and_len(pool):
    assert repr(pool[1:3]) == "<DirectView [1, 2]>"
    assert repr(pool.direct_view(list(range(4)) * 3)) == "<DirectView [0, 1, 2, 3,...]>"
    assert len(pool[1]) == 1 and len(pool[1:3]) == 2 and len(pool.direct_view("all")) == 4


def test_targets_may_be_changed(pool):
    view = pool[:]
    view.targets = 2
    assert view.apply_sync(abs, -1) == 1
    view.targets = slice(1, 3)
    assert view.targets == [1, 2]
    view.targets = None
    assert view.targets == pool.ids
    view.targets = "all"
    assert view.apply_sync(abs, -1) == [1] * 4


def test_label_is_in_the_metadata(pool):
    assert pool[0].set_flags(label="mine").apply_async(abs, 1).label == "mine"
    assert pool[0].execute("1", label="other").label == "other"
    assert pool[:].map_async(abs, range(4), label="mapped").label == ["mapped"] * 4


# --- apply


def test_int_target_gives_a_scalar_and_a_list_gives_lists(pool):
    assert pool[2].apply_sync(abs, -1) == 1
    assert pool[[2]].apply_sync(abs, -1) == [1]
    assert pool[[3, 1]].apply_sync(lambda: me) == [3, 1] if scatter_ids(pool) else None  # noqa: F821


def scatter_ids(pool):
    for view in pool:
        view.push({"me": view.targets}, block=True)
    return True


def test_keywords_of_the_function_are_the_functions(pool):
    def f(**kw):
        return sorted(kw.items())

    kw = dict(f=1, block=2, targets=3, track=4, args=6)
    assert pool[0].apply_sync(f, **kw) == sorted(kw.items())
    assert pool[:].apply_async(f, **kw).get(10) == [sorted(kw.items())] * 4


def test_keyword_self_is_the_functions(pool):
    assert pool[0].apply_sync(lambda **k: k, self=1) == {"self": 1}
    assert pool[0].remote(block=True)(lambda **k: k)(self=2) == {"self": 2}


def test_block_decides_in_apply(pool):
    view = pool[0]
    assert isinstance(view.apply(abs, -1), AsyncResult)
    view.block = True
    assert view.apply(abs, -1) == 1


def test_arguments_are_dropped_after_the_request(pool):
    pool[0].execute("import gc, weakref\nclass Kept: pass\nalive = []", block=True)

    def keep_track(n):
        it = Kept()  # noqa: F821
        alive.append(weakref.ref(it))  # noqa: F821
        return None

    pool[0].apply_sync(keep_track, numpy.ones(10))
    assert pool[0].apply_sync(lambda: gc.collect() >= 0 and alive[0]() is None) is True  # noqa: F821


def test_apply_error_does_not_abort_what_waits(pool):
    failing, behind = pool[0].apply_async(lambda: 1 / 0), pool[0].apply_async(abs, -1)
    with pytest.raises(ZeroDivisionError):
        failing.get(10)
    assert behind.get(10) == 1


def test_timeout_of_a_view_stops_the_request(pool):
    view = pool[0].set_flags(timeout=0.05)
    with pytest.raises(TaskTimeout, match="0.05 s"):
        view.apply_sync(__import__("time").sleep, 60)
    assert pool[0].apply_sync(abs, -1) == 1


# --- execute


def test_execute_returns_an_AsyncResult_even_when_blocking(pool):
    for block in (True, False):
        assert isinstance(pool[0].execute("a = 1", block=block), AsyncResult)


def test_execute_raises_when_blocking(pool):
    with pytest.raises(CompositeError):
        pool[:].execute("1/0", block=True)
    with pytest.raises(ZeroDivisionError):
        pool[0].execute("1/0", block=True)
    assert isinstance(pool[0].execute("1/0"), AsyncResult)


def test_execute_value_only_with_silent_False(pool):
    assert pool[0].execute("5", block=True).get().execute_result is None
    reply = pool[0].execute("5", silent=False, block=True).get()
    assert reply.execute_result["data"]["text/plain"] == "5"


def test_execute_stdout_is_complete(pool):
    ar = pool[:].execute("import os, sys\nprint('a')\nos.system('echo b')\nsys.stderr.write('c')", block=True)
    assert ar.wait_for_output(10) is True
    assert ar.stdout == ["a\nb\n"] * 4 and ar.stderr == ["c"] * 4


def test_failed_execute_aborts_executes_that_wait_only_if_not_silent(pool, hold):
    gate = hold(0)
    loud = pool[0].execute("1/0", silent=False)
    behind, call = pool[0].execute("b = 1"), pool[0].apply_async(abs, -1)
    gate.open()
    with pytest.raises(ZeroDivisionError):
        loud.get(10)
    with pytest.raises(TaskAborted):
        behind.get(10)
    assert call.get(10) == 1
    pool[0].execute("1/0")
    assert pool[0].execute("c = 1").get(10)


def test_run_reads_the_file_here(pool, tmp_path):
    script = tmp_path / "script.py"
    script.write_text("if True:\n    ran = 5")  # no newline at its end
    pool[:].run(str(script), block=True)
    assert pool[:].pull("ran", block=True) == [5] * 4
    with pytest.raises(FileNotFoundError):
        pool[:].run(str(tmp_path / "none.py"))


# --- push, pull, dictionary access


def test_push_returns_None_for_each_target(pool):
    assert pool[:].push({"a": 1}, block=True) == [None] * 4
    assert pool[0].push({"a": 1}, block=True) is None
    assert isinstance(pool[:].push({"a": 1}), AsyncResult)


def test_names_are_assignment_targets_and_expressions(pool):
    view = pool[0]
    view.execute("class A: pass\na = A()\nd = {}\nl = [0, 0]", block=True)
    view["a.b"], view['d["k"]'], view["l[1]"], view["x, y"] = 1, 2, 3, (4, 5)
    assert view["a.b"] == 1 and view["d['k']"] == 2 and view["l"] == [0, 3] and view["x + y"] == 9
    assert view["len(l)"] == 2


def test_setitem_is_ordered_before_later_calls(pool):
    view = pool[:]
    for i in range(50):
        view["n"] = i
        assert view["n"] == [i] * 4


def test_update_and_get(pool):
    view = pool[:]
    view.update({"a": 1, "b": 2})
    assert view.get("a") == [1] * 4
    assert view.pull(("a", "b"), block=True) == [[1, 2]] * 4
    assert pool[0].pull(["b"], block=True) == [2]


def test_targets_and_block_keywords_of_methods(pool):
    view = pool[:]
    view.push({"only": 1}, targets=2, block=True)
    assert view.pull("only", targets=2, block=True) == 1
    assert view.pull("only", targets=[2], block=True) == [1]
    with pytest.raises(CompositeError) as caught:
        view.pull("only", block=True)
    assert [e[3]["engine_id"] for e in caught.value.elist] == [0, 1, 3]


def test_prepickled_is_pickled_once(pool):
    class Counted:
        pickled = 0

        def __reduce__(self):
            Counted.pickled += 1
            return int, (7,)

    value, f = pxrun.PrePickled(Counted()), pxrun.PrePickled(lambda x, y=0: x + y)
    assert pool[:2].apply_sync(f, value, y=1) == [8, 8]
    assert pool[0].apply_sync(f, [value][0]) == 7 and Counted.pickled == 1
    assert pool[0].map_sync(f, range(3)) == [0, 1, 2]
    assert "Counted" in repr(value)


def test_reference(pool):
    view = pool[:]
    for one in pool:
        one.push({"a": one.targets, "g": [abs]}, block=True)
    assert view.apply_sync(lambda x: x, Reference("a")) == [0, 1, 2, 3]
    assert view.apply_sync(lambda x, k: (x, k), [Reference("a"), 5], k={"r": Reference("a * 2")}) == [([i, 5], {"r": 2 * i}) for i in range(4)]
    assert view.apply_sync(Reference("g[0]"), -7) == [7] * 4
    assert view.map_sync(Reference("g[0]"), [-1, -2, -3, -4]) == [1, 2, 3, 4]
    assert view.map_sync(lambda x: x, [Reference("a")] * 4) == [0, 1, 2, 3]
    deep = view.apply_sync(lambda x: type(x[0][0]).__name__, [[Reference("a")]])
    assert deep == ["Reference"] * 4
    with pytest.raises(NameError):
        pool[0].apply_sync(lambda x: x, Reference("nothing"))
    with pytest.raises(TypeError):
        Reference(5)


# --- scatter, gather


@pytest.mark.parametrize("n", [0, 1, 3, 4, 5, 16, 17])
@pytest.mark.parametrize("dist", ["b", "r"])
@pytest.mark.parametrize("kind", [list, tuple, range, numpy.arange, str])
def test_scatter_and_gather(pool, n, dist, kind):
    view = pool[:]
    seq = kind(n) if kind in (range, numpy.arange) else "abcdefghijklmnopq"[:n] if kind is str else kind(range(n))
    assert view.scatter("a", seq, dist=dist, block=True) is None
    lengths = view.apply_sync(lambda: len(a))  # noqa: F821
    assert lengths == [n // 4 + (i < n % 4) for i in range(4)]
    back = view.gather("a", dist=dist, block=True)
    if kind is numpy.arange:
        assert back.dtype == seq.dtype and numpy.array_equal(back, seq)
    elif kind in (list, tuple, range):
        assert back == list(seq)
    else:
        assert [type(part) for part in back] == [kind] * 4


def test_scatter_flatten(pool):
    view = pool[:]
    view.scatter("id", [10, 11, 12, 13], flatten=True, block=True)
    assert view["id"] == [10, 11, 12, 13]
    assert view.gather("id", block=True) == [10, 11, 12, 13]
    view.scatter("few", [1, 2], flatten=True, block=True)
    assert view["few"] == [1, 2, [], []]


def test_scatter_two_dimensions_and_targets(pool):
    view = pool[:]
    array = numpy.arange(24.0).reshape(6, 4)
    view.scatter("m", array, targets=[3, 1], block=True)
    assert numpy.array_equal(pool[3]["m"], array[:3])
    assert numpy.array_equal(view.gather("m", targets=[3, 1], block=True), array)


def test_scatter_without_block_is_an_AsyncResult(pool):
    ar = pool[:].scatter("a", range(8))
    assert isinstance(ar, AsyncResult) and ar.get(10) == [None] * 4


# --- map


def test_map_is_one_task_for_each_engine(pool):
    ar = pool[:].map_async(lambda x: x * x, range(10))
    assert len(ar) == 10 and len(ar.msg_ids) == 4
    assert ar.get(10) == [x * x for x in range(10)]


@pytest.mark.parametrize("sequences, expected", [
    ([[]], []), ([[1]], [(1,)]), ([range(3), "abcde"], [(0, "a"), (1, "b"), (2, "c")]),
    ([(x for x in range(5))], [(x,) for x in range(5)]), ([numpy.arange(6)], [(x,) for x in range(6)]),
    ([{"a": 1, "b": 2}.keys()], [("a",), ("b",)]),
])
def test_map_of_every_kind_of_sequence(pool, sequences, expected):
    assert pool[:].map_sync(lambda *args: args, *sequences) == expected


def test_map_sync_and_async_refuse_block(pool):
    for f in (pool[:].map_sync, pool[:].map_async):
        with pytest.raises(TypeError, match="block"):
            f(abs, [1], block=True)


def test_map_first_chunk_comes_before_slow_ones(pool, new_gate):
    gate = new_gate()

    def f(x):
        if x == 7:
            open(gate_path).read(1)  # noqa: F821
        return x

    pool[:].push({"gate_path": gate.path}, block=True)
    ar = pool[:].map_async(f, range(8))
    it = iter(ar)
    assert [next(it) for _ in range(6)] == [0, 1, 2, 3, 4, 5]
    assert not ar.ready()
    gate.open()
    assert list(it) == [6, 7]


def test_map_progress_counts_elements(pool, new_gate):
    gate = new_gate()

    def f(x):
        if x == 60:
            open(gate_path).read(1)  # noqa: F821
        return x

    pool[:].push({"gate_path": gate.path}, block=True)
    ar = pool[0:1].map_async(f, range(100))
    while not 30 < ar.progress <= 60:
        assert not ar.ready()
    gate.open()
    assert ar.get(10) == list(range(100)) and ar.progress == 100


def test_map_return_exceptions(pool):
    got = pool[:].map_sync(lambda x: 1 / x, [1, 2, 0, 4], return_exceptions=True)
    assert got[0] == 1.0 and isinstance(got[2], ZeroDivisionError) and got[3] == 0.25
    with pytest.raises(CompositeError):
        pool[:].map_sync(lambda x: 1 / x, [1, 2, 0, 4])


def test_imap(pool):
    it = pool[:].imap(abs, [-1, -2])
    assert next(it) == 1 and list(it) == [2]


# --- functions on views


def test_remote(pool):
    @pool[:].remote(block=True)
    def getpid(n=1):
        """Says who."""
        import os

        return os.getpid() * n

    assert len(set(getpid())) == 4
    assert getpid.__name__ == "getpid" and "RemoteFunction wrapping:\nSays who." == getpid.__doc__
    assert str(getpid.__signature__) == "(n=1)"
    view = pool[0]
    later = pxrun.remote(view)(abs)
    assert isinstance(later(-1), AsyncResult)
    view.block = True
    assert later(-1) == 1


def test_parallel_call_gets_parts_and_map_gets_elements(pool):
    view = pool[:]

    @view.parallel(block=True)
    def echo(x):
        return str(x)

    assert echo(list(range(5))) == ["[0, 1]", "[2]", "[3]", "[4]"]
    assert echo.map(range(5)) == ["0", "1", "2", "3", "4"]
    with pytest.raises(ValueError, match=r"all sequences must have equal length, but have \[2, 3\]"):
        echo([1, 2], [1, 2, 3])
    with pytest.raises(TypeError):
        echo([1], key=1)


def test_view_is_no_container(pool):
    with pytest.raises(TypeError, match="iterable"):
        list(pool[0])
    with pytest.raises(TypeError, match="container"):
        "a" in pool[0]


def test_map_needs_a_sequence(pool):
    for call, words in ((lambda: pool[:].map_sync(abs), "a map needs"), (pool[:].parallel()(abs), "at least one sequence")):
        with pytest.raises(TypeError, match=words):
            call()


def test_parallel_and_map_of_what_cannot_be_cut(pool):
    parts = pool[:].parallel(block=True)(lambda part: list(part))
    assert parts(i for i in range(4)) == [0, 1, 2, 3] and sorted(parts({3, 1, 2})) == [1, 2, 3]
    assert pool[:].map_sync(len, {"a": 1, "bb": 2}) == [1, 2]
    for wrong in ({"a": 1}, (i for i in range(3))):
        with pytest.raises(TypeError, match="scatter takes a sequence"):
            pool[:].scatter("a", wrong)


def test_parallel_of_arrays_gives_an_array(pool):
    @pool[:].parallel(block=True)
    def pmul(a, b):
        return a * b

    a = numpy.random.random((8, 5))
    assert numpy.array_equal(pmul(a, a), a * a)


# --- serializers


# --- requests of a view


def test_view_history_and_wait(pool, hold):
    view = pool[:2]
    assert view.history == [] and view.wait(timeout=0) is True
    gate = hold(0)
    ar = view.apply_async(abs, -1)
    assert view.history == ar.msg_ids and view.outstanding <= set(ar.msg_ids) and view.outstanding
    assert view.wait(timeout=0.01) is False
    gate.open()
    assert view.wait(timeout=10) is True and view.outstanding == set()
    assert view.get_result(-1).get() in (1, [1]) and view.get_result(ar).get() == [1, 1]
    assert set(view.results) == set(ar.msg_ids)


def test_view_abort_is_for_its_own_requests(pool, hold):
    gate = hold(0)
    view, other = pool[0], pool[0]
    mine, others = view.apply_async(abs, -1), other.apply_async(abs, -2)
    view.abort()
    gate.open()
    with pytest.raises(TaskAborted):
        mine.get(10)
    assert others.get(10) == 2


def test_kill_and_shutdown_of_a_view():
    with pxrun.Cluster(n=2) as rc:
        pid = rc[1].apply_sync(os.getpid)
        generation = rc.engines[1].generation
        rc[1].kill()
        while rc.engines[1].generation == generation:
            pass
        assert rc[1].apply_sync(os.getpid) != pid
        rc[0].shutdown()
        assert rc.ids == [1]


def test_order_of_push_execute_apply_is_kept(pool):
    view = pool[0]
    view.execute("log = []")
    for i in range(100):
        view.push({"i": i})
        view.execute("log.append(i)")
        view.apply_async(lambda: log.append(-i))  # noqa: F821
    assert view["log"] == [x for i in range(100) for x in (i, -i)]


def test_error_is_a_RemoteError_for_one_and_a_CompositeError_for_a_list(pool):
    with pytest.raises(RemoteError) as one:
        pool[0].apply_sync(lambda: 1 / 0)
    assert not isinstance(one.value, CompositeError)
    with pytest.raises(CompositeError):
        pool[[0]].apply_sync(lambda: 1 / 0)
