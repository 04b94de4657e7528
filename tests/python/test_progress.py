# SPDX-License-Identifier: BSD-3-Clause
"""Progress bars: of maps, of imap, of wait_interactive and of ``%%px``; in terminals and notebooks."""
import gc
import itertools
import json
import os
import sys
import threading

import pytest

import notebooks
from pxrun.client import progress


def same(x):
    return x


def inverse(x):
    return 1 / x


def screen(text):
    """The lines that a terminal would show."""
    lines = []
    for line in text.replace("\r\n", "\n").split("\n"):
        cells = ""
        for part in line.split("\r"):
            cells = part + cells[len(part) :]
        lines.append(cells.rstrip())
    return lines


def bars(capsys):
    """The lines of the screen that are bars."""
    return [line for line in screen(capsys.readouterr().err) if "tasks" in line]


# --- counting


@pytest.mark.parametrize("of", ["direct", "balanced", "chunks", "parallel", "async"])
def test_map_bar_counts_elements(rc, view, capsys, of):
    numbers = range(2000)
    call = {
        "direct": lambda: rc[:].map_sync(same, numbers, progress=True),
        "balanced": lambda: view.map_sync(same, numbers, progress=True),
        "chunks": lambda: view.map(same, numbers, block=True, chunksize=300, progress=True),
        "parallel": lambda: view.parallel(block=True, progress=True)(same).map(numbers),
        "async": lambda: rc[:].map_async(same, numbers, progress=True).get(30),
    }[of]
    assert call() == list(numbers)
    (bar,) = bars(capsys)
    assert bar.startswith("same: 100%") and " 2000/2000 " in bar


@pytest.mark.parametrize("of", ["direct", "balanced"])
def test_imap_bar_counts_elements(rc, view, capsys, of):
    chosen = rc[:] if of == "direct" else view
    assert list(chosen.imap(same, range(300), progress=True)) == list(range(300))
    (bar,) = bars(capsys)
    assert bar.startswith("same: 100%") and " 300/300 " in bar


def test_imap_bar_of_unknown_length_counts_only(view, capsys):
    found = view.imap(same, itertools.count(), progress=True)
    assert list(itertools.islice(found, 10)) == list(range(10))
    found.cancel()
    (bar,) = bars(capsys)
    assert bar.startswith("same: 10tasks ")


def test_without_progress_no_bar(rc, view, capsys):
    view.map_sync(same, range(10))
    list(view.imap(same, range(10)))
    assert rc[:].map_sync(same, []) == view.map_sync(same, [], progress=True) == []
    assert capsys.readouterr().err == ""


def test_look_that_takes_long_is_not_repeated_at_once(monkeypatch):
    clock = iter([100.0, 101.0, 102.0, 111.5, 112.0])
    monkeypatch.setattr(progress, "time", type("Clock", (), {"monotonic": lambda: next(clock)}))
    monkeypatch.setenv("TQDM_DISABLE", "1")
    bar = progress.Bar(10, "same")
    found = iter([3, 5])
    ar = type("Result", (), {"progress": property(lambda self: next(found))})()
    seen = [bar.look(ar) or bar.n for _ in range(3)]
    assert seen == [3, 3, 5]


# --- one at a time


def test_nested_waits_have_one_bar(rc, view, capsys):
    for x in view.imap(inverse, [1, 2], progress=True):
        rc[:].map_sync(same, [x] * 4, progress=True)
        rc[:].apply_async(same, x).wait_interactive()
    (bar,) = bars(capsys)
    assert bar.startswith("inverse: 100%")
    rc[:].apply_async(same, 1).wait_interactive()
    assert len(bars(capsys)) == 1


def test_get_during_iteration_keeps_the_bar(rc, capsys):
    ar = rc[:].map_async(same, range(8), progress=True)
    for x in ar:
        assert ar.get(30)[x] == x
    (bar,) = bars(capsys)
    assert " 8/8 " in bar


@pytest.mark.parametrize("variable", ["IPP_NONINTERACTIVE", "TQDM_DISABLE"])
def test_variable_switches_it_off(view, capsys, monkeypatch, variable):
    monkeypatch.setenv(variable, "1")
    view.map_sync(same, range(10), progress=True)
    view.apply_async(same, 1).wait_interactive()
    assert capsys.readouterr().err == ""


# --- its end


def test_failed_map_closes_the_bar_and_raises(rc, view, capsys):
    for call in (rc[:].map_sync, view.map_sync, lambda *args, **options: list(view.imap(*args, **options))):
        with pytest.raises(ZeroDivisionError):
            call(inverse, [1, 1, 1, 0], progress=True)
        assert progress._shown is None and len(bars(capsys)) == 1


def test_imap_goes_on_behind_a_failure_without_the_bar(view, capsys):
    found = view.imap(inverse, [1, 0, 2], progress=True)
    assert next(found) == 1
    with pytest.raises(ZeroDivisionError):
        next(found)
    assert next(found) == 0.5
    (bar,) = bars(capsys)
    assert " 1/3 " in bar


def test_deleted_imap_closes_the_bar(view, capsys):
    found = view.imap(same, range(10), progress=True)
    next(found)
    del found
    gc.collect()
    assert progress._shown is None and len(bars(capsys)) == 1


def test_timeout_closes_the_bar(rc, hold, capsys):
    hold(0)
    ar = rc[:2].map_async(same, range(4), progress=True)
    with pytest.raises(TimeoutError):
        ar.get(0.3)
    (bar,) = bars(capsys)
    assert " 2/4 " in bar and progress._shown is None


def test_wrong_return_when_shows_no_bar(rc, capsys):
    with pytest.raises(ValueError, match="return_when is FIRST_COMPLETED"):
        rc[0].apply_async(same, 1).wait_interactive(return_when="NOW")
    assert capsys.readouterr().err == ""


# --- output meanwhile


@pytest.mark.parametrize("has_tqdm", [True, False])
def test_output_stands_above_the_bar(pool, rc, new_gate, capfd, monkeypatch, has_tqdm):
    if not has_tqdm:
        monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setattr(sys, "stdout", sys.stderr)  # as in a terminal, both to one place
    gate = new_gate()
    ar = rc[0].execute(f"print('first'); print('second')\n{gate.code()}\nprint('third')", block=False)
    assert not ar.wait(0)
    ar.wait_interactive(timeout=0.5)
    gate.open()
    ar.wait_interactive()
    lines = [line for line in screen(capfd.readouterr().err) if line]
    shown = [line if line.startswith("[") else line.split(":")[0] for line in lines]
    assert sorted(shown[:3]) == ["[stdout:0] first", "[stdout:0] second", "execute"]
    assert shown[3:] == ["[stdout:0] third", "execute"] and lines[-1].count("1/1") == 1


def test_output_stands_above_a_bar_of_the_users(rc, capsys):
    tqdm = pytest.importorskip("tqdm")
    for _ in tqdm.tqdm(range(2), unit="tasks"):
        rc[0].execute("import sys; print('printed', file=sys.stderr)", block=True)
    lines = [line for line in screen(capsys.readouterr().err) if line]
    assert lines[:2] == ["[stderr:0] printed"] * 2 and "2/2" in lines[2] and len(lines) == 3


# --- terminals


SCRIPT = """
import sys, time, pxrun
def slowly(x):
    time.sleep(0.1 if x < 4 else 1000)
with pxrun.Client(sys.argv[1]) as rc:
    try:
        rc.load_balanced_view().map_sync(slowly, range(8), chunksize=1, progress=True)
    finally:
        print("left")
"""


def spawn(code, *args, **options):
    pexpect = pytest.importorskip("pexpect")
    return pexpect.spawn(sys.executable, ["-c", code, *args], encoding="utf-8", timeout=60, dimensions=(40, 100), **options)


def test_ctrl_c_leaves_the_bar_on_a_line_of_its_own(pool):
    pexpect = pytest.importorskip("pexpect")
    child = spawn(SCRIPT, pool.connection_file)
    child.expect("4/8")
    seen = child.before + child.after
    child.sendintr()
    child.expect(pexpect.EOF)
    child.close()
    lines = [line for line in screen(seen + child.before) if line]
    at = lines.index("left")
    assert at == 1 and lines[0].startswith("slowly:  50%") and lines[2].startswith("Traceback"), lines


IPYTHON = """
from IPython.terminal.ipapp import launch_new_instance
launch_new_instance(["--simple-prompt", "--no-banner", "--colors=NoColor", "--no-confirm-exit"])
"""


def test_px_progress_after_shows_output_above_the_bar(pool, tmp_path):
    pexpect = pytest.importorskip("pexpect")
    pytest.importorskip("IPython")
    env = {**os.environ, "IPYTHONDIR": str(tmp_path), "TERM": "dumb"}
    child = spawn(IPYTHON, env=env)
    child.expect_exact("In [1]: ")
    child.sendline(f"import pxrun; rc = pxrun.Client({pool.connection_file!r})")
    child.expect_exact("In [2]: ")
    cell = "import time; print('begun'); time.sleep(0.5); print('done')"
    child.sendline(f"get_ipython().run_cell_magic('px', '--progress-after=0', {cell!r})")
    child.expect("4/4")
    seen = child.before + child.after
    child.expect_exact("In [3]: ")
    seen += child.before
    child.sendline("exit")
    child.expect(pexpect.EOF)
    child.close()
    lines = screen(seen)
    shown = sorted(line for line in lines if line.startswith("[stdout"))
    assert shown == sorted(f"[stdout:{i}] {word}" for i in range(4) for word in ("begun", "done")), lines
    assert len([line for line in lines if "tasks/s" in line]) == 1, lines


# --- notebooks


@pytest.mark.parametrize("python", notebooks.PYTHONS)
def test_notebook_has_one_output_for_the_bar(pool, python):
    nb = notebooks.run(
        [
            f"import pxrun; rc = pxrun.Client({pool.connection_file!r})",
            "def slowly(x):\n    import time\n    time.sleep(0.05)\n    print('at', x)\n    return x\n"
            "len(rc[:].map_sync(slowly, range(20), progress=True))",
        ],
        python,
    )
    cell = nb.cells[1]
    assert notebooks.errors(cell) == [] and notebooks.stream(cell, "stderr") == ""
    assert sorted(notebooks.stream(cell).split()) == sorted(f"{word}" for i in range(20) for word in (f"[stdout:{i // 5}]", "at", str(i)))
    bar, value = notebooks.displayed(cell)
    assert value["text/plain"] == "20"
    if "application/vnd.jupyter.widget-view+json" not in bar:
        assert list(bar) == ["text/plain"] and bar["text/plain"].startswith("slowly: 100%") and "20/20" in bar["text/plain"]
    else:
        assert python == notebooks.VENV


@pytest.mark.parametrize("python", notebooks.PYTHONS)
def test_interrupted_cell_closes_its_bar(pool, python):
    with notebooks.Notebook(python) as notebook:
        notebook.run(f"import time, pxrun; rc = pxrun.Client({pool.connection_file!r})")

        def interrupt():
            while any(engine["busy"] is None for engine in json.loads(pool.status())["engines"]):
                pass  # until all has been sent
            notebook.interrupt()

        thread = threading.Thread(target=interrupt)
        thread.start()
        cell = notebook.run("rc[:].map_sync(time.sleep, [1000] * 4, progress=True)")
        thread.join()
        assert [ename for ename, _ in notebooks.errors(cell)] == ["KeyboardInterrupt"]
        cell = notebook.run("rc[:].map_sync(abs, range(4), progress=True);")
        assert notebooks.errors(cell) == [] and len(notebooks.displayed(cell)) == 1
