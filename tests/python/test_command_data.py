# SPDX-License-Identifier: BSD-3-Clause
"""`pxrun push`, `pull`, `scatter` and `gather`: values between engines and files."""

import contextlib
import json
import os
import pty
import stat
import subprocess

import numpy as np
import pytest

from command import ENGINE, FAILED, NO_POOL, OK, USAGE, own_command

VERBS = ["push", "pull", "scatter", "gather"]


@pytest.fixture
def pxrun(tmp_path):
    with own_command() as run:
        run("start", "-n", "3", "-d")
        os.chdir(tmp_path)
        yield run
        os.chdir("/")


def write(name, data):
    with open(name, "wb") as file:
        file.write(data if isinstance(data, bytes) else data.encode())
    return name


def read(name):
    with open(name, "rb") as file:
        return file.read()


def value(pxrun, expression, engine=0):
    return pxrun("exec", "-t", str(engine), expression).stdout.split(": ", 1)[1].rstrip("\n")


# --- there and back ---


ARRAYS = [
    np.arange(20.0).reshape(10, 2), np.arange(3, dtype="i2"), np.zeros((0, 4)), np.asfortranarray(np.arange(12).reshape(3, 4)),
    np.arange(5, dtype=">i4"), np.array([True, False]), np.arange(300_000.0), np.array([1 + 2j]),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype}{a.shape}")
def test_arrays_there_and_back(pxrun, array):
    np.save("a.npy", array)
    pxrun("push", "a=a.npy")
    pxrun("pull", "a", "-t", "1", "-o", "b.npy")
    back = np.load("b.npy")
    assert back.dtype == array.dtype.newbyteorder("=") and np.array_equal(back, array)
    pxrun("scatter", "a=a.npy")
    pxrun("gather", "a", "-o", "c.npy")
    assert np.array_equal(np.load("c.npy"), array)


@pytest.mark.parametrize("text", ["", "one\ntwo", "a\r\n\0 \u00fc\n\n", "x" * 300_000], ids=len)
def test_texts_there_and_back(pxrun, text):
    write("t.txt", text)
    pxrun("push", "t=t.txt")
    pxrun("pull", "t", "-t", "2", "-o", "u.txt")
    assert read("u.txt") == text.encode()


@pytest.mark.parametrize("given", [None, 1, -2.5, "\u00fc\n", [1, [2, {}]], {"a": [True, None]}, 10 ** 40, []])
def test_json_there_and_back(pxrun, given):
    write("v.json", json.dumps(given))
    pxrun("push", "v=v.json")
    assert value(pxrun, "repr(v)") == repr(repr(given))
    pxrun("pull", "v", "-t", "0", "-o", "w.json")
    assert json.loads(read("w.json")) == given


@pytest.mark.parametrize("items", [[], [1], [1, "a", None, [2], {"k": 3}, 6.5, 7], ["a", "b"]])
def test_lists_are_cut_and_joined(pxrun, items):
    write("l.json", json.dumps(items))
    pxrun("scatter", "l=l.json")
    pxrun("gather", "l", "-o", "m.json")
    assert json.loads(read("m.json")) == items
    parts = [eval(value(pxrun, "repr(l)", engine).strip("'\"")) for engine in range(3)]
    assert [len(part) for part in parts] == [len(part) for part in np.array_split(np.arange(len(items)), 3)]


def test_lines_are_cut_and_joined(pxrun):
    write("t", "one\ntwo\n\nfour")
    pxrun("scatter", "t=t")
    assert value(pxrun, "t") == "['one', 'two']"
    assert pxrun("gather", "t").stdout == "one\ntwo\n\nfour\n"


def test_targets_have_their_parts_in_their_order(pxrun):
    write("l.json", "[1, 2, 3]")
    pxrun("scatter", "-t", "2,0", "l=l.json")
    assert pxrun("gather", "-t", "2,0", "l").stdout == "[1, 2, 3]\n"
    assert "l is not defined there" in pxrun("gather", "l", code=FAILED).stderr


def test_standard_input_and_output(pxrun):
    np.save("a.npy", np.arange(4))
    pxrun("push", "--format", "npy", "a=-", stdin=open("a.npy"))
    done = subprocess.run(["pxrun", "pull", "-t", "0", "a"], env=pxrun.env, capture_output=True, timeout=30, check=True)
    assert done.stdout == read("a.npy")
    done = subprocess.run("pxrun scatter -f npy b=- <a.npy && pxrun gather b", shell=True, env=pxrun.env, capture_output=True, timeout=30)
    assert done.stdout == read("a.npy")
    pxrun("push", "-f", "json", "v=-", input='{"k": "\u00fc"}')
    assert pxrun("pull", "v").stdout == '{"k": "\u00fc"}\n' * 3
    pxrun("push", "-f", "text", "t=-", input="no newline")
    assert pxrun("pull", "-t", "0", "t").stdout == "no newline\n"


def test_several_files_and_several_engines(pxrun):
    write("a.json", "1")
    write("b.txt", "two")
    pxrun("push", "a=a.json", "b=b.txt")
    pxrun("pull", "a", "-o", "out.json")
    pxrun("pull", "b", "-o", "{}th", "-t", "1")
    pxrun("pull", "b", "-o", "sub.d/x", code=FAILED)
    os.mkdir("sub.d")
    pxrun("pull", "b", "-o", "sub.d/x")
    assert sorted(os.listdir()) == ["1th", "a.json", "b.txt", "out-0.json", "out-1.json", "out-2.json", "sub.d"]
    assert sorted(os.listdir("sub.d")) == ["x-0", "x-1", "x-2"]


def test_forms_that_are_asked_for(pxrun):
    pxrun("exec", "import numpy as np; a = np.arange(3); n = np.float32(1.5); s = {1}")
    assert pxrun("pull", "-t", "0", "-f", "json", "a").stdout == "[0, 1, 2]\n"
    assert pxrun("pull", "-t", "0", "-f", "text", "a").stdout == "array([0, 1, 2])\n"
    assert pxrun("pull", "-t", "0", "n").stdout == "1.5\n"
    assert pxrun("pull", "-t", "0", "-f", "text", "s").stdout == "{1}\n"


# --- what is wrong ---


@pytest.mark.parametrize("arguments, code, words", [
    (["push"], USAGE, "no name: what is it about?"),
    (["push", "file"], USAGE, "'file' is not NAME=FILE, such as"),
    (["push", "a="], USAGE, "'a=' is not NAME=FILE"),
    (["push", "=f"], USAGE, "'' is no name of a variable"),
    (["push", "2a=f"], USAGE, "'2a' is no name of a variable"),
    (["push", "a.b=f"], USAGE, "'a.b' is no name of a variable"),
    (["push", "a" * 300 + "=f"], USAGE, "the name is too long"),
    (["push", "a=-"], USAGE, "standard input does not say what it is: --format npy, json or text"),
    (["push", "-f", "csv", "a=f"], USAGE, "--format must be npy, json or text, not 'csv'"),
    (["push", "-o", "x", "a=f"], USAGE, "invalid option -- 'o'"),
    (["push", "--fromat=x", "a=f"], USAGE, "did you mean '--format'?"),
    (["push", "a=nosuch"], USAGE, "there is no file 'nosuch'"),
    (["push", "a=."], FAILED, "Is a directory"),
    (["push", "a=bad.json"], FAILED, "a=bad.json: engines 0, 1, 2: it is no JSON: Expecting property name"),
    (["push", "a=deep.json"], FAILED, "it is no JSON"),
    (["push", "a=empty.json"], FAILED, "it is no JSON: Expecting value"),
    (["push", "a=bytes"], FAILED, "it is no text in UTF-8: invalid start byte at byte 2"),
    (["push", "a=empty.npy"], USAGE, "'empty.npy' ends before its array does"),
    (["push", "a=short.npy"], USAGE, "'short.npy' ends before its array does"),
    (["push", "-f", "npy", "a=bytes"], USAGE, "'bytes' ends before"),
    (["push", "a=words.npy"], USAGE, "elements of dtype '<U1', which pxrun has no arrays of"),
    (["push", "-t", "7", "a=f"], ENGINE, "there is no engine 7; the live ones are 0, 1, 2"),
    (["push", "-p", "nosuch", "a=f"], NO_POOL, "no pool runs"),
    (["scatter", "a=1.json"], FAILED, "it is of type int: only lists, lines of text and arrays"),
    (["scatter", "a=scalar.npy"], USAGE, "of an array of 0 dimensions"),
    (["scatter", "a=f", "b=f"], USAGE, "unexpected argument 'b=f'"),
    (["pull", "a"], FAILED, "engines 0, 1, 2: a is not defined there"),
    (["pull", "a", "b"], USAGE, "unexpected argument 'b'"),
    (["pull", "1"], USAGE, "'1' is no name of a variable"),
    (["pull", "few"], FAILED, "pxrun: engines 0, 2: few is not defined there"),
    (["pull", "-t", "0", "odd"], FAILED, "engine 0: odd cannot be written as JSON (type complex has no form in JSON): --format text gives its repr"),
    (["pull", "-t", "0", "me"], FAILED, "engine 0: me cannot be written as JSON (Circular reference detected)"),
    (["pull", "-t", "0", "odd", "-o", "x.npy"], FAILED, "odd is of type complex, which is not for a .npy file"),
    (["pull", "-t", "0", "words", "-o", "x.npy"], FAILED, "words is an array of dtype <U1 and shape (1,), which is not for a .npy"),
    (["pull", "rows"], USAGE, "arrays of several engines: -o FILE.npy writes a file for each"),
    (["pull", "rows", "-o", ""], USAGE, "-o must be the name of a file"),
    (["pull", "rows", "-o", "x" * 300], FAILED, "File name too long"),
    (["gather", "few"], FAILED, "few is not defined there"),
    (["gather", "odd"], FAILED, "odd is of type complex: parts of arrays and of lists are joined"),
    (["gather", "mixed"], USAGE, "mixed is an array on some engines"),
    (["gather", "rows", "-o", "x.npy"], USAGE, "dimension 1 of entry 1 is 2, that of the array 1"),
])
def test_what_is_wrong_is_said_and_nothing_is_left(pxrun, arguments, code, words):
    write("f", "")
    write("bad.json", "{bad")
    write("deep.json", "[" * 100_000)
    write("empty.json", "")
    write("1.json", "1")
    write("bytes", b"ab\xff")
    write("empty.npy", "")
    np.save("words.npy", np.array(["x"]))
    np.save("scalar.npy", np.array(1.0))
    np.save("a.npy", np.arange(100))
    write("short.npy", read("a.npy")[:-1])
    pxrun("exec", "import numpy as np; odd = 1j; me = []; me.append(me); words = np.array(['x'])")
    for engine in range(3):
        pxrun("exec", "-t", str(engine), f"rows = np.zeros((2, {engine} + 1)); mixed = [np.zeros(1), [1], ['a']][{engine}]")
    pxrun("exec", "-t", "1", "few = 1")
    before = sorted(os.listdir())
    done = pxrun(*arguments, code=code)
    assert words in done.stderr and "Traceback" not in done.stderr
    assert sorted(os.listdir()) == before


def test_engines_that_have_it_give_it(pxrun):
    pxrun("exec", "-t", "1", "few = 1")
    assert "engines 0, 2" in pxrun("pull", "few", "-o", "x.json", code=FAILED).stderr
    assert read("x-1.json") == b"1\n"


@pytest.mark.parametrize("verb", ["pull", "gather"])
def test_arrays_are_not_for_a_terminal(pxrun, verb):
    pxrun("exec", "import numpy as np; a = np.zeros(3)")
    ours, its = pty.openpty()
    done = subprocess.run(["pxrun", verb, "-t", "0", "a"], env=pxrun.env, stdout=its, stderr=subprocess.PIPE, text=True, timeout=30)
    os.close(its)
    os.close(ours)
    assert done.returncode == USAGE and "an array is not for a terminal" in done.stderr


@pytest.mark.parametrize("verb", ["pull", "gather"])
@pytest.mark.parametrize("code", ["a = ['x'] * 100_000", "import numpy as np; a = np.zeros(100_000)"])
def test_full_disk_leaves_what_was_there(pxrun, verb, code):
    """A limit on the size of files stands for it."""
    pxrun("exec", code)
    write("out", "old")
    done = subprocess.run(["sh", "-c", f"ulimit -f 1; pxrun {verb} -t 0 a -o out"], env=pxrun.env,
                          capture_output=True, text=True, timeout=30)
    assert done.returncode == FAILED and "File too large" in done.stderr
    assert read("out") == b"old" and os.listdir() == ["out"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(["pxrun", verb, "-t", "0", "a"], env=pxrun.env, stdout=full, stderr=subprocess.PIPE, timeout=30)
    assert done.returncode == FAILED and b"No space left on device" in done.stderr


@pytest.mark.parametrize("verb", ["pull", "gather"])
def test_killed_while_it_writes_leaves_what_was_there(pxrun, verb):
    pxrun("exec", "import numpy as np; a = np.zeros(3_000_000)")
    for i in range(12):
        write("out", "old")
        with subprocess.Popen(["pxrun", verb, "-t", "0", "a", "-o", "out"], env=pxrun.env) as process:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.003 * i)
            process.kill()
        assert len(read("out")) in (3, 24_000_128)
        for left in set(os.listdir()) - {"out"}:  # killed between two system calls, the first of which gives it a name
            assert len(read(left)) == 24_000_128
            os.unlink(left)


def test_links_modes_and_devices_stay(pxrun):
    write("real", "old")
    os.chmod("real", 0o640)
    os.symlink("real", "link")
    pxrun("exec", "t = 'new'")
    pxrun("pull", "t", "-t", "0", "-o", "link")
    assert os.path.islink("link") and read("real") == b"new" and stat.S_IMODE(os.stat("real").st_mode) == 0o640
    os.mkdir("far")
    os.symlink("../made", "far/second")
    os.symlink("far/second", "first")
    pxrun("pull", "t", "-t", "0", "-o", "first")  # creates what is meant, as the shell's > does
    assert os.path.islink("first") and os.path.islink("far/second") and read("made") == b"new"
    os.symlink("nowhere/made", "lost")
    os.symlink("loop", "loop")
    assert "No such file" in pxrun("pull", "t", "-t", "0", "-o", "lost", code=FAILED).stderr
    assert "Too many levels" in pxrun("pull", "t", "-t", "0", "-o", "loop", code=FAILED).stderr
    assert os.path.islink("lost") and os.path.islink("loop")
    pxrun("pull", "t", "-t", "0", "-o", "/dev/null")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_reader_of_output_that_is_gone(pxrun):
    pxrun("exec", "a = list(range(1_000_000))")
    done = subprocess.run("pxrun gather a | head -c 10", shell=True, env=pxrun.env, capture_output=True, text=True, timeout=30)
    assert done.stdout == "[0, 1, 2, " and not done.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_closed_streams(pxrun, verb):
    write("f", "x")
    done = subprocess.run(["sh", "-c", f"pxrun {verb} f=f <&- >&- 2>&-"], env=pxrun.env, timeout=30)
    assert done.returncode in (OK, FAILED, USAGE)


@pytest.mark.parametrize("verb", VERBS)
def test_help(pxrun, verb):
    text = pxrun("help", verb).stdout
    assert text.startswith(f"usage: pxrun {verb}") and pxrun(verb, "-h").stdout == text


def test_native_engines_say_so():
    with own_command() as pxrun:
        pxrun("start", "-n", "1", "-d", "--native")
        done = pxrun("pull", "a", code=FAILED)
        assert "interpreter" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("verb, name", [("pull", "give"), ("gather", "give_part")])
@pytest.mark.parametrize("answer", ["7", "[]", "['json', 7]", "[7, b'']"])
def test_an_answer_that_makes_no_sense(pxrun, verb, name, answer):
    pxrun("exec", f"import pxrun.engine.documents as documents\ndocuments.{name} = lambda *_: {answer}\na = 1")
    done = pxrun(verb, "a", code=FAILED)
    assert "the answer of engine 0 makes no sense" in done.stderr
