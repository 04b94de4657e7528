# SPDX-License-Identifier: BSD-3-Clause
"""The client: engines, history, waits, queues, signals."""
import asyncio
import concurrent.futures
import gc
import json
import os
import select
import signal
import threading

import pytest

import pxrun
from pxrun import Client, EngineError, NoPoolError, RemoteError, TaskAborted


@pytest.fixture
def rc():
    """Three engines of their own, for tests that change them."""
    with pxrun.Cluster(n=3) as client:
        yield client


@pytest.fixture
def gate(new_gate):
    return new_gate()


# --- attaching


def test_ctor_takes_path_dict_and_profile(pool):
    path = pool.connection_file
    with open(path) as file:
        info = json.load(file)
    for found in (Client(path), Client(info), Client(profile=pool.profile)):
        with found:
            assert found.ids == [0, 1, 2, 3]
            assert found.cluster is None


def test_ctor_refuses_urls_and_foreign_dicts():
    with pytest.raises(ValueError, match="URL"):
        Client("tcp://127.0.0.1:1234")
    with pytest.raises(ValueError, match="no profile name"):
        Client(profile="a/b")
    with pytest.raises(ValueError, match="socket"):
        Client({"url": "x"})


def test_ctor_waits_for_the_pool(tmp_path, monkeypatch):
    begun = threading.Event()
    found = []

    def attach():
        begun.set()
        found.append(Client(profile="comes-later", timeout=20))

    thread = threading.Thread(target=attach)
    thread.start()
    begun.wait()
    with pxrun.Cluster(n=1, profile="comes-later"):
        thread.join(20)
        assert found[0].ids == [0]
        found[0].close()


def test_ctor_says_that_it_waits(capsys):
    with pytest.raises(NoPoolError, match="pxrun start"):
        Client(profile="comes-never", timeout=0.05)
    assert "Waiting up to 0.05 seconds" in capsys.readouterr().err
    with pytest.raises(OSError):
        Client(profile="comes-never", timeout=0)
    assert capsys.readouterr().err == ""


def test_second_process_attaches(pool):
    view = pool[0]
    view["shared"] = 5
    pool.wait()
    with Client(pool.connection_file) as other:
        assert other[0]["shared"] == 5


def test_block_is_copied_into_new_views(pool):
    with Client(pool.connection_file) as client:
        before = client[:]
        client.block = True
        assert before.block is False and client[:].block is True


# --- engines


def test_ids_is_a_copy(pool):
    pool.ids.append(99)
    assert pool.ids == [0, 1, 2, 3]


def test_len_and_iter(pool):
    assert len(pool) == 4
    assert [view.targets for view in pool] == [0, 1, 2, 3]


def test_ids_are_never_reused(rc):
    rc.shutdown(1)
    assert rc.ids == [0, 2]
    assert [view.targets for view in rc] == [0, 2]
    rc.cluster.start_engines_sync(1)
    assert rc.ids == [0, 2, 3]
    assert rc[-1].targets == 3 and rc[1:].targets == [2, 3] and rc[2].targets == 2
    with pytest.raises(IndexError, match="no longer an engine 1: it was removed; the live ones are 0, 2, 3"):
        rc[1]


@pytest.mark.parametrize("key, targets", [
    (0, 0), (-1, 3), (slice(1, 3), [1, 2]), (slice(None, None, 2), [0, 2]), ([0, 2], [0, 2]), ((3, 1), [3, 1]),
    (range(2), [0, 1]), ([-1], [3]),
])
def test_indexing(pool, key, targets):
    assert pool[key].targets == targets


@pytest.mark.parametrize("key", ["a", None, 1.5, {0}])
def test_indexing_by_other_types(pool, key):
    with pytest.raises(TypeError):
        pool[key]


def test_direct_view_all_is_lazy(rc):
    lazy, frozen = rc.direct_view("all"), rc.direct_view(None)
    assert lazy.targets == "all" and frozen.targets == [0, 1, 2]
    rc.cluster.start_engines_sync(1)
    assert len(lazy) == 4 and len(frozen) == 3
    assert len(lazy.apply_sync(os.getpid)) == 4


def test_engines_generation_counts_restarts(rc):
    assert rc.engines[1].generation == 0
    pid = rc.engines[1].pid
    rc[1]["kept"] = 1
    rc.shutdown(1, restart=True)
    rc.wait_for_engines(3, timeout=20)
    assert rc.ids == [0, 1, 2]
    assert rc.engines[1].generation == 1 and rc.engines[1].pid != pid
    with pytest.raises(NameError):
        rc[1]["kept"]


def test_wait_for_engines(rc):
    assert rc.wait_for_engines() is None
    assert rc.wait_for_engines(2, timeout=1) is None
    assert rc.wait_for_engines(2, block=False).done()
    with pytest.raises(TimeoutError, match=r"5 engines not ready in 0.05 seconds. Currently ready: 3"):
        rc.wait_for_engines(5, timeout=0.05)
    future = rc.wait_for_engines(4, block=False)
    assert isinstance(future, concurrent.futures.Future)
    rc.cluster.start_engines_sync(1)
    assert future.result(20) is None


def test_wait_for_engines_ends_when_one_is_gone_for_good():
    with pxrun.Cluster(n=3, restart="never") as rc:
        waiting = rc.wait_for_engines(4, block=False)
        with pytest.raises(EngineError):
            rc[1].apply_sync(os._exit, 7)
        for wait in (waiting.result, rc.wait_for_engines, lambda: rc.wait_for_engines(3, timeout=20)):
            with pytest.raises(EngineError, match=r"[34] engines will not be ready: 2 are left, and engine 1 .* code 7; .*start_engines\(1\)"):
                wait()
        assert rc.wait_for_engines(2) is None
        rc.cluster.start_engines_sync(1)
        assert rc.wait_for_engines() is None


def test_wait_for_engines_goes_on_where_engines_were_only_removed(rc):
    n = len(rc)
    rc.shutdown(rc.ids[-1])
    future = rc.wait_for_engines(n, block=False)
    rc.cluster.start_engines_sync(1)
    assert future.result(20) is None


def test_view_that_names_a_dead_engine_lists_the_live_ones(rc):
    view, one = rc[:], rc[1]
    rc.shutdown(1)
    for use in (lambda: view.apply_async(os.getpid), lambda: one.apply_sync(os.getpid), lambda: view.scatter("a", [1])):
        with pytest.raises(EngineError, match="no .*engine 1: it was removed; the live ones are"):
            use()


# --- requests


def test_history_has_one_id_for_each_engine(pool):
    with Client(pool.connection_file) as client:
        assert client.history == []
        ar = client[:].apply_async(os.getpid)
        assert client.history == ar.msg_ids and len(set(client.history)) == 4
        client[1].apply_async(os.getpid)
        assert len(client.history) == 5


def test_outstanding(pool, gate):
    ar = pool[0].execute(gate.code(), block=False)
    assert ar.msg_ids[0] in pool.outstanding
    gate.open()
    ar.get(10)
    assert ar.msg_ids[0] not in pool.outstanding


def test_results_live_in_their_AsyncResult_and_nowhere_else(pool, gate):
    ar = pool[0].execute(gate.code(), block=False)
    msg_id = ar.msg_ids[0]
    assert pool.results[msg_id] is ar and pool.metadata[msg_id].engine_id == 0
    gate.open()
    ar.get(10)
    assert msg_id not in pool.results and msg_id not in pool.metadata
    assert pool.metadata[msg_id].engine_id is None
    assert pool.get_result(msg_id) is ar
    del ar
    gc.collect()
    assert msg_id not in pool.results and msg_id in pool.history
    with pytest.raises(KeyError, match="lives in its AsyncResult"):
        pool.get_result(msg_id)
    assert pool.wait(msg_id) is True


def test_wait_takes_every_kind_of_job(pool):
    ar = pool[:].apply_async(os.getpid)
    foreign = concurrent.futures.Future()
    foreign.set_result(1)
    for jobs in (None, ar, ar.msg_ids, ar.msg_ids[0], -1, [-1, -2], [ar, foreign], foreign, "unknown", []):
        assert pool.wait(jobs, 10) is True
    for jobs in (5.5, [None], object()):
        with pytest.raises(TypeError):
            pool.wait(jobs)
    with pytest.raises(IndexError):
        pool.wait(10**9)


def test_wait_returns_False_at_its_timeout(pool, gate):
    ar = pool[0].execute(gate.code(), block=False)
    assert pool.wait(timeout=0.01) is False
    assert pool.wait(ar, 0) is False
    assert pool.wait([concurrent.futures.Future()], 0.01) is False
    gate.open()
    assert pool.wait(timeout=10) is True and ar.ready()


def test_wait_also_waits_for_what_nobody_holds(pool, gate):
    pool[0].execute(gate.code() + "\nafter_the_gate = 1", block=False)
    gc.collect()
    assert pool.wait(timeout=0.01) is False
    gate.open()
    assert pool.wait(timeout=10) is True
    assert pool[0]["after_the_gate"] == 1


def test_get_result(pool):
    one, both = pool[0].apply_async(abs, -1), pool[:2].apply_async(abs, -2)
    assert pool.get_result().get(10) == 2 or pool.get_result().get(10) == [2]
    assert pool.get_result(one) is one
    assert pool.get_result(one.msg_ids[0]) is one
    assert pool.get_result(both.msg_ids[1]).get(10) == 2
    assert pool.get_result([one, both]).get(10) == [1, 2, 2]
    assert pool.get_result([-3]).get(10) == 1
    with pytest.raises(TypeError):
        pool.get_result(5.5)


def test_result_status(pool, gate):
    done = pool[1].apply_async(abs, -1)
    done.get(10)
    held = pool[0].execute(gate.code(), block=False)
    asked = done.msg_ids + held.msg_ids
    assert pool.result_status(asked) == {"pending": held.msg_ids, "completed": done.msg_ids}
    assert pool.result_status(asked, status_only=False)[done.msg_ids[0]] == 1
    gate.open()
    held.get(10)


def test_queue_status(pool, gate):
    held = pool[0].execute(gate.code(), block=False)
    waiting = [pool[0].apply_async(abs, i) for i in range(3)]
    status = pool.queue_status()
    assert status["unassigned"] == 0 and status[0]["queue"] == 4 and status[1]["queue"] == 0
    assert set(status[2]) == {"queue", "completed", "tasks"}
    assert pool.queue_status(0)["queue"] == 4
    assert pool.queue_status([0], verbose=True)[0]["queue"] == [*held.msg_ids, *(i for ar in waiting for i in ar.msg_ids)]
    gate.open()
    assert pool.wait(timeout=10)
    assert pool.queue_status(0)["queue"] == 0
    assert pool.queue_status(0)["completed"] >= 4


def test_abort_takes_back_only_what_waits(pool, hold):
    gate = hold(0)
    waiting = [pool[0].apply_async(abs, i) for i in range(3)]
    other = pool[1].apply_async(abs, -1)
    pool.abort(waiting[0])
    pool.abort(waiting[1].msg_ids[0])
    for ar in waiting[:2]:
        with pytest.raises(TaskAborted):
            ar.get(10)
        with pytest.raises(RuntimeError, match="done already"):
            ar.abort()
    assert other.get(10) == 1
    pool.abort()
    with pytest.raises(TaskAborted):
        waiting[2].get(10)
    gate.open()
    gate.ar.get(10)
    for jobs in (5.5, object()):
        with pytest.raises(TypeError):
            pool.abort(jobs)


def test_abort_by_targets(pool, hold):
    gates = [hold(i) for i in range(2)]
    waiting = pool[:2].apply_async(abs, -1)
    pool.abort(targets=1)
    for gate in gates:
        gate.open()
        gate.ar.get(10)
    got = waiting.get(10, return_exceptions=True)
    assert got[0] == 1 and isinstance(got[1], TaskAborted)


def test_send_signal_by_name_reaches_a_busy_engine(pool, gate):
    pid = pool[0].apply_sync(os.getpid)
    held = pool[0].execute(gate.code(), block=False)
    while not held.running():
        held.wait(0.001)
    pool.send_signal("SIGINT", 0)
    with pytest.raises(RemoteError) as caught:
        held.get(10)
    assert caught.value.ename == "KeyboardInterrupt"
    assert pool[0].apply_sync(os.getpid) == pid
    pool.send_signal(signal.SIGINT)  # idle engines ignore it
    assert pool[0].apply_sync(os.getpid) == pid
    with pytest.raises(ValueError, match="SIGNONE"):
        pool.send_signal("SIGNONE")


def test_clear_overtakes_what_waits(pool, gate):
    pool[:].push({"a": 1}, block=True)
    held = pool[0].execute(gate.code(), block=False)
    while not held.running():  # or else it would be overtaken as well
        assert not held.ready()
    late = pool[0].execute("seen = 'a' in globals()", block=False)
    cleared = pool.clear(block=False)
    assert not cleared.ready()
    gate.open()
    cleared.get(10)
    held.get(10)
    late.get(10)
    assert pool[0]["seen"] is False
    with pytest.raises(NameError):
        pool[1]["a"]
    assert pool[0].apply_sync(lambda: __name__) == "__main__"


def test_broadcast_view(pool):
    view = pool.broadcast_view(is_coalescing=True, block=True)
    assert isinstance(view, pxrun.BroadcastView) and isinstance(view, pxrun.DirectView) and view.is_coalescing
    assert view.block and view.apply(abs, -1) == [1] * len(pool)
    assert pool.broadcast_view([1]).targets == [1]


def test_purge_results(pool):
    with Client(pool.connection_file) as client:
        ars = [client[i].apply_async(abs, -1) for i in range(3)]
        client.wait(ars)
        for nothing in (client.purge_results, client.purge_local_results, client.purge_hub_results):
            with pytest.raises(ValueError):
                nothing()
        client.purge_results(ars[0])
        assert client.history == ars[1].msg_ids + ars[2].msg_ids
        client.purge_results(targets=[1])
        assert client.history == ars[2].msg_ids
        client.purge_everything()
        assert client.history == [] and ars[0].get() == 1


def test_purge_of_what_is_outstanding_is_refused(pool, gate):
    held = pool[0].execute(gate.code(), block=False)
    with pytest.raises(RuntimeError, match="outstanding"):
        pool.purge_everything()
    gate.open()
    held.get(10)


# --- the rest


def test_shutdown_hub_stops_the_pool():
    cluster = pxrun.Cluster(n=1, profile="to-be-shut-down")
    client = cluster.start_and_connect_sync()
    client.shutdown(hub=True)
    with pytest.raises(FileNotFoundError):
        Client(profile="to-be-shut-down", timeout=0)
    with pytest.raises(RuntimeError, match="closed"):
        client.ids
    cluster.stop_cluster_sync()


def test_close_is_for_the_client_not_the_engines(pool):
    with Client(pool.connection_file) as client:
        client[0]["left"] = 1
        client.wait()
    with pytest.raises(RuntimeError, match="closed"):
        client[:]
    assert pool[0]["left"] == 1


def test_executor(pool):
    assert pool.executor()._max_workers == 4 and pool.executor([0, 2]).submit(abs, -3).result(10) == 3


def test_fileno_works_with_asyncio(pool):
    async def main(client):
        loop, come = asyncio.get_running_loop(), asyncio.Queue()
        loop.add_reader(client.fileno(), lambda: come.put_nowait(client.next_result(0)))
        try:
            ars = [client[i].apply_async(abs, -i) for i in range(4)]
            found = [await asyncio.wait_for(come.get(), 10) for _ in ars]
            assert set(found) == set(ars)
            return [ar.get() for ar in ars]
        finally:
            loop.remove_reader(client.fileno())

    with pxrun.Client(pool.connection_file) as client:
        assert asyncio.run(main(client)) == [0, 1, 2, 3]
        assert select.select([client.fileno()], [], [], 0)[0] == []


def test_threads_share_a_client(pool):
    def work(k):
        return [pool[k % 4].apply_sync(lambda x: x, (k, i)) == (k, i) for i in range(200)]

    with concurrent.futures.ThreadPoolExecutor(8) as executor:
        assert all(all(done) for done in executor.map(work, range(8)))


def test_spin_does_nothing(pool):
    assert pool.spin() is None and pool[:].spin() is None
