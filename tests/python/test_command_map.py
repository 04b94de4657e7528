# SPDX-License-Identifier: BSD-3-Clause
"""`pxrun map`: records, functions and commands, results, failures, deaths, signals, the job log."""
from __future__ import annotations

import contextlib
import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

LIMIT = 60
OK, FAILED, USAGE, NO_POOL = 0, 1, 2, 3


class Command:
    """`pxrun map` in a folder of its own, beside a pool of two engines that all tests of this file share."""

    def __init__(self, env):
        self.env = env
        self.folder = pathlib.Path.cwd()

    def __call__(self, *arguments, input="", code=OK, **options):
        text = isinstance(input, str)
        done = subprocess.run(["pxrun", "map", *arguments], env=self.env, input=input, text=text, timeout=LIMIT,
                              capture_output=True, cwd=self.folder, check=False, **options)
        assert done.returncode == code, done
        return done

    def begin(self, *arguments, **options):
        return subprocess.Popen(["pxrun", "map", *arguments], text=True, cwd=self.folder,
                                **{"env": self.env, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options})


@pytest.fixture(scope="module")
def env():
    folder = tempfile.mkdtemp(prefix="pxm.", dir="/tmp")  # a socket's path must be short
    env = dict(os.environ, XDG_RUNTIME_DIR=folder)
    for name in ("PXRUN_PROFILE", "PXRUN_ENGINES", "PXRUN_CONNECTION"):
        env.pop(name, None)
    subprocess.run(["pxrun", "start", "-n", "2", "-d"], env=env, timeout=LIMIT, check=True, stdout=subprocess.DEVNULL)
    yield env
    subprocess.run(["pxrun", "stop", "--all"], env=env, timeout=LIMIT, check=False)
    shutil.rmtree(folder)


@pytest.fixture
def pxmap(env, tmp_path):
    command = Command(env)
    command.folder = tmp_path
    return command


def lines(numbers):
    return "".join(f"{n}\n" for n in numbers)


def wait_until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.01)


# --- records and results ---


@pytest.mark.parametrize("text, arguments, result", [
    ("a\nb\nc", ["line.upper()"], "A\nB\nC\n"),
    ("", ["line"], ""),
    ("\n\n", ["repr(line)"], "''\n''\n"),
    ("a\r\n", ["repr(line)"], "'a\\r'\n"),
    ("a\n", ["_ + str(n)"], "a1\n"),
    ("a b\n", ["y = line.split(); y[1]"], "b\n"),
    ("1\n2\n", ["line if line == '2' else None"], "2\n"),
    ("1\n2\n", ["print('p' + line)"], "p1\np2\n"),
    ("1\n2\n", ["print('p'); int(line)"], "p\n1\np\n2\n"),
    ("a\0b\nc\0", ["-0", "repr(line)"], "'a'\n'b\\nc'\n"),
    ("x\0y\n", ["len(line)"], "3\n"),
    ('{"a": 1}\n\n[2]\n', ["--json", "x"], '{"a": 1}\n[2]\n'),
    ("null\n", ["--json", "x"], "null\n"),
    ('["a\\tb", null, 3]\n', ["--json", "--tsv", "x"], "a\\tb\t\t3\n"),
    ('n,v\na,"1\n2"\nb,3\r\n\n', ["--csv", "--json-out", "row"], '{"n": "a", "v": "1\\n2"}\n{"n": "b", "v": "3"}\n'),
    ('a"b,c\n1,"""x"""\n', ["--csv", "--tsv", "row"], '1\t"x"\n'),
    ("1\n", ["--json-out", "{1: {2}}"], '{"1": [2]}\n'),
    ("9\n", ["--init", "import math", "math.sqrt(int(line))"], "3.0\n"),
    ("/a/b.c\n", ["os.path:basename"], "b.c\n"),
    ("ü\n", ["line"], "ü\n"),
    ("1\n", ["b'x\\xff'.decode('utf-8', 'surrogateescape')[:1]"], "x\n"),
])
def test_records_become_results(pxmap, text, arguments, result):
    assert pxmap(*arguments, input=text).stdout == result


def test_any_bytes_come_out_as_they_went_in(pxmap):
    data = bytes(set(range(256)) - {10}) + b"\n"
    assert pxmap("line", input=data).stdout == data


@pytest.mark.parametrize("command, result", [
    ("echo {} {#}", "a b 1\nit's 2\n"),
    ("echo", "a b\nit's\n"),
    ("printf %s {}", "a bit's"),
    ("cat", None),
])
def test_commands(pxmap, command, result):
    if result is None:  # standard input is empty, and no file of that name is there
        assert "No such file" in pxmap("-c", command, ":::", "nosuch", code=FAILED).stderr
    else:
        assert pxmap("-c", command, ":::", "a b", "it's").stdout == result


def test_replacements_are_those_of_parallel(pxmap):
    done = pxmap("-c", "echo {} {.} {/} {//} {/.}", ":::", "d/e f.txt", "g")
    assert done.stdout == "d/e f.txt d/e f e f.txt d e f\ng g g . g\n"


def test_arguments_may_look_like_options(pxmap):
    assert pxmap("line", ":::", "-n", "--json").stdout == "-n\n--json\n"
    assert pxmap("line", ":::").stdout == ""


def test_modules_and_files_are_those_of_the_working_folder(pxmap):
    name = "pxmap_module"
    (pxmap.folder / f"{name}.py").write_text("def f(line):\n    return open('file').read() + line\n")
    (pxmap.folder / "file").write_text("here ")
    assert pxmap(f"{name}:f", ":::", "a").stdout == "here a\n"
    assert pxmap("-c", "cat", ":::", "file").stdout == "here "


def test_order_and_counts_of_many(pxmap):
    text = lines(range(200_000))
    assert pxmap("line", input=text).stdout == text
    assert sorted(pxmap("-u", "line", input=text).stdout.split()) == sorted(text.split())
    assert pxmap("--chunk", "7", "n", input=lines(range(1000))).stdout == lines(range(1, 1001))


def test_a_line_of_100_mb(pxmap):
    done = pxmap("line.upper()", input=b"x\n" + b"y" * 100_000_000 + b"\nz")
    assert done.stdout == b"X\n" + b"Y" * 100_000_000 + b"\nZ\n"


def test_a_line_is_worked_on_before_the_next_one_comes(pxmap):
    with pxmap.begin("line.upper()", stdin=subprocess.PIPE) as process:
        for word in "first", "second", "third":
            process.stdin.write(word + "\n")
            process.stdin.flush()
            assert process.stdout.readline() == word.upper() + "\n"
        process.stdin.close()
        assert process.wait(LIMIT) == OK


def test_endless_input_and_a_slow_reader_take_little_memory(pxmap):
    # of a sanitizer, which keeps what is freed from being used again, as much as it likes
    env = dict(pxmap.env, ASAN_OPTIONS=os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1")
    with subprocess.Popen(["yes", "x" * 100], stdout=subprocess.PIPE) as source:
        with pxmap.begin("line", stdin=source.stdout, env=env) as process:
            source.stdout.close()
            time.sleep(1)  # nobody reads
            for _ in range(200_000):
                process.stdout.readline()
            status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
            assert int(re.search(r"RssAnon:\s+(\d+)", status)[1]) < 100_000
            process.stdout.close()
            assert process.wait(LIMIT) == 128 + signal.SIGPIPE
            assert process.stderr.read() == ""
        source.terminate()


def test_a_private_pool_ends_with_the_command(pxmap, env):
    done = pxmap("-n", "3", "len(set(line)) + 0 * os.getpid()", "--init", "import os", input="aab\n")
    assert done.stdout == "2\n"
    running = json.loads(subprocess.run(["pxrun", "list", "--json"], env=env, capture_output=True, check=True).stdout)
    assert len(running) == 1


def test_init_runs_once_in_each_engine(pxmap):
    done = pxmap("--init", "import uuid; mark = uuid.uuid4()", "--chunk", "1", "mark", input=lines(range(50)))
    assert 1 <= len(set(done.stdout.split())) <= 2
    again = pxmap("--init", "import uuid; mark = uuid.uuid4()", "--chunk", "1", "mark", input=lines(range(50)))
    assert not set(done.stdout.split()) & set(again.stdout.split())


# --- what is wrong ---


@pytest.mark.parametrize("arguments, words", [
    ([], "no function"),
    (["line", "extra"], "unexpected argument 'extra'"),
    (["-c", "echo", "extra"], "unexpected argument 'extra'"),
    (["--json", "--csv", "x"], "exclude each other"),
    (["--json", "-0", "x"], "exclude each other"),
    (["--tsv", "--json-out", "x"], "exclude each other"),
    (["--json", "-c", "x"], "-c takes lines"),
    (["--colsep", "", "-c", "x"], "--colsep must not be empty"),
    (["--colsep", ",", "--csv", "-c", "x"], "--colsep is for lines of -c"),
    (["-C", ",", "line"], "--colsep is for lines of -c"),
    (["--dryrun", "line"], "did you mean '--dry-run'?"),
    (["--resume", "x"], "--resume needs the --joblog"),
    (["--chunk", "0", "x"], "--chunk must be a whole number from 1 on, not '0'"),
    (["--chunk", "many", "x"], "--chunk must be"),
    (["--retries", "-1", "x"], "--retries must be a whole number from 0 on, not '-1'"),
    (["--timeout", "0", "x"], "--timeout must be longer than 0"),
    (["--timeout", "soon", "x"], "--timeout must be a number of seconds"),
    (["-n", "0", "x"], "-n must be a whole number from 1 to 512"),
    (["-j", "x", "x"], "-j must be a whole number"),
    (["-P", "-3", "x"], "-P must be a whole number"),
    (["-n", "2", "-p", "default", "x"], "exclude each other"),
    (["line", ":::", "a", ":::", "b"], "one ':::'"),
    (["--unorderd", "x"], "did you mean '--unordered'?"),
])
def test_misuse_is_said(pxmap, arguments, words):
    assert words in pxmap(*arguments, code=USAGE).stderr


@pytest.mark.parametrize("arguments, words", [
    (["line +* 2"], "SyntaxError"),
    (["break"], "SyntaxError"),
    (["(yield)"], "yield"),
    ([""], "the function is empty"),
    (["nosuch_module:f"], "No module named 'nosuch_module'"),
    (["os:nosuch"], "no attribute 'nosuch'"),
    (["os:sep"], "os:sep is no function"),
    (["--init", "1/0", "line"], "--init: ZeroDivisionError"),
    (["--init", "1 +", "line"], "--init: SyntaxError"),
    (["-k", "--init", "1/0", "line"], "--init: ZeroDivisionError"),
    (["--joblog", "/nosuch/log", "line"], "/nosuch/log: No such file"),
])
def test_a_wrong_job_is_said_once(pxmap, arguments, words):
    done = pxmap(*arguments, input="a\nb\n", code=FAILED)
    assert words in done.stderr and "Traceback" not in done.stderr and done.stdout == ""


def test_no_pool_of_that_name(pxmap):
    assert "nosuch" in pxmap("-p", "nosuch", "line", code=NO_POOL).stderr


def test_a_full_disk_is_said(pxmap):
    with open("/dev/full", "w") as full:
        done = subprocess.run(["pxrun", "map", "line"], env=pxmap.env, input="a\n", text=True, stdout=full,
                              stderr=subprocess.PIPE, timeout=LIMIT, check=False)
    assert done.returncode == FAILED and "No space left" in done.stderr
    done = pxmap("--joblog", "/dev/full", "line", input="a\n", code=FAILED)
    assert "/dev/full: No space left" in done.stderr and "--resume would give those again" in done.stderr


@pytest.mark.parametrize("redirection, code", [("<&-", OK), (">&-", FAILED), ("2>&-", OK), ("</", FAILED)])
def test_closed_descriptors(pxmap, redirection, code):
    done = subprocess.run(["sh", "-c", f"echo a | pxrun map line {redirection}"], env=pxmap.env, timeout=LIMIT,
                          capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert "Traceback" not in done.stderr


def test_csv_with_a_nul_byte(pxmap):
    assert "NUL" in pxmap("--csv", "row", input="a\n\0\n", code=USAGE).stderr


# --- columns of commands, and what would run ---


def test_columns_of_csv_in_a_command(pxmap):
    text = 'from,to,a.b\na b,"c,d"\n"it\'s",/e/f.txt,"x\ny"\n'
    done = pxmap("--csv", "-c", "echo {2}:{from}:{a.b} {2/}:{to.}:{2//} {#}:{7}", input=text)
    assert done.stdout == "c,d:a b: c,d:c,d:. 1:\n/e/f.txt:it's:x\ny f.txt:/e/f:/e 2:\n"
    assert pxmap("--csv", "-c", "printf '<%s>'", input=text).stdout == "<a b><c,d><it's></e/f.txt><x\ny>"
    failed = pxmap("-k", "--csv", "--joblog", "log", "-c", "echo {1}", input="h\na\rb\nc\n", code=FAILED)
    assert failed.stdout == "c\n" and "record 1, 'a\\rb': Error: new-line character" in failed.stderr
    assert len((pxmap.folder / "log").read_text().splitlines()) == 3


def test_columns_of_lines_in_a_command(pxmap):
    assert pxmap("-C", r"[;|]", "-c", "echo {2}-{1}", input="a b ; $HOME|x\nc\n").stdout == "$HOME-a b\n-c\n"
    assert pxmap("--colsep", r"\t", "-c", "echo {3/.}", ":::", "a\tb\tc/d.e").stdout == "d\n"
    assert pxmap("-c", "echo {} | grep -E 'a{2}'", ":::", "aa").stdout == "aa\n"  # lines have none
    assert pxmap("-c", "echo {1} {1/}", input="a/b c\n").stdout == "a/b c b c\n"  # but for the line itself
    assert "'(' is no regular expression" in pxmap("-C", "(", "-c", "echo", ":::", "a", code=FAILED).stderr


def test_dry_run_runs_nothing(pxmap):
    shown = pxmap("--dry-run", "-c", "touch {} made", ":::", "it's", "a b").stdout
    assert shown == "touch 'it'\"'\"'s' made\ntouch 'a b' made\n"
    assert pxmap("--dry-run", "--init", "open('made', 'w')", "--retries", "3", "--timeout", "1", "os:mkdir", ":::", "made").stdout == "os:mkdir made\n"
    assert not list(pxmap.folder.iterdir())
    subprocess.run(["sh"], input=shown, text=True, check=True, cwd=pxmap.folder)
    assert {path.name for path in pxmap.folder.iterdir()} == {"it's", "a b", "made"}


def test_dry_run_leaves_the_job_log(pxmap):
    pxmap("-k", "--joblog", "log", "-c", "exit {}", ":::", "0", "3", code=FAILED)
    before = (pxmap.folder / "log").read_text()
    assert pxmap("--dry-run", "--joblog", "log", "--resume", "-c", "exit {}", ":::", "0", "3", "4").stdout == "exit 3\nexit 4\n"
    assert pxmap("--dry-run", "--joblog", "log", "-c", "exit {}", ":::", "0").stdout == "exit 0\n"
    assert (pxmap.folder / "log").read_text() == before


# --- records that fail ---


def test_the_first_failure_ends_it_behind_what_came_before(pxmap):
    done = pxmap("10 // (int(line) - 500)", input=lines(range(1000)), code=FAILED)
    assert done.stdout.count("\n") == 500
    assert "record 501, '500': ZeroDivisionError" in done.stderr
    assert "1 of " in done.stderr


def test_keep_going_leaves_out_what_fails(pxmap):
    done = pxmap("-k", "int(line)", input="1\nx\n3\ny\n5\n", code=FAILED)
    assert done.stdout == "1\n3\n5\n"
    assert "record 2, 'x': ValueError" in done.stderr and "record 4, 'y'" in done.stderr
    assert done.stderr.endswith("2 of 5 records failed\n")


@pytest.mark.parametrize("arguments, text, result", [
    (["next(iter([])) if line == '2' else line"], "1\n2\n3\n", "1\n3\n"),
    (["exit(3) if line == '2' else line"], "1\n2\n3\n", "1\n3\n"),
    (["--json", "x"], "1\n{\n3\n", "1\n3\n"),
    (["--json", "n"], "1\n{\n3\n", "1\n3\n"),
    (["--csv", "int(row['a'])"], "a\n1\nx\n3\n", "1\n3\n"),
    (["--joblog", "log", "--json", "n"], "1\n{\n3\n", "1\n3\n"),
    (["--json-out", "print if line == '2' else line"], "1\n2\n3\n", '"1"\n"3"\n'),
    (["type('T', (), {'__str__': lambda s: 1 / 0})() if line == '2' else line"], "1\n2\n3\n", "1\n3\n"),
])
def test_each_way_to_fail_takes_one_record(pxmap, arguments, text, result):
    done = pxmap("-k", *arguments, input=text, code=FAILED)
    assert done.stdout == result and "record 2" in done.stderr


def test_a_failure_in_a_module_shows_where(pxmap):
    (pxmap.folder / "pxmap_failing.py").write_text("def f(line):\n    return g(line)\n\n\ndef g(line):\n    return int(line)\n")
    words = pxmap("pxmap_failing:f", ":::", "x", code=FAILED).stderr
    assert "pxmap_failing.py" in words and "line 6, in g" in words and "records.py" not in words


def test_a_missing_import_is_hinted_at(pxmap):
    assert "(--init 'import colorsys' imports it)" in pxmap("colorsys.x", ":::", "1", code=FAILED).stderr
    assert "(--init 'import gzip' imports it; a shell command is behind -c: -c gzip)" in pxmap("gzip", ":::", "1", code=FAILED).stderr


@pytest.mark.parametrize("arguments, words", [
    (["basename", ":::", "a"], "(a shell command is behind -c: -c basename)"),
    (["basename {}", ":::", "a"], "(a shell command is behind -c: -c 'basename {}')"),
    (["lambda l: l.upper()", ":::", "a"], "a lambda, which nothing calls: give what it returns, of line"),
])
def test_what_other_tools_take_is_hinted_at(pxmap, arguments, words):
    done = pxmap(*arguments, code=FAILED)
    assert words in done.stderr and done.stdout == ""


def test_commands_that_fail(pxmap):
    done = pxmap("-k", "-c", "echo out {}; echo err {} >&2; test {} = 0 || kill -{} $$", ":::", "0", "9", code=FAILED)
    assert done.stdout == "out 0\nout 9\n"
    assert "err 0" in done.stderr and "record 2, '9': signal 9 ended the command" in done.stderr


def test_retries(pxmap):
    code = "import os; f = os.open(line, os.O_CREAT | os.O_APPEND | os.O_WRONLY); os.write(f, b'x'); os.close(f); " \
           "assert os.path.getsize(line) > 2; 'done'"
    assert pxmap("--retries", "2", code, ":::", "a").stdout == "done\n"
    pxmap("--retries", "1", code, ":::", "b", code=FAILED)
    assert os.path.getsize(pxmap.folder / "b") == 2


@pytest.mark.parametrize("arguments", [["-c", "sleep {}"], ["--init", "import time", "time.sleep(float(line))"]])
def test_timeout(pxmap, arguments):
    begin = time.monotonic()
    done = pxmap("-k", "--timeout", "0.3", *arguments, ":::", "0", "50", "0", code=FAILED)
    assert "record 2, '50': took longer" in done.stderr and "1 of 3" in done.stderr
    assert time.monotonic() - begin < 30


def test_timeout_of_code_that_does_not_heed_it(pxmap):
    code = "import itertools; line == '2' and sum(itertools.repeat(0)); line"  # C, which looks at no signal
    done = pxmap("-n", "2", "-k", "--timeout", "0.2", code, ":::", "1", "2", "3", code=FAILED)
    assert done.stdout == "1\n3\n" and "record 2, '2'" in done.stderr


# --- deaths ---


@pytest.mark.parametrize("how", ["os.abort()", "os._exit(0)", "os._exit(3)", "os.kill(os.getpid(), 9)"])
def test_a_record_that_kills_its_engine_takes_no_other_with_it(pxmap, how):
    code = f"{how} if line in ('50', '70') else line"
    done = pxmap("-n", "2", "-k", "--init", "import os", "--chunk", "10", "--joblog", "log", code,
                 input=lines(range(100)), code=FAILED)
    assert done.stdout == lines(n for n in range(100) if n not in (50, 70))
    assert "record 51, '50': engine" in done.stderr and "2 of 100 records failed" in done.stderr
    rows = [row.split("\t") for row in (pxmap.folder / "log").read_text().splitlines()[1:]]
    assert sorted(int(row[0]) for row in rows) == list(range(1, 101))
    assert sorted(int(row[0]) for row in rows if row[6:8] != ["0", "0"]) == [51, 71]


def test_a_record_that_kills_its_engine_does_not_control_the_terminal(pxmap):
    done = pxmap("-n", "1", "--joblog", "log", "import os; os._exit(3)", ":::", "\033[31mred\a\tor\x7f", code=FAILED)
    assert r"record 1, '\x1b[31mred\x07\x09or\x7f': engine" in done.stderr
    assert (pxmap.folder / "log").read_text().endswith("\tmap \\x1b[31mred\\x07\\x09or\\x7f\n")


@pytest.mark.parametrize("deaths, retries, code", [(1, 0, OK), (2, 0, FAILED), (2, 1, OK), (3, 1, FAILED)])
def test_a_death_is_retried(pxmap, deaths, retries, code):
    count = f"import os; n = len(os.listdir('.')); n < {deaths} and (open(str(n), 'w'), os.abort()); line"
    done = pxmap("-n", "1", "--retries", str(retries), count, ":::", "a", code=code)
    assert done.stdout == ("a\n" if code == OK else "")


def test_an_engine_killed_from_outside(pxmap):
    text = lines(range(400))
    with pxmap.begin("-n", "2", "--init", "import os, time", "time.sleep(0.005) or (os.getpid() if n == 1 else line)",
                     stdin=subprocess.PIPE) as process:
        process.stdin.write(text)
        process.stdin.close()
        os.kill(int(process.stdout.readline()), signal.SIGKILL)
        assert process.stdout.read() == lines(range(1, 400))
        assert process.wait(LIMIT) == OK


def test_an_engine_restarted_from_outside(pxmap):
    """The record that runs there is interrupted, and run once more."""
    slowly = "time.sleep(0.01) or line"
    with pxmap.begin("-p", "default", "--init", "import time", slowly, stdin=subprocess.PIPE) as process:
        process.stdin.write(lines(range(200)))
        process.stdin.close()
        assert process.stdout.readline() == "0\n"
        subprocess.run(["pxrun", "restart"], env=pxmap.env, timeout=LIMIT, check=True, stdout=subprocess.DEVNULL)
        assert process.stdout.read() == lines(range(1, 200))
        assert process.wait(LIMIT) == OK and not process.stderr.read()


def test_a_record_that_ends_its_engine_in_peace_is_not_run_for_ever(pxmap):
    done = pxmap("-n", "1", "-k", "--init", "import os, signal, time",
                 "os.kill(os.getpid(), signal.SIGTERM) or time.sleep(60) if line == 'x' else line", input="a\nx\nb\n", code=FAILED)
    assert done.stdout == "a\nb\n" and "1 of 3 records failed" in done.stderr


@pytest.mark.parametrize("code, name", [("len", "len"), ("line.upper", "str.upper"), ("dict", "dict")])
def test_a_result_that_is_a_function_is_refused(pxmap, code, name):
    done = pxmap(code, input="a\n", code=FAILED)
    assert f"the result is a function, {name}, which nothing calls" in done.stderr and not done.stdout


# --- signals, and the job log ---

COLUMNS = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand"


def test_the_job_log_is_that_of_parallel(pxmap):
    pxmap("-k", "--joblog", "log", "-c", "echo a; exit {}", ":::", "0", "3", code=FAILED)
    head, *rows = (pxmap.folder / "log").read_text().splitlines()
    assert head == COLUMNS
    first, second = (row.split("\t") for row in rows)
    assert first[0] == "1" and first[4:] == ["1", "2", "0", "0", "echo a; exit 0"]
    assert second[0] == "2" and second[6:8] == ["3", "0"]
    assert abs(float(first[2]) - time.time()) < 100


def test_resume_does_what_is_not_done(pxmap):
    pxmap("-k", "--joblog", "log", "int(line)", input="1\nx\n3\n", code=FAILED)
    with open(pxmap.folder / "log", "a") as log:
        log.write("4\t:\t12")  # a line that a power failure has cut
    done = pxmap("--joblog", "log", "--resume", "line + '!'", input="1\nx\n3\n4\n")
    assert done.stdout == "x!\n4!\n"
    assert pxmap("--joblog", "log", "--resume", "line", input="1\nx\n3\n4\n").stdout == ""
    assert (pxmap.folder / "log").read_text().count("Seq") == 1


def test_resume_after_results_out_of_order_and_of_records_with_any_number(pxmap):
    rows = [f"{n}\t:\t1.000\t     0.000\t1\t1\t0\t0\tline" for n in (5, 4, 2, 2, 3, 8, 2**63, 7)]
    (pxmap.folder / "log").write_text("\n".join([COLUMNS, *rows]) + "\n")
    assert pxmap("--joblog", "log", "--resume", "line", input=lines(range(1, 11))).stdout == lines([1, 6, 9, 10])


def test_resume_refuses_what_is_no_log(pxmap):
    (pxmap.folder / "log").write_text("precious\n")
    assert "log, line 1: no line of a job log" in pxmap("--joblog", "log", "--resume", "line", code=USAGE).stderr
    assert (pxmap.folder / "log").read_text() == "precious\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("arguments", [["--init", "import time", "time.sleep(0.02) or line"], ["-c", "sleep 0.02; echo {}"]])
def test_a_signal_loses_nothing_and_resume_does_the_rest(pxmap, number, arguments):
    text = lines(range(200))
    (pxmap.folder / "in").write_text(text)
    with open(pxmap.folder / "in") as source, open(pxmap.folder / "out", "w") as out:
        with pxmap.begin("--joblog", "log", *arguments, stdin=source, stdout=out) as process:
            wait_until(lambda: (pxmap.folder / "out").stat().st_size > 40)
            process.send_signal(number)
            assert process.wait(LIMIT) == 128 + number
            assert "--resume does the rest" in process.stderr.read()
    before = (pxmap.folder / "out").read_text().split()
    assert 10 < len(before) < 200
    after = pxmap("--joblog", "log", "--resume", *arguments, input=text).stdout.split()
    assert sorted(map(int, before + after)) == list(range(200))


def test_a_start_that_hangs_is_ended_by_ctrl_c(pxmap):
    (pxmap.folder / "pxmap_hanging.py").write_text("import time\nopen('began', 'w')\ntime.sleep(100)\n")
    with pxmap.begin("-n", "1", "--preload", "pxmap_hanging", "line", ":::", "a") as process:
        wait_until((pxmap.folder / "began").exists)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == -signal.SIGINT


def test_a_signal_takes_what_endless_code_does(pxmap):
    with pxmap.begin("while True: pass", ":::", "a", "b", "c") as process:
        time.sleep(0.5)
        process.terminate()
        assert process.wait(20) == 128 + signal.SIGTERM
    assert pxmap("line", ":::", "free").stdout == "free\n"


def test_what_a_slow_reader_gets_behind_a_signal_has_no_holes(pxmap):
    text = lines(range(100_000, 400_000))
    (pxmap.folder / "in").write_text(text)
    reader, writer = os.pipe()
    with open(pxmap.folder / "in") as source, pxmap.begin("line", stdin=source, stdout=writer) as process:
        os.close(writer)
        wait_until(lambda: select.select([reader], [], [], 0)[0])
        time.sleep(0.5)  # the pipe is full
        process.terminate()
        time.sleep(1.4)  # it is given up by now, and something else may be tried
        with open(reader) as output:
            assert text.startswith(output.read())
        assert process.wait(LIMIT) == 128 + signal.SIGTERM


def test_a_reader_that_leaves_ends_endless_code(pxmap):
    with pxmap.begin("line", stdin=subprocess.PIPE) as process:
        process.stdout.close()
        process.stdin.write("a\n")
        process.stdin.flush()
        assert process.wait(LIMIT) == 128 + signal.SIGPIPE
        assert process.stderr.read() == ""


def test_a_reader_that_leaves_before_there_is_a_result(pxmap):
    with pxmap.begin("while True: pass", ":::", "a") as process:
        time.sleep(0.3)
        process.stdout.close()
        assert process.wait(20) == 128 + signal.SIGPIPE
    assert pxmap("line", ":::", "free").stdout == "free\n"


@pytest.mark.parametrize("words", [
    ["map", "int('\\x1b[2J\\r\\x7f\\x9b2J')", ":::", "a"],
    ["map", "-k", "open(line)", ":::", "\x1b[2J\x9b2J\r\x7f"],
    ["exec", "raise ValueError('\\x1b[2J\\r\\x7f\\x9b2J', 'ä')\n# ä"],
    ["exec", "class E(Exception): __str__ = lambda self: '\\x1b[2J\\r\\x7f\\x9b2J\\tä'\nraise E"],
    ["pull", "\x1b[2J\r\x7f\u009b2J"],
    ["status", "-p", "\x1b[2J\r\x7f\u009b2J"],
])
def test_what_others_say_does_not_control_a_terminal(env, words):
    ours, theirs = pty.openpty()
    subprocess.run(["pxrun", *words], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=theirs, timeout=LIMIT, check=False)
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # EIO: all of the terminal's other end is closed
        while piece := os.read(ours, 1000):
            shown += piece
    os.close(ours)
    shown = shown.replace(b"\r\n", b"\n")
    assert b"\\x1b[2J" in shown and not set(shown) & {0x1b, 0x7f, 0x0d} and b"\xc2\x9b" not in shown
    if words[0] == "exec":
        assert "ä".encode() in shown


def test_the_bar_is_on_a_terminal_only(pxmap):
    ours, theirs = pty.openpty()
    with pxmap.begin("-k", "--init", "import time", "time.sleep(0.05) or int(line)", ":::", *"x12345678901234567890123456789012345678901234567890",
                     stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # EIO: all of the terminal's other end is closed
            while piece := os.read(ours, 1000):
                shown += piece
        assert process.wait(LIMIT) == FAILED
        assert len(process.stdout.read().split()) == 50
    os.close(ours)
    assert b"record 1, 'x'" in shown and b"%" in shown and b" done, " in shown and b"1 failed" in shown
    assert shown.endswith(b"1 of 51 records failed\r\n") and b"\r\x1b[K" in shown


def test_the_bar_counts_what_is_done(pxmap):
    ours, theirs = pty.openpty()
    with pxmap.begin("--init", "import time", "time.sleep(0.4)", ":::", *"0123456789", stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # EIO: all of the terminal's other end is closed
            while piece := os.read(ours, 1000):
                shown += piece
        assert process.wait(LIMIT) == 0
    os.close(ours)
    bars = re.findall(rb"(\d+)%  (\d+) done", shown)
    assert bars and all(int(percent) == 10 * int(done) for percent, done in bars), bars
