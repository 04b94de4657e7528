# SPDX-License-Identifier: BSD-3-Clause
"""pxrun from inside a virtual environment with newer packages, which ``bootstrap check`` makes."""
import os
import subprocess

import pytest

VENV = os.path.join(os.environ.get("PXRUN_BUILDDIR", "."), "venv")

pytestmark = [
    pytest.mark.skipif(not os.path.exists(VENV + "/complete"), reason=f"{VENV} is not there: bootstrap check makes it from PyPI"),
    pytest.mark.skipif(bool(os.environ.get("PXRUN_SANITIZE_PRELOAD")), reason="its packages are not built for sanitizers"),
]

PREAMBLE = """
import sys, numpy, pxrun
assert sys.prefix != sys.base_prefix and numpy.__version__ >= '2', numpy.__version__
rc = pxrun.Cluster(n=2).start_and_connect_sync()
view = rc[:]

def borrowed(value):
    # whether the engines got the memory itself, without a copy
    ar = view.push({'value': value}, block=False, track=True)
    ar.get(30)
    return ar.holders == [0, 1]
"""


def run(script):
    done = subprocess.run([VENV + "/bin/python", "-c", PREAMBLE + script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stderr == "", done.stdout + done.stderr


def test_engines_are_of_the_environment():
    run("assert view.apply_sync(lambda: __import__('sys').prefix) == [sys.prefix] * 2")


def test_numpy_2_there_and_back():
    run("""
a = numpy.arange(1_000_000.0)
view['a'] = a
assert view.apply_sync(lambda: (a.sum(), a.flags.writeable)) == [(a.sum(), True)] * 2
assert numpy.array_equal(rc[0]['a * 2'], a * 2)
names = numpy.array(['one', 'three'] * 10_000, dtype=numpy.dtypes.StringDType())
assert numpy.array_equal(rc[1].apply_sync(lambda n: n, names), names)
assert borrowed(pxrun.zeros(1_000_000))
view.scatter('part', a, block=True)
assert numpy.array_equal(view.gather('part', block=True), a)
""")


def test_results_of_numpy_2_are_not_copied():
    run("""
rc[0].execute('import numpy as np', block=True)
a = rc[0].apply_sync(lambda: np.ones(1 << 20) * 2)
assert rc.memory()['engines'][0]['used'] == a.nbytes  # it lies where it was computed
assert a.sum() == 2 << 20 and a.flags.writeable
rc[0].execute('b = np.ones(1 << 20); b.resize(1 << 21, refcheck=False); s = b.sum(), len(b)', block=True)
assert rc[0]['s'] == (1 << 20, 1 << 21)
""")


def test_arrow_tables():
    run("""
import pyarrow
numbers = pxrun.asarray(numpy.arange(1_000_000))
table = pyarrow.table({'n': pyarrow.array(numbers), 's': ['text'] * len(numbers)})
assert borrowed(table)
assert rc[0]['value'].equals(table)
assert view.apply_sync(lambda: (value.num_rows, value['n'][7].as_py())) == [(1_000_000, 7)] * 2
""")


def test_dataframes():
    run("""
import pandas
frame = pandas.DataFrame({'n': numpy.arange(100_000), 's': ['text', None] * 50_000})
view['frame'] = frame
assert rc[1]['frame'].equals(frame)
assert view.apply_sync(lambda: int(frame.n.sum())) == [int(frame.n.sum())] * 2
""")
