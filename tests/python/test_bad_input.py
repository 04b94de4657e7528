# SPDX-License-Identifier: BSD-3-Clause
"""Invalid input gets a clear error, and the engine goes on."""
import copy
import functools
import os
import signal
import threading

import numpy
import pytest

import pxrun
from pxrun import EngineError, RemoteError


def alive(pool):
    """The engines answer, and are still the same processes."""
    return pool[:].apply_sync(os.getpid)


@pytest.fixture
def pids(pool):
    before = alive(pool)
    yield before
    assert alive(pool) == before


# --- what cannot be sent


class Unpicklable:
    def __reduce__(self):
        raise RuntimeError("not for travelling")


def test_unpicklable_function_is_refused_before_anything_is_sent(pool, pids):
    lock = threading.Lock()
    with pytest.raises(TypeError, match="the function .*cannot be sent.*lock"):
        pool[0].apply_sync(lambda: lock)


def test_unpicklable_argument_is_named(pool, pids):
    with pytest.raises(TypeError, match=r"argument 2 of len, of type Unpicklable, cannot be sent.*not for travelling"):
        pool[:].apply_async(len, 1, Unpicklable())
    with pytest.raises(TypeError, match=r"argument 'key' of len"):
        pool[:].apply_async(len, key=Unpicklable())


def test_unpicklable_value_leaves_nothing_pushed(pool, pids):
    with pytest.raises(TypeError):
        pool[:].push({"first": 1, "second": Unpicklable()}, block=True)
    assert pool[0].apply_sync(lambda: "first" in globals()) is False


BAD = Unpicklable()
PLACES = {
    "argument": (lambda view: view.apply_async(len, BAD), "argument 1 of len, of type Unpicklable, cannot"),
    "within": (lambda view: view.apply_async(len, {"a": [1, (2, BAD)]}),
               r"argument 1 of len, of type dict, at \['a'\]\[1\]\[1\], of type Unpicklable, cannot"),
    "keyword": (lambda view: view.apply_async(len, key=[BAD]), r"argument 'key' of len, of type list, at \[0\], of type Unpicklable, cannot"),
    "partial": (lambda view: view.apply_async(functools.partial(len, BAD)), "the function len, of type partial, cannot"),
    "push": (lambda view: view.push({"good": 1, "bad": BAD}), "the value of 'bad', of type Unpicklable, cannot"),
    "push within": (lambda view: view.push({"bad": {"k": BAD}}), r"the value of 'bad', of type dict, at \['k'\], of type Unpicklable, cannot"),
    "assignment": (lambda view: view.__setitem__("bad", BAD), "the value of 'bad', of type Unpicklable, cannot"),
    "map": (lambda view: view.map_async(len, [1] * 9 + [BAD, 1]), "element 9 of argument 1 of the map of len, of type Unpicklable, cannot"),
    "map of two": (lambda view: view.map_async(pow, range(5), [1, 2, (BAD,), 4, 5]),
                   r"element 2 of argument 2 of the map of pow, of type tuple, at \[0\], of type Unpicklable, cannot"),
    "map of a function": (lambda view: view.map_async(lambda x, lock=BAD: x, [1]), "the function <lambda>, of type function, cannot"),
    "round robin": (lambda view: view.parallel(dist="r")(len).map([1] * 9 + [BAD, 1]), "element 9 of argument 1 of the map of len, of type Unp"),
    "scatter": (lambda view: view.scatter("s", [1] * 9 + [BAD]), "element 9, of type Unpicklable, cannot"),
}


@pytest.mark.parametrize("place", PLACES)
def test_what_cannot_be_sent_is_named_by_its_place(pool, pids, place):
    call, words = PLACES[place]
    with pytest.raises(TypeError, match=f"^{words} be sent: RuntimeError: not for travelling$" if words.endswith("cannot") else words):
        call(pool[:])


def test_what_belongs_to_this_process(pool, pids):
    view = pool[:]
    ar = view.apply_async(len, [])
    for value, words in ((pool, "a Client belongs to the process that made it: .*pxrun.Client"),
                         (view, "a DirectView belongs .*pxrun.Client"),
                         (pool[0].executor, "a PoolExecutor belongs .*cannot hand calls to its own pool"),
                         (ar, "an AsyncResult belongs .*send its value"),
                         ([{"r": ar}], r"at \[0\]\['r'\], of type AsyncResult, cannot be sent: .*send its value"),
                         (pxrun.Cluster(1), "a Cluster belongs .*to_dict")):
        with pytest.raises(TypeError, match=words):
            view.apply_async(len, value)
    with pytest.raises(NameError, match="'of_here' is defined here, .*belongs to this process.*pxrun.Client"):
        pool[0].apply_sync(eval("lambda: of_here", {"__name__": "__main__", "of_here": view}))
    same = copy.copy(view)
    assert same.targets == view.targets and same.apply_sync(len, []) == [0] * 4


@pytest.mark.parametrize("mode", ["r", "w", "rb", "wb", "r+b"])
def test_open_file_belongs_to_its_process(pool, pids, tmp_path, mode):
    (tmp_path / "text").write_text("text")
    with open(tmp_path / "text", mode) as file:
        with pytest.raises(TypeError, match=r"argument 1 of len, of type \w+, cannot be sent: .*open it there"):
            pool[0].apply_sync(len, file)
        with pytest.raises(TypeError, match="the function .* cannot be sent: .*open it there"):
            pool[0].apply_sync(lambda: file.name)
    with pytest.raises(TypeError, match="the result, of type .*open it there"):
        pool[0].apply_sync(open, str(tmp_path / "text"), mode)


def test_unpicklable_result_is_named(pool, pids):
    pool[:].execute("import threading", block=True)
    with pytest.raises(TypeError, match="the result, of type lock, cannot be sent"):
        pool[0].apply_sync(lambda: threading.Lock())
    with pytest.raises(TypeError, match="generator"):
        pool[0].apply_sync(lambda: (i for i in range(3)))


def test_result_that_cannot_be_unpickled_here_says_so(pool, pids):
    pool[0].execute(
        "import builtins\n"
        "class Odd:\n"
        "    def __reduce__(self): return builtins.int, ('no number',)",
        block=True,
    )
    with pytest.raises(TypeError, match="cannot be unpickled here: ValueError"):
        pool[0].apply_sync(lambda: Odd())  # noqa: F821


def test_function_of_a_module_that_engines_do_not_have(pool, pids, tmp_path, monkeypatch):
    (tmp_path / "only_here.py").write_text("def f(): return 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    import only_here

    with pytest.raises(ModuleNotFoundError, match="only_here"):
        pool[0].apply_sync(only_here.f)


@pytest.mark.parametrize("f", [None, 5, "len", [len]])
def test_what_is_not_callable(pool, pids, f):
    with pytest.raises(TypeError, match="must be callable"):
        pool[:].apply_async(f)


# --- what goes wrong on the engine


def test_syntax_error_shows_the_line(pool, pids):
    with pytest.raises(SyntaxError) as caught:
        pool[0].execute("a = 1\nb = = 2\n", block=True)
    assert "b = = 2" in caught.value.traceback
    assert pool[0].apply_sync(lambda: "a" in globals()) is False


@pytest.mark.parametrize("code", ["import sys; sys.exit()", "import sys; sys.exit('words')", "exit(3)", "raise SystemExit"])
def test_exit_does_not_end_the_engine(pool, pids, code):
    with pytest.raises(RemoteError) as caught:
        pool[0].execute(code, block=True)
    assert caught.value.ename == "SystemExit"


def test_os_exit_is_a_death():
    with pxrun.Cluster(n=1) as rc:
        with pytest.raises(EngineError, match=r"engine 0 \(process \d+\) exited with code 7"):
            rc[0].apply_sync(os._exit, 7)
        assert rc[0].apply_sync(abs, -1) == 1


def test_endless_recursion_is_an_exception(pool, pids):
    with pytest.raises(RecursionError):
        pool[0].execute("def f(): f()\nf()", block=True)


def test_recursion_of_the_result_is_an_exception(pool, pids):
    pool[0].execute("deep = []\nfor _ in range(100000): deep = [deep]", block=True)
    with pytest.raises((TypeError, RecursionError), match="recursion"):
        pool[0].pull("deep", block=True)
    pool[0].execute("while deep: deep = deep.pop()", block=True)


def test_hundred_megabytes_of_print(pool, pids):
    def much():
        line = "y" * 99 + "\n"
        for _ in range(1000):
            print(line * 1000, end="")

    result = pool.direct_view(0, output="keep").apply_async(much)
    result.get(60)
    # the first 8 MiB and the last, and another one where a slow reader had some withheld in between
    assert len(result.stdout) < 12_000_000 and "bytes of output are left out here]" in result.stdout


def test_gil_held_in_c_is_no_death(pool, pids):
    def hold(seconds):
        import ctypes

        return ctypes.PyDLL(None).usleep(int(seconds * 1e6))

    assert pool[0].apply_sync(hold, 1.0) == 0


def test_child_that_comes_back_from_its_request_ends(pool, pids):
    def fork(code):
        import os

        child = os.fork()
        if not child:
            if code:
                raise SystemExit(code)
            return "from the child"
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    assert pool[0].apply_sync(fork, 0) == 0
    assert pool[0].apply_sync(fork, 5) == 5


def test_exception_in_a_forked_child_is_printed(pool, pids):
    def fork():
        import os

        child = os.fork()
        if not child:
            1 / 0
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    result = pool[0].apply_async(fork)
    assert result.get(30) == 1
    assert "ZeroDivisionError" in result.stderr


def test_closed_standard_streams(pool):
    pool[1].execute("import sys; sys.stdout.close(); sys.stderr = None", block=True)
    assert pool[1].apply_sync(abs, -2) == 2
    with pytest.raises(ValueError):
        pool[1].execute("print('nowhere')", block=True)
    pool.restart(1)
    assert pool[1].apply_async(print, "back").wait(30)


def test_signal_handlers_of_user_code(pool, pids):
    pool[0].execute("import signal; old = signal.signal(signal.SIGUSR1, lambda *a: globals().update(got=1))", block=True)
    pool._core.signal(0, signal.SIGUSR1)
    pool[0].execute("for _ in range(100000):\n    if 'got' in globals(): break\n", block=True)
    assert pool[0]["got"] == 1


def test_input_is_refused(pool, pids):
    with pytest.raises(EOFError, match="no standard input"):
        pool[0].execute("input('name? ')", block=True)


# --- wrong arguments


@pytest.mark.parametrize("targets", [[99], 99, [0, 99]])
def test_engine_that_is_not_there_names_the_live_ones(pool, pids, targets):
    with pytest.raises(IndexError, match=r"no engine 99; the live ones are \[?0, 1, 2, 3") as caught:
        pool[:].push({"a": 1}, targets=targets, block=True)
    assert isinstance(caught.value, EngineError)


@pytest.mark.parametrize("targets", [[], slice(9, 12)])
def test_empty_targets(pool, pids, targets):
    with pytest.raises(pxrun.error.NoEnginesRegistered, match="no targets"):
        pool[:].push({"a": 1}, targets=targets)


@pytest.mark.parametrize("key", ["a b", "1x", "", "a =", "import os", "f()"])
def test_push_to_what_is_no_name(pool, pids, key):
    with pytest.raises((SyntaxError, TypeError)):
        pool[0].push({key: 1}, block=True)


@pytest.mark.parametrize("key", ["nothing_here", "a.b", "d['k']"])
def test_pull_of_what_is_not_there(pool, pids, key):
    with pytest.raises(NameError) as caught:
        pool[2].pull(key, block=True)
    assert caught.value.engine_info["engine_id"] == 2


@pytest.mark.parametrize("names", [5, None, ["a", 5], {"a": 1}])
def test_pull_of_wrong_types(pool, pids, names):
    with pytest.raises(TypeError):
        pool[0].pull(names)


@pytest.mark.parametrize("ns", [5, None, [("a", 1)], {5: 1}])
def test_push_of_wrong_types(pool, pids, ns):
    with pytest.raises(TypeError):
        pool[0].push(ns)


@pytest.mark.parametrize("code", [5, None, b"a = 1", ["a = 1"]])
def test_execute_of_wrong_types(pool, pids, code):
    with pytest.raises(TypeError):
        pool[0].execute(code)


def test_scatter_of_what_is_no_sequence(pool, pids):
    with pytest.raises(TypeError, match="sequence"):
        pool[:].scatter("a", iter([1, 2]))
    with pytest.raises(ValueError, match="dist"):
        pool[:].scatter("a", [1, 2], dist="x")


def test_code_with_null_characters_and_surrogates(pool, pids):
    with pytest.raises((SyntaxError, ValueError)):
        pool[0].execute("a = '\0'", block=True)
    with pytest.raises((UnicodeError, SyntaxError)):
        pool[0].execute("a = '\udcff'", block=True)
    assert pool[0].apply_sync(lambda text: text, "\udcff") == "\udcff"


def test_error_message_with_surrogates(pool, pids):
    def fail():
        raise ValueError("\udcff and \0")

    with pytest.raises(ValueError):
        pool[0].apply_sync(fail)


@pytest.mark.parametrize("n", [0, -1, 1.5, "4", 100000])
def test_cluster_of_no_sensible_size(n):
    with pytest.raises((ValueError, pxrun.error.PoolError, pxrun._pxrun.Error)):
        pxrun.Cluster(n=n).start_cluster_sync()


def test_client_without_a_pool_says_how_to_start_one(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="pxrun start --profile nobody"):
        pxrun.Client(profile="nobody", timeout=0)
    with pytest.raises(OSError):
        pxrun.Client(str(tmp_path / "none.json"), timeout=0)


def test_use_after_close(pool, pids):
    client = pxrun.Client(pool._core.folder + "/connection.json")
    view = client[:]
    pending = view.apply_async(abs, -1)
    pending.get(10)
    client.close()
    client.close()
    for use in (lambda: client.ids, lambda: view.apply_sync(abs, -1), lambda: view["a"], lambda: view.execute("1")):
        with pytest.raises(RuntimeError, match="closed"):
            use()
    assert pending.get() == [1] * 4


def test_a_thousand_results_that_nobody_reads(pool, pids):
    for i in range(1000):
        pool[:].apply_async(numpy.ones, 100)
    assert pool[:].apply_sync(abs, -1) == [1] * 4
