# SPDX-License-Identifier: BSD-3-Clause
"""Keywords of ipyparallel's Cluster and Client."""
import warnings

import pytest

from pxrun import Client, Cluster, keywords


@pytest.fixture(autouse=True)
def nothing_warned_of(monkeypatch):
    monkeypatch.setattr(keywords, "_warned", set())


def test_keywords_without_meaning_are_ignored_and_named_once(pool):
    ignored = {"log_level": 10, "delay": 0, "controller_ip": "*", "profile_dir": None}
    with pytest.warns(UserWarning, match="^Cluster ignores log_level, delay, controller_ip: that have no meaning") as told:
        Cluster(n=1, **ignored)
    assert [w.filename for w in told] == [__file__]
    with pytest.warns(UserWarning, match="^Client ignores context: that has no meaning") as told:
        Client(pool.connection_file, context=object()).close()
    assert [w.filename for w in told] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Cluster(n=1, **ignored)
        Client(pool.connection_file, context=object(), debug=None).close()


def test_keywords_that_mean_what_is_done_anyway(pool):
    class LocalEngineSetLauncher:
        pass

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Cluster(n=1, engines="local", controller="Local", engine_launcher_class=LocalEngineSetLauncher, profile="", cluster_id="")
        Cluster(n=1, engine_launcher_class="ipyparallel.cluster.launcher.LocalEngineSetLauncher", engines=None)
        Client(pool.connection_file, sshserver=None, password="", paramiko=False).close()
        with Client(url_file=pool.connection_file) as rc:
            assert rc.ids == pool.ids
        with Client(cluster=pool.cluster) as rc:
            assert rc.ids == pool.ids and rc.cluster is pool.cluster
        with Client(cluster_id=pool.profile) as rc:
            assert rc.ids == pool.ids


@pytest.mark.parametrize("make, words", [
    (lambda: Cluster(engines="ssh"), "engines='ssh': pxrun starts engines on this machine.*only be 'local' or 'mpi'$"),
    (lambda: Cluster(controller="mpi"), "controller='mpi': pxrun starts engines on this machine.*only be 'local'$"),
    (lambda: Cluster(controller_launcher_class="ssh"), "controller_launcher_class='ssh'"),
    (lambda: Client(sshserver="me@there"), "sshserver='me@there': .*this machine only"),
    (lambda: Cluster(profile="a", cluster_id="b"), "one name: give profile='a' or cluster_id='b'"),
    (lambda: Client(profile="a", cluster_id="b"), "one name"),
])
def test_what_asks_for_another_machine_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_other_keywords_are_type_errors():
    with pytest.raises(TypeError, match="nonsense"):
        Client(nonsense=1)
    with pytest.raises(TypeError, match="nonsense"):
        Cluster(nonsense=1)
    with pytest.raises(TypeError, match="did you mean 'n'"):
        Cluster(engines=4)
