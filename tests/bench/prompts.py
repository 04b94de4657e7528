# SPDX-License-Identifier: BSD-3-Clause
"""What is measured of IPython's prompt and of notebooks. As workloads.py.

As a program: ``prompts.py LIBRARY`` prints the median of a cell with ``%px pass`` on four engines, less that
of one with ``pass``, in microseconds.
"""
from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import sys
import time

import measure
from rows import Row, at_most

HERE = os.path.dirname(os.path.abspath(__file__))
LINES = 1_000_000


def _cell(shell, code):
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        assert shell.run_cell(code, store_history=False).success


def _main(library):
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    with __import__(library).Cluster(n=4) as client:
        client.wait_for_engines(4)
        client.activate()
        with_px, without = (measure.median_us(lambda code=code: _cell(shell, code), 3.0) for code in ("%px pass", "pass"))
    print(with_px - without)


def _px_pass(library):
    script = os.path.join(HERE, "prompts.py")
    done = subprocess.run([sys.executable, script, library], capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        print(f"left out: %px pass of {library}: {(done.stderr.splitlines() or ['?'])[-1]}", file=sys.stderr)
        return None
    return float(done.stdout.splitlines()[-1])


def _next(get):
    """The next message within a moment; None: there is none."""
    try:
        return get(timeout=0.01)
    except queue.Empty:
        return None


def _printed(kernel):
    """Characters that a cell has printed since the last time."""
    return sum(len(message["content"].get("text", "")) for message in iter(lambda: _next(kernel.get_iopub_msg), None))


def _long_output(lines):
    """(seconds, what the notebook keeps of it in KiB, the longest answer of the kernel meanwhile in ms) of a cell."""
    from jupyter_client.manager import start_new_kernel

    manager, kernel = start_new_kernel(kernel_name="python3")
    try:
        for code in ("import pxrun; rc = pxrun.Cluster(n=4).start_and_connect_sync()", "rc.wait_for_engines(4)"):
            assert kernel.execute_interactive(code, output_hook=lambda message: None)["content"]["status"] == "ok"
        begin = time.monotonic()
        kernel.execute(f"%px for i in range({lines}): print(i)")
        kept, slowest = 0, 0.0
        while not _next(kernel.get_shell_msg):
            asked = time.monotonic()
            kernel.control_channel.send(kernel.session.msg("kernel_info_request"))
            kernel.get_control_msg(timeout=60)
            slowest = max(slowest, time.monotonic() - asked)
            kept += _printed(kernel)
        return time.monotonic() - begin, (kept + _printed(kernel)) / 1024, slowest * 1e3
    finally:
        kernel.stop_channels()
        manager.shutdown_kernel(now=True)


def prompt(quick):
    """Cells of IPython and of notebooks."""
    cells = {name: _px_pass(name) for name in ("pxrun", "ipyparallel")}
    yield Row("%px pass on 4, beyond a cell with pass", "µs", {n: v for n, v in cells.items() if v is not None}, (at_most(5000),))
    lines = LINES // 10 if quick else LINES
    try:
        seconds, kept, slowest = _long_output(lines)
    except ImportError as missing:
        print(f"left out: long output in a notebook: {missing}", file=sys.stderr)
        return
    yield Row(f"%px prints {lines:,} lines on each of 4", "s", {"pxrun": seconds})
    yield Row("… the notebook keeps", "KiB", {"pxrun": kept}, (at_most(1000),))
    yield Row("… its kernel's slowest answer meanwhile", "ms", {"pxrun": slowest})


ALL = {"prompt": prompt}

if __name__ == "__main__":
    _main(sys.argv[1])
