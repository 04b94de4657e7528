# SPDX-License-Identifier: BSD-3-Clause
"""IPython's shell in an engine, made when code first needs it.

Plain Python runs without it. Magics, ``!command``, ``name?``, what is displayed and the
figures of ``%matplotlib inline`` are IPython's, on the same namespace.
"""
from __future__ import annotations

import builtins
import contextlib
import importlib.machinery
import pickle
import sys
import traceback
import types
from typing import Any, Iterator

from .. import _pxrun
from . import displays

#: The module that all parts of IPython get the shell from.
_HOME = "IPython.core.interactiveshell"

_owner: Any = None
_shell: Any = None
_keeps = False


def offer(handlers: Any) -> None:
    """In an engine: makes the shell available to code, by its names or through IPython, without importing it yet.

    Parameters
    ----------
    handlers : Handlers
        Whose namespace and count of executed requests the shell shares.
    """
    global _owner
    _owner = handlers
    builtins.get_ipython = get_ipython  # type: ignore[attr-defined]
    builtins.display = display  # type: ignore[attr-defined]
    if _HOME in sys.modules:
        _stand_in(sys.modules[_HOME])
    else:
        sys.meta_path.insert(0, _Watcher())  # type: ignore[arg-type]


def owner() -> Any:
    """The engine's handlers."""
    return _owner


def cleared() -> None:
    """Is called when the namespace was emptied: if IPython runs, puts the names that it needs into it again."""
    if _shell is not None:
        _shell.history_manager.output_hist.clear()
        _shell.init_user_ns()


def keep_all() -> None:
    """From now on In and Out have what requests execute, too."""
    global _keeps
    get()
    _keeps = True


def keep(count: int, code: str, value: Any) -> None:
    """Puts what a request has executed, and its value, into In and Out, if they are to have it."""
    if _keeps:
        from . import cells

        cells.keep(count, code, value)


def get_ipython() -> Any:
    """IPython's shell in this engine; NameError, as without IPython, if it is not installed."""
    try:
        return get()
    except ImportError:
        raise NameError("name 'get_ipython' is not defined: IPython is not installed on the engine") from None


def display(*objects: Any, **options: Any) -> Any:
    """IPython's display(): the client shows the objects."""
    get_ipython()
    from IPython.display import display

    return display(*objects, **options)


def get() -> Any:
    """The shell of this engine; ImportError if there is no IPython."""
    global _shell
    if _shell is None:
        from IPython.core.interactiveshell import InteractiveShell

        if "initialized" in vars(InteractiveShell):  # _stand_in()
            del InteractiveShell.initialized
        _shell = _make()
        _pxrun.call_after(displays.flush_figures)
    return _shell


def registered(name: str) -> Any:
    """The magics of a class of that name, if the shell has been made and has them."""
    return _shell.magics_manager.registry.get(name) if _shell is not None else None


def _make() -> Any:
    from .interactive import Shell

    return Shell.instance(user_module=sys.modules["__main__"], user_ns=owner().namespace)


class _Watcher:
    """A finder on sys.meta_path that notices when IPython's shell is imported."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name != _HOME:
            return None
        sys.meta_path.remove(self)  # type: ignore[arg-type]
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is None or spec.loader is None:
            return None
        run = spec.loader.exec_module

        def exec_module(module: types.ModuleType) -> None:
            run(module)
            _stand_in(module)

        spec.loader.exec_module = exec_module  # type: ignore[assignment]
        return spec


def _stand_in(module: Any) -> None:
    """Makes the shell when IPython asks whether there is one.

    Without a shell, what a function displays with ``from IPython.display import display`` would
    be printed as text.
    """

    def initialized(cls: Any) -> bool:
        get()  # removes this function
        return cls.initialized()

    module.InteractiveShell.initialized = classmethod(initialized)


def translate(code: str) -> str | None:
    """Code with IPython's syntax as plain Python; None if it has none."""
    try:
        shell = get()
    except ImportError:
        if code.lstrip().startswith(("%", "!", "?")) or code.rstrip().endswith("?"):
            raise ImportError("magics, !commands and ? need IPython on the engine: install the package ipython there") from None
        return None
    translated = shell.transform_cell(code)
    return None if translated == code or translated == code + "\n" else translated


@contextlib.contextmanager
def events(code: str, silent: bool) -> Iterator[None]:
    """In a with statement: calls IPython's hooks for before and after a cell; one of them shows inline figures."""
    about = types.SimpleNamespace(raw_cell=code, silent=silent, store_history=False, shell_futures=True, cell_id=None)
    try:
        _trigger("pre", silent, about)
        yield
    finally:
        _trigger("post", silent, types.SimpleNamespace(info=about))


def _trigger(when: str, silent: bool, about: types.SimpleNamespace) -> None:
    if _shell is None:
        return
    _call_all(when + "_execute")
    if not silent:
        _call_all(when + "_run_cell", about)


def _call_all(event: str, *args: Any) -> None:
    # not events.trigger(): it treats KeyboardInterrupt as a callback's failure, and the request would go on
    for callback in list(_shell.events.callbacks[event]):
        try:
            callback(*args)
        except Exception:
            print(f"pxrun: {callback!r}, called for {event}, failed:", file=sys.stderr)
            traceback.print_exc()


def rich(value: Any) -> bytes | None:
    """A pickle of (data, metadata): a value's representations by MIME type; None if it has only text."""
    if _shell is None and not any(name.startswith("_repr_") for name in dir(type(value))):
        return None
    try:
        formatter = get().display_formatter
    except ImportError:
        return None
    data, metadata = formatter.format(value)
    return pickle.dumps((displays.forms(data), metadata), 5)
