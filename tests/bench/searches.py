# SPDX-License-Identifier: BSD-3-Clause
"""What is measured of scikit-learn on joblib's backends: grid_search.py, in the virtual environment. As workloads.py."""
from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time

from rows import Row, at_most

HERE = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(os.environ.get("PXRUN_BUILDDIR", "."), "venv")
PYTHON = os.path.join(VENV, "bin", "python")
PROGRAM = [PYTHON, os.path.join(HERE, "grid_search.py")]


def _is_there():
    try:
        return not subprocess.run([PYTHON, "-c", "import joblib, sklearn"], capture_output=True, check=False).returncode
    except FileNotFoundError:
        return False


def _number(*words):
    return float(subprocess.check_output([*PROGRAM, *map(str, words)]))


def _cold(repeats, *words):
    """From the start of an interpreter to the end of its search, with all imports."""

    def once():
        begin = time.monotonic()
        return _number("cold", *words) - begin

    return statistics.median(once() for _ in range(repeats))


def _cold_on_a_pool(repeats):
    """The same where a pool runs that has done such a search before."""
    with subprocess.Popen([*PROGRAM, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as serving:
        profile = serving.stdout.readline().strip()
        _number("cold", "pxrun", profile)
        found = _cold(repeats, "pxrun", profile)
        serving.stdin.close()
    return found


def grid_search(quick):
    """A GridSearchCV with an X of 64 MiB on two workers, beside joblib's own backend."""
    if not _is_there():
        print(f"left out: GridSearchCV ({VENV} lacks scikit-learn: bootstrap bench installs it)", file=sys.stderr)
        return []
    repeats = 3 if quick else 9
    warm, cold, memory = {}, {}, {}
    for backend in ("pxrun", "loky"):
        warm[backend] = _number("warm", backend, repeats)
        cold[backend] = _cold(repeats, backend)
        memory[backend] = _number("memory", backend)
    attached = {"pxrun": _cold_on_a_pool(repeats), "loky": cold["loky"]}
    return [
        Row("GridSearchCV, X of 64 MiB, 2 jobs, warm", "s", warm, (at_most(1, "loky"),)),
        Row("… from a fresh interpreter", "s", cold, (at_most(1 / 2, "loky"),)),
        Row("… the same, attached to a pool that runs", "s", attached, (at_most(1 / 2, "loky"),)),
        Row("… memory that X takes in all processes", "X", memory, (at_most(1.2),)),
    ]


ALL = {"grid_search": grid_search}
