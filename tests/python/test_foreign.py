# SPDX-License-Identifier: BSD-3-Clause
"""Views that have their requests pickled by another library, and nobody else's."""
import subprocess
import sys
import threading

import numpy as np
import pytest

import pxrun
from pxrun import Reference


@pytest.fixture
def scaled(pool, monkeypatch):
    """`scale` is 10 on the engines and 2 here."""
    monkeypatch.setitem(globals(), "scale", 2)
    pool[:].push({"scale": 10}, block=True)
    pool[:].execute("def give(): return lambda: scale", block=True)
    return pool


def scales(view):
    return view.apply_sync(lambda: scale)  # noqa: F821


def test_use_cloudpickle_takes_the_clients_globals(scaled):
    view = scaled[0]
    assert scales(view) == 10
    assert view.use_cloudpickle().get(10) is None
    assert scales(view) == 2
    assert view.use_pickle().get(10) is None
    assert scales(view) == 10


def test_use_cloudpickle_of_a_blocking_view_waits(scaled):
    view = scaled.direct_view(block=True)
    assert view.use_cloudpickle() == [None] * 4
    assert scales(view) == [2] * 4


def test_use_cloudpickle_is_of_one_view_only(scaled):
    view = scaled[:]
    view.use_cloudpickle()
    with pxrun.Client(scaled.connection_file) as other:
        for _ in range(2):
            assert scales(view) == [2] * 4
            assert scales(scaled[:]) == [10] * 4
            assert scales(other[:]) == [10] * 4
            assert view.map_sync(lambda x: x * scale, range(4)) == [0, 2, 4, 6]  # noqa: F821
            assert scaled[:].map_sync(lambda x: x * scale, range(4)) == [0, 10, 20, 30]  # noqa: F821


def test_results_go_back_as_the_view_has_them_pickled(scaled):
    view = scaled[0]
    view.use_cloudpickle()
    assert view.pull("give()", block=True)() == 10  # with the engine's globals
    with pytest.raises(NameError):
        scaled[0].pull("give()", block=True)()  # with those of our __main__


def test_all_that_a_view_sends_goes_through_cloudpickle(pool):
    view = pool.direct_view(block=True)
    view.use_cloudpickle()
    data = np.arange(100_000.0)
    view.push({"data": data, "text": "words", "none": None})
    assert view["text"] == ["words"] * 4 and view["none"] == [None] * 4
    for one in view["data"]:
        assert (one == data).all()
        one[0] = 5  # writable, and ours
    view.scatter("part", data)
    assert (view.gather("part") == data).all()
    assert view.apply(lambda x, y=0: (x, y), Reference("text"), y=[Reference("text")]) == [("words", ["words"])] * 4
    assert list(view.imap(abs, [-1, 2])) == [1, 2]
    assert view.remote()(len)("abc") == [3] * 4
    with pytest.raises(pxrun.CompositeError, match="ZeroDivisionError"):
        view.apply(lambda: 1 / 0)


def test_what_the_library_cannot_pickle_is_named(pool):
    view = pool[0]
    view.use_cloudpickle()
    with pytest.raises(TypeError, match=r"^argument 'lock' of len, of type lock, cannot be sent: TypeError: cannot pickle"):
        view.apply(len, lock=threading.Lock())
    with pytest.raises(TypeError, match=r"the result, of type lock, cannot be sent: TypeError: cannot pickle"):
        view.apply_sync(threading.Lock)
    assert view.apply_sync(len, "ab") == 2


def test_library_that_is_not_installed(pool, monkeypatch):
    monkeypatch.setitem(sys.modules, "dill", None)
    view = pool[0]
    with pytest.raises(ImportError, match="dill"):
        view.use_dill()
    assert view.apply_sync(len, "ab") == 2


_DILL = """
import threading, numpy, pxrun
scale = 2
with pxrun.Cluster(n=2) as rc:
    view = rc.direct_view(block=True)
    view.push({"scale": 10})
    view.use_dill()
    print(view.apply(lambda lock: lock.locked(), threading.Lock()), [lock.locked() for lock in view.apply(threading.Lock)])
    print(view.map(lambda x: x * scale, range(4)))
    data = numpy.arange(100_000.0)
    print([bool((one == data).all()) for one in view.apply(lambda x: x, data)])
    try:
        rc[:].apply(lambda lock: lock.locked(), threading.Lock())
    except TypeError as error:
        print(str(error).partition(":")[0])
"""


def test_use_dill(tmp_path):
    pytest.importorskip("dill")
    (tmp_path / "script.py").write_text(_DILL)
    ended = subprocess.run([sys.executable, str(tmp_path / "script.py")], capture_output=True, text=True, timeout=60)
    assert ended.stdout.split("\n") == [
        "[False, False] [False, False]",
        "[0, 10, 20, 30]",  # dill takes the other side's __main__
        "[True, True]",
        "argument 1 of <lambda>, of type lock, cannot be sent",
        "",
    ], ended.stderr
