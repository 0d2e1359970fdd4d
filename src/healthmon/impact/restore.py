"""In what order things can come back: what others need first, and within one stage what most care waits for."""

from __future__ import annotations

from collections.abc import Iterable

from healthmon.impact.graph import NeedGraph

Stages = tuple[tuple[str, ...], ...]


def restore_order(graph: NeedGraph, ids: Iterable[str], lines: Iterable[tuple[str, str]] = ()) -> Stages:
    """Stages of targets and services; each needs nothing of a later one. Ids that the graph does not know are left out.

    `lines`: (area, service) pairs that are to come back, each after everything on its way from that area.
    Within a stage: the lowest tier that waits for it first, then the most (area, service) pairs, then by name.
    """
    wanted = {id_ for id_ in ids if id_ in graph}
    ways: dict[str, set[str]] = {}
    for area, service in lines:
        ways.setdefault(service, set()).update(graph.closure(graph.goal(area, service)))
    wanted |= ways.keys()
    needs = {id_: (ways.get(id_, set()).union(graph.requires(id_)) & wanted) - {id_} for id_ in wanted}
    stage: dict[str, int] = {}
    for id_ in graph.in_order(wanted):
        stage[id_] = 1 + max((stage[need] for need in needs[id_] if need in stage), default=-1)
    for id_ in graph.in_order(ways):  # a service may stand before what only the way from an area needs
        stage[id_] = 1 + max((stage[need] for need in needs[id_]), default=-1)
    numbers = sorted(set(stage.values()))
    return tuple(
        tuple(sorted((id_ for id_, own in stage.items() if own == number), key=lambda id_: _rank(graph, id_)))
        for number in numbers
    )


def _rank(graph: NeedGraph, id_: str) -> tuple[int, int, str]:
    lines = graph.lines_behind(id_)
    services = graph.estate.services
    return (min((services[service].tier for _, service in lines), default=9), -len(lines), id_)
