"""What one incident adds when it is looked at whole: evidence, areas and the order of restoring. Pure."""

from __future__ import annotations

from typing import Any

from healthmon.impact.grounds import Candidate, Ground, evidence_for, fate_text, graph_of
from healthmon.impact.restore import Stages, restore_order
from healthmon.impact.sharedfate import Fate
from healthmon.impact.wards import WardImpact, ward_impact
from healthmon.model.incident import Incident, ServiceState
from healthmon.model.render import rfc3339
from healthmon.model.view import View

_HURT = (ServiceState.LOST, ServiceState.DEGRADED)


def case_json(incident: Incident, view: View) -> dict[str, Any]:
    """The evidence for and against the cause, each area hit, and in what order things can come back."""
    grounds = evidence_for(incident, view)
    return {
        "evidence": {
            "as_at": rfc3339(grounds.as_at),
            "candidates": [_candidate(one) for one in grounds.candidates],
            "contradictions": [
                {
                    "target": one.target,
                    "check": one.check,
                    "working_from": list(one.working_from),
                    "failing_from": list(one.failing_from),
                    "text": one.text,
                }
                for one in grounds.sights
            ],
            "in_common": [_fate(one) for one in grounds.in_common],
        },
        "areas": [_ward(one) for one in ward_impact(incident, view)],
        "restore_order": [list(stage) for stage in restoring(incident, view)],
    }


def estate_order(view: View) -> list[list[str]]:
    """The order in which everything that care rests on can technically come back (CAF-aligned DSPT B5.a)."""
    graph = graph_of(view.estate)
    needed = {id_ for area, service in graph.lines() for id_ in graph.closure(graph.goal(area, service))}
    return [list(stage) for stage in restore_order(graph, needed)]


def restoring(incident: Incident, view: View) -> Stages:
    """What still fails, and the services that are lost or slow, in the order in which they can come back."""
    amiss = {member.key.target for member in incident.members if member.cleared_at is None}
    if incident.root is not None:
        amiss.add(incident.root.target)
    areas, services = view.estate.areas, view.estate.services
    hurt = [(line.area, line.service) for line in incident.impact if line.state in _HURT]
    known = [(area, service) for area, service in hurt if area in areas and service in services]
    return restore_order(graph_of(view.estate), amiss, known)


def _candidate(candidate: Candidate) -> dict[str, Any]:
    return {
        "target": candidate.target,
        "certainty": candidate.certainty,
        "speaks_for": [_ground(one) for one in candidate.speaks_for],
        "speaks_against": [_ground(one) for one in candidate.speaks_against],
    }


def _ground(ground: Ground) -> dict[str, Any]:
    shape = {"what": ground.what, "text": ground.text, "count": ground.count, "ids": list(ground.ids)}
    return shape | {"at": rfc3339(ground.at)}


def _fate(fate: Fate) -> dict[str, Any]:
    return {
        "attribute": fate.attribute,
        "value": fate.value,
        "text": fate_text(fate),
        "broken": len(fate.broken),
        "of_broken": fate.of_broken,
        "healthy": fate.healthy_count,
        "counter_examples": list(fate.healthy),
        "population": fate.population,
        "lift": round(fate.lift, 2),
        "p_value": float(f"{fate.p_value:.3g}"),
        "tried": fate.tried,
    }


def _ward(ward: WardImpact) -> dict[str, Any]:
    return {
        "area": ward.area,
        "beds": ward.beds,
        "functions_lost": list(ward.functions_lost),
        "functions_slow": list(ward.functions_slow),
        "pcs": {"working": ward.pcs.working, "total": ward.pcs.total, "unknown": ward.pcs.unknown},
        "works": [{"service": one.service, "proven_at": rfc3339(one.proven_at)} for one in ward.works],
        "not_known": list(ward.not_known),
        "fallbacks": [
            {"service": service, "text": text, "proven_at": rfc3339(at)} for service, text, at in ward.fallbacks
        ],
    }
