# SPDX-License-Identifier: BSD-3-Clause
"""The ratios of the rows as a picture."""
from __future__ import annotations

import math


def svg(rows):
    """Bars of the ratios on a logarithmic scale, as text."""
    bars = [(row.what, peer, row.ratio(peer)) for row in rows for peer in row.values if peer != "pxrun"]
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
