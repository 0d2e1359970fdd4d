"""Lines through points: how steep, and when a level is reached. Points are (Unix seconds, value)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, median

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Course:
    """A robust line: value `level` at time `at`, changing by `slope` a second, which lies between `low` and `high`."""

    at: float
    level: float
    slope: float
    low: float
    high: float

    def value(self, at: float) -> float:
        return self.level + self.slope * (at - self.at)


def least_squares(points: Points) -> float | None:
    """The slope per second of the least-squares line; None when all points are of one moment."""
    n = len(points)
    at = sum(t for t, _ in points) / n if n else 0.0
    mean = sum(v for _, v in points) / n if n else 0.0
    spread = sum((t - at) ** 2 for t, _ in points)
    return sum((t - at) * (v - mean) for t, v in points) / spread if spread else None


def theil_sen(points: Points, confidence: float) -> Course | None:
    """The median of all pairwise slopes, with Sen's interval for it (Sen 1968, by Kendall's variance).

    Up to 29 % of the points may be wild. The interval takes the errors of the points to be independent.
    """
    slopes = sorted((w - v) / (u - t) for n, (t, v) in enumerate(points) for u, w in points[n + 1 :] if u > t)
    if not slopes:
        return None
    slope, n = median(slopes), len(points)
    reach = NormalDist().inv_cdf((1 + confidence) / 2) * math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    low = slopes[max(0, int((len(slopes) - reach) / 2))]
    high = slopes[min(len(slopes) - 1, int((len(slopes) + reach) / 2) + 1)]
    at = points[-1][0]
    level = median(v + slope * (at - t) for t, v in points)
    return Course(at, level, slope, low, high)


def seconds_to(course: Course, limit: float, now: float, *, rising: bool) -> tuple[float, float, float]:
    """Seconds until the limit is passed: (likely, soonest, latest); inf where the line does not lead there."""
    left = limit - course.value(now)
    if left <= 0 if rising else left >= 0:
        return 0.0, 0.0, 0.0
    fast, slow = (course.high, course.low) if rising else (course.low, course.high)
    return _eta(left, course.slope), _eta(left, fast), _eta(left, slow)


def _eta(left: float, slope: float) -> float:
    return left / slope if left * slope > 0 else math.inf
