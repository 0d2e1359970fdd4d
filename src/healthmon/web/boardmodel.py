"""What the board shows, worked out from a view. Pure: no HTML, no request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from healthmon.model.incident import IncidentState
from healthmon.model.view import Health, PairHealth, ServiceStatus, View
from healthmon.web.cards import IncidentCard, card
from healthmon.web.matrix import Matrix, matrix_of
from healthmon.web.settings import engine_stale
from healthmon.web.words import STATE_ORDER, STATE_WORDS, LocalTime, age_words

CLOSED_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Strip:
    """healthmon's own health: (name, ok?, words) in the order shown."""

    items: tuple[tuple[str, bool, str], ...]
    stale_since: str | None


@dataclass(frozen=True, slots=True)
class Group:
    """Open incidents by what they ask of people. `key`: need, held, over."""

    key: str
    title: str
    cards: tuple[IncidentCard, ...]


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
    groups: tuple[Group, ...]
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
        groups=grouped(opened),
        closed=tuple(closed),
        counts=counts,
        headline=headline(opened, engine_stale(health)),
    )


def grouped(cards: list[IncidentCard]) -> tuple[Group, ...]:
    """What needs a person now, what somebody has, what is reachable again; the empty ones are left out."""
    found: dict[str, list[IncidentCard]] = {"need": [], "held": [], "over": []}
    for one in cards:
        found[_asks(one)].append(one)
    titles = {"need": "Needs a person now", "held": "Somebody has it", "over": "Reachable again, ends by itself"}
    return tuple(Group(key, titles[key], tuple(own)) for key, own in found.items() if own)


def _asks(card: IncidentCard) -> str:
    """Severity 1 and 2 wait for a person's reason even when all is reachable again."""
    match card.incident.state:
        case IncidentState.MITIGATED:
            return "need" if card.incident.worst_severity <= 2 else "over"
        case IncidentState.OPEN:
            return "need" if card.incident.owner is None else "held"
        case _:
            return "held"


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
        ("Config", health.config_ok, _config_words(health)),
        *paired(health.pair),
        *((("Fire drill", False, "overdue: nobody knows whether pages still arrive"),) if health.drill_overdue else ()),
        *(() if health.journal_ok else (("Journal", False, "on this machine alone: the cluster lacks a part"),)),
        *_clock(health),
        *(() if health.audit_ok else (("Audit", False, "cannot be written: deeds leave no trace"),)),
    )
    return Strip(items, clock.short(clock.now - health.engine_tick_age_s) if stale else None)


def _clock(health: Health) -> tuple[tuple[str, bool, str], ...]:
    """While times are not those of the wall."""
    if health.clock_ahead_s < 60.0:
        return ()
    return (("Clock", False, f"went back: times here are {age_words(health.clock_ahead_s)} ahead of it"),)


def paired(pair: PairHealth | None) -> tuple[tuple[str, bool, str], ...]:
    """What a pair says of itself, on the board of the server that leads."""
    if pair is None:
        return ()
    copy = "has what happened so far" if pair.copied else "does not have the newest: a takeover now would lose it"
    doubt = (("Lease", False, "cannot be asked for: the other server may page too"),) if pair.doubtful else ()
    return (("Standby", pair.copied, copy), *doubt)


def count_states(statuses: Iterable[ServiceStatus]) -> tuple[tuple[str, str, str, int], ...]:
    """(state, symbol, word, how many area x service pairs), worst first."""
    counts = Counter(status.state for status in statuses)
    return tuple((s.value, STATE_WORDS[s][1], STATE_WORDS[s][0], counts[s]) for s in STATE_ORDER)


def _urgent_first(card: IncidentCard) -> tuple[bool, int, float]:
    return card.incident.state is IncidentState.MITIGATED, card.incident.severity, -card.incident.opened_at


def _config_words(health: Health) -> str:
    if health.config_ok:
        return "in force"
    return "the new one has errors; the old one runs" if health.config_refused else "a part waits for a restart"
