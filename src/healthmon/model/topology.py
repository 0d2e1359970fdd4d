"""What the hospital is made of: sites, areas, services, targets and who needs what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class AreaKind(StrEnum):
    WARD = "ward"
    ED = "ed"
    ICU = "icu"
    THEATRE = "theatre"
    MATERNITY = "maternity"
    CLINIC = "clinic"
    PHARMACY = "pharmacy"
    LAB = "lab"
    IMAGING = "imaging"
    OFFICE = "office"
    DATACENTRE = "datacentre"
    OTHER = "other"


class Acuity(StrEnum):
    CRITICAL = "critical"
    HIGH = "high"
    INPATIENT = "inpatient"
    OUTPATIENT = "outpatient"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class AtLeast:
    """`n` of the alternatives must work. All-of is a plain tuple of needs."""

    n: int
    of: tuple[Need, ...]


#: The id of a target or a service, or a k-of-n group. A tuple of needs means all of them.
Need = str | AtLeast


def need_ids(needs: tuple[Need, ...]) -> Iterator[str]:
    """Every target or service id named anywhere in `needs`, groups included."""
    for need in needs:
        if isinstance(need, AtLeast):
            yield from need_ids(need.of)
        else:
            yield need


@dataclass(frozen=True, slots=True)
class Hours:
    """Weekly opening: spans of (weekday 0 = Monday, start minute, end minute) in the site's local time."""

    spans: tuple[tuple[int, int, int], ...]
    closed_on_holidays: bool = False

    def open_at(self, weekday: int, minute: int, holiday: bool) -> bool:
        """Whether the area is staffed at this local weekday and minute of the day."""
        if holiday and self.closed_on_holidays:
            return False
        return any(day == weekday and start <= minute < end for day, start, end in self.spans)


@dataclass(frozen=True, slots=True)
class Organisation:
    id: str
    name: str
    timezone: str
    holidays: str | None = None  # country or country-subdivision, e.g. GB-ENG


@dataclass(frozen=True, slots=True)
class Site:
    id: str
    name: str
    timezone: str


@dataclass(frozen=True, slots=True)
class Contact:
    phone: str | None = None
    bleep: str | None = None
    email: str | None = None


@dataclass(frozen=True, slots=True)
class Area:
    """A place where care happens. `staffed` None means always."""

    id: str
    name: str
    kind: AreaKind
    acuity: Acuity
    site: str
    beds: int = 0
    staffed: Hours | None = None
    needs: tuple[Need, ...] = ()
    contact: Contact | None = None
    downtime_pc: str | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """How one target is looked at: a probe kind with its parameters, from `poller`, `agents` or agent ids.

    `recheck` is how many quick confirmations the runner makes after a first failure.
    """

    id: str
    kind: str
    every_s: float
    timeout_s: float
    params: Mapping[str, Any] = field(default_factory=dict, repr=False)  # may hold secrets
    vantages: tuple[str, ...] = ("poller",)
    recheck: int = 2


@dataclass(frozen=True, slots=True)
class Target:
    """A thing that can be asked over the network, or the host an agent runs on."""

    id: str
    name: str
    kind: str
    address: str
    site: str
    area: str | None = None
    needs: tuple[Need, ...] = ()
    team: str | None = None
    checks: tuple[Check, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fallback:
    """What staff use instead; `proven_by` names the target whose checks prove that it is ready."""

    text: str
    proven_by: str | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """A clinical or IT service. tier 0 foundations, 1 safety-critical, 2 important, 3 supporting.

    `used_in` holds resolved area ids; `everywhere` is true when the site file said `all`. `functions`: what staff do
    with it (chart, order, meds, results, print, badge); None: by the catalogue, from the words of its id.
    """

    id: str
    name: str
    tier: int
    used_in: tuple[str, ...]
    everywhere: bool
    needs: tuple[Need, ...] = ()
    fallback: Fallback | None = None
    standards: Mapping[str, float] = field(default_factory=dict)
    team: str | None = None
    functions: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Team:
    id: str
    name: str
    rota: str | None = None
    phone: str | None = None
    desk: str | None = None
    channels: tuple[str, ...] = ()
    supplier: bool = False  # not of this organisation: nobody here can mend what is theirs


#: The role of a vantage point that only ever pushes readings: nobody expects to hear of it otherwise.
PUSHES = "push"

#: Kinds of checks that nobody here asks: another tool sends their readings.
PUSHED_KINDS = frozenset({"push", "alertmanager"})


@dataclass(frozen=True, slots=True)
class Agent:
    """A vantage point: the agent's id and the target (host) it runs on. The poller is one too."""

    id: str
    target: str | None = None
    roles: tuple[str, ...] = ()
    spool_max_bytes: int = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Estate:
    """The whole resolved site model. Every id that is named anywhere exists; `needs` has no cycle."""

    organisation: Organisation
    sites: Mapping[str, Site]
    areas: Mapping[str, Area]
    services: Mapping[str, Service]
    targets: Mapping[str, Target]
    teams: Mapping[str, Team]
    agents: Mapping[str, Agent]

    def vantage_target(self, vantage: str) -> Target | None:
        """The host that a vantage point runs on, if it is declared."""
        agent = self.agents.get(vantage)
        return self.targets.get(agent.target) if agent and agent.target else None

    def vantage_area(self, vantage: str) -> str | None:
        """The area from which a vantage point looks; None for the poller."""
        target = self.vantage_target(vantage)
        return target.area if target else None
