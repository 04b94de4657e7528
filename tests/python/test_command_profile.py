# SPDX-License-Identifier: BSD-3-Clause
"""`pxrun profile`: which profiles there are, what they come to, and all that is wrong in a file."""
import json
import os
import subprocess

import pytest

from command import FAILED, LIMIT, USAGE, own_command

WRONG = """\
engine: 4
arena: lots
preload: [numpy, "a b", [x], json]
env: {A: 1, 2B: x, A: 3, C: }
pin: yes
pin: no
"""


@pytest.fixture
def command():
    with own_command() as command:
        yield command


def check(command, *arguments, code=USAGE):
    return command("profile", "check", *arguments, code=code).stdout.splitlines()


def show(command, *arguments):
    return json.loads(command("profile", "show", "--json", *arguments).stdout)


# --- list

def test_list_has_profiles_with_files_and_whether_they_run(command):
    paths = [str(command.profile("engines: 1\npreload: []\n", name)) for name in ("b", "a.c")]
    command.profile("", "no name")
    command.profile("", ".hidden")
    (command.config / "b.yml").write_text("")
    command("start", "-d", "-p", "b")
    command("start", "-d", "-p", "bare", "-n", "1", "--preload", "")
    listed = json.loads(command("profile", "list", "--json").stdout)
    assert listed == [{"profile": "a.c", "running": False, "file": paths[1]},
                      {"profile": "b", "running": True, "file": paths[0]}]
    lines = command("profile", "list").stdout.splitlines()
    assert lines[1].split(None, 1)[1] == f"not running  {paths[1]}"
    assert lines[2].split() == ["b", "running", paths[0]]


@pytest.mark.parametrize("have_folder", [True, False])
def test_list_of_no_profiles(command, have_folder):
    if not have_folder:
        command.config.rmdir()
    done = command("profile", "list")
    assert done.stdout == "" and "pxrun.yaml(5)" in done.stderr
    assert json.loads(command("profile", "list", "--json").stdout) == []


# --- show

def test_show_says_where_each_comes_from(command):
    path = command.profile('arena: 64M\nengines: 3\npin: yes\nenv: {A: "1=2", B: ""}\npreload: [json, os.path]\n'
                           'startup: |\n  import json\n  x = "\\\\"\n')
    command.env["PXRUN_ENGINES"] = "2"
    shown = show(command)
    assert (shown["profile"], shown["file"]) == ("default", str(path))
    assert shown["settings"]["engines"] == {"value": 2, "from": "PXRUN_ENGINES"}
    assert shown["settings"]["arena"] == {"value": 64 << 20, "from": f"{path}:1:8"}
    assert shown["settings"]["quota"] == {"value": None, "from": "the default"}
    assert shown["settings"]["restart"] == {"value": "on-failure", "from": "the default"}
    values = {name: setting["value"] for name, setting in shown["settings"].items()}
    assert values["pin"] is True and values["native"] is False
    assert values["env"] == {"A": "1=2", "B": ""}
    assert values["preload"] == ["json", "os.path"]
    assert values["startup"] == 'import json\nx = "\\\\"\n'
    lines = command("profile", "show").stdout.splitlines()
    assert len(lines) == len(values) + 1
    assert lines[1].split() == ["engines", "PXRUN_ENGINES", "2"]
    assert lines[-4].endswith(r'import json\nx = "\\"\n')
    assert "env  {}:4:6  A=1=2 B=".format(path) in [" ".join(line.split()).replace(" ", "  ", 2) for line in lines]


def test_show_is_what_a_pool_starts_with(command):
    command.profile("engines: 2\narena: 64M\npreload: []\nenv: {GREETING: hello}\n")
    shown = show(command)["settings"]
    command("start", "-d")
    status = command.status()
    assert len(status["engines"]) == shown["engines"]["value"] == 2
    assert status["arena"]["budget"] == shown["arena"]["value"]
    assert "hello" in command("exec", "-t", "0", "import os; os.environ['GREETING']").stdout


@pytest.mark.parametrize("words", [["work"], ["-p", "work"], ["--profile=work"], [], ["./work.yaml"], ["work.yaml"]])
def test_show_finds_names_and_files(command, words):
    path = command.profile("engines: 7\n", "work")
    command.env["PXRUN_PROFILE"] = "work"
    done = command("profile", "show", "--json", *words, cwd=command.config)
    shown = json.loads(done.stdout)
    named = not any("/" in word or word.endswith(".yaml") for word in words)
    assert shown["profile"] == ("work" if named else None)
    assert shown["file"] == (str(path) if named else words[0])
    assert shown["settings"]["engines"]["value"] == 7


def test_show_without_file_is_the_defaults(command):
    done = command("profile", "show", "new", "--json")
    assert "the profile 'new' has no file" in done.stderr
    shown = json.loads(done.stdout)
    assert shown["file"] is None
    assert {setting["from"] for setting in shown["settings"].values()} == {"the default"}


@pytest.mark.parametrize("engines", ["0", "many", "-1"])
def test_show_of_a_wrong_environment(command, engines):
    command.env["PXRUN_ENGINES"] = engines
    done = command("profile", "show", code=USAGE)
    assert f"PXRUN_ENGINES must be a whole number from 1 to 512, not '{engines}'" in done.stderr
    assert done.stdout == ""


# --- check

def test_check_says_all_errors_in_their_order(command):
    path = command.profile(WRONG, "wrong")
    lines = check(command, "wrong")
    words = ["1:1: unknown key 'engine', did you mean 'engines'?", "2:8: arena must be a size",
             "3:18: preload must be names of modules", "3:25: preload: each item", "4:13: env: '2B' is no name",
             "4:20: env: A is set twice", "4:29: env: the value of C must be a text", "6:1: pin: stands here"]
    assert len(lines) == len(words)
    for line, start in zip(lines, words):
        assert line.startswith(f"{path}:{start}")


@pytest.mark.parametrize("text, errors", [
    ("engines: 0\nengines: *nothing\n", ["2:10: not YAML"]),
    ("engines: 0\n--- {engines: 1}\n", ["1:10: engines must", "2:5: a second document"]),
    ("engines: 0\n---\n\t[", ["1:10: engines must", "3:1: not YAML"]),
    ("- engines\n", ["1:1: a profile is a map"]),
    ("engines: \x01\n", ["1:10: not UTF-8 text"]),
    ("engines: 4\narena: 1G # of memory\n", []),
    ("", []),
])
def test_check_goes_on_as_far_as_there_is_yaml(command, text, errors):
    path = command.profile(text)
    lines = check(command, code=USAGE if errors else 0)
    assert len(lines) == len(errors or ["ok"])
    for line, start in zip(lines, errors):
        assert line.startswith(f"{path}:{start}")
    if not errors:
        assert lines == [f"{path}: ok"]


def test_check_of_many_is_the_worst(command):
    good, wrong = command.profile("", "good"), command.profile("pin: 3\n", "wrong")
    assert check(command, "good", str(good), code=0) == [f"{good}: ok"] * 2
    lines = check(command, "good", "wrong", "./good.yaml")
    assert lines[0] == f"{good}: ok" and lines[1].startswith(f"{wrong}:1:6: pin must be") and len(lines) == 2
    assert check(command, "wrong", "nosuch", "good")[-1] == f"{good}: ok"


def test_check_of_what_is_not_there(command):
    assert "the profile 'default' has no file" in command("profile", "check", code=USAGE).stderr
    assert "the profile 'nosuch' has no file" in command("profile", "check", "nosuch", code=USAGE).stderr
    assert "No such file" in command("profile", "check", "./nosuch.yaml", code=FAILED).stderr
    assert "Is a directory" in command("profile", "check", "/", code=FAILED).stderr
    assert "no profile name" in command("profile", "check", "a b", code=USAGE).stderr


def test_check_of_what_is_no_profile(command):
    path = command.profile("#" * 70000)
    assert "not a profile" in command("profile", "check", code=USAGE).stderr
    path.write_bytes(os.urandom(5000))
    assert len(check(command)) == 1
    path.write_text("preload: [&a a b" + ",*a" * 15000 + "]\n")
    assert len(check(command)) == 15001


def test_check_of_a_pipe(command):
    checking = subprocess.Popen(["pxrun", "profile", "check", "/dev/stdin"], env=command.env, text=True,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    checking.stdin.write("pin: 1\n")
    checking.stdin.flush()
    with pytest.raises(subprocess.TimeoutExpired):
        checking.wait(0.2)
    out, _ = checking.communicate("engines: 0\n", timeout=LIMIT)
    assert [line.split()[0] for line in out.splitlines()] == ["/dev/stdin:1:6:", "/dev/stdin:2:10:"]
    os.mkfifo(command.config / "fifo.yaml")
    check(command, "fifo", code=0)


def test_start_of_a_wrong_profile_names_the_check(command):
    command.profile(WRONG, "wrong")
    error = command("start", "-d", "-p", "wrong", code=USAGE).stderr
    assert "wrong.yaml:1:1: unknown key" in error and "pxrun profile check wrong" in error
    assert error == command("profile", "show", "wrong", code=USAGE).stderr


# --- the line

@pytest.mark.parametrize("words, says", [
    ([], "list, show or check"),
    (["chekc"], "did you mean 'check'?"),
    (["dance"], "list, show and check"),
    (["list", "default"], "unexpected argument 'default'"),
    (["list", "-p", "default"], "'list' has no --profile"),
    (["show", "a", "b"], "unexpected argument 'b'"),
    (["show", "a", "-p", "b"], "not both"),
    (["check", "--json"], "'check' has no --json"),
    (["show", "--jsno"], "did you mean '--json'?"),
    (["show", ""], "no profile name"),
])
def test_misuse(command, words, says):
    done = command("profile", *words, code=USAGE)
    assert says in done.stderr and done.stdout == ""


@pytest.mark.parametrize("words", [["list"], ["show"], ["check"]])
def test_full_disk_is_no_success(command, words):
    command.profile("engines: 1\n")
    with open("/dev/full", "w") as full:
        done = subprocess.run(["pxrun", "profile", *words], env=command.env, text=True, timeout=LIMIT, stdout=full,
                              stderr=subprocess.PIPE, check=False)
    assert done.returncode == FAILED
    assert "No space left" in done.stderr


@pytest.mark.parametrize("words", [["list"], ["show"], ["check"]])
def test_closed_streams(command, words):
    command.profile("engines: 1\n")
    shell = subprocess.run(["sh", "-c", f"pxrun profile {words[0]} <&- >&- 2>&-"], env=command.env, timeout=LIMIT,
                           check=False)
    assert shell.returncode in (0, FAILED)
    shell = subprocess.run(["bash", "-c", f"pxrun profile {words[0]} | true"], env=command.env, timeout=LIMIT,
                           capture_output=True, text=True, check=False)
    assert "Traceback" not in shell.stderr
