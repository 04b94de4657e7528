# SPDX-License-Identifier: BSD-3-Clause
"""What the kernel of an engine (channels.py) has the engine's main thread do: cells, completions, questions about names.

They are requests as any other, of a client in the engine's own process. So they take turns with those
of others, and their output, interrupts and ends are those of requests. What a cell shows is sent as a
displayed object, which is a pair: the type of Jupyter's message, and its content as JSON.
"""
from __future__ import annotations

import builtins
import concurrent.futures
import contextlib
import getpass
import pickle
import re
import sys
from typing import Any, Iterator

from .. import _pxrun
from ..datapub import DISPLAY
from . import shell

LEAVE = "the engine goes on: a console is left by exit or Ctrl-D, and `pxrun stop` ends the engines"

_EXIT = re.compile(r"\s*(exit|quit)\s*(\(\s*\))?\s*$")

_running = False
_traceback: list[str] = []  # of the last error of the cell
_colours = "Neutral"  # of cells: the output of requests has none
_answer: concurrent.futures.Future | None = None  # of input()


def running() -> bool:
    """Whether it is a cell that runs, and no request of others."""
    return _running


# --- what a cell sends --------------------------------------------------------


def send(kind: str, content: dict) -> None:
    """Sends a message of Jupyter's to those who look at the kernel, after what was printed."""
    from ipykernel.jsonutil import encode_images, json_clean
    from jupyter_client.session import json_packer

    for name in ("stdout", "stderr"):
        with contextlib.suppress(Exception):  # code may have put anything there, or closed it
            getattr(sys, name).flush()
    if "data" in content:
        content["data"] = encode_images(content["data"])
    _pxrun.publish(DISPLAY, pickle.dumps((kind, json_packer(json_clean(content))), 5))


def send_error(etype: type, evalue: Any, lines: list[str]) -> None:
    """Sends an error, of which the reply has the same."""
    global _traceback
    _traceback = lines
    send("error", {"ename": etype.__name__, "evalue": str(evalue), "traceback": lines})


def _ask(prompt: Any = "", password: bool = False) -> str:
    """Asks whoever typed the cell."""
    global _answer
    _answer = concurrent.futures.Future()
    try:
        send("input_request", {"prompt": str(prompt), "password": password})
        answer = _answer.result()
    finally:
        _answer = None
    if answer == "\x04":
        raise EOFError
    return answer


def _ask_password(prompt: str = "Password: ", stream: Any = None, **options: Any) -> str:
    return _ask(prompt, password=True)


def answer(text: str) -> None:
    """Is called by the kernel's thread."""
    asked = _answer
    if asked is not None and not asked.done():
        asked.set_result(text)


# --- cells -------------------------------------------------------------------


@contextlib.contextmanager
def _in_colour(ip: Any) -> Iterator[None]:
    """In a with statement: IPython's colours, as they were last chosen in a cell."""
    global _colours
    plain = ip.colors
    ip.run_line_magic("colors", _colours)
    try:
        yield
    finally:
        _colours = ip.colors
        ip.run_line_magic("colors", plain)


@contextlib.contextmanager
def _cell(ip: Any, allow_stdin: bool) -> Iterator[None]:
    """In a with statement: it is a cell that runs."""
    global _running, _traceback
    kept = builtins.input, getpass.getpass
    _traceback = []
    ip.payload_manager.clear_payload()
    try:
        _running = True
        if allow_stdin:
            builtins.input, getpass.getpass = _ask, _ask_password  # type: ignore[assignment]
        with _in_colour(ip):
            yield
    finally:
        _running = False
        builtins.input, getpass.getpass = kept


def _number(ip: Any, count: int) -> None:
    """Gives what comes next its number, and has In and ``_`` agree with what requests have executed."""
    ip.execution_count = count
    for inputs in (ip.history_manager.input_hist_parsed, ip.history_manager.input_hist_raw):
        inputs.extend([""] * (count - len(inputs)))
    # requests have set it as well; if it is not IPython's own, that takes it for the user's
    for name in ("_", "__", "___"):
        setattr(ip.displayhook, name, ip.user_ns.get(name, ""))


def run(code: str, silent: bool, store_history: bool, expressions: dict, allow_stdin: bool) -> dict:
    """Runs a cell; the content of its reply."""
    ip = shell.get()
    with _cell(ip, allow_stdin):
        _number(ip, shell.owner().count + 1)
        if not silent:
            send("execute_input", {"code": code, "execution_count": ip.execution_count})
        if _leaves(code):
            print(LEAVE)
            ip.payload_manager.write_payload({"source": "ask_exit", "keepkernel": True})
            code = ""
        done = ip.run_cell(code, store_history=store_history, silent=silent)
        shell.owner().count = ip.execution_count - 1
        error = done.error_before_exec or done.error_in_exec
        reply = {
            "status": "ok",
            "execution_count": shell.owner().count,
            "user_expressions": ip.user_expressions(expressions) if error is None else {},
            "payload": ip.payload_manager.read_payload(),
        }
        if error is not None:
            reply.update(status="error", ename=type(error).__name__, evalue=str(error), traceback=_traceback)
        return reply


def _leaves(code: str) -> bool:
    """Whether code is what ends a prompt of IPython's."""
    found = _EXIT.match(code)
    return found is not None and found[1] not in sys.modules["__main__"].__dict__


def keep(count: int, code: str, value: Any) -> None:
    """Puts what a request has executed, and its value, into In and Out."""
    ip = shell.get()
    _number(ip, count)
    ip.history_manager.store_inputs(count, code)
    if value is not None:
        outputs = ip.user_ns["_oh"]
        if len(outputs) >= ip.displayhook.cache_size > 0:
            ip.displayhook.cull_cache()
        outputs[count] = ip.user_ns[f"_{count}"] = value


# --- completion, questions ------------------------------------------------------


def complete(code: str, at: int) -> dict:
    """The content of a reply with completions, and what kinds of things they are."""
    from IPython.core.completer import provisionalcompleter, rectify_completions

    with provisionalcompleter():
        found = list(rectify_completions(code, shell.get().Completer.completions(code, at)))
    kinds = [{name: getattr(one, name) for name in ("start", "end", "text", "type", "signature")} for one in found]
    return {
        "status": "ok",
        "matches": [one.text for one in found],
        "cursor_start": found[0].start if found else at,
        "cursor_end": found[0].end if found else at,
        "metadata": {"_jupyter_types_experimental": kinds},
    }


def inspect(code: str, at: int, detail: int, omit: Any) -> dict:
    """The content of a reply that says what a name is."""
    from IPython.utils.tokenutil import token_at_cursor

    ip = shell.get()
    with _in_colour(ip):
        try:
            data = ip.object_inspect_mime(token_at_cursor(code, at), detail_level=detail, omit_sections=omit)
        except KeyError:
            data = {}
    return {"status": "ok", "found": bool(data), "data": data, "metadata": {}}


def history(access: str, raw: bool, output: bool, n: int | None) -> list:
    """What was typed and executed here, oldest first; called by the kernel's thread."""
    entries = shell.get().history_manager.get_range(0, raw=raw, output=output)
    found = [entry for entry in entries if (entry[2][0] if output else entry[2])]
    return found[-n:] if access == "tail" and n else found
