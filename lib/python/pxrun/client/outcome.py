# SPDX-License-Identifier: BSD-3-Clause
"""Turns replies, as the extension gives them, into values and exceptions."""
from __future__ import annotations

import functools
import pickle
from typing import Any, Callable, Sequence

from .. import _pxrun
from ..wire import failure, pickling, values
from . import advice

#: (value, None) or (None, exception).
Outcome = tuple[Any, "BaseException | None"]


def unpickle(body: bytes, buffers: list | None) -> Any:
    """What a call returned."""
    return pickling.loads(body, buffers or ())


def engine_uuid(core: Any, engine: int) -> str:
    """A name for an engine that is unique among all pools; empty once the client is closed."""
    import uuid

    try:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{core.folder}/{core.supervisor_pid}/{engine}"))
    except ConnectionError:
        return ""


def _info(core: Any, engine: int | None, method: str) -> dict:
    """The engine_info of an exception; engine: None if no engine has begun it."""
    known = {} if engine is None else {"engine_id": engine, "engine_uuid": engine_uuid(core, engine)}
    return {**known, "method": method}


def outcome_of(
    code: int, body: Any, buffers: list | None, engine: int | None, core: Any, decode: Callable = unpickle, known: dict | None = None
) -> Outcome:
    """(value, None) or (None, exception) for a reply.

    Parameters
    ----------
    code, body, buffers
        As Result.reply() has them.
    engine : int or None
        The id of the engine that replied; None: no engine had begun it.
    core : _pxrun.Client
        The client that sent the request.
    decode : callable
        Makes a value of a body and its buffers.
    known : dict, optional
        The globals of the function that was sent, see `advice.names_seen_by`.
    """
    if code == 0:
        try:
            return decode(body, buffers), None
        except BaseException as e:
            if failure.may_be_ctrl_c(e):
                raise
            return None, unreadable(e, engine, core)
    from .. import error

    if code != _pxrun.EREMOTE:
        return None, error.from_words(code, body, _info(core, engine, "apply"))
    *described, method = values.decode(body)
    return None, remote_error(described, engine, core, method, known)


def unreadable(e: BaseException, engine: int | None, core: Any) -> BaseException:
    """The exception of a result that cannot be unpickled."""
    bad: Any = TypeError(f"the result of engine {engine} cannot be unpickled here: {failure.words(e)}")
    bad.__cause__ = e
    bad.engine_info = _info(core, engine, "apply")
    return bad


def remote_error(described: Sequence, engine: int | None, core: Any, method: str, known: dict | None) -> BaseException:
    """The exception of what an engine described by `failure.describe`; for the other arguments see `outcome_of`."""
    from .. import error

    ename, evalue, traceback, pickled = described
    made = error.remote_error(ename, evalue, failure.with_source(traceback), _info(core, engine, method), pickled)
    made.hint = advice.on(ename, evalue, known)
    return made


# --- execute() ---------------------------------------------------------------


#: The methods by which frontends ask an object how to show it.
_FORMS = {
    "_repr_html_": "text/html",
    "_repr_markdown_": "text/markdown",
    "_repr_latex_": "text/latex",
    "_repr_svg_": "image/svg+xml",
    "_repr_png_": "image/png",
    "_repr_jpeg_": "image/jpeg",
    "_repr_json_": "application/json",
    "_repr_javascript_": "application/javascript",
    "_repr_pdf_": "application/pdf",
}


class ExecuteReply:
    """The result of executed code: the value of its last expression, and its output.

    Attributes
    ----------
    engine_id : int
    execution_count : int
        How many pieces of code this engine has executed.
    execute_result : dict or None
        The last expression's value as ``{"data": {mime type: …}, "metadata": {}}``; None with
        ``silent=True``.
    stdout, stderr, outputs, …
        All other keys of `metadata`.
    """

    def __init__(self, engine_id: int | None, count: int, text: str | None, data: dict, metadata: dict, read: Callable[[], dict]) -> None:
        self.engine_id = engine_id
        self.execution_count = count
        if text is not None:
            data = {"text/plain": text, **data}
        self.execute_result: dict[str, Any] | None = {"data": data, "metadata": metadata, "execution_count": count} if data else None
        self._read = read

    @property
    def metadata(self) -> dict[str, Any]:
        """When and where the code ran, and what it printed: the Metadata of the AsyncResult."""
        return self._read()

    @property
    def text(self) -> str | None:
        """The value as text, None if there is none."""
        return self.data.get("text/plain", "") if self.execute_result else None

    @property
    def data(self) -> dict[str, Any]:
        """The value's representations by MIME type."""
        return self.execute_result["data"] if self.execute_result else {}

    def _form(self, mime: str) -> Any:
        """The representation of a MIME type, with its metadata if it has some; None if there is none."""
        if mime not in self.data:
            return None
        about = self.execute_result["metadata"].get(mime)  # type: ignore[index]
        return self.data[mime] if about is None else (self.data[mime], about)

    def __getattr__(self, name: str) -> Any:
        if name in _FORMS:
            return functools.partial(self._form, _FORMS[name])
        found = {} if name.startswith("_") else self._read()
        if name not in found:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return found[name]

    def __getitem__(self, key: str) -> Any:
        return getattr(self, key) if key in ("execution_count", "execute_result", "engine_id") else self._read()[key]

    def __repr__(self) -> str:
        text = self.text or ""
        if len(text) > 32:
            text = text[:29] + "..."
        return f"<ExecuteReply[{self.execution_count}]: {text}>"

    def pretty(self) -> str:
        """As a prompt shows it: ``Out[engine:count]: value``."""
        text = self.text or ""
        return f"Out[{self.engine_id}:{self.execution_count}]: {'' if chr(10) not in text else chr(10)}{text}"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(self.pretty() if self.execute_result else "")

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict, dict]:
        if not self.execute_result:
            return {"text/plain": ""}, {}
        return {**self.data, "text/plain": self.pretty()}, self.execute_result["metadata"]


def execute_reply(body: bytes, engine: int | None, read: Callable[[], dict]) -> ExecuteReply:
    """The ExecuteReply made of a reply: execution count, the value as text, perhaps a pickle of (data, metadata)."""
    count, text, *rich = values.decode(body)
    data, metadata = pickle.loads(rich[0]) if rich and rich[0] else ({}, {})
    return ExecuteReply(engine, count, text, data, metadata, read)
