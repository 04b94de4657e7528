# SPDX-License-Identifier: BSD-3-Clause
"""Starts that go wrong: of a pool, and of an engine of one that runs."""
from __future__ import annotations

import os
import re
import resource
import select
import signal
import subprocess
import sys
import tempfile

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


def limit_to(which, most):
    def limit():
        resource.setrlimit(which, (most, most))

    return limit


def limited(mebibytes):
    return limit_to(resource.RLIMIT_AS, mebibytes << 20)


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


def listed(start):
    return subprocess.run(["pxrun", "list"], env=start.env, capture_output=True, timeout=LIMIT, text=True, check=True).stdout


@pytest.mark.parametrize("bytes_", [0, 8192])
def test_start_with_too_small_files_names_the_limit_and_leaves_no_pool(start, bytes_):
    done = start("", "--huge-pages", "never", preexec_fn=limit_to(resource.RLIMIT_FSIZE, bytes_))
    assert done.returncode == 1
    assert "File too large (see ulimit -f)" in done.stderr
    assert listed(start) == ""


@pytest.mark.parametrize("files", [8, 12, 20, 24])
def test_start_with_too_few_descriptors_names_the_limit(start, files):
    done = start("", "-n", "8", preexec_fn=limit_to(resource.RLIMIT_NOFILE, files))
    assert done.returncode in (1, 4)
    assert "Too many open files (see ulimit -n)" in done.stderr
    assert listed(start) == ""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be a user who has no other processes")
@pytest.mark.parametrize("processes", [2, 3, 4, 6])
def test_start_with_too_few_processes_names_the_limit(start, processes):
    nobody = 54321
    with tempfile.TemporaryDirectory(prefix="pxu.", dir="/tmp") as folder:
        os.chown(folder, nobody, nobody)
        env = dict(start.env, XDG_RUNTIME_DIR=folder, HOME=folder)
        more = {"env": env, "user": nobody, "group": nobody, "extra_groups": [], "timeout": LIMIT, "capture_output": True, "text": True}
        try:
            subprocess.run(["pxrun", "--version"], **more, check=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("the build is not to be read by other users")
        done = subprocess.run(["pxrun", "start", "-d", "-n", "8", "--preload", ""], **more, preexec_fn=limit_to(resource.RLIMIT_NPROC, processes))
        subprocess.run(["pxrun", "stop"], **more)
    assert done.returncode in (1, 4), done
    assert "Resource temporarily unavailable (see ulimit -u and -i)" in done.stderr


# --- starts that hang

HANGS = "import os, time\nwith open({!r}, 'w') as file: print(os.getpid(), file=file)\ntime.sleep(1000)\n"


@pytest.fixture
def hanging(start, tmp_path):
    """Runs a command whose pool's template hangs; when it does, gives the command's process and its pid."""
    fifo = str(tmp_path / "pid")
    os.mkfifo(fifo)
    (tmp_path / "hangs.py").write_text(HANGS.format(fifo))
    begun = []

    def begin(*command):
        begun.append(subprocess.Popen(command, env=start.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        with open(fifo) as file:
            return begun[-1], int(file.read())

    yield begin
    for process in begun:
        process.kill()
        process.communicate()


CLUSTER = "import pxrun; pxrun.Cluster({}n=1, preload=['hangs']).start_cluster_sync()"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("command", [
    ["pxrun", "start", "-n", "1", "--preload", "hangs"],
    ["pxrun", "start", "-d", "-n", "1", "--preload", "hangs"],
    ["pxrun", "run", "-n", "1", "--preload", "hangs", os.devnull],
    [sys.executable, "-c", CLUSTER.format("")],
    [sys.executable, "-c", CLUSTER.format("profile='named', ")],
], ids=["start", "start -d", "run", "Cluster", "Cluster of a profile"])
def test_end_of_who_starts_ends_all_of_it(start, hanging, command, number):
    process, template = hanging(*command)
    pidfd = os.pidfd_open(template)
    process.send_signal(number)
    process.wait(20)
    assert select.select([pidfd], [], [], 20)[0]
    os.close(pidfd)
    while "starting" in listed(start):
        pass
    assert "running" not in listed(start)
