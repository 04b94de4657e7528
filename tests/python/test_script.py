# SPDX-License-Identifier: BSD-3-Clause
"""Classes and functions of a script, which engines cannot import: each test runs one as ``__main__``."""
import os
import subprocess
import sys

import pytest

PREAMBLE = """
import collections, contextlib, dataclasses, enum, functools, typing
import pxrun
rc = pxrun.Cluster(n=2).start_and_connect_sync()
view, one = rc[:], rc[0]
"""

SCRIPTS = {
    "dataclass": """
@dataclasses.dataclass
class D:
    a: int
    b: list = dataclasses.field(default_factory=list)
    k: typing.ClassVar[int] = 3

assert one.apply_sync(repr, D(1)) == "D(a=1, b=[])"
assert one.apply_sync(dataclasses.asdict, D(1)) == {"a": 1, "b": []}
assert one.apply_sync(lambda d: len(__import__("dataclasses").fields(d)), D(1)) == 2
assert one.apply_sync(lambda d: d, D(1)) == D(1)
assert repr(D(1)) == "D(a=1, b=[])" and dataclasses.asdict(D(1)) == {"a": 1, "b": []}
assert dataclasses.replace(D(1), a=5).a == 5
""",
    "dataclass with slots": """
@dataclasses.dataclass(frozen=True, slots=True, order=True)
class F:
    x: int = 2

assert one.apply_sync(lambda f: (repr(f), f < f), F()) == ("F(x=2)", False)
assert one.apply_sync(F, 4) == F(4) < F(5)
""",
    "dataclass of an engine": """
one.execute("import dataclasses\\n@dataclasses.dataclass\\nclass E:\\n    q: int\\ne = E(3)", block=True)
assert dataclasses.asdict(one["e"]) == {"q": 3} and repr(one["e"]) == "E(q=3)"
""",
    "class that comes back": """
class Registry:
    items, n = [], 0

one.push({"r": Registry()}, block=True)
Registry.items.append("client")
Registry.n = 7
assert type(one["r"]) is Registry and Registry.items == ["client"] and Registry.n == 7
Registry.more = lambda self: 42
one.push({"again": Registry()}, block=True)
assert one.apply_sync(lambda: (again.more(), r.n)) == (42, 7)
""",
    "context manager": """
class Holder:
    @contextlib.contextmanager
    def content(self):
        yield 7

    def use(self):
        with self.content() as found:
            return found

assert one.apply_sync(lambda h: h.use(), Holder()) == 7
""",
    "decorator of a module": """
from beside import timed

@timed
def square(x):
    return x * x

assert one.apply_sync(square, 3) == (3, 9)
assert view.map_sync(square, range(3)) == [(3, 0), (3, 1), (3, 4)]
""",
    "cached function": """
@functools.lru_cache(maxsize=5)
def more(x):
    return x + k

view["k"] = 1
assert view.apply_sync(more, 1) == [2, 2]
assert one.apply_sync(lambda f: f.cache_parameters()["maxsize"], more) == 5
""",
    "named tuples": """
class P(typing.NamedTuple):
    x: int
    y: int = 2

    def sum(self):
        return self.x + self.y

Q = collections.namedtuple("Q", "a b")
assert one.apply_sync(lambda p: (p.x, p.sum(), repr(p)), P(1)) == (1, 3, "P(x=1, y=2)")
assert type(one.apply_sync(P, 1)) is P and one.apply_sync(Q, 1, 2) == Q(1, 2)
""",
    "enum and generic": """
class Colour(enum.Enum):
    RED = 1

T = typing.TypeVar("T")

class Box(typing.Generic[T]):
    def one(self):
        return 1

assert one.apply_sync(lambda c: c, Colour.RED) is Colour.RED
assert one.apply_sync(lambda b: b.one(), Box[int]()) == 1
""",
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_script(tmp_path, name):
    (tmp_path / "beside.py").write_text(
        "import functools\nUNIT = 3\ndef timed(f):\n    @functools.wraps(f)\n    def wrapper(*a):\n        return UNIT, f(*a)\n    return wrapper\n"
    )
    script = tmp_path / "script.py"
    script.write_text(PREAMBLE + SCRIPTS[name])
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, env=os.environ)
    assert done.returncode == 0 and done.stderr == "", done.stderr
