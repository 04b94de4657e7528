# SPDX-License-Identifier: BSD-3-Clause
"""What is measured of arrays: ways to a worker, back from it, and what stays. As workloads.py."""
from __future__ import annotations

import dataclasses
import json
import os
import sys
import time

import numpy

import array_peers
import functions
import measure
import mpi_world
import peers
import rounds
from rows import Figure, Row, at_least, at_most

KIB = 1 << 10
MIB = 1 << 20


def _label(size):
    return f"{size // MIB} MiB" if size >= MIB else f"{size // KIB} KiB"


def _median_us(f, quick):
    """Median of f() in µs; of what takes seconds, one repetition has to do."""
    f()
    begin = time.perf_counter()
    f()
    slow = time.perf_counter() - begin > 1
    return measure.median_us(f, 0.3 if quick else 1.5, 1 if slow else 5, warm=0)


def _goals(limits, size):
    return (at_most(limits[size], MEMCPY),) if size in limits else ()


def _peers(measured, mpi_key=None, sizes=(), kinds=array_peers.ALL):
    """{size: {who: value}} of what measured(peer, size) says; mpi4py is a program of its own."""
    found = {size: {} for size in sizes}
    for kind in kinds:
        try:
            with kind() as peer:
                for size in sizes:
                    if (value := measured(peer, size)) is not None:
                        found[size][kind.name] = value
        except ImportError as error:
            print(f"left out: {kind.name} ({error})", file=sys.stderr)
    if mpi_key:
        for size, value in json.loads(peers.mpi("mpi.py", mpi_key, *sizes) or "{}").items():
            found[int(size)]["mpi4py, fresh arrays"] = value
    return found


MEMCPY = "one memcpy"
#: In times one memcpy: what is shared is copied once, and read from there.
PUSH_GOALS = {MIB: 2.0, 64 * MIB: 1.3, 512 * MIB: 1.3}
SUM_GOALS = {64 * MIB: 3.0, 512 * MIB: 3.0}


def array_push(quick):
    """An ordinary array to all of four, again and again."""
    sizes = [8 * KIB, MIB, 64 * MIB] + [512 * MIB] * (not quick)
    sources = {size: numpy.ones(size, "u1") for size in sizes}
    found = _peers(lambda peer, size: _median_us(lambda: peer.push(sources[size]), quick), "push", sizes)
    for size, source in sources.items():
        into = numpy.zeros_like(source)
        found[size][MEMCPY] = _median_us(lambda: numpy.copyto(into, source), quick)
    return [Row(f"push of {_label(size)} to 4", "µs", found[size], _goals(PUSH_GOALS, size)) for size in sizes]


def array_sum(quick):
    """The same, and every worker reads all of it."""
    sizes = [64 * MIB] + [512 * MIB] * (not quick)
    sources = {size: numpy.ones(size // 8) for size in sizes}
    found = _peers(lambda peer, size: _median_us(lambda: peer.push_and_sum(sources[size]), quick), "sum", sizes)
    for size, source in sources.items():
        into = numpy.zeros_like(source)
        found[size][MEMCPY] = _median_us(lambda: numpy.copyto(into, source), quick)
    return [Row(f"push of {_label(size)} to 4, summed by each", "µs", found[size], _goals(SUM_GOALS, size)) for size in sizes]


PULL_GOALS = {64 * MIB: 1.4, 512 * MIB: 1.3}


def array_pull(quick):
    """From one worker, which keeps the array."""
    sizes = [8 * KIB, MIB, 64 * MIB] + [512 * MIB] * (not quick)

    def pull(peer, size):
        peer.make(size)
        return _median_us(lambda: peer.pull(size), quick)

    found = _peers(pull, "pull", sizes)
    for size in sizes:
        source, into = numpy.ones(size, "u1"), numpy.zeros(size, "u1")
        found[size][MEMCPY] = _median_us(lambda: numpy.copyto(into, source), quick)
    goals = {size: (at_most(1, "mpi4py, fresh arrays"), *_goals(PULL_GOALS, size)) for size in sizes}
    return [Row(f"pull of {_label(size)} that the worker keeps", "µs", found[size], goals[size]) for size in sizes]


def array_scatter(quick):
    """To four and back."""
    size = 64 * MIB if quick else 256 * MIB
    source = numpy.ones(size // 8)

    def there_and_back(peer, size):
        return peer.scatter_gather and _median_us(lambda: peer.scatter_gather(source), quick)

    def of_pxrun(at):
        return at.few(5, array_peers.Pxrun.scatter_gather, at.pxrun, source)

    mpi = "mpi4py, fresh arrays"
    entry = rounds.Entry(
        f"scatter and gather of {_label(size)} over 4",
        {"pxrun": of_pxrun},
        (at_most(1 / 2, *mpi_world.names(mpi)),),
        mpi,
        {"job": "scatter", "size": size},
    )
    (row,) = rounds.measured([entry], workers=4, rounds=3 if quick else 7)
    others = _peers(there_and_back, None, [size], array_peers.ALL[1:])[size]
    return [dataclasses.replace(row, values=row.values | others)]


def array_no_copy(quick):
    """What no peer has: results that lie in shared memory. (The way there is in shared_arrays.py.)"""
    import pxrun

    with pxrun.Cluster(n=4) as rc:
        for size in (MIB, 64 * MIB, 512 * MIB):
            back = _median_us(lambda size=size: rc[0].apply_sync(functions.owned, size), quick)
            noop = _median_us(lambda: rc[0].apply_sync(functions.noop), quick)
            yield Row(f"result that moves, {_label(size)}", "µs", {"pxrun": back, "a no-op": noop}, (at_most(2.5, "a no-op"),))


FRESH = "one copy into fresh memory"


def array_first(quick):
    """512 MiB to a pool that has done nothing yet."""
    import pxrun

    source = numpy.ones(512 * MIB, "u1")

    def first(huge_pages):
        times = []
        for _ in range(1 if quick else 5):
            with pxrun.Cluster(n=4, huge_pages=huge_pages) as rc:
                rc[:].apply_sync(len, [])
                begin = time.perf_counter()
                rc[:].push({"a": source}, block=True)
                times.append((time.perf_counter() - begin) * 1e3)
                huge = rc.memory()["huge_pages"]
        return Figure.of(times), huge

    def fresh():
        begin = time.perf_counter()
        source.copy()
        return (time.perf_counter() - begin) * 1e3

    for setting, goal in (("auto", 0.5), ("never", 2)):
        took, huge = first(setting)
        copied = measure.median_s(fresh, 5)
        what = f"first push of 512 MiB to 4, huge pages: {huge or 'none'}"
        yield Row(what, "ms", {"pxrun": took, FRESH: copied}, (at_most(goal, FRESH),))


def array_memory(quick):
    """What arrays cost that is not time."""
    import pxrun

    with pxrun.Cluster(n=4) as rc:
        pids = measure.descendants(rc._core.supervisor_pid)
        total = lambda: measure.pss_mib(pids) + measure.pss_mib([os.getpid()])  # noqa: E731
        rc[:].execute("import numpy", block=True)
        before = total()
        rc[:].push({"a": pxrun.full(512 * MIB, 1, "u1")}, block=True)
        assert rc[:].pull("int(a[::4096].sum())", block=True) == [512 * MIB // 4096] * 4
        read = total()
        rc[:].execute("a[300 << 20] = 7", block=True)
        yield Row("PSS for 512 MiB that 4 engines read", "MiB", {"pxrun": read - before}, (at_most(520),))
        yield Row("… after each wrote one element", "MiB", {"pxrun": total() - read}, (at_most(1),))
        rc[:].execute("del a", block=True)
        rc.gc()
        yield _flat(rc, "1 MiB", lambda i: MIB, 1000 if quick else 100_000)
        random = numpy.random.default_rng(1)
        sizes = numpy.exp(random.uniform(numpy.log(4 * KIB), numpy.log(64 * MIB), 4096)).astype(int)
        yield _flat(rc, "4 KiB to 64 MiB at random", lambda i: int(sizes[i % 4096]), 200 if quick else 20_000)


def _flat(rc, what, size_of, count):
    """The arena's size at the end of many pushes, against what it was after a tenth of them."""
    source = numpy.ones(64 * MIB, "u1")
    early = None
    for i in range(count):
        rc[0].push({"a": source[: size_of(i)]}, block=True)
        if i == count // 10:
            early = rc.memory()["used"]
    return Row(f"memory after {count} pushes of {what}", "x", {"pxrun": rc.memory()["used"] / early}, (at_most(1.05),))


def array_large(quick):
    """3 GiB there and back, where there is so much memory."""
    import pxrun

    size = (1 if quick else 3) << 30
    with pxrun.Cluster(n=2) as rc:
        if rc.memory()["free"] < 2.2 * size:
            print(f"left out: {size >> 30} GiB (too little memory)", file=sys.stderr)
            return []
        source = numpy.ones(size, "u1")
        begin = time.perf_counter()
        rc[0].push({"a": source}, block=True)
        there = time.perf_counter() - begin
        back = rc[0]["a"]
        whole = time.perf_counter() - begin
        assert back.nbytes == size and back[-1] == 1 and back[:: 1 << 20].all()
    return [Row(f"{size >> 30} GiB there", "s", {"pxrun": there}), Row("… and back", "s", {"pxrun": whole})]


def array_kernels(quick):
    """numpy in an engine, whose large arrays lie in shared memory, beside numpy here."""
    import pxrun

    here, there = [], []
    with pxrun.Cluster(n=1) as rc:
        for _ in range(1 if quick else 3):
            here.append(functions.kernels())
            there.append(rc[0].apply_sync(functions.kernels))
    ratios = [min(run[name] for run in here) / min(run[name] for run in there) for name in here[0]]
    mean = numpy.exp(numpy.mean(numpy.log(ratios)))
    worst = sorted(zip(ratios, here[0]))[0]
    return [
        Row("numpy in an engine, speed against plain numpy", "x", {"pxrun": float(mean)}, (at_least(0.98),)),
        Row(f"… of {len(ratios)} kernels the slowest: {worst[1]}", "x", {"pxrun": worst[0]}),
    ]


ALL = {f.__name__: f for f in (array_push, array_sum, array_pull, array_scatter, array_no_copy, array_first, array_memory, array_large, array_kernels)}
