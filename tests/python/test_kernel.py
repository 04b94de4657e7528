# SPDX-License-Identifier: BSD-3-Clause
"""Engines as kernels: clients of Jupyter's on the kernel of an engine that serves its pool meanwhile."""
import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

import notebooks
import pxrun
from pxrun import bind_kernel

jupyter_client = pytest.importorskip("jupyter_client", reason="jupyter_client, which talks to kernels, is not installed")
pytest.importorskip("ipykernel", reason="ipykernel is not installed")

LIMIT = 60


class Jupyter:
    """A client on a kernel."""

    def __init__(self, file):
        self.kernel = jupyter_client.BlockingKernelClient(connection_file=file)
        self.kernel.load_connection_file()
        self.kernel.start_channels()
        self.kernel.wait_for_ready(timeout=LIMIT)
        while True:  # until it hears what is published
            self.kernel.kernel_info()
            try:
                self.kernel.get_iopub_msg(timeout=0.2)
                break
            except Exception:
                continue

    def __call__(self, code, typed=None, **options):
        """Runs a cell; its reply's content, with what was published in `shown`."""
        shown = []

        def show(message):
            shown.append((message["msg_type"], message["content"]))

        def answer(message):
            shown.append((message["msg_type"], message["content"]))
            self.kernel.input(typed)

        stdin = dict(allow_stdin=typed is not None, stdin_hook=answer)
        reply = self.kernel.execute_interactive(code, output_hook=show, timeout=LIMIT, **stdin, **options)["content"]
        return {**reply, "shown": [(kind, content) for kind, content in shown if kind not in ("status", "execute_input")]}

    def text(self, code, **options):
        """What a cell prints."""
        return "".join(content.get("text", "") for _, content in self(code, **options)["shown"])

    def value(self, code, **options):
        """The text of a cell's value."""
        (shown,) = self(code, **options)["shown"]
        assert shown[0] == "execute_result", shown
        return shown[1]["data"]["text/plain"]

    def control(self, request, **content):
        """Sends a request on the control channel; the content of the reply."""
        sent = self.kernel.session.msg(request, content)
        self.kernel.control_channel.send(sent)
        while True:
            reply = self.kernel.get_control_msg(timeout=LIMIT)
            if reply["parent_header"]["msg_id"] == sent["header"]["msg_id"]:
                return reply["content"]

    def begin(self, code):
        """Sends a cell; who waits for its reply calls end()."""
        return self.kernel.execute(code)

    def end(self, sent):
        """The content of the reply to what was begun."""
        while True:
            reply = self.kernel.get_shell_msg(timeout=LIMIT)
            if reply["parent_header"]["msg_id"] == sent:
                return reply["content"]

    def close(self):
        self.kernel.stop_channels()


@pytest.fixture(scope="module", params=notebooks.PYTHONS)
def two(request):
    """A pool of two engines, in each of the interpreters."""
    notebooks.need(request.param)
    with pxrun.Cluster(n=2, python=request.param) as rc:
        yield rc


@pytest.fixture
def rc(two):
    two[:].clear(block=True)
    return two


@pytest.fixture
def jupyter(rc):
    client = Jupyter(rc[0].apply_sync(bind_kernel))
    yield client
    client.close()


@pytest.fixture
def busy(rc, new_gate):
    """Engine 0 is busy with a request until the gate is opened."""
    gate = new_gate()
    gate.ar = rc[0].execute(gate.code(), block=False)
    while not gate.ar._result.running(0):
        assert not gate.ar.ready()
    yield gate
    gate.ar.cancel()
    gate.ar.wait(10)


def is_shown(what, kind):
    return [content for shown, content in what["shown"] if shown == kind]


def wait_until(condition):
    while not condition():
        time.sleep(0.005)


# --- binding ------------------------------------------------------------------


def test_bind_twice_gives_the_same_file(rc):
    file = rc[0].apply_sync(bind_kernel)
    rc[0].execute("from pxrun import bind_kernel; again = bind_kernel()", block=True)
    assert rc[0]["again"] == file == os.path.join(os.path.dirname(rc.connection_file), "kernel-0.json")
    assert repr(file) == f"<a kernel: jupyter console --existing {file}>"
    assert os.stat(file).st_mode & 0o777 == 0o600


def test_bind_elsewhere_says_where():
    with pytest.raises(RuntimeError, match="is for engines: view.apply_sync"):
        bind_kernel()


def test_bind_without_ipykernel_says_what_to_install():
    with pxrun.Cluster(n=1) as rc:
        rc[0].execute("import sys; sys.modules['ipykernel'] = None", block=True)
        with pytest.raises(ImportError, match=f"needs ipykernel on the engine.*{sys.executable} -m pip install ipykernel"):
            rc[0].apply_sync(bind_kernel)


def test_nothing_of_it_is_imported_before(tmp_path):
    code = "import sys, pxrun; pxrun.bind_kernel; print([m for m in ('IPython', 'ipykernel', 'zmq') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"


def test_sixteen_engines_at_once():
    with pxrun.Cluster(n=16) as rc:
        files = rc[:].apply_sync(bind_kernel)
        assert len(set(files)) == 16
        rc[:].scatter("mine", list(range(16)), flatten=True, block=True)
        clients = [Jupyter(file) for file in files]
        assert [client.value("mine") for client in clients] == [str(i) for i in range(16)]
        for client in clients:
            client.close()


def test_connect_info_says_how_to_connect(rc, jupyter):
    ar = rc[:].execute("%connect_info", block=False)
    with pytest.raises(pxrun.CompositeError, match="bound to no kernel: first `%px from pxrun import bind_kernel"):
        ar.get()
    text, _ = ar.stdout
    assert json.loads(text[: text.rindex("}") + 1])["transport"] == "ipc"
    assert f"jupyter console --existing {os.path.dirname(rc.connection_file)}/kernel-0.json" in text


def test_qtconsole_that_is_missing_says_what_to_install(rc, jupyter):
    rc[0].execute("import importlib.util", block=True)
    hide = "importlib.util.find_spec = lambda name, find=importlib.util.find_spec: None if name == 'qtconsole' else find(name)"
    rc[0].execute(hide, block=True)
    ar = rc[0].execute("%qtconsole", block=True)
    assert "the Qt console is not installed: " in ar.stderr


# --- cells --------------------------------------------------------------------


def test_names_and_numbers_are_one_with_requests(rc, jupyter):
    reply = rc[0].execute("a = 5; a", silent=False).get()
    assert jupyter.value("a + 1") == "6"
    assert jupyter("b = a + 2; b")["execution_count"] == reply.execution_count + 2
    assert rc[0]["b"] == 7
    n = reply.execution_count
    assert jupyter.value(f"Out[{n}], Out[{n + 1}], Out[{n + 2}], In[{n}], In[{n + 1}], _{n}, _") == "(5, 6, 7, 'a = 5; a', 'a + 1', 5, 7)"
    assert rc[0].execute("1", silent=False).get().execution_count == n + 4
    rc[0].execute("a = 6", block=True)
    assert jupyter("a")["execution_count"] == n + 6


def test_error_is_published_and_replied(jupyter):
    done = jupyter("1/0")
    (error,) = is_shown(done, "error")
    assert done["status"] == "error" and done["ename"] == error["ename"] == "ZeroDivisionError"
    assert done["evalue"] == "division by zero" and done["traceback"] == error["traceback"]
    text = "\n".join(done["traceback"])
    assert "\x1b[" in text and "1/0" in re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert is_shown(jupyter("def f(:"), "error")[0]["ename"] == "SyntaxError"
    assert "\x1b[" not in jupyter.text("import sys; print(get_ipython().colors)")


def test_requests_have_no_colours_afterwards(rc, jupyter):
    jupyter("1/0")
    ar = rc[0].execute("%whos?\nget_ipython().showtraceback((ValueError, ValueError('x'), None))", block=True)
    assert "ValueError" in ar.stdout and "\x1b" not in ar.stdout


def test_rich_display(jupyter):
    done = jupyter("from IPython.display import HTML; h = display(HTML('<b>x</b>'), display_id='one'); h.update(HTML('<i>y</i>'))")
    (shown,), (update,) = is_shown(done, "display_data"), is_shown(done, "update_display_data")
    assert shown["data"]["text/html"] == "<b>x</b>" and update["data"]["text/html"] == "<i>y</i>"
    assert shown["transient"] == update["transient"] == {"display_id": "one"}
    done = jupyter("from IPython.display import clear_output; print(1); clear_output(wait=True); print(2)")
    assert [kind for kind, _ in done["shown"]] == ["stream", "clear_output", "stream"]
    assert is_shown(jupyter("HTML('<b>z</b>')"), "execute_result")[0]["data"]["text/html"] == "<b>z</b>"


def test_figures(rc, jupyter):
    if not rc[0].apply_sync(lambda: __import__("importlib.util").util.find_spec("matplotlib") is not None):
        pytest.skip("the engines have no matplotlib")
    done = jupyter("%matplotlib inline\nimport matplotlib.pyplot as plt\nplt.plot([1, 3, 2]);")
    (figure,) = is_shown(done, "display_data")
    assert figure["data"]["image/png"].startswith("iVBOR")


def test_commands_magics_await_and_pages(jupyter):
    jupyter("a = 5")
    assert jupyter.text("!echo hello; echo error >&2") == "hello\nerror\n"
    assert "a          int" in jupyter.text("%whos")
    assert jupyter.value("import asyncio; await asyncio.sleep(0.01, 7)") == "7"
    (page,) = jupyter("a?")["payload"]
    assert page["source"] == "page" and "int" in page["data"]["text/plain"]
    assert jupyter("get_ipython().set_next_input('next')")["payload"][0]["text"] == "next"
    found = jupyter("b = 2", user_expressions={"sum": "a + b", "none": "1/0"})["user_expressions"]
    assert found["sum"]["data"]["text/plain"] == "7" and found["none"]["ename"] == "ZeroDivisionError"


def test_a_line_is_shown_before_it_ends(jupyter, new_gate):
    gate = new_gate()
    sent = jupyter.begin(f"import os; os.write(1, b'half'); {gate.code()}; print(' a line')")
    while jupyter.kernel.get_iopub_msg(timeout=LIMIT)["content"].get("text") != "half":
        pass
    gate.open()
    assert jupyter.end(sent)["status"] == "ok"


def test_texts_of_any_alphabet(jupyter):
    assert jupyter.text("print('Grüße, 你好, 👋'); print('\\x1b[31mred\\x1b[0m')") == "Grüße, 你好, 👋\n\x1b[31mred\x1b[0m\n"
    assert jupyter.text("import os\nfor b in 'né'.encode(): os.write(1, bytes([b])); os.sched_yield()") == "né"


def test_much_output_is_bounded_and_the_kernel_answers(jupyter):
    sent = jupyter.begin("for i in range(300): print(f'{i:99999}')\nwhile not 'ended' in globals(): pass")
    assert jupyter.control("interrupt_request") == {"status": "ok"}
    assert jupyter.end(sent)["ename"] == "KeyboardInterrupt"
    text = jupyter.text("for i in range(300): print(f'{i:99999}')")
    assert 100_000 < len(text) < 15_000_000 and "bytes of output are left out here" in text and text.endswith(" 299\n")


def test_what_cells_print_is_not_kept(jupyter):
    jupyter("print('x' * 1000)")
    assert jupyter.value("'x' * 1000 in str(getattr(get_ipython().history_manager, 'outputs', None))") == "False"


def test_completion_questions_and_history(rc, jupyter):
    rc[0]["a"] = 5
    kernel = jupyter.kernel
    reply = kernel.complete("a.bit_le", reply=True, timeout=LIMIT)["content"]
    assert reply["matches"] == ["bit_length"] and (reply["cursor_start"], reply["cursor_end"]) == (2, 8)
    reply = kernel.inspect("a", reply=True, timeout=LIMIT)["content"]
    assert reply["found"] and "int" in reply["data"]["text/plain"]
    assert not kernel.inspect("nosuch", reply=True, timeout=LIMIT)["content"]["found"]
    jupyter("c = 1")
    jupyter("c + 1")
    found = kernel.history(hist_access_type="tail", n=2, raw=True, output=False, reply=True, timeout=LIMIT)["content"]["history"]
    assert [line for _, _, line in found] == ["c = 1", "c + 1"]


def test_output_of_requests_is_not_the_kernels(rc, jupyter):
    jupyter("1")
    rc[0].execute("print('for the client'); display(3)", block=True)
    assert jupyter("2")["shown"][0][0] == "execute_result"


# --- turns --------------------------------------------------------------------


def test_cells_and_requests_take_turns(rc, jupyter, busy):
    rc[1].execute("pass", block=True)
    cells = [jupyter.begin(f"done.append('cell {i}')") for i in range(2)]
    requests = [rc[0].execute(f"done = globals().get('done', []); done.append('request {i}')", block=False) for i in range(2)]
    assert not busy.ar.ready()
    busy.open()
    for ar in requests:
        ar.get(LIMIT)
    replies = [jupyter.end(sent) for sent in cells]
    done = rc[0].apply_sync(lambda: list(globals().get("done", [])))
    ran = [i for i, reply in enumerate(replies) if reply["status"] == "ok"]
    assert [name for name in done if name[0] == "r"] == ["request 0", "request 1"]
    assert [name for name in done if name[0] == "c"] == [f"cell {i}" for i in ran]


def test_a_busy_engine_s_kernel_can_be_connected(rc, jupyter, busy):
    other = Jupyter(jupyter.kernel.connection_file)
    kernel = other.kernel
    sent = jupyter.begin("1")
    assert other.end(kernel.is_complete("for i in x:")) == {"status": "incomplete", "indent": "    "}
    assert kernel.is_alive()
    assert not busy.ar.ready()
    busy.open()
    assert jupyter.end(sent)["status"] == "ok"
    other.close()


def test_failure_aborts_cells_behind_it(rc, jupyter, busy):
    sent = [jupyter.begin(code) for code in ("1/0", "2", "3")]
    jupyter.end(jupyter.kernel.is_complete("4"))  # is answered when those have come
    busy.open()
    assert [jupyter.end(one)["status"] for one in sent] == ["error", "aborted", "aborted"]
    assert jupyter("4")["status"] == "ok"


# --- interrupts ---------------------------------------------------------------


def test_interrupt_of_a_cell(rc, jupyter, new_gate):
    gate = new_gate()
    sent = jupyter.begin(gate.code())
    while jupyter.kernel.get_iopub_msg(timeout=LIMIT)["msg_type"] != "execute_input":
        pass
    assert jupyter.control("interrupt_request") == {"status": "ok"}
    assert jupyter.end(sent)["ename"] == "KeyboardInterrupt"
    assert jupyter.value("1") == "1"


def test_interrupt_of_a_cell_that_waits_spares_the_request(rc, jupyter, busy):
    sent = jupyter.begin("reached = 1")
    while jupyter.kernel.get_iopub_msg(timeout=LIMIT)["content"].get("execution_state") != "busy":
        pass
    jupyter.control("interrupt_request")
    reply = jupyter.end(sent)
    assert reply["ename"] == "KeyboardInterrupt" and "before its turn" in reply["evalue"]
    assert not busy.ar.ready()
    busy.open()
    busy.ar.get(LIMIT)
    assert jupyter.value("'reached' in globals()") == "False"


def test_interrupt_without_a_cell_does_nothing(rc, jupyter, busy):
    assert jupyter.control("interrupt_request") == {"status": "ok"}
    busy.open()
    busy.ar.get(LIMIT)


# --- input --------------------------------------------------------------------


def test_input_asks_who_typed_the_cell(rc, jupyter):
    done = jupyter("import getpass; input('name? ') + getpass.getpass('word? ')", typed="x")
    asked = is_shown(done, "input_request")
    assert asked == [{"prompt": "name? ", "password": False}, {"prompt": "word? ", "password": True}]
    assert is_shown(done, "execute_result")[0]["data"]["text/plain"] == "'xx'"
    assert jupyter("input()", typed="\x04")["ename"] == "EOFError"


def test_input_of_who_cannot_be_asked_says_so(rc, jupyter):
    assert "no standard input: push what the code needs" in jupyter("input()")["evalue"]
    with pytest.raises(EOFError, match="push what the code needs"):
        rc[0].execute("input()", block=True)


def test_input_can_be_interrupted(jupyter):
    sent = jupyter.kernel.execute("input('? ')", allow_stdin=True)
    assert jupyter.kernel.get_stdin_msg(timeout=LIMIT)["content"]["prompt"] == "? "
    jupyter.control("interrupt_request")
    assert jupyter.end(sent)["ename"] == "KeyboardInterrupt"


# --- ends ---------------------------------------------------------------------


def test_nothing_that_is_typed_ends_the_engine(rc, jupyter):
    pid = rc[0].apply_sync(os.getpid)
    for code in ("exit", "quit()"):
        done = jupyter(code)
        assert done["payload"] == [{"source": "ask_exit", "keepkernel": True}]
        assert "the engine goes on" in done["shown"][0][1]["text"]
    done = jupyter("import sys; sys.exit(3)")
    assert (done["ename"], done["evalue"]) == ("SystemExit", "3") and "the engine goes on" in done["traceback"][-1]
    assert jupyter.value("quit = 7\nquit") == "7"
    for restart in (False, True):
        reply = jupyter.control("shutdown_request", restart=restart)
        assert reply["status"] == "error" and "engine 0 goes on: " in reply["evalue"]
    assert jupyter.value("import os; os.getpid()") == str(pid)


def test_stream_that_cannot_be_flushed_does_not_deafen_the_kernel(rc, jupyter, new_gate):
    gate = new_gate()
    sent = jupyter.begin(f"import contextlib\nwith contextlib.redirect_stdout(object()): {gate.code()}")
    while jupyter.kernel.get_iopub_msg(timeout=LIMIT)["msg_type"] != "execute_input":
        pass
    for _ in range(2):
        assert jupyter.control("interrupt_request") == {"status": "ok"}
    assert jupyter.end(sent)["ename"] == "KeyboardInterrupt"


def test_messages_that_are_none_are_not_counted_as_cells(rc, jupyter):
    session, key = jupyter.kernel.session, jupyter.kernel.session.key
    send = jupyter.kernel.shell_channel.socket.send_multipart
    for frames in ([b""], [b"<IDS|MSG>"], [b"<IDS|MSG>", b"", b'{"msg_type": []}', b"", b"", b""], [b"<IDS|MSG>", b"x", b"{", b"", b"", b""], [b"a" * 4096] * 50):
        send(frames)
    session.key = b"another"
    jupyter.begin("1")
    session.key = key
    jupyter.kernel.shell_channel.send(session.msg("execute_request", {"no": "code"}))
    assert jupyter("1/0")["ename"] == "ZeroDivisionError"
    assert jupyter("5")["status"] == "ok"


@pytest.mark.parametrize("change", ["sys.stdout = None", "del sys.stdout", "sys.stdout = object()", "sys.stderr = None"])
def test_stream_that_a_cell_has_spoilt_leaves_the_kernel_answering(jupyter, change):
    assert jupyter(f"import sys\n{change}")["execution_count"] > 0
    again = "sys.stdout, sys.stderr = (open(fd, 'w', closefd=False) for fd in (1, 2))"
    assert jupyter(f"import sys\n{again}")["execution_count"] > 0
    assert jupyter.text("print('heard')") == "heard\n"


def test_console_does_not_take_a_file_that_is_being_written(rc):
    from pxrun import console

    path = os.path.join(os.path.dirname(rc.connection_file), "kernel-1.json")
    if not os.path.exists(path):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
    assert console._bind(rc, 1) == path and os.path.getsize(path) > 0


def test_fork_in_a_cell_leaves_the_kernel(rc, jupyter):
    jupyter("import os\npid = os.fork()\nif pid: os.waitpid(pid, 0)")
    assert jupyter.value("1 + 1") == "2"
    assert os.path.exists(os.path.join(os.path.dirname(rc.connection_file), "kernel-0.json"))


def test_killed_engine_leaves_no_file_and_can_be_bound_again(rc, jupyter):
    file = rc[0].apply_sync(bind_kernel)
    pid = rc[0].apply_sync(os.getpid)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: rc.engines[0].state == "up" and rc.engines[0].pid != pid)
    folder = os.path.dirname(file)
    assert [name for name in os.listdir(folder) if name.startswith(("k0", "kernel-0"))] == []
    with open(os.path.join(folder, "log"), encoding="utf-8") as log:
        assert "engine 0: its kernel has ended with it, and kernel-0.json is removed: bind_kernel() makes another" in log.read()
    wait_until(lambda: not jupyter.kernel.is_alive())
    again = Jupyter(rc[0].apply_sync(bind_kernel))
    assert again.value("1 + 1") == "2"
    again.close()


def test_engine_that_dies_in_a_cell(rc, jupyter):
    ar = rc[0].apply_async(bind_kernel)
    ar.get(LIMIT)
    jupyter.begin("import os; os._exit(3)")
    wait_until(lambda: not os.path.exists(ar.get()))
    rc.wait_for_engines(2, timeout=LIMIT)


def test_restart_is_heard_by_clients(rc, jupyter):
    rc.restart(0)
    while jupyter.kernel.get_iopub_msg(timeout=LIMIT)["msg_type"] != "shutdown_reply":
        pass
    rc.wait_for_engines(2, timeout=LIMIT)
    assert not os.path.exists(os.path.join(os.path.dirname(rc.connection_file), "kernel-0.json"))


def test_end_of_the_pool_removes_all():
    with pxrun.Cluster(n=1) as rc:
        file = rc[0].apply_sync(bind_kernel)
        jupyter = Jupyter(file)
        folder = os.path.dirname(file)
    assert not os.path.exists(folder)
    while jupyter.kernel.get_iopub_msg(timeout=LIMIT)["msg_type"] != "shutdown_reply":
        pass
    jupyter.close()


def test_dead_supervisor_s_kernels_are_removed(tmp_path):
    command = os.environ["PXRUN_COMMAND"]
    subprocess.run([command, "start", "-d", "-n", "1", "-p", "kernels"], capture_output=True, timeout=LIMIT, check=True)
    with pxrun.Client(profile="kernels") as rc:
        folder = os.path.dirname(rc[0].apply_sync(bind_kernel))
        os.kill(rc.supervisor_pid, signal.SIGKILL)
    # as long as the lock is held, the pool is listed as running; its log stays
    wait_until(lambda: subprocess.run([command, "list"], capture_output=True, check=True) and os.listdir(folder) == ["log"])


def test_client_that_a_cell_makes_is_of_the_engine_s_pool(rc, jupyter):
    assert jupyter.value("import pxrun; rc = pxrun.Client(); rc[1].apply_sync(lambda: 41) + 1") == "42"
    assert jupyter.value(f"rc.connection_file == {rc.connection_file!r}") == "True"
    jupyter("rc.close()")
