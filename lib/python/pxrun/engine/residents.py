# SPDX-License-Identifier: BSD-3-Clause
"""What clients have given this engine for their tasks: arrays that tasks refer to, initializers that have run.

Any engine may take a task, also one that was started after the client gave things to all. So a task
names what it needs by a token, and where that is missing, `Absent` asks the client for it.
"""
from __future__ import annotations

import os
from typing import Any, Callable, Iterable

_here: dict[str, Any] = {}
#: Processes of clients that gave values, as far as they can be seen from here.
_givers: set[str] = set()


class Absent(Exception):
    """This engine lacks what a token stands for.

    Attributes
    ----------
    token : str
    pid : int
        The engine's process.
    """

    def __init__(self, token: str) -> None:
        super().__init__(f"the engine lacks {token}")
        self.token, self.pid = token, os.getpid()


def keep(token: str, value: Any) -> int:
    """Takes a value; the id of this process. Values of clients that have ended are forgotten."""
    ended = {giver for giver in _givers if not os.path.exists(f"/proc/{giver}")}
    drop([known for known in _here if giver_of(known) in ended])
    _givers.difference_update(ended)
    if os.path.exists(f"/proc/{giver_of(token)}"):
        _givers.add(giver_of(token))
    _here[token] = value
    return os.getpid()


def giver_of(token: str) -> str:
    """The id of the process that made a token."""
    return token.split("_")[1]


def drop(tokens: Iterable[str]) -> None:
    """Forgets values."""
    for token in tokens:
        _here.pop(token, None)


def begin(token: str, initializer: Callable, initargs: tuple) -> int:
    """Calls an initializer, unless it was called here; the id of this process."""
    if token not in _here:
        initializer(*initargs)
        _here[token] = None
    return os.getpid()


def value_of(token: str) -> Any:
    """What a token stands for; `Absent` if that is not here."""
    try:
        return _here[token]
    except KeyError:
        raise Absent(token) from None


def call_after(token: str, f: Callable, args: tuple, kwargs: dict) -> Any:
    """A call that is to run only where the token's initializer has run."""
    value_of(token)
    return f(*args, **kwargs)
