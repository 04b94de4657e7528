# SPDX-License-Identifier: BSD-3-Clause
"""Modules that are imported once for all engines, and what a fork must not copy of them."""
import os

import pxrun


def pool_log(rc):
    with open(os.path.join(rc._core.folder, "log")) as log:
        return log.read()


def test_log_says_why_results_of_a_numpy_are_copied(tmp_path, monkeypatch):
    (tmp_path / "numpy.py").write_text("__version__ = '0.1'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pxrun.Cluster(n=1, preload=["numpy"]) as rc:
        assert rc[0].apply_sync(lambda: __import__("numpy").__version__) == "0.1"
        words = pool_log(rc)
    assert words.count("arrays that engines compute are copied when they are sent: numpy 0.1: No module named 'numpy.core'") == 1
