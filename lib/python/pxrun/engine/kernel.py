# SPDX-License-Identifier: BSD-3-Clause
"""Binds an engine to a kernel of Jupyter's, by which consoles and notebooks talk to it; channels.py is the kernel."""
from __future__ import annotations

import shlex
import sys
import threading
from typing import Any

from .. import _pxrun

_kernel: Any = None
_binding = threading.Lock()


class KernelFile(str):
    """The path of a kernel's connection file; shown with the command that connects to it."""

    @property
    def command(self) -> str:
        """What opens a console on the kernel."""
        return f"jupyter console --existing {shlex.quote(self)}"

    def __repr__(self) -> str:
        return f"<a kernel: {self.command}>"


def bind_kernel(**ignored: Any) -> KernelFile:
    """On an engine: makes it a kernel as well, to which consoles and all other clients of Jupyter's can connect.

    What is typed there runs in the engine's namespace and on its main thread, in turn with the pool's requests,
    which go on. The kernel ends with the engine's process; the next one is to be bound anew.

    Returns
    -------
    KernelFile
        The path of the connection file, for ``jupyter console --existing``; the same if it is bound already.

    Raises
    ------
    RuntimeError
        This process is no engine.
    ImportError
        ipykernel is not installed there.

    Notes
    -----
    Keywords of ipyparallel's, which choose ports, are ignored: the kernel listens on sockets in the pool's folder,
    which nobody else can reach.

    Examples
    --------
    >>> rc[0].apply_sync(pxrun.bind_kernel)         # doctest: +SKIP
    <a kernel: jupyter console --existing /run/user/1000/pxrun/default/kernel-0.json>
    """
    global _kernel
    if not _pxrun.is_engine():
        raise RuntimeError("bind_kernel() is for engines: view.apply_sync(pxrun.bind_kernel), or `pxrun console` from a shell")
    with _binding:
        if _kernel is None:
            try:
                from . import channels
            except ImportError as error:
                words = f"a kernel needs ipykernel on the engine, and there is {error}: {sys.executable} -m pip install ipykernel"
                raise ImportError(words) from None
            _kernel = channels.start()
    return KernelFile(_kernel.file)


def file() -> KernelFile | None:
    """The connection file of this engine's kernel; None: it is not bound."""
    return None if _kernel is None else KernelFile(_kernel.file)


def start_qtconsole(file: str, options: str) -> None:
    """Opens the Qt console on a kernel, or says what it takes."""
    import importlib.util
    import subprocess

    if importlib.util.find_spec("qtconsole") is None:
        print(f"the Qt console is not installed: {sys.executable} -m pip install qtconsole", file=sys.stderr)
        return
    command = [sys.executable, "-m", "qtconsole", "--existing", str(file), *shlex.split(options)]
    subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
