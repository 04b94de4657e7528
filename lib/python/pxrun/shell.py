# SPDX-License-Identifier: BSD-3-Clause
"""IPython's shell in an engine, made when code first needs it.

Plain Python runs without it. Magics, ``!command``, ``name?`` and what is displayed are
IPython's, on the same namespace.
"""
from __future__ import annotations

import pickle
import sys
from typing import Any

from . import _pxrun

#: Streams of Result.chunks().
_DISPLAY, _DATA = 3, 4

_shell: Any = None


def publish_data(data: dict) -> None:
    """In a request: sends values to the client, who finds them in ``AsyncResult.data`` while it runs.

    Parameters
    ----------
    data : dict
        Later values of a key replace earlier ones.
    """
    if not isinstance(data, dict):
        raise TypeError(f"publish_data takes a dict, not {type(data).__name__}")
    from . import _serialize

    _pxrun.publish(_DATA, _serialize.dumps(data, in_band=True)[0])


def get(namespace: dict) -> Any:
    """The shell of this engine; ImportError if there is no IPython."""
    global _shell
    if _shell is None:
        from IPython.core.displaypub import DisplayPublisher
        from IPython.core.interactiveshell import InteractiveShell

        class Publisher(DisplayPublisher):
            """What is displayed goes to the client of the request."""

            def publish(self, data: dict, metadata: dict | None = None, *args: Any, **kwargs: Any) -> None:
                _pxrun.publish(_DISPLAY, pickle.dumps((data, metadata or {}), 5))

        class Shell(InteractiveShell):
            display_pub_class = Publisher  # type: ignore[assignment]
            system = InteractiveShell.system_raw  # its output goes where the engine's goes

            def init_history(self) -> None:
                """Engines keep none: they would share one file."""
                from IPython.core.history import HistoryManager

                self.history_manager = HistoryManager(shell=self, parent=self, enabled=False)

            def init_io(self) -> None:
                """Colours are for terminals."""
                super().init_io()
                self.colors = "NoColor"

        Shell.display_pub_class.default_value = Publisher
        _shell = Shell.instance(user_module=sys.modules["__main__"], user_ns=namespace)
    namespace.setdefault("get_ipython", _shell.get_ipython)
    namespace.setdefault("display", sys.modules["IPython"].display.display)
    return _shell


def translate(code: str, namespace: dict) -> str | None:
    """IPython's syntax as plain Python; None if it is nothing of IPython's either."""
    try:
        shell = get(namespace)
    except ImportError:
        if code.lstrip().startswith(("%", "!", "?")) or code.rstrip().endswith("?"):
            raise ImportError("magics, !commands and ? need IPython on the engine: install the package ipython there") from None
        return None
    translated = shell.transform_cell(code)
    return None if translated == code or translated == code + "\n" else translated


def rich(value: Any) -> bytes | None:
    """A pickle of a value's forms by MIME type and their metadata; None if it has only text."""
    if _shell is None:
        return None
    data, metadata = _shell.display_formatter.format(value)
    return pickle.dumps((data, metadata), 5)
