# SPDX-License-Identifier: BSD-3-Clause
"""The JSON that the command prints of values: ``pxrun map``'s results, and what ``pxrun pull`` and ``gather`` write."""
from __future__ import annotations

import json
from typing import Any


def _plain(value: Any) -> Any:
    """What JSON does not know: numpy's numbers and arrays, sets."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, (set, frozenset)):
        return list(value)
    raise TypeError(f"type {type(value).__name__} has no form in JSON")


def dumps(value: Any) -> str:
    """In one line."""
    return json.dumps(value, default=_plain, ensure_ascii=False)
