"""Finding is not waking: which incidents page whom at which hour, as data that a hospital overrides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Wake(StrEnum):
    """page: tell the on-call channels; list: the morning list; board: on the board only."""

    PAGE = "page"
    LIST = "list"
    BOARD = "board"


@dataclass(frozen=True, slots=True)
class WakingRule:
    """One row of the table; None means it does not matter. `staffed`: some area in the incident is staffed now.

    `later`: an early warning of what will not happen within a week.
    """

    severities: tuple[int, ...]
    do: Wake
    night: bool | None = None
    critical: bool | None = None
    staffed: bool | None = None
    later: bool | None = None

    def fits(self, *, severity: int, night: bool, critical: bool, staffed: bool, later: bool) -> bool:
        """Whether this row is about such an incident at such an hour."""
        return (
            severity in self.severities
            and self.night in (None, night)
            and self.critical in (None, critical)
            and self.staffed in (None, staffed)
            and self.later in (None, later)
        )


@dataclass(frozen=True, slots=True)
class Waking:
    """The table (first row that fits wins; none: page) and its dampers.

    A night page seen from one vantage point only is held `hold_s`; new areas are told at most every `regroup_s`;
    one single thing of the kinds `never_alone` pages nobody whatever its severity. `gather`: seconds by severity that a
    page waits for what fails with it, never severity 1; `storm_s`: areas that are hit so soon after the first page
    are an update of it, no page.
    Night is [night_from, night_to) in minutes of the local day.
    """

    rules: tuple[WakingRule, ...]
    night_from: int = 22 * 60
    night_to: int = 7 * 60
    hold_s: float = 60.0
    hold_severities: tuple[int, ...] = (2,)
    regroup_s: float = 30.0
    never_alone: tuple[str, ...] = ("workstation", "ward-workstation", "ward-pc", "pc")
    gather: tuple[tuple[int, float], ...] = ()
    storm_s: float = 0.0

    def gather_s(self, severity: int) -> float:
        """How long a page of this severity waits for what fails with it."""
        return next((seconds for one, seconds in self.gather if one == severity), 0.0)

    def longest_gather_s(self, severity: int) -> float:
        """How long a page of this severity, or of one that was milder at first, waits at most."""
        return max((seconds for one, seconds in self.gather if one >= severity), default=0.0)

    def night(self, minute: int) -> bool:
        """Whether this local minute of the day is night."""
        if self.night_from <= self.night_to:
            return self.night_from <= minute < self.night_to
        return minute >= self.night_from or minute < self.night_to

    def decide(self, *, severity: int, night: bool, critical: bool, staffed: bool, later: bool = False) -> Wake:
        """What to do with an incident like this one."""
        for rule in self.rules:
            if rule.fits(severity=severity, night=night, critical=critical, staffed=staffed, later=later):
                return rule.do
        return Wake.PAGE


DEFAULT_WAKING = Waking(
    rules=(
        WakingRule((1, 2), Wake.PAGE),
        WakingRule((3,), Wake.LIST, night=True, later=True),
        WakingRule((3,), Wake.PAGE, critical=True),
        WakingRule((3,), Wake.PAGE, night=False, staffed=True),
        WakingRule((3,), Wake.LIST),
        WakingRule((4, 5), Wake.BOARD),
    ),
    gather=((2, 10.0), (3, 30.0)),
    storm_s=60.0,
)

#: Severity 1 to 3 pages at any hour and at once: for drills, demonstrations and measurements.
ANY_HOUR = Waking(rules=(WakingRule((1, 2, 3), Wake.PAGE), WakingRule((4, 5), Wake.BOARD)), hold_s=0.0)

_KEYS = {"description", "night", "hold", "gather_seconds", "storm_seconds", "regroup_seconds", "never_alone", "rules"}
#: A page waits no longer than this for what fails with it.
_GATHER_MOST_S = 60.0
_RULE_KEYS = {"severities", "do", "night", "critical", "staffed", "later"}


def parse_waking(data: Mapping[str, Any]) -> Waking:
    """The table from a waking pack; raises ValueError that names the key and what is allowed."""
    _only(data, _KEYS, "waking")
    night = data.get("night", {"from": "22:00", "to": "07:00"})
    hold = data.get("hold", {})
    _only(night, {"from", "to"}, "night")
    _only(hold, {"seconds", "severities"}, "hold")
    return Waking(
        rules=tuple(_rule(row) for row in data["rules"]),
        night_from=_minute(night["from"]),
        night_to=_minute(night["to"]),
        hold_s=float(hold.get("seconds", 60.0)),
        hold_severities=tuple(int(s) for s in hold.get("severities", (2,))),
        regroup_s=float(data.get("regroup_seconds", DEFAULT_WAKING.regroup_s)),
        never_alone=tuple(str(kind) for kind in data.get("never_alone", DEFAULT_WAKING.never_alone)),
        gather=_gather(data["gather_seconds"]) if "gather_seconds" in data else DEFAULT_WAKING.gather,
        storm_s=float(data.get("storm_seconds", DEFAULT_WAKING.storm_s)),
    )


def _gather(data: Mapping[Any, Any]) -> tuple[tuple[int, float], ...]:
    found = tuple(sorted((int(severity), float(seconds)) for severity, seconds in data.items()))
    for severity, seconds in found:
        if severity not in (2, 3, 4, 5):
            raise ValueError(f"gather_seconds: severity {severity} (allowed: 2 to 5; severity 1 never waits)")
        if not 0 <= seconds <= _GATHER_MOST_S:
            raise ValueError(
                f"gather_seconds: {seconds:g} s for severity {severity} (allowed: 0 to {_GATHER_MOST_S:g})"
            )
    return found


def _rule(row: Mapping[str, Any]) -> WakingRule:
    _only(row, _RULE_KEYS, "rules")
    severities = tuple(int(s) for s in row["severities"])
    if not severities or not set(severities) <= {1, 2, 3, 4, 5}:
        raise ValueError(f"rules.severities: {row['severities']} (allowed: 1 to 5)")
    flags = {name: row.get(name) for name in ("night", "critical", "staffed", "later")}
    for name, value in flags.items():
        if value not in (None, True, False):
            raise ValueError(f"rules.{name}: {value!r} (allowed: true, false, or leave it out)")
    return WakingRule(severities, Wake(row["do"]), **flags)


def _minute(text: str) -> int:
    hours, colon, minutes = str(text).partition(":")
    if not colon or not hours.isdigit() or not minutes.isdigit() or int(hours) > 24 or int(minutes) > 59:
        raise ValueError(f'night: {text!r} (allowed: "HH:MM" in quotes)')
    return int(hours) * 60 + int(minutes)


def _only(data: Mapping[str, Any], allowed: set[str], where: str) -> None:
    unknown = set(data) - allowed
    if unknown:
        raise ValueError(f"{where}: unknown {', '.join(sorted(unknown))} (allowed: {', '.join(sorted(allowed))})")
