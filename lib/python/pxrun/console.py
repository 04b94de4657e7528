# SPDX-License-Identifier: BSD-3-Clause
"""The program of ``pxrun console``, which the command starts (bin/console.c): Jupyter's console on an engine.

It is jupyter_console, but Ctrl-C interrupts what was typed there on the engine, Ctrl-D leaves without a
question, and the end of the engine ends the console.
"""
from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import sys
from typing import Any

from . import error
from .client.client import Client
from .engine.kernel import KernelFile, bind_kernel

#: Exit codes, as bin/command.h has them.
_FAILED, _NO_POOL, _NO_ENGINE = 1, 3, 4
#: Seconds after which it says that it waits.
_PATIENCE = 3.0


class _Ended(Exception):
    """The engine's process has ended."""


def main(argv: list[str]) -> int:
    """Opens a console on the engine whose id is the argument, or on the first; the exit code."""
    try:
        import jupyter_console.app  # noqa: F401
    except ImportError as missing:
        return _fail(f"a console needs jupyter-console, and there is {missing}: {sys.executable} -m pip install jupyter-console", _FAILED)
    try:
        with Client() as client:
            engine = _choose(client, argv)
            return _open(engine, _process(client, engine), _bind(client, engine))
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except error.RemoteError as e:
        return _fail(e.evalue, _FAILED)
    except (error.EngineError, error.NoEnginesRegistered) as e:
        return _fail(e, _NO_ENGINE)
    except error.PoolError as e:
        return _fail(e, _NO_POOL)


def _fail(words: Any, code: int) -> int:
    print(f"pxrun: {words}", file=sys.stderr)
    return code


def _choose(client: Client, argv: list[str]) -> int:
    if argv:
        return client[int(argv[0])].targets
    if not client.ids:
        raise error.NoEnginesRegistered
    return client.ids[0]


def _process(client: Client, engine: int) -> int:
    """A pidfd of the engine's process."""
    try:
        return os.pidfd_open(client.engines[engine].pid or 0)
    except OSError:
        raise error.EngineError(f"engine {engine} has just ended: `pxrun status` says whether it comes back") from None


def _bind(client: Client, engine: int) -> KernelFile:
    """The connection file of the engine's kernel, which is made if there is none."""
    file = KernelFile(os.path.join(os.path.dirname(client.connection_file), f"kernel-{engine}.json"))
    with contextlib.suppress(FileNotFoundError):
        if os.path.getsize(file):  # else it is just being written, which takes one step
            return file
    ar = client[engine].apply_async(bind_kernel)
    if not ar.wait(_PATIENCE):
        print(f"engine {engine} is at work: waiting for its turn", file=sys.stderr)
    return ar.get()


def _open(engine: int, process: int, file: KernelFile) -> int:
    """Runs the console until it is left, or the engine ends, which its pidfd tells; the exit code."""
    console = _console(process)(log_level="CRITICAL")
    console.initialize(["--existing", file])
    console.start()
    if not console.shell.ended:
        return 0
    log = os.path.join(os.path.dirname(file), "log")
    return _fail(f"engine {engine} has ended, and what was defined there is gone; {log} says more", _FAILED)


def _console(process: int) -> Any:
    """The class of the console's application."""
    from jupyter_client.blocking import BlockingKernelClient
    from jupyter_client.consoleapp import JupyterConsoleApp
    from jupyter_console.app import ZMQTerminalIPythonApp
    from jupyter_console.ptshell import ZMQTerminalInteractiveShell
    from traitlets import Type

    class Kernel(BlockingKernelClient):
        def is_alive(self) -> bool:
            """Not by its heartbeat, which a kernel that is stopped misses as well."""
            if select.select([process], [], [], 0)[0]:
                raise _Ended
            return True

    class Shell(ZMQTerminalInteractiveShell):
        ended = False

        def mainloop(self) -> None:
            """Until it is left; without words on the kernel's further life."""
            while self.keep_running:
                try:
                    asyncio.run(self._main_task())
                except KeyboardInterrupt:
                    print()

        async def interact(self, *args: Any, **options: Any) -> None:
            asyncio.get_running_loop().add_reader(process, self.leave_prompt)
            try:
                await super().interact(*args, **options)
            except _Ended:
                self.ended = True
                self.ask_exit()

        def run_cell(self, *args: Any, **options: Any) -> None:
            # the prompt may have left another handler
            before = signal.signal(signal.SIGINT, self.parent.handle_sigint)
            try:
                super().run_cell(*args, **options)
            finally:
                signal.signal(signal.SIGINT, before)

        def leave_prompt(self) -> None:
            asyncio.get_running_loop().remove_reader(process)
            if self.pt_cli is not None and self.pt_cli.app.is_running:
                self.pt_cli.app.exit(exception=_Ended())

    class Console(ZMQTerminalIPythonApp):
        kernel_client_class = Type(Kernel)
        shell: Any = None

        def init_shell(self) -> None:
            JupyterConsoleApp.initialize(self)
            signal.signal(signal.SIGINT, self.handle_sigint)
            self.shell = Shell.instance(parent=self, client=self.kernel_client, confirm_exit=False)

        def handle_sigint(self, *args: Any) -> None:
            if self.shell is None or not self.shell._executing:
                raise KeyboardInterrupt
            kernel = self.kernel_client
            kernel.control_channel.send(kernel.session.msg("interrupt_request", {}))

    return Console


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
