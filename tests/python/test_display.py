# SPDX-License-Identifier: BSD-3-Clause
"""Output of a result that is shown when it is asked for, while it runs, or behind a bar."""
import io
import sys
import time

import pytest

import pxrun
from pxrun.client import bounded


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


# --- in a notebook


class Cell(io.StringIO):
    """A stdout as a kernel has it."""

    __module__ = "ipykernel.iostream"


def begin_cell(monkeypatch):
    """From now on what is printed stands in a notebook. Not a fixture: pytest sets stdout again behind those."""
    cell = Cell()
    monkeypatch.setattr(sys, "stdout", cell)
    return cell


def _count(n):
    return f"print('\\n'.join(map(str, range({n}))))"


def test_notebook_shows_beginning_and_end_of_each_engine(pool, monkeypatch):
    notebook = begin_cell(monkeypatch)
    pool[:].execute(_count(200_000), block=True)
    lines = notebook.getvalue().splitlines()
    log = f"{pool._core.folder}/log"
    for engine in range(4):
        mine = [line.partition("] ")[2] for line in lines if line.startswith(f"[stdout:{engine}]")]
        (cut,) = [i for i, line in enumerate(mine) if line.endswith(f"bytes are not shown here: {log} has all]")]
        first = [line for line in mine[:cut] if not line.startswith("[pxrun")]
        assert first == [str(n) for n in range(len(first))] and len(first) > 4000
        last = mine[cut + 1 :]
        assert last == [str(n) for n in range(200_000 - len(last), 200_000)] and len(last) > 1000
        left_out = sum(len(str(n)) + 1 for n in range(len(first), 200_000 - len(last)))
        assert int(mine[cut].split()[1]) == left_out
    assert len(notebook.getvalue()) < 4 * (bounded.HEAD + bounded.TAIL)


def test_notebook_shows_all_of_what_is_little(pool, monkeypatch):
    notebook = begin_cell(monkeypatch)
    pool[0].execute(_count(20_000), block=True)
    assert notebook.getvalue() == "".join(f"[stdout:0] {n}\n" for n in range(20_000))


def test_notebook_says_that_the_rest_comes_at_the_end_and_shows_that_then(pool, monkeypatch, new_gate):
    notebook = begin_cell(monkeypatch)
    gate = new_gate()
    ar = pool[0].execute(f"{_count(100_000)}\n{gate.code()}\nprint('end')", block=False)
    while not ar.wait(0.05) and "a notebook shows only the end" not in notebook.getvalue():
        pass
    assert not ar.ready() and "99999" not in notebook.getvalue()
    gate.open()
    ar.get(10)
    assert notebook.getvalue().endswith("[stdout:0] 99999\n[stdout:0] end\n")


def test_notebook_shows_a_line_without_an_end_in_part(pool, monkeypatch):
    notebook = begin_cell(monkeypatch)
    ar = pool[0].execute("print('x' * 1_000_000)", block=True)
    assert bounded.HEAD < len(notebook.getvalue()) < 2 * bounded.HEAD and len(ar.stdout) == 1_000_001


def test_notebook_shows_pictures_between_what_is_left_out(pool, monkeypatch):
    notebook = begin_cell(monkeypatch)
    pool[0].execute(f"{_SHOW}{_count(200_000)}{_SHOW}", block=True)
    assert [word for word in notebook.getvalue().split("\n") if "plot" in word] == ["plot 0", "plot 1"] * 2


def test_terminal_and_file_get_all(pool, capsys):
    pool[0].execute(_count(100_000), block=True)
    assert capsys.readouterr().out == "".join(f"[stdout:0] {n}\n" for n in range(100_000))


@pytest.mark.parametrize("groupby", ["type", "engine"])
def test_display_outputs_in_a_notebook_is_shortened(kept, monkeypatch, groupby):
    notebook = begin_cell(monkeypatch)
    ar = kept[[0, 1]].execute(_count(200_000), block=True)
    ar.display_outputs(groupby)
    text = notebook.getvalue()
    assert len(text) < 2 * (bounded.HEAD + bounded.TAIL) and text.count("199999\n") == 2
    assert text.count(f"bytes are not shown here: {kept._core.folder}/log has all]") == 2
    assert [len(out) for out in ar.stdout] == [sum(len(f"{n}\n") for n in range(200_000))] * 2


# --- what does not fit


def flood(count, size):
    import os

    from pxrun.engine import displays

    for i in range(count):
        displays.send({"text/plain": f"picture {i}", "image/png": os.urandom(size)}, None, None, False)


@pytest.fixture(scope="module")
def small():
    with pxrun.Cluster(n=4, preload="", arena="64M", output="keep") as client:
        yield client


def test_more_pictures_than_the_arena_holds_arrive_whole(small):
    ar = small[:].apply_async(flood, 8, 5 << 20)
    ar.get(60)
    assert [[len(one["data"]["image/png"]) for one in found] for found in ar.outputs] == [[5 << 20] * 8] * 4
    assert ar.stderr == [""] * 4


def test_picture_for_which_there_is_no_room_is_replaced_by_a_word(small):
    ar = small[0].apply_async(flood, 20, 5 << 20)
    # nothing is read here until it has ended, for which another client asks
    with pxrun.Client(small.connection_file) as other:
        other[0].apply_sync(abs, -1)
    ar.get(60)
    whole = [len(one["data"]["image/png"]) for one in ar.outputs]
    assert whole == [5 << 20] * len(whole)
    words = ar.stderr.splitlines()
    assert words and len(words) + len(whole) == 20
    assert all(word.startswith("[pxrun: what is displayed here, image/png of 5.2 MB, is left out: needs ") for word in words)


def test_request_displays_so_much_and_then_words(pool):
    view = pool.direct_view(0, output="keep")
    ar = view.apply_async(flood, 60, 5 << 20)
    ar.get(60)
    assert len(ar.outputs) == 51 and ar.stderr.count("is left out: a request displays at most 256 MiB]") == 9
    ar = view.apply_async(flood, 1, 5 << 20)
    ar.get(60)
    assert len(ar.outputs) == 1 and ar.stderr == ""


def test_display_after_the_request_has_ended_is_a_word_in_the_log(pool, new_gate):
    gate = new_gate()
    source = f"""
import threading
from pxrun.engine import displays
def late():
    {gate.code()}
    displays.send({{'text/plain': 'x', 'text/html': 'x'}}, None, None, False)
thread = threading.Thread(target=late)
thread.start()
"""
    pool[0].execute(source, block=True)
    gate.open()
    pool[0].execute("pass", block=True)
    with open(f"{pool._core.folder}/log", encoding="utf-8", errors="replace") as log:
        while "text/html of 0.0 MB, is left out: no request runs" not in log.read():
            log.seek(0)


def test_updated_object_without_IPython_here_is_printed_each_time(pool, capsys):
    pool[0].execute("handle = display('one', display_id=True)\nhandle.update('two')", block=True)
    # the mark stands there twice if they come one by one
    assert [line for line in capsys.readouterr().out.splitlines() if line != "[output:0]"] == ["'one'", "'two'"]
    ar = pool[0].execute("handle.update('three')", block=True)
    assert ar.outputs[0]["update"] is True and list(ar.outputs[0]["transient"]) == ["display_id"]


SHOW = "from IPython.display import publish_display_data as show\nget_ipython()\n"


@pytest.mark.parametrize("data", ["pass", "__reduce__ = lambda self: (exec, ('1/0',))"])
def test_object_that_only_the_engine_can_read_is_a_word_here(pool, capsys, data):
    view = pool.direct_view(0)
    view.execute(f"{SHOW}class OnlyThere: {data}\nshow({{'text/plain': OnlyThere()}})\nprint('printed')", block=True)
    shown = capsys.readouterr().out
    assert "[pxrun: what is displayed here cannot be read: " in shown and "printed" in shown


def test_object_with_odd_metadata_is_refused_where_it_is_displayed(pool):
    for odd in ("[1]", "{}, [1]", "{}, transient=[1]"):
        with pytest.raises(pxrun.RemoteError, match="TypeError.* must be a dict"):
            pool[0].execute(f"{SHOW}show({odd})", block=True)


def test_transient_without_an_id_is_no_update(pool):
    ar = pool[0].execute(SHOW + "show({'text/plain': 'x'}, transient={'more': 1})", block=True)
    assert ar.outputs == [{"data": {"text/plain": "x"}, "metadata": {}}]


def test_text_that_is_no_unicode_is_shown_with_escapes(pool, monkeypatch):
    file = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", file)
    pool[0].execute(SHOW + "show({'text/plain': 'a\\ud800b'})", block=True)
    file.flush()
    assert b"a\\ud800b\n" in file.buffer.getvalue()


def test_what_this_ipython_cannot_show_loses_no_result(pool, monkeypatch, capsys):
    pytest.importorskip("IPython")
    monkeypatch.setattr("IPython.get_ipython", lambda: True)
    monkeypatch.setattr("IPython.display.publish_display_data", lambda *args, **options: 1 / 0)
    assert pool[0].apply_sync(lambda: display({"text/plain": "x"}, raw=True) or 7) == 7  # noqa: F821
    assert "[pxrun: what is displayed here cannot be shown: ZeroDivisionError: division by zero]" in capsys.readouterr().out
