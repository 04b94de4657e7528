# SPDX-License-Identifier: BSD-3-Clause
"""Results as futures, and requests that are aborted, cancelled or timed out."""
import asyncio
import concurrent.futures
import gc
import os
import subprocess
import sys
import threading
import time
import weakref

import pytest

import pxrun
from pxrun import error
from pxrun.client.asyncresult import AsyncResult
from pxrun.client.completion import of


def square(x):
    return x * x


def test_is_a_Future(pool):
    ar = pool[0].apply_async(square, 2)
    assert isinstance(ar, concurrent.futures.Future)
    for refused in (lambda: ar.set_result(1), lambda: ar.set_exception(ValueError()), ar.set_running_or_notify_cancel):
        with pytest.raises(concurrent.futures.InvalidStateError):
            refused()
    assert ar.result() == 4


def test_running(pool, hold):
    gate = hold(0)
    assert gate.ar.running() is True
    waiting = pool[0].apply_async(square, 2)
    assert waiting.running() is False
    gate.open()
    waiting.get()
    assert not waiting.running() and not gate.ar.running()


def test_add_done_callback_is_called_while_nobody_asks(pool, hold):
    gate = hold(0)
    called = threading.Event()
    seen = []
    ar = pool[0].apply_async(square, 5)
    ar.add_done_callback(lambda f: (seen.append((f, f.result(), threading.current_thread())), called.set()))
    assert not called.wait(0.05)
    gate.open()
    assert called.wait(10)
    assert seen[0][:2] == (ar, 25) and seen[0][2] is not threading.main_thread()
    ar.add_done_callback(lambda f: seen.append("late"))
    assert seen[1] == "late"


def test_add_done_callback_failing_ones_are_logged_and_others_called(pool, caplog):
    called = threading.Event()
    ar = pool[0].apply_async(square, 5)
    ar.add_done_callback(lambda f: 1 / 0)
    ar.add_done_callback(lambda f: called.set())
    assert called.wait(10)
    again = threading.Event()
    pool[0].apply_async(square, 5).add_done_callback(lambda f: again.set())
    assert again.wait(10)


def test_add_done_callback_from_a_callback(pool):
    results = []
    done = threading.Event()

    def next_one(f):
        results.append(f.result())
        if len(results) == 5:
            done.set()
        else:
            pool[0].apply_async(square, len(results)).add_done_callback(next_one)

    pool[0].apply_async(square, 0).add_done_callback(next_one)
    assert done.wait(20) and results == [0, 1, 4, 9, 16]


def test_callbacks_of_a_dropped_result_are_called(pool, hold):
    gate = hold(0)
    called = threading.Event()
    pool[0].apply_async(square, 5).add_done_callback(lambda f: called.set())
    gc.collect()
    gate.open()
    assert called.wait(10)


def test_concurrent_futures_wait_and_as_completed(pool, hold):
    gate = hold(3)
    ars = [pool[i].apply_async(square, i) for i in range(4)]
    own = concurrent.futures.Future()
    own.set_result(7)
    done, pending = concurrent.futures.wait([*ars, own], timeout=5, return_when=concurrent.futures.FIRST_COMPLETED)
    assert own in done and ars[3] in pending
    come = concurrent.futures.as_completed(ars, timeout=20)
    assert {next(come).result() for _ in range(3)} == {0, 1, 4}
    gate.open()
    assert [f.result() for f in come] == [9]
    assert concurrent.futures.wait(ars, timeout=0)[1] == set()
    hold(0)
    bad = [pool[1].apply_async(lambda: 1 / 0), pool[0].apply_async(square, 1)]
    done, pending = concurrent.futures.wait(bad, return_when=concurrent.futures.FIRST_EXCEPTION)
    assert (done, pending) == ({bad[0]}, {bad[1]})


def test_as_completed_of_many(pool):
    ars = [pool[i % 4].apply_async(square, i) for i in range(2000)]
    assert sorted(f.result() for f in concurrent.futures.as_completed(ars, timeout=60)) == [i * i for i in range(2000)]


def test_callback_that_exits_does_not_end_the_thread_that_others_need(pool, hold, capfd):
    for way_out in (lambda f: sys.exit(1), None):
        gate, called = hold(0), threading.Event()
        ar = pool[0].apply_async(square, 2)
        if way_out is not None:
            ar.add_done_callback(way_out)
        pool[0].apply_async(square, 3).add_done_callback(lambda f: called.set())
        gate.open()
        assert called.wait(30)
    assert "SystemExit: 1" in capfd.readouterr().err


def test_what_is_watched_while_the_thread_is_about_to_end_is_called(pool):
    completion = of(pool)
    rest, called = completion._rest, threading.Event()
    late = pool[0].apply_async(time.sleep, 0.2)

    def over(**_):
        # its time is over, and before it has the lock again something comes
        completion._rest = rest
        late.add_done_callback(lambda ar: called.set())
        return False

    completion._rest = over
    pool[0].apply_async(abs, -1).add_done_callback(lambda ar: None)  # has the thread begin to rest
    assert called.wait(30)


def test_await(pool):
    async def several():
        one = await pool[0].apply_async(square, 6)
        many = await asyncio.gather(*(asyncio.wrap_future(pool[i].apply_async(square, i)) for i in range(4)))
        with pytest.raises(ZeroDivisionError):
            await pool[0].apply_async(lambda: 1 / 0)
        done = pool[0].apply_async(square, 7)
        done.wait()
        return one, many, await done, await asyncio.gather(*(pool[i].apply_async(square, i) for i in range(4)))

    assert asyncio.run(several()) == (36, [0, 1, 4, 9], 49, [0, 1, 4, 9])


def test_await_lets_the_loop_run(pool, hold):
    gate = hold(0)

    async def both():
        ar = pool[0].apply_async(square, 6)
        asyncio.get_running_loop().call_later(0.01, gate.open)
        return await asyncio.wait_for(ar, 20)

    assert asyncio.run(both()) == 36


def test_await_cancelled_stops_the_request(pool, hold):
    gate = hold(0)

    async def impatient():
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(gate.ar, 0.05)

    asyncio.run(impatient())
    assert gate.ar.wait(10) and gate.ar.cancelled()
    assert pool[0].apply_sync(square, 2) == 4


def has_thread(rc):
    return of(rc).runner is not None


def await_no_thread(rc):
    deadline = time.monotonic() + 20
    while has_thread(rc):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_thread_is_started_only_when_needed_and_ends_with_the_client():
    with pxrun.Cluster(n=1) as rc:
        ar = rc[0].apply_async(square, 2)
        ar.get(), ar.wait(), list(iter(rc[:].apply_async(square, 2))), rc[:].map_sync(square, range(3)), ar.metadata
        rc.wait()
        assert not has_thread(rc)
        busy = rc[0].execute("import signal; signal.pause()", block=False)
        called = threading.Event()
        busy.add_done_callback(lambda f: called.set())
        assert has_thread(rc)
        while not busy._result.running(0):
            assert not busy.ready()
    assert called.wait(10) and isinstance(busy.exception(), error.IPythonError)
    await_no_thread(rc)


def test_client_is_collected_although_its_thread_ran():
    rc = pxrun.Cluster(n=1).__enter__()
    called = threading.Event()
    rc[0].apply_async(square, 2).add_done_callback(lambda f: called.set())
    assert called.wait(10)
    await_no_thread(rc)
    gone = weakref.ref(rc)
    rc.close()
    cluster, rc.cluster = rc.cluster, None
    del rc, cluster
    gc.collect()
    assert gone() is None


def test_callbacks_of_others_do_not_wait_for_a_condition_that_is_left_taken(pool):
    """As concurrent.futures leaves it when a signal's handler raises while it takes several."""
    taken, other = pool[0].apply_async(time.sleep, 0.05), pool[0].apply_async(square, 3)
    taken._condition.acquire()
    called = threading.Event()
    other.add_done_callback(lambda f: called.set())
    assert called.wait(4)
    assert list(concurrent.futures.as_completed([taken], timeout=20)) == [taken]
    taken._condition.release()


def test_close_while_threads_wait_for_anything(pool):
    for i in range(60):
        rc = pxrun.Client(pool.connection_file)
        called = threading.Event()
        ar = rc[0].apply_async(time.sleep, 0.001)
        ar.add_done_callback(lambda f: called.set())
        core = rc._core

        def wait():
            with pytest.raises(error.ClosedError):
                while True:
                    core.next(0.0005)

        thread = threading.Thread(target=wait)
        thread.start()
        rc[1].apply_sync(square, i)
        rc.close()
        thread.join(10)
        assert called.wait(10) and not thread.is_alive()


def test_process_ends_while_the_thread_waits():
    script = (
        "import pxrun\nrc = pxrun.Cluster(n=1).__enter__()\n"
        "ar = rc[0].execute('import signal; signal.pause()', block=False)\nar.add_done_callback(print)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")


# --- stopping


def test_abort_takes_back_what_waits_and_raises_TaskAborted_bare(pool, hold):
    gate = hold(0)
    ran = pool[0].execute("ran = 1", block=False)
    ran.abort()
    with pytest.raises(error.TaskAborted) as caught:
        ran.get(5)
    assert type(caught.value) is error.TaskAborted and not isinstance(caught.value, error.RemoteError)
    assert ran.status == "aborted" and ran.started is None and not ran.cancelled()
    gate.ar.abort()
    assert not gate.ar.ready()
    gate.open()
    gate.ar.get()
    assert pool[0].pull("'ran' in globals()", block=True) is False


def test_abort_of_several_engines(pool, hold):
    gates = [hold(i) for i in range(4)]
    ar = pool[:].apply_async(square, 3)
    ar.abort()
    with pytest.raises(error.TaskAborted, match="0, 1, 2, 3"):
        ar.get(5)
    partly = pool[:].apply_async(square, 3)
    gates[1].open()
    assert partly.split()[1].wait(10)
    partly.abort()
    assert partly.wait(5)
    values = partly.get(return_exceptions=True)
    assert values[1] == 9 and all(isinstance(values[i], error.TaskAborted) for i in (0, 2, 3))


def test_abort_of_a_finished_request(pool):
    ar = pool[:].apply_async(square, 3)
    ar.wait()
    with pytest.raises(RuntimeError, match="Can't abort.*done"):
        ar.abort()
    assert ar.cancel() is False and not ar.cancelled() and ar.get() == [9] * 4


@pytest.mark.parametrize("code", ["while True: pass", "import time; time.sleep(1e9)", "import signal\nwhile True: signal.pause()"])
def test_cancel_interrupts_what_runs(pool, code):
    pid = pool[1].apply_sync(os.getpid)
    ar = pool[1].execute(code, block=False)
    after = pool[1].apply_async(square, 3)
    while not ar.running():
        assert not ar.ready()
    assert ar.cancel() is True
    began = time.monotonic()
    with pytest.raises(error.TaskAborted, match="engine 1 was cancelled") as caught:
        ar.get(10)
    assert time.monotonic() - began < 1
    assert isinstance(caught.value, concurrent.futures.CancelledError)
    assert isinstance(caught.value.__cause__, error.RemoteError) and caught.value.__cause__.ename == "KeyboardInterrupt"
    assert ar.cancelled() and after.get(10) == 9 and pool[1].apply_sync(os.getpid) == pid


def test_cancel_reaches_what_is_about_to_sleep(pool):
    """Python misses one signal in a thousand here, if it comes once only."""
    end = time.monotonic() + 30  # on a busy machine each takes long
    for _ in range(2000):
        if time.monotonic() > end:
            break
        ar = pool[1].execute("import signal; signal.pause()", block=False)
        while not ar.running():
            assert not ar.ready()  # what interrupted the one before does not reach this one
        ar.cancel(grace=None)
        assert ar.wait(20)
        assert ar.cancelled()


def test_cancel_of_what_waits(pool, hold):
    gate = hold(0)
    ar = pool[0].apply_async(square, 3)
    assert ar.cancel() is True and ar.done() and ar.cancelled()
    with pytest.raises(concurrent.futures.CancelledError):
        ar.result()
    assert not gate.ar.ready()


def test_cancel_kills_what_does_not_listen():
    stubborn = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\nprint('deaf')\nwhile True: pass"
    with pxrun.Cluster(n=2) as rc:
        pid = rc[0].apply_sync(os.getpid)
        ar = rc[0].execute(stubborn, block=False)
        while ar.stdout != "deaf\n":
            assert not ar.ready()
        assert ar.cancel(grace=0.1)
        with pytest.raises(error.TaskAborted) as caught:
            ar.get(20)
        assert isinstance(caught.value.__cause__, error.EngineError)
        assert rc[0].apply_sync(os.getpid) != pid


def test_cancel_of_one_engines_part(pool):
    pool[0].push({"stay": True}, block=True), pool[1].push({"stay": False}, block=True)
    ar = pool[[0, 1]].execute("import time\nwhile stay: time.sleep(0.01)", block=False)
    part = ar.split()[0]
    while not part.running():
        assert not part.ready()
    assert part.cancel() and part.wait(10) and part.cancelled()
    with pytest.raises(error.TaskAborted):
        part.get()
    assert ar.wait(10) and not ar.split()[1].cancelled() and ar.split()[1].successful()


def test_future_in_a_forked_child_is_refused(pool, hold):
    ar = hold(0).ar
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            concurrent.futures.wait([ar], timeout=5)
        except error.ClosedError:
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_cancel_loses_against_a_function_that_returns(pool):
    def deaf():
        import time as t

        try:
            print("deaf")
            while True:
                t.sleep(0.01)
        except KeyboardInterrupt:
            return "made it"

    ar = pool[0].apply_async(deaf)
    while ar.stdout != "deaf\n":
        assert not ar.ready()
    ar.cancel()
    assert ar.get(10) == "made it" and not ar.cancelled()


@pytest.mark.parametrize("targets", [1, [1], [0, 1]])
def test_timeout_of_a_request(pool, targets):
    view = pool[targets]
    result = view.client._core.submit(pxrun._pxrun.EXECUTE, 0, [targets] if targets == 1 else targets, b"while True: pass", None)
    ar = AsyncResult(pool, result, "loop", targets == 1, timeout=0.2)
    with pytest.raises(error.TaskTimeout, match="engine . had not finished after 0.2 s") as caught:
        ar.get(10)
    assert isinstance(caught.value, TimeoutError) and not isinstance(caught.value, error.RemoteError)
    assert "engine 1" in str(caught.value) or "engines 0, 1" in str(caught.value)
    assert view.apply_sync(square, 3)


def test_timeout_of_a_view(pool):
    view = pool.direct_view([0, 1], timeout=0.2)
    one = pool.direct_view(0, timeout=0.2)
    for call in (lambda: view.execute("while True: pass", block=True), lambda: view.map_sync(endless, range(2)), lambda: one.apply_sync(endless, 1)):
        with pytest.raises(error.TaskTimeout, match="after 0.2 s"):
            call()
    assert view.apply_sync(square, 3) == [9, 9] and one.apply_sync(square, 3) == 9
    with pool[0].temp_flags(timeout=0.1):
        pass
    for bad in (0, -1):
        with pytest.raises(ValueError, match="a timeout is None or a number of seconds above 0"):
            view.set_flags(timeout=bad)


def endless(x):
    while True:
        pass


endless.__module__ = "__main__"  # sent by value: engines cannot import this file


def test_timeout_of_what_waits_and_of_what_is_in_time(pool, hold):
    gate = hold(0)
    ar = pool[0].apply_async(square, 3)
    ar._expire_after(0.05)
    with pytest.raises(error.TaskTimeout):
        ar.get(10)
    assert not gate.ar.ready()
    quick = pool[1].apply_async(square, 3)
    quick._expire_after(0.05)
    assert quick.get() == 9
    time.sleep(0.1)
    assert quick.get() == 9 and pool[1].apply_sync(square, 3) == 9
    for bad in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="a number of seconds above 0"):
            quick._expire_after(bad)


def test_result_with_callback_or_timeout_goes_when_it_is_done(pool):
    ars = [pool[0].apply_async(square, 2) for _ in range(20)]
    for ar in ars:
        ar._expire_after(3600)
    called = threading.Event()
    ars[-1].add_done_callback(lambda f: called.set())
    assert called.wait(10)
    gone = [weakref.ref(ar) for ar in ars]
    del ars, ar
    await_no_thread(pool)
    assert [ref() for ref in gone] == [None] * 20


# --- how often results are looked at

LOOKS = ("ready", "done", "finished", "reply", "wait", "wait_entry", "running")


@pytest.fixture
def looks(monkeypatch):
    """Counts the calls by which results of the extension are asked whether they are done."""
    counted = [0]

    def counting(method):
        def call(*args):
            counted[0] += 1
            return method(*args)

        return call

    for name in LOOKS:
        monkeypatch.setattr(pxrun._pxrun.Result, name, counting(getattr(pxrun._pxrun.Result, name)))
    return counted


def called_back(ars):
    left = threading.Semaphore(0)
    for ar in ars:
        ar.add_done_callback(lambda f: left.release())
    for _ in ars:
        assert left.acquire(timeout=60)


def as_completed(ars):
    assert len({f.result() for f in concurrent.futures.as_completed(ars, timeout=60)}) == len(ars)


def waited_for(ars):
    assert not concurrent.futures.wait(ars, timeout=60).not_done


def awaited(ars):
    async def all_of_them():
        return await asyncio.gather(*(asyncio.wrap_future(ar) for ar in ars))

    assert len(asyncio.run(all_of_them())) == len(ars)


def one_by_one(ars):
    """The first of those that are left, again and again."""
    joined = AsyncResult.join(*ars)
    assert sorted(joined._finishing()) == list(range(len(ars)))


def with_timeouts(ars):
    for ar in ars:
        ar._expire_after(3600)
    called_back(ars)


@pytest.mark.parametrize("use", [called_back, as_completed, waited_for, awaited, one_by_one, with_timeouts])
def test_looks_at_results_are_as_many_as_results(pool, hold, looks, use):
    n = 2000
    gates = [hold(i) for i in range(4)]
    ars = [pool[i % 4].apply_async(square, i) for i in range(n)]
    begun = looks[0]
    threading.Timer(0.05, lambda: [gate.open() for gate in gates]).start()
    use(ars)
    # three or four, by whether a result is ready when it is first looked at; a thousand if all are looked at for each
    assert (looks[0] - begun) / n < 20
    for gate in gates:
        gate.ar.get()
