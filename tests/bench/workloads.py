# SPDX-License-Identifier: BSD-3-Clause
"""What is measured. Each function gives rows (see rows.py), a generator each as soon as it has it."""
from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time

import arrays
import asleep
import commands
import functions
import measure
import natives
import peers
import prompts
import ranks
import searches
import shared_arrays
import small_calls
import stopped
import tasks
from rows import Figure, Row, at_most

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ.get("PXRUN_BUILDDIR", ".")


def program(name):
    """A C program of this folder, as built."""
    return os.path.join(BUILD, "tests", "bench", name)


def calls(quick):
    seconds = 0.3 if quick else 1.5

    def one(pool):
        row = {
            "hot": measure.median_us(pool.call, seconds),
            "all": measure.median_us(pool.call_all, seconds),
            "asleep": measure.median_us(pool.call, seconds, pause=measure.REST),
        }
        if isinstance(pool, peers.Pxrun):
            row["lambda"] = measure.median_us(lambda: pool.call(lambda: None), seconds)
        return row

    found = peers.with_each([peers.Pxrun, *peers.PEERS], one)
    floor = int(subprocess.check_output([program("pingpong")])) / 1e3
    hot = {name: row["hot"] for name, row in found.items()}
    asleep = {name: row["asleep"] for name, row in found.items()}
    asleep["futex ping-pong"] = floor
    return [
        Row("no-op to 1, hot", "µs", hot, (at_most(1 / 10, "multiprocessing.Pool"), at_most(1 / 200, "ipyparallel"))),
        Row("no-op to 1, asleep", "µs", asleep, (at_most(0.6, "futex ping-pong"),)),
        Row("no-op to all of 4", "µs", {n: r["all"] for n, r in found.items()}, (at_most(1 / 10, "multiprocessing.Pool"),)),
        Row("lambda to 1, hot", "µs", {"pxrun": found["pxrun"]["lambda"], "importable": hot["pxrun"]}, (at_most(2.2, "importable"),)),
    ]


def from_c(quick):
    lines = subprocess.check_output([program("calls")], text=True, env=_with_path()).splitlines()
    values = dict(line.split(" ", 1) for line in lines)
    return [
        Row("no-op from C, hot", "µs", {"pxrun": int(values["noop_hot_ns"]) / 1e3}, (at_most(1),)),
        Row("Python no-op from C, hot", "µs", {"pxrun": int(values["call_hot_ns"]) / 1e3}),
        Row("1,000,000 no-ops queued", "s", {"pxrun": float(values["queue_s"])}),
        Row("… and all replies read, after a sleep of 2 s", "s", {"pxrun": float(values["drain_s"])}),
    ]


def _with_path():
    env = dict(os.environ)
    env["PYTHONPATH"] = HERE + os.pathsep + env.get("PYTHONPATH", "")
    return env


def idle(quick):
    seconds = 5 if quick else 60
    counts = measure.cpu_seconds, measure.scheduled_s, measure.wakeups
    with peers.Pxrun() as pool:
        pool.call_all(functions.numpy_ready)
        pids = measure.descendants(_supervisor(pool.client))
        yield Row("idle pool of 4 with numpy, PSS", "MiB", {"pxrun": measure.pss_mib(pids)}, (at_most(60),))
        time.sleep(0.5)
        before = [count(pids) for count in counts]
        time.sleep(seconds)
        ticks, scheduled, woken = (count(pids) - old for count, old in zip(counts, before))
    yield Row(f"… processor time of all its processes in {seconds} s", "s", {"pxrun": ticks}, (at_most(0),))
    yield Row("… the same by the scheduler's clock, a minute", "ms", {"pxrun": scheduled * 1e3 * 60 / seconds})
    yield Row("… wake-ups, a minute", "", {"pxrun": woken * 60 / seconds})


def _supervisor(client):
    import json

    return json.loads(client.status())["pid"] if hasattr(client, "status") else client.supervisor_pid


#: Each prints the time at which four workers have numpy imported.
_READY = "import time; print(time.monotonic())"
START = {
    "pxrun": (
        "import pxrun, functions\n"
        f"with pxrun.Cluster(n=4) as rc: assert rc[:].apply_sync(functions.numpy_ready) == [1] * 4; {_READY}"
    ),
    "multiprocessing.Pool": (
        "import multiprocessing, functions\ncontext = multiprocessing.get_context('fork')\n"
        "ready = context.Barrier(5)\n"
        f"with context.Pool(4, functions.numpy_ready, (ready,)) as p: ready.wait(); {_READY}"
    ),
    "… its numpy imported before the fork": (
        "import multiprocessing, functions\nimport numpy\ncontext = multiprocessing.get_context('fork')\n"
        "ready = context.Barrier(5)\n"
        f"with context.Pool(4, functions.numpy_ready, (ready,)) as p: ready.wait(); {_READY}"
    ),
}


def start(quick):
    ready, whole = {name: [] for name in START}, {name: [] for name in START}
    for _ in range(3 if quick else 15):
        for name, code in START.items():
            begin = time.monotonic()
            done = subprocess.run([sys.executable, "-c", code], check=True, env=_with_path(), stdout=subprocess.PIPE)
            whole[name].append(time.monotonic() - begin)
            ready[name].append(float(done.stdout) - begin)
    goal = at_most(0.8, "multiprocessing.Pool")
    yield Row("script: exec to 4 engines with numpy", "s", {n: Figure.of(t) for n, t in ready.items()}, (goal,))
    yield Row("… and out", "s", {n: Figure.of(t) for n, t in whole.items()})

    with peers.Pxrun() as pool:

        def add():
            begin = time.perf_counter()
            pool.client.cluster.start_engines_sync(4)
            return time.perf_counter() - begin

        more = measure.median_s(add, 3 if quick else 9)
    yield Row("four more engines", "ms", {"pxrun": more.scaled(1e3)}, (at_most(15),))


def death(quick):
    import pxrun

    told, back = [], []
    # a pool each: an engine that dies again and again is started ever later
    for _ in range(3 if quick else 15):
        with peers.Pxrun() as pool:
            pid = pool.one.apply_sync(functions.pid)
            pending = pool.one.apply_async(time.sleep, 60)
            time.sleep(0.05)
            begin = time.perf_counter()
            os.kill(pid, signal.SIGKILL)
            try:
                pending.get(10)
            except pxrun.EngineError:
                told.append(time.perf_counter() - begin)
            pool.one.apply_sync(functions.noop)
            back.append(time.perf_counter() - begin)
    return [
        Row("engine killed: client told", "ms", {"pxrun": Figure.of(told).scaled(1e3)}, (at_most(5),)),
        Row("engine killed: back and answering", "ms", {"pxrun": Figure.of(back).scaled(1e3)}, (at_most(20),)),
    ]


def crowd(quick):
    import pxrun

    begin = time.perf_counter()
    with pxrun.Cluster(n=64) as rc:
        up = time.perf_counter() - begin
        with tempfile.NamedTemporaryFile("w", suffix=".py") as script:
            script.write(CROWD)
            script.flush()
            env = dict(_with_path(), PXRUN_CONNECTION=rc.connection_file)
            begin = time.perf_counter()
            clients = [subprocess.Popen([sys.executable, script.name], env=env, stdout=subprocess.PIPE, text=True) for _ in range(16)]
            ends = [float(c.communicate()[0]) for c in clients]
            took = time.perf_counter() - begin
    return [
        Row("pool of 64 engines up", "s", {"pxrun": up}, (at_most(1),)),
        Row("16 clients x 64 engines x 100 calls", "s", {"pxrun": took}),
        Row("… slowest client against the median one", "x", {"pxrun": max(ends) / sorted(ends)[8]}, (at_most(1.2),)),
    ]


CROWD = """
import time
import pxrun

view = pxrun.Client()[:]
view.execute("seen = []", block=True)
begin = time.perf_counter()
pending = [view.apply_async(lambda i: i, i) for i in range(100)]
for i, ar in enumerate(pending):
    assert ar.get() == [i] * 64
print(time.perf_counter() - begin)
"""

ALL = {f.__name__: f for f in (calls, from_c, idle, start, death, crowd)}
for module in (small_calls, asleep, shared_arrays, arrays, tasks, stopped, searches, prompts, natives, commands, ranks):
    ALL |= module.ALL
