# SPDX-License-Identifier: BSD-3-Clause
"""Urgent, aborted and interrupted requests, and output while they run, by the extension's own calls."""
import os
import pickle
import select
import signal
import threading
import time

import pytest

import pxrun
from pxrun import _pxrun
from pxrun.engine import calls as engine_calls


@pytest.fixture()
def gate(pool, tmp_path):
    """Keeps engine 0 busy until it is opened."""
    path = str(tmp_path / "gate")
    os.mkfifo(path)
    view = pool[0]
    held = view.execute(f"open({path!r}).read()", block=False)

    class Gate:
        result = held

        def open(self):
            with open(path, "w"):
                pass

    # it has begun once its request runs
    while not held._result.running(0):
        assert not held.ready()
    gate = Gate()
    yield gate
    if not held.ready():
        gate.open()
    held.get(10)


def submit(rc, code, flags=0):
    return rc._core.submit(_pxrun.EXECUTE, flags | _pxrun.EXECUTE_SILENT, [0], code.encode(), None)


def test_abort_of_a_queued_request_ends_it_at_once_and_it_never_runs(pool, gate):
    queued = submit(pool, "ran_anyway = 1")
    behind = submit(pool, "behind = 1")
    assert queued.abort(0) is True
    assert queued.ready() and queued.done(0)
    assert queued.reply(0)[0] == _pxrun.EABORTED
    assert queued.abort(0) is False
    gate.open()
    assert behind.wait(10)
    assert pool[0].apply_sync(lambda: "ran_anyway" in globals()) is False
    assert pool[0]["behind"] == 1


def test_abort_of_a_running_or_finished_request_is_refused(pool, gate):
    assert gate.result._result.abort(0) is False
    gate.open()
    gate.result.get(10)
    assert gate.result._result.abort(0) is False


def test_abort_of_thousands_gives_their_memory_back(pool, gate):
    body = b"x = 1" + b" " * 4000
    many = [pool._core.submit(_pxrun.EXECUTE, 0, [0], body, None) for _ in range(5000)]
    assert all(result.abort(0) for result in many)
    gate.open()
    assert pool[0].apply_sync(os.getpid)
    assert pool[0].apply_sync(lambda: "x" in globals()) is False
    for result in many:
        assert result.reply(0)[0] == _pxrun.EABORTED


def test_aborts_race_with_the_engine_and_each_request_either_ran_or_not(pool):
    pool[0].execute("ran = set()", block=True)
    lost = set()
    for start in range(0, 2000, 50):
        results = [submit(pool, f"ran.add({i})") for i in range(start, start + 50)]
        for i, result in enumerate(results):
            if result.abort(0):
                lost.add(start + i)
        for result in results:
            assert result.wait(10)
            if result.reply(0)[0] == _pxrun.EABORTED:
                lost.add(start + results.index(result))
    ran = pool[0]["ran"]
    assert ran | lost == set(range(2000))
    assert not ran & lost


def test_interrupt_hits_its_request_and_no_other(pool):
    hit = 0
    for i in range(1500):
        short = submit(pool, "for _ in range(200): pass")
        behind = submit(pool, "for _ in range(200): pass")
        if i % 3:
            while not (short.running(0) or short.done(0)):
                short.ready()
        short.interrupt(0)
        assert short.wait(10) and behind.wait(10)
        hit += short.reply(0)[0] == _pxrun.EREMOTE
        assert behind.reply(0)[0] == 0
    assert hit


def test_interrupt_is_not_lost(pool):
    for i in range(300):
        endless = submit(pool, "while True: pass")
        if i % 2:
            while not endless.running(0):
                pass
        endless.interrupt(0)
        assert endless.wait(10), i
        assert endless.reply(0)[0] == _pxrun.EREMOTE


def test_urgent_request_overtakes_those_that_wait(pool, gate):
    first = submit(pool, "order.append('queued')")
    urgent = submit(pool, "order = ['urgent']", _pxrun.URGENT)
    second = submit(pool, "order.append('queued too')")
    again = submit(pool, "order.append('urgent again')", _pxrun.URGENT)
    gate.open()
    for result in (first, urgent, second, again):
        assert result.wait(10) and result.reply(0)[0] == 0
    assert pool[0]["order"] == ["urgent", "urgent again", "queued", "queued too"]


def test_urgent_request_without_others_runs_once(pool):
    pool[0].execute("n = 0", block=True)
    for _ in range(100):
        assert submit(pool, "n += 1", _pxrun.URGENT).wait(10)
    assert pool[0]["n"] == 100


def test_urgent_request_is_found_behind_many_chunks(pool, gate):
    queued = [submit(pool, "later = 1" + " " * 3000) for _ in range(2000)]
    urgent = submit(pool, "seen = 'later' in globals()", _pxrun.URGENT)
    gate.open()
    assert urgent.wait(10) and all(result.wait(10) for result in queued)
    assert pool[0]["seen"] is False


def test_failed_execute_aborts_the_executes_that_wait(pool, gate):
    failing = submit(pool, "1/0", _pxrun.STOP_ON_ERROR)
    behind = submit(pool, "behind_it = 1")
    call = pool[0].apply_async(lambda: 5)
    gate.open()
    assert failing.wait(10) and behind.wait(10)
    assert failing.reply(0)[0] == _pxrun.EREMOTE
    assert behind.reply(0)[0] == _pxrun.EABORTED
    assert call.get(10) == 5
    after = submit(pool, "after_it = 1")
    assert after.wait(10) and after.reply(0)[0] == 0


def test_failed_execute_without_the_flag_aborts_nothing(pool, gate):
    failing = submit(pool, "1/0")
    behind = submit(pool, "not_stopped = 1")
    gate.open()
    assert failing.wait(10) and behind.wait(10)
    assert behind.reply(0)[0] == 0


def test_progress_is_seen_while_the_request_runs(pool, tmp_path):
    path = str(tmp_path / "fifo")
    os.mkfifo(path)

    def count(path):
        from pxrun import _pxrun

        _pxrun.progress(3)
        _pxrun.progress(4)
        open(path).read()

    held = pool[0].apply_async(count, path)
    with open(path, "w"):  # opens once the engine is there
        assert held._result.running(0)
        assert held._result.progress(0) == 7
    held.get(10)
    assert held._result.progress(0) == 0 and not held._result.running(0)


def test_chunks_keep_the_order_of_output(pool):
    code = """
import sys, pickle
from pxrun import _pxrun
print('one')
_pxrun.publish(3, pickle.dumps('shown'))
print('two', file=sys.stderr)
_pxrun.publish(4, pickle.dumps({'a': 1}))
_pxrun.publish(4, pickle.dumps({'b': 'x' * 100000}))
print('three')
"""
    result = submit(pool, code)
    assert result.wait(10) and result.reply(0)[0] == 0
    chunks = result.chunks(0)
    assert [which for which, _ in chunks] == [1, 3, 2, 4, 4, 1]
    assert chunks[0][1] == b"one\n" and chunks[2][1] == b"two\n" and chunks[5][1] == b"three\n"
    assert pickle.loads(chunks[1][1]) == "shown"
    assert len(pickle.loads(chunks[4][1])["b"]) == 100000
    assert result.output(0, 1) == b"one\nthree\n"


def test_publish_outside_of_an_engine_is_refused():
    with pytest.raises(Exception, match="no engine"):
        _pxrun.publish(3, b"x")


# --- what has finished


def test_finished_gives_entries_in_the_order_in_which_they_were_done(pool, hold):
    gates = {i: hold(i) for i in (0, 2)}
    result = pool._core.submit(_pxrun.EXECUTE, 0, [0, 1, 2, 3], b"pass", None)
    assert result.finished(0, 0) in ([], [1], [3], [1, 3], [3, 1])
    assert len(result.finished(1, 10)) == 1
    assert sorted(result.finished(0, 0)) == [1, 3] and result.finished(2, 0.001) == []
    gates[2].open()
    assert result.finished(2, 10) == [2] and result.wait_entry(2, 0) and not result.wait_entry(0, 0.001)
    gates[0].open()
    assert result.wait_entry(0, 10) and result.finished(3, 10) == [0] and result.finished(4, 10) == []


def test_take_gives_what_is_watched_once(pool):
    client = pxrun.Client(pool.connection_file)
    results = [submit(client, "pass") for _ in range(5)]
    ignored = submit(client, "pass")
    results[0].wait(10)
    for result in results:
        result.watch(False)
    ignored.wait(10)
    found = []
    while len(found) < 5:
        found += client._core.take(10)
    assert found == [result.id for result in results] and client._core.take(0.001) == []
    client.close()


def test_take_of_each_entry(pool, hold):
    gate = hold(0)
    client = pxrun.Client(pool.connection_file)
    result = client._core.submit(_pxrun.EXECUTE, 0, [0, 1], b"pass", None)
    result.watch(True)
    assert client._core.take(10) == [result.id] and result.done(1) and not result.done(0)
    assert client._core.take(0) == []
    gate.open()
    assert client._core.take(10) == [result.id] and result.ready()
    client.close()


@pytest.mark.parametrize("wait", ["take", "next"])
def test_take_and_next_end_when_the_client_closes(pool, wait):
    client = pxrun.Client(pool.connection_file)
    core = client._core
    core.tell()
    waits = threading.Event()
    raised = []

    def work():
        waits.set()
        try:
            getattr(core, wait)(None)
        except pxrun.error.ClosedError as error:
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    waits.wait()
    client.close()
    thread.join(10)
    assert not thread.is_alive() and raised


def is_readable(fd, timeout=0.0):
    return bool(select.select([fd], [], [], timeout)[0])


@pytest.fixture
def client(pool):
    with pxrun.Client(pool.connection_file) as client:
        yield client


def test_fileno_is_readable_as_long_as_there_is_a_next(client):
    before = submit(client, "import time; time.sleep(0.05)")  # outstanding at the first call
    fd = client.fileno()
    assert client._core.fileno() == fd and not is_readable(fd)
    results = [before, submit(client, "pass"), submit(client, "pass")]
    assert is_readable(fd, 10) and results[2].wait(10)
    client._core.poll()
    for result in results:
        assert is_readable(fd) and result.ready()
        assert client._core.next(0) == result.id
    assert not is_readable(fd) and client._core.next(0) is None
    dropped = submit(client, "pass")
    assert is_readable(fd, 10) and dropped.ready()
    del dropped
    while is_readable(fd):  # until the thread that read the answer has let go of it
        time.sleep(0.001)


def test_fileno_tells_of_what_came_while_another_result_was_waited_for(client):
    fd = client.fileno()
    for _ in range(200):
        behind = client[1].apply_async(time.sleep, 0.002)
        client[0].apply_sync(time.sleep, 0.001)
        assert is_readable(fd, 10) and client.next_result(0) is behind and behind.ready()
        assert not is_readable(fd)


def test_blocking_call_tells_nobody(client):
    fd = client.fileno()
    for _ in range(100):
        client[0].apply_sync(os.getpid)
        assert not is_readable(fd)
    client[0].execute("pass", block=True)
    assert client.next_result(0) is None


def test_next_result(client, hold):
    assert client.next_result(0) is None
    ars = [client[i].apply_async(abs, -i) for i in range(4)]
    parts = client[:].scatter("a", range(8), block=False)
    assert {client.next_result(10) for _ in range(5)} == {*ars, parts}
    assert client.next_result(0) is None and [ar.get() for ar in ars] == [0, 1, 2, 3]
    gate = hold(0)
    waiting = client[0].apply_async(abs, -7)
    client[1].apply_async(abs, -8).wait()  # nobody holds it any more
    assert client.next_result(0.01) is None
    gate.open()
    assert client.next_result(10) is waiting


def test_next_result_gives_what_is_watched_too(client, hold):
    gates = [hold(engine) for engine in range(4)]
    called, ars = threading.Event(), [client[i].apply_async(abs, -i) for i in range(3)]
    ars[0].add_done_callback(lambda ar: called.set())
    assert client.next_result(0) is None
    ars[1].add_done_callback(lambda ar: None)
    ars += client[:3].set_flags(timeout=100).apply_async(abs, -4), client[:].set_flags(timeout=100).apply_async(abs, -5)
    for gate in gates[:-1]:
        gate.open()
    found = [client.next_result(10) for _ in range(4)]
    gates[-1].open()
    assert {id(ar) for ar in [*found, client.next_result(10)]} == {id(ar) for ar in ars}
    assert called.wait(10) and client.next_result(0) is None


def test_fileno_is_readable_when_the_pool_is_lost(tmp_path):
    with pxrun.Cluster(n=1) as rc:
        fd = rc.fileno()
        ar = rc[0].apply_async(time.sleep, 1000)
        os.kill(rc.supervisor_pid, signal.SIGKILL)
        assert is_readable(fd, 10)
        assert rc.next_result(10) is ar
        with pytest.raises(pxrun.error.PoolError):
            rc.next_result(10)
        assert is_readable(fd)


def test_clear_is_a_request_like_others(pool):
    pool[0].execute("gone = 1", block=True)
    pool[0].apply_sync(engine_calls.clear)
    assert pool[0].apply_sync(lambda: "gone" in globals()) is False


def test_next_result_gives_each_once_while_another_thread_sends():
    with pxrun.Cluster(n=2, preload="") as rc:
        count, made, given = 3000, [], []
        assert rc.next_result(0) is None  # from now on it is told of

        def send():
            for i in range(count):
                made.append(rc[i % 2].apply_async(abs, -i))

        sender = threading.Thread(target=send)
        sender.start()
        while len(given) < count:
            ar = rc.next_result(30)
            assert ar is not None, (len(given), len(made))
            given.append(ar)
        sender.join()
        assert rc.next_result(0) is None
        assert {id(ar) for ar in given} == {id(ar) for ar in made}


def test_wait_ends_in_time_while_signals_arrive(pool):
    ar = pool[0].apply_async(time.sleep, 5)
    old = signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
    try:
        assert ar.wait(0.3) is False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    ar.cancel()
    ar.wait(30)
