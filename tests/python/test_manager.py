# SPDX-License-Identifier: BSD-3-Clause
"""ClusterManager, a table of pools."""
import pytest

from pxrun import ClusterManager


def test_manager_makes_and_finds_clusters():
    manager = ClusterManager()
    assert "named" not in manager.load_clusters()
    key, named = manager.new_cluster(profile="named", n=1)
    other_key, private = manager.new_cluster(n=1)
    assert key == "named" and manager.get_cluster(other_key) is private
    with pytest.raises(KeyError, match="named"):
        manager.new_cluster(profile="named")
    with named as rc, private:
        assert manager.load_clusters()["named"] is named  # not found a second time
        other = ClusterManager()
        assert other.load_clusters(profiles=["absent"]) == {} and list(other.load_clusters(profile="named")) == ["named"]
        assert "named" in ClusterManager().load_clusters() and not any("private" in name for name in ClusterManager().load_clusters())
        found = other.get_cluster("named").connect_client_sync()
        rc[0]["a"] = 5
        assert found[0]["a"] == 5
    assert other.load_clusters() == {}
    manager.remove_cluster("named")
    assert "named" not in manager.clusters and other_key in manager.clusters
