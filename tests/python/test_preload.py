# SPDX-License-Identifier: BSD-3-Clause
"""Modules that are imported once for all engines, and what a fork must not copy of them."""
import os

import pytest

import pxrun


def pool_log(rc):
    with open(os.path.join(rc._core.folder, "log")) as log:
        return log.read()


def test_numpy_whose_results_are_copied_is_a_warning_at_the_line_that_starts(tmp_path, monkeypatch):
    (tmp_path / "numpy.py").write_text("__version__ = '0.1'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    words = "arrays that engines compute are copied when they are sent: numpy 0.1: No module named 'numpy.core'"
    with pytest.warns(RuntimeWarning, match=words) as caught:
        with pxrun.Cluster(n=1, preload=["numpy"]) as rc:
            assert rc[0].apply_sync(lambda: __import__("numpy").__version__) == "0.1"
            log = pool_log(rc)
    assert [warning.filename for warning in caught] == [__file__]
    assert log.count(words) == 1


# --- modules that cannot be imported


def test_preload_that_is_misspelt_is_an_error():
    with pytest.raises(pxrun.EngineError, match="preload of 'nump': No module named 'nump'; did you mean 'numpy'"):
        pxrun.Cluster(n=2, preload=["json", "nump"]).start_cluster_sync()


def test_preload_that_is_there_is_none(recwarn):
    with pxrun.Cluster(n=1, preload=["json"]):
        pass
    assert not recwarn.list


# --- random numbers

GENERATORS = """
import copy, random
import numpy
from numpy.random import MT19937, PCG64, SFC64, Generator, Philox, RandomState, SeedSequence, default_rng

class Dice(random.Random):
    def roll(self):
        return self.getrandbits(64)

class Strict(random.Random):
    def seed(self, a, version=2):
        super().seed(a, version)

kept = random.Random()
kept.setstate(random.Random(7).getstate())
half = RandomState()
half.normal()  # the other one of the pair waits in it
BY_CHANCE = {
    "random.Random": random.Random().random,
    "a subclass": Dice().roll,
    "default_rng": default_rng().random,
    "Generator": Generator(MT19937()).random,
    "Philox": Generator(Philox()).random,
    "SFC64": SFC64().random_raw,
    "PCG64": PCG64().random_raw,
    "spawned": default_rng(SeedSequence().spawn(1)[0]).random,
    "spawns": (lambda sequence: lambda: default_rng(sequence.spawn(1)[0]).random())(SeedSequence()),
    "bits that spawn": (lambda bits: lambda: default_rng(bits._seed_seq.spawn(1)[0]).random())(PCG64()),
    "RandomState": RandomState().random_sample,
    "RandomState that has made one": half.normal,
    "RandomState of PCG64": RandomState(PCG64()).random_sample,
    "global": random.random,
    "global of numpy": numpy.random.random,
}
SEEDED = {
    "random.Random": random.Random(3).random,
    "a state": kept.random,
    "a subclass": Strict(4).random,
    "default_rng": default_rng(5).random,
    "several seeds": default_rng([5, 6]).random,
    "a long seed": default_rng(0x1234567890abcdef1234567890abcdef).random,
    "RandomState": RandomState(6).random_sample,
    "spawned": default_rng(SeedSequence(8).spawn(1)[0]).random,
}

def draw(which):
    return {name: float(f()) for name, f in which.items()}
"""


def test_generators_of_preloaded_modules(tmp_path, monkeypatch):
    (tmp_path / "has_generators.py").write_text(GENERATORS)
    (tmp_path / "torch.py").write_text("def seed():\n    global seeded\n    seeded = True\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pxrun.Cluster(n=2, preload=["has_generators", "torch"]) as rc:
        rc[:].execute("import has_generators as g, torch", block=True)
        drawn = rc[:]["g.draw(g.BY_CHANCE)"] + rc[:]["g.draw(g.BY_CHANCE)"]
        seeded = rc[:]["g.draw(g.SEEDED)"]
        assert rc[:]["torch.seeded"] == [True, True]
        rc.restart(0)
        rc[0].execute("import has_generators as g", block=True)
        drawn.append(rc[0]["g.draw(g.BY_CHANCE)"])
        seeded.append(rc[0]["g.draw(g.SEEDED)"])
    for name in drawn[0]:
        assert len({each[name] for each in drawn}) == 5, f"{name} repeats itself"
    assert seeded[0] == seeded[1] == seeded[2]


def test_watching_leaves_no_trace():
    code = "random.Random.seed.__module__, secrets.randbits.__qualname__, numpy.random.bit_generator.randbits.__qualname__"
    with pxrun.Cluster(n=1) as rc:
        rc[0].execute("import random, secrets, numpy.random", block=True)
        assert rc[0][code] == ("random", "SystemRandom.getrandbits", "SystemRandom.getrandbits")
