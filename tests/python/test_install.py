# SPDX-License-Identifier: BSD-3-Clause
"""pxrun as pip installs it, in an environment of each Python that ``bootstrap check`` finds."""
import json
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

BUILD = Path(os.environ.get("PXRUN_BUILDDIR", "."))
ENVIRONMENTS = sorted(path.parent for path in BUILD.glob("pythons/*/complete"))
OF_THE_BUILD_TREE = ("LD_LIBRARY_PATH", "PYTHON", "PYTHONPATH", "PXRUN_BUILDDIR", "PXRUN_COMMAND", "PXRUN_SRCDIR", "VIRTUAL_ENV")

pytestmark = [
    pytest.mark.skipif(not ENVIRONMENTS, reason=f"{BUILD}/pythons has none: bootstrap check makes them, with packages of PyPI"),
    pytest.mark.skipif(bool(os.environ.get("PXRUN_SANITIZE_PRELOAD")), reason="the wheel is not built for sanitizers"),
]

WHERE = "import sys, numpy; where = sys.prefix, sys.version, numpy.__file__"
SCRIPT = f"""
import pxrun
{WHERE}
with CLIENT as rc:
    rc[:].execute({WHERE!r}, block=True)
    assert rc[:]['where'] == [where] * len(rc), (where, rc[:]['where'])
    assert rc[0].apply_sync(lambda x: x * 2, numpy.arange(100_000)).sum() == 9_999_900_000
print(sys.prefix, pxrun.__file__, numpy.__file__, sep='\\n')
"""


@pytest.fixture(params=ENVIRONMENTS, ids=lambda path: path.name)
def environment(request):
    return request.param


@pytest.fixture
def run(tmp_path):
    """run(program, argument, ..., active=environment or None): its output, in an environment without the build tree."""
    base = {k: v for k, v in os.environ.items() if k not in OF_THE_BUILD_TREE}
    base["PATH"] = os.pathsep.join(p for p in base["PATH"].split(os.pathsep) if not p.startswith(str(BUILD)))

    def call(program, *arguments, active=None, **variables):
        env = base | variables
        if active:
            env |= {"VIRTUAL_ENV": str(active), "PATH": f"{active}/bin{os.pathsep}{env['PATH']}"}
        command = [shutil.which(program, path=env["PATH"]), *map(str, arguments)]
        done = subprocess.run(command, env=env, cwd=tmp_path, text=True, capture_output=True, timeout=100)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return call


def assert_of(environment, words):
    prefix, *packages = words.splitlines()
    assert Path(prefix) == environment
    assert all(Path(package).is_relative_to(environment) for package in packages), packages


def test_command_runs_a_script(environment, run, tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT.replace("CLIENT", "pxrun.Client()"))
    assert_of(environment, run("pxrun", "run", "-n", "2", "script.py", active=environment))
    assert_of(environment, run(f"{environment}/bin/pxrun", "run", "-n", "2", "script.py"))


def test_python_starts_a_pool(environment, run):
    code = SCRIPT.replace("CLIENT", "pxrun.Cluster(n=2)")
    assert_of(environment, run("python", "-c", code, active=environment))
    other = next((other for other in ENVIRONMENTS if other != environment), None)
    assert_of(environment, run(f"{environment}/bin/python", "-c", code, active=other))


@pytest.mark.parametrize("inside", [True, False], ids=["activated", "outside"])
def test_pools_of_the_command(environment, run, inside):
    active = environment if inside else None
    command = "pxrun" if inside else f"{environment}/bin/pxrun"
    run(command, "start", "-d", "-n", "2", "-p", "installed", active=active)
    try:
        status = json.loads(run(command, "status", "-p", "installed", "--json", active=active))
        assert Path(status["executable"]).parent == environment / "bin"
        code = SCRIPT.replace("CLIENT", "pxrun.Client(profile='installed')")
        assert_of(environment, run(f"{environment}/bin/python", "-c", code))
    finally:
        run(command, "stop", "-p", "installed", active=active)


def test_interpreter_of_another_environment(run):
    if len(ENVIRONMENTS) < 2:
        pytest.skip("there is one environment only")
    here, there = ENVIRONMENTS[0], ENVIRONMENTS[-1]
    run("pxrun", "start", "-d", "-n", "1", "-p", "installed", "--python", there / "bin/python", active=here)
    try:
        assert json.loads(run("pxrun", "status", "-p", "installed", "--json", active=here))["executable"] == f"{there}/bin/python"
        assert repr(str(there)) in run("pxrun", "exec", "-p", "installed", "import sys; sys.prefix", active=here)
    finally:
        run("pxrun", "stop", "-p", "installed", active=here)


def minor(environment):
    return environment.name.rpartition(".")[0]


def test_functions_by_value_of_another_version_are_refused_in_words(run):
    here = ENVIRONMENTS[0]
    there = next((other for other in ENVIRONMENTS if minor(other) != minor(here)), None)
    if there is None:
        pytest.skip("there is one minor version only")
    code = """if True:
        import functools, os, pxrun

        class Shape:
            def area(self): return 7

        rc = pxrun.Client(profile='installed')
        own = functools.partial(lambda x: x, 1)
        for f, args in (lambda: 1, ()), (own, ()), (lambda x=[]: x, ()), (len, ([lambda: 1],)), (isinstance, (Shape(), int)):
            try:
                rc[0].apply_sync(f, *args)
            except pxrun.RemoteError as e:
                assert e.ename == 'TypeError' and 'comes from Python HERE, and cannot run in THERE' in e.evalue, e
            else:
                raise AssertionError(f)
        assert rc[0].apply_sync(len, 'abc') == 3 and rc[0].apply_sync(os.getpid) == rc.engines[0].pid
        rc[0]['a'] = {'b': [1.5]}
        assert rc[0]['a'] == {'b': [1.5]}
    """.replace("THERE", minor(there)).replace("HERE", minor(here))
    run("pxrun", "start", "-d", "-n", "1", "-p", "installed", active=there)
    try:
        run(f"{here}/bin/python", "-c", code)
    finally:
        run("pxrun", "stop", "-p", "installed", active=there)


def test_c_program(environment, run, tmp_path):
    flags = run("pkg-config", "--cflags", "--libs", "pxrun", PKG_CONFIG_PATH=f"{environment}/lib/pkgconfig").split()
    (tmp_path / "prefix.c").write_text(r"""
        #include <pxrun.h>
        #include <stdio.h>
        int main(void)
        {
            struct px_pool_options options = PX_POOL_OPTIONS;
            struct px_client *client;
            char *status;
            options.profile = "";
            options.engines = 1;
            if (px_pool_start(&options, &client) < 0 || px_client_status_json(client, &status) < 0)
                return puts(px_last_error()), 1;
            puts(status);
            px_client_detach(client);
            return 0;
        }""")
    run("cc", "-o", "prefix", "prefix.c", *flags, f"-Wl,-rpath,{environment}/lib")
    status = json.loads(run(f"{tmp_path}/prefix"))
    assert Path(status["executable"]).parent == environment / "bin"


def test_manual_pages_and_metadata(environment, run):
    pages = {path.name for path in Path(environment, "share/man").rglob("*.?")}
    assert pages >= {path.name for path in Path(os.environ["PXRUN_SRCDIR"], "man").glob("*.?")}
    code = "import importlib.metadata as m; import pxrun; assert m.version('pxrun-engines') == pxrun.__version__"
    run(f"{environment}/bin/python", "-c", code)
    assert "No broken requirements" in run(f"{environment}/bin/pip", "check")


def test_wheel_needs_nothing_but_the_c_library(environment, run):
    for file in ("bin/pxrun", "lib/libpxrun.so.0", *(str(path) for path in environment.glob("lib/python3*/site-packages/pxrun/*.so"))):
        libraries = [line.split()[0] for line in run("ldd", environment / file).splitlines()]
        assert {Path(name).name.partition(".")[0] for name in libraries} <= {"linux-vdso", "libc", "ld-linux-x86-64", "ld-linux-aarch64"}
    wheel, = BUILD.glob("wheel/*.whl")
    assert "-cp311-abi3-linux_" in wheel.name and wheel.stat().st_size < 3 << 20
    with zipfile.ZipFile(wheel) as opened:
        assert not [name for name in opened.namelist() if name.endswith((".pyc", ".la"))]


def test_folder_with_spaces_and_a_long_name(run, tmp_path):
    folder = tmp_path / ("with spaces and a " + "long " * 38 + "name")
    wheel, = BUILD.glob("wheel/*.whl")
    run(f"{ENVIRONMENTS[0]}/bin/python", "-m", "venv", folder)
    run(f"{folder}/bin/python", "-m", "pip", "install", "-q", "--no-deps", wheel)
    for python in ("start", "-d", "-n", "1"), ("start", "-d", "-n", "1", "--python", f"{folder}/bin/python"):
        run(f"{folder}/bin/pxrun", *python, "-p", "installed")
        assert repr(str(folder)) in run(f"{folder}/bin/pxrun", "exec", "-p", "installed", "import sys; sys.prefix")
        run(f"{folder}/bin/pxrun", "stop", "-p", "installed")


def test_target_folder(environment, run, tmp_path):
    wheel, = BUILD.glob("wheel/*.whl")
    run(f"{environment}/bin/pip", "install", "-q", "--no-deps", "--target", tmp_path / "target", wheel)
    code = SCRIPT.replace("CLIENT", "pxrun.Cluster(n=1)")
    words = run(f"{environment}/bin/python", "-c", code, PYTHONPATH=str(tmp_path / "target"))
    assert Path(words.splitlines()[1]).parent == tmp_path / "target/pxrun"
