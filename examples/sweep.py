# SPDX-License-Identifier: BSD-3-Clause
"""How long is a period of van der Pol's oscillator? A sweep over its damping, on an engine for each processor.

    x'' - m (1 - x^2) x' + x = 0

The larger m is, the stiffer is the equation, and the longer the integration takes: the tasks of this sweep
differ by a factor of fifty. Each goes to the next engine that is free. In the middle of it an engine is
killed, as the kernel does with one that takes too much memory: what it had begun is run again
elsewhere. In the end the answer is compared with the one that needs no engines.

    python sweep.py [--quick]
    pxrun run -n 4 sweep.py [--quick]
"""

import argparse
import os
import signal
import time

import pxrun

TOLERANCE = 1e-9


def slope(m, x, v):
    return v, m * (1 - x * x) * v - x


def runge_kutta(m, x, v, h):
    """One step of the classical method of fourth order."""
    a, b = slope(m, x, v)
    c, d = slope(m, x + h / 2 * a, v + h / 2 * b)
    e, f = slope(m, x + h / 2 * c, v + h / 2 * d)
    g, i = slope(m, x + h * e, v + h * f)
    return x + h / 6 * (a + 2 * c + 2 * e + g), v + h / 6 * (b + 2 * d + 2 * f + i)


def step(m, x, v, h):
    """A step whose error, told by two steps of half its length, is small enough; and the next step's length."""
    while True:
        once = runge_kutta(m, x, v, h)
        twice = runge_kutta(m, *runge_kutta(m, x, v, h / 2), h / 2)
        error = max(abs(once[0] - twice[0]), abs(once[1] - twice[1]) / (1 + abs(twice[1])))
        better = h * min(2.0, max(0.2, 0.9 * (TOLERANCE / (error + 1e-300)) ** 0.2))
        if error <= TOLERANCE:
            return *twice, h, better
        h = better


def period(m):
    """The time between two passages of x through zero, upwards, on the limit cycle."""
    t, x, v, h = 0.0, 2.0, 0.0, 1e-3
    passages = []
    while len(passages) < 4:  # the first ones are still on the way to the cycle
        before, t_before = x, t
        x, v, taken, h = step(m, x, v, h)
        t += taken
        if before < 0 <= x:
            # linear between the two ends of a step, which is short there
            passages.append(t_before + taken * before / (before - x))
    return passages[-1] - passages[-2]


def kill_one(client):
    """SIGKILL to the engine that has the lowest id."""
    engine = client.engines[min(client.ids)]
    os.kill(engine.pid, signal.SIGKILL)
    return engine


def sweep(client, dampings):
    """The period for each damping, by all engines of the pool, of which one is killed meanwhile."""
    view = client.load_balanced_view()
    view.retries = 2
    pending = view.map_async(period, dampings, chunksize=1, label="sweep")
    while pending.progress < len(dampings) // 4:
        pending.wait(0.05)
    engine = kill_one(client)
    print(f"killed engine {engine.id} (process {engine.pid})")
    pending.wait_interactive()
    return pending.get()


def open_pool():
    """The pool of `pxrun run`, or a private one."""
    return pxrun.Client() if "PXRUN_CONNECTION" in os.environ else pxrun.Cluster(n=os.cpu_count())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer and easier ones")
    options = parser.parse_args()
    count, most = (24, 10.0) if options.quick else (120, 100.0)
    dampings = [0.1 * (most / 0.1) ** (i / (count - 1)) for i in range(count)]

    begin = time.perf_counter()
    serial = [period(m) for m in dampings]
    alone = time.perf_counter() - begin

    with open_pool() as client:
        begin = time.perf_counter()
        periods = sweep(client, dampings)
        together, engines = time.perf_counter() - begin, len(client)

    assert periods == serial, "the engines have computed something else"
    for m, found in list(zip(dampings, periods))[:: count // 6]:
        print(f"m = {m:7.3f}   period {found:9.5f}")
    print(f"{count} dampings: {alone:.2f} s without engines, {together:.2f} s with {engines}")


if __name__ == "__main__":
    main()
