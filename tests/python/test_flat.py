# SPDX-License-Identifier: BSD-3-Clause
"""Values that travel without pickle: what arrives is what pickle would have made of them."""
import copy
import math
import operator
import pickle
import random
import struct

import pytest

from pxrun import _pxrun

FLAT = [
    None, True, False, 0, -1, 2**63 - 1, -(2**63), 1.5, -0.0, math.inf, 3 + 4j, "", "aé𝄞", "\0", b"", b"\x00\xff",
    (), (1,), [], [1, [2, (3,)]], {}, {1: 2, "a": None, (1, 2): [3]}, "x" * 300, b"y" * 3000, [None] * 2000,
]  # fmt: skip


def flat(*args, **kwargs):
    return _pxrun.flat_call(b"", args, kwargs)


@pytest.mark.parametrize("value", FLAT, ids=lambda value: repr(value)[:20])
def test_value_arrives_as_it_is(value):
    (arrived,) = _pxrun.unflat(flat(value))
    assert (type(arrived), repr(arrived)) == (type(value), repr(value))


class Number(int):
    pass


SELF: list = []
SELF.append(SELF)
DEEP: list = []
for _ in range(30):
    DEEP = [DEEP]
LIST = [1]


@pytest.mark.parametrize(
    "args",
    [(2**63,), ("\ud800",), (object(),), ({1, 2},), (bytearray(b"x"),), (Number(1),), (LIST, LIST), (SELF,), (DEEP,), ("x" * 100_000,), ([0.5] * 6000,)],
    ids=["large int", "surrogate", "object", "set", "bytearray", "subclass", "one list twice", "cycle", "deep", "long", "many"],
)
def test_other_value_is_left_to_pickle(args):
    assert flat(*args) is None


@pytest.mark.parametrize("depth", range(12, 20))
def test_values_in_values_arrive_however_deep(pool, depth):
    value: object = "innermost"
    for _ in range(depth):
        value = [value]
    view = pool[0]
    assert view.apply_sync(copy.copy, value) == value
    assert view.apply_sync(dict, deep=value) == {"deep": value}
    view.push({"deep": value}, block=True)
    assert view["deep"] == value


def test_list_in_two_places_stays_one(pool):
    assert pool[0].apply_sync(operator.is_, LIST, LIST)
    assert not pool[0].apply_sync(operator.is_, LIST, list(LIST))


def test_keywords_follow_the_arguments(pool):
    assert pool[0].apply_sync(dict, [("a", 1)], b=[2.5]) == {"a": 1, "b": [2.5]}


@pytest.mark.parametrize("code", "?bBhHiIlLqQefdgFDG")
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (1, 2, 3)], ids=str)
def test_array_is_the_same_array(code, shape):
    numpy = pytest.importorskip("numpy")
    array = numpy.ones(shape, code)
    (arrived,) = _pxrun.unflat(flat(array))
    assert type(arrived) is numpy.ndarray and arrived.dtype == array.dtype and arrived.shape == shape
    assert (arrived == array).all() and arrived.flags.writeable and arrived.flags.owndata


def test_view_of_an_array_is_an_array():
    numpy = pytest.importorskip("numpy")
    (arrived,) = _pxrun.unflat(flat(numpy.arange(10)[4:]))
    assert arrived.tolist() == [4, 5, 6, 7, 8, 9]


def test_other_arrays_are_left_to_pickle():
    numpy = pytest.importorskip("numpy")
    array = numpy.zeros((4, 4))
    fixed = numpy.zeros(3)
    fixed.flags.writeable = False
    others = [array.T[:, :2], numpy.zeros(3, ">f8"), numpy.array(["a"]), numpy.array([None]), fixed, numpy.ma.zeros(3)]
    assert [flat(other) for other in others] == [None] * len(others)
    assert flat(array, array) is None and flat(numpy.zeros(16 << 10)) is None


def test_live_array_stays_live(pool):
    numpy = pytest.importorskip("numpy")
    import pxrun

    live = pxrun.shared(numpy.zeros(4))
    pool[0].apply_sync(operator.setitem, live, 0, 7.0)
    assert live[0] == 7.0
    assert flat(live) is None and flat(live[1:]) is None


@pytest.mark.parametrize(
    "body",
    [b"", b"z", b"i\0", b"s\xff\xff\xff\xffab", b"l\x05\0\0\0N", b"l" * 40, b"a\x0c\x01" + struct.pack("<q", -1), b"s\x01\0\0\0\xff",
     b"a\x63\0", b"a\x0c\x09", b"a\x0c\x02" + struct.pack("<qq", 2**40, 2**40), b"NN", b"m\x01\0\0\0l\0\0\0\0N", b"t\x01\0\0\0" * 40 + b"N"],
)  # fmt: skip
def test_garbage_is_an_error(body):
    with pytest.raises((ValueError, TypeError)):
        _pxrun.unflat(body)


def test_any_bytes_are_a_value_or_an_error():
    chosen = random.Random(15)
    whole = flat([1, "text", {"k": (2.5, b"b")}], None, x=True)
    for _ in range(20_000):
        body = bytearray(whole[: chosen.randrange(len(whole) + 1)])
        for _ in range(chosen.randrange(4)):
            if body:
                body[chosen.randrange(len(body))] = chosen.choice(b"NTFidcsbtlma\0\1\2\xff")
        try:
            _pxrun.unflat(bytes(body))
        except (ValueError, TypeError, MemoryError):
            pass


def test_results_need_no_pickle(pool):
    value = {"a": [1, 2.5, None], "b": ("x", b"y")}
    ar = pool[0].apply_async(dict, value)
    ar.wait()
    code, body, buffers = ar._result.reply(0)
    assert (code, buffers) == (0, None) and not body.startswith(pickle.PROTO) and _pxrun.unflat(body) == value


@pytest.mark.parametrize("kind", ["zeros", "shared", "plain", "sliced"])
@pytest.mark.parametrize("elements", [4, 2048, 100_000])
def test_arrays_that_are_lent(pool, kind, elements):
    numpy = pytest.importorskip("numpy")
    import pxrun

    array = {"zeros": pxrun.zeros, "shared": lambda n: pxrun.shared(numpy.zeros(n)), "plain": numpy.zeros, "sliced": pxrun.zeros}[kind](elements + 3)
    array[:] = numpy.arange(elements + 3)
    if kind == "sliced":
        array = array[3:]
    pool[:].push({"a": array, "b": [array.copy()]}, block=True)
    pool[0].execute("a[0] = -1; same = (a[1:] == b[0][1:]).all(); w = a.flags.writeable and a.flags.aligned", block=True)
    assert pool[0]["same"] and pool[0]["w"] and pool[0]["a"].dtype == array.dtype
    live = kind == "shared"
    assert pool[1]["a"][0] == (-1 if live else array[0]) and (array[0] == -1) == live


def test_lent_arrays_are_released(pool):
    pytest.importorskip("numpy")
    import pxrun

    array = pxrun.zeros(1 << 20)
    view = pool[:]
    view.push({"a": array}, block=True)
    ar = view.apply_async(len, array)
    assert ar.get() == [1 << 20] * len(view)
    view.execute("del a", block=True)
    tracked = view.push({"a": array}, block=False, track=True)
    view.execute("del a", block=True)
    tracked.wait_for_send(10)
    assert tracked.sent


@pytest.mark.parametrize("index, size", [(1, 8), (0, 9), (7, 1)])
def test_claim_to_a_buffer_that_is_not_there_is_an_error(pool, index, size):
    numpy = pytest.importorskip("numpy")
    from pxrun.wire import frames, values

    call = frames.named("builtins", "len") + b"t\x01\0\0\0A\x0c\x01" + struct.pack("<qI", size, index)
    result = pool._core.submit(_pxrun.APPLY, 0, [0], call, [numpy.zeros(8)])
    assert result.wait(30, None)
    code, body, _ = result.reply(0)
    assert code == _pxrun.EREMOTE and values.decode(body)[0] == "TypeError"


@pytest.mark.parametrize("code", "?bBhHiIlLqQefdgFDG")
def test_scalar_is_what_pickle_makes_of_it(pool, code):
    numpy = pytest.importorskip("numpy")
    for value in (1, 0):
        scalar = numpy.dtype(code).type(value)
        (arrived,) = _pxrun.unflat(flat(scalar))
        assert type(arrived) is type(pickle.loads(pickle.dumps(scalar))) and arrived == scalar
    back = pool[0].apply_sync(operator.add, scalar, scalar)
    assert type(back) is type(scalar + scalar) or code in "qQ"


def test_scalars_keep_their_bits():
    numpy = pytest.importorskip("numpy")
    odd = [numpy.float64("nan"), numpy.float64(-0.0), numpy.int64(-(2**63)), numpy.uint64(2**64 - 1), numpy.longdouble(1) / 3]
    (arrived,) = _pxrun.unflat(flat(odd))
    assert [(type(a), a.tobytes()[:10]) for a in arrived] == [(type(o), o.tobytes()[:10]) for o in odd]


def test_other_scalars_are_left_to_pickle():
    numpy = pytest.importorskip("numpy")
    others = [numpy.str_("a"), numpy.bytes_(b"a"), numpy.datetime64(1, "s"), numpy.void(b"a"), numpy.zeros(1, "i4,f8")[0]]
    assert [flat(other) for other in others] == [None] * len(others)


@pytest.mark.parametrize("body", [b"g", b"g\x63", b"g\x0c", b"g\x0c1234567", b"g\x11" + bytes(8), b"g\xff" + bytes(40)])
def test_garbage_scalar_is_an_error(body):
    with pytest.raises(ValueError):
        _pxrun.unflat(body)
