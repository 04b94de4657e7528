# SPDX-License-Identifier: BSD-3-Clause
"""The rows as lines of text, each printed as soon as it is there."""
from __future__ import annotations

import json

#: Of the first column, which names the row or, indented, a peer.
WIDTH = 46


def earlier_values(path):
    """{(what, who): figure} of a file that ``--json`` has written."""
    with open(path) as file:
        return {(row["what"], who): value for row in json.load(file)["rows"] for who, value in row["values"].items()}


def _figure(value, unit):
    quartiles = getattr(value, "quartiles", None)
    digits = 2 if abs(value) >= 1 else 3
    spread = f"[{quartiles[0]:,.{digits}f} {quartiles[1]:,.{digits}f}]" if quartiles else ""
    return f"{value:>11,.{digits}f} {unit:3} {spread:22}"


def lines(row, earlier):
    """pxrun's figure, the goals, then the peers'; beside each, how many times the earlier figure it is."""

    def before(who):
        value = earlier.get((row.what, who))
        return f"  {row.values[who] / value:.2f} of earlier" if value else ""

    yield f"{row.what:{WIDTH}} {_figure(row.values['pxrun'], row.unit)}{before('pxrun')}".rstrip()
    for goal in row.goals:
        yield f"    {goal.verdict(row)}"
    for who, value in row.values.items():
        if who != "pxrun":
            yield f"    {who:{WIDTH - 4}} {_figure(value, row.unit)} {row.ratio(who):>9,.2f}x{before(who)}"


def show(row, earlier):
    print("\n".join(lines(row, earlier)), flush=True)
