# SPDX-License-Identifier: BSD-3-Clause
"""What notebooks show of clients, views and results: HTML with SVG; and their reprs."""
import json
import os
import re
import signal
import time
import xml.etree.ElementTree as ElementTree

import pytest

import notebooks
import pxrun
from pxrun.client import drawing, pictures
from pxrun.client.spans import Span

MS = 1_000_000


def square(x):
    return x * x


def inverse(x):
    return 1 / x


def shown(what):
    """Its picture as text without the tags; checked: it is XML, without scripts, and no large page."""
    html = what._repr_html_()
    root = ElementTree.fromstring(html)
    assert len(html) < 60_000
    assert {element.tag.split("}")[-1] for element in root.iter()} <= TAGS
    assert not any(name.startswith("on") or name.endswith("href") for element in root.iter() for name in element.attrib)
    return re.sub(r"\s+", " ", " ".join(root.itertext()))


TAGS = set("div b code span table thead tbody tr th td svg g rect path text title".split())


def bars(what):
    """The colours of a time line's bars, each once for each bar."""
    root = ElementTree.fromstring(what._repr_html_() if hasattr(what, "_repr_html_") else what)
    names = {colour: state for state, colour in drawing.COLOURS.items() if state != "waiting"}
    groups = [(g.get("fill"), list(g)) for g in root.iter("{http://www.w3.org/2000/svg}g") if g.get("fill", "").startswith("#")]
    return sorted(names[fill] for fill, found in groups for _ in found if fill in names)


# --- clients


def test_client_shows_engines_and_memory(pool):
    text = shown(pool)
    assert text.startswith(f"Client of {pool.profile}")
    for engine in pool.engines.values():
        assert f"{engine.id} {engine.pid} up" in text
    assert "shared memory" in text and pool.connection_file in text and f"supervisor {pool.supervisor_pid}" in text


def test_client_shows_what_runs_and_whose_it_is(pool, rc, hold):
    gate = hold(1)
    assert "import os; os.read(os.open" in shown(pool)
    waits = rc[1].apply_async(square, 1)
    assert "square" not in shown(rc)
    gate.open()
    waits.get(30)


def test_client_shows_calls_of_other_processes(pool, hold, monkeypatch):
    hold(2)
    monkeypatch.setattr(pictures.os, "getpid", lambda: 1)
    assert f"for process {json.loads(pool.status())['clients'][0]['pid']}" in shown(pool)


def test_closed_client_says_so(pool):
    with pxrun.Client(pool.connection_file) as client:
        view, ar = client[:], client[0].apply_async(square, 3)
        ar.wait()
    assert shown(client) == "Client closed" and repr(client) == "<Client: closed>"
    assert "closed" in shown(view) and "finished" in shown(ar) and bars(ar) == ["ok"]


def test_dead_pool_says_so():
    rc = pxrun.Cluster(n=1).start_and_connect_sync()
    view, ar = rc[:], rc[0].apply_async(time.sleep, 100)
    os.kill(rc.supervisor_pid, signal.SIGKILL)
    assert ar.wait(30)
    assert "supervisor is gone" in shown(rc) and "supervisor is gone" in shown(view)
    assert "failed" in shown(ar) and bars(ar) == ["error"] and repr(ar) == "<AsyncResult(sleep): failed>"
    assert repr(rc).startswith("<Client of") and repr(view) == "<DirectView [0]>"


def test_supervisor_that_hangs_does_not_hold_up_a_picture(monkeypatch):
    monkeypatch.setattr(pictures, "_PATIENCE", 0.05)
    with pxrun.Cluster(n=2) as rc:
        os.kill(rc.supervisor_pid, signal.SIGSTOP)
        try:
            text = shown(rc)
        finally:
            os.kill(rc.supervisor_pid, signal.SIGCONT)
        assert "2 engines" in text and f"process {rc.supervisor_pid}, does not answer" in text


def test_client_without_engines():
    with pxrun.Cluster(n=1) as rc:
        rc.shutdown(0)
        while rc.ids:
            time.sleep(0)
        assert "0 engines" in shown(rc)


def test_dead_engine_is_said_with_its_reason():
    with pxrun.Cluster(n=1, restart="never") as rc:
        ar = rc[0].apply_async(os.kill, rc.engines[0].pid, signal.SIGKILL)
        assert ar.wait(30)
        text = shown(rc)
        assert "gone" in text and "SIGKILL" in text


def test_many_engines_are_counted(pool, monkeypatch):
    state = json.loads(pool.status())
    engine = {**state["engines"][0], "busy": None}
    state["engines"] = [{**engine, "id": i, "busy": 1.0 if i == 200 else None} for i in range(256)]
    monkeypatch.setattr(pictures, "_status", lambda client: state)
    text = shown(pool)
    assert "256 engines" in text and "and 224 engines more, 1 of them busy" in text


# --- views


def test_view_shows_engines_flags_and_what_is_out(rc, hold):
    hold(0)
    view = rc.direct_view([0, 2], track=True, label="<mine>")
    ar = view.apply_async(square, 2)
    ar.split()[1].wait()
    text = shown(view)
    assert "DirectView of engines 0, 2" in text and "track=True" in text and "label='<mine>'" in text and "block" not in text
    assert "square" in text and "1 of 2" in text
    ar.cancel()
    assert "nothing outstanding" in shown(rc[1])


def test_balanced_view_shows_what_is_out(view, hold_all):
    view.set_flags(retries=2)
    ars = [view.apply_async(square, x) for x in range(12)]
    text = shown(view)
    assert "LoadBalancedView of all engines" in text and "retries=2" in text and "and 2 more" in text
    assert len(ars) == 12


def test_view_of_many_engines_is_short(rc, monkeypatch):
    view = rc[:]
    view._targets_set = list(range(256))
    assert "and 224 more" in shown(view) and len(repr(view)) < 50


# --- results


def test_finished_result_has_a_bar_for_each_engine(rc):
    ar = rc[:].apply_async(square, 3)
    ar.wait()
    text = shown(ar)
    assert text.startswith("AsyncResult square : finished") and bars(ar) == ["ok"] * 4
    for engine in range(4):
        assert f"engine {engine}" in text


def test_pending_result_shows_how_far_it_is(rc, hold):
    gate = hold(3)
    ar = rc[:].apply_async(square, 3)
    for part in ar.split()[:3]:
        part.wait()
    assert "pending" in shown(ar) and "3 of 4" in shown(ar) and bars(ar) == ["ok"] * 3 and bars(gate.ar) == ["running"]
    assert repr(ar) == "<AsyncResult(square): pending>"


def test_running_request_has_started(hold, pool):
    gate = hold(0)
    assert gate.ar.submitted <= gate.ar.started and gate.ar.completed is None
    waits = pool[0].apply_async(square, 1)
    assert waits.started is None
    waits.cancel()


def test_running_task_has_started(view, new_gate):
    gate = new_gate()
    ar = view.apply_async(eval, f"__import__('os').read(__import__('os').open({gate.path!r}, 0), 1)")
    while not ar.running():
        assert not ar.ready()
    assert ar.submitted <= ar.started and bars(ar) == ["running"]
    gate.open()
    ar.get(30)


def test_failed_request_has_its_colour_and_its_exception(rc):
    ar = rc[:].map_async(inverse, [1, 0, 2, 4])
    ar.wait()
    assert bars(ar) == ["error", "ok", "ok", "ok"] and "ZeroDivisionError: division by zero" in ar._repr_html_()
    assert "failed (1 failed of 4 requests)" in shown(ar) and repr(ar) == "<AsyncMapResult(inverse): failed>"
    code = rc[0].execute("1/0 # <b>", block=False)
    code.wait()
    assert "1/0 # <b>" in shown(code) and bars(code) == ["error"]


def test_aborted_result_has_its_colour(rc, view, hold_all):
    direct, task = rc[0].apply_async(square, 1), view.apply_async(square, 1)
    for ar in direct, task:
        ar.abort()
        assert bars(ar) == ["aborted"] and "aborted" in shown(ar)
    assert "not begun" in shown(task)


def test_elements_that_failed_show_once_they_were_read(view):
    ar = view.map_async(inverse, [0, 1, 2, 4], chunksize=4, return_exceptions=True)
    ar.wait()
    assert repr(ar) == "<AsyncTaskMapResult(inverse): finished>"
    ar.get()
    assert bars(ar) == ["error"] and repr(ar) == "<AsyncTaskMapResult(inverse): failed>"


def test_parts_and_joined_results_have_pictures(rc):
    ar = rc[:].map_async(inverse, [1, 0, 2, 4])
    ar.wait()
    assert [bars(part) for part in ar.split()] == [["ok"], ["error"], ["ok"], ["ok"]]
    assert bars(type(ar).join(*ar.split())) == ["error", "ok", "ok", "ok"]


def test_executor_and_dependent_tasks_have_pictures(rc, view):
    with rc.executor() as executor:
        future = executor.submit(square, 2)
        assert future.result() == 4 and bars(future) == ["ok"] and "TaskFuture" in shown(future)
    first = view.apply_async(inverse, 0)
    with view.temp_flags(after=first):
        second = view.apply_async(square, 2)
    second.wait()
    assert bars(first) == bars(second) == ["error"] and repr(second) == "<AsyncResult(square): failed>"


def test_no_value_is_read_for_a_picture(rc, monkeypatch):
    ar = rc[:2].apply_async(square, 3)
    ar.wait()

    def read(i):
        raise AssertionError("a value was read")

    monkeypatch.setattr(ar, "_outcome", read)
    assert "finished" in shown(ar) and repr(ar) == "<AsyncResult(square): finished>"


def test_output_is_still_shown_after_a_picture(rc, capsys):
    ar = rc[0].execute("print('hello')", block=False)
    assert ar._result.wait(30)
    shown(ar), repr(ar), shown(rc)
    assert capsys.readouterr().out == ""
    ar.get()
    assert capsys.readouterr().out == "[stdout:0] hello\n"


@pytest.mark.parametrize(
    "name",
    ["<script>alert(1)</script>", "a\x00\x1b[31m\ud800b", "π & \"quotes\" 'x' ]]>", "n" * 10_000],
    ids=["tags", "controls", "quotes", "long"],
)
def test_odd_names_are_text(rc, view, name):
    def f(x):
        raise ValueError(name * 3)

    f.__name__ = name
    for ar in (rc[:].set_flags(label=name).map_async(f, range(4)), view.map_async(f, range(200), chunksize=1)):
        ar.wait()
        text = shown(ar)
        assert name[:30] in text or "\ufffd" in text
    shown(view)


# --- time lines


def span(engine=0, submitted=0, started=1, completed=2, state="ok", words=""):
    return Span("f", None, "id", engine, submitted * MS, started * MS, completed * MS, state, words)


def test_time_line_of_nothing():
    ElementTree.fromstring(drawing.TimeLine([], 5).svg())


def test_time_line_of_one_moment():
    ElementTree.fromstring(drawing.TimeLine([span(completed=0, submitted=0, started=0)], 0).svg())


def test_time_line_of_clocks_that_disagree():
    # who changes the clock meanwhile
    line = drawing.TimeLine([span(submitted=10, started=5, completed=1)], 3 * MS)
    svg = ElementTree.fromstring(line.svg())
    assert all(float(rect.get("width")) >= 0 for rect in svg.iter("{http://www.w3.org/2000/svg}rect"))


def test_many_requests_are_merged():
    spans = [span(i % 4, 0, 1 + i, 2 + i, "error" if i % 7 == 0 else "ok") for i in range(50_000)]
    svg = drawing.TimeLine(spans, 0).svg()
    assert len(svg) < 60_000 and 4 <= len(bars(svg)) <= drawing.BARS
    counts = [int(n) for n in re.findall(r"<title>(\d+) × f: (?:ran|failed)", svg)]
    assert len(counts) > 4


def test_many_engines_have_some_rows():
    line = drawing.TimeLine([span(i) for i in range(256)], 0)
    assert line.svg().count("engine ") >= drawing.ROWS and line.left_out == 256 - drawing.ROWS
    assert len(line.svg()) < 30_000


def test_result_of_very_many_entries_is_sampled(view, hold_all):
    ar = view.map_async(square, range(20_000), chunksize=1)
    text = shown(ar)
    assert "one of 4 requests is drawn" in text and "not begun" in text
    ar.cancel()


@pytest.mark.parametrize(
    "ns, words",
    [(0, "0 ns"), (999, "999 ns"), (1500, "1.5 µs"), (12.34 * MS, "12.3 ms"), (61e9, "61 s"), (3600e9, "60 min"), (1e14, "28 h")],
)
def test_seconds_are_short(ns, words):
    assert drawing.seconds(ns) == words


# --- frontends


def test_mimebundle_has_what_is_asked_for(rc):
    for what in rc, rc[:], rc.load_balanced_view(), rc[0].apply_async(square, 1):
        assert set(what._repr_mimebundle_()) == {"text/plain", "text/html"}
        assert what._repr_mimebundle_()["text/plain"] == repr(what)
        for asked in {"include": {"text/plain"}}, {"exclude": {"text/html"}}:
            assert what._repr_mimebundle_(**asked) == {"text/plain": repr(what)}


def test_terminal_has_the_plain_repr(rc, monkeypatch):
    shell = pytest.importorskip("IPython.terminal.interactiveshell").TerminalInteractiveShell
    monkeypatch.setattr(pictures, "html_of", lambda what: 1 / 0)
    terminal = shell()
    monkeypatch.setattr("IPython.get_ipython", lambda: terminal)
    data, _ = terminal.display_formatter.format(rc)
    assert data == {"text/plain": repr(rc)}


@pytest.mark.parametrize("python", notebooks.PYTHONS)
def test_notebook_shows_pictures(pool, python, tmp_path):
    cells = [f"import pxrun; rc = pxrun.Client({pool.connection_file!r}); rc", "rc[:2]", "ar = rc[:].apply_async(pow, 2, 3); ar.wait(); ar"]
    nb = notebooks.run(cells, python)
    for cell, words in zip(nb.cells, ("shared memory", "DirectView", "<svg")):
        (data,) = notebooks.displayed(cell)
        assert words in data["text/html"] and data["text/plain"].startswith("<")
    page = notebooks.Page(nb, str(tmp_path))
    assert "<svg" in page.text and "engine 3" in page.text
