# SPDX-License-Identifier: BSD-3-Clause
"""Calls as bytes and buffers: the body of APPLY requests; says what part of a call cannot be pickled."""
from __future__ import annotations

from typing import Any

from .. import serialize
from . import failure, pickling


def name_of(f: Any) -> str:
    return getattr(f, "__name__", None) or type(f).__name__


def dumps(f: Any, args: tuple, kwargs: dict, bring: bool) -> tuple[bytes, list | None]:
    """The pickle of a call and its buffers; TypeError, naming the part, if it cannot be sent. bring: see pickling.dumps()."""
    if not callable(f) and type(f) not in (serialize.Reference, serialize.PrePickled):
        raise TypeError(f"f must be callable, and {f!r} is not")
    try:
        plain = pickling.dumps_plainly(f, args, kwargs, bring)
        if plain is not None:
            return plain
        if type(f) is serialize.Reference or serialize.holds(args, kwargs):
            return pickling.dumps((serialize.call_resolved, (f, args, kwargs), {}), bring=bring)
        return pickling.dumps((f, args, kwargs), bring=bring)
    except Exception as e:
        culprit = _culprit(f, args, kwargs)
        if culprit is None:
            raise  # not pickle's: a signal handler's, which came meanwhile
        raise TypeError(f"{culprit} cannot be sent: {failure.words(e)}") from e


def _culprit(f: Any, args: tuple, kwargs: dict) -> str | None:
    """Which part of a call cannot be pickled, in words; None: all of them can."""
    parts = [(f"the function {name_of(f)}", f)]
    parts += [(f"argument {i + 1} of {name_of(f)}", a) for i, a in enumerate(args)]
    parts += [(f"argument {k!r} of {name_of(f)}", a) for k, a in kwargs.items()]
    for what, part in parts:
        try:
            pickling.dumps(part)
        except Exception:
            return f"{what}, of type {type(part).__name__},"
    return None
