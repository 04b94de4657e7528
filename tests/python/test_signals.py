# SPDX-License-Identifier: BSD-3-Clause
"""Signals during every call that waits: it goes on, or ends with what the handler raised; processes that are stopped for a while."""
from __future__ import annotations

import os
import signal
import threading

import numpy
import pytest

import pxrun


class Raised(Exception):
    """What a handler raises."""


def slowly(x):
    import time

    time.sleep(0.03)
    return x


def slow_name(view):
    """A pull that waits behind something slow."""
    view.apply_async(slowly, 0)


DATA = numpy.arange(30_000)


def push(view):
    slow_name(view)
    view.push({"data": DATA}, block=True)
    return view.pull("data", block=True)[0].sum()


def scatter(view):
    slow_name(view)
    view.scatter("part", DATA, block=True)
    return view.gather("part", block=True).sum()


def wait(view):
    ar = view.apply_async(slowly, 3)
    ar.wait()
    return ar.get()


def wait_all(view):
    asked = [view.apply_async(slowly, i) for i in range(3)]
    view.client.wait(asked)
    return [ar.get()[0] for ar in asked]


def futures(view):
    from concurrent.futures import as_completed

    asked = [view.apply_async(slowly, i) for i in range(3)]
    return sorted(ar.get()[0] for ar in as_completed(asked))


def attach(view):
    with pxrun.Client(view.client.connection_file) as rc:
        return rc[0].apply_sync(slowly, 1)


def restart(view):
    view.client.restart(view.client.ids[-1])
    return view.client[-1].apply_sync(slowly, 2)


def full_ring(view):
    """More than a ring takes at once, to an engine that does not read."""
    view.apply_async(slowly, 0)
    asked = [view.apply_async(len, bytes(20_000)) for _ in range(300)]
    return {n for ar in asked for n in ar.get()}


#: Every call that waits, and what it returns with two engines.
CALLS = {
    "apply": (lambda view: view.apply_sync(slowly, 7), [7, 7]),
    "map": (lambda view: list(view.map_sync(slowly, range(4))), [0, 1, 2, 3]),
    "execute": (lambda view: view.execute("import time; time.sleep(0.03); a = 5", block=True) and view["a"], [5, 5]),
    "push": (push, DATA.sum()),
    "scatter": (scatter, DATA.sum()),
    "get": (lambda view: view.apply_async(slowly, 9).get(30), [9, 9]),
    "wait": (wait, [3, 3]),
    "wait_all": (wait_all, [0, 1, 2]),
    "futures": (futures, [0, 1, 2]),
    "attach": (attach, 1),
    "restart": (restart, 2),
    "full_ring": (full_ring, {20_000}),
}


@pytest.fixture(scope="module")
def two():
    with pxrun.Cluster(n=2, restart="always") as client:
        yield client[:]


@pytest.fixture(params=CALLS)
def call(request):
    return CALLS[request.param]


@pytest.fixture
def timer():
    """timer(handler, restart): SIGALRM each millisecond, until the test ends."""
    old = signal.getsignal(signal.SIGALRM)

    def begin(handler, restart=False):
        signal.signal(signal.SIGALRM, handler)
        signal.siginterrupt(signal.SIGALRM, not restart)
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)

    yield begin
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, old)


@pytest.mark.parametrize("restart", [False, True], ids=["interrupts", "restarts"])
def test_handler_that_returns(two, call, timer, restart):
    """PEP 475: the handler runs, the call goes on."""
    seen = []
    timer(lambda number, frame: seen.append(number), restart)
    value = call[0](two)
    signal.setitimer(signal.ITIMER_REAL, 0)
    assert value == call[1]
    assert seen


def test_handler_that_raises(two, call, timer):
    """The call ends with it; what follows is as ever."""

    def handler(number, frame):
        signal.setitimer(signal.ITIMER_REAL, 0)
        raise Raised

    timer(handler)
    with pytest.raises(Raised):
        while True:  # until it comes in the middle of one
            call[0](two)
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    assert call[0](two) == call[1]


def pids(view, who):
    import json

    state = json.loads(view.client.status())
    if who == "engine":
        return [e["pid"] for e in state["engines"] if e["pid"]]
    return [state["template"]["pid"] if who == "template" else state["pid"]]


@pytest.mark.parametrize("who", ["engine", "template", "supervisor"])
def test_stopped_for_a_while(two, call, who):
    """A process that does not run for a while makes a call late, not wrong."""
    stopped = pids(two, who)
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    timer = threading.Timer(0.05, lambda: [os.kill(pid, signal.SIGCONT) for pid in stopped])
    timer.start()
    try:
        assert call[0](two) == call[1]
    finally:
        timer.join()


def test_client_stopped_for_a_while(two, call):
    """By a child that it forked, which ends itself."""
    parent = os.getpid()
    child = os.fork()
    if not child:
        import time

        time.sleep(0.01)
        os.kill(parent, signal.SIGSTOP)
        time.sleep(0.05)
        os.kill(parent, signal.SIGCONT)
        os._exit(0)
    assert call[0](two) == call[1]
    os.waitpid(child, 0)
