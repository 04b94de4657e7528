# SPDX-License-Identifier: BSD-3-Clause
"""Calls whose function is named, or kept by engines: found, followed, refused."""
import http.client
import os
import pickle
import types

import pytest

from pxrun import _pxrun, error
from pxrun.wire import calls, frames, pickling, values

TOKEN = b"0123456789abcdef"


def ask(rc, body):
    """What an engine answers to a call: its value, or the name and words of what it raised."""
    result = rc._core.submit(_pxrun.APPLY, 0, [rc.ids[0]], body, None)
    assert result.wait(30, None)
    code, body, _ = result.reply(0)
    if code == 0:
        return pickling.loads(body)
    assert code == _pxrun.EREMOTE
    return tuple(values.decode(body)[:2])


def test_a_function_of_a_module_is_named():
    assert frames.is_named(calls.dumps(os.getpid, (), {}, True)[0])
    assert not frames.is_named(calls.dumps(lambda: 0, (), {}, True)[0])


def test_named(pool):
    assert ask(pool, frames.named("operator", "add") + pickle.dumps((1, 2))) == 3


def test_a_module_is_imported_if_need_be(pool):
    view = pool[pool.ids[:1]]
    view.execute("import sys; sys.modules.pop('colorsys', None)", block=True)
    assert ask(pool, frames.named("colorsys", "rgb_to_hsv") + pickle.dumps((0.0, 0.0, 0.0))) == (0.0, 0.0, 0.0)


def test_a_module_that_is_reloaded_is_followed(pool, tmp_path):
    file = tmp_path / "changing.py"
    file.write_text("def value():\n    return 1\n")
    view = pool[pool.ids[0]]
    view.execute(f"import sys; sys.path.insert(0, {str(tmp_path)!r}); sys.dont_write_bytecode = True", block=True)
    body = frames.named("changing", "value") + pickle.dumps(())
    assert ask(pool, body) == 1
    file.write_text("def value():\n    return 'another'\n")
    view.execute("import importlib, changing; importlib.invalidate_caches(); importlib.reload(changing)", block=True)
    assert ask(pool, body) == "another"
    view.execute("sys.path.remove(sys.path[0])", block=True)


def test_what_is_not_there_is_named(pool):
    ename, evalue = ask(pool, frames.named("operator", "nothing") + pickle.dumps(()))
    assert (ename, evalue) == ("AttributeError", "module 'operator' has no attribute 'nothing'")
    ename, evalue = ask(pool, frames.named("no_such_module", "f") + pickle.dumps(()))
    assert (ename, evalue) == ("ModuleNotFoundError", "No module named 'no_such_module'")


def test_kept_once(pool):
    body = frames.by_token(TOKEN, pickle.dumps(abs)) + pickle.dumps((-1,))
    assert ask(pool, body) == 1
    # now it is known under the token, whatever comes along
    assert ask(pool, frames.by_token(TOKEN, b"") + pickle.dumps((-2,))) == 2


def test_kept_that_is_not_there(pool):
    unknown = b"x" * 16
    assert ask(pool, frames.by_token(unknown, b"") + pickle.dumps(())) == ("NotKept", unknown.hex())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"N",
        b"K",
        b"N\x00\x00\x00",
        b"K" + TOKEN + b"\x01\x00\x00",
        frames.named("operator", "add"),
        frames.named("operator", "add") + b"no pickle",
        frames.named("operator", "add") + pickle.dumps([1, 2]),
        b"N\xff\xff\xff\xff" + b"operator\nadd" + pickle.dumps((1, 2)),
        b"N\x03\x00\x00\x00add" + pickle.dumps((1, 2)),
        b"N\x02\x00\x00\x00\n\n" + pickle.dumps(()),
        b"N\x03\x00\x00\x00\xff\n\xfe" + pickle.dumps(()),
        b"N\x05\x00\x00\x00a\0b\nc" + pickle.dumps(()),
        frames.by_token(b"y" * 16, b"no pickle") + pickle.dumps(()),
        b"K" + TOKEN + b"\xff\xff\xff\xff" + pickle.dumps(()),
        pickle.dumps((abs, (1,))),
        pickle.dumps((abs, [1], {})),
        pickle.dumps((abs, (1,), None)),
    ],
    ids=repr,
)
def test_what_is_no_call_is_refused(pool, body):
    ename, evalue = ask(pool, body)
    assert ename in {"TypeError", "ModuleNotFoundError"}, evalue
    assert ask(pool, frames.named("operator", "add") + pickle.dumps((1, 2))) == 3


def test_names_of_any_script(pool):
    """A name of a module that is no ASCII."""
    view = pool[pool.ids[0]]
    view.execute("import sys, types; sys.modules['größe'] = m = types.ModuleType('größe'); m.wert = lambda: 7", block=True)
    assert ask(pool, frames.named("größe", "wert") + pickle.dumps(())) == 7


def test_a_map_after_an_error_goes_on(pool):
    view = pool.load_balanced_view()
    with pytest.raises(error.RemoteError, match="unsupported operand|bad operand"):
        view.map_sync(abs, ["x"], chunksize=1)
    assert view.map_sync(abs, [-1, -2], chunksize=1) == [1, 2]


def length(*parts):
    return b"".join(len(part).to_bytes(4, "little") for part in parts)


def test_by_value(pool):
    head = pickling.value_head(lambda x: x + 1, True)
    assert head.startswith(b"V") and ask(pool, head + b"t\1\0\0\0i" + (6).to_bytes(8, "little")) == 7
    assert ask(pool, head + pickle.dumps((6.5,))) == 7.5
    of_module = types.FunctionType((lambda: HTTP_PORT).__code__, http.client.__dict__)  # noqa: F821
    head = pickling.value_head(of_module, True)
    assert head.startswith(b"V") and ask(pool, head + b"t\0\0\0\0") == http.client.HTTP_PORT
    # with more than code
    assert [pickling.value_head(f, True) for f in (lambda x=1: x, lambda: head, os.getpid)] == [None] * 3


def test_a_function_is_made_anew_for_each_call(pool):
    view = pool[0]
    assert view.apply_sync(lambda: __import__("sys")._getframe().f_code.co_name) == "<lambda>"

    def keeps():
        keeps_nothing = globals().setdefault("there", 0)
        globals()["there"] += 1
        return keeps_nothing

    assert [view.apply_sync(keeps) for _ in range(3)] == [0, 1, 2]
    view.clear(block=True)
    assert view.apply_sync(keeps) == 0


def test_code_of_another_python_is_refused(pool):
    head = pickling.value_head(lambda: 0, False)
    code = bytes([3, 2]) + head[1 + 16 + 2 :].removesuffix(b"<lambda>")
    ename, evalue = ask(pool, b"V" + length(code, b"f", b"", b"") + code + b"f" + b"t\0\0\0\0")
    assert ename == "TypeError" and "Python 3.2" in evalue


@pytest.mark.parametrize("body", [b"V", b"V" + b"\xff" * 16, b"V" + length(b"abc", b"", b"", b"") + b"ab", b"V" + length(b"", b"", b"", b"")])
def test_garbage_by_value_is_an_error(pool, body):
    assert ask(pool, body)[0] in ("TypeError", "EOFError", "ValueError")
    assert pool[0].apply_sync(os.getpid)


def test_a_damaged_call_by_value_is_an_error_or_works(pool):
    """Of some code that was damaged marshal would die, of other code the interpreter."""

    def halve(number):
        halves = []
        while len(halves) < 3 and number:
            number //= 2
            halves.append(str(number))
        return tuple(halves)

    body = pickling.value_head(halve, True) + b"t\1\0\0\0i" + (6).to_bytes(8, "little")
    assert body.startswith(b"V") and ask(pool, body) == ("3", "1", "0")
    before = pool[pool.ids[0]].apply_sync(os.getpid)
    for at in range(len(body)):
        for bit in range(8):
            answer = ask(pool, body[:at] + bytes([body[at] ^ 1 << bit]) + body[at + 1 :])
            assert type(answer) is tuple and all(isinstance(one, str) for one in answer)
    assert pool[pool.ids[0]].apply_sync(os.getpid) == before
