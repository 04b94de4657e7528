# SPDX-License-Identifier: BSD-3-Clause
"""IPython in a terminal, Debian's and PyPI's newest: what is shown there of errors, by ``%px`` and after Ctrl-C."""
import os
import re
import sys

import notebooks
import pytest

import pxrun

pexpect = pytest.importorskip("pexpect", reason="pexpect, which types into terminals, is not installed")

PROMPT = r"In \[\d+\]: $|ipdb> $"


class Terminal:
    """An IPython that things are typed into."""

    def __init__(self, python, folder, *options):
        env = {**os.environ, "IPYTHONDIR": str(folder), "TERM": "xterm-256color"}
        env.pop("NO_COLOR", None)
        arguments = ["-m", "IPython", "--no-banner", "--no-confirm-exit", "--simple-prompt", *options]
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
    return f"[{engine}:{method}]:\nTraceback (most recent call last):\n  Cell In[2], line 3, in f\n    return x / 0\nZeroDivisionError: division by zero\n\n"


COMPOSITE = "Traceback (most recent call last):\n  Cell In[{}], line 1\n    v.apply_sync(f, 1)\n\n"
FOUR = "".join(block(i) for i in range(4)) + "... 2 more exceptions ..."


def test_error_of_six_engines_is_shown_once_with_four_of_them(terminal):
    assert terminal("v.apply_sync(f, 1)") == COMPOSITE.format(3) + FOUR
