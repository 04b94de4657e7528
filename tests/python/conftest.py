# SPDX-License-Identifier: BSD-3-Clause
"""What all tests share: a time limit, and a pool of four engines."""
from __future__ import annotations

import faulthandler

import pytest

import pxrun

LIMIT = 120  # seconds for one test; a hang shows every thread's stack and ends the run


@pytest.fixture(autouse=True)
def limit():
    faulthandler.dump_traceback_later(LIMIT, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(scope="session")
def shared_pool():
    with pxrun.Cluster(n=4) as client:
        yield client


@pytest.fixture
def pool(shared_pool):
    """Four engines with empty namespaces."""
    shared_pool[:].clear(block=True)
    return shared_pool
