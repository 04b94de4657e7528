# SPDX-License-Identifier: BSD-3-Clause
"""Ranks of mpi4py that are measured in turns with others: started once, asleep until they get an order.

Who waits in MPI spins, which the others would feel; so between two orders each rank sleeps at a socket, on
which it gets the next one. It wakes there on whatever processor is free: a world that lasts for many rounds is placed
anew in each.
"""
from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "mpi_ranks.py")
#: {how its ranks wait: mpi_yield_when_idle}
WAYS = {"": "0", ", yielding": "1"}


class World:
    """A client, rank 0, and some workers. Raises ImportError if there is no mpi4py that works."""

    def __init__(self, workers, yielding):
        self._folder = tempfile.TemporaryDirectory()
        address = os.path.join(self._folder.name, "orders")
        options = ["--allow-run-as-root", "--oversubscribe", "--mca", "mpi_yield_when_idle", yielding]
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(address)
            listener.listen(workers + 1)
            listener.settimeout(0.1)
            self._process = subprocess.Popen(
                ["mpiexec", *options, "-n", str(workers + 1), sys.executable, PROGRAM, address],
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            self._files = [self._accept(listener) for _ in range(workers + 1)]
        # each says which rank it is
        self._files.sort(key=lambda file: int(file.readline()))

    def _accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                if self._process.poll() is not None:
                    raise ImportError(self._process.stderr.read().strip().splitlines()[-1:]) from None
                continue
            with connection:
                connection.settimeout(None)
                return connection.makefile("rw")

    def median(self, **order):
        """The median in µs of what the order is about; see mpi_ranks.py."""
        for file in self._files:
            print(json.dumps(order), file=file, flush=True)
        return float(self._files[0].readline())

    def close(self):
        for file in self._files:
            file.close()
        self._process.wait(30)
        self._process.stderr.close()
        self._folder.cleanup()


def names(name):
    """How rows call them."""
    return [name + way for way in WAYS]


@contextlib.contextmanager
def worlds(workers):
    """{how its ranks wait: world}; of none, after a line in words, where mpi4py is not installed."""
    with contextlib.ExitStack() as stack:
        yield _worlds(workers, stack)


def _worlds(workers, stack):
    try:
        if not shutil.which("mpiexec") or not importlib.util.find_spec("mpi4py"):
            raise ImportError("no mpiexec, or no mpi4py of this Python")
        return {way: stack.enter_context(contextlib.closing(World(workers, value))) for way, value in WAYS.items()}
    except ImportError as error:
        print(f"left out: mpi4py ({error})", file=sys.stderr)
        return {}
