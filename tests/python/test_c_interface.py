# SPDX-License-Identifier: BSD-3-Clause
"""Every function of pxrun.h, found there, with what it must refuse."""
import ctypes
import os
import re
import signal

import pytest

EINVAL, ECLOSED = -1, -14
HEADER = os.path.join(os.environ["PXRUN_SRCDIR"], "lib/client/pxrun.h")
LIBRARY = os.path.join(os.environ["PXRUN_BUILDDIR"], ".libs/libpxrun.so")
KERNELS = os.path.join(os.environ["PXRUN_BUILDDIR"], "tests/c/.libs/native_kernels.so")

#: Pointers that may be NULL: the header says what that means.
MAY_BE_NULL = {
    ("px_client_attach", "profile"),
    ("px_pool_stop", "profile"),
    ("px_pool_list", "ctx"),
    ("px_result_set_user", "user"),
    ("px_view_call", "keywords"),
    ("px_array_wrap", "strides"),
    ("px_array_load", "client"),
} | {("px_result_error", name) for name in ("ename", "evalue", "traceback")}


#: Requests of which nobody wants to hear.
IGNORED = {(f"px_view_{verb}", "struct px_result **") for verb in ("noop", "execute", "call", "call_native", "push", "pull", "scatter", "map")}

HANDLE = "client|view|result|array|library|kernel"


class Value(ctypes.Structure):
    """A struct px_value: an int."""

    _fields_ = [("type", ctypes.c_int), ("integer", ctypes.c_int64), ("more", ctypes.c_uint64 * 2)]


SCALARS = {
    "int": ctypes.c_int,
    "size_t": ctypes.c_size_t,
    "uint32_t": ctypes.c_uint32,
    "uint64_t": ctypes.c_uint64,
    "void": None,
    "unsigned": ctypes.c_uint,
    "enum px_dtype": ctypes.c_int,
    "enum px_distribution": ctypes.c_int,
    "const char *": ctypes.c_char_p,
    "const int64_t *": ctypes.c_void_p,
    "void *": ctypes.c_void_p,
    "struct px_value": Value,
}


class Function:
    """A declaration of the header."""

    def __init__(self, library, returns, name, arguments):
        self.name = name
        self.returns = returns
        self.arguments = [self._argument(a) for a in arguments.split(",") if a.strip() != "void"]
        self.call = getattr(library, name)
        self.call.restype = SCALARS[returns]
        self.call.argtypes = [ctypes.c_void_p if "*" in kind else SCALARS[kind] for kind, _ in self.arguments]

    @staticmethod
    def _argument(text):
        kind, stars, name = re.fullmatch(r"\s*(.*?)\s*(\**)\s*(\w+)\s*", text).groups()
        return (kind + (" " + stars if stars else "")), name

    def __repr__(self):
        return self.name

    def handles(self):
        return [kind for kind, _ in self.arguments if re.fullmatch(rf"(const )?struct px_({HANDLE}) \*", kind)]


def declared():
    with open(HEADER, encoding="utf-8") as file:
        text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)
    found = re.findall(r"PX_PUBLIC(?: PX_CHECKED)?\s+((?:const )?(?:struct )?\w+ ?\*?)\s*(px_\w+)\(([^)]*)\);", text)
    assert len(found) == text.count("PX_PUBLIC ") - text.count("define PX_PUBLIC ")
    return [(returns.strip(), name, arguments) for returns, name, arguments in found]


FUNCTIONS = declared()


class World:
    """libpxrun, a client of the pool, and good arguments for everything."""

    def __init__(self, connection_file):
        self.lib = ctypes.CDLL(LIBRARY)
        self.functions = {name: Function(self.lib, returns, name, arguments) for returns, name, arguments in FUNCTIONS}
        self.keep = []
        self.connection_file = connection_file.encode()

    def words(self):
        return self.functions["px_last_error"].call().decode()

    def make(self, name, *arguments):
        handle = ctypes.c_void_p()
        assert self.functions[name].call(*arguments, ctypes.byref(handle)) == 0, self.words()
        return handle

    def new(self, kind):
        """A handle, and what frees it."""
        if "client" in kind:
            return self.make("px_client_attach", self.connection_file, 0), self.functions["px_client_detach"].call
        client, detach = self.new("client")
        self.keep.append((detach, client))
        if "array" in kind:
            return self.make("px_array_alloc", client, 0x0240, 0, None, 0), self.functions["px_array_unref"].call
        view = self.make("px_view_of", client, ctypes.byref(ctypes.c_uint32(0)), 1)
        if "view" in kind:
            return view, self.functions["px_view_free"].call
        if "library" in kind or "kernel" in kind:
            return self.native(kind, view)
        result = self.make("px_view_noop", view, None)
        self.functions["px_view_free"].call(view)
        assert self.functions["px_result_wait"].call(result, 10**10) == 0
        return result, self.functions["px_result_free"].call

    def native(self, kind, view):
        """A kernel is freed with its library."""
        free = self.functions["px_library_free"].call
        library = self.make("px_library_load", view, KERNELS.encode(), 10**10)
        self.functions["px_view_free"].call(view)
        if "library" in kind:
            return library, free
        return self.make("px_kernel_find", library, b"nothing"), lambda kernel: free(library)

    def good(self, kind, name):
        """An argument that is right."""
        if re.fullmatch(rf"(const )?struct px_({HANDLE}) \*", kind):
            handle, free = self.new(kind)
            self.keep.append((free, handle))
            return handle
        if kind == "const struct px_value *":
            return ctypes.byref(Value(2, 1))
        if kind == "struct px_result *const *":
            return (ctypes.c_void_p * 1)(self.good("struct px_result *", ""))
        if kind == "const struct px_how *":
            return None
        if "*" in kind:
            return ctypes.create_string_buffer(b"x", 4096)
        return {"signal_number": signal.SIGCONT, "index": 0, "dtype": 0x0240, "flags": 0, "axis": 0, "distribution": 0}.get(name, 1)

    def close(self):
        for free, handle in reversed(self.keep):
            free(handle)


@pytest.fixture
def world(pool):
    made = World(pool.connection_file)
    yield made
    made.close()


def refused(function, returned, code):
    """Whether it said no as its type can."""
    if function.returns == "int":
        return returned == code
    if function.returns == "uint32_t":  # an engine's id, of which 0 is one
        return returned == 2**32 - 1
    return not returned


@pytest.mark.parametrize("name", [name for returns, name, _ in FUNCTIONS if returns != "struct px_value"])
def test_NULL_is_refused_by_name(world, name):
    function = world.functions[name]
    for place, (kind, argument) in enumerate(function.arguments):
        if "*" not in kind or kind == "const struct px_how *" or (name, argument) in MAY_BE_NULL or (name, kind) in IGNORED:
            continue
        arguments = [None if i == place else world.good(*a) for i, a in enumerate(function.arguments)]
        returned = function.call(*arguments)
        if function.returns == "void":
            continue  # NULL may be freed
        assert refused(function, returned, EINVAL), (argument, returned)
        assert f"'{argument}' is NULL" in world.words()


@pytest.mark.parametrize(
    "name",
    [
        name
        for returns, name, arguments in FUNCTIONS
        if re.search(rf"struct px_({HANDLE}) \*(?!const)\w", arguments) and returns != "struct px_value"
    ],
)
def test_stale_and_wrong_handles_are_refused(world, name):
    function = world.functions[name]
    arguments = [world.good(*a) for a in function.arguments]
    kind = function.arguments[0][0]
    stale, free = world.new(kind)
    free(stale)
    returned = function.call(stale, *arguments[1:])
    if function.returns != "void":
        assert refused(function, returned, ECLOSED), returned
    word = re.search(HANDLE, kind).group()
    assert re.search(f"this {word} (is closed|was freed already)", world.words())
    other = "client" if word == "view" else "view"
    returned = function.call(world.good(f"struct px_{other} *", ""), *arguments[1:])
    if function.returns != "void":
        assert refused(function, returned, EINVAL), returned
    assert f"is a {other} where a {word} is needed" in world.words()


def test_NULL_where_it_may_be(world):
    functions = world.functions
    for name in ("px_client_detach", "px_view_free", "px_result_free", "px_array_unref"):
        functions[name].call(None)
    view = world.good("struct px_view *", "")
    assert functions["px_view_noop"].call(view, None, None) == 0
    client = world.good("struct px_client *", "")
    assert functions["px_client_engines"].call(client, None, 0) == 4


def test_values_that_point_nowhere_are_refused(world):
    view = world.good("struct px_view *", "")
    push = world.functions["px_view_push"].call
    for made in (
        world.functions["px_string"].call(None),
        world.functions["px_bytes"].call(None, 3),
        world.functions["px_of_array"].call(None),
        world.functions["px_list"].call(None, 2),
        world.functions["px_dict"].call(None, None, 1),
    ):
        assert push(view, b"x", ctypes.byref(made), None, None) == EINVAL
        assert "NULL" in world.words()
    assert push(view, b"x", ctypes.byref(world.functions["px_bytes"].call(None, 0)), None, None) == 0
