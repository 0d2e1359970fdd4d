"""What `check` warns of in a site's own rules: metrics that no check or agent of this site gives."""

from __future__ import annotations

import importlib
from collections.abc import Collection, Iterable, Iterator
from functools import cache

from healthmon.alerting.detect.conditions import metrics_of
from healthmon.collectors import COLLECTORS
from healthmon.model.alert import Rule
from healthmon.model.topology import Check, Estate
from healthmon.probes import PROBES
from healthmon.probes.snmp_pack import pack_families

#: What they give is known when they answer.
_OPEN = frozenset({"openmetrics", "exec", "push", "trap"})


def metric_advice(
    rules: Iterable[Rule], estate: Estate, *, own: Collection[str], pushed: frozenset[str]
) -> Iterator[str]:
    """`pushed`: families that other tools send. A rule whose every metric is dead can never fire."""
    checks = [check for target in estate.targets.values() for check in target.checks]
    open_ended = any(check.kind in _OPEN for check in checks)
    given = pushed | {metric for check in checks for metric in _given(check)}
    watched = {metric.partition(".")[0] for metric in given}
    for rule in (one for one in rules if one.id in own):
        for metric in sorted(metrics_of(rule)):
            family = metric.partition(".")[0]
            if family == "agent" and estate.agents:
                continue
            if metric not in given and family not in pushed and not (open_ended and family not in watched):
                yield f"rule '{rule.id}' asks for '{metric}', which no check here gives"


def _given(check: Check) -> Iterator[str]:
    """`family.field` of everything that this check may give."""
    families = list(_in_code(check.kind))
    pack = check.params.get("pack")
    if check.kind == "snmp" and pack is not None:
        families = [(family.name, family.fields) for family in pack_families(pack)]
    return (f"{name}.{field}" for name, fields in families for field in fields)


@cache
def _in_code(kind: str) -> tuple[tuple[str, frozenset[str]], ...]:
    dotted = PROBES.get(kind) or COLLECTORS.get(kind) or ""
    if not dotted:
        return ()
    module = importlib.import_module(dotted.partition(":")[0])
    return tuple((family.name, family.fields) for family in module.FAMILIES)
