# SPDX-License-Identifier: BSD-3-Clause
"""The command `pxrun`: each verb, its exit codes, bad input, and failures."""

import contextlib
import os
import pathlib
import re
import signal
import socket
import stat
import subprocess
import sys

import pytest

from command import ENGINE, EXISTS, FAILED, LIMIT, NO_POOL, OK, USAGE, gone, own_command, wait_until
from pxrun import Client


@pytest.fixture
def pxrun():
    with own_command() as run:
        yield run


@pytest.fixture
def pool(pxrun):
    """A command whose default pool runs with two engines."""
    pxrun("start", "-n", "2", "--daemonize")
    return pxrun


# --- usage ---


def test_version(pxrun):
    assert re.fullmatch(r"pxrun \d+\.\d+\.\d+\n", pxrun("--version").stdout)


@pytest.mark.parametrize("verb", ["start", "stop", "status", "list", "exec", "run"])
def test_help_of_verb(pxrun, verb):
    text = pxrun("help", verb).stdout
    assert text.startswith(f"usage: pxrun {verb}")
    assert pxrun(verb, "--help").stdout == text
    assert pxrun(verb, "-h").stdout == text
    assert f"\n  {verb} " in pxrun("help").stdout


@pytest.mark.parametrize("arguments, words", [
    ([], "usage: pxrun VERB"),
    (["dance"], "there is no verb 'dance'"),
    (["help", "dance"], "there is no verb 'dance'"),
    (["start", "--fast"], "pxrun: unrecognized option '--fast'"),
    (["stauts"], "there is no verb 'stauts'; did you mean 'status'?"),
    (["help", "strat"], "there is no verb 'strat'; did you mean 'start'?"),
    (["start", "--engin", "3", "--arean=1G"], "pxrun: did you mean '--arena'?"),
    (["run", "--prelod", "json", "x.py"], "pxrun: did you mean '--preload'?"),
    (["stop", "--timout", "3"], "pxrun: did you mean '--timeout'?"),
    (["status", "--jsn"], "pxrun: did you mean '--json'?"),
    (["exec", "--target=0", "--profiel", "x", "1"], "pxrun: did you mean '--profile'?"),
    (["list", "--jason"], "pxrun: did you mean '--json'?"),
    (["start", "extra"], "unexpected argument 'extra'"),
    (["start", "-n"], "pxrun: option requires an argument -- 'n'"),
    (["start", "-n", "0"], "-n must be a whole number from 1 to 512, not '0'"),
    (["start", "-n", "100000"], "from 1 to 512, not '100000'"),
    (["start", "-n", "-3"], "from 1 to 512, not '-3'"),
    (["start", "-n", "4x"], "from 1 to 512, not '4x'"),
    (["run", "-n", "0", "script.py"], "-n must be a whole number from 1 to 512, not '0'"),
    (["start", "--arena", "lots"], "--arena must be a size such as"),
    (["start", "--arena", "3"], "--arena must be from 1M to 16T"),
    (["start", "--restart", "perhaps"], "'never', 'on-failure' or 'always', not 'perhaps'"),
    (["start", "--event-loop=select"], "'auto', 'io_uring' or 'epoll', not 'select'"),
    (["start", "--preload", "a b"], "--preload must be names of modules"),
    (["start", "--ready-fd", "77"], "--ready-fd must be a descriptor that is open"),
    (["stop", "--timeout", "soon"], "--timeout must be a number of seconds"),
    (["stop", "--all", "--profile", "x"], "--all and --profile exclude each other"),
    (["status", "extra"], "unexpected argument 'extra'"),
    (["list", "extra"], "unexpected argument 'extra'"),
    (["exec"], "no code to run"),
    (["exec", "a", "b"], "the code must be one argument"),
    (["exec", "-t", "0,,1", "a"], "-t must be 'all' or ids"),
    (["exec", "-t", "0-1", "a"], "-t must be 'all' or ids"),
    (["exec", "-t", "", "a"], "-t must be 'all' or ids"),
    (["exec", "-t", "1,1", "a"], "-t names engine 1 twice"),
    (["run"], "no script to run"),
])
def test_misuse(pxrun, arguments, words):
    done = pxrun(*arguments, code=USAGE)
    assert words in done.stderr
    assert not done.stdout
    assert not list(pxrun.runtime.iterdir())


@pytest.mark.parametrize("arguments", [["dance"], ["start", "--fast"], ["start", "--p", "x"], ["start", "--arena"], ["stop", "-x"]])
def test_misuse_that_is_like_nothing_suggests_nothing(pxrun, arguments):
    assert "did you mean" not in pxrun(*arguments, code=USAGE).stderr


def test_full_disk_is_no_success(pxrun):
    with open("/dev/full", "w") as full:
        done = subprocess.run(["pxrun", "help"], env=pxrun.env, stdout=full, text=True,
                              stderr=subprocess.PIPE, timeout=LIMIT, check=False)
    assert done.returncode == FAILED
    assert "No space left" in done.stderr


@pytest.mark.parametrize("words", ["help", "--version", "list", "status", "exec 1", "exec 'print(1)'", "pull a -t 0", "gather a",
                                   "map line ::: a", "map -c echo ::: a", "top --once", "stack 0", "log", "profile show",
                                   "doctor", "status --json"])
@pytest.mark.parametrize("others", ["", "<&-"])
def test_results_without_an_output_are_no_success(pool, words, others):
    pool("exec", "a = [1]")
    done = subprocess.run(f"pxrun {words} >&- {others}", shell=True, env=pool.env, stderr=subprocess.PIPE, text=True,
                          timeout=LIMIT, check=False)
    assert done.returncode == FAILED
    assert "standard output" in done.stderr and "Bad file descriptor" in done.stderr


def test_what_prints_nothing_needs_no_output(pool):
    done = subprocess.run("pxrun exec 'a = 1' <&- >&- 2>&- && pxrun stop >&-", shell=True, env=pool.env, timeout=LIMIT,
                          check=False)
    assert done.returncode == OK


@pytest.mark.parametrize("name", ["", "../x", "a/b/", ".hidden", "a b", "x" * 64])
def test_profile_name_refused(pxrun, name):
    done = pxrun("start", "--daemonize", "--profile", name, code=USAGE)
    assert "is no profile name" in done.stderr
    assert not list(pxrun.runtime.iterdir())


# --- start, stop ---


@pytest.mark.parametrize("loop", ["epoll", "io_uring"])
def test_daemonize_returns_when_engines_answer(pxrun, loop):
    done = subprocess.run(["pxrun", "start", "-n", "3", "-d", "--event-loop", loop],
                          env=pxrun.env, text=True, capture_output=True, timeout=LIMIT,
                          check=False)
    if loop == "io_uring" and done.returncode and "io_uring" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.returncode == OK, done.stderr
    assert re.match(r"pool 'default': 3 engines, pid \d+; stop it with `pxrun stop`\n",
                    done.stdout)
    assert pxrun("exec", "6 * 7").stdout == "".join(f"[{i}] Out[1]: 42\n" for i in range(3))
    assert pxrun.status()["event_loop"] == loop
    pxrun("stop")
    assert pxrun.left() == ["log"]


def test_start_twice(pool):
    pid = pool.status()["pid"]
    for arguments in (["start"], ["start", "--daemonize"]):
        done = pool(*arguments, code=EXISTS)
        assert f"a pool runs under the profile 'default' already (process {pid})" in done.stderr
    assert pool("exec", "-t", "0", "1").stdout == "[0] Out[1]: 1\n"


def test_two_profiles(pool):
    pool("start", "-d", "-n", "1", "--profile", "second")
    assert [p["profile"] for p in pool.pools()] == ["default", "second"]
    assert pool("exec", "-p", "second", "'here'").stdout == "[0] Out[1]: 'here'\n"
    pool("stop", "-p", "second")
    assert [p["profile"] for p in pool.pools()] == ["default"]
    pool("start", "-d", "-n", "1", "--profile", "second")
    pool("stop", "--all")
    assert pool.pools() == []


def test_stop_without_pool(pxrun):
    assert "start one with: pxrun start" in pxrun("stop", code=NO_POOL).stderr
    assert "no pool of yours runs" in pxrun("stop", "--all", code=NO_POOL).stderr


def test_stop_interrupts_what_runs(pool):
    run = pool.begin("exec", "import time\ntry: time.sleep(60)\nfinally: print('left')")
    wait_until(lambda: pool.status()["engines"][1]["busy"])
    pool("stop", "--timeout", "20")
    assert run.wait(LIMIT) in (FAILED, NO_POOL, ENGINE)


def test_start_without_standard_files(pxrun):
    done = subprocess.run("pxrun start -d -n 1 <&- >&- 2>&-", shell=True, env=pxrun.env,
                          timeout=LIMIT, check=False)
    assert done.returncode == OK
    assert pxrun("exec", "1").stdout == "[0] Out[1]: 1\n"


def test_foreground_until_interrupted(pxrun):
    start = pxrun.begin("start", "-n", "2")
    line = start.stdout.readline()
    assert line == (f"pool 'default': 2 engines, pid {start.pid}; "
                    "stop it with Ctrl-C or `pxrun stop`\n")
    engines = [engine["pid"] for engine in pxrun.status()["engines"]]
    start.send_signal(signal.SIGINT)
    assert start.wait(LIMIT) == OK
    assert start.stderr.read() == ""
    assert all(gone(pid) for pid in engines)
    assert pxrun.left() == ["log"]


def test_foreground_ends_with_stop(pxrun):
    start = pxrun.begin("start", "-n", "1")
    start.stdout.readline()
    pxrun("stop")
    assert start.wait(LIMIT) == OK


def test_supervisor_killed_then_start_again(pool):
    before = pool.status()
    os.kill(before["pid"], signal.SIGKILL)
    wait_until(lambda: all(gone(engine["pid"]) for engine in before["engines"]))
    assert "no pool runs" in pool("exec", "1", code=NO_POOL).stderr
    done = pool("start", "-n", "1", "--daemonize")
    assert "1 engine," in done.stdout
    assert pool.status()["pid"] != before["pid"]


def test_stale_pool_listed_once(pool):
    pid = pool.status()["pid"]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: gone(pid))
    wait_until(lambda: "running" not in pool("list").stdout)
    assert pool.pools() == []
    assert pool.left() == ["log"]


def test_stale_socket_cleaned(pxrun):
    folder = pxrun.runtime / "pxrun" / "default"
    folder.mkdir(mode=0o700, parents=True)
    folder.parent.chmod(0o700)
    dead = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    dead.bind(str(folder / "control"))
    dead.close()
    (folder / "connection.json").write_text("{}")
    assert "no pool runs" in pxrun("status", code=NO_POOL).stderr
    pxrun("start", "-n", "1", "--daemonize")
    assert pxrun("exec", "1").stdout == "[0] Out[1]: 1\n"


def test_folder_not_ours(pxrun):
    folder = pxrun.runtime / "pxrun"
    folder.mkdir()
    folder.chmod(0o755)
    for verb in (["start"], ["start", "-d"], ["status"], ["list"], ["exec", "1"], ["stop"]):
        assert "has mode 0755" in pxrun(*verb, code=FAILED).stderr
    folder.rmdir()
    folder.symlink_to("/tmp")
    assert "is a symbolic link" in pxrun("start", "-d", code=FAILED).stderr


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_folder_of_another_user(pxrun):
    folder = pxrun.runtime / "pxrun"
    folder.mkdir(mode=0o700)
    os.chown(folder, 12345, 12345)
    assert "belongs to user 12345" in pxrun("start", "-d", code=FAILED).stderr


def test_runtime_path_too_long(pxrun):
    pxrun.env["XDG_RUNTIME_DIR"] = "/tmp/" + "x" * 100
    done = pxrun("start", "-d", code=USAGE)
    assert "set XDG_RUNTIME_DIR to a shorter one" in done.stderr


# --- profiles ---


def test_profile_is_read(pxrun):
    pxrun.profile("engines: 3\nrestart: never\nenv: {GREETING: hello}\npreload: [colorsys]\n")
    pxrun("start", "-d")
    assert len(pxrun.status()["engines"]) == 3
    code = "import os, sys; os.environ['GREETING'], 'colorsys' in sys.modules"
    assert pxrun("exec", "-t", "2", code).stdout == "[2] Out[1]: ('hello', True)\n"


def test_option_before_environment_before_profile(pxrun):
    pxrun.profile("engines: 3\n")
    pxrun.env["PXRUN_ENGINES"] = "2"
    pxrun("start", "-d")
    assert len(pxrun.status()["engines"]) == 2
    pxrun("stop")
    pxrun("start", "-d", "-n", "1")
    assert len(pxrun.status()["engines"]) == 1
    pxrun("stop")
    pxrun.env["PXRUN_ENGINES"] = "many"
    done = pxrun("start", "-d", code=USAGE)
    assert "PXRUN_ENGINES must be a whole number from 1 to 512" in done.stderr


@pytest.mark.parametrize("arguments", [["start"], ["start", "-d"]])
def test_wrong_profile_names_file_and_line(pxrun, arguments):
    path = pxrun.profile("# settings\nengines: many\n")
    done = pxrun(*arguments, code=USAGE)
    assert f"{path}:2:10: engines must be a whole number from 1 to 512, not 'many'" in done.stderr
    assert not list(pxrun.runtime.iterdir())


@pytest.mark.parametrize("verb", [["start"], ["start", "-d"], ["run"]])
def test_preload_that_is_misspelt_is_an_error(pxrun, verb):
    (pxrun.folder / "never.py").write_text("print('run')")
    script = [str(pxrun.folder / "never.py")] if verb == ["run"] else []
    done = pxrun(*verb, "-n", "1", "--preload", "json,nump", *script, code=ENGINE)
    assert "no engine can be made: preload of 'nump': No module named 'nump'; did you mean 'numpy'?" in done.stderr and not done.stdout
    path = pxrun.profile("engines: 1\npreload: [json, nosuchthing.at.all]\n")
    done = pxrun(*verb, *script, code=ENGINE)
    assert f"preload of 'nosuchthing.at.all': No module named 'nosuchthing'; preload is set in {path}:2:10 (the pool's log: " in done.stderr
    wait_until(lambda: pxrun.pools() == [])  # the supervisor of a start that failed may be ending still


def test_preload_whose_own_import_fails_is_an_error_with_a_traceback_in_the_log(pxrun):
    (pxrun.folder / "early.py").write_text("import late\n")
    (pxrun.folder / "late.py").write_text("from json import nothing\n")
    pxrun.env["PYTHONPATH"] = f"{pxrun.folder}:{os.environ.get('PYTHONPATH', '')}"
    done = pxrun("start", "-d", "-n", "1", "--preload", "early", code=ENGINE)
    assert "preload of 'early': cannot import name 'nothing' from 'json'" in done.stderr and "did you mean" not in done.stderr
    assert re.search(r"template:   File .*late.py\", line 1, in <module>\n", pxrun("log").stdout)


def test_numpy_that_is_not_there_is_no_error(pxrun):
    (pxrun.folder / "numpy.py").write_text("raise ModuleNotFoundError(\"No module named 'numpy'\", name='numpy')")
    pxrun.env["PYTHONPATH"] = f"{pxrun.folder}:{os.environ.get('PYTHONPATH', '')}"
    assert pxrun("start", "-d", "-n", "1").stderr == ""


@pytest.mark.parametrize("how", ["background", "foreground", "run"])
def test_warnings_are_shown(pxrun, how):
    path = pxrun.folder / "nothing.py"
    path.write_text("")
    (pxrun.folder / "numpy.py").write_text("__version__ = '0.1'\n")
    pxrun.env["PYTHONPATH"] = f"{pxrun.folder}:{os.environ.get('PYTHONPATH', '')}"
    words = "pxrun: warning: arrays that engines compute are copied when they are sent: numpy 0.1: No module named 'numpy.core'"
    if how == "background":
        shown = pxrun("start", "-d", "-n", "1").stderr
    elif how == "run":
        shown = pxrun("run", "-n", "1", str(path)).stderr
    else:
        start = pxrun.begin("start", "-n", "1")
        start.stdout.readline()
        pxrun("stop")
        shown = start.communicate(timeout=LIMIT)[1]
    assert shown.startswith(words) and shown.count("\n") == 1


def test_python_that_is_none(pxrun):
    done = pxrun("start", "-d", "-n", "1", "--python", "/nonexistent/python", code=ENGINE)
    assert "no engine can be started: starting '/nonexistent/python': No such file" in done.stderr
    assert pxrun.pools() == []


def test_python_of_a_profile_that_is_none_says_where(pxrun):
    path = pxrun.profile("engines: 1\npython: ~/venv/python\n")
    pxrun.env["HOME"] = "/nonexistent"
    done = pxrun("start", "-d", code=ENGINE)
    assert f"'/nonexistent/venv/python': No such file or directory; python is set in {path}:2:9 (" in done.stderr
    pxrun.profile("engines: 1\npython: /bin/false\n")
    done = pxrun("start", "-d", code=ENGINE)
    assert re.search(r"forks engines \(\d+\) died before it was ready: exit code 1; python is set in .*:2:9 ", done.stderr)


# --- status, list ---


def test_status(pool):
    status = pool.status()
    assert status["profile"] == "default"
    assert [engine["id"] for engine in status["engines"]] == [0, 1]
    table = pool("status").stdout
    assert table.startswith("pool 'default': up for ")
    for engine in status["engines"]:
        assert re.search(rf"^ +{engine['id']} +{engine['pid']}  up ", table, re.M)
    # the command is none of them
    assert "0 clients" in table and "CLIENT" not in table
    with Client(str(pool.runtime / "pxrun" / "default" / "connection.json")):
        table = pool("status").stdout
    assert "1 client\n" in table and re.search(rf"^ +\d+ +{os.getpid()} ", table, re.M)


def test_ps_shows_pool_and_engine(pxrun):
    pxrun("start", "-d", "-n", "2", "--profile", "work")
    status = pxrun.status("-p", "work")
    shown = [(status["pid"], "", "pxrun: work"), (status["template"]["pid"], " template", "pxrun: template")]
    shown += [(engine["pid"], f" {engine['id']}", f"pxrun:work {engine['id']}") for engine in status["engines"]]
    for pid, who, name in shown:
        process = pathlib.Path(f"/proc/{pid}")
        assert (process / "cmdline").read_bytes().rstrip(b"\0").decode() == f"pxrun: work{who}"
        assert (process / "comm").read_text() == f"{name}\n"
    # of a long name the end is not shown: who it is, is
    pxrun("start", "-d", "-n", "1", "--profile", "simulation")
    pid = pxrun.status("-p", "simulation")["engines"][0]["pid"]
    assert pathlib.Path(f"/proc/{pid}/comm").read_text() == "pxrun:simulat 0\n"
    # an engine's environment, which lies behind its arguments, is whole
    assert pxrun("exec", "-p", "work", "-t", "0", "import os; os.environ['XDG_RUNTIME_DIR']").stdout == f"[0] Out[1]: '{pxrun.runtime}'\n"


def test_status_of_engine_without_process(pool):
    """null, not 0: `kill 0` would end the caller's own group."""
    pool("stop")
    pool("start", "-n", "2", "--restart", "never", "--daemonize")
    os.kill(pool.status()["engines"][1]["pid"], signal.SIGKILL)
    wait_until(lambda: pool.status()["engines"][1]["state"] == "gone")
    with Client(str(pool.runtime / "pxrun" / "default" / "connection.json")) as client:
        assert client.engines[1].pid is None
    [gone_engine] = [engine for engine in pool.status()["engines"] if engine["state"] == "gone"]
    assert gone_engine["pid"] is None
    assert re.search(r"^ +1 +-  gone ", pool("status").stdout, re.M)


def test_engines_that_were_removed_are_not_in_the_status(pool):
    with Client(str(pool.runtime / "pxrun" / "default" / "connection.json")) as client:
        ids = client.ids
        client.shutdown(targets=ids[0])
        wait_until(lambda: list(client.engines) == ids[1:])
    assert [engine["id"] for engine in pool.status()["engines"]] == ids[1:]


def test_status_of_busy_engine(pool):
    run = pool.begin("exec", "-t", "1", "import time; print('on'); time.sleep(30)")
    run.stdout.readline()
    wait_until(lambda: pool.status()["engines"][1]["busy"] > 0.2)
    assert pool.status()["engines"][0]["busy"] is None
    run.send_signal(signal.SIGINT)
    assert run.wait(LIMIT) == FAILED


def test_list(pxrun):
    done = pxrun("list")
    assert done.stdout == "" and "no pool of yours runs" in done.stderr
    pxrun("start", "-d", "-n", "2", "-p", "work")
    [pool] = pxrun.pools()
    assert pool["profile"] == "work" and pool["state"] == "running" and pool["engines"] == 2
    assert pool["pid"] == pxrun.status("-p", "work")["pid"]
    assert re.search(rf"^work +running +{pool['pid']} +2 ", pxrun("list").stdout, re.M)


# --- run ---

SCRIPT = """\
import os, sys, time
import pxrun
with pxrun.Client() as rc:
    print(rc[:].apply_sync(lambda x: x + 1, 41), flush=True)
    print(sys.argv[1:], flush=True)
    time.sleep(float(os.environ.get("NAP", "0")))
sys.exit(7)
"""


@pytest.fixture
def script(pxrun):
    path = pxrun.folder / "script.py"
    path.write_text(SCRIPT)
    return str(path)


def test_run_script(pxrun, script):
    done = pxrun("run", "-n", "2", script, "--flag", "word", code=7)
    assert done.stdout == "[42, 42]\n['--flag', 'word']\n"
    assert pxrun.pools() == []
    assert list((pxrun.runtime / "pxrun").iterdir()) == []


def test_run_beside_default_pool(pool, script):
    pool("run", "-n", "1", script, code=7)
    assert [p["profile"] for p in pool.pools()] == ["default"]


def test_run_finds_modules_beside_script(pxrun):
    (pxrun.folder / "neighbour.py").write_text("def answer():\n    return 42\n")
    path = pxrun.folder / "main.py"
    path.write_text("import neighbour, pxrun\n"
                    "print(pxrun.Client()[:].apply_sync(neighbour.answer))\n")
    assert pxrun("run", "-n", "1", str(path), cwd="/").stdout == "[42]\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_run_ends_with_signal(pxrun, script, number):
    pxrun.env["NAP"] = "60"
    run = pxrun.begin("run", "-n", "1", script)
    assert run.stdout.readline() == "[42]\n"
    run.send_signal(number)
    status = run.wait(LIMIT)
    assert status == (128 + number if number == signal.SIGTERM else -number)
    wait_until(lambda: pxrun.pools() == [])


CAREFREE = """
import ctypes, os, subprocess, sys, time
ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER
done = subprocess.run(["pxrun", *sys.argv[1:]], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
try:
    print(done.returncode, os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG))
except ChildProcessError:
    print(done.returncode, "none")
"""


@pytest.mark.parametrize("verb, code", [("run", 7), ("map", 0)])
def test_own_pool_leaves_no_zombie_to_a_process_1_that_does_not_reap(pxrun, script, verb, code):
    arguments = [verb, "-n", "1", script if verb == "run" else "line"]
    done = subprocess.run([sys.executable, "-c", CAREFREE, *arguments], env=pxrun.env, text=True, stdout=subprocess.PIPE,
                          timeout=LIMIT, check=True)
    assert done.stdout == f"{code} none\n"


def test_run_missing_script(pxrun):
    done = pxrun("run", "/nonexistent.py", code=FAILED)
    assert "/nonexistent.py: No such file" in done.stderr


# --- memory ahead

def segment_bytes(pid):
    """What the pool's shared memory occupies."""
    found = [0]
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):  # some come and go
            each = os.stat(f"/proc/{pid}/fd/{fd}")
            if stat.S_ISREG(each.st_mode) and each.st_nlink == 0:
                found.append(512 * each.st_blocks)
    return max(found)


@pytest.mark.parametrize("loop", ["io_uring", "epoll"])
def test_idle_pool_gets_memory_ready(pxrun, loop):
    pxrun.profile("engines: 1\nprefault: 8M\narena: 256M\n")
    pxrun("start", "--daemonize", "--event-loop", loop)
    pid = pxrun.status()["pid"]
    wait_until(lambda: segment_bytes(pid) >= 8 << 20)
    # what was used of it is got ready again
    pxrun("exec", "import numpy; a = numpy.ones(6 << 20, 'u1')")
    wait_until(lambda: segment_bytes(pid) >= 14 << 20)
    pxrun("stop")
