"""Small sums that several parts of a report make: percentiles, shares with their interval."""

from __future__ import annotations

import math
from collections.abc import Sequence

#: Half the width of a 95 % interval in standard deviations.
Z95 = 1.959963984540054


def percentile(values: Sequence[float], share: float) -> float | None:
    """By nearest rank: a value that occurred, and the same whatever adds it up. None without values."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def interval(hits: int, of: int) -> tuple[float, float] | None:
    """Wilson's 95 % interval of a share; None when there is nothing to share."""
    if of == 0:
        return None
    share, z2 = hits / of, Z95 * Z95
    middle = (share + z2 / (2 * of)) / (1 + z2 / of)
    half = Z95 * math.sqrt(share * (1 - share) / of + z2 / (4 * of * of)) / (1 + z2 / of)
    return max(0.0, middle - half), min(1.0, middle + half)


def shared(hits: int, of: int) -> dict[str, object]:
    """`hits` of `of` as data."""
    return {"count": hits, "of": of, "ratio": hits / of if of else None, "interval_95": interval(hits, of)}


def spread(values: Sequence[float]) -> dict[str, float | int | None]:
    """n, least, median, nine in ten, most."""
    return {
        "n": len(values),
        "least": min(values, default=None),
        "p50": percentile(values, 0.5),
        "p90": percentile(values, 0.9),
        "most": max(values, default=None),
    }
