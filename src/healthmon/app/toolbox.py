"""What the tools of the API ask of a server."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from healthmon.app.coverage import coverage
from healthmon.app.linkgraph import answer, links_from
from healthmon.app.prometheus_alerts import taken
from healthmon.app.pushing import Pushing
from healthmon.app.rotagaps import gap_spots
from healthmon.app.server import Server
from healthmon.app.whynot import Gate, WhyNot
from healthmon.config import SiteConfig
from healthmon.impact.grounds import evidence_for
from healthmon.model.errors import NotFound
from healthmon.model.incident import Incident, LedgerFilter, LedgerRow, Notice
from healthmon.model.sample import Reading
from healthmon.model.view import View
from healthmon.web.explanation import explanation
from healthmon.web.incidentreport import Record, markdown, page

#: Said on the page of blind spots while the audit cannot be written.
AUDIT_SPOT = {
    "kind": "audit_unwritten",
    "id": "audit",
    "text": "What people do cannot be written down: the audit has a gap until its disk takes lines again",
}
LEDGER_MOST = 500
#: So far back `why-not` looks for what is over.
BEFORE_S = 7 * 86_400.0
SURVEY_S = 60.0


class Toolbox:
    """Implements the web's Tools."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._pushing = Pushing(server)
        self._alerts = asyncio.Lock()
        self._surveyed: tuple[SiteConfig, float, Mapping[str, Any]] | None = None

    def source_of(self, token: str) -> str | None:
        return self._pushing.source_of(token)

    async def push(self, source: str, readings: Sequence[Reading]) -> int:
        return await self._pushing.push(source, readings)

    async def take_alerts(self, source: str, alerts: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        """Alertmanager's payload as readings. Raises Problem, JournalDown, StoreDown."""
        server = self._server
        async with self._alerts:  # what fires follows from the newest readings: one payload after the other
            view = server.view()
            found = taken(alerts, source=source, estate=view.estate, latest=view.latest, now=server.clock.now())
            if found.readings:
                await self._pushing.push(source, found.readings)
        for _ in found.ignored:
            server.count("alerts_ignored_total", "unmapped")
        ignored = [{"alert": name, "why": why} for name, why in found.ignored]
        return {"accepted": len(alerts) - len(ignored), "ignored": ignored}

    async def explain(self, incident: str) -> Mapping[str, Any]:
        """One incident in words, from the picture or, when it is older, from the journal. Raises NotFound."""
        view = self._server.view()
        found, shown = await self._found(incident, view)
        notices, rows = await asyncio.to_thread(self._heard, incident)
        return explanation(found, view, notices, rows, shown=shown)

    async def report(self, incident: str, *, html: bool) -> str:
        """What is known of an incident, from the picture or, when it is older, from the journal. Raises NotFound."""
        view = self._server.view()
        found, shown = await self._found(incident, view)
        notices, rows = await asyncio.to_thread(self._heard, incident)
        record = Record(found, notices, rows, view.estate, evidence_for(found, view) if shown else None)
        return page(record) if html else markdown(record)

    async def _found(self, id_: str, view: View) -> tuple[Incident, bool]:
        """An incident with its whole timeline, and whether the picture has it. Raises NotFound."""
        journal = self._server.journal
        shown = next((one for one in view.incidents if one.id == id_), None)
        found = shown or await asyncio.to_thread(journal.incident, id_)
        if found is None:
            raise NotFound(f"no incident {id_[:80]!r}")
        whole = await asyncio.to_thread(journal.timeline, id_)
        return replace(found, timeline=tuple(whole) or found.timeline), shown is not None

    async def why_not(self, rule: str, target: str) -> Mapping[str, Any]:
        """Every gate on the way to a page, and where it ends before an incident, what was before. Raises NotFound."""
        asking = WhyNot(self._server.site, self._server.view(), sides=self._server.room.engine.sides)
        incident = asking.incident(rule, target)
        if incident is not None:
            notices, rows = await asyncio.to_thread(self._heard, incident.id)
            asking = replace(asking, notices=notices, ledger=rows)
        gates = asking.gates(rule, target)
        before = [] if incident else await asyncio.to_thread(self._before, asking, rule, target)
        said = {"gates": [asdict(gate) for gate in gates], "before": [asdict(gate) for gate in before]}
        return {"rule": rule, "target": target, **said}

    def _before(self, asking: WhyNot, rule: str, target: str) -> list[Gate]:
        """What the journal has of the last days."""
        now, journal = self._server.clock.now(), self._server.journal
        unsaid = journal.ledger(
            LEDGER_MOST, wanted=LedgerFilter(about=asking.subject(rule, target), since=now - BEFORE_S)
        )
        newest = asking.newest(rule, target, journal.incidents(now - BEFORE_S, now))
        notices, rows = self._heard(newest.id) if newest else ([], [])
        return replace(asking, notices=notices, ledger=rows).before(rule, target, newest, unsaid)

    def _heard(self, incident: str) -> tuple[list[Notice], list[LedgerRow]]:
        """Who was told of it, and every page about it that was not sent, oldest first."""
        journal = self._server.journal
        rows = journal.ledger(LEDGER_MOST, wanted=LedgerFilter(incident=incident))
        return journal.notices(incident), rows[::-1]

    async def coverage(self) -> Mapping[str, Any]:
        """What is mapped and watched, and what nobody has seen. Made once for each configuration and minute."""
        server = self._server
        known = self._surveyed
        if known is None or known[0] is not server.site or server.clock.mono() - known[1] > SURVEY_S:
            found = await asyncio.to_thread(coverage, server.site, server.view())
            known = self._surveyed = (server.site, server.clock.mono(), found)
        unwritten = [] if server.audit.ok else [AUDIT_SPOT]
        spots = [*unwritten, *gap_spots(server.roster, server.clock.now()), *known[2]["blind_spots"]]
        return {**known[2], "blind_spots": spots, **server.drills.watch.coverage(spots)}

    async def links(self) -> Mapping[str, Any]:
        """What devices say of their neighbours, beside the needs of the running configuration."""
        server = self._server
        learned = await asyncio.to_thread(server.links.all)
        return answer(learned, server.site.estate, server.clock.now())

    async def learn_links(self, links: Sequence[Mapping[str, Any]]) -> int:
        server = self._server
        kept = await asyncio.to_thread(server.links.learn, links_from(links), server.clock.now())
        server.links_learned()
        return kept

    async def reload(self, by: str) -> Mapping[str, Any]:
        """Raises ConfigError, JournalDown; then the old configuration stays."""
        if self._server.reloader is None:
            raise NotFound("this server was not started from files")
        return (await self._server.reloader.reload(by)).as_json()
