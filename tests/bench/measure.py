# SPDX-License-Identifier: BSD-3-Clause
"""Clocks, medians, and what the kernel says of processes."""
from __future__ import annotations

import os
import time

import rows

#: Seconds that both sides rest before a call of a sleeping engine; pingpong.c has the same.
REST = 0.005


def median_us(f, seconds=1.0, at_least=20, at_most=20000, pause=0.0, warm=10):
    """Median time of f() in microseconds; pause seconds of sleep before each call."""
    for _ in range(warm):
        f()
    times = []
    end = time.perf_counter() + seconds
    while len(times) < at_least or (time.perf_counter() < end and len(times) < at_most):
        if pause:
            time.sleep(pause)
        start = time.perf_counter_ns()
        f()
        times.append(time.perf_counter_ns() - start)
    return rows.Figure.of(times).scaled(1e-3)


def median_s(f, repeats=7):
    """Median of what f() returns."""
    return rows.Figure.of([f() for _ in range(repeats)])


def descendants(pid):
    """The process and all below it."""
    children = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat") as stat:
                parent = int(stat.read().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(entry))
    found, todo = [], [pid]
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += children.get(pid, [])
    return found


def pss_mib(pids, kinds=("Pss:",)):
    """Proportional set size of some processes together: shared pages count once."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup") as rollup:
                total += sum(int(line.split()[1]) for line in rollup if line.startswith(kinds))
        except OSError:
            pass
    return total / 1024


def memory_mib(pids):
    """The same, but with all shared memory of the machine, also pages of files in it that nobody has mapped."""
    with open("/proc/meminfo") as meminfo:
        shared = next(int(line.split()[1]) for line in meminfo if line.startswith("Shmem:"))
    return pss_mib(pids, ("Pss_Anon:", "Pss_File:")) + shared / 1024


def busy(seconds=0.3):
    """What part of the processors' time the whole machine uses meanwhile, while this process sleeps."""

    def of_all():
        with open("/proc/stat") as stat:
            user, nice, system, idle, waiting, *_ = map(int, stat.readline().split()[1:])
        return user + nice + system, idle + waiting

    before = of_all()
    time.sleep(seconds)
    used, unused = (now - old for now, old in zip(of_all(), before))
    return used / max(used + unused, 1)


def _of_threads(pids, file):
    """The text of one file of /proc for each thread of some processes."""
    for pid in pids:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/{file}") as text:
                yield text.read()


def wakeups(pids):
    """How often they have slept until now, and so been woken."""
    key = "voluntary_ctxt_switches:"
    return sum(int(line.split()[1]) for text in _of_threads(pids, "status") for line in text.splitlines() if line.startswith(key))


def scheduled_s(pids):
    """As cpu_seconds(), but not in ticks: of the scheduler's clock."""
    return sum(int(text.split()[0]) for text in _of_threads(pids, "schedstat")) / 1e9


def cpu_seconds(pids):
    ticks = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
