# SPDX-License-Identifier: BSD-3-Clause
"""What errors say of names that engines lack."""
import json
import pickle

import pytest

from pxrun import error

here_only = 5


def square(x):
    return x * x


def by_value(f):
    f.__module__ = "__main__"
    return f


@by_value
def needs_value():
    return here_only


@by_value
def needs_module():
    return json.dumps(1)


@by_value
def needs_function():
    return square(2)


@by_value
def needs_nothing_known():
    return nowhere_at_all  # noqa: F821


@pytest.mark.parametrize(
    "f, name, advice",
    [
        (needs_value, "here_only", "push({'here_only': here_only})"),
        (needs_module, "json", "with view.sync_imports(): import json"),
        (needs_module, "json", "@pxrun.require('json')"),
        (needs_function, "square", "push({'square': square})"),
    ],
)
@pytest.mark.parametrize("way", ["apply_sync", "one", "async", "map"])
def test_NameError_says_that_the_client_has_the_name(pool, f, name, advice, way):
    one, view = (pool.direct_view(targets, send_globals=False) for targets in (0, "all"))
    with pytest.raises(NameError) as caught:
        if way == "one":
            one.apply_sync(f)
        elif way == "async":
            one.apply_async(f).get()
        else:
            try:
                if way == "map":
                    view.map_sync(_taking_one(f), range(4))
                else:
                    view.apply_sync(f)
            except error.CompositeError as e:
                assert str(e).count("defined here") == 1 and advice in str(e)
                assert advice in "\n".join(e.render_traceback()) and advice in str(pickle.loads(pickle.dumps(e)))
                e.raise_exception(0)
    e = caught.value
    assert e.evalue == f"name '{name}' is not defined"
    assert f"'{name}' is defined here" in str(e) and advice in str(e)
    assert advice in "\n".join(e.render_traceback()) and str(pickle.loads(pickle.dumps(e))) == str(e)


def _taking_one(f):
    import types

    code = f.__code__.replace(co_argcount=1, co_nlocals=1, co_varnames=("x",))
    return by_value(types.FunctionType(code, f.__globals__, f.__name__))


def test_NameError_of_a_name_that_is_nowhere(pool):
    with pytest.raises(NameError) as caught:
        pool[0].apply_sync(needs_nothing_known)
    assert str(caught.value) == "[0:apply] NameError: name 'nowhere_at_all' is not defined"


def test_NameError_of_pull_has_no_advice(pool):
    with pytest.raises(NameError) as caught:
        pool[3].pull("missing_here", block=True)
    assert str(caught.value) == "[3:apply] NameError: name 'missing_here' is not defined"
