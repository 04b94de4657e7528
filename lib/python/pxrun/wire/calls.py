# SPDX-License-Identifier: BSD-3-Clause
"""Calls as bytes and buffers: the body of APPLY requests; says what part of a call cannot be pickled."""
from __future__ import annotations

from typing import Any

from .. import serialize
from . import failure, foreign, pickling


def name_of(f: Any) -> str:
    return getattr(f, "__name__", None) or type(f).__name__


def dumps(f: Any, args: tuple, kwargs: dict, bring: bool, library: str | None = None) -> tuple[bytes, list | None]:
    """The pickle of a call and its buffers; TypeError, naming the part, if it cannot be sent.

    Parameters
    ----------
    bring : bool
        See pickling.dumps().
    library : str, optional
        What pickles the call and its result, see `foreign`.
    """
    if not callable(f) and type(f) not in (serialize.Reference, serialize.PrePickled):
        raise TypeError(f"f must be callable, and {f!r} is not")
    try:
        plain = pickling.dumps_plainly(f, args, kwargs, bring) if library is None else None
        if plain is not None:
            return plain
        call: tuple = f, args, kwargs
        if type(f) is serialize.Reference or serialize.holds(args, kwargs):
            call = serialize.call_resolved, call, {}
        if library is not None:
            call = foreign.call, (library, foreign.By(library, call)), {}
        return pickling.dumps(call, bring=bring)
    except Exception as e:
        culprit = _culprit(f, args, kwargs, library)
        if culprit is None:
            raise  # not pickle's: a signal handler's, which came meanwhile
        raise TypeError(f"{culprit} cannot be sent: {failure.words(e)}") from e


def _culprit(f: Any, args: tuple, kwargs: dict, library: str | None) -> str | None:
    """Which part of a call cannot be pickled, in words; None: all of them can."""
    parts = [(f"the function {name_of(f)}", f)]
    parts += [(f"argument {i + 1} of {name_of(f)}", a) for i, a in enumerate(args)]
    parts += [(f"argument {k!r} of {name_of(f)}", a) for k, a in kwargs.items()]
    for what, part in parts:
        try:
            pickling.dumps(part if library is None else foreign.By(library, part))
        except Exception:
            return f"{what}, of type {type(part).__name__},"
    return None
