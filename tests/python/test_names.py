# SPDX-License-Identifier: BSD-3-Clause
"""What functions of a script bring along, and which names take precedence."""
import functools
import os
import random
import subprocess
import sys
import weakref

import numpy
import pytest

import pxrun
from script import Script


@pytest.fixture
def one(pool):
    return pool[0]


SWEEP = """
import itertools
import math
from dataclasses import dataclass
import numpy as np
import pxrun

STEPS = 1000

@dataclass
class Point:
    mass: float
    friction: float

def simulate(point):
    x = np.linspace(0, 1, STEPS)
    return point.mass * math.exp(-point.friction) * float(x.sum())

def cost(mass, friction):
    return round(simulate(Point(mass, friction)), 3)

if __name__ == "__main__":
    with pxrun.Cluster(n=2) as rc:
        grid = list(itertools.product([1.0, 2.0], [0.1, 0.5]))
        found = rc[:].map_sync(cost, *zip(*grid))
        assert found == [cost(*each) for each in grid], found
        print(dict(zip(grid, found)))
"""


def test_sweep_runs_at_the_first_try(tmp_path):
    script = tmp_path / "sweep.py"
    script.write_text(SWEEP)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0 and done.stderr == "" and "(2.0, 0.5): 606.531" in done.stdout, done.stderr


# --- what is found

FOUND = {
    "module": ("import json", "json.dumps([1])"),
    "alias": ("import numpy as np", "float(np.sqrt(4))"),
    "submodule": ("import xml.etree.ElementTree", "xml.etree.ElementTree.fromstring('<a/>').tag"),
    "submodule under another name": ("import xml.etree.ElementTree as ET", "ET.fromstring('<a/>').tag"),
    "function of a module": ("from os.path import join as j", "j('a', 'b')"),
    "class of a module": ("from fractions import Fraction", "Fraction(1, 2)"),
    "ufunc": ("from numpy import hypot", "float(hypot(3, 4))"),
    "name that hides a builtin": ("def sum(x):\n    return 'mine'", "sum([1])"),
    "function": ("def f(x):\n    return x + 1", "f(1)"),
    "function of a function": ("def f(x):\n    return g(x) + 1\ndef g(x):\n    return h(x) * 2\ndef h(x):\n    return x ** 2", "f(3)"),
    "recursion": ("def fact(n):\n    return 1 if n < 2 else n * fact(n - 1)", "fact(5)"),
    "cycle": ("def even(n):\n    return n == 0 or odd(n - 1)\ndef odd(n):\n    return n > 0 and even(n - 1)", "even(9)"),
    "nested": ("k = 2\ndef f(x):\n    def g(y):\n        return [z * k for z in y]\n    return g(x)", "f([1, 2])"),
    "comprehension": ("k = 3", "[k * i for i in range(3)] + [k for k in {k: 1}]"),
    "lambda": ("k = 3\nf = lambda x: k * x", "f(2)"),
    "default": ("k = 4\ndef g():\n    return k\ndef f(x=g):\n    return x()", "f()"),
    "closure": ("k = 5\ndef g():\n    return k\ndef make(h):\n    return lambda: h()\nf = make(g)", "f()"),
    "decorator": (
        "import functools\nk = 6\ndef twice(f):\n    @functools.wraps(f)\n    def wrapper(x):\n        return k * f(f(x))\n"
        "    return wrapper\n@twice\ndef f(x):\n    return x + k",
        "f(1)",
    ),
    "partial": ("import functools\nk = 7\ndef g(a, b):\n    return a * b * k\nf = functools.partial(g, 2)", "f(3)"),
    "cached": ("import functools\nk = 7\n@functools.cache\ndef f(x):\n    return x * k", "f(3)"),
    "class": ("k = 8\nclass C:\n    def m(self):\n        return k * self.n\n    n = 2", "C().m()"),
    "class of its own": ("class C:\n    def copy(self):\n        return C()", "type(C().copy()) is C"),
    "base": ("k = 9\nclass B:\n    def m(self):\n        return k\nclass C(B):\n    def m(self):\n        return super().m() + 1", "C().m()"),
    "static": ("k = 10\nclass C:\n    @staticmethod\n    def s():\n        return k\n    @property\n    def p(self):\n        return k", "C.s() + C().p"),
    "dataclass": ("import dataclasses\n@dataclasses.dataclass\nclass D:\n    x: int\n    y: list = dataclasses.field(default_factory=list)", "repr(D(1))"),
    "named tuple": ("import collections\nP = collections.namedtuple('P', 'a b')\np = P(1, 2)", "(p.a, P(3, 4).b)"),
    "exception": ("class Bad(ValueError):\n    pass\ndef f():\n    try:\n        raise Bad(3)\n    except Bad as e:\n        return e.args", "f()"),
    "table of functions": ("def add(a, b):\n    return a + b\nOPS = {'add': add, 'neg': lambda a: -a}", "OPS['add'](1, OPS['neg'](5))"),
    "logger": ("import logging\nlog = logging.getLogger('a.b')", "log.name"),
    "pattern": ("import re\np = re.compile('a+')", "p.match('aab').group()"),
}  # fmt: skip


@pytest.mark.parametrize("name", FOUND)
def test_found(one, name):
    code, expression = FOUND[name]
    f = Script(code).lambda_(expression)
    assert one.apply_sync(f) == f()
    assert one.apply_sync(f) == f()


CONSTANTS = [
    "1", "2.5", "1j", "True", "None", "...", "'text'", "b'bytes'", "(1, (2, 'a'))", "[1, [2]]", "{'a': 1, 2: [3]}", "{1, 2}", "frozenset({1})",
    "range(5)", "slice(1, 2)", "__import__('numpy').float32(1.5)", "__import__('decimal').Decimal('1.1')", "__import__('fractions').Fraction(1, 3)",
    "__import__('datetime').date(2026, 1, 2)", "__import__('pathlib').Path('/tmp')", "__import__('collections').Counter('aab')",
    "__import__('collections').OrderedDict(a=1)", "__import__('collections').deque([1])", "list(range(999))", "'x' * 16000",
]  # fmt: skip


@pytest.mark.parametrize("code", CONSTANTS)
def test_constant(one, code):
    script = Script(f"c = {code}")
    assert one.apply_sync(script.lambda_("c")) == script.c


def seed_both():
    import random

    import numpy

    random.seed(5)
    numpy.random.seed(5)


@pytest.mark.parametrize("home, name, args", [
    ("random", "random", ()), ("random", "gauss", (0, 1)), ("numpy.random", "uniform", (2, 3)), ("numpy.random", "rand", ()),
])  # fmt: skip
def test_functions_of_hidden_generators_go_by_name(one, home, name, args):
    generator = random.Random(5) if home == "random" else numpy.random.RandomState(5)
    expected = [getattr(generator, name)(*args) for _ in range(7)]
    script = Script(f"import functools\nfrom {home} import {name} as draw\nbound = functools.partial(draw, *{args})")
    one.apply_sync(seed_both)
    got = [one.apply_sync(script.draw, *args), one.apply_sync(script.lambda_("draw(*args)"), *args)]
    got += [one.apply_sync(script.bound), one.apply_sync(script.lambda_("bound()"))]
    got += [one.apply_sync(lambda f=script.draw: f(*args)), one.apply_sync(lambda fs: fs[0](*args), [script.draw])]
    got += one.map_sync(script.draw, *[[arg] for arg in args]) if args else [one.apply_sync(script.draw)]
    assert got == expected


@pytest.mark.parametrize("code", ["int, base=2", "str.join, ','", "helper, k=3", "functools.partial(helper, k=2)", "operator.itemgetter(0)"])
def test_partials_go_along(one, code):
    script = Script(f"import functools, operator\ndef helper(x, k):\n    return k * x\nf = functools.partial({code})")
    assert one.apply_sync(script.lambda_("f('10')")) == script.f("10")


def test_constants_of_the_scripts_own_classes(one):
    script = Script("""
        import dataclasses, enum
        class Colour(enum.Enum):
            RED = 1
        @dataclasses.dataclass(frozen=True)
        class Config:
            size: int
            colours: tuple = (Colour.RED,)
        config, best = Config(3), Colour.RED
        def f():
            return config.size, config.colours[0].name, best is Colour.RED, isinstance(config, Config)
    """)
    assert one.apply_sync(script.f) == (3, "RED", True, True)


@pytest.mark.parametrize("code, why", [
    ("__import__('numpy').arange(3)", "is of type ndarray: only modules"),
    ("[__import__('numpy').arange(3)]", "is no plain constant"),
    ("list(range(1001))", "is no plain constant of at most 1000 elements and 16 KiB"),
    ("'x' * 17000", "is no plain constant"),
    ("['x' * 9000, 'y' * 9000]", "but a function that is sent sees the engine's names"),
    ("__import__('random').Random()", "is of type Random"),
    ("bytearray(3)", "is of type bytearray"),
    ("(i for i in 'ab')", "is of type generator"),
])  # fmt: skip
def test_what_does_not_go_along(one, code, why):
    script = Script(f"c = {code}")
    with pytest.raises(NameError) as caught:
        one.apply_sync(script.lambda_("c"))
    assert why in str(caught.value) and "view.push({'c': c})" in str(caught.value)
    # what the function does not come to does not matter
    assert one.apply_sync(script.lambda_("1 or c")) == 1


def test_helper_that_cannot_be_pickled_stays_where_it_is(one):
    script = Script("""
        import threading
        def make():
            lock = threading.Lock()
            return lambda: lock
        helper = make()
        def f(x):
            return helper() if x else 5
    """)
    assert one.apply_sync(script.f, 0) == 5
    with pytest.raises(NameError, match="'helper' is defined here"):
        one.apply_sync(script.f, 1)


def test_names_that_are_nowhere(one):
    with pytest.raises(NameError, match=r"name 'nowhere' is not defined$"):
        one.apply_sync(Script("").lambda_("nowhere"))


def test_functions_of_a_module_bring_nothing(one):
    f = Script("").lambda_("os")
    with pytest.raises(NameError):
        one.apply_sync(type(f)(f.__code__, vars(functools), "f"))


# --- what goes first


def test_engines_names_go_first(pool):
    script = Script("a = 'here'\ndef b():\n    return 'here'\nimport json as c\ne = 1\ndef f(x):\n    return a + b + c + x")
    view = pool[:]
    view["a"] = 5
    view.execute("b = 10", block=True)
    view.scatter("c", [0] * 4, flatten=True, block=True)
    assert view.apply_sync(script.f, 27) == [42] * 4
    script("a = b = c = 'still here'")
    assert view.apply_sync(script.f, 27) == [42] * 4 and view["a"] == [5] * 4


def test_what_a_function_assigns_on_the_engine_is_the_engines(one):
    script = Script("count = 0\ndef f():\n    global count\n    count += 1\n    return count")
    assert [one.apply_sync(script.f) for _ in range(3)] == [1, 2, 3]
    script("count = 100")
    assert one.apply_sync(script.f) == 4 and script.count == 100


def test_a_push_after_it_was_brought(one):
    script = Script("a = 1\ndef f():\n    return a")
    assert one.apply_sync(script.f) == 1
    one["a"] = 2
    script("a = 3")
    assert one.apply_sync(script.f) == 2


CHANGES = {
    "number": ("c = 1", "c = 2", "c"),
    "number of another type": ("c = 1", "c = 1.0", "repr(c)"),
    "list in place": ("c = [1, [2]]", "c[1].append(3)", "c"),
    "dict in place": ("c = {'a': 1}", "c['a'] = True", "repr(c)"),
    "tuple with a list": ("c = (1, [])", "c[1].append(1)", "c"),
    "table of lambdas": ("c = {'a': lambda: 1}", "c['a'] = lambda: 2", "c['a']()"),
    "dataclass in place": ("import dataclasses\n@dataclasses.dataclass\nclass D:\n    x: int\nc = D(1)", "c.x = 2", "c.x"),
    "function": ("def g():\n    return 1", "def g():\n    return 2", "g()"),
    "function of a function": ("def g():\n    return h()\ndef h():\n    return 1", "def h():\n    return 2", "g()"),
    "attribute of a function": ("def g():\n    return g.n\ng.n = 1", "g.n = 2", "g()"),
    "class": ("class C:\n    n = 1", "class C:\n    n = 2", "C.n"),
    "attribute of a class": ("class C:\n    n = 1", "C.n = 2", "C.n"),
    "new attribute of a class": ("class C:\n    n = 1\n    @property\n    def p(self): return self.n", "C.m = 2", "getattr(C, 'm', 1)"),
    "attribute of a base": ("class B:\n    n = 1\nclass C(B):\n    def m(self):\n        return self.n", "B.n = 2", "C().m()"),
    "list in a class": ("class C:\n    n = [1]", "C.n.append(2)", "list(C.n)"),
    "method": ("class C:\n    def m(self):\n        return 1", "C.m = lambda self: 2", "C().m()"),
    "module": ("import json as m", "import pickle as m", "m.__name__"),
    "kind": ("c = 1", "def c():\n    return 2", "repr(c)[:3]"),
    "becomes small": ("import numpy\nc = numpy.arange(5)\ndef g(x=0):\n    return x if x else c", "c = 5", "1 if type(c) is not int else c"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_newer_version_replaces_what_was_brought(one, name):
    before, after, expression = CHANGES[name]
    script = Script(before)
    f = script.lambda_(expression)
    if name == "becomes small":
        with pytest.raises(NameError):
            one.apply_sync(f)
    else:
        assert one.apply_sync(f) == f()
    old = repr(f())
    script(after)
    assert one.apply_sync(f) == f() and repr(f()) != old


def test_submodule_that_is_imported_later(one):
    script = Script("import xml\nf = lambda: hasattr(xml, 'sax') and xml.sax.__name__")
    sys.modules.pop("xml.sax", None)
    one.apply_sync(script.f)
    script("import xml.sax")
    assert one.apply_sync(script.f) == "xml.sax"


def test_unchanged_definitions_stay_the_same_objects(one):
    script = Script("""
        import functools
        @functools.cache
        def slow(x):
            return x
        class C:
            pass
        items = []
        def f(x):
            slow(x)
            items.append(x)
            return slow.cache_info().hits, id(slow), id(C), len(items)
    """)
    first, second = one.apply_sync(script.f, 1), one.apply_sync(script.f, 1)
    assert (first[0], second[0], first[3], second[3]) == (0, 1, 1, 2) and first[1:3] == second[1:3]
    assert script.items == []
    one.clear(block=True)
    assert one.apply_sync(script.f, 1)[::3] == (0, 1)


def test_equal_constants_are_not_one(one):
    script = Script("a, b = [], []\ndef f():\n    a.append(1)\n    return a, b")
    assert one.apply_sync(script.f) == ([1], [])


def test_two_clients_have_their_own_versions(pool):
    with pxrun.Client(pool.connection_file) as other:
        mine, theirs = Script("def h():\n    return 'mine'\ndef f():\n    return h()"), Script("def h():\n    return 'theirs'\ndef f():\n    return h()")
        for _ in range(2):
            assert pool[0].apply_sync(mine.f) == "mine" and other[0].apply_sync(theirs.f) == "theirs"


def test_cleared_and_restarted_engines_are_given_it_again():
    script = Script("def h():\n    return 'h'\ndef f():\n    return h()")
    with pxrun.Cluster(n=1) as rc:
        assert rc[0].apply_sync(script.f) == "h"
        rc[0].clear(block=True)
        assert rc[0].apply_sync(script.f) == "h"
        rc[0].execute("del h", block=True)
        assert rc[0].apply_sync(script.f) == "h"
        rc.restart(0)
        assert rc[0].apply_sync(script.f) == "h"


# --- the ways of functions


WAYS = {
    "apply": lambda view, f: view.apply_sync(f, 2),
    "apply_async": lambda view, f: view.apply_async(f, 2).get(),
    "map": lambda view, f: view.map_sync(f, [2] * 4),
    "imap": lambda view, f: list(view.imap(f, [2] * 4)),
    "remote": lambda view, f: view.remote(block=True)(f)(2),
    "parallel": lambda view, f: view.parallel(block=True)(f).map([2] * 4),
    "executor": lambda view, f: list(view.executor.map(f, [2] * 4)),
    "argument": lambda view, f: view.apply_sync(lambda g: g(2), f),
    "within": lambda view, f: view.apply_sync(lambda d: d["f"][0](2), {"f": [f]}),
    "partial": lambda view, f: view.apply_sync(functools.partial(f, 2)),
    "keyword": lambda view, f: view.apply_sync(lambda g=None: g(2), g=f),
    "push": lambda view, f: (view.push({"f": f}, block=True), view["f(2)"])[1],
    "scatter": lambda view, f: (view.scatter("fs", [f] * 4, block=True), view["fs[0](2)"])[1],
    "require": lambda view, f: view.apply_sync(pxrun.require("os")(f), 2),
    "prepickled": lambda view, f: view.apply_sync(pxrun.PrePickled(f), 2),
}


@pytest.mark.parametrize("way", WAYS)
def test_way(pool, way):
    script = Script("import math as m\nk = 3\ndef g(x):\n    return m.floor(k * x)\ndef f(x):\n    return g(x) + 1")
    assert WAYS[way](pool[:], script.f) == [7] * 4


def test_instances_bring_what_their_class_needs(one):
    script = Script("import math as m\nk = 3\nclass C:\n    def __init__(self, x):\n        self.x = x\n    def g(self):\n        return m.floor(k * self.x)")
    assert one.apply_sync(lambda c: c.g(), script.C(2)) == 6
    assert one.apply_sync(script.C(2).g) == 6


def test_what_comes_back_brings_nothing(one):
    script = Script("k = 1\ndef g():\n    return k\ndef f():\n    return g")
    back = one.apply_sync(script.f)
    assert callable(back)
    assert not {"k", "g"} & set(vars(sys.modules["__main__"]))


# --- turning it off


def test_flag_of_a_view(pool):
    script = Script("def h():\n    return 1\ndef f():\n    return h()")
    view = pool.direct_view(0, send_globals=False)
    with pytest.raises(NameError, match="'h' is defined here, but"):
        view.apply_sync(script.f)
    with view.temp_flags(send_globals=True):
        assert view.apply_sync(script.f) == 1
    with pytest.raises(TypeError, match="send_globals is True or False"):
        view.send_globals = 1


def test_flag_of_a_client_and_of_a_cluster(pool):
    script = Script("def h():\n    return 1\ndef f():\n    return h()")
    with pxrun.Client(pool.connection_file, send_globals=False) as rc:
        assert rc[0].send_globals is False
        with pytest.raises(NameError):
            rc[0].apply_sync(script.f)
        rc.send_globals = True
        assert rc[0].apply_sync(script.f) == 1
    with pxrun.Cluster(n=1, send_globals=False) as rc:
        with pytest.raises(NameError):
            rc[0].apply_sync(script.f)


# --- the cost


def test_what_is_not_brought_is_not_kept(one):
    script = Script("f = lambda: 1 or big")
    script.names["big"] = big = numpy.zeros(10)
    assert one.apply_sync(script.f) == 1
    gone = weakref.ref(big)
    del script.names["big"], big
    assert gone() is None


def test_hot_call_looks_and_does_not_pickle_again(one, monkeypatch):
    from pxrun.wire import pickling

    script = Script("import math\nk = [1, 2]\nclass C:\n    n = 3\ndef h(x):\n    return math.floor(x) + k[0] + C.n\ndef f(x):\n    return h(x)")
    assert one.apply_sync(script.f, 1) == 5
    made = []
    dumps = pickling.dumps_definition
    monkeypatch.setattr(pickling, "dumps_definition", lambda *args: made.append(args[0]) or dumps(*args))
    assert [one.apply_sync(script.f, x) for x in range(3)] == [4, 5, 6] and made == []
    script("k[0] = 2")
    assert one.apply_sync(script.f, 1) == 6 and made == [script.k]


# --- modules that engines do not find


def test_missing_module_says_in_which_folder_it_is(tmp_path, monkeypatch):
    for name in ("mod_of_mine.py", "sibling_of_mine.py"):
        (tmp_path / name).write_text("x = 5\n")
    with pxrun.Cluster(n=1) as rc:
        monkeypatch.syspath_prepend(str(tmp_path))
        script = Script("import mod_of_mine\nf = lambda: mod_of_mine.x\ng = lambda: __import__('mod_of_mine').x")
        for f in (script.f, script.g):
            with pytest.raises(ModuleNotFoundError) as caught:
                rc[0].apply_sync(f)
            assert f"'mod_of_mine' is in {tmp_path} here, where engines do not look" in str(caught.value)
            assert "register_pickle_by_value(mod_of_mine)" in str(caught.value)
        for needed in ("mod_of_mine", "sibling_of_mine"):
            with pytest.raises(pxrun.UnmetDependency, match=f"'{needed}' is in {tmp_path} here") as unmet:
                rc[0].apply_sync(pxrun.require(needed)(abs), 1)
            assert ("by_value" in str(unmet.value)) is (needed in sys.modules)
        code = str(caught.value).split("view.execute(")[1].split("), or")[0]
        rc[0].execute(eval(code), block=True)
        assert rc[0].apply_sync(script.f) == 5
        with pytest.raises(ModuleNotFoundError, match=r"No module named 'nowhere_at_all'$"):
            rc[0].apply_sync(lambda: __import__("nowhere_at_all"))
    sys.modules.pop("mod_of_mine", None)


def test_script_uses_its_own_file_and_modules_beside_it(tmp_path):
    (tmp_path / "beside.py").write_text("def f(x):\n    return x + 1\n")
    (tmp_path / "script.py").write_text(
        "import os, pxrun, beside\nfrom beside import f as g\n"
        "def here(x):\n    return beside.f(x) + g(x), os.path.basename(__file__)\n"
        "with pxrun.Cluster(n=2) as rc:\n    print(rc[:].apply_sync(here, 1))\n"
    )
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=100, env=os.environ)
    assert done.stdout == "[(4, 'script.py'), (4, 'script.py')]\n", done.stderr
