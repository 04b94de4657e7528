# SPDX-License-Identifier: BSD-3-Clause
"""A supervisor that is stopped: nothing waits for it without limit, and the pool can be ended."""
from __future__ import annotations

import concurrent.futures
import os
import signal
import subprocess

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
    other = [pxrun.Client(path) for _ in range(7)]
    calls = [
        lambda: silent(lambda: pxrun.Client(path)),
        lambda: silent(lambda: other[0].engines),
        lambda: silent(lambda: other[1].send_signal(signal.SIGCONT, 0)),
        lambda: silent(lambda: other[2].shutdown([1], restart=True)),
        lambda: silent(lambda: other[3].shutdown([1])),
        lambda: silent(lambda: other[4]._core.add(1)),
        # more memory than it has
        lambda: silent(lambda: other[5][0].apply_sync(len, bytes(8 << 20))),
        lambda: silent(lambda: other[6].wait_for_engines(2)),
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
    assert other[5][0].apply_sync(len, bytes(8 << 20)) == 8 << 20
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
    assert not (tmp_path / "pxrun" / "default").exists()
    with pytest.raises(error.PoolError):
        client[0].apply_sync(abs, -1)


def test_cluster_ends_although_its_supervisor_is_stopped():
    cluster = pxrun.Cluster(n=1)
    client = cluster.start_and_connect_sync()
    pids = [client._core.supervisor_pid, client.engines[0].pid]
    os.kill(pids[0], signal.SIGSTOP)
    cluster.stop_cluster_sync(timeout=1)
    await_end(pids)
