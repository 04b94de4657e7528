# SPDX-License-Identifier: BSD-3-Clause
"""Functions and classes that need special care to go by value."""
import functools
import importlib.util
import sys

import pytest

import pxrun
from pxrun.wire import functions
from script import Script


@pytest.fixture
def one(pool):
    return pool[0]


# --- functools

SHAPES = """
import collections.abc, functools
k = 1

@functools.singledispatch
def area(shape):
    return "unknown"

@area.register
def _(shape: int):
    return shape * k

@area.register(collections.abc.Sequence)
def _(shape):
    return sum(map(area, shape))
"""


def test_singledispatch(one):
    script = Script(SHAPES)
    assert one.apply_sync(script.area, [2, (3, 4)]) == 9
    assert one.apply_sync(lambda f: (f(5), f(None), f.__name__, sorted(c.__name__ for c in f.registry)), script.area) == (
        5, "unknown", "area", ["Sequence", "int", "object"])


def test_singledispatch_that_goes_along_and_learns_more(one):
    script = Script(SHAPES)
    f = script.lambda_("area(*args)")
    assert one.apply_sync(f, {}) == "unknown"
    script("@area.register\ndef _(shape: dict):\n    return area(list(shape.values()))")
    assert one.apply_sync(f, {"a": 2, "b": 3}) == 5


CLASS = """
import functools
made = []

class Base:
    def twice(self):
        return 2 * self.n

class C(Base):
    n = 3

    @functools.cached_property
    def lazy(self):
        made.append("lazy")
        return len(made)

    @functools.cache
    def cached(self, x):
        made.append("cached")
        return super().twice() + x

    @staticmethod
    @functools.lru_cache(maxsize=2)
    def static(x):
        return x

    @property
    @functools.cache
    def both(self):
        return 5

    @functools.singledispatchmethod
    def kind(self, x):
        return "other"

    @kind.register
    def _(self, x: int):
        return "int"

def all_of(c):
    return [c.lazy, c.lazy], [c.cached(1), c.cached(1)], made, c.static(2), c.both, c.kind(1), c.kind(""), C.static.cache_parameters()

def of_class():
    return all_of(C())
"""


@pytest.mark.parametrize("way", ["instance", "class"])
def test_classes_whose_methods_functools_made(one, way):
    script = Script(CLASS)
    got = one.apply_sync(script.all_of, script.C()) if way == "instance" else one.apply_sync(script.of_class)
    assert got == script.of_class() == (
        [1, 1], [7, 7], ["lazy", "cached"], 2, 5, "int", "other", {"maxsize": 2, "typed": False})


# --- modules

MODULE = """
import functools
K = 3
def double(x):
    return 2 * x
def f(x):
    return double(x) + K
class C:
    def m(self):
        return f(1)
    def __eq__(self, other):
        return type(self) is type(other)
@functools.cache
def cached(x):
    return f(x)
made = [lambda x: x + K]
"""


def load(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def by_name(view, module):
    script = Script("")
    script.names["m"] = module
    return view.apply_sync(script.lambda_("m.f(1)"))


USES = {
    "name": by_name,
    "function": lambda view, m: view.apply_sync(m.f, 1),
    "instance": lambda view, m: view.apply_sync(m.C().m),
    "class": lambda view, m: view.apply_sync(lambda c: c().m(), m.C),
    "cached": lambda view, m: view.apply_sync(m.cached, 1),
    "lambda": lambda view, m: view.apply_sync(m.made[0], 2),
    "map": lambda view, m: view.map_sync(m.f, [1])[0],
    "module": lambda view, m: view.apply_sync(lambda n: n.f(1), m),
    "back": lambda view, m: view.apply_sync(lambda c: c, m.C()) == m.C() and 5,
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("name", ["no_such_package.mod", "no_such_module", "numpy.no_such_module", "colorsys"])
def test_module_that_was_loaded_from_a_path(one, tmp_path, monkeypatch, name, use):
    file = tmp_path / "some_file.py"
    file.write_text(MODULE)
    monkeypatch.setitem(sys.modules, name, None)
    module = load(name, file)
    assert USES[use](one, module) == 5


def test_module_of_a_path_beside_one_of_that_name_stays_itself(one, tmp_path, monkeypatch):
    """An engine that imports the name gets another module."""
    (tmp_path / "colorsys.py").write_text("def hsv_to_rgb(h, s, v):\n    return 'mine'\n")
    monkeypatch.setitem(sys.modules, "colorsys", None)
    module = load("colorsys", tmp_path / "colorsys.py")
    assert one.apply_sync(module.hsv_to_rgb, 1, 1, 1) == "mine"


def test_module_that_has_no_name_in_sys_modules(one, tmp_path, monkeypatch):
    file = tmp_path / "some_file.py"
    file.write_text(MODULE)
    monkeypatch.setitem(sys.modules, "no_such_module", None)
    module = load("no_such_module", file)
    del sys.modules["no_such_module"]
    assert one.apply_sync(module.f, 1) == one.apply_sync(module.C().m) == 5


def test_what_cloudpickle_was_told_to_send_by_value(tmp_path, monkeypatch):
    import cloudpickle

    package = tmp_path / "package_of_mine"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "inner.py").write_text(MODULE)
    with pxrun.Cluster(n=1) as rc:
        monkeypatch.syspath_prepend(str(tmp_path))
        import package_of_mine.inner as inner

        with pytest.raises(ModuleNotFoundError):
            rc[0].apply_sync(inner.f, 1)
        cloudpickle.register_pickle_by_value(sys.modules["package_of_mine"])
        try:
            assert rc[0].apply_sync(inner.f, 1) == rc[0].apply_sync(inner.C().m) == rc[0].map_sync(inner.cached, [1])[0] == 5
        finally:
            cloudpickle.unregister_pickle_by_value(sys.modules["package_of_mine"])
        assert not cloudpickle.list_registry_pickle_by_value()
    for name in ("package_of_mine", "package_of_mine.inner"):
        del sys.modules[name]


def test_code_of_another_python_is_refused(pool, monkeypatch):
    """Which would crash the engine."""
    monkeypatch.setattr(functions, "VERSION", bytes((3, 9)))
    monkeypatch.setattr(functions, "_marshalled", {})
    view = pool[0]
    for f in (lambda: 1), (lambda x=[]: x), functools.partial(lambda x: x, 1):
        with pytest.raises(pxrun.RemoteError, match="comes from Python 3.9, and cannot run in"):
            view.apply_sync(f)
    assert view.apply_sync(len, "abc") == 3
