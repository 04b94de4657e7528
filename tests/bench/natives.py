# SPDX-License-Identifier: BSD-3-Clause
"""Native functions: calls of one that does nothing, and a solver beside OpenMP and MPI."""
from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile

from rows import Row, at_most

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ.get("PXRUN_BUILDDIR", ".")
KERNELS = os.path.join(BUILD, "tests", "c", ".libs", "native_kernels.so")


def _program(name):
    return os.path.join(BUILD, "tests", "bench", name)


def native_calls(quick):
    """One engine, from C."""

    def time_of(how, n, *more):
        command = [_program("native"), KERNELS, how, str(n // 10 if quick else n), *more]
        return float(subprocess.check_output(command))

    hot = {"pxrun": time_of("hot", 1000000), "with PX_QUIET": time_of("quiet", 1000000), "a request that does nothing": time_of("noop", 1000000)}
    asleep = {"pxrun": time_of("asleep", 1000, "5000"), "futex ping-pong": int(subprocess.check_output([_program("pingpong")])) / 1e3}
    return [
        Row("native no-op from C, hot", "µs", hot, (at_most(0.6),)),
        Row("… in an engine with an interpreter", "µs", {"pxrun": time_of("hosted", 1000000)}),
        Row("… asleep", "µs", asleep, (at_most(1.2, "futex ping-pong"),)),
        Row("… in flight", "µs", {"pxrun": time_of("flight", 1000000)}, (at_most(1),)),
        Row("Python no-op from C, hot", "µs", {"pxrun": time_of("python", 100000)}),
    ]


def jacobi(quick):
    """1000 x 1000 doubles on two engines, two threads, two ranks."""
    work = ["1000", "200" if quick else "2000"]
    example = os.path.join(BUILD, "examples")
    text = subprocess.check_output([os.path.join(example, "jacobi"), os.path.join(example, ".libs", "jacobi_kernel.so"), *work, "2"], text=True)
    found = {"pxrun": float(re.search(r"engines: ([0-9.]+) s", text)[1])}
    with tempfile.TemporaryDirectory() as folder:
        for who, compiler, run in (
            ("OpenMP", ["cc", "-fopenmp"], ["env", "OMP_NUM_THREADS=2"]),
            ("MPI", ["mpicc", "-DWITH_MPI"], ["mpirun", "--allow-run-as-root", "-n", "2"]),
        ):
            program = os.path.join(folder, who)
            build = [*compiler, "-O3", "-o", program, os.path.join(HERE, "jacobi_peers.c")]
            if shutil.which(compiler[0]) and shutil.which(run[0]) and subprocess.run(build, check=False).returncode == 0:
                found[who] = float(subprocess.check_output([*run, program, *work]))
    return [Row(f"Jacobi, {work[1]} sweeps of 1000 x 1000, two engines", "s", found, (at_most(1.05, "OpenMP"),))]


ALL = {"native_calls": native_calls, "jacobi": jacobi}
