# SPDX-License-Identifier: BSD-3-Clause
"""Client.timeline: the last requests as a trace that Perfetto and Chrome read."""
import json
import os
import signal
import time

import pytest

import pxrun
from pxrun.client import spans


def square(x):
    return x * x


def inverse(x):
    return 1 / x


def checked(trace):
    """The requests of a trace by the names of their tracks; it is checked that it is one."""
    assert json.loads(json.dumps(trace)) == trace
    events = trace["traceEvents"]
    tracks = {e["tid"]: e["args"]["name"] for e in events if e["ph"] == "M" and e["name"] == "thread_name"}
    timed = [e for e in events if e["ph"] != "M"]
    assert [e["ts"] for e in timed] == sorted(e["ts"] for e in timed) and all(e["ts"] >= 0 for e in timed)
    assert {e["ph"] for e in timed} <= {"X", "b", "e"} and len({e["pid"] for e in events}) <= 1
    ends = {e["id"]: e for e in timed if e["ph"] == "e"}
    begins = {e["id"]: e for e in timed if e["ph"] == "b"}
    assert set(ends) == set(begins) and all(begins[id]["ts"] <= ends[id]["ts"] for id in begins)
    assert all(e["dur"] >= 0 for e in timed if e["ph"] == "X")
    for tid in tracks:  # an engine does one after another
        found = sorted((e["ts"], e["ts"] + e["dur"]) for e in timed if e["ph"] == "X" and e["tid"] == tid)
        assert all(end <= begin + 0.002 for (_, end), (begin, _) in zip(found, found[1:]))
    return {name: [e for e in timed if e["tid"] == tid and e["ph"] == "X"] for tid, name in tracks.items()}


def names(trace, status=None):
    events = [e for e in trace["traceEvents"] if e["ph"] == "X"]
    return [e["name"] for e in events if status is None or e["args"]["status"] == status]


def test_nothing_is_a_trace(rc):
    assert checked(rc.timeline()) == {}


def test_each_engine_has_a_track(rc):
    ar = rc[:].set_flags(label="squares").apply_async(square, 3)
    ar.get(30)
    tracks = checked(rc.timeline())
    assert list(tracks) == [f"engine {i}" for i in range(4)]
    for i, events in enumerate(tracks.values()):
        (event,) = events
        assert event["name"] == "square" and event["cat"] == "request"
        assert event["args"] == {"function": "square", "label": "squares", "msg_id": ar.msg_ids[i], "status": "ok"}
        assert event["dur"] == pytest.approx((ar.completed[i] - ar.started[i]).total_seconds() * 1e6, abs=2)


def test_results_that_nobody_holds_are_in_it(rc, view):
    rc[:].map_sync(square, range(8))
    view.map_sync(square, range(8), chunksize=2)
    list(view.imap(inverse, [1, 2, 3], chunksize=1))
    rc[0].execute("1 + 1", block=True)
    with rc.executor() as executor:
        assert executor.submit(len, [1]).result() == 1
    trace = rc.timeline()
    checked(trace)
    found = names(trace)
    assert {name: found.count(name) for name in found} == {"square": 8, "inverse": 3, "1 + 1": 1, "len": 1}


def test_blocking_calls_have_no_name(rc, view):
    rc[:].apply_sync(square, 2)
    view.apply_sync(square, 2)
    trace = rc.timeline()
    checked(trace)
    assert names(trace) == ["call"] * 5


def test_what_waits_and_what_runs_goes_up_to_now(rc, hold, new_gate):
    gate = new_gate()
    runs = rc[1].execute(gate.code(), block=False)
    while not runs.running():
        assert not runs.ready()
    waits = rc[1].apply_async(square, 2)
    before = time.time_ns()
    trace = rc.timeline()
    checked(trace)
    name = spans.in_a_line(gate.code())
    assert names(trace, "running") == [name]
    assert [e["name"] for e in trace["traceEvents"] if e["ph"] == "b"] == [f"{name} waits", "square waits"]
    (end,) = [e for e in trace["traceEvents"] if e["ph"] == "e" and e["name"] == "square waits"]
    assert end["ts"] * 1000 + trace["otherData"]["began_ns"] >= before - 1000
    gate.open()
    waits.get(30)
    assert names(rc.timeline(), "ok")[-1] == "square"


def test_tasks_that_no_engine_has_begun_have_a_track(view, rc, hold_all):
    ar = view.map_async(square, range(3), chunksize=1)
    trace = rc.timeline()
    assert list(checked(trace)) == ["not begun"] and names(trace) == []
    ar.cancel()
    ar.wait(10)
    trace = rc.timeline()
    assert [e["args"]["status"] for e in trace["traceEvents"] if e["ph"] == "b"] == ["aborted"] * 3


def test_failures_say_so(rc):
    held = rc[0].apply_async(inverse, 0)
    held.wait()
    trace = rc.timeline()
    checked(trace)
    (event,) = [e for e in trace["traceEvents"] if e["ph"] == "X"]
    assert event["args"]["status"] == "error" and event["args"]["error"] == "ZeroDivisionError: division by zero"
    del held
    (event,) = [e for e in rc.timeline()["traceEvents"] if e["ph"] == "X"]
    assert event["args"]["status"] == "error" and "error" not in event["args"]


def test_no_value_is_taken(rc):
    ar = rc[0].apply_async(square, 5)
    ar.wait()
    rc.timeline()
    assert ar.get() == 25


def test_only_the_last_are_in_it(rc, view):
    view.map_sync(square, range(3000), chunksize=1)
    rc[0].apply_async(inverse, 1).get(30)
    trace = rc.timeline()
    checked(trace)
    assert len(names(trace)) == 1000 and names(trace)[-1] == "inverse"
    assert sorted(names(rc.timeline(last=2))) == ["inverse", "square"]


@pytest.mark.parametrize("last, kind", [(0, ValueError), (-1, ValueError), (1.5, TypeError), (None, TypeError), (True, TypeError)])
def test_last_is_a_number_of_requests(rc, last, kind):
    with pytest.raises(kind, match="last "):
        rc.timeline(last=last)


def test_file_is_written(rc, tmp_path):
    rc[:].map_sync(square, range(4))
    path = tmp_path / "trace.json"
    assert rc.timeline(path) is path
    assert names(json.loads(path.read_text(encoding="utf-8"))) == ["square"] * 4
    with pytest.raises(FileNotFoundError):
        rc.timeline(str(tmp_path / "none" / "trace.json"))


def test_closed_client_says_so(pool):
    with pxrun.Client(pool.connection_file) as client:
        client[:].map_sync(square, range(4))
    with pytest.raises(pxrun.error.ClosedError, match="closed"):
        client.timeline()


def test_dead_pool_has_it_still():
    rc = pxrun.Cluster(n=1).start_and_connect_sync()
    assert rc[0].apply_async(square, 2).get(30) == 4
    ar = rc[0].apply_async(time.sleep, 100)
    os.kill(rc.supervisor_pid, signal.SIGKILL)
    assert ar.wait(30)
    trace = rc.timeline()
    checked(trace)
    assert names(trace, "ok") == ["square"] and [e["args"]["status"] for e in trace["traceEvents"] if e["ph"] == "e"] == ["ok", "error"]


def test_odd_names_are_kept(rc, tmp_path):
    def f():
        return 1

    f.__name__ = "\ud800 <b>\x00"
    rc[0].apply_async(f).get(30)
    path = tmp_path / "trace.json"
    rc.timeline(path)
    assert names(json.loads(path.read_text())) == ["\ud800 <b>\x00"]
