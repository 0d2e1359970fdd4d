"""One incident as people read it: what is wrong, how sure we are of the cause, and whom it hurts. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from healthmon.model.incident import Incident, IncidentState
from healthmon.model.topology import Estate
from healthmon.web.matrix import Cell, acuity_rank, state_rank
from healthmon.web.words import (
    KIND_WORDS,
    STATE_WORDS,
    LocalTime,
    age_words,
    area_words,
    confidence_words,
    impact_unknown_words,
    reason_words,
    state_words,
)


@dataclass(frozen=True, slots=True)
class ImpactGroup:
    """What one area has lost in one incident."""

    area: str
    name: str
    words: str
    phone: str | None
    lines: tuple[Cell, ...]
    fallbacks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IncidentCard:
    """One incident as people read it."""

    incident: Incident
    kind: str
    kind_words: str
    state_words: str
    since: str
    age: str
    root_words: str
    impact: tuple[ImpactGroup, ...]
    impact_note: str | None
    suppressed: int
    firing: int
    may_ack: bool
    may_resolve: bool
    team: str
    step: str = ""  # the first sentence of the runbook
    silenced: tuple[str, ...] = ()  # who holds its pages back until when, and why


def card(incident: Incident, estate: Estate, clock: LocalTime) -> IncidentCard:
    """One incident in words."""
    team = estate.teams.get(incident.team or "")
    state = incident.state
    return IncidentCard(
        incident=incident,
        kind=incident.kind.value,
        kind_words=KIND_WORDS[incident.kind],
        state_words=state_words(incident, clock),
        since=clock.short(incident.first_evidence_at),
        age=age_words((incident.resolved_at or clock.now) - incident.first_evidence_at),
        root_words=root_words(incident, estate),
        impact=impact_groups(incident, estate, clock),
        impact_note=impact_unknown_words(incident),
        suppressed=sum(1 for member in incident.members if member.behind),
        firing=sum(1 for member in incident.members if member.cleared_at is None),
        may_ack=state is IncidentState.OPEN,
        may_resolve=state is not IncidentState.RESOLVED,
        team=team.name if team else incident.team or "",
        step=_first_sentence(incident.first_steps),
        silenced=tuple(f"silenced by {h.owner} until {clock.short(h.until)}: {h.reason}" for h in incident.silenced),
    )


def root_words(incident: Incident, estate: Estate) -> str:
    """The cause with how sure we are, in words."""
    root = incident.root
    if root is None:
        return "cause not known"
    sure = confidence_words(root.confidence)
    if sure == "one of these" and root.alternatives:
        names = ", ".join(thing_name(estate, target) for target in (root.target, *root.alternatives[:3]))
        return f"one of these: {names}"
    sure = "likely" if sure == "one of these" else sure
    return f"{sure} {thing_name(estate, root.target)}: {reason_words(root.reason)}"


def impact_groups(incident: Incident, estate: Estate, clock: LocalTime) -> tuple[ImpactGroup, ...]:
    """Impact by area, worst area first."""
    by_area: dict[str, list[Cell]] = {}
    fallbacks: dict[str, list[str]] = {}
    for line in incident.impact:
        service = estate.services.get(line.service)
        name = service.name if service else line.service
        word, symbol = STATE_WORDS[line.state]
        found = Cell(line.area, line.service, name, line.state.value, word, symbol, clock.short(line.since))
        by_area.setdefault(line.area, []).append(found)
        if line.fallback_text and line.fallback_proven_at is not None:
            age = age_words(clock.now - line.fallback_proven_at)
            fallbacks.setdefault(line.area, []).append(f"{name}: {line.fallback_text} (proven {age} ago)")
    groups = [
        _group(estate, area, sorted(cells, key=lambda c: state_rank(c.state)), tuple(fallbacks.get(area, ())))
        for area, cells in by_area.items()
    ]
    return tuple(sorted(groups, key=lambda g: _harm_order(g, estate)))


def _first_sentence(steps: Sequence[str]) -> str:
    text = steps[0] if steps else ""
    return text.partition(". ")[0].rstrip(".") + "." if text else ""


def thing_name(estate: Estate, target: str) -> str:
    """`Ward 7 switch (sw-ward7)`."""
    found = estate.targets.get(target)
    return f"{found.name} ({found.id})" if found and found.name != found.id else target


def _harm_order(group: ImpactGroup, estate: Estate) -> tuple[int, int, str]:
    area = estate.areas.get(group.area)
    return state_rank(group.lines[0].state), acuity_rank(area) if area else 9, group.name


def _group(estate: Estate, area_id: str, lines: list[Cell], fallbacks: tuple[str, ...]) -> ImpactGroup:
    area = estate.areas.get(area_id)
    if area is None:
        return ImpactGroup(area_id, area_id, "", None, tuple(lines), fallbacks)
    phone = area.contact.phone if area.contact else None
    return ImpactGroup(area.id, area.name, area_words(area), phone, tuple(lines), fallbacks)
