# SPDX-License-Identifier: BSD-3-Clause
"""What is measured of `pxrun map`, beside GNU parallel and xargs. As workloads.py."""
from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time

from rows import Figure, Row, at_most

LINES = 1_000_000
#: Of what starts a process for each, so many are measured.
FEW = 300
UPPER = "import sys\nfor line in sys.stdin: sys.stdout.write(line.upper())"
PIPE, XARGS = "parallel --pipe -k python3", "xargs -P4 -n1 python3 -c"


def _seconds(command, source, env, repeats):
    """How long a whole command takes that reads a file."""
    samples = []
    for _ in range(repeats):
        begin = time.monotonic()
        with open(source, "rb") as lines:
            subprocess.run(command, stdin=lines, stdout=subprocess.DEVNULL, env=env, check=True)
        samples.append(time.monotonic() - begin)
    return Figure.of(samples)


@contextlib.contextmanager
def _input():
    """Files of many lines and of a few, and an environment without pools."""
    folder = tempfile.mkdtemp(prefix="pxb.", dir="/tmp")  # a socket's path must be short
    many, few = os.path.join(folder, "many"), os.path.join(folder, "few")
    for path, count in (many, LINES), (few, FEW):
        with open(path, "w") as out:
            out.writelines(f"{n}\n" for n in range(count))
    try:
        yield many, few, dict(os.environ, XDG_RUNTIME_DIR=folder)
    finally:
        shutil.rmtree(folder)


def _lines(many, few, env, repeats):
    ours = ["pxrun", "map", "line.upper()"]
    found = {"pxrun": _seconds(ours, many, env, repeats)}
    subprocess.run(["pxrun", "start", "-d"], env=env, check=True, stdout=subprocess.DEVNULL)
    try:
        found["… on a pool that runs"] = _seconds(ours, many, env, repeats)
    finally:
        subprocess.run(["pxrun", "stop"], env=env, check=True)
    if shutil.which("parallel"):
        found[PIPE] = _seconds(["parallel", "--pipe", "-k", sys.executable, "-c", f"'{UPPER}'"], many, env, repeats)
    one = "import sys; print(sys.argv[1].upper())"
    found[XARGS] = _seconds(["xargs", "-P4", "-n1", sys.executable, "-c", one], few, env, 1).scaled(LINES / FEW)
    return Row("map of 1,000,000 short lines, whole command", "s", found, (at_most(1 / 5, PIPE), at_most(1 / 50, XARGS)))


def _commands(few, env, repeats):
    found = {"pxrun": _seconds(["pxrun", "map", "-n", "4", "-c", "echo {}"], few, env, repeats)}
    if shutil.which("parallel"):
        found["parallel"] = _seconds(["parallel", "-k", "-j4", "echo {}"], few, env, repeats)
    found["xargs"] = _seconds(["xargs", "-P4", "-n1", "echo"], few, env, repeats)
    return Row(f"{FEW} shell commands", "s", found)


def command_map(quick):
    repeats = 3 if quick else 9
    if not shutil.which("parallel"):
        print("left out: GNU parallel (bootstrap bench installs it)", file=sys.stderr)
    with _input() as (many, few, env):
        yield _lines(many, few, env, repeats)
        yield _commands(few, env, repeats)


ALL = {"command_map": command_map}
