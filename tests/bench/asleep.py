# SPDX-License-Identifier: BSD-3-Clause
"""Calls of engines that sleep, from a client that does, beside the least that two wake-ups take. As workloads.py.

A ping-pong by pipes, between a Python process and its fork, stays on one processor if the scheduler sees that
the waker is about to wait; that by futexes, in C, is between two processors, which have both gone to sleep.
All rest equally long before each call.
"""
from __future__ import annotations

import os
import subprocess
import sys

import functions
import measure
import rounds
import rows

HERE = os.path.dirname(os.path.abspath(__file__))
FUTEXES = os.path.join(os.environ.get("PXRUN_BUILDDIR", "."), "tests", "bench", "pingpong")
POOL = "multiprocessing.Pool"


def asleep(quick):
    """One engine, and all of four."""
    count = 40 if quick else 100

    def rested(at, f, *args):
        return at.few(count, f, *args, pause=measure.REST)

    def by_futexes(at):
        return float(subprocess.check_output([FUTEXES, str(count)])) / 1e3

    def by_pipes(at):
        return float(subprocess.check_output([sys.executable, os.path.join(HERE, "pipes.py"), str(count)]))

    one = {
        "pxrun": lambda at: rested(at, at.pxrun.one.apply_sync, functions.add, 1, 2),
        "pipe ping-pong": by_pipes,
        "futex ping-pong": by_futexes,
        POOL: lambda at: rested(at, at.pool.pool.apply, functions.add, (1, 2)),
    }
    four = {
        "pxrun": lambda at: rested(at, at.pxrun.all.apply_sync, functions.add, 1, 2),
        POOL: lambda at: rested(at, at.pool.call_all),
    }
    goals = rows.at_most(2, "pipe ping-pong"), rows.at_most(0.6, "futex ping-pong")
    return rounds.measured([rounds.Entry("apply_sync(add, 1, 2) to 1, asleep", one, goals), rounds.Entry("… to 4, asleep", four)])


ALL = {"asleep": asleep}
