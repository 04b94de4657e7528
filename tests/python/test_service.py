# SPDX-License-Identifier: BSD-3-Clause
"""A pool as a service of systemd's: what its manager is told, and the unit."""
import ctypes.util
import os
import pathlib
import shutil
import signal
import socket
import subprocess

import pytest

from command import own_command

BUILD = pathlib.Path(os.environ.get("PXRUN_BUILDDIR", "."))
HAS_SYSTEMD = bool(ctypes.util.find_library("systemd"))


@pytest.fixture
def pxrun():
    with own_command() as run:
        yield run


@pytest.fixture
def manager(pxrun):
    """The socket of a manager; what it is told comes with the process that tells it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        path = pxrun.folder / "notify"
        sock.bind(str(path))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        sock.settimeout(20)
        pxrun.env["NOTIFY_SOCKET"] = str(path)
        yield sock


def told(sock):
    data, ancillary, _, _ = sock.recvmsg(4096, socket.CMSG_SPACE(12))
    pid = int.from_bytes(ancillary[0][2][:4], "little")
    return pid, dict(line.split("=", 1) for line in data.decode().splitlines())


@pytest.mark.skipif(not HAS_SYSTEMD, reason="no libsystemd")
def test_the_manager_is_told_when_it_serves_and_when_it_stops(pxrun, manager):
    with pxrun.begin("start", "-n", "2") as process:
        assert told(manager) == (process.pid, {"READY": "1", "STATUS": "2 engines"})
        assert pxrun("exec", "-t", "0", "1").stdout == "[0] Out[1]: 1\n"
        process.send_signal(signal.SIGTERM)
        assert told(manager) == (process.pid, {"STOPPING": "1", "STATUS": f"SIGTERM from process {os.getpid()}"})
    assert process.returncode == 0


@pytest.mark.skipif(not HAS_SYSTEMD, reason="no libsystemd")
def test_the_manager_is_told_why_it_does_not_start(pxrun, manager):
    with pxrun.begin("start", "-n", "1", "--startup", "1/0") as process:
        pid, words = told(manager)
    assert pid == process.pid and words["STOPPING"] == "1" and "ZeroDivisionError" in words["STATUS"]


@pytest.mark.parametrize("where", ["/nonexistent/notify", "relative", "@nobody"])
def test_a_manager_that_does_not_hear(pxrun, where):
    pxrun.env["NOTIFY_SOCKET"] = where
    pxrun("start", "-n", "1", "-d")
    pxrun("stop")


def test_the_unit(tmp_path):
    text = (BUILD / "bin" / "pxrun@.service").read_text()
    line, = (line for line in text.splitlines() if line.startswith("ExecStart="))
    program = shutil.which("pxrun")
    unit = tmp_path / "pxrun@.service"
    unit.write_text(text.replace(line, f"ExecStart={program} start --profile %i"))
    assert line.endswith("/bin/pxrun start --profile %i")
    if shutil.which("systemd-analyze"):
        done = subprocess.run(["systemd-analyze", "verify", "--user", "--man=no", str(tmp_path / "pxrun@default.service")],
                              env=dict(os.environ, SYSTEMD_UNIT_PATH=f"{tmp_path}:"), capture_output=True, text=True, timeout=60)
        assert "pxrun@" not in done.stderr, done.stderr
