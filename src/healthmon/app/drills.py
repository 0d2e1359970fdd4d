"""The shell around fire drills: asks the agent, stamps the hops, keeps the outcome, says when one is overdue."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import msgspec

from healthmon.alerting.drills import (
    Called,
    DrillDesk,
    Seen,
    acknowledged,
    judged,
    late_words,
    reached,
    shown,
)
from healthmon.alerting.incidents.text import DEFAULT_TEXT
from healthmon.alerting.oncall.case import notice_key
from healthmon.alerting.oncall.localtime import local_day, moment
from healthmon.alerting.oncall.roster import TEAM
from healthmon.alerting.oncall.workload import about_duty, reader_of
from healthmon.ingest.pipeline import Admitted
from healthmon.model.ask import Ask
from healthmon.model.drill import CHECK, PREFIX, Drill, DrillPlan, DrillState, Hop
from healthmon.model.errors import Conflict, NotFound
from healthmon.model.incident import Incident, Notice, NoticeResult
from healthmon.model.journal import Audit, Changes
from healthmon.model.oncall import Reader
from healthmon.model.sample import Batch, Row

if TYPE_CHECKING:
    from healthmon.app.server import Server

log = logging.getLogger(__name__)

#: The kind of line in the log: one when a drill begins, one when it ends, one for each later word.
KIND = "drill"
#: While a drill runs it is looked at so often, else so rarely.
BUSY_S, IDLE_S = 0.25, 15.0
#: A planned drill whose moment was missed for so long is left out: no drill at night because of a restart.
MISSED_S = 3600.0
#: A planned drill waits so long for the end of a real incident of severity 1 or 2.
WAIT_FOR_PEACE_S = 4 * 3600.0
_DAY_S = 86_400.0
_KEPT = 200
#: What the told-log calls messages about drills to on-call staff.
ABOUT = "duty-drill"
_VITAL = 2
_CUT = "the server was started again meanwhile"


class DrillBook:
    """One drill at a time. Implements the Drills port."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.desk = DrillDesk()
        self._drills: dict[str, Drill] = {}
        self._pages: dict[str, Notice] = {}
        self._keys: dict[tuple[str, str, int], str] = {}  # batches with an answer -> drill
        self._refused_before = 0.0
        self._said: tuple[float, str] = (0.0, "")
        self._wake = asyncio.Event()
        self._acting = asyncio.Lock()
        self._restore()

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
            self._refuse_now()
            agent = self._agent(agent)
            target = server.site.estate.agents[agent].target
            called = self._called(target, now)
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
            ask = Ask(target or agent, drill.id, agent, now + self._plan.hop_within_s)
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

    def age_s(self) -> float | None:
        """Since the last drill that passed; None: there was none."""
        passed = [one.ended for one in self._drills.values() if one.state is DrillState.PASSED and one.ended]
        return self._server.clock.now() - max(passed) if passed else None

    def overdue(self) -> bool:
        """Whether the plan wants a drill to have passed by now. Without a plan none is."""
        limit = self._plan.overdue_after_s
        if limit is None:
            return False
        age = self.age_s()
        since_s = self._server.clock.now() - self._first_known if age is None else age
        return since_s > limit

    def coverage(self, spots: Sequence[Mapping[str, str]]) -> dict[str, Any]:
        """For the page of blind spots: the last drill, and a spot where none has proven that pages arrive."""
        last, age = next(iter(self.drills()), None), self.age_s()
        said = {"last_id": last.id if last else None, "state": last.state.value if last else None, "age_s": age,
                "overdue": self.overdue()}  # fmt: skip
        words = {**DEFAULT_TEXT, **self._server.site.text}
        if age is None and self._server.pages_somebody():
            spot = {"kind": "never_drilled", "id": "pages", "text": words["drill_never"]}
        elif self.overdue():
            text = words["drill_overdue"].format(days=int((age or 0.0) // _DAY_S), last=last.because if last else "")
            spot = {"kind": "drill_overdue", "id": "pages", "text": text.strip()}
        else:
            return {"drill": said}
        return {"drill": said, "blind_spots": [spot, *spots]}

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
        await self._tell_overdue()

    async def _judge(self, drill: Drill) -> None:
        server = self._server
        pages = tuple(one for one in self._pages.values() if one.incident == drill.id)
        refused = "" if self._refusals() == self._refused_before else "see ingest_rejected in health"
        heard = server.view().agents.get(drill.agent)
        seen = Seen(server.inbox.connected.is_set(), self._clock_text(heard.last_at if heard else None), refused, pages)
        after = judged(drill, self._plan, seen, server.clock.now(), server.site.text)
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
            await self._tell(after.id, "drill_failed_title", {"because": after.because}, after.because)

    async def _begin_planned(self) -> None:
        now = self._server.clock.now()
        due = self.due_at(now)
        if due is None or any(one.scheduled is not None and one.scheduled >= due for one in self._drills.values()):
            return
        peace = not self._serious()
        if now - due > (MISSED_S if peace else WAIT_FOR_PEACE_S) or not peace:
            return
        try:
            await self.begin(None, "the plan", scheduled=due)
        except (Conflict, NotFound) as error:
            if self._said != (due, str(error)):
                log.warning("a planned fire drill cannot begin", extra={"why": str(error)})
            self._said = (due, str(error))

    def due_at(self, now: float) -> float | None:
        """The newest moment of the plan that has come, within the last week."""
        zone = ZoneInfo(self._server.site.estate.organisation.timezone)
        today = local_day(zone, now)
        days = [today - timedelta(days=number) for number in range(8)]
        found = [
            moment(zone, day, minute)
            for day in days for weekday, minute in self._plan.at
            if day.weekday() == weekday and moment(zone, day, minute) <= now
        ]  # fmt: skip
        newest = max(found, default=None)
        return newest if newest is not None and newest >= self._server.started_at - MISSED_S else None

    async def _tell_overdue(self) -> None:
        if not self.overdue():
            return
        age = self.age_s()
        since_s = self._server.clock.now() - self._first_known if age is None else age
        last = next((one for one in self.drills() if one.because), None)
        day = int(self._server.clock.now() // _DAY_S)
        words = {**DEFAULT_TEXT, **self._server.site.text}
        text = words["drill_overdue"].format(days=int(since_s // _DAY_S), last=last.because if last else "")
        await self._tell(f"overdue|{day}", "drill_overdue_title", {}, text)

    async def _tell(self, about: str, title: str, facts: Mapping[str, str], text: str) -> None:
        """To on-call staff, once."""
        server, now = self._server, self._server.clock.now()
        words = {**DEFAULT_TEXT, **server.site.text}
        readers = self._plan.reports or server.roster.plan.reports or server.roster.plan.morning
        notices = [
            about_duty(
                notice_key("drill", about, *reader), "duty-drill", reader, words[title].format(**facts), text, now
            )
            for reader in map(reader_of, readers)
        ]
        fresh = [one for one in notices if await asyncio.to_thread(server.journal.notice, one.key) is None]
        if fresh and server.pages_somebody():
            await server.commit(Changes(at=now, notices=tuple(fresh)))
            server.dispatcher.put(fresh)

    # --- what it needs to know --------------------------------------------------------------------------------

    @property
    def _plan(self) -> DrillPlan:
        return self._server.site.drills

    def _refuse_now(self) -> None:
        if not self._server.pages_somebody():
            raise Conflict("nothing is live here (alerting.mode: shadow): a drill would page nobody")
        running = next((one for one in self._drills.values() if one.running), None)
        if running is not None:
            raise Conflict(f"{running.id} is running")
        serious = self._serious()
        if serious:
            raise Conflict(f"not while an incident of severity 1 or 2 is open ({serious})")

    def _serious(self) -> str:
        """A real incident that nobody may be kept from."""
        open_ = [one.id for one in self._server.view().incidents if one.open and one.severity <= _VITAL
                 and one.merged_into is None and one.mitigated_at is None]  # fmt: skip
        return ", ".join(open_[:3])

    def _agent(self, wanted: str | None) -> str:
        known = self._server.site.estate.agents
        if wanted is not None:
            if wanted not in known:
                raise NotFound(f"no agent {wanted[:80]!r}")
            return wanted
        turns = [agent for agent in (self._plan.agents or sorted(known)) if agent in known]
        if not turns:
            raise Conflict("no agent is declared: nobody can speak")
        last = next((one.agent for one in self.drills() if one.agent in turns), None)
        return turns[(turns.index(last) + 1) % len(turns)] if last else turns[0]

    def _called(self, target: str | None, now: float) -> tuple[Called, ...]:
        """Whom the plan names; else whoever a severity 2 fault of that target would page first. Never a ward."""
        server, plan = self._server, self._plan
        known = server.site.estate.targets.get(target or "")
        team = known.team if known else None
        words, channels = plan.to, plan.channels
        if not words and not channels:
            step = next((p.steps[0] for p in server.site.policies if _VITAL in p.severities and
                         (not p.teams or team in p.teams)), None)  # fmt: skip
            words, channels = (step.to or (TEAM,), step.channels) if step else ((TEAM,), ())
        found: dict[Reader, Called] = {}
        for word in words:
            user = server.roster.meant(word, team, now)
            if user is not None and user.readers:
                reader = next((one for one in user.readers if self._may_hear(one[0])), None)
                if reader is not None:
                    found[reader] = Called(reader, user.id, f"{user.name} by {reader[0]}")
        for name in channels:
            channel, _, to = name.partition(":")
            if self._may_hear(channel):
                found.setdefault((channel, to or channel), Called((channel, to or channel), None, channel))
        return tuple(found.values())

    def _may_hear(self, channel: str) -> bool:
        config = self._server.site.channels.get(channel)
        return config is not None and config.audience == "it"

    def _refusals(self) -> float:
        return float(sum(self._server.pipeline.rejected().values()))

    def _clock_text(self, at: float | None) -> str:
        if at is None:
            return "never"
        zone = ZoneInfo(self._server.site.estate.organisation.timezone)
        return f"at {datetime.fromtimestamp(at, UTC).astimezone(zone):%H:%M:%S}"

    async def _keep(self, drill: Drill) -> None:
        self._drills[drill.id] = drill
        body = msgspec.to_builtins(drill)
        key = f"{drill.id}|{drill.state.value}|{len(drill.late)}"
        await self._server.record(Audit(KIND, self._server.clock.now(), body, key=key))
        self._server.changed_something()

    def _restore(self) -> None:
        """What ran when the last server ended did not get to its end."""
        now = self._server.clock.now()
        events = self._server.journal.events(KIND, now - 400 * _DAY_S, 100_000)
        for event in events:
            drill = msgspec.convert(event.body, Drill)
            self._drills[drill.id] = drill
        for drill in list(self._drills.values()):
            if drill.running:
                cut = replace(
                    drill, state=DrillState.FAILED, ended=now, because="the server was started again meanwhile"
                )
                self._drills[drill.id] = cut
                self._server.journal.append(
                    KIND, at=now, body=msgspec.to_builtins(cut), key=f"{cut.id}|{cut.state.value}|0"
                )
        first = self._server.journal.events(FIRST, 0.0, 1)
        if not first:
            self._server.journal.append(FIRST, at=now, body={}, key=FIRST)
        self._first_known = first[0].at if first else now
        for old in sorted(self._drills.values(), key=lambda one: one.started)[:-_KEPT]:
            del self._drills[old.id]


#: When this journal first knew of drills: before that none can be overdue.
FIRST = "drills_since"


def rows_of(drill: Drill) -> list[Row]:
    """Each hop as a point: seconds since the hop before it."""
    took = drill.took_s()
    own = (("agent", drill.agent), ("state", drill.state.value))
    fields = tuple(sorted((f"{hop}_seconds", seconds) for hop, seconds in took.items()))
    return [Row("drill", own, (*fields, ("passed", drill.state is DrillState.PASSED)), drill.started)] if fields else []
