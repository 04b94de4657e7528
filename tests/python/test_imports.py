# SPDX-License-Identifier: BSD-3-Clause
"""sync_imports: imports that are made here and on engines."""
import sys

import pytest

from pxrun import CompositeError


def test_sync_imports(pool, capsys):
    view = pool[:]
    with view.sync_imports():
        import json
        from os import getpid, sep  # noqa: F401
    assert capsys.readouterr().out == "importing json on engine(s)\nimporting getpid, sep from os on engine(s)\n"
    assert view.apply_sync(lambda: json.dumps([sep])) == ['["/"]'] * 4
    with view.sync_imports(quiet=True):
        import xml.dom  # noqa: F401
    assert capsys.readouterr().out == ""
    assert view["xml.dom.__name__"] == ["xml.dom"] * 4
    with view.importer:
        import math  # noqa: F401
    assert view["math.pi"] == [3.141592653589793] * 4


IMPORTS = """
with view.sync_imports():
    import json as js, fractions
    import xml.dom.minidom as dom
    import xml.sax as xml
    from os import getpid as pid, sep
    from os import path as way
"""


@pytest.mark.parametrize("where", ["module", "function", "nested"])
def test_sync_imports_under_other_names(pool, capsys, where):
    view = pool[:]
    if where == "module":
        exec(IMPORTS, {"view": view, "__name__": "__main__"})
    else:
        declared = "        nonlocal js, pid\n" * (where == "nested")
        body = "".join(f"        {line}\n" for line in IMPORTS.splitlines())
        code = f"def outer(view):\n    js = pid = None\n    def f():\n{declared}{body}        return js, dom, pid\n    return f()\n"
        names: dict = {"__name__": "__main__"}
        exec(code, names)
        names["outer"](view)
    assert capsys.readouterr().out == "".join(f"importing {what} on engine(s)\n" for what in (
        "json as js", "fractions", "xml.dom.minidom as dom", "xml.sax as xml", "getpid as pid, sep from os", "path as way from os"))
    for name, value in (("js.__name__", "json"), ("fractions.__name__", "fractions"), ("dom.__name__", "xml.dom.minidom"), ("xml.__name__", "xml.sax"),
                        ("pid.__name__", "getpid"), ("sep", "/"), ("way.__name__", "posixpath")):
        assert view[name] == [value] * 4
    assert view.apply_sync(lambda: "json" in globals() or "getpid" in globals() or "path" in globals()) == [False] * 4


def test_sync_imports_of_everything(pool):
    with pool[:].sync_imports(quiet=True):
        __import__("colorsys")
    assert pool[0]["colorsys.__name__"] == "colorsys"
    exec("with view.sync_imports(quiet=True):\n    from string import *", {"view": pool[:]})
    assert pool[0]["digits"] == "0123456789"


def test_sync_imports_without_local(pool):
    with pool[:].sync_imports(local=False, quiet=True):
        import wave
    assert "wave" not in sys.modules and "engines only" in repr(wave)
    assert pool[0]["wave.__name__"] == "wave"


def test_sync_imports_raises_what_engines_cannot_import(pool, tmp_path, monkeypatch):
    (tmp_path / "here_only.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(CompositeError, match="here_only"):
        with pool[:].sync_imports(quiet=True):
            import here_only  # noqa: F401
    import builtins

    assert builtins.__import__.__name__ == "__import__"
