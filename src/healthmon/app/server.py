"""The server: batches in, durable in store and journal, engine, notices out. Shell only; decisions live below.

One engine step takes what arrived since the last, commits everything it changed in one transaction, and only
then acknowledges batches and hands notices to the dispatcher: a kill in between repeats, it never loses.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec

from healthmon.alerting.engine import Engine
from healthmon.alerting.incidents.reports import Placed
from healthmon.alerting.journal import Journal
from healthmon.alerting.notify import make_channel
from healthmon.alerting.notify.dispatch import Dispatcher
from healthmon.alerting.oncall.roster import Roster
from healthmon.app.bell import Bell
from healthmon.app.commits import Commits
from healthmon.app.crashes import CrashWord
from healthmon.app.drills import DrillBook
from healthmon.app.dutybook import DutyBook, kept_overrides
from healthmon.app.engineroom import Decided, EngineRoom, Intake
from healthmon.app.fleet import Fleet
from healthmon.app.handover import Handover, forget, place_of
from healthmon.app.journalstream import JournalStream
from healthmon.app.lines import Lines
from healthmon.app.linkgraph import LinkBook, plugs_of
from healthmon.app.lostticker import LostTicker
from healthmon.app.ownrows import OwnRows, rest_s
from healthmon.app.pair import Leading
from healthmon.app.paperdesk import PaperDesk
from healthmon.app.quarantine import Quarantine
from healthmon.app.reception import Reception
from healthmon.app.reload import Reloader
from healthmon.app.steadyclock import SteadyClock
from healthmon.app.stores import open_store
from healthmon.app.ticketbook import BEFORE_S, TicketBook
from healthmon.app.traps import heard_by
from healthmon.app.vitals import health_of
from healthmon.app.wardbook import WardBook
from healthmon.app.wiring import (
    ack_link,
    ack_secret,
    declared_families,
    engine_of,
    engine_settings,
    inbox_of,
    line_of,
    paces,
    pipeline_of,
    public_url,
)
from healthmon.config import SiteConfig
from healthmon.model.errors import JournalDown
from healthmon.model.incident import Command, Incident, Notice
from healthmon.model.journal import Audit, Changes, Restored
from healthmon.model.mute import MuteCommand, Standing
from healthmon.model.oncall import Override
from healthmon.model.plan import Broker
from healthmon.model.ports import Clock, Notifier
from healthmon.model.report import Filed, Ticket
from healthmon.model.view import Health, View
from healthmon.probes.guard import stop_button
from healthmon.runtime.auditlog import FILE as AUDIT_FILE
from healthmon.runtime.auditlog import AuditLog
from healthmon.runtime.supervise import Unit, spawn
from healthmon.store.writer import StoreWriter
from healthmon.transport import codec, mqtt

log = logging.getLogger(__name__)

#: The engine looks at the clock at least this often (absence, holds, escalations).
TICK_EVERY_S = 1.0
#: And not more often than this, so that a burst is one step.
TICK_SPACING_S = 0.02
#: After a long step the engine rests as long as it took, but never longer than this.
STEP_REST_MOST_S = 5.0


class Server:
    """Wires one site. `run` serves until cancelled."""

    def __init__(
        self,
        site: SiteConfig,
        *,
        clock: Clock,
        broker: Broker,
        leading: Leading | None = None,
        stream: JournalStream | None = None,
    ) -> None:
        self.leading = leading
        self._broker = broker
        self.site = site
        self.data_dir = site.data_dir
        self.journal = Journal(self.data_dir / "journal.sqlite")
        restored = self.journal.restore()
        self.clock = clock = SteadyClock(clock, at_least=restored.at)
        self.audit = AuditLog(self.data_dir / AUDIT_FILE, now=clock.now)
        self.roster = Roster(site.oncall, wall=clock.wall)
        self.roster.restore(self._kept_overrides(site), clock.now())
        self.commits = Commits(self.journal, leading, count=self.count_one, stream=stream)
        self.links = LinkBook(self.data_dir / "links.sqlite")
        self.started_at = clock.now()
        self.counters: dict[str, float] = {}
        self.drills = DrillBook(self)
        self.room = EngineRoom(self._build_engine, restored, restore=self.journal.restore, set_aside=self._set_aside)
        self.quarantine = Quarantine(self.data_dir / "quarantine", clock=clock)
        self.pipeline = pipeline_of(site, restored.epochs)
        self.store = open_store(site.store, self.data_dir)
        self.writer = StoreWriter(self.store, clock=clock)
        self.fleet = Fleet(restored.presence)
        self.reception = Reception(self, self.fleet)
        self.inbox = inbox_of(self, broker)
        self.handover = _handover(self, restored)
        self._channels = {c.id: make_channel(c.kind, c.params) for c in site.channels.values()}
        self.dispatcher = self._dispatcher_of(site)
        self.lines = Lines(self)
        self.duty = DutyBook(self)
        self.wards = WardBook(self)
        self.tickets = TicketBook(self)
        self.papers = PaperDesk(self)
        self.ack_secret = ack_secret(self.journal, self.data_dir / "ack-secret", clock.now(), pair=leading is not None)
        self.public_url = public_url(site.web)
        self.lost = LostTicker()
        self.probers: dict[str, Callable[[], dict[str, float]]] = {}  # those in this process, and what they count
        self._bell = Bell()
        self._view: View | None = None
        self._work = asyncio.Event()
        self._step_lock = asyncio.Lock()
        self._acting = asyncio.Lock()
        self._told_late: list[Notice] | None = None
        self.reloader: Reloader | None = None
        self._ack_due: set[tuple[str, str]] = set()
        self._last_step_mono = clock.mono()
        self._unit = Unit("engine", self._engine_loop, clock=clock)
        self._crashes = CrashWord(self)
        self._unfinished = list(restored.notices.values())
        if leading is not None:
            self.journal.append("term", at=self.started_at, body=leading.term())

    def _dispatcher_of(self, site: SiteConfig) -> Dispatcher:
        return Dispatcher(
            channels=self._channels,
            journal_commit=self.commits.commit,
            clock=self.clock,
            on_result=self._told,
            ack_link=self.ack_link,
            stamp=self.leading.stamp if self.leading else None,
            paces=paces(site),
        )

    async def run(self) -> None:
        """Serve until cancelled; the store is closed last."""
        self.dispatcher.put(self._unfinished)
        try:
            async with asyncio.TaskGroup() as group:
                spawn(group, "engine", self._unit.supervise(self._crashes.crashed))
                spawn(group, "dispatcher", Unit("dispatcher", self.dispatcher.run, clock=self.clock).supervise())
                spawn(group, "store writer", Unit("store writer", self.writer.run, clock=self.clock).supervise())
                spawn(group, "inbox", Unit("inbox", self.inbox.run, clock=self.clock).supervise())
                if self.handover is not None:
                    spawn(group, "handover", Unit("handover", self.handover.run, clock=self.clock).supervise())
                    spawn(group, "session of before", self._forget_session())
                if self.commits.stream is not None:
                    stream = self.commits.stream
                    spawn(group, "journal stream", Unit("journal stream", stream.run, clock=self.clock).supervise())
                if self.leading is not None:
                    copies = self.leading.answer_copies(self.journal.path, self.commits.lock)
                    spawn(group, "copies", copies)
                spawn(group, "duty book", Unit("duty book", self.duty.run, clock=self.clock).supervise())
                spawn(group, "drills", Unit("drills", self.drills.run, clock=self.clock).supervise())
                spawn(group, "own rows", Unit("own rows", self._store_own_rows, clock=self.clock).supervise())
        finally:
            await self.store.close()
            self.journal.close()
            self.links.close()

    async def _forget_session(self) -> None:
        """Of a time without workers: the broker would keep every batch for it."""
        before = f"healthmon-{self.site.estate.organisation.id}-server"
        await forget(mqtt.connector(self._broker, client_id=before, clean=True), self.clock)

    async def wind_down(self) -> None:
        """Before a planned stop: what is being sent is finished, so that nothing is repeated at the next start."""
        await self.dispatcher.wind_down()

    async def _store_own_rows(self) -> None:
        """Service states, incidents and agents as points: nobody else writes them, and a missed one is only a gap."""
        await self.lost.begin(self.store)
        own, took_s = OwnRows(), 0.0
        while True:
            await self.clock.sleep(rest_s(took_s))
            began = self.clock.mono()
            self.lost.look(self.view(), self.site)
            self.writer.put(own.rows(self.view()), lambda: None)
            took_s = self.clock.mono() - began

    # --- in ---------------------------------------------------------------------------------------------------

    def arrived(self) -> None:
        """Something was taken in: the engine looks at it now."""
        self._work.set()

    def durable(self, agent: str, epoch: str) -> None:
        """Something of this epoch is durable, or was before: the next step says so to the agent."""
        self._ack_due.add((agent, epoch))
        self._work.set()

    def _set_aside(self, intake: Intake) -> None:
        """A batch that was in flight at two crashes: its guarded readings are kept for whoever mends the engine."""
        log.error("batch set aside after two engine crashes", extra={"agent": intake.agent, "key": intake.key})
        batch = {"key": intake.key, "readings": msgspec.to_builtins(intake.readings)}
        self.quarantine.set_aside(intake.agent, "engine_crash", batch)

    def changed_something(self) -> None:
        """What surfaces show beside the engine's picture has changed."""
        self._bump()

    def count(self, name: str, label: str) -> None:
        """One more; `name.label` in health and metrics."""
        self.count_one(f"{name}.{label}")

    def count_one(self, key: str) -> None:
        """One more of a counter without a label."""
        self.counters[key] = self.counters.get(key, 0.0) + 1.0

    # --- the engine's step ------------------------------------------------------------------------------------

    async def _engine_loop(self) -> None:
        while True:
            try:
                async with asyncio.timeout(TICK_EVERY_S):
                    await self._work.wait()
            except TimeoutError:
                pass
            self._work.clear()
            began = self.clock.mono()
            try:
                await self.step()
            except JournalDown:  # said once; the step stays in hand, health shows how long
                await self.clock.sleep(TICK_EVERY_S)
            self._crashes.ran(self._unit)
            # A storm makes steps long. What ends it comes in by the ingest, which gets as much of this thread.
            await self.clock.sleep(min(STEP_REST_MOST_S, max(TICK_SPACING_S, self.clock.mono() - began)))

    async def step(self) -> None:
        """Decide, commit, then and only then acknowledge, ask and notify. Raises JournalDown."""
        async with self._step_lock:
            await self._step()

    async def _step(self) -> None:
        decided = self.room.decide(self.clock.now())
        await self.commits.step(decided.changes)
        self.room.committed()
        for agent, epoch, seq in decided.keys:
            self.pipeline.journal_has(agent, epoch, seq)
            if self.handover is None:  # workers acknowledge what they have handed over
                self._ack_due.add((agent, epoch))
        self._last_step_mono = self.clock.mono()
        self.pipeline.follow(self.clock.slowed_s, self.clock.jumps)
        if decided.moved:
            self._bump(news=bool(decided.changes.incidents))
        self.dispatcher.put(decided.notices)
        self.drills.decided(decided.notices)
        await self._send(decided)

    async def adopt(self, site: SiteConfig) -> None:
        """Go on under another configuration, with everything that is on disk. Raises JournalDown; then the old stays.

        Nobody acts meanwhile; what arrives is told to the new engine, what was sent is told to it afterwards.
        """
        async with self._acting, self._step_lock:
            self._told_late = []
            try:
                await self._step()
                families, senders = declared_families(site), self._channels_of(site)
                roster = Roster(site.oncall, wall=self.clock.wall)
                roster.restore(self._kept_overrides(site), self.clock.now())
                engine = await asyncio.to_thread(lambda: self._build_engine(self.journal.restore(), site, roster))
                self.site, self._channels = site, senders
                self.roster = roster
                self.pipeline.adopt(site.estate, families=families, declared=heard_by(site))
                self.dispatcher.adopt(senders, paces(site))
                self.room.adopt(engine, site.estate.targets)
            finally:
                told, self._told_late = self._told_late, None
                for notice in told:
                    self._told(notice)
            self._bump()
        self._work.set()

    def _channels_of(self, site: SiteConfig) -> dict[str, Notifier]:
        """A channel that stays as it was keeps its connections."""
        kept = {id_ for id_, channel in site.channels.items() if self.site.channels.get(id_) == channel}
        made = {id_: make_channel(one.kind, one.params) for id_, one in site.channels.items() if id_ not in kept}
        return {id_: self._channels[id_] for id_ in kept} | made

    async def _send(self, decided: Decided) -> None:
        due, self._ack_due = self._ack_due, set()
        due |= {(agent, self.pipeline.speaks_with(agent)) for agent in self.inbox.unasked()}
        acks = [
            (one, codec.Ack(epoch, *self.pipeline.ack(one, epoch), self.writer.hold_s)) for one, epoch in sorted(due)
        ]
        self.inbox.send_acks(acks)
        for ask in decided.asks:
            await self.inbox.send_ask(ask.vantage, ask)
        stopped_by = stop_button(self.stop_file)
        await self.inbox.announce(codec.Probing(stopped_by is not None, stopped_by or "", self.clock.now()))

    def pages_somebody(self) -> bool:
        """Whether anything at all is live."""
        return engine_settings(self.site, self.roster).pages_somebody()

    async def commit(self, changes: Changes) -> None:
        """Write beside the engine's steps. Raises OSError, sqlite3.Error."""
        await self.commits.commit(changes)

    async def record(self, line: Audit) -> bool:
        """Add one audit line, here and on the other server; False when its key was there. Raises sqlite3.Error."""
        return await self.commits.record(line)

    def _told(self, notice: Notice) -> None:
        if self._told_late is not None:
            self._told_late.append(notice)
            return
        self.room.told(notice, self.clock.now())
        self.drills.told(notice)
        self._bump()

    def _bump(self, *, news: bool = True) -> None:
        self._view = None
        self._bell.ring(news=news)

    # --- for surfaces -----------------------------------------------------------------------------------------

    def health(self) -> Health:
        """How healthmon itself is, now."""
        return health_of(self)

    @property
    def step_age_s(self) -> float:
        """Since the engine's last step that is on disk."""
        return self.clock.mono() - self._last_step_mono

    def view(self) -> View:
        """The snapshot of this version, made when somebody looks."""
        if self._view is None:
            now = self.clock.now()
            view = self.room.engine.view(now, self.health())
            agents = self.fleet.with_facts(view, self.pipeline, now)
            alerts = (*view.alerts, *self.drills.watch.alerts())
            self._view = replace(view, version=self._bell.version, agents=agents, alerts=alerts)
            return self._view
        return replace(self._view, health=self.health())

    async def changed(self, version: int, timeout_s: float, spacing_s: float = 0.0) -> View:
        """The first view newer than `version`, or the present one after the timeout."""
        await self._bell.newer(version, timeout_s, spacing_s=spacing_s)
        return self.view()

    async def act(self, command: Command) -> Incident:
        """A person acts; the answer comes after the commit."""
        async with self._acting:
            incident = self.room.act(command, self.clock.now())
            await self.step()
        self._bump()
        return incident

    async def report(self, filed: Filed) -> Placed:
        """A ward says what does not work; the engine has it, and the next step writes it."""
        async with self._acting:
            return self.room.report(filed, self.clock.now())

    async def works_again(self, incident: str, area: str) -> Incident | None:
        """A ward says that it can work again."""
        async with self._acting:
            return self.room.works_again(incident, area, self.clock.now())

    async def ticketed(self, ticket: Ticket) -> tuple[str, ...]:
        """A ticket of another system; the incidents that it is about, once that is on disk."""
        async with self._acting:
            found = self.room.ticketed(ticket, self.clock.now(), before_s=BEFORE_S)
        if found:
            await self.step()
        return found

    def changed_beside(self) -> None:
        """Something that surfaces show has changed beside the engine."""
        self._bump()

    def incident(self, id_: str) -> Incident | None:
        """As the engine has it now, whatever was put into what."""
        return self.room.engine.incident(id_)

    def delivered(self, key: str) -> bool:
        """A gateway's receipt for one message; False when there is no such message."""
        known = self.room.engine.received(key, self.clock.now())
        self._work.set()
        self._bump()
        return known

    async def mute(self, command: MuteCommand) -> Standing:
        """A person makes, extends, ends or reviews a silence or a change; the answer comes after the commit."""
        try:
            return self.room.mute(command, self.clock.now())
        finally:  # what was refused is in the audit as well
            await self.step()
            self._bump()

    @property
    def stop_file(self) -> Path:
        """Where the stop button lies: pollers and agents on this machine look at it before each probe."""
        return self.data_dir / "stop-probing"

    def ack_link(self, notice: Notice) -> str | None:
        """Where the reader of a page says "I have it" without a login; None for messages that need no answer."""
        return ack_link(notice, secret=self.ack_secret, public_url=self.public_url)

    def _kept_overrides(self, site: SiteConfig) -> list[Override]:
        """Those of the configuration, then what people said, oldest first."""
        return [*site.overrides, *kept_overrides(self.journal)]

    def _build_engine(self, restored: Restored, site: SiteConfig | None = None, roster: Roster | None = None) -> Engine:
        site = site or self.site
        engine = engine_of(site, roster or self.roster, restored)
        engine.plugged(plugs_of(self.links.all(), site.estate, self.clock.now()))
        engine.drills = self.drills.desk
        return engine

    def links_learned(self) -> None:
        """The link book has news: where machines are plugged in."""
        self.room.engine.plugged(plugs_of(self.links.all(), self.site.estate, self.clock.now()))


def _handover(server: Server, restored: Restored) -> Handover | None:
    """Where workers take the batches, what they hand over; None where the server takes them itself."""
    config = server.site.workers
    if config is None:
        return None
    organisation = server.site.estate.organisation.id
    line = line_of(config, organisation, "server")
    return Handover(server, server.fleet, line, after=place_of(restored.epochs))
