# SPDX-License-Identifier: BSD-3-Clause
"""The form in C of whatever Python code may give, and of what C programs send."""
from __future__ import annotations

import ctypes
import os

import pytest

from pxrun.engine import neutral

numpy = pytest.importorskip("numpy")

LIBRARY = os.path.join(os.environ["PXRUN_BUILDDIR"], ".libs/libpxrun.so")
LIMIT = ctypes.c_uint64(60 * 10**9)
EREMOTE = -6
NONE, BOOL, INT, DOUBLE, STRING, BYTES, LIST, ARRAY, OBJECT, UINT, COMPLEX, DICT = range(12)


class Value(ctypes.Structure):
    """A struct px_value."""


class _Text(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("bytes", ctypes.c_uint64)]


class _List(ctypes.Structure):
    _fields_ = [("items", ctypes.POINTER(Value)), ("count", ctypes.c_uint64)]


class _Dict(ctypes.Structure):
    _fields_ = [("keys", ctypes.POINTER(Value)), ("values", ctypes.POINTER(Value)), ("count", ctypes.c_uint64)]


class _As(ctypes.Union):
    _fields_ = [("truth", ctypes.c_int), ("integer", ctypes.c_int64), ("natural", ctypes.c_uint64), ("real", ctypes.c_double),
                ("complex", ctypes.c_double * 2), ("text", _Text), ("list", _List), ("dict", _Dict), ("array", ctypes.c_void_p)]


Value._fields_ = [("type", ctypes.c_int), ("as_", _As)]


class Array:
    """What C sees of an array: dtype, shape, strides, and its elements in the order of their indices."""

    def __init__(self, lib, pointer):
        self.dtype = lib.px_array_dtype(pointer)
        ndim = lib.px_array_ndim(pointer)
        self.shape = tuple(lib.px_array_shape(pointer)[:ndim])
        self.strides = tuple(lib.px_array_strides(pointer)[:ndim])
        kind = {0: "i", 1: "u", 2: "f", 5: "c", 6: "b"}[self.dtype >> 8]
        item, data = self.dtype % 256 // 8, lib.px_array_data(pointer)
        self.aligned = not self.shape or not data or data % item == 0
        low = sum(s * (n - 1) for s, n in zip(self.strides, self.shape) if s < 0)
        high = sum(s * (n - 1) for s, n in zip(self.strides, self.shape) if s > 0) + item
        if 0 in self.shape:
            self.elements = []
            return
        raw = (ctypes.c_char * (high - low)).from_address(data + low)
        self.elements = numpy.ndarray(self.shape, f"{kind}{item}", bytearray(raw), -low, self.strides).tolist()


class Program:
    """A C program with a view of engine 0."""

    def __init__(self, connection_file):
        self.lib = lib = ctypes.CDLL(LIBRARY)
        lib.px_last_error.restype = ctypes.c_char_p
        for name in "px_array_shape", "px_array_strides":
            getattr(lib, name).restype = ctypes.POINTER(ctypes.c_int64)
        lib.px_array_data.restype = ctypes.c_void_p
        for name in "shape", "strides", "data", "dtype", "ndim":
            getattr(lib, f"px_array_{name}").argtypes = [ctypes.c_void_p]
        self.client, self.view = ctypes.c_void_p(), ctypes.c_void_p()
        self.must(lib.px_client_attach(connection_file.encode(), ctypes.c_uint64(0), ctypes.byref(self.client)))
        self.must(lib.px_view_of(self.client, ctypes.byref(ctypes.c_uint32(0)), ctypes.c_size_t(1), ctypes.byref(self.view)))

    def must(self, code):
        assert code == 0, self.lib.px_last_error().decode()

    def close(self):
        self.lib.px_view_free(self.view)
        self.lib.px_client_detach(self.client)

    def request(self, name, *arguments):
        """The value of a request's result; of one that failed, its words."""
        result, value = ctypes.c_void_p(), Value()
        self.must(getattr(self.lib, f"px_view_{name}")(self.view, *arguments, None, ctypes.byref(result)))
        self.must(self.lib.px_result_wait(result, LIMIT))
        code = self.lib.px_result_value(result, ctypes.c_size_t(0), ctypes.byref(value))
        try:
            return self.form(value) if code == 0 else (code, self.lib.px_last_error().decode())
        finally:
            self.lib.px_result_free(result)

    def form(self, value):
        as_ = value.as_
        if value.type in (STRING, BYTES, OBJECT):
            raw = ctypes.string_at(as_.text.data, as_.text.bytes)
            return value.type, raw if value.type == BYTES else raw.decode()
        if value.type == LIST:
            return LIST, [self.form(as_.list.items[i]) for i in range(as_.list.count)]
        if value.type == DICT:
            return DICT, [(self.form(as_.dict.keys[i]), self.form(as_.dict.values[i])) for i in range(as_.dict.count)]
        if value.type == ARRAY:
            return ARRAY, Array(self.lib, as_.array)
        return value.type, {
            NONE: None, BOOL: bool(as_.truth), INT: as_.integer, UINT: as_.natural, DOUBLE: as_.real,
            COMPLEX: complex(*as_.complex),
        }[value.type]


@pytest.fixture
def program(pool):
    pool[0].execute(SETUP, block=True)
    made = Program(pool.connection_file)
    yield made
    made.close()


SETUP = """
import array, collections, ctypes, decimal, enum, numpy as np

class Mute:
    def __repr__(self):
        raise ValueError("no words")
class MuteInt(int):
    __repr__ = Mute.__repr__
class Halves:
    def __repr__(self):
        return "\\udc80"
class Colour(enum.Enum):
    RED = 1
class Number(enum.IntEnum):
    ONE = 1
class MyList(list):
    def __iter__(self):
        raise TypeError("not iterated over")
class MyDict(dict):
    def items(self):
        raise TypeError("not asked")
class MyFloat(float):
    pass
class MyStr(str):
    pass
class Shrinking:
    def __repr__(self):
        del shrinking[1:]
        return "shrunk"
class Tensor:
    def __init__(self, array):
        self.array = np.asarray(array)
    def __dlpack__(self, **given):
        return self.array.__dlpack__()
    def __dlpack_device__(self):
        return self.array.__dlpack_device__()
class OnAGPU(Tensor):
    def __dlpack__(self, **given):
        raise BufferError("not here")
    def __repr__(self):
        return "on a GPU"
def named(a, b, *, c=0, d=4):
    return [a, b, c, d]
Point = collections.namedtuple("Point", "x y")
shrinking = [Shrinking(), 1, 2]
own = [1]
own.append(own)
own_dict = {}
own_dict["d"] = own_dict
deep = 0
for _ in range(150):
    deep = [deep]
released = memoryview(b"x")
released.release()
structured = np.array([(1, 2.0)], "i4,f8")
"""

#: An expression, and its form.
FORMS = [
    # plain values, and subclasses
    ("None", (NONE, None)),
    ("True", (BOOL, True)),
    ("7", (INT, 7)),
    ("2**63 - 1", (INT, 2**63 - 1)),
    ("-2**63", (INT, -(2**63))),
    ("2**63", (UINT, 2**63)),
    ("2**64 - 1", (UINT, 2**64 - 1)),
    ("2**64", (OBJECT, str(2**64))),
    ("-2**63 - 1", (OBJECT, str(-(2**63) - 1))),
    ("10**5000", (OBJECT, hex(10**5000))),
    ("MuteInt(2**70)", (OBJECT, hex(2**70))),
    ("1.5", (DOUBLE, 1.5)),
    ("1e999", (DOUBLE, float("inf"))),
    ("1 + 2j", (COMPLEX, 1 + 2j)),
    ("'ä\\0b'", (STRING, "ä\0b")),
    ("'\\ud83d'", (OBJECT, "'\\ud83d'")),
    ("b'x\\0'", (BYTES, b"x\0")),
    ("Colour.RED", (OBJECT, "<Colour.RED: 1>")),
    ("Number.ONE", (INT, 1)),
    ("MyFloat(2)", (DOUBLE, 2.0)),
    ("MyStr('s')", (STRING, "s")),
    ("OnAGPU([1])", (OBJECT, "on a GPU")),
    ("Tensor(1.5)", (DOUBLE, 1.5)),
    ("decimal.Decimal(1)", (OBJECT, "Decimal('1')")),
    ("{1}", (OBJECT, "{1}")),
    ("range(3)", (OBJECT, "range(0, 3)")),
    ("Halves()", (OBJECT, "\\udc80")),
    # containers
    ("[1, (2, []), {}]", (LIST, [(INT, 1), (LIST, [(INT, 2), (LIST, [])]), (DICT, [])])),
    ("Point(1, 2)", (LIST, [(INT, 1), (INT, 2)])),
    ("MyList([1])", (LIST, [(INT, 1)])),
    ("{'a': 1, 2: None, np.int8(3): 4, b'b': 5}",
     (DICT, [((STRING, "a"), (INT, 1)), ((INT, 2), (NONE, None)), ((INT, 3), (INT, 4)), ((BYTES, b"b"), (INT, 5))])),
    ("MyDict(a=1)", (DICT, [((STRING, "a"), (INT, 1))])),
    ("collections.Counter('aa')", (DICT, [((STRING, "a"), (INT, 2))])),
    ("{Colour.RED: 1}", (DICT, [((OBJECT, "<Colour.RED: 1>"), (INT, 1))])),
    ("{(1, 2): 3}", (OBJECT, "{(1, 2): 3}")),
    ("[{Point(1, 2): 3}]", (LIST, [(OBJECT, "{Point(x=1, y=2): 3}")])),
    ("own", (LIST, [(INT, 1), (OBJECT, "[...]")])),
    ("own_dict", (DICT, [((STRING, "d"), (OBJECT, "{...}"))])),
    ("shrinking", (LIST, [(OBJECT, "shrunk"), (INT, 1), (INT, 2)])),
    # numbers of numpy
    ("np.bool_(True)", (BOOL, True)),
    *[(f"np.{name}(3)", (INT, 3)) for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "longlong")],
    ("np.uint64(2**64 - 1)", (UINT, 2**64 - 1)),
    *[(f"np.{name}(1.5)", (DOUBLE, 1.5)) for name in ("float16", "float32", "float64", "longdouble")],
    ("np.longdouble(1) / 3", (OBJECT, repr(numpy.longdouble(1) / 3))),
    ("np.longdouble('1e4000')", (OBJECT, repr(numpy.longdouble("1e4000")))),
    *[(f"np.{name}(1 + 2j)", (COMPLEX, 1 + 2j)) for name in ("complex64", "complex128", "clongdouble")],
    ("np.datetime64('2020-01-01')", (OBJECT, repr(numpy.datetime64("2020-01-01")))),
    ("np.timedelta64(3, 's')", (OBJECT, repr(numpy.timedelta64(3, "s")))),
    ("np.str_('ä')", (STRING, "ä")),
    ("np.bytes_(b'x')", (BYTES, b"x")),
    ("np.void(b'xyz')", (BYTES, b"xyz")),
    ("structured[0]", (OBJECT, repr(numpy.array([(1, 2.0)], "i4,f8")[0]))),
    ("np.arange(4).sum()", (INT, 6)),
    ("np.arange(4).argmax()", (INT, 3)),
    ("np.ones(3).all()", (BOOL, True)),
    ("[np.float32(1), np.bool_(0)]", (LIST, [(DOUBLE, 1.0), (BOOL, False)])),
    # arrays of no dimensions
    ("np.array(3)", (INT, 3)),
    ("np.array(1.5, '>f4')", (DOUBLE, 1.5)),
    ("np.array('x')", (STRING, "x")),
    ("np.array(None)", (OBJECT, "array(None, dtype=object)")),
    ("ctypes.c_double(3)", (DOUBLE, 3.0)),
    # arrays that have no form
    ("structured", (OBJECT, repr(numpy.array([(1, 2.0)], "i4,f8")))),
    ("np.array([None, 1])", (OBJECT, "array([None, 1], dtype=object)")),
    ("np.array(['a'])", (OBJECT, repr(numpy.array(["a"])))),
    ("np.zeros(1, 'M8[s]')", (OBJECT, repr(numpy.zeros(1, "M8[s]")))),
    ("np.zeros(1, np.longdouble)", (OBJECT, repr(numpy.zeros(1, numpy.longdouble)))),
    ("np.ma.array([1, 2], mask=[0, 1])", (OBJECT, repr(numpy.ma.array([1, 2], mask=[0, 1])))),
    ("np.ma.masked", (OBJECT, "masked")),
    ("np.ma.array(structured, mask=[(1, 0)])", (OBJECT, repr(numpy.ma.array(numpy.array([(1, 2.0)], "i4,f8"), mask=[(1, 0)])))),
    ("np.ma.array(1.5, mask=True)", (OBJECT, repr(numpy.ma.array(1.5, mask=True)))),
]


@pytest.mark.parametrize("expression, form", FORMS, ids=[expression[:40] for expression, _ in FORMS])
def test_forms(program, expression, form):
    assert program.request("pull", expression.encode()) == form


#: An expression, the dtype in C, the elements, and the strides where they are not those of rows.
ARRAYS = [
    *[(f"np.arange(3).astype('{name}')", (0 if kind == "i" else 1) << 8 | 8 * int(size), [0, 1, 2], None)
      for name in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8") for kind, size in (name,)],
    *[(f"np.array([0.5, 2], '{name}')", 0x200 | 8 * int(name[1]), [0.5, 2], None) for name in ("f2", "f4", "f8")],
    ("np.array([1j], 'c8')", 0x540, [1j], None),
    ("np.array([1j], 'c16')", 0x580, [1j], None),
    ("np.array([True, False])", 0x608, [True, False], None),
    ("np.array([1, 2], '>i4')", 0x020, [1, 2], None),
    ("np.array([1, 2], 'longlong')", 0x040, [1, 2], None),
    ("np.zeros((0, 3)).T", 0x240, [], None),
    ("np.arange(6.).reshape(2, 3)", 0x240, [[0, 1, 2], [3, 4, 5]], None),
    ("np.asfortranarray(np.arange(6.).reshape(2, 3))", 0x240, [[0, 1, 2], [3, 4, 5]], (8, 16)),
    ("np.arange(6.).reshape(2, 3).T", 0x240, [[0, 3], [1, 4], [2, 5]], (8, 24)),
    ("np.arange(24, dtype='i2').reshape(2, 3, 4).transpose(2, 0, 1)[::-1]", 0x010,
     numpy.arange(24).reshape(2, 3, 4).transpose(2, 0, 1)[::-1].tolist(), (-2, 24, 8)),
    ("np.arange(4.)[::-1]", 0x240, [3, 2, 1, 0], (-8,)),
    ("np.arange(6.)[::2]", 0x240, [0, 2, 4], None),
    ("np.arange(6.).reshape(2, 3)[:, 1:]", 0x240, [[1, 2], [4, 5]], None),
    ("np.broadcast_to(1., (2, 2))", 0x240, [[1, 1], [1, 1]], None),
    ("np.lib.stride_tricks.sliding_window_view(np.arange(3.), 2)", 0x240, [[0, 1], [1, 2]], None),
    ("np.frombuffer(b'x' * 17, offset=1)", 0x240, numpy.frombuffer(b"x" * 17, offset=1).tolist(), None),
    ("np.array([(1, 2), (3, 4)], 'i1,>i4')['f1']", 0x020, [2, 4], None),
    ("np.matrix([[1, 2]])", 0x040, [[1, 2]], None),
    ("np.ma.array([1, 2], mask=[0, 0])", 0x040, [1, 2], None),
    ("np.ma.array([1, 2])", 0x040, [1, 2], None),
    ("Tensor(np.arange(3.))", 0x240, [0, 1, 2], None),
    ("bytearray(b'ab')", 0x108, [97, 98], None),
    ("array.array('d', [1, 2])", 0x240, [1, 2], None),
    ("memoryview(b'abcd')[::2]", 0x108, [97, 99], None),
    ("(ctypes.c_short * 2)(1, 2)", 0x010, [1, 2], None),
]


@pytest.mark.parametrize("expression, dtype, elements, strides", ARRAYS, ids=[case[0][:40] for case in ARRAYS])
def test_arrays(program, expression, dtype, elements, strides):
    kind, array = program.request("pull", expression.encode())
    assert kind == ARRAY
    assert (array.dtype, array.elements, array.aligned) == (dtype, elements, True)
    if strides:
        assert array.strides == strides


@pytest.mark.parametrize("expression", ["np.ones((600, 700)).T", "np.ones((600, 700))[::-1]", "kept.T", "np.ones((900, 700))[::2]"])
def test_large_arrays_keep_their_order_as_small_ones_do(pool, program, expression):
    pool[0].execute("kept = np.ones((600, 700))", block=True)
    _, array = program.request("pull", expression.encode())
    assert array.elements == numpy.ones(array.shape).tolist()


def test_what_is_nested_too_deep_is_its_repr(program):
    form = program.request("pull", b"deep")
    depth = 0
    while form[0] == LIST:
        (form,) = form[1]
        depth += 1
    assert depth == 100 and form == (OBJECT, "[" * 50 + "0" + "]" * 50)


@pytest.mark.parametrize("expression, words", [
    ("Mute()", "repr() of its type Mute raised ValueError: no words"),
    ("[Mute()]", "ValueError: no words"),
    ("{Mute(): 1}", "ValueError: no words"),
    ("[np.zeros(1)] * 400", "400 buffers in one message"),
])
def test_what_has_no_form_fails_in_words(program, expression, words):
    code, said = program.request("pull", expression.encode())
    assert code < 0 and words in said and "SystemError" not in said


def test_released_memory_has_words(program):
    kind, words = program.request("pull", b"released")
    assert kind == OBJECT and "released memory" in words


# --- what C sends


def text(value):
    raw = ctypes.create_string_buffer(value.encode())
    made = Value(STRING)
    made.as_.text = _Text(ctypes.addressof(raw), len(raw) - 1)
    made.keep = raw
    return made


def integer(value):
    made = Value(INT)
    made.as_.integer = value
    return made


def dictionary(*pairs):
    keys, values = (Value * len(pairs))(*[k for k, _ in pairs]), (Value * len(pairs))(*[v for _, v in pairs])
    made = Value(DICT)
    made.as_.dict = _Dict(keys, values, len(pairs))
    made.keep = keys, values, pairs
    return made


def test_sent_values_arrive(program):
    natural, number = Value(UINT), Value(COMPLEX)
    natural.as_.natural = 2**64 - 1
    number.as_.complex[:] = (1, -2)
    sent = dictionary((text("a"), natural), (integer(2), number), (text("d"), dictionary((text("x"), integer(1)))))
    assert program.request("push", b"got", ctypes.byref(sent)) == (NONE, None)
    assert program.request("pull", b"repr(got)") == (STRING, repr({"a": 2**64 - 1, 2: 1 - 2j, "d": {"x": 1}}))


def test_keywords_arrive(program):
    arguments = (Value * 1)(integer(1))
    keywords = dictionary((text("b"), integer(2)), (text("c"), integer(3)))
    form = program.request("call", b"named", ctypes.c_size_t(1), arguments, ctypes.byref(keywords))
    assert form == (LIST, [(INT, 1), (INT, 2), (INT, 3), (INT, 4)])
    keywords = dictionary((text("wrong"), integer(2)))
    code, words = program.request("call", b"named", ctypes.c_size_t(1), arguments, ctypes.byref(keywords))
    assert code == EREMOTE and "wrong" in words
    keywords = dictionary()
    assert program.request("call", b"dict", ctypes.c_size_t(0), None, ctypes.byref(keywords)) == (DICT, [])


def test_strided_arrays_arrive(program):
    data = numpy.arange(24, dtype="i4").reshape(2, 3, 4)
    for given in (data.T, data[::-1], data[:, ::2, 1:], data[1:0], numpy.asfortranarray(data)):
        array = ctypes.c_void_p()
        shape, strides = ((ctypes.c_int64 * 3)(*numbers) for numbers in (given.shape, given.strides))
        program.must(program.lib.px_array_wrap(ctypes.c_void_p(given.ctypes.data), 0x20, 3, shape, strides, ctypes.byref(array)))
        sent = Value(ARRAY)
        sent.as_.array = array
        assert program.request("push", b"got", ctypes.byref(sent)) == (NONE, None)
        assert program.request("pull", b"repr(got.tolist())") == (STRING, repr(given.tolist()))
        program.lib.px_array_unref(array)


def test_more_dimensions_than_C_has_are_the_repr():
    value = memoryview(b"x").cast("B", (1,) * 33)
    assert neutral.form(value)[0] == "o"
    assert neutral.form(memoryview(b"x").cast("B", (1,) * 32))[0] == "a"
