# SPDX-License-Identifier: BSD-3-Clause
"""The files of a pool that lives are deleted, as cleaners of /tmp do: the verbs agree that it runs, and it has them back."""
from __future__ import annotations

import os
import pathlib
import shutil
import signal
import subprocess
import threading
import time

import pytest

import pxrun
from command import EXISTS, FAILED, NO_POOL, OK, Command, gone, own_command, wait_until

FILES = ("lock", "control", "connection.json")


class World(Command):
    def __init__(self, folder):
        super().__init__(folder)
        self.home = self.runtime / "pxrun" / "default"

    def start(self):
        """The pid of a new pool's supervisor."""
        self("start", "--daemonize", "-n", "1", "--preload", "")
        return self.pools()[0]["pid"]

    def whole(self):
        return all((self.home / name).exists() for name in FILES)

    def delete(self, what):
        path = self.runtime / what
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


@pytest.fixture
def world():
    with own_command(World) as world:
        yield world


WHAT = [*(f"pxrun/default/{name}" for name in FILES), "pxrun/default", "pxrun", "."]


@pytest.mark.parametrize("what", WHAT)
def test_verbs_agree_and_files_come_back(world, what):
    pid = world.start()
    with pxrun.Client(str(world.home / "connection.json")) as client:
        client[0]["a"] = 1
        world.delete(what)
        assert [pool["pid"] for pool in world.pools()] == [pid]
        assert world.status()["pid"] == pid
        assert world("exec", "a").stdout == "[0] Out[1]: 1\n"
        wait_until(world.whole)
        assert f"process {pid}" in world("start", "-d", code=EXISTS).stderr
        assert client[0]["a"] == 1
    started = world.pools()[0]
    assert (started["state"], started["pid"], started["engines"]) == ("running", pid, 1)
    world("stop")
    wait_until(lambda: gone(pid))
    assert not set(world.left()) - {"log"}


def test_those_of_a_private_pool_come_back_too():
    with pxrun.Cluster(n=1, preload=[]) as rc:
        home = pathlib.Path(rc.connection_file).parent
        for _ in range(2):  # once before it is watched
            shutil.rmtree(home)
            wait_until(lambda: all((home / name).exists() for name in FILES))
        wait_until(lambda: (home / "log").exists() and "put back" in (home / "log").read_text())
    wait_until(lambda: not home.exists())


@pytest.mark.parametrize("what", WHAT)
def test_stopped_supervisor_is_found_by_its_process(world, what):
    pid = world.start()
    os.kill(pid, signal.SIGSTOP)
    world.delete(what)
    world.runtime.mkdir(mode=0o700, exist_ok=True)
    for _ in range(2):
        assert [pool["pid"] for pool in world.pools()] == [pid]
        assert f"process {pid}" in world("start", "-d", code=EXISTS).stderr
    assert f"(process {pid}) did not answer, and was killed" in world("stop", "-t", "1").stderr
    wait_until(lambda: gone(pid))
    assert world.pools() == []
    world("stop", code=NO_POOL)
    world.start()


def test_deleted_and_goes_on_again(world):
    pid = world.start()
    os.kill(pid, signal.SIGSTOP)
    world.delete("pxrun")
    assert world.pools()[0]["state"] == "no-files"
    said = world("status", code=FAILED).stderr
    assert "was deleted" in said and f"kill -CONT {pid}" in said and "pxrun stop --force" in said
    waits = world.begin("exec", "6 * 7")
    with pytest.raises(subprocess.TimeoutExpired):
        waits.wait(0.5)
    os.kill(pid, signal.SIGCONT)
    assert waits.communicate(timeout=20)[0] == "[0] Out[1]: 42\n" and waits.returncode == OK
    assert world.pools()[0]["state"] == "running"


@pytest.mark.parametrize("options", [(), ("--all",)])
def test_force_ends_a_pool_at_once(world, options):
    pid = world.start()
    engine = world.status()["engines"][0]["pid"]
    os.kill(pid, signal.SIGSTOP)
    assert world("stop", "--force", *options).stderr == ""
    wait_until(lambda: gone(pid) and gone(engine))
    assert world.left() == ["log"]
    world("stop", "-f", *options, code=NO_POOL)


def test_force_ends_one_without_files(world):
    pid = world.start()
    os.kill(pid, signal.SIGSTOP)
    world.delete("pxrun")
    world("stop", "--force")
    wait_until(lambda: gone(pid))
    assert world.pools() == [] and world.left() == []


def test_one_pool_of_many_starts_and_deletions(world):
    """Whoever starts while files are deleted again and again is refused: the first pool stays the only one."""
    pid = world.start()
    over = threading.Event()

    def delete():
        while not over.is_set():
            shutil.rmtree(world.home, ignore_errors=True)
            time.sleep(0.005)

    cleaner = threading.Thread(target=delete)
    cleaner.start()
    try:
        for _ in range(15):
            starts = [world.begin("start", "-d", "-n", "1", "--preload", "") for _ in range(2)]
            for start in starts:
                said = start.communicate(timeout=30)[1]
                # or its folder was deleted as it was made
                assert start.returncode in (EXISTS, FAILED), said
            world("list")
    finally:
        over.set()
        cleaner.join()
    wait_until(world.whole)
    assert [pool["pid"] for pool in world.pools()] == [pid]


def test_killed_while_files_are_put_back(world):
    """At some moment of it: what is left never stops the next start."""
    for i in range(8):
        pid = world.start()
        world.delete("pxrun/default")
        time.sleep(0.046 + i * 0.002)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda pid=pid: gone(pid))
        world("status", code=NO_POOL)
    world.start()
    world("stop")
