# SPDX-License-Identifier: BSD-3-Clause
"""What an AsyncResult says of its request: metadata, times, progress."""
import datetime
import os
import pickle
import time
import weakref

import pytest

from pxrun.client.joined import Joined
from pxrun.client.mapresult import AsyncMapResult

UTC = datetime.timezone.utc


def square(x):
    return x * x


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
    assert r.metadata.engine_id == 2 and r.metadata["stdout"] == "hi\n"


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
