# SPDX-License-Identifier: BSD-3-Clause
"""Calls that go through without Python in between behave as those that do not."""
import copy
import gc
import inspect
import operator
import os
import sys
import types
import weakref

import pytest

import pxrun
from pxrun import error


def test_signatures_are_those_of_the_manual():
    wanted = {
        "apply": "(self, f, /, *args, **kwargs)",
        "apply_sync": "(self, f, /, *args, **kwargs)",
        "push": "(self, /, ns, targets=None, block=None, track=None)",
        "pull": "(self, /, names, targets=None, block=None)",
        "get": "(self, /, key)",
    }
    assert {name: str(inspect.signature(getattr(pxrun.DirectView, name))) for name in wanted} == wanted
    assert all(getattr(pxrun.DirectView, name).__doc__ for name in wanted)


def test_function_is_needed(view):
    for method in (view.apply, view.apply_sync):
        with pytest.raises(TypeError, match="missing 1 required positional argument: 'f'"):
            method()
        with pytest.raises(TypeError, match="f must be callable"):
            method(None)


@pytest.mark.parametrize("targets, wanted", [(0, 3), ([2, 0], [3, 3]), ("all", [3] * 4)], ids=str)
def test_shape_of_the_result_follows_the_targets(pool, targets, wanted):
    view = pool.direct_view(targets)
    assert view.apply_sync(operator.add, 1, 2) == wanted
    view.block = True
    assert view.apply(operator.add, 1, 2) == wanted


def test_targets_that_are_not_there_are_named(pool):
    view = pool[0]
    view.targets = [0, 77]
    with pytest.raises(error.EngineError, match="no engine 77"):
        view.apply_sync(os.getpid)
    with pytest.raises(error.EngineError, match="no engine"):
        view.push({"a": 1}, block=True)


@pytest.mark.parametrize("targets", [2**32, [2**32 + 1], 2**63, 7_000])
def test_id_that_is_too_large_is_no_engines(pool, targets):
    view = pool[0]
    view.targets = targets
    for call in (view.apply_sync, view.apply_async):
        with pytest.raises(error.EngineError, match="there is no engine"):
            call(os.getpid)
    with pytest.raises(error.EngineError, match="there is no engine"):
        view.execute("", block=True)


def test_keywords_that_a_function_takes(pool):
    view = pool[:]
    assert view.apply_sync(dict, f=1, block=2, targets=3) == [{"f": 1, "block": 2, "targets": 3}] * len(view)
    assert view.apply_sync(sorted, [3, 1], reverse=True) == [[3, 1]] * len(view)


def test_error_is_that_of_any_call(pool):
    with pytest.raises(error.RemoteError, match="ZeroDivisionError") as one:
        pool[0].apply_sync(operator.truediv, 1, 0)
    assert one.value.engine_info["engine_id"] == 0 and isinstance(one.value, ZeroDivisionError)
    with pytest.raises(error.CompositeError):
        pool[:].apply_sync(operator.truediv, 1, 0)
    with pytest.raises(NameError):
        pool[0]["never_assigned"]


def test_value_that_is_pickled_and_one_that_is_not(pool):
    assert pool[:2].apply_sync(eval, "{1, 2}") == [{1, 2}] * 2
    assert pool[:2].apply_sync(eval, "2**70") == [2**70] * 2


def test_other_flags_go_the_other_way(pool):
    view = pool[0]
    with view.temp_flags(track=True, timeout=30):
        assert view.apply_sync(operator.add, 1, 2) == 3
    assert (view.track, view.timeout) == (False, None)
    with pytest.raises(TypeError, match="track"):
        view.set_flags(timeout=1, track="yes")
    assert (view.track, view.timeout) == (False, None)


def test_one_call_has_its_own_block_and_targets(pool):
    view = pool[0]
    assert view.push({"where": 5}, block=True) is None
    view.push({"where": 7}, targets=1, block=True)
    assert view.pull("where", block=True) == 5
    assert view.pull("where", targets=[0, 1], block=True) == [5, 7]
    assert isinstance(view.pull("where"), pxrun.AsyncResult)
    assert view.get("where") == view.get(key="where") == view["where"] == 5
    with pytest.raises(TypeError):
        view.get()
    with pytest.raises(TypeError, match="execute"):
        del view["where"]


def test_any_assignment_target(pool):
    view = pool[0]
    view.block = True
    view["d"] = {}
    view["d['k']"] = [1]
    view.push({"a": (1, b"x"), "d[2]": None})
    assert view["d"] == {"k": [1], 2: None} and view["a"] == (1, b"x") and view["a[0] + 1"] == 2
    for wrong in ([("a", 1)], {1: 2}):
        with pytest.raises(TypeError):
            view.push(wrong)
    with pytest.raises(TypeError):
        view.pull(1)
    assert view.pull(["a", "d[2]"]) == [(1, b"x"), None]


def test_methods_of_a_subclass_are_called(pool):
    class Mine(pxrun.DirectView):
        def push(self, ns, **options):
            return super().push({name: value * 2 for name, value in ns.items()}, **options)

        def pull(self, names, **options):
            return -super().pull(names, **options)

    view = Mine(pool, 0)
    view.block = True
    view["x"] = 4
    assert view["x"] == -8


def test_methods_that_were_replaced_are_called(pool, monkeypatch):
    monkeypatch.setattr(pxrun.DirectView, "apply_sync", lambda self, *args: args)
    view = pool[0]
    assert view.apply_sync(1, 2) == (1, 2)
    view.apply = lambda *args: "mine"
    assert view.apply(1) == "mine"


def test_name_that_stands_for_something_else_now_is_not_used(pool, monkeypatch):
    module = types.ModuleType("textwrap_of_mine")
    exec("def f():\n    return 'sent by value'", module.__dict__)
    f = module.f
    f.__module__, f.__qualname__ = "operator", "add"
    monkeypatch.setattr(operator, "add", f)
    assert pool[0].apply_sync(f, 1, 2) == 3  # by name, as engines have another one
    monkeypatch.undo()
    assert pool[0].apply_sync(f) == "sent by value"


def test_module_that_cloudpickle_was_told_to_send(pool, tmp_path, monkeypatch):
    cloudpickle = pytest.importorskip("cloudpickle")
    (tmp_path / "sent_by_value_here.py").write_text("def f():\n    return 5\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import sent_by_value_here

    try:
        with pytest.raises(ModuleNotFoundError):
            pool[0].apply_sync(sent_by_value_here.f)
        cloudpickle.register_pickle_by_value(sent_by_value_here)
        assert pool[0].apply_sync(sent_by_value_here.f) == 5
        cloudpickle.unregister_pickle_by_value(sent_by_value_here)
        with pytest.raises(ModuleNotFoundError):
            pool[0].apply_sync(sent_by_value_here.f)
    finally:
        sys.modules.pop("sent_by_value_here", None)


def test_cloudpickle_that_another_thread_is_importing(pool, monkeypatch):
    monkeypatch.setitem(sys.modules, "cloudpickle", types.ModuleType("cloudpickle"))
    assert pool[0].apply_sync(operator.neg, 1) == -1
    assert pool.load_balanced_view().apply_sync(operator.neg, 1) == -1


def test_copy_has_the_same_flags(pool):
    view = pool[:2]
    view.set_flags(block=True, label="mine")
    twin = copy.copy(view)
    assert (twin.targets, twin.block, twin.label, twin.client) == ([0, 1], True, "mine", pool)
    assert twin.apply(operator.add, 1, 2) == [3, 3]


def test_view_in_a_cycle_is_collected(pool):
    view = pool[0]
    view.targets = [view.targets]
    view._shower = view
    gone = weakref.ref(view)
    del view
    gc.collect()
    assert gone() is None


def test_closed_client_is_said(pool):
    client = pxrun.Client(profile=pool.profile)
    view = client[0]
    client.close()
    with pytest.raises(error.ClosedError):
        view.apply_sync(os.getpid)
    with pytest.raises(error.ClosedError):
        view["x"]


# --- without waiting


class Interrupted:
    """Stands for operator.add, which it is for engines, and has something happen while its AsyncResult is made."""

    __module__ = "operator"

    def __init__(self, monkeypatch, happens):
        self.__qualname__ = "add"
        self.happens = happens
        monkeypatch.setattr(operator, "add", self)

    def __call__(self):
        raise AssertionError("engines have another one")

    @property
    def __name__(self):
        self.happens()
        return "add"


def test_flags_that_change_while_a_result_is_made(pool, monkeypatch):
    others: list = []

    def change():
        view.label = "later"
        others[:] = [f"{i:04}" for i in range(1000)]

    view = pool[0]
    view.label = "".join(["befo", "re"])[:4]
    ar = view.apply_async(Interrupted(monkeypatch, change), 1, 2)
    assert (ar.get(), ar.label, view.label) == (3, "befo", "later")


def test_next_result_that_is_asked_for_while_a_result_is_made(pool, monkeypatch):
    with pxrun.Client(profile=pool.profile) as client:
        asked: list = []
        ar = client[0].apply_async(Interrupted(monkeypatch, lambda: asked.append(client.next_result(0))), 1, 2)
        assert asked == [None] and client.next_result(20) is ar and ar.get() == 3


def test_history_that_is_none(pool):
    view = pool[0]
    view._sent = "nothing"
    with pytest.raises(TypeError, match="a view's history is wanted, not 'nothing'"):
        view.apply_async(os.getpid)


def test_result_is_one_as_any_other(pool):
    view = pool[:2]
    view.label = "mine"
    ar = view.apply_async(operator.add, 1, 2)
    assert type(ar) is pxrun.AsyncResult and ar.get() == [3, 3] and ar.done() and ar.result_dict == {0: 3, 1: 3}
    assert (ar.metadata[0]["label"], ar.targets, len(ar.msg_ids)) == ("mine", [0, 1], 2)
    assert repr(ar) == "<AsyncResult(add): finished>"
    assert view.history[-2:] == pool.history[-2:] == ar.msg_ids and view.results[ar.msg_ids[0]] is ar
    assert pool[0].apply_async(os.getpid).get() == pool[0].apply_sync(os.getpid)


def test_apply_does_not_wait_unless_told(pool):
    assert pool[0].apply(operator.add, 1, 2).get() == 3


def test_failure_is_in_the_result(pool):
    ar = pool[0].apply_async(operator.truediv, 1, 0)
    assert isinstance(ar.exception(10), ZeroDivisionError) and not ar.successful()
    with pytest.raises(TypeError, match="f must be callable"):
        pool[0].apply_async("no function")
    with pytest.raises(error.EngineError, match="no engine 77"):
        view = pool[0]
        view.targets = 77
        view.apply_async(os.getpid)


def test_numbers_are_never_given_twice(pool):
    view = pool[0]
    results = [f() for _ in range(50) for f in (lambda: view.apply_async(os.getpid), lambda: view.apply_async(lambda: 0))]
    assert len({msg_id for ar in results for msg_id in ar.msg_ids}) == 100
    assert view.history[-100:] == [msg_id for ar in results for msg_id in ar.msg_ids]


def test_outstanding_result_that_nobody_holds_is_found_again(pool, hold):
    gate = hold(0)
    view = pool[0]
    msg_id = view.apply_async(operator.add, 1, 2).msg_ids[0]
    gc.collect()
    assert msg_id in view.outstanding
    again = pool.get_result(msg_id)
    gate.open()
    assert again.get(10) == 3 and repr(again).startswith("<AsyncResult(add)")


def test_many_requests_are_tidied(pool):
    view = pool[0]
    for _ in range(5000):
        view.apply_async(os.getpid)
    view.apply_sync(os.getpid)
    assert len(view.history) >= 5000 and len(pool._sent._results) < 3000 and len(pool._sent._notes) < 3000


def test_next_result_gives_it(pool):
    client = pxrun.Client(profile=pool.profile)
    assert client.next_result(0) is None
    ar = client[0].apply_async(operator.add, 1, 2)
    assert client.next_result(10) is ar
    client.close()


def test_result_that_is_cancelled(pool, hold):
    gate = hold(0)
    ar = pool[0].apply_async(operator.add, 1, 2)
    assert ar.cancel() and ar.cancelled()
    gate.open()
    with pytest.raises(Exception, match="cancel|abort"):
        ar.get(10)


def test_result_in_a_cycle_is_collected(pool):
    ar = pool[0].apply_async(operator.add, 1, 2)
    ar.get()
    ar._shows = ar
    gone = weakref.ref(ar)
    del ar
    gc.collect()
    assert gone() is None




def test_functions_without_a_name_can_be_sent(pool, tmp_path, monkeypatch):
    (tmp_path / "px_nameless.py").write_text(
        "class Kind:\n    def __call__(self, *args): return args\n"
        "f = Kind()\nf.__module__, f.__qualname__ = __name__, 'f'\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import px_nameless

    view = pool[0]
    view.execute(f"import sys; sys.path.append({str(tmp_path)!r})").get()
    ar = view.apply_async(px_nameless.f, 1)
    assert ar.get() == (1,)
    assert view.apply_sync(px_nameless.f, 2) == (2,)
    assert not view.outstanding


@pytest.mark.parametrize("flag", ["client", "_targets_set", "_label", "_sent", "_shower", "_send_globals"])
def test_flags_that_are_taken_away_while_a_call_is_made(pool, flag, tmp_path, monkeypatch):
    (tmp_path / "px_taking.py").write_text(
        "class Kind:\n"
        "    def __call__(self): return 1\n"
        "    def __getattr__(self, name):\n"
        "        if name != '__qualname__': raise AttributeError(name)\n"
        "        taken()\n"
        "        return 'f'\n"
        "f = Kind()\nf.__module__ = __name__\ntaken = int\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import px_taking

    view = pool[0]
    view.execute(f"import sys; sys.path.append({str(tmp_path)!r})").get()
    monkeypatch.setattr(px_taking, "taken", lambda: hasattr(view, flag) and delattr(view, flag))
    for method in ("apply_sync", "apply_async"):
        view = pool[0]
        try:
            getattr(view, method)(px_taking.f)
        except AttributeError:
            pass
    assert pool[0].apply_sync(abs, -1) == 1


def test_lists_that_a_finalizer_changes_arrive_as_they_were(view):
    numpy = pytest.importorskip("numpy")
    arrays = [numpy.full(20000, i) for i in range(10)]

    class Changes:
        def __init__(self):
            self.itself = self

        def __del__(self):
            sent.clear()

    threshold = gc.get_threshold()
    for _ in range(20):
        sent = list(arrays)
        gc.collect()
        gc.disable()
        Changes()
        gc.set_threshold(1)
        gc.enable()
        try:
            got = view.apply_sync(len, sent)
        finally:
            gc.set_threshold(*threshold)
        assert got in (0, len(arrays))


def test_main_may_be_any_object_on_an_engine(pool):
    view = pool[0]
    view.apply_sync(exec, "import sys, types; sys.px_kept = sys.modules['__main__']; sys.modules['__main__'] = types.SimpleNamespace()")
    try:
        view.push({"pushed": 7}, block=True)
        assert view.pull("pushed", block=True) == 7
        assert view.apply_sync(lambda: pushed) == 7  # noqa: F821
    finally:
        view.apply_sync(exec, "import sys; sys.modules['__main__'] = sys.px_kept")
    with pytest.raises(error.RemoteError, match="pushed"):
        view.pull("pushed", block=True)


def test_push_whose_finalizers_replace_main(pool):
    view = pool[0]
    code = """
import sys, types
class Replaces:
    def __del__(self):
        import gc, sys, types
        sys.modules['__main__'] = types.ModuleType('__main__')
        gc.collect()
sys.px_kept = sys.modules['__main__']
sys.modules['__main__'] = types.ModuleType('__main__')
sys.modules['__main__'].a = Replaces()
"""
    view.apply_sync(exec, code)
    try:
        view.push({"a": 1, **{f"b{i}": i for i in range(100)}}, block=True)
    finally:
        view.apply_sync(exec, "import sys; sys.modules['__main__'] = sys.px_kept")
    assert view.apply_sync(abs, -1) == 1


@pytest.mark.parametrize("stands", [5, types.SimpleNamespace()], ids=str)
def test_functions_in_whose_place_there_is_no_module(view, stands, tmp_path, monkeypatch):
    (tmp_path / "px_gone.py").write_text("def f(): return 3\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import px_gone

    f = px_gone.f
    monkeypatch.setitem(sys.modules, "px_gone", stands)
    assert view.apply_sync(f) == 3  # by value


def test_errors_of_arguments_name_the_method_that_was_called(pool):
    for method in ("push", "pull"):
        with pytest.raises(TypeError, match=rf"DirectView\.{method}\(\) got an unexpected keyword argument 'bogus'"):
            getattr(pool[0], method)({}, bogus=1)
