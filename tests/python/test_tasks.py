# SPDX-License-Identifier: BSD-3-Clause
"""Tasks, as the extension posts them: which engine takes them, and what deaths and stops do to them."""
from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

import pxrun
from pxrun._pxrun import EABORTED, EENGINE, EREMOTE
from pxrun.wire import calls, pickling
from test_deaths import wait_for

#: What a client that is a process of its own begins with: post(f, *args, count=1) posts calls.
CLIENT = """
import os, signal, sys, time
import pxrun
from pxrun.wire import calls, pickling

rc = pxrun.Client()

def post(f, *args, count=1):
    return rc._core.post([calls.dumps(f, args, {}, True)[0]] * count, None, None, 0)
"""


def post(rc, f, *args, count=1, targets=None, retries=0):
    return rc._core.post([calls.dumps(f, args, {}, True)[0]] * count, None, targets, retries)


def value(result, i=0):
    assert result.wait_entry(i, 30.0)
    code, body, buffers = result.reply(i)
    assert code == 0, (code, body)
    return pickling.loads(body, buffers)


def failure(result, i=0):
    assert result.wait_entry(i, 30.0)
    code, body, _ = result.reply(i)
    return code, body


@pytest.fixture
def rc():
    with pxrun.Cluster(n=2) as client:
        yield client


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def die_once(path):
    """Dies the first time that it is called."""
    if not os.path.exists(path):
        with open(path, "w"):
            pass
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def done(rc):
    return sum(engine["done"] for engine in json.loads(rc._core.status())["engines"])


def gate_code(gate):
    """What waits for the gate."""

    def wait(path):
        import os

        return os.read(os.open(path, os.O_RDONLY), 1)

    return wait, gate.path


# --- who takes them


def test_idle_engine_takes_what_a_busy_one_leaves(pool, hold):
    for engine in (0, 1, 2):
        hold(engine)
    result = post(pool, os.getpid, count=50)
    assert {value(result, i) for i in range(50)} == {pool.engines[3].pid}
    assert {result.engine(i) for i in range(50)} == {3}


def test_all_engines_take_part(pool, new_gate):
    gate = new_gate()
    result = post(pool, *gate_code(gate), count=4)
    wait_for(lambda: sorted(result.engine(i) for i in range(4)) == [0, 1, 2, 3])
    assert not result.ready()
    gate.open(4)
    assert [value(result, i) for i in range(4)] == [b"x"] * 4


def test_direct_requests_go_before_tasks(pool, new_gate):
    gate = new_gate()
    busy = post(pool, *gate_code(gate), count=4)
    wait_for(lambda: all(busy.engine(i) >= 0 for i in range(4)))
    waiting = post(pool, time.perf_counter, count=40)
    direct = pool[:].apply_async(time.perf_counter)
    gate.open(4)
    first = min(value(waiting, i) for i in range(40))
    # each engine ran its direct request before it took any task, and an engine takes one at a time
    assert sum(t > first for t in direct.get(30)) < 4
    assert min(direct.get()) < first


def test_tasks_go_to_the_targets_only(pool):
    result = post(pool, os.getpid, count=40, targets=[1, 3])
    assert {value(result, i) for i in range(40)} <= {pool.engines[1].pid, pool.engines[3].pid}


def test_targets_that_are_not_there_are_refused_in_words(pool):
    with pytest.raises(pxrun.EngineError, match="17"):
        post(pool, abs, 1, targets=[17])
    with pytest.raises(pxrun.EngineError, match="100000"):
        post(pool, abs, 1, targets=[100000])
    with pytest.raises(ValueError, match="no targets"):
        post(pool, abs, 1, targets=[])


def test_engine_that_was_added_takes_tasks(rc, new_gate):
    gate = new_gate()
    result = post(rc, *gate_code(gate), count=3)
    rc._core.add(1)
    # a client gets to know of an engine when it looks
    wait_for(lambda: not result.ready() and sorted(result.engine(i) for i in range(3)) == [0, 1, 2])
    gate.open(3)
    assert result.wait(30.0)


def test_tasks_of_an_engine_that_is_removed_are_done_by_others(rc, new_gate):
    gate = new_gate()
    result = post(rc, *gate_code(gate), count=1, retries=1)
    wait_for(lambda: result.engine(0) >= 0)
    first = result.engine(0)
    rest = post(rc, os.getpid, count=20)
    rc._core.remove(first)
    gate.open(2)
    assert value(result) == b"x" and result.engine(0) == 1 - first
    assert len({value(rest, i) for i in range(20)}) <= 2


def test_two_clients_get_as_many_turns(rc, tmp_path):
    script = tmp_path / "client.py"
    script.write_text(CLIENT + textwrap.dedent("""
        def note():
            import time
            return time.perf_counter()
        print("ready", flush=True)
        sys.stdin.readline()
        result = post(note, count=2000)
        assert result.wait(60.0)
        from pxrun.wire import pickling
        print(*sorted(pickling.loads(result.reply(i)[1]) for i in range(2000)), flush=True)
    """))
    environment = dict(os.environ, PXRUN_PROFILE=rc._core.profile)
    clients = [
        subprocess.Popen([sys.executable, str(script)], env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    assert [c.stdout.readline() for c in clients] == ["ready\n"] * 2
    for engine in rc.ids:  # until both have posted all
        rc[engine].execute("import time; time.sleep(0.5)", block=False)
    for c in clients:
        c.stdin.write("go\n")
        c.stdin.flush()
    times = [[float(t) for t in c.stdout.readline().split()] for c in clients]
    assert [c.wait(30) for c in clients] == [0, 0]
    assert [len(t) for t in times] == [2000, 2000]
    # of those that were run while both had some, each has a half
    until = min(t[-1] for t in times)
    counts = [sum(each <= until for each in t) for t in times]
    assert min(counts) >= 0.9 * max(counts), counts


# --- what stops, or dies


def test_tasks_run_while_their_client_is_stopped(rc, tmp_path):
    script = tmp_path / "client.py"
    script.write_text(CLIENT + "result = post(abs, -1, count=10000)\nos.kill(os.getpid(), signal.SIGSTOP)\n"
                      "assert result.wait(60.0)\nprint(sum(result.reply(i)[0] == 0 for i in range(10000)))\n")
    before = done(rc)
    client = subprocess.Popen([sys.executable, str(script)], env=dict(os.environ, PXRUN_PROFILE=rc._core.profile),
                              stdout=subprocess.PIPE, text=True)
    _, status = os.waitpid(client.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    wait_for(lambda: done(rc) >= before + 10000, 60)
    os.kill(client.pid, signal.SIGCONT)
    assert client.communicate(timeout=60)[0] == "10000\n" and client.returncode == 0


def test_client_killed_with_tasks_queued_leaves_nothing(rc, tmp_path):
    script = tmp_path / "client.py"
    script.write_text(CLIENT + "result = post(time.sleep, 0.001, count=100000)\nprint('posted', flush=True)\ntime.sleep(60)\n")
    client = subprocess.Popen([sys.executable, str(script)], env=dict(os.environ, PXRUN_PROFILE=rc._core.profile),
                              stdout=subprocess.PIPE, text=True)
    assert client.stdout.readline() == "posted\n"
    used = json.loads(rc._core.status())["arena"]
    client.kill()
    client.wait()
    client.stdout.close()
    wait_for(lambda: all(e["busy"] is None for e in json.loads(rc._core.status())["engines"]))
    wait_for(lambda: json.loads(rc._core.status())["arena"]["lingering"] == 0)
    assert json.loads(rc._core.status())["arena"]["used"] < used["used"]
    assert value(post(rc, abs, -3)) == 3


def test_task_that_kills_its_engine_fails_and_others_go_on(rc):
    bad = post(rc, die)
    good = post(rc, os.getpid, count=20)
    code, words = failure(bad)
    assert code == EENGINE and "SIGKILL" in words and str(bad.engine(0)) in words
    assert all(value(good, i) for i in range(20))


def test_retries_are_counted(rc, tmp_path):
    path = tmp_path / "deaths"
    path.write_text("")

    def die_and_say(path):
        import os
        import signal

        with open(path, "a") as file:
            file.write("x")
        os.kill(os.getpid(), signal.SIGKILL)

    code, words = failure(post(rc, die_and_say, str(path), retries=2))
    assert code == EENGINE and "SIGKILL" in words
    assert path.read_text() == "xxx"


def test_task_is_run_again_where_its_engine_died(rc, tmp_path):
    result = post(rc, die_once, str(tmp_path / "died"), retries=1)
    assert value(result) == rc.engines[result.engine(0)].pid


def test_task_that_raises_is_run_again(rc, tmp_path):
    def count(path, wanted):
        with open(path, "a") as file:
            file.write("x")
        with open(path) as file:
            runs = len(file.read())
        assert runs >= wanted, f"run {runs}"
        return runs

    assert value(post(rc, count, str(tmp_path / "a"), 3, retries=2)) == 3
    code, _ = failure(post(rc, count, str(tmp_path / "b"), 9, retries=1))
    assert code == EREMOTE and (tmp_path / "b").read_text() == "xx"


def test_tasks_end_when_all_engines_are_dead():
    with pxrun.Cluster(n=2, restart="never") as rc:
        result = post(rc, die, count=5, retries=9)
        failures = [failure(result, i) for i in range(5)]
        assert {code for code, _ in failures} == {EENGINE}
        assert all("SIGKILL" in words or "no engines" in words for _, words in failures), failures
        with pytest.raises(pxrun.EngineError, match="no engines"):
            post(rc, abs, 1)


def test_supervisor_killed_ends_every_task(new_gate):
    gate = new_gate()
    with pxrun.Cluster(n=2) as rc:
        result = post(rc, *gate_code(gate), count=5)
        os.kill(rc._core.supervisor_pid, signal.SIGKILL)
        for i in range(5):
            assert failure(result, i)[0] == pxrun._pxrun.EPOOL
        with pytest.raises(pxrun.PoolError):
            post(rc, abs, 1)


def test_child_that_was_forked_posts_nothing_and_disturbs_nothing(rc, new_gate):
    gate = new_gate()
    result = post(rc, *gate_code(gate), count=3)
    child = os.fork()
    if not child:
        try:
            post(rc, abs, 1)
        except pxrun.error.ClosedError:
            os._exit(7)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    gate.open(3)
    assert [value(result, i) for i in range(3)] == [b"x"] * 3


def test_tasks_of_a_task(rc):
    def nested(profile):
        import pxrun
        from pxrun.wire import calls

        with pxrun.Client(profile) as client:
            body = calls.dumps(sum, ([1, 2, 3],), {}, True)[0]
            result = client._core.post([body] * 20, None, None, 0)
            assert result.wait(30.0)
            return [result.reply(i)[0] for i in range(20)]

    # the other engine runs them; two such tasks would wait for each other
    assert value(post(rc, nested, rc._core.profile)) == [0] * 20


# --- taken back


def test_waiting_task_is_taken_back_and_never_runs(pool, hold, tmp_path):
    gates = [hold(engine) for engine in range(4)]
    result = post(pool, (tmp_path / "ran").write_text, "x", count=3)
    assert [result.abort(i) for i in range(3)] == [True] * 3
    assert [failure(result, i)[0] for i in range(3)] == [EABORTED] * 3
    for gate in gates:
        gate.open()
    assert value(post(pool, abs, -1)) == 1
    assert not (tmp_path / "ran").exists()


def test_running_task_is_interrupted_and_not_taken_back(pool, new_gate):
    gate = new_gate()
    result = post(pool, *gate_code(gate))
    wait_for(lambda: result.running(0))
    assert not result.abort(0)
    result.interrupt(0)
    code, body = failure(result)
    assert code == EREMOTE and b"KeyboardInterrupt" in bytes(body)
    assert pool[:].apply_sync(abs, -2) == [2] * 4


# --- what goes with them


def test_arguments_of_any_size_arrive(pool):
    numpy = pytest.importorskip("numpy")
    for size in (1, 300, 5000, 70_000, 3_000_000):
        array = numpy.arange(size)
        body, buffers = calls.dumps(numpy.sum, (array,), {}, True)
        result = pool._core.post([body] * 3, [buffers] * 3, None, 0)
        array[:] = 0  # what was posted does not change
        assert [value(result, i) for i in range(3)] == [size * (size - 1) // 2] * 3


def test_array_that_engines_share_is_refused_in_words(pool):
    numpy = pytest.importorskip("numpy")
    shared = pxrun.shared(numpy.zeros(100_000), client=pool)
    body, buffers = calls.dumps(numpy.sum, (shared,), {}, True)
    with pytest.raises(ValueError, match="push it to the engines"):
        pool._core.post([body], [buffers], None, 0)


def test_output_of_a_task_is_its_result_s(pool):
    result = post(pool, print, "said")
    value(result)
    assert result.output(0, 1) == b"said\n" or "said" in str(result.output(0, 1))


def test_results_that_nobody_keeps_leave_nothing(rc):
    for _ in range(50):
        post(rc, bytes, 1000, count=200)
    assert rc._core.wait_idle(60.0)
    assert not rc._core.outstanding()


def test_bad_arguments_of_post_are_errors(pool):
    core = pool._core
    body = calls.dumps(abs, (1,), {}, True)[0]
    with pytest.raises(ValueError, match="buffers"):
        core.post([body], [None, None], None, 0)
    with pytest.raises(TypeError):
        core.post([17], None, None, 0)
    with pytest.raises(TypeError):
        core.post([body, 17], None, None, 0)
    with pytest.raises(ValueError, match="no targets"):
        core.post([], None, None, 0)
    with pytest.raises(OverflowError):
        core.post([body], None, [-1], 0)
    for retries in (-1, 1 << 40):
        with pytest.raises(ValueError, match="retries"):
            core.post([body], None, None, retries)
