# SPDX-License-Identifier: BSD-3-Clause
"""ClusterManager, a table of pools by their names."""
from __future__ import annotations

import itertools
from typing import Any, Iterable

from . import _pxrun, error
from .cluster import Cluster


class ClusterManager:
    """Clusters by name: those made here, and pools of this user that run already.

    Attributes
    ----------
    clusters : dict of str to Cluster
        The key is the pool's profile; of a private one it is made up.
    """

    def __init__(self) -> None:
        self.clusters: dict[str, Cluster] = {}
        self._numbers = itertools.count(1)

    def load_clusters(self, *, profiles: Iterable[str] | None = None, profile: str | None = None) -> dict[str, Cluster]:
        """Finds pools that run; returns `clusters`, without those that have ended.

        Private pools belong to the process that started them, and are not found.

        Parameters
        ----------
        profiles : iterable of str, optional
            The names to look for; default all.
        profile : str, optional
            The same for one name.
        """
        for key, cluster in list(self.clusters.items()):
            if cluster._running and not cluster.is_running():
                del self.clusters[key]
        asked = None if profiles is None and profile is None else {*(profiles or ()), *([profile] if profile else ())}
        for name in _pxrun.pools():
            if not name.startswith("private-") and name not in self.clusters and (asked is None or name in asked):
                self._load(name)
        return self.clusters

    def _load(self, name: str) -> None:
        try:
            self.clusters[name] = Cluster.from_file(profile=name)
        except error.PoolError:
            pass  # it ends, or is about to start

    def new_cluster(self, **settings: Any) -> tuple[str, Cluster]:
        """A new Cluster, not started yet, and its key; KeyError if there is one of that profile."""
        cluster = Cluster(**settings)
        key = cluster.profile or f"private-{next(self._numbers)}"
        if key in self.clusters:
            raise KeyError(f"there is a cluster {key!r} already")
        self.clusters[key] = cluster
        return key, cluster

    def get_cluster(self, key: str) -> Cluster:
        """The cluster of a key; KeyError."""
        return self.clusters[key]

    def remove_cluster(self, key: str) -> None:
        """Forgets a cluster; a pool of a profile goes on if it runs."""
        del self.clusters[key]
