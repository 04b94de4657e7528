# SPDX-License-Identifier: BSD-3-Clause
"""IPython in a terminal, Debian's and PyPI's newest: what is shown there of errors, by ``%px`` and after Ctrl-C."""
import os
import re
import time

import pytest

import notebooks
import pxrun

pexpect = pytest.importorskip("pexpect", reason="pexpect, which types into terminals, is not installed")

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
PROMPT = r"In \[\d+\]: $|ipdb> $"


class Terminal:
    """An IPython that things are typed into."""

    def __init__(self, python, folder, *options, script=None, **variables):
        env = {**os.environ, "IPYTHONDIR": str(folder), "TERM": "xterm-256color", "NO_COLOR": "", **variables}
        arguments = [script] if script else ["-m", "IPython", "--no-banner", "--no-confirm-exit", "--simple-prompt", *options]
        self.child = pexpect.spawn(python, arguments, env=env, encoding="utf-8", timeout=60, dimensions=(50, 200), echo=False)
        self.child.expect(PROMPT)

    def __call__(self, *lines):
        """Types lines; what is shown until the next prompt."""
        self.child.send("".join(line + "\n" for line in lines))
        return self.shown()

    def shown(self):
        """What is shown until the next prompt."""
        self.child.expect(PROMPT)
        text = re.sub(r"^( *\.\.\.: )+", "", self.child.before.replace("\r\n", "\n"))
        return text.strip("\n")

    def close(self):
        self.child.close(force=True)


@pytest.fixture(scope="module")
def six():
    with pxrun.Cluster(n=6) as rc:
        yield rc


@pytest.fixture(params=notebooks.PYTHONS)
def python(request):
    notebooks.need(request.param, "IPython")
    return request.param


@pytest.fixture
def terminal(python, six, tmp_path):
    """An IPython without colours, with a client and a view of six engines."""
    six[:].clear(block=True)
    ip = Terminal(python, tmp_path, "--colors=NoColor")
    ip(f"import pxrun; rc = pxrun.Client({six.connection_file!r}); v = rc[:]")
    ip("def f(x):", "    y = 1", "    return x / 0", "")
    yield ip
    ip.close()


def block(engine, method="apply"):
    """What is shown of one engine that has called f() of the fixture."""
    lines = "Traceback (most recent call last):", "  Cell In[2], line 3, in f", "    return x / 0", "ZeroDivisionError: division by zero"
    return "\n".join([f"[{engine}:{method}]:", *lines, "\n"])


FOUR = "".join(block(i) for i in range(4)) + "... 2 more exceptions ..."


def called(cell, line="v.apply_sync(f, 1)"):
    """What is shown above that: the line that was typed."""
    return f"Traceback (most recent call last):\n  Cell In[{cell}], line 1\n    {line}\n\n"


# --- errors -------------------------------------------------------------------


def test_error_of_six_engines_is_shown_once_with_four_of_them(terminal):
    assert terminal("v.apply_sync(f, 1)") == called(3) + FOUR


def test_error_of_one_engine_names_it_and_the_line(terminal):
    assert terminal("rc[4].apply_sync(f, 1)") == called(3, "rc[4].apply_sync(f, 1)") + block(4).strip("\n")


def test_error_that_wait_and_unpickling_give_is_shown_as_any(terminal):
    terminal("import pickle; e = v.apply_async(f, 1).exception(60)")
    assert terminal("raise pickle.loads(pickle.dumps(e))") == called(4, "raise pickle.loads(pickle.dumps(e))") + FOUR


def test_error_is_shown_so_in_an_IPython_that_is_younger_than_the_client(python, six, tmp_path):
    script = tmp_path / "embeds.py"
    script.write_text(
        f"import pxrun\nv = pxrun.Client({six.connection_file!r})[:]\n"
        "import IPython\nIPython.embed(colors='NoColor', simple_prompt=True)\n"
    )
    ip = Terminal(python, tmp_path, script=str(script))
    ip("f = lambda x: 1 / x")
    shown = ip("v.apply_sync(f, 0)")
    assert shown.count("ZeroDivisionError: division by zero") == 4 and shown.endswith("... 2 more exceptions ...")
    ip.close()


def test_tb_shows_it_again(terminal):
    terminal("v.apply_sync(f, 1)")
    assert terminal("%tb") == called(3) + FOUR


def test_xmode_minimal_is_a_line_for_each_engine(terminal):
    terminal("%xmode Minimal")
    lines = terminal("v.apply_sync(f, 1)").split("\n")
    assert lines == [
        "one or more exceptions raised in: f",
        *(f"[{i}:apply]: ZeroDivisionError: division by zero" for i in range(4)),
        "... 2 more exceptions ...",
    ]
    for mode in "Plain", "Verbose":
        assert terminal(f"%tb {mode}") == called(4) + FOUR


def test_debug_begins_where_the_user_called(terminal):
    terminal("1 / 0")  # of this nothing is to be seen
    terminal("def here():", "    local = 17", "    return v.apply_sync(f, 1)", "")
    terminal("here()")
    assert "3     return v.apply_sync(f, 1)" in terminal("%debug")
    assert terminal("p local") == "17"
    assert "here()" in terminal("up")
    terminal("q")
    terminal("%pdb on")
    shown = terminal("here()")
    assert shown.count("ZeroDivisionError") == 4 and shown.endswith("3     return v.apply_sync(f, 1)")
    terminal("q")


def test_error_while_a_CompositeError_is_handled_is_shown_by_IPython(terminal):
    handling = ["def handle():", "    try:", "        v.apply_sync(f, 1)", "    except ZeroDivisionError:"]
    terminal(*handling, "        raise ValueError('mine')", "")
    shown = terminal("handle()")
    assert shown.count("[0:apply]: ZeroDivisionError: division by zero") == 1 and "[4:apply]" not in shown
    assert shown.count("ValueError: mine") == 1 and "During handling of the above exception" in shown
    assert os.path.dirname(pxrun.__file__) not in shown


def test_SyntaxError_of_an_engine_is_the_engines(terminal):
    shown = terminal("rc[1].apply_sync(compile, '1 +', 'there', 'eval')")
    assert shown.startswith("Traceback") and '[1:apply]:\n  File "there", line 1' in shown and shown.count("SyntaxError") == 1


def test_own_error_has_no_frames_of_pxrun(terminal):
    shown = terminal("rc[77]")
    assert shown.endswith("EngineError: No such engine: 77; the live ones are [0, 1, 2, 3, 4, 5]")
    assert os.path.dirname(pxrun.__file__) not in shown and "1 rc[77]" in shown


def test_TimeoutError_has_no_frames_of_pxrun_and_others_all_of_theirs(terminal, new_gate):
    gate = new_gate()
    shown = terminal(f"rc[0].execute({gate.code()!r}).get(0.01)")
    gate.open()
    assert shown.endswith("TimeoutError: Result not ready.") and os.path.dirname(pxrun.__file__) not in shown
    shown = terminal("import pathlib; pathlib.Path(5)  # raised here")
    assert "raised here" in shown and "pathlib.py" in shown


def test_message_with_colours_and_other_alphabets_is_shown_as_it_is(terminal):
    shown = terminal("rc[0].execute(r'raise ValueError(\"\\x1b[35mрис\\x1b[0m \\udcff\")', block=True)")
    assert "ValueError: \x1b[35mрис\x1b[0m \\udcff" in shown


@pytest.mark.parametrize("plain", [False, True])
def test_errors_have_colours_unless_NO_COLOR_forbids_them(python, six, tmp_path, plain):
    ip = Terminal(python, tmp_path, NO_COLOR="1" if plain else "")
    ip(f"import pxrun; v = pxrun.Client({six.connection_file!r})[:]")
    red, bold = ("", "") if plain else ("\x1b[31m", "\x1b[01m")
    for line in "v.execute('1/0', block=True)", "%px 1/0":
        shown = ip(line)
        assert shown.count(f"{red}ZeroDivisionError") == 4 and f"{bold}[0:execute]:" in shown
        assert ("\x1b[" in shown) is not plain
    ip.close()


# --- %px ----------------------------------------------------------------------


def test_px_streams_four_errors_and_counts_them(terminal):
    shown = terminal("%px 1/0")
    assert shown.count("ZeroDivisionError") == 4 and shown.endswith("... 2 more exceptions ...\n6 errors")
    again = terminal("%tb")
    assert again.count("ZeroDivisionError") == 4 and again.endswith("... 2 more exceptions ...")


def test_px_that_does_not_wait_is_shown_when_it_is_done(terminal, new_gate):
    gate = new_gate()
    terminal("%pxconfig --noblock")
    assert terminal(f"ar = %px {gate.code()}; print('there'); 1/0") == ""
    terminal("import time")
    gate.open(6)
    shown = terminal("while not ar.ready(): time.sleep(0.01)")
    assert re.match(r"%px import os; .* has failed:\n\[stdout:0\] there\n", shown), shown
    assert shown.count("[stdout:5] there") == shown.count("... 2 more exceptions ...") == 1 and shown.count("ZeroDivisionError") == 4
    assert terminal("pass") == ""


def test_autopx_goes_on_after_an_engine_was_killed(python, tmp_path):
    with pxrun.Cluster(n=2) as rc:
        ip = Terminal(python, tmp_path, "--colors=NoColor")
        ip(f"import pxrun; rc = pxrun.Client({rc.connection_file!r})")
        rc[:].scatter("dies", [False, True], flatten=True, block=True)
        assert ip("%autopx") == "%autopx enabled"
        shown = ip("import os; dies and os.kill(os.getpid(), 9)")
        assert re.search(r"^EngineError: engine 1 .*SIGKILL.*\n1 error$", shown, re.MULTILINE), shown
        assert sorted(ip("print('here')").split("\n")) == ["[stdout:0] here", "[stdout:1] here"]
        assert ip("%autopx") == "%autopx disabled"
        assert ip("print('here')") == "here"
        ip.close()


def test_exit_ends_the_session_under_autopx(terminal):
    terminal("%autopx")
    terminal.child.sendline("exit")
    terminal.child.expect(pexpect.EOF)


# --- Ctrl-C -------------------------------------------------------------------


def test_interrupt_of_a_blocking_call_gives_the_prompt_back_and_frees_the_engines(terminal, six, tmp_path):
    begun = tmp_path / "begun"
    begun.mkdir()
    code = f"import os, time; open('{begun}/' + str(os.getpid()), 'w').close(); time.sleep(1000)"
    terminal.child.sendline(f'v.execute("{code}", block=True)')
    while len(os.listdir(begun)) < 6:
        time.sleep(0.01)
    terminal.child.sendintr()
    shown = terminal.shown()
    assert "KeyboardInterrupt" in shown and os.path.dirname(pxrun.__file__) not in shown
    assert six[:].apply_async(lambda: 5).get(60) == [5] * 6
    assert terminal("1 + 1") == "Out[4]: 2"


# --- notebooks ----------------------------------------------------------------


def test_notebook_has_one_error_output_and_no_traceback_on_stderr(python, six):
    from nbclient.exceptions import CellExecutionError

    with notebooks.Notebook(python) as notebook:
        notebook.run(f"import pxrun; rc = pxrun.Client({six.connection_file!r}); v = rc[:]")
        notebook.run("def f(x):\n    y = 1\n    return x / 0")
        cell = notebook.run("v.apply_sync(f, 1)")
        assert [output.output_type for output in cell.outputs] == ["error"]
        assert cell.outputs[0].ename == "CompositeError" and cell.outputs[0].evalue.count("ZeroDivisionError") == 4
        assert COLOUR.sub("", "\n".join(cell.outputs[0].traceback)) == called(3) + FOUR
        notebook.client.allow_errors = False
        with pytest.raises(CellExecutionError, match="ZeroDivisionError: division by zero") as caught:
            notebook.run("v.apply_sync(f, 1)")
        assert caught.value.ename == "CompositeError"


def test_notebooks_cell_fails_once_where_px_streams_errors(python, six):
    with notebooks.Notebook(python) as notebook:
        notebook.run(f"import pxrun; rc = pxrun.Client({six.connection_file!r})")
        cell = notebook.run("%px 1/0")
        assert notebooks.errors(cell) == [("AlreadyDisplayedError", "6 errors")]
        assert notebooks.stream(cell, "stderr").count("ZeroDivisionError") == 4
        notebook.run("%autopx")
        assert notebooks.errors(notebook.run("1/0")) == [("AlreadyDisplayedError", "6 errors")]
        assert notebooks.stream(notebook.run("%autopx")) == "%autopx disabled\n"
