# SPDX-License-Identifier: BSD-3-Clause
"""sync_imports: imports that are made here and on engines."""
from __future__ import annotations

import builtins
import contextlib
import sys
from typing import Any, Iterator


def _import_there(name: str, names: tuple[str, ...]) -> None:
    """Runs on the engine: binds what an import statement would."""
    user = sys.modules["__main__"].__dict__
    if names:
        exec(f"from {name} import {', '.join(names)}", user)
    else:
        exec(f"import {name}", user)


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
        if not quiet:
            print(f"importing {', '.join(names)} from {name} on engine(s)" if names else f"importing {name} on engine(s)")
        results.append(view.apply_async(_import_there, name, names))
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
