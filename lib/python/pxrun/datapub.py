# SPDX-License-Identifier: BSD-3-Clause
"""What a request sends to its client while it runs: values, and objects that it displays."""
from __future__ import annotations

import pickle

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


def displayed(chunk: bytes) -> dict:
    """An object that a request has displayed, as the metadata's `outputs` have it.

    Returns
    -------
    dict
        data and metadata, by MIME type. If it has a display_id also transient, with that, and update: whether it
        replaces what was displayed with that id. If it cannot be read here, because it has objects of classes
        that are on the engine only, a text that says so.
    """
    try:
        data, metadata, *more = pickle.loads(chunk)
    except Exception as e:
        return {"data": {"text/plain": f"[pxrun: what is displayed here cannot be read: {type(e).__name__}: {e}]"}, "metadata": {}}
    found = {"data": data, "metadata": metadata}
    if more and "display_id" in more[0]:
        found.update(transient=more[0], update=more[1])
    return found


def replace(before: list[dict], new: dict) -> bool:
    """If an object replaces one of those before it, does that; whether it has."""
    found = [one for one in before if new.get("update") and one.get("transient") == new["transient"]]
    for one in found:
        one.update(data=new["data"], metadata=new["metadata"])
    return bool(found)
