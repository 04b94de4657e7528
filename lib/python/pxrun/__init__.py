# SPDX-License-Identifier: BSD-3-Clause
"""A pool of Python engines on this machine: IPython's direct interface on shared memory.

    import pxrun

    with pxrun.Cluster(n=4) as rc:
        view = rc[:]
        view['a'] = 5
        view.apply_sync(lambda x: a + x, 37)        # [42, 42, 42, 42]

`Cluster` starts a pool, `Client` attaches to one that runs; indexing a client gives a
`DirectView`. The names are those of ipyparallel.

Modules of the package are imported when a name of theirs is first used, so that a pool can start
while the rest of the client's side is still being imported.
"""
from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ._pxrun import VERSION as __version__

#: The version as numbers.
version_info = tuple(int(part) for part in __version__.split(".") if part.isdigit())

if TYPE_CHECKING:
    from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION

    from . import error
    from .arrays import asarray, empty, empty_like, full, shared, zeros
    from .client.asyncresult import AsyncResult
    from .client.balanced import LoadBalancedView
    from .client.client import Client
    from .client.dependency import Dependency, depend, dependent, require
    from .client.mapresult import AsyncMapResult
    from .client.remotefunction import ParallelFunction, RemoteFunction, parallel, remote
    from .client.view import BroadcastView, DirectView
    from .cluster import Cluster
    from .datapub import publish_data
    from .error import (
        AlreadyDisplayedError,
        ArenaError,
        CannotSend,
        ClosedError,
        CompositeError,
        DependencyTimeout,
        EngineError,
        ImpossibleDependency,
        InvalidDependency,
        IPythonError,
        KernelError,
        NoEnginesRegistered,
        NoPoolError,
        PoolError,
        RemoteError,
        TaskAborted,
        TaskCancelled,
        TaskRejectError,
        TaskTimeout,
        TimeoutError,
        UnmetDependency,
        UnmetDependencyError,
        collect_exceptions,
        unwrap_exception,
        wrap_exception,
    )
    from .manager import ClusterManager
    from .serialize import PrePickled, Reference
    from .util import interactive

#: The module of each public name.
_HOMES = {
    "concurrent.futures": ("ALL_COMPLETED", "FIRST_COMPLETED", "FIRST_EXCEPTION"),  # for wait(return_when=…)
    ".arrays": ("asarray", "empty", "empty_like", "full", "shared", "zeros"),
    ".client.asyncresult": ("AsyncResult",),
    ".client.balanced": ("LoadBalancedView",),
    ".client.client": ("Client",),
    ".client.dependency": ("Dependency", "depend", "dependent", "require"),
    ".client.mapresult": ("AsyncMapResult",),
    ".client.remotefunction": ("ParallelFunction", "RemoteFunction", "parallel", "remote"),
    ".client.view": ("BroadcastView", "DirectView"),
    ".cluster": ("Cluster",),
    ".datapub": ("publish_data",),
    ".manager": ("ClusterManager",),
    ".serialize": ("PrePickled", "Reference"),
    ".util": ("interactive",),
    ".error": (
        "AlreadyDisplayedError", "ArenaError", "CannotSend", "ClosedError", "CompositeError", "DependencyTimeout", "EngineError",
        "ImpossibleDependency", "InvalidDependency", "IPythonError", "KernelError", "NoEnginesRegistered",
        "NoPoolError", "PoolError", "RemoteError", "TaskAborted", "TaskCancelled", "TaskRejectError", "TaskTimeout", "TimeoutError",
        "UnmetDependency", "UnmetDependencyError", "collect_exceptions", "unwrap_exception", "wrap_exception",
    ),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = ["__version__", "error", "version_info", *_HOME]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(importlib.import_module(_HOME[name], __name__), name)
    elif name in ("arrays", "files", "client", "cluster", "datapub", "engine", "error", "manager", "serialize", "util"):
        value = importlib.import_module("." + name, __name__)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
