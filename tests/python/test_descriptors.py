# SPDX-License-Identifier: BSD-3-Clause
"""Descriptors of pxrun that code of the user closes, and files of his that get their numbers."""
from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import stat
import subprocess
import sys
import textwrap

import numpy
import pytest

import pxrun
from pxrun import error


@pytest.fixture
def rc():
    with pxrun.Cluster(n=2) as client:
        yield client


def numbers():
    """The descriptors of this process from 3 on."""
    return [fd for fd in map(int, os.listdir("/proc/self/fd")) if fd > 2 and os.path.exists(f"/proc/self/fd/{fd}")]


def close_all_when(gate):
    exec(gate, {})
    os.closerange(3, 10**4)


def serves(view):
    """Waits until the engine's next process serves."""
    while True:
        try:
            return view.apply_sync(os.getpid)
        except error.EngineError:
            pass


def test_descriptors_of_engines_lie_high(rc):
    high = rc[0].apply_sync(numbers)
    assert high and all(200 <= fd < 1024 for fd in high)


def test_descriptors_of_clients_lie_high(rc):
    code = textwrap.dedent("""
        import os, sys, test_descriptors, threading, pxrun
        before = set(test_descriptors.numbers())
        rc = pxrun.Client(sys.argv[1])
        called = threading.Event()
        rc[:].apply_async(os.getpid).add_done_callback(lambda _: called.set())
        assert called.wait(20)  # or else the thread of callbacks may have a module open that it imports
        rc[:].apply_sync(os.getpid)
        own = set(test_descriptors.numbers()) - before
        assert own and all(200 <= fd < 1024 for fd in own), own
    """)
    done = in_client(rc, code)
    assert done.returncode == 0, done.stderr


def in_client(rc, code, *args):
    folder = os.path.dirname(__file__)
    return subprocess.run([sys.executable, "-c", code, rc.connection_file, *args], cwd=folder, timeout=100,
                          capture_output=True, text=True)


def test_engine_whose_descriptors_are_closed_says_so_and_comes_back(rc, new_gate):
    gate = new_gate()
    array = rc[1].apply_sync(numpy.arange, 10**6)
    pid, other = rc[:].apply_sync(os.getpid)
    closing, behind = rc[0].apply_async(close_all_when, gate.code()), rc[0].apply_async(os.getpid)
    gate.open()
    assert closing.get(60) is None, "nothing of it failed"
    with pytest.raises(error.EngineError, match=r"engine 0 .*exited with code 1\n.*closed descriptors of pxrun.*closerange"):
        behind.get(60)
    assert serves(rc[0]) != pid
    assert rc[1].apply_sync(os.getpid) == other
    assert (array == numpy.arange(10**6)).all()
    assert rc[:].apply_sync(numpy.sum, array) == [array.sum()] * 2


def test_engine_of_which_the_socket_is_closed_says_so(rc):
    def close_sockets():
        for fd in numbers():
            if stat.S_ISSOCK(os.fstat(fd).st_mode):
                os.close(fd)

    rc[0].apply_sync(close_sockets)
    # an engine that is idle sees it in its next nap, a busy one after a request
    with pytest.raises(error.EngineError, match="closed descriptors of pxrun.*closerange"):
        while True:
            rc[0].apply_sync(os.getpid)
    assert serves(rc[0])


def test_engine_does_not_use_files_that_have_its_numbers(rc, tmp_path):
    """What it maps, reads and writes is never a file of the user."""
    path = str(tmp_path / "own")

    def take_numbers(path):
        with open(path, "wb") as file:
            file.write(b"x" * (1 << 20))
        taken = [fd for fd in numbers() if stat.S_ISREG(os.fstat(fd).st_mode)]
        own = os.open(path, os.O_RDWR)
        for fd in taken:
            os.dup2(own, fd)
        print("to the log, perhaps")
        return len(taken)

    pid = rc[0].apply_sync(os.getpid)
    assert rc[0].apply_sync(take_numbers, path) > 1
    for f, args in [(numpy.sum, (numpy.ones(1 << 18),)), (numpy.ones, (1 << 18,))] * 10:
        try:
            assert numpy.sum(rc[0].apply_sync(f, *args)) == 1 << 18
        except pxrun.error.KernelError as refused:
            assert re.search("closed (pxrun's descriptor|descriptors of pxrun)", str(refused))
    while serves(rc[0]) == pid:
        pass
    with open(path, "rb") as file:
        assert file.read() == b"x" * (1 << 20)


def test_crash_after_closing_leaves_files_of_the_user_alone(rc, tmp_path):
    def crash(folder):
        os.closerange(3, 10**4)
        for i in range(50):
            os.open(f"{folder}/{i}", os.O_RDWR | os.O_CREAT)
        os.abort()

    with pytest.raises(error.EngineError, match="SIGABRT"):
        rc[0].apply_sync(crash, str(tmp_path))
    assert [entry.stat().st_size for entry in os.scandir(tmp_path)] == [0] * 50
    assert serves(rc[0])


def test_client_whose_descriptors_are_closed_says_so(rc, tmp_path):
    code = textwrap.dedent("""
        import os, sys, numpy, pxrun
        rc = pxrun.Client(sys.argv[1])
        array = rc[0].apply_sync(numpy.arange, 10**6)
        pending = rc[0].apply_async(numpy.arange, 10**6)
        os.closerange(3, 10**4)
        files = [open(f"{sys.argv[2]}/{i}", "w+") for i in range(50)]
        try:
            while True:
                assert (rc[0].apply_sync(numpy.arange, 10**6) == array).all()
        except pxrun.error.ClosedError as refused:
            print(refused)
        try:
            print(rc[0].apply_sync(abs, -1))
        except pxrun.error.ClosedError as refused:
            print(refused)
        rc.close()
        for file in files:
            file.write("mine")
            file.close()
        with pxrun.Client(sys.argv[1]) as again:
            print(again[0].apply_sync(abs, -7))
    """)
    done = in_client(rc, code, str(tmp_path))
    assert done.returncode == 0, done.stderr
    first, second, again = done.stdout.splitlines()
    assert "has closed" in first and "os.closerange()" in first
    assert "has closed" in second and "attach a new client" in second
    assert again == "7"
    assert [entry.stat().st_size for entry in os.scandir(tmp_path)] == [4] * 50
    assert rc[:].apply_sync(abs, -3) == [3, 3]


def test_client_asks_the_supervisor_after_closing(rc):
    code = textwrap.dedent("""
        import os, sys, pxrun
        rc = pxrun.Client(sys.argv[1])
        os.closerange(3, 10**4)
        own = os.open("/dev/null", os.O_RDWR)
        try:
            rc.restart(0)
        except pxrun.error.ClosedError as refused:
            print(refused)
    """)
    done = in_client(rc, code)
    assert done.returncode == 0, done.stderr
    assert "closed" in done.stdout and "os.closerange()" in done.stdout


# --- who can make the segment shorter: nobody who runs code of a user


def files(pid):
    """Of each descriptor of a regular file of a process: (device, inode, size), and whether it can write."""
    found = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):  # it may be the listing's
            file = os.stat(f"/proc/{pid}/fd/{fd}")
            with open(f"/proc/{pid}/fdinfo/{fd}") as info:
                flags = next(int(line.split()[1], 8) for line in info if line.startswith("flags:"))
            if stat.S_ISREG(file.st_mode):
                found.append(((file.st_dev, file.st_ino, file.st_size), flags & os.O_ACCMODE != os.O_RDONLY))
    return found


def truncate_all():
    """What a program may do to descriptors that it does not know."""
    for fd in numbers():
        with contextlib.suppress(OSError):
            os.ftruncate(fd, 0)


HOSTILE = """
import contextlib, os, threading
for fd in range(3, 1024):
    with contextlib.suppress(OSError):
        os.ftruncate(fd, 0)
if os.path.exists({thread!r}):
    threading.Thread(target=threading.Event().wait, daemon=True).start()
"""


@pytest.fixture(params=[True, False], ids=["forks", "execs"])
def hostile(request, tmp_path, monkeypatch):
    """A pool with a preloaded module that truncates whatever it can; if engines cannot be forked, in each engine."""
    thread = tmp_path / "thread"
    if not request.param:
        thread.touch()
    (tmp_path / "hostile.py").write_text(HOSTILE.format(thread=str(thread)))
    monkeypatch.syspath_prepend(str(tmp_path))
    with pxrun.Cluster(n=2, preload=["hostile"]) as client:
        client.forks = request.param
        yield client


def at_least(major, minor):
    return tuple(map(int, re.match(r"(\d+)\.(\d+)", platform.release()).groups())) >= (major, minor)


since_5_14 = pytest.mark.skipif(not at_least(5, 14), reason="members of a pool need a descriptor that can write")


@since_5_14
def test_only_the_supervisor_can_write_to_the_segment(hostile):
    pool = json.loads(hostile._core.status())
    assert pool["template"]["forks"] == hostile.forks
    segments = {file for file, can_write in files(pool["pid"]) if can_write and file[2] == pool["segment"]["bytes"]}
    assert len(segments) == 1
    for pid in [*hostile[:].apply_sync(os.getpid), os.getpid()]:
        assert [can_write for file, can_write in files(pid) if file in segments] == [False]
    if hostile.forks:
        assert not [file for file, _ in files(pool["template"]["pid"]) if file in segments]


@since_5_14
def test_truncating_all_descriptors_of_an_engine_harms_nobody(hostile):
    array = hostile[1].apply_sync(numpy.arange, 10**6)
    pids = hostile[:].apply_sync(os.getpid)
    hostile[0].apply_sync(truncate_all)
    hostile[1].push({"array": array}, block=True)
    assert hostile[:].apply_sync(numpy.sum, array) == [array.sum()] * 2
    assert (hostile[1]["array"] == numpy.arange(10**6)).all()
    assert hostile[:].apply_sync(os.getpid) == pids


@since_5_14
def test_truncating_all_descriptors_of_a_client_harms_nobody(rc):
    array = rc[1].apply_sync(numpy.arange, 10**6)
    code = textwrap.dedent("""
        import sys, numpy, pxrun, test_descriptors
        rc = pxrun.Client(sys.argv[1])
        array = rc[0].apply_sync(numpy.ones, 10**6)
        test_descriptors.truncate_all()
        print(rc[:].apply_sync(numpy.sum, array), int(rc[0].apply_sync(numpy.ones, 10**6).sum()))
    """)
    done = in_client(rc, code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == "1000000"
    assert (array == numpy.arange(10**6)).all()
    assert rc[:].apply_sync(numpy.sum, array) == [array.sum()] * 2


def test_stack_of_an_engine_that_crashes_after_truncating(hostile):
    def fall():
        truncate_all()
        os.abort()

    with pytest.raises(error.EngineError, match="in fall"):
        hostile[0].apply_sync(fall)
    assert serves(hostile[0])


STRANGER = """
import os, socket, sys
import pxrun

def peer(fd):
    try:
        return str(socket.socket(fileno=os.dup(fd)).getpeername())
    except OSError:
        return ""

# a process that has nothing to do with the pool, behind a socket of this one
listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
listener.bind(sys.argv[1])
listener.listen()
if not os.fork():
    listener.accept()
    os.read(0, 1)
    print("lives", flush=True)
    os._exit(0)
with pxrun.Cluster(n=1, preload="") as rc:
    ours = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.connect(sys.argv[1])
    control = [fd for fd in map(int, os.listdir("/proc/self/fd")) if "/pxrun/" in peer(fd)]
    os.dup2(ours.fileno(), control[0])
    try:
        rc._core.stop_pool(1)
    except pxrun.error.IPythonError as e:
        print(e, flush=True)
"""


def test_who_is_behind_a_socket_at_the_number_of_the_pools_is_not_killed(tmp_path):
    done = subprocess.Popen([sys.executable, "-c", STRANGER, str(tmp_path / "socket")], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    words = done.stdout.readline()
    assert "has closed pxrun's descriptor" in words, words + done.stderr.read()
    done.stdin.write("x")
    done.stdin.close()
    assert done.stdout.readline() == "lives\n"
    done.wait(60)
