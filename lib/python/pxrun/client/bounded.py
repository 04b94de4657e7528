# SPDX-License-Identifier: BSD-3-Clause
"""How much of what engines print a notebook shows: the beginning as it comes, and the end once it is there.

A notebook keeps what a cell prints, and a page shows all of it; a terminal or a file takes any amount.
"""
from __future__ import annotations

import os
import sys
from typing import Any

from ..datapub import STDERR, STDOUT

#: Bytes of the beginning and of the end of what one result's engines print, all of them together.
HEAD, TAIL = 128 << 10, 32 << 10
#: What each has at least, however many there are.
_LEAST_HEAD, _LEAST_TAIL = 1024, 256
#: Less room than for a line counts as none.
_LINE = 256


def in_notebook() -> bool:
    """Whether what is printed here becomes a part of a notebook, or of what shows one."""
    return type(sys.stdout).__module__.startswith("ipykernel.")


def _shares(count: int) -> tuple[int, int]:
    return max(HEAD // count, _LEAST_HEAD), max(TAIL // count, _LEAST_TAIL)


def _note(left_out: int, folder: str) -> str:
    return f"[pxrun: {left_out} bytes are not shown here: {os.path.join(folder, 'log')} has all]\n"


def news(result: Any, i: int) -> list[tuple[int, bytes]]:
    """What result.news(i) gives; in a notebook no more than its share.

    What is behind the share stays where it is until the entry is done, and with it what is displayed there.
    """
    if not in_notebook():
        return result.news(i)
    head, tail = _shares(result.count)
    done = result.done(i)
    room = head - result.told(i)
    found = result.news(i, False, room) if room >= _LINE else []
    if done:
        return found + _end_of(result.news(i), tail, result.folder)
    if found and head - result.told(i) < _LINE:
        stream = next(which for which, _ in reversed(found) if which in (STDOUT, STDERR))
        found.append((stream, b"[pxrun: of what is printed from here on, a notebook shows only the end, when it is there]\n"))
    return found


def _end_of(chunks: list[tuple[int, bytes]], most: int, folder: str) -> list[tuple[int, bytes]]:
    """Chunks without the first lines of what was printed, so that the last so many bytes are left."""
    excess = sum(len(chunk) for which, chunk in chunks if which in (STDOUT, STDERR)) - most
    if excess <= 0:
        return chunks
    found, left_out = [], 0
    for which, chunk in chunks:
        if which in (STDOUT, STDERR) and left_out < excess:
            least = min(excess - left_out, len(chunk))
            cut = chunk.find(b"\n", least - 1) + 1 or least
            left_out += cut
            chunk = chunk[cut:]
            if left_out >= excess:
                chunk = _note(left_out, folder).encode() + chunk
        if chunk:
            found.append((which, chunk))
    return found


def shortened(text: str, count: int, folder: str) -> str:
    """What one of so many engines has printed; in a notebook its beginning and its end."""
    head, tail = _shares(count)
    if not in_notebook() or len(text) <= head + tail:
        return text
    first = text[: text.rfind("\n", 0, head) + 1 or head]
    last = text[text.find("\n", len(text) - tail) + 1 or -tail :]
    left_out = len(text[len(first) : len(text) - len(last)].encode())
    return f"{first}{_note(left_out, folder)}{last}"
