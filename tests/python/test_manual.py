# SPDX-License-Identifier: BSD-3-Clause
"""A session as the old manual of the direct interface has it, from its first page to its last.

Where today's ipyparallel differs from the manual, that is said beside the line.
"""
import re
import time

import numpy as np
import pytest

import pxrun as ipp


@pytest.fixture
def dview(pool):
    view = pool[:]
    view.block = True
    return view


def wait(t):
    import time

    begin = time.time()
    time.sleep(t)
    return time.time() - begin


def test_a_client_and_a_view(pool):
    rc = ipp.Client(pool.connection_file)
    assert rc.ids == [0, 1, 2, 3]
    assert repr(rc[1:3]) == "<DirectView [1, 2]>"
    assert len(rc[:]) == 4
    rc.close()


def test_quick_and_easy_parallelism(dview):
    serial_result = list(map(lambda x: x**10, range(32)))
    assert serial_result == dview.map_sync(lambda x: x**10, range(32))


def test_remote_decorator(dview):
    @dview.remote(block=True)
    def getpid():
        import os

        return os.getpid()

    assert len(set(getpid())) == 4


def test_parallel_decorator(dview):
    A = np.random.random((64, 48))

    @dview.parallel(block=True)
    def pmul(A, B):
        return A * B

    C_local, C_remote = A * A, pmul(A, A)
    assert (C_local == C_remote).all()

    @dview.parallel(block=True)
    def echo(x):
        return str(list(x))

    assert echo(range(5)) == ["[0, 1]", "[2]", "[3]", "[4]"]

    @dview.parallel(block=True)
    def each(x):
        return str(x)

    assert each.map(range(5)) == ["0", "1", "2", "3", "4"]


def test_blocking_execution(dview, pool):
    dview["a"] = 5
    dview["b"] = 10
    assert dview.apply(lambda x: a + b + x, 27) == [42, 42, 42, 42]  # noqa: F821
    dview.block = False
    assert dview.apply_sync(lambda x: a + b + x, 27) == [42, 42, 42, 42]  # noqa: F821
    pool[::2].execute("c=a+b")
    pool[1::2].execute("c=a-b")
    assert dview["c"] == [15, -5, 15, -5]


def test_non_blocking_execution(dview):
    ar = dview.apply_async(wait, 0.05)
    assert [t >= 0.05 for t in ar.get()] == [True] * 4
    ar = dview.apply_async(wait, 0.5)
    assert ar.ready() is False
    with pytest.raises(TimeoutError, match="Result not ready."):
        ar.get(0.01)
    ar.cancel()


def test_waiting_for_many(dview):
    dview.block = False
    pr_list = [dview.apply_async(wait, 0.01) for i in range(10)]
    dview.wait(pr_list)
    assert all(pr.ready() for pr in pr_list) and len(pr_list[0].get()) == 4


def test_block_and_targets_attributes(dview):
    dview.targets = [0, 2]
    dview.block = False
    ar = dview.apply(lambda: 10)
    assert ar.get() == [10, 10]
    dview.targets = dview.client.ids
    dview.block = True
    assert dview.apply(lambda: 42) == [42, 42, 42, 42]


def test_push_and_pull(dview):
    assert dview.push(dict(a=1.03234, b=3453)) == [None, None, None, None]
    assert dview.pull("a") == [1.03234] * 4
    assert dview.pull("b", targets=0) == 3453
    assert dview.pull(("a", "b")) == [[1.03234, 3453]] * 4
    assert dview.push(dict(c="speed")) == [None, None, None, None]
    ar = dview.pull("a", block=False)
    assert ar.get() == [1.03234] * 4
    dview["a"] = ["foo", "bar"]
    assert dview["a"] == [["foo", "bar"]] * 4


def test_scatter_and_gather(dview):
    assert dview.scatter("a", list(range(16))) is None  # the manual's four Nones are gone
    assert dview["a"] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [12, 13, 14, 15]]
    assert dview.gather("a") == list(range(16))


def test_a_map_by_hand(dview):
    dview.scatter("x", range(64))
    dview.execute("y = [i**10 for i in x]")
    assert dview.gather("y") == [i**10 for i in range(64)]


def test_imports(dview, capsys):
    with dview.sync_imports():
        import numpy  # noqa: F401
    assert capsys.readouterr().out == "importing numpy on engine(s)\n"

    @ipp.require("re")
    def findall(pat, x):
        # re is on the engine
        return re.findall(pat, x)

    assert dview.apply(findall, "a", "banana") == [["a", "a", "a"]] * 4

    @ipp.require(time)
    def wait(t):
        time.sleep(t)
        return t

    assert dview.apply(wait, 0.01) == [0.01] * 4


def test_errors_of_several_engines(dview, capsys):
    with pytest.raises(ipp.CompositeError) as caught:
        dview.execute("1/0")
    text = str(caught.value)
    for i in range(4):
        assert f"[{i}:execute]" in text
    assert text.count("ZeroDivisionError: division by zero") == 4
    e = caught.value
    assert repr(e) == "CompositeError(4)" and len(e.elist) == 4
    ename, evalue, traceback, engine_info = e.elist[1]
    assert (ename, evalue, engine_info["engine_id"]) == ("ZeroDivisionError", "division by zero", 1)
    with pytest.raises(ipp.RemoteError):
        e.raise_exception()
    e.print_traceback(1)
    assert "ZeroDivisionError" in capsys.readouterr().out


def test_errors_that_come_later(dview):
    dview.block = False
    ar = dview.execute("1/0")
    with pytest.raises(ipp.CompositeError):
        ar.get()
    with pytest.raises(ZeroDivisionError):
        dview.client[0].apply_sync(lambda: 1 / 0)


@pytest.fixture
def prompt(dview, capsys, tmp_path_factory, monkeypatch):
    """What is typed at an IPython prompt, and what it prints."""
    shells = pytest.importorskip("IPython.core.interactiveshell")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path_factory.mktemp("ipython")))
    shell = shells.InteractiveShell.instance()
    dview.activate()

    def typed(cell):
        capsys.readouterr()
        shell.run_cell(cell)
        return sorted(re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines())

    yield typed
    shells.InteractiveShell.clear_instance()


def test_px(dview, prompt):
    with dview.sync_imports(quiet=True):
        import numpy  # noqa: F401
    prompt("%px a = numpy.eye(2)")
    lines = prompt("%px numpy.linalg.eigvals(a)")
    assert [re.sub(r":\d+\]", "]", line) for line in lines] == [f"Out[{i}]: array([1., 1.])" for i in range(4)]
    assert prompt("%px print('hi')") == [f"[stdout:{i}] hi" for i in range(4)]


def test_cell_px_by_engine(prompt):
    lines = prompt("%%px --block --group-outputs=engine\nprint('norm')\n1.5")
    assert [line for line in lines if line.startswith("[stdout")] == [f"[stdout:{i}] norm" for i in range(4)]
    assert sum(line.endswith(": 1.5") for line in lines) == 4


def test_px_without_block_and_result(dview, prompt):
    dview.block = False
    prompt("%px print('hi')")
    assert prompt("%result") == [f"[stdout:{i}] hi" for i in range(4)]


def test_autopx(dview, prompt):
    assert prompt("%autopx") == ["%autopx enabled"]
    prompt("max_evals = []\nfor i in range(100):\n    max_evals.append(i)")
    lines = prompt("print('Average max eigenvalue is: %f' % (sum(max_evals)/len(max_evals)))")
    assert lines == [f"[stdout:{i}] Average max eigenvalue is: 49.500000" for i in range(4)]
    assert prompt("%autopx") == ["%autopx disabled"]
    assert dview["len(max_evals)"] == [100] * 4
