"""What people are told: incidents, impact, notices, the ledger of pages not sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from healthmon.model.alert import AlertKey, Effect
from healthmon.model.ask import Ask as Ask  # part of this vocabulary; a module of its own keeps agents thin
from healthmon.model.mute import HeldBy
from healthmon.model.report import Said, WardReport


class IncidentKind(StrEnum):
    INCIDENT = "incident"
    EARLY_WARNING = "early_warning"
    BLIND = "blind"


class IncidentState(StrEnum):
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    MITIGATED = "mitigated"
    RESOLVED = "resolved"


class ServiceState(StrEnum):
    OK = "ok"
    AT_RISK = "at_risk"
    DEGRADED = "degraded"
    LOST = "lost"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Root:
    """The most likely cause. confidence 0..1; alternatives are target ids, best first.

    in_common: what things that went at once share beyond chance (`os w11`); the target is then one of them.
    supplier: who answers for the target, when our own side of the way to it works.
    """

    target: str
    check: str
    reason: str
    confidence: float
    alternatives: tuple[str, ...] = ()
    in_common: tuple[str, ...] = ()
    supplier: str | None = None

    @property
    def certainty(self) -> str:
        """How sure that is, in the words that people see."""
        if self.alternatives:
            return "one of these"
        return "very likely" if self.confidence >= 0.85 else "likely"


@dataclass(frozen=True, slots=True)
class Member:
    """One alert inside an incident. `behind`: the root that explains it, so it pages nobody by itself."""

    key: AlertKey
    effect: Effect
    since: float
    reason: str = ""
    cleared_at: float | None = None
    behind: str | None = None


@dataclass(frozen=True, slots=True)
class Paths:
    """Further single failures that lose the service for the area (`left`), and how many by design (`of`)."""

    left: int
    of: int
    exact: bool = True


@dataclass(frozen=True, slots=True)
class ImpactLine:
    """One area that is losing one service."""

    area: str
    service: str
    state: ServiceState
    since: float
    paths: Paths
    fallback_text: str | None = None
    fallback_proven_at: float | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a timeline. `what` is a constant word, `text` is for people, `by` a person, role or `healthmon`."""

    at: float
    what: str
    text: str
    by: str = "healthmon"


@dataclass(frozen=True, slots=True)
class Incident:
    """A clinical-impact incident, known by its members, never by its root."""

    id: str
    kind: IncidentKind
    state: IncidentState
    severity: int
    impact_level: int
    urgency: int
    title: str
    plain_text: str
    root: Root | None
    members: tuple[Member, ...]
    impact: tuple[ImpactLine, ...]
    impact_known: str  # full, partial, none
    opened_at: float
    first_evidence_at: float
    team: str | None = None
    owner: str | None = None
    acknowledged_at: float | None = None
    mitigated_at: float | None = None
    resolved_at: float | None = None
    first_human_report_at: float | None = None
    merged_into: str | None = None
    worst_severity: int = 5  # the worst it ever was: who was told of that must hear of the end
    milder_since: float | None = None  # since when it would be milder; it falls after it has stood for a while
    worded_at: float | None = None  # when title and plain_text were last made anew
    episode: int = 1  # one more each time it comes back after it was mitigated
    timeline: tuple[Entry, ...] = ()
    changes_open: tuple[str, ...] = ()  # in whose window something began that they touch
    runbook: str = ""  # of the rule that speaks for the cause, below alerting/
    first_steps: tuple[str, ...] = ()  # of that runbook
    silenced: tuple[HeldBy, ...] = ()  # what holds its pages back now; it is on the board all the same
    accepted_by: tuple[str, ...] = ()  # everyone who said "I have it" and has not given it back, the owner too
    passed_to: str = ""  # whom the last reader who said "not mine" named: a word of alerting/oncall/roster.py
    impact_note: str = ""  # what it meant for care, in a person's words
    reports: tuple[WardReport, ...] = ()  # what wards said of it

    @property
    def open(self) -> bool:
        """Not resolved and not merged away; a mitigated incident is still open to its members."""
        return self.state is not IncidentState.RESOLVED

    @property
    def nobody_can_work(self) -> bool:
        """Some area says so, and has not said that it works again."""
        return any(one.effect is Said.NOBODY_CAN_WORK and one.works_at is None for one in self.reports)


class Why(StrEnum):
    """Why somebody is told."""

    OPENED = "opened"
    WORSE = "worse"
    NEW_AREA = "new_area"
    ESCALATED = "escalated"
    MITIGATED = "mitigated"
    RESOLVED = "resolved"
    MUTE = "mute"  # about a silence or a change itself, never about an incident
    CHANGED = "changed"  # only in a record of a ticket system: what eased, ended somewhere, or was taken
    WARD = "ward"  # to a ward, in its own words: what it lost, that it is back
    DUTY = "duty"  # to on-call staff about their work: the morning list, too many pages in a shift
    DRILL = "drill"  # a fire drill: nothing has failed


@dataclass(frozen=True, slots=True)
class Step:
    """After `after_s` without an owner, tell these channels and these people.

    to: words of alerting/oncall/roster.py (`team`, `next`, `duty-manager`, `rota:ID`, `user:ID`); media: by how many of
    a person's ways at once (None: two for severity 1, else one); only: these severities (empty: those of the policy).
    """

    after_s: float
    channels: tuple[str, ...]
    to: tuple[str, ...] = ()
    media: int | None = None
    only: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    id: str
    steps: tuple[Step, ...]
    severities: tuple[int, ...] = (1, 2, 3)
    teams: tuple[str, ...] = ()  # empty: every team
    quorum: int = 1  # so many must accept before the steps stop
    repeat: int = 0  # the whole ladder again, so many times
    repeat_every_s: float = 900.0
    unack_after_s: float | None = None  # an accepted incident without a word for so long is nobody's again
    one_medium: str = ""  # why two media of a severity 1 step may share what they hang on, in words


class NoticeResult(StrEnum):
    QUEUED = "queued"
    SENT = "sent"
    RETRYING = "retrying"
    ACKNOWLEDGED = "acknowledged"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Notice:
    """One message to one channel about one incident. `key` is the told-log and idempotency key.

    `body` is the incident as JSON at the time of writing; `repeat` marks a second sending after a kill.
    `kind`, `severity`, `areas` (not available or slow) and `episode` are what the reader was told of.
    """

    key: str
    incident: str
    step: int
    channel: str
    to: str
    why: Why
    due: float
    subject: str
    text: str
    body: Mapping[str, Any] = field(default_factory=dict)
    result: NoticeResult = NoticeResult.QUEUED
    at: float | None = None  # when the result was known
    attempts: int = 0
    detail: str = ""
    repeat: bool = False
    severity: int = 5
    areas: tuple[str, ...] = ()
    episode: int = 1
    kind: IncidentKind = IncidentKind.INCIDENT
    person: str | None = None  # the on-call user whose way this is
    round: int = 0  # which time through the ladder of steps
    delivered_at: float | None = None  # by an answer of the reader or the gateway's receipt; `sent` is not delivered


@dataclass(frozen=True, slots=True)
class NoticeFilter:
    """Which notices are wanted; None and empty mean any."""

    results: frozenset[NoticeResult] = frozenset()
    channel: str | None = None
    incident: str | None = None
    since: float | None = None


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One page that was not sent, and why: shadow mode, behind a root, silenced, presence, severity not woken.

    what: what it would have said; evidence: what was seen; expires_at: when the cause ends by itself; mute: its id;
    real_at, real_how: a person took the incident, or a ward reported it, after the page was held back.
    """

    at: float
    incident: str
    key: str  # the notice key or alert key that would have paged
    who: str
    cause: str  # shadow, behind_root, out_of_hours, clean_stop, single_device, no_policy, ...
    because: str
    what: str = ""
    evidence: str = ""
    expires_at: float | None = None
    mute: str = ""
    real_at: float | None = None
    real_how: str = ""


@dataclass(frozen=True, slots=True)
class LedgerFilter:
    """Which lines of the ledger are wanted; None means any. `real`: only those that turned out to be real."""

    cause: str | None = None
    incident: str | None = None
    who: str | None = None
    mute: str | None = None
    since: float | None = None
    until: float | None = None
    real: bool | None = None
    about: str | None = None  # the alert key begins so: `rule/target/`


@dataclass(frozen=True, slots=True)
class Command:
    """A person acts on an incident: ack, unack, own, pass, note, mitigate, resolve, reopen, merge, split.

    to: `pass`: the team, person or duty manager who is asked instead; reader: the (channel, to) that answered.
    """

    action: str
    incident: str
    by: str
    text: str = ""
    into: str | None = None
    members: tuple[str, ...] = ()
    reason: str = ""
    impact: str = ""
    to: str = ""
    reader: tuple[str, str] | None = None
