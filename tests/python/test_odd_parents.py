# SPDX-License-Identifier: BSD-3-Clause
"""Pools started by processes in an odd state: what a parent has done to itself is not done to the pool."""
from __future__ import annotations

import json
import os
import pathlib
import resource
import signal
import subprocess
import sys
import tempfile

import pytest

LIMIT = 60
#: Python ignores them from its start on.
PYTHONS_OWN = {signal.SIGPIPE, signal.SIGXFSZ}
#: Those that may be ignored and blocked, and are not the C library's.
ALL = {n for n in signal.valid_signals() if n not in (signal.SIGKILL, signal.SIGSTOP)}

# --- the parents: each function is called in a child before it executes a program


def ignoring_children():
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)


def ignoring_all():
    for number in ALL:
        signal.signal(number, signal.SIG_IGN)


def blocking_all():
    signal.pthread_sigmask(signal.SIG_BLOCK, ALL)


def without_descriptors():
    for fd in (0, 1, 2):
        os.close(fd)


def without_stdin():
    os.close(0)


def in_a_folder_that_is_gone():
    folder = tempfile.mkdtemp()
    os.chdir(folder)
    os.rmdir(folder)


def with_few_descriptors():
    resource.setrlimit(resource.RLIMIT_NOFILE, (20, 128))


def with_a_small_stack():
    resource.setrlimit(resource.RLIMIT_STACK, (256 << 10, resource.getrlimit(resource.RLIMIT_STACK)[1]))


ODD = [ignoring_children, ignoring_all, blocking_all, without_descriptors, without_stdin, in_a_folder_that_is_gone,
       with_few_descriptors, with_a_small_stack]
odd_parents = pytest.mark.parametrize("odd", ODD, ids=[f.__name__ for f in ODD])


@pytest.fixture
def env(tmp_path):
    """An environment in which no other pool is found."""
    found = dict(os.environ, XDG_RUNTIME_DIR=str(tmp_path), PXRUN_PROFILE="odd")
    for name in ("PXRUN_ENGINES", "PXRUN_CONNECTION"):
        found.pop(name, None)
    yield found
    subprocess.run(["pxrun", "stop"], env=found, capture_output=True, timeout=LIMIT)


# --- how their pools must be


def signals(pid, which):
    """The set of signals in a line of /proc/PID/status."""
    line = next(w for w in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if w.startswith(which))
    bits = int(line.split()[1], 16)
    return {n for n in ALL if bits >> (n - 1) & 1}


def status(env):
    return json.loads(subprocess.check_output(["pxrun", "status", "--json"], env=env, timeout=LIMIT))


#: Runs in an engine: a child's exit code, and that it is sent signals.
PROBE = "import subprocess; subprocess.run(['sh', '-c', 'kill -TERM $$']).returncode, subprocess.call(['sh', '-c', 'exit 7'])"


@odd_parents
def test_command(odd, env):
    subprocess.run(["pxrun", "start", "--daemonize", "-n", "1", "--preload", ""], env=env, preexec_fn=odd, timeout=LIMIT,
                   check=True)
    first = status(env)
    supervisor, template, engine = first["pid"], first["template"]["pid"], first["engines"][0]["pid"]
    for pid in supervisor, template, engine:
        assert all(os.path.exists(f"/proc/{pid}/fd/{n}") for n in range(3))
    for pid in template, engine:
        assert signals(pid, "SigIgn") == PYTHONS_OWN and not signals(pid, "SigBlk")
    probe = subprocess.run(["pxrun", "exec", PROBE], env=env, timeout=LIMIT, capture_output=True, text=True)
    assert "(-15, 7)" in probe.stdout, probe.stderr
    # deaths are heard of
    os.kill(engine, signal.SIGKILL)
    while (now := status(env)["engines"][0])["state"] != "up" or now["pid"] == engine:
        pass
    subprocess.run(["pxrun", "stop"], env=env, timeout=LIMIT, check=True)
    assert not any(os.path.exists(f"/proc/{pid}/exe") for pid in (template, engine))


@odd_parents
def test_c_program(odd, env):
    pi = pathlib.Path(os.environ["PXRUN_BUILDDIR"], "examples", "pi")
    subprocess.run([pi], env=env, preexec_fn=odd, timeout=LIMIT, check=True)


PROGRAM = """
import sys, pxrun
with pxrun.Cluster(n=1, preload="") as rc:
    rc[0].execute("import subprocess", block=True)
    code = rc[0].apply_sync(lambda: subprocess.call(["sh", "-c", "exit 7"]))
sys.exit(code)
"""


@odd_parents
def test_python(odd, env):
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=env, preexec_fn=odd, timeout=LIMIT)
    assert done.returncode == 7


# --- those that cannot have a pool


@pytest.mark.parametrize("limit, value, words", [
    (resource.RLIMIT_FSIZE, 0, "File too large"),
    (resource.RLIMIT_NOFILE, 12, "open files"),
])
def test_start_fails_in_words(limit, value, words, env):
    done = subprocess.run(["pxrun", "start", "--daemonize", "-n", "1", "--preload", ""], env=env, timeout=LIMIT,
                          preexec_fn=lambda: resource.setrlimit(limit, (value, value)), capture_output=True, text=True)
    assert done.returncode and words in done.stderr


def test_hangup_is_ignored_under_nohup(env):
    subprocess.run(["pxrun", "start", "--daemonize", "-n", "1", "--preload", ""], env=env, timeout=LIMIT, check=True,
                   preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    before = status(env)
    os.kill(before["pid"], signal.SIGHUP)
    after = status(env)
    assert after["pid"] == before["pid"] and after["state"] == "up"
    assert signal.SIGHUP not in signals(after["engines"][0]["pid"], "SigIgn")
