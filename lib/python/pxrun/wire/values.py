# SPDX-License-Identifier: BSD-3-Clause
"""The neutral encoding of lib/link/message.h, for the few kinds that errors and replies to code consist of."""
from __future__ import annotations

import struct


def encode(values) -> bytes:
    """None, int, str and bytes, one after the other."""
    parts = []
    for value in values:
        if value is None:
            parts.append(b"N")
        elif isinstance(value, int):
            parts.append(struct.pack("<cq", b"i", value))
        else:
            raw = value if isinstance(value, bytes) else value.encode("utf-8", "backslashreplace")
            tag = b"b" if isinstance(value, bytes) else b"s"
            parts += [struct.pack("<cQ", tag, len(raw)), raw]
    return b"".join(parts)


def decode(body) -> list:
    """The inverse of encode()."""
    body = bytes(body)
    values: list = []
    at = 0
    while at < len(body):
        tag = body[at : at + 1]
        at += 1
        if tag == b"N":
            values.append(None)
        elif tag == b"i":
            values.append(struct.unpack_from("<q", body, at)[0])
            at += 8
        elif tag in (b"s", b"b"):
            (length,) = struct.unpack_from("<Q", body, at)
            at += 8
            raw = body[at : at + length]
            if len(raw) < length:
                raise ValueError("a value ends in the middle")
            values.append(raw if tag == b"b" else raw.decode())
            at += length
        else:
            raise ValueError(f"a value of kind {tag!r}")
    return values
