# SPDX-License-Identifier: BSD-3-Clause
"""Calls and results that another library pickles: 'dill', or 'cloudpickle' in its own way.

A view chooses it, for its own requests only. A call then names the library, and the engine
pickles that call's result by it; neither process remembers the choice.
"""
from __future__ import annotations

import importlib
import pickle
from typing import Any

from .functions import VERSION, check_version
from .pickling import Buffers


def check(name: str | None) -> None:
    """ImportError if the library is not installed in this process; None stands for pxrun's own picklers."""
    if name is not None:
        importlib.import_module(name)


class By:
    """Replaces an object in one of our pickles: the library pickles it whole, and unpickles it."""

    __slots__ = ("name", "value")

    def __init__(self, name: str, value: Any) -> None:
        self.name, self.value = name, value

    def __reduce_ex__(self, protocol: Any) -> tuple:
        library, buffers = importlib.import_module(self.name), Buffers(False)
        if self.name == "dill":  # it has no buffers
            return _read, (self.name, library.dumps(self.value, 4), [], VERSION)
        body = library.dumps(self.value, 5, buffer_callback=buffers)
        return _read, (self.name, body, [pickle.PickleBuffer(buffer) for buffer in buffers.found], VERSION)


def _read(name: str, body: bytes, buffers: list, version: bytes) -> Any:
    check_version(version)
    loads = importlib.import_module(name).loads
    return loads(body, buffers=buffers) if buffers else loads(body)


def call(name: str, parts: tuple) -> Any:
    """Runs on the engine: a call whose result goes back by the same library."""
    f, args, kwargs = parts
    value = f(*args, **kwargs)
    return None if value is None else By(name, value)
