# SPDX-License-Identifier: BSD-3-Clause
"""Kills processes at every kill point, then at random, and looks at what is left.

The labels come from the binary (section px_killpoints), so a new PX_KILLPOINT is a new
test. Each is tried in each role that may pass it, at the first and hundredth passage. After each
kill: every call of the scenario ended; the pool, if its supervisor lives, serves again
with all engines; a stop leaves no process, no file, no shared memory.

    run.py [--hits 1,100] [--random N] [--seed S] [--only LABEL]
"""
from __future__ import annotations

import argparse
import contextlib
import glob
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ["PXRUN_BUILDDIR"]
PXRUN = os.path.join(BUILD, "bin", "pxrun")
ROLES = ("client", "engine", "template", "supervisor")
WORLD = os.path.join(HERE, "world")
#: Passed by where engines are the ranks of a world.
OF_WORLDS = ("supervisor.join.answered", "supervisor.world.falls", "supervisor.world.started")
LIMIT = 60  # seconds; nothing here takes two


class Failure(Exception):
    pass


def labels():
    """The strings of the section px_killpoints of everything that is built."""
    found = set()
    for path in [PXRUN, *glob.glob(os.path.join(BUILD, "lib", "python", "pxrun", "_pxrun*.so"))]:
        with tempfile.NamedTemporaryFile() as out:
            subprocess.run(["objcopy", "-O", "binary", "--only-section=px_killpoints",
                            "--set-section-flags", "px_killpoints=alloc", path, out.name], check=True)
            found |= {s.decode() for s in out.read().split(b"\0") if s}
    return sorted(found)


class Pool:
    """One named pool with its own runtime folder, found again by a mark in its environment."""

    def __init__(self, loop, world=False):
        self.folder = tempfile.TemporaryDirectory(prefix="pxrun-faults-")
        self.mark = os.path.basename(self.folder.name)
        self.once = os.path.join(self.folder.name, "once")
        self.profile = "faults"
        self.loop = loop
        self.launcher = ["--launcher", "mpi", "--mpiexec", os.path.join(WORLD, "mpiexec")] if world else []
        self.env = dict(os.environ, XDG_RUNTIME_DIR=self.folder.name, PXRUN_FAULTS=self.mark)
        self.env.pop("PXRUN_PROFILE", None)
        if world:
            self.env["PYTHONPATH"] = os.pathsep.join([WORLD, self.env.get("PYTHONPATH", "")])

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        """Of a pool that failed, nothing is left to disturb what follows."""
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.folder.cleanup()

    def arm(self, role, label, hit):
        """Environment in which the first process of that role to get there is killed, once."""
        with open(self.once, "w"):
            pass
        return dict(self.env, PXRUN_KILLPOINT=f"{role}:{label}:{hit}:{self.once}")

    def fired(self):
        return not os.path.exists(self.once)

    def run(self, *command, env=None, check=False):
        process = subprocess.Popen(command, env=env or self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            out, err = process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            stacks = self.stacks()
            process.send_signal(signal.SIGABRT)  # the scenario's own stacks are written by Python's faulthandler
            raise Failure(f"{' '.join(command)} hangs\n{stacks}\n{process.communicate()[1]}{self.log()}") from None
        done = subprocess.CompletedProcess(command, process.returncode, out, err)
        if check and done.returncode:
            raise Failure(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}{self.log()}")
        return done

    def log(self):
        """The end of the pool's log, which a supervisor that was killed leaves."""
        found = glob.glob(os.path.join(self.folder.name, "pxrun", "*", "log"))
        if not found:
            return "there is no log"
        with open(found[0], errors="replace") as text:
            return "its log ends:\n" + text.read()[-4000:]

    def start(self, env=None, engines=2):
        return self.run(PXRUN, "start", "--daemonize", "--profile", self.profile, "-n", str(engines),
                        "--preload", "", "--restart", "always", "--arena", "64M", f"--event-loop={self.loop}", *self.launcher, env=env)

    def scenario(self, env=None):
        return self.run(sys.executable, os.path.join(HERE, "scenario.py"), self.profile, env=env)

    def status(self):
        return json.loads(self.run(PXRUN, "status", "--json", "--profile", self.profile, check=True).stdout)

    def processes(self):
        """The processes that have our mark in their environment, without zombies."""
        found = []
        for environ in glob.glob("/proc/[0-9]*/environ"):
            pid = int(environ.split("/")[2])
            try:
                with open(environ, "rb") as text:
                    if f"PXRUN_FAULTS={self.mark}".encode() in text.read():
                        found.append(pid)
            except OSError:
                continue
        return found

    def stacks(self):
        lines = []
        for pid in self.processes():
            for name in ("cmdline", "wchan", "syscall", "stat"):
                with contextlib.suppress(OSError), open(f"/proc/{pid}/{name}", "rb") as text:
                    lines.append(f"{pid} {name}: {text.read()!r}")
        return "\n".join(lines)

    def must_vanish(self):
        """Every process of the pool is gone soon; a machine under load takes its time."""
        end = time.monotonic() + 15
        while self.processes():
            if time.monotonic() > end:
                raise Failure(f"processes are left:\n{self.stacks()}")
            os.sched_yield()

    def finish(self):
        """Stops what runs; nothing may be left. Whether the kill happened, be it now."""
        self.run(PXRUN, "stop", "--profile", self.profile)
        self.must_vanish()
        left = [p for p in glob.glob(os.path.join(self.folder.name, "pxrun", "*", "*")) if not p.endswith("/log")]
        if left:
            # The next start removes what a killed supervisor has left.
            self.start()
            self.run(PXRUN, "stop", "--profile", self.profile, check=True)
            self.must_vanish()
            left = [p for p in glob.glob(os.path.join(self.folder.name, "pxrun", "*", "*")) if not p.endswith("/log")]
        left += glob.glob("/dev/shm/pxrun*")
        if left:
            raise Failure(f"files are left: {left}")
        return self.fired()

    def check_serves(self):
        """All engines answer, and nobody but live members owns memory."""
        for attempt in range(4):  # the kill may be still to come, and then hits one of these
            done = self.run(PXRUN, "exec", "--profile", self.profile, "import os; os.getpid()")
            if attempt and done.returncode == 0:
                break
        else:
            raise Failure(f"exec afterwards ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        self.scenario_clean()
        # an engine closes its link to the last client when it gets to see that it has gone
        end = time.monotonic() + 15
        while kept := self.status()["arena"]["lingering"]:
            if time.monotonic() > end:
                raise Failure(f"{kept} dead members are kept")

    def scenario_clean(self):
        done = self.scenario()
        if done.returncode:
            raise Failure(f"the scenario afterwards ended with {done.returncode}:\n{done.stderr}")


def try_point(role, label, hit, loop):
    """One kill; True if it happened."""
    with Pool(loop, label in OF_WORLDS) as pool:
        return kill_there(pool, role, label, hit)


def kill_there(pool, role, label, hit):
    armed = pool.arm(role, label, hit)
    started = pool.start(armed if role != "client" else None)
    if started.returncode == 0:
        done = pool.scenario(armed if role == "client" else None)
        killed = role == "client" and pool.fired()
        if done.returncode != (-signal.SIGKILL if killed else 0):
            raise Failure(f"the scenario ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        try:
            pool.check_serves()
        except Failure:
            # without a supervisor, killed before or only now, there is no pool to serve
            if not (role == "supervisor" and pool.fired()):
                raise
    elif not pool.fired() or not started.stderr.strip():
        raise Failure(f"start ended with {started.returncode}: {started.stderr!r}")
    return pool.finish()


def roles_of(label):
    """Those that may pass there: code of the supervisor or the template runs in no other process."""
    where = label.split(".")[0]
    return (where,) if where in ("supervisor", "template") else ROLES


def loops_of(role, number):
    """Both of the supervisor, whose loop it is; else one, in turn."""
    return ("auto", "epoll") if role == "supervisor" else (("auto", "epoll")[number % 2],)


def kills_there(role, label, hits, loop):
    """How many there were: who does not pass that often does not pass oftener."""
    for count, hit in enumerate(hits):
        if not report(f"{role}:{label}:{hit}, {loop}", try_point, role, label, hit, loop):
            return count
    return len(hits)


def every_point(hits, only):
    fired = 0
    for number, label in enumerate(labels()):
        if only and only != label:
            continue
        before = fired
        for role in roles_of(label):
            for loop in loops_of(role, number):
                fired += kills_there(role, label, hits, loop)
        if fired == before:
            report(label, nobody_passes)
    print(f"kill points: {fired} kills at {len(labels())} labels", flush=True)
    return fired


def nobody_passes():
    raise Failure("nobody was killed there: the scenario does not come by")


KILLS_A_ROUND = 4
ROUNDS_A_POOL = 8  # an engine that dies again and again is started later and later


def at_random(count, seed):
    """SIGKILL at any instant to engines, template, client and, rarely, the supervisor; some are only stopped for a while."""
    dice = random.Random(seed)
    kills = 0
    while kills < count:
        with Pool(dice.choice(("auto", "epoll"))) as pool:
            kills += rounds(pool, dice)
            pool.finish()


def rounds(pool, dice):
    """One pool's rounds; how many were killed."""
    kills = 0
    started = pool.start(engines=4)
    if started.returncode:
        raise Failure(f"start ended with {started.returncode}: {started.stderr}")
    for _ in range(ROUNDS_A_POOL):
        done, supervisor_lives = one_round(pool, dice)
        kills += done
        if not supervisor_lives:
            return kills
    pool.check_serves()
    return kills


def wait(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        os.sched_yield()


def pause(dice, pids):
    """One of them does not run for a moment: it makes the others wait, and no more."""
    pid = dice.choice([pid for pid in pids if pid])
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
        wait(dice.uniform(0.0, 0.05))
        os.kill(pid, signal.SIGCONT)


def one_round(pool, dice):
    """Runs one client, with some kills meanwhile; returns how many, and whether the supervisor still runs."""
    client = subprocess.Popen([sys.executable, os.path.join(HERE, "scenario.py"), pool.profile], env=pool.env,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for kills in range(1, KILLS_A_ROUND + 1):
        wait(dice.uniform(0.0, 0.1))
        state = pool.status()
        if dice.random() < 0.3:
            pause(dice, [client.pid, state["pid"], state["template"]["pid"], *(e["pid"] for e in state["engines"])])
        what = dice.choices(("engine", "client", "template", "supervisor"), (70, 15, 12, 3))[0]
        pids = {"engine": [e["pid"] for e in state["engines"]], "client": [client.pid],
                "template": [state["template"]["pid"]], "supervisor": [state["pid"]]}[what]
        victim = dice.choice([pid for pid in pids if pid] or [client.pid])
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it has died since the supervisor said that it lives
        if victim in (client.pid, state["pid"]):
            break
    try:
        _, err = client.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        stacks = pool.stacks()
        client.send_signal(signal.SIGABRT)  # its own stacks are written by Python's faulthandler
        raise Failure(f"a client hangs after kill of {what}\n{stacks}\n{client.communicate()[1]}") from None
    # it may have been at its end already when it was killed
    if client.returncode not in ((0, -signal.SIGKILL) if victim == client.pid else (0,)):
        raise Failure(f"after kill of {what} the client ended with {client.returncode}:\n{err}")
    return kills, victim != state["pid"]


def report(name, test, *args):
    try:
        return test(*args)
    except Failure as failure:
        print(f"FAILED {name}: {failure}", flush=True)
        report.failures += 1
        return None


report.failures = 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hits", default="1,100")
    parser.add_argument("--random", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--only")
    options = parser.parse_args()
    if not every_point([int(h) for h in options.hits.split(",")], options.only):
        print("no kill point fired: the build is not --enable-killpoints")
        return 77
    if not options.only:
        print(f"random: {options.random} kills, seed {options.seed}", flush=True)
        report(f"random seed {options.seed}", at_random, options.random, options.seed)
    return bool(report.failures)


if __name__ == "__main__":
    sys.exit(main())
