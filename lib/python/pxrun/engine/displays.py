# SPDX-License-Identifier: BSD-3-Clause
"""What code on an engine displays, on its way to the client of the request."""
from __future__ import annotations

import pickle
import sys
from typing import Any

from .. import _pxrun
from ..datapub import DISPLAY

#: A widget lives in the process of a kernel: elsewhere its place would only say that it is not there. It has a text, too.
_WIDGET = "application/vnd.jupyter.widget-view+json"


def forms(data: dict) -> dict:
    """The representations, by MIME type, that a client can show."""
    return {kind: value for kind, value in data.items() if kind != _WIDGET} if len(data) > 1 else data


def send(data: dict, metadata: dict | None, transient: dict | None, update: bool) -> None:
    """Sends an object's representations; if that cannot be, prints what was left out and why.

    Parameters
    ----------
    transient : dict, optional
        With the ``display_id``, if it has one.
    update : bool
        Whether it replaces what was displayed with that id.
    """
    data = forms(data)
    packed = pickle.dumps((data, metadata or {}, transient or {}, update), 5)
    try:
        _pxrun.publish(DISPLAY, packed)
    except Exception as e:
        kinds = [kind for kind in data if kind != "text/plain"] or data
        what = f"{', '.join(map(str, kinds))} of {len(packed) / 1e6:.1f} MB"
        print(f"[pxrun: what is displayed here, {what}, is left out: {e}]", file=sys.stderr)


def flush_figures() -> None:
    """At the end of a request: shows the figures of ``%matplotlib inline`` that it has made, as IPython does after a cell."""
    inline: Any = sys.modules.get("matplotlib_inline.backend_inline")
    if inline is not None:
        inline.flush_figures()
