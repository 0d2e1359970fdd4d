"""Error budgets of a running server: hours of the last 30 days, read from the store bit by bit, the newest first."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from healthmon.app.reporting import Ask, minute_counts, minutes_of
from healthmon.config import SiteConfig
from healthmon.model.mute import Change
from healthmon.model.ports import Clock
from healthmon.model.render import rfc3339
from healthmon.reports.availability import Count, Line, Shares, Tally
from healthmon.reports.budget import BUDGET_S, RULES, Budget, Spent, burns, summed
from healthmon.reports.care import Standard
from healthmon.reports.period import Period

_HOUR_S = 3_600
_MINUTES_BACK = 6 * _HOUR_S
#: So many hours are read at once; between them the loop runs.
_STEP_HOURS = 6
#: One answer waits so long for more of the past; the next one goes on.
_PATIENCE_S = 2.0
_KEPT_S = 30.0
Minutes = dict[Line, dict[int, Shares]]


@dataclass(frozen=True, slots=True)
class Owed:
    """One availability standard of one line."""

    line: Line
    standard: Standard
    aim: float


class BudgetBook:
    """Remembers whole hours that are over; another configuration begins anew."""

    def __init__(self) -> None:
        self._site: SiteConfig | None = None
        self._hours: dict[int, dict[Line, Spent]] = {}
        self._kept: tuple[float, Mapping[str, Any]] | None = None
        self._busy = asyncio.Lock()

    async def standing(self, site: SiteConfig, ask: Ask, changes: Sequence[Change], clock: Clock) -> Mapping[str, Any]:
        """Every availability standard, at most half a minute old. Raises StoreDown."""
        async with self._busy:
            if self._site is not site:
                self._site, self._hours, self._kept = site, {}, None
            if self._kept is None or clock.mono() - self._kept[0] > _KEPT_S:
                found = await self._work(site, ask, changes, clock)
                self._kept = clock.mono(), found
            return self._kept[1]

    async def _work(self, site: SiteConfig, ask: Ask, changes: Sequence[Change], clock: Clock) -> Mapping[str, Any]:
        now = clock.now()
        until = int(now) // 60 * 60
        owed = owed_by(site)
        period = Period("budget", float(until - BUDGET_S - 86_400), float(until), float(until), "UTC")
        counts = minute_counts(site, [one.line for one in owed], changes, period)
        await self._read_hours(ask, counts, until, clock)
        recent = await minutes_of(ask, until - _MINUTES_BACK, until)
        rows = await asyncio.to_thread(self._rows, owed, counts, recent, until)
        looked = len(self._hours)
        return {"as_at": rfc3339(now), "looked_back_hours": looked, "of_hours": BUDGET_S // _HOUR_S, "items": rows}

    async def _read_hours(self, ask: Ask, counts: Mapping[Line, Count], until: int, clock: Clock) -> None:
        """Hours that are over and not known yet, while patience lasts."""
        last = until // _HOUR_S * _HOUR_S
        first = last - BUDGET_S
        for hour in [one for one in self._hours if one < first]:
            del self._hours[hour]
        began = clock.mono()
        missing = [hour for hour in range(last - _HOUR_S, first - 1, -_HOUR_S) if hour not in self._hours]
        while missing and clock.mono() - began < _PATIENCE_S:
            batch = [hour for hour in missing if missing[0] - hour < _STEP_HOURS * _HOUR_S]
            missing = missing[len(batch) :]
            seen = await minutes_of(ask, batch[-1], batch[0] + _HOUR_S)
            for hour in batch:
                self._hours[hour] = await asyncio.to_thread(_spent_of, counts, seen, hour, hour + _HOUR_S)

    def _rows(
        self, owed: Sequence[Owed], counts: Mapping[Line, Count], recent: Minutes, until: int
    ) -> list[dict[str, Any]]:
        """One row for each standard, what burns first."""
        windows = sorted({window for rule in RULES for window in (rule.long_s, rule.short_s)})
        short = {w: _spent_of(counts, recent, until - w, until) for w in windows if w <= _MINUTES_BACK}
        rows = [self._row(one, short, windows, until) for one in owed]
        return sorted(rows, key=lambda row: (not row["burning"], row["area"], row["service"]))

    def _row(
        self, one: Owed, short: Mapping[int, Mapping[Line, Spent]], windows: Sequence[int], until: int
    ) -> dict[str, Any]:
        line, last = one.line, until // _HOUR_S * _HOUR_S
        mine = {hour: spent[line] for hour, spent in self._hours.items() if line in spent}
        spent = {
            window: short[window][line] if window in short
            else summed(part for hour, part in mine.items() if hour >= last - window)
            for window in windows
        }  # fmt: skip
        seen = [hour for hour, part in mine.items() if part.seen_ms]
        recorded_s = float(until - min(seen)) if seen else float(_since_seen(short, line))
        found = burns(spent, one.aim, recorded_s=recorded_s)
        budget = Budget(one.aim, summed(mine.values()), recorded_s)
        return {
            "area": line[0], "service": line[1], "standard": one.standard.id, "budget": budget.as_data(),
            "burning": [burn.rule.id for burn in found if burn.fires],
            "burn_rates": [
                {"rule": burn.rule.id, "fires_at": burn.rule.rate, "long_seconds": burn.rule.long_s, "long": burn.long,
                 "short_seconds": burn.rule.short_s, "short": burn.short}
                for burn in found
            ],
        }  # fmt: skip


def owed_by(site: SiteConfig) -> list[Owed]:
    """Every line that has an availability standard, with its aim."""
    found = []
    for standard in site.care.standards:
        if standard.metric != "availability_ratio":
            continue
        for service in site.estate.services.values():
            if (service.id, standard.id) in site.care.own or not standard.tiers or service.tier in standard.tiers:
                aim = site.care.aim(standard, service.id)
                found += [Owed((area, service.id), standard, aim) for area in service.used_in]
    return found


def _spent_of(counts: Mapping[Line, Count], seen: Minutes, start: int, end: int) -> dict[Line, Spent]:
    found = {}
    for line, count in counts.items():
        tally = Tally()
        count.add(tally, seen.get(line, {}), start, end)
        found[line] = Spent(tally.due_ms, tally.bad_ms, tally.unknown_ms)
    return found


def _since_seen(short: Mapping[int, Mapping[Line, Spent]], line: Line) -> int:
    """Before the first whole hour: the longest window of which something of its beginning was seen."""
    whole = [window for window, spent in short.items() if line in spent and not spent[line].unknown_ms]
    return max(whole, default=0)
