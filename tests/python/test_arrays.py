# SPDX-License-Identifier: BSD-3-Clause
"""Arrays whose memory is shared: what is copied, who sees what, and when it may be changed."""
import os
import pickle
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import pxrun
from pxrun import error
from regions import N, region_of, used

# --- making them


@pytest.mark.parametrize("shape, dtype, order", [
    (5, float, "C"), ((3, 4), "i2", "F"), ((2, 3, 4), "c16", "C"), ((7,), "M8[s]", "C"), ((2,), [("x", "f4"), ("y", "u1")], "C"),
    ((), "f8", "C"), ((300, 200), bool, "F"), ((4,), "U9", "C"),
])
def test_as_numpys(pool, shape, dtype, order):
    a, b = pxrun.empty(shape, dtype, order), np.empty(shape, dtype, order)
    assert type(a) is np.ndarray and (a.shape, a.dtype, a.strides) == (b.shape, b.dtype, b.strides)
    assert a.flags.writeable and a.flags.aligned and region_of(a) is not None
    zeros = pxrun.zeros(shape, dtype, order)
    assert zeros.tobytes() == np.zeros(shape, dtype, order).tobytes()
    like = pxrun.empty_like(b)
    assert (like.shape, like.dtype, like.strides) == (b.shape, b.dtype, b.strides) and region_of(like) is not None


def test_full_and_asarray(pool):
    assert np.array_equal(pxrun.full((2, 3), 7), np.full((2, 3), 7)) and pxrun.full(2, 7).dtype == np.full(2, 7).dtype
    assert pxrun.full(3, 1.5, "f4").dtype == "f4"
    a = pxrun.asarray([[1, 2], [3, 4]], "f8")
    assert a.dtype == "f8" and np.array_equal(a, [[1, 2], [3, 4]]) and region_of(a)
    big = pxrun.asarray(np.arange(N))
    assert pxrun.asarray(big) is big and pxrun.asarray(big[10:]).base is not None
    assert pxrun.asarray(big, "f4") is not big and region_of(pxrun.asarray(big, "f4"))
    fortran = np.asfortranarray(np.arange(12.0).reshape(3, 4))
    assert pxrun.asarray(fortran).flags.f_contiguous and np.array_equal(pxrun.asarray(fortran), fortran)
    strided = pxrun.asarray(np.arange(20)[::-2])
    assert np.array_equal(strided, np.arange(20)[::-2]) and strided.flags.c_contiguous


def test_empty_ones(pool):
    for shape in (0, (0, 5), (3, 0)):
        a = pxrun.zeros(shape)
        assert a.shape == np.zeros(shape).shape and pxrun.asarray(a).shape == a.shape
        pool[0].push({"a": a}, block=True)
        assert pool[0]["a"].shape == a.shape


def test_refused(pool):
    for make in (lambda: pxrun.empty(3, object), lambda: pxrun.asarray([None, {}]), lambda: pxrun.empty(2, [("x", "O")])):
        with pytest.raises(TypeError, match="holds references"):
            make()
    with pytest.raises(MemoryError, match="arena"):
        pxrun.empty(1 << 50, "u1")
    with pytest.raises(TypeError):
        pxrun.empty("what")


def test_arrays_lie_in_a_pool_that_runs(pool):
    with pxrun.Cluster(n=1) as lost:
        os.kill(lost.supervisor_pid, signal.SIGKILL)
        with pytest.raises(pxrun.PoolError):
            lost[0].apply_sync(time.sleep, 60)
        a = pxrun.zeros(100_000)  # the client of the other pool was attached before
        ar = pool[0].push({"a": a}, track=True)
        ar.get(10)
        assert ar.holders == [0]  # it went without a copy
        pool[0]["a"] = None


def test_no_pool():
    code = "import pxrun\ntry: pxrun.empty(3)\nexcept RuntimeError as e: print(e)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.startswith("shared arrays need a pool: attach to one first")


def test_whose_memory(pool):
    with pxrun.Cluster(n=1) as other:
        theirs = pxrun.full(N, 2.0)
        ours = pxrun.full(N, 3.0, client=pool)
        assert other._core.has(theirs) and pool._core.has(ours)
        assert not pool._core.has(theirs) and not other._core.has(ours)
        # in another pool it is sent like any other array
        assert pool[0].apply_sync(np.sum, theirs) == 2 * N and other[0].apply_sync(np.sum, ours) == 3 * N
    assert theirs.sum() == 2 * N
    assert pool._core.has(pxrun.empty(N))  # no more memory is taken from the closed client


# --- sending


def test_sent_without_a_copy(pool):
    a = pxrun.full((200, 1000), 1.0)
    before = used(pool)
    pool[:].push({"a": a, "rows": a[50:60]}, block=True)
    assert used(pool) == before
    a[55] = 4  # it was not copied, so the change is seen
    assert pool[:].pull("float(a.sum())", block=True) == [a.sum()] * 4
    assert pool[:].pull("float(rows.sum())", block=True) == [a[50:60].sum()] * 4


@pytest.mark.parametrize("make", [lambda: np.full(N, 1.0), lambda: pxrun.full(N, 1.0)])
def test_received_is_private_and_writable(pool, make):
    a = make()
    pool[:].push({"a": a}, block=True)
    pool[1].execute("a[:] = 5; a[7] = 6", block=True)
    assert pool[:].pull("(a[0], a[7])", block=True) == [(1, 1), (5, 6), (1, 1), (1, 1)]
    assert a[0] == 1 and a[7] == 1


def test_ordinary_array_may_be_changed_at_once(pool, hold):
    gate = hold(0)
    a = np.full(N, 1.0)
    ar = pool[0].push({"a": a}, block=False, track=True)
    assert ar.sent and ar.holders == [] and ar.wait_for_send(0) is None
    a[:] = 2
    gate.open()
    ar.get(10)
    assert pool[0]["a"].sum() == N


@pytest.mark.parametrize("part", [slice(None), slice(100, None), slice(5, -5)])
def test_track(pool, part):
    a = pxrun.full(N, 1.0)
    ar = pool[:].push({"a": a[part]}, block=False, track=True)
    ar.get(10)
    assert not ar.sent and ar.holders == [0, 1, 2, 3]
    with pytest.raises(error.TimeoutError, match=r"engines \[0, 1, 2, 3\] hold it"):
        ar.wait_for_send(0.01)
    pool[0].execute("del a", block=True)
    pool[1].execute("a = 1", block=True)
    pool[2].push({"a": 3}, block=True)
    assert ar.holders == [3] and not ar.sent
    pool[3].execute("import time; time.sleep(0.05); a = None", block=False)
    ar.wait_for_send(10)
    assert ar.sent and ar.holders == []


def test_track_of_a_call_that_keeps_nothing(pool):
    view = pool[[0, 1]]
    view.track = True
    a = pxrun.full(N, 1.0)
    ar = view.apply_async(np.sum, a)
    assert ar.get(10) == [N, N]
    ar.wait_for_send(10)
    assert ar.sent and pool[0].apply_async(np.sum, a).sent


def test_track_and_a_view_of_it_that_stays(pool):
    a = pxrun.full(N, 1.0)
    ar = pool[0].push({"a": a}, block=False, track=True)
    ar.get(10)
    pool[0].execute("b = a[5:9]; del a", block=True)
    assert not ar.sent
    pool[0].execute("b = b.copy()", block=True)
    ar.wait_for_send(10)


def test_track_of_a_map_and_of_parts(pool):
    a = pxrun.full(4 * N, 1.0)
    view = pool[:]
    view.track = True
    ar = view.scatter("a", a, block=False)
    ar.get(10)
    assert not ar.sent and ar.holders == [0, 1, 2, 3]
    assert [part.holders for part in ar.split()] == [[0], [1], [2], [3]]
    pool[1].execute("del a", block=True)
    assert ar.holders == [0, 2, 3] and ar.split()[1].sent
    view.execute("a = 0", block=True)
    ar.wait_for_send(10)
    ar = view.map_async(lambda row: float(row.sum()), a.reshape(8, -1))
    assert ar.get(10) == [N / 2] * 8
    ar.wait_for_send(10)
    view.execute("kept = []", block=True)
    view.track = False
    ar = view.map(lambda row: kept.append(row), a.reshape(8, -1), track=True, block=False)  # noqa: F821
    ar.get(10)
    assert not ar.sent and ar.holders == [0, 1, 2, 3]
    view.execute("kept.clear()", block=True)
    ar.wait_for_send(10)
    view.track = True
    copied = view.scatter("a", np.ones(4 * N), block=False)
    copied.get(10)
    assert copied.sent  # the array itself was copied


def test_track_when_an_engine_dies():
    with pxrun.Cluster(n=2) as rc:
        a = pxrun.full(N, 1.0)
        ar = rc[:].push({"a": a}, block=False, track=True)
        ar.get(10)
        os.kill(rc[0].apply_sync(os.getpid), signal.SIGKILL)
        end = time.monotonic() + 10
        while ar.holders != [1] and time.monotonic() < end:
            time.sleep(0.001)
        assert ar.holders == [1]
        rc[1].kill()
        ar.wait_for_send(10)
        assert ar.sent


def test_track_when_the_pool_ends():
    with pxrun.Cluster(n=1) as rc:
        a = pxrun.full(N, 1.0)
        ar = rc[0].push({"a": a}, block=False, track=True)
        ar.get(10)
        assert not ar.sent
    assert ar.sent and a.sum() == N


def test_memory_comes_back(pool):
    before = used(pool)
    a = pxrun.full(N, 1.0)
    ar = pool[:].push({"a": a}, block=False, track=True)
    ar.get(10)
    del a
    assert used(pool) - before >= N * 8  # engines hold it
    pool[:].execute("del a", block=True)
    ar.wait_for_send(10)
    assert used(pool) == before


@pytest.mark.parametrize("make", [
    lambda: np.arange(N).reshape(200, -1)[:, ::2], lambda: np.arange(N)[::-1], lambda: np.asfortranarray(np.arange(N).reshape(200, -1)),
    lambda: np.arange(N).astype("M8[s]"), lambda: np.arange(N).astype("m8[ms]"), lambda: np.zeros(N, [("x", "f4"), ("y", "i8")]),
    lambda: np.array(3.5), lambda: np.zeros((0, 4)), lambda: np.arange(N).astype(">i4"), lambda: np.array(["a", None, {}] * 9000, dtype=object),
    lambda: np.ma.masked_array(np.arange(N), np.arange(N) % 2), lambda: np.arange(N).view(np.recarray),
    lambda: bytes(N), lambda: bytearray(range(256)) * 900, lambda: [np.ones(N), {"k": (np.zeros(N), b"x" * 99999)}],
])
@pytest.mark.parametrize("share", [False, True])
def test_there_and_back(pool, make, share):
    value = make()
    if share:
        if type(value) is not np.ndarray or value.dtype.hasobject:
            pytest.skip("no plain array")
        value = pxrun.asarray(value)
    back = pool[0].apply_sync(lambda x: x, value)
    pool[0].push({"v": value}, block=True)
    for got in (back, pool[0]["v"]):
        assert type(got) is type(value)
        if isinstance(value, np.ndarray):
            assert (got.dtype, got.shape) == (value.dtype, value.shape) and got.flags.writeable
            assert got.flags.f_contiguous == value.flags.f_contiguous or not value.flags.c_contiguous
        assert pickle.dumps(got) == pickle.dumps(value) or np.array_equal(got, value)


def test_read_only_arrays_arrive_writable(pool):
    a = np.arange(N)
    a.flags.writeable = False
    assert pool[0].apply_sync(lambda x: (x.flags.writeable, int(x.sum())), a) == (True, a.sum())


def test_forked_child_may_read(pool):
    a = pxrun.full(N, 1.0)
    received = pool[0].apply_sync(np.arange, N)
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(0 if a.sum() == N and received[-1] == N - 1 else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert a.sum() == N


def fork_with_arrays(a):
    """Parent and child write to an array after a fork; what each then sees of the other's."""
    import os

    a[:] = 1
    go, done = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        os.read(go[0], 1)
        seen = a[5] == 1
        a[7] = 9
        os.write(done[1], b"same" if seen else b"other")
        os._exit(0)
    a[5] = 3
    os.write(go[1], b"x")
    child_saw = os.read(done[0], 9)
    os.waitpid(pid, 0)
    for fd in go + done:
        os.close(fd)
    return child_saw, a[5], a[7], a


def test_after_a_fork_each_has_its_own(pool):
    a = pxrun.empty(N)
    assert fork_with_arrays(a)[:3] == (b"same", 3, 1)
    pool[0].push({"a": a, "small": pxrun.full(3, 1.0)}, block=True)
    assert pool[0]["a"][[5, 7]].tolist() == [3, 1]
    a[7] = 4
    ar = pool[0].push({"a": a[:100]}, block=False, track=True)
    ar.get(10)
    assert ar.sent and pool[0]["a"][7] == 4  # copied
    del a
    again = [pxrun.full(N, float(i)) for i in range(20)]  # the same memory, shared again
    ar = pool[0].push({"again": again}, block=False, track=True)
    assert ar.get(10) is None and not ar.sent and pool[0].apply_sync(lambda: [float(a.sum()) for a in again]) == [i * N for i in range(20)]


def test_fork_in_an_engine(pool):
    def large():
        import numpy

        return fork_with_arrays(numpy.empty(1 << 20))

    pool[0].push({"fork_with_arrays": fork_with_arrays}, block=True)
    child_saw, five, seven, a = pool[0].apply_sync(large)
    assert (child_saw, five, seven) == (b"same", 3, 1) and (a[5], a[7], a.sum()) == (3, 1, (1 << 20) + 2)


def test_live_stays_live_after_a_fork(pool):
    u = pxrun.shared(np.zeros(N))
    pid = os.fork()
    if pid == 0:
        u[3] = 5
        os._exit(0)
    os.waitpid(pid, 0)
    pool[0].push({"u": u}, block=True)
    pool[0].execute("u[4] = 6", block=True)
    assert u[3:5].tolist() == [5, 6]


# --- results


def test_result_moves_to_the_client(pool):
    pool[0].execute("import pxrun", block=True)

    def made():
        return pxrun.full(100_000, 3.0)

    a = pool[0].apply_sync(made)
    assert a.sum() == 300_000 and a.flags.writeable
    a[0] = 7
    b = pool[0].apply_sync(made)
    assert a[0] == 7 and b[0] == 3


def test_computed_results_move_as_well():
    with pxrun.Cluster(n=1) as rc:
        rc[0].execute("import numpy as np", block=True)
        a = rc[0].apply_sync(lambda: np.ones(1 << 20) * 2)
        assert rc.memory()["engines"][0]["used"] == a.nbytes  # it lies where it was computed
        assert a.sum() == 2 << 20 and a.flags.writeable
        b = rc[0].apply_sync(lambda: np.ones(1 << 20) * 3)
        assert (a[0], b[0]) == (2, 3)
        del a, b
        rc[0].execute("a = np.ones(1 << 20); a.resize(1 << 21, refcheck=False); s = a.sum(), len(a)", block=True)
        assert rc[0]["s"] == (1 << 20, 1 << 21)


def test_private_arrays_leave_the_arena_to_others():
    with pxrun.Cluster(n=1, arena="64M") as rc:
        rc[0].execute("import numpy as np; kept = [np.ones(1 << 20) for _ in range(20)]", block=True)  # 160 MiB
        rc[0].push({"a": np.ones(2 << 20)}, block=True)
        assert rc[0].apply_sync(lambda: float(sum(k.sum() for k in kept) + a.sum())) == 22 << 20  # noqa: F821


def test_result_that_the_engine_keeps_is_copied(pool):
    pool[0].execute("import pxrun\nkept = pxrun.full(100_000, 3.0)", block=True)
    a, part = pool[0]["kept"], pool[0]["kept[10:90_000]"]
    pool[0].execute("kept[:] = 4", block=True)
    assert a.sum() == 300_000 and part.sum() == 3 * 89_990
    assert pool[0]["kept"].sum() == 400_000


def test_result_lives_on_without_the_pool():
    with pxrun.Cluster(n=1) as rc:
        rc[0].execute("import pxrun", block=True)
        a = rc[0].apply_sync(lambda: pxrun.full(100_000, 3.0))
        b = rc[0].apply_sync(np.ones, 100_000)
    assert a.sum() == 300_000 and b.sum() == 100_000
    a[:] = 1
    assert a.sum() == 100_000


# --- memory


def test_memory_is_flat(pool):
    """Sending the same arrays again and again takes no more memory than the first time."""
    random = np.random.default_rng(5)
    sizes = [int(s) for s in random.integers(4 << 10, 4 << 20, 60)]
    source = np.zeros(4 << 20, "u1")

    def round_trip():
        for size in sizes:
            pool[:].push({"a": source[:size]}, block=True)
        return pool.memory()["client"]["size"]

    first = [round_trip() for _ in range(3)][-1]
    for _ in range(10):
        assert round_trip() <= 1.05 * first
    pool[:].execute("a = 0", block=True)


def test_accounts(pool):
    pool.gc()
    before = pool.memory()
    a = pxrun.full(10 << 20, 1, "u1")
    pool[0].execute("import pxrun; kept = pxrun.zeros(20 << 20, 'u1')", block=True)
    now = pool.memory()
    assert now["client"]["used"] - before["client"]["used"] == 10 << 20
    assert now["engines"][0]["used"] - before["engines"][0]["used"] >= 20 << 20
    assert now["engines"][0]["size"] == now["engines"][0]["used"] + now["engines"][0]["warm"]
    assert {"pid": os.getpid(), **now["client"]} in now["clients"]
    assert now["used"] >= now["client"]["size"] + now["engines"][0]["size"] and now["size"] >= now["used"] + now["free"] > 0
    assert now["limit"] in ("arena", "machine", "cgroup", "mount") and now["huge_pages"] in (None, "mount", "shmem")
    del a
    freed = pool.memory()["client"]
    assert freed["used"] == before["client"]["used"] and freed["warm"] >= 10 << 20
    given = pool.gc()
    assert given >= 10 << 20 and pool.memory()["client"]["given_back"] == freed["given_back"] + given
    pool[0].execute("del kept", block=True)


def test_quota():
    with pxrun.Cluster(n=1, arena="256M", quota="64M") as rc:
        kept = [pxrun.zeros(16 << 20, "u1") for _ in range(3)]
        with pytest.raises(MemoryError, match="this client has .* of the 64 MiB that one may have"):
            pxrun.zeros(60 << 20, "u1")
        with pytest.raises(MemoryError, match="raise quota: in the profile, or start the pool with --quota"):
            rc[0].push({"a": np.zeros(40 << 20, "u1")}, block=True)
        rc[0].execute("import pxrun; big = pxrun.zeros(128 << 20, 'u1')", block=True)  # engines have none
        del kept
        assert pxrun.zeros(60 << 20, "u1").sum() == 0  # what was warm has been given back


def test_small_pages():
    with pxrun.Cluster(n=2, huge_pages="never") as rc:
        assert rc.memory()["huge_pages"] is None
        rc[:].scatter("a", np.ones(8 << 20), block=True)
        rc[0].execute("a[5] = 7", block=True)
        assert rc[:].gather("a", block=True).sum() == (8 << 20) + 6
    with pytest.raises(ValueError, match="huge_pages must be 'auto' or 'never', not 'always'"):
        pxrun.Cluster(n=1, huge_pages="always")


def test_one_page_costs_one_page(pool):
    a = pxrun.zeros(64 << 20, "u1")
    pool[0].push({"a": a}, block=True)

    def private():
        with open("/proc/self/smaps_rollup") as file:
            return sum(int(line.split()[1]) for line in file if line.startswith(("Private_Dirty:", "Anonymous:")))

    before = pool[0].apply_sync(private)
    pool[0].execute("a[40 << 20] = 1", block=True)
    assert pool[0].apply_sync(private) - before < 1024  # KiB
    pool[0].execute("del a", block=True)


# --- files


FILES = [
    lambda: np.arange(3 * N), lambda: np.asfortranarray(np.arange(12.0).reshape(3, 4)), lambda: np.zeros((0, 3)), lambda: np.array(5.5),
    lambda: np.arange(9).astype("M8[s]"), lambda: np.zeros(9, [("x", "f4"), ("y", "i8")]), lambda: np.zeros(9, [("\xfc", "f4")]),
    lambda: np.random.default_rng(1).random((3 << 20) + 7), lambda: np.array(["a", "bc"]),
]


@pytest.mark.parametrize("make", FILES)
def test_push_file_and_save(pool, tmp_path, make):
    array, path = make(), tmp_path / "a.npy"
    np.save(path, array)
    assert pool[[0, 1]].push_file("a", path, block=True) == [None, None]
    got = pool[1]["a"]
    assert (got.dtype, got.shape) == (array.dtype, array.shape) and got.tobytes() == array.tobytes()
    pool[1].save("a", tmp_path / "b.npy")
    assert (tmp_path / "b.npy").read_bytes() == path.read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.npy", "b.npy"]


@pytest.mark.parametrize("dist", "br")
def test_scatter_file_and_save(pool, tmp_path, dist):
    array = np.random.default_rng(1).random((1 << 18, 5))
    np.save(tmp_path / "a.npy", array)
    pool[:].scatter_file("a", str(tmp_path / "a.npy"), dist=dist, block=True)
    assert pool[2]["a"].shape == (1 << 16, 5)
    pool[:].execute("a += 1", block=True)
    pool[:].save("a", tmp_path / "b", dist=dist)
    assert np.array_equal(np.load(tmp_path / "b.npy"), array + 1)


def test_files_that_are_none(pool, tmp_path):
    (tmp_path / "text.npy").write_text("no array")
    np.save(tmp_path / "objects.npy", np.array([{}, None]), allow_pickle=True)
    np.save(tmp_path / "short.npy", np.arange(N))
    os.truncate(tmp_path / "short.npy", 1000)
    for name, words in (("text", "is no .npy file"), ("objects", "holds Python objects"), ("short", "is cut off: 872 of 320000 bytes")):
        with pytest.raises(ValueError, match=words):
            pool[0].push_file("a", tmp_path / f"{name}.npy")
    with pytest.raises(FileNotFoundError):
        pool[0].push_file("a", tmp_path / "nothing.npy")
    (tmp_path / "kept.npy").write_text("kept")
    pool[0]["a"] = np.ones(N)
    with pytest.raises(OSError):
        pool[0].save("a", tmp_path / "no folder" / "a.npy")
    with pytest.raises(error.RemoteError, match="NameError"):
        pool[0].save("nothing", tmp_path / "kept.npy")
    assert (tmp_path / "kept.npy").read_text() == "kept"
    assert len(list(tmp_path.iterdir())) == 4


def test_save_on_a_full_disk(pool):
    pool[0]["a"] = np.ones(N)
    with pytest.raises(OSError):
        pxrun.files._write(open("/dev/full", "wb"), np.ones(N))


# --- other libraries


class Foreign:
    """Like another library's tensor."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, stream=None):
        return self.array.__dlpack__()

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def test_dlpack(pool):
    own = np.arange(float(N))
    shared = pxrun.asarray(Foreign(own))
    assert region_of(shared) is not None and np.array_equal(shared, own)
    out = np.from_dlpack(pxrun.asarray(Foreign(own[::2])))
    assert np.array_equal(out, own[::2]) and np.shares_memory(np.from_dlpack(shared), shared)
    pool[0].push({"a": np.from_dlpack(shared)}, block=True)  # recognised by its address
    assert pool[0]["a"].sum() == own.sum()


def test_copy_of_bytes(pool):
    for fresh in (False, True):
        to, source = bytearray(N), os.urandom(N)
        pxrun._pxrun.copy(to, source, fresh)
        assert to == source
    with pytest.raises(ValueError, match="different sizes"):
        pxrun._pxrun.copy(bytearray(3), b"ab")
    with pytest.raises((BufferError, TypeError)):
        pxrun._pxrun.copy(b"abc", b"abc")


# --- a client that is killed

CLIENT = """
import sys, pxrun
rc = pxrun.Client(sys.argv[1])
a = pxrun.full(1 << 20, 7.0)
ar = rc[0].push({"a": a}, block=False, track=True)
ar.get(10)
print("pushed", flush=True)
ar.wait_for_send()
"""


def clients_bytes(rc):
    """What clients have of the arena, dead ones too."""
    memory = rc.memory()
    return memory["used"] - sum(engine["size"] for engine in memory["engines"].values())


def test_client_killed_with_a_tracker_pending():
    with pxrun.Cluster(n=1) as rc:
        before = clients_bytes(rc)
        client = subprocess.Popen([sys.executable, "-c", CLIENT, rc.connection_file], stdout=subprocess.PIPE, text=True)
        assert client.stdout.readline() == "pushed\n"
        client.kill()
        client.wait()
        assert rc[0]["a"].sum() == 7 << 20  # a holder may go on reading
        assert clients_bytes(rc) - before >= 8 << 20
        rc[0].execute("del a", block=True)
        end = time.monotonic() + 20
        while clients_bytes(rc) > before and time.monotonic() < end:
            time.sleep(0.01)
        assert clients_bytes(rc) == before
