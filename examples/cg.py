# SPDX-License-Identifier: BSD-3-Clause
"""Solves Poisson's equation on a square by conjugate gradients, on engines that are the ranks of an MPI world.

The right-hand side is scattered: each engine has some rows of the grid, and with them the rows of the matrix,
which is never stored. Engines talk to each other by mpi4py: edge rows to the neighbours, sums to all. The
solution is gathered, and compared with that of a single process.

    python cg.py [--size 256] [-n 2] [--mpiexec mpiexec.mpich] [--mpi-args=--oversubscribe]
"""

import argparse
import sys
import time

import numpy as np

import pxrun


def source(size):
    """The right-hand side: two opposite charges."""
    b = np.zeros((size, size))
    b[size // 4, size // 3] = 1.0
    b[3 * size // 4, 2 * size // 3] = -1.0
    return b


def times_matrix(x, above, below):
    """The five-point Laplacian of some rows, between the row above and the row below; the square's rim is 0."""
    y = 4 * x
    y[:, 1:] -= x[:, :-1]
    y[:, :-1] -= x[:, 1:]
    y[1:] -= x[:-1]
    y[:-1] -= x[1:]
    y[0] -= above
    y[-1] -= below
    return y


def conjugate_gradients(b, apply, total, tolerance, steps):
    """Solves apply(x) == b; total() sums a number over all rows. Returns x and how many steps it took."""
    x, r = np.zeros_like(b), b.copy()
    p, rr = r.copy(), total(np.vdot(r, r))
    least = tolerance**2 * rr
    for step in range(steps):
        if rr <= least:
            return x, step
        q = apply(p)
        alpha = rr / total(np.vdot(p, q))
        x += alpha * p
        r -= alpha * q
        rr, before = total(np.vdot(r, r)), rr
        p *= rr / before
        p += r
    return x, steps


def solve_my_rows(b, tolerance, steps):
    """What each engine does with its rows of the right-hand side."""
    from mpi4py import MPI

    world = MPI.COMM_WORLD
    rank, last = world.Get_rank(), world.Get_size() - 1
    up = rank - 1 if rank > 0 else MPI.PROC_NULL
    down = rank + 1 if rank < last else MPI.PROC_NULL
    above, below = np.zeros(b.shape[1]), np.zeros(b.shape[1])

    def apply(p):
        world.Sendrecv(p[0], up, recvbuf=below, source=down)
        world.Sendrecv(p[-1], down, recvbuf=above, source=up)
        return times_matrix(p, above, below)

    return conjugate_gradients(b, apply, world.allreduce, tolerance, steps)


def solve_on_engines(rc, b, tolerance, steps):
    view = rc[:]
    view.scatter("b", b, block=True)
    view.push({"solve_my_rows": solve_my_rows, "tolerance": tolerance, "steps": steps}, block=True)
    view.execute("x, taken = solve_my_rows(b, tolerance, steps)", block=True)
    return view.gather("x", block=True), rc[0]["taken"]


def solve_serially(b, tolerance, steps):
    rim = np.zeros(b.shape[1])
    return conjugate_gradients(b, lambda p: times_matrix(p, rim, rim), float, tolerance, steps)


def main():
    parser = argparse.ArgumentParser(description="Conjugate gradients on the ranks of an MPI world.")
    parser.add_argument("--size", type=int, default=256, help="points along a side")
    parser.add_argument("--steps", type=int, default=10000, help="the most there may be")
    parser.add_argument("--tolerance", type=float, default=1e-10)
    parser.add_argument("-n", type=int, default=2, help="engines")
    parser.add_argument("--mpiexec", help="MPI's program that starts them")
    parser.add_argument("--mpi-args", help="further arguments for it")
    options = parser.parse_args()
    if options.n < 1 or options.size < max(options.n, 4):
        parser.error("there must be an engine, and a row of the grid for each, four at least")

    b = source(options.size)
    try:
        cluster = pxrun.Cluster(n=options.n, engines="mpi", mpiexec=options.mpiexec, mpi_args=options.mpi_args)
        with cluster as rc:
            begin = time.perf_counter()
            x, steps = solve_on_engines(rc, b, options.tolerance, options.steps)
            with_engines = time.perf_counter() - begin
    except (pxrun.error.EngineError, pxrun.error.CompositeError) as error:
        sys.exit(f"cg.py: {error}")

    begin = time.perf_counter()
    expected, serial_steps = solve_serially(b, options.tolerance, options.steps)
    serial = time.perf_counter() - begin

    off = abs(x - expected).max() / abs(expected).max()
    print(f"{options.size} x {options.size} points: {options.n} engines {steps} steps in {with_engines:.2f} s, "
          f"one process {serial_steps} in {serial:.2f} s")
    if off > 1e3 * options.tolerance:
        sys.exit(f"cg.py: the solution differs from the serial one by {off:.1e} of its largest value")
    print(f"The solution is the serial one, but for {off:.0e} of its largest value.")


if __name__ == "__main__":
    main()
