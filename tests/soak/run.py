# SPDX-License-Identifier: BSD-3-Clause
"""Random work by several clients on pools in which everything dies, stops and runs out, against a model.

``run.py [--seconds N] [--seed S] [--rounds N]``: rounds of about a minute, each with a seed of its own. A
hang, a wrong value, a process, descriptor, file or piece of memory that is left ends it with the
command that repeats the round.
"""
from __future__ import annotations

import argparse
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
PXRUN = os.path.join(os.environ["PXRUN_BUILDDIR"], "bin", "pxrun")
PROFILE = "soak"
#: For what has to end soon; nothing here takes ten.
LIMIT = 120


class Failure(Exception):
    pass


class Round:
    """One pool, its clients, and what happens to them."""

    def __init__(self, seed, seconds):
        self.random = random.Random(seed)
        self.seed, self.seconds = seed, seconds
        self.folder = tempfile.TemporaryDirectory(prefix="pxrun-soak-")
        self.mark = os.path.basename(self.folder.name)
        self.env = dict(os.environ, XDG_RUNTIME_DIR=self.folder.name, PXRUN_SOAK_MARK=self.mark)
        for name in ("PXRUN_PROFILE", "PXRUN_CONNECTION"):
            self.env.pop(name, None)
        self.workers = {}
        self.steps = self.deaths = self.events = 0

    # --- tools

    def command(self, *words, check=True):
        try:
            done = subprocess.run([PXRUN, *words, "--profile", PROFILE], env=self.env, capture_output=True, text=True,
                                  timeout=LIMIT)
        except subprocess.TimeoutExpired:
            raise Failure(f"pxrun {' '.join(words)} hangs") from None
        if check and done.returncode:
            raise Failure(f"pxrun {' '.join(words)} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def status(self):
        return json.loads(self.command("status", "--json"))

    def processes(self):
        found = []
        for environ in glob.glob("/proc/[0-9]*/environ"):
            try:
                with open(environ, "rb") as text:
                    if f"PXRUN_SOAK_MARK={self.mark}".encode() in text.read():
                        found.append(int(environ.split("/")[2]))
            except OSError:
                continue
        return found

    def until(self, holds, what):
        end = time.monotonic() + LIMIT
        while not holds():
            if time.monotonic() > end:
                raise Failure(what())
            time.sleep(0.05)

    # --- clients

    def add_worker(self):
        seed = self.random.getrandbits(32)
        process = subprocess.Popen([sys.executable, os.path.join(HERE, "worker.py"), PROFILE, str(seed), str(self.seconds)],
                                   env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.workers[process.pid] = (process, seed)

    def end_worker(self, pid, killed=False):
        process, seed = self.workers.pop(pid)
        try:
            out, err = process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)
            raise Failure(f"the worker of seed {seed} hangs:\n{process.communicate()[1]}") from None
        if killed and process.returncode == -signal.SIGKILL:
            return
        if process.returncode:
            raise Failure(f"the worker of seed {seed} ended with {process.returncode}:\n{err}")
        steps, deaths = map(int, out.split())
        self.steps += steps
        self.deaths += deaths

    # --- what happens to them

    def engine(self):
        up = [e for e in self.status()["engines"] if e["state"] == "up" and e["pid"]]
        return self.random.choice(up) if up else None

    def signal(self, pid, number):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass

    def pause(self, pid):
        self.signal(pid, signal.SIGSTOP)
        time.sleep(self.random.random())
        self.signal(pid, signal.SIGCONT)

    def kill_engine(self):
        engine = self.engine()
        if engine:
            self.signal(engine["pid"], self.random.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM)))

    def pause_engine(self):
        engine = self.engine()
        if engine:
            self.pause(engine["pid"])

    def pause_supervisor(self):
        self.pause(self.supervisor)

    def template(self):
        pid = self.status()["template"]["pid"]
        return [pid] if pid else []

    def pause_template(self):
        for pid in self.template():
            self.pause(pid)

    def kill_template(self):
        for pid in self.template():
            self.signal(pid, signal.SIGKILL)

    def add_engine(self):
        if len(self.status()["engines"]) < 40:
            self.python("rc._core.add(1)")

    def remove_engine(self):
        up = [e for e in self.status()["engines"] if e["state"] == "up"]
        if len(up) > 2:
            self.python(f"rc.shutdown(targets=[{self.random.choice(up)['id']}])", check=False)

    def restart_engine(self):
        engine = self.engine()
        if engine:
            self.python(f"rc.restart({engine['id']})", check=False)

    def kill_worker(self):
        pid = self.random.choice(list(self.workers))
        self.signal(pid, signal.SIGKILL)
        self.end_worker(pid, killed=True)
        self.add_worker()

    def pause_worker(self):
        self.pause(self.random.choice(list(self.workers)))

    def python(self, code, check=True):
        done = subprocess.run([sys.executable, "-c", f"import pxrun; rc = pxrun.Client(profile={PROFILE!r})\n{code}"], env=self.env,
                              capture_output=True, text=True, timeout=LIMIT)
        if check and done.returncode:
            raise Failure(f"{code}: {done.stderr}")

    EVENTS = (kill_engine, kill_engine, pause_engine, pause_supervisor, pause_template, kill_template, add_engine, remove_engine,
              restart_engine, kill_worker, pause_worker)

    # --- a round

    def start(self):
        r = self.random
        self.command("start", "--daemonize", "-n", str(r.randrange(1, 5)), "--arena", r.choice(("64M", "256M", "1G")),
                     "--event-loop", r.choice(("io_uring", "epoll")), "--restart", "always")
        self.supervisor = self.status()["pid"]
        self.descriptors = self.open_descriptors()

    def open_descriptors(self):
        return len(os.listdir(f"/proc/{self.supervisor}/fd"))

    def work(self):
        for _ in range(self.random.randrange(1, 4)):
            self.add_worker()
        end = time.monotonic() + self.seconds
        while time.monotonic() < end:
            time.sleep(self.random.expovariate(1.5))
            self.random.choice(self.EVENTS)(self)
            self.events += 1
            for pid, (process, _) in list(self.workers.items()):
                if process.poll():
                    self.end_worker(pid)
        for pid in list(self.workers):
            self.end_worker(pid)

    def engines_settled(self):
        state = self.status()  # its command is a client
        return len(state["clients"]) <= 1 and all(e["state"] in ("up", "gone") for e in state["engines"])

    def check(self):
        """All clients have gone, and what engines held of theirs: it is free, and the pool serves."""
        self.until(self.engines_settled, lambda: f"engines do not settle: {self.command('status', '--json')}")
        engines = sum(e["state"] == "up" for e in self.status()["engines"])
        if engines:
            self.python("rc[:].clear(block=True); rc[:].execute('import gc; gc.collect()', block=True)")
        self.until(lambda: not self.status()["arena"]["lingering"], lambda: f"memory is left: {self.command('status', '--json')}")
        spare = 8 * engines + 8
        self.until(lambda: self.open_descriptors() <= self.descriptors + spare,
                   lambda: f"the supervisor has {self.open_descriptors()} descriptors, {self.descriptors} after its start")
        self.until(lambda: not self.zombies(), lambda: f"zombies: {self.zombies()}")

    def zombies(self):
        found = []
        for pid in self.processes():
            try:
                with open(f"/proc/{pid}/stat") as text:
                    if text.read().rpartition(")")[2].split()[0] == "Z":
                        found.append(pid)
            except OSError:
                continue
        return found

    def stop(self):
        if self.random.random() < 0.3:
            self.signal(self.supervisor, signal.SIGKILL)
        else:
            self.command("stop")
        self.until(lambda: not self.processes(), lambda: f"processes are left: {self.processes()}")

    def run(self):
        self.start()
        try:
            self.work()
            self.check()
            self.stop()
        except BaseException:
            print(self.log()[-4000:], file=sys.stderr)
            for pid in self.processes():
                self.signal(pid, signal.SIGKILL)
            raise
        self.folder.cleanup()

    def log(self):
        logs = glob.glob(os.path.join(self.folder.name, "pxrun", "*", "log"))
        return open(logs[0], errors="replace").read() if logs else ""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--round", type=float, default=50, help="seconds of work in a round")
    parser.add_argument("--seed", type=int, help="of the first round")
    parser.add_argument("--rounds", type=int, default=0)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # with its pool
    seed = options.seed if options.seed is not None else int.from_bytes(os.urandom(4), "little")
    end, done = time.monotonic() + options.seconds, 0
    while time.monotonic() < end and (not options.rounds or done < options.rounds):
        this = Round(seed, min(options.round, max(1.0, end - time.monotonic())))
        print(f"round {done}, seed {seed}:", end=" ", flush=True)
        try:
            this.run()
        except Failure as failure:
            print(f"FAILED\n{failure}\nagain: {' '.join(sys.argv[:1])} --seed {seed} --rounds 1 --round {options.round:g}")
            return 1
        print(f"{this.steps} steps, {this.events} events, {this.deaths} deaths seen", flush=True)
        seed, done = seed + 1, done + 1
    print(f"{done} passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
