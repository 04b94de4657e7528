# SPDX-License-Identifier: BSD-3-Clause
"""Values that a request sends to its client while it runs."""
from __future__ import annotations

from . import _pxrun

#: Streams of ``Result.chunks()``.
STDOUT, STDERR, DISPLAY, DATA = 1, 2, 3, 4


def publish_data(data: dict) -> None:
    """In a request: sends values to the client, who finds them in ``AsyncResult.data`` while it runs.

    Parameters
    ----------
    data : dict
        Later values of a key replace earlier ones.
    """
    if not isinstance(data, dict):
        raise TypeError(f"publish_data takes a dict, not {type(data).__name__}")
    from .wire import pickling

    _pxrun.publish(DATA, pickling.dumps(data, in_band=True)[0])
