# SPDX-License-Identifier: BSD-3-Clause
"""The program that a pool's supervisor starts: the template, and the engines that are forked from it.

The script ``pxrun-engine`` calls start(). The template imports what is to be preloaded and waits in
``_pxrun.template()`` (lib/engine/template.c), which returns in each forked engine. An engine then waits
in ``_pxrun.serve()`` (lib/engine/loop.c).
"""
from __future__ import annotations

import builtins
import contextlib
import faulthandler
import functools
import gc
import importlib
import os
import signal
import sys
import traceback
import types
from typing import NoReturn

from .. import _pxrun
from ..wire import failure
from . import changes, ending, randomness, shell
from .handlers import Handlers

#: Preloaded by default: no error if they are not installed.
_BY_DEFAULT = {"numpy", "cloudpickle"}


# --- becoming an engine -----------------------------------------------------


def _no_input(prompt=""):
    raise EOFError("engines have no standard input: push what the code needs")


def _main_module():
    """A fresh __main__, whose dictionary is the engine's namespace."""
    main = types.ModuleType("__main__")
    main.__dict__["__builtins__"] = builtins
    sys.modules["__main__"] = main
    return main.__dict__


def _start_up(handlers, code, control):
    """Runs what the pool's setting startup says; an engine in which that fails does not serve."""
    try:
        if code:
            handlers.start_up(code)
            sys.stdout.flush()
    except BaseException as error:
        traceback.print_exc()
        _pxrun.refuse(control, f"startup: {failure.words(error)}")
        ending.end(handlers)
        _pxrun.end(1)


def _be_engine(birth, log, options):
    engine_id, slot, epoch, _generation, control, out, err, crash = birth
    _pxrun.set_title(options["pool"], str(engine_id))
    faulthandler.enable(crash, all_threads=False)
    _pxrun.watch_stacks()
    randomness.reseed()
    builtins.input = _no_input
    sys.argv[:] = [""]
    sys.stdin = sys.__stdin__ = open(0, closefd=False)  # /dev/null
    sys.stdout = sys.__stdout__ = _stream(1)
    sys.stderr = sys.__stderr__ = _stream(2)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.register_at_fork(after_in_child=functools.partial(_forget_engine, control, os.fstat(control)))
    _pxrun.share_arrays()  # large arrays lie in shared memory, so that results need not be copied there
    handlers = Handlers(engine_id, _main_module())
    shell.offer(handlers)
    begin = functools.partial(_start_up, handlers, options.get("startup"), control)
    limits = (int(options.get(name, 0)) for name in ("max-tasks", "max-memory"))
    code = _pxrun.serve(engine_id, slot, epoch, control, out, err, log, handlers, begin, *limits)
    if code == _pxrun.EPOOL:  # the supervisor is gone
        os._exit(1)
    ending.end(handlers)
    _pxrun.end(None if code == 0 else 1)


def _stream(fd):
    """A text stream on a descriptor, flushed by lines: output is seen while the request runs."""
    raw = open(fd, "wb", closefd=False)
    stream = _pxrun.Stream(raw, encoding="utf-8", errors="backslashreplace", line_buffering=True)
    stream.mode = "w"  # as open() says
    return stream


def _forget_engine(control, was):
    """In a child that user code forked: it is no engine, so its crash must not be reported as the engine's."""
    faulthandler.disable()
    with contextlib.suppress(OSError):
        if os.path.samestat(os.fstat(control), was):  # else user code has closed it, and it is a file of its own
            os.close(control)


# --- the program ------------------------------------------------------------


def _meant(error):
    """The module that may have been meant by the name of one that there is not, as the end of a sentence."""
    import difflib
    import pkgutil

    there = {*sys.stdlib_module_names, *(module.name for module in pkgutil.iter_modules())}
    near = difflib.get_close_matches(error.name or "", there, 1, 0.75)
    return f"; did you mean {near[0]!r}?" if near and isinstance(error, ModuleNotFoundError) else ""


def _preload(names, tell, warn, refuse):
    """Imports the modules that all engines share; tells the name of each before, and refuses if it cannot be imported."""
    with randomness.watched() if names else contextlib.nullcontext():
        for name in names:
            tell(name)
            try:
                importlib.import_module(name)
            except ImportError as error:
                if name not in _BY_DEFAULT:
                    traceback.print_exc()
                    refuse(f"preload of {name!r}: {error}{_meant(error)}")
                    raise SystemExit(1) from None
    tell("")
    if "numpy" in sys.modules:
        try:
            _pxrun.find_numpy()
        except (ImportError, AttributeError) as error:
            version = getattr(sys.modules["numpy"], "__version__", "?")
            warn(f"arrays that engines compute are copied when they are sent: numpy {version}: {error}")


def _reason_not_to_fork():
    """Why this process must not be forked, None if it may be."""
    threads = len(os.listdir("/proc/self/task"))
    if threads == 1:
        return None
    return f"a preloaded module has started threads ({threads} run): engines are started one by one instead"


def _options(argv):
    """Arguments as the supervisor gives them: ``--name value``, and three flags."""
    options = {"preload": "", "sys-path": "", "pool": "", "version": ""}
    words = iter(argv)
    for word in words:
        if word in ("--template", "--engine", "--facts"):
            options["mode"] = word[2:]
        elif word.startswith("--"):
            options[word[2:]] = next(words, "")
        else:
            raise SystemExit(f"pxrun-engine: unexpected argument {word!r}; to start a pool use pxrun(1)")
    if "mode" not in options:
        raise SystemExit("pxrun-engine is started by a pool's supervisor; to start a pool use pxrun(1) or pxrun.Cluster")
    if options["version"] != _pxrun.VERSION:
        raise SystemExit(
            f"{sys.executable} has pxrun {_pxrun.VERSION}, and the pool is of pxrun {options['version']}: "
            f"install that version there, or start the pool with the pxrun that is there"
        )
    return options


def main(argv: list[str]) -> int:
    """The template of a pool (``--template``), or one engine (``--engine``); ``--facts`` is for ``pxrun doctor``.

    Their descriptors lie side by side from ``--control`` on: the control socket, the segment, the log; of an engine also its
    standard output and error to read, and its crash text. Of one that has joined, another is only kept open.
    """
    options = _options(argv)
    # "" is the working folder, as for code that is typed, unless it was asked to be left out
    sys.path[:0] = [""] * (not sys.flags.safe_path) + [*filter(None, options["sys-path"].split(":"))]
    if options["mode"] == "facts":
        from . import facts  # its imports would be a sixth of a pool's start

        facts.tell()
        return 0
    _pxrun.prepare_end()
    os.nice(int(options.get("niceness", 0)))  # of engines too, which are forked from it or started likewise
    is_engine, joined = options["mode"] == "engine", "ranks" in options
    first = int(options.get("control", 3))
    if is_engine:  # before code of others runs, which would find a descriptor that can write
        _pxrun.attach_segment(first + 1)
    control, log, *others = map(_pxrun.raise_descriptor, [first, *range(first + 2, first + 3 + 3 * is_engine + joined)])
    changes.watch()
    # imports leave hardly any garbage, and collecting costs a tenth of their time
    gc.disable()
    is_template = options["mode"] == "template"
    if is_template:
        _pxrun.set_title(options["pool"], "template")
    if is_template or joined:
        _pxrun.interpreter(control, sys.executable or "")
    # what an engine would tell, its template has told
    tell = functools.partial(_pxrun.preloading, control) if is_template else str
    warn = functools.partial(_pxrun.warn, control) if is_template or joined else str
    refuse = functools.partial(_pxrun.refuse, control)
    is_rank = int(options.get("ranks", 0)) > 0
    if is_rank:
        from . import ranks

        ranks.become(int(options["id"]), int(options["ranks"]), refuse)
    preload = [name for name in options["preload"].split(",") if name]
    # each of them would import it for itself, and the first call that needs it does
    _preload([name for name in preload if not (is_rank and name == "cloudpickle")], tell, warn, refuse)
    if is_engine:
        birth = *(int(options[k]) for k in ("id", "slot", "epoch", "generation")), control, *others[:3]
        _pxrun.set_up_process(joined)
        gc.enable()
        _be_engine(birth, log, options)
    # else each engine would print again what a module has printed
    sys.stdout.flush()
    gc.freeze()
    born = _pxrun.template(control, _reason_not_to_fork())
    if born is not None:
        gc.enable()
        _be_engine(born, log, options)
    return 0


def start() -> NoReturn:
    """The script ``pxrun-engine``."""
    if not sys.flags.safe_path:
        del sys.path[0]  # the script's own folder
    sys.exit(main(sys.argv[1:]))
