"""How bad an incident is: impact x urgency, first match wins, clamped; a total and monotone function."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any

from healthmon.model.incident import IncidentKind, ServiceState
from healthmon.model.topology import Acuity, AreaKind, Estate

_INPATIENT = (Acuity.CRITICAL, Acuity.HIGH, Acuity.INPATIENT)


class FallbackState(StrEnum):
    """What staff can use instead: nothing, something nobody checks (paper), or something proven ready for them."""

    NONE = "none"
    UNPROVEN = "unproven"
    PROVEN = "proven"


@dataclass(frozen=True, slots=True)
class SeverityTable:
    """The figures a hospital may overwrite (alerting/severity/default.yaml). Rows of the matrix are impact 1-5."""

    matrix: tuple[tuple[int, ...], ...] = (
        (1, 1, 2, 2, 3),
        (1, 2, 2, 3, 4),
        (2, 3, 3, 4, 4),
        (3, 3, 4, 4, 5),
        (4, 5, 5, 5, 5),
    )
    many_areas: int = 10  # tier 0/1 lost in so many areas counts as trust-wide
    inpatient_ratio: float = 0.25  # or in this share of the staffed inpatient areas
    inpatient_ratio_from_areas: int = 4  # but only from so many areas lost
    soon_s: float = 3_600.0  # certain within this: urgency 2
    today_s: float = 86_400.0  # urgency 3
    this_week_s: float = 604_800.0  # urgency 4, later 5
    spare_gone_urgency: int = 4  # nothing lost yet, no spare route left
    threshold_urgency: int = 4  # a warning that names no time
    unmapped_worst_number: int = 3  # no service is mapped behind it: never a milder number than this
    unmapped_many_number: int = 2  # the same with `silent_behind_many` silent behind it
    silent_behind_many: int = 5
    blind_number: int = 2
    blind_critical_number: int = 1
    uncorroborated_cap: int = 3  # an early warning from one threshold is never worse than this
    info_cap: int = 4
    never_softened: tuple[str, ...] = ("transfusion", "blood-track", "theatres")
    end_devices: tuple[str, ...] = (
        *("ward-workstation", "workstation", "pc", "desktop", "laptop", "wow", "thin-client", "tablet"),
        *("printer", "label-printer", "phone"),
    )

    def __post_init__(self) -> None:
        cells = [cell for row in self.matrix for cell in row]
        if [len(row) for row in self.matrix] != [5] * 5 or not all(1 <= cell <= 5 for cell in cells):
            raise ValueError("matrix must be 5 rows of 5 severities from 1 to 5")
        columns = list(zip(*self.matrix, strict=True))
        if any(list(line) != sorted(line) for line in (*self.matrix, *columns)):
            raise ValueError("matrix must not fall to the right or downwards: less impact is never more severe")

    @classmethod
    def from_mapping(cls, raw: Mapping[str, Any]) -> SeverityTable:
        """The table from the parsed pack file; raises ValueError naming what is allowed."""
        known = {one.name: one for one in fields(cls)}
        unknown = sorted(set(raw) - set(known) - {"description"})
        if unknown:
            raise ValueError(f"unknown keys {', '.join(unknown)} (allowed: {', '.join(sorted(known))})")
        return cls(**{key: _frozen(value) for key, value in raw.items() if key in known})

    def number(self, impact: int, urgency: int) -> int:
        return self.matrix[_clamp(impact) - 1][_clamp(urgency) - 1]


@dataclass(frozen=True, slots=True)
class Harm:
    """One area that has, or would have, trouble with one service. Service "" is the devices at the bedside."""

    area: str
    service: str
    state: ServiceState
    tier: int = 1
    staffed: bool = True
    fallback: FallbackState = FallbackState.NONE


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything that decides how bad it is. `due_in_s` None: now; inf: no time known."""

    harms: tuple[Harm, ...] = ()
    kind: IncidentKind = IncidentKind.INCIDENT
    due_in_s: float | None = None
    mapped: bool = True
    silent_behind: int = 0
    single_device: bool = False  # one end device, a neighbour works
    staffed: bool = True  # where the device stands
    sees_critical: bool = False  # a blind incident covers a critical area
    uncorroborated: bool = False  # one threshold on one series
    info: bool = False
    spare_unhealthy: bool = False  # standby also unhealthy, or no restorable backup


@dataclass(frozen=True, slots=True)
class Score:
    severity: int
    impact: int
    urgency: int


@dataclass(frozen=True, slots=True)
class Hospital:
    """What the counting rules need to know of the estate."""

    site_of: Mapping[str, str]
    critical: frozenset[str]
    theatres: frozenset[str]
    inpatient: frozenset[str]
    used_in: Mapping[str, frozenset[str]]
    everywhere: frozenset[str]
    many_sites: bool
    staffed_inpatient: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def of(cls, estate: Estate) -> Hospital:
        """The estate with every inpatient area taken as staffed; see `at`."""
        areas = estate.areas
        inpatient = frozenset(id_ for id_, area in areas.items() if area.acuity in _INPATIENT)
        return cls(
            site_of={id_: area.site for id_, area in areas.items()},
            critical=frozenset(id_ for id_, area in areas.items() if area.acuity is Acuity.CRITICAL),
            theatres=frozenset(id_ for id_, area in areas.items() if area.kind is AreaKind.THEATRE),
            inpatient=inpatient,
            used_in={id_: frozenset(service.used_in) for id_, service in estate.services.items()},
            everywhere=frozenset(id_ for id_, service in estate.services.items() if service.everywhere),
            many_sites=len(estate.sites) > 1,
            staffed_inpatient=inpatient,
        )

    def at(self, staffed: Iterable[str]) -> Hospital:
        """The same hospital at a moment when these areas are staffed."""
        return replace(self, staffed_inpatient=self.inpatient & frozenset(staffed))


def score(table: SeverityTable, hospital: Hospital, situation: Situation) -> Score:
    """Severity, impact level and urgency, each 1 (worst) to 5."""
    if situation.kind is IncidentKind.BLIND:
        number = table.blind_critical_number if situation.sees_critical else table.blind_number
        return Score(_clamp(number), _clamp(number), _clamp(number))
    candidates = [*_now(table, hospital, situation), *_spare_gone(table, hospital, situation)]
    if situation.single_device:
        candidates.append((4, _sooner(situation, 2 if situation.staffed else 3, table)))
    if not candidates:
        # nothing is known to be lost: that is never worse than the mildest loss, unless nothing is mapped at all
        candidates.append((5, _sooner(situation, 3 if situation.mapped else 1, table)))
    bump = 1 if situation.spare_unhealthy else 0
    rated = [(table.number(i, u - bump), _clamp(i), _clamp(u - bump)) for i, u in candidates]
    severity, impact, urgency = min(rated)
    return Score(_limited(table, situation, severity), impact, urgency)


def _limited(table: SeverityTable, situation: Situation, severity: int) -> int:
    if not situation.mapped and not situation.single_device:
        many = situation.silent_behind >= table.silent_behind_many
        severity = min(severity, table.unmapped_many_number if many else table.unmapped_worst_number)
    if situation.kind is IncidentKind.EARLY_WARNING and situation.uncorroborated:
        severity = max(severity, table.uncorroborated_cap)
    if situation.info:
        severity = max(severity, table.info_cap)
    return _clamp(severity)


def _now(table: SeverityTable, hospital: Hospital, situation: Situation) -> list[tuple[int, int]]:
    """What is lost or degraded; a warning's harms are what would be lost.

    For each urgency all that is at least so urgent: what can wait makes nothing wide that cannot, and a small thing
    that cannot wait makes nothing urgent that can.
    """
    harms = [harm for harm in situation.harms if harm.state in (ServiceState.LOST, ServiceState.DEGRADED)]
    urgent = {harm: _urgency(harm) for harm in harms}
    return [
        (_impact(table, hospital, [h for h in harms if urgent[h] <= level]), _sooner(situation, level, table))
        for level in sorted(set(urgent.values()))
    ]


def _spare_gone(table: SeverityTable, hospital: Hospital, situation: Situation) -> list[tuple[int, int]]:
    """Working with no spare route left: what would be lost, at the urgency of a week."""
    harms = [replace(harm, state=ServiceState.LOST) for harm in situation.harms if harm.state is ServiceState.AT_RISK]
    if not harms:
        return []
    harms += [harm for harm in situation.harms if harm.state is ServiceState.LOST]
    return [(_impact(table, hospital, harms), _sooner(situation, table.spare_gone_urgency, table))]


def _urgency(harm: Harm) -> int:
    """1 now without a proven fallback, 2 now with one, 3 before staff arrive."""
    if not harm.staffed:
        return 3
    enough = (FallbackState.PROVEN,) if harm.tier <= 1 else (FallbackState.PROVEN, FallbackState.UNPROVEN)
    return 2 if harm.fallback in enough else 1


def _sooner(situation: Situation, now: int, table: SeverityTable) -> int:
    """The urgency of something due later; what is due now keeps its own."""
    due = situation.due_in_s
    if due is None or due <= 0:
        return now
    if due == float("inf"):
        return max(now, table.threshold_urgency)
    steps = ((table.soon_s, 2), (table.today_s, 3), (table.this_week_s, 4))
    return max(now, next((urgency for limit, urgency in steps if due <= limit), 5))


def _impact(table: SeverityTable, hospital: Hospital, harms: Sequence[Harm]) -> int:
    """Lost outright, or one less for slow and partial; never less in critical areas, transfusion or theatres."""
    hard = [harm for harm in harms if harm.state is ServiceState.LOST or _unsoftened(table, hospital, harm)]
    levels = [min(5, _level(table, hospital, harms) + 1)] if len(hard) < len(harms) else []
    return min([*levels, *([_level(table, hospital, hard)] if hard else [])])


def _unsoftened(table: SeverityTable, hospital: Hospital, harm: Harm) -> bool:
    return (
        harm.area in hospital.critical
        or harm.area in hospital.theatres
        or any(harm.service == name or harm.service.startswith(f"{name}-") for name in table.never_softened)
    )


def _level(table: SeverityTable, hospital: Hospital, harms: Sequence[Harm]) -> int:
    """Impact rows 1 to 5 of the scoring rule, first match wins."""
    vital = {harm.area for harm in harms if harm.tier <= 1}
    second = {harm.area for harm in harms if harm.tier == 2}
    if _trust_wide(hospital, harms, 0, 1) or len(vital) >= table.many_areas or _many_wards(table, hospital, vital):
        return 1
    if _site_wide(hospital, harms, 0, 1) or len(vital) >= 2 or vital & hospital.critical:
        return 2
    if vital or _trust_wide(hospital, harms, 2) or _site_wide(hospital, harms, 2) or len(second) >= 2:
        return 3
    return 4 if second or _trust_wide(hospital, harms, 3) else 5


def _areas_by_service(harms: Sequence[Harm], tiers: tuple[int, ...]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for harm in harms:
        if harm.tier in tiers:
            found.setdefault(harm.service, set()).add(harm.area)
    return found


def _trust_wide(hospital: Hospital, harms: Sequence[Harm], *tiers: int) -> bool:
    """A service used everywhere is gone everywhere."""
    return any(
        service in hospital.everywhere and areas >= hospital.used_in[service]
        for service, areas in _areas_by_service(harms, tiers).items()
    )


def _site_wide(hospital: Hospital, harms: Sequence[Harm], *tiers: int) -> bool:
    """Gone at a whole site of several; a site with one area that uses it counts as one area."""
    if not hospital.many_sites:
        return False
    for service, areas in _areas_by_service(harms, tiers).items():
        at_site: dict[str, set[str]] = {}
        for area in hospital.used_in.get(service, frozenset()):
            at_site.setdefault(hospital.site_of.get(area, ""), set()).add(area)
        if any(len(used) >= 2 and used <= areas for used in at_site.values()):
            return True
    return False


def _many_wards(table: SeverityTable, hospital: Hospital, areas: set[str]) -> bool:
    wards = hospital.staffed_inpatient
    if len(areas) < table.inpatient_ratio_from_areas or not wards:
        return False
    return len(areas & wards) >= table.inpatient_ratio * len(wards)


def _clamp(level: int) -> int:
    return max(1, min(5, level))


def _frozen(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_frozen(part) for part in value)
    return value
