"""What one agent or poller is told to do: resolved, validated, with no references left.

This is the only thing `healthmon agent -c FILE.json` reads, so it imports nothing but the standard library.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Job:
    """One check of one target on a schedule. `kind` names an entry of PROBES or COLLECTORS."""

    target: str
    check: str
    kind: str
    address: str
    every_s: float
    timeout_s: float
    params: dict[str, Any] = field(default_factory=dict, repr=False)  # may hold secrets
    recheck: int = 2


@dataclass(frozen=True, slots=True)
class MedicalAllow:
    """One approved exception inside a medical network."""

    kind: str
    approved_by: str
    approved_on: str


@dataclass(frozen=True, slots=True)
class MedicalNetwork:
    """A network of medical devices: default deny; allowed kinds run at most every `every_s`, one in flight."""

    cidr: str
    allow: tuple[MedicalAllow, ...] = ()
    every_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Rates:
    """Probes a second, for each target, each /24 (or /64) and the whole process."""

    per_target_hz: float = 2.0
    per_subnet_hz: float = 50.0
    global_hz: float = 2000.0


@dataclass(frozen=True, slots=True)
class Safety:
    deny: tuple[str, ...] = ()
    medical: tuple[MedicalNetwork, ...] = ()
    rates: Rates = field(default_factory=Rates)


@dataclass(frozen=True, slots=True)
class Broker:
    """Where to publish. url is mqtt://host:port or mqtts://host:port."""

    url: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    mqtt5: bool = True  # may be tried; the embedded broker has 3.1.1 only and writes each try to its log


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything one agent needs. `site` is the organisation's id, the second topic level after v1."""

    site: str
    agent: str
    broker: Broker
    jobs: tuple[Job, ...]
    safety: Safety = field(default_factory=Safety)
    spool_path: str = "spool.sqlite"
    spool_max_bytes: int = 256 * 1024 * 1024
    stop_file: str | None = None
    fleet_size: int = 1
    target: str | None = None  # the host it runs on: the subject of readings about the agent itself
    v: int = 1
