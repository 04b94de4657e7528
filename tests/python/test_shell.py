# SPDX-License-Identifier: BSD-3-Clause
"""Code as at IPython's prompt, on engines."""
import os

import pytest

import pxrun
from pxrun import _pxrun


@pytest.fixture(scope="module")
def rc():
    """Engines of their own: a shell stays in its engine."""
    with pxrun.Cluster(n=2) as client:
        yield client


def test_plain_code_does_not_import_IPython(rc):
    code = "import sys; 'IPyt' + 'hon' in sys.modules"
    assert rc[1].execute(code, silent=False, block=True).get().text == "False"


def test_magics_and_commands(rc):
    pytest.importorskip("IPython")
    view = rc[0]
    view.execute("%cd -q /\nhere = %pwd\nlines = !echo one; echo two", block=True)
    assert view["here"] == "/" and list(view["lines"]) == ["one", "two"]
    ar = view.execute("!echo said by a command", block=True)
    assert ar.stdout == "said by a command\n"
    view.execute("a = 1\nb = 2", block=True)
    assert "a" in view.execute("%who", block=True).stdout
    view.execute(f"%cd -q {os.getcwd()}", block=True)


def test_syntax_error_is_still_one(rc):
    with pytest.raises(SyntaxError):
        rc[0].execute("a = = 1", block=True)


def test_display_is_published_in_order(rc):
    pytest.importorskip("IPython")
    code = """
from IPython.display import display, HTML
print('before')
display(HTML('<b>bold</b>'))
print('after')
"""
    ar = rc[0].execute(code, block=True)
    (output,) = ar.outputs
    assert output["data"]["text/html"] == "<b>bold</b>"
    assert ar.stdout == "before\nafter\n"


def test_rich_value_of_a_last_expression(rc):
    pytest.importorskip("IPython")
    code = "get_ipython()\nclass Rich:\n    def _repr_html_(self): return '<i>x</i>'\n    def __repr__(self): return 'x'\nRich()"
    data = rc[0].execute(code, silent=False, block=True).get().execute_result["data"]
    assert data["text/plain"] == "x" and data["text/html"] == "<i>x</i>"


@pytest.mark.parametrize("code, shown", [
    ("5;", None), ("5 ; # x", None), ("(5);", None), ("x = 1; 5;", None), ("'ü;'", "'ü;'"), ("'ü';", None), ("5  # ;", "5"),
    ("(\n5\n);", None), ("%time 5;", None),
])
def test_semicolon_hides_the_value_of_a_last_expression(rc, code, shown):
    assert rc[0].execute(code, silent=False, block=True).get().text == shown


def test_top_level_await(rc):
    code = "import asyncio\nasync def f():\n    await asyncio.sleep(0)\n    return 5\nx = await f()\nawait f() + x"
    assert rc[1].execute(code, silent=False, block=True).get().text == "10"
    assert rc[1]["x"] == 5


def test_await_within_a_function_only_is_no_top_level_await(rc):
    rc[1].execute("async def g():\n    await h()", block=True)
    assert rc[1].apply_sync(lambda: callable(g)) is True  # noqa: F821


def test_publish_data_is_seen_while_the_request_runs(rc, new_gate):
    gate = new_gate()

    def work(path):
        from pxrun import publish_data

        publish_data({"step": 1, "kept": "x"})
        publish_data({"step": 2})
        with open(path) as file:
            file.read(1)

    ar = rc[0].apply_async(work, gate.path)
    while ar.data.get("step") != 2:
        assert not ar.ready()
    assert ar.data == {"step": 2, "kept": "x"}
    gate.open()
    ar.get(10)
    with pytest.raises(TypeError):
        pxrun.publish_data([1])


def test_display_in_a_function_that_is_sent(rc):
    pytest.importorskip("IPython")

    def show():
        from IPython.display import HTML, display

        print("before")
        display(HTML("<b>bold</b>"))

    fresh = rc.cluster.start_engines_sync(1)[0]
    ar = rc[fresh].apply_async(show)
    ar.get(20)
    (output,) = ar.outputs
    assert output["data"]["text/html"] == "<b>bold</b>" and ar.stdout == "before\n"


def test_names_of_a_prompt_are_known_without_importing_IPython(rc):
    pytest.importorskip("IPython")
    fresh = rc[rc.cluster.start_engines_sync(1)[0]]
    ar = fresh.execute("display('shown')", block=True)
    assert ar.outputs[0]["data"]["text/plain"] == "'shown'"
    assert fresh.apply_sync(lambda: type(get_ipython()).__name__) == "Shell"  # noqa: F821
    fresh.clear(block=True)
    assert fresh.apply_sync(lambda: get_ipython() is not None)  # noqa: F821


def test_rich_value_needs_no_import_by_the_user(rc):
    pytest.importorskip("IPython")
    fresh = rc[rc.cluster.start_engines_sync(1)[0]]
    code = "class Rich:\n    def _repr_html_(self): return '<i>x</i>'\n    def _repr_png_(self): return b'png', {'width': 10}\nRich()"
    reply = fresh.execute(code, silent=False, block=True).get()
    assert reply._repr_html_() == "<i>x</i>" and reply._repr_latex_() is None
    assert reply._repr_png_()[1] == {"width": 10}


def test_inline_figures(rc):
    pytest.importorskip("matplotlib")
    ar = rc[1].execute("%matplotlib inline\nimport matplotlib.pyplot as plt\nlines = plt.plot([1, 2, 4])", block=True)
    (output,) = ar.outputs
    assert "image/png" in output["data"]
    ar = rc[1].execute("%pylab inline", block=True)
    assert rc[1].execute("plot(rand(100))", silent=False, block=True).outputs[0]["data"]["image/png"]
    assert "no event loop for 'tk'" in rc[1].execute("%gui tk", block=True).stderr


def test_callbacks_around_a_cell(rc):
    pytest.importorskip("IPython")
    code = "seen = []\nfor event in ('pre_execute', 'post_execute'):\n    get_ipython().events.register(event, lambda e=event: seen.append(e))"
    rc[0].execute(code, block=True)
    rc[0].execute("pass", block=True)
    assert rc[0]["seen"] == ["post_execute", "pre_execute", "post_execute"]
    rc[0].execute("get_ipython().events.register('pre_execute', lambda: 1 / 0)", block=True)
    assert "ZeroDivisionError" in rc[0].execute("pass", block=True).stderr
    rc[0].execute("for found in get_ipython().events.callbacks.values(): found.clear()", block=True)


def test_interrupt_is_not_lost_in_the_shell(rc):
    pytest.importorskip("IPython")
    rc[1].execute("get_ipython()", block=True)
    for i in range(3000):
        endless = rc._core.submit(_pxrun.EXECUTE, _pxrun.EXECUTE_SILENT, [1], b"while True: pass", None)
        while i % 2 and not endless.running(0):
            pass
        endless.interrupt(0)
        assert endless.wait(10), i
        assert endless.reply(0)[0] == _pxrun.EREMOTE


def test_clear_leaves_IPython_what_it_needs(pool):
    for _ in range(2):
        pool[0].execute("%cd .\n_dh", block=True)
        pool[0].clear(block=True)
