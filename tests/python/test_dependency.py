# SPDX-License-Identifier: BSD-3-Clause
"""require, depend, dependent, Dependency."""
import pytest

import pxrun
from pxrun import CompositeError, Dependency, RemoteError, depend, dependent, require


def test_require_by_name_and_by_module(pool):
    import json

    @require("re", json)
    def f(text):
        return re.findall("a", json.loads(text))  # noqa: F821

    assert f.__name__ == "f"
    assert pool[:].apply_sync(f, '"abca"') == [["a", "a"]] * 4


def test_require_functions_and_keywords(pool):
    def helper(x):
        return x + offset  # noqa: F821

    @require(helper, offset=5)
    def f(x):
        return helper(x)

    assert pool[0].apply_sync(f, 1) == 6


def test_require_submodule_and_alias(pool):
    import xml.dom

    @require("xml.dom", dom=xml.dom)
    def f():
        return xml.dom is dom  # noqa: F821

    assert pool[0].apply_sync(f) is True


def test_require_what_cannot_be_imported_is_an_UnmetDependency(pool):
    ran = []

    @require("no_such_module_anywhere")
    def f():
        ran.append(1)

    with pytest.raises(RemoteError, match="no_such_module_anywhere") as caught:
        pool[0].apply_sync(f)
    assert caught.value.ename == "UnmetDependency" and isinstance(caught.value, pxrun.error.UnmetDependencyError)
    with pytest.raises(CompositeError):
        pool[:].apply_sync(f)


def test_require_of_what_has_no_name(pool):
    with pytest.raises(TypeError, match="require"):
        require(5)


def test_depend(pool):
    pool[1].push({"ready": True}, block=True)
    pool[0].push({"ready": False}, block=True)

    def is_ready():
        return ready  # noqa: F821

    @depend(is_ready)
    def f(x):
        return x

    assert pool[1].apply_sync(f, 5) == 5
    with pytest.raises(pxrun.error.UnmetDependency, match="is_ready"):
        pool[0].apply_sync(f, 5)


def test_dependent_takes_arguments_of_its_condition(pool):
    f = dependent(abs, lambda low: low > 0, low=1)
    assert pool[0].apply_sync(f, -3) == 3
    with pytest.raises(pxrun.error.UnmetDependency):
        pool[0].apply_sync(dependent(abs, lambda low: low > 0, low=-1), -3)


def test_on_a_map(pool):
    @require("math")
    def root(x):
        return math.isqrt(x)  # noqa: F821

    assert pool[:].map_sync(root, [1, 4, 9, 16, 25]) == [1, 2, 3, 4, 5]


# --- dependencies on other results


def test_dependency_holds_ids(pool):
    first, second = pool[:2].apply_async(abs, -1), pool[0].apply_async(abs, -1)
    both = Dependency([first, second.msg_ids[0]])
    assert both == {*first.msg_ids, *second.msg_ids} and Dependency(first) == set(first.msg_ids) and Dependency("x") == {"x"}
    assert both.as_dict() == {"dependencies": list(both), "all": True, "success": True, "failure": False}
    with pytest.raises(ValueError, match="neither"):
        Dependency("x", success=False)
    with pytest.raises(TypeError, match="AsyncResults and message ids"):
        Dependency([5])


@pytest.mark.parametrize("flags, good, bad, met, hopeless", [
    ({}, "ab", "", True, False),
    ({}, "a", "", False, False),
    ({}, "a", "b", False, True),
    ({"all": False}, "a", "b", True, False),
    ({"all": False}, "", "a", False, False),
    ({"all": False}, "", "ab", False, True),
    ({"failure": True}, "a", "b", True, False),
    ({"success": False, "failure": True}, "", "ab", True, False),
    ({"success": False, "failure": True}, "a", "", False, True),
    ({"success": False, "failure": True, "all": False}, "a", "b", True, False),
])
def test_dependency_is_met_or_never_will_be(flags, good, bad, met, hopeless):
    needed = Dependency(["a", "b"], **flags)
    assert needed.check(set(good), set(bad)) is met and needed.unreachable(set(good), set(bad)) is hopeless
    assert Dependency([], **flags).check(set()) and not Dependency([], **flags).unreachable(set())
