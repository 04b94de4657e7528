# SPDX-License-Identifier: BSD-3-Clause
"""The supervisor stopped, ended or gone: nothing waits for it without limit, and what is said then is true."""
from __future__ import annotations

import concurrent.futures
import os
import signal
import subprocess
import threading

import pytest

import pxrun
from pxrun import error

LIMIT = 60


@pytest.fixture
def env(tmp_path):
    """For the command, with a runtime folder of its own."""
    env = dict(os.environ, XDG_RUNTIME_DIR=str(tmp_path))
    for name in ("PXRUN_PROFILE", "PXRUN_ENGINES", "PXRUN_CONNECTION"):
        env.pop(name, None)
    yield env
    subprocess.run(["pxrun", "stop", "--all", "-t", "0"], env=env, capture_output=True, timeout=LIMIT, check=False)


@pytest.fixture
def run(env):
    def begin(*arguments, code):
        done = subprocess.run(["pxrun", *arguments], env=env, capture_output=True, text=True, timeout=LIMIT, check=False)
        assert done.returncode == code, f"{done.stdout}\n{done.stderr}"
        return done

    return begin


@pytest.fixture
def stopped(env, run, tmp_path):
    """The connection file of a pool with its client, and the pid of its supervisor, which is to be stopped."""
    run("start", "-d", "-n", "2", code=0)
    path = str(tmp_path / "pxrun" / "default" / "connection.json")
    with pxrun.Client(path) as client:
        yield client, path, client._core.supervisor_pid


def silent(call):
    """What the call says of the supervisor."""
    with pytest.raises((TimeoutError, error.PoolError)) as caught:
        call()
    return str(caught.value)


def test_everything_that_asks_a_stopped_supervisor_says_so(stopped, run):
    client, path, pid = stopped
    other = [pxrun.Client(path) for _ in range(4)]
    calls = [
        lambda: silent(lambda: pxrun.Client(path)),
        lambda: silent(lambda: other[0].engines),
        lambda: silent(lambda: other[1].send_signal(signal.SIGCONT, 0)),
        # more memory than it has
        lambda: silent(lambda: other[2][0].apply_sync(len, bytes(8 << 20))),
        lambda: silent(lambda: other[3].wait_for_engines(2)),
        lambda: run("status", code=1).stderr,
        lambda: run("exec", "1", code=1).stderr,
    ]
    os.kill(pid, signal.SIGSTOP)
    try:
        with concurrent.futures.ThreadPoolExecutor(len(calls)) as threads:
            said = list(threads.map(lambda call: call(), calls))
        # what needs no supervisor goes on
        assert client[:].apply_sync(lambda: 42) == [42, 42]
    finally:
        os.kill(pid, signal.SIGCONT)
    for words in said:
        assert f"the pool's supervisor (process {pid}) has not answered for 10 s; it may be stopped: `kill -CONT {pid}`" in words
    # and goes on with it, when it goes on
    assert other[2][0].apply_sync(len, bytes(8 << 20)) == 8 << 20
    for one in other:
        one.close()


def test_client_with_a_timeout_waits_no_longer(stopped):
    client, path, pid = stopped
    os.kill(pid, signal.SIGSTOP)
    try:
        assert "has not answered for 0.25 s" in silent(lambda: pxrun.Client(path, timeout=0.25))
    finally:
        os.kill(pid, signal.SIGCONT)


def gone(pid):
    """Whether a process has ended, reaped or not."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def await_end(pids):
    for pid in pids:
        while not gone(pid):  # the limit of the test ends this
            pass


def test_stop_ends_a_pool_whose_supervisor_is_stopped(stopped, run, env, tmp_path):
    client, path, pid = stopped
    engines = [engine.pid for engine in client.engines.values()]
    os.kill(pid, signal.SIGSTOP)
    done = run("stop", "-t", "1", code=0)
    assert f"supervisor (process {pid}) did not answer, and was killed" in done.stderr
    await_end([pid, *engines])
    assert [left.name for left in (tmp_path / "pxrun" / "default").iterdir()] == ["log"]
    with pytest.raises(error.PoolError):
        client[0].apply_sync(abs, -1)


def test_cluster_ends_although_its_supervisor_is_stopped():
    cluster = pxrun.Cluster(n=1)
    client = cluster.start_and_connect_sync()
    pids = [client._core.supervisor_pid, client.engines[0].pid]
    os.kill(pids[0], signal.SIGSTOP)
    cluster.stop_cluster_sync(timeout=1)
    await_end(pids)


# --- pools that have ended, and engines that do not come back


def ended(client, words, call):
    """A call that says why the pool has ended."""
    with pytest.raises(error.PoolError, match=words):
        call(client)


CALLS = {
    "view of one": lambda client: client[0],
    "view of all": lambda client: client[:],
    "whatever is there": lambda client: client.direct_view("all").apply_sync(abs, -1),
    "status": lambda client: client.engines,
    "signal": lambda client: client.send_signal(signal.SIGCONT, 0),
}


@pytest.mark.parametrize("name", CALLS)
def test_calls_after_a_stop_say_that_the_pool_was_stopped(stopped, run, name):
    client = stopped[0]
    run("stop", code=0)
    ended(client, "the pool was stopped", CALLS[name])


@pytest.mark.parametrize("number, words", [(signal.SIGTERM, "the pool was stopped"), (signal.SIGKILL, "the pool's supervisor is gone")])
def test_views_after_the_end_say_how_it_ended(stopped, number, words):
    client, path, pid = stopped
    views = [client[0], client[:]]
    os.kill(pid, number)
    await_end([pid])
    for view in views:
        ended(view, words, lambda view: view.apply_sync(abs, -1))


def test_calls_meanwhile_say_that_the_pool_is_being_stopped(stopped, run, new_gate):
    client = stopped[0]
    view, gate = client[0], new_gate()
    client[0].execute(f"import atexit; atexit.register(lambda: open({gate.path!r}).read(1))", block=True)
    stop = threading.Thread(target=run, args=("stop",), kwargs={"code": 0})
    stop.start()
    while client.ids:
        pass
    for call in (lambda _: view.apply_sync(abs, -1), CALLS["view of all"], CALLS["signal"]):
        ended(client, "the pool is being stopped", call)
    gate.open()
    stop.join()


@pytest.mark.parametrize("end, words", [
    ("os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
    ("os.kill(os.getpid(), signal.SIGTERM)", "SIGTERM"),
    ("os._exit(3)", "exit code 3"),
])
def test_engine_that_does_not_come_back_says_later_how_it_died(end, words):
    with pxrun.Cluster(n=2, restart="never") as client:
        view, pid = client[0], client.engines[0].pid
        with pytest.raises(error.EngineError):
            view.execute(f"import os, signal; {end}", block=True)
        while 0 in client.ids:
            pass
        for call in (lambda: view.apply_sync(abs, -1), lambda: client[0], lambda: client[[0, 1]], lambda: view.scatter("a", [1])):
            with pytest.raises(error.EngineError, match=rf"no longer an engine 0: engine 0 \(process {pid}\) died: {words}; the live ones are 1"):
                call()


def test_ids_that_are_used_up_say_what_to_do(stopped):
    client = stopped[0]
    with pytest.raises(ValueError, match="an id is not used again; `pxrun stop` and `pxrun start` begin anew"):
        client._core.add(511)
