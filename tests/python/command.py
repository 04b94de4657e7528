# SPDX-License-Identifier: BSD-3-Clause
"""The command `pxrun` as tests run it, in folders of its own."""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

OK, FAILED, USAGE, NO_POOL, ENGINE, EXISTS = range(6)
LIMIT = 60


class Command:
    """Runs `pxrun` with runtime and configuration folders of its own."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.runtime = self.folder / "run"
        self.config = self.folder / "config" / "pxrun"
        self.runtime.mkdir(mode=0o700)
        self.config.mkdir(parents=True)
        self.env = dict(os.environ, XDG_RUNTIME_DIR=str(self.runtime),
                        XDG_CONFIG_HOME=str(self.config.parent))
        for name in ("PXRUN_PROFILE", "PXRUN_ENGINES", "PXRUN_CONNECTION"):
            self.env.pop(name, None)

    def __call__(self, *arguments, code=OK, **options):
        """Runs a verb to its end; its exit code must be `code`."""
        done = subprocess.run(["pxrun", *arguments], env=self.env, text=True, timeout=LIMIT,
                              capture_output=True, **options)
        assert done.returncode == code, f"{done.stdout}\n{done.stderr}"
        return done

    def begin(self, *arguments, **options):
        """Runs a verb in the background."""
        return subprocess.Popen(["pxrun", *arguments], env=self.env, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)

    def status(self, *arguments):
        return json.loads(self("status", "--json", *arguments).stdout)

    def pools(self):
        return json.loads(self("list", "--json").stdout)

    def left(self):
        """The files of all pools."""
        return [path.name for path in (self.runtime / "pxrun").glob("*/*")]

    def profile(self, text, name="default"):
        path = self.config / f"{name}.yaml"
        path.write_text(text)
        return path


@contextlib.contextmanager
def own_command(kind=Command):
    """A command with folders of its own, which are removed with the pools that it has left."""
    # Not below pytest's own folders: a socket's path must be short.
    folder = tempfile.mkdtemp(prefix="pxc.", dir="/tmp")
    command = kind(folder)
    try:
        yield command
    finally:
        subprocess.run(["pxrun", "stop", "--all"], env=command.env, timeout=LIMIT,
                       stderr=subprocess.DEVNULL, check=False)
        shutil.rmtree(folder)


def wait_until(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.01)


def gone(pid):
    """Whether a process is dead; one that its parent has not reaped counts as dead."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True
