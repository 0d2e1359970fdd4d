"""What surfaces read: one immutable snapshot of everything that is known now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from healthmon.model.about import About, Absence
from healthmon.model.alert import Alert
from healthmon.model.incident import Incident, LedgerRow, Paths, ServiceState
from healthmon.model.mute import Standing
from healthmon.model.sample import Outcome, Reading
from healthmon.model.topology import Estate


@dataclass(frozen=True, slots=True)
class TargetStatus:
    """All vantage points together. `since` is when this outcome began, `last_at` the newest reading (Unix s)."""

    target: str
    outcome: Outcome
    reason: str
    since: float
    last_at: float | None
    explained_by: str | None = None  # the root it is behind, if any
    ok_at: float | None = None  # the newest look that it answered; None: it has answered none


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """One area x one service. `proven_at`: newest ok reading from that area itself, None if never."""

    area: str
    service: str
    state: ServiceState
    since: float
    paths: Paths
    causes: tuple[str, ...] = ()
    proven_at: float | None = None


@dataclass(frozen=True, slots=True)
class AgentStatus:
    """One agent of the fleet. state: up, silent, stopped (clean), never (expected, never heard)."""

    agent: str
    target: str | None
    state: str
    last_at: float | None
    epoch: str | None = None
    seq: int = 0
    skew_s: float = 0.0
    gaps: int = 0
    dropped: int = 0
    cloned: bool = False
    about: About | None = None
    absence: Absence | None = None  # the present one, or the last


@dataclass(frozen=True, slots=True)
class LastAbsence:
    """An absence that is over: what it was taken for, and what it turned out to be (None: not said yet). Unix s."""

    start: float
    end: float
    judged: str
    turned_out: str | None


@dataclass(frozen=True, slots=True)
class Presence:
    """A machine that people switch off. state: on, never, or why it is not heard (impact.presence.Absence).

    told: the silence is an alert; usual_hours: as learned, in words; usual_now: share of earlier weeks in which it was
    on at this hour, from `periods` of them (None while `learning`); port: where it is plugged in, by whose word.
    """

    agent: str
    state: str
    since: float | None
    told: bool
    because: tuple[str, ...]
    usual_hours: str
    learning: bool
    usual_now: float | None
    periods: int
    port: str = ""
    port_by: str = ""
    last: LastAbsence | None = None


@dataclass(frozen=True, slots=True)
class PairHealth:
    """Of two servers, the one that leads. copied: the other has the newest commit; doubtful: another may lead too."""

    name: str
    term: int
    copied: bool
    doubtful: bool


@dataclass(frozen=True, slots=True)
class Health:
    """healthmon itself. `engine_tick_age_s` growing means that the engine is stuck; counters are monotone."""

    status: str  # ok, degraded, failing
    started_at: float
    engine_tick_age_s: float
    store_ok: bool
    store_queue: int
    broker_ok: bool
    mode: str  # shadow or live
    probing: bool = True
    config_ok: bool = True
    config_refused: bool = False  # the last reload was refused
    config_loaded_at: float = 0.0
    audit_ok: bool = True  # the last deed of a person was written down
    journal_ok: bool = True  # the stream has every commit, where one is configured
    clock_ahead_s: float = 0.0  # the server's time less the machine's clock, after that went back
    counters: Mapping[str, float] = field(default_factory=dict)
    #: Baselines of rules by metric: (series that can be judged, series still learning what is usual).
    baselines: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    drill_age_s: float | None = None  # since the last fire drill that passed; None: never
    drill_overdue: bool = False
    workers: int | None = None  # that take the agents' batches; None: the server does
    pair: PairHealth | None = None  # None: there is one server


@dataclass(frozen=True, slots=True)
class View:
    """A consistent snapshot; `version` rises with every change, so that a page can tell stale from fresh."""

    version: int
    at: float
    estate: Estate
    targets: Mapping[str, TargetStatus]
    services: Mapping[tuple[str, str], ServiceStatus]
    incidents: tuple[Incident, ...]  # open first, newest first, then the recent resolved ones
    alerts: tuple[Alert, ...]
    latest: Mapping[tuple[str, str, str], Reading]  # (target, check, vantage)
    agents: Mapping[str, AgentStatus]
    health: Health
    ledger: tuple[LedgerRow, ...] = ()
    mutes: tuple[Standing, ...] = ()  # silences and changes, those in force first
    presence: Mapping[str, Presence] = field(default_factory=dict)  # by target: machines that people switch off
