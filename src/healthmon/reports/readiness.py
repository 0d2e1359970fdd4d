"""Is everything ready for the day when IT is not: each thing red before an outage, and `not known` is never ready (N3).

Works on the newest readings and on what the hospital says of itself; asks nothing and decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from healthmon.reports.copies import backups, copies, paper
from healthmon.reports.downtimepcs import downtime_pcs
from healthmon.reports.facts import ORDER, Facts, Item
from healthmon.reports.oldage import certificates, dates, legacy, outside_only

PARTS = (downtime_pcs, copies, paper, backups, legacy, outside_only, certificates, dates)


def items(facts: Facts) -> list[Item]:
    """Everything, the worst first."""
    found = [one for part in PARTS for one in part(facts)]
    return sorted(found, key=lambda one: (ORDER.index(one.state), one.kind, one.id))


def summary(found: Iterable[Item]) -> dict[str, dict[str, int]]:
    """How many of each kind are in each state."""
    counts: dict[str, dict[str, int]] = {}
    for one in found:
        states = counts.setdefault(one.kind, dict.fromkeys(ORDER, 0))
        states[one.state] += 1
    return counts
