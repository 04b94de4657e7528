# SPDX-License-Identifier: BSD-3-Clause
"""What Python does at the end of a script, for engines that are told to stop and children that user code forked.

Not the whole of it: modules are left as they are. Taking them apart would copy most of the memory
that an engine has in common with the template, at the same time in all engines.
"""
from __future__ import annotations

import atexit
import contextlib
import gc
import io
import sys
import threading
import traceback
import types
import weakref
from typing import Any, Callable


def end(owner: Any) -> None:
    """Waits for threads, calls what was registered with atexit, empties the namespace, and flushes files.

    Parameters
    ----------
    owner : Handlers
        The engine's handlers, which own the namespace.
    """
    steps: list[Callable[[], Any]] = [threading._shutdown, atexit._run_exitfuncs]  # type: ignore[attr-defined]
    # garbage collection may close a file before the text over it is flushed
    for step in [*steps, _flush_files, lambda: _let_go(owner), _flush_files]:
        try:
            step()
        except BaseException:
            traceback.print_exc()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()


class _Marker:
    """Is freed with the namespace that it is put into; so a weak reference to it says whether that was freed."""

    def __init__(self, namespace: dict) -> None:
        self.namespace = namespace


def _let_go(owner: Any) -> None:
    """Frees the namespace as a whole, so that finalizers still find globals; if something refers to it, empties it."""
    marker = weakref.ref(owner.namespace.setdefault("__pxrun_marker__", _Marker(owner.namespace)))
    owner.namespace = {}
    sys.modules["__main__"] = types.ModuleType("__main__")
    gc.collect()
    left = marker()
    if left is not None:
        namespace = left.namespace
        del left
        namespace.update((name, None) for name in list(namespace) if name != "__builtins__")
        gc.collect()


def _flush_files() -> None:
    """Flushes all open files: text files first, since they write into buffers of bytes."""
    files = [obj for obj in gc.get_objects() if isinstance(obj, (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom))]
    for file in sorted(files, key=lambda file: not isinstance(file, io.TextIOWrapper)):
        with contextlib.suppress(Exception):
            file.flush()
