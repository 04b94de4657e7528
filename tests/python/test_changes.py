# SPDX-License-Identifier: BSD-3-Clause
"""Modules that are edited while engines have them."""
import importlib
import itertools
import os
import sys
import time

import pytest

import pxrun


class Module:
    """A module that can be edited, imported here and on engines by a name of its own."""

    def __init__(self, folder, name):
        self.name, self.path, self.when = name, str(folder / f"{name}.py"), 0

    def write(self, text):
        """An edit; its time is later than all others', and than that of what was loaded before it."""
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(text)
        self.when = max(self.when + 10, int(time.time()) + 10)
        os.utime(self.path, (self.when, self.when))


numbers = itertools.count()


@pytest.fixture
def edited(tmp_path, pool, monkeypatch):
    """A module that all have imported: its f() gives 1."""
    monkeypatch.syspath_prepend(str(tmp_path))
    made = Module(tmp_path, f"edited{os.getpid()}_{next(numbers)}")
    with open(made.path, "w", encoding="utf-8") as file:
        file.write("def f():\n    return 1\n")
    pool[:].execute(f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import {made.name}", block=True)
    made.here = importlib.import_module(made.name)
    yield made
    pool[:].execute(f"sys.path.remove({str(tmp_path)!r})", block=True)
    del sys.modules[made.name]


def said_of(view, f):
    """A function's results, and the words about the modules that it came with, engine by engine; they look once a second."""
    end = time.monotonic() + 20
    while True:
        ar = view.apply_async(f)
        values, words = ar.get(10), ar.stderr
        if any("was edited" in said for said in words) or time.monotonic() > end:
            return values, words


def test_edited_module_without_reload_says_so_once(pool, edited, capfd):
    edited.write("def f():\n    return 2\n")
    values, words = said_of(pool[:], edited.here.f)
    assert values == [1] * 4
    for said in words:
        assert said == "" or (edited.path in said and f"view.reload({edited.name!r})" in said)
    told = {i for i, said in enumerate(words) if said}
    end = time.monotonic() + 3  # the next looks
    while time.monotonic() < end:
        again = pool[:].apply_async(edited.here.f)
        again.get(10)
        assert not told & {i for i, said in enumerate(again.stderr) if said}
        told |= {i for i, said in enumerate(again.stderr) if said}
    assert told == {0, 1, 2, 3}


def test_word_reaches_whoever_calls_by_a_function_of_the_script(pool, edited):
    edited.write("def f():\n    return 2\n")
    module = edited.here
    _, words = said_of(pool[:], lambda: module.f())
    assert any(edited.path in said for said in words)


def test_reload_runs_the_new_module(pool, edited):
    edited.write("def f():\n    return 2\n")
    view = pool[:]
    assert view.reload(edited.here, block=True) == [None] * 4
    assert view.apply_sync(edited.here.f) == [2] * 4
    ar = view.apply_async(edited.here.f)
    ar.get(10)
    assert ar.stderr == [""] * 4


def test_reload_by_name_of_one_engine_leaves_others(pool, edited):
    edited.write("def f():\n    return 2\n")
    pool[:].reload(edited.name, targets=[1, 2], block=True)
    assert pool[:].map_sync(lambda _: getattr(sys.modules[edited.name], "f")(), range(4)) == [1, 2, 2, 1]


def test_reload_renews_names_of_the_namespace(pool, edited):
    view = pool[:]
    view.execute(f"from {edited.name} import f as mine; kept = mine; other = len", block=True)
    edited.write("def f():\n    return 2\n")
    view.reload(edited.here, block=True)
    assert view["(mine(), kept(), other('x'))"] == [(2, 2, 1)] * 4


def test_reload_renews_what_a_script_brought_along(pool, edited):
    f = edited.here.f

    globals()["f_of_the_edited"] = f
    bringing = eval("lambda: f_of_the_edited()", globals())
    assert pool[0].apply_sync(bringing) == 1
    edited.write("def f():\n    return 2\n")
    pool[:].reload(edited.here, block=True)
    assert pool[0].apply_sync(bringing) == 2
    del globals()["f_of_the_edited"]


def test_reload_of_a_package_has_its_edited_parts(pool, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    package = tmp_path / f"package{os.getpid()}"
    package.mkdir()
    part, whole = Module(package, "part"), Module(package, "__init__")
    with open(part.path, "w", encoding="utf-8") as file:
        file.write("value = 1\n")
    with open(whole.path, "w", encoding="utf-8") as file:
        file.write("from .part import value\n")
    view = pool[:]
    view.execute(f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import {package.name}", block=True)
    part.write("value = 22\n")
    view.reload(package.name, block=True)
    assert view[f"{package.name}.value"] == [22] * 4
    view.execute(f"sys.path.remove({str(tmp_path)!r})", block=True)


def test_reload_imports_what_is_not_loaded(pool):
    pool[0].reload("sched", block=True)
    assert pool[0]["'sched' in __import__('sys').modules"]


def test_reload_of_a_broken_module_says_so_and_keeps_the_old_one(pool, edited):
    edited.write("def f(:\n")
    with pytest.raises(pxrun.CompositeError, match="SyntaxError"):
        pool[:].reload(edited.here, block=True)
    assert pool[:].apply_sync(edited.here.f) == [1] * 4


@pytest.mark.parametrize("wrong, words", [(5, "not 5"), (os.getpid, "module"), ("__main__", "this script itself")])
def test_reload_of_no_module_says_what_it_takes(pool, wrong, words):
    with pytest.raises((TypeError, ValueError), match=words):
        pool[:].reload(wrong)


def test_reload_of_an_unknown_module_names_it(pool):
    with pytest.raises(pxrun.RemoteError, match="no_such_module_anywhere"):
        pool[0].reload("no_such_module_anywhere", block=True)


def test_autoreload_on_engines_reloads_for_cells_and_calls(pool, edited):
    view = pool[:]
    view.execute("%load_ext autoreload\n%autoreload 2", silent=False, block=True)
    try:
        view.execute(f"from {edited.name} import f", silent=False, block=True)
        edited.write("def f():\n    return 2\n")
        view.execute("got = f()", silent=False, block=True)
        assert view["got"] == [2] * 4
        edited.write("def f():\n    return 33\n")
        end = time.monotonic() + 20
        while True:  # it looks once a second
            ar = view.apply_async(edited.here.f)
            values = ar.get(10)
            assert ar.stderr == [""] * 4
            if values == [33] * 4 or time.monotonic() > end:
                break
        assert values == [33] * 4
    finally:
        view.execute("%autoreload 0", silent=False, block=True)


def test_autoreload_on_engines_reloads_what_a_call_has_imported(pool, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    module = Module(tmp_path, f"called{os.getpid()}")
    with open(module.path, "w", encoding="utf-8") as file:
        file.write("def f():\n    return 1\n")
    here = importlib.import_module(module.name)
    view = pool[:]
    view.execute(f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n%load_ext autoreload\n%autoreload 2", block=True)
    try:
        assert view.apply_sync(here.f) == [1] * 4
        module.write("def f():\n    return 22\n")
        end = time.monotonic() + 20
        while view.apply_sync(here.f) != [22] * 4:
            assert time.monotonic() < end
    finally:
        view.execute(f"%autoreload 0\nsys.path.remove({str(tmp_path)!r})", block=True)


def test_module_of_an_installed_package_is_not_looked_at(pool):
    pool[0].execute("import sched", block=True)

    def watched():
        from pxrun.engine import changes

        list(changes._edited())
        return list(changes._loaded)

    assert "sched" not in pool[0].apply_sync(watched)


def test_deleted_file_is_no_edit(pool, edited):
    os.unlink(edited.path)
    ar = pool[:].apply_async(edited.here.f)
    assert ar.get(10) == [1] * 4 and ar.stderr == [""] * 4


ODD = ["m.__file__ = 'a\\0.py'", "sys.modules[m.__name__] = type('', (), {'__file__': property(lambda self: 1 / 0)})()"]


def spoil(view, tmp_path, odd):
    """Has an engine import a module, and spoil it; the module's name."""
    name = f"odd{os.getpid()}_{next(numbers)}"
    (tmp_path / f"{name}.py").touch()
    view.execute(f"import sys, {name} as m\n{odd}", block=True)
    return name


@pytest.mark.parametrize("odd", ODD)
def test_spoilt_module_hides_no_edits_of_others(pool, edited, tmp_path, odd):
    name = spoil(pool[:], tmp_path, odd)
    try:
        edited.write("def f():\n    return 2\n")
        assert any(edited.path in said for said in said_of(pool[:], edited.here.f)[1])
    finally:
        pool[:].execute(f"del sys.modules[{name!r}]", block=True)


@pytest.mark.parametrize("odd", ODD)
def test_spoilt_module_fails_no_request_under_autoreload(pool, edited, tmp_path, odd):
    view = pool[:]
    view.execute("%load_ext autoreload\n%autoreload 2", block=True)
    name = spoil(view, tmp_path, odd)
    try:
        end = time.monotonic() + 20
        said = [""]
        while not any("looked in vain" in one for one in said):
            assert time.monotonic() < end
            ar = view.apply_async(edited.here.f)
            assert ar.get(10) == [1] * 4
            said = ar.stderr
    finally:
        view.execute(f"%autoreload 0\ndel sys.modules[{name!r}]", block=True)


def test_reload_of_what_is_no_module_says_so(pool):
    pool[0].execute("import sys; sys.modules['odd'] = None", block=True)
    with pytest.raises(pxrun.RemoteError, match="odd is no module on the engine: code has put NoneType into sys.modules"):
        pool[0].reload("odd").get(10)
    pool[0].execute("del sys.modules['odd']", block=True)
