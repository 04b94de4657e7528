# SPDX-License-Identifier: BSD-3-Clause
"""What runs inside an engine: ``python -m pxrun.engine``, started by the supervisor.

The C loop (``_pxrun.serve``) takes requests and sends replies; here is what is easier
said in Python: running code, calling functions, describing what went wrong.
"""
from __future__ import annotations

import ast
import builtins
import contextlib
import faulthandler
import gc
import importlib
import linecache
import os
import pickle
import signal
import sys
import traceback
import types

from . import _failure, _pxrun, _serialize, _values, shell
from .client import remote_calls

#: Preloaded without being asked for: no word is lost if they are not there.
_CUSTOMARY = {"numpy", "cloudpickle"}
#: Results that need nothing of _serialize, and are frequent.
_PLAIN = {bool, int, float, complex, str}
#: So many requests back, tracebacks can show lines of executed code.
_SOURCES_KEPT = 10000


def _awaits(tree):
    """Whether code waits for coroutines outside of any function."""
    todo = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, (ast.Await, ast.AsyncFor, ast.AsyncWith)):
            return True
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            todo += ast.iter_child_nodes(node)
    return False


# --- one engine's namespace, and what can be done in it ---------------------


class Handlers:
    """What ``_pxrun.serve`` calls for each kind of request."""

    def __init__(self, engine_id: int, namespace: dict) -> None:
        self.engine_id = engine_id
        self.namespace = namespace
        self.count = 0
        self.functions: dict = {}
        self.loads = pickle.loads
        self.none = _serialize.NONE
        self.pull = remote_calls.pull

    def unreadable(self, error):
        """Raises what the client is to hear of a call that could not be unpickled."""
        if not isinstance(error, Exception) or isinstance(error, (ImportError, AttributeError, MemoryError)):
            raise error
        raise TypeError(f"the engine cannot unpickle the call: {type(error).__name__}: {error}") from error

    def dumps(self, result):
        """The pickle of a result, and its buffers."""
        if type(result) in _PLAIN:
            return pickle.dumps(result, 5), None
        try:
            return _serialize.dumps_result(result)
        except Exception as error:
            kind = type(result).__name__
            raise TypeError(f"the result, of type {kind}, cannot be sent: {type(error).__name__}: {error}") from error

    def execute(self, code, silent):
        """EXECUTE: code as at a prompt; the reply's body, with the repr of a last expression's value."""
        self.count += 1
        name = f"<pxrun-{self.count}>"
        # so that tracebacks can show the line; they count on its end
        linecache.cache[name] = (len(code), None, [line + "\n" for line in code.split("\n")], name)
        linecache.cache.pop(f"<pxrun-{self.count - _SOURCES_KEPT}>", None)
        with shell.events(code, silent):
            shown = self.run_code(code, name)
        if shown is None or silent:
            return _values.encode([self.count, None])
        rich = shell.rich(shown)
        return _values.encode([self.count, repr(shown)] + [rich] * (rich is not None))

    def run_code(self, code, name):
        tree = self.parse(code, name)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        self.evaluate(tree, name, "exec")
        if last is None:
            return None
        value = self.evaluate(ast.Expression(last.value), name, "eval")
        if value is not None:
            self.namespace["_"] = value
        return value

    def parse(self, code, name):
        """The tree of code that may be IPython's."""
        # compile() hands on the __future__ of the file that calls it, unless told not to
        flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        try:
            return compile(code, name, "exec", flags, dont_inherit=True)
        except SyntaxError:
            translated = shell.translate(code)
            if translated is None:
                raise
            return compile(translated, name, "exec", flags, dont_inherit=True)

    def evaluate(self, tree, name, mode):
        waits = _awaits(tree)
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT if waits else 0
        value = eval(compile(tree, name, mode, flags, dont_inherit=True), self.namespace)
        if waits:
            import asyncio

            return asyncio.run(value)
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
        remote_calls.push({name: value})

    def failure(self, error, method):
        """The body of a PX_EREMOTE reply: ename, evalue, traceback, pickle, method."""
        return _values.encode([*_failure.describe(error), method])

    def forked(self, error):
        """Ends a child that user code forked, when it comes back from the request, as a script would end."""
        code = 0
        if isinstance(error, SystemExit):
            code = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
        elif error is not None:
            code = 1
            traceback.print_exception(error)
        try:
            self.flush()
        finally:
            os._exit(code & 0xFF)

    def flush(self):
        sys.stdout.flush()
        sys.stderr.flush()

    def to_array(self, buffer, code, bits, shape):
        """A tensor of a C program as an array over the memory it came in."""
        import numpy

        kind = {0: "i", 1: "u", 2: "f", 5: "c", 6: "b"}[code]
        return numpy.ndarray(shape, f"{kind}{bits // 8}", buffer)

    def from_array(self, value):
        """(memory, code, bits, shape) of what is an array, another value for a numpy scalar, else None."""
        numpy = sys.modules.get("numpy")
        if numpy and isinstance(value, numpy.generic):
            plain = value.item()
            return None if isinstance(plain, numpy.generic) else plain
        if numpy and isinstance(value, numpy.ndarray):
            array = numpy.asarray(value, order="C")
            memory, kind, itemsize = array.reshape(-1).view("u1"), array.dtype.kind, array.dtype.itemsize
            code = _DLPACK_CODES.get(kind) if array.dtype.isnative else None
        else:
            try:
                array = memory = memoryview(value)
            except TypeError:
                return None
            code = _DLPACK_CODES.get(_FORMATS.get(array.format, "")) if array.c_contiguous else None
            itemsize = array.itemsize
        return None if code is None or itemsize > 16 else (memory, code, itemsize * 8, tuple(array.shape))


#: numpy's kinds in DLPack's numbers, and the struct module's letters in numpy's kinds.
_DLPACK_CODES = {"i": 0, "u": 1, "f": 2, "c": 5, "b": 6}
_FORMATS = {**dict.fromkeys("bhilqn", "i"), **dict.fromkeys("BHILQN", "u"), **dict.fromkeys("efd", "f"), "?": "b"}


# --- becoming an engine -----------------------------------------------------


def _no_input(prompt=""):
    raise EOFError("engines have no standard input: push what the code needs")


def _reseed():
    """A fork copies random states; every engine needs its own. Importing draws a fresh one."""
    if "random" in sys.modules:
        sys.modules["random"].seed()
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed(int.from_bytes(os.urandom(4), "little"))


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
    sys.argv[:] = [""]
    sys.stdin = sys.__stdin__ = open(os.devnull)
    sys.stdout = sys.__stdout__ = _stream(1)
    sys.stderr = sys.__stderr__ = _stream(2)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.register_at_fork(after_in_child=lambda: _forget_engine(control))
    _share_arrays()
    handlers = Handlers(engine_id, _main_module())
    shell.offer(handlers.namespace)
    code = _pxrun.serve(engine_id, slot, epoch, segment, control, out, err, log, handlers)
    try:
        handlers.flush()
    finally:
        os._exit(0 if code == 0 else 1)


def _share_arrays():
    """Large numpy arrays lie in shared memory from the start, so that results need not be copied there."""
    if "pxrun._numpy" in sys.modules:
        sys.modules["pxrun._numpy"].install()


def _stream(fd):
    """Text on a descriptor, by lines: what is printed can be seen while the request runs."""
    return open(fd, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)


def _forget_engine(control):
    """In a child that user code forked: it is no engine, and its crash is not the engine's."""
    faulthandler.disable()
    os.close(control)


# --- the program ------------------------------------------------------------


def _preload(names):
    """Imports modules for all engines to share."""
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError as error:
            if name not in _CUSTOMARY:
                print(f"pxrun: preload of {name!r}: {error}", file=sys.stderr)
    if "numpy" in sys.modules:
        with contextlib.suppress(ImportError):  # built for another numpy, or not at all
            importlib.import_module("pxrun._numpy")


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
    descriptors = [control, segment, log] + [6, 7] * (options["mode"] == "engine")
    for fd in descriptors:
        os.set_inheritable(fd, False)
    sys.path[:0] = ["", *filter(None, options["sys-path"].split(":"))]
    # imports leave next to no garbage, and looking for it costs a tenth of their time
    gc.disable()
    _preload(filter(None, options["preload"].split(",")))
    if options["mode"] == "engine":
        birth = *(int(options[k]) for k in ("id", "slot", "epoch", "generation")), control, 6, 7
        _pxrun.settle(os.getppid())
        gc.enable()
        _be_engine(birth, segment, log)
    # what a module printed would be printed again by each engine
    sys.stdout.flush()
    gc.freeze()
    born = _pxrun.template(control, segment, _reason_not_to_fork())
    if born is not None:
        gc.enable()
        _be_engine(born, segment, log)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
