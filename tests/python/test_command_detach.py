# SPDX-License-Identifier: BSD-3-Clause
"""`pxrun exec --detach`: the command returns at once, and what it began goes on."""
import os
import signal

import pytest

from command import ENGINE, NO_POOL, USAGE, gone, own_command, wait_until


@pytest.fixture
def pxrun():
    with own_command() as run:
        run("start", "-n", "2", "-d")
        yield run


def begin(pxrun, *arguments):
    """The process that sees to the code."""
    return int(pxrun("exec", "--detach", *arguments).stdout.split()[1])


def log(pxrun):
    return pxrun("log").stdout


def test_what_it_prints_and_how_it_ends_is_in_the_log(pxrun):
    pid = begin(pxrun, "-t", "0", "import time; time.sleep(0.3); print('printed'); 6 * 7")
    assert "printed" not in log(pxrun)
    wait_until(lambda: f"exec {pid}: [0] Out[1]: 42\n" in log(pxrun))
    assert log(pxrun).count("printed") == 1 and "engine 0: printed\n" in log(pxrun)
    wait_until(lambda: gone(pid))


def test_an_exception_is_in_the_log(pxrun):
    pid = begin(pxrun, "-t", "1", "1/0")
    wait_until(lambda: f"exec {pid}: ZeroDivisionError: division by zero\n" in log(pxrun))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_its_end_is_that_of_the_code(pxrun, number):
    pid = begin(pxrun, "-t", "0", "import time; time.sleep(1000)")
    wait_until(lambda: pxrun.status()["engines"][0]["busy"] is not None)
    os.kill(pid, number)
    wait_until(lambda: gone(pid))
    if number == signal.SIGKILL:  # which nobody can catch
        pxrun("interrupt", "0")
    wait_until(lambda: pxrun.status()["engines"][0]["busy"] is None)


def test_what_cannot_be_begun_is_said_at_once(pxrun):
    assert "there is no engine 7" in pxrun("exec", "-d", "-t", "7", "1", code=ENGINE).stderr
    assert "no code" in pxrun("exec", "-d", code=USAGE).stderr
    pxrun("stop")
    assert "no pool runs" in pxrun("exec", "-d", "1", code=NO_POOL).stderr


def test_the_pool_may_be_stopped(pxrun):
    pid = begin(pxrun, "import time; time.sleep(1000)")
    pxrun("stop")
    wait_until(lambda: gone(pid))


def test_many_wait_their_turn(pxrun):
    pids = [begin(pxrun, "-t", "0", f"n = globals().get('n', 0) + {i}; n") for i in range(20)]
    wait_until(lambda: all(map(gone, pids)))
    assert pxrun("exec", "-t", "0", "n").stdout.endswith(f" {sum(range(20))}\n")
