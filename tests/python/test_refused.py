# SPDX-License-Identifier: BSD-3-Clause
"""What is refused, and the words in which: they name what the caller wrote."""
import math
import os
import re

import pytest

import pxrun


@pytest.fixture(params=["direct", "load-balanced"])
def any_view(request, pool):
    return pool[:] if request.param == "direct" else pool.load_balanced_view()


def test_call_without_a_function(any_view):
    for call in (any_view.apply, any_view.apply_async, any_view.apply_sync):
        with pytest.raises(TypeError, match="missing 1 required positional argument: 'f'"):
            call()
    assert any_view.apply_sync(lambda **kw: sorted(kw), f=1, self=2) in (["f", "self"], [["f", "self"]] * 4)


def test_map_of_nothing_that_can_be_iterated_over(any_view):
    for wanted in (any_view.map, any_view.imap):
        with pytest.raises(TypeError, match="^a map needs at least one iterable$"):
            wanted(abs)
        with pytest.raises(TypeError, match="^a map needs iterables, and its argument 2, of type int, is none$"):
            wanted(pow, [1], 3)


@pytest.mark.parametrize("wrong", [1.5, "a", True])
def test_chunksize(pool, wrong):
    view = pool.load_balanced_view()
    for wanted in (view.map, view.imap):
        with pytest.raises(TypeError, match=f"^chunksize must be an int, not {wrong!r}$"):
            wanted(abs, [1], chunksize=wrong)


@pytest.mark.parametrize("wrong", [None, 5])
def test_dependency(wrong):
    with pytest.raises(TypeError, match=f"AsyncResults and message ids, not {wrong}$"):
        pxrun.Dependency(wrong)


@pytest.mark.parametrize("wrong, kind", [("x", TypeError), (math.nan, ValueError)])
def test_timeout(pool, any_view, hold, wrong, kind):
    for engine in range(4):
        hold(engine)
    waits = [lambda: pool.wait(timeout=wrong), lambda: any_view.wait(timeout=wrong), lambda: pool.next_result(wrong)]
    for ar in (any_view.apply_async(abs, -1), any_view.map_async(abs, range(4))):
        for wait in (ar.get, ar.wait, ar.result, ar.exception, lambda t, ar=ar: any_view.wait(ar, t)):
            waits.append(lambda wait=wait: wait(wrong))
        waits.append(lambda ar=ar: ar.wait(wrong, return_when="FIRST_COMPLETED"))
    for wait in waits:
        with pytest.raises(kind, match=f"a timeout is a number of seconds, or None, not {wrong!r}"):
            wait()


@pytest.mark.parametrize("wrong, kind", [("x", TypeError), (math.nan, ValueError)])
def test_timeout_of_a_task_that_waits_for_another(pool, hold, wrong, kind):
    for engine in range(4):
        hold(engine)
    view = pool.load_balanced_view()
    with view.temp_flags(after=view.apply_async(abs, -1)):
        ar = view.apply_async(abs, -2)
    for wait in (ar.get, ar.wait):
        with pytest.raises(kind, match="a timeout is a number of seconds"):
            wait(wrong)


def test_exception_that_says_nothing(any_view):
    def leave(*args):
        raise SystemExit

    for call in (lambda: any_view.apply_sync(leave), lambda: any_view.map_sync(leave, range(4))):
        with pytest.raises(pxrun.RemoteError) as caught:
            call()
        assert {line.split()[-1] for line in str(caught.value).splitlines() if "[" in line} == {"SystemExit"}
    assert str(pxrun.RemoteError("SystemExit", "", "")) == "SystemExit"


def test_what_no_engine_has_begun_names_none(pool, hold):
    view = pool.load_balanced_view()
    failed = view.apply_async(int, "bad")
    assert failed.wait(30)
    for engine in range(4):
        hold(engine)
    waiting = view.apply_async(abs, -1)
    assert waiting.cancel()
    with pytest.raises(pxrun.CompositeError) as caught:
        pxrun.AsyncResult.join(failed, waiting).get(30)
    text = str(caught.value) + "\n".join(caught.value.render_traceback())
    assert "?" not in text and re.search("^TaskCancelled: abs was cancelled", text, re.MULTILINE)
    assert re.search(r"^\[\d:apply\]: ValueError: invalid", text, re.MULTILINE)


def test_cancelled_tasks_of_one_engine_name_it_once(pool, new_gate):
    view, gate = pool.load_balanced_view([1]), new_gate()
    ars = [view.apply_async(lambda: os.read(os.open(gate.path, os.O_RDONLY), 1)) for _ in range(2)]
    for ar in ars:
        while not ar.running():
            assert not ar.ready()
        ar.cancel()
        assert ar.wait(30)
    with pytest.raises(pxrun.TaskCancelled, match=r"on engine 1 was cancelled \(likewise 1 more\)"):
        pxrun.AsyncResult.join(*ars).get(30)


NOT_HERE = {"resubmit": "retries", "db_query": "history", "hub_history": "history", "become_dask": "executor", "stop_dask": "executor",
            "become_distributed": "executor", "stop_distributed": "executor", "spin_thread": "by themselves",
            "stop_spin_thread": "by themselves"}


@pytest.mark.parametrize("name", NOT_HERE)
def test_what_ipyparallel_has_and_we_do_not_says_what_to_use(pool, any_view, name):
    for one in (pool, any_view, pool.load_balanced_view()):
        with pytest.raises(AttributeError, match=f"a {type(one).__name__} has no {name}: .*{NOT_HERE[name]}"):
            getattr(one, name)
        assert not hasattr(one, name)


def test_attributes_that_nobody_has(pool, any_view):
    for one in (pool, any_view):
        with pytest.raises(AttributeError, match=f"'{type(one).__name__}' object has no attribute 'nosuch'") as caught:
            one.nosuch  # noqa: B018
        assert caught.value.name == "nosuch" and caught.value.obj is one
