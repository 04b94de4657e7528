# SPDX-License-Identifier: BSD-3-Clause
"""Which interpreter the engines of a pool run in, and what they see of it."""
import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = os.environ["PXRUN_COMMAND"]
ENGINE = Path(COMMAND).with_name("pxrun-engine")
SEES = "sys.executable, sys.prefix, sys.path, tuple(sys.flags)"


@pytest.fixture(scope="module")
def make_environment(tmp_path_factory):
    """make_environment(name): the folder of a virtual environment."""
    top = tmp_path_factory.mktemp("environments")

    def make(name):
        folder = top / name
        if not folder.exists():
            subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        return folder

    return make


@pytest.fixture
def run(tmp_path):
    """run(argument, ..., VARIABLE=value or None): the command's output, in an environment without pxrun's package."""
    base = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")} | {"XDG_CONFIG_HOME": str(tmp_path)}

    def call(*arguments, code=0, program=COMMAND, **variables):
        done = subprocess.run([program, *map(str, arguments)], env=base | variables, text=True, capture_output=True, timeout=100)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout if code == 0 else done.stderr

    yield call
    subprocess.run([COMMAND, "stop"], stderr=subprocess.DEVNULL, timeout=100, check=False)


def interpreter_of_pool(run, *options, **variables):
    run("start", "-d", "-n", "1", *options, **variables)
    status = json.loads(run("status", "--json"))
    assert f"python {status['python'][0]}.{status['python'][1]}, {status['executable']}\n" in run("status")
    run("stop")
    return status["executable"]


def test_rule(run, make_environment, tmp_path):
    (active, named, profiles), own = map(make_environment, ("active", "named", "profiles")), os.environ["PYTHON"]
    assert interpreter_of_pool(run) == own
    assert interpreter_of_pool(run, VIRTUAL_ENV=str(active)) == f"{active}/bin/python"
    assert interpreter_of_pool(run, VIRTUAL_ENV=str(tmp_path / "deleted")) == own
    (tmp_path / "pxrun").mkdir()
    (tmp_path / "pxrun" / "default.yaml").write_text(f"python: {profiles}/bin/python\n")
    assert interpreter_of_pool(run, VIRTUAL_ENV=str(active)) == f"{profiles}/bin/python"
    assert interpreter_of_pool(run, "--python", named / "bin/python", VIRTUAL_ENV=str(active)) == f"{named}/bin/python"


def test_python_client_is_the_one_that_runs(run, make_environment):
    script = f"""if 1:
        import sys
        sys.path.append({os.environ['PYTHONPATH'].split(':')[0]!r})
        sys.path.extend({[p for p in sys.path if p.endswith('-packages')]!r})
        import pxrun
        with pxrun.Cluster(n=1) as rc:
            print(rc[0].apply_sync(lambda: __import__('sys').executable))
    """
    running, active = make_environment("running"), make_environment("active")
    words = run("-c", script, program=running / "bin/python", VIRTUAL_ENV=str(active))
    assert words == f"{running}/bin/python\n"


def test_script_runs_where_engines_do(run, make_environment, tmp_path):
    environment = make_environment("active")
    (tmp_path / "script.py").write_text("import sys; print(sys.executable)")
    assert run("run", "-n", "1", tmp_path / "script.py", VIRTUAL_ENV=str(environment)) == f"{environment}/bin/python\n"
    assert run("run", "-n", "1", tmp_path / "script.py") == os.environ["PYTHON"] + "\n"


@pytest.mark.parametrize("name", ["plain", "with spaces and " + "long " * 38 + "name"], ids=["plain", "odd"])
@pytest.mark.parametrize("variables", [{}, {"PYTHONSAFEPATH": "1"}, {"PYTHONNOUSERSITE": "1", "PYTHONPATH": "/nowhere"}],
                         ids=["as it is", "safe path", "own path"])
def test_engines_see_what_the_interpreter_sees(run, make_environment, name, variables):
    python = make_environment(name) / "bin/python"
    plain = run("-c", f"import sys; print(({SEES}))", program=python, **variables)
    run("start", "-d", "-n", "1", "--python", python, **variables)
    engines = run("exec", f"import sys; {SEES}").removeprefix("[0] Out[1]: ")
    assert ast.literal_eval(engines) == ast.literal_eval(plain)


def test_interpreters_that_are_too_old_or_of_another_kind(run):
    for change, words in {
        "version_info = (3, 10, 4)": "engines need Python 3.11 or newer, and {} is 3.10",
        "abiflags = 't'": "{} is a free-threaded Python, which pxrun does not support: use one with the usual build",
    }.items():
        program = f"import sys; sys.{change}; exec(open({str(ENGINE)!r}).read())"
        assert words.format(sys.executable) + "\n" == run("-c", program, program=sys.executable, code=1)


def test_package_of_another_version(run):
    words = run("--template", "--version", "7.0", program=ENGINE, code=1)
    assert f"{os.environ['PYTHON']} has pxrun " in words and "and the pool is of pxrun 7.0: install that version there" in words


def test_interpreter_without_pxrun(run, tmp_path):
    python = tmp_path / "python"
    python.write_text("""#!/bin/sh\necho "ModuleNotFoundError: No module named 'pxrun'" >&2; exit 1\n""")
    python.chmod(0o755)
    words = run("start", "-n", "1", "--python", python, code=4)
    assert f"No module named 'pxrun'; install pxrun there, in Python 3.11 or newer: {python} -m pip install pxrun-engines (" in words


def test_home_of_another_interpreter(run, tmp_path):
    words = run("start", "-n", "1", code=4, PYTHONHOME=str(tmp_path))
    assert f"<no Python frame>; PYTHONHOME is {tmp_path}, which may not be {ENGINE}'s own (" in words
