# SPDX-License-Identifier: BSD-3-Clause
"""What is measured of engines that are the ranks of an MPI world, beside bare mpiexec. As workloads.py."""
from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import functions
import measure
import peers
import pingpong
from rows import Figure, Row, at_most

OPTIONS = ["--allow-run-as-root", "--oversubscribe"]
RANKS = 4
#: Each prints when it is ready: the world's time is that of its last rank.
READY = "from mpi4py import MPI; import numpy, os, time; os.write(1, b'%f\\n' % time.monotonic())"
CLUSTER = (
    "import time, functions, {0}\n"
    "rc = {0}.Cluster(n=%d, {1}).start_and_connect_sync()\n"
    "rc[:].apply_sync(functions.noop); print(time.monotonic())\n"
    "rc.cluster.stop_cluster_sync()" % RANKS
)
BARE = "mpiexec: mpi4py and numpy imported"


def _cluster(n):
    import pxrun

    return pxrun.Cluster(n=n, engines="mpi", mpi_args=OPTIONS)


def _ready(command, environment):
    begin = time.monotonic()
    done = subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return max(map(float, done.stdout.split())) - begin


def _start(quick):
    environment = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMPI_MCA_rmaps_base_oversubscribe="1")
    commands = {
        "pxrun": [sys.executable, "-c", CLUSTER.format("pxrun", f"engines='mpi', mpi_args={OPTIONS!r}")],
        BARE: ["mpiexec", *OPTIONS, "-n", str(RANKS), sys.executable, "-c", READY],
        "ipyparallel": [sys.executable, "-c", CLUSTER.format("ipyparallel", "engine_launcher_class='mpi', log_level=40")],
    }
    found = {name: [] for name in commands}
    for i in range(3 if quick else 11):
        for name, command in commands.items():
            if name == "ipyparallel" and i > 2:  # it takes seconds
                continue
            try:
                found[name].append(_ready(command, environment))
            except subprocess.CalledProcessError:
                print(f"left out: {name}, which does not start here", file=sys.stderr)
    return Row(f"script: exec to a world of {RANKS} ranks", "s", {n: Figure.of(t) for n, t in found.items() if t}, (at_most(1.3, BARE),))


def _calls():
    ordinary = "an ordinary pool's"
    one, every = {}, {}
    with _cluster(RANKS) as world, peers.Pxrun() as pool:
        for name, rc in (("pxrun", world), (ordinary, pool.client), ("pxrun", world), (ordinary, pool.client)):
            for target, found in ((rc[0], one), (rc[:], every)):
                figure = measure.median_us(lambda view=target: view.apply_sync(functions.noop))
                found[name] = min(found.get(name, figure), figure)
    yield Row("no-op on one rank", "µs", one, (at_most(1.1, ordinary),))
    yield Row(f"no-op on {RANKS} ranks", "µs", every, (at_most(1.1, ordinary),))


def _pingpong():
    for size in 8, 1 << 20:
        found = {"pxrun": [], "mpiexec": []}
        for _ in range(5):
            with _cluster(2) as rc:
                found["pxrun"].append(rc[:].apply_sync(pingpong.median_us, size)[0])
            command = ["mpiexec", *OPTIONS, "-n", "2", sys.executable, pingpong.__file__, str(size)]
            found["mpiexec"].append(float(subprocess.check_output(command, text=True)))
        name = "1 MiB" if size > 8 else f"{size} B"
        yield Row(f"mpi4py, {name} there and back", "µs", {n: Figure.of(t) for n, t in found.items()}, (at_most(1.1, "mpiexec"),))


def _idle(quick):
    seconds = 5 if quick else 60
    with _cluster(RANKS) as rc:
        rc[:].apply_sync(functions.noop)
        pids = measure.descendants(json.loads(rc.status())["pid"])
        time.sleep(6)  # memory is got ready for arrays
        before = measure.scheduled_s(pids)
        time.sleep(seconds)
        used = measure.scheduled_s(pids) - before
    return Row("idle world, processor time of all its processes, a minute", "ms", {"pxrun": used * 1e3 * 60 / seconds})


def _death(quick):
    import pxrun

    told, back = [], []
    for _ in range(3 if quick else 9):
        with _cluster(2) as rc:
            pid = rc[0].apply_sync(functions.pid)
            waits = rc[1].apply_async(pingpong.wait_for_ever)
            time.sleep(0.1)
            begin = time.perf_counter()
            os.kill(pid, signal.SIGKILL)
            try:
                waits.get(10)
            except pxrun.EngineError:
                told.append(time.perf_counter() - begin)
            rc[:].apply_sync(functions.noop)
            back.append(time.perf_counter() - begin)
    yield Row("rank killed: who waits for another one is told", "ms", {"pxrun": Figure.of(told).scaled(1e3)}, (at_most(20),))
    yield Row("rank killed: another world answers", "ms", {"pxrun": Figure.of(back).scaled(1e3)})


def ranks(quick):
    if pingpong.MPI is None:
        print("left out: mpi4py (bootstrap bench installs it)", file=sys.stderr)
        return
    yield _start(quick)
    yield from _calls()
    yield from _pingpong()
    yield _idle(quick)
    yield from _death(quick)


ALL = {"ranks": ranks}
