"""Faults that are not ours to mend: the supplier's end is gone while our own side of the way to it works."""

from __future__ import annotations

from healthmon.alerting.incidents.evidence import Evidence
from healthmon.alerting.incidents.groups import INFERRED, Group
from healthmon.model.incident import IncidentKind
from healthmon.model.topology import Estate

LABEL = "supplier"


def supplier_of(estate: Estate, target_id: str) -> str | None:
    """Who answers for a target that is not ours: its `supplier` label, else its team if that is a supplier."""
    target = estate.targets.get(target_id)
    if target is None:
        return None
    team = estate.teams.get(target.team or "")
    theirs = team.name if team is not None and team.supplier else None
    return target.labels.get(LABEL) or theirs


def at_fault(group: Group, evidence: Evidence, now: float) -> str | None:
    """The supplier whose end is gone, once everything of ours on the way there was seen working since."""
    root = group.root
    supplier = supplier_of(evidence.estate, root.target)
    outright = group.kind is IncidentKind.INCIDENT and group.areas is None and root.target in group.nodes
    if supplier is None or not outright or root.reason == INFERRED:
        return None
    hops = [id_ for id_ in evidence.graph.strict(root.target) if id_ in evidence.estate.targets]
    ours = [id_ for id_ in hops if supplier_of(evidence.estate, id_) is None]
    since = group.since
    if ours:
        works = all(evidence.passes(id_, since, now) or evidence.ok_since(id_, since, now) for id_ in ours)
        return supplier if works else None
    lookers = {alert.key.vantage for alert, _ in group.members if alert.key.target == root.target}
    elsewhere = (reading for looker in sorted(lookers) for reading in evidence.of_vantage(looker))
    others = {reading.target for reading in elsewhere if reading.target != root.target}
    return supplier if any(evidence.ok_since(id_, since, now) for id_ in others) else None
