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


def need(*modules):
    find = "import sys, importlib.util as u; sys.exit(any(u.find_spec(m) is None for m in sys.argv[1:]))"
    if subprocess.run([VENV + "/bin/python", "-c", find, *modules], check=False).returncode:
        pytest.skip(f"{VENV} lacks one of {', '.join(modules)}: bootstrap check installs them")


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


def test_joblib_of_pypi():
    need("joblib")
    run("""
import os, joblib, pxrun.joblib
from joblib import Parallel, delayed
assert tuple(map(int, joblib.__version__.split('.')[:2])) >= (1, 3)
with joblib.parallel_config('pxrun', client=rc):
    x = numpy.ones(1 << 20)
    assert joblib.effective_n_jobs() == 2
    assert Parallel()(delayed(numpy.sum)(x) for _ in range(20)) == [1 << 20] * 20
    for kind in ('generator', 'generator_unordered'):
        assert sorted(Parallel(return_as=kind)(delayed(pow)(i, 2) for i in range(50))) == [i * i for i in range(50)]
    assert set(Parallel()(delayed(os.getpid)() for _ in range(20))) <= set(view.apply_sync(os.getpid))
    class Mine(Exception):
        pass
    def fails():
        raise Mine
    try:
        Parallel()(delayed(fails)() for _ in range(4))
        assert False
    except Mine:
        pass
assert Parallel(n_jobs=2, backend='pxrun', profile=rc.profile)(delayed(abs)(-i) for i in range(5)) == [0, 1, 2, 3, 4]
""")


def test_scikit_learn():
    need("sklearn")
    run("""
import joblib, pxrun.joblib, warnings
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
x, y = make_classification(1000, 200, random_state=0)

def work():
    search = GridSearchCV(LogisticRegression(max_iter=20), {'C': [0.1, 1, 10]}, cv=3).fit(x, y)
    forest = RandomForestClassifier(20, random_state=0).fit(x, y)
    return search.best_params_, search.cv_results_['mean_test_score'].tolist(), forest.predict_proba(x).tolist()

warnings.simplefilter('ignore')  # it does not converge, nor need it
expected = work()
with joblib.parallel_config('pxrun', client=rc, n_jobs=2):
    view.apply_sync(warnings.simplefilter, 'ignore')
    assert work() == expected
""")


def test_those_who_take_executors():
    need("dask", "scipy", "tqdm")
    run("""
import contextlib, dask, io
from scipy import optimize
from tqdm.contrib.concurrent import _executor_map
with rc.executor() as executor:
    found = optimize.differential_evolution(optimize.rosen, [(-2, 2)] * 2, workers=executor.map, updating='deferred', rng=1)
    assert found.fun < 1e-6
    assert dask.delayed(sum)([dask.delayed(pow)(i, 2) for i in range(20)]).compute(scheduler=executor) == 2470
bar = io.StringIO()
with contextlib.redirect_stderr(bar):
    assert _executor_map(rc.executor, abs, range(-20, 0)) == list(range(20, 0, -1))
assert '/20 ' in bar.getvalue()
""")
