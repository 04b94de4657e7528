# SPDX-License-Identifier: BSD-3-Clause
"""What notebooks show of clients, views and results: a picture, beside the text that all others show."""
from __future__ import annotations

from typing import Any

from . import ipython


class Pictured:
    """Has the picture of pictures.py in notebooks, and its repr elsewhere. Neither waits for engines, nor raises."""

    def _repr_html_(self) -> str:
        from . import pictures

        return pictures.html_of(self)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        wanted = include is None or "text/html" in include
        html = {"text/html": self._repr_html_()} if wanted and "text/html" not in (exclude or ()) and _shows_html() else {}
        return {"text/plain": repr(self), **html}


def _shows_html() -> bool:
    """False in IPython's terminal, which would have it made and throw it away."""
    shell = ipython.running()
    return shell is None or "text/html" in shell.display_formatter.active_types
