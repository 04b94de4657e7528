# SPDX-License-Identifier: BSD-3-Clause
"""Errors: what engines raise, as the client sees it."""
import builtins
import concurrent.futures
import linecache
import os
import pickle
import subprocess
import sys
import threading
import traceback
import warnings

import pytest

import pxrun
from pxrun import error
from pxrun.wire import failure


class Mine(Exception):
    """An exception of __main__-like code: it has a constructor of its own."""

    def __init__(self, a, b):
        super().__init__(f"{a} and {b}")
        self.a, self.b = a, b


def failed(view, code):
    with pytest.raises(error.RemoteError) as caught:
        view.execute(code, block=True)
    return caught.value


# --- RemoteError


def test_RemoteError_says_what_and_where(pool):
    e = failed(pool[1], "1/0")
    assert (e.ename, e.evalue) == e.args == ("ZeroDivisionError", "division by zero")
    assert str(e) == "[1:execute] ZeroDivisionError: division by zero"
    assert repr(e) == "<RemoteError[1]:ZeroDivisionError(division by zero)>"
    uuid = pool[1].execute("1", block=True).engine_uuid
    assert e.engine_info == {"engine_id": 1, "engine_uuid": uuid, "method": "execute"} and uuid
    with pytest.raises(error.RemoteError, match=r"^\[2:apply\] "):
        pool[2].apply_sync(lambda: 1 / 0)


def test_RemoteError_renders_the_engines_traceback(pool, capsys):
    e = failed(pool[0], "def f():\n    1/0\nf()")
    lines = e.render_traceback()
    assert isinstance(lines, list) and e._render_traceback_()[-len(lines) :] == lines
    assert lines[0].startswith("Traceback") and lines[-1] == "ZeroDivisionError: division by zero"
    assert any("in f" in line for line in lines)
    assert not any(os.path.dirname(pxrun.__file__) in line for line in lines)  # no frames of ours
    assert "    1/0" in lines and lines[lines.index("    1/0") + 1] == "    ~^~"
    e.print_traceback()
    assert capsys.readouterr().out.rstrip("\n").split("\n") == lines


@pytest.fixture
def typed(monkeypatch):
    """typed(code): the namespace of code whose source this process has, but no engine."""

    def run(code):
        monkeypatch.setitem(linecache.cache, "<typed>", (len(code), None, code.splitlines(True), "<typed>"))
        namespace = {"__name__": "__main__"}
        exec(compile(code, "<typed>", "exec"), namespace)
        return namespace

    return run


def test_traceback_has_lines_whose_source_only_this_process_has(pool, typed):
    here = typed("def inner(x):\n    return 1 / x\ndef outer(x):\n    # not this one\n    return inner(x)\n")
    with pytest.raises(ZeroDivisionError) as caught:
        pool[0].apply_sync(here["outer"], 0)
    for e in caught.value, pickle.loads(pickle.dumps(caught.value)):
        assert e.render_traceback()[1:5] == [
            '  File "<typed>", line 5, in outer', "    return inner(x)", '  File "<typed>", line 2, in inner', "    return 1 / x",
        ]
    assert str(caught.value.__cause__).count("    return 1 / x\n") == 1


def test_traceback_has_these_lines_in_groups_causes_maps_and_recursions(pool, typed):
    here = typed("""def causes(x):
    try:
        deep(x)
    except RecursionError as e:
        raise ExceptionGroup('g', [e, ValueError(2)]) from e
def deep(x):
    return deep(x)
""")
    with pytest.raises(error.RemoteError) as caught:
        pool[0].map_sync(here["causes"], [1])
    lines = caught.value.exceptions[0].render_traceback()
    assert lines.count("    deep(x)") == lines.count("  |     raise ExceptionGroup('g', [e, ValueError(2)]) from e") == 1
    assert lines.count("    return deep(x)") == 3 and lines.count("    |     return deep(x)") == 3
    assert any("Previous line repeated" in line for line in lines)


def test_lines_that_nobody_has_are_left_out(pool):
    text = 'Traceback (most recent call last):\n  File "<gone>", line 5, in f\n  File "/no/such.py", line 1, in g\nKeyError: 1\n'
    assert failure.with_source(text) == text
    assert failure.with_source("") == "" and failure.with_source('  File "<gone>", line 5, in f\n') == '  File "<gone>", line 5, in f\n'


def test_traceback_has_lines_of_a_doctest(pool, tmp_path):
    script = tmp_path / "documented.py"
    script.write_text(
        'def documented():\n    """\n    >>> import pxrun\n    >>> rc = pxrun.Client()\n'
        "    >>> def f(x):\n    ...     return 1 / x  # typed\n    >>> rc[0].apply_sync(f, 0)\n    \"\"\"\n"
    )
    env = {**os.environ, "PXRUN_CONNECTION": pool.connection_file}
    ended = subprocess.run([sys.executable, "-m", "doctest", str(script)], capture_output=True, text=True, timeout=60, env=env, check=False)
    assert "return 1 / x  # typed\n    ZeroDivisionError: division by zero" in ended.stdout


def test_RemoteError_uncaught_prints_the_engines_traceback(pool):
    script = "import pxrun\nwith pxrun.Cluster(n=1) as rc:\n    rc[0].execute('def deep():\\n    1/0\\ndeep()', block=True)\n"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert "in deep" in ended.stderr
    assert "RemoteError: [0:execute] ZeroDivisionError: division by zero" in ended.stderr


@pytest.mark.parametrize(
    "code, kind, attributes",
    [
        ("1/0", ZeroDivisionError, {}),
        ("{}['k']", KeyError, {}),
        ("[][1]", IndexError, {}),
        ("open('/no/such')", FileNotFoundError, {"errno": 2, "filename": "/no/such"}),
        ("b'\\xff'.decode()", UnicodeDecodeError, {"start": 0, "encoding": "utf-8"}),
        ("import no_such_module", ModuleNotFoundError, {"name": "no_such_module"}),
        ("compile('1 +', 'f', 'eval')", SyntaxError, {"filename": "f", "lineno": 1}),
        ("raise StopIteration(7)", StopIteration, {"value": 7}),
        ("assert False, 'no'", AssertionError, {}),
        ("raise MemoryError('much')", MemoryError, {}),
        ("import subprocess; subprocess.run(['false'], check=True)", subprocess.CalledProcessError, {"returncode": 1, "cmd": ["false"]}),
        ("import asyncio; raise asyncio.IncompleteReadError(b'ab', 5)", EOFError, {"partial": b"ab", "expected": 5}),
    ],
)
def test_RemoteError_is_what_the_engine_raised(pool, code, kind, attributes):
    e = failed(pool[0], code)
    assert isinstance(e, kind)
    assert {name: getattr(e, name) for name in attributes} == attributes
    assert type(e).__name__ == "RemoteError"


def test_except_ZeroDivisionError_catches(pool):
    try:
        pool[0].apply_sync(lambda: 1 / 0)
    except ZeroDivisionError as e:
        assert isinstance(e, error.RemoteError)
    else:
        pytest.fail("nothing was raised")


def test_exception_class_of_main_is_caught_and_keeps_its_attributes(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import pxrun\n"
        "class Odd(Exception):\n"
        "    def __init__(self, a, *, b):\n"
        "        super().__init__(a)\n"
        "        self.b = b\n"
        "    def __reduce__(self):\n"
        "        return make, (self.args[0], self.b)\n"
        "def make(a, b):\n"
        "    return Odd(a, b=b)\n"
        "def f():\n"
        "    raise Odd('x', b=4)\n"
        "with pxrun.Cluster(n=1) as rc:\n"
        "    rc[0].push({'Odd': Odd, 'make': make}, block=True)\n"
        "    try:\n"
        "        rc[0].apply_sync(f)\n"
        "    except Odd as e:\n"
        "        print('caught', e.b, e.ename)\n"
    )
    ended = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60)
    assert ended.stdout == "caught 4 Odd\n", ended.stderr


@pytest.mark.parametrize("name", sorted(n for n, c in vars(builtins).items() if isinstance(c, type) and issubclass(c, BaseException)))
def test_every_builtin_exception_can_be_told_and_pickled(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        e = error.remote_error(name, "words", "trace", {"engine_id": 3, "method": "apply"})
        again = pickle.loads(pickle.dumps(e))
    assert isinstance(e, error.RemoteError) and isinstance(again, error.RemoteError)
    assert str(again) == str(e) == f"[3:apply] {name}: words"
    assert (again.traceback, again.engine_info) == (e.traceback, e.engine_info)


@pytest.mark.parametrize("code", ["raise SystemExit(3)", "raise KeyboardInterrupt", "raise GeneratorExit", "import sys; sys.exit()"])
def test_what_ends_processes_ends_neither_engine_nor_client(pool, code):
    pid = pool[0].apply_sync(__import__("os").getpid)
    e = failed(pool[0], code)
    assert type(e) is error.RemoteError and isinstance(e, Exception)
    assert pool[0].apply_sync(__import__("os").getpid) == pid


def test_RemoteError_pickles_with_all_it_knows(pool):
    e = failed(pool[1], "open('/no/such')")
    again = pickle.loads(pickle.dumps(e))
    assert isinstance(again, FileNotFoundError) and again.filename == "/no/such"
    assert again.render_traceback() == e.render_traceback() and again.engine_info == e.engine_info


def test_RemoteError_goes_to_an_engine_and_back(pool):
    e = failed(pool[1], "1/0")
    again = pool[0].apply_sync(lambda e: e, e)
    assert isinstance(again, ZeroDivisionError) and str(again) == str(e)
    with pytest.raises(ZeroDivisionError) as caught:
        pool[0].execute("1", block=True)
        pool[0].push({"e": e}, block=True)
        pool[0].execute("raise e", block=True)
    assert (caught.value.ename, caught.value.evalue) == ("ZeroDivisionError", "division by zero")


# --- exceptions that misbehave

_ODD = """
class BadStr(Exception):
    def __str__(self): raise RuntimeError('no words')
class BadInit(Exception):
    def __init__(self, a, b, c): super().__init__('three wanted')
class BadReduce(Exception):
    def __reduce__(self): raise RuntimeError('no pickle')
class EvilStr(Exception):
    def __str__(self): raise SystemExit(1)
class NotAStr(Exception):
    def __str__(self): return 5
class Worded(str):
    def __str__(self): raise RuntimeError('twice')
class SubStr(Exception):
    def __str__(self): return Worded('sub')
class BadMeta(type(Exception)):
    pass
class Lock(Exception):
    def __init__(self): import threading; self.lock = threading.Lock()
class NewNeedsMore(Exception):
    def __new__(cls, a, b): return Exception.__new__(cls)
    def __init__(self, a, b): super().__init__('new')
class ReadOnly(Exception):
    traceback = property(lambda self: 1)
class Coded(Exception):
    def __bool__(self): return bool(int(self.args[0]))
"""


@pytest.mark.parametrize(
    "made, ename",
    [
        ("BadStr()", "BadStr"),
        ("BadInit(1, 2, 3)", "BadInit"),
        ("BadReduce('x')", "BadReduce"),
        ("EvilStr()", "EvilStr"),
        ("NotAStr()", "NotAStr"),
        ("SubStr()", "SubStr"),
        ("Lock()", "Lock"),
        ("NewNeedsMore(1, 2)", "NewNeedsMore"),
        ("ReadOnly('x')", "ReadOnly"),
        ("Coded(5)", "Coded"),
        ("ValueError('\\udcff')", "ValueError"),
        ("ValueError('a\\0b')", "ValueError"),
        ("ValueError()", "ValueError"),
        ("BaseException('base')", "BaseException"),
        ("BaseExceptionGroup('g', [SystemExit(1)])", "BaseExceptionGroup"),
    ],
)
def test_misbehaving_exception_is_told(pool, made, ename):
    pool[0].execute(_ODD, block=True)
    e = failed(pool[0], f"raise {made}")
    assert e.ename == ename and isinstance(e.evalue, str)
    assert str(e).startswith(f"[0:execute] {ename}" + ": " * bool(e.evalue)) and e.render_traceback()
    assert pickle.loads(pickle.dumps(e)).ename == ename
    assert ename in "".join(traceback.format_exception(e))  # which tests it for truth
    assert pool[0].apply_sync(lambda: 5) == 5


def test_exception_that_compares_its_fields_is_caught(pool, tmp_path, monkeypatch):
    """It has no hash, and no truth before it has its fields."""
    (tmp_path / "fields.py").write_text("import dataclasses\n@dataclasses.dataclass\nclass Fields(Exception):\n"
                                        "    n: int\n    def __len__(self): return self.n\n")
    monkeypatch.syspath_prepend(tmp_path)
    import fields

    with pytest.raises(fields.Fields) as caught:
        pool[0].execute(f"import sys; sys.path.append({str(tmp_path)!r})\nimport fields\nraise fields.Fields(3)", block=True)
    assert caught.value.n == 3 and "Fields" in "".join(traceback.format_exception(caught.value))


def test_misbehaving_exception_of_several_engines(pool):
    pool[:].execute(_ODD, block=True)
    with pytest.raises(error.CompositeError) as caught:
        pool[:].execute("raise BadStr()", block=True)
    assert caught.value.args == ("BadStr",) * 4 and str(caught.value)


def test_huge_message_and_traceback_are_cut_when_they_are_shown(pool):
    e = failed(pool[0], "raise ValueError('begin' + 'x' * 10_000_000 + 'end')")
    assert len(str(e)) < 100_000 and "characters left out" in str(e)
    assert e.evalue == "begin" + "x" * 10_000_000 + "end" and str(e).endswith("xend")
    assert len(str(error.CompositeError("m", [e] * 4))) < 300_000
    assert len("\n".join(e.render_traceback())) < 100_000
    code = "import sys\nsys.setrecursionlimit(3000)\n" + "".join(
        f"def f{i}(n):\n    return f{(i + 1) % 50}(n + 1)\n" for i in range(50)
    )
    e = failed(pool[0], code + "f0(0)")
    assert isinstance(e, RecursionError) and len(e.traceback) < 100_000
    assert e.render_traceback()[0].startswith("Traceback") and "RecursionError" in e.render_traceback()[-1]


def test_causes_and_contexts_are_in_the_traceback(pool):
    e = failed(pool[0], "try:\n    1/0\nexcept Exception as e:\n    raise ValueError('second') from e")
    assert isinstance(e, ValueError)
    assert "ZeroDivisionError" in e.traceback and "direct cause" in e.traceback


def test_result_that_cannot_be_unpickled_here(pool):
    pool[:].execute("import os\nclass Here:\n    def __reduce__(self): return os.path.join, (1,)", block=True)
    with pytest.raises(TypeError, match="result of engine 1 cannot be unpickled here: TypeError"):
        pool[1].pull("Here()", block=True)
    with pytest.raises(error.CompositeError, match=r"(?s)\[0:apply\]: TypeError: the result of engine 0.*\[1:apply\]") as caught:
        pool[[0, 1]].pull("Here()", block=True)
    assert caught.value.args == ("TypeError", "TypeError")


# --- CompositeError


def composite(pool, code="1/0"):
    with pytest.raises(error.CompositeError) as caught:
        pool[:].execute(code, block=True)
    return caught.value


def test_raised_when_targets_are_a_list_of_one(pool):
    with pytest.raises(error.CompositeError) as caught:
        pool[[2]].apply_sync(lambda: 1 / 0)
    assert [e[3]["engine_id"] for e in caught.value.elist] == [2]


def test_CompositeError_attributes(pool):
    e = composite(pool)
    assert isinstance(e, error.RemoteError)
    assert e.msg == "one or more exceptions raised in: execute"
    assert e.args == ("ZeroDivisionError",) * 4
    assert repr(e) == "CompositeError(4)" and e.tb_limit == 4
    assert (e.ename, e.evalue, e.traceback) == (None, None, None)
    for i, entry in enumerate(e.elist):
        assert type(entry) is tuple and len(entry) == 4
        ename, evalue, traceback, info = entry
        assert (ename, evalue, info["engine_id"], info["method"]) == ("ZeroDivisionError", "division by zero", i, "execute")
        assert traceback.startswith("Traceback")


def test_CompositeError_lists_only_who_failed(pool):
    pool.direct_view().scatter("who", range(4), flatten=True, block=True)
    e = composite(pool, "if who % 2: raise KeyError(who)")
    assert [entry[3]["engine_id"] for entry in e.elist] == [1, 3]
    assert [entry[1] for entry in e.elist] == ["1", "3"]


def test_CompositeError_prints_each_engine_under_its_header(pool, capsys):
    e = composite(pool)
    text = "\n".join(e.render_traceback())
    assert [line for line in text.split("\n") if line.startswith("[")] == [f"[{i}:execute]:" for i in range(4)]
    assert text.count("ZeroDivisionError: division by zero") == 4 and "more exceptions" not in text
    assert e._render_traceback_()[-len(e.render_traceback()) :] == e.render_traceback()
    e.print_traceback(1)
    shown = capsys.readouterr().out
    assert shown.startswith("[1:execute]:\nTraceback") and "[0:" not in shown
    assert str(e).split("\n") == [e.msg, *(f"[{i}:execute]: ZeroDivisionError: division by zero" for i in range(4))]


def test_CompositeError_of_many_engines_is_cut(pool):
    e = error.CompositeError("m", [("E", str(i), f"trace {i}", {"engine_id": i, "method": "apply"}) for i in range(10)])
    assert str(e).endswith("... 6 more exceptions ...") and "[3:apply]" in str(e) and "[4:apply]" not in str(e)
    assert "\n".join(e.render_traceback()).endswith("... 6 more exceptions ...")
    assert e.render_traceback(9)[-1] == "trace 9"
    assert len(e.elist) == 10


@pytest.mark.parametrize("excid", [4, 100])
def test_CompositeError_bad_index(pool, excid):
    e = composite(pool)
    for use in (e.raise_exception, e.print_traceback, e.render_traceback):
        with pytest.raises(IndexError, match=f"no exception {excid}: 4 engines failed"):
            use(excid)


def test_CompositeError_raise_exception_raises_RemoteError(pool):
    e = composite(pool)
    for i in (0, 2, -1):
        with pytest.raises(ZeroDivisionError) as caught:
            e.raise_exception(i)
        assert isinstance(caught.value, error.RemoteError) and caught.value.engine_info["engine_id"] == i % 4
    with pytest.raises(error.RemoteError, match=r"\[0:execute\]"):
        e.raise_exception()


def test_CompositeError_nested_ones_are_flattened(pool):
    e = composite(pool)
    outer = error.CompositeError("outer", [e, e.exceptions[0], ("K", "v", "", None)])
    assert len(outer.elist) == 6 and outer.args[-1] == "K"
    with pytest.raises(ValueError, match="at least one exception"):
        error.CompositeError("none", [])


def test_CompositeError_pickles(pool):
    e = composite(pool, "open('/no/such')")
    for again in (pickle.loads(pickle.dumps(e)), pool[0].apply_sync(lambda e: e, e)):
        assert isinstance(again, error.CompositeError)
        assert (again.msg, again.elist, again.args, str(again)) == (e.msg, e.elist, e.args, str(e))
        assert all(isinstance(one, FileNotFoundError) for one in again.exceptions)


def test_CompositeError_works_with_except_star(pool):
    pool[:].scatter("who", range(4), flatten=True, block=True)
    zero, keys, rest = [], [], []
    try:
        composite_code = "if who == 0: 1/0\nelif who < 3: {}[who]\nelse: raise ValueError(who)"
        pool[:].execute(composite_code, block=True)
    except* ZeroDivisionError as group:
        zero = group.elist
    except* KeyError as group:
        assert isinstance(group, error.CompositeError)
        keys = group.elist
    except* error.RemoteError as group:
        rest = group.elist
    assert [[e[3]["engine_id"] for e in found] for found in (zero, keys, rest)] == [[0], [1, 2], [3]]


def test_CompositeError_what_except_star_leaves_is_raised_again(pool):
    pool[:].scatter("who", range(4), flatten=True, block=True)
    with pytest.raises(error.CompositeError) as caught:
        try:
            pool[:].execute("if who: {}[who]\nelse: 1/0", block=True)
        except* ZeroDivisionError:
            pass
    assert caught.value.args == ("KeyError",) * 3
    assert [e[3]["engine_id"] for e in caught.value.elist] == [1, 2, 3]


def test_except_star_takes_a_single_RemoteError(pool):
    seen = []
    try:
        pool[0].apply_sync(lambda: 1 / 0)
    except* ZeroDivisionError as group:
        seen = list(group.exceptions)
    assert [e.engine_info["engine_id"] for e in seen] == [0]


def test_except_star_takes_apart_a_group_that_an_engine_raised(pool):
    seen = []
    for view in (pool[0], pool[:]):
        try:
            view.execute("raise ExceptionGroup('g', [ValueError(1), KeyError(2)])", block=True)
        except* ValueError as group:
            seen.append(group)
        except* KeyError:
            pass
    assert len(seen) == 2
    with pytest.raises(error.RemoteError) as caught:
        pool[0].execute("raise ExceptionGroup('g', [ValueError(1), KeyError(2)])", block=True)
    assert isinstance(caught.value, ExceptionGroup) and len(caught.value.exceptions) == 2


# --- the others


def test_hierarchy():
    for name in "EngineError TaskAborted TaskTimeout NoEnginesRegistered UnmetDependency TaskRejectError RemoteError".split():
        assert issubclass(getattr(error, name), error.KernelError), name
    assert issubclass(error.KernelError, error.IPythonError)
    assert issubclass(error.CompositeError, error.RemoteError)
    assert error.UnmetDependencyError is error.UnmetDependency
    assert issubclass(error.ImpossibleDependency, error.UnmetDependency)
    for name in ("DependencyTimeout", "InvalidDependency"):
        assert issubclass(getattr(error, name), error.ImpossibleDependency)
    assert error.TimeoutError is TimeoutError and issubclass(error.TaskTimeout, TimeoutError)
    assert issubclass(error.EngineError, IndexError)
    assert issubclass(error.AlreadyDisplayedError, error.CompositeError)


def test_all_are_at_the_top_level():
    for name in error.__all__:
        assert getattr(pxrun, name) is getattr(error, name), name


def test_AlreadyDisplayedError_shows_a_count_only(pool):
    e = composite(pool)
    shown = error.AlreadyDisplayedError(e)
    assert "\n".join(shown.render_traceback()) == str(shown) == "4 errors"
    assert str(error.AlreadyDisplayedError(error.CompositeError("m", e.exceptions[:1]))) == "1 error"


def test_NoEnginesRegistered_has_a_hint(pool):
    with pytest.raises(error.NoEnginesRegistered, match=r"Try client.wait_for_engines\(n\)$"):
        pool.direct_view([]).apply_sync(lambda: 1)


@pytest.mark.parametrize("block", [True, False])
def test_EngineError_is_a_RemoteError_too(block):
    with pxrun.Cluster(n=2) as rc:
        with pytest.raises(error.EngineError, match="engine 0 .*SIGKILL") as caught:
            ar = rc[0].apply_async(lambda: __import__("os").kill(__import__("os").getpid(), 9))
            ar.get() if block else ar.wait() and ar.get()
        assert isinstance(caught.value, error.RemoteError) and caught.value.ename == "EngineError"
        assert caught.value.engine_info["engine_id"] == 0


def test_collect_exceptions(pool):
    e = failed(pool[0], "1/0")
    assert error.collect_exceptions([1, 2], "m") == [1, 2]
    assert error.collect_exceptions({0: 1}, "m") == {0: 1}
    for results in ([1, e, composite(pool)], {0: 1, 1: e, 2: composite(pool)}):
        with pytest.raises(error.CompositeError) as caught:
            error.collect_exceptions(results, "many")
        assert len(caught.value.elist) == 5 and caught.value.msg.endswith("raised in: many")


def test_wrap_and_unwrap_exception():
    try:
        {}["k"]
    except KeyError:
        content = error.wrap_exception({"engine_id": 7, "method": "apply"})
    assert content["status"] == "error" and content["ename"] == "KeyError"
    e = error.unwrap_exception(pickle.loads(pickle.dumps(content)))
    assert isinstance(e, KeyError) and str(e) == "[7:apply] KeyError: 'k'" and "in test_wrap" in e.traceback
    with pytest.raises(RuntimeError, match="in an except clause"):
        error.wrap_exception()


def test_what_cannot_be_sent_has_a_class_and_survives_pickling(pool):
    with pytest.raises(pxrun.CannotSend, match="argument 1 of abs, of type lock") as caught:
        pool[0].apply_sync(abs, threading.Lock())
    again = pickle.loads(pickle.dumps(caught.value))
    assert type(again) is error.CannotSend is pxrun.CannotSend and str(again) == str(caught.value)
    assert "lock" in again.reason and again.library is None


def test_cancelled_request_has_a_class(pool, new_gate):
    gate = new_gate()
    ar = pool[0].execute(gate.code())
    assert ar.cancel()
    with pytest.raises(pxrun.TaskCancelled) as caught:
        ar.get(30)
    assert isinstance(caught.value, pxrun.TaskAborted) and isinstance(caught.value, concurrent.futures.CancelledError)
