"""What the engine's journal keeps: one set of changes per commit, and what a restart gets back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from healthmon.model.alert import Alert, AlertKey
from healthmon.model.incident import Incident, LedgerRow, Notice
from healthmon.model.mute import MuteEvent
from healthmon.model.sample import Reading

Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Epoch:
    """What was fixed when an agent's epoch was first heard, and what arrived since.

    skew_s: server clock minus agent clock, fixed; received: inclusive seq ranges seen; durable: in store and journal;
    clock: (from seq, skew s, sent minus mono), one more entry for each jump of the agent's wall clock.
    """

    agent: str
    epoch: str
    skew_s: float
    first_at: float
    last_at: float
    received: Ranges = ()
    durable: Ranges = ()
    declared_dropped: Ranges = ()
    clock: tuple[tuple[int, float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Audit:
    """One line of the log beside the engine's own; with a `key` it is written once."""

    kind: str
    at: float
    body: Mapping[str, Any]
    incident: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """Everything that one engine step changed; written in one transaction or not at all."""

    at: float
    readings: tuple[Reading, ...] = ()  # newest per (target, check, vantage), skew corrected
    alerts: tuple[Alert, ...] = ()  # phase CLEAR means: forget it
    incidents: tuple[Incident, ...] = ()
    notices: tuple[Notice, ...] = ()
    ledger: tuple[LedgerRow, ...] = ()
    epochs: tuple[Epoch, ...] = ()
    presence: Mapping[str, tuple[str, float]] = field(default_factory=dict)  # agent -> (state, at)
    memory: Mapping[str, bytes] = field(default_factory=dict)  # windows, baselines; an empty value means: forget it
    mutes: tuple[MuteEvent, ...] = ()  # append-only
    audit: tuple[Audit, ...] = ()

    def empty(self) -> bool:
        """Nothing to write."""
        return not (
            self.readings
            or self.alerts
            or self.incidents
            or self.notices
            or self.ledger
            or self.epochs
            or self.presence
            or self.memory
            or self.mutes
            or self.audit
        )


@dataclass(frozen=True, slots=True)
class Restored:
    """The state at the last commit. An empty one is a first start."""

    at: float | None = None
    readings: Mapping[tuple[str, str, str], Reading] = field(default_factory=dict)
    alerts: Mapping[AlertKey, Alert] = field(default_factory=dict)
    incidents: Mapping[str, Incident] = field(default_factory=dict)
    notices: Mapping[str, Notice] = field(default_factory=dict)
    epochs: Mapping[tuple[str, str], Epoch] = field(default_factory=dict)
    presence: Mapping[str, tuple[str, float]] = field(default_factory=dict)
    memory: Mapping[str, bytes] = field(default_factory=dict)
    mutes: tuple[MuteEvent, ...] = ()  # the whole audit, oldest first
    ledgered: frozenset[str] = frozenset()  # keys of ledger rows already written for open incidents
