# SPDX-License-Identifier: BSD-3-Clause
"""A client that is stopped with its tasks queued: what of them runs meanwhile.

As a program it is that client: holds up all workers of a pool, posts its tasks, stops itself, and when it is
continued waits for their values.

    python stopped.py POOL GATE TALLY COUNT
"""
from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time

import functions
import peers
import tasks
from rows import Row, at_most

#: Seconds without another task after which the rest will not run.
PATIENCE = 2


def client(name, gate, tally, count):
    kind = next(kind for kind in KINDS if kind.name == name)
    with kind() as pool:
        held = pool.post(functions.wait_at, [(gate, tally)] * peers.WORKERS)
        while os.stat(tally).st_size < peers.WORKERS:
            time.sleep(0.001)
        posted = pool.post(functions.tick, [tally] * count)
        time.sleep(1)  # some have threads that hand on as much as the workers' queue takes
        os.kill(os.getpid(), signal.SIGSTOP)
        pool.wait(held)
        pool.wait(posted)


class Pxrun(tasks.Pxrun):
    def post(self, f, items):
        return self.view.map_async(f, items, chunksize=1)

    def wait(self, posted):
        posted.get()


class Pool(peers.Pool):
    def post(self, f, items):
        return self.pool.map_async(f, items, chunksize=1)

    wait = Pxrun.wait


class _Executor:
    def post(self, f, items):
        return [self.pool.submit(f, item) for item in items]

    def wait(self, posted):
        for future in posted:
            future.result()


class ProcessPoolExecutor(_Executor, peers.ProcessPoolExecutor):
    pass


class Loky(_Executor, peers.Loky):
    pass


KINDS = [Pxrun, Pool, ProcessPoolExecutor, Loky]


def watch(kind, count):
    """How many tasks ran while the client was stopped, and seconds until the last of these; None: there is no such pool."""
    with tempfile.TemporaryDirectory() as folder:
        gate, tally = os.path.join(folder, "gate"), os.path.join(folder, "tally")
        os.mkfifo(gate)
        with open(tally, "wb"), open(gate, "r+b", buffering=0) as opened:
            command = [sys.executable, os.path.abspath(__file__), kind.name, gate, tally, str(count)]
            with subprocess.Popen(command) as stopped:
                if not os.WIFSTOPPED(os.waitpid(stopped.pid, os.WUNTRACED)[1]):
                    return None
                opened.write(b"." * peers.WORKERS)
                begin = last = time.perf_counter()
                before = ran = peers.WORKERS
                while ran < before + count and time.perf_counter() < last + PATIENCE:
                    time.sleep(0.0002)
                    if ran != (now := os.stat(tally).st_size):
                        ran, last = now, time.perf_counter()
                os.kill(stopped.pid, signal.SIGCONT)
            if stopped.returncode or os.stat(tally).st_size != before + count:
                raise RuntimeError(f"{kind.name}: a client that was stopped has lost tasks")
    return ran - before, last - begin


def stopped_client(quick):
    count = 10_000
    left, each = {}, {}
    for kind in KINDS:
        found = [watch(kind, count) for _ in range(1 if quick else 5)]
        if None in found:
            print(f"left out: {kind.name}, stopped (it could not be started)", file=sys.stderr)
            continue
        found.sort()
        ran, took = found[len(found) // 2]
        left[kind.name] = count - ran
        if ran == count:
            each[kind.name] = took / ran * 1e6
    return [
        Row(f"{count} tasks of a stopped client: not run", "", left, (at_most(0),)),
        Row("… time of each, of those that ran all", "µs", each),
    ]


ALL = {"stopped_client": stopped_client}

if __name__ == "__main__":
    client(*sys.argv[1:4], int(sys.argv[4]))
