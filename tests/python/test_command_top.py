# SPDX-License-Identifier: BSD-3-Clause
"""`pxrun top`: its one screen, and the live one in a terminal of tmux."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

import pytest

from command import NO_POOL, OK, USAGE, own_command, wait_until

ENDLESS = "import time\nwhile True: time.sleep(0.01)"


@pytest.fixture
def pxrun():
    with own_command() as run:
        run("start", "-n", "3", "-d")
        yield run


class Terminal:
    """A shell in a window of tmux, where top runs."""

    def __init__(self, pxrun):
        self.socket = pxrun.folder / "tmux"
        self.env = pxrun.env
        self("new-session", "-d", "-x", "120", "-y", "20", "sh")

    def __call__(self, *arguments):
        return subprocess.run(["tmux", "-S", self.socket, "-f", "/dev/null", *arguments], env=self.env, text=True,
                              check=True, timeout=20, capture_output=True).stdout

    def press(self, *keys):
        self("send-keys", *keys)

    def screen(self):
        return self("capture-pane", "-p")

    def see(self, *words):
        """Waits until all of these regular expressions are on the screen."""
        try:
            wait_until(lambda: all(re.search(word, self.screen()) for word in words))
        except AssertionError:
            raise AssertionError(f"{words} are not all on the screen:\n{self.screen()}") from None
        return self.screen()

    def top(self, *arguments, shell="pxrun top -d 0.2"):
        self.press(" ".join([shell, *arguments]) + "; echo code=$?", "Enter")
        return self

    def pid(self):
        """That of top, whose parent is the shell."""
        shell = self("display-message", "-p", "#{pane_pid}").strip()
        return int(pathlib.Path(f"/proc/{shell}/task/{shell}/children").read_text().split()[0])

    def restored(self, code):
        """Top has ended and the shell's terminal is as it was."""
        self.see(f"code={code}\n")
        self.press("clear; stty -a | tr ' ' '\\n' | grep -cx -e echo -e icanon | sed s/^/usual:/", "Enter")
        self.see("usual:2")


@pytest.fixture
def terminal(pxrun):
    if not shutil.which("tmux"):
        pytest.skip("tmux, which has the terminal, is not installed")
    terminal = Terminal(pxrun)
    yield terminal
    terminal("kill-server")


@pytest.fixture
def busy(pxrun):
    """Engine 1 works without an end."""
    process = pxrun.begin("exec", "-t", "1", ENDLESS)
    wait_until(lambda: pxrun.status()["engines"][1]["busy"] is not None)
    yield process
    process.kill()
    process.communicate()


def rows(text):
    """Of engines, by id."""
    return {int(words[0]): words for words in map(str.split, text.splitlines()) if words and words[0].isdigit() and len(words) > 8}


# --- one screen ---


def test_once_shows_what_the_pool_does(pxrun, busy):
    text = pxrun("top", "--once").stdout
    engines = rows(text)
    assert [engines[i][2] for i in range(3)] == ["idle", "busy", "idle"]
    assert [int(engines[i][1]) for i in range(3)] == [e["pid"] for e in pxrun.status()["engines"]]
    assert f"process {busy.pid} (pxrun)" in text
    assert re.search(rf"CLIENT.*\n +{busy.pid} pxrun ", text)
    assert "3 up, 1 busy, 0 starting, 0 gone; 1 client\n" in text
    assert not re.search(r"[^\n -~]| \n", text)


def test_once_restarts_arrays_and_cpu(pxrun):
    pxrun("restart", "2")
    pxrun("exec", "-t", "0", "import time\nend = time.process_time() + 1\nwhile time.process_time() < end: pass")
    engines = rows(pxrun("top", "--once").stdout)
    assert float(engines[0][3]) > float(engines[1][3])
    assert "1" in engines[2]


def test_once_a_name_with_escapes_is_harmless(pxrun):
    code = ("import pxrun, sys\nclient = pxrun.Client()\nopen('/proc/self/comm', 'wb').write(b'a\\x1b[31m\\xff')\n"
            "print('there', flush=True)\nsys.stdin.read()")
    with subprocess.Popen([os.environ.get("PYTHON", "python3"), "-c", code], env=pxrun.env, text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as client:
        assert client.stdout.readline() == "there\n"
        text = pxrun("top", "--once").stdout
        client.stdin.close()
    assert f"{client.pid} a?[31m?" in text


@pytest.mark.parametrize("arguments, code, words", [
    (["-d", "0"], USAGE, "-d must be at least 0.1 seconds, not '0'"),
    (["-d", "x"], USAGE, "-d must be a number of seconds, not 'x'"),
    (["-d", "-1"], USAGE, "-d must be a number of seconds"),
    (["-d", "nan"], USAGE, "-d must be a number of seconds"),
    (["-d"], USAGE, "requires an argument"),
    (["--onec"], USAGE, "did you mean '--once'?"),
    (["now"], USAGE, "unexpected argument 'now'"),
    (["-p", "nosuch"], NO_POOL, "no pool runs under the profile 'nosuch'"),
    (["-p", "nosuch", "--once"], NO_POOL, "no pool runs under the profile 'nosuch'"),
    ([], USAGE, "'pxrun top --once'"),
])
def test_wrong_arguments(pxrun, arguments, code, words):
    assert words in pxrun("top", *arguments, code=code, stdin=subprocess.DEVNULL).stderr


def test_once_to_a_full_disk_is_no_success(pxrun):
    with open("/dev/full", "w") as full:
        done = subprocess.run(["pxrun", "top", "--once"], env=pxrun.env, stdout=full, stderr=subprocess.PIPE, text=True,
                              timeout=20, check=False)
    assert done.returncode == 1
    assert "No space left" in done.stderr


def test_once_with_a_stopped_supervisor_says_so(pxrun):
    """Nobody can attach to it: that ends after some time."""
    pid = pxrun.status()["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        begin = time.monotonic()
        done = subprocess.run(["pxrun", "top", "--once"], env=pxrun.env, text=True, capture_output=True, timeout=40, check=False)
        assert done.returncode != OK
        assert str(pid) in done.stderr
        assert time.monotonic() - begin < 30
    finally:
        os.kill(pid, signal.SIGCONT)


# --- the live one ---


def test_live_shows_and_quits(pxrun, terminal, busy):
    terminal.top().see(r"1 +\d+ busy", rf"process {busy.pid} \(pxrun\)", "h help  q quit")
    terminal.press("q")
    terminal.restored(0)


@pytest.mark.parametrize("key, question, words", [
    ("k", "kill engine 1", "engine 1 was killed"),
    ("r", "restart engine 1", "engine 1 is being restarted"),
])
def test_a_process_is_replaced_once_it_is_confirmed(pxrun, terminal, busy, key, question, words):
    before = [e["pid"] for e in pxrun.status()["engines"]]
    terminal.top().see("busy")
    terminal.press("Down", key)
    terminal.see(rf"{question} \(process {before[1]}\), which works for process {busy.pid} \(pxrun\)\? y/n")
    terminal.press("n")
    terminal.see("h help")
    assert [e["pid"] for e in pxrun.status()["engines"]] == before
    terminal.press(key)
    terminal.see(question)
    terminal.press("y")
    terminal.see(words, r"1 +\d+ idle")
    after = [e["pid"] for e in pxrun.status()["engines"]]
    assert [a == b for a, b in zip(before, after)] == [True, False, True]


def test_interrupt(pxrun, terminal, busy):
    terminal.top().see("busy")
    terminal.press("i")
    terminal.see("nothing runs on engine 0")
    terminal.press("End", "Up", "i")
    terminal.see("interrupt engine 1")
    terminal.press("y")
    terminal.see("engine 1 was interrupted", "0 busy")
    assert "KeyboardInterrupt" in busy.communicate(timeout=20)[1]


def test_what_runs_by_then_is_not_interrupted(pxrun, terminal, busy):
    terminal.top().see("busy")
    terminal.press("Down", "i")
    terminal.see("interrupt engine 1")
    pxrun("interrupt", "1")
    terminal.press("y")
    terminal.see("engine 1 runs something else by now")


def test_another_process_is_not_killed(pxrun, terminal):
    terminal.top().see("idle")
    terminal.press("k")
    terminal.see("kill engine 0")
    pxrun("kill", "0")
    wait_until(lambda: pxrun.status()["engines"][0]["state"] == "up")
    pid = pxrun.status()["engines"][0]["pid"]
    terminal.press("y")
    terminal.see("engine 0 has another process by now")
    assert pxrun.status()["engines"][0]["pid"] == pid


def test_sorting_moves_the_row_and_not_the_selection(pxrun, terminal, busy):
    terminal.top().see("busy")
    terminal.press("T")
    terminal.see(r"ENGINE.*\n +1 ")
    terminal.press("k")
    terminal.see("kill engine 0")
    terminal.press("n", "N")
    terminal.see(r"ENGINE.*\n +0 ")


def test_help_and_back(terminal):
    terminal.top().see("ENGINE")
    terminal.press("h")
    terminal.see("restart the engine")
    terminal.press("h")
    terminal.see("ENGINE")


@pytest.mark.parametrize("columns, lines", [(20, 6), (20, 2), (3, 1), (200, 50)])
def test_windows_of_any_size(terminal, columns, lines):
    terminal.top().see("ENGINE")
    terminal("resize-window", "-x", str(columns), "-y", str(lines))
    terminal.press("Down", "End", "h", "h", "k", "n")
    time.sleep(0.5)
    terminal("resize-window", "-x", "120", "-y", "20")
    terminal.see(r"ENGINE +PID", r"2 +\d+ idle")
    terminal.press("q")
    terminal.restored(0)


def test_rows_scroll(terminal):
    terminal.top().see("ENGINE")
    terminal("resize-window", "-x", "120", "-y", "5")
    terminal.see(r"ENGINE.*\n +0 .*\n.*h help")
    terminal.press("End")
    terminal.see(r"ENGINE.*\n +2 ")
    terminal.press("Up")
    terminal.see(r"ENGINE.*\n +1 ")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_restores_the_terminal(terminal, number):
    terminal.top().see("ENGINE")
    os.kill(terminal.pid(), number)
    terminal.restored(128 + number)


def test_ctrl_c_restores_the_terminal(terminal):
    terminal.top().see("ENGINE")
    terminal.press("C-c")
    wait_until(lambda: "ENGINE" not in terminal.screen())
    # A shell does not go on with a list whose command was ended by it.
    terminal.press("echo code=$?", "Enter")
    terminal.restored(128 + signal.SIGINT)


def test_ctrl_z_and_back(terminal):
    terminal.top().see("ENGINE")
    terminal.press("C-z")
    terminal.restored(128 + signal.SIGTSTP)
    terminal.press("fg", "Enter")
    terminal.see("ENGINE")
    terminal.press("q")
    wait_until(lambda: "ENGINE" not in terminal.screen())
    terminal.press("echo code=$?", "Enter")
    terminal.restored(0)


def test_a_pool_that_ends(pxrun, terminal):
    terminal.top().see("ENGINE")
    pxrun("stop")
    terminal.see("pxrun: .*pool", f"code={NO_POOL}")
    terminal.restored(NO_POOL)


def test_a_supervisor_that_is_killed(pxrun, terminal):
    terminal.top().see("ENGINE")
    os.kill(pxrun.status()["pid"], signal.SIGKILL)
    terminal.restored(NO_POOL)


def test_a_supervisor_that_is_stopped(pxrun, terminal):
    pid = pxrun.status()["pid"]
    terminal.top().see("ENGINE")
    os.kill(pid, signal.SIGSTOP)
    try:
        terminal.see(rf"its supervisor, process {pid}, is stopped by a signal")
        terminal.press("k")
        terminal.see("is stopped and does nothing")
        terminal.press("q")
        terminal.restored(0)
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("environment, words", [
    ("TERM=dumb", "cannot show a screen"),
    ("TERM=nosuch", "is not known here"),
    ("TERM=", "TERM is not set"),
    ("env -u TERM", "TERM is not set"),
])
def test_terminals_that_show_no_screen(terminal, environment, words):
    terminal.top(shell=f"{environment} pxrun top").see(words, f"code={USAGE}")


@pytest.mark.parametrize("redirection, words", [
    ("</dev/null", "standard input is not a terminal"),
    ("<&-", "standard input is not a terminal"),
    (">/dev/null", "standard output is not a terminal"),
])
def test_streams_that_are_no_terminal(terminal, redirection, words):
    terminal.top(redirection).see(words, f"code={USAGE}")
