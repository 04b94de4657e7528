# SPDX-License-Identifier: BSD-3-Clause
"""The Python half of an engine: what lib/python/ext/running.c calls for requests.

The C loop takes requests and sends replies; here is what is easier in Python: running code, finding
functions, pickling results, describing exceptions.
"""
from __future__ import annotations

import ast
import importlib
import linecache
import pickle
import tokenize
import traceback
import types

from .. import _pxrun
from ..wire import brought, columns, failure, foreign, functions, pickling, values
from . import calls, changes, ending, neutral, residents, shell, tasks

#: Types of frequent results that plain pickle can do.
_PLAIN = {bool, int, float, complex, str}
#: What a call that cannot be read raises as it is: it says what is missing.
_SAID = ImportError, AttributeError, MemoryError, residents.Absent, tasks.NotKept
#: For how many executed pieces of code tracebacks can show source lines.
_SOURCES_KEPT = 10000


def _awaits(tree):
    """Whether code awaits outside of any function."""
    todo = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, (ast.Await, ast.AsyncFor, ast.AsyncWith)):
            return True
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            todo += ast.iter_child_nodes(node)
    return False


def _is_quiet(last, source):
    """Whether a last expression is followed by a semicolon, by which IPython does not show its value."""
    rest = source.split("\n")[last.end_lineno - 1].encode()[last.end_col_offset :]  # columns are counted in bytes
    return rest.lstrip().startswith(b";")


# --- the handlers -----------------------------------------------------------


class Handlers:
    """What ``_pxrun.serve`` calls; engine.c takes the attributes by name (take_handlers())."""

    def __init__(self, engine_id: int, namespace: dict) -> None:
        self.engine_id = engine_id
        self.namespace = namespace
        self.count = 0
        self.functions: dict = {}
        self.code_of, self.globals_of = functions.code_of, functions.globals_of
        self.take_along, self.function = brought.take, types.FunctionType
        self.kept, self.keep_pickled = tasks.kept, tasks.keep_pickled
        self.loads = pickle.loads
        self.pull = calls.pull
        self.to_array, self.form, self.words = neutral.to_array, neutral.form, neutral.words
        self.autoreload, self.tell = changes.autoreload, changes.tell

    def unreadable(self, error):
        """Raises the error that the client gets for a call that could not be unpickled."""
        if not isinstance(error, Exception) or isinstance(error, _SAID):
            raise error
        raise TypeError(f"the engine cannot unpickle the call: {failure.words(error)}") from error

    def dumps(self, result):
        """The pickle of a result, and its out-of-band buffers."""
        if type(result) in _PLAIN or columns.is_scalar(type(result)):
            return pickle.dumps(result, 5), None
        if type(result) is tasks.Items:
            return self.dumps_items(result)
        try:
            return pickling.dumps_result(columns.packed(result) if type(result) is list else result)
        except Exception as error:
            kind = type(result.value if type(result) is foreign.By else result).__name__
            raise TypeError(f"the result, of type {kind}, cannot be sent: {failure.words(error)}") from error

    def dumps_items(self, items):
        """As dumps(), of the results of a chunk: one that cannot be pickled does not take the others with it."""
        try:
            return pickling.dumps_result(columns.packed(list(items)))
        except Exception:
            return pickling.dumps_result(tasks.sendable(items, self.dumps))

    def execute(self, code, silent):
        """EXECUTE: code as at a prompt; the reply's body, with the repr of a last expression's value."""
        self.count += 1
        name = f"<pxrun-{self.count}>"
        # so that tracebacks can show the line, which must end with a newline
        linecache.cache[name] = (len(code), None, [line + "\n" for line in code.split("\n")], name)
        linecache.cache.pop(f"<pxrun-{self.count - _SOURCES_KEPT}>", None)
        with shell.events(code, silent):
            shown = self.run_code(code, name)
        if not silent:
            shell.keep(self.count, code, shown)
        if shown is None or silent:
            return values.encode([self.count, None])
        rich = shell.rich(shown)
        return values.encode([self.count, repr(shown)] + [rich] * (rich is not None))

    def start_up(self, code):
        """The pool's setting startup: code, or the path of a file with it (px_setting_is_path() in lib/pool/setting.c)."""
        name = "<startup>"
        if "\n" not in code and (code.startswith("/") or code.endswith(".py")):
            name = code
            with tokenize.open(code) as file:
                code = file.read()
        linecache.cache[name] = (len(code), None, [line + "\n" for line in code.split("\n")], name)
        self.run_code(code, name)

    def run_code(self, code, name):
        tree, source = self.parse(code, name)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        self.evaluate(tree, name, "exec")
        if last is None:
            return None
        value = self.evaluate(ast.Expression(last.value), name, "eval")
        if value is None or _is_quiet(last, source) or (source is not code and code.rstrip().endswith(";")):  # of a magic
            return None
        self.namespace["_"] = value
        return value

    def parse(self, code, name):
        """The syntax tree of code, which may have IPython's syntax, and the Python code that it is of."""
        # dont_inherit, or else the __future__ imports of this file would apply
        flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        try:
            return compile(code, name, "exec", flags, dont_inherit=True), code
        except SyntaxError:
            translated = shell.translate(code)
            if translated is None:
                raise
            return compile(translated, name, "exec", flags, dont_inherit=True), translated

    def evaluate(self, tree, name, mode):
        waits = _awaits(tree)
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT if waits else 0
        value = eval(compile(tree, name, mode, flags, dont_inherit=True), self.namespace)
        if waits:
            import asyncio

            return asyncio.run(value)
        return value

    def resolve(self, name):
        """The callable for a C program's "module:function", or for a name in the namespace."""
        module, colon, path = name.rpartition(":")
        if not colon:
            return self._named(name)
        found = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
        self.functions[name] = found
        return found

    def _named(self, name):
        """What a name in the namespace, or an expression, stands for."""
        try:
            return eval(name, self.namespace)
        except NameError as error:
            if error.name != name.partition(".")[0]:
                raise
            of_module = "module:function" if error.name == name else ":".join(name.rsplit(".", 1))
            hint = f"{error} in the engine's namespace; a function of a module is named with a colon: '{of_module}'"
            raise NameError(hint, name=error.name) from None

    def push(self, name, value):
        calls.push({name: value})

    def map(self, function, first, items):
        """A chunk of a C program's map, whose first item is that of the whole map."""
        return calls.map_chunk(function, items, at=(first, 1))

    def failure(self, error, method):
        """The body of a PX_EREMOTE reply: ename, evalue, traceback, pickle, method; and whether it has PX_REPLY_UNMET."""
        return values.encode([*failure.describe(error), method]), failure.is_unmet(error)

    def forked(self, error):
        """In a child that user code forked and that returned from the request: ends it as a script ends."""
        code = 0
        if isinstance(error, SystemExit):
            code = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
        elif error is not None:
            code = 1
            traceback.print_exception(error)
        if error is not None:  # its frames have the namespace
            error.__traceback__ = error.__context__ = None
        ending.end(self)
        _pxrun.end(code & 0xFF)
