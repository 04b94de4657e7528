# SPDX-License-Identifier: BSD-3-Clause
"""Private memory runs out: pxrun's nth allocation fails, for n from 1 until the work is done with fewer.

In the supervisor, in an engine (and its template), in a client, in a C program. Whatever fails, fails in words: a call with an error
of pxrun's, a start with a line; nothing hangs or falls, the pool serves afterwards, a stop leaves nothing.

    malloc.py [--step N] [--only ROLE]
"""
from __future__ import annotations

import argparse
import os
import subprocess
import sys

from run import HERE, PXRUN, Failure, Pool

#: The processes' names; * stands for any end.
NAMES = {"supervisor": "pxrun: faults", "engine": "pxrun:faults *", "client": "python*", "program": "c-program", "command": "pxrun"}
PRELOAD = os.path.join(os.environ["PXRUN_BUILDDIR"], "tests", "faults", ".libs", "fail_malloc.so")
PROGRAM = os.path.join(os.environ["PXRUN_BUILDDIR"], "tests", "faults", "malloc_work")
ENOUGH = 2000


def environment(pool, role, n):
    with open(pool.once, "w"):
        pass
    return dict(pool.env, LD_PRELOAD=PRELOAD, PXRUN_FAIL_MALLOC=f"{NAMES[role]}={n}={pool.once}")


def in_words(done, what):
    """It succeeded, or failed with a sentence."""
    if done.returncode < 0:
        raise Failure(f"{what} fell by signal {-done.returncode}: {done.stderr}")
    if done.returncode and not done.stderr.strip():
        raise Failure(f"{what} failed without a word")
    if "Segmentation" in done.stderr or "AssertionError" in done.stderr:
        raise Failure(f"{what}: {done.stderr}")
    return done.returncode == 0


def work(pool, env):
    return in_words(pool.run(sys.executable, os.path.join(HERE, "malloc_work.py"), pool.profile, env=env), "the client")


def work_in_c(pool, env):
    return in_words(pool.run(PROGRAM, pool.profile, env=env), "the C program")


def try_one(role, n):
    """Whether there was an nth allocation."""
    pool = Pool("epoll")
    bad, good = environment(pool, role, n), pool.env
    at_start = role in ("supervisor", "engine")
    try:
        if in_words(pool.start(env=bad if at_start else good), "the start"):
            if role == "command":
                for verb in (["exec", "1 + 1"], ["status"], ["list"]):
                    in_words(pool.run(PXRUN, *verb, *(["--profile", pool.profile] if verb[0] != "list" else []), env=bad), verb[0])
            if role == "program":
                if not work_in_c(pool, bad) and not pool.fired():
                    raise Failure("the C program fails where nothing else does")
            else:
                work(pool, bad if role == "client" else good)
            if not work(pool, good) and not work(pool, good):  # it may hit the first of them
                raise Failure("the pool does not serve afterwards")
            # the failure may be yet to come
            stop = [PXRUN, "stop", "--profile", pool.profile]
            if not in_words(pool.run(*stop), "the stop") and not in_words(pool.run(*stop), "the second stop"):
                raise Failure("the pool cannot be stopped")
        fired = pool.fired()
        pool.finish()
        return fired
    except Failure as failure:
        raise Failure(f"{role}, allocation {n}: {failure}\n{log(pool)}") from None
    finally:
        for pid in pool.processes():
            subprocess.run(["kill", "-9", str(pid)], check=False)


def log(pool):
    try:
        with open(os.path.join(pool.folder.name, "pxrun", pool.profile, "log"), errors="replace") as text:
            return text.read()[-2000:]
    except OSError:
        return ""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--step", type=int, default=1, help="every how many allocations")
    parser.add_argument("--from", type=int, default=1, dest="first")
    parser.add_argument("--only", choices=NAMES)
    options = parser.parse_args()
    passed = 0
    for role in [options.only] if options.only else NAMES:
        n = options.first
        while try_one(role, n):
            passed += 1
            n += options.step
            if n > ENOUGH:
                raise Failure(f"{role}: more than {ENOUGH} allocations")
        if n == options.first:
            raise Failure(f"{role}: no allocation has failed")
        print(f"{role}: allocations {options.first} to {n - options.step}", flush=True)
    print(f"{passed} passed, 0 failed")


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        print(failure)
        print("0 passed, 1 failed")
        sys.exit(1)
