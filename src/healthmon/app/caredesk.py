"""What wards are owed, as it stands: standards with their budgets, readiness, and how they say their shift was."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import date
from typing import Any

from healthmon.app.budgetbook import BudgetBook
from healthmon.app.owndates import own_dates
from healthmon.app.reporting import VOTE, changes_of
from healthmon.app.server import Server
from healthmon.impact.losttime import SMALL
from healthmon.model.errors import Conflict, NotFound
from healthmon.model.journal import Audit
from healthmon.model.render import rfc3339
from healthmon.reports.facts import Facts
from healthmon.reports.period import Period
from healthmon.reports.promises import ANSWERS
from healthmon.reports.readiness import items, summary

SHIFTS = (7, 19)  # local hours at which shifts begin
_DAY_S = 86_400.0
_VOTES_DAYS = 30
_VOTES_MOST = 1_000_000


class CareDesk:
    """Implements the web's CareDesk."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._book = BudgetBook()

    async def readiness(self) -> Mapping[str, Any]:
        """Everything that must be ready before IT is not, the worst first."""
        server = self._server
        now = server.clock.now()
        own = await asyncio.to_thread(own_dates, server.site, now)
        facts = Facts(server.view(), server.site.care, now=now, today=self._today(now), own=own)
        found = await asyncio.to_thread(items, facts)
        return {"as_at": rfc3339(now), "summary": summary(found), "items": [one.as_data() for one in found]}

    async def standards(self) -> Mapping[str, Any]:
        """Availability standards with budget and burn rates, as far back as has been read so far."""
        server = self._server
        changes = await asyncio.to_thread(changes_of, server.site, server.journal)
        return await self._book.standing(server.site, server.store.query, changes, server.clock)

    async def vote(self, area: str, answer: str) -> None:
        """One tap about this shift; kept is the shift, not the moment and not who. Raises NotFound, Conflict."""
        server = self._server
        if area not in server.site.estate.areas:
            raise NotFound(f"no area {area[:80]!r}")
        if answer not in ANSWERS:
            raise Conflict(f"answer {answer[:20]!r} (allowed: {', '.join(ANSWERS)})")
        at = self._shift(server.clock.now())
        await server.record(Audit(VOTE, at, {"area": area, "answer": answer}))

    async def shifts(self) -> Mapping[str, Any]:
        """Answers of the last 30 days by area; fewer than five are not told."""
        server = self._server
        since = server.clock.now() - _VOTES_DAYS * _DAY_S
        events = await asyncio.to_thread(server.journal.events, VOTE, since, _VOTES_MOST)
        counts: dict[str, dict[str, int]] = {}
        for event in events:
            by_answer = counts.setdefault(str(event.body["area"]), dict.fromkeys(ANSWERS, 0))
            by_answer[str(event.body["answer"])] += 1
        shown = [{"area": area, **by} for area, by in sorted(counts.items()) if sum(by.values()) >= SMALL]
        return {"days": _VOTES_DAYS, "areas_not_shown": len(counts) - len(shown), "items": shown}

    def _period(self, now: float) -> Period:
        return Period("now", now, now + 1.0, now, self._server.site.estate.organisation.timezone)

    def _today(self, now: float) -> date:
        return self._period(now).local(now).date()

    def _shift(self, now: float) -> float:
        """When the present shift began: 07:00 or 19:00 on the clocks of the hospital."""
        local = self._period(now).local(now)
        begun = [hour for hour in SHIFTS if hour <= local.hour]
        start = local.replace(hour=begun[-1] if begun else SHIFTS[-1], minute=0, second=0, microsecond=0)
        return start.timestamp() if begun else start.timestamp() - _DAY_S
