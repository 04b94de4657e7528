# SPDX-License-Identifier: BSD-3-Clause
"""The table of settings, as manual pages, help and Cluster show it."""
import inspect
import json
import os
import pathlib
import re
import subprocess

import pytest

from pxrun import Cluster, _pxrun

TABLE = _pxrun.settings()
SHOWN = [row for row in TABLE if row["help"]]
OPTIONS = [row for row in SHOWN if row["option"]]
MAN = pathlib.Path(os.environ["PXRUN_SRCDIR"]) / "man"


def source(page):
    return (MAN / page).read_text()


def section(text, name):
    return re.search(rf'^\.Sh "?{name}"?\n(.*?)(?=^\.Sh |\Z)', text, re.M | re.S)[1]


def items(text):
    """The items of the lists of a page: what stands behind .It, and the words below it without macros."""
    found = {}
    for head, body in re.findall(r"^\.It (.*)\n((?:(?!\.It |\.El).*\n)*)", text, re.M):
        words = " ".join(re.sub(r"^\.[A-Z][a-z] ", "", line) for line in body.splitlines())
        found[head] = re.sub(r" ([.,:;])", r"\1", words)
    return found


def assert_item(row, words):
    assert f"By default {row['default']}." in words
    assert all(re.search(rf"\b{re.escape(word)}\b", words) for word in row["words"])


def test_page_of_profiles_names_the_keys_and_their_defaults():
    described = {head.removeprefix("Cm "): words for head, words in items(source("pxrun.yaml.5")).items() if head.startswith("Cm ")}
    assert set(described) == {row["key"] for row in TABLE if row["key"]}
    for row in TABLE:
        if row["key"]:
            assert_item(row, described[row["key"]])


def test_page_of_start_names_the_options_and_their_defaults():
    described = items(source("pxrun-start.1"))
    names = {re.search(r"Fl -([a-z-]+)", head)[1]: head for head in described}
    assert set(names) - {"daemonize", "profile"} == {row["option"][2:] for row in OPTIONS}
    for row in OPTIONS:
        head = names[row["option"][2:]]
        assert_item(row, described[head])
        assert head.startswith(f"Fl {row['letter'][1:]} ,") if row["letter"] else head.startswith("Fl -")


def options_of(verb):
    return [row for row in OPTIONS if verb == "start" or row["run"]]


@pytest.mark.parametrize("verb, own", [("start", {"-d", "-p"}), ("run", set())])
def test_synopsis_names_the_options(verb, own):
    page = f"pxrun-{verb}.1"
    flags = {f"-{flag}" for flag in re.findall(r"^\.Op Fl (\S+)", section(source(page), "SYNOPSIS"), re.M)}
    assert flags - own == {row["letter"] or row["option"] for row in options_of(verb)}


def test_page_of_the_command_names_the_variables():
    described = " ".join(items(section(source("pxrun.1"), "ENVIRONMENT")))
    assert all(row["variable"] in described for row in TABLE if row["variable"])


@pytest.mark.parametrize("verb", ["start", "run"])
def test_help_names_the_options_and_their_defaults(verb):
    text = subprocess.run(["pxrun", verb, "--help"], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert max(map(len, text.splitlines())) <= 90
    options = set(re.findall(r"^  (?:-., |    )(--[a-z-]+)", text, re.M))
    assert options - {"--daemonize", "--profile"} == {row["option"] for row in options_of(verb)}
    for row in options_of(verb):
        assert f"(default: {row['default']})" in re.sub(r"\s+", " ", text)


# --- Cluster


def test_cluster_takes_and_documents_the_settings():
    keywords = {row["keyword"] for row in TABLE if row["keyword"]}
    keywords |= {"profile", "cluster_id", "shutdown_atexit", "send_globals", "output"}
    assert set(inspect.signature(Cluster).parameters) == keywords
    assert all(re.search(rf"^    {keyword} : .*, optional$", Cluster.__doc__, re.M) for keyword in keywords)
    assert "{" + ", ".join(["'never'", "'on-failure'", "'always'"]) + "}" in Cluster.__doc__


def test_signature_of_a_class_made_from_cluster_is_its_own():
    class Mine(Cluster):
        def __init__(self, colour):
            super().__init__(1)

    assert list(inspect.signature(Mine).parameters) == ["colour"]


@pytest.mark.parametrize("name, words", [
    ("arean", "Cluster has no setting 'arean', did you mean 'arena'"),
    ("engines", "did you mean 'n'"),
    ("env", "the settings are n, arena, "),
    ("sys_path", "the settings are n, arena, "),
])
def test_cluster_of_an_unknown_setting(name, words):
    with pytest.raises(TypeError, match=words):
        Cluster(**{name: "4"})


@pytest.mark.parametrize("setting, words", [
    ({"n": 0}, "n must be a whole number from 1 to 512, not '0'"),
    ({"n": 2.5}, "n must be a whole number from 1 to 512, not '2.5'"),
    ({"arena": "12Q"}, "arena must be a size such as 512M, 4G or 50%"),
    ({"quota": 1}, "quota must be from 1M to 16T, not '1'"),
    ({"restart": True}, "restart must be 'never', 'on-failure' or 'always', not 'true'"),
    ({"preload": ["a b"]}, "preload must be names of modules"),
    ({"python": ""}, "python must be the absolute path of a program"),
])
def test_cluster_of_a_wrong_value(setting, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        Cluster(**setting)


@pytest.mark.parametrize("setting", [{"arena": object()}, {"preload": [1]}])
def test_cluster_of_a_wrong_type(setting):
    with pytest.raises(TypeError):
        Cluster(**setting)


def test_values_in_all_forms(tmp_path):
    python = tmp_path / "python"
    python.symlink_to("/bin/false")
    cluster = Cluster(arena=float(1 << 30), quota="0.5G", preload=("json", "ast"), python=python, restart=None)
    with pytest.raises(Exception, match="exit code 1"):
        cluster.start_cluster_sync()  # it reached the supervisor
    with Cluster(1, arena="0.125G", preload={"colorsys"}) as rc:
        assert json.loads(rc.status())["arena"]["total"] == 128 << 20
        assert rc[0].apply_sync(eval, "'colorsys' in __import__('sys').modules")
