# SPDX-License-Identifier: BSD-3-Clause
"""What engines raised, as people meet it: caught by its class, in a map, at IPython's prompt, in the debugger."""
import copy
import gc
import os
import pickle
import re
import traceback
import weakref

import pytest

import pxrun
from pxrun import AsyncResult, CompositeError, EngineError, Reference, RemoteError, TaskAborted, error

# --- by the class that all engines raised


class Refused(Exception):
    """An exception of a script, with a constructor of its own."""

    def __init__(self, what, code=0):
        super().__init__(what)
        self.code = code


CLASSES = {
    "ValueError": "raise ValueError('no')",
    "KeyError": "{}['no']",
    "NameError": "nowhere",
    "AttributeError": "object().nothing",
    "ModuleNotFoundError": "import nowhere_at_all",
    "FileNotFoundError": "open('/nowhere/at/all')",
    "UnicodeDecodeError": "b'\\xff'.decode()",
    "SyntaxError": "a = = 1",
    "MemoryError": "raise MemoryError",
    "TimeoutError": "raise TimeoutError('late')",
    "AssertionError": "assert False",
    "ZeroDivisionError": "1 / 0",
}


@pytest.mark.parametrize("name", CLASSES)
def test_composite_is_of_the_class_that_all_raised(pool, name):
    cls = getattr(__import__("builtins"), name)
    with pytest.raises(cls) as caught:
        pool[:].execute(CLASSES[name], block=True)
    found = caught.value
    assert isinstance(found, CompositeError) and len(found.elist) == len(found.exceptions) == 4
    assert type(found).__name__ == "CompositeError" and f"[3:execute]: {name}" in str(found)
    assert all(isinstance(e, cls) for e in found.exceptions)
    others = {"pickled": pickle.loads(pickle.dumps(found)), "copied": copy.copy(found), "again": error.again(found)}
    assert [way for way in others if others[way] is found] == []
    for other in others.values():
        assert isinstance(other, cls) and isinstance(other, CompositeError) and str(other) == str(found)
    # only of this one: who has imported tblib has pickled and copied exceptions keep their tracebacks
    assert traceback.format_tb(others["again"].__traceback__) == []


def test_composite_of_a_class_of_the_script(pool):
    def refuse():
        raise Refused("no", code=7)

    with pytest.raises(Refused) as caught:
        pool[:].apply_sync(refuse)
    assert caught.value.code == 7 and isinstance(caught.value, CompositeError)


def test_composite_has_the_attributes_of_the_first(pool):
    with pytest.raises(OSError) as caught:
        pool[:].execute("open('/nowhere/at/all')", block=True)
    assert caught.value.errno == 2 and caught.value.filename == "/nowhere/at/all"
    assert caught.value.args == ("FileNotFoundError",) * 4


def test_composite_of_different_classes_is_of_none(pool):
    pool[:2].scatter("x", [0, "0"], flatten=True, block=True)
    with pytest.raises(CompositeError) as caught:
        pool[:2].execute("1 / x", block=True)
    assert not isinstance(caught.value, (ZeroDivisionError, TypeError))
    assert isinstance(caught.value, ExceptionGroup)


@pytest.mark.parametrize("name", ["ValueError", "NameError"])
def test_except_star_takes_it_apart(pool, name):
    seen = []
    cls = getattr(__import__("builtins"), name)
    try:
        pool[:].execute(CLASSES[name], block=True)
    except* OSError:
        seen.append("another")
    except* cls as group:
        seen.append(type(group.exceptions[0]).__name__)
    assert seen == ["RemoteError" if name == "ValueError" else "CompositeError"]


def test_end_of_an_iteration_is_not_taken_for_one(pool):
    with pytest.raises(CompositeError) as caught:
        pool[:].apply_sync(next, iter(()))
    assert not isinstance(caught.value, StopIteration)


def test_all_engines_died():
    with pxrun.Cluster(n=2, preload="") as rc:
        with pytest.raises(EngineError) as caught:
            rc[:].apply_sync(os._exit, 3)
        assert isinstance(caught.value, CompositeError) and str(caught.value).count("exited with code 3") == 2


def test_python_prints_the_tracebacks_of_engines(pool):
    for name in ("ValueError", "NameError"):
        with pytest.raises(CompositeError) as caught:
            pool[:2].execute(CLASSES[name], block=True)
        printed = "".join(traceback.format_exception(caught.value))
        assert printed.count('File "<pxrun-') >= 2, printed


# --- elements of a map


def risky(x):
    return 10 / x


def kinds(values):
    return [next((c for c in (ZeroDivisionError, TypeError, EngineError) if isinstance(x, c)), x) for x in values]


@pytest.mark.parametrize("dist", ["b", "r"])
def test_map_keeps_good_elements_beside_bad_ones(pool, dist):
    numbers = [1, 2, 0, 4, 5, 0, "7", 8, 10]
    mapped = pool[:2].parallel(dist=dist, block=True, return_exceptions=True)(risky).map(numbers)
    assert kinds(mapped) == [10.0, 5.0, ZeroDivisionError, 2.5, 2.0, ZeroDivisionError, TypeError, 1.25, 1.0]
    assert all(isinstance(x, RemoteError) for x in mapped if not isinstance(x, float))
    assert mapped[2].engine_info["engine_id"] == 0 and "in risky" in mapped[2].traceback


def test_map_with_exceptions_can_still_raise_them(pool):
    ar = pool[:].map_async(risky, [1, 0, 0, 2], return_exceptions=True)
    assert kinds(ar.get()) == kinds(list(ar)) == [10.0, ZeroDivisionError, ZeroDivisionError, 5.0]
    assert not ar.successful() and isinstance(ar.exception(), ZeroDivisionError)
    with pytest.raises(CompositeError) as caught:
        ar.get(return_exceptions=False)
    assert len(caught.value.elist) == 2
    assert kinds(ar.get()) == [10.0, ZeroDivisionError, ZeroDivisionError, 5.0]


def test_map_of_references_keeps_good_elements(pool):
    pool[:2].execute("def risky(x): return 10 / x", block=True)
    mapped = pool[:2].map_sync(Reference("risky"), [1, 0, 5], return_exceptions=True)
    assert kinds(mapped) == [10.0, ZeroDivisionError, 2.0]


def test_map_gives_advice_on_each_element(pool):
    def needs(x):
        return x and nowhere_there  # noqa: F821

    mapped = pool[:2].map_sync(needs, [0, 1], return_exceptions=True)
    assert mapped[0] == 0 and isinstance(mapped[1], NameError)


def test_engine_that_dies_in_a_map_is_told_at_each_of_its_elements():
    with pxrun.Cluster(n=2, preload="") as rc:
        mapped = rc[:].map_sync(lambda x: x or __import__("os")._exit(3), [1, 2, 0, 4], return_exceptions=True)
        assert kinds(mapped) == [1, 2, EngineError, EngineError]


def test_map_that_is_interrupted_ends(pool):
    ar = pool[0].map_async(lambda x: __import__("time").sleep(60), [1, 2], return_exceptions=True)
    while not ar.running():
        pass
    ar.cancel()
    assert [type(x).__name__ for x in ar.get(30)] == ["TaskCancelled"] * 2


# --- where it is shown


def frames(exception):
    found = exception.__traceback__
    while found is not None:
        yield found.tb_frame
        found = found.tb_next


@pytest.mark.parametrize("targets", [0, [0, 1]])
@pytest.mark.parametrize("block", [True, False])
def test_debugger_reaches_the_result_and_its_exceptions(pool, targets, block):
    view = pool.direct_view(targets)
    with pytest.raises(ZeroDivisionError) as caught:
        view.apply_sync(risky, 0) if block else view.apply_async(risky, 0).get()
    innermost = list(frames(caught.value))[-1]
    assert isinstance(innermost.f_locals["self"].exception(), ZeroDivisionError)
    assert innermost.f_locals["self"].metadata


@pytest.mark.parametrize("targets", [0, [0, 1]])
def test_caught_exception_leaves_nothing(pool, targets):
    ar = pool[targets].apply_async(risky, 0)
    gone = weakref.ref(ar)
    gc.collect()
    gc.disable()
    try:
        for use in (AsyncResult.get, list if targets else AsyncResult.result, AsyncResult.get):
            try:
                use(ar)
            except ZeroDivisionError:
                pass
        del ar
        assert gone() is None
    finally:
        gc.enable()


def test_each_raise_has_a_traceback_of_its_own(pool):
    ar = pool[0].apply_async(risky, 0)
    lengths = set()
    for _ in range(3):
        with pytest.raises(ZeroDivisionError) as caught:
            ar.get()
        lengths.add(len(list(frames(caught.value))))
    assert len(lengths) == 1
    assert ar.exception().__traceback__ is None and str(ar.exception()) == str(caught.value)


def test_aborted_result_raises_as_often_as_one_asks(pool, hold):
    hold(0)
    ar = pool[0].apply_async(risky, 1)
    ar.abort()
    for _ in range(2):
        with pytest.raises(TaskAborted, match="aborted before it ran"):
            ar.get()
    assert ar.metadata.status == "aborted"


def run_cell(cell, **names):
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    shell.user_ns.update(names)
    try:
        shell.run_cell(cell)
    finally:
        InteractiveShell.clear_instance()


@pytest.mark.parametrize("targets", ["0", "[0, 1]"])
def test_prompt_shows_the_engine_and_the_line_here(pool, monkeypatch, tmp_path, capsys, targets):
    pytest.importorskip("IPython")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    run_cell(f"def bad(x):\n    return 10 / x\n\n\nrc[{targets}].apply_sync(bad, 0)", rc=pool)
    text = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert f"rc[{targets}].apply_sync(bad, 0)" in text and "line 5" in text
    assert "[0:apply]:" in text and "ZeroDivisionError: division by zero" in text and ("[1:apply]:" in text) == (targets != "0")
    assert "site-packages" not in text and "pxrun/client" not in text and "interactiveshell" not in text
