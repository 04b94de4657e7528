# SPDX-License-Identifier: BSD-3-Clause
"""What shells offer on a command line of `pxrun`."""
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from command import USAGE, own_command

FILES = pathlib.Path(os.environ["PXRUN_SRCDIR"]) / "bin/completions"


@pytest.fixture(scope="module")
def pool():
    with own_command() as command:
        command.profile("engines: 1\n", "waiting")
        command("start", "-d", "-n", "3")
        command("start", "-d", "-n", "1", "-p", "bare")
        yield command


def offered(command, *words):
    lines = command("complete", *words).stdout.splitlines()
    assert all(line.count("\t") == 1 for line in lines)
    return [line.split("\t")[0] for line in lines]


def verbs(command):
    return re.findall(r"^  ([a-z]+) ", command("help").stdout, re.M)


def test_verbs(pool):
    assert offered(pool, "") == offered(pool, "help", "") == [*verbs(pool), "help"]
    assert offered(pool, "sta") == [verb for verb in verbs(pool) if verb.startswith("sta")]
    assert offered(pool, "dance") == offered(pool, "dance", "") == []


def test_options_are_those_of_the_help(pool):
    for verb in verbs(pool):
        shown = re.findall(r"^ {2,6}(?:-., )*(--[a-z-]+)", pool("help", verb).stdout, re.M)
        assert set(shown) <= set(offered(pool, verb, "--")), verb
    assert "--helper" not in offered(pool, "start", "--help")


@pytest.mark.parametrize("words, expected", [
    (["exec", "-t", ""], ["0", "1", "2", "all"]),
    (["exec", "--targets=0,"], ["--targets=0,0", "--targets=0,1", "--targets=0,2"]),
    (["exec", "-t", "0,2"], ["0,2"]),
    (["exec", "-p", "bare", "-t", ""], ["0", "all"]),
    (["exec", "-pbare", "-t", ""], ["0", "all"]),
    (["exec", "--profile=bare", "-t", ""], ["0", "all"]),
    (["exec", "-p", "waiting", "-t", ""], []),
    (["exec", "-p", "../x", "-t", ""], []),
    (["kill", ""], ["0", "1", "2", "all"]),
    (["exec", "-p", "w"], ["waiting"]),
    (["start", "--restart", "n"], ["never"]),
    (["start", "--restart=n"], ["--restart=never"]),
    (["exec", "-p"], []),
    (["run", ""], []),
    (["profile", ""], ["list", "show", "check"]),
    (["profile", "s"], ["show"]),
    (["profile", "show", "b"], ["bare"]),
    (["profile", "check", "waiting", "w"], ["waiting"]),
    (["profile", "show", "--p"], ["--profile"]),
    (["exec", "--=", ""], []),
])
def test_values(pool, words, expected):
    assert offered(pool, *words) == expected


def test_profiles_are_those_with_files_and_those_that_run(pool):
    assert sorted(offered(pool, "status", "--profile", "")) == ["bare", "default", "waiting"]


def test_without_words_it_is_misused(pool):
    pool("complete", code=USAGE)


def shell(command, *arguments, typed=None):
    if not shutil.which(arguments[0]):
        pytest.skip(f"{arguments[0]} is not installed")
    return subprocess.run(arguments, env=dict(command.env, HOME=str(command.folder)), text=True, timeout=60,
                          capture_output=True, check=True, input=typed).stdout


@pytest.mark.parametrize("line, expected", [
    ("pxrun|stat", "status"),
    ("pxrun|exec|-t|0,", "0,0 0,1 0,2"),
    ("pxrun|exec|--targets|=", "0 1 2 all"),
    ("pxrun|exec|--profile|=|b", "bare"),
    ("pxrun|run|", ""),
])
def test_bash(pool, line, expected):
    words = line.split("|")
    code = f"""source '{FILES}/bash/pxrun'; complete -p pxrun >&2
        COMP_WORDS=({' '.join(f"'{word}'" for word in words)}) COMP_CWORD={len(words) - 1}
        _pxrun pxrun; echo "${{COMPREPLY[*]}}" """
    assert shell(pool, "bash", "-c", code) == f"{expected}\n"


@pytest.mark.parametrize("line, expected", [
    ("pxrun stat", ["status"]),
    ("pxrun exec -t 0,", ["0,0", "0,1", "0,2"]),
    ("pxrun exec --targets=", ["--targets=0", "--targets=1", "--targets=2", "--targets=all"]),
])
def test_fish(pool, line, expected):
    out = shell(pool, "fish", "-c", f"source '{FILES}/fish/pxrun.fish'; complete -C '{line}'")
    assert [found.split("\t")[0] for found in out.splitlines()] == expected


@pytest.mark.parametrize("line, expected", [
    ("pxrun statu", "pxrun status "),
    ("pxrun exec -p ba", "pxrun exec -p bare "),
    ("pxrun start --restart=nev", "pxrun start --restart=never "),
])
def test_zsh(pool, line, expected):
    """Typed at a terminal: zsh completes nowhere else."""
    pexpect = pytest.importorskip("pexpect")
    if not shutil.which("zsh"):
        pytest.skip("zsh is not installed")
    typing = pexpect.spawn("zsh", ["-f", "-i"], env=dict(pool.env, HOME=str(pool.folder), TERM="dumb", PS1="> "),
                           encoding="utf-8", timeout=20)
    typing.sendline(f"fpath=('{FILES}/zsh' $fpath); autoload -U compinit; compinit -u -D; bindkey '^I' complete-word; "
                    "show() { print -r -- \"<$BUFFER>\" }; zle -N show; bindkey '^X' show; echo re''ady")
    typing.expect("ready")
    typing.send(f"{line}\t\x18")
    typing.expect("<(.*?)>\r")
    assert typing.match[1].rstrip() == expected.rstrip()
    typing.close(force=True)
