# SPDX-License-Identifier: BSD-3-Clause
"""Deaths of engines, clients and supervisors: what the others see, and what is left."""
from __future__ import annotations

import ctypes
import json
import mmap
import os
import random
import signal
import subprocess
import sys
import textwrap
import time

import pytest

import pxrun


def wait_for(condition, seconds=10.0):
    """Waits until condition() is true, by polling, since there is no event for it."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        os.sched_yield()


def alive(pid):
    """Whether the process runs; a zombie does not."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def rc():
    with pxrun.Cluster(n=2) as client:
        yield client


def pids(rc):
    return rc[:].apply_sync(os.getpid)


def running(pid):
    """Waits until the engine computes: its processor time grows."""

    def ticks():
        with open(f"/proc/{pid}/stat") as stat:
            return int(stat.read().rsplit(")", 1)[1].split()[11])

    start = ticks()
    wait_for(lambda: ticks() > start + 2)


def spin():
    while True:
        pass


def test_engine_killed_while_running_says_who_and_how(rc):
    pid, other = pids(rc)
    ar = rc[0].apply_async(spin)
    queued = rc[0].apply_async(os.getpid)
    running(pid)
    killed = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(pxrun.EngineError) as caught:
        ar.get(10)
    assert time.monotonic() - killed < 1  # 100 ms on an idle machine; make bench has the figure
    words = str(caught.value)
    assert "engine 0" in words and str(pid) in words and "SIGKILL" in words
    assert "memory" not in words, "nobody ran out of memory"
    with pytest.raises(pxrun.EngineError):
        queued.get(10)
    assert rc[1].apply_sync(os.getpid) == other
    assert rc.ids == [0, 1]
    assert rc[0].apply_sync(os.getpid) not in (pid, other)


def test_engine_killed_while_asleep_comes_back(rc):
    pid = pids(rc)[0]
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not alive(pid))
    # The pool may not have noticed yet: the call gets an error, or the new engine's answer.
    for _ in range(2):
        try:
            assert rc[0].apply_sync(os.getpid) != pid
            break
        except pxrun.EngineError as error:
            assert str(pid) in str(error)


def test_engine_exit_code_is_told(rc):
    with pytest.raises(pxrun.EngineError, match="exited with code 7"):
        rc[0].apply_sync(os._exit, 7)


def test_segfault_shows_python_stack(rc):
    def outer():
        def fall():
            ctypes.string_at(0)

        fall()

    rc[:].execute("import ctypes", block=True)
    with pytest.raises(pxrun.EngineError) as caught:
        rc[0].apply_sync(outer)
    words = str(caught.value)
    assert "in fall" in words and "in outer" in words and "Extens" not in words
    # a sanitizer's runtime takes the signal, and exits
    assert "SIGSEGV" in words or os.environ.get("PXRUN_SANITIZE_PRELOAD")


def test_bus_error_of_a_file_of_the_user_shows_python_stack(rc, tmp_path):
    def read_beyond(path):
        with open(path, "w+b") as file:
            file.truncate(mmap.PAGESIZE)
            view = mmap.mmap(file.fileno(), mmap.PAGESIZE)
            file.truncate(0)
            return view[0]

    pid, other = pids(rc)
    with pytest.raises(pxrun.EngineError) as caught:
        rc[0].apply_sync(read_beyond, str(tmp_path / "own"))
    words = str(caught.value)
    assert "in read_beyond" in words and str(pid) in words
    assert "SIGBUS" in words or os.environ.get("PXRUN_SANITIZE_PRELOAD")
    assert rc[1].apply_sync(os.getpid) == other
    assert rc[0].apply_sync(os.getpid) not in (pid, other)


def test_list_of_targets_names_the_dead_one_only(rc):
    victim = pids(rc)[1]
    with pytest.raises(pxrun.CompositeError) as caught:
        rc[:].apply_sync(lambda pid: os.getpid() == pid and os.kill(pid, 9), victim)
    assert [e[0] for e in caught.value.elist] == ["EngineError"]


def test_gil_held_in_c_is_alive(rc):
    rc[:].execute("import ctypes", block=True)
    seconds = 60 if os.environ.get("PXRUN_SOAK") == "yes" else 3
    # PyDLL does not release the GIL
    ar = rc[0].apply_async(lambda s: ctypes.PyDLL(None).sleep(s), seconds)
    assert ar.get(seconds + 30) == 0


def test_sigstop_is_not_death(rc):
    pid = pids(rc)[0]
    os.kill(pid, signal.SIGSTOP)
    ar = rc[0].apply_async(os.getpid)
    assert not ar.wait(0.3)
    os.kill(pid, signal.SIGCONT)
    assert ar.get(10) == pid


def test_sigint_interrupts_the_request_and_the_engine_lives(rc):
    pid = pids(rc)[0]
    ar = rc[0].apply_async(spin)
    running(pid)
    os.kill(pid, signal.SIGINT)
    with pytest.raises(pxrun.RemoteError, match="KeyboardInterrupt"):
        ar.get(10)
    assert rc[0].apply_sync(os.getpid) == pid
    os.kill(pid, signal.SIGINT)  # idle: nothing to interrupt
    assert rc[0].apply_sync(os.getpid) == pid


def test_sigint_of_an_idle_engine_after_await_hits_no_later_request(rc):
    pid = pids(rc)[0]
    rc[0].execute("import asyncio; await asyncio.sleep(0)", block=True)  # sets handlers of its own for a while
    for _ in range(3):
        os.kill(pid, signal.SIGINT)
        os.kill(pid, signal.SIGINT)
        assert rc[0].apply_sync(os.getpid) == pid


def test_sigint_handler_of_user_code_is_called_while_a_request_runs(rc):
    pid = pids(rc)[0]
    rc[0].execute("import signal, time; signal.signal(signal.SIGINT, lambda *_: seen.append(1)); seen = []", block=True)
    assert rc[0].apply_sync(os.getpid) == pid  # it has been idle
    ar = rc[0].execute("while not seen: time.sleep(0.01)")
    while not ar.running():
        assert not ar.ready()
    os.kill(pid, signal.SIGINT)
    ar.get(10)


def clean_up_when_ended(path):
    import time

    try:
        with open(path, "w"):
            time.sleep(100)
    finally:
        os.unlink(path)


def test_sigterm_lets_the_request_clean_up_and_is_told(rc, tmp_path):
    pid, path = pids(rc)[0], str(tmp_path / "busy")
    rc[0].execute("import os", block=True)
    ar, queued = rc[0].apply_async(clean_up_when_ended, path), rc[0].apply_async(os.getpid)
    wait_for(lambda: os.path.exists(path))
    os.kill(pid, signal.SIGTERM)
    for each in (ar, queued):
        with pytest.raises(pxrun.EngineError, match=rf"engine 0 \(process {pid}\) was killed by SIGTERM"):
            each.get(10)
    assert not os.path.exists(path)
    assert rc[0].apply_sync(os.getpid) != pid


def test_sigterm_of_an_idle_engine_is_a_death(rc):
    pid = pids(rc)[0]
    rc.send_signal(signal.SIGTERM, 0)
    wait_for(lambda: not alive(pid))
    wait_for(lambda: rc.engines[0].restarts == 1 and rc.engines[0].state == "up")
    assert rc[0].apply_sync(os.getpid) != pid


def test_stopped_engine_says_so_to_the_request_that_runs(rc, tmp_path):
    path = str(tmp_path / "busy")
    rc[0].execute("import os", block=True)
    ar = rc[0].apply_async(clean_up_when_ended, path)
    wait_for(lambda: os.path.exists(path))
    rc.restart(0)
    with pytest.raises(pxrun.EngineError, match="was stopped"):
        ar.get(10)


def test_signal_handlers_of_user_code_are_called_while_the_engine_is_idle(rc, tmp_path):
    pid, path = pids(rc)[0], tmp_path / "seen"
    rc[0].execute(f"import signal; signal.signal(signal.SIGUSR1, lambda *_: open({str(path)!r}, 'w').close())", block=True)
    os.kill(pid, signal.SIGUSR1)
    wait_for(path.exists)
    rc[0].execute("import sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))", block=True)
    os.kill(pid, signal.SIGTERM)
    wait_for(lambda: "exit code 5" in pool_log(rc))


def test_child_of_an_engine_dies_of_sigterm(rc):
    def end_a_child():
        import multiprocessing
        import signal

        child = multiprocessing.get_context("fork").Process(target=signal.pause)
        child.start()
        child.terminate()
        child.join()
        return child.exitcode

    assert rc[0].apply_sync(end_a_child) == -signal.SIGTERM


def pool_log(rc):
    with open(os.path.join(rc._core.folder, "log")) as log:
        return log.read()


def test_log_says_whose_each_line_is(rc):
    rc[0].execute("print('one'); print('two', end='')", block=True)
    rc[1].execute("import sys; print('three', file=sys.stderr)", block=True)
    with pytest.raises(pxrun.EngineError):
        rc[1].execute("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", block=True)
    rc.wait_for_engines()
    log = pool_log(rc)
    for line in ("Z engine 0: one\n", "Z engine 0: two\n", "Z engine 1: three\n", "Z engine 1: Fatal Python error: Segmentation fault\n"):
        assert line in log


def test_log_keeps_the_newest(rc):
    folder, most = rc._core.folder, 128 << 20
    os.truncate(os.path.join(folder, "log"), most)
    rc[0].execute("for i in range(10_000): print('x' * 90, i)", block=True)
    rc[0].execute("print('newest')", block=True)
    assert pool_log(rc).endswith("Z engine 0: newest\n")
    assert os.path.getsize(os.path.join(folder, "log")) < 2 << 20
    assert os.path.getsize(os.path.join(folder, "log.1")) > most


def run_client(code, rc, **kwargs):
    env = dict(os.environ, PXRUN_CONNECTION=rc.connection_file)
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], env=env, stdout=subprocess.PIPE, text=True, **kwargs)


def status(rc):
    return json.loads(rc.status())


def test_client_killed_with_requests_queued(rc):
    pid = pids(rc)[0]
    client = run_client(
        """
        import time, pxrun
        view = pxrun.Client()[0]
        view.push({'mine': bytes(3_000_000)}, block=True)
        view.execute('del mine', block=True)
        for i in range(100):
            view.apply_async(time.sleep, 0.2)
        print('queued', flush=True)
        time.sleep(100)
        """,
        rc,
    )
    assert client.stdout.readline() == "queued\n"
    client.kill()
    client.wait()
    begin = time.monotonic()
    assert rc[0].apply_sync(os.getpid) == pid
    assert time.monotonic() - begin < 5, "a dead client's requests are still worked through"
    wait_for(lambda: status(rc)["arena"]["lingering"] == 0)


def test_supervisor_killed_ends_every_call():
    with pxrun.Cluster(n=2) as rc:
        engines = pids(rc)
        ar = rc[:].apply_async(time.sleep, 100)
        os.kill(rc.supervisor_pid, signal.SIGKILL)
        with pytest.raises((pxrun.error.PoolError, pxrun.CompositeError)) as caught:
            ar.get(10)
        assert str(caught.value)
        wait_for(lambda: not any(map(alive, engines)))
        with pytest.raises((pxrun.error.PoolError, pxrun.EngineError)):
            rc[0].apply_sync(os.getpid)


def test_arena_full_is_memory_error_and_the_pool_goes_on():
    with pxrun.Cluster(n=2, arena="32M") as rc:
        view = rc[:]
        with pytest.raises(MemoryError) as caught:
            view.push({"big": bytes(100 << 20)}, block=True)
        words = str(caught.value)
        assert "MiB" in words and "arena" in words
        view.push({"small": bytes(4 << 20)}, block=True)
        assert view.apply_sync(lambda: len(small)) == [4 << 20] * 2  # noqa: F821
        with pytest.raises(MemoryError):
            rc[0].apply_sync(bytes, 100 << 20)
        assert view.apply_sync(len, "abc") == [3, 3]


def test_memory_that_idle_engines_keep_warm_goes_to_who_needs_it():
    with pxrun.Cluster(n=2, arena="64M") as rc:
        for _ in range(3):
            # the engines' arrays become the client's, and go back to engines that have nothing more to do
            assert [len(a) for a in rc[:].apply_sync(bytearray, 20 << 20)] == [20 << 20] * 2
            assert rc[:].apply_sync(len, bytearray(30 << 20)) == [30 << 20] * 2
            rc.gc()


def test_client_in_a_forked_child_is_refused(rc):
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            rc[0].apply_sync(os.getpid)
            os.write(write, b"answered")
        except Exception as error:
            os.write(write, str(error).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert b"after a fork" in os.read(read, 1000)
    assert pids(rc)


def test_engine_that_forks_goes_on(rc):
    def forks():
        import os

        child = os.fork()
        if child == 0:
            os._exit(3)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    assert rc[:].apply_sync(forks) == [3, 3]


def test_what_engines_left_behind_ends_with_the_pool():
    detached = "import subprocess; pid = subprocess.Popen(['sleep', '1000'], start_new_session=True).pid"
    daemon = "pid = int(subprocess.check_output('setsid sh -c \"sleep 1000 >/dev/null & echo \\$!\"', shell=True))"
    with pxrun.Cluster(n=1) as rc:
        left = []
        for code in detached, daemon:
            rc[0].execute(code, block=True)
            left.append(rc[0]["pid"])
        assert all(os.path.exists(f"/proc/{pid}") for pid in left)
    assert not any(os.path.exists(f"/proc/{pid}") for pid in left)


def test_randoms_differ_between_engines(rc):
    a, b = rc[:].apply_sync(random.random)
    assert a != b


def test_many_deaths_leave_no_slot(rc):
    for _ in range(6):  # after each death the next start waits twice as long
        with pytest.raises(pxrun.EngineError):
            rc[0].apply_sync(os.kill, rc[0].apply_sync(os.getpid), signal.SIGKILL)
        assert rc[0].apply_sync(len, "ab") == 2
    wait_for(lambda: status(rc)["arena"]["lingering"] == 0)
    assert len(status(rc)["engines"]) == 2
