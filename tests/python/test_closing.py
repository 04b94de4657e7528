# SPDX-License-Identifier: BSD-3-Clause
"""A client that is closed at any moment, whatever its threads are doing: ClosedError in each of them."""
import asyncio
import collections
import concurrent.futures
import faulthandler
import itertools
import os
import random
import signal
import threading
import time

import pytest

import pxrun
from pxrun import error

np = pytest.importorskip("numpy")

SIZE = 20_000  # numbers: more than is copied, so that engines are lent them
SOAK = bool(os.environ.get("PXRUN_SOAK"))


def total(a):
    return float(a.sum())


def doubled(a):
    return a * 2


def call(rc, view, held):
    assert view.apply_sync(total, np.ones(SIZE)) == [SIZE] * 4


def call_one(rc, view, held):
    got = rc[1].apply_sync(doubled, np.ones(SIZE))
    assert got[-1] == 2
    held.append(got)


def asynchronous(rc, view, held):
    ars = [view.apply_async(doubled, np.ones(SIZE)) for _ in range(3)]
    assert all(part[0] == 2 for ar in ars for part in ar.get())


def own_memory(rc, view, held):
    a = pxrun.zeros(SIZE, client=rc)
    a[:] = 3
    ar = view.apply_async(total, a)
    assert ar.get() == [3 * SIZE] * 4
    held.append(a)


def tracked(rc, view, held):
    a = pxrun.full(SIZE, 4.0, client=rc)
    ar = view.push({"tracked": a}, block=False, track=True)
    ar.get()
    view.push({"tracked": 0}, block=True)
    ar.wait_for_send(10)
    assert ar.sent and not ar.holders
    held.append(ar)


def push_and_pull(rc, view, held):
    view.push({"a": np.full(SIZE, 5.0)}, block=True)
    held.append(view.pull("a", block=True))


def scatter_and_gather(rc, view, held):
    view.scatter("part", np.arange(4.0 * SIZE), block=True)
    whole = view.gather("part", block=True)
    assert whole[-1] == 4 * SIZE - 1
    held.append(whole)


def mapped(rc, view, held):
    assert len(list(view.map_async(total, [np.ones(SIZE)] * 8))) == 8


def executed(rc, view, held):
    ar = view.execute("print('x' * 1000)", block=False)
    while not ar.ready():
        assert len(ar.stdout) == 4
    assert len(ar.metadata) == 4


def called_back(rc, view, held):
    done = threading.Event()
    ar = view.apply_async(doubled, np.ones(SIZE))
    ar.add_done_callback(lambda ar: done.set())
    assert done.wait(60)
    ar.get()


def as_completed(rc, view, held):
    ars = [rc[i].apply_async(total, np.ones(SIZE)) for i in range(4)]
    for ar in concurrent.futures.as_completed(ars, timeout=60):
        assert ar.result() == SIZE


def awaited(rc, view, held):
    async def several():
        return await asyncio.gather(*(rc[i].apply_async(total, np.ones(SIZE)) for i in range(4)))

    assert asyncio.run(several()) == [SIZE] * 4


def stopped(rc, view, held):
    ar = rc[0].apply_async(time.sleep, 0.001)
    ar.cancel()
    ar.wait(60)
    waiting = rc[0].apply_async(total, np.ones(SIZE))
    try:
        waiting.abort()
        waiting.get()
    except (RuntimeError, error.TaskAborted):
        assert waiting.done()


def first_of_all(rc, view, held):
    ar = view.apply_async(doubled, np.ones(SIZE))
    done, _ = ar.wait(60, return_when=pxrun.FIRST_COMPLETED)
    assert done
    for part in ar.split():
        part.get()


def looked_at(rc, view, held):
    assert rc.ids == [0, 1, 2, 3] and len(view) == 4
    rc.queue_status(), rc.outstanding, rc.history, rc.memory(), repr(rc)


def memory(rc, view, held):
    a = pxrun.shared(np.zeros(SIZE), client=rc)
    view.apply_sync(total, a)
    rc.gc()
    del a


def pool_waited_for(rc, view, held):
    view.apply_async(total, np.ones(SIZE))
    rc.wait(timeout=60)
    rc.fileno()
    rc.next_result(0)


def signalled(rc, view, held):
    rc.send_signal("SIGCONT")
    rc.status()


KINDS = (
    call, call_one, asynchronous, own_memory, tracked, push_and_pull, scatter_and_gather, mapped, executed, called_back,
    as_completed, awaited, stopped, first_of_all, looked_at, memory, pool_waited_for, signalled, call, own_memory,
)  # fmt: skip


class Caller(threading.Thread):
    """Does one thing again and again, until it cannot."""

    def __init__(self, kind, rc, begun, held):
        super().__init__(name=kind.__name__)
        self.kind, self.rc, self.begun, self.held = kind, rc, begun, held
        self.ended = None

    def run(self):
        try:
            view = self.rc[:]
            while True:
                next(self.begun)
                self.kind(self.rc, view, self.held)
        except BaseException as ended:
            self.ended = ended


def test_close_at_any_moment_with_20_threads_in_all_kinds_of_calls(pool):
    chance = random.Random(20)
    held = []
    for round in range(500 if SOAK else 25):
        faulthandler.dump_traceback_later(120, exit=True)  # for this round
        rc = pxrun.Client(pool.connection_file)
        begun = itertools.count()
        last = chance.randrange(300)
        # in every other round nothing outlives the calls, and the connection goes at once
        threads = [Caller(kind, rc, begun, held if round % 2 else collections.deque(maxlen=0)) for kind in KINDS]
        for thread in threads:
            thread.start()
        while next(begun) < last and any(thread.is_alive() for thread in threads):
            time.sleep(0)
        rc.close()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive(), f"{thread.name} hangs in round {round}"
            if not isinstance(thread.ended, error.ClosedError):
                raise AssertionError(f"{thread.name} in round {round}") from thread.ended
        # what was got before is there, and goes while the next client is busy
        assert all(float(a.sum()) for a in held if isinstance(a, np.ndarray))
        del held[: len(held) // 2]
    assert pool[:].apply_sync(os.getpid) and pool.memory()["clients"]


def test_close_while_large_arrays_are_copied(pool):
    large = np.ones(4_000_000)

    def sent(rc, view, held):
        assert view.apply_sync(len, large) == [len(large)] * 4

    for round in range(10):
        rc = pxrun.Client(pool.connection_file)
        begun = itertools.count()
        threads = [Caller(sent, rc, begun, None) for _ in range(4)]
        for thread in threads:
            thread.start()
        while next(begun) < 10 + round:
            time.sleep(0)
        rc.close()
        for thread in threads:
            thread.join(60)
            assert isinstance(thread.ended, error.ClosedError), thread.ended


def test_forked_child_is_refused_whatever_it_asks(pool, hold):
    gate = hold(0)
    mine = pxrun.zeros(SIZE, client=pool)
    pending = pool[0].apply_async(total, mine)
    unread = pool[1].apply_async(lambda: "x" * 100_000)
    unread.wait()
    lent = pool[1].push({"lent": mine}, block=False, track=True)
    lent.wait()
    asked = (
        lambda: pool.ids,
        lambda: pool.status(),
        lambda: pool.memory(),
        lambda: pool.gc(),
        lambda: pool.queue_status(),
        lambda: pool.fileno(),
        lambda: pool.next_result(0),
        lambda: pool.wait(),
        lambda: pool.send_signal("SIGCONT"),
        lambda: pool[1].apply_sync(os.getpid),
        lambda: pool[:].apply_async(total, np.ones(SIZE)),
        lambda: pool.direct_view([0, 1]).push({"a": mine}),
        lambda: pxrun.zeros(SIZE, client=pool),
        lambda: pxrun.asarray(np.ones(SIZE), client=pool),
        lambda: pending.get(5),
        lambda: pending.wait(5),
        lambda: pending.abort(),
        lambda: pending.cancel(),
        lambda: pending.running(),
        lambda: unread.get(5),
        lambda: unread.stdout,
        lambda: lent.sent,
        lambda: lent.holders,
        lambda: lent.wait_for_send(5),
    )
    view = pool.direct_view([0, 1])
    child = os.fork()
    if child == 0:
        number = 0
        try:
            for number, ask in enumerate(asked, 1):
                try:
                    ask()
                except error.ClosedError as refused:
                    assert "after a fork" in str(refused)
                    continue
                os._exit(number)
            view.apply_sync(os.getpid)
        except error.ClosedError:
            os._exit(0)
        finally:
            os._exit(100 + number)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    gate.open()
    assert pending.get() == 0 and unread.get() == "x" * 100_000 and not lent.sent


def waits_for_room(pool):
    """Calls that an engine that is held cannot take, for the arrays of others are all out."""
    for _ in range(1100):
        pool[0].push({"kept": np.ones(SIZE)}, block=False)


def test_signals_are_handled_while_a_request_waits_for_room(pool, hold):
    gate = hold(0)
    seen = []

    def on_alarm(number, frame):
        seen.append(number)
        if len(seen) == 3:
            gate.open()

    before = signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, 0.3, 0.05)
    try:
        waits_for_room(pool)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert len(seen) >= 3
    assert pool[0].apply_sync(lambda: kept.sum()) == SIZE  # noqa: F821


def test_handler_that_raises_ends_a_request_that_waits_for_room(pool, hold):
    hold(0)

    def on_alarm(number, frame):
        raise BlockingIOError("enough")

    before = signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, 1)
    try:
        with pytest.raises(BlockingIOError, match="enough"):
            waits_for_room(pool)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert pool[1].apply_sync(os.getpid)
