# SPDX-License-Identifier: BSD-3-Clause
"""What the command's manual pages and README show of a shell is typed into one, line by line."""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys

import numpy
import pytest

from command import own_command, wait_until

SOURCE = pathlib.Path(os.environ["PXRUN_SRCDIR"])
PAGES = sorted((SOURCE / "man").glob("pxrun*.[157]"))
LIMIT = 60
# Of a verb whose page has no other way than a terminal, test_VERB.py types the example.
TERMINAL = r"pxrun (console|top(?!.*--once))\b"
# What goes on until Ctrl-C.
ENDLESS = r"pxrun (log .*-f|log .*--follow)\b"
# The files that examples name, without showing what is in them.
FILES = {
    "setup.py": "import math\n",
    "census.py": "import pxrun\nassert len(pxrun.Client()) == 4\n",
    "settings.json": '{"steps": 10}\n',
    "script.py": "import pxrun\npxrun.Client()[:].apply_sync(int)\n",
}


def examples(page):
    """The commands of a page, each with the lines that it shows below."""
    text = page.read_text()
    if page.name == "README":
        return [(re.split(r" {3,}", line)[0], "") for line in re.findall(r"^    (pxrun .*)$", text, re.M)]
    section = re.search(r"^\.Sh EXAMPLES\n(.*?)^\.Sh ", text, re.M | re.S)
    found = []
    for block in re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed$", section[1] if section else "", re.M | re.S):
        for line in block.replace(r"\e", "\\").replace(r"\(aq", "'").replace(r"\-", "-").replace(r"\&", "").splitlines():
            if line.startswith("$ "):
                found.append([line[2:], ""])
            elif found:
                found[-1][1] += line + "\n"
    return found


def have_pools(command, lines):
    """What a page takes for granted, unless it begins with it: a pool of four engines, and a second pool."""
    started = [line for line in lines if line.startswith("pxrun start")]
    running = {pool["profile"] for pool in command.pools()}
    if "default" not in running and all(" -p " in line for line in started):
        command("start", "-d", "-n", "4")
        running.add("default")
    if "second" not in running and not any("second" in line for line in started):
        command("start", "-d", "-n", "1", "-p", "second")
    if "default" in running:
        wait_until(lambda: all(engine["state"] == "up" for engine in command.status()["engines"]))


def have_a_past(command):
    """There is a death to be found in the log, and engines have some values."""
    if "default" not in {pool["profile"] for pool in command.pools()}:
        return
    os.kill(command.status()["engines"][0]["pid"], signal.SIGKILL)
    wait_until(lambda: [command.status()["engines"][0][key] for key in ("restarts", "state")] == [1, "up"])
    command("exec", "import numpy; a = numpy.arange(4.0); lines = ['x']; settings = {}")


def run(command, home, line):
    """Types a line. Returns its exit code and output; of one that goes on, 0 if it still does so."""
    endless = re.search(ENDLESS, line)
    shell = subprocess.Popen(["bash", "-o", "pipefail", "-c", line], cwd=home, env=command.env, text=True,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             start_new_session=True)
    try:
        out, _ = shell.communicate(timeout=1 if endless else LIMIT)
    except subprocess.TimeoutExpired:
        os.killpg(shell.pid, signal.SIGTERM)
        out, _ = shell.communicate()
        return (0 if endless else "does not end"), out
    return ("has ended" if endless else shell.returncode), out


@pytest.mark.parametrize("page", [*PAGES, SOURCE / "README"], ids=lambda path: path.name)
def test_examples_are_true(page):
    found = [(line, shown) for line, shown in examples(page) if not re.match(TERMINAL, line)]
    if not found:
        pytest.skip("shows nothing that a test can type")
    missing = [tool for tool in ("jq",) if not shutil.which(tool) and any(tool in line for line, _ in found)]
    if missing:
        pytest.skip(f"{missing[0]} is not installed")
    with own_command() as command:
        home = command.folder
        command.env["HOME"] = str(home)
        for name, text in FILES.items():
            (home / name).write_text(text)
        numpy.save(home / "numbers.npy", numpy.arange(8.0))
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--system-site-packages", home / "venv"],
                       check=True)
        have_pools(command, [line for line, _ in found])
        have_a_past(command)
        for line, shown in found:
            have_pools(command, [line for line, _ in found])
            if line.startswith("cat "):
                (home / line[len("cat "):]).write_text(shown)
            code, out = run(command, home, line)
            assert code == 0, f"{line}\n{code}: {out}"
            assert not shown or out == shown, line


@pytest.mark.parametrize("page", sorted((SOURCE / "man").glob("pxrun-*.1")), ids=lambda path: path.stem)
def test_page_of_a_verb_has_examples(page):
    assert examples(page)
