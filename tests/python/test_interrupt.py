# SPDX-License-Identifier: BSD-3-Clause
"""Ctrl-C: in blocking calls of scripts and prompts it stops what they began, and nothing else."""
import os
import signal
import subprocess
import sys
import threading
import time

import numpy
import pytest

import pxrun
from pxrun import AsyncMapResult, AsyncResult, Client, TaskAborted, _pxrun
from pxrun.wire import calls

SCRIPT = """
import os, sys, pxrun
rc = pxrun.Client(sys.argv[1])
view, one = rc[:2], rc[0]
view.block = one.block = True

def endless(x=None):
    import os, time
    global ended_by
    os.write(os.open({started!r}, os.O_RDWR), b"x")
    try:
        time.sleep(600)
    except BaseException as e:
        ended_by = type(e).__name__
        raise

def deaf(x=None):
    import os, time
    os.write(os.open({started!r}, os.O_RDWR), b"x")
    while not os.path.exists({end!r}):
        try:
            time.sleep(600)
        except KeyboardInterrupt:
            os.write(os.open({started!r}, os.O_RDWR), b"x")

{call}
print("went on")
"""

CALLS = {
    "apply to one": "one.apply_sync(endless)",
    "apply to several": "view.apply_sync(endless)",
    "map": "view.map_sync(endless, range(2))",
    "execute": "view.push({'endless': endless}); view.execute('endless()')",
    "remote function": "view.remote(block=True)(endless)()",
    "pull": "view.push({'endless': endless}); view['endless()']",
    "gather": "view.push({'endless': endless}); view.gather('endless()')",
    "executor.map": "list(view.executor.map(endless, range(2)))",
    "imap": "list(rc.load_balanced_view([0, 1]).imap(endless, range(2)))",
    "with a timeout": "view.set_flags(timeout=600).apply(endless)",
}


class Script:
    """A script that is a client of a pool, up to where its function runs on engines."""

    def __init__(self, rc, folder, call, engines):
        self.started, self.end = str(folder / "started"), str(folder / "end")
        os.mkfifo(self.started)
        self.fd = os.open(self.started, os.O_RDWR)
        path = folder / "script.py"
        path.write_text(SCRIPT.format(started=self.started, end=self.end, call=call))
        command = [sys.executable, path, rc.connection_file]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.wait_for_engines(engines)
        self.wait_until_it_sleeps()

    def wait_for_engines(self, count):
        for _ in range(count):
            os.read(self.fd, 1)

    def wait_until_it_sleeps(self):
        while b"State:\tS" not in open(f"/proc/{self.process.pid}/status", "rb").read():
            time.sleep(0.001)

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)

    def finish(self):
        out, err = self.process.communicate(timeout=60)
        os.close(self.fd)
        return out, err


@pytest.fixture
def script(pool, tmp_path):
    scripts = []

    def begin(call, engines=2):
        scripts.append(Script(pool, tmp_path, call, engines))
        return scripts[-1]

    yield begin
    for one in scripts:
        open(one.end, "w").close()
        one.process.kill()
        one.process.wait()
        pool.send_signal(signal.SIGINT)


@pytest.mark.parametrize("name", CALLS)
def test_interrupted_script_ends_as_scripts_do_and_its_requests_with_it(pool, script, name):
    engines = 1 if name == "apply to one" else 2
    run = script(CALLS[name], engines)
    run.interrupt()
    out, err = run.finish()
    assert run.process.returncode == -signal.SIGINT
    assert "went on" not in out and err.rstrip().endswith("KeyboardInterrupt")
    assert "script.py" in err and err.count("Traceback") == 1
    assert pool[:engines]["ended_by"] == ["KeyboardInterrupt"] * engines


def test_requests_of_other_clients_go_on(pool, script, new_gate):
    gate = new_gate()
    others = pool[0].execute(gate.code() + "\nmine = 1", block=False)
    while not others.running():
        assert not others.ready()
    run = script("view.apply_sync(endless)", 1)  # on engine 1; it waits for engine 0
    run.interrupt()
    run.finish()
    assert run.process.returncode == -signal.SIGINT and not others.ready()
    gate.open()
    others.get(10)
    assert pool[0]["mine"] == 1 and pool[0]["'ended_by' in globals()"] is False
    assert pool[1]["ended_by"] == "KeyboardInterrupt"


def test_second_interrupt_does_not_wait_for_engines(pool, script):
    run = script("import pxrun.client.cancel; pxrun.client.cancel.MOMENT = 600\none.apply_sync(deaf)", 1)
    run.interrupt()
    run.wait_for_engines(1)  # it was interrupted, and does not listen
    run.interrupt()
    out, err = run.finish()
    assert run.process.returncode == -signal.SIGINT and "went on" not in out
    assert err.rstrip().endswith("KeyboardInterrupt")


def test_what_does_not_listen_is_not_waited_for_long(pool, script):
    run = script("one.apply_sync(deaf)", 1)
    run.interrupt()
    run.finish()
    assert run.process.returncode == -signal.SIGINT


def test_result_that_is_waited_for_goes_on(pool, script):
    run = script("ar = one.apply_async(endless)\ntry:\n    ar.get()\nexcept KeyboardInterrupt:\n    print(ar.ready())", 1)
    run.interrupt()
    out, _ = run.finish()
    assert out == "False\nwent on\n"


def interrupt_soon():
    """Once the main thread waits, which is known of no event."""
    timer = threading.Timer(0.2, signal.raise_signal, [signal.SIGINT])
    timer.start()
    return timer


def test_interrupted_call_leaves_a_usable_view(pool):
    timer = interrupt_soon()
    with pytest.raises(KeyboardInterrupt):
        pool[:].apply_sync(time.sleep, 60)
    timer.join()
    assert pool[:].apply_sync(abs, -1) == [1] * 4
    assert pool.outstanding == set()


def test_call_that_waits_behind_another_is_taken_back(pool, hold):
    gate = hold(0)
    with Client(pool.connection_file) as client:
        timer = interrupt_soon()
        with pytest.raises(KeyboardInterrupt):
            client[0].execute("ran = 1", block=True)
        timer.join()
        gone = client.get_result(-1) if client.outstanding else None
    assert gone is None
    gate.open()
    assert pool[0]["'ran' in globals()"] is False


@pytest.mark.parametrize("targets", [0, [0]])
def test_as_upstream_the_AsyncResult_is_returned(pool, new_gate, targets):
    gate = new_gate()
    pool[0].execute(f"def wait(): return open({gate.path!r}).read(1)", block=True)
    view = pool.direct_view(targets, signal_on_interrupt=False)
    timer = interrupt_soon()
    ar = view.apply_sync(pxrun.Reference("wait"))
    timer.join()
    assert isinstance(ar, AsyncResult) and not ar.ready()
    gate.open()
    assert ar.get(10) in ("x", ["x"])


@pytest.mark.parametrize("method", ["map", "gather"])
def test_as_upstream_map_and_gather_return_their_results(pool, new_gate, method):
    gate, numbers = new_gate(), list(range(100_000))
    with Client(pool.connection_file) as client:
        client.signal_on_interrupt = False
        view = client[:2]
        view.scatter("part", numpy.array(numbers), block=True)
        held = pool[0].execute(gate.code(), block=False)
        timer = interrupt_soon()
        ar = view.map(abs, numbers, block=True) if method == "map" else view.gather("part", block=True)
        timer.join()
        assert isinstance(ar, AsyncMapResult) and not ar.ready()
        gate.open()
        held.get(10)
        assert list(ar.get(10)) == numbers


def test_map_of_what_cannot_be_sent_takes_back_its_other_parts(pool, hold):
    hold(0)
    with pytest.raises(TypeError):
        pool[:2].map_async(abs, [1, threading.Lock()])
    with Client(pool.connection_file) as client:
        with pytest.raises(TypeError, match="cannot be sent"):
            client[:2].map_async(abs, [1, threading.Lock()])
        assert client.wait(timeout=10) is True


def test_interrupted_result_says_so(pool):
    ar = pool[0].apply_async(time.sleep, 60)
    while not ar.running():
        pass
    ar._interrupt()
    with pytest.raises(TaskAborted, match="interrupted here by Ctrl-C"):
        ar.get(10)


def test_signal_while_a_call_is_sent_takes_it_back(rc):
    def raises(number, frame):
        raise KeyboardInterrupt

    def endless(large):
        import time

        time.sleep(600)

    body, buffers = calls.dumps(endless, (bytes(200 << 20),), {}, True)
    before = signal.signal(signal.SIGALRM, raises)
    try:
        with pytest.raises(KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, 0.002)  # to copy so much takes longer
            rc._core.submit(_pxrun.APPLY, 0, [0], body, buffers)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert rc[0].apply_async(abs, -1).get(30) == 1
