# SPDX-License-Identifier: BSD-3-Clause
"""Objects to bytes and buffers, and back.

Pickle protocol 5, with two differences. Functions that the engine cannot import
(those of ``__main__``, lambdas, nested ones) are sent by value, and their globals are
the namespace of the engine that runs them. Large buffers stay out of the stream: they
travel in shared memory, copied once however many engines get them.

Whatever plain pickle cannot do (classes of ``__main__``, modules, cells …) is done by
cloudpickle, which is imported only then.
"""
from __future__ import annotations

import functools
import io
import pickle
import sys
import types
from typing import Any, Callable, Sequence

from .._pxrun import BUFFERS_MAX, LENT_BYTES, LENT_STRING_BYTES, Buffer, Region, Stream, flat_call, unflat
from . import frames, names
from .classes import CACHED, DISPATCHER, by_value, cached, dataclass_words, reduce_descriptor, reduce_dispatcher, sent_class
from .functions import Along, NeedsCloudpickle, code_bytes, code_of, importable, plain_function, reduce_function
from .modules import attribute_of, can_be_imported, of_hidden_object

#: Of any pickle; a flat value has another first byte, see lib/python/ext/flat.h.
_PICKLE_BEGINS = b"\x80"


# --- calls with plain arguments ---------------------------------------------

#: Types of values that contain no function, class or buffer: plain pickle is enough for them.
PLAIN = {int, float, bool, complex, str, type(None)}


def by_name(f: Any) -> tuple[str, str] | None:
    """The module and the name there by which a function is sent; None: it is sent in another way."""
    home, name = getattr(f, "__module__", None), getattr(f, "__qualname__", None)
    module = sys.modules.get(home) if home and name else None
    if isinstance(module, types.ModuleType) and module.__dict__.get(str(name)) is f and module.__name__ != "__main__" and can_be_imported(str(home)):
        return str(home), str(name)
    return of_hidden_object(f)


class _Made:
    """Replaces a function in a plain pickle by what makes it."""

    __slots__ = ("reduced",)

    def __init__(self, *reduced: Any) -> None:
        self.reduced = reduced

    def __reduce__(self) -> tuple:
        return self.reduced


def _only_code(f: Any, bring: bool) -> tuple | None:
    """The arguments of plain_function() for a function that goes by value and has only code and a name; None: it is none."""
    if type(f) is not types.FunctionType or f.__code__ is DISPATCHER or importable(f):
        return None
    try:
        made, parts = reduce_function(f, names.along if bring else None)[:2]
    except NeedsCloudpickle:
        return None
    return parts if made is plain_function else None


def _sendable(f: Any, bring: bool) -> Any:
    """A function as plain pickle can take it: itself or a `_Made`; None if neither is possible."""
    named = by_name(f)
    if named is not None:
        return f if named != of_hidden_object(f) else _Made(attribute_of, named)
    parts = _only_code(f, bring)
    return None if parts is None else _Made(plain_function, parts)


def value_head(f: Any, bring: bool) -> bytes | None:
    """The head of a call of a function that goes by value, see `frames`; None: it is to be pickled."""
    parts = _only_code(f, bring)
    return None if parts is None else frames.by_value(*parts)


class Live:
    """Memory that is sent as it is, whatever its size."""

    __slots__ = ("memory",)

    def __init__(self, memory: Any) -> None:
        self.memory = memory

    def __reduce_ex__(self, protocol: Any) -> tuple:
        return memoryview, (pickle.PickleBuffer(self.memory),)


def live_under(array: Any) -> Any:
    """The live Region that a numpy array lies in, else None."""
    base = array.base
    while base is not None and type(base) is not Region:
        base = getattr(base, "base", None)
    return base if base is not None and base.live else None


class _Array:
    """Replaces an array in a plain pickle: pickled and read in half the time that numpy's own way takes."""

    __slots__ = ("array",)

    def __init__(self, array: Any) -> None:
        self.array = array

    def __reduce__(self) -> tuple:
        array = self.array
        return type(array), (array.shape, array.dtype.str, pickle.PickleBuffer(array))


def _is_plain_array(value: Any) -> bool:
    numpy = sys.modules.get("numpy")
    if numpy is None or type(value) is not numpy.ndarray or value.dtype.kind not in "biufc" or not value.size:
        return False
    flags = value.flags
    return flags.c_contiguous and flags.writeable and live_under(value) is None


#: Returned by _plain() if plain pickle is not enough.
_NOT = object()


def _plain(value: Any, made: dict[int, Any]) -> Any:
    """A value for a plain pickle, or _NOT; an object in two places stays one object."""
    kind = type(value)
    if kind in PLAIN:
        return value
    if id(value) in made:
        return made[id(value)]
    if kind is dict:
        new = made[id(value)] = {}
        for key, item in value.items():
            item = _plain(item, made)
            if item is _NOT or type(key) not in PLAIN:
                return _NOT
            new[key] = item
        return new
    if _is_plain_array(value):
        made[id(value)] = stands = _Array(value)
        return stands
    return _NOT


def dumps_plainly(f: Any, args: tuple, kwargs: dict, bring: bool = False) -> tuple[bytes, list | None] | None:
    """A call and its buffers if plain pickle is enough, as for most calls; else None. See `frames` for the body."""
    named = by_name(f)
    if named is not None and (body := flat_call(frames.named(*named), args, kwargs)) is not None:
        return body, None
    if not kwargs and PLAIN.issuperset(map(type, args)):
        if named is not None:
            return frames.named(*named) + pickle.dumps(args, 5), None
        sent = _sendable(f, bring)
        return None if sent is None else (pickle.dumps((sent, args, kwargs), 5), None)
    made: dict[int, Any] = {}
    plain_args = [_plain(arg, made) for arg in args]
    plain_kwargs = _plain(kwargs, made) if kwargs else kwargs
    if _NOT in plain_args or plain_kwargs is _NOT:
        return None
    sent = _sendable(f, bring)
    if sent is None:
        return None
    call = sent, tuple(plain_args), plain_kwargs
    if not made:
        return pickle.dumps(call, 5), None
    buffers = Buffers(False)
    return pickle.dumps(call, 5, buffer_callback=buffers), buffers.found or None


# --- the two picklers -------------------------------------------------------


def is_live(memory: Any) -> bool:
    """Whether memory is what a `Live` lends."""
    while type(memory) is memoryview:
        memory = memory.obj
    return hasattr(memory, "base") and live_under(memory) is not None


class Buffers:
    """The buffer_callback of a pickler: decides which buffers stay out of the stream."""

    def __init__(self, in_band: bool) -> None:
        self.found: list = []
        self.in_band = in_band

    def __call__(self, buffer: pickle.PickleBuffer) -> bool:
        if self.in_band or len(self.found) >= BUFFERS_MAX:
            return True
        memory = buffer.raw()
        if memory.nbytes < LENT_BYTES and not is_live(memory):
            return True
        self.found.append(buffer)
        return False


#: cloudpickle would send the text of one that is open for reading.
_FILES = {io.TextIOWrapper, io.BufferedReader, io.BufferedWriter, io.BufferedRandom, io.FileIO, Stream}


def _reduce(obj: Any, along: Along | None) -> Any:
    """Reductions of both picklers that differ from pickle's; NotImplemented for all else."""
    kind = type(obj)
    if kind is types.FunctionType:
        return _reduce_function(obj, along)
    if kind.__module__ == "numpy" and kind.__name__ == "ndarray":
        return _reduce_array(obj)
    if (named := of_hidden_object(obj)) is not None:
        return attribute_of, named
    if kind is CACHED:
        return NotImplemented if importable(obj) else (cached, (obj.__wrapped__, obj.cache_parameters()))
    if kind is functools.cached_property or kind is functools.singledispatchmethod:
        return reduce_descriptor(obj)
    if kind.__module__ == "dataclasses":
        return dataclass_words().get(id(obj), NotImplemented)
    if kind in _FILES:
        return _reduce_file(obj)
    if kind.__module__ == "tqdm.std" and kind.__name__ == "TqdmDefaultWriteLock":
        return kind, ()  # its executors get it as an initarg; it orders the lines of one process
    if kind.__module__ == "torch" and kind.__name__ == "Tensor":
        from . import tensors

        return tensors.reduce(obj)
    return NotImplemented


def _reduce_function(function: types.FunctionType, along: Along | None) -> Any:
    if importable(function):
        return NotImplemented
    return reduce_dispatcher(function) if function.__code__ is DISPATCHER else reduce_function(function, along)


def _reduce_file(file: Any) -> tuple:
    """stdout and stderr are those of whoever reads the pickle."""
    for name in ("stdout", "stderr"):
        if file is getattr(sys, name):
            return attribute_of, ("sys", name)
    raise TypeError(f"an open {type(file).__name__} belongs to the process that opened it: send the path, and open it there")


def _reduce_array(array: Any) -> Any:
    """An array with gaps is made contiguous: numpy would copy it twice, and change its byte order."""
    if array.size and live_under(array) is not None:
        if _returning:
            return array.copy(order="K").__reduce_ex__(5)
        from .. import arrays

        return arrays.reduce_live(array)
    flags = array.flags
    contiguous = flags.c_contiguous or flags.f_contiguous
    if array.dtype.hasobject:
        return NotImplemented
    if array.dtype.kind in "mM":
        return _of_dtype, (array.view("i8"), array.dtype.str)  # such arrays export no buffers
    if contiguous and array.nbytes < LENT_BYTES:
        return NotImplemented
    if not flags.writeable and contiguous:
        order = "C" if flags.c_contiguous else "F"
        return _writable, (pickle.PickleBuffer(array), array.shape, array.dtype, order)
    if contiguous:
        return NotImplemented
    return array.copy(order="C").__reduce_ex__(5)


def _writable(memory: Any, shape: tuple, dtype: Any, order: Any) -> Any:
    """A writable array over memory that pickle made read-only, although nobody else uses it."""
    import numpy

    while type(memory) is memoryview:
        memory = memory.obj
    if type(memory) is not Buffer:
        memory = bytearray(memory)
    return numpy.ndarray(shape, dtype, memory, order=order)


def _of_dtype(array: Any, dtype: Any) -> Any:
    return array.view(dtype)


class _Fast(pickle.Pickler):
    along: Along | None = None

    def reducer_override(self, obj: Any) -> Any:
        kind = type(obj)
        if kind is types.FunctionType:
            return _reduce_function(obj, self.along)
        if issubclass(kind, type):
            if importable(obj) or obj.__module__ == "builtins":
                return NotImplemented
            raise NeedsCloudpickle
        if kind is types.ModuleType or kind is types.CellType or kind is types.CodeType:
            raise NeedsCloudpickle
        return _reduce(obj, self.along)


_thorough: Any = None


def _thorough_pickler() -> Any:
    """cloudpickle's pickler with our functions; made when it is first needed."""
    global _thorough
    if _thorough is None:
        try:
            import cloudpickle
        except ImportError:
            raise TypeError("to send classes, modules or cells by value the package cloudpickle is needed") from None

        class Thorough(cloudpickle.CloudPickler):
            along: Along | None = None
            on_class: Callable[[type], Any] | None = None

            def reducer_override(self, obj: Any) -> Any:
                if type(obj) is types.CodeType:
                    return code_of, (code_bytes(obj),)
                try:
                    reduced = _reduce(obj, self.along)
                except NeedsCloudpickle:
                    reduced = NotImplemented
                if reduced is not NotImplemented:
                    return reduced
                with by_value(obj):
                    if isinstance(obj, types.ModuleType):
                        return self.dispatch_table[types.ModuleType](obj)
                    reduced = super().reducer_override(obj)
                if isinstance(obj, type) and type(reduced) is tuple and len(reduced) == 6:
                    if self.on_class is not None:
                        self.on_class(obj)
                    return sent_class(obj, reduced)
                return reduced

        _thorough = Thorough
    return _thorough


class _Bytes:
    """bytes or bytearray whose memory stays out of the stream."""

    __slots__ = ("value",)

    def __init__(self, value: bytes | bytearray) -> None:
        self.value = value

    def __reduce_ex__(self, protocol: Any) -> tuple:
        return type(self.value), (pickle.PickleBuffer(self.value),)


_WIDE = 64  #: longer containers are not searched for large bytes


def _wrap(obj: Any, made: dict[int, Any]) -> Any:
    """Replaces large bytes by `_Bytes`, in containers too; an object in two places stays one object."""
    if id(obj) in made:
        return made[id(obj)]
    kind = type(obj)
    if kind is bytes or kind is bytearray:
        new: Any = _Bytes(obj) if len(obj) >= LENT_STRING_BYTES else obj
    elif kind is list and len(obj) <= _WIDE:
        new = made[id(obj)] = []
        new += [_wrap(item, made) for item in obj]
    elif kind is dict and len(obj) <= _WIDE:
        new = made[id(obj)] = {}
        new.update((key, _wrap(value, made)) for key, value in obj.items())
    elif kind is tuple and len(obj) <= _WIDE:
        new = tuple([_wrap(item, made) for item in obj])
    else:
        return obj
    made[id(obj)] = new
    return new


def _holds_bytes(obj: Any, seen: set[int]) -> bool:
    """Whether _wrap() would replace something."""
    kind = type(obj)
    if kind is bytes or kind is bytearray:
        return len(obj) >= LENT_STRING_BYTES
    if kind is not list and kind is not tuple and kind is not dict or len(obj) > _WIDE or id(obj) in seen:
        return False
    seen.add(id(obj))
    return any([_holds_bytes(item, seen) for item in (obj.values() if kind is dict else obj)])


def dumps(obj: Any, in_band: bool = False, bring: bool = False) -> tuple[bytes, list | None]:
    """An object as a pickle and the buffers that belong to it.

    Parameters
    ----------
    obj : object
        Anything that pickle or cloudpickle can take.
    in_band : bool
        Whether to put everything into the stream; then there are no buffers.
    bring : bool
        Whether functions of the script bring along the names that they refer to, see `names`.

    Returns
    -------
    body : bytes
    buffers : list of pickle.PickleBuffer, or None
        They refer to the memory of the objects that were pickled.

    Raises
    ------
    TypeError, pickle.PicklingError, …
        As pickle and cloudpickle do.
    """
    if type(obj) in PLAIN:
        return pickle.dumps(obj, 5), None
    if _is_plain_array(obj):
        buffers = Buffers(in_band)
        return pickle.dumps(_Array(obj), 5, buffer_callback=buffers), buffers.found or None
    if not in_band and _holds_bytes(obj, set()):
        obj = _wrap(obj, {})
    buffers = Buffers(in_band)
    stream = io.BytesIO()
    try:
        fast = _Fast(stream, 5, buffer_callback=buffers)
        fast.along = names.Along() if bring else None
        fast.dump(obj)
    except (NeedsCloudpickle, pickle.PicklingError, TypeError, AttributeError):
        # pickle only says that it cannot; cloudpickle either can, or says why not
        stream = io.BytesIO()
        buffers = Buffers(in_band)
        thorough = _thorough_pickler()(stream, 5, buffer_callback=buffers)
        thorough.along = names.Along() if bring else None
        thorough.dump(obj)
    return stream.getvalue(), buffers.found or None


def snapshot(buffers: list | None) -> list | None:
    """Buffers that are kept to be sent later: copies, as the memory is the caller's, except of what is shared."""
    return None if buffers is None else [_snapshot(buffer) for buffer in buffers]


def _snapshot(buffer: pickle.PickleBuffer) -> pickle.PickleBuffer:
    memory = buffer.raw()
    return buffer if type(memory.obj) is bytes or is_live(memory) else pickle.PickleBuffer(bytearray(memory))


class TooLarge(Exception):
    """A definition has more bytes than are allowed."""


class _Bounded(io.BytesIO):
    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit

    def write(self, data: Any) -> int:
        if self.tell() + memoryview(data).nbytes > self.limit:
            raise TooLarge
        return super().write(data)

    def buffer(self, buffer: pickle.PickleBuffer) -> bool:
        """A buffer_callback: everything stays in the stream."""
        if buffer.raw().nbytes > self.limit:
            raise TooLarge
        return True


def dumps_definition(obj: Any, limit: int, on_function: Callable, on_class: Callable) -> bytes:
    """A pickle of limited size, else `TooLarge`; reports each function and class that goes by value in it."""
    try:
        stream = _Bounded(limit)
        fast = _Fast(stream, 5, buffer_callback=stream.buffer)
        fast.along = on_function
        fast.dump(obj)
    except (NeedsCloudpickle, pickle.PicklingError, TypeError, AttributeError):
        stream = _Bounded(limit)
        thorough = _thorough_pickler()(stream, 5, buffer_callback=stream.buffer)
        thorough.along, thorough.on_class = on_function, on_class
        thorough.dump(obj)
    return stream.getvalue()


#: Whether a result is being pickled: live arrays in results are copied.
_returning = False


def dumps_result(obj: Any) -> tuple[bytes, list | None]:
    """As dumps(), for what an engine returns."""
    global _returning
    _returning = True
    try:
        return dumps(obj)
    finally:
        _returning = False


def loads(body: bytes, buffers: Sequence = ()) -> Any:
    """The object that dumps() was given, or that a reply has flat; arrays lie in the buffers."""
    if body[:1] != _PICKLE_BEGINS:
        return unflat(body)
    return pickle.loads(body, buffers=buffers)
