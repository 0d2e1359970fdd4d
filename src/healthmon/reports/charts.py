"""Bars as inline SVG: no script, readable in print and by a screen reader (the table beside it has the numbers)."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

_WIDTH, _LABEL, _BAR, _GAP = 720.0, 250.0, 16.0, 6.0


def bars(title: str, items: Sequence[tuple[str, float, str]]) -> str:
    """(label, value, value in words), one bar each; bars of values below zero go to the left of the line."""
    low, high = min(0.0, *(v for _, v, _ in items)), max(0.0, *(v for _, v, _ in items))
    room = _WIDTH - _LABEL - 90.0
    scale = room / (high - low) if high > low else 0.0
    zero = _LABEL - low * scale
    height = len(items) * (_BAR + _GAP) + _GAP
    parts = [
        f'<svg role="img" viewBox="0 0 {_WIDTH:g} {height:g}" aria-label="{escape(title, quote=True)}" '
        f'xmlns="http://www.w3.org/2000/svg"><title>{escape(title)}</title>',
        f'<line x1="{zero:.1f}" y1="0" x2="{zero:.1f}" y2="{height:g}" class="axis"/>',
    ]
    for place, (label, value, words) in enumerate(items):
        y = _GAP + place * (_BAR + _GAP)
        width, end = abs(value) * scale, zero + max(0.0, value) * scale
        parts.append(f'<text x="{_LABEL - 8:g}" y="{y + 12:g}" text-anchor="end">{escape(_short(label))}</text>')
        left = zero if value >= 0 else zero - width
        kind = "bar" if value >= 0 else "bar minus"
        parts.append(f'<rect class="{kind}" x="{left:.1f}" y="{y:g}" width="{max(width, 1.0):.1f}" height="{_BAR:g}"/>')
        parts.append(f'<text x="{end + 6:.1f}" y="{y + 12:g}">{escape(words)}</text>')
    return "".join([*parts, "</svg>"])


def _short(label: str) -> str:
    return label if len(label) <= 38 else label[:37] + "…"
