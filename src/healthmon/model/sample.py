"""What one look at one target gave: samples, readings, batches and the rows a store keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field as default
from enum import StrEnum
from typing import TypeVar, dataclass_transform

from healthmon.model.about import About

Value = float | bool | str

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def record(cls: type[T]) -> type[T]:
    """A frozen dataclass to the type checker; not at run time, where freezing makes the making five times as dear."""
    return dataclass(slots=True, unsafe_hash=True)(cls)


class Outcome(StrEnum):
    """Three outcomes, never two: `unknown` is our fault or our blindness and says nothing about the target."""

    OK = "ok"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Reason(StrEnum):
    """Why a reading is not ok. The same word is log field, metric label and board text."""

    # failed: the target's fault
    TIMEOUT = "timeout"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"  # a router or the peer's host said so
    RESET = "reset"
    CLOSED = "closed"  # the peer closed before it had answered in full
    DNS = "dns"  # the name does not resolve (authoritative answer)
    TLS_HANDSHAKE = "tls_handshake"
    CERT_EXPIRED = "cert_expired"
    CERT_UNTRUSTED = "cert_untrusted"
    CERT_WRONG_HOST = "cert_wrong_host"
    BAD_STATUS = "bad_status"
    BAD_BODY = "bad_body"
    BAD_RESPONSE = "bad_response"  # not the protocol that was expected
    TOO_LARGE = "too_large"
    AUTH_FAILED = "auth_failed"
    PACKET_LOSS = "packet_loss"
    PARTIAL = "partial"  # some of the answer came, then the target stalled
    # unknown: our fault, or we cannot see
    NO_PERMISSION = "no_permission"
    NO_ROUTE = "no_route"  # this machine has no route or its link is down
    NAME_SERVICE = "name_service"  # our resolver did not answer
    NOT_ALLOWED = "not_allowed"  # the safety block forbids it
    PROBING_STOPPED = "probing_stopped"
    RATE_LIMITED = "rate_limited"
    NO_LIBRARY = "no_library"
    BAD_PARAMS = "bad_params"
    PROBE_BUG = "probe_bug"
    NO_ANSWER = "no_answer"  # an ask was not answered by its deadline
    SILENT = "silent"  # nothing heard from the one who should report
    STARVED = "starved"  # this machine let us stand still during the look
    UNPROVEN = "unproven"  # a trap: the device says so, and no look has proven it


#: Reasons that speak about us, not about the target.
UNKNOWN_REASONS = frozenset(
    {
        Reason.NO_PERMISSION,
        Reason.NO_ROUTE,
        Reason.NAME_SERVICE,
        Reason.NOT_ALLOWED,
        Reason.PROBING_STOPPED,
        Reason.RATE_LIMITED,
        Reason.NO_LIBRARY,
        Reason.BAD_PARAMS,
        Reason.PROBE_BUG,
        Reason.NO_ANSWER,
        Reason.SILENT,
        Reason.STARVED,
        Reason.UNPROVEN,
    }
)


@record
class Sample:
    """One value: `family` is the measurement (`icmp`), `field` carries the unit (`rtt_avg_seconds`).

    Numbers are float in whole base units; `labels` are bounded dimensions (`interface`, `mount`, `step`).
    """

    family: str
    field: str
    value: Value
    labels: dict[str, str] = default(default_factory=dict)

    @property
    def number(self) -> float | None:
        """The value as a number; None when it is a word, whatever stands in it."""
        return None if isinstance(self.value, str) else float(self.value)


@record
class Reading:
    """Exactly one per run of a check. `started` is Unix seconds at the looker's clock, `took` seconds.

    `vantage` is the poller or agent that looked; `reason` is None only when the outcome is ok. `rest_s`: how much later
    than the check's interval the next look comes, because the target times out again and again.
    """

    target: str
    check: str
    vantage: str
    started: float
    took: float
    outcome: Outcome
    reason: Reason | None = None
    detail: str = ""
    samples: tuple[Sample, ...] = ()
    rest_s: float = 0.0

    def says_nothing(self) -> bool:
        """All is well, and there is no more to it."""
        return self.outcome is Outcome.OK and self.reason is None and not self.samples


@dataclass(frozen=True, slots=True)
class Batch:
    """Readings of one agent under one sequence number; (agent, epoch, seq) makes delivery idempotent.

    sent: Unix seconds; mono: monotonic seconds; epoch: 16 hex digits, random per spool; live: not catch-up;
    dropped: inclusive seq ranges that the spool gave up; clock: by how much the sender's wall clock stood before its
    monotonic one as the readings were taken (s), which tells whether a step of the wall clock came after them.
    """

    agent: str
    epoch: str
    seq: int
    sent: float
    mono: float
    live: bool
    readings: tuple[Reading, ...]
    dropped: tuple[tuple[int, int], ...] = ()
    v: int = 1
    about: About | None = None
    clock: float | None = None


@dataclass(frozen=True, slots=True)
class Family:
    """A declared measurement: ingest admits these fields and label names, and nothing else."""

    name: str
    fields: frozenset[str]
    labels: frozenset[str] = frozenset()


@record
class Row:
    """One point for a store: measurement, sorted tags, fields, Unix seconds. Same row twice = same point."""

    family: str
    tags: tuple[tuple[str, str], ...]
    fields: tuple[tuple[str, Value], ...]
    at: float


@dataclass(frozen=True, slots=True)
class Written:
    """A store's answer: how many rows are durable, and which it refused for good (with the store's words)."""

    accepted: int
    rejected: tuple[tuple[Row, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Query:
    """Series by metric and tags. Times are Unix seconds, half open [start, end); step 0 = raw points.

    end 0 = no end; newest: only the last point of each series in that time, whatever step and aggregate say.
    """

    family: str
    field: str
    match: dict[str, str] = default(default_factory=dict)
    start: float = 0.0
    end: float = 0.0
    step_s: float = 0.0
    aggregate: str = "mean"  # mean, min, max, last, count
    newest: bool = False


@dataclass(frozen=True, slots=True)
class Series:
    """The answer to a query: tags and (Unix seconds, value) points in time order."""

    tags: dict[str, str]
    points: Sequence[tuple[float, Value]]
