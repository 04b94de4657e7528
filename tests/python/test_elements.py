# SPDX-License-Identifier: BSD-3-Clause
"""What fails of a map is named: the element, whatever it was sent with."""
import pickle
import traceback

import numpy as np
import pytest

import pxrun
from pxrun import Reference


def notes(e):
    return e.__notes__


def inverse(x):
    return 1 / x


# --- which element


@pytest.mark.parametrize("chunksize", [1, 4, None])
def test_the_element_of_a_map_that_failed_is_named(view, chunksize):
    numbers = [5, 1, 2, 0, 7, 3, 9, 0, 2]
    ar = view.map_async(inverse, numbers, chunksize=chunksize)
    with pytest.raises(pxrun.CompositeError) as caught:
        ar.get(20)
    assert [notes(e) for e in caught.value.exceptions] == [["element 3 of the map"], ["element 7 of the map"]]
    assert all(str(e).endswith("ZeroDivisionError: division by zero") for e in caught.value.exceptions)
    assert "element 3 of the map" in "".join(traceback.format_exception(caught.value))
    assert "element 7 of the map" in caught.value.render_traceback() and "element" not in str(caught.value)
    with pytest.raises(ZeroDivisionError) as caught:
        list(ar)
    assert notes(caught.value) == ["element 3 of the map"] and caught.value.render_traceback()[-1] == "element 3 of the map"
    got = view.map_sync(inverse, numbers, chunksize=chunksize, return_exceptions=True)
    assert [notes(got[3]), notes(got[7])] == [["element 3 of the map"], ["element 7 of the map"]]


@pytest.mark.parametrize("chunksize", [1, 4, None])
def test_the_element_of_an_imap_that_failed_is_named(view, chunksize):
    got = list(view.imap(inverse, (i % 7 for i in range(40)), chunksize=chunksize, return_exceptions=True))
    assert {n: notes(e) for n, e in enumerate(got) if isinstance(e, Exception)} == {
        n: [f"element {n} of the map"] for n in range(0, 40, 7)
    }


@pytest.mark.parametrize("sequence", [[4, 2, 1, 5, 3, 0, 9, 8], np.array([4, 2, 1, 5, 3, 0, 9, 8]), range(-5, 4)])
@pytest.mark.parametrize("dist", ["b", "r"])
def test_the_element_of_a_direct_map_that_failed_is_named(pool, sequence, dist):
    def checked(x):
        if x == 0:
            raise ValueError("none")
        return x

    for options in ({}, {"return_exceptions": True}):
        mapped = pool[:3].parallel(dist=dist, **options)(checked)
        with pytest.raises(pxrun.CompositeError) as caught:
            mapped.map(sequence).get(10, return_exceptions=False)
        assert notes(caught.value.exceptions[0]) == ["element 5 of the map"]
    pool[:].push({"checked": checked}, block=True)
    with pytest.raises(ValueError) as raised:
        pool[:].map_sync(Reference("checked"), list(sequence))
    assert notes(raised.value.exceptions[0]) == ["element 5 of the map"]


def test_notes_stay_with_what_is_copied_and_pickled(view):
    ar = view.map_async(inverse, [0, 1, 2], chunksize=3)
    error = ar.exception(20)
    for one in (error, pickle.loads(pickle.dumps(error)), pxrun.CompositeError("again", [error])):
        assert notes(one.exceptions[0]) == ["element 0 of the map"]
    error.exceptions[0].add_note("mine")
    with pytest.raises(ZeroDivisionError) as caught:
        list(ar)
    caught.value.add_note("another")
    with pytest.raises(ZeroDivisionError) as caught:
        list(ar)
    assert "another" not in notes(caught.value)


class OwnNotes(Exception):
    """With an add_note() of its own, or __notes__ that are no list."""

    def __init__(self, given=None):
        super().__init__(given)
        if given is not None:
            self.__notes__ = given

    def add_note(self, key, value):
        raise AssertionError("not ours")


@pytest.mark.parametrize("given", [None, "own", ("one",), 5, [1, "two"]])
@pytest.mark.parametrize("chunksize", [1, 3])
def test_exceptions_with_notes_of_their_own_kind_keep_their_map(pool, view, given, chunksize):
    def fails(x):
        if x == 1:
            raise OwnNotes(given)
        return x

    for mapped in (view.map_async(fails, range(4), chunksize=chunksize), pool[:].map_async(fails, range(4))):
        with pytest.raises(OwnNotes) as caught:
            mapped.get(10)
        assert notes(caught.value.exceptions[0])[-1] == "element 1 of the map"
        assert "element 1 of the map" in caught.value.render_traceback()
        assert given != "own" or "own" in notes(caught.value.exceptions[0])
    got = view.map_sync(fails, range(4), chunksize=chunksize, return_exceptions=True)
    assert got[0::2] == [0, 2] and notes(got[1])[-1] == "element 1 of the map"


def test_notes_of_the_engine_are_shown_once(pool):
    def fails(kind):
        e = ExceptionGroup("several", [OSError("one")]) if kind == "group" else ValueError("none")
        e.add_note("first line\nsecond line")
        raise e

    for kind in ("group", "plain"):
        with pytest.raises(pxrun.RemoteError) as caught:
            pool[0].apply_sync(fails, kind)
        caught.value.add_note("added\nhere")
        caught.value.hint = "try\n\nthis"
        for e in (caught.value, pickle.loads(pickle.dumps(caught.value)), pxrun.error.again(caught.value)):
            lines = e.render_traceback()
            assert "\n".join(lines).count("second line") == 1
            assert lines[-5:] == ["added", "here", "try", "", "this"]
        assert pxrun.CompositeError("both", [caught.value]).render_traceback(0)[-4:-2] == ["added", "here"]


def test_notes_of_one_are_not_those_of_all(pool):
    with pytest.raises(ZeroDivisionError) as caught:
        pool[:].map_sync(inverse, [1, 0, 1, 0])
    assert not hasattr(caught.value, "__notes__")


def test_stop_iteration_keeps_its_note(view):
    with pytest.raises(pxrun.RemoteError) as caught:
        list(view.imap(lambda x: next(iter(x)), [[1], []]))
    assert notes(caught.value) == ["element 1 of the map"]


def test_elements_of_a_chunk_whose_engine_died_are_named(view):
    with pytest.raises(pxrun.CompositeError) as caught:
        view.map_sync(lambda x: x or __import__("os")._exit(3), [1, 2, 0, 4], chunksize=2)
    assert notes(caught.value.exceptions[0]) == ["element 2 of the map, or one of the 1 behind it"]


# --- results that cannot be read


class Picky:
    """Cannot be read where there is no engine, if it says so."""

    def __init__(self, bad):
        self.bad = bad

    def __reduce__(self):
        return make, (Picky, self.bad)


def make(cls, bad):
    if bad:
        raise OSError("not here")
    return cls(bad)


class Restored:
    def __setstate__(self, state):
        if state.get("bad"):
            raise OSError("not here")
        self.__dict__.update(state)


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("kind", ["reduce", "state", "class", "shared"])
def test_result_that_cannot_be_read_fails_alone(rc, view, tmp_path, kind, deep):
    (tmp_path / "only_there.py").write_text("class Missing: pass")
    rc[:].execute(f"import sys; sys.path.insert(0, {str(tmp_path)!r}); sys.modules.pop('only_there', None)", block=True)

    def result(x):
        bad = x in (3, 8)
        if kind == "reduce":
            made = Picky(bad)
        elif kind == "class" and bad:
            import only_there

            made = only_there.Missing()
        else:
            made = Restored()
            made.bad = bad
        return (x, [{"deep": made}], x) if deep else made

    def shared(x, memo=[]):  # noqa: B006
        memo.append(result(3)) if not memo else None
        return [x, memo[0]] if x in (3, 8) else [x, result(1)]

    f = shared if kind == "shared" else result
    got = view.map_sync(f, range(12), chunksize=12, return_exceptions=True)
    failed = {n: e for n, e in enumerate(got) if isinstance(e, Exception)}
    assert set(failed) == {3, 8} and all(isinstance(e, TypeError) and "unpickled here" in str(e) for e in failed.values())
    assert notes(failed[8]) == ["element 8 of the map"] and len(got) == 12
    with pytest.raises(pxrun.CompositeError, match="unpickled here"):
        view.map_sync(f, range(12), chunksize=6)


# --- retries


def spoil(seen, x):
    """Fails the first time for an element, after it has changed it."""
    number = float(x[0])
    x[0] = -1
    if number not in seen:
        seen.append(number)
        raise OSError("once")
    return number


@pytest.mark.parametrize("library", [None, "cloudpickle", "references"])
@pytest.mark.parametrize("kind", ["lists", "rows", "large", "many"])
def test_each_attempt_gets_the_argument_as_it_was_sent(rc, view, kind, library):
    rc[:].push({"seen": []}, block=True)
    sequence = {
        "lists": [[float(i)] for i in range(6)],
        "rows": np.arange(12, dtype=float).reshape(6, 2),
        "large": [np.full(30_000, i, float) for i in range(6)],
        "many": [np.full(3, i, float) for i in range(6)],
    }[kind]
    if library == "references":
        rc[:].push({"f": lambda x: spoil(seen, x)}, block=True)  # noqa: F821
        f = Reference("f")
    else:
        f = lambda x: spoil(__import__("__main__").seen, x)  # noqa: E731
    if library == "cloudpickle":
        view.use_cloudpickle().get()
    view.set_flags(retries=1, targets=[0])
    assert view.map_sync(f, sequence, chunksize=6) == [float(each[0]) for each in sequence] == sorted(rc[0]["seen"])
    assert float(sequence[0][0]) == 0
    got = view.set_flags(retries=0).map_sync(lambda x: spoil([], x), sequence, chunksize=6, return_exceptions=True)
    assert all(isinstance(e, OSError) for e in got)
