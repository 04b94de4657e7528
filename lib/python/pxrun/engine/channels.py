# SPDX-License-Identifier: BSD-3-Clause
"""The kernel of an engine: ipykernel's protocol, in a thread of the engine.

It is a client of the pool, attached from inside the engine's process, and what it is asked becomes a request
to its own engine (cells.py). Its sockets and its connection file lie in the pool's folder, which is the
user's alone: over TCP, others on the machine could read what it publishes. The supervisor removes the
files when the engine ends, however it does (unbind() in lib/supervisor/engine_end.c).
"""
from __future__ import annotations

import asyncio
import atexit
import codecs
import concurrent.futures
import contextlib
import io
import json
import logging
import os
import pickle
import sys
import threading
import uuid
from typing import Any, Callable

import zmq
from ipykernel import kernelbase
from ipykernel._version import kernel_protocol_version
from ipykernel.heartbeat import Heartbeat
from ipykernel.jsonutil import encode_images, json_clean
from IPython.core.inputtransformer2 import TransformerManager
from jupyter_client.session import Session, json_packer
from zmq.eventloop.zmqstream import ZMQStream

from .. import _pxrun, error
from ..client import outcome
from ..client.cancel import take_back
from ..client.completion import Completion
from ..datapub import DISPLAY, STDERR, STDOUT
from ..wire import calls
from . import cells, shell

#: Seconds between two looks at what a cell has printed.
_LOOK = 0.05
#: Seconds for clients to hear that the engine ends.
_LINGER = 0.3
#: The sockets' names end with these numbers, in place of ports.
_PORTS = {"shell_port": 1, "iopub_port": 2, "stdin_port": 3, "control_port": 4, "hb_port": 5}

#: What is answered at once, also while a cell runs: so clients can connect then.
_AT_ONCE = {"kernel_info_request", "is_complete_request", "history_request", "comm_info_request", "connect_request"}


class _Sys:
    """The module sys as the base is to see it: it flushes sys.stdout before it replies, and there code may have put anything."""

    stdout = stderr = io.StringIO()

    def __getattr__(self, name: str) -> Any:
        return getattr(sys, name)


kernelbase.sys = _Sys()  # type: ignore[assignment]


def start() -> EngineKernel:
    """Starts the kernel of this engine."""
    shell.keep_all()
    began: concurrent.futures.Future = concurrent.futures.Future()
    threading.Thread(target=lambda: asyncio.run(_serve(began)), name="pxrun-kernel", daemon=True).start()
    kernel = began.result()
    atexit.register(kernel.close)
    return kernel


async def _serve(began: concurrent.futures.Future) -> None:
    try:
        kernel = EngineKernel()
    except BaseException as e:
        began.set_exception(e)
        return
    began.set_result(kernel)
    await kernel.ended.wait()


def _message(chunk: bytes) -> tuple[str, Any]:
    """The type and content of a message: as a cell has sent it, or of what was displayed just after one (displays.py)."""
    try:
        displayed = pickle.loads(chunk)
        if len(displayed) == 2:
            return displayed
        data, metadata, transient, update = displayed
        content = {"data": encode_images(data), "metadata": metadata, "transient": transient}
        return "update_display_data" if update else "display_data", json_packer(json_clean(content))
    except Exception as e:
        return "stream", {"name": "stderr", "text": f"[pxrun: what is displayed here is left out: {type(e).__name__}: {e}]\n"}


class _Stream(ZMQStream):
    """A stream of requests, of which `first` answers some at once."""

    def __init__(self, socket: Any, first: Callable[[list], bool]) -> None:
        self._first = first
        super().__init__(socket)

    def on_recv(self, callback: Callable, copy: bool = True) -> None:
        super().on_recv(lambda frames: None if self._first(frames) else callback(frames), copy)


class EngineKernel(kernelbase.Kernel):
    """A kernel whose cells are requests to an engine. Lives in the kernel's thread, but for close()."""

    implementation = "pxrun"
    implementation_version = _pxrun.VERSION
    language_info = {
        "name": "python",
        "version": sys.version.split()[0],
        "mimetype": "text/x-python",
        "codemirror_mode": {"name": "ipython", "version": 3},
        "pygments_lexer": "ipython3",
        "nbconvert_exporter": "python",
        "file_extension": ".py",
    }

    def __init__(self) -> None:
        connection = os.environ["PXRUN_CONNECTION"]
        self.engine = shell.owner().engine_id
        self.file = os.path.join(os.path.dirname(connection), f"kernel-{self.engine}.json")
        self.pid = os.getpid()
        self.loop = asyncio.get_running_loop()
        self.ended = asyncio.Event()
        self.core = _pxrun.attach(connection, 10.0)
        self.completion = Completion(self.core)
        python = sys.version.split()[0]
        self.banner = f"Engine {self.engine} of the pool {self.core.profile!r}: Python {python}, pxrun {_pxrun.VERSION}\n"
        self.cell: Any = None  # the request that runs a cell, or waits to
        self.cells = 0  # how many have come, and are not done with
        self.followed = False  # whether there were others when the last one was done
        self.lines = TransformerManager()
        super().__init__(session=Session(key=uuid.uuid4().hex.encode(), username="kernel"), log=logging.getLogger(__name__))
        self._open()

    @property
    def kernel_info(self) -> dict:
        """Without what ipykernel's own kernel can as well, and imports modules to find out."""
        names = ("implementation", "implementation_version", "language_info", "banner", "help_links")
        return {"protocol_version": kernel_protocol_version, "supported_features": [], **{name: getattr(self, name) for name in names}}

    # --- its channels

    def _open(self) -> None:
        """Binds the sockets, and then writes the file by which they are found."""
        where = os.path.join(os.path.dirname(self.file), f"k{self.engine}")
        self.context = zmq.Context()
        Heartbeat(self.context, ("ipc", where, _PORTS["hb_port"])).start()
        self.iopub_socket = self._socket(where, "iopub_port", zmq.PUB)
        self.stdin_socket = self._socket(where, "stdin_port", zmq.ROUTER)
        self.shell_stream = _Stream(self._socket(where, "shell_port", zmq.ROUTER), self._answer_at_once)
        self.control_stream = ZMQStream(self._socket(where, "control_port", zmq.ROUTER))
        self.stdin_stream = ZMQStream(self.stdin_socket)
        self.stdin_stream.on_recv(self._answered, copy=False)
        self.record_ports(_PORTS)
        self.start()
        about = {"transport": "ipc", "ip": where, **_PORTS, "key": self.session.key.decode(), "signature_scheme": "hmac-sha256"}
        with open(os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(about, file, indent=2)
            file.write("\n")

    def _socket(self, where: str, port: str, kind: int) -> Any:
        socket = self.context.socket(kind)
        socket.linger = int(1000 * _LINGER)
        socket.bind(f"ipc://{where}-{_PORTS[port]}")
        return socket

    def close(self) -> None:
        """As the engine ends: tells all clients."""
        if os.getpid() != self.pid:  # a child that user code forked
            return
        with contextlib.suppress(Exception):
            asyncio.run_coroutine_threadsafe(self._close(), self.loop).result(2 * _LINGER)

    async def _close(self) -> None:
        self.session.send(self.iopub_socket, "shutdown_reply", {"status": "ok", "restart": False}, ident=self._topic("shutdown"))
        for stream in (self.shell_stream, self.control_stream, self.stdin_stream):
            stream.close()
        self.iopub_socket.close()
        self.context.term()
        self.ended.set()

    async def dispatch_shell(self, msg: list, *args: Any, **options: Any) -> None:
        is_cell = self._kind(msg) == "execute_request"
        try:
            await super().dispatch_shell(msg, *args, **options)
        finally:
            self.cells -= is_cell

    # --- requests to the engine

    async def _request(self, f: Callable, *args: Any, show: Callable[[Any], None] | None = None) -> tuple[Any, BaseException | None]:
        """(value, exception) of a call on the main thread; shows what it sends meanwhile."""
        body, buffers = calls.dumps(f, args, {}, True)
        result = self.core.submit(_pxrun.APPLY, 0, [self.engine], body, buffers)
        done = asyncio.Event()
        if not self.completion.watch([(result, None)], lambda: self.loop.call_soon_threadsafe(done.set)):
            done.set()
        if show is not None:
            self.cell = result
        try:
            while not done.is_set():
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(done.wait(), None if show is None else _LOOK)
                if show is not None and not done.is_set():
                    show(result)
            if show is not None:
                show(result)
            return outcome.outcome_of(*result.reply(0), self.engine, self.core)
        finally:
            if self.cell is result:
                self.cell = None

    def _publish(self, kind: str, content: Any) -> None:
        self.session.send(self.iopub_socket, kind, content, parent=self.get_parent("shell"), ident=self._topic(kind))

    def _shower(self) -> Callable[[Any], None]:
        """What sends on what a cell has printed and displayed."""
        names = {STDOUT: "stdout", STDERR: "stderr"}
        decoders = {which: codecs.getincrementaldecoder("utf-8")("replace") for which in names}
        asker = self._parent_ident["shell"]

        def show(result: Any) -> None:
            for which, chunk in result.news(0, True):
                if which in names:
                    self._publish("stream", {"name": names[which], "text": decoders[which].decode(chunk)})
                elif which == DISPLAY:
                    kind, content = _message(chunk)
                    if kind == "input_request":
                        self.session.send(self.stdin_socket, kind, content, parent=self.get_parent("shell"), ident=asker)
                    else:
                        self._publish(kind, content)

        return show

    async def do_execute(
        self, code: str, silent: bool, store_history: bool = True, user_expressions: Any = None, allow_stdin: bool = False, **about: Any
    ) -> dict:
        args = code, silent, store_history, user_expressions or {}, allow_stdin
        value, exception = await self._request(cells.run, *args, show=self._shower())
        self.followed = self.cells > 1
        return value if exception is None else self._failed(exception)

    def _failed(self, exception: BaseException) -> dict:
        """The content of a reply for a cell that was not run, or whose run IPython did not end."""
        if isinstance(exception, error.TaskAborted):
            exception = KeyboardInterrupt("interrupted before its turn came")
        ename = getattr(exception, "ename", type(exception).__name__)
        evalue = getattr(exception, "evalue", str(exception))
        lines = getattr(exception, "traceback", f"{ename}: {evalue}").splitlines()
        about = {"ename": ename, "evalue": evalue, "traceback": lines}
        self._publish("error", about)
        return {"status": "error", "execution_count": shell.owner().count, "user_expressions": {}, "payload": [], **about}

    def _abort_queues(self, *args: Any) -> None:
        """After a failure: aborts what came before it; the base alone might abort what is sent next, because it is quick."""
        if self.followed:
            super()._abort_queues(*args)

    def _send_abort_reply(self, *args: Any) -> None:
        if self.cells == 1:  # the last one: what is sent when its reply is there is not aborted any more
            self._aborting = False
        super()._send_abort_reply(*args)

    def _publish_execute_input(self, code: str, parent: Any, execution_count: int) -> None:
        """Nothing: the cell itself sends its input, when its turn has come and it has its number."""

    async def do_complete(self, code: str, cursor_pos: int | None) -> dict:
        at = len(code) if cursor_pos is None else cursor_pos
        value, exception = await self._request(cells.complete, code, at)
        nothing = {"status": "ok", "matches": [], "cursor_start": at, "cursor_end": at, "metadata": {}}
        return value if exception is None else nothing

    async def do_inspect(self, code: str, cursor_pos: int, detail_level: int = 0, omit_sections: Any = ()) -> dict:
        value, exception = await self._request(cells.inspect, code, cursor_pos, detail_level, tuple(omit_sections))
        return value if exception is None else {"status": "ok", "found": False, "data": {}, "metadata": {}}

    # --- what needs no turn of the engine

    def _kind(self, frames: list) -> str:
        """The type of a message; empty if it is none."""
        try:
            return str(json.loads(self.session.feed_identities(frames, copy=False)[1][1].bytes)["msg_type"])
        except Exception:  # the base says what is wrong with it
            return ""

    def _answer_at_once(self, frames: list) -> bool:
        """Answers a request, unless it is one that has to wait for others."""
        kind = self._kind(frames)
        self.cells += kind == "execute_request"
        if kind not in _AT_ONCE:
            return False
        try:
            idents, rest = self.session.feed_identities(frames, copy=False)
            request = self.session.deserialize(rest, content=True, copy=False)
        except Exception:  # the base says what is wrong with it
            return False
        asyncio.ensure_future(self._answer(idents, request))
        return True

    async def _answer(self, idents: Any, request: dict) -> None:
        self._publish_status("busy", "shell", request)
        await self.shell_handlers[request["msg_type"]](self.shell_stream, idents, request)
        self._publish_status("idle", "shell", request)

    async def do_is_complete(self, code: str) -> dict:
        status, indent = self.lines.check_complete(code)
        return {"status": status, "indent": " " * indent} if status == "incomplete" else {"status": status}

    async def do_history(  # type: ignore[override]
        self, hist_access_type: str, output: bool, raw: bool, n: int | None = None, **which: Any
    ) -> dict:
        return {"status": "ok", "history": cells.history(hist_access_type, raw, output, n)}

    async def interrupt_request(self, stream: Any, ident: Any, parent: Any) -> None:
        """Interrupts the cell, and nothing else that the engine does."""
        if self.cell is not None:
            take_back([self.cell])
        self.session.send(stream, "interrupt_reply", {"status": "ok"}, parent, ident=ident)

    async def shutdown_request(self, stream: Any, ident: Any, parent: Any) -> None:
        """Refuses: the engine is the pool's."""
        n = self.engine
        words = f"engine {n} goes on: Client.shutdown({n}) or `pxrun stop` ends it, Client.restart({n}) restarts it"
        self.session.send(self.iopub_socket, "stream", {"name": "stderr", "text": words + "\n"}, parent, ident=self._topic("stream"))
        about = {"status": "error", "ename": "RuntimeError", "evalue": words, "traceback": []}
        self.session.send(stream, "shutdown_reply", {"restart": parent["content"].get("restart", False), **about}, parent, ident=ident)

    def _answered(self, frames: list) -> None:
        """What was typed for input()."""
        with contextlib.suppress(Exception):  # it is no message, or was signed with another key
            _, rest = self.session.feed_identities(frames, copy=False)
            cells.answer(self.session.deserialize(rest, content=True, copy=False)["content"]["value"])

    def pre_handler_hook(self) -> None:
        """Nothing: signals are the main thread's."""

    def post_handler_hook(self) -> None:
        """Nothing."""
