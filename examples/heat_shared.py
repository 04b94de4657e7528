# SPDX-License-Identifier: BSD-3-Clause
"""The heat equation of heat.py on one plate that all engines see: no halo messages.

The plate and its next state are live arrays (pxrun.shared). Every engine reads what it
needs of the old plate, its neighbours' rows too, and writes its own rows of the new one;
the call that all engines have answered is the barrier between two steps.

    python heat_shared.py [--size 1024] [--steps 200]
    pxrun run -n 4 heat_shared.py
"""

import argparse
import sys
import time

import numpy as np
from heat import connect, plate, solve_serially

import pxrun


def advance_rows(old, new, begin, end):
    """One step for rows begin to end, which are inside of the plate."""
    around = old[begin - 1:end - 1, 1:-1] + old[begin + 1:end + 1, 1:-1]
    around += old[begin:end, :-2]
    around += old[begin:end, 2:]
    inside = old[begin:end, 1:-1]
    new[begin:end, 1:-1] = inside + 0.2 * (around - 4 * inside)


def solve_on_engines(rc, start, steps):
    """Returns the plate after `steps` steps, computed by all engines of rc."""
    view = rc[:]
    old, new = pxrun.shared(start), pxrun.shared(start)
    bounds = np.linspace(1, len(start) - 1, len(rc.ids) + 1).astype(int)
    view.push({"advance_rows": advance_rows, "plates": [old, new]}, block=True)
    view.scatter("rows", list(zip(bounds, bounds[1:])), flatten=True, block=True)
    for _ in range(steps):
        view.execute("advance_rows(*plates, *rows); plates.reverse()", block=True)
    return new if steps % 2 else old


def main():
    parser = argparse.ArgumentParser(description="The heat equation on a live array.")
    parser.add_argument("--size", type=int, default=1024, help="points along a side")
    parser.add_argument("--steps", type=int, default=200)
    options = parser.parse_args()

    start = plate(options.size)
    with connect() as rc:
        engines = len(rc.ids)
        if options.size < engines + 2 or options.steps < 0:
            parser.error(f"{engines} engines need a plate of {engines + 2} points at least, "
                         "and a number of steps")
        begin = time.perf_counter()
        u = solve_on_engines(rc, start, options.steps)
        with_engines = time.perf_counter() - begin

    begin = time.perf_counter()
    expected = solve_serially(start, options.steps)
    serial = time.perf_counter() - begin
    print(f"{options.size} x {options.size} points, {options.steps} steps: "
          f"{engines} engines {with_engines:.2f} s, one process {serial:.2f} s")
    if not np.array_equal(u, expected):
        sys.exit(f"heat_shared.py: differs from the serial run by {abs(u - expected).max():.2g}")
    print("Engines and serial run agree in every bit.")


if __name__ == "__main__":
    main()
