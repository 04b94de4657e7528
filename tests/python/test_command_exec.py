# SPDX-License-Identifier: BSD-3-Clause
"""`pxrun exec`: what it prints, whose request it ends, and how it ends itself."""
import os
import signal
import subprocess
import time

import pytest

from command import ENGINE, FAILED, LIMIT, NO_POOL, own_command, wait_until
from pxrun import Client


@pytest.fixture
def pool():
    with own_command() as command:
        command("start", "--daemonize", "-n", "2")
        yield command


def test_exec_prints_by_engine(pool):
    done = pool("exec", "import sys\nprint('a\\nb')\nprint('c', end='', file=sys.stderr)\n'value'")
    assert done.stdout == "".join(
        f"[stdout:{i}] a\n[stdout:{i}] b\n[{i}] Out[1]: 'value'\n" for i in range(2))
    assert done.stderr == "[stderr:0] c\n[stderr:1] c\n"


def test_exec_keeps_namespace(pool):
    assert pool("exec", "-t", "1", "a = 5").stdout == ""
    assert pool("exec", "-t", "1", "a + 1").stdout == "[1] Out[2]: 6\n"
    done = pool("exec", "a", code=FAILED)
    assert done.stdout == "[1] Out[3]: 5\n"
    assert "[0:execute]:\n" in done.stderr and "NameError" in done.stderr


def test_exec_reads_standard_input(pool):
    done = pool("exec", "-t", "0", "-", input="x = 20\nx + 1\n")
    assert done.stdout == "[0] Out[1]: 21\n"
    assert "NUL" in pool("exec", "-", input="a\0b", code=FAILED).stderr


def test_exec_syntax_error(pool):
    assert "SyntaxError" in pool("exec", "-t", "0", "1 +", code=FAILED).stderr


def test_exec_no_such_engine(pool):
    done = pool("exec", "-t", "7", "1", code=ENGINE)
    assert "there is no engine 7; the live ones are 0, 1" in done.stderr


def test_exec_engine_dies(pool):
    done = pool("exec", "-t", "0", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
                code=ENGINE)
    assert "engine 0" in done.stderr and "SIGKILL" in done.stderr
    assert pool("exec", "1").stdout == "[0] Out[1]: 1\n[1] Out[1]: 1\n"


def test_exec_streams(pool):
    code = "import time\nprint('first')\ntime.sleep(30)"
    run = pool.begin("exec", "-t", "0", code)
    begin = time.monotonic()
    assert run.stdout.readline() == "[stdout:0] first\n"
    assert time.monotonic() - begin < 10
    run.send_signal(signal.SIGINT)
    assert run.wait(LIMIT) == FAILED
    assert "KeyboardInterrupt" in run.stderr.read()
    assert pool("exec", "-t", "0", "1").stdout.endswith(": 1\n")


def test_exec_pool_killed(pool):
    run = pool.begin("exec", "import time; print('on'); time.sleep(30)")
    assert run.stdout.readline() == "[stdout:0] on\n"
    os.kill(pool.status()["pid"], signal.SIGKILL)
    assert run.wait(10) == NO_POOL
    assert "supervisor is gone" in run.stderr.read()


# --- its end ---


def behind_another(pool, client):
    """Code of another client that runs on engine 0, until the gate is opened."""
    gate = os.path.join(pool.folder, "gate")
    os.mkfifo(gate)
    ar = client[0].execute(f"open({gate!r}).read(); survived = True", block=False)
    wait_until(lambda: pool.status()["engines"][0]["busy"] is not None)
    return gate, ar


def attached(pool):
    return Client(str(pool.runtime / "pxrun" / "default" / "connection.json"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_exec_ended_while_it_waits_behind_another(pool, number):
    """Its own request is taken back; that of the other client goes on."""
    with attached(pool) as client:
        gate, ar = behind_another(pool, client)
        run = pool.begin("exec", "-t", "0,1", "print('on', flush=True); import time; time.sleep(1000)")
        wait_until(lambda: pool.status()["engines"][1]["busy"] is not None)
        run.send_signal(number)
        assert run.wait(LIMIT) in (FAILED, ENGINE, 128 + number)
        assert not ar.ready()
        with open(gate, "w"):
            pass
        ar.get(LIMIT)
        assert client[0]["survived"] is True
        assert client[:].apply_sync(abs, -1) == [1, 1]  # neither engine is busy with what was stopped


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE])
def test_exec_ended_ends_its_code(pool, number):
    run = pool.begin("exec", "-t", "0", "import time; print('on', flush=True); time.sleep(1000)")
    run.stdout.readline()
    run.send_signal(number)
    assert run.wait(LIMIT) == 128 + number
    wait_until(lambda: pool.status()["engines"][0]["busy"] is None)


def test_exec_interrupted_while_its_engine_is_started(pool):
    """The template does nothing, so the engine that was killed does not come back."""
    state = pool.status()
    template = state["template"]["pid"]
    os.kill(template, signal.SIGSTOP)
    try:
        os.kill(state["engines"][0]["pid"], signal.SIGKILL)
        wait_until(lambda: pool.status()["engines"][0]["state"] == "starting")
        run = pool.begin("exec", "-t", "0", "pass")
        wait_until(lambda: run.pid in [client["pid"] for client in pool.status()["clients"]])
        run.send_signal(signal.SIGINT)
        assert run.wait(LIMIT) in (128 + signal.SIGINT, -signal.SIGINT)  # the latter before it catches signals
    finally:
        os.kill(template, signal.SIGCONT)


def test_exec_whose_reader_is_gone(pool):
    """As in `pxrun exec … | head -1`."""
    run = pool.begin("exec", "-t", "0", "while True: print('x' * 1000)")
    run.stdout.readline()
    run.stdout.close()
    assert run.wait(LIMIT) == 128 + signal.SIGPIPE
    wait_until(lambda: pool.status()["engines"][0]["busy"] is None)
    assert run.stderr.read() == ""


def test_exec_whose_reader_is_gone_when_the_code_is_done(pool):
    run = pool.begin("exec", "-t", "0", "import time; time.sleep(0.2); 1")
    run.stdout.close()
    assert run.wait(LIMIT) == 128 + signal.SIGPIPE and run.stderr.read() == ""


def test_exec_onto_a_full_disk_says_no_other_error(pool):
    """Than that of the write that failed, which is not the last one."""
    with open("/dev/full", "w") as full:
        done = subprocess.run(["pxrun", "exec", "-t", "0", "print('x' * 100000, flush=True)\nimport time; time.sleep(0.2)"],
                              env=pool.env, stdout=full, stderr=subprocess.PIPE, text=True, timeout=LIMIT)
    assert done.returncode != 0 and done.stderr == "pxrun: writing to standard output: No space left on device\n"


@pytest.mark.parametrize("argument, code, words", [("", 0, ""), ("0", 0, ""), ("None", 0, ""), ("7", 7, ""), ("'bad luck'", 1, "bad luck\n")])
def test_exec_of_sys_exit(pool, argument, code, words):
    assert pool("exec", f"import sys; sys.exit({argument})", code=code).stderr in (words, words * 2)


def test_exec_shows_equal_tracebacks_once(pool):
    words = pool("exec", "1 / 0", code=FAILED).stderr
    assert words.count("Traceback") == 1
    assert "[1:execute]: as on engine 0: ZeroDivisionError: division by zero\n" in words
    assert "[1:execute]: as on engine 0: KeyError\n" in pool("exec", "raise KeyError", code=FAILED).stderr
