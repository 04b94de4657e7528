# SPDX-License-Identifier: BSD-3-Clause
"""Engines as the ranks of an MPI world: Cluster(engines='mpi'), under Open MPI and MPICH."""

import json
import os
import re
import signal
import stat
import subprocess
import time

import numpy
import pytest

import pxrun
from command import USAGE, gone, own_command, wait_until
from pxrun import error

import worlds


@pytest.fixture(params=worlds.NAMES)
def mpi(request, monkeypatch):
    return worlds.need(request.param, monkeypatch)


@pytest.fixture
def world(mpi):
    with pxrun.Cluster(n=3, engines="mpi", **mpi) as rc:
        yield rc


def status(rc):
    return json.loads(rc.status())


def busy(rc, engine):
    return status(rc)["engines"][engine]["busy"] is not None


def comm():
    from mpi4py import MPI

    return MPI.COMM_WORLD


def die(how):
    """Ends this process, or all of them, in one of the ways there are."""
    if how == "exit":
        os._exit(3)
    elif how == "abort":
        comm().Abort(5)
        time.sleep(60)  # MPICH's returns when mpiexec is gone before it has answered
    else:
        os.kill(os.getpid(), how)


def barrier_without(absent):
    if comm().Get_rank() != absent:
        comm().Barrier()


def all_fail(ar):
    """The errors of all engines, by id."""
    with pytest.raises(error.CompositeError) as caught:
        ar.get(timeout=20)
    return {info[-1]["engine_id"]: f"{info[0]}: {info[1]}" for info in caught.value.elist}


# --- what works as on other engines ---


def test_rank_is_the_engines_id(world):
    assert world.ids == [0, 1, 2]
    assert world[:].apply_sync(lambda: (comm().Get_rank(), comm().Get_size())) == [(0, 3), (1, 3), (2, 3)]
    assert world[:].apply_sync(lambda: comm().allreduce(comm().Get_rank())) == [3, 3, 3]


def test_mpi_moves_what_was_scattered(world):
    view = world[:]
    view.scatter("part", numpy.arange(30.0))
    view.execute("from mpi4py import MPI\nimport numpy\nleft = numpy.empty(10)\nrank = MPI.COMM_WORLD.Get_rank()\n"
                 "MPI.COMM_WORLD.Sendrecv(part.copy(), (rank + 1) % 3, 0, left, (rank - 1) % 3, 0)", block=True)
    assert numpy.array_equal(view.gather("left", block=True), numpy.roll(numpy.arange(30.0), 10))


def test_output_and_errors_are_those_of_any_engine(world):
    ar = world[:].execute("print('rank', __import__('mpi4py.MPI').MPI.COMM_WORLD.Get_rank())", block=False)
    ar.get()
    assert ar.stdout == ["rank 0\n", "rank 1\n", "rank 2\n"]
    with pytest.raises(error.CompositeError, match="ZeroDivisionError"):
        world[:].apply_sync(lambda: 1 / 0)
    assert world[1].apply_sync(lambda: 7) == 7


def test_engines_are_children_of_the_pool_and_leave_none(mpi):
    with pxrun.Cluster(n=2, engines="mpi", **mpi) as rc:
        pids = rc[:].apply_sync(os.getpid)
        assert set(rc[:].apply_sync(os.getppid)) == {status(rc)["pid"]}
        assert status(rc)["launcher"] == "mpi"
        mpiexec = status(rc)["mpiexec"]
    wait_until(lambda: all(map(gone, [*pids, mpiexec])))


def test_mpi_is_finalised_when_the_pool_stops(mpi, tmp_path):
    """atexit functions are called before that, as they are at a script's end."""
    with pxrun.Cluster(n=2, engines="mpi", **mpi) as rc:
        rc[:].push({"folder": str(tmp_path)})
        rc[:].execute("import atexit, os\nfrom mpi4py import MPI\n"
                      "@atexit.register\ndef last():\n"
                      "    open(f'{folder}/{MPI.COMM_WORLD.allreduce(1)}.{MPI.COMM_WORLD.Get_rank()}', 'w').close()", block=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2.0", "2.1"]


@pytest.mark.parametrize("n, size", [("2", "40"), ("3", "41")])
def test_example_of_conjugate_gradients(mpi, n, size):
    example = os.path.join(os.environ["PXRUN_SRCDIR"], "examples", "cg.py")
    words = ["--mpiexec", mpi["mpiexec"], f"--mpi-args={' '.join(mpi.get('mpi_args', []))}"]
    done = subprocess.run([mpi["python"], example, "--size", size, "-n", n, *words], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0 and "The solution is the serial one, but for" in done.stdout, done.stdout + done.stderr
    assert re.search(rf"{n} engines \d\d+ steps", done.stdout)


def test_example_without_mpi_is_a_sentence():
    example = os.path.join(os.environ["PXRUN_SRCDIR"], "examples", "cg.py")
    done = subprocess.run([os.environ["PYTHON"], example, "--mpiexec", "mpiexec.none"], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 1 and done.stderr.startswith("cg.py: launcher: mpi needs MPI's mpiexec")
    assert "Traceback" not in done.stderr


def test_cells_of_px_meet_in_mpi(world, monkeypatch, tmp_path, capsys):
    InteractiveShell = pytest.importorskip("IPython.core.interactiveshell").InteractiveShell
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    shell = InteractiveShell.instance()
    try:
        view = world[:]
        view.block = True
        view.activate()
        shell.run_cell("%%px\nfrom mpi4py import MPI\nprint(MPI.COMM_WORLD.allreduce(MPI.COMM_WORLD.Get_rank() + 1))")
    finally:
        InteractiveShell.clear_instance()
    out = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert sorted(out.splitlines()) == [f"[stdout:{i}] 6" for i in range(3)]


# --- death ---


@pytest.mark.parametrize("how, words", [
    (signal.SIGKILL, "was killed by SIGKILL (signal 9)"), (signal.SIGSEGV, "was killed by SIGSEGV (signal 11)"),
    ("exit", "exited with code 3"),
])
def test_a_rank_that_dies_takes_its_world_along(world, how, words):
    pids = world[:].apply_sync(os.getpid)
    others = world[[0, 2]].apply_async(barrier_without, 1)
    wait_until(lambda: busy(world, 0) and busy(world, 2))
    with pytest.raises(error.EngineError) as died:
        world[1].apply_sync(die, how)
    assert f"engine 1 (process {pids[1]}) {words}" in str(died.value)
    for engine, text in all_fail(others).items():
        assert text.startswith(f"EngineError: engine {engine} (process {pids[engine]}) was ended with its MPI world: "
                               f"engine 1 (process {pids[1]}) {words}")
    # and another world follows, under the same ids, with empty namespaces
    assert world[:].apply_sync(lambda: comm().allreduce(1)) == [3, 3, 3]
    assert not set(world[:].apply_sync(os.getpid)) & set(pids)
    assert [engine["restarts"] for engine in status(world)["engines"]] == [1, 1, 1]


def close_slowly_and_last():
    """Makes the kernel free half a GiB between the closing of MPI's socket and this process's end."""
    memory = os.memfd_create("slow")
    os.posix_fallocate(memory, 0, 1 << 29)
    os.dup2(memory, 0)
    os.close(memory)


def test_the_first_to_die_is_named_though_another_ends_sooner(world):
    pids = world[:].apply_sync(lambda: comm().Get_rank() is None or os.getpid())
    world[1].apply_sync(close_slowly_and_last)
    with pytest.raises(error.EngineError) as died:
        world[1].apply_sync(die, signal.SIGKILL)
    assert f"engine 1 (process {pids[1]}) was killed by SIGKILL (signal 9)" in str(died.value)


def test_abort_ends_the_world_and_names_the_code(world):
    ar = world[:].apply_async(lambda: die("abort") if comm().Get_rank() == 1 else comm().Barrier())
    texts = all_fail(ar)
    assert len(texts) == 3, texts
    assert all("code 5" in text for text in texts.values() if "with its MPI world" in text), texts
    assert any("code 5" in text for text in texts.values())
    assert world[:].apply_sync(lambda: comm().allreduce(1)) == [3, 3, 3]


def test_mpiexec_that_is_killed_is_named(world):
    ar = world[:].apply_async(barrier_without, 1)
    mpiexec = status(world)["mpiexec"]
    wait_until(lambda: busy(world, 0))
    os.kill(mpiexec, signal.SIGKILL)
    texts = all_fail(ar)
    assert {engine for engine, text in texts.items()
            if f"was ended with its MPI world: mpiexec (process {mpiexec}) was killed by SIGKILL" in text} >= {0, 2}
    assert world[:].apply_sync(lambda: comm().allreduce(1)) == [3, 3, 3]


def test_supervisor_that_is_killed_leaves_no_rank(mpi):
    cluster = pxrun.Cluster(n=2, engines="mpi", **mpi)
    rc = cluster.start_and_connect_sync()
    pids = [*rc[:].apply_sync(os.getpid), status(rc)["mpiexec"]]
    rc[:].apply_async(barrier_without, 1)
    wait_until(lambda: busy(rc, 0))
    os.kill(status(rc)["pid"], signal.SIGKILL)
    wait_until(lambda: all(map(gone, pids)))
    rc.close()


def test_without_restart_the_world_is_gone(mpi):
    with pxrun.Cluster(n=2, engines="mpi", restart="never", **mpi) as rc:
        with pytest.raises(error.EngineError):
            rc[0].apply_sync(die, signal.SIGKILL)
        with pytest.raises(error.EngineError, match="engine 0 .* (died: SIGKILL|was killed by SIGKILL)"):
            wait_until(lambda: rc[1].apply_sync(int) is None)
        wait_until(lambda: rc.ids == [])


def test_worlds_that_die_again_and_again_are_started_more_slowly(mpi):
    with pxrun.Cluster(n=2, engines="mpi", **mpi) as rc:
        for _ in range(4):
            with pytest.raises(error.EngineError):
                rc[0].apply_sync(die, signal.SIGKILL)
        assert rc[:].apply_sync(lambda: comm().allreduce(1)) == [2, 2]


# --- what is asked of the pool ---


@pytest.mark.parametrize("restart", [lambda rc: rc.restart(1), lambda rc: rc.cluster.restart_engines_sync()], ids=["one", "all"])
def test_restart_of_one_rank_is_that_of_all(world, restart):
    pids = world[:].apply_sync(os.getpid)
    world[:]["a"] = 1
    restart(world)
    assert [engine["generation"] for engine in status(world)["engines"]] == [1, 1, 1]
    assert not set(world[:].apply_sync(os.getpid)) & set(pids)
    assert world[:].apply_sync(lambda: comm().allreduce(1)) == [3, 3, 3]
    with pytest.raises(error.CompositeError, match="NameError"):
        world[:].pull("a", block=True)


def test_a_rank_that_waits_for_ever_is_restarted(world):
    ar = world[0].apply_async(barrier_without, 1)
    wait_until(lambda: busy(world, 0))
    begin = time.monotonic()
    world.restart(0)
    assert time.monotonic() - begin < 10
    with pytest.raises(error.EngineError, match="was stopped"):
        ar.get(timeout=10)
    assert world[:].apply_sync(lambda: comm().allreduce(1)) == [3, 3, 3]


def test_a_world_does_not_change_its_size(world):
    with pytest.raises((error.PoolError, ValueError), match="keeps the 3 engines that it began with"):
        world.cluster.start_engines_sync(1)
    with pytest.raises((error.PoolError, ValueError), match="rank of an MPI world, which ends as a whole"):
        world.cluster.stop_engines_sync(0)
    assert world[:].apply_sync(lambda: comm().allreduce(1)) == [3, 3, 3]


# --- worlds of a mpiexec that leaves its ranks to the pool (tests/faults/world) ---

FAKE = os.path.join(os.path.dirname(__file__), "..", "faults", "world")



@pytest.fixture
def command():
    with own_command() as run:
        yield run


def start_fake(command, profile):
    command.env["PYTHONPATH"] = f"{FAKE}:{command.env['PYTHONPATH']}"
    command.profile(f"launcher: mpi\nengines: 2\nmpiexec: {FAKE}/mpiexec\n{profile}")
    command("start", "-d")


def of_engines(command, what):
    return [engine[what] for engine in command.status()["engines"]]


def test_restart_while_one_rank_serves_and_another_starts(command, tmp_path):
    slow = tmp_path / "slow"
    start_fake(command, "startup: import os, time; "
                        f"time.sleep(60 * (os.environ['PMI_RANK'] == '0' and os.path.exists('{slow}')))\n")
    slow.touch()
    with command.begin("restart", "-t", "1") as first:
        wait_until(lambda: of_engines(command, "state") == ["starting", "up"])
        slow.unlink()
        command("restart")
        first.communicate(timeout=20)
    wait_until(lambda: of_engines(command, "state") == ["up", "up"])


def test_restart_of_a_rank_waits_for_all(command):
    start_fake(command, "")
    words = command("restart", "1").stdout
    assert re.fullmatch(r"engine 1: process \d+ serves in place of \d+\nengine 0: process \d+ serves in place of \d+\n", words)


@pytest.mark.parametrize("which, order", [(["1"], "10"), ([], "01")])
def test_kill_of_a_rank_names_all_that_it_takes_along(command, which, order):
    start_fake(command, "")
    pids = of_engines(command, "pid")
    words = command("kill", *which).stdout
    assert words == "".join(f"engine {i}: process {pids[int(i)]} has ended, and another one is started\n" for i in order)
    wait_until(lambda: of_engines(command, "state") == ["up", "up"])
    assert of_engines(command, "restarts") == [1, 1]  # those that follow are not hit


def test_restart_ends_the_delay_of_a_world(command):
    start_fake(command, "")
    for deaths in range(1, 9):  # then another is to be started after 3.2 s
        wait_until(lambda: of_engines(command, "state") == ["up", "up"])
        os.kill(of_engines(command, "pid")[0], signal.SIGKILL)
        wait_until(lambda: of_engines(command, "restarts") == [deaths, deaths])
    command("restart")
    assert "the next MPI world starts at once, as it is asked for" in command("log").stdout
    assert of_engines(command, "state") == ["up", "up"]


# --- what can be wrong ---


@pytest.mark.parametrize("option", [["--mpiexec", "mpiexec"], ["--mpi-args=-v"]])
def test_options_of_ranks_are_for_ranks(command, option):
    assert "add --launcher mpi, or engines='mpi'" in command("start", "-d", "-n", "1", *option, code=USAGE).stderr


def test_mpiexec_that_is_missing_is_named(command):
    done = command("start", "-d", "--launcher", "mpi", "--mpiexec", "mpiexec.none", code=4)
    assert "there is no program 'mpiexec.none': install Open MPI (Debian: openmpi-bin) or MPICH (mpich)" in done.stderr
    assert "Traceback" not in done.stderr and not command.pools()


def test_mpi4py_that_is_missing_is_named(mpi, command, tmp_path):
    (tmp_path / "mpi4py.py").write_text("raise ImportError('it is broken')")
    command.env["PYTHONPATH"] = f"{tmp_path}:{command.env['PYTHONPATH']}"
    done = command("start", "-d", "-n", "2", "--launcher", "mpi", "--mpiexec", mpi["mpiexec"], "--python", mpi["python"],
                   "--mpi-args", " ".join(mpi.get("mpi_args", [])), code=4)
    assert f"launcher: mpi needs mpi4py in {mpi['python']}, which cannot be imported (it is broken): install it there" in done.stderr


def test_mpi4py_of_another_mpi_is_found_out(command, monkeypatch):
    worlds.need("mpich", monkeypatch)
    python = worlds.need("openmpi", monkeypatch)["python"]
    done = command("start", "-d", "-n", "2", "--launcher", "mpi", "--mpiexec", "mpiexec.mpich", "--python", python, code=4)
    assert "was built for another MPI (Open MPI v" in done.stderr and "starts the engines (MPICH)" in done.stderr


def test_too_few_slots(command, monkeypatch):
    worlds.need("openmpi", monkeypatch)
    command.env |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    many = str(os.cpu_count() * 2 + 1)
    done = command("start", "-d", "-n", many, "--launcher", "mpi", "--mpiexec", "mpiexec.openmpi", code=4)
    assert f"Open MPI has fewer slots on this machine than the {many} engines" in done.stderr
    assert "--mpi-args=--oversubscribe" in done.stderr


def test_root_is_told_how_to_insist(command, monkeypatch):
    worlds.need("openmpi", monkeypatch)
    if os.getuid():
        pytest.skip("is not root")
    done = command("start", "-d", "-n", "1", "--launcher", "mpi", "--mpiexec", "mpiexec.openmpi", code=4)
    assert "Open MPI starts no programs for root" in done.stderr and "--allow-run-as-root" in done.stderr


def mpiexec_of(tmp_path, script):
    program = tmp_path / "mpiexec"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


def test_a_world_of_another_size_is_found_out(mpi, command, tmp_path):
    program = mpiexec_of(tmp_path, f'{mpi["mpiexec"]} {" ".join(mpi.get("mpi_args", []))} -n 1 pxrun engine --profile default --world 1')
    done = command("start", "-d", "-n", "2", "--launcher", "mpi", "--mpiexec", str(program), "--python", mpi["python"], code=4)
    assert "mpiexec has started a world of 1, and the pool has 2 engines: leave their number out of mpi_args" in done.stderr


def test_mpiexec_that_hangs_is_stopped_at_once(command, tmp_path):
    began = tmp_path / "began"
    program = mpiexec_of(tmp_path, f"touch {began}; exec sleep 100")
    with command.begin("start", "-d", "-n", "2", "--launcher", "mpi", "--mpiexec", str(program)) as starter:
        wait_until(began.exists)
        begin = time.monotonic()
        command("stop")
        assert time.monotonic() - begin < 1.5
        assert "was stopped before its engines were ready" in starter.communicate(timeout=10)[1]


@pytest.mark.parametrize("script, words", [
    ("echo one; echo; echo -----; exit 7", r"mpiexec \(process \d+\) ended before its engines served: exit code 7: one"),
    ("kill -SEGV $$", r"mpiexec \(process \d+\) ended before its engines served: SIGSEGV"),
    ("exit 0", r"mpiexec \(process \d+\) ended before its engines served: exit code 0"),
    # its reason comes first, and may be wrapped
    ("echo -----; echo no host; echo elsewhere; echo; echo for help, see; echo the manual; exit 2", "exit code 2: no host elsewhere [(]the pool"),
    ("echo cannot be made:; echo; echo '  Folder: /nosuch'; echo; echo for help, see; exit 2", "exit code 2: cannot be made: Folder: /nosuch [(]"),
    # the ranks of another launcher
    ("while [ $1 != -n ]; do shift; done; shift 2; env -u SLURM_PROCID $@", "mpiexec does not tell its ranks their numbers"),
    ("while [ $1 != -n ]; do shift; done; shift 2; PMI_RANK=2 $@", "mpiexec has started a rank 2, and the pool has 2 engines"),
    ("while [ $1 != -n ]; do shift; done; shift 2; for _ in 1 2; do PMI_RANK=1 $@ & done; wait", "mpiexec has started two processes as rank 1"),
])
def test_mpiexec_that_starts_no_world_is_quoted(command, tmp_path, script, words):
    program = mpiexec_of(tmp_path, script)
    done = command("start", "-d", "-n", "2", "--launcher", "mpi", "--mpiexec", str(program), code=4)
    assert re.search(words, done.stderr), done.stderr


def test_mpiexec_that_adopts_engines_is_named(command, tmp_path):
    command.env["PYTHONPATH"] = f"{FAKE}:{command.env['PYTHONPATH']}"
    program = mpiexec_of(tmp_path, f"exec {os.environ['PYTHON']} -c 'import ctypes, os, sys; ctypes.CDLL(None).prctl(36, 1); "
                                   f'os.spawnv(os.P_WAIT, "{FAKE}/mpiexec", sys.argv)\' "$@"')
    done = command("start", "-d", "-n", "2", "--launcher", "mpi", "--mpiexec", str(program), code=4)
    assert re.search(r"process \d+, which mpiexec has started or was started by, adopts engines", done.stderr), done.stderr


def test_native_engines_are_no_ranks(command):
    done = command("start", "-d", "-n", "2", "--launcher", "mpi", "--native", code=USAGE)
    assert "launcher: mpi and native" in done.stderr


@pytest.mark.parametrize("option", [["--max-tasks", "2"], ["--max-memory", "1G"]])
def test_ranks_are_not_renewed(command, option):
    done = command("start", "-d", "-n", "2", "--launcher", "mpi", *option, code=USAGE)
    assert "a rank of MPI cannot be renewed without ending what the others do" in done.stderr


def test_mpiexec_that_ends_after_its_engines_have_served_is_told_so(mpi, command):
    command("start", "-d", "-n", "2", "--launcher", "mpi", "--mpiexec", mpi["mpiexec"], "--python", mpi["python"],
            "--restart", "never", "--mpi-args", " ".join(mpi.get("mpi_args", [])))
    mpiexec = command.status()["mpiexec"]
    os.kill(mpiexec, signal.SIGKILL)
    wait_until(lambda: [engine["state"] for engine in command.status()["engines"]] == ["gone"] * 2, 40)
    log = (command.runtime / "pxrun" / "default" / "log").read_text()
    # MPICH's ranks may be seen to end before it
    assert f"mpiexec (process {mpiexec}) ended: SIGKILL" in log or re.search(r"engine \d \(process \d+\) died: ", log)
    assert "before its engines served" not in log


def test_mpiexec_is_left_to_end_by_itself(mpi, command):
    """Told to end while it does, that of Open MPI crashes, and leaves files in /dev/shm."""
    command("start", "-d", "-n", "2", "--launcher", "mpi", "--mpiexec", mpi["mpiexec"], "--python", mpi["python"],
            "--mpi-args", " ".join(mpi.get("mpi_args", [])))
    for generation in range(1, 6):
        os.kill(command.status()["engines"][1]["pid"], signal.SIGKILL)
        wait_until(lambda: [(engine["state"], engine["restarts"]) for engine in command.status()["engines"]] == [("up", generation)] * 2, 40)
    command("stop")
    log = (command.runtime / "pxrun" / "default" / "log").read_text()
    # by itself it crashes seldom, told to end in every second death
    assert "died: SIGKILL" in log and log.count("already in progress") + log.count("Signal:") < 2


def test_profile_has_the_settings(mpi, command):
    args = "".join(f"\n  - {arg}" for arg in mpi.get("mpi_args", [])) or " ''"
    command.profile(f"launcher: mpi\nengines: 2\nmpiexec: {mpi['mpiexec']}\nmpi_args:{args}\npython: {mpi['python']}\n")
    command("start", "-d")
    assert command("exec", "from mpi4py import MPI; MPI.COMM_WORLD.Get_size()").stdout == "[0] Out[1]: 2\n[1] Out[1]: 2\n"
    assert command.status()["launcher"] == "mpi"
    # a process of its own is no rank of this world
    done = command("engine", code=USAGE)
    assert "are an MPI world, which another process cannot join" in done.stderr
