# SPDX-License-Identifier: BSD-3-Clause
"""Lists of equal numbers travel as one buffer: what arrives is what pickle would have made of them."""
import array
import collections
import fractions
import math
import operator
import pickle
import random
import struct
import traceback

import numpy as np
import pytest

from pxrun import CannotSend, _pxrun
from pxrun.wire import columns

N = 500
NAN = struct.unpack("d", struct.pack("Q", 0x7FF8_0000_DEAD_BEEF))[0]
LONG = [random.Random(1).randrange(-(2**63), 2**63) for _ in range(N)]


class Number(int):
    pass


class Real(float):
    pass


def bits(value):
    """A value with its type, so that -0.0 and the payload of a NaN count."""
    if isinstance(value, (tuple, list)):
        return type(value), [bits(each) for each in value]
    if isinstance(value, np.generic) and not isinstance(value, np.longdouble):  # of which some bytes mean nothing
        return type(value), value.dtype.str, value.tobytes()
    return type(value), struct.pack("d", value) if isinstance(value, float) else repr(value)


def pickled(items):
    """The elements as pickle brings them."""
    return [bits(pickle.loads(pickle.dumps(each, 5))) for each in items]


SCALARS = [np.bool_, np.int8, np.uint16, np.int32, np.int64, np.uint64, np.intc, np.longlong, np.ulonglong]
SCALARS += [np.float16, np.float32, np.float64, np.longdouble, np.complex64, np.complex128]

#: Those that are packed, and those that are not.
PACKED = {
    "floats": [i / 7 for i in range(N)],
    "special floats": [0.0, -0.0, math.inf, -math.inf, NAN, -NAN, 5e-324] * N,
    "tuple": tuple([i / 7 for i in range(N)]),
    "long ints": LONG,
    "the longest ints": [2**63 - 1, -(2**63)] * N,
    "then short ints": [2**40, 0, -1] * N,
}
PACKED |= {f"numpy {kind.__name__}": list(np.arange(N).astype(kind)) for kind in SCALARS if columns.is_scalar(kind)}
PACKED["numpy nan"] = list(np.array([NAN, -0.0, np.inf] * N))
PACKED["numpy nan of 32 bits"] = list(np.array([0x7FC0BEEF, 0x80000000] * N, "u4").view("f4"))
LEFT = {
    "few floats": [0.5] * 8,
    "short ints": list(range(N)),
    "ints": [2**40] * N + [2**63],
    "a bool at the end": [2**40] * N + [True],
    "a bool at the beginning": [True] + [2**40] * N,
    "a bool among floats": [0.5] * N + [True],
    "an int among floats": [0.5] * N + [1],
    "a float among ints": [2**40] * N + [1.0],
    "None": [0.5] * N + [None],
    "bools": [True, False] * N,
    "subclass of int": [Number(2**40)] * N,
    "subclass of float": [Real(0.5)] * N,
    "subclass at the end": [0.5] * N + [Real(0.5)],
    "complex": [1j] * N,
    "text": ["a"] * N,
    "fractions": [fractions.Fraction(1, 3)] * N,
    "numpy and float": [np.float64(0.5)] * N + [0.5],
    "two of numpy's": [np.float64(0.5)] * N + [np.float32(0.5)],
    "numpy dates": list(np.arange("2020-01-01", "2021-01-01", dtype="M8[D]")),
    "numpy text": list(np.array(["a", "b"] * N)),
    "numpy records": list(np.zeros(N, "i4,f8")),
    "none at all": [],
}
LEFT |= {f"numpy {kind.__name__}": list(np.arange(N).astype(kind)) for kind in SCALARS if not columns.is_scalar(kind)}
OTHER = {
    "range": range(N),
    "array": np.arange(N) * 1.5,
    "array of another order": np.arange(N).astype(">i4"),
    "array of rows": np.arange(3 * N).reshape(N, 3),
    "array.array": array.array("f", range(N)),
    "deque": collections.deque([0.5] * N),
    "bytes": bytes(N),
}


def sent(items):
    buffers: list = []
    return pickle.loads(pickle.dumps(columns.packed(items), 5, buffer_callback=buffers.append), buffers=buffers)


@pytest.mark.parametrize("name", PACKED)
def test_equal_numbers_are_packed_and_the_same(name):
    items = PACKED[name]
    assert columns.packed(items) is not items
    arrived = sent(items)
    assert type(arrived) is list
    assert [bits(each) for each in arrived] == [bits(each) for each in items]


@pytest.mark.parametrize("name", LEFT)
def test_other_lists_are_left_as_they_are(name):
    items = LEFT[name]
    assert columns.packed(items) is items


@pytest.mark.parametrize("name", OTHER)
def test_other_sequences_are_left_as_they_are(name):
    assert columns.packed(OTHER[name]) is OTHER[name]


def test_pack_and_unpack_refuse_what_is_none_of_theirs():
    assert _pxrun.pack([]) is None and _pxrun.pack({1.5: 2}) is None and _pxrun.pack(None) is None
    for letter, memory in [("x", b""), ("d", b"1234567"), ("q", bytes(9))]:
        with pytest.raises(ValueError, match="no packed numbers"):
            _pxrun.unpack(letter, memory)
    with pytest.raises(TypeError):
        _pxrun.unpack("d", "text")


def same(value):
    return value


def described(value):
    """The value, and what the engine saw of it."""
    return bits(value), value


ALL = {**PACKED, **LEFT, **OTHER}


@pytest.mark.parametrize("name", [name for name in ALL if name != "none at all"])
def test_maps_of_all_kinds_are_those_of_python(pool, name):
    items = ALL[name]
    wanted = pickled(items) if np.ndim(items) < 2 else None
    few = list(items)[:20] if isinstance(items, collections.deque) else items[:20]
    direct, balanced = pool[:], pool.load_balanced_view()
    found = {
        "direct": direct.map(same, items, block=True),
        "balanced": balanced.map(same, items, block=True),
        "chunks": balanced.map(same, items, chunksize=150, block=True),
        "items": balanced.map(same, few, chunksize=1, block=True),
        "imap": list(balanced.imap(same, items, chunksize=150)),
    }
    if wanted is None:
        assert all(np.array_equal(got, few if way == "items" else items) for way, got in found.items())
        return
    for way, got in found.items():
        assert type(got) is list
        assert [bits(each) for each in got] == wanted[: 20 if way == "items" else None], way


@pytest.mark.parametrize("name", PACKED)
def test_engines_see_what_was_sent(pool, name):
    wanted = pickled(PACKED[name])
    for view in (pool[:], pool.load_balanced_view()):
        seen = view.map(described, PACKED[name], block=True)
        assert [there for there, _ in seen] == wanted and [bits(back) for _, back in seen] == wanted


def test_several_sequences_of_different_kinds(pool):
    a, b, c = [i / 3 for i in range(N)], list(np.arange(N)), [str(i) for i in range(N)]
    wanted = [bits(each) for each in zip(a, b, c)]
    balanced = pool.load_balanced_view()
    assert [bits(each) for each in pool[:].map(lambda *each: each, a, b, c, block=True)] == wanted
    assert [bits(each) for each in balanced.map(lambda *each: each, a, b, c, chunksize=200, block=True)] == wanted
    balanced.retries = 2
    assert [bits(each) for each in balanced.map(lambda *each: each, a, b, c, chunksize=200, block=True)] == wanted


def test_generators_and_other_iterables(pool):
    wanted = [bits(i / 7) for i in range(N)]
    for view in (pool[:], pool.load_balanced_view()):
        assert [bits(each) for each in view.map(same, (i / 7 for i in range(N)), block=True)] == wanted
    assert [bits(each) for each in pool.load_balanced_view().imap(same, (np.float32(i) for i in range(N)))] == [
        bits(np.float32(i)) for i in range(N)
    ]


def test_result_of_a_call(pool):
    for items in PACKED.values():
        got = pool[0].apply_sync(lambda f: list(f()), lambda items=items: items)
        assert [bits(each) for each in got] == pickled(items)
    for kind in SCALARS:
        assert [bits(pool[0].apply_sync(kind, 1))] == pickled([kind(1)])


def fails_at(value, where):
    return 1 / (value - where)


def test_error_names_its_element(pool):
    items = [float(i) for i in range(N)]
    where = [items[321]] * N
    balanced = pool.load_balanced_view()
    for fail in (lambda: pool[:].map(fails_at, items, where, block=True), lambda: balanced.map(fails_at, items, where, chunksize=200, block=True)):
        with pytest.raises(Exception, match="ZeroDivisionError") as caught:
            fail()
        assert "element 321 of the map" in "".join(traceback.format_exception(caught.value))
    got = pool.load_balanced_view().map(fails_at, items, where, chunksize=200, return_exceptions=True, block=True)
    assert [i for i, each in enumerate(got) if isinstance(each, Exception)] == [321]


class Unsendable:
    def __reduce__(self):
        raise TypeError("it cannot be sent")


def test_element_that_cannot_be_sent_is_named(pool):
    items = [0.5] * N + [Unsendable()] + [0.5] * N
    with pytest.raises(CannotSend, match=f"element {N} of argument 1"):
        pool[:].map(same, items)
    with pytest.raises(CannotSend, match=f"element {N} of argument 1"):
        pool.load_balanced_view().map(same, items, chunksize=2 * N + 1)


@pytest.mark.parametrize("element", ["0.5", "2**40", "__import__('numpy').float32(0.5)"])
def test_tuple_stays_a_tuple(pool, element):
    code = f"({element},) * 20_000"
    assert bits(pool[0].apply_sync(eval, code)) == bits(eval(code))
    assert bits(pool.load_balanced_view().map_sync(eval, [code])) == bits([eval(code)])


def test_result_that_cannot_be_sent_takes_no_other_with_it(pool):
    got = pool.load_balanced_view().map(lambda x: x if x != 7 else Unsendable(), [float(i) for i in range(N)], chunksize=N,
                                        return_exceptions=True, block=True)
    assert [i for i, each in enumerate(got) if isinstance(each, Exception)] == [7]
    assert operator.itemgetter(6, 8)(got) == (6.0, 8.0)
