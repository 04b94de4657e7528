# SPDX-License-Identifier: BSD-3-Clause
"""sync_imports: imports that are made here and on engines."""
from __future__ import annotations

import builtins
import contextlib
import dis
import sys
from typing import Any, Iterator


def _import_there(statement: str) -> None:
    """Runs on the engine."""
    exec(statement, sys.modules["__main__"].__dict__)


def _renamed(frame: Any, name: str, names: tuple[str, ...]) -> list[str]:
    """What the import statement that a frame is running imports, as "a" or "a as b".

    Only the frame's code knows the names after ``as``: the interpreter stores there what the
    import gives.
    """
    code = [found for found in dis.get_instructions(frame.f_code) if found.offset >= frame.f_lasti]
    if not code or code[0].opname != "IMPORT_NAME":  # __import__() was called
        return [*names] or [name]
    where = [i for i, found in enumerate(code) if found.opname.startswith("STORE_")]
    # an instruction of Python 3.13 may store one name and do something with another
    stored = [value if isinstance(value, str) else value[0] for value in (code[i].argval for i in where)]
    if names:
        return [each if each == "*" or each == there else f"{each} as {there}" for each, there in zip(names, stored or names)]
    whole = stored[0] == name.partition(".")[0] and "IMPORT_FROM" not in [found.opname for found in code[: where[0]]]
    return [name if whole else f"{name} as {stored[0]}"]


@contextlib.contextmanager
def sync_imports(view: Any, local: bool, quiet: bool) -> Iterator[None]:
    """See DirectView.sync_imports."""
    frame = sys._getframe(2)  # above contextlib's frame: the one with the with statement
    original, results = builtins.__import__, []

    def importing(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
        # imports made by imported modules come from other frames
        if sys._getframe(1) is not frame or level:
            return original(name, globals, locals, fromlist, level)
        names = tuple(fromlist or ())
        what = ", ".join(_renamed(frame, name, names))
        if not quiet:
            print(f"importing {what} from {name} on engine(s)" if names else f"importing {what} on engine(s)")
        results.append(view.apply_async(_import_there, f"from {name} import {what}" if names else f"import {what}"))
        return original(name, globals, locals, fromlist, level) if local else _Nothing(name)

    builtins.__import__ = importing
    try:
        yield
    finally:
        builtins.__import__ = original
    for result in results:
        result.get()


class _Nothing:
    """The name, here, of a module that was imported on engines only."""

    def __init__(self, name: str) -> None:
        self.__dict__["_name"] = name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Nothing(f"{self._name}.{name}")

    def __repr__(self) -> str:
        return f"<{self._name}, on the engines only>"
