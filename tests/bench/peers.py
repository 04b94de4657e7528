# SPDX-License-Identifier: BSD-3-Clause
"""The pools that are compared, behind one small interface.

Each class is a context manager with ``call`` (a no-op on one worker), ``call_all``
(on all of them), or None where the peer has no such thing. A peer that is not
installed raises ImportError when it is made.
"""
from __future__ import annotations

import os
import shutil
import subprocess
import sys

import functions

HERE = os.path.dirname(os.path.abspath(__file__))
WORKERS = 4


class Pxrun:
    name = "pxrun"

    def __enter__(self):
        import pxrun

        self.cluster = pxrun.Cluster(n=WORKERS)
        self.client = self.cluster.__enter__()
        self.one, self.all = self.client[0], self.client[:]
        return self

    def __exit__(self, *exc):
        self.cluster.__exit__(*exc)

    def call(self, f=functions.noop):
        return self.one.apply_sync(f)

    def call_all(self, f=functions.noop):
        return self.all.apply_sync(f)


class Pool:
    name = "multiprocessing.Pool"

    def __enter__(self):
        import multiprocessing

        self.pool = multiprocessing.get_context("fork").Pool(WORKERS)
        return self

    def __exit__(self, *exc):
        self.pool.terminate()
        self.pool.join()

    def call(self, f=functions.noop):
        return self.pool.apply(f)

    def call_all(self, f=functions.noop):
        return [r.get() for r in [self.pool.apply_async(f) for _ in range(WORKERS)]]


class _Executor:
    def __exit__(self, *exc):
        self.pool.shutdown()

    def call(self, f=functions.noop):
        return self.pool.submit(f).result()

    def call_all(self, f=functions.noop):
        return [r.result() for r in [self.pool.submit(f) for _ in range(WORKERS)]]


class ProcessPoolExecutor(_Executor):
    name = "ProcessPoolExecutor"

    def __enter__(self):
        import concurrent.futures
        import multiprocessing

        self.pool = concurrent.futures.ProcessPoolExecutor(
            WORKERS, mp_context=multiprocessing.get_context("fork")
        )
        return self


class Loky(_Executor):
    name = "loky"

    def __enter__(self):
        from joblib.externals import loky

        self.pool = loky.ProcessPoolExecutor(WORKERS)
        return self


class Ipyparallel:
    name = "ipyparallel"

    def __enter__(self):
        import logging

        import ipyparallel

        self.cluster = ipyparallel.Cluster(n=WORKERS, log_level=logging.ERROR)
        self.client = self.cluster.start_and_connect_sync()
        self.one, self.all = self.client[0], self.client[:]
        return self

    def __exit__(self, *exc):
        self.client.close()
        self.cluster.stop_cluster_sync()

    def call(self, f=functions.noop):
        return self.one.apply_sync(f)

    def call_all(self, f=functions.noop):
        return self.all.apply_sync(f)


PEERS = [Pool, ProcessPoolExecutor, Loky, Ipyparallel]


def with_each(kinds, f):
    """{name: f(pool)} for each of them that is installed."""
    found = {}
    for kind in kinds:
        try:
            with kind() as pool:
                found[kind.name] = f(pool)
        except ImportError as error:
            print(f"left out: {kind.name} ({error})", file=sys.stderr)
    return found


def mpi(*command):
    """The last line that a program of this folder prints, on a rank for the client and one a worker; None if it cannot run."""
    if not shutil.which("mpirun"):
        print("left out: mpi4py (no mpirun)", file=sys.stderr)
        return None
    words = [os.path.join(HERE, word) if word.endswith(".py") else word for word in map(str, command)]
    mpirun = ["mpirun", "--allow-run-as-root", "--oversubscribe", "-n", str(WORKERS + 1), sys.executable]
    done = subprocess.run([*mpirun, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"left out: mpi4py ({done.stderr.strip().splitlines()[-1:]})", file=sys.stderr)
        return None
    return done.stdout.strip().splitlines()[-1]
