# SPDX-License-Identifier: BSD-3-Clause
"""Arrays of which each engine has a part: live ones, scattered ones, and what is gathered of them."""
import gc
import os
import pickle

import numpy as np
import pytest

import pxrun
import pxrun.wire.calls
from pxrun import error
from regions import N, region_of, used

# --- live arrays


def test_live(pool):
    u = pxrun.shared(np.zeros(8))
    view = pool[:]
    view.push({"u": u, "half": u[4:], "odd": u[1::2]}, block=True)
    view.scatter("i", range(4), flatten=True, block=True)
    view.execute("u[i] = i + 1", block=True)
    assert u[:4].tolist() == [1, 2, 3, 4]
    u[7] = 9
    assert view.pull("half[-1]", block=True) == [9] * 4
    pool[2].execute("odd[2] = 5", block=True)
    assert u[5] == 5 and pool[3]["u"][5] == 5
    assert pool[0].apply_sync(lambda x: x.__setitem__(0, 42), u[2:3]) is None and u[2] == 42
    got = pool[0]["u"]
    got[:] = 0
    assert u[2] == 42  # what comes back is a copy


def test_results_of_live_arrays_are_copies_whoever_made_them(pool):
    pool[0].execute("import pxrun, numpy; made = pxrun.shared(numpy.ones(4))", block=True)
    came = pxrun.shared(np.ones(4))
    pool[0].push({"came": came}, block=True)
    for got in (pool[0]["made"], pool[0]["[made, 1]"][0], pool[0].apply_sync(lambda: made[::2]), pool[0]["came"]):  # noqa: F821
        got[:] = 9
    assert pool[0]["made.sum() + came.sum()"] == 8
    pool[0].execute("del made, came", block=True)


def test_live_whatever_the_layout(pool):
    for a in (np.arange(24.0).reshape(4, 6), np.asfortranarray(np.arange(24.0).reshape(4, 6)), np.arange(N * 4.0).reshape(400, -1)):
        u = pxrun.shared(a)
        assert np.array_equal(u, a) and u.strides == a.strides
        for part in (u, u[::-1], u[:, 2], u.T, u[1:3, ::2], u[-1:], u[2, 3:4]):
            pool[0].apply_sync(lambda x: x.__imul__(-1) is None, part)
        want = a.copy()
        for part in (want, want[::-1], want[:, 2], want.T, want[1:3, ::2], want[-1:], want[2, 3:4]):
            part *= -1
        assert np.array_equal(u, want)


def test_live_is_what_ordinary_arrays_are_not(pool):
    u = pxrun.shared(np.zeros(N))
    v = u + 1
    pool[0].push({"u": u, "v": v, "w": u.copy()}, block=True)
    pool[0].execute("u[0] = v[0] = w[0] = 5", block=True)
    assert (u[0], v[0]) == (5, 1)


def test_a_call_with_live_arrays_may_be_garbage_in_a_cycle(pool):
    _, buffers = pxrun.wire.calls.dumps(len, (pxrun.shared(np.zeros(4)),), {}, False)
    cycle = [*buffers]
    cycle.append(cycle)
    del cycle, buffers
    gc.collect()  # crashed, or said that a memoryview is in use


def test_live_outlives_pool_and_engines():
    with pxrun.Cluster(n=1) as rc:
        u = pxrun.shared(np.zeros(N))
        rc[0].push({"u": u}, block=True)
        rc[0].execute("u[:] = 2", block=True)
        part = u[100:200]
        del u
    gc.collect()
    assert part.sum() == 200
    part[:] = 3
    assert part.sum() == 300


# --- scatter and gather


@pytest.mark.parametrize("dist", "br")
@pytest.mark.parametrize("make", [
    lambda: np.arange(4 * N), lambda: np.arange(4.0 * N).reshape(-1, 8)[1:], lambda: np.arange(4 * N).reshape(40, -1)[:, ::3],
    lambda: np.arange(3 * N).astype("M8[s]"), lambda: np.asfortranarray(np.arange(4.0 * N).reshape(400, -1)), lambda: np.arange(9 * N).reshape(3, -1),
    lambda: np.zeros((0, 3)), lambda: np.arange(5), lambda: np.zeros(3 * N, [("x", "f4"), ("y", "i8")]), lambda: list(range(N)),
    lambda: pxrun.asarray(np.arange(4 * N)), lambda: pxrun.shared(np.arange(4 * N)), lambda: np.array([1, "a", None] * N, dtype=object),
])
def test_scatter_and_gather(pool, make, dist):
    value, view = make(), pool[:]
    view.scatter("x", value, dist=dist, block=True)
    for back in (view.gather("x", dist=dist, block=True), view.gather("x", dist=dist, block=False).get(10)):
        assert type(back) is type(value) and len(back) == len(value)
        if isinstance(value, np.ndarray):
            assert (back.dtype, back.shape) == (value.dtype, value.shape) and back.flags.writeable
            assert pickle.dumps(back) == pickle.dumps(value) or np.array_equal(back, value)
        else:
            assert back == value


def test_scatter_copies_once(pool):
    a = np.zeros(4 * N)
    before = used(pool)
    pool[:].scatter("a", a, block=True)
    assert a.nbytes <= used(pool) - before < 1.1 * a.nbytes
    a[:] = 1
    pool[:].execute("a += 2", block=True)
    assert pool[:].gather("a", block=True).sum() == 2 * 4 * N


def test_gather_is_an_array_like_others(pool):
    view = pool[:]
    view.scatter("a", np.arange(8 * N), block=True)
    got = view.gather("a", block=True)
    assert region_of(got) is not None and not region_of(got).live
    assert pxrun.asarray(got) is not got
    view.execute("a[:] = 0", block=True)
    assert np.array_equal(got, np.arange(8 * N))
    ar = view.push({"got": got, "part": got[:N]}, block=False, track=True)
    ar.get(10)
    assert ar.sent
    got[5] = 7  # as with any array, what was sent is not changed by it
    pool[0].execute("got[:] = 0", block=True)
    assert got[-1] == 8 * N - 1 and view.pull("int(part[5])", block=True) == [5] * 4


@pytest.mark.parametrize("dist", ["b", "r"])
def test_masks_and_byte_orders_are_kept(pool, dist):
    view = pool[:]
    masked = np.ma.array(np.arange(10), mask=np.arange(10) % 3 == 0)
    view.scatter("part", masked, dist=dist, block=True)
    for got in (view.gather("part", dist=dist, block=True), view.gather("part", dist=dist, block=False).get(10)):
        assert np.ma.allequal(got, masked) and list(got.mask) == list(masked.mask)
    for length in (10, 500_000):
        swapped = np.arange(length, dtype=">i4")
        view.scatter("part", swapped, dist=dist, block=True)
        got = view.gather("part", dist=dist, block=True)
        assert got.dtype == swapped.dtype and np.array_equal(got, swapped)


def test_round_robin_of_other_lengths_and_types(pool):
    for engine, part in zip(pool, ([1, 2, 3], [4.5], [], [7, 8])):
        engine["part"] = np.array(part)
    got = pool[:].gather("part", dist="r", block=True)
    assert list(got) == [1, 4.5, 7, 2, 8, 3] and got.dtype == float


@pytest.mark.parametrize("dist", ["b", "r"])
def test_gather_of_parts_that_do_not_fit(pool, dist):
    view = pool[:2]
    view.scatter("part", [0, 1, 2], dist=dist, flatten=True, block=True)
    with pytest.raises(TypeError, match="gather joins parts of one kind.* int"):
        view.gather("part", dist=dist, block=True)
    view.scatter("part", np.arange(3), dist=dist, flatten=True, block=True)
    with pytest.raises(ValueError, match="the parts do not fit"):
        view.gather("part", dist=dist, block=True)


def test_gather_of_ragged_and_mixed(pool):
    view = pool[[0, 1]]
    for left, right in (("np.zeros((9, N))", "np.zeros((9, N + 1))"), ("np.zeros(9 * N)", "np.zeros(9 * N, 'f4')"), ("np.zeros(9 * N)", "[1]")):
        view.execute(f"import numpy as np\nN = {N}", block=True)
        pool[0].execute(f"x = {left}", block=True), pool[1].execute(f"x = {right}", block=True)
        try:
            want = np.concatenate([pool[0]["x"], pool[1]["x"]])
        except ValueError:
            with pytest.raises(ValueError):
                view.gather("x", block=True)
        else:
            got = view.gather("x", block=True)
            assert got.dtype == want.dtype and np.array_equal(got, want)
    with pytest.raises(error.CompositeError, match="NameError"):
        view.gather("nothing", block=True)


def test_scatter_that_does_not_fit_leaves_nothing():
    with pxrun.Cluster(n=2, arena="64M") as rc:
        rc[:].execute("x = 1", block=True)
        with pytest.raises(MemoryError, match="arena"):
            rc[:].scatter("x", np.zeros(16 << 20), block=True)
        assert rc[:]["x"] == [1, 1]
        with pytest.raises(MemoryError, match="arena"):
            rc[:].scatter("x", [bytes(40 << 20), bytes(41 << 20)], block=True)
        assert rc[0].apply_sync(lambda: "x" in globals()) in (True, False)
        rc[:].scatter("x", np.zeros(1 << 20), block=True)
        assert rc[:].gather("x", block=True).shape == (1 << 20,)


def test_engine_killed_while_it_fills():
    with pxrun.Cluster(n=2, restart="never") as rc:
        rc[:].scatter("x", np.zeros(1 << 20), block=True)
        rc[1].apply_sync(die_in_fill)
        with pytest.raises(error.CompositeError, match="SIGKILL"):
            rc[:].gather("x", block=True)
        gc.collect()
        assert rc[0].gather("x", block=True).shape == (1 << 19,)


def die_in_fill():
    import signal

    from pxrun.engine import calls as engine_calls

    def fill(name, place):
        os.kill(os.getpid(), signal.SIGKILL)

    engine_calls.fill = fill
