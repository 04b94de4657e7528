# SPDX-License-Identifier: BSD-3-Clause
"""Engines that are the ranks of an MPI world (launcher: mpi): MPI is initialised before an engine serves.

mpi4py was built for one MPI, and mpiexec belongs to one. If they are not the same, each rank would find itself alone
in a world of its own, or hang; so both are asked before MPI begins.
"""
from __future__ import annotations

import atexit
import os
import sys
from typing import Any, Callable, NoReturn

#: What each MPI's mpiexec tells its ranks, and the beginning of what its library calls itself.
_MARKS = {"Open MPI": "OMPI_COMM_WORLD_SIZE", "MPICH": "PMI_SIZE"}


def _launcher() -> str | None:
    """The MPI whose mpiexec has started this process, if it can be told."""
    for name, variable in _MARKS.items():
        if variable in os.environ:
            return name
    return None


def _library(version: str) -> str:
    """The family that an MPI library belongs to, by what it says of itself; MVAPICH and Intel MPI are started as MPICH is."""
    return "Open MPI" if version.startswith("Open MPI") else "MPICH"


def _finalize(mpi: Any) -> None:
    if not mpi.Is_finalized():
        mpi.Finalize()


def become(rank: int, size: int, refuse: Callable[[str], object]) -> None:
    """Initialises MPI; this process ends, after it has said why, if it is not the world's rank of this number."""

    def cannot(why: str) -> NoReturn:
        refuse(why)
        raise SystemExit(1)

    try:
        import mpi4py
    except ImportError as error:
        cannot(f"launcher: mpi needs mpi4py in {sys.executable}, which cannot be imported ({error}): install it there")
    # mpi4py would finalize MPI as the interpreter ends, which an engine's does not
    mpi4py.rc.initialize = mpi4py.rc.finalize = False
    try:
        from mpi4py import MPI
    except ImportError as error:
        cannot(f"mpi4py of {sys.executable} does not find the MPI that it was built for: {error}")
    version = MPI.Get_library_version().split("\n")[0].rstrip("\0 ").split(",")[0]
    launcher = _launcher()
    if launcher and launcher != _library(version):
        cannot(
            f"mpi4py of {sys.executable} was built for another MPI ({version}) than the mpiexec that starts the engines "
            f"({launcher}): name that MPI's own by mpiexec, such as mpiexec.{'openmpi' if launcher == 'MPICH' else 'mpich'}"
        )
    MPI.Init_thread(MPI.THREAD_MULTIPLE)
    atexit.register(_finalize, MPI)  # first, so that it is called last
    found = MPI.COMM_WORLD.Get_rank(), MPI.COMM_WORLD.Get_size()
    if launcher and os.environ[_MARKS[launcher]] == str(found[1]) != str(size):
        cannot(f"mpiexec has started a world of {found[1]}, and the pool has {size} engines: leave their number out of mpi_args")
    if found != (rank, size):
        cannot(
            f"MPI calls this process rank {found[0]} of {found[1]}, and it is to be rank {rank} of {size}: "
            f"mpi4py of {sys.executable} ({version}) is not of the MPI whose mpiexec starts the engines"
        )
