# SPDX-License-Identifier: BSD-3-Clause
"""As much of mpi4py as an engine needs to become a rank, for worlds without MPI (../mpiexec)."""
import types

rc = types.SimpleNamespace()
