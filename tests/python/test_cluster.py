# SPDX-License-Identifier: BSD-3-Clause
"""Starting, finding and stopping pools from Python."""
import asyncio
import os
import signal
import subprocess
import sys

import pytest

import pxrun
from pxrun import Cluster


def test_with_yields_a_client_and_stops_the_pool():
    cluster = Cluster(n=2)
    with cluster as rc:
        assert rc.ids == [0, 1] and rc.cluster is cluster
        pids = rc[:].apply_sync(os.getpid)
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    with pytest.raises(RuntimeError, match="not started"):
        cluster.connect_client_sync()


def test_stop_is_idempotent_and_a_cluster_can_start_again():
    cluster = Cluster(n=1)
    cluster.stop_cluster_sync()
    for _ in range(2):
        assert cluster.start_and_connect_sync() is cluster.start_and_connect_sync()
        cluster.stop_cluster_sync()
        cluster.stop_cluster_sync()


def test_connect_and_stop_after_the_client_was_closed():
    cluster = Cluster(n=1, profile="closed-and-back")
    cluster.start_cluster_sync()
    try:
        first = cluster.connect_client_sync()
        first[0].push({"a": 5}, block=True)
        first.close()
        assert "closed" in repr(first)
        again = cluster.connect_client_sync()
        assert again[0]["a"] == 5 and again.cluster is cluster
        again.close()
    finally:
        cluster.stop_cluster_sync()
    with pytest.raises(pxrun.NoPoolError):
        pxrun.Client(profile="closed-and-back", timeout=0)


def test_start_and_connect_takes_n():
    cluster = Cluster(n=3)
    try:
        assert len(cluster.start_and_connect_sync(n=1)) == 1 and cluster.n == 1
    finally:
        cluster.stop_cluster_sync()


def test_engines_are_added_stopped_restarted_signalled():
    with Cluster(n=1) as rc:
        cluster = rc.cluster
        assert cluster.start_engines_sync(1) == [1] and cluster.start_engines_sync() == [2]
        cluster.stop_engines_sync([1])
        assert rc.ids == [0, 2]
        rc[:].push({"a": 1}, block=True)
        before = rc[:].apply_sync(os.getpid)
        cluster.restart_engines_sync()
        after = rc[:].apply_sync(os.getpid)
        assert rc.ids == [0, 2] and not set(before) & set(after)
        assert rc[:].apply_sync(lambda: "a" in globals()) == [False, False]
        running = rc[0].apply_async(__import__("time").sleep, 60)
        while not running.running():
            running.wait(0.001)
        cluster.signal_engines_sync(signal.SIGINT, 0)
        with pytest.raises(pxrun.RemoteError):
            running.get(10)


def test_asyncio():
    async def main():
        async with Cluster(n=1) as rc:
            cluster = rc.cluster
            assert await cluster.start_engines(1) == [1]
            assert await rc[:].apply_async(abs, -1) == [1, 1]
            await cluster.restart_engines([1])
            await cluster.signal_engines("SIGINT")
            await cluster.stop_engines(1)
            assert rc.ids == [0] and await cluster.connect_client() is rc
        return cluster

    cluster = asyncio.run(main())
    with pytest.raises(RuntimeError):
        cluster.to_dict()
    assert Cluster.start_cluster.__name__ == "start_cluster"


def test_from_file_and_from_dict_find_a_pool_that_runs():
    with Cluster(n=2, profile="found-again") as rc:
        rc[0].push({"a": 5}, block=True)
        for again in (Cluster.from_file(profile="found-again"), Cluster.from_file(rc.connection_file), Cluster.from_dict(rc.cluster.to_dict())):
            assert again.n == 2 and again.connect_client_sync()[0]["a"] == 5
            again.connect_client_sync().close()
    with pytest.raises(FileNotFoundError):
        Cluster.from_file(profile="found-again")


def test_pool_of_a_profile_is_stopped_by_another_process():
    with Cluster(n=1, profile="stopped-elsewhere") as rc:
        code = "import pxrun; pxrun.Cluster.from_file(profile='stopped-elsewhere').stop_cluster_sync()"
        subprocess.run([sys.executable, "-c", code], check=True)
        with pytest.raises((pxrun.error.PoolError, pxrun.EngineError)):
            rc[0].apply_sync(os.getpid)
        rc.close()


def test_private_pool_ends_with_its_process_however_that_ends():
    code = "import os, pxrun; rc = pxrun.Cluster(n=1).start_and_connect_sync(); print(rc.supervisor_pid, flush=True); os.kill(os.getpid(), 9)"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    supervisor = int(done.stdout)
    assert done.returncode == -signal.SIGKILL
    try:
        descriptor = os.pidfd_open(supervisor)
    except ProcessLookupError:
        return
    import select

    assert select.select([descriptor], [], [], 20)[0]
    os.close(descriptor)


@pytest.mark.parametrize("arena", ["1X", "much", ""])
def test_sizes_that_are_none(arena):
    with pytest.raises(ValueError, match=f"arena must be a size such as 512M, 4G or 50% .*, not '{arena}'"):
        Cluster(n=1, arena=arena)


def test_options_reach_the_pool():
    with Cluster(n=1, arena="64M", restart="never", event_loop="epoll", preload=["json"]) as rc:
        import json

        state = json.loads(rc.status())
        assert state["arena"]["total"] == 64 << 20 and state["restart"] == "never" and state["event_loop"] == "epoll"
        assert rc[0].apply_sync(eval, "'json' in __import__('sys').modules") is True


def test_engines_run_in_this_interpreter_folder_and_path(tmp_path, monkeypatch):
    (tmp_path / "beside.py").write_text("value = 7")
    monkeypatch.chdir(tmp_path)
    with Cluster(n=1) as rc:
        assert rc[0].apply_sync(os.getcwd) == str(tmp_path)
        assert rc[0].apply_sync(eval, "__import__('beside').value") == 7
        assert rc[0].apply_sync(eval, "__import__('sys').prefix") == sys.prefix
