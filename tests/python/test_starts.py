# SPDX-License-Identifier: BSD-3-Clause
"""Starts that go wrong: of a pool, and of an engine of one that runs."""
from __future__ import annotations

import os
import re
import resource
import subprocess

import pytest

LIMIT = 60


@pytest.fixture
def start(tmp_path):
    """Starts a pool of one engine whose preloaded module `early` is this text; returns the command's end."""
    env = dict(os.environ, XDG_RUNTIME_DIR=str(tmp_path), PYTHONPATH=f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}",
               PXRUN_PROFILE="starts")
    for name in ("PXRUN_ENGINES", "PXRUN_CONNECTION"):
        env.pop(name, None)

    def run(module, *options, **more):
        (tmp_path / "early.py").write_text(module)
        return subprocess.run(["pxrun", "start", "--daemonize", "-n", "1", "--preload", "early", *options], env=env, timeout=LIMIT,
                              capture_output=True, text=True, **more)

    run.env = env
    yield run
    subprocess.run(["pxrun", "stop"], env=env, capture_output=True, timeout=LIMIT)


def test_preload_that_dies_is_named(start):
    done = start("import os; os._exit(3)")
    assert done.returncode == 4
    assert "died before it was ready: exit code 3, while it imported early" in done.stderr


@pytest.mark.parametrize("code, end", [
    ("print('last words', file=sys.stderr); os._exit(3)", "exit code 3: last words"),
    ("os.write(2, b'first\\nlast words\\n\\n'); os.kill(os.getpid(), 9)", "SIGKILL: last words"),
    ("os.kill(os.getpid(), 11)", "SIGSEGV"),
])
def test_engine_that_dies_after_the_fork_says_why(start, code, end):
    done = start(f"import os, sys\ndef die(): {code}\nos.register_at_fork(after_in_child=die)")
    assert done.returncode == 4
    assert f") died before it served: {end}" in done.stderr


def test_engine_that_raises_before_it_serves_says_what(start):
    done = start("from pxrun import _pxrun\n"
                 "def share_arrays(*args): raise ValueError('no such thing')\n_pxrun.share_arrays = share_arrays")
    assert done.returncode == 4
    assert "died before it served: exit code 1: ValueError: no such thing" in done.stderr


def test_engine_that_the_system_refuses_something_says_what(start):
    def no_timers():
        resource.setrlimit(resource.RLIMIT_SIGPENDING, (0, 0))

    done = start("", preexec_fn=no_timers)
    assert done.returncode == 4
    assert "died before it served: exit code 1: OSError: making an engine's timer: Resource temporarily" in done.stderr


def limited(mebibytes):
    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (mebibytes << 20, mebibytes << 20))

    return limit


def test_start_with_too_few_addresses_says_how_many_and_what_to_do(start):
    done = start("", "--arena", "256M", preexec_fn=limited(1024))
    assert done.returncode == 1
    assert re.search(r"mapping .*[0-9]+ MiB of .*: Cannot allocate memory: a process may have 1024 MiB of addresses here \(ulimit -v\) "
                     r"and has [0-9]+: remove that limit", done.stderr)


def test_client_with_too_few_addresses_says_so(start):
    start("", "--arena", "256M")
    env = dict(start.env)
    done = subprocess.run(["pxrun", "status"], env=env, timeout=LIMIT, capture_output=True, text=True, preexec_fn=limited(512), check=False)
    assert done.returncode == 1
    assert "a process may have 512 MiB of addresses here (ulimit -v)" in done.stderr
