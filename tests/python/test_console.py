# SPDX-License-Identifier: BSD-3-Clause
"""`pxrun console` in a terminal: a prompt on an engine."""
import os
import re
import signal
import subprocess
import types

import pytest

import notebooks
import pxrun
import pxrun.console

pexpect = pytest.importorskip("pexpect", reason="pexpect, which types into terminals, is not installed")

COMMAND = os.environ["PXRUN_COMMAND"]
CODES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


@pytest.fixture(scope="module", params=notebooks.PYTHONS)
def two(request):
    notebooks.need(request.param, "jupyter_console")
    with pxrun.Cluster(n=2, python=request.param) as rc:
        yield rc


class Console:
    """`pxrun console`, typed into."""

    def __init__(self, rc, folder, *options):
        env = {**os.environ, "TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1", "JUPYTER_CONFIG_DIR": str(folder)}
        arguments = ["console", "-p", rc.connection_file, *options]
        self.child = pexpect.spawn(COMMAND, arguments, env=env, encoding="utf-8", timeout=60, dimensions=(50, 120))

    def expect(self, text):
        """What is shown until some text comes, without colours."""
        self.child.expect(text)
        return CODES.sub("", self.child.before)

    def type(self, line):
        self.child.send(line + "\r")

    def end(self):
        """What is shown until it ends, and its exit status."""
        text = self.expect(pexpect.EOF)
        self.child.close()
        return text, self.child.exitstatus


@pytest.fixture
def console(two, tmp_path):
    two[:].clear(block=True)
    opened = []

    def open_one(*options):
        opened.append(Console(two, tmp_path, *options))
        return opened[-1]

    yield open_one
    for one in opened:
        one.child.close(force=True)


def test_prompt_value_and_end(two, console):
    prompt = console()
    assert "Engine 0 of the pool" in prompt.expect("Python 3")
    prompt.expect("In ")
    prompt.type("a = 20 + 2; a * 100")
    prompt.expect("2200")
    assert two[0]["a"] == 22
    prompt.expect("In ")
    prompt.child.sendeof()
    assert prompt.end()[1] == 0
    assert two[0]["a"] == 22


def test_ctrl_c_interrupts_the_cell(two, console):
    prompt = console("-t", "1")
    prompt.expect("Engine 1 of the pool")
    prompt.expect("In ")
    prompt.type("print('b' 'egun'); import time; time.sleep(1000)")
    prompt.expect("begun\r")
    prompt.child.sendintr()
    prompt.expect("KeyboardInterrupt")
    prompt.expect("In ")
    prompt.type("'still ' 'there'")
    prompt.expect("'still there'")
    prompt.expect("In ")
    prompt.type("exit")
    text, status = prompt.end()
    assert "the engine goes on" in text and status == 0


def test_engine_that_dies_ends_the_console(two, console):
    prompt = console("--target", "0")
    prompt.expect("In ")
    prompt.type("print('h' 'ere')")
    prompt.expect("here\r")
    prompt.expect("In ")
    pid = two[0].apply_sync(os.getpid)
    os.kill(pid, signal.SIGKILL)
    text, status = prompt.end()
    assert "pxrun: engine 0 has ended, and what was defined there is gone; " in text and status == 1
    assert "Traceback" not in text
    while two.engines[0].pid == pid or two.engines[0].state != "up":
        pass


def test_engine_that_ends_in_a_cell_ends_the_console(two, console):
    prompt = console()
    prompt.expect("In ")
    prompt.type("import os; os._exit(1)")
    text, status = prompt.end()
    assert "engine 0 has ended" in text and "Traceback" not in text and status == 1
    two.wait_for_engines(2, timeout=60)


def test_no_such_engine_is_said(console):
    text, status = console("-t", "7").end()
    assert text.strip() == "pxrun: No such engine: 7; the live ones are [0, 1]" and status == 4


def test_engine_that_ends_just_then_is_said():
    gone = types.SimpleNamespace(engines={3: types.SimpleNamespace(pid=None)})
    with pytest.raises(pxrun.error.EngineError, match="engine 3 has just ended"):
        pxrun.console._process(gone, 3)


def test_busy_engine_is_waited_for(two, console, new_gate):
    gate = new_gate()
    two[1].execute("pass", block=True)
    pid = two[1].apply_sync(os.getpid)
    two.restart(1)
    while two.engines[1].pid == pid or two.engines[1].state != "up":
        pass
    ar = two[1].execute(gate.code(), block=False)
    while not ar._result.running(0):
        pass
    prompt = console("-t", "1")
    prompt.expect("engine 1 is at work: waiting for its turn")
    gate.open()
    prompt.expect("In ")
    ar.get(60)


def test_without_jupyter_console_it_says_what_to_install(two, tmp_path):
    (tmp_path / "jupyter_console").mkdir()
    (tmp_path / "jupyter_console" / "__init__.py").write_text("raise ImportError('none here')")
    path = os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]])
    text = pexpect.run(f"{COMMAND} console -p {two.connection_file}", env={**os.environ, "PYTHONPATH": path}, encoding="utf-8", timeout=60)
    assert re.fullmatch(r"pxrun: a console needs jupyter-console, and there is none here: \S+ -m pip install jupyter-console", text.strip())


@pytest.mark.parametrize(
    "options, words",
    [
        (["-t", "0,1"], "-t must be the id of one engine, not '0,1'"),
        (["-t", ""], "-t must be the id of one engine, not ''"),
        (["a"], "a console takes no argument: `pxrun exec` runs code"),
        ([], "a console needs a terminal: `pxrun exec -` runs code from standard input"),
        (["--targte", "0"], "did you mean '--target'?"),
    ],
)
def test_misuse_is_said(options, words):
    done = subprocess.run([COMMAND, "console", *options], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, check=False)
    assert done.returncode == 2 and words in done.stderr


def test_no_pool_is_said():
    text = pexpect.run(f"{COMMAND} console -p nosuch", encoding="utf-8", timeout=60)
    assert "no pool runs under the profile 'nosuch'" in text


def test_help_names_it():
    assert "console" in subprocess.check_output([COMMAND, "help"], text=True)
    assert "usage: pxrun console" in subprocess.check_output([COMMAND, "help", "console"], text=True)
