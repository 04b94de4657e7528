# SPDX-License-Identifier: BSD-3-Clause
"""Native pools from the command and from Python, and what libraries may bring with them."""
import json
import os
import pathlib
import shutil
import subprocess

import pytest

import pxrun

BUILD = pathlib.Path(os.environ["PXRUN_BUILDDIR"])
SOURCE = pathlib.Path(os.environ["PXRUN_SRCDIR"])
INCLUDE = ["-I", str(SOURCE / "lib/client")]

#: Loads a library into an engine, calls a function of it without arguments, and prints what it returns.
CALLER = r"""
#include <pxrun.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	struct px_pool_options options = PX_POOL_OPTIONS;
	struct px_library *library;
	struct px_client *client;
	struct px_kernel *kernel;
	struct px_result *result;
	struct px_value value;
	struct px_view *view;

	options.profile = "";
	options.engines = 1;
	options.native = argv[3][0] == 'n';
	if (argc != 4 || px_pool_start(&options, &client) || px_view_all(client, &view) ||
	    px_library_load(view, argv[1], PX_FOREVER, &library) ||
	    px_kernel_find(library, argv[2], &kernel) ||
	    px_view_call_native(view, kernel, 0, NULL, NULL, &result) ||
	    px_result_wait(result, PX_FOREVER) || px_result_value(result, 0, &value))
		printf("%d %s\n", px_last_code(), px_last_error());
	else
		printf("%lld\n", (long long)value.as.integer);
	px_client_detach(client);
	return 0;
}
"""


def compiled(folder, name, source, *flags, compiler="cc"):
    if not shutil.which(compiler):
        pytest.skip(f"no {compiler}")
    file = folder / name
    file.write_text(source)
    out = file.with_suffix(".so" if "-shared" in flags else "")
    done = subprocess.run([compiler, "-O1", *INCLUDE, *flags, "-o", out, file, *(["-L", BUILD / ".libs", "-lpxrun"] if "-shared" not in flags else [])],
                          capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(done.stderr)
    return out


@pytest.fixture(scope="module")
def caller(tmp_path_factory):
    if os.environ.get("PXRUN_SANITIZE_PRELOAD"):
        pytest.skip("a program without the sanitizer cannot link the library")
    return compiled(tmp_path_factory.mktemp("caller"), "caller.c", CALLER)


@pytest.fixture(params=["native", "python"])
def run(request, caller):
    def run(library, symbol):
        return subprocess.run([caller, library, symbol, request.param], capture_output=True, text=True, timeout=60, check=True).stdout

    return run


# --- pools


def test_native_pool_of_the_command():
    def pxrun_(*words):
        return subprocess.run(["pxrun", *words, "-p", "native-test"], capture_output=True, text=True, timeout=60, check=False)

    assert pxrun_("start", "-d", "-n", "2", "--native").returncode == 0
    try:
        state = json.loads(subprocess.run(["pxrun", "status", "--json", "-p", "native-test"], capture_output=True, text=True, check=True).stdout)
        assert state["native"] is True and state["python"] is None
        assert "native: engines without an interpreter" in pxrun_("status").stdout
        done = subprocess.run(["pxrun", "exec", "-p", "native-test", "1"], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode != 0 and "its engines have no interpreter" in done.stderr
    finally:
        assert pxrun_("stop").returncode == 0


def test_native_flag_may_have_a_value(tmp_path):
    done = subprocess.run(["pxrun", "start", "--native=perhaps"], capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "--native must be true or false, not 'perhaps'" in done.stderr


def test_native_pool_of_python_refuses_python_in_words():
    with pxrun.Cluster(n=2, native=True) as rc:
        for request in (
            lambda: rc[0].apply_sync(abs, -1),
            lambda: rc[0].execute("1", block=True),
            lambda: rc[0].push({"x": 1}, block=True),
            lambda: rc.load_balanced_view().apply_sync(abs, -1),
        ):
            with pytest.raises(pxrun.RemoteError, match="this pool is native: its engines have no interpreter"):
                request()


# --- libraries


def test_exception_that_leaves_a_function_is_a_crash(tmp_path, run):
    library = compiled(tmp_path, "throws.cpp", """
#include <pxrun_native.h>
#include <stdexcept>
PX_NATIVE_FUNCTION(throws) { (void)px, (void)argc, (void)argv, (void)result; throw std::runtime_error("no"); }
PX_NATIVE_FUNCTION(catches)
{
    (void)px, (void)argc, (void)argv;
    try { throw std::runtime_error("no"); } catch (const std::exception &e) { return px_native_return_int(result, 5); }
}
""", "-shared", "-fPIC", compiler="c++")
    assert run(library, "catches") == "5\n"
    words = run(library, "throws")
    assert words.startswith("-5 ") and "SIGABRT" in words and f"in the native function throws of {library}" in words


def test_openmp_in_a_function(tmp_path, run):
    library = compiled(tmp_path, "threads.c", """
#include <pxrun_native.h>
#include <omp.h>
PX_NATIVE_FUNCTION(threads)
{
    int64_t sum = 0;
    (void)px, (void)argc, (void)argv;
    omp_set_num_threads(4);
#pragma omp parallel for reduction(+:sum)
    for (int i = 0; i < 1000; i++)
        sum += i;
    return px_native_return_int(result, sum);
}
""", "-shared", "-fPIC", "-fopenmp")
    assert run(library, "threads") == "499500\n"


def test_library_with_an_unknown_symbol_is_not_loaded(tmp_path, run):
    library = compiled(tmp_path, "lacks.c", """
#include <pxrun_native.h>
int nowhere_to_be_found(void);
PX_NATIVE_FUNCTION(lacks) { (void)px, (void)argc, (void)argv; return px_native_return_int(result, nowhere_to_be_found()); }
""", "-shared", "-fPIC")
    words = run(library, "lacks")
    assert words.startswith("-1 ") and "undefined symbol: nowhere_to_be_found" in words


def test_function_that_is_hidden_is_not_found(tmp_path, run):
    library = compiled(tmp_path, "hides.c", "static int hides(void) { return 0; } int shows(void); int shows(void) { return hides(); }\n", "-shared", "-fPIC")
    words = run(library, "hides")
    assert words.startswith("-1 ") and "has no function hides" in words
