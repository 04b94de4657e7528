# SPDX-License-Identifier: BSD-3-Clause
"""Measures pxrun beside its peers, in one run: ``make bench``.

Prints a table; ``--json FILE`` and ``--svg FILE`` write the figures and a picture of the
ratios. Names of workloads choose some of them; ``--quick`` takes less time.
Run it alone: on a machine that does something else the figures mean nothing.
"""
from __future__ import annotations

import argparse
import json
import math
import os
import platform
import sys

import workloads


def ratio(row, peer):
    """How many times pxrun is faster (or smaller) than the peer."""
    values = row[2]
    return values[peer] / values["pxrun"] if values["pxrun"] else math.inf


def print_table(rows):
    for what, unit, values, goal in rows:
        print(f"{what:46} {values['pxrun']:>11,.2f} {unit:3}  {('goal ' + goal) if goal else ''}")
        for peer in values:
            if peer != "pxrun":
                x = ratio((what, unit, values, goal), peer)
                print(f"    {peer:42} {values[peer]:>11,.2f} {unit:3}  {x:,.2f}x")


def svg(rows):
    """Bars of the ratios on a logarithmic scale, as text."""
    bars = [(row[0], peer, ratio(row, peer)) for row in rows for peer in row[2] if peer != "pxrun"]
    bars = [bar for bar in bars if 0 < bar[2] < math.inf]
    width, left, step = 900, 420, 20
    scale = (width - left - 80) / math.log10(max([10, *(bar[2] for bar in bars)]) * 10)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{step * len(bars) + 50}" '
        'font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        '<text x="10" y="20" font-size="14">peer / pxrun: longer is better for pxrun (logarithmic, line at 1)</text>',
    ]
    one = left + scale
    for i, (what, peer, x) in enumerate(bars):
        y = 40 + i * step
        end = left + scale * (1 + math.log10(x))
        colour = "#2a7f62" if x >= 1 else "#b5523b"
        lines.append(f'<text x="{left - 8}" y="{y + 12}" text-anchor="end">{what} · {peer}</text>')
        lines.append(f'<rect x="{min(one, end):.1f}" y="{y}" width="{abs(end - one):.1f}" height="14" fill="{colour}"/>')
        lines.append(f'<text x="{max(one, end) + 6:.1f}" y="{y + 12}">{x:,.1f}x</text>')
    lines.append(f'<line x1="{one}" y1="34" x2="{one}" y2="{40 + step * len(bars)}" stroke="black"/></svg>')
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workload", nargs="*", help=", ".join(workloads.ALL))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--svg", metavar="FILE")
    options = parser.parse_args()
    unknown = set(options.workload) - set(workloads.ALL)
    if unknown:
        parser.error(f"no workload {', '.join(sorted(unknown))}; there are {', '.join(workloads.ALL)}")
    # engines of peers that are started by exec find the functions only so
    os.environ["PYTHONPATH"] = os.pathsep.join([workloads.HERE, os.environ.get("PYTHONPATH", "")])
    rows = []
    for name, workload in workloads.ALL.items():
        if not options.workload or name in options.workload:
            print(f"measuring {name} …", file=sys.stderr)
            rows += workload(options.quick)
    print_table(rows)
    if options.json:
        with open(options.json, "w") as out:
            keys = ("what", "unit", "values", "goal")
            json.dump({"machine": platform.platform(), "rows": [dict(zip(keys, r)) for r in rows]}, out, indent=1)
    if options.svg:
        with open(options.svg, "w") as out:
            out.write(svg(rows))


if __name__ == "__main__":
    main()
