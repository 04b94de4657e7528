# SPDX-License-Identifier: BSD-3-Clause
"""A pool of Python engines on this machine: IPython's direct interface on shared memory.

    import pxrun

    with pxrun.Cluster(n=4) as rc:
        view = rc[:]
        view['a'] = 5
        view.apply_sync(lambda x: a + x, 37)        # [42, 42, 42, 42]

`Cluster` starts a pool, `Client` attaches to one that runs; indexing a client gives a
`DirectView`. The names are those of ipyparallel.
"""
from . import error
from ._pxrun import VERSION as __version__
from .client.asyncresult import AsyncMapResult, AsyncResult
from .client.client import Client
from .client.reference import Reference
from .client.remotefunction import ParallelFunction, RemoteFunction, parallel, remote
from .client.view import DirectView
from .cluster import Cluster
from .error import CompositeError, EngineError, RemoteError, TimeoutError

__all__ = [
    "AsyncMapResult",
    "AsyncResult",
    "Client",
    "Cluster",
    "CompositeError",
    "DirectView",
    "EngineError",
    "ParallelFunction",
    "Reference",
    "RemoteError",
    "RemoteFunction",
    "TimeoutError",
    "__version__",
    "error",
    "parallel",
    "remote",
]
