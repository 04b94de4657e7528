# SPDX-License-Identifier: BSD-3-Clause
"""Starting, finding and stopping pools from Python."""
import asyncio
import gc
import os
import select
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
        assert cluster.start_and_connect_sync().ids == cluster.start_and_connect_sync().ids == [0]
        cluster.stop_cluster_sync()
        cluster.stop_cluster_sync()


@pytest.mark.parametrize("profile", [None, "closed-and-back"])
def test_clients_come_and_go_and_the_pool_goes_on(profile):
    cluster = Cluster(n=1, profile=profile)
    cluster.start_cluster_sync()
    try:
        first, second = cluster.connect_client_sync(), cluster.connect_client_sync()
        assert first is not second and first.cluster is second.cluster is cluster
        first[0].push({"a": 5}, block=True)
        first.close()
        assert "closed" in repr(first) and second[0]["a"] == 5
        second.close()
        assert cluster.start_engines_sync(1) == [1] and cluster.is_running()
        again = cluster.connect_client_sync()
        assert again[0]["a"] == 5 and again.ids == [0, 1]
        name = again.profile
    finally:
        cluster.stop_cluster_sync()
    assert not cluster.is_running() and "closed" in repr(again)
    with pytest.raises(pxrun.NoPoolError):
        pxrun.Client(profile=name, timeout=0)


def ended(supervisor):
    """Waits for the end of a pool's supervisor, which is no child."""
    try:
        descriptor = os.pidfd_open(supervisor)
    except ProcessLookupError:
        return True
    found = select.select([descriptor], [], [], 20)[0]
    os.close(descriptor)
    return bool(found)


def test_private_pool_ends_with_the_last_that_refers_to_its_cluster():
    client = Cluster(n=1).start_and_connect_sync()
    view, supervisor = client[0], client.supervisor_pid
    del client
    gc.collect()
    assert view.apply_sync(abs, -1) == 1
    del view
    gc.collect()
    assert ended(supervisor)


def test_pool_without_engines_gets_them_later():
    async def main():
        cluster = Cluster(n=2)
        await cluster.start_controller()
        with pytest.raises(RuntimeError, match="runs already"):
            await cluster.start_controller()
        rc = await cluster.connect_client()
        assert rc.ids == []
        with pytest.raises(pxrun.NoEnginesRegistered):
            rc[:]
        waiting = rc.wait_for_engines(4, block=False)
        assert await cluster.start_engines(n=4) == [0, 1, 2, 3]
        waiting.result(20)
        assert await rc[:].apply_async(abs, -1) == [1] * 4
        await cluster.stop_engines([1, 2])
        assert rc.ids == [0, 3]
        await cluster.stop_controller()
        with pytest.raises(RuntimeError, match="closed"):
            rc.ids  # noqa: B018

    asyncio.run(main())


def test_start_after_the_controller_starts_the_engines(monkeypatch):
    monkeypatch.setenv("PXRUN_ENGINES", "3")
    for cluster in (Cluster(), Cluster(n=3)):
        cluster.start_controller_sync()
        try:
            assert cluster.start_cluster_sync().connect_client_sync().ids == [0, 1, 2]
            assert cluster.start_and_connect_sync().ids == [0, 1, 2]
        finally:
            cluster.stop_cluster_sync()


def test_pool_of_a_profile_is_stopped_at_exit_if_it_is_asked_for():
    code = "import pxrun; print(pxrun.Cluster(1, cluster_id='until-exit', shutdown_atexit={}).start_and_connect_sync().supervisor_pid)"
    for flag in (True, False):
        done = subprocess.run([sys.executable, "-c", code.format(flag)], stdout=subprocess.PIPE, text=True, check=True)
        if not flag:
            Cluster.from_file(cluster_id="until-exit").stop_cluster_sync()
        assert ended(int(done.stdout))
    with pytest.raises(ValueError, match="needs a name"):
        Cluster(1, shutdown_atexit=False)


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
            assert rc.ids == (await cluster.connect_client()).ids == [0]
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
    assert done.returncode == -signal.SIGKILL and ended(int(done.stdout))


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
