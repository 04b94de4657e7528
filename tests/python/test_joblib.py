# SPDX-License-Identifier: BSD-3-Clause
"""joblib on a pool: Debian's joblib here, PyPI's and scikit-learn in a virtual environment (test_venv.py)."""
import io
import os
import sys
import time

import pytest

import pxrun

joblib = pytest.importorskip("joblib")
numpy = pytest.importorskip("numpy")

from joblib import Parallel, delayed  # noqa: E402

import pxrun.joblib  # noqa: E402

LARGE = 1 << 18  # elements: 2 MiB


@pytest.fixture
def rc(pool):
    """A client of its own: what it has out is this test's."""
    with pxrun.Client(pool.connection_file) as client:
        yield client


@pytest.fixture
def on_engines(rc):
    with joblib.parallel_backend("pxrun", client=rc):
        Parallel()(delayed(abs)(i) for i in range(100))  # there is memory for tasks now
        yield rc


def used(rc):
    """Bytes of shared memory that this client's arrays and tasks take."""
    rc[:].apply_sync(int)  # it notices what engines have released
    return next(one["used"] for one in rc.memory()["clients"] if one["pid"] == os.getpid())


# --- calls


def test_calls_run_on_engines_and_come_in_order(on_engines):
    pids = set(on_engines[:].apply_sync(os.getpid))
    assert Parallel()(delayed(pow)(i, 2) for i in range(100)) == [i * i for i in range(100)]
    assert set(Parallel()(delayed(os.getpid)() for _ in range(20))) <= pids
    assert Parallel()([]) == []


def test_backend_is_found_by_its_name(rc):
    assert Parallel(backend=pxrun.joblib.PxrunBackend(client=rc), n_jobs=2)(delayed(abs)(-i) for i in range(5)) == [0, 1, 2, 3, 4]
    with joblib.parallel_backend("pxrun", view=rc[[1, 2]]):
        assert joblib.effective_n_jobs() == 2
        assert set(Parallel()(delayed(os.getpid)() for _ in range(20))) <= set(rc[[1, 2]].apply_sync(os.getpid))
    with joblib.parallel_backend("pxrun", profile=rc.profile):
        assert joblib.effective_n_jobs() == 4
        assert set(Parallel()(delayed(os.getpid)() for _ in range(20))) <= set(rc[:].apply_sync(os.getpid))
    shared = pxrun.shared(numpy.zeros(2))
    rc[0].apply_sync(lambda a: a.__iadd__(1) is None, shared)
    assert shared.tolist() == [1, 1], "the client made for the profile is nobody else's"


@pytest.mark.parametrize("n_jobs, engines", [(-1, 4), (-2, 3), (2, 2), (9, 4), (1, 1), (None, 1)])
def test_n_jobs_is_a_number_of_engines(rc, n_jobs, engines):
    assert pxrun.joblib.PxrunBackend(client=rc).effective_n_jobs(n_jobs) == engines
    with joblib.parallel_backend("pxrun", client=rc, n_jobs=n_jobs if n_jobs is not None else 1):
        found = set(Parallel()(delayed(os.getpid)() for _ in range(40)))
    assert len(found) <= engines and (found == {os.getpid()}) == (engines == 1)


def test_n_jobs_0_is_refused(rc):
    with pytest.raises(ValueError, match="n_jobs == 0"):
        pxrun.joblib.PxrunBackend(client=rc).effective_n_jobs(0)


def test_functions_and_classes_of_a_script_go_along(on_engines):
    scale = {"factor": 3}

    class Point:
        def __init__(self, x):
            self.x = x * scale["factor"]

    def make(x):
        return Point(x)

    found = Parallel()(delayed(make)(i) for i in range(5))
    assert [type(p) for p in found] == [Point] * 5 and [p.x for p in found] == [0, 3, 6, 9, 12]


def test_batches_and_pre_dispatch(on_engines):
    read = []

    def numbers():
        for i in range(100):
            read.append(i)
            yield delayed(abs)(-i)

    assert Parallel(batch_size=7, pre_dispatch=10)(numbers()) == list(range(100)) == read
    assert Parallel(batch_size="auto", pre_dispatch="all")(numbers()) == list(range(100))


def test_verbose_says_what_is_done(on_engines, capsys):
    Parallel(verbose=10)(delayed(abs)(-i) for i in range(10))
    assert "Using backend PxrunBackend with 4 concurrent workers" in capsys.readouterr().err


def test_a_parallel_can_be_used_again(on_engines):
    with Parallel() as parallel:
        for n in range(3):
            assert parallel(delayed(abs)(-i) for i in range(n)) == list(range(n))


# --- failures


def test_an_error_ends_the_call_and_what_it_has_out(on_engines, new_gate):
    gate = new_gate()

    class Mine(Exception):
        def __init__(self, code):
            super().__init__(code)
            self.code = code

    def work(i):
        if i == 0:
            raise Mine(7)
        with open(gate.path) as file:
            return file.read(1)

    with pytest.raises(Mine) as caught:
        Parallel(batch_size=1, pre_dispatch="all")(delayed(work)(i) for i in range(20))
    assert caught.value.code == 7
    assert on_engines.wait(timeout=60), "the others were interrupted or taken back"
    assert Parallel()(delayed(abs)(-i) for i in range(5)) == [0, 1, 2, 3, 4]


def test_timeout_ends_the_call(on_engines, new_gate):
    gate = new_gate()
    from multiprocessing import TimeoutError as Late

    with pytest.raises((TimeoutError, Late)):
        Parallel(timeout=0.1)(delayed(lambda path: open(path).read())(gate.path) for _ in range(3))
    assert on_engines.wait(timeout=60)


def test_what_cannot_be_sent_is_named(on_engines):
    import threading

    with pytest.raises(TypeError, match="lock"):
        Parallel()(delayed(id)(lock) for lock in [threading.Lock()])


def test_an_engine_that_dies_ends_the_call_in_words():
    with pxrun.Cluster(n=2, restart="always") as rc, joblib.parallel_backend("pxrun", client=rc):
        with pytest.raises(pxrun.EngineError, match="SIGKILL"):
            Parallel()(delayed(os.kill)(*each) for each in [(pid, 9) for pid in rc[:].apply_sync(os.getpid)])
        rc.wait_for_engines(2, timeout=60)
        assert Parallel()(delayed(abs)(-i) for i in range(5)) == [0, 1, 2, 3, 4]


# --- nested calls


def test_nested_calls_run_in_threads_of_the_engine(on_engines):
    def outer(n):
        kind = type(joblib.parallel.get_active_backend()[0]).__name__
        return kind, Parallel(n_jobs=2)(delayed(os.getpid)() for _ in range(n)), os.getpid()

    for kind, pids, pid in Parallel()(delayed(outer)(3) for _ in range(4)):
        assert kind == "ThreadingBackend" and set(pids) == {pid}


def test_an_engine_that_asks_for_the_backend_does_it_alone(on_engines):
    def outer(n):
        import pxrun.joblib  # noqa: F401

        with joblib.parallel_backend("pxrun", n_jobs=2):
            return joblib.effective_n_jobs(), Parallel()(delayed(os.getpid)() for _ in range(n)), os.getpid()

    for n_jobs, pids, pid in Parallel()(delayed(outer)(3) for _ in range(4)):
        assert n_jobs == 1 and set(pids) == {pid}


# --- arrays


def where(array):
    return os.getpid(), array.__array_interface__["data"][0], array.flags.writeable, float(array.sum())


def test_large_arrays_lie_once_in_shared_memory(on_engines):
    array = numpy.ones(LARGE)
    before = used(on_engines)
    most = []

    def calls():
        for _ in range(40):
            yield delayed(where)(array)
            most.append(used(on_engines))

    found = Parallel(batch_size=1)(calls())
    assert max(most) - before < 2 * array.nbytes
    places = {}
    for pid, place, writeable, total in found:
        assert places.setdefault(pid, place) == place, "an engine has it once"
        assert not writeable and total == LARGE
    while used(on_engines) > before:
        time.sleep(0)


@pytest.mark.parametrize(
    "array",
    [
        numpy.asfortranarray(numpy.arange(LARGE * 2.0).reshape(512, -1)),
        numpy.arange(LARGE * 2.0)[::2],
        numpy.zeros(LARGE, [("a", "i4"), ("b", "f8")]),
        numpy.arange(LARGE).astype("M8[s]"),
    ],
    ids=["fortran", "strided", "records", "dates"],
)
def test_arrays_of_all_kinds_arrive_as_they_are(on_engines, array):
    def same(other):
        return numpy.array_equal(other, array), other.dtype == array.dtype, other.flags.writeable

    assert Parallel()(delayed(same)(array) for _ in range(4)) == [(True, True, False)] * 4


def test_arrays_within_objects_are_shared_as_well(on_engines):
    held = {"x": [numpy.ones(LARGE)]}
    before = used(on_engines)
    found = Parallel(batch_size=1)(delayed(lambda h: where(h["x"][0]))(held) for _ in range(8))
    assert len({place[:2] for place in found}) == len({place[0] for place in found})
    while used(on_engines) > before:
        time.sleep(0)


def test_private_copies_if_asked_for(on_engines):
    array = numpy.zeros(LARGE)

    def write(a):
        first = float(a[0])
        a[0] += 1
        return first

    assert Parallel(mmap_mode="c")(delayed(write)(array) for _ in range(10)) == [0.0] * 10
    assert Parallel(mmap_mode=None)(delayed(write)(array) for _ in range(10)) == [0.0] * 10
    assert Parallel(max_nbytes=None)(delayed(write)(array) for _ in range(10)) == [0.0] * 10
    assert array[0] == 0


def test_writable_arrays_are_seen_by_all_workers(on_engines):
    array = numpy.zeros(LARGE)

    def write(a, i):
        a[i] = i + 1

    def work(a, i):
        write(a, i)
        while not a[:2].all():
            pass

    Parallel(mmap_mode="r+", n_jobs=2, batch_size=1)(delayed(work)(array, i) for i in range(2))
    assert not array.any(), "but not here, as with joblib's own"
    shared = pxrun.shared(numpy.zeros(4), client=on_engines)
    Parallel()(delayed(write)(shared, i) for i in range(4))
    assert shared.tolist() == [1, 2, 3, 4]


def test_memmaps_are_opened_by_the_workers(on_engines, tmp_path):
    mapped = numpy.memmap(tmp_path / "file", "f8", "w+", shape=(100,))

    def write(a, i):
        a[i] = i

    Parallel()(delayed(write)(mapped, i) for i in range(100))
    assert mapped.tolist() == list(range(100))


def test_an_array_that_changes_between_calls_is_sent_again(on_engines):
    array = numpy.zeros(LARGE)
    for n in range(3):
        array[:] = n
        assert Parallel()(delayed(numpy.max)(a) for a in [array] * 4) == [n] * 4


def test_arrays_of_one_batch_do_not_pile_up(on_engines):
    before = used(on_engines)
    most = []

    def calls():
        for i in range(100):
            yield delayed(numpy.max)(numpy.full(LARGE, i))
            most.append(used(on_engines))

    assert Parallel(batch_size=1)(calls()) == list(range(100))
    assert max(most) - before < 60 * 8 * LARGE
    while used(on_engines) > before:
        time.sleep(0)


def test_an_engine_that_is_restarted_asks_for_the_array():
    with pxrun.Cluster(n=2, restart="always") as rc, joblib.parallel_backend("pxrun", client=rc):
        array = numpy.ones(LARGE)

        def calls():
            for i in range(60):
                if i == 30:
                    before = rc[:].apply_sync(os.getpid)
                    rc[:].shutdown(restart=True)
                    while not set(before).isdisjoint(rc[:].apply_sync(os.getpid)):
                        pass
                yield delayed(numpy.sum)(array)

        assert Parallel(batch_size=1, pre_dispatch=1)(calls()) == [LARGE] * 60


def test_engines_forget_the_arrays_of_clients_that_ended(rc):
    from pxrun.engine import residents

    def kept():
        return len(residents._here)

    token = "s_999999999_0"
    rc[0].apply_sync(lambda: (residents._givers.add("999999999"), residents._here.update({token: 1}))[0])
    before = rc[0].apply_sync(kept)
    rc[0].apply_sync(residents.keep, f"s_{os.getpid()}_x", 1)
    assert rc[0].apply_sync(kept) == before
    rc[0].apply_sync(residents.drop, [f"s_{os.getpid()}_x"])


# --- the private pool


def test_private_pool_is_kept_and_grows(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        """
import os
import joblib, pxrun.joblib
from joblib import Parallel, delayed

def pids():
    return set(Parallel(batch_size=1)(delayed(os.getpid)() for _ in range(20)))

with joblib.parallel_backend("pxrun", n_jobs=2):
    first = pids()
    client = pxrun.joblib._private[None]
    assert len(client) == 2 and os.getpid() not in first
    assert pids() <= set(client[:].apply_sync(os.getpid))
with joblib.parallel_backend("pxrun", n_jobs=3):
    pids()
    assert pxrun.joblib._private[None] is client and len(client) == 3
client.cluster.stop_cluster_sync()
with joblib.parallel_backend("pxrun", n_jobs=2):
    assert pids().isdisjoint(first)
pid = os.fork()
if not pid:
    with joblib.parallel_backend("pxrun", n_jobs=2):
        os._exit(0 if os.getpid() not in pids() else 1)
assert os.waitpid(pid, 0)[1] == 0
print("done")
"""
    )
    import subprocess
    import sys

    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=100)
    assert done.stdout == "done\n" and done.returncode == 0, done.stderr


def test_views_and_clients_register_themselves(rc):
    for register in (rc.register_joblib_backend, rc[[0, 1]].register_joblib_backend):
        register("mine")
        with joblib.parallel_backend("mine"):
            assert Parallel()(delayed(abs)(-i) for i in range(3)) == [0, 1, 2]
    with joblib.parallel_backend("mine"):
        assert joblib.effective_n_jobs() == 2
    rc[[0, 1, 2]].register_joblib_backend()
    try:
        for name in ("pxrun", "ipyparallel"):
            with joblib.parallel_backend(name):
                assert joblib.effective_n_jobs() == 3
    finally:
        pxrun.joblib.register()


def test_options_that_do_not_exist_or_contradict(rc):
    for options, words in (
        ({"clinet": rc}, "no option 'clinet': is 'client' meant"),
        ({"color": 1}, "no option 'color', only client, view, profile"),
    ):
        with pytest.raises(TypeError, match=words):
            joblib.parallel_backend("pxrun", **options)
    with pytest.raises(ValueError, match="give one of them"):
        joblib.parallel_backend("pxrun", client=rc, view=rc[:])
    rc[[0, 1]].register_joblib_backend("mine")
    with joblib.parallel_backend("mine", client=rc):
        assert joblib.effective_n_jobs() == 4


def test_what_calls_print_is_shown(on_engines, capfd):
    Parallel()(delayed(print)("printed", i) for i in range(3))
    shown = capfd.readouterr().out
    assert all(f"printed {i}\n" in shown for i in range(3))


def test_what_calls_print_is_shown_while_they_run(on_engines, new_gate, monkeypatch):
    gate = new_gate()

    class Opening(io.StringIO):
        def write(self, text):
            gate.open(text.count("] it runs"))
            return super().write(text)

    def talk(path):
        print("it runs", flush=True)
        return os.read(os.open(path, os.O_RDONLY), 1)

    monkeypatch.setattr(sys, "stdout", Opening())
    assert Parallel(timeout=60)(delayed(talk)(gate.path) for _ in range(2)) == [b"x"] * 2
