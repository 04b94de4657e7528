# SPDX-License-Identifier: BSD-3-Clause
"""Requests that are out are known by their ids, whether or not somebody holds their AsyncResults."""
import gc
import os
import weakref

import pytest

from pxrun import AsyncMapResult, Client, TaskAborted
from pxrun.client import history


@pytest.fixture
def rc(pool):
    """A client of its own: its history is this test's."""
    with Client(pool.connection_file) as client:
        yield client


def test_wait_of_a_view_waits_for_what_nobody_holds(rc, hold):
    view, gate = rc[0], hold(0)
    view.execute("after = 1", block=False)
    assert view.wait(timeout=0.01) is False
    assert rc.wait(rc.history, timeout=0.01) is False and rc.wait(-1, timeout=0.01) is False
    gate.open()
    assert view.wait(timeout=10) is True and rc.wait(rc.history, timeout=0) is True
    assert view.outstanding == set() and view["after"] == 1


def test_outstanding_has_the_ids_of_the_history(rc, hold):
    gate = hold(0)
    view = rc[:2]
    view.apply_async(os.getpid)
    assert rc.wait(view.history[1], timeout=10) is True
    assert view.outstanding == rc.outstanding == {view.history[0]}
    assert list(rc.results) == view.history and set(rc.metadata) == set(view.history)
    gate.open()
    assert rc.wait(timeout=10) is True
    assert rc.outstanding == set() and rc.results == {}


def test_get_result_gives_another_AsyncResult(rc, hold):
    gate = hold(0)
    rc[0].set_flags(label="kept").apply_async(abs, -7)
    ar = rc.get_result(-1)
    assert rc.get_result() is ar and rc[0].client is rc
    assert ar.msg_ids == rc.history and ar.label == "kept" and "abs" in repr(ar)
    gate.open()
    assert ar.get(10) == 7


def test_get_result_of_code_and_of_a_map(rc, hold):
    gate, other = hold(0), hold(1)
    view = rc[:2]
    view.execute("6 * 7", silent=False)
    view.map_async(abs, [-1, -2, -3])
    code, mapped = rc.get_result(rc.history[0]), rc.get_result(-1)
    whole = rc.results[rc.history[-1]]
    assert isinstance(whole, AsyncMapResult) and len(whole) == 3
    gate.open()
    other.open()
    assert code.get(10).text == "42" and mapped.get(10) == [[3]] and whole.get(10) == [1, 2, 3]


def test_parts_of_a_map_that_are_answered_are_gone(rc, hold):
    gate = hold(0)
    rc[:2].map_async(abs, [-1, -2])
    first, second = rc.history
    assert rc.wait(second, timeout=10) is True
    assert rc.result_status(rc.history) == {"pending": [first], "completed": [second]}
    left = rc.get_result(first)
    assert left.msg_ids == [first] and left.targets == [0]
    with pytest.raises(KeyError, match="which is answered"):
        rc.get_result(second)
    gate.open()
    assert left.get(10) == [[1]]


def test_results_that_nobody_holds_are_aborted(rc, hold):
    gate = hold(0)
    view = rc[0]
    for _ in range(3):
        view.execute("ran = 1", block=False)
    first = view.get_result(view.history[0])
    rc.abort(view.history[1])
    assert view.outstanding == {view.history[0], view.history[2]}
    view.abort()
    assert view.outstanding == set() and rc.wait(timeout=0) is True
    gate.open()
    with pytest.raises(TaskAborted):
        first.get(10)
    assert view["'ran' in globals()"] is False


def test_what_waits_is_aborted_whoever_was_the_clients_predecessor(pool, hold):
    hold(0)
    for _ in range(5):  # each has the place of the one before it
        with Client(pool.connection_file) as client:
            waiting = [client[0].apply_async(abs, -1) for _ in range(3)]
            assert not any(ar.running() for ar in waiting)
            client.abort(waiting)
            assert all(ar.ready() for ar in waiting)


def test_wait_interactive_waits_for_what_nobody_holds(rc, hold, capsys):
    gate = hold(0)
    rc[0].apply_async(abs, -1)
    rc.wait_interactive(interval=0.01, timeout=0.05)
    assert rc.outstanding
    gate.open()
    rc.wait_interactive(interval=0.01, timeout=10)
    assert not rc.outstanding and "abs" in capsys.readouterr().err


def test_what_is_answered_has_an_id_and_no_value(rc):
    ar = rc[:2].apply_async(abs, -1)
    ids = ar.msg_ids
    ar.get(10)
    del ar
    assert rc.result_status(ids) == {"pending": [], "completed": ids}
    assert rc.result_status(ids, status_only=False) == {"pending": [], "completed": ids}
    for use in (rc.get_result, rc.result_status):
        with pytest.raises(KeyError):
            use("unknown")


def test_an_answer_that_nobody_holds_is_not_kept(rc, hold):
    gate = hold(0)
    rc[0].apply_async(bytearray, 50_000_000)
    assert rc.outstanding
    gate.open()
    assert rc.wait(timeout=10) is True
    assert rc._core.outstanding() == {} and rc.results == {} and not rc._sent._notes


def test_notes_of_what_was_answered_do_not_pile_up(rc, monkeypatch):
    monkeypatch.setattr(history, "_MANY", 10)
    monkeypatch.setattr(history, "HISTORY", 20)
    view = rc[0]
    for _ in range(500):
        view.apply_async(abs, -1)
        view.apply_sync(abs, -1)
    assert len(rc._sent._notes) <= 1000 and len(view.history) == 20
    assert len(view._sent._older) <= 1000


def test_what_is_out_is_known_however_long_ago_it_was_sent(rc, hold, monkeypatch):
    monkeypatch.setattr(history, "_MANY", 10)
    monkeypatch.setattr(history, "HISTORY", 20)
    gate, view = hold(0), rc[:2]
    view.set_flags(targets=[0])
    view.apply_async(abs, -1)
    view.set_flags(targets=[1])
    for _ in range(200):
        view.apply_async(abs, -1)
    assert rc[1].apply_sync(abs, -1) == 1
    assert view.wait(timeout=0.01) is False and len(view.outstanding) == len(rc.outstanding) == 1
    gate.open()
    assert view.wait(timeout=10) is True


def test_closed_client_has_nothing_outstanding(pool, hold):
    hold(0)
    with Client(pool.connection_file) as client:
        view = client[0]
        view.apply_async(abs, -1)
        assert client.outstanding
    assert client.outstanding == set() and view.wait(timeout=0) is True
    view.abort()


def test_client_goes_with_its_last_reference(pool, hold):
    gate = hold(0)
    client = Client(pool.connection_file)
    client[0].apply_async(abs, -1)
    assert client.outstanding
    gone = weakref.ref(client)
    gc.disable()
    try:
        del client
        assert gone() is None
    finally:
        gc.enable()
    gate.open()
