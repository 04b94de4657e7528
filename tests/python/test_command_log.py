# SPDX-License-Identifier: BSD-3-Clause
"""The log of a pool: whose lines are in it, how `pxrun log` shows and follows it, and what is left of it."""
from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import textwrap
import time
from pathlib import Path

import pytest

from command import ENGINE, FAILED, LIMIT, NO_POOL, USAGE, Command, own_command

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


class World(Command):
    def __init__(self, folder):
        super().__init__(folder)
        self.env["PYTHONPATH"] = f"{folder}:{os.environ.get('PYTHONPATH', '')}"
        self.home = self.runtime / "pxrun" / "default"
        self.log = self.home / "log"

    def start(self, *options, **more):
        return self("start", "--daemonize", "-n", "2", "--preload", "", *options, **more)

    def write(self, *lines, name="log"):
        """A log without a pool."""
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.home.parent.chmod(0o700)
        (self.home / name).write_text("".join(f"2026-11-28T02:40:09.123Z {line}\n" for line in lines))

    def lines(self, *options):
        """What is shown, without the times."""
        return [line.split(" ", 1)[1] for line in self("log", *options).stdout.splitlines()]


@pytest.fixture
def world():
    with own_command(World) as world:
        yield world


@pytest.fixture
def follow(world):
    """Follows the log; next() is its next line without the time."""
    begun = []

    class Follower:
        def __init__(self, *options, **more):
            self.process = subprocess.Popen(["pxrun", "log", "-f", *options], env=world.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)
            begun.append(self.process)

        def next(self):
            return self.process.stdout.readline().rstrip("\n").split(" ", 1)[-1]

        def until(self, line):
            lines = [self.next()]
            while lines[-1] != line:
                assert self.process.poll() is None, lines
                lines.append(self.next())
            return lines

        def end(self):
            self.process.send_signal(signal.SIGINT)
            out, err = self.process.communicate(timeout=LIMIT)
            return self.process.returncode, out, err

    yield Follower
    for process in begun:
        process.kill()
        process.communicate()


# --- what is in it


def test_lines_have_time_and_owner(world):
    world.start()
    world("exec", "-t", "1", "import sys; print('out'); print('err', file=sys.stderr); print('x\\n\\ny', end='')")
    world("stop")
    text = world("log").stdout
    assert all(re.match(rf"{TIME} (supervisor|engine \d+): ", line) for line in text.splitlines())
    lines = world.lines("-t", "1")  # of its two streams, either may be read first
    lines.remove("engine 1: err")
    assert lines == ["engine 1: out", "engine 1: x", "engine 1: ", "engine 1: y"]
    assert re.search(r"supervisor: 2 engines serve, .* after the start\n", text)


def test_template_is_named(world):
    (world.folder / "early.py").write_text("import os, sys\nprint('by a module', flush=True); print('and more', file=sys.stderr)\nos.write(1, b'no end')")
    world.start("--preload", "early")
    assert set(world.lines("-t", "template")) == {"template: and more", "template: no end", "template: by a module"}


def test_lines_that_are_printed_in_pieces_do_not_mix(world):
    world.start()
    world("exec", "import time\nfor c in 'abc': print(c, end='', flush=True); time.sleep(0.2)\nprint('d')")
    for engine in (0, 1):
        assert world.lines("-t", str(engine)) == [f"engine {engine}{text}" for text in (": a", "+ b", "+ c", "+ d")]


def test_output_of_several_engines_at_once_is_torn_nowhere(world):
    world.start()
    world("exec", "for i in range(20000): print('x' * (i % 300) + 'end')")
    lines = [line for line in world.lines() if line.startswith("engine")]
    assert all(re.fullmatch(r"engine \d([:+]) .*", line) for line in lines)
    for engine in "01":
        whole = "".join(("\n" if line[8] == ":" else "") + line[10:] for line in lines if line[7] == engine)
        assert whole.split("\n")[1:] == ["x" * (i % 300) + "end" for i in range(20000)]


# --- what is shown


def test_all_is_shown_also_what_was_kept(world):
    world.write("engine 0: one", "supervisor: two", name="log.1")
    world.write("engine 1: three", "engine 10+ four", "template: five")
    assert world.lines() == ["engine 0: one", "supervisor: two", "engine 1: three", "engine 10+ four", "template: five"]
    assert world.lines("-n", "4")[0] == "supervisor: two"
    assert world.lines("-n4") == world.lines("--lines=4")
    assert world.lines("-n", "0") == []
    assert len(world.lines("-n", "99")) == 5
    assert world.lines("-t", "1") == ["engine 1: three"]
    assert world.lines("-t", "10,0,template") == ["engine 0: one", "engine 10+ four", "template: five"]
    assert world.lines("-n", "1", "-t", "supervisor,1") == ["engine 1: three"]
    assert world.lines("-t", "511") == []
    assert len(world.lines("-t", "all")) == 5


def test_odd_lines_are_shown_as_they_are(world):
    world.write("engine 0: one")
    with world.log.open("ab") as log:
        log.write(b"of a library\n\0\xff\n" + b"x" * 300_000 + b"\nno end")
    done = subprocess.run(["pxrun", "log"], env=world.env, capture_output=True, timeout=LIMIT, check=True)
    assert done.stdout.split(b"\n")[1:] == [b"of a library", b"\0\xff", b"x" * 300_000, b"no end", b""]
    done = subprocess.run(["pxrun", "log", "-t", "supervisor"], env=world.env, capture_output=True, timeout=LIMIT, check=True)
    assert done.stdout.startswith(b"of a library\n\0\xff\n")


def test_profiles_have_their_own(world):
    world.write("engine 0: one")
    world.start("-p", "other")
    assert world.lines() == ["engine 0: one"]
    assert world.lines("-p", "other") == world.lines("-p", str(world.runtime / "pxrun" / "other" / "connection.json")) != []
    assert world("list").stdout.count("\n") == 2


@pytest.mark.parametrize("options, words", [
    (["-n", "x"], "-n must be a number of lines, not 'x'"),
    (["-n", "-1"], "-n must be a number of lines"),
    (["-n", ""], "-n must be a number of lines"),
    (["-n", "99999999999999999999999"], "-n must be a number of lines"),
    (["-t", "x"], "-t must be 'all', or ids of engines, 'supervisor' and 'template'"),
    (["-t", "0,"], "-t must be"),
    (["-t", ""], "-t must be"),
    (["-t", "512"], "-t must be"),
    (["-t", "supervisors"], "-t must be"),
    (["--folow"], "did you mean '--follow'"),
    (["0"], "unexpected argument '0'"),
    (["-p", ".."], "is no profile name"),
])
def test_wrong_options(world, options, words):
    done = world("log", *options, code=USAGE)
    assert words in done.stderr and not done.stdout


def test_none_says_so(world):
    done = world("log", code=NO_POOL)
    assert done.stderr == f"pxrun: there is no log of the profile 'default': {world.log}\n"


def test_closed_and_full_outputs(world):
    world.write(*["engine 0: " + "x" * 90] * 10_000)
    for options in ([], ["-f", "-n", "10000"]):
        done = subprocess.run(f"pxrun log {' '.join(options)} | head -n 1", shell=True, env=world.env, capture_output=True, text=True, timeout=LIMIT)
        assert done.stdout.count("\n") == 1 and not done.stderr
        with open("/dev/full", "w") as full:
            done = subprocess.run(["pxrun", "log", *options], env=world.env, stdout=full, stderr=subprocess.PIPE, text=True, timeout=LIMIT)
        assert done.returncode == FAILED and "writing to standard output: No space left" in done.stderr
    subprocess.run("! pxrun log -n 5 <&- >&- 2>&-", shell=True, env=world.env, timeout=LIMIT, check=True)


# --- following


def test_follow_shows_what_comes(world, follow):
    world.write(*[f"engine 0: {i}" for i in range(20)])
    tail = follow()
    assert [tail.next() for _ in range(10)] == [f"engine 0: {i}" for i in range(10, 20)]
    with world.log.open("a") as log:
        log.write("2026-11-28T02:40:09.123Z engine 1: n")
        log.flush()
        time.sleep(0.2)  # what has no end yet is not shown
        log.write("ew\n")
    assert tail.next() == "engine 1: new"
    assert tail.end() == (-signal.SIGINT, "", "")


def test_follow_of_some(world, follow):
    world.write("engine 0: one", "engine 1: two", "supervisor: three")
    tail = follow("-n", "1", "-t", "1")
    assert tail.next() == "engine 1: two"
    with world.log.open("a") as log:
        log.write("2026-11-28T02:40:09.123Z engine 0: a\n2026-11-28T02:40:09.123Z engine 1+ b\n")
    assert tail.next() == "engine 1+ b"


def test_follow_through_stop_and_start(world, follow):
    tail = follow()
    assert "there is no log" in tail.process.stderr.readline()
    for _ in range(2):
        world.start()
        world("exec", "-t", "0", "print('here')")
        assert "engine 0: here" in tail.until("engine 0: here")
        world("stop")
        tail.until("supervisor: the pool has stopped")
    assert tail.end() == (-signal.SIGINT, "", "")


def test_follow_through_what_is_kept(world, follow):
    """Three times the log becomes too long; all lines are shown."""
    world.start()
    tail = follow("-n", "0", "-t", "0")
    time.sleep(0.2)
    for i in range(3):
        os.truncate(world.log, 129 << 20)
        world("exec", "-t", "0", f"print('\\n{i} one'); print({i}, 'two')")
        world("exec", "-t", "0", f"print({i}, 'three')")
        tail.until(f"engine 0: {i} three")
        assert world.log.stat().st_size < 1000 and (world.home / "log.1").stat().st_size > 128 << 20


def test_follow_through_truncation_and_deletion(world, follow):
    world.write("engine 0: one", "engine 0: two")
    tail = follow()
    tail.until("engine 0: two")
    world.log.write_text("2026-11-28T02:40:09.123Z engine 0: 3\n")
    tail.until("engine 0: 3")
    world.log.unlink()
    world.write("engine 0: four")
    tail.until("engine 0: four")
    shutil.rmtree(world.home)
    time.sleep(0.2)
    world.write("engine 0: five")
    tail.until("engine 0: five")
    assert tail.process.poll() is None


def test_follow_ends_when_nobody_reads(world, follow):
    world.write("engine 0: one")
    tail = follow()
    tail.next()
    tail.process.stdout.close()
    assert tail.process.wait(LIMIT) == 0


# --- what is left


def test_stop_leaves_the_last_log_and_start_begins_anew(world):
    world.start()
    world("exec", "-t", "0", "print('the first')")
    world("stop")
    assert [left.name for left in world.home.iterdir()] == ["log"]
    assert world("list").stdout == "" and world("list", "--json").stdout == "[]\n"
    assert "engine 0: the first" in world.lines()
    world.write("engine 0: before", name="log.1")
    world.start()
    assert not [line for line in world.lines() if "first" in line or "before" in line]


def test_killed_pool_leaves_its_log(world):
    world.start()
    world("exec", "-t", "0", "print('the last')")
    pid = int((world.home / "lock").read_text().split()[0])
    os.kill(pid, signal.SIGKILL)
    while "stale" not in world("list").stdout:
        pass
    assert world("list").stdout == ""
    assert "engine 0: the last" in world.lines()


def test_private_pools_leave_none(world):
    subprocess.run(["python3", "-c", "import pxrun\nwith pxrun.Cluster(n=1): pass"], env=world.env, timeout=LIMIT, check=True)
    (world.folder / "script.py").write_text("import pxrun; pxrun.Client()")
    world("run", "-n", "1", "--preload", "", str(world.folder / "script.py"))
    assert list((world.runtime / "pxrun").iterdir()) == []


def test_deleted_log_is_made_again(world):
    world.start()
    world.log.unlink()
    world("exec", "-t", "1", "print('after')")
    assert world.lines("-t", "1") == ["engine 1: after"]


# --- where the profile wants it


def test_log_of_a_profile_is_added_to(world, follow):
    path = world.folder / "mine.log"
    path.write_text("mine\n")
    world.profile(f"log: {path}\n")
    for word in ("first", "second"):
        world.start()
        world("exec", "-t", "0", f"print('the {word}')")
        world("stop")
        assert world.left() == ["log"] and world.log.is_symlink()
    assert path.read_text().startswith("mine\n")
    assert world.lines("-t", "0") == ["engine 0: the first", "engine 0: the second"]
    world.start()
    tail = follow("-n", "1", "-t", "0")
    tail.until("engine 0: the second")
    os.truncate(path, 129 << 20)
    world("exec", "-t", "0", "print('\\nthe third')")
    world("exec", "-t", "0", "print('the fourth')")
    tail.until("engine 0: the third")
    tail.until("engine 0: the fourth")
    assert path.stat().st_size < 1000 and Path(f"{path}.1").stat().st_size > 128 << 20


@pytest.mark.parametrize("path", ["/dev/null", "/dev/full"])
def test_log_that_takes_nothing_is_no_matter_to_the_pool(world, path):
    world.profile(f"log: {path}\n")
    world.start()
    for _ in range(2):
        assert "ran" in world("exec", "-t", "0", "print('x' * 100_000); print('ran')").stdout
        world("exec", "-t", "0", "import os; os._exit(3)", code=ENGINE)
    assert "there is no log" in world("log", code=NO_POOL).stderr
    world("stop")


@pytest.mark.parametrize("path, words", [("/nonexistent/log", "No such file or directory"), ("{folder}", "Is a directory")])
def test_log_that_cannot_be_opened_is_an_error(world, path, words):
    path = path.format(folder=world.folder)
    world.profile(f"log: {path}\n")
    for verb in (["start", "-d"], ["start"]):
        assert f"opening the log {path}: {words}" in world(*verb, "-n", "1", code=FAILED).stderr
    assert world("list").stdout == ""


# --- starts that fail


def test_failed_start_names_its_log_which_is_kept(world):
    (world.folder / "early.py").write_text("def f():\n    raise ValueError('no such thing')\nf()\n")
    done = world.start("--preload", "early", code=ENGINE)
    assert done.stderr.endswith(f"ValueError: no such thing (the pool's log: {world.log})\n")
    assert "template:   File" in "\n".join(world.lines())
    assert [left.name for left in world.home.iterdir()] == ["log"]
    assert world("list").stdout == ""


def test_failed_start_in_the_foreground_names_its_log(world):
    done = world("start", "-n", "1", "--python", "/nosuch/python", code=ENGINE)
    assert "starting '/nosuch/python': No such file or directory" in done.stderr
    assert done.stderr.endswith(f" (the pool's log: {world.log})\n")
    assert "/nosuch/python" in world("log").stdout


def test_failed_private_pools_leave_the_last_few(world):
    code = textwrap.dedent("""
        import pxrun
        for _ in range(12):
            try:
                pxrun.Cluster(n=1, python="/nosuch/python").start_cluster_sync()
            except pxrun.EngineError as error:
                last = str(error)
        print(last.rsplit(" ", 1)[1].rstrip(")"))
    """)
    done = subprocess.run(["python3", "-c", code], env=world.env, timeout=LIMIT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    named = Path(done.stdout.strip())
    assert "/nosuch/python" in named.read_text()
    left = list((world.runtime / "pxrun").iterdir())
    assert named.parent in left and len(left) <= 9
    assert world("list").stdout == ""
