# SPDX-License-Identifier: BSD-3-Clause
"""What make bench says of its figures."""
from __future__ import annotations

import json
import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "bench"))
import rows  # noqa: E402
import table  # noqa: E402


@pytest.mark.parametrize(
    ("goal", "verdict"),
    [
        (rows.at_most(1.3, "slow"), "goal ≤ 1.3 x slow: 0.5 met"),
        (rows.at_most(0.4, "slow"), "goal ≤ 0.4 x slow: 0.5 missed"),
        (rows.at_most(1.3, "slow", "fast"), "goal ≤ 1.3 x slow: 2 missed"),
        (rows.at_most(1.3, "absent", "fast"), "goal ≤ 1.3 x absent: 2 missed"),
        (rows.at_most(1.3, "absent"), "goal ≤ 1.3 x absent: not measured"),
        (rows.at_most(25), "goal ≤ 25 µs: 20 met"),
        (rows.at_least(25), "goal ≥ 25 µs: 20 missed"),
    ],
)
def test_verdict_of_a_goal_counts_in_the_least_of_its_peers(goal, verdict):
    assert goal.verdict(rows.Row("a call", "µs", {"pxrun": 20.0, "slow": 40.0, "fast": 10.0})) == verdict


def test_figure_scaled_keeps_its_quartiles():
    figure = rows.Figure.of([1, 2, 3, 4, 1000]).scaled(2)
    assert figure == 6 and figure.quartiles == (4, 8)


def test_figure_of_one_sample_has_no_quartiles():
    assert rows.Figure.of([7]).quartiles is None


def test_lines_compare_with_what_as_json_has_written(tmp_path):
    earlier = tmp_path / "earlier.json"
    row = rows.Row("a call", "µs", {"pxrun": rows.Figure.of([4, 5, 6]), "peer": 10.0})
    earlier.write_text(json.dumps({"rows": [row.as_json()]}))
    now = rows.Row("a call", "µs", {"pxrun": 10.0, "peer": 10.0, "another": 5.0})
    pxrun, peer, another = table.lines(now, table.earlier_values(earlier))
    assert pxrun.endswith("2.00 of earlier")
    assert peer.endswith("1.00x  1.00 of earlier")
    assert "earlier" not in another
