# SPDX-License-Identifier: BSD-3-Clause
"""AsyncResult: waits, values, exceptions, metadata, output."""
import concurrent.futures
import contextlib
import datetime
import gc
import io
import json
import os
import pickle
import resource
import sys
import time
import weakref

import pytest

import pxrun
from pxrun import error
from pxrun.client.asyncresult import AsyncResult
from pxrun.client.joined import Joined
from pxrun.client.mapresult import AsyncMapResult

UTC = datetime.timezone.utc


def square(x):
    return x * x


# --- get


def test_get_gives_scalar_or_list(pool):
    assert pool[1].apply_async(square, 3).get() == 9
    assert pool[[1]].apply_async(square, 3).get() == [9]
    assert pool[[3, 1]].apply_async(os.getpid).get() == [pool[3].apply_sync(os.getpid), pool[1].apply_sync(os.getpid)]


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


# --- metadata


def test_metadata_before_completion(pool, hold):
    gate = hold(0)
    ar = pool[0].apply_async(square, 3)
    for key in ("started", "completed", "received", "status", "error", "execute_result"):
        assert ar[key] is None and getattr(ar, key) is None
    assert (ar.stdout, ar.stderr, ar.outputs, ar.data) == ("", "", [], {})
    assert ar.submitted.tzinfo is not None and ar.engine_id == 0 and ar.msg_id == ar.msg_ids[0]
    gate.open()
    ar.get()
    assert ar.status == "ok"


def test_metadata_by_attribute_and_key(pool):
    ar = pool[[2, 1]].execute("import sys; print('out'); print('err', file=sys.stderr)", block=False)
    ar.get()
    assert ar.engine_id == ar["engine_id"] == [2, 1]
    assert ar.stdout == ["out\n"] * 2 and ar["stderr"] == ["err\n"] * 2
    assert len(set(ar.engine_uuid)) == 2 and all(isinstance(u, str) for u in ar.engine_uuid)
    assert [m.stdout for m in ar.metadata] == ar.stdout and ar.metadata[0]["engine_id"] == 2
    for submitted, started, completed, received in zip(ar.submitted, ar.started, ar.completed, ar.received):
        assert submitted <= started <= completed <= received and submitted.utcoffset() == datetime.timedelta(0)
    assert abs(datetime.datetime.now(UTC) - ar.received[0]) < datetime.timedelta(seconds=60)
    single = pool[1].execute("print(5)", block=False)
    single.get()
    assert single.stdout == "5\n" and single.metadata["execute_input"] == "print(5)"
    assert single.engine_uuid == ar.engine_uuid[1]


def test_metadata_unknown_names(pool):
    ar = pool[0].apply_async(square, 3)
    assert not hasattr(ar, "nonsense") and not hasattr(ar, "_nonsense")
    with pytest.raises(KeyError):
        ar["nonsense"]
    ar.wait()
    for name in ("stdout", "engine_id", "submitted", "outputs", "get", "label"):
        assert name in dir(ar)
    with pytest.raises(KeyError, match="metadata has no 'new'"):
        ar.metadata["new"] = 1
    with pytest.raises(AttributeError):
        ar.metadata.new = 1
    with pytest.raises(AttributeError):
        ar.metadata.new
    ar.metadata["label"] = "x"


def test_metadata_error_and_execute_result(pool):
    bad = pool[0].execute("1/0", block=False)
    bad.wait()
    assert bad.status == "error" and isinstance(bad.error, ZeroDivisionError)
    silent, loud = (pool[0].execute("40 + 2", silent=s, block=True) for s in (True, False))
    assert silent.execute_result is None and loud.execute_result["data"]["text/plain"] == "42"
    labelled = pool[0].execute("1", label="mine", block=True)
    assert labelled.label == "mine"


def test_msg_ids_are_of_one_request_only(pool):
    ids = [i for _ in range(50) for i in pool[:].apply_async(square, 1).msg_ids]
    assert len(set(ids)) == 200


def test_data_and_outputs_are_published_while_it_runs(pool, new_gate):
    gate = new_gate()
    ar = pool[1].apply_async(publisher, gate.path)
    end = time.monotonic() + 10
    while ar.data != {"a": 2, "b": 3} and time.monotonic() < end:
        pass
    assert ar.data == {"a": 2, "b": 3} and not ar.ready()
    assert ar.outputs == [{"data": {"text/plain": "<it>"}, "metadata": {"m": 1}}]
    gate.open()
    assert ar.get(10) == "done" and ar.data == {"a": 2, "b": 3}


def publisher(path):
    import os
    import pickle

    from pxrun import _pxrun

    _pxrun.publish(4, pickle.dumps({"a": 1}))
    _pxrun.publish(4, pickle.dumps({"a": 2, "b": 3}))
    _pxrun.publish(3, pickle.dumps(({"text/plain": "<it>"}, {"m": 1})))
    os.read(os.open(path, os.O_RDONLY), 1)
    return "done"


publisher.__module__ = "__main__"  # sent by value: engines cannot import this file


# --- ExecuteReply


def test_ExecuteReply(pool):
    ar = pool[2].execute("print('hi'); 5", silent=False, block=True)
    r = ar.get()
    assert r.execute_result["data"] == {"text/plain": "5"} and r.stdout == "hi\n" and r["stdout"] == "hi\n"
    assert repr(r) == f"<ExecuteReply[{r.execution_count}]: 5>" and r.pretty() == f"Out[2:{r.execution_count}]: 5"
    assert r._repr_mimebundle_()[0]["text/plain"] == r.pretty()
    assert not hasattr(r, "nonsense") and r.engine_id == 2
    assert len(repr(pool[0].execute("'x' * 100", silent=False, block=True).get())) < 60
    gone = weakref.ref(ar)
    del ar
    assert gone() is None and r.stdout == "hi\n"


# --- times and progress


def test_times(pool):
    ar = pool[:].apply_async(time.sleep, 0.05)
    assert ar.elapsed < 30
    with pytest.raises(TimeoutError):
        ar.serial_time
    with pytest.raises(TimeoutError):
        ar.wall_time
    ar.get()
    assert ar.serial_time >= 4 * 0.05 and ar.wall_time >= 0.05 and ar.elapsed == ar.wall_time
    assert ar.timedelta(ar.submitted, ar.received) == ar.wall_time
    assert sum(ar.timedelta(s, c) for s, c in zip(ar.started, ar.completed)) == ar.serial_time
    assert ar.timedelta(ar.started[0], ar.completed[0]) >= 0.05
    assert ar.timedelta(ar.submitted, ar.received, end_key=min) == min(ar.timedelta(s, r) for s, r in zip(ar.submitted, ar.received))


def test_progress_counts_elements(pool, hold):
    gate = hold(3)
    ar = pool[:].map_async(square, range(10))  # 3, 3, 2, 2
    assert all(part.wait(10) for part in ar.split()[:3])
    assert ar.progress == 8
    gate.open()
    ar.get()
    assert ar.progress == len(ar) == 10
    single = pool[[0, 1]].apply_async(square, 1)
    single.wait()
    assert single.progress == 2


def test_progress_counts_what_engines_say_while_they_work(pool, new_gate):
    gate = new_gate()

    def chunk(path):
        import os

        from pxrun import _pxrun

        _pxrun.progress(2)
        os.read(os.open(path, os.O_RDONLY), 1)
        return [0] * 3

    part = pool[0]._submit_call(chunk, (gate.path,), {}, [0])
    ar = AsyncMapResult(pool, Joined([part]), "f", False, length=3)
    while ar.progress == 0:
        assert not ar.ready()
    assert ar.progress == 2
    gate.open()
    assert ar.get() == [0, 0, 0] and ar.progress == 3


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


# --- output


@pytest.fixture
def kept(pool):
    """The pool's client; what is printed is not shown while a call waits."""
    pool.output = "keep"
    yield pool
    pool.output = "show"


def test_display_outputs(kept, capsys):
    code = "import sys; print('hi'); print('a\\nb', file=sys.stderr)"
    ar = kept[[0, 2]].execute(code, block=True)
    ar.display_outputs()
    shown = capsys.readouterr()
    assert shown.out == "[stdout:0] hi\n[stdout:2] hi\n"
    assert shown.err == "[stderr:0]\na\nb\n[stderr:2]\na\nb\n"
    ar.display_outputs(groupby="engine")
    assert capsys.readouterr().out == "[stdout:0] hi\n[stdout:2] hi\n"
    ar.display_outputs(result_only=True)
    assert capsys.readouterr() == ("", "")


def test_display_outputs_of_one_engine_has_no_prefix(kept, capsys):
    kept[1].execute("import sys; sys.stdout.write('no end')", block=True).display_outputs()
    assert capsys.readouterr().out == "no end\n"
    kept[1].execute("pass", block=True).display_outputs()
    assert capsys.readouterr().out == ""


def test_display_outputs_shows_values_last(kept, capsys):
    ar = kept[[0, 1]].execute("print('p'); 7", silent=False, block=True)
    counts = [r.execution_count for r in ar.get()]
    ar.display_outputs()
    values = [f"Out[{i}:{c}]: 7" for i, c in enumerate(counts)]
    assert capsys.readouterr().out.split("\n") == ["[stdout:0] p", "[stdout:1] p", *values, ""]
    ar.display_outputs("engine")
    assert capsys.readouterr().out.split("\n") == ["[stdout:0] p", values[0], "[stdout:1] p", values[1], ""]
    ar.display_outputs(result_only=True)
    assert capsys.readouterr().out.split("\n") == [*values, ""]


_SHOW = """
import pickle
from pxrun import _pxrun
for n in range(2):
    _pxrun.publish(3, pickle.dumps(({'text/plain': f'plot {n}'}, {})))
"""


def test_display_outputs_groups_displayed_objects(kept, capsys):
    ar = kept[[0, 1]].execute(_SHOW, block=True)
    ar.display_outputs("type")
    assert capsys.readouterr().out.split() == "[output:0] plot 0 plot 1 [output:1] plot 0 plot 1".split()
    ar.display_outputs("order")
    assert capsys.readouterr().out.split() == "[output:0] plot 0 [output:1] plot 0 [output:0] plot 1 [output:1] plot 1".split()


def test_display_outputs_refuses(pool, hold):
    ar = hold(0).ar
    with pytest.raises(TimeoutError):
        ar.display_outputs()
    with pytest.raises(ValueError, match="groupby is 'type', 'engine' or 'order', not 'colour'"):
        ar.display_outputs("colour")


def test_display_outputs_of_a_failed_request_shows_what_it_printed(pool, capsys):
    ar = pool[[0]].execute("print('before'); 1/0", block=False)
    ar.wait()
    ar.display_outputs()
    assert capsys.readouterr().out == "[stdout:0] before\n"


def test_wait_for_output(pool, hold):
    gate = hold(0)
    ar = pool[0].execute("print('x' * 100000)", block=False)
    assert ar.wait_for_output(0.01) is False
    gate.open()
    assert ar.wait_for_output() is True and ar.wait_for_output(10) is True
    assert ar.stdout == "x" * 100000 + "\n"


def test_stream_output_shows_while_it_runs(pool, new_gate, capsys):
    gate = new_gate()
    code = f"print('first')\n{gate.code()}\nprint('second é')\n1/0"
    ar = pool[[0, 1]].execute(code, block=False)
    while ar.stdout != ["first\n"] * 2:
        assert not ar.ready()
    with ar.stream_output():
        assert sorted(capsys.readouterr().out.splitlines()) == ["[stdout:0] first", "[stdout:1] first"]
        gate.open(readers=2)
        ar.wait()
    shown = capsys.readouterr()
    assert sorted(shown.out.splitlines()) == ["[stdout:0] second é", "[stdout:1] second é"]
    assert "[0:execute]:\nTraceback" in shown.err and "[1:execute]:\nTraceback" in shown.err
    assert shown.err.count("ZeroDivisionError: division by zero") == 2


def test_stream_output_comes_before_the_end(pool, new_gate, monkeypatch):
    gate = new_gate()
    shown = io.StringIO()
    monkeypatch.setattr(sys, "stdout", shown)
    ar = pool[0].execute(f"print('now')\n{gate.code()}", block=False)
    with ar.stream_output():
        end = time.monotonic() + 10
        while "now" not in shown.getvalue() and time.monotonic() < end:
            pass
        assert shown.getvalue() == "now\n" and not ar.ready()
        gate.open()


def test_wait_interactive(pool, capfd, monkeypatch):
    ar = pool[:].map_async(square, range(8))
    ar.wait_interactive()
    assert ar.ready() and "8/8" in capfd.readouterr().err
    monkeypatch.setitem(sys.modules, "tqdm", None)
    ar = pool[:].apply_async(square, 2)
    ar.wait_interactive(interval=0.01)
    shown = capfd.readouterr().err
    assert ar.ready() and "4/4 tasks" in shown and "square" in shown


def test_wait_interactive_timeout_returns(pool, hold):
    gate = hold(0)
    began = time.monotonic()
    assert gate.ar.wait_interactive(timeout=0.1) is None
    assert not gate.ar.ready() and time.monotonic() - began < 5


# --- names that engines lack

here_only = 5


def by_value(f):
    f.__module__ = "__main__"
    return f


@by_value
def needs_value():
    return here_only


@by_value
def needs_module():
    return json.dumps(1)


@by_value
def needs_function():
    return square(2)


@by_value
def needs_nothing_known():
    return nowhere_at_all  # noqa: F821


@pytest.mark.parametrize(
    "f, name, advice",
    [
        (needs_value, "here_only", "push({'here_only': here_only})"),
        (needs_module, "json", "with view.sync_imports(): import json"),
        (needs_module, "json", "@pxrun.require('json')"),
        (needs_function, "square", "push({'square': square})"),
    ],
)
@pytest.mark.parametrize("way", ["apply_sync", "one", "async", "map"])
def test_NameError_says_that_the_client_has_the_name(pool, f, name, advice, way):
    one, view = (pool.direct_view(targets, send_globals=False) for targets in (0, "all"))
    with pytest.raises(NameError) as caught:
        if way == "one":
            one.apply_sync(f)
        elif way == "async":
            one.apply_async(f).get()
        else:
            try:
                if way == "map":
                    view.map_sync(_taking_one(f), range(4))
                else:
                    view.apply_sync(f)
            except error.CompositeError as e:
                assert str(e).count("defined here") == 1 and advice in str(e)
                assert advice in "\n".join(e.render_traceback()) and advice in str(pickle.loads(pickle.dumps(e)))
                e.raise_exception(0)
    e = caught.value
    assert e.evalue == f"name '{name}' is not defined"
    assert f"'{name}' is defined here" in str(e) and advice in str(e)
    assert advice in "\n".join(e.render_traceback()) and str(pickle.loads(pickle.dumps(e))) == str(e)


def _taking_one(f):
    import types

    code = f.__code__.replace(co_argcount=1, co_nlocals=1, co_varnames=("x",))
    return by_value(types.FunctionType(code, f.__globals__, f.__name__))


def test_NameError_of_a_name_that_is_nowhere(pool):
    with pytest.raises(NameError) as caught:
        pool[0].apply_sync(needs_nothing_known)
    assert str(caught.value) == "[0:apply] NameError: name 'nowhere_at_all' is not defined"


def test_NameError_of_pull_has_no_advice(pool):
    with pytest.raises(NameError) as caught:
        pool[3].pull("missing_here", block=True)
    assert str(caught.value) == "[3:apply] NameError: name 'missing_here' is not defined"


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
