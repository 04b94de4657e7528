# SPDX-License-Identifier: BSD-3-Clause
"""Measures pxrun beside its peers, in one run: ``make bench``; ``make bench-quick``, in a minute, small calls alone.

Prints a table, row by row: a figure is a median, and behind it stand its quartiles. ``--json FILE`` and
``--svg FILE`` write the figures and a picture of the ratios, anew after each workload, so that a run that is
broken off leaves what it has. ``--compare FILE``, of an earlier ``--json``, shows how many times the earlier
figure each is. Names of workloads choose some of them; ``--quick`` takes less time.
Run it alone: on a machine that does something else the figures mean nothing.
"""
from __future__ import annotations

import argparse
import json
import os
import platform
import sys

import measure
import picture
import table
import workloads


def write(path, text):
    """Whole or not at all."""
    with open(path + ".new", "w") as out:
        out.write(text)
    os.replace(path + ".new", path)


def keep(options, rows):
    if options.json:
        found = {"machine": platform.platform(), "rows": [row.as_json() for row in rows]}
        write(options.json, json.dumps(found, indent=1, ensure_ascii=False))
    if options.svg:
        write(options.svg, picture.svg(rows))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workload", nargs="*", help=", ".join(workloads.ALL))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--svg", metavar="FILE")
    parser.add_argument("--compare", metavar="FILE", type=table.earlier_values, default={})
    options = parser.parse_args()
    unknown = set(options.workload) - set(workloads.ALL)
    if unknown:
        parser.error(f"no workload {', '.join(sorted(unknown))}; there are {', '.join(workloads.ALL)}")
    # engines of peers that are started by exec find the functions only so
    os.environ["PYTHONPATH"] = os.pathsep.join([workloads.HERE, os.environ.get("PYTHONPATH", "")])
    # what is installed has its bytecode, as the peers have theirs
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    rows = []
    for name, workload in workloads.ALL.items():
        if not options.workload or name in options.workload:
            busy = measure.busy()
            others = f" (not alone: the machine is {busy:.0%} busy)" if busy > 0.05 else ""
            print(f"measuring {name} …{others}", file=sys.stderr)
            for row in workload(options.quick):
                table.show(row, options.compare)
                rows.append(row)
            keep(options, rows)


if __name__ == "__main__":
    main()
