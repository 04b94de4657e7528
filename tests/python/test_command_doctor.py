# SPDX-License-Identifier: BSD-3-Clause
"""`pxrun doctor`: on this machine all is well enough, and what is broken is named, in time."""
from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from command import FAILED, OK, USAGE, own_command

NAMES = ["profile", "runtime folder", "kernel", "futex", "event loop", "shared memory", "huge pages", "processors",
         "memory", "processes", "descriptors", "address space", "file size", "python", "numpy", "modules", "mpi", "pools", "a pool"]


@pytest.fixture
def pxrun():
    with own_command() as run:
        yield run


def examine(pxrun, *arguments, code=OK, **options):
    """The findings by their names."""
    found = json.loads(pxrun("doctor", "--json", *arguments, code=code, **options).stdout)
    assert [one["name"] for one in found] == NAMES
    assert all((one["advice"] is None) == (one["state"] == "ok") for one in found)
    return {one["name"]: one for one in found}


def fake_python(pxrun, text):
    """A profile whose interpreter is this shell script."""
    path = pxrun.folder / "python"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    pxrun.profile(f"python: {path}\n")


def limit(which, value):
    return ["bash", "-c", f'ulimit -{which} {value}; exec "$@"', "-"]


def under(pxrun, prefix):
    done = subprocess.run([*prefix, "pxrun", "doctor", "--json"], env=pxrun.env, capture_output=True, text=True, timeout=60)
    return {one["name"]: one for one in json.loads(done.stdout)}, done.returncode


# --- all is well ---


def test_finds_all_and_leaves_nothing(pxrun):
    found = examine(pxrun)
    assert found["a pool"]["found"].startswith("started, 1 + 1 is 2, stopped, in ")
    assert found["python"]["found"].endswith("pxrun's own") or "activated" in found["python"]["found"]
    assert pxrun.pools() == [] and pxrun.left() == []


def test_lines_are_short_and_end_with_a_sum(pxrun):
    lines = pxrun("doctor").stdout.splitlines()
    assert lines[-1].startswith("0 problems, ")
    assert all(len(line) <= 80 or " " not in line[24:] for line in lines)


def test_works_without_home_and_with_closed_streams(pxrun):
    del pxrun.env["XDG_CONFIG_HOME"]
    pxrun.env.pop("HOME", None)
    assert examine(pxrun)["a pool"]["state"] == "ok"
    done = subprocess.run("pxrun doctor <&- >&- 2>&-", shell=True, env=pxrun.env, timeout=60)
    assert done.returncode in (OK, FAILED)


def test_full_disk_is_a_failure(pxrun):
    with open("/dev/full", "w") as full:
        done = subprocess.run(["pxrun", "doctor"], env=pxrun.env, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == FAILED and "No space left" in done.stderr


def test_native_pool_needs_no_interpreter(pxrun):
    fake_python(pxrun, "exit 1")
    pxrun.profile("native: true\n", name="bare")
    found = examine(pxrun, "-p", "bare")
    assert found["python"]["state"] == "ok" and found["a pool"]["found"].startswith("started and stopped")


@pytest.mark.parametrize("arguments", [["-p", "a/b"], ["-p", ""], ["--profil", ".x"], ["--jsn"], ["more"]])
def test_wrong_command_line_is_refused(pxrun, arguments):
    code = OK if arguments == ["-p", ""] else USAGE
    pxrun("doctor", *arguments, code=code)


# --- what is broken ---


@pytest.mark.parametrize("text, words", [
    ("exit 1", "ends without a word"),
    ("echo broken >&2; exit 1", "broken"),
    ("kill -9 $$", "ends without a word"),
    ("echo '[1, 2]'", "ends without a word"),
    ("yes | head -c 1000000; echo full >&2", "full"),
    (f"exec {sys.executable} -c 'import sys; sys.version_info = (3, 9, 1); "
     "sys.argv = sys.argv[1:]; exec(open(sys.argv[0]).read())' \"$@\"", "need Python 3.11 or newer"),
])
def test_interpreter_that_fails_is_named(pxrun, text, words):
    fake_python(pxrun, text)
    found = examine(pxrun, code=FAILED)
    assert found["python"]["state"] == "problem" and words in found["python"]["found"]
    assert found["a pool"]["found"] == "not started: it could not be"


def test_interpreter_that_hangs_is_ended(pxrun):
    fake_python(pxrun, f"echo $$ >{pxrun.folder}/pid; sleep 300 & wait")
    found = examine(pxrun, code=FAILED)
    assert "does not end within 15 s" in found["python"]["found"]
    with pytest.raises(ProcessLookupError):
        os.kill(int((pxrun.folder / "pid").read_text()), 0)


def test_wrong_profile_is_named(pxrun):
    pxrun.profile("engines: many\n")
    found = examine(pxrun, code=FAILED)
    assert "default.yaml:1:10" in found["profile"]["found"]
    assert found["a pool"]["state"] == "note"


def test_startup_that_fails_fails_the_trial(pxrun):
    pxrun.profile("startup: 1 / 0\n")
    found = examine(pxrun, code=FAILED)["a pool"]
    assert found["state"] == "problem" and "ZeroDivisionError" in found["found"]


def test_broken_numpy_is_a_problem(pxrun):
    (pxrun.folder / "lib").mkdir()
    (pxrun.folder / "lib" / "numpy.py").write_text("raise OSError('a torn library')")
    pxrun.profile(f"preload: ''\nenv: {{PYTHONPATH: {pxrun.folder}/lib:{os.environ.get('PYTHONPATH', '')}}}\n")
    found = examine(pxrun, code=FAILED)["numpy"]
    assert found["state"] == "problem" and "a torn library" in found["found"]


@pytest.mark.parametrize("mpiexec, found, advice", [
    ("mpiexec.none", "no program 'mpiexec.none', no mpi4py", "install Open MPI"),
    ("/bin/true", "/bin/true, no mpi4py", "install mpi4py"),
])
def test_missing_mpi_is_a_problem_where_it_is_asked_for(pxrun, mpiexec, found, advice):
    fake_python(pxrun, """echo '{"executable": "x", "python": "3.11.2", "numpy": null, "optional": {}}'""")
    with open(pxrun.config / "default.yaml", "a") as profile:
        profile.write(f"mpiexec: {mpiexec}\n")
    line = examine(pxrun, code=FAILED)["mpi"]
    assert line["state"] == "ok" and line["found"] == f"{found}; only launcher: mpi needs them"
    with open(pxrun.config / "default.yaml", "a") as profile:
        profile.write("launcher: mpi\n")
    line = examine(pxrun, code=FAILED)["mpi"]
    assert line["state"] == "problem" and line["found"] == found and advice in line["advice"]


def test_mpi4py_is_not_called_missing_by_an_interpreter_that_fails(pxrun):
    fake_python(pxrun, "exit 1")
    with open(pxrun.config / "default.yaml", "a") as profile:
        profile.write("launcher: mpi\nmpiexec: /bin/true\n")
    line = examine(pxrun, code=FAILED)["mpi"]
    assert (line["state"], line["found"]) == ("ok", "/bin/true, mpi4py not looked for")


def test_runtime_folder_is_looked_at(pxrun):
    pxrun.runtime.chmod(0o755)
    found = examine(pxrun)["runtime folder"]
    assert found["state"] == "note" and "0755" in found["advice"]
    pxrun.runtime.chmod(0o700)
    (pxrun.runtime / "pxrun").chmod(0o755)
    found = examine(pxrun, code=FAILED)["runtime folder"]
    assert found["state"] == "problem" and "0755" in found["found"]


@pytest.mark.parametrize("path, words", [("/nosuch", "no folder that you can write to"), ("/tmp/" + "x" * 100, "bytes")])
def test_runtime_folder_that_cannot_be_is_a_problem(pxrun, path, words):
    runtime, pxrun.env["XDG_RUNTIME_DIR"] = pxrun.env["XDG_RUNTIME_DIR"], path
    found = examine(pxrun, code=FAILED)["runtime folder"]
    pxrun.env["XDG_RUNTIME_DIR"] = runtime
    assert found["state"] == "problem" and words in found["found"] + found["advice"]


@pytest.mark.parametrize("which, value, name", [
    ("v", 8000000, "address space"), ("f", 100, "file size"), ("n", 40, "descriptors"),
])
def test_limit_is_noted(pxrun, which, value, name):
    if which == "v" and os.environ.get("PXRUN_SANITIZE_PRELOAD"):
        pytest.skip("a sanitizer needs terabytes of addresses")
    found, code = under(pxrun, limit(which, value))
    assert found[name]["state"] == "note"
    assert code == (FAILED if any(one["state"] == "problem" for one in found.values()) else OK)


def test_supervisor_that_is_stopped_is_named(pxrun):
    pxrun("start", "-d", "-n", "1", "--preload", "")
    pid = pxrun.pools()[0]["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        found = examine(pxrun, code=FAILED)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert f"process {pid}" in found["pools"]["advice"]
    assert found["a pool"]["state"] == "ok"
