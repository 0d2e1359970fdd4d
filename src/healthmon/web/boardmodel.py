"""What the board shows, worked out from a view. Pure: no HTML, no request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from healthmon.model.incident import Incident, IncidentState, ServiceState
from healthmon.model.sample import Outcome
from healthmon.model.topology import Area, Estate, Service
from healthmon.model.view import Health, ServiceStatus, TargetStatus, View
from healthmon.web.settings import engine_stale
from healthmon.web.words import (
    KIND_WORDS,
    NOT_PROVEN,
    PROOF_FRESH_S,
    STATE_ORDER,
    STATE_WORDS,
    LocalTime,
    age_words,
    area_words,
    confidence_words,
    impact_unknown_words,
    reason_words,
    state_words,
)

CELLS_MOST = 3000  # a larger matrix shows only rows and columns with something to say
CLOSED_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Cell:
    """One area x one service; `state` is also the css class."""

    area: str
    service: str
    service_name: str
    state: str
    word: str
    symbol: str
    since: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class AreaRow:
    """One line of the matrix; `trouble` are its cells that are not ok, worst first."""

    id: str
    name: str
    words: str
    worst: str
    cells: tuple[Cell, ...]
    trouble: tuple[Cell, ...]
    fine: int


@dataclass(frozen=True, slots=True)
class Matrix:
    """Areas by services, and how many lines and columns were left out because all is well there."""

    columns: tuple[Service, ...]
    rows: tuple[AreaRow, ...]
    quiet_rows: int = 0
    quiet_columns: int = 0


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
    silenced: tuple[str, ...] = ()  # who holds its pages back until when, and why


@dataclass(frozen=True, slots=True)
class Strip:
    """healthmon's own health: (name, ok?, words) in the order shown."""

    items: tuple[tuple[str, bool, str], ...]
    stale_since: str | None


@dataclass(frozen=True, slots=True)
class Board:
    """Everything on the first page."""

    organisation: str
    as_at: str
    zone: str
    version: int
    shadow: bool
    shadow_words: str
    held: int
    probing: bool
    resting: int
    baselines_known: int
    baselines_learning: int
    strip: Strip
    matrix: Matrix
    open: tuple[IncidentCard, ...]
    closed: tuple[IncidentCard, ...]
    counts: tuple[tuple[str, str, str, int], ...] = field(default=())
    headline: str = ""


def board(view: View, health: Health, *, now: float, matrix: Matrix | None = None) -> Board:
    """The board of this view at this moment; a matrix made of the same view may be given."""
    clock = LocalTime.of(view.estate, now)
    matrix = matrix or matrix_of(view, clock)
    cards = [card(i, view.estate, clock) for i in view.incidents if not i.merged_into]
    opened = sorted((c for c in cards if c.incident.open), key=_urgent_first)
    closed = [c for c in cards if not c.incident.open][:CLOSED_SHOWN]
    counts = count_states(view.services.values())
    return Board(
        organisation=view.estate.organisation.name,
        as_at=clock.short(now),
        zone=clock.zone_words(),
        version=view.version,
        shadow=health.mode != "live",
        shadow_words=shadow_words(health),
        held=sum(1 for row in view.ledger if row.cause == "shadow"),
        probing=health.probing,
        resting=sum(1 for reading in view.latest.values() if reading.rest_s),
        baselines_known=sum(known for known, _ in health.baselines.values()),
        baselines_learning=sum(learning for _, learning in health.baselines.values()),
        strip=strip(view, health, clock),
        matrix=matrix,
        open=tuple(opened),
        closed=tuple(closed),
        counts=counts,
        headline=headline(opened, engine_stale(health)),
    )


def headline(cards: list[IncidentCard], stale: bool) -> str:
    """The one sentence that a page title and a screen reader need."""
    if stale:
        return "Out of date: the state is not known"
    if not cards:
        return "No open incident"
    worst = min(card.incident.severity for card in cards)
    noun = "incident" if len(cards) == 1 else "incidents"
    return f"{len(cards)} open {noun}, worst severity {worst}"


def shadow_words(health: Health) -> str:
    """What shadow mode means just now."""
    return "" if health.mode == "live" else "Shadow mode: everything is evaluated, nobody is paged."


def strip(view: View, health: Health, clock: LocalTime) -> Strip:
    """What healthmon says of itself."""
    stale = engine_stale(health)
    agents = Counter(agent.state for agent in view.agents.values())
    expected = sum(agents.values()) - agents["stopped"]
    heard = f"{agents['up']} of {expected} heard" if expected else "none expected"
    if agents["stopped"]:
        heard += f", {agents['stopped']} switched off"
    queue = "writing" if health.store_queue < 1000 else f"{health.store_queue} rows waiting"
    silent = agents["silent"] + agents["never"]
    items = (
        ("Engine", not stale, "running" if not stale else f"stuck for {age_words(health.engine_tick_age_s)}"),
        ("Broker", health.broker_ok, "connected" if health.broker_ok else "not reachable"),
        ("Store", health.store_ok, queue if health.store_ok else "not reachable; readings are kept"),
        ("Agents", not silent, heard),
        ("Config", health.config_ok, "in force" if health.config_ok else "the new one has errors; the old one runs"),
    )
    return Strip(items, clock.short(clock.now - health.engine_tick_age_s) if stale else None)


def count_states(statuses: Iterable[ServiceStatus]) -> tuple[tuple[str, str, str, int], ...]:
    """(state, symbol, word, how many area x service pairs), worst first."""
    counts = Counter(status.state for status in statuses)
    return tuple((s.value, STATE_WORDS[s][1], STATE_WORDS[s][0], counts[s]) for s in STATE_ORDER)


def matrix_of(view: View, clock: LocalTime, *, everything: bool = False) -> Matrix:
    """Areas with trouble first; a large hospital shows only what has something to say."""
    estate = view.estate
    used = {service for _, service in view.services}
    columns = sorted((s for s in estate.services.values() if s.id in used), key=lambda s: (s.tier, s.name))
    rows = [row(area, columns, view, clock) for area in estate.areas.values()]
    rows = [one for one in rows if any(cell.state != "none" for cell in one.cells)]
    rows.sort(key=lambda one: (_rank(one.worst), _acuity(estate.areas[one.id]), one.name))
    if everything or len(rows) * len(columns) <= CELLS_MOST:
        return Matrix(tuple(columns), tuple(rows))
    loud = [one for one in rows if one.trouble]
    speaking = {cell.service for one in loud for cell in one.trouble}
    kept = [n for n, service in enumerate(columns) if service.id in speaking]
    shown = tuple(_narrow(one, kept) for one in loud)
    return Matrix(
        tuple(columns[n] for n in kept),
        shown,
        quiet_rows=len(rows) - len(loud),
        quiet_columns=len(columns) - len(kept),
    )


def row(area: Area, columns: Iterable[Service], view: View, clock: LocalTime) -> AreaRow:
    """One area's line."""
    cells = tuple(cell(area.id, s, view.services.get((area.id, s.id)), clock) for s in columns)
    trouble = sorted((c for c in cells if c.state in _TROUBLE), key=lambda c: _rank(c.state))
    worst = trouble[0].state if trouble else "ok"
    fine = sum(1 for c in cells if c.state in ("ok", "quiet"))
    return AreaRow(area.id, area.name, area_words(area), worst, cells, tuple(trouble), fine)


def cell(area: str, service: Service, status: ServiceStatus | None, clock: LocalTime) -> Cell:
    """One state in words; `ok` only when an ok reading from that very area is fresh, else `no fault seen`."""
    if status is None:
        return Cell(area, service.id, service.name, "none", "not used here", "–")
    state, (word, symbol) = status.state.value, STATE_WORDS[status.state]
    if status.state is ServiceState.OK:
        if status.proven_at is None or clock.now - status.proven_at > PROOF_FRESH_S:
            word, symbol = NOT_PROVEN
            title = "nothing in this area tests it" if status.proven_at is None else "not tested from here lately"
            return Cell(area, service.id, service.name, "quiet", word, symbol, title=title)
        return Cell(area, service.id, service.name, "ok", word, symbol, title=f"proven {clock.short(status.proven_at)}")
    title = f"behind it: {', '.join(status.causes)}" if status.causes else ""
    return Cell(area, service.id, service.name, state, word, symbol, clock.short(status.since), title)


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
        silenced=tuple(f"silenced by {h.owner} until {clock.short(h.until)}: {h.reason}" for h in incident.silenced),
    )


def root_words(incident: Incident, estate: Estate) -> str:
    """The cause with how sure we are, in words."""
    root = incident.root
    if root is None:
        return "cause not known"
    sure = confidence_words(root.confidence)
    if sure == "one of these" and root.alternatives:
        names = ", ".join(_name(estate, target) for target in (root.target, *root.alternatives[:3]))
        return f"one of these: {names}"
    sure = "likely" if sure == "one of these" else sure
    return f"{sure} {_name(estate, root.target)}: {reason_words(root.reason)}"


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
        _group(estate, area, sorted(cells, key=lambda c: _rank(c.state)), tuple(fallbacks.get(area, ())))
        for area, cells in by_area.items()
    ]
    return tuple(sorted(groups, key=lambda g: (_rank(g.lines[0].state), g.name)))


@dataclass(frozen=True, slots=True)
class TargetRow:
    """One line of the targets table."""

    id: str
    name: str
    kind: str
    area: str
    state: str
    word: str
    symbol: str
    reason: str
    since: str
    last: str


def target_rows(view: View, now: float, *, most: int = 100_000) -> list[TargetRow]:
    """The targets, what fails first."""
    clock = LocalTime.of(view.estate, now)
    order = {"lost": 0, "unknown": 1, "suppressed": 2, "ok": 3}
    ranked = sorted((order[_target_state(view.targets.get(key))[0]], key) for key in view.estate.targets)
    gaps = _gaps(view)
    return [_target_row(view, key, clock, gaps.get(key, 0.0)) for _, key in ranked[:most]]


def _target_row(view: View, target_id: str, clock: LocalTime, gap_s: float) -> TargetRow:
    target, status = view.estate.targets[target_id], view.targets.get(target_id)
    area = view.estate.areas.get(target.area or "")
    state, word, symbol = _target_state(status)
    reason = reason_words(status.reason) if status and status.reason else ""
    if status and status.explained_by:
        reason = f"behind {_name(view.estate, status.explained_by)}"
    if gap_s and status and status.outcome is Outcome.FAILED:
        reason += f" (asked every {gap_s:g} s now)"
    since = clock.short(status.since) if status else ""
    last = clock.short(status.last_at) if status and status.last_at else "never"
    return TargetRow(
        target.id, target.name, target.kind, area.name if area else "", state, word, symbol, reason, since, last
    )


def _gaps(view: View) -> dict[str, float]:
    """Where a looker backs off: how often it looks at a target now, seconds."""
    every = {(target.id, check.id): check.every_s for target in view.estate.targets.values() for check in target.checks}
    found: dict[str, float] = {}
    for reading in view.latest.values():
        if reading.rest_s:
            gap_s = every.get((reading.target, reading.check), 0.0) + reading.rest_s
            found[reading.target] = max(gap_s, found.get(reading.target, 0.0))
    return found


def _target_state(status: TargetStatus | None) -> tuple[str, str, str]:
    if status is None or status.outcome is Outcome.UNKNOWN:
        return "unknown", "we cannot see", "?"
    if status.outcome is Outcome.OK:
        return "ok", "answers", "✓"
    return ("suppressed", "not reached", "◌") if status.explained_by else ("lost", "failing", "✕")


_TROUBLE = ("lost", "degraded", "unknown", "at_risk")
_RANKS = {state: rank for rank, state in enumerate((*_TROUBLE, "quiet", "ok", "none"))}
_ACUITIES = {"critical": 0, "high": 1, "inpatient": 2, "outpatient": 3, "none": 4}


def _rank(state: str) -> int:
    return _RANKS[state]


def _acuity(area: Area) -> int:
    return _ACUITIES[area.acuity.value]


def _urgent_first(card: IncidentCard) -> tuple[bool, int, float]:
    return card.incident.state is IncidentState.MITIGATED, card.incident.severity, -card.incident.opened_at


def _narrow(one: AreaRow, kept: list[int]) -> AreaRow:
    return AreaRow(one.id, one.name, one.words, one.worst, tuple(one.cells[n] for n in kept), one.trouble, one.fine)


def _name(estate: Estate, target: str) -> str:
    found = estate.targets.get(target)
    return f"{found.name} ({found.id})" if found and found.name != found.id else target


def _group(estate: Estate, area_id: str, lines: list[Cell], fallbacks: tuple[str, ...]) -> ImpactGroup:
    area = estate.areas.get(area_id)
    if area is None:
        return ImpactGroup(area_id, area_id, "", None, tuple(lines), fallbacks)
    phone = area.contact.phone if area.contact else None
    return ImpactGroup(area.id, area.name, area_words(area), phone, tuple(lines), fallbacks)
