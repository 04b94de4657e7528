# SPDX-License-Identifier: BSD-3-Clause
"""`pxrun engine`: a process that something else has started becomes an engine of a pool."""

import os
import signal
import subprocess

import pytest

import pxrun
from command import FAILED, NO_POOL, USAGE, gone, own_command, wait_until


@pytest.fixture
def command():
    with own_command() as run:
        run("start", "-d", "-n", "1")
        yield run


@pytest.fixture
def rc(command, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(command.runtime))
    with pxrun.Client() as client:
        yield client


def joins(command, *arguments, **options):
    """Starts one, and waits until it serves."""
    process = command.begin("engine", *arguments, **options)
    wait_until(lambda: any(engine["pid"] == process.pid and engine["state"] == "up" for engine in command.status()["engines"]))
    return process


def test_the_process_itself_is_the_next_engine(command, rc):
    process = joins(command)
    assert rc.ids == [0, 1]
    assert rc[1].apply_sync(os.getpid) == process.pid
    assert rc[1].apply_sync(os.getppid) == os.getpid()
    words = process.stderr.readline()
    assert words == f"pxrun: process {process.pid} is engine 1; what it prints goes to its clients\n"


def test_it_is_an_engine_like_any_other(command, rc):
    import numpy

    joins(command)
    array = numpy.arange(1 << 20)
    rc[:].push({"array": array})
    assert rc[1].pull("array", block=True).sum() == array.sum()
    ar = rc[1].execute("print('here')", block=False)
    ar.get()
    assert ar.stdout == "here\n"
    ar = rc[1].execute("import time\nwhile True: time.sleep(0.01)", block=False)
    wait_until(lambda: command.status()["engines"][1]["busy"] is not None)
    command("interrupt", "-t", "1")
    with pytest.raises(pxrun.error.RemoteError, match="KeyboardInterrupt"):
        ar.get(timeout=10)
    assert "engine 1, process" in command("stack", "1").stdout


def test_environment_and_folder_are_its_starters_and_settings_the_pools(tmp_path):
    with own_command() as command:
        command.profile("env: {FROM_POOL: yes}\nstartup: began = 5\npreload: [colorsys]\n")
        command("start", "-d", "-n", "1")
        env = {**command.env, "FROM_STARTER": "1"}
        process = subprocess.Popen(["pxrun", "engine"], env=env, cwd=tmp_path, stderr=subprocess.PIPE)
        wait_until(lambda: len(command.status()["engines"]) == 2 and command.status()["engines"][1]["state"] == "up")
        code = ("import os, sys\n(os.environ['FROM_POOL'], os.environ['FROM_STARTER'], os.getcwd(), began, 'colorsys' in sys.modules,"
                " 'OMP_NUM_THREADS' in os.environ)")
        assert command("exec", "-t", "1", code).stdout == f"[1] Out[1]: ('yes', '1', '{tmp_path}', 5, True, True)\n"
        process.terminate()
        process.wait(10)
        process.stderr.close()


def test_ids_are_given_as_asked_for(command, rc):
    first, second = command.begin("engine", "--id", "3"), joins(command, "--id", "1")
    joins(command, "-i", "2")
    wait_until(lambda: rc.ids == [0, 1, 2, 3])
    assert rc[[1, 3]].apply_sync(os.getpid) == [second.pid, first.pid]


@pytest.mark.parametrize("variable", ["OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"])
def test_a_rank_has_its_number_as_id(command, rc, variable):
    env = {**command.env, variable: "2", "SLURM_STEP_NUM_TASKS": "3"}
    process = subprocess.Popen(["pxrun", "engine"], env=env, stderr=subprocess.DEVNULL)
    wait_until(lambda: len(command.status()["engines"]) == 3 and command.status()["engines"][2]["pid"] == process.pid)


def test_a_batch_script_of_slurm_is_no_rank(command, rc):
    env = {**command.env, "SLURM_PROCID": "0"}
    process = subprocess.Popen(["pxrun", "engine"], env=env, stderr=subprocess.DEVNULL)
    wait_until(lambda: len(command.status()["engines"]) == 2 and command.status()["engines"][1]["pid"] == process.pid)


@pytest.mark.parametrize("arguments, code, words", [
    (["--id", "0"], USAGE, "there is an engine 0 already"),
    (["--id", "512"], USAGE, "--id must be from 0 to 511, not 512"),
    (["--id", "-1"], USAGE, "--id must be a whole number, not '-1'"),
    (["--id", "x"], USAGE, "--id must be a whole number, not 'x'"),
    (["-p", "nosuch"], NO_POOL, "no pool runs under the profile 'nosuch'"),
    (["extra"], USAGE, "engine takes no argument 'extra'"),
    (["--world", "1"], USAGE, "starts no MPI world"),
    (["--idd", "1"], USAGE, "--id"),
])
def test_is_refused_in_words(command, arguments, code, words):
    done = command("engine", *arguments, code=code)
    assert words in done.stderr
    assert len(command.status()["engines"]) == 1


def test_a_container_is_refused(command):
    namespace = ["unshare", "--user", "--map-root-user", "--pid", "--fork"]
    if subprocess.run([*namespace, "true"], check=False, stderr=subprocess.DEVNULL).returncode:
        pytest.skip("unshare makes no PID namespace here")
    done = subprocess.run([*namespace, "pxrun", "engine"], env=command.env, text=True, capture_output=True, timeout=20, check=False)
    assert done.returncode == USAGE and "a process of another PID namespace cannot be an engine" in done.stderr
    assert len(command.status()["engines"]) == 1


def test_native_pools_refuse(command):
    command("start", "-d", "-n", "1", "--native", "-p", "native")
    assert "is native: its engines are forked" in command("engine", "-p", "native", code=USAGE).stderr


def test_an_engine_that_is_gone_is_not_replaced(command, rc):
    process = joins(command)
    ar = rc[1].execute("import time; time.sleep(100)", block=False)
    wait_until(lambda: command.status()["engines"][1]["busy"] is not None)
    process.kill()
    process.wait()
    with pytest.raises(pxrun.error.EngineError, match=rf"engine 1 \(process {process.pid}\)"):
        ar.get(timeout=10)
    wait_until(lambda: rc.ids == [0])
    assert f"\nengine 1 (process {process.pid}) " in command("status").stdout  # its name once
    assert "there was an engine 1, and an id is not used again" in command("engine", "--id", "1", code=USAGE).stderr
    joins(command)
    assert rc.ids == [0, 2]


def test_how_it_ended_is_told_if_its_parent_leaves_time(command, rc):
    process = joins(command)
    with pytest.raises(pxrun.error.EngineError, match="exited with code 7"):
        rc[1].apply_sync(os._exit, 7)
    process.wait()


def test_restart_is_refused(command):
    process = joins(command)
    done = command("restart", "1", code=USAGE)
    assert "started by somebody else, who alone can start it again" in done.stderr
    assert process.poll() is None


def test_it_ends_with_the_pool(command):
    process = joins(command)
    command("stop")
    assert process.wait(10) is not None


def test_it_ends_with_a_supervisor_that_is_killed(command):
    process = joins(command)
    command.begin("exec", "-t", "1", "while True: pass")
    wait_until(lambda: command.status()["engines"][1]["busy"] is not None)
    os.kill(command.status()["pid"], signal.SIGKILL)
    assert process.wait(10) == -signal.SIGKILL


def test_two_die_with_a_supervisor_that_is_killed(command):
    """Each has asked for that by itself."""
    both = [joins(command), joins(command)]
    os.kill(command.status()["pid"], signal.SIGKILL)
    assert [process.wait(10) for process in both] == [-signal.SIGKILL] * 2


def test_interpreter_that_is_missing_is_said_at_the_terminal(command):
    with own_command() as other:
        other("start", "-d", "-n", "1", "--python", os.environ["PYTHON"])
        wrapper = other.folder / "python"
        wrapper.symlink_to(os.environ["PYTHON"])
        other("start", "-d", "-n", "1", "-p", "second", "--python", str(wrapper))
        wrapper.unlink()
        done = other("engine", "-p", "second", code=FAILED)
        assert f"starting '{wrapper}': No such file or directory" in done.stderr


def test_it_can_be_one_of_a_stopped_shell(command):
    """Signals that its starter ignores or blocks are not its business."""
    process = subprocess.Popen(["sh", "-c", "trap '' INT TERM HUP; exec pxrun engine"], env=command.env, stderr=subprocess.DEVNULL)
    wait_until(lambda: len(command.status()["engines"]) == 2 and command.status()["engines"][1]["state"] == "up")
    command("kill", "-s", "TERM", "1")
    wait_until(lambda: gone(process.pid) or process.poll() is not None)
