# SPDX-License-Identifier: BSD-3-Clause
"""The beginnings of calls whose function is named, goes by value, or is kept by engines; see lib/python/ext/calling.h.

The arguments follow: the pickle of a tuple, or flat (lib/python/ext/flat.h) and then with keywords. Engines read such a
call in a third of the time that the pickle of (function, arguments, {}) takes, and so does who writes it.
"""
from __future__ import annotations

import functools


@functools.lru_cache(maxsize=1000)
def named(module: str, name: str) -> bytes:
    """Of calls of what a module has under a name."""
    joined = f"{module}\n{name}".encode()
    return b"N" + len(joined).to_bytes(4, "little") + joined


def by_value(code: bytes, name: str, home: str | None, along: bytes = b"") -> bytes:
    """Of calls of a function that goes by value: the arguments of functions.plain_function()."""
    parts = code, name.encode("utf-8", "surrogatepass"), (home or "").encode("utf-8", "surrogatepass"), along
    return b"".join([b"V", *(len(part).to_bytes(4, "little") for part in parts), *parts])


def is_named(body: bytes) -> bool:
    """Whether a call is one of what a module has under a name."""
    return body[:1] == b"N"


def by_token(token: bytes, pickled: bytes) -> bytes:
    """Of calls of a function that engines keep under a token of 16 bytes; without its pickle they must have it already."""
    return b"K" + token + len(pickled).to_bytes(4, "little") + pickled
