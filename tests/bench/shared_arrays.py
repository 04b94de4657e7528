# SPDX-License-Identifier: BSD-3-Clause
"""Pushes of arrays that lie in shared memory, which no peer has: beside a call of nothing. As workloads.py."""
from __future__ import annotations

import functions
import rounds
import rows

KIB, MIB = 1 << 10, 1 << 20
SIZES = {"8 KiB": 8 * KIB, "1 MiB": MIB, "64 MiB": 64 * MIB, "512 MiB": 512 * MIB}
NOOP = "a no-op"


def _entry(name, size, view_name, engines):
    def push(at):
        import pxrun

        array = pxrun.zeros(size, "u1")
        return at.time(getattr(at.pxrun, view_name).push, {"a": array}, block=True)

    def noop(at):
        return at.time(getattr(at.pxrun, view_name).apply_sync, functions.noop)

    return rounds.Entry(f"push of a shared array, {name}, to {engines}", {"pxrun": push, NOOP: noop}, (rows.at_most(1.5, NOOP),))


def shared_push(quick):
    """Of any size, to one engine and to all of four."""
    views = ("one", 1), ("all", 4)
    entries = [_entry(name, size, *view) for name, size in SIZES.items() for view in views]
    return rounds.measured(entries, 0.03 if quick else 0.1)


ALL = {"shared_push": shared_push}
