# SPDX-License-Identifier: BSD-3-Clause
"""What can be sent, and what it is on the other side."""
import collections
import dataclasses
import datetime
import decimal
import enum
import functools
import operator
import sys
import types

import numpy
import pytest

import pxrun

# Classes and functions of this module go by value, as those of a script's __main__ do.
HERE, OWN = sys.modules[__name__], __name__


@pytest.fixture(autouse=True)
def as_main(monkeypatch):
    """What is defined here counts as the script's own: engines cannot import it."""
    own = [v for v in vars(HERE).values() if getattr(v, "__module__", None) == OWN]
    own += [getattr(v, "__func__", v) for c in own if isinstance(c, type) for v in vars(c).values()]
    for value in own:
        if isinstance(value, (type, types.FunctionType)) and value.__module__ == OWN:
            monkeypatch.setattr(value, "__module__", "__main__")
    monkeypatch.setitem(sys.modules, "__main__", HERE)


@pytest.fixture
def one(pool):
    return pool[0]


# --- functions


def test_globals_are_the_engines_namespace(one):
    one["a"], one["b"] = 5, 10
    globals()["a"] = "the client's"
    assert one.apply_sync(lambda x: a + b + x, 27) == 42  # noqa: F821
    del globals()["a"]


def test_globals_of_an_importable_function_are_its_modules(one):
    one["loads"] = "shadowed"
    import json

    assert one.apply_sync(json.loads, "[1]") == [1]


def test_function_defines_globals_on_the_engine(one):
    def define():
        global made_there
        made_there = 3

    one.apply_sync(define)
    assert one["made_there"] == 3


def test_closure(one):
    base = [1, 2]

    def outer(x):
        def inner(y):
            return base + [x, y]

        return inner

    assert one.apply_sync(outer(3), 4) == [1, 2, 3, 4]


def test_closure_is_a_copy(one):
    count = [0]

    def bump():
        count[0] += 1
        return count[0]

    assert [one.apply_sync(bump) for _ in range(2)] == [1, 1]
    assert count == [0]


def test_defaults_and_annotations(one):
    def f(a, b=2, /, c: int = 3, *args, d, e=lambda: 5, **kw) -> float:
        """Says what it does."""
        return a, b, c, args, d, e(), kw

    assert one.apply_sync(f, 1, d=4) == (1, 2, 3, (), 4, 5, {})
    assert one.apply_sync(f, 1, 2, 3, 9, d=4, x=6) == (1, 2, 3, (9,), 4, 5, {"x": 6})
    one["f"] = f
    assert one.apply_sync(lambda: (f.__annotations__, f.__doc__, f.__name__, f.__kwdefaults__["e"]())) == (
        {"c": int, "return": float}, "Says what it does.", "f", 5)


def test_function_attributes_travel(one):
    def f():
        return f.mark

    f.mark = [1]
    one["f"] = f
    assert one.apply_sync(lambda: f.mark) == [1]


def test_recursion_through_a_closure(one):
    def factorial(n):
        return 1 if n < 2 else n * factorial(n - 1)

    assert one.apply_sync(factorial, 10) == 3628800


def test_two_functions_that_call_each_other(one):
    def even(n):
        return n == 0 or odd(n - 1)

    def odd(n):
        return n != 0 and even(n - 1)

    assert one.apply_sync(even, 10) is True


def test_generator_function_runs_where_it_is_listed(one):
    def numbers(n):
        yield from range(n)

    one["numbers"] = numbers
    assert one.apply_sync(lambda: list(numbers(3))) == [0, 1, 2]


def decorate(f):
    @functools.wraps(f)
    def wrapper(*args):
        return [f(*args)]

    return wrapper


@decorate
def decorated(x):
    return x + 1


def test_decorated_function(one):
    assert one.apply_sync(decorated, 1) == [2]


@pytest.mark.parametrize("f, args, value", [
    (len, ([1, 2],), 2),
    (int.__add__, (1, 2), 3),
    ("abc".upper, (), "ABC"),
    ([3, 1].__contains__, (3,), True),
    (functools.partial(operator.add, 1), (2,), 3),
    (functools.partial(lambda x, y: x - y, y=1), (5,), 4),
    (operator.itemgetter(1), ([5, 6],), 6),
    (collections.Counter, ("aab",), collections.Counter("aab")),
    (datetime.datetime.fromisoformat, ("2026-01-01",), datetime.datetime(2026, 1, 1)),
])
def test_callables(one, f, args, value):
    assert one.apply_sync(f, *args) == value


def test_functions_within_containers(one):
    fs = {"a": [lambda x: x + 1, (lambda x: x * 2,)]}
    assert one.apply_sync(lambda fs, x: (fs["a"][0](x), fs["a"][1][0](x)), fs, 5) == (6, 10)


def test_interactive_function_of_a_module_uses_the_engines_namespace(one):
    one["data"] = [1, 2, 3]
    f = types.FunctionType((lambda: len(data)).__code__, vars(operator))  # noqa: F821
    with pytest.raises(NameError):
        one.apply_sync(f)
    f.__module__ = "__main__"  # what @interactive does
    assert one.apply_sync(f) == 3


# --- classes and instances of the script


class Point:
    """A class of the script."""

    scale = 2

    def __init__(self, x):
        self.x = x

    def doubled(self):
        return self.x * self.scale

    @classmethod
    def of(cls, x):
        return cls(x)

    @staticmethod
    def zero():
        return 0

    @property
    def half(self):
        return self.x / 2

    def __call__(self, y):
        return self.x + y

    def __eq__(self, other):
        return type(other).__name__ == "Point" and self.x == other.x


class Child(Point):
    def doubled(self):
        return super().doubled() + 1


@dataclasses.dataclass
class Record:
    name: str
    values: list = dataclasses.field(default_factory=list)


class Colour(enum.Enum):
    RED = 1


class Slotted:
    __slots__ = ("a",)


def test_class_by_value(one):
    assert one.apply_sync(lambda c: c(4).doubled(), Point) == 8
    assert one.apply_sync(lambda c: (c.of(1).x, c.zero(), c(3).half, c.__doc__), Point) == (1, 0, 1.5, "A class of the script.")


def test_subclass_with_super(one):
    assert one.apply_sync(lambda c: c.doubled(), Child(4)) == 9


def test_instance_without_its_class_on_the_engine(one):
    assert one.apply_sync(lambda p: p.doubled(), Point(21)) == 42


def test_instance_comes_back_as_one_of_its_class(one):
    assert one.apply_sync(lambda p: p, Point(3)) == Point(3)


def test_bound_method_and_callable_instance(one):
    assert one.apply_sync(Point(4).doubled) == 8
    assert one.apply_sync(Point(4), 5) == 9
    assert one.apply_sync(Point.of, 7).x == 7


def test_dataclass_enum_slots(one):
    back = one.apply_sync(lambda r: (r.values.append(1), r)[1], Record("a"))
    assert (back.name, back.values) == ("a", [1])
    assert one.apply_sync(lambda c: c.name, Colour.RED) == "RED"
    slotted = Slotted()
    slotted.a = 6
    assert one.apply_sync(lambda s: s.a, slotted) == 6


def test_namedtuple(one):
    Pair = collections.namedtuple("Pair", "a b")
    assert one.apply_sync(lambda p: p.a + p.b, Pair(1, 2)) == 3


def test_module_goes_by_reference(one):
    assert one.apply_sync(lambda m: m.sep, __import__("os")) == "/"


def test_exception_instance_and_class(one):
    error = one.apply_sync(lambda e: e, ValueError("a", 1))
    assert type(error) is ValueError and error.args == ("a", 1)
    assert one.apply_sync(lambda e: e, KeyError) is KeyError


# --- plain values


@pytest.mark.parametrize("value", [
    None, True, 0, -1, 1 << 200, 1.5, float("inf"), 1j, "", "ä\n\0", b"", b"\xff", bytearray(b"abc"),
    (), (1, (2, [3])), [], [[]], {}, {"a": {1: None}}, set(), {1, 2}, frozenset({3}), range(3), slice(1, 2),
    Ellipsis, NotImplemented, decimal.Decimal("1.10"), datetime.timedelta(1), datetime.date(2026, 1, 1),
    collections.deque([1]), collections.OrderedDict(a=1), types.SimpleNamespace(a=1),
], ids=repr)
def test_value_there_and_back(one, value):
    back = one.apply_sync(lambda v: v, value)
    assert back == value and type(back) is type(value)


def test_nan(one):
    assert one.apply_sync(lambda v: v != v, float("nan")) is True


def test_same_object_twice_stays_one(one):
    item = []
    assert one.apply_sync(lambda pair: pair[0] is pair[1], [item, item]) is True


def test_list_that_holds_itself(one):
    own = []
    own.append(own)
    back = one.apply_sync(lambda v: v, own)
    assert back[0] is back


@pytest.mark.parametrize("size", [10, 100_000])
@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_memoryview_arrives_as_bytes_do(one, size, kind):
    data = kind(range(256)) * (size // 256 + 1)
    assert one.apply_sync(lambda d: d, memoryview(data)) == data
    assert one.apply_sync(lambda d: d, data) == data


def test_large_bytes_within_containers_that_hold_themselves(one):
    data = bytes(200_000)
    own = {"data": data, "again": [data]}
    own["own"] = own
    back = one.apply_sync(lambda v: v, own)
    assert back["own"] is back and back["data"] == data and back["again"][0] is back["data"]


# --- arrays

RECORDS = numpy.zeros(5, dtype=[("a", "i4"), ("b", "f8", (2,)), ("c", "S3")])
ARRAYS = {
    "0-d": numpy.array(5.0),
    "zero size": numpy.zeros((0, 3)),
    "small": numpy.arange(10),
    "large": numpy.arange(100_000.0),
    "matrix": numpy.arange(40_000.0).reshape(200, 200),
    "fortran": numpy.asfortranarray(numpy.arange(40_000.0).reshape(200, 200)),
    "strided": numpy.arange(100_000)[::3],
    "negative": numpy.arange(100_000)[::-1],
    "transposed": numpy.arange(40_000).reshape(100, 400).T,
    "bool": numpy.ones(100_000, bool),
    "complex": numpy.ones(50_000, complex),
    "half": numpy.ones(50_000, "f2"),
    "big endian": numpy.arange(50_000, dtype=">i4"),
    "big endian with gaps": numpy.arange(10, dtype=">i4")[::3],
    "datetime with gaps": numpy.arange(10).astype(">M8[s]")[::3],
    "records with gaps": numpy.repeat(RECORDS, 3)[::2],
    "bytes": numpy.array([b"abc"] * 20_000, "S10"),
    "text": numpy.array(["äb"] * 20_000),
    "datetime": numpy.arange("2026-01", "2226-01", dtype="M8[D]"),
    "timedelta": numpy.arange(20_000, dtype="m8[s]"),
    "records": RECORDS,
    "many records": numpy.repeat(RECORDS, 5000),
    "objects": numpy.array([{"a": 1}, None, "x"], dtype=object),
    "subarray": numpy.broadcast_to(numpy.arange(1000.0), (50, 1000)),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_array_there_and_back(one, name):
    array = ARRAYS[name]
    back = one.apply_sync(lambda v: v, array)
    assert back.dtype == array.dtype and back.shape == array.shape
    assert numpy.array_equal(back, array)
    assert back.flags.writeable


@pytest.mark.parametrize("name", ARRAYS)
def test_array_is_writable_and_the_engines_own(pool, name):
    array = ARRAYS[name]
    before = array.copy()

    def change(v):
        if v.size:
            v.flat[0] = v.flat[-1]
        return v.flags.writeable

    assert pool[:].apply_sync(change, array) == [True] * 4
    assert numpy.array_equal(array, before)


def test_fortran_order_is_kept(one):
    assert one.apply_sync(lambda v: v.flags.f_contiguous, ARRAYS["fortran"]) is True
    assert one.apply_sync(lambda v: v, ARRAYS["fortran"]).flags.f_contiguous


def test_read_only_array(one):
    array = numpy.arange(100_000.0)
    array.flags.writeable = False
    assert one.apply_sync(lambda v: v, array).sum() == array.sum()


def test_masked_array_and_matrix(one):
    masked = numpy.ma.masked_less(numpy.arange(50_000), 10)
    back = one.apply_sync(lambda v: v, masked)
    assert back.count() == masked.count() and back.sum() == masked.sum()
    with pytest.warns(PendingDeprecationWarning):
        matrix = numpy.matrix([[1, 2], [3, 4]])
    assert type(one.apply_sync(lambda v: v, matrix)) is numpy.matrix


def test_numpy_scalars_and_dtypes(one):
    for value in (numpy.float32(1.5), numpy.int64(3), numpy.bool_(True), numpy.dtype("i4")):
        back = one.apply_sync(lambda v: v, value)
        assert back == value and type(back) is type(value)


def test_arrays_anywhere_in_an_object(one):
    array = numpy.arange(100_000.0)
    back = one.apply_sync(lambda v: v, {"a": [array, (array, {"b": array})], "r": Record("r", [array])})
    assert numpy.array_equal(back["a"][1][1]["b"], array)
    assert numpy.array_equal(back["r"].values[0], array)


def test_array_is_copied_when_the_call_returns(one):
    array = numpy.zeros(1 << 20)
    result = one.apply_async(lambda v: (__import__("time").sleep(0.05), v.sum())[1], array)
    array[:] = 1
    assert result.get(10) == 0


def test_function_with_an_array_in_its_closure(pool):
    array = numpy.arange(100_000.0)
    assert pool[:].apply_sync(lambda: array.sum()) == [array.sum()] * 4


def test_dataframe(one):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": numpy.arange(10_000), "b": ["x"] * 10_000})
    assert one.apply_sync(lambda f: f, frame).equals(frame)


def test_tensors(one):
    torch = pytest.importorskip("torch")
    tensors = [
        torch.arange(100_000.0),
        torch.arange(12).reshape(3, 4).T,
        torch.ones(5, dtype=torch.bfloat16),
        torch.ones(3, dtype=torch.complex64).conj(),
        torch.tensor(7),
        torch.empty(0, 3),
        torch.eye(3).to_sparse(),
        torch.quantize_per_tensor(torch.ones(4), 0.1, 0, torch.qint8),
    ]
    for tensor in tensors:
        back = one.apply_sync(lambda t: t, tensor)
        assert back.dtype is tensor.dtype and back.shape == tensor.shape and back.layout is tensor.layout
        dense = [t.dequantize() if t.is_quantized else t.to_dense() for t in (back, tensor)]
        assert torch.equal(*dense)
    weight = one.apply_sync(lambda p: p, torch.nn.Parameter(torch.ones(10_000)))
    assert type(weight) is torch.nn.Parameter and weight.requires_grad
    assert one.apply_sync(lambda t: t.requires_grad, torch.ones(3, requires_grad=True))


def test_tensor_over_a_region_is_not_copied(one):
    torch = pytest.importorskip("torch")
    array = pxrun.zeros(100_000)
    ar = one.push({"tensor": torch.from_numpy(array)}, block=False, track=True)
    ar.get(30)
    assert ar.holders == [one.targets]
    one.apply_sync(lambda: tensor.add_(1))  # noqa: F821
    assert not array.any() and float(one["tensor.sum()"]) == array.size
    one.execute("del tensor", block=True)
    ar.wait_for_send(10)


def test_python_without_cloudpickle_says_what_to_install(monkeypatch):
    from pxrun.wire import pickling

    monkeypatch.setattr(pickling, "_thorough", None)
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    with pytest.raises(TypeError, match="cloudpickle"):
        pickling.dumps(Point)


def test_exceptions_are_raised_as_what_they_are(one):
    with pytest.raises(ZeroDivisionError):
        one.apply_sync(operator.truediv, 1, 0)
    with pytest.raises(pxrun.RemoteError):
        one.apply_sync(operator.truediv, 1, 0)
