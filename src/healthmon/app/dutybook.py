"""The shell around rotas: overrides kept in the journal, the morning list, and who was paged too often."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from healthmon.alerting.journal import Journal
from healthmon.alerting.oncall.workload import (
    HELD,
    MORNING_ABOUT,
    Load,
    loads,
    morning_at,
    morning_lists,
    too_much,
)
from healthmon.app.wardtexts import ward_texts
from healthmon.model.incident import LedgerFilter, LedgerRow, Notice, NoticeFilter
from healthmon.model.journal import Audit, Changes
from healthmon.model.oncall import Override
from healthmon.web.papers import paper_html

if TYPE_CHECKING:
    from healthmon.app.server import Server

#: The audit kind of overrides and swaps.
KIND = "oncall"
#: How often the book is looked at.
EVERY_S = 30.0
_DAY_S = 86_400.0
_WEEK_S = 7 * _DAY_S
#: No shift is longer than this.
_LOOK_BACK_S = 36 * _DAY_S


def kept_overrides(journal: Journal) -> list[Override]:
    """What people said of rotas, oldest first."""
    return [msgspec.convert(event.body["override"], Override) for event in journal.events(KIND, limit=100_000)]


class DutyBook:
    """Everything about on-call duty that needs the disk or the time of day."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def override(self, wanted: Override) -> Override:
        """Somebody stands in. Raises NotFound, Conflict."""
        made = self._server.roster.override(wanted, self._server.clock.now())
        await self._keep([made], wanted.by, "override")
        return made

    async def swap(self, first: Override, second: Override) -> tuple[Override, ...]:
        """Two people take over each other's shifts. Raises NotFound, Conflict."""
        made = self._server.roster.swap(first, second, self._server.clock.now())
        await self._keep(made, first.by, "swap")
        return made

    async def end(self, override: str, by: str) -> tuple[Override, ...]:
        """Take one back (a swap whole). Raises NotFound."""
        ended = self._server.roster.end(override)
        await self._keep(ended, by, "end")
        return ended

    async def loads(self) -> list[Load]:
        """How often everybody on call was paged in the present shift."""
        now = self._server.clock.now()
        return loads(await self._paged(now), self._server.roster, now)

    async def run(self) -> None:
        """Look at the book until cancelled."""
        while True:
            await self.look()
            await self._server.clock.sleep(EVERY_S)

    async def look(self) -> None:
        """Send what is due and was not sent; its key is in the told-log, so a restart sends nothing twice."""
        await self._server.wards.look()
        await self._server.tickets.look()
        site, now = self._server.site, self._server.clock.now()
        roster = self._server.roster
        notices: list[Notice] = []
        if roster.plan.reports and roster.plan.rotas:
            for load in await self.loads():
                notices += too_much(load, roster, now)
        timezone = site.estate.organisation.timezone
        due = morning_at(roster, timezone, now)
        channels: dict[str | None, tuple[str, ...]] = {None: roster.plan.morning}
        channels |= {team.id: team.channels for team in site.estate.teams.values()}
        if due >= self._server.started_at or now - due < _DAY_S / 4:
            since = await asyncio.to_thread(self._listed_until, morning_at(roster, timezone, due - 1.0), due)
            rows = await asyncio.to_thread(self._held, since, due)
            incidents = {incident.id: incident for incident in self._server.view().incidents} if rows else {}
            notices += morning_lists(rows, incidents, channels, due=due, timezone=timezone)
        await self._send([*notices, *await self._server.papers.due(), *await ward_texts(self._server)])
        await self._server.papers.print_pack(paper_html)

    def _listed_until(self, usual: float, due: float) -> float:
        """Where the last list ended: that of yesterday, or an older one when yesterday nobody was here to send it."""
        sent = self._server.journal.told_log(1, due, NoticeFilter(incident=MORNING_ABOUT))
        return max(sent[0].due, due - _WEEK_S) if sent and sent[0].due < usual else usual

    def _held(self, since: float, until: float) -> list[LedgerRow]:
        journal = self._server.journal
        wanted = [LedgerFilter(cause=cause, since=since, until=until) for cause in sorted(HELD)]
        return [row for one in wanted for row in journal.ledger(10_000, None, one)]

    async def _send(self, notices: Iterable[Notice]) -> None:
        fresh = [one for one in notices if await asyncio.to_thread(self._server.journal.notice, one.key) is None]
        if fresh and self._server.pages_somebody():
            await self._server.commit(Changes(at=self._server.clock.now(), notices=tuple(fresh)))
            self._server.dispatcher.put(fresh)

    async def _paged(self, now: float) -> list[Notice]:
        """The newest word on every notice of the longest shift."""
        events = await asyncio.to_thread(self._server.journal.events, "notice", now - _LOOK_BACK_S, 200_000)
        newest: dict[Any, Notice] = {}
        for event in events:
            if event.body.get("person"):
                newest[event.body["key"]] = msgspec.convert(event.body, Notice)
        return list(newest.values())

    async def _keep(self, overrides: Sequence[Override], by: str, what: str) -> None:
        now = self._server.clock.now()
        for one in overrides:
            body = {"what": what, "by": by, "override": msgspec.to_builtins(one)}
            await self._server.record(Audit(KIND, now, body))
