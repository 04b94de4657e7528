# SPDX-License-Identifier: BSD-3-Clause
"""The MPIs that tests of MPI worlds run under: Debian's Open MPI, and MPICH with the mpi4py that bootstrap fetches."""

import glob
import os
import shutil
import subprocess

import pytest

VENV = os.path.join(os.environ.get("PXRUN_BUILDDIR", "."), "mpich")
NAMES = ["openmpi", "mpich"]


def _has_mpi4py(python):
    return subprocess.run([python, "-c", "import mpi4py"], check=False, stderr=subprocess.DEVNULL).returncode == 0


def need(name, monkeypatch):
    """What Cluster() needs for this MPI beside engines='mpi'; skips the test where it is not installed."""
    mpiexec = f"mpiexec.{name}"
    if not shutil.which(mpiexec):
        pytest.skip(f"{mpiexec} is not installed")
    if os.environ.get("PXRUN_SANITIZE_PRELOAD"):
        pytest.skip("MPI's libraries were not built with the sanitizer")
    if name == "openmpi":
        if not _has_mpi4py(os.environ["PYTHON"]):
            pytest.skip("mpi4py is not installed")
        # tests of containers run as root
        monkeypatch.setenv("OMPI_ALLOW_RUN_AS_ROOT", "1")
        monkeypatch.setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
        return {"mpiexec": mpiexec, "mpi_args": ["--oversubscribe"], "python": os.environ["PYTHON"]}
    if not os.path.exists(os.path.join(VENV, "complete")):
        pytest.skip("mpi4py for MPICH is not there: bootstrap check fetches it")
    monkeypatch.setenv("MPI4PY_MPIABI", "mpich")
    # engines look where this process does, before they look into their own environment
    for path in glob.glob(os.path.join(VENV, "lib", "python*", "site-packages")):
        monkeypatch.syspath_prepend(path)
    library = os.path.join(VENV, "lib")
    monkeypatch.setenv("LD_LIBRARY_PATH", f"{os.environ.get('LD_LIBRARY_PATH', '')}:{library}")
    return {"mpiexec": mpiexec, "python": os.path.join(VENV, "bin", "python")}
