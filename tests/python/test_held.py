# SPDX-License-Identifier: BSD-3-Clause
"""No table and no memory runs out in a way that stops a program: what is held for long, and a full arena."""
from __future__ import annotations

import numpy as np
import pytest

import pxrun

HELD = 3000  # more than there are leases between two members
N = 9000  # doubles: 72 kB, which are mapped and not copied by who gets them


def one_of(i):
    return np.full(N, float(i))


def is_right(array, i):
    return array.shape == (N,) and array[0] == array[-1] == i


def test_results_held_in_any_number(pool):
    view = pool[0]
    kept = [view.apply_sync(one_of, i) for i in range(HELD)]
    assert all(is_right(array, i) for i, array in enumerate(kept))
    for array in kept[::500]:
        array += 1  # writable and our own, whatever it lies in
    assert is_right(kept[500], 501) and is_right(kept[501], 501)
    assert view.apply_sync(one_of, 7)[3] == 7


def test_results_that_wait_in_any_number(pool):
    pending = [pool[0].apply_async(one_of, i) for i in range(HELD)]
    assert all(is_right(ar.get(60), i) for i, ar in enumerate(pending))


def test_pushes_held_in_any_number(pool):
    view = pool[0]
    view.execute("kept = []", block=True)
    for i in range(HELD):
        view.apply_sync(lambda array: kept.append(array), one_of(i))  # noqa: F821
    assert view.apply_sync(lambda: len(kept)) == HELD  # noqa: F821
    assert view.apply_sync(lambda: [i for i, a in enumerate(kept) if a[0] != i or a[-1] != i]) == []  # noqa: F821
    view.execute("kept[0] += 1; kept[-1] += 1; ends = kept[0][5], kept[-1][5]", block=True)
    assert view["ends"] == (1, HELD)


def test_pushes_that_wait_in_any_number(pool):
    view = pool[0]
    view.execute("kept = []", block=True)
    pending = [view.apply_async(lambda array: kept.append(array), one_of(i)) for i in range(HELD)]  # noqa: F821
    for ar in pending:
        ar.get(60)
    assert view.apply_sync(lambda: [i for i, a in enumerate(kept) if a[0] != i]) == []  # noqa: F821


def test_long_results_held_in_any_number(pool):
    # no array: the pickle itself is too long for a frame
    kept = [pool[0].apply_async(lambda i: str(i) * 20_000, i) for i in range(HELD)]
    assert all(ar.get(60) == str(i) * 20_000 for i, ar in enumerate(kept))


def test_held_memory_comes_back():
    with pxrun.Cluster(n=1, arena="128M") as rc:
        view = rc[0]
        view.execute("kept = []", block=True)
        for round in range(3):
            results = [view.apply_sync(one_of, i) for i in range(800)]
            for array in results:
                view.apply_sync(lambda array: kept.append(array), array)  # noqa: F821
            view.execute("kept.clear()", block=True)
            del results, array
        view.apply_sync(abs, 1)  # an engine looks what has come back when it answers
        rc.spin()
        used = rc.memory()
        assert used["client"]["used"] < 1 << 20
        assert used["engines"][0]["used"] < 1 << 20


def test_dead_engine_releases_what_it_held(pool):
    view = pool[0]
    view.execute("kept = []", block=True)
    for i in range(1200):
        view.apply_sync(lambda array: kept.append(array), one_of(i))  # noqa: F821
    with pytest.raises(pxrun.error.EngineError):
        view.apply_sync(lambda: __import__("os").kill(__import__("os").getpid(), 9))
    assert view.apply_sync(abs, -3) == 3
    pool.spin()
    assert pool.memory()["client"]["used"] < 1 << 20


def test_shared_arrays_have_an_end_in_words(pool):
    view = pool[0]
    array = pxrun.shared(np.zeros(N))
    view.execute("kept = []", block=True)
    with pytest.raises(pxrun.error.ArenaError, match="let go of some"):
        for i in range(HELD):
            view.apply_sync(lambda array: kept.append(array), array)  # noqa: F821
    view.execute("kept[0][7] = 8; kept.clear()", block=True)
    assert array[7] == 8
    view.apply_sync(lambda array: array.fill(9), array)
    assert array[-1] == 9


# --- a full arena


@pytest.fixture
def full():
    """A client that has filled the arena of its pool with its own arrays: (client, arrays)."""
    with pxrun.Cluster(n=2, arena="8M") as rc:
        arrays = []
        for size in (1 << 20, 1 << 16, 1 << 12, 1 << 8):
            with pytest.raises(pxrun.error.ArenaError):
                while True:
                    arrays.append(pxrun.empty(size, np.uint8))
        yield rc, arrays


def test_small_calls_survive_a_full_arena(full):
    rc, arrays = full
    view = rc[0]
    pending = [view.apply_async(abs, -i) for i in range(4000)]
    assert [ar.get(60) for ar in pending] == list(range(4000))
    assert all(ar.get(60) == [i, i] for i, ar in enumerate([rc[:].apply_async(abs, -i) for i in range(500)]))


def test_reply_without_room_says_so_and_others_come(full):
    rc, arrays = full
    view = rc[0]
    pending = [view.apply_async(bytes, size) for size in (10, 14_000, 20, 300_000, 30)]
    with pytest.raises(pxrun.error.ArenaError):
        pending[3].get(60)
    assert [len(pending[i].get(60)) for i in (0, 2, 4)] == [10, 20, 30]
    arrays.clear()
    rc.gc()
    assert len(view.apply_sync(bytes, 300_000)) == 300_000
