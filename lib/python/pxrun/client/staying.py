# SPDX-License-Identifier: BSD-3-Clause
"""What classes refuse in words: to be sent, because they belong to one process, and methods of ipyparallel that have no meaning here."""
from __future__ import annotations

from typing import Any, NoReturn


class Staying:
    """The part of a class that refuses to be pickled, in words."""

    #: What to do instead.
    _instead = ""

    def __reduce__(self) -> NoReturn:
        name = type(self).__name__
        raise TypeError(f"{'an' if name[0] in 'AEIO' else 'a'} {name} belongs to the process that made it: {self._instead}")


_NO_HUB = "there is no hub that keeps requests: the ids of this client's are its history, and what is known of one its AsyncResult has"
_DASK = "dask takes the pool as an executor: scheduler=rc.executor()"
_NO_THREAD = "results arrive by themselves"
#: What to use instead of methods of ipyparallel's clients and views.
_INSTEAD = {
    "resubmit": "call the function again; tasks of a load-balanced view that fail are run again as often as its retries say",
    **dict.fromkeys(("db_query", "hub_history"), _NO_HUB),
    **dict.fromkeys(("become_dask", "become_distributed", "stop_dask", "stop_distributed"), _DASK),
    **dict.fromkeys(("spin_thread", "stop_spin_thread"), _NO_THREAD),
}


class Incomplete:
    """The part of clients and views that says what to use instead of a method that they do not have."""

    def __getattr__(self, name: str) -> Any:
        kind = type(self).__name__
        if name in _INSTEAD:
            raise AttributeError(f"a {kind} has no {name}: {_INSTEAD[name]}")
        raise AttributeError(f"{kind!r} object has no attribute {name!r}", name=name, obj=self)
