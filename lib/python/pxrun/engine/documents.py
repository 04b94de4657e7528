# SPDX-License-Identifier: BSD-3-Clause
"""What `pxrun push`, `pull`, `scatter` and `gather` have engines do with JSON and text.

The functions are importable, and called by name. Arrays travel as arrays; all else travels as the bytes of a file.
"""
from __future__ import annotations

import json
import sys
from typing import Any

from . import jsontext, neutral, shell


class Refusal(Exception):
    """Its words are for whoever typed the command."""


def _namespace() -> dict[str, Any]:
    return sys.modules["__main__"].__dict__


# --- from files -------------------------------------------------------------


def _read(form: str, data: bytes) -> Any:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise Refusal(f"it is no text in UTF-8: {error.reason} at byte {error.start}") from None
    if form != "json":
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Refusal(f"it is no JSON: {error}") from None


def put(name: str, form: str, data: bytes) -> None:
    """Assigns what a file has: a value of JSON, or a text."""
    _namespace()[name] = _read(form, data)


def put_part(name: str, form: str, data: bytes, engines: list[int]) -> None:
    """Assigns this engine's part, one for each of `engines`, of a list in JSON, or of the lines of a text."""
    items = _read(form, data)
    if isinstance(items, str):
        items = items.removesuffix("\n").split("\n") if items else []
    if not isinstance(items, list):
        raise Refusal(f"it is of type {type(items).__name__}: only lists, lines of text and arrays are cut into parts")
    each, more = divmod(len(items), len(engines))
    index = engines.index(shell.owner().engine_id)
    start = index * each + min(index, more)
    _namespace()[name] = items[start : start + each + (index < more)]


# --- to files ---------------------------------------------------------------


def _value(name: str) -> Any:
    try:
        return _namespace()[name]
    except KeyError:
        raise Refusal(f"{name} is not defined there") from None


def _is_array(value: Any) -> bool:
    numpy: Any = sys.modules.get("numpy")
    return hasattr(numpy, "ndarray") and isinstance(value, numpy.ndarray)


def _json(name: str, value: Any) -> str:
    try:
        return jsontext.dumps(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise Refusal(f"{name} cannot be written as JSON ({error}): --format text gives its repr") from None


def _form(value: Any) -> str:
    return "npy" if _is_array(value) else "text" if isinstance(value, str) else "json"


def give(name: str, form: str) -> list:
    """The form that it has, which is `form` if there is one, and the array, or the bytes of a file."""
    value = _value(name)
    form = form or _form(value)
    if form == "npy":
        if not _is_array(value) or neutral.form(value)[0] != "a":
            kind = f"an array of dtype {value.dtype} and shape {value.shape}" if _is_array(value) else f"of type {type(value).__name__}"
            raise Refusal(f"{name} is {kind}, which is not for a .npy file: --format json or text")
        return [form, value]
    if form == "json":
        text = _json(name, value)
    else:
        text = value if isinstance(value, str) else repr(value)
    return [form, text.encode("utf-8", "backslashreplace")]


def give_part(name: str, form: str) -> list:
    """As give(), of a part of a list: the items without brackets, or lines."""
    value = _value(name)
    if _is_array(value) and form in ("", "npy"):
        return [*give(name, "npy")[:1], b""]  # pulled as an array
    if _is_array(value):
        raise Refusal(f"{name} is an array, and parts of arrays are joined as .npy alone: --format npy, or pull it")
    if form == "npy" or not isinstance(value, list):
        raise Refusal(f"{name} is of type {type(value).__name__}: parts of arrays and of lists are joined")
    if form == "text" or (not form and value and all(isinstance(item, str) for item in value)):
        lines = "".join(f"{item}\n" for item in value)
        return ["text", lines.encode("utf-8", "backslashreplace")]
    return ["json", _json(name, value)[1:-1].encode("utf-8", "backslashreplace")]
