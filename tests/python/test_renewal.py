# SPDX-License-Identifier: BSD-3-Clause
"""What a profile says of each engine: startup, niceness, and when it is renewed."""
from __future__ import annotations

import collections
import concurrent.futures
import math
import os
import signal
import time

import pytest

import pxrun
from command import ENGINE, USAGE, own_command, wait_until


@pytest.fixture
def command(monkeypatch):
    with own_command() as command:
        monkeypatch.setenv("XDG_RUNTIME_DIR", command.env["XDG_RUNTIME_DIR"])
        yield command


def start(command, *options, n=1):
    command("start", "-d", "-n", str(n), "--preload", "", *options)
    return pxrun.Client()


# --- startup


def test_startup_is_run_in_each_engine_and_again_when_it_restarts(command):
    command.profile("startup: |\n  import math\n  pi = math.pi\n  print('begun')\n")
    with start(command, n=2) as client:
        assert client[:].pull("pi", block=True) == [math.pi] * 2
        os.kill(client[0].apply_sync(os.getpid), signal.SIGKILL)
        wait_until(lambda: command.status()["engines"][0]["restarts"] == 1)
        result = client[0].execute("assert pi > 3")
        result.get(30)
        assert result.stdout == ""  # what startup prints is nobody's
    wait_until(lambda: command("log").stdout.count("begun") == 3)


@pytest.mark.parametrize("name", ["code.py", "has no ending"])
def test_startup_of_a_file(command, name):
    path = command.folder / name
    path.write_text("x = __name__\n")
    command.profile(f"startup: {path}\n")
    with start(command) as client:
        assert client[0]["x"] == "__main__"


@pytest.mark.parametrize("code, words", [
    ("1 / 0", "startup: ZeroDivisionError: division by zero"),
    ("x = (", "startup: SyntaxError: '(' was never closed"),
    ("import sys; sys.exit(3)", "startup: SystemExit: 3"),
    ("/nosuch/file.py", "startup: FileNotFoundError: "),
])
def test_startup_that_fails_is_said(command, code, words):
    error = command("start", "-d", "-n", "1", "--startup", code, code=ENGINE).stderr
    assert words in error


def test_startup_that_fails_later_is_no_endless_loop(command):
    flag = command.folder / "flag"
    flag.touch()
    with start(command, "--startup", f"open({str(flag)!r})") as client:
        flag.unlink()
        os.kill(client[0].apply_sync(os.getpid), signal.SIGKILL)
        wait_until(lambda: not client.ids, 30)
        with pytest.raises(Exception, match="FileNotFoundError"):
            client[0].apply_sync(int)


def test_startup_may_print_more_than_a_pipe_holds(command):
    with start(command, "--startup", "print('x' * 1000000)\ny = 1") as client:
        assert client[0]["y"] == 1


def test_startup_of_a_relative_file_in_a_profile(command):
    command.profile("engines: 1\nstartup: code.py\n")
    error = command("start", "-d", code=USAGE).stderr
    assert "default.yaml:2:10: startup must be Python code, or the absolute path of a file" in error


def test_startup_of_the_profile_is_left_out_by_an_empty_one(command):
    command.profile("startup: 1 / 0\n")
    with start(command, "--startup", "") as client:
        assert client.ids == [0]


# --- niceness


def test_niceness_is_added(command):
    with start(command, "--niceness", "7") as client:
        assert client[0].apply_sync(os.nice, 0) == min(os.nice(0) + 7, 19)


@pytest.mark.parametrize("option, value", [
    ("--niceness", "20"), ("--niceness", "-1"), ("--max-tasks", "0"), ("--max-tasks", "many"), ("--max-memory", "12"), ("--max-memory", ""),
])
def test_wrong_values(command, option, value):
    assert f"{option} must be " in command("start", "-d", f"{option}={value}", code=USAGE).stderr


# --- renewal


def test_max_tasks_renews_between_requests(command):
    with start(command, "--max-tasks", "3", "--startup", "x = 1") as client:
        seen = [client[0].apply_sync(os.getpid) for _ in range(40)]
        counts = [seen.count(pid) for pid in dict.fromkeys(seen)]
        assert len(counts) > 1 and min(counts[:-1]) >= 3  # a request that is sent before it is seen to be due is still run
        assert client[0]["x"] == 1
    assert command.status()["engines"][0]["restarts"] == 0  # it has not failed


def test_max_tasks_loses_nothing_that_waits(command):
    with start(command, "--max-tasks", "5") as client:
        results = [client[0].apply_async(pow, i, 2) for i in range(200)]
        assert [result.get(60) for result in results] == [i * i for i in range(200)]


def test_max_tasks_loses_nothing_of_several_clients(command):
    def work(_):
        with pxrun.Client() as client:
            return [client[0].apply_sync(pow, i, 2) for i in range(150)]

    with start(command, "--max-tasks", "40"), concurrent.futures.ThreadPoolExecutor() as threads:
        assert list(threads.map(work, range(4))) == [[i * i for i in range(150)]] * 4
    assert "is renewed" in command("log").stdout


@pytest.mark.parametrize("depth", [1, 8])
def test_max_tasks_renews_under_steady_load(command, depth):
    def work(seconds):
        import os
        import time
        time.sleep(seconds)
        return os.getpid()

    with start(command, "--max-tasks", "100") as client:
        waiting, seen = collections.deque(), []
        while len(set(seen)) < 4 and len(seen) < 5000:
            waiting.append(client[0].apply_async(work, 0.001))
            if len(waiting) >= depth:
                seen.append(waiting.popleft().get(60))
        assert len(set(seen)) == 4
        assert all(result.get(60) for result in waiting)
        assert min(seen.count(pid) for pid in list(dict.fromkeys(seen))[:-1]) >= 100


def test_max_tasks_gives_others_their_turns_before_a_long_queue_is_done(command):
    with start(command, "--max-tasks", "1") as client, pxrun.Client() as other:
        queue = [client[0].apply_async(time.sleep, 0.01) for _ in range(300)]
        for _ in range(3):
            other[0].apply_sync(int)
        assert not queue[-1].ready()
        for result in queue:
            result.get(60)


def test_max_tasks_loses_no_task(command):
    with start(command, "--max-tasks", "10", n=2) as client:
        squares = client.load_balanced_view().map(lambda i: i * i, range(100), chunksize=1)
        assert squares.get(100) == [i * i for i in range(100)]


def test_max_memory_renews_who_has_more(command):
    with start(command, "--max-memory", "200M") as client:
        client[0].execute("kept = bytearray(1)", block=True)
        first = client[0].apply_sync(os.getpid)
        assert client[0].apply_sync(os.getpid) == first
        client[0].execute("kept = bytearray(b'x') * (300 << 20)", block=True)
        wait_until(lambda: client[0].apply_sync(os.getpid) != first)


def test_max_memory_renews_who_had_more(command):
    """Once it was said that the engine is to be renewed, it ends, though it has become smaller by then."""
    with start(command, "--max-memory", "200M") as client:
        first = client[0].apply_sync(os.getpid)
        code = "import threading; kept = [bytearray(b'x') * (300 << 20)]; threading.Timer(0.02, kept.clear).start()"
        client[0].execute(code, block=True)
        time.sleep(0.3)  # else a call that comes before the end is served by the first one
        assert client[0].apply(os.getpid).get(10) != first
