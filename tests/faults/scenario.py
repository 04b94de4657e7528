# SPDX-License-Identifier: BSD-3-Clause
"""A short run of a client, in every step of which some process may be killed.

``scenario.py PROFILE``. Each call must end: with the right result, or with one of
pxrun's errors. Anything else (a wrong value, another exception, a hang that the
driver sees) is a failure. Exit code 0: all steps ended as they should.
"""
from __future__ import annotations

import contextlib
import faulthandler
import functools
import os
import signal
import subprocess
import sys

import pxrun
from pxrun._pxrun import EABORTED, EENGINE, EPOOL
from pxrun.wire import pickling
from pxrun.wire.calls import dumps as calls_dumps

GONE = (EENGINE, EPOOL)
#: An engine that was started again between a push and what uses it does not know the name.
DEATHS = {"EngineError", "PoolError", "NameError"}


def tolerate(step, *args):
    """Runs a step; an error that says that a process died is accepted like a result."""
    try:
        return step(*args)
    except (pxrun.error.EngineError, pxrun.error.CompositeError, pxrun.error.PoolError) as error:
        if isinstance(error, pxrun.error.CompositeError):
            assert {e[0] for e in error.elist} <= DEATHS, error
        assert str(error), "an error without words"
        return None


def calls(view):
    for i in range(40):
        assert view.apply_sync(lambda x: x + 1, i) == [i + 1] * len(view)


def queued(view):
    pending = [view.apply_async(len, "x" * i) for i in range(150)]
    for i, ar in enumerate(pending):
        assert ar.get(30) == [i] * len(view)


def buffers(view):
    # bytes travel out of band in regions, without numpy to wait for
    for size in (70_000, 300_000, 3_000_000):
        data = bytes(size)
        view.push({"data": data}, block=True)
        assert view.apply_sync(lambda: len(data)) == [size] * len(view)
        assert view.pull("data", block=True) == [data] * len(view)


def tasks(view):
    # any engine may take them, and another one what a dead one had; more than the board of a tiny build holds
    post = view.client._core.post
    call = calls_dumps(abs, (-7,), {}, False)[0]
    result = post([call] * 60, None, None, 9)
    back = [result.abort(i) for i in range(40, 60, 3)]
    assert result.wait(30), "tasks hang"
    for i in range(60):
        code, body, _ = result.reply(i)
        aborted = i >= 40 and (i - 40) % 3 == 0 and back[(i - 40) // 3]
        assert code == (EABORTED if aborted else 0) or code in GONE, (i, code, body)
        assert code or pickling.loads(body) == 7


def prints(view):
    ar = view.apply_async(lambda: print("x" * 20000))
    ar.get(30)
    assert all(out == "x" * 20000 + "\n" for out in ar.stdout)


def dropped(view):
    for _ in range(20):
        view.apply_async(bytes, 100_000)


def overtaking(view):
    # what waits is aborted, what is urgent goes first, what runs is interrupted
    busy = view.execute("import time; time.sleep(3)", block=False)
    behind = [view.apply_async(abs, i) for i in range(20)]
    view.abort(behind[::2])
    urgent = view.clear(block=False)
    busy.cancel()
    for ar in (busy, urgent, *behind):
        assert ar.wait(30)


def died(view):
    # one that falls while others wait behind it, and comes back
    one = view.client[0]
    falls = one.apply_async(lambda: __import__("os").kill(__import__("os").getpid(), 9))
    behind = one.apply_async(abs, -1)
    assert isinstance(falls.exception(30), (pxrun.error.EngineError, pxrun.error.PoolError))
    # if it was killed before, this one may have gone to its next process
    assert isinstance(behind.exception(30), (pxrun.error.EngineError, pxrun.error.PoolError, type(None)))
    assert one.apply_sync(abs, -2) == 2


def held(view):
    # more than there are leases that last: their buffers are held until they are asked for
    pending = [view.apply_async(bytes, 100_000 + i) for i in range(40)]
    for ar in pending:
        assert ar.wait(30)
    for i, ar in enumerate(pending):
        assert ar.get(30) == [bytes(100_000 + i)] * len(view)


def filled(view):
    # the arena is full of this client's memory: small calls go on
    kept = []
    try:
        while True:
            kept.append(view.client._core.region(1_000_000))
    except pxrun.error.ArenaError:
        assert len(kept) > 10, len(kept)
    for i in range(20):
        assert view.apply_sync(abs, -i) == [i] * len(view)


def signalled(view):
    # a timer that fires in the middle of everything
    fired = []
    signal.signal(signal.SIGALRM, lambda *_: fired.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        calls(view)
        buffers(view)
        while not fired:
            calls(view)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def native(view, profile):
    # a program of its own: it is a client as well, and may be the one that is killed
    build = os.environ["PXRUN_BUILDDIR"]
    command = [f"{build}/tests/faults/native_work", profile, f"{build}/tests/c/.libs/native_kernels.so"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == -signal.SIGKILL:
        os.kill(os.getpid(), signal.SIGKILL)
    assert done.returncode == 0, done.stderr


def returned(view):
    # the memory that was kept for the next arrays goes back to the pool
    view.client.gc()


def deleted(view, profile):
    # as a cleaner of /tmp does: the supervisor puts them back, unless it is killed
    folder = os.path.join(os.environ["XDG_RUNTIME_DIR"], "pxrun", profile)
    names = ("lock", "control", "connection.json")
    for name in names:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(folder, name))
    while not all(os.path.exists(os.path.join(folder, name)) for name in names):
        view.apply_sync(abs, -1)


def main(profile):
    faulthandler.enable()
    client = tolerate(pxrun.Client, profile)
    if client is None:
        return
    meet = functools.partial(native, profile=profile)
    clean = functools.partial(deleted, profile=profile)
    for step in (calls, queued, tasks, buffers, clean, meet, prints, overtaking, signalled, died, held, filled, returned, dropped, calls):
        tolerate(lambda step=step: step(client[:]))
    tolerate(client.close)


if __name__ == "__main__":
    main(sys.argv[1])
