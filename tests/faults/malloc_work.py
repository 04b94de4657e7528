# SPDX-License-Identifier: BSD-3-Clause
"""A little of everything that a client does; what memory refuses is an error of pxrun's. ``malloc_work.py PROFILE``."""
from __future__ import annotations

import sys

import pxrun


def main(profile):
    with pxrun.Client(profile=profile, timeout=5) as rc:
        view = rc[:]
        data = bytes(100_000)
        assert view.apply_sync(lambda x: x + 1, 1) == [2] * len(view)
        view.push({"data": data}, block=True)
        assert view.pull("data", block=True) == [data] * len(view)
        asked = [view.apply_async(lambda: print("x" * 100)) for _ in range(5)]
        assert all(ar.get(30) == [None] * len(view) for ar in asked)
        view.execute("1 + 1", block=True)
        assert view.map_sync(abs, range(5)) == list(range(5))
        rc.status()


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (pxrun.error.IPythonError, MemoryError, OSError) as failure:
        sys.exit(f"{type(failure).__name__}: {failure}")
