# SPDX-License-Identifier: BSD-3-Clause
"""`pxrun interrupt`, `restart`, `kill` and `stack`: what is done to engines, whoever's requests they run."""

import contextlib
import os
import pathlib
import re
import signal
import subprocess

import pytest

from command import ENGINE, FAILED, NO_POOL, OK, USAGE, gone, own_command, wait_until

#: Python code that heeds interrupts, code in C that keeps the interpreter's lock and heeds them, and code that does not.
ENDLESS = "import time\ndef inner():\n    while True: time.sleep(0.01)\ndef outer(): inner()\nouter()"
IN_C = "import re\nre.match(r'(a+)+$', 'a' * 60 + 'b')"
DEAF = """
import time
while True:
    try:
        while True: time.sleep(0.01)
    except KeyboardInterrupt:
        pass
"""


@pytest.fixture
def pxrun():
    with own_command() as run:
        run("start", "-n", "2", "-d")
        yield run


@contextlib.contextmanager
def running(pxrun, code, engine=0):
    """Code runs on an engine, asked for by a process of another's."""
    process = pxrun.begin("exec", "-t", str(engine), code)
    wait_until(lambda: busy(pxrun, engine))
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def busy(pxrun, engine):
    return pxrun.status()["engines"][engine]["busy"] is not None


def pid_of(pxrun, engine):
    return pxrun.status()["engines"][engine]["pid"]


VERBS = ["interrupt", "restart", "kill", "stack"]


# --- which engines ---


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("arguments, code, words", [
    (["-t", "7"], ENGINE, "there is no engine 7; the live ones are 0, 1"),
    (["0", "7"], ENGINE, "there is no engine 7; the live ones are 0, 1"),
    (["-t", "x"], USAGE, "-t must be 'all' or ids"),
    (["x"], USAGE, "ids of engines are numbers, each once, such as 0 2, not 'x'"),
    (["0", "0"], USAGE, "each once"),
    (["-t", "0", "1"], USAGE, "one is enough"),
    (["--targtes", "0"], USAGE, "did you mean '--targets'?"),
    (["-p", "nosuch"], NO_POOL, "no pool runs under the profile 'nosuch'"),
])
def test_wrong_engines_nothing_is_done(pxrun, verb, arguments, code, words):
    before = pxrun.status()["engines"]
    assert words in pxrun(verb, *arguments, code=code).stderr
    assert [e["pid"] for e in pxrun.status()["engines"]] == [e["pid"] for e in before]


@pytest.mark.parametrize("verb", VERBS)
def test_help(pxrun, verb):
    text = pxrun("help", verb).stdout
    assert text.startswith(f"usage: pxrun {verb}") and pxrun(verb, "-h").stdout == text


@pytest.mark.parametrize("verb", VERBS)
def test_full_disk_is_an_error(pxrun, verb):
    with open("/dev/full", "w") as full:
        done = subprocess.run(["pxrun", verb, "0"], env=pxrun.env, stdout=full, stderr=subprocess.PIPE, text=True, timeout=30)
    assert done.returncode == FAILED and "No space left on device" in done.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_closed_streams(pxrun, verb):
    done = subprocess.run(["sh", "-c", f"pxrun {verb} 0 <&- >&- 2>&-"], env=pxrun.env, timeout=30)
    assert done.returncode in (OK, FAILED)
    assert "1\n" in pxrun("exec", "1").stdout


# --- interrupt ---


@pytest.mark.parametrize("code", [ENDLESS, IN_C])
def test_interrupt_ends_what_somebody_else_asked_for(pxrun, code):
    with running(pxrun, code) as process:
        text = pxrun("interrupt").stdout
        assert re.search(rf"engine 0: interrupted what process {process.pid} \(pxrun\) had asked, after \d+\.\d s\n", text)
        assert "engine 1: nothing runs there\n" in text
        assert "KeyboardInterrupt" in process.communicate(timeout=30)[1]
        assert process.returncode == FAILED


def test_interrupt_leaves_others_alone(pxrun):
    with running(pxrun, ENDLESS) as process:
        assert pxrun("interrupt", "-t", "1").stdout == "engine 1: nothing runs there\n"
        assert process.poll() is None and busy(pxrun, 0)


def test_interrupt_that_is_not_heeded_is_said(pxrun):
    with running(pxrun, DEAF):
        said = pxrun("interrupt", "0", code=FAILED).stdout
        assert "it does not heed interrupts. 'pxrun stack 0' shows where it is, 'pxrun restart 0' ends it\n" in said
        # what it advises is about the same pool
        said = pxrun("interrupt", "-p", "default", "0", code=FAILED).stdout
        assert "'pxrun stack -p default 0' shows where it is, 'pxrun restart -p default 0' ends it\n" in said
        assert "serves in place of" in pxrun("restart", "0").stdout


# --- restart ---


def test_restart_waits_until_all_serve_again(pxrun):
    before = [e["pid"] for e in pxrun.status()["engines"]]
    pxrun("exec", "a = 1")
    with running(pxrun, ENDLESS) as process:
        text = pxrun("restart").stdout
        assert process.wait(30) == ENGINE
    after = pxrun.status()["engines"]
    assert [e["state"] for e in after] == ["up", "up"]
    assert text == "".join(f"engine {i}: process {after[i]['pid']} serves in place of {before[i]}\n" for i in range(2))
    assert "NameError" in pxrun("exec", "a", code=FAILED).stderr


def test_restart_of_one_leaves_the_other(pxrun):
    first, second = pid_of(pxrun, 0), pid_of(pxrun, 1)
    pxrun("restart", "1")
    assert pid_of(pxrun, 0) == first and pid_of(pxrun, 1) != second


# --- kill ---


@pytest.mark.parametrize("arguments", [[], ["-s", "KILL"], ["-9"], ["-KILL"], ["-s", "sigterm"], ["--signal=15"]])
def test_kill_waits_until_the_pool_has_noticed(pxrun, arguments):
    pid = pid_of(pxrun, 0)
    assert pxrun("kill", *arguments, "0").stdout == f"engine 0: process {pid} has ended, and another one is started\n"
    assert gone(pid)
    assert "1\n" in pxrun("exec", "-t", "0", "1").stdout


def test_kill_where_none_is_started_again():
    with own_command() as pxrun:
        pxrun("start", "-n", "2", "-d", "--restart", "never")
        assert "is not started again" in pxrun("kill", "1").stdout
        assert "no longer an engine 1" in pxrun("kill", "1", code=ENGINE).stderr


def test_kill_with_other_signals_only_sends(pxrun):
    pxrun("exec", "import signal; got = []; x = signal.signal(signal.SIGUSR1, lambda *a: got.append(1))")
    assert pxrun("kill", "-s", "USR1", "-t", "0").stdout == f"engine 0: process {pid_of(pxrun, 0)} was sent signal 10\n"
    assert "Out[2]: [1]" in pxrun("exec", "-t", "0", "got").stdout


@pytest.mark.parametrize("name", ["nope", "0", "65", "9x", ""])
def test_kill_knows_no_such_signal(pxrun, name):
    assert f"there is no signal '{name}'" in pxrun("kill", "-s", name, "0", code=USAGE).stderr


# --- stack ---


def test_stack_of_idle_engines(pxrun):
    pids = [e["pid"] for e in pxrun.status()["engines"]]
    assert pxrun("stack").stdout == "".join(f"engine {i}, process {pids[i]}: idle\n" for i in range(2))


def test_stack_of_busy_engine_which_goes_on(pxrun):
    with running(pxrun, ENDLESS) as process:
        lines = pxrun("stack", "0").stdout.splitlines()
        assert re.fullmatch(rf"engine 0, process \d+: busy for \d+\.\d s with what process {process.pid} \(pxrun\) asked for", lines[0])
        assert [line.split()[-1] for line in lines[1:]] == ["inner", "outer", "<module>"]  # and nothing of pxrun's own
        assert process.poll() is None and busy(pxrun, 0)


def test_stack_of_code_in_c_that_keeps_the_lock(pxrun):
    with running(pxrun, IN_C):
        text = pxrun("stack", "0").stdout
        assert "in native code, which keeps the interpreter's lock" in text
        assert "in match\n" in text and "in <module>\n" in text


def test_stack_has_all_threads(pxrun):
    pxrun("exec", "import threading, time; e = threading.Event()\ndef waits(): e.wait()\nthreading.Thread(target=waits).start()")
    wait_until(lambda: not busy(pxrun, 1))
    text = pxrun("stack", "1").stdout
    assert ": idle\nThread 0x" in text and "in waits\n" in text
    pxrun("exec", "e.set()")


def test_stack_of_busy_threads_harms_nobody(pxrun):
    """Stacks that change are not read: a crash would be the end of this pool's only work."""
    code = """
import threading, time
def gen(n): yield from (x * x for x in range(n))
def rec(n): return 1 if n == 0 else rec(n - 1) + sum(gen(4))
end = time.time() + 3
def work():
    while time.time() < end: rec(20)
threads = [threading.Thread(target=work) for _ in range(3)]
for t in threads: t.start()
work()
for t in threads: t.join()
'done'
"""
    with running(pxrun, code) as process:
        while process.poll() is None:
            both = [pxrun.begin("stack", "0") for _ in range(2)]  # do not mix
            for one in both:
                text, errors = one.communicate(timeout=30)
                assert not errors and text.count("engine 0") == 1
                assert text.count("Thread 0x") <= 3 and text.endswith("\n")
        assert "Out[1]: 'done'" in process.communicate()[0]


def test_stack_where_user_code_has_taken_all_handlers(pxrun):
    """It is not killed by the signal."""
    pid = pid_of(pxrun, 0)
    code = "import signal\nfor s in signal.valid_signals() - {9, 19}:\n    try: signal.signal(s, signal.SIG_DFL)\n    except OSError: pass\n"
    with running(pxrun, code + ENDLESS):
        assert "in inner\n" in pxrun("stack", "0").stdout
        assert pid_of(pxrun, 0) == pid


def test_stack_where_user_code_has_blocked_signals(pxrun):
    code = "import signal; x = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\n"
    with running(pxrun, code + IN_C):
        assert "has taken away or blocked signal" in pxrun("stack", "0", code=ENGINE).stderr
    with running(pxrun, code + ENDLESS, 1):
        assert "in inner\n" in pxrun("stack", "1").stdout


def test_stack_of_stopped_process(pxrun):
    pid = pid_of(pxrun, 0)
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T")
        done = pxrun("stack", code=FAILED)
        assert f"engine 0, process {pid}, is stopped, by a signal or a debugger: 'kill -CONT {pid}'" in done.stderr
        assert "engine 1" in done.stdout
    finally:
        os.kill(pid, signal.SIGCONT)
    assert ": idle\n" in pxrun("stack", "0").stdout


def test_verbs_of_native_engines():
    with own_command() as pxrun:
        pxrun("start", "-n", "1", "-d", "--native")
        pid = pid_of(pxrun, 0)
        assert "it has no interpreter" in pxrun("stack", code=ENGINE).stderr
        assert pid_of(pxrun, 0) == pid
        assert pxrun("interrupt").stdout == "engine 0: nothing runs there\n"
        assert "another one is started" in pxrun("kill").stdout
        wait_until(lambda: pid_of(pxrun, 0) not in (None, 0, pid))
        assert "serves in place of" in pxrun("restart").stdout
