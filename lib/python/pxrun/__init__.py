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

if TYPE_CHECKING:  # "as": type checkers take a plain import for the module's own
    from concurrent.futures import ALL_COMPLETED as ALL_COMPLETED
    from concurrent.futures import FIRST_COMPLETED as FIRST_COMPLETED
    from concurrent.futures import FIRST_EXCEPTION as FIRST_EXCEPTION

    from . import error as error
    from .arrays import asarray as asarray
    from .arrays import empty as empty
    from .arrays import empty_like as empty_like
    from .arrays import full as full
    from .arrays import shared as shared
    from .arrays import zeros as zeros
    from .client.asyncresult import AsyncResult as AsyncResult
    from .client.balanced import LoadBalancedView as LoadBalancedView
    from .client.client import Client as Client
    from .client.dependency import Dependency as Dependency
    from .client.dependency import depend as depend
    from .client.dependency import dependent as dependent
    from .client.dependency import require as require
    from .client.mapresult import AsyncMapResult as AsyncMapResult
    from .client.remotefunction import ParallelFunction as ParallelFunction
    from .client.remotefunction import RemoteFunction as RemoteFunction
    from .client.remotefunction import parallel as parallel
    from .client.remotefunction import remote as remote
    from .client.view import BroadcastView as BroadcastView
    from .client.view import DirectView as DirectView
    from .cluster import Cluster as Cluster
    from .datapub import publish_data as publish_data
    from .engine.kernel import bind_kernel as bind_kernel
    from .error import (
        AlreadyDisplayedError as AlreadyDisplayedError,
    )
    from .error import (
        ArenaError as ArenaError,
    )
    from .error import (
        CannotSend as CannotSend,
    )
    from .error import (
        ClosedError as ClosedError,
    )
    from .error import (
        CompositeError as CompositeError,
    )
    from .error import (
        DependencyTimeout as DependencyTimeout,
    )
    from .error import (
        EngineError as EngineError,
    )
    from .error import (
        ImpossibleDependency as ImpossibleDependency,
    )
    from .error import (
        InvalidDependency as InvalidDependency,
    )
    from .error import (
        IPythonError as IPythonError,
    )
    from .error import (
        KernelError as KernelError,
    )
    from .error import (
        NoEnginesRegistered as NoEnginesRegistered,
    )
    from .error import (
        NoPoolError as NoPoolError,
    )
    from .error import (
        PoolError as PoolError,
    )
    from .error import (
        RemoteError as RemoteError,
    )
    from .error import (
        TaskAborted as TaskAborted,
    )
    from .error import (
        TaskCancelled as TaskCancelled,
    )
    from .error import (
        TaskRejectError as TaskRejectError,
    )
    from .error import (
        TaskTimeout as TaskTimeout,
    )
    from .error import (
        TimeoutError as TimeoutError,
    )
    from .error import (
        UnmetDependency as UnmetDependency,
    )
    from .error import (
        UnmetDependencyError as UnmetDependencyError,
    )
    from .error import (
        collect_exceptions as collect_exceptions,
    )
    from .error import (
        unwrap_exception as unwrap_exception,
    )
    from .error import (
        wrap_exception as wrap_exception,
    )
    from .manager import ClusterManager as ClusterManager
    from .serialize import PrePickled as PrePickled
    from .serialize import Reference as Reference
    from .util import interactive as interactive

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
    ".engine.kernel": ("bind_kernel",),
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


def load_ipython_extension(shell: Any) -> None:
    """``%load_ext pxrun`` in IPython: its ``%px`` runs on the engines of the client that was made last, or of the next one."""
    from .client import client, magics

    magics.offer(shell, client.latest())


def __dir__() -> list[str]:
    return sorted(__all__)
