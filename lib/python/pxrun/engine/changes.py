# SPDX-License-Identifier: BSD-3-Clause
"""Modules whose files were edited after this engine had loaded them.

A pool lives longer than the scripts that use it, so an engine may have a module as it was some edits ago.
Nothing is reloaded behind anybody's back, but whoever has a request run there is told, once an edit.
IPython's autoreload, if it is switched on here, reloads for all requests, not only for those that are cells.
"""
from __future__ import annotations

import importlib
import os
import sys
import time
import types
from typing import Any, Iterator

#: When modules were loaded last, in nanoseconds since the epoch; by name, the oldest first.
_loaded: dict[str, int] = {}
#: The edits that were told of, or reloaded: the time of the last change of a file, by its path.
_known: dict[str, int] = {}


class _Clock:
    """A finder on sys.meta_path that finds nothing: it notes when modules are loaded, and reloaded."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> None:
        _loaded.pop(name, None)
        _loaded[name] = time.time_ns()


def watch() -> None:
    """From now on imports are noted."""
    sys.meta_path.insert(0, _Clock())  # type: ignore[arg-type]


def tell() -> None:
    """Is called after a request, at most once a second: tells of what was edited, in the request's output."""
    if _reloader() is not None:
        return
    for name, file, when in _edited():
        if _known.get(file) != when:
            _known[file] = when
            print(
                f"pxrun: {file} was edited after this engine had loaded {name}, which is still as it was: "
                f"view.reload({name!r}) loads it anew, and %autoreload 2 on the engines always does",
                file=sys.stderr,
            )


def _edited() -> Iterator[tuple[str, str, int]]:
    """(module, file, when it was edited) of the modules that are older than their files."""
    for name, loaded in list(_loaded.items()):
        try:  # code may have put anything into sys.modules
            file = getattr(sys.modules.get(name), "__file__", None)
            if not isinstance(file, str) or not file.endswith(".py") or file.startswith(_installed()):
                _loaded.pop(name, None)  # it has nothing to be looked at; another thread may load it anew
                continue
            when = os.stat(file).st_mtime_ns
        except Exception:
            continue
        if when > loaded:
            yield name, file, when


_folders: tuple[str, ...] = ()


def _installed() -> tuple[str, ...]:
    """Folders of what was installed, and is not edited; pxrun's own too."""
    global _folders
    if not _folders:
        # not by sysconfig: to import that takes longer than all the rest of an engine's first request
        found = {os.path.dirname(os.__file__), *(path for path in sys.path if path.endswith(("site-packages", "dist-packages")))}
        _folders = (*(path + os.sep for path in found), os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep)
    return _folders


def autoreload() -> None:
    """Is called before a request, at most once a second: has IPython's autoreload look, if it is switched on here."""
    reloader = _reloader()
    if reloader is None:
        return
    for name, file, when in _edited():
        reloader.modules_mtimes.setdefault(name, 0)  # one that it has not seen yet it would take for unedited
        _known[file] = when
    try:
        reloader.check()
    except Exception as e:  # of what code has put into sys.modules: no reason to fail a request
        print(f"pxrun: %autoreload has looked in vain: {type(e).__name__}: {e}", file=sys.stderr)


def _reloader() -> Any:
    """IPython's autoreload, if it is switched on here."""
    shell = sys.modules.get("pxrun.engine.shell")
    magics = shell.registered("AutoreloadMagics") if shell is not None else None
    found = getattr(magics, "_reloader", None)
    return found if found is not None and found.enabled else None


# --- reloading ----------------------------------------------------------------


def reload(name: str) -> None:
    """Loads a module anew, after those of its submodules that were edited; imports it if it was not loaded.

    Names in the engine's namespace that stood for something of the module's stand for what the module has
    under that name now.
    """
    if name not in sys.modules:
        importlib.import_module(name)
        return
    edited = {inner: (file, when) for inner, file, when in _edited() if f"{inner}.".startswith(f"{name}.")}
    for each in [*(inner for inner in edited if inner != name), name]:
        module = sys.modules[each]
        if not isinstance(module, types.ModuleType):
            raise TypeError(f"{each} is no module on the engine: code has put {type(module).__name__} into sys.modules")
        before = dict(vars(module))
        importlib.reload(module)
        _renew(before, module)
    _known.update(dict(edited.values()))


def _renew(before: dict[str, Any], module: types.ModuleType) -> None:
    """In the engine's namespace, replaces what the module had by what it has."""
    own = {id(value): key for key, value in before.items() if getattr(value, "__module__", None) == module.__name__}
    namespace = sys.modules["__main__"].__dict__
    for key, value in list(namespace.items()):
        if id(value) in own:
            namespace[key] = getattr(module, own[id(value)], value)
