"""What counts as clearly quick: times that are far below what rules call slow."""

from __future__ import annotations

from collections.abc import Iterable

from healthmon.alerting.detect.index import Bound
from healthmon.model.alert import Effect
from healthmon.model.condition import Above, leaves
from healthmon.model.sample import Reading

#: Clearly quick is what takes less than this share of what a rule calls slow: in between, nothing is proven.
_CLEARLY = 0.5
#: Metrics of how long a look took, and above what that is slow.
Limits = tuple[tuple[str, float], ...]


def limits_of(bounds: Iterable[Bound]) -> Limits:
    """What these rules call slow."""
    asked = (leaf for b in bounds if b.rule.effect is Effect.DEGRADED for leaf in leaves(b.rule.condition))
    return tuple((leaf.metric, leaf.value) for leaf in asked if isinstance(leaf, Above) and _of_time(leaf.metric))


def quick(reading: Reading, limits: Limits) -> bool:
    """Every time that it has a limit for is far below it, and there is one."""
    known = times(reading, limits)
    return bool(known) and all(taken <= _CLEARLY * limit for taken, limit in known)


def times(reading: Reading, limits: Limits) -> list[tuple[float, float]]:
    """What it took, beside the limit for it."""
    known = {f"{one.family}.{one.field}": one.value for one in reading.samples}
    return [(float(taken), limit) for metric, limit in limits if isinstance(taken := known.get(metric), float | int)]


def _of_time(metric: str) -> bool:
    return metric.endswith("_seconds")
