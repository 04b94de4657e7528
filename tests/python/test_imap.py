# SPDX-License-Identifier: BSD-3-Clause
"""imap of load-balanced views: lazy, bounded, over endless iterables."""
import functools
import gc
import itertools
import os
import queue
import threading
import time

import numpy as np
import pytest

import pxrun
from gates import enter


class Counted:
    """An endless iterable that counts what was read."""

    def __init__(self):
        self.read = 0

    def __iter__(self):
        return self

    def __next__(self):
        self.read += 1
        return self.read - 1


@pytest.mark.parametrize("chunksize", [None, 1, 7])
@pytest.mark.parametrize("ordered", [True, False])
def test_imap_gives_all(view, ordered, chunksize):
    got = list(view.imap(lambda x: x * x, range(500), ordered=ordered, chunksize=chunksize))
    assert (got if ordered else sorted(got)) == [x * x for x in range(500)]
    got = list(view.imap(pow, [2, 3, 4], itertools.count(), ordered=ordered, chunksize=chunksize))
    assert (got if ordered else sorted(got)) == [1, 3, 16]
    assert list(view.imap(abs, [], ordered=ordered, chunksize=chunksize)) == []


def test_endless_iterable(view):
    elements = view.imap(abs, itertools.count())
    assert list(itertools.islice(elements, 1000)) == list(range(1000))


@pytest.mark.parametrize("most", [1, 3, 10])
def test_never_more_than_max_outstanding(rc, view, most):
    source = Counted()
    elements = view.imap(abs, source, max_outstanding=most)
    assert source.read <= most
    for i in range(50):
        assert next(elements) == i and len(view.outstanding) <= most
        assert source.read <= i + 1 + 31 * most


def test_starts_before_the_first_next(view, tmp_path):
    elements = view.imap(lambda path: open(path, "w").close(), [str(tmp_path / "begun")])
    assert view.wait(timeout=10) and os.path.exists(tmp_path / "begun")
    assert list(elements) == [None]


def test_reads_no_more_than_is_needed(view, hold):
    for engine in range(4):
        hold(engine)
    source = Counted()
    elements = view.imap(abs, source)
    assert 4 <= source.read <= 40
    elements.cancel()


def test_unordered_gives_what_is_there(view, new_gate):
    gate = new_gate()
    elements = view.imap(lambda x: enter(gate.path) if x == 0 else x, itertools.count(), ordered=False)
    assert 0 not in list(itertools.islice(elements, 100))
    gate.open()
    assert any(element == b"x" for element in elements)


def test_engines_go_on_behind_a_slow_element(view, new_gate):
    gate = new_gate()
    source = Counted()
    elements = view.imap(lambda x: enter(gate.path) if x == 0 else x, source, chunksize=1)
    waiter = threading.Thread(target=lambda: got.append(next(elements)))
    got = []
    waiter.start()
    while source.read < 60:
        pass
    gate.open()
    waiter.join()
    assert got == [b"x"] and next(elements) == 1


def test_reads_no_more_ahead_than_is_said(view, new_gate):
    gate = new_gate()
    source = Counted()
    elements = view.imap(lambda x: enter(gate.path) if x == 0 else x, source, chunksize=2)
    waiter = threading.Thread(target=lambda: got.append(next(elements)))
    got = []
    waiter.start()
    while source.read < 30 * 4 * 2:
        assert waiter.is_alive()
    gate.open()
    waiter.join()
    assert got == [b"x"] and source.read <= 30 * 4 * 2 + 2  # the first chunk is taken
    for i in range(1, 1000):
        assert next(elements) == i and source.read <= i + 2 + 30 * 4 * 2


def test_cancel(rc, view, new_gate):
    gate = new_gate()
    source = Counted()
    elements = view.imap(lambda x: enter(gate.path), source, chunksize=1)
    read = source.read
    elements.cancel()
    assert rc.wait(timeout=10) and list(elements) == [] and source.read == read
    elements.cancel()


def test_abandoned_half_way(rc, view, new_gate):
    gate = new_gate()
    elements = view.imap(lambda x: enter(gate.path) if x > 5 else x, itertools.count(), chunksize=1)
    assert next(elements) == 0
    assert view.outstanding
    del elements
    gc.collect()
    assert rc.wait(timeout=10)


def test_error_comes_in_its_place(view):
    elements = view.imap(lambda x: 1 / x, [1, 2, 0, 4, 5])
    assert [next(elements), next(elements)] == [1, 0.5]
    with pytest.raises(ZeroDivisionError):
        next(elements)
    assert list(elements) == [0.25, 0.2]
    got = list(view.imap(lambda x: 1 / x, [1, 0, 2], return_exceptions=True, chunksize=3))
    assert got[0] == 1 and isinstance(got[1], ZeroDivisionError) and got[2] == 0.5


def test_stop_iteration_of_the_function_is_no_end(view):
    elements = view.imap(lambda x: next(iter(())) if x == 1 else x, range(3))
    assert next(elements) == 0
    with pytest.raises(pxrun.RemoteError, match="StopIteration"):
        next(elements)
    assert list(elements) == [2]


@pytest.mark.parametrize("chunksize", [None, 1, 8])
def test_generator_that_raises(view, chunksize):
    def some():
        yield from range(20)
        raise KeyError("no more")

    elements = view.imap(abs, some(), chunksize=chunksize)
    assert list(itertools.islice(elements, 20)) == list(range(20))
    with pytest.raises(KeyError, match="no more"):
        next(elements)
    assert list(elements) == []


@pytest.mark.parametrize("chunksize", [None, 1, 8])
def test_element_that_cannot_be_sent(view, chunksize):
    elements = view.imap(abs, [*range(17), threading.Lock(), 5], chunksize=chunksize)
    assert list(itertools.islice(elements, 17)) == list(range(17))
    with pytest.raises(TypeError, match="element 17 of argument 1 of the map of abs"):
        next(elements)
    assert list(elements) == []


def test_bad_input(view):
    for wrong in (-1, 0.5, "many", None, True):
        with pytest.raises((TypeError, ValueError), match="max_outstanding"):
            view.imap(abs, [1], max_outstanding=wrong)
    with pytest.raises(ValueError, match="chunksize"):
        view.imap(abs, [1], chunksize=0)
    with pytest.raises(TypeError):
        view.imap(abs)
    with pytest.raises(TypeError):
        view.imap(abs, 5)
    with pytest.raises(TypeError, match="callable"):
        view.imap(5, [1])


def test_all_at_once(rc, view, hold):
    for engine in range(4):
        hold(engine)
    source = iter(range(200))
    elements = view.imap(abs, source, max_outstanding=0, chunksize=10)
    assert list(source) == [] and len(view.outstanding) == 20
    elements.cancel()


def test_large_arrays(view):
    arrays = (np.full(20_000, i) for i in range(40))
    assert list(view.imap(np.max, arrays)) == list(range(40))


def test_flags_are_those_of_the_call(view, new_gate):
    with view.temp_flags(label="mine", targets=[2]):
        elements = view.imap(lambda x: os.getpid(), range(50))
    assert len(set(elements)) == 1 and view.label is None


@pytest.mark.parametrize("ordered", [True, False])
def test_threads_share_an_iterator(view, new_gate, ordered):
    gate = new_gate()
    elements = view.imap(lambda x: (enter(gate.path), x)[1] if x % 50 == 49 else x, range(200), ordered=ordered)
    got = [[] for _ in range(6)]
    threads = [threading.Thread(target=taken.extend, args=(elements,), daemon=True) for taken in got]
    for thread in threads:
        thread.start()
    gate.open(4)
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads) and sorted(sum(got, [])) == list(range(200))


@pytest.mark.parametrize("ordered", [True, False])
def test_cancelled_while_threads_wait(rc, view, new_gate, ordered):
    gate, got = new_gate(), []
    elements = view.imap(lambda x: enter(gate.path), itertools.count(), ordered=ordered, chunksize=1)
    threads = [threading.Thread(target=lambda: got.append(list(elements)), daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    elements.cancel()
    for thread in threads:
        thread.join(30)
    assert got == [[]] * 3 and rc.wait(timeout=10)


def test_cancelled_while_an_iterable_is_slow(rc, view):
    slow, more, got = threading.Event(), threading.Event(), []

    def source():
        yield from range(20)
        slow.set()
        more.wait(60)
        yield 20

    elements = view.imap(abs, source(), max_outstanding=1)
    thread = threading.Thread(target=lambda: got.extend(elements), daemon=True)
    thread.start()
    assert slow.wait(30)
    elements.cancel()
    more.set()
    thread.join(30)
    assert not thread.is_alive() and got == list(range(len(got))) and rc.wait(timeout=10) and list(elements) == []


# --- when elements are read


@pytest.mark.parametrize("ordered", [True, False])
def test_elements_that_are_made_of_results(view, ordered):
    results = queue.Queue()

    def source():
        x = 1
        while x < 100:
            yield x
            x = results.get(timeout=30)

    got = []
    for result in view.imap(lambda x: 2 * x, source(), max_outstanding=1, ordered=ordered):
        got.append(result)
        results.put(result)
    assert got == [2, 4, 8, 16, 32, 64, 128]


def test_a_result_that_is_there_comes_before_elements_are_read(rc, view):
    source = Counted()
    elements = view.imap(abs, source, max_outstanding=3)
    assert rc.wait(timeout=30) and source.read == 3
    assert next(elements) == 0 and source.read == 3


def test_a_source_that_waits_lags_behind_by_little(rc, view):
    got, lags = [], []

    def source():
        for i in range(30):
            time.sleep(0.01)  # an element each 10 ms
            rc.wait(timeout=30)
            lags.append(i - len(got))
            yield i

    for result in view.imap(abs, source()):
        got.append(result)
    assert got == list(range(30)) and max(lags) <= 2


def test_engines_do_not_run_out_while_results_are_there(rc, view):
    source = Counted()
    elements = view.imap(abs, source, chunksize=1)
    before = source.read
    assert rc.wait(timeout=30) and before <= 12
    taken = [next(elements)]
    while source.read == before:
        taken.append(next(elements))
    assert len(taken) < 12


def test_sequences_are_read_while_results_are_there(rc, view):
    elements = view.imap(abs, range(100), max_outstanding=1)
    assert rc.wait(timeout=30) and next(elements) == 0 and len(view.history) == 2


# --- elements are sent as they were when they were read


def reused(make, count=40):
    """Yields one object again and again, with another content each time."""
    kept = make()
    for i in range(count):
        kept[0] = i
        yield kept


@pytest.mark.parametrize("library", [None, "cloudpickle"])
@pytest.mark.parametrize("make", [lambda: [0], lambda: np.zeros(10), lambda: np.zeros(20_000), lambda: bytearray(9_000_000)])
@pytest.mark.parametrize("chunksize", [None, 1, 8])
def test_generator_that_reuses_its_buffer(rc, make, chunksize, library):
    view, count = rc.load_balanced_view(), 16 if len(make()) > 1_000_000 else 40
    view._use(library)
    assert list(view.imap(lambda b: b[0], reused(make, count), chunksize=chunksize)) == list(range(count))


def test_elements_that_were_kept_are_writable(view):
    def write(array):
        array += 1
        return array[-1]

    assert list(view.imap(write, (np.zeros(20_000) for _ in range(16)), chunksize=8)) == [1] * 16


def test_generator_that_reuses_its_buffer_with_retries(view):
    view.retries = 1
    assert list(view.imap(lambda b: b.pop(), reused(lambda: [0]), chunksize=8)) == list(range(40))


def test_elements_that_wait_for_memory_are_kept(new_gate):
    gate = new_gate()
    with pxrun.Cluster(n=2, arena="64M") as rc:
        f = functools.partial(lambda path, array: (enter(path), int(array[0]))[1], gate.path)
        got = rc.load_balanced_view().imap(f, reused(lambda: np.zeros(1_000_000), 30), max_outstanding=30)
        gate.open(30)
        assert list(got) == list(range(30))


def test_shared_arrays_in_a_chunk_are_refused(rc, view):
    array = pxrun.shared(np.zeros(10), client=rc)
    with pytest.raises(ValueError, match="bind it to the function"):
        list(view.imap(np.max, [array] * 4, chunksize=4))


# --- memory


def hold_until(path, array):
    """Waits at a gate."""
    enter(path)
    return float(array[-1])


def test_imap_waits_where_the_arena_is_full(new_gate):
    gate = new_gate()
    with pxrun.Cluster(n=2, arena="64M") as rc:
        size, source = 1_000_000, Counted()  # 8 MB
        f = functools.partial(hold_until, gate.path)
        got = rc.load_balanced_view().imap(f, (np.full(size, i, float) for i in source), max_outstanding=30)
        assert 0 < source.read < 20  # of 240 MB
        gate.open(100)
        for i in range(40):
            assert next(got) == i
        got.cancel()


def test_imap_raises_if_waiting_frees_no_memory():
    with pxrun.Cluster(n=1, arena="32M") as rc:
        got = rc.load_balanced_view().imap(len, [b"1", b"12", np.zeros(10_000_000), b"123"], chunksize=1)
        assert next(got) == 1 and next(got) == 2
        with pytest.raises(pxrun.ArenaError):
            next(got)
        assert list(got) == []
