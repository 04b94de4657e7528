# SPDX-License-Identifier: BSD-3-Clause
"""Output of a result that is shown when it is asked for, while it runs, or behind a bar."""
import io
import sys
import time

import pytest


def square(x):
    return x * x


@pytest.fixture
def kept(pool):
    """The pool's client; what is printed is not shown while a call waits."""
    pool.output = "keep"
    yield pool
    pool.output = "show"


def test_display_outputs(kept, capsys):
    code = "import sys; print('hi'); print('a\\nb', file=sys.stderr)"
    ar = kept[[0, 2]].execute(code, block=True)
    ar.display_outputs()
    shown = capsys.readouterr()
    assert shown.out == "[stdout:0] hi\n[stdout:2] hi\n"
    assert shown.err == "[stderr:0]\na\nb\n[stderr:2]\na\nb\n"
    ar.display_outputs(groupby="engine")
    assert capsys.readouterr().out == "[stdout:0] hi\n[stdout:2] hi\n"
    ar.display_outputs(result_only=True)
    assert capsys.readouterr() == ("", "")


def test_display_outputs_of_one_engine_has_no_prefix(kept, capsys):
    kept[1].execute("import sys; sys.stdout.write('no end')", block=True).display_outputs()
    assert capsys.readouterr().out == "no end\n"
    kept[1].execute("pass", block=True).display_outputs()
    assert capsys.readouterr().out == ""


def test_display_outputs_shows_values_last(kept, capsys):
    ar = kept[[0, 1]].execute("print('p'); 7", silent=False, block=True)
    counts = [r.execution_count for r in ar.get()]
    ar.display_outputs()
    values = [f"Out[{i}:{c}]: 7" for i, c in enumerate(counts)]
    assert capsys.readouterr().out.split("\n") == ["[stdout:0] p", "[stdout:1] p", *values, ""]
    ar.display_outputs("engine")
    assert capsys.readouterr().out.split("\n") == ["[stdout:0] p", values[0], "[stdout:1] p", values[1], ""]
    ar.display_outputs(result_only=True)
    assert capsys.readouterr().out.split("\n") == [*values, ""]


_SHOW = """
import pickle
from pxrun import _pxrun
for n in range(2):
    _pxrun.publish(3, pickle.dumps(({'text/plain': f'plot {n}'}, {})))
"""


def test_display_outputs_groups_displayed_objects(kept, capsys):
    ar = kept[[0, 1]].execute(_SHOW, block=True)
    ar.display_outputs("type")
    assert capsys.readouterr().out.split() == "[output:0] plot 0 plot 1 [output:1] plot 0 plot 1".split()
    ar.display_outputs("order")
    assert capsys.readouterr().out.split() == "[output:0] plot 0 [output:1] plot 0 [output:0] plot 1 [output:1] plot 1".split()


def test_display_outputs_refuses(pool, hold):
    ar = hold(0).ar
    with pytest.raises(TimeoutError):
        ar.display_outputs()
    with pytest.raises(ValueError, match="groupby is 'type', 'engine' or 'order', not 'colour'"):
        ar.display_outputs("colour")


def test_display_outputs_of_a_failed_request_shows_what_it_printed(pool, capsys):
    ar = pool[[0]].execute("print('before'); 1/0", block=False)
    ar.wait()
    ar.display_outputs()
    assert capsys.readouterr().out == "[stdout:0] before\n"


def test_wait_for_output(pool, hold):
    gate = hold(0)
    ar = pool[0].execute("print('x' * 100000)", block=False)
    assert ar.wait_for_output(0.01) is False
    gate.open()
    assert ar.wait_for_output() is True and ar.wait_for_output(10) is True
    assert ar.stdout == "x" * 100000 + "\n"


def test_stream_output_shows_while_it_runs(pool, new_gate, capsys):
    gate = new_gate()
    code = f"print('first')\n{gate.code()}\nprint('second é')\n1/0"
    ar = pool[[0, 1]].execute(code, block=False)
    while ar.stdout != ["first\n"] * 2:
        assert not ar.ready()
    with ar.stream_output():
        assert sorted(capsys.readouterr().out.splitlines()) == ["[stdout:0] first", "[stdout:1] first"]
        gate.open(readers=2)
        ar.wait()
    shown = capsys.readouterr()
    assert sorted(shown.out.splitlines()) == ["[stdout:0] second é", "[stdout:1] second é"]
    assert "[0:execute]:\nTraceback" in shown.err and "[1:execute]:\nTraceback" in shown.err
    assert shown.err.count("ZeroDivisionError: division by zero") == 2


def test_stream_output_comes_before_the_end(pool, new_gate, monkeypatch):
    gate = new_gate()
    shown = io.StringIO()
    monkeypatch.setattr(sys, "stdout", shown)
    ar = pool[0].execute(f"print('now')\n{gate.code()}", block=False)
    with ar.stream_output():
        end = time.monotonic() + 10
        while "now" not in shown.getvalue() and time.monotonic() < end:
            pass
        assert shown.getvalue() == "now\n" and not ar.ready()
        gate.open()


def test_wait_interactive(pool, capfd, monkeypatch):
    ar = pool[:].map_async(square, range(8))
    ar.wait_interactive()
    assert ar.ready() and "8/8" in capfd.readouterr().err
    monkeypatch.setitem(sys.modules, "tqdm", None)
    ar = pool[:].apply_async(square, 2)
    ar.wait_interactive(interval=0.01)
    shown = capfd.readouterr().err
    assert ar.ready() and "4/4 tasks" in shown and "square" in shown


def test_wait_interactive_timeout_returns(pool, hold):
    gate = hold(0)
    began = time.monotonic()
    assert gate.ar.wait_interactive(timeout=0.1) is None
    assert not gate.ar.ready() and time.monotonic() - began < 5
