"""The shell around fire drills: asks the agent, stamps the hops, keeps the outcome, says when one is overdue."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from healthmon.alerting.drills import (
    DrillDesk,
    Seen,
    acknowledged,
    judged,
    late_words,
    reached,
    shown,
)
from healthmon.app.drillcalls import MISSED_S, DrillCalls
from healthmon.app.drilllog import known_since, line_of, restored
from healthmon.app.drillwatch import DrillWatch
from healthmon.ingest.pipeline import Admitted
from healthmon.model.ask import Ask
from healthmon.model.drill import CHECK, PREFIX, Drill, DrillState, Hop
from healthmon.model.errors import Conflict, NotFound
from healthmon.model.incident import Incident, Notice, NoticeResult
from healthmon.model.oncall import Reader
from healthmon.model.sample import Batch, Row

if TYPE_CHECKING:
    from healthmon.app.server import Server

log = logging.getLogger(__name__)

#: While a drill runs it is looked at so often, else so rarely.
BUSY_S, IDLE_S = 0.25, 15.0
#: A planned drill waits so long for the end of a real incident of severity 1 or 2.
WAIT_FOR_PEACE_S = 4 * 3600.0


class DrillBook:
    """One drill at a time. Implements the Drills port."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.desk = DrillDesk()
        now = server.clock.now()
        self._drills = restored(server.journal, now)
        self.calls = DrillCalls(server)
        self.watch = DrillWatch(server, self.drills, known_since(server.journal, now))
        self._pages: dict[str, Notice] = {}
        self._keys: dict[tuple[str, str, int], str] = {}  # batches with an answer -> drill
        self._refused_before = 0.0
        self._said: tuple[float, str] = (0.0, "")
        self._wake = asyncio.Event()
        self._acting = asyncio.Lock()

    # --- for people -------------------------------------------------------------------------------------------

    def drills(self) -> Sequence[Drill]:
        """Newest first."""
        return sorted(self._drills.values(), key=lambda drill: drill.started, reverse=True)

    def drill(self, id_: str) -> Drill:
        """Raises NotFound."""
        found = self._drills.get(id_)
        if found is None:
            raise NotFound(f"no drill {id_[:80]!r}")
        return found

    def shown(self, id_: str) -> Incident:
        """What the page behind a link shows of it."""
        return shown(self.drill(id_), self._server.site.text)

    def open_for(self, is_mine: Callable[[Reader], bool]) -> Drill | None:
        """The drill that such a reader was paged about and that nobody has answered."""
        for drill in self.drills():
            mine = [one for one in self._pages.values() if one.incident == drill.id]
            if drill.running and not drill.answered_by and any(is_mine((one.channel, one.to)) for one in mine):
                return drill
        return None

    async def begin(self, agent: str | None, by: str, scheduled: float | None = None) -> Drill:
        """Ask an agent (the next in turn) to speak. Raises NotFound, Conflict."""
        async with self._acting:
            server, now = self._server, self._server.clock.now()
            self.calls.refuse(self._drills.values())
            agent = self.calls.agent(agent, self.drills())
            target = server.site.estate.agents[agent].target
            called = self.calls.called(target, now)
            if not called:
                raise Conflict("nobody would be paged: give `drills.to` or `drills.channels`, or a policy")
            drill = Drill(
                f"{PREFIX}{secrets.token_hex(4)}", agent, by, now, scheduled, paged=tuple(one.name for one in called)
            )
            self._pages.clear()
            self._refused_before = self._refusals()
            await self._keep(drill)
            self.desk.texts = server.site.text
            self.desk.begin(drill, called)
            ask = Ask(target or agent, drill.id, agent, now + server.site.drills.hop_within_s)
            if await server.inbox.ask_surely(agent, ask):
                self._note(drill.id, Hop.ASKED)
            self._wake.set()
            return self._drills[drill.id]

    async def acknowledge(self, id_: str, by: str) -> Drill:
        """Somebody answered the page. Raises NotFound, Conflict."""
        drill = self.drill(id_)
        if not drill.running:
            raise Conflict(f"this drill is over ({drill.state.value})")
        if not any(one.incident == id_ for one in self._pages.values()):
            raise Conflict("nobody was paged yet")
        # an answer proves that the page was there, whatever the channel has said so far
        self._drills[id_] = acknowledged(reached(drill, Hop.PAGE_SENT, self._server.clock.now()), by,
                                         self._server.clock.now())  # fmt: skip
        await self.look()
        return self._drills[id_]

    # --- from the way of the page -----------------------------------------------------------------------------

    def arrived(self, batch: Batch, admitted: Admitted) -> None:
        """A batch came in: is there an answer in it?"""
        if not self._drills:
            return
        for reading in admitted.readings:
            drill = self._drills.get(reading.detail) if reading.check == CHECK else None
            if drill is not None and drill.agent == batch.agent:
                raw = next((one for one in batch.readings if one.check == CHECK and one.detail == drill.id), reading)
                skew_s = reading.started - raw.started
                self._keys[admitted.key] = drill.id
                self._note(drill.id, Hop.AGENT_HEARD, reading.started)
                self._note(drill.id, Hop.AGENT_SPOKE, batch.sent + skew_s)
                self._note(drill.id, Hop.SERVER_HEARD)

    def stored(self, key: tuple[str, str, int]) -> None:
        """The store has a batch."""
        if self._keys and key in self._keys:
            self._note(self._keys.pop(key), Hop.STORED)

    def told(self, notice: Notice) -> None:
        """What became of a page."""
        if notice.incident not in self._drills:
            return
        self._pages[notice.key] = notice
        if notice.result is NoticeResult.SENT:
            self._note(notice.incident, Hop.PAGE_SENT, notice.at)

    def decided(self, notices: Sequence[Notice]) -> None:
        """The engine's pages are on disk."""
        for notice in notices:
            if notice.incident in self._drills:
                self._pages[notice.key] = notice
                self._note(notice.incident, Hop.ENGINE_DECIDED)

    def _note(self, id_: str, hop: Hop, at: float | None = None) -> None:
        drill = self._drills[id_]
        self._drills[id_] = after = reached(drill, hop, self._server.clock.now() if at is None else at)
        if after is not drill:
            self._wake.set()

    # --- the unit ---------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Look at the book until cancelled."""
        while True:
            await self.look()
            self._wake.clear()
            busy = any(drill.running for drill in self._drills.values())
            try:
                async with asyncio.timeout(BUSY_S if busy else IDLE_S):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def look(self) -> None:
        """End what is over, begin what is due, say what is overdue."""
        for drill in self.drills():
            if drill.running:
                await self._judge(drill)
            elif drill.late and late_words(drill, self._server.site.text) != drill.because:
                because = late_words(drill, self._server.site.text)
                await self._keep(replace(drill, missing=Hop.SERVER_HEARD, because=because))
        await self._begin_planned()
        await self.watch.look()

    async def _judge(self, drill: Drill) -> None:
        server = self._server
        pages = tuple(one for one in self._pages.values() if one.incident == drill.id)
        refused = "" if self._refusals() == self._refused_before else "see ingest_rejected in health"
        heard = server.view().agents.get(drill.agent)
        seen = Seen(server.inbox.connected.is_set(), self._clock_text(heard.last_at if heard else None), refused, pages)
        after = judged(drill, server.site.drills, seen, server.clock.now(), server.site.text)
        if after.running:
            return
        self.desk.end(drill.id)
        await self._keep(after)
        server.count("drills_total", after.state.value)
        server.writer.put(rows_of(after), lambda: None)
        log.log(
            logging.INFO if after.state is DrillState.PASSED else logging.ERROR,
            "fire drill ended", extra={"drill": after.id, "state": after.state.value, "missing": after.missing},
        )  # fmt: skip
        if after.state is DrillState.FAILED:
            await self.watch.failed(after)

    async def _begin_planned(self) -> None:
        now = self._server.clock.now()
        due = self.calls.due_at(now)
        if due is None or any(one.scheduled is not None and one.scheduled >= due for one in self._drills.values()):
            return
        peace = not self.calls.serious()
        if now - due > (MISSED_S if peace else WAIT_FOR_PEACE_S) or not peace:
            return
        try:
            await self.begin(None, "the plan", scheduled=due)
        except (Conflict, NotFound) as error:
            if self._said != (due, str(error)):
                log.warning("a planned fire drill cannot begin", extra={"why": str(error)})
            self._said = (due, str(error))

    def _refusals(self) -> float:
        return float(sum(self._server.pipeline.rejected().values()))

    def _clock_text(self, at: float | None) -> str:
        if at is None:
            return "never"
        zone = ZoneInfo(self._server.site.estate.organisation.timezone)
        return f"at {datetime.fromtimestamp(at, UTC).astimezone(zone):%H:%M:%S}"

    async def _keep(self, drill: Drill) -> None:
        self._drills[drill.id] = drill
        await self._server.record(line_of(drill, self._server.clock.now()))
        self._server.changed_something()


def rows_of(drill: Drill) -> list[Row]:
    """Each hop as a point: seconds since the hop before it."""
    took = drill.took_s()
    own = (("agent", drill.agent), ("state", drill.state.value))
    fields = tuple(sorted((f"{hop}_seconds", seconds) for hop, seconds in took.items()))
    return [Row("drill", own, (*fields, ("passed", drill.state is DrillState.PASSED)), drill.started)] if fields else []
