# SPDX-License-Identifier: BSD-3-Clause
"""What runs inside an engine: ``python -m pxrun.engine``, started by the supervisor.

The C loop (``_pxrun.serve``) takes requests and sends replies; here is what is easier
said in Python: running code, calling functions, describing what went wrong.
"""
from __future__ import annotations

import ast
import builtins
import faulthandler
import gc
import importlib
import linecache
import os
import signal
import sys
import traceback
import types

from . import _pxrun, _serialize, _values

#: Preloaded without being asked for: no word is lost if they are not there.
_CUSTOMARY = {"numpy", "cloudpickle"}
_HERE = os.path.dirname(os.path.abspath(__file__))


# --- one engine's namespace, and what can be done in it ---------------------


class Handlers:
    """What ``_pxrun.serve`` calls for each kind of request."""

    def __init__(self, engine_id: int, namespace: dict) -> None:
        self.engine_id = engine_id
        self.namespace = namespace
        self.count = 0
        self.functions: dict = {}

    def apply(self, body, buffers):
        """APPLY: a pickled (f, args, kwargs); the result's pickle and buffers."""
        try:
            f, args, kwargs = _serialize.loads(body, buffers or ())
        except Exception as error:
            raise _unreadable(error) from error
        result = f(*args, **kwargs)
        if result is None:
            return 0, _serialize.NONE, None
        # what was sent may be part of the result, not of what keeps it alive
        del f, args, kwargs, body
        try:
            return 0, *_serialize.dumps(result)
        except Exception as error:
            raise _unsendable(error, result) from error

    def execute(self, code, silent):
        """EXECUTE: code as at a prompt; the repr of a last expression's value."""
        self.count += 1
        name = f"<pxrun-{self.count}>"
        # so that tracebacks can show the line
        linecache.cache[name] = (len(code), None, code.splitlines(True), name)
        shown = self.run_code(code, name)
        text = None if shown is None or silent else repr(shown)
        return 0, _values.encode([self.count, text]), None

    def run_code(self, code, name):
        tree = ast.parse(code, name)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, name, "exec"), self.namespace)
        if last is None:
            return None
        value = eval(compile(ast.Expression(last.value), name, "eval"), self.namespace)
        if value is not None:
            self.namespace["_"] = value
        return value

    def resolve(self, name):
        """The callable that a C program means by "module:function", or by a name here."""
        module, colon, path = name.rpartition(":")
        if not colon:
            return eval(name, self.namespace)
        found = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
        self.functions[name] = found
        return found

    def push(self, name, value):
        """Assigns; the name may be any target, ``a.b`` or ``d['k']``."""
        scope = {"_px_value": value}
        exec(compile(f"{name} = _px_value", "<push>", "exec"), self.namespace, _Behind(scope, self.namespace))

    def pull(self, name):
        return eval(name, self.namespace)

    def failure(self, error, method):
        """The body of a PX_EREMOTE reply: ename, evalue, traceback, pickle, method."""
        ename = type(error).__name__
        try:
            evalue = str(error)
        except BaseException as second:
            evalue = f"<str() of the {ename} raised {type(second).__name__}>"
        try:
            text = "".join(_format(error))
        except BaseException as second:
            text = f"{ename}: {evalue}\n(the traceback cannot be shown: {type(second).__name__})\n"
        return _values.encode([ename, evalue, text, _pickled(error), method])

    def flush(self):
        sys.stdout.flush()
        sys.stderr.flush()

    def to_array(self, buffer, code, bits, shape):
        import numpy

        kind = {0: "i", 1: "u", 2: "f", 5: "c", 6: "b"}[code]
        return numpy.frombuffer(buffer, f"{kind}{bits // 8}").reshape(shape)

    def from_array(self, value):
        """(memory, code, bits, shape) of a plain array, None of anything else."""
        interface = getattr(value, "__array_interface__", None)
        if not interface or "numpy" not in sys.modules:
            return None
        import numpy

        array = numpy.ascontiguousarray(value).reshape(numpy.shape(value))
        code = {"i": 0, "u": 1, "f": 2, "c": 5, "b": 6}.get(array.dtype.kind)
        if code is None or not array.dtype.isnative:
            return None
        return array.reshape(-1).view("u1"), code, array.dtype.itemsize * 8, array.shape


class _Behind(dict):
    """Locals of a push: the value, and everything else in the engine's namespace."""

    def __init__(self, own, namespace):
        super().__init__(own)
        self.namespace = namespace

    def __setitem__(self, name, value):
        self.namespace[name] = value

    def __missing__(self, name):
        return self.namespace[name]


def _unreadable(error):
    """Why a request could not be unpickled, as an exception of the same kind."""
    if isinstance(error, (ImportError, AttributeError, MemoryError)):
        return error
    return TypeError(f"the engine cannot unpickle the call: {type(error).__name__}: {error}")


def _unsendable(error, result):
    return TypeError(f"the result, of type {type(result).__name__}, cannot be sent: {type(error).__name__}: {error}")


def _pickled(error):
    """The exception as a pickle that can be read again, or nothing."""
    try:
        body, buffers = _serialize.dumps(error.with_traceback(None), in_band=True)
        if buffers or type(_serialize.loads(body)) is not type(error):
            return b""
        return body
    except BaseException:
        return b""


def _format(error):
    """The traceback without the frames of our own machinery."""
    trace = traceback.TracebackException.from_exception(error)
    seen = set()
    todo = [trace]
    while todo:
        one = todo.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        one.stack[:] = [f for f in one.stack if not f.filename.startswith(_HERE)]
        todo += [one.__cause__, one.__context__, *(getattr(one, "exceptions", None) or ())]
    return trace.format()


# --- becoming an engine -----------------------------------------------------


def _no_input(prompt=""):
    raise EOFError("engines have no standard input: push what the code needs")


def _reseed():
    """A fork copies random states; every engine needs its own."""
    import random

    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(int.from_bytes(os.urandom(4), "little"))


def _main_module():
    """A fresh __main__, whose dictionary is the engine's namespace."""
    main = types.ModuleType("__main__")
    main.__dict__["__builtins__"] = builtins
    sys.modules["__main__"] = main
    return main.__dict__


def _be_engine(birth, segment, log):
    engine_id, slot, epoch, _generation, control, out, err = birth
    crash = _pxrun.crash_fd(segment, slot)
    if crash >= 0:
        faulthandler.enable(crash, all_threads=False)
    _reseed()
    builtins.input = _no_input
    sys.stdin = open(os.devnull)
    sys.stdout = open(1, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)
    sys.stderr = open(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    handlers = Handlers(engine_id, _main_module())
    code = _pxrun.serve(engine_id, slot, epoch, segment, control, out, err, log, handlers)
    try:
        handlers.flush()
    finally:
        os._exit(0 if code == 0 else 1)


# --- the program ------------------------------------------------------------


def _preload(names):
    """Imports modules for all engines to share. Returns the first complaint, or None."""
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError as error:
            if name not in _CUSTOMARY:
                print(f"pxrun: preload of {name!r}: {error}", file=sys.stderr)


def _reason_not_to_fork():
    """Why this process must not be forked, None if it may be."""
    threads = len(os.listdir("/proc/self/task"))
    if threads == 1:
        return None
    return f"a preloaded module has started threads ({threads} run): engines are started one by one instead"


def _options(argv):
    """Arguments as the supervisor gives them: ``--name value``, and two flags."""
    options = {"preload": "", "sys-path": ""}
    words = iter(argv)
    for word in words:
        if word in ("--template", "--engine"):
            options["mode"] = word[2:]
        elif word.startswith("--"):
            options[word[2:]] = next(words, "")
        else:
            raise SystemExit(f"pxrun.engine: what is {word!r}? The supervisor starts engines; people use pxrun(1)")
    if "mode" not in options:
        raise SystemExit("pxrun.engine is started by a pool's supervisor; to start a pool use pxrun(1) or pxrun.Cluster")
    return options


def main(argv: list[str]) -> int:
    """The template of a pool (``--template``), or one engine (``--engine``)."""
    options = _options(argv)
    control, segment, log = int(options.get("control", 3)), 4, 5
    for fd in (control, segment, log):
        os.set_inheritable(fd, False)
    sys.path[:0] = ["", *filter(None, options["sys-path"].split(":"))]
    _preload(filter(None, options["preload"].split(",")))
    if options["mode"] == "engine":
        birth = *(int(options[k]) for k in ("id", "slot", "epoch", "generation")), control, 6, 7
        _pxrun.settle(os.getppid())
        _be_engine(birth, segment, log)
    gc.collect()
    gc.freeze()
    birth = _pxrun.template(control, segment, _reason_not_to_fork())
    if birth is not None:
        _be_engine(birth, segment, log)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
