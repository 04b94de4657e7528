# SPDX-License-Identifier: BSD-3-Clause
"""A GridSearchCV over a large X, on two workers of a backend of joblib; what it costs, as a number.

    python grid_search.py cold BACKEND [PROFILE]    the time of time.monotonic() when it is done
    python grid_search.py warm BACKEND REPEATS      seconds, the median of some searches after the first
    python grid_search.py memory BACKEND            of all processes together, in times the size of X
    python grid_search.py serve                     a pool, until stdin ends; prints its profile
"""
from __future__ import annotations

import os
import statistics
import sys
import threading
import time

import joblib
import numpy
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV

import measure

JOBS = 2
SHAPE = 1 << 16, 128
MIB = numpy.prod(SHAPE) * 8 / (1 << 20)


def data():
    x = numpy.random.default_rng(0).random(SHAPE)
    return x, x[:, :8].sum(axis=1)


def search(backend, x, y):
    """Twelve fits of some hundredths of a second."""
    fit(backend, GridSearchCV(Ridge(solver="cholesky"), {"alpha": [0.1, 1, 10, 100]}, cv=3, refit=False), x, y)


def fit(backend, chosen, x, y):
    with joblib.parallel_config(n_jobs=JOBS, **backend):
        chosen.fit(x, y)


def seconds(backend, x, y):
    begin = time.perf_counter()
    search(backend, x, y)
    return time.perf_counter() - begin


def processes(backend):
    """This one and all that work for it."""
    found = measure.descendants(os.getpid())
    if backend["backend"] == "pxrun":
        client = pxrun.joblib._private[None]
        found += measure.descendants(client._core.supervisor_pid)
    return found


def read(backend, x, y):
    """Fits on one small part of X after another: what is copied of it stays small."""
    rows = numpy.arange(len(x))
    parts = [(rows[i : i + 512], rows[i + 512 : i + 1024]) for i in range(0, len(x), 1024)]
    fit(backend, GridSearchCV(Ridge(solver="cholesky"), {"alpha": [1]}, cv=parts, refit=False), x, y)


def most_memory(backend, x, y):
    """What that takes at its peak beyond what it takes with a small X."""
    few = len(x) // 32
    for _ in range(2):
        read(backend, x[:few].copy(), y[:few])
    pids = processes(backend)
    peak = before = measure.memory_mib(pids)
    over = threading.Event()

    def watch():
        nonlocal peak
        while not over.wait(0.01):
            peak = max(peak, measure.memory_mib(pids))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        read(backend, x, y)
    finally:
        over.set()
        watcher.join()
    return (peak - before) / MIB


def main(what, name=None, *options):
    if what == "serve":
        with pxrun.Cluster(n=JOBS) as rc:
            print(rc.profile, flush=True)
            sys.stdin.read()
        return
    backend = {"backend": name}
    x, y = data()
    if what == "cold":
        search(backend | ({"profile": options[0]} if options else {}), x, y)
        print(time.monotonic())
    elif what == "warm":
        search(backend, x, y)
        print(statistics.median(seconds(backend, x, y) for _ in range(int(options[0]))))
    else:
        print(most_memory(backend, x, y))


if "loky" not in sys.argv:  # its side does not pay for this import
    import pxrun.joblib
main(*sys.argv[1:])
