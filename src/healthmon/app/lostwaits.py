"""Waits at PCs as they come in: logons, restarts, what scripts in sessions time. Each once, as the month counts it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from healthmon.impact.hours import Calendar
from healthmon.model.sample import Reading
from healthmon.model.topology import Target
from healthmon.model.view import View
from healthmon.reports.endpoints import APART_S, Event, timed


@dataclass(slots=True)
class _Known:
    """Of one PC: the last logon's moment, the last time to a usable screen, the newest look at its waits."""

    logon: float | None = None
    boot_s: float | None = None
    waits_at: float = 0.0


@dataclass(slots=True)
class LiveWaits:
    """What was there at the first look is from before and counts for nothing."""

    _since: float | None = None
    _pcs: dict[str, _Known] = field(default_factory=dict)

    def fresh(self, view: View, calendar: Calendar) -> Iterator[tuple[str, Event]]:
        """(area, wait) of each that was not there at the last look."""
        if self._since is None:
            self._since = view.at
        for reading in view.latest.values():
            target = view.estate.targets.get(reading.target)
            if target is not None and target.area is not None and reading.samples:
                for event in self._of(reading, target, calendar):
                    yield target.area, event

    def _of(self, reading: Reading, target: Target, calendar: Calendar) -> Iterator[Event]:
        told = {(one.family, one.field): number for one in reading.samples
                if one.family in ("host_logons", "host_waits") and (number := one.number) is not None}  # fmt: skip
        if not told:
            return
        known = self._pcs.setdefault(target.id, _Known())
        yield from _logon(told, reading.started, known)
        yield from _restart(told, reading.started, known, staffed=calendar.staffed(target.area or "", reading.started))
        if any(family == "host_waits" for family, _ in told) and reading.started > max(
            known.waits_at, self._since or 0.0
        ):
            known.waits_at = reading.started
            yield from timed({name: ((reading.started, value),) for name, value in told.items()})


def _logon(told: Mapping[tuple[str, str], float], at: float, known: _Known) -> Iterator[Event]:
    age_s, took_s = told.get(("host_logons", "last_logon_age_seconds")), told.get(("host_logons", "logon_seconds"))
    if age_s is None or took_s is None:
        return
    moment, before = at - age_s, known.logon
    if before is None or moment > before + APART_S:
        known.logon = moment
        if before is not None:
            yield Event("logon", moment, took_s)


def _restart(told: Mapping[tuple[str, str], float], at: float, known: _Known, *, staffed: bool) -> Iterator[Event]:
    """Lost only where somebody is logged on afterwards and the area is staffed."""
    boot_s, sessions = told.get(("host_logons", "boot_seconds")), told.get(("host_logons", "sessions"), 0.0)
    if boot_s is None:
        return
    before, known.boot_s = known.boot_s, boot_s
    if before is not None and before != boot_s:
        yield Event("restart", at, boot_s, attended=staffed and sessions > 0)
