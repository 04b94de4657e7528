# SPDX-License-Identifier: BSD-3-Clause
"""Solves the heat equation on a plate that is cut into strips, one for each engine.

Each engine advances its own rows. Before a step it needs the row above and the row
below its strip from its neighbours: the halo, which is pulled from one engine and
pushed to the next. The result is compared with that of a single process, and written
as a picture.

    python heat.py [--size 1024] [--steps 200] [--output heat.png]
    pxrun run -n 4 heat.py
"""

import argparse
import os
import struct
import sys
import time
import zlib

import numpy as np

import pxrun


def plate(size):
    """A cold plate of size x size points with a hot rim on top and two hot spots."""
    u = np.zeros((size, size))
    u[0] = 1.0
    y, x = np.ogrid[:size, :size]
    for centre_y, centre_x, radius in ((0.55, 0.3, 0.12), (0.7, 0.72, 0.08)):
        u[(y - centre_y * size) ** 2 + (x - centre_x * size) ** 2 < (radius * size) ** 2] = 1.0
    return u


def advance(u):
    """One explicit step of the heat equation inside of u; its rim stays as it is."""
    inside = u[1:-1, 1:-1]
    inside += 0.2 * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:] - 4 * inside)


def solve_serially(u, steps):
    u = u.copy()
    for _ in range(steps):
        advance(u)
    return u


def exchange(view, engines):
    """Gives each strip its neighbours' edge rows."""
    edges = view.pull(("u[1]", "u[-2]"), block=True)
    pushed = []
    for i, engine in enumerate(engines):
        halo = {}
        if i > 0:
            halo["u[0]"] = edges[i - 1][1]
        if i < len(engines) - 1:
            halo["u[-1]"] = edges[i + 1][0]
        pushed.append(engine.push(halo, block=False))
    for result in pushed:
        result.get()


def solve_on_engines(rc, u, steps):
    """Returns the plate after `steps` steps, computed by all engines of rc."""
    view, engines = rc[:], [rc[i] for i in rc.ids]
    view.push({"advance": advance}, block=True)
    # Rows 1 to size-2 are computed; a strip also has the row above and the one below.
    bounds = np.linspace(1, len(u) - 1, len(engines) + 1).astype(int)
    for engine, begin, end in zip(engines, bounds, bounds[1:]):
        engine.push({"u": u[begin - 1:end + 1]}, block=True)
    for _ in range(steps):
        view.execute("advance(u)", block=True)
        exchange(view, engines)
    view.execute("inside = u[1:-1]", block=True)
    return np.concatenate([u[:1], view.gather("inside", block=True), u[-1:]])


def write_png(path, u):
    """Writes values from 0 (black) over red and yellow to 1 (white) as a picture."""
    rgb = np.clip(3 * u[..., None] - np.arange(3), 0, 1)
    rows = np.insert((255 * rgb).astype(np.uint8).reshape(len(u), -1), 0, 0, axis=1)

    def chunk(kind, data):
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", u.shape[1], u.shape[0], 8, 2, 0, 0, 0)
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
                   + chunk(b"IDAT", zlib.compress(rows.tobytes(), 9)) + chunk(b"IEND", b""))


def connect():
    """The pool of `pxrun run`, else one of our own; either is left by `with`."""
    return pxrun.Client() if "PXRUN_CONNECTION" in os.environ else pxrun.Cluster(n=4)


def main():
    parser = argparse.ArgumentParser(description="The heat equation in strips.")
    parser.add_argument("--size", type=int, default=1024, help="points along a side")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--output", default="heat.png", help="the picture to write")
    options = parser.parse_args()

    start = plate(options.size)
    with connect() as rc:
        engines = len(rc.ids)
        if options.size < engines + 2 or options.steps < 0:
            parser.error(f"{engines} engines need a plate of {engines + 2} points at least, "
                         "and a number of steps")
        begin = time.perf_counter()
        u = solve_on_engines(rc, start, options.steps)
        with_engines = time.perf_counter() - begin

    begin = time.perf_counter()
    expected = solve_serially(start, options.steps)
    serial = time.perf_counter() - begin

    write_png(options.output, u)
    print(f"{options.size} x {options.size} points, {options.steps} steps: "
          f"{engines} engines {with_engines:.2f} s, one process {serial:.2f} s")
    print(f"mean temperature {u.mean():.4f} (at the start {start.mean():.4f}), "
          f"picture in {options.output}")
    if not np.array_equal(u, expected):
        sys.exit(f"heat.py: differs from the serial run by {abs(u - expected).max():.2g}")
    print("Engines and serial run agree in every bit.")


if __name__ == "__main__":
    main()
