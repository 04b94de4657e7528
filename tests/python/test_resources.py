# SPDX-License-Identifier: BSD-3-Clause
"""What runs out, one test a resource: it ends in words that say what, where the limit is and what to do; the pool goes on.

Elsewhere: leases in test_held.py and tests/c/test_lease.c, ring chunks in tests/c/test_loop.c and test_held.py, places
of members and engine ids in tests/c/test_engine.c, malloc at each call in tests/faults/malloc.py.
"""
from __future__ import annotations

import contextlib
import gc
import os
import resource
import shutil
import subprocess
import sys
import tempfile

import pytest

import pxrun
from pxrun import error


def serves(pool):
    """The pool answers: all its engines, with arrays."""
    return pool[:].apply_sync(lambda data: len(data), bytes(100_000)) == [100_000] * len(pool)


def shell(limits, *command):
    """A command under ulimits; stdout and stderr in one text, and its exit code."""
    done = subprocess.run(["sh", "-c", f'{limits} && exec "$@"', "sh", *command], text=True, capture_output=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


@contextlib.contextmanager
def started(limits, *options):
    """A pool started by the command under ulimits."""
    profile = f"limits-{os.getpid()}"
    code, words = shell(limits, "pxrun", "start", "--daemonize", "--profile", profile, *options)
    assert code == 0, words
    try:
        with pxrun.Client(profile=profile) as client:
            yield client
    finally:
        subprocess.run(["pxrun", "stop", "--profile", profile], timeout=60, capture_output=True)


@contextlib.contextmanager
def few_descriptors(spare):
    """In this process so many descriptors are left."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    gc.collect()  # clients of other tests, which have some
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + spare, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# --- descriptors


def test_descriptors_of_supervisor():
    """Clients that the supervisor has no descriptor for are told that, not that there is no pool."""
    with started("ulimit -n 64", "-n", "1") as first:
        clients, words = [], ""
        try:
            for _ in range(100):
                clients.append(pxrun.Client(profile=first.profile, timeout=0))
        except error.PoolError as refused:
            words = str(refused)
        except OSError as refused:
            words = str(refused)
        assert "no descriptor left" in words and "limit is 64" in words and "ulimit" in words
        assert "no pool runs" not in words
        assert serves(first)
        clients.pop().close()
        for c in clients[:3]:
            c.close()
        with pxrun.Client(profile=first.profile, timeout=10) as again:
            assert serves(again)
        for c in clients:
            c.close()


@pytest.mark.parametrize("spare", [0, 1])  # it needs two: for the control socket and the segment
def test_descriptors_of_client(pool, spare):
    pool.ids  # noqa: B018  (what is imported when first used needs descriptors too)
    with few_descriptors(spare), pytest.raises((OSError, error.IPythonError)) as refused:
        pxrun.Client(pool.connection_file, timeout=0)
    assert "open files" in str(refused.value)
    assert serves(pool)


def test_descriptors_of_command():
    code, words = shell("ulimit -n 4", sys.executable, "-c", "import pxrun; pxrun.Cluster(n=1).start_cluster_sync()")
    assert code != 0 and "open files" in words


# --- memory


def test_arena():
    """Whoever fills it hears that; the others' small calls go on, and so does he when he lets go."""
    with pxrun.Cluster(n=2, arena="64M") as greedy, pxrun.Client(greedy.connection_file) as other:
        taken = []
        with pytest.raises(error.ArenaError, match="arena has .* MiB free.*raise arena"):
            while True:
                taken.append(pxrun.empty(1 << 18, client=greedy))
        assert len(taken) >= 16
        assert [other[:].apply_sync(abs, -i) for i in range(500)] == [[i, i] for i in range(500)]
        taken.clear()
        greedy.gc()
        assert serves(greedy) and serves(other)


def test_quota():
    """One client cannot take what others need."""
    with pxrun.Cluster(n=1, arena="256M", quota="32M") as greedy, pxrun.Client(greedy.connection_file) as other:
        taken = []
        with pytest.raises(error.ArenaError, match="quota"):
            while True:
                taken.append(pxrun.empty(1 << 18, client=greedy))
        assert len(taken) < 40
        assert pxrun.empty(1 << 20, client=other).size == 1 << 20
        assert serves(other)


def test_private_memory_of_engine():
    """An engine that may not have more memory raises MemoryError, as Python does, and serves on."""
    with started("ulimit -v unlimited", "-n", "1") as client:
        limit = "import resource; resource.setrlimit(resource.RLIMIT_DATA, (1 << 29, 1 << 29))"
        client[0].execute(limit, block=True)
        with pytest.raises(MemoryError):
            client[0].apply_sync(lambda: len(bytes(1 << 30)))
        assert serves(client)


HOARDER = """
import resource, sys
import pxrun

with pxrun.Client(sys.argv[1]) as rc:
    rc[0].apply_sync(bytes, 20_000)  # so that all is imported that a call needs,
    rc[0].apply_async(bytes, 20_000).get()  # and one that fails: the parser without memory calls it a SyntaxError
    used = int(open("/proc/self/statm").read().split()[5]) * 4096
    resource.setrlimit(resource.RLIMIT_DATA, (used + (32 << 20), resource.RLIM_INFINITY))
    kept = []
    try:
        while True:
            kept.append(rc[0].apply_sync(lambda i: i.to_bytes(2, "little") * 10_000, len(kept)))
    except MemoryError as e:
        failed = e
    resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert len(kept) > 1100  # more than there are leases
    assert all(data == i.to_bytes(2, "little") * 10_000 for i, data in enumerate(kept))
    kept.clear()
    print(type(failed).__name__, failed, rc[0].apply_sync(abs, -1))
"""


def test_private_memory_of_client(pool):
    """Results that it keeps are right until there is no memory, which is said; then it goes on."""
    done = subprocess.run([sys.executable, "-c", HOARDER, pool.connection_file], text=True, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] in ("MemoryError", "ArenaError") and done.stdout.endswith(" 1\n")
    assert serves(pool)


# --- processes and threads

STRANGER = 1_000_000 + os.getpid()  # root has no limit of processes, and nobody else is to have some of this user


@pytest.fixture
def as_stranger():
    """Runs a shell script as a user with few processes, in a runtime folder of his own; its exit code and output."""
    folder = tempfile.mkdtemp(prefix="pxt.", dir="/tmp")
    os.chown(folder, STRANGER, STRANGER)

    def run(script, processes=3):
        done = subprocess.run(["prlimit", f"--nproc={processes}", "sh", "-c", script], user=STRANGER, group=STRANGER, extra_groups=[], cwd="/",
                              text=True, capture_output=True, timeout=60, env=dict(os.environ, HOME="/", XDG_RUNTIME_DIR=folder))
        return done.returncode, done.stdout + done.stderr

    yield run
    shutil.rmtree(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
def test_processes(as_stranger):
    code, words = as_stranger("pxrun start --daemonize -n 8 --profile few")
    if "Permission denied" in words:
        pytest.skip("others may not read the build folder")
    assert code != 0 and "Resource temporarily unavailable" in words, words
    code, words = as_stranger("pxrun list")
    assert "running" not in words, words


THREADLESS = """
import resource, threading, time
import pxrun

with pxrun.Client("threads") as rc:
    one = rc[0]
    one.apply_sync(abs, -1)
    most = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    resource.setrlimit(resource.RLIMIT_NPROC, (1, most))
    try:
        rc.fileno()
    except (OSError, pxrun.error.IPythonError) as e:
        print("fileno:", e)
    try:
        one.apply_async(time.sleep, 1).add_done_callback(print)
    except (OSError, RuntimeError, pxrun.error.IPythonError) as e:
        print("callback:", e)
    print("calls go on:", one.apply_sync(abs, -3), one.apply_async(abs, -4).get(30))
    resource.setrlimit(resource.RLIMIT_NPROC, (most, most))
    called = threading.Event()
    one.apply_async(time.sleep, 0.1).add_done_callback(lambda ar: called.set())
    print("called later:", called.wait(30))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
def test_threads(as_stranger):
    """Where a thread cannot be made, what needs one says so, and what needs none goes on."""
    code, words = as_stranger("pxrun start --daemonize -n 1 --preload '' --profile threads && "
                              f"{sys.executable} -c '{THREADLESS}'; code=$?; pxrun stop --profile threads; exit $code", 60)
    if "Permission denied" in words:
        pytest.skip("others may not read the build folder")
    assert code == 0, words
    told = dict(line.split(": ", 1) for line in words.splitlines() if line.startswith(("fileno", "callback", "call")))
    assert "thread" in told["fileno"] and "thread" in told["callback"], words
    assert told["calls go on"] == "3 4" and told["called later"] == "True"


# --- addresses and shared memory


def test_address_space_of_client(pool):
    code, words = shell("ulimit -v 3000000", sys.executable, "-c", f"import pxrun; pxrun.Client({pool.connection_file!r})")
    assert code == 1 and "ulimit -v" in words.splitlines()[-1]
    code, words = shell("ulimit -v 3000000", "pxrun", "exec", "--profile", pool.profile, "1 + 1")
    assert code != 0 and "ulimit -v" in words and "Traceback" not in words
    assert serves(pool)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small /dev/shm")
@pytest.mark.parametrize("arena", ["4M", "256M"])
def test_dev_shm(arena):
    """One that is small, and full of other things, hinders nobody."""
    profile = f"shm-{os.getpid()}"
    run = ("mount -t tmpfs -o size=1M tmpfs /dev/shm || exit 77; head -c 1M /dev/zero > /dev/shm/full;"
           f"pxrun start --daemonize -n 2 --preload '' --arena {arena} --profile {profile} &&"
           f"pxrun exec --profile {profile} 'len(bytes(2_000_000))'; code=$?; pxrun stop --profile {profile}; exit $code")
    done = subprocess.run(["unshare", "-m", "sh", "-c", run], text=True, capture_output=True, timeout=60)
    if done.returncode == 77:
        pytest.skip("no mount namespaces here")
    assert done.returncode == 0 and done.stdout.count("2000000") == 2, done.stdout + done.stderr


# --- the log's disk


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_disk_of_log(tmp_path):
    """What has no room in the log is lost there; whoever asked for it hears it, and the pool goes on."""
    run = (f"mount -t tmpfs -o size=64k,mode=700 tmpfs {tmp_path} && export XDG_RUNTIME_DIR={tmp_path} || exit 77;"
           "pxrun start --daemonize -n 1 && pxrun exec \"print('x' * 100000)\" | wc -c &&"
           "pxrun exec '1 + 1'; code=$?; pxrun stop && exit $code")
    done = subprocess.run(["unshare", "-m", "sh", "-c", run], text=True, capture_output=True, timeout=60)
    if done.returncode == 77:
        pytest.skip("no mount namespaces here")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert int(lines[-2]) > 100_000 and lines[-1].endswith("2"), done.stdout


# --- an account


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody whom nobody knows")
def test_no_home_and_no_passwd_entry(tmp_path):
    """As in a container that is started with a number for a user."""
    pxrun_command = os.path.join(os.environ["PXRUN_BUILDDIR"], "bin", "pxrun")
    stranger = {"user": 12345, "group": 12345, "extra_groups": [], "cwd": "/",
                "env": {"PATH": "/usr/bin:/bin", "PYTHONPATH": os.environ["PYTHONPATH"]},
                "text": True, "capture_output": True, "timeout": 60}
    try:
        subprocess.run([pxrun_command, "--version"], check=True, **stranger)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("others may not read the build folder")
    profile = f"stranger-{os.getpid()}"
    done = subprocess.run([pxrun_command, "start", "--daemonize", "-n", "1", "--profile", profile], **stranger)
    assert done.returncode == 0, done.stderr
    try:
        done = subprocess.run([pxrun_command, "exec", "--profile", profile, "import os; os.getuid()"], **stranger)
        assert done.returncode == 0 and "12345" in done.stdout, done.stderr
    finally:
        subprocess.run([pxrun_command, "stop", "--profile", profile], check=True, **stranger)
