# SPDX-License-Identifier: BSD-3-Clause
"""What a call's functions print is shown here, while the call waits."""
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

import pxrun
from pxrun import Client, Reference, error


def say(*words):
    import sys

    for word in words:
        print(word)
    print("warned", file=sys.stderr)


def lines(text):
    return sorted(text.splitlines())


CALLS = {
    "apply": lambda view: view.apply_sync(say, "hi"),
    "apply, by a flag": lambda view: view.set_flags(block=True).apply(say, "hi"),
    "map": lambda view: view.map_sync(say, ["hi", "hi"]),
    "execute": lambda view: view.execute("import sys; print('hi'); print('warned', file=sys.stderr)", block=True),
    "remote": lambda view: view.remote(block=True)(say)("hi"),
    "parallel": lambda view: view.parallel(block=True)(say).map(["hi", "hi"]),
    "pull": lambda view: view.push({"say": say}, block=True) and view.pull("say('hi')", block=True),
    "gather": lambda view: view.push({"say": say}, block=True) and view.gather("say('hi')", block=True),
    "timeout": lambda view: view.set_flags(timeout=60).apply_sync(say, "hi"),
    "get": lambda view: view.apply_async(say, "hi").get(10),
    "get of a map": lambda view: view.map_async(say, ["hi", "hi"]).get(10),
    "result": lambda view: view.apply_async(say, "hi").result(10),
    "r": lambda view: view.apply_async(say, "hi").r,
    "exception": lambda view: view.apply_async(say, "hi").exception(10),
    "wait": lambda view: view.apply_async(say, "hi").wait(10),
    "wait for all parts": lambda view: view.apply_async(say, "hi").wait(10, return_when="ALL_COMPLETED"),
    "iteration": lambda view: list(view.map_async(say, ["hi", "hi"])),
    "view.wait": lambda view: [view.apply_async(say, "hi"), view.wait()],
    "client.wait": lambda view: [view.apply_async(say, "hi"), view.client.wait()],
    "client.wait for ids": lambda view: (lambda ar: view.client.wait(ar.msg_ids))(view.apply_async(say, "hi")),
    "wait_interactive": lambda view: view.apply_async(say, "hi").wait_interactive(),
    "parts": lambda view: [part.get(10) for part in view.apply_async(say, "hi").split()],
}


@pytest.mark.parametrize("name", CALLS)
def test_what_is_printed_is_shown(pool, capsys, name):
    with Client(pool.connection_file) as client:
        CALLS[name](client[[0, 2]])
    shown = capsys.readouterr()
    assert lines(shown.out) == ["[stdout:0] hi", "[stdout:2] hi"]
    assert [line for line in lines(shown.err) if "tasks" not in line and line.strip()] == ["[stderr:0] warned", "[stderr:2] warned"]


def test_one_engine_is_named_too(pool, capsys):
    pool[3].apply_sync(say, "a", "b")
    assert capsys.readouterr() == ("[stdout:3] a\n[stdout:3] b\n", "[stderr:3] warned\n")


def test_line_without_an_end_has_one_here(pool, capsys):
    pool[0].execute("import sys; sys.stdout.write('first\\nno end')", block=True)
    assert capsys.readouterr().out == "[stdout:0] first\n[stdout:0] no end\n"


def test_failed_call_shows_what_it_printed_before(pool, capsys):
    with pytest.raises(ZeroDivisionError):
        pool[0].execute("print('before'); 1/0", block=True)
    assert capsys.readouterr().out == "[stdout:0] before\n"


def test_output_is_shown_once(pool, capsys):
    ar = pool[0].apply_async(say, "once")
    ar.wait(10)
    ar.get(10)
    ar.wait()
    ar.display_outputs()
    assert capsys.readouterr().out == "[stdout:0] once\n"
    assert ar.stdout == "once\n"


def test_display_outputs_first_is_not_repeated_by_waits(pool, capsys):
    ar = pool[0].apply_async(say, "once")
    while not ar.ready():
        pass
    ar.display_outputs()
    assert capsys.readouterr().out == "once\n"
    ar.get(10)
    assert capsys.readouterr().out == ""


def test_stream_output_is_not_repeated_by_waits(pool, capsys):
    ar = pool[0].apply_async(say, "once")
    with ar.stream_output():
        ar.wait(10)
    ar.get(10)
    ar.display_outputs(result_only=True)
    assert capsys.readouterr().out == "once\n"


class Screen(io.StringIO):
    """A stdout that tells when something was written to it."""

    def __init__(self):
        super().__init__()
        self.written = threading.Semaphore(0)

    def write(self, text):
        super().write(text)
        self.written.release()


@pytest.mark.parametrize("kind", ["apply_sync", "map_sync", "get"])
def test_output_is_shown_while_the_call_runs(pool, new_gate, monkeypatch, kind):
    gate = new_gate()
    pool[:2].execute(f"def pause():\n    {gate.code()}", block=True)
    screen = Screen()
    monkeypatch.setattr(sys, "stdout", screen)

    def talk(x=None):
        print("now")
        print("held", end="")
        pause()  # noqa: F821
        print("back")

    calls = {
        "apply_sync": lambda: pool[:2].apply_sync(talk),
        "map_sync": lambda: pool[:2].map_sync(talk, range(2)),
        "get": lambda: pool[:2].apply_async(talk).get(),
    }
    thread = threading.Thread(target=calls[kind])
    thread.start()
    while screen.getvalue().count("now") < 2:
        assert screen.written.acquire(timeout=30)
    assert lines(screen.getvalue()) == ["[stdout:0] now", "[stdout:1] now"]
    gate.open(readers=2)
    thread.join()
    assert lines(screen.getvalue())[:2] == ["[stdout:0] heldback", "[stdout:0] now"]


def test_displayed_objects_are_shown_between_what_is_printed(pool, capsys):
    def plot():
        import pickle

        from pxrun import _pxrun

        print("before")
        _pxrun.publish(3, pickle.dumps(({"text/plain": "a plot"}, {})))
        print("after")

    pool[1].apply_sync(plot)
    assert capsys.readouterr().out == "[stdout:1] before\n[output:1]\na plot\n[stdout:1] after\n"


def test_kept_output_is_in_the_result_only(pool, capsys):
    view = pool.direct_view(0, output="keep")
    view.apply_sync(say, "unseen")
    ar = view.apply_async(say, "unseen")
    ar.get(10)
    assert capsys.readouterr() == ("", "") and ar.stdout == "unseen\n"
    assert view.output == "keep" and pool[0].output == "show"
    with view.temp_flags(output="show"):
        view.apply_sync(say, "seen")
    assert capsys.readouterr().out == "[stdout:0] seen\n"


def test_kept_by_the_client(pool, capsys):
    with Client(pool.connection_file, output="keep") as client:
        client[:].apply_sync(say, "unseen")
        assert client.output == client[:].output == "keep"
    assert capsys.readouterr() == ("", "")


def test_kept_by_the_cluster(capsys):
    with pxrun.Cluster(n=1, preload="", output="keep") as client:
        client[0].apply_sync(print, "unseen")
        with pxrun.Cluster.from_file(client.connection_file).connect_client_sync() as other:
            other[0].apply_sync(print, "seen")
    assert capsys.readouterr().out == "[stdout:0] seen\n"


@pytest.mark.parametrize("use", [Client, pxrun.Cluster, lambda output: None])
def test_output_is_one_of_two_words(pool, use):
    with pytest.raises(ValueError, match="output is 'show' or 'keep', not 'off'"):
        use(output="off")
        pool.direct_view(0, output="off")


def test_unreadable_bytes_are_shown_as_such(pool, capsys):
    pool[0].execute("import os; os.write(1, b'\\xff\\xc3\\xa9\\n')", block=True)
    assert capsys.readouterr().out == "[stdout:0] \ufffd\xe9\n"


@pytest.mark.parametrize("encoding", ["ascii", "closed", "none"])
def test_stdout_that_cannot_show_it_loses_no_result(pool, monkeypatch, encoding):
    raw = io.BytesIO()
    stdout = None if encoding == "none" else io.TextIOWrapper(raw, encoding="ascii")
    if encoding == "closed":
        stdout.close()
    monkeypatch.setattr(sys, "stdout", stdout)
    assert pool[0].apply_sync(lambda: print("\xe9") or 5) == 5
    if encoding == "ascii":
        assert raw.getvalue() == b"[stdout:0] \\xe9\n"


def test_output_of_a_script_goes_to_its_own_streams(pool):
    code = (
        "import sys, pxrun\n"
        "rc = pxrun.Client(sys.argv[1])\n"
        "rc[:2].execute('import sys; print(1); print(2, file=sys.stderr)', block=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, pool.connection_file], capture_output=True, text=True, timeout=60)
    assert lines(done.stdout) == ["[stdout:0] 1", "[stdout:1] 1"]
    assert lines(done.stderr) == ["[stderr:0] 2", "[stderr:1] 2"]


def test_result_found_by_its_id_shows_what_comes(pool, hold, capsys):
    gate = hold(0)
    with Client(pool.connection_file) as client:
        client[0].apply_async(say, "late")
        ar = client.get_result(-1)
        gate.open()
        ar.get(10)
    assert capsys.readouterr().out == "[stdout:0] late\n"


def test_forked_child_shows_nothing_of_its_parents_calls(pool, capfd):
    ar = pool[0].apply_async(say, "once")
    while not ar.stdout:
        pass
    pid = os.fork()
    if not pid:
        try:
            ar._show_news(ar._result)
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    assert capfd.readouterr().out == ""
    ar.get(10)
    assert capfd.readouterr().out == "[stdout:0] once\n"


def test_reference_that_prints(pool, capsys):
    pool[:2].execute("def f(x): print(x)", block=True)
    pool[:2].map_sync(Reference("f"), [1, 2])
    assert lines(capsys.readouterr().out) == ["[stdout:0] 1", "[stdout:1] 2"]


# --- without end

#: Of what a request prints on a stream, so much is shown of its beginning and of its end.
HEAD, TAIL = 8 << 20, 1 << 20


@pytest.fixture
def small():
    """A pool whose arena endless output would fill at once."""
    with pxrun.Cluster(n=2, preload="", arena="64M", output="keep") as client:
        yield client


def endless():
    n = 0
    while True:
        n += 1
        print("x" * 90, n)


def used(rc):
    return json.loads(rc.status())["arena"]["used"]


def printed(rc, mebibytes):
    """How much of the engine's output the log has: by then it was printed."""
    log = os.path.join(os.path.dirname(rc.connection_file), "log")
    return os.path.getsize(log) >= mebibytes << 20


def test_endless_output_that_nobody_reads_leaves_the_arena_to_others(small):
    ar = small[0].apply_async(endless)
    while not printed(small, 10):
        assert not ar._result.done(0)
    assert used(small) < 16 << 20
    with Client(small.connection_file) as innocent:
        innocent[1].push({"a": bytes(20 << 20)}, block=True)
        assert innocent[1]["len(a)"] == 20 << 20
    # ended before anything is read here, for what is read makes room for more
    small.send_signal("SIGINT", 0)
    while json.loads(small.status())["engines"][0]["busy"] is not None:
        pass
    assert ar.wait(60)
    lines = ar.stdout.splitlines()
    (cut,) = [i for i, line in enumerate(lines) if "are left out here]" in line]
    assert len(ar.stdout) < 4 << 20
    first, last = lines[:cut], lines[cut + 1 :]
    assert [int(line.split()[1]) for line in first[:-1] if " " in line][:3] == [1, 2, 3]  # the last one may be cut
    # the interrupt may have come amid the last one, before its number
    numbers = [int(line.split()[1]) for line in last if len(line) > 91]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))) and len(numbers) > 20


def test_beginning_and_end_of_long_output_are_kept(pool):
    view = pool.direct_view(0, output="keep")
    ar = view.execute("for i in range(200_000): print('y' * 93, i)", block=True)
    assert HEAD + TAIL - (1 << 16) < len(ar.stdout) < HEAD + TAIL + (1 << 17)  # what one read gave is not cut
    lines = ar.stdout.splitlines()
    assert lines[0].endswith(" 0") and lines[-1].endswith(" 199999")
    (left_out,) = [line for line in lines if "bytes of output are left out here]" in line]
    total = sum(94 + len(str(i)) + 1 for i in range(200_000))
    kept = sum(len(line) + 1 for line in lines if line.startswith("y"))
    assert abs(int(left_out.split()[1]) + kept - total) < 100  # a line may be cut in two
    assert sum("only the last 1024 KiB are shown" in line for line in lines) == 1


def test_output_below_the_bound_is_complete(pool):
    view = pool.direct_view(0, output="keep")
    ar = view.execute("for i in range(60_000): print('z' * 93, i)", block=True)
    assert [line.split()[1] for line in ar.stdout.splitlines()] == [str(i) for i in range(60_000)]


def test_output_of_many_requests_that_nobody_reads_is_bounded(small):
    for _ in range(100):
        ar = small[0].apply_async(lambda: [print("x" * 999) for _ in range(2000)] and None)
    with Client(small.connection_file) as other:
        assert other[0].apply_sync(abs, -1) == 1
        assert used(small) < 16 << 20
    ar.wait(60)


def test_output_of_a_client_that_died_is_not_kept(small):
    code = (
        "import os, sys, pxrun\n"
        "rc = pxrun.Client(sys.argv[1])\n"
        "ar = rc[0].execute('while True: print(90 * \"x\")', block=False)\n"
        "while not ar.running(): pass\n"
        "print('runs', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, small.connection_file], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as client:
        assert client.stdout.readline() == b"runs\n"
        client.kill()
    while not printed(small, 12):
        pass
    assert used(small) < 16 << 20
    small.send_signal("SIGINT", 0)
    small[0].apply_sync(abs, -1)
    assert used(small) < 8 << 20


def test_output_of_a_result_that_nobody_has_is_not_kept(pool, new_gate):
    gate, told = new_gate(), new_gate()
    with Client(pool.connection_file) as client:
        code = (
            f"import os, pxrun\nprint('unheard')\npxrun.publish_data({{}})\n"  # which sends what was printed before
            f"os.write(os.open({told.path!r}, os.O_RDWR), b'x')\n{gate.code()}\nprint('heard')"
        )
        client[0].execute(code, block=False)
        os.read(told.fd, 1)
        client._core.poll()
        ar = client.get_result(-1)
        gate.open()
        assert ar.wait(10) and ar.stdout == "heard\n"


def test_output_that_comes_while_the_request_is_still_being_sent_is_kept(tmp_path):
    # one engine has it and prints; another is being started meanwhile, so that sending waits
    printed = tmp_path / "printed"
    with pxrun.Cluster(n=4, preload="", restart="always") as rc:
        template = json.loads(rc.status())["template"]["pid"]
        os.kill(template, signal.SIGSTOP)
        os.kill(rc[1].apply_sync(os.getpid), signal.SIGKILL)
        while json.loads(rc.status())["engines"][1]["state"] != "starting":
            time.sleep(0.001)

        def go_on():
            while not printed.exists():
                time.sleep(0.001)
            time.sleep(0.3)  # the sender reads it, though nothing tells that it has
            os.kill(template, signal.SIGCONT)

        helper = threading.Thread(target=go_on)
        helper.start()
        ar = rc[:].execute(f"print('hello', flush=True); open({str(printed)!r}, 'w')", block=False)
        helper.join()
        ar.wait(30)
        assert ar.stdout[0] == "hello\n"


def test_engines_streams_are_as_any_other(pool):
    assert pool[0].apply_sync(eval, "__import__('sys').stdout.mode") == "w"
    assert pool[0].apply_sync(eval, "[__import__('sys').stdout, __import__('sys').stderr]") == [sys.stdout, sys.stderr]
    with pytest.raises(error.RemoteError, match="an open BufferedWriter belongs to the process that opened it"):
        pool[0].apply_sync(eval, "open('/dev/null', 'wb')")


def test_what_lies_in_a_stream_is_shown_when_it_is_back(pool):
    pool[0].execute("import io, sys; aside, sys.stdout = sys.stdout, io.StringIO(); aside.write('kept')", block=True)
    ar = pool[0].execute("sys.stdout = aside", block=True)
    assert ar.stdout == "kept"
