# SPDX-License-Identifier: BSD-3-Clause
"""Notebooks that are run by nbclient in real kernels, and pages of them as Chromium shows them.

``run(["rc = pxrun.Client(...)", "%px 1/0"], python=VENV)`` gives the notebook with its cells' outputs;
`Notebook` is for what goes on while a cell runs.
"""
from __future__ import annotations

import asyncio
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile

import pytest

#: The interpreter of the environment with PyPI's newest packages, which ``bootstrap check`` makes.
VENV = os.path.join(os.environ.get("PXRUN_BUILDDIR", "."), "venv", "bin", "python")
#: For ``pytest.mark.parametrize``: the interpreter that is tested, with the packages it has, and that of the environment.
PYTHONS = [pytest.param(sys.executable, id="python"), pytest.param(VENV, id="venv")]


def need(python: str, *modules: str) -> None:
    """Skips the test, with a reason, if an interpreter cannot run notebooks here."""
    pytest.importorskip("nbclient", reason="nbclient, which runs notebooks, is not installed")
    if python == VENV and not os.path.exists(os.path.join(os.path.dirname(VENV), "..", "complete")):
        pytest.skip(f"{VENV} is not there: bootstrap check makes it from PyPI")
    if python == VENV and os.environ.get("PXRUN_SANITIZE_PRELOAD"):
        pytest.skip("the environment's packages are not built for sanitizers")
    find = "import sys, importlib.util as u; sys.exit(any(u.find_spec(m) is None for m in sys.argv[1:]))"
    if subprocess.run([python, "-c", find, "ipykernel", *modules], check=False).returncode:
        pytest.skip(f"{python} lacks one of {', '.join(['ipykernel', *modules])}")


class Notebook:
    """A notebook and its kernel, for a with statement.

    Attributes
    ----------
    nb : NotebookNode
        The cells that were run, with their outputs.
    km : jupyter_client.AsyncKernelManager
    """

    def __init__(self, python: str = sys.executable, **env: str) -> None:
        need(python)
        import nbformat
        from jupyter_client import AsyncKernelManager
        from jupyter_client.kernelspec import KernelSpecManager
        from nbclient import NotebookClient

        self.folder = tempfile.mkdtemp(prefix="pxn.")
        os.mkdir(f"{self.folder}/tested")
        with open(f"{self.folder}/tested/kernel.json", "w", encoding="utf-8") as file:
            json.dump({"argv": [python, "-Xfrozen_modules=off", "-m", "ipykernel_launcher", "-f", "{connection_file}"], "display_name": "tested"}, file)
        specs = KernelSpecManager(kernel_dirs=[self.folder])
        self.km = AsyncKernelManager(kernel_name="tested", kernel_spec_manager=specs)
        self.nb = nbformat.v4.new_notebook(metadata={"language_info": {"name": "python", "pygments_lexer": "ipython3"}})
        self.client = NotebookClient(self.nb, km=self.km, allow_errors=True, timeout=100)
        # no history, settings or sockets of the user's
        self.env = {**os.environ, "IPYTHONDIR": self.folder, "JUPYTER_RUNTIME_DIR": self.folder, **env}
        self.loop = asyncio.new_event_loop()

    def __enter__(self) -> "Notebook":
        self._kernel = self.client.async_setup_kernel(env=self.env, cleanup_kc=True)
        self.loop.run_until_complete(self._kernel.__aenter__())
        return self

    def __exit__(self, *failure: object) -> None:
        try:
            self.loop.run_until_complete(self._kernel.__aexit__(None, None, None))
        finally:
            self.loop.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, source: str):
        """Runs one more cell, and gives it with its outputs."""
        import nbformat

        cell = nbformat.v4.new_code_cell(source)
        self.nb.cells.append(cell)
        self.loop.run_until_complete(self.client.async_execute_cell(cell, len(self.nb.cells) - 1))
        return cell

    def interrupt(self) -> None:
        """As the button does it; from any thread."""
        asyncio.run(self.km.interrupt_kernel())


def run(cells: list[str], python: str = sys.executable, **env: str):
    """Runs cells; the notebook with their outputs, also those of cells that failed."""
    with Notebook(python, **env) as notebook:
        for source in cells:
            notebook.run(source)
    return notebook.nb


def stream(cell, name: str = "stdout") -> str:
    """What a cell printed."""
    return "".join(output["text"] for output in cell.outputs if output.output_type == "stream" and output.name == name)


def displayed(cell) -> list[dict]:
    """What a cell displayed: data by MIME type, in order."""
    return [output["data"] for output in cell.outputs if output.output_type in ("display_data", "execute_result")]


def errors(cell) -> list[tuple[str, str]]:
    """(ename, evalue) of a cell's `error` outputs."""
    return [(output.ename, output.evalue) for output in cell.outputs if output.output_type == "error"]


# --- pages --------------------------------------------------------------------


class Page:
    """A notebook as a page in Chromium, which shows it when it is asked for."""

    def __init__(self, nb, folder: str, height: int = 2400) -> None:
        nbconvert = pytest.importorskip("nbconvert", reason="nbconvert, which makes pages of notebooks, is not installed")
        chromium = shutil.which("chromium")
        if chromium is None:
            pytest.skip("chromium is not installed")
        html, _ = nbconvert.HTMLExporter().from_notebook_node(nb)
        path = f"{folder}/page.html"
        with open(path, "w", encoding="utf-8") as file:
            file.write(html)
        self._folder, self._path = folder, path
        # what the page would load from elsewhere fails at once
        flags = "--headless --no-sandbox --disable-gpu --hide-scrollbars --disable-dev-shm-usage --proxy-server=127.0.0.1:9".split()
        self._command = [chromium, *flags, f"--user-data-dir={folder}/chromium", f"--window-size=1000,{height}"]

    def _show(self, option: str) -> str:
        env = {name: value for name, value in os.environ.items() if name not in ("LD_LIBRARY_PATH", "LD_PRELOAD")}
        command = [*self._command, option, f"file://{self._path}"]
        return subprocess.run(command, capture_output=True, text=True, timeout=100, env={**env, "HOME": self._folder}, check=True).stdout

    @functools.cached_property
    def text(self) -> str:
        """The page's DOM, as HTML."""
        return self._show("--dump-dom")

    @functools.cached_property
    def png(self) -> str:
        """The path of a picture of it."""
        path = f"{self._folder}/page.png"
        self._show(f"--screenshot={path}")
        return path
