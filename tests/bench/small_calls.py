# SPDX-License-Identifier: BSD-3-Clause
"""Calls and arrays so small that a call is all they cost, beside mpi4py, a Pool, and calls of nothing. As workloads.py.

mpi4py's part: rank 0 sends the pickled call, or object, and receives a pickled answer; a pool is told, too, that
what it pushed is there. A goal counts in times the faster of mpi4py's two ways of waiting.
"""
from __future__ import annotations

import functools
import time

import functions
import mpi_world
import rounds
import rows

KIB = 1 << 10
#: Of requests whose submission is timed before their results are read.
BATCH = 500

POOL = "multiprocessing.Pool"
NOOP = "a no-op"


def _mpi(limit, name):
    """A goal in times the faster of mpi4py's ways."""
    return rows.at_most(limit, *mpi_world.names(name))


def _seconds(quick):
    return 0.03 if quick else 0.1


def _submission(submit, drain, seconds):
    """Median over batches of the time that submitting one call takes, in µs."""
    times = []
    end = time.perf_counter() + 4 * seconds
    while len(times) < 3 or time.perf_counter() < end:
        begin = time.perf_counter_ns()
        pending = [submit() for _ in range(BATCH)]
        times.append((time.perf_counter_ns() - begin) / BATCH / 1e3)
        for each in pending:
            drain(each)
    return rows.Figure.of(times)


def _submit_pxrun(at):
    return _submission(functools.partial(at.pxrun.one.apply_async, functions.add, 1, 2), lambda ar: ar.get(), at.seconds)


def _submit_pool(at):
    return _submission(functools.partial(at.pool.pool.apply_async, functions.add, (1, 2)), lambda ar: ar.get(), at.seconds)


def _call(at):
    return at.time(at.pool.pool.apply, functions.add, (1, 2))


def _pool_of_four(at):
    return at.time(lambda: [r.get() for r in [at.pool.pool.apply_async(functions.add, (1, 2)) for _ in range(4)]])


def _push(view_name, size):
    """(A push, a no-op of the same engines.)"""

    def push(at):
        return at.time(getattr(at.pxrun, view_name).push, {"a": functions.pushed(size)}, block=True)

    def noop(at):
        return at.time(getattr(at.pxrun, view_name).apply_sync, functions.noop)

    return {"pxrun": push, NOOP: noop}


def _pull(size):
    def pull(at):
        at.pxrun.one.push({"kept": functions.pushed(size)}, block=True)
        return at.time(at.pxrun.one.pull, "kept", block=True)

    return {"pxrun": pull, NOOP: _push("one", 0)[NOOP]}


def _label(size):
    return "an int" if not size else f"{size} B" if size < KIB else f"{size // KIB} KiB"


#: {size: goals}
PUSHES = {
    0: (rows.at_most(1.2, NOOP), _mpi(0.7, "mpi4py send+recv")),
    64: (rows.at_most(1.2, NOOP), _mpi(0.7, "mpi4py send+recv")),
    KIB: (),
    8 * KIB: (rows.at_most(1.5, NOOP), _mpi(0.7, "mpi4py send+recv")),
    16 * KIB: (),
}


def small_one(quick):
    """To one engine."""
    call = {"pxrun": lambda at: at.time(at.pxrun.one.apply_sync, functions.add, 1, 2), POOL: _call}
    to_one = functools.partial(rounds.Entry, mpi="mpi4py send+recv")
    entries = [
        to_one(
            "apply_sync(add, 1, 2) to 1", call, (_mpi(1.3, "mpi4py send+recv"), rows.at_most(3.2 / 94, POOL)), order={"job": "call"}
        ),
        rounds.Entry(
            "apply_async(add, 1, 2) to 1, submission alone",
            {"pxrun": _submit_pxrun, POOL + ".apply": _call, POOL + ".apply_async": _submit_pool},
            (rows.at_most(1.5 / 94, POOL + ".apply"),),
        ),
    ]
    for size, goals in PUSHES.items():
        entries.append(to_one(f"push of {_label(size)} to 1", _push("one", size), goals, order={"job": "push", "size": size}))
    size = 8 * KIB
    goals = (rows.at_most(1.5, NOOP),)
    entries.append(to_one("pull of 8 KiB from 1", _pull(size), goals, order={"job": "pull", "size": size}))
    return rounds.measured(entries, _seconds(quick), workers=1)


def small_all(quick):
    """To all of four."""
    call = {"pxrun": lambda at: at.time(at.pxrun.all.apply_sync, functions.add, 1, 2), POOL: _pool_of_four}
    to_all = functools.partial(rounds.Entry, mpi="mpi4py bcast+gather")
    size = 8 * KIB
    entries = [
        to_all("apply_sync(add, 1, 2) to 4", call, (_mpi(1.0, "mpi4py bcast+gather"),), order={"job": "call", "to": 4}),
        to_all(
            "push of 8 KiB to all of 4",
            _push("all", size),
            (rows.at_most(1.5, NOOP), _mpi(0.7, "mpi4py bcast+gather")),
            order={"job": "push", "to": 4, "size": size},
        ),
    ]
    return rounds.measured(entries, _seconds(quick), workers=4)


ALL = {f.__name__: f for f in (small_one, small_all)}
