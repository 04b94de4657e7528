# SPDX-License-Identifier: BSD-3-Clause
"""The examples run, and the results that they check themselves are right."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import zlib

import pytest

EXAMPLES = pathlib.Path(os.environ["PXRUN_SRCDIR"]) / "examples"
BUILD = pathlib.Path(os.environ["PXRUN_BUILDDIR"])
HEAT = ["--size", "64", "--steps", "20"]


def run(*command, **options):
    done = subprocess.run([str(word) for word in command], text=True, capture_output=True,
                          timeout=120, check=False, **options)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("launcher", [[sys.executable], ["pxrun", "run", "-n", "3"]],
                         ids=["alone", "pxrun-run"])
def test_census(launcher):
    output = run(*launcher, EXAMPLES / "census.py", "--quick")
    assert "The engines and the serial run agree." in output
    assert f"{3 if 'run' in launcher else 4} engines" in output
    rows = re.findall(r"^(\w+) +(\d+) +(\d+)", output, re.M)
    assert len(rows) >= 10
    assert rows[-1][0] == "all" and int(rows[-1][2]) > 10000


@pytest.mark.parametrize("launcher", [[sys.executable], ["pxrun", "run", "-n", "3"]],
                         ids=["alone", "pxrun-run"])
def test_heat(launcher, tmp_path):
    picture = tmp_path / "heat.png"
    output = run(*launcher, EXAMPLES / "heat.py", *HEAT, "--output", picture)
    assert "agree in every bit" in output
    data = picture.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n") and data[16:24] == b"\0\0\0\x40" * 2
    length = int.from_bytes(data[33:37], "big")
    pixels = zlib.decompress(data[41:41 + length])
    assert len(pixels) == 64 * (1 + 3 * 64)
    assert pixels[1:4] == b"\xff\xff\xff"  # the hot rim


@pytest.mark.parametrize("steps", ["20", "21", "0"])
def test_heat_shared(steps):
    output = run(sys.executable, EXAMPLES / "heat_shared.py", "--size", "64", "--steps", steps)
    assert "agree in every bit" in output


@pytest.mark.parametrize("launcher", [[sys.executable], ["pxrun", "run", "-n", "3"]],
                         ids=["alone", "pxrun-run"])
def test_sweep(launcher):
    output = run(*launcher, EXAMPLES / "sweep.py", "--quick")
    assert "killed engine 0" in output
    # of small m it is 2 pi (1 + m^2 / 16)
    assert "m =   0.100   period   6.28712" in output
    assert re.search(rf"without engines, .* with {3 if 'run' in launcher else os.cpu_count()}$", output)


def test_heat_refuses_tiny_plate(tmp_path):
    done = subprocess.run([sys.executable, EXAMPLES / "heat.py", "--size", "3"], text=True,
                          capture_output=True, timeout=120, check=False, cwd=tmp_path)
    assert done.returncode == 2 and "need a plate of 6 points" in done.stderr


def test_pi():
    output = run(BUILD / "examples" / "pi")
    assert re.search(r"^pi = 3\.14159265\d+, error \d\.\de-1\d$", output, re.M)


def test_sweep_in_c():
    output = run(BUILD / "examples" / "sweep")
    assert "of the first 1000000, 837799 needs the most steps: 524" in output
    assert sum(map(int, re.findall(r"engine \d: (\d+) tasks", output))) == 64


def test_loop():
    assert run(BUILD / "examples" / "loop").endswith("78498 primes below 1000000\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_loop_is_stopped_by_a_signal(number):
    with subprocess.Popen([BUILD / "examples" / "loop", "1000000000"], text=True, stdout=subprocess.PIPE) as loop:
        assert loop.stdout.readline().endswith(" of 1000000000\n")
        loop.send_signal(number)
        assert re.search(r"^stopped: [1-9]\d* primes among \d+0000 numbers$", loop.stdout.read(), re.M)
    assert loop.returncode == 128 + number


def test_montecarlo():
    program = BUILD / "examples" / "montecarlo"
    if not program.exists():
        pytest.skip("not built: no Fortran compiler, or a sanitizer")
    assert len(re.findall(r"dimensions: .* should be", run(program))) == 7


@pytest.mark.parametrize("engines", [1, 2, 3])
@pytest.mark.parametrize("sweeps", [0, 7, 40])
def test_jacobi(engines, sweeps):
    output = run(BUILD / "examples/jacobi", BUILD / "examples/.libs/jacobi_kernel.so", 100, sweeps, engines)
    assert "agree in every bit" in output
    assert sum(map(int, re.findall(r"^engine \d+: (\d+) rows", output, re.M))) == 98
