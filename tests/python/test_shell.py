# SPDX-License-Identifier: BSD-3-Clause
"""Code as at IPython's prompt, on engines."""
import os

import pytest

import pxrun


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
