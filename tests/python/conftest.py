# SPDX-License-Identifier: BSD-3-Clause
"""What all tests share: a time limit, a runtime folder, and a pool of four engines."""
from __future__ import annotations

import faulthandler
import os
import shutil
import subprocess
import tempfile

import pytest

import pxrun

LIMIT = 120  # seconds for one test; a hang shows every thread's stack and ends the run
_shown = 2  # where


def pytest_configure(config):
    """While a test runs, stderr is a file of pytest's, which nobody sees when a hang ends it."""
    global _shown
    _shown = os.dup(2)


# So that no pools are found but those of this run, whatever else runs on the machine. Not below pytest's own
# folders: a socket's path must be short.
os.environ["XDG_RUNTIME_DIR"] = tempfile.mkdtemp(prefix="pxt.", dir="/tmp")
for name in ("PXRUN_PROFILE", "PXRUN_ENGINES", "PXRUN_CONNECTION"):
    os.environ.pop(name, None)


@pytest.fixture(scope="session", autouse=True)
def runtime_folder():
    yield
    subprocess.run([os.environ["PXRUN_COMMAND"], "stop", "--all"], stderr=subprocess.DEVNULL, timeout=LIMIT, check=False)
    shutil.rmtree(os.environ["XDG_RUNTIME_DIR"], ignore_errors=True)


@pytest.fixture(autouse=True)
def limit():
    faulthandler.dump_traceback_later(LIMIT, exit=True, file=_shown)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(autouse=True)
def as_script(request, monkeypatch):
    """Tests are written as scripts: the globals of their functions are the engines' namespaces."""
    monkeypatch.setattr(request.module, "__name__", "__main__")


@pytest.fixture(scope="session")
def shared_pool():
    with pxrun.Cluster(n=4) as client:
        yield client


@pytest.fixture
def pool(shared_pool):
    """Four engines with empty namespaces."""
    shared_pool[:].clear(block=True)
    return shared_pool


class Gate:
    """Code that reads from it stays on an engine until the gate is opened."""

    def __init__(self, path):
        os.mkfifo(path)
        self.path = path
        self.fd = os.open(path, os.O_RDWR)  # never a moment without a reader and a writer

    def code(self):
        return f"import os; os.read(os.open({self.path!r}, os.O_RDONLY), 1)"

    def open(self, readers=1):
        os.write(self.fd, b"x" * readers)

    def close(self):
        os.close(self.fd)


@pytest.fixture
def new_gate(tmp_path):
    gates = []

    def make():
        gates.append(Gate(str(tmp_path / f"gate{len(gates)}")))
        return gates[-1]

    yield make
    for gate in gates:
        gate.close()


@pytest.fixture
def hold(pool, new_gate):
    """hold(engine): the engine is busy until the gate is opened, or the test ends."""
    gates = []

    def begin(engine=0):
        gate = new_gate()
        gate.ar = pool[engine].execute(gate.code(), block=False)
        while not gate.ar._result.running(0):
            assert not gate.ar.ready()
        gates.append(gate)
        return gate

    yield begin
    for gate in gates:
        gate.ar.cancel()
        gate.ar.wait(10)


@pytest.fixture
def rc(pool):
    """A client of its own: what it has out is this test's."""
    with pxrun.Client(pool.connection_file) as client:
        yield client
        if not client._core.closed:
            for ar in client._sent.requests():
                ar.cancel()
            assert client.wait(timeout=20)


@pytest.fixture
def view(rc):
    """A load-balanced view of that client."""
    return rc.load_balanced_view()


@pytest.fixture
def hold_all(hold):
    """All engines are busy, so that tasks wait."""
    return [hold(engine) for engine in range(4)]
