# SPDX-License-Identifier: BSD-3-Clause
"""The flags of views, and what is refused as one."""
import math

import pytest

import pxrun


@pytest.fixture(params=["direct", "load-balanced"])
def any_view(request, pool):
    return pool[:] if request.param == "direct" else pool.load_balanced_view()


@pytest.mark.parametrize("wrong", [{"timeout": -1}, {"output": "nowhere"}, {"label": 5}, {"colour": 1}, {"targets": []}])
def test_set_flags_sets_all_or_none(any_view, wrong):
    before = {name: getattr(any_view, name) for name in any_view._names}
    with pytest.raises((ValueError, TypeError, KeyError, pxrun.NoEnginesRegistered)):
        any_view.set_flags(**{"block": True, "track": True, "output": "keep", "send_globals": False, "label": "x", **wrong})
    assert {name: getattr(any_view, name) for name in any_view._names} == before


def test_set_flags_of_tasks_sets_all_or_none(pool):
    view = pool.load_balanced_view()
    with pytest.raises(ValueError, match="timeout"):
        view.set_flags(retries=7, after="x", follow="y", timeout=-1)
    assert (view.retries, view.after, view.follow) == (0, None, None)


def test_retries_are_as_many_as_can_be_counted(pool):
    view = pool.load_balanced_view()
    assert view.set_flags(retries=2**32 - 1).apply_sync(abs, -1) == 1
    for wrong in (2**32, 10**12, -1):
        with pytest.raises(ValueError, match=f"from 0 to 4294967295 times, and not {wrong}"):
            view.retries = wrong
    assert view.retries == 2**32 - 1


def test_bool_is_no_number(any_view):
    for name in {"timeout", "retries"} & {*any_view._names}:
        with pytest.raises(TypeError, match=f"{name} is .*, not True"):
            any_view.set_flags(**{name: True})
    with pytest.raises(ValueError, match="nan"):
        any_view.timeout = math.nan


@pytest.mark.parametrize("none", [[], (), range(0), slice(9, None)])
def test_targets_name_an_engine(any_view, none):
    before = any_view.targets
    with pytest.raises(pxrun.NoEnginesRegistered, match="none of the pool's engines"):
        any_view.targets = none
    assert any_view.targets == before
