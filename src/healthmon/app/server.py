"""The server: batches in, durable in store and journal, engine, notices out. Shell only; decisions live below.

One engine step takes what arrived since the last, commits everything it changed in one transaction, and only
then acknowledges batches and hands notices to the dispatcher: a kill in between repeats, it never loses.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from pathlib import Path

from healthmon import collectors, probes
from healthmon.alerting.engine import Engine, EngineSettings, EngineStep
from healthmon.alerting.journal import Journal
from healthmon.alerting.notify import make_channel
from healthmon.alerting.notify.dispatch import Dispatcher
from healthmon.alerting.oncall.tokens import DEFAULT_LIFE_S, make_token
from healthmon.app import agent as agent_role
from healthmon.app.private import secret_of
from healthmon.app.stores import open_store
from healthmon.config import SiteConfig, WebConfig
from healthmon.impact.hours import Calendar
from healthmon.ingest.own import own_rows
from healthmon.ingest.pipeline import Admitted, Pipeline
from healthmon.model.errors import MalformedBatch
from healthmon.model.incident import Command, Incident, Notice, Why
from healthmon.model.journal import Changes, Epoch
from healthmon.model.plan import Broker
from healthmon.model.ports import Clock
from healthmon.model.sample import Family
from healthmon.model.view import Health, View
from healthmon.probes.snmp_pack import pack_families
from healthmon.runtime.supervise import Unit, spawn
from healthmon.store.writer import StoreWriter
from healthmon.transport import codec, mqtt
from healthmon.transport.inbox import Inbox

log = logging.getLogger(__name__)

#: The engine looks at the clock at least this often (absence, holds, escalations).
TICK_EVERY_S = 1.0
#: And not more often than this, so that a burst is one step.
TICK_SPACING_S = 0.02
QUARANTINE_FILES = 100
#: What healthmon itself concludes goes into the store this often.
OWN_ROWS_EVERY_S = 15.0
#: Messages that waited in the broker while nobody listened arrive within this of connecting; they fix no clock.
BACKLOG_S = 3.0


class Server:
    """Wires one site. `run` serves until cancelled."""

    def __init__(self, site: SiteConfig, *, clock: Clock, broker: Broker) -> None:
        self.site = site
        self.clock = clock
        self.data_dir = site.data_dir
        self.journal = Journal(self.data_dir / "journal.sqlite")
        restored = self.journal.restore()
        self.engine = Engine(
            estate=site.estate,
            rules=site.rules,
            policies=site.policies,
            severity=site.severity,
            settings=self._engine_settings(),
            staffed=Calendar(site.estate, site.holidays).staffed,
            restored=restored,
        )
        self.pipeline = Pipeline(estate=site.estate, families=declared_families(site), epochs=restored.epochs)
        self.store = open_store(site.store, self.data_dir)
        self.writer = StoreWriter(self.store, clock=clock)
        self.inbox = Inbox(
            connect=mqtt.connector(broker, client_id=f"healthmon-{site.estate.organisation.id}-server", clean=False),
            site=site.estate.organisation.id,
            handle=self.handle,
            clock=clock,
        )
        self.dispatcher = Dispatcher(
            channels={c.id: make_channel(c.kind, c.params) for c in site.channels.values()},
            journal_commit=self._commit,
            clock=clock,
            on_result=self._told,
            ack_link=self.ack_link,
        )
        self.ack_secret = secret_of(self.data_dir / "ack-secret")
        self.public_url = public_url(site.web)
        self.counters: dict[str, float] = {}
        self.started_at = clock.now()
        self._version = 0
        self._view: View | None = None
        self._changed = asyncio.Event()
        self._work = asyncio.Event()
        self._journal_lock = asyncio.Lock()
        self._step_lock = asyncio.Lock()
        self._unjournaled: list[tuple[str, str, int]] = []
        self._epochs: dict[tuple[str, str], Epoch] = {}
        self._ack_due: set[tuple[str, str]] = set()
        self._last_step_mono = clock.mono()
        self._unfinished = list(restored.notices.values())

    async def run(self) -> None:
        """Serve until cancelled; the store is closed last."""
        engine = Unit("engine", self._engine_loop, clock=self.clock)
        self.dispatcher.put(self._unfinished)
        try:
            async with asyncio.TaskGroup() as group:
                spawn(group, "engine", engine.supervise())
                spawn(group, "dispatcher", Unit("dispatcher", self.dispatcher.run, clock=self.clock).supervise())
                spawn(group, "store writer", Unit("store writer", self.writer.run, clock=self.clock).supervise())
                spawn(group, "inbox", Unit("inbox", self.inbox.run, clock=self.clock).supervise())
                spawn(group, "own rows", Unit("own rows", self._store_own_rows, clock=self.clock).supervise())
        finally:
            await self.store.close()
            self.journal.close()

    async def wind_down(self) -> None:
        """Before a planned stop: what is being sent is finished, so that nothing is repeated at the next start."""
        await self.dispatcher.wind_down()

    async def _store_own_rows(self) -> None:
        """Service states, incidents and agents as points: nobody else writes them, and a missed one is only a gap."""
        while True:
            await self.clock.sleep(OWN_ROWS_EVERY_S)
            self.writer.put(own_rows(self.view()), lambda: None)

    # --- in: messages -----------------------------------------------------------------------------------------

    async def handle(self, kind: str, agent: str, payload: bytes) -> None:
        """One MQTT message. Nothing in it can stop the ingest."""
        try:
            if kind == "batch":
                self._take_batch(agent, payload)
            elif kind == "state":
                self._take_state(agent, payload)
        except MalformedBatch as error:
            self._set_aside(agent, payload, str(error))
        except Exception as error:  # boundary: one batch; counted, kept aside, never stops the ingest
            log.exception("batch set aside", extra={"agent": agent})
            self._set_aside(agent, payload, f"bug {type(error).__name__}")

    def _take_batch(self, agent: str, payload: bytes) -> None:
        batch = codec.decode(payload)
        backlog = self.clock.mono() - self.inbox.connected_since < BACKLOG_S
        admitted = self.pipeline.admit(batch, topic_agent=agent, received_at=self.clock.now(), backlog=backlog)
        if not isinstance(admitted, Admitted):
            self._set_aside(agent, payload, admitted.reason)
            return
        key = (agent, batch.epoch, batch.seq)
        stored = self.writer.put(admitted.rows, lambda: self._stored(*key), key=admitted.key)
        if not stored:
            self._count("ingest_deferred_total", "store_queue_full")
        if admitted.new:
            now = self.clock.now()
            self.engine.heard(agent, "up", now)
            self.engine.observe(admitted.readings, now=now, live=batch.live)
            self._epochs[key[:2]] = admitted.epoch
            self._unjournaled.append(key)
        else:
            self._ack_due.add(key[:2])
        self._work.set()

    def _take_state(self, agent: str, payload: bytes) -> None:
        state = codec.decode_state(payload)
        if state.state == "stopped":
            self.engine.heard(agent, "stopped", self.clock.now())
            self._work.set()

    def _stored(self, agent: str, epoch: str, seq: int) -> None:
        self.pipeline.store_has(agent, epoch, seq)
        self._ack_due.add((agent, epoch))
        self._work.set()

    def _set_aside(self, agent: str, payload: bytes, reason: str) -> None:
        """Count a refused payload and keep the newest ones for a person to look at."""
        word = reason.split(" ")[0].rstrip(":")
        self._count("ingest_rejected_total", word)
        folder = self.data_dir / "quarantine"
        number = int(self.counters[f"ingest_rejected_total.{word}"]) % QUARANTINE_FILES
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{word}-{number:02d}.bin").write_bytes(payload[:65536])
        except OSError as error:
            log.warning("cannot keep a refused payload", extra={"error": str(error)})
        log.info("payload refused", extra={"agent": agent, "reason": reason})

    def _count(self, name: str, label: str) -> None:
        key = f"{name}.{label}"
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
            await self.step()
            await self.clock.sleep(TICK_SPACING_S)

    async def step(self) -> None:
        """Tick, commit, then and only then acknowledge, ask and notify."""
        async with self._step_lock:
            step = self.engine.tick(self.clock.now())
            seen, self._unjournaled = self._unjournaled, []
            epochs, self._epochs = self._epochs, {}
            changes = replace(step.changes, epochs=tuple(epochs.values()))
            try:
                await self._commit(changes)
            except BaseException:
                self._unjournaled = seen + self._unjournaled
                self._epochs = epochs | self._epochs
                raise
            for agent, epoch, seq in seen:
                self.pipeline.journal_has(agent, epoch, seq)
                self._ack_due.add((agent, epoch))
            self._last_step_mono = self.clock.mono()
            if not changes.empty():
                self._bump()
            self.dispatcher.put(step.notices)
            await self._send(step)

    async def _send(self, step: EngineStep) -> None:
        due, self._ack_due = self._ack_due, set()
        for agent, epoch in sorted(due):
            await self.inbox.send_ack(agent, codec.Ack(epoch, *self.pipeline.ack(agent, epoch)))
        for ask in step.asks:
            await self.inbox.send_ask(ask.vantage, ask)

    async def _commit(self, changes: Changes) -> None:
        if changes.empty():
            return
        async with self._journal_lock:
            await asyncio.to_thread(self.journal.commit, changes)

    def _told(self, notice: Notice) -> None:
        self.engine.told(notice, self.clock.now())
        self._bump()

    def _bump(self) -> None:
        self._version += 1
        self._view = None
        self._changed.set()
        self._changed = asyncio.Event()

    # --- for surfaces -----------------------------------------------------------------------------------------

    def health(self) -> Health:
        """How healthmon itself is, now."""
        writer = self.writer.stats()
        age_s = self.clock.mono() - self._last_step_mono
        broker_ok = self.inbox.connected.is_set()
        status = "failing" if age_s > 10 * TICK_EVERY_S else "ok" if writer.ok and broker_ok else "degraded"
        return Health(
            status=status,
            started_at=self.started_at,
            engine_tick_age_s=age_s,
            store_ok=writer.ok,
            store_queue=writer.queued,
            broker_ok=broker_ok,
            mode=self.site.alerting.mode,
            probing=not self.stop_file.exists(),
            counters=self._all_counters(),
        )

    def _all_counters(self) -> dict[str, float]:
        writer = self.writer.stats()
        store = {
            "store_rows_accepted_total": float(writer.accepted),
            "store_rows_rejected_total": float(writer.rejected),
            "store_retries_total": float(writer.retried),
        }
        return (
            self.counters
            | {k: float(v) for k, v in self.pipeline.counts().items()}
            | store
            | self.dispatcher.counters()
        )

    def view(self) -> View:
        """The snapshot of this version, made when somebody looks."""
        if self._view is None:
            self._view = replace(self.engine.view(self.clock.now(), self.health()), version=self._version)
            return self._view
        return replace(self._view, health=self.health())

    async def changed(self, version: int, timeout_s: float) -> View:
        """The first view newer than `version`, or the present one after the timeout."""
        if self._version <= version:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._changed.wait()
            except TimeoutError:
                pass
        return self.view()

    async def act(self, command: Command) -> Incident:
        """A person acts; the answer comes after the commit."""
        incident = self.engine.act(command, self.clock.now())
        await self.step()
        self._bump()
        return incident

    @property
    def stop_file(self) -> Path:
        """Where the stop button lies: pollers and agents on this machine look at it before each probe."""
        return self.data_dir / "stop-probing"

    def ack_link(self, notice: Notice) -> str | None:
        """Where the reader of a page says "I have it" without a login; None for messages that need no answer."""
        if notice.why in (Why.MITIGATED, Why.RESOLVED):
            return None
        expires_at = notice.due + DEFAULT_LIFE_S
        to = {"incident": notice.incident, "channel": notice.channel, "to": notice.to}
        return f"{self.public_url}/ack/{make_token(self.ack_secret, expires_at=expires_at, **to)}"

    def _engine_settings(self) -> EngineSettings:
        alerting = self.site.alerting
        return EngineSettings(
            mode=alerting.mode,
            site_modes=alerting.site_modes,
            area_modes=alerting.area_modes,
            rule_modes=alerting.rule_modes,
            waking=self.site.waking,
            text=self.site.text,
        )


def declared_families(site: SiteConfig) -> dict[str, Family]:
    """What ingest admits: what probes, collectors and the agent itself may emit, and what configured packs declare."""
    packs = [check.params["pack"] for target in site.estate.targets.values() for check in target.checks
             if check.kind == "snmp" and check.params.get("pack")]  # fmt: skip
    from_packs = {family.name: family for pack in packs for family in pack_families(pack)}
    return probes.families() | collectors.families() | agent_role.FAMILIES | from_packs


def public_url(web: WebConfig) -> str:
    """How people reach the board; the listening address, as long as nothing else is configured."""
    scheme = "https" if web.tls_cert_file else "http"
    host = "127.0.0.1" if web.host in ("0.0.0.0", "::") else web.host
    return f"{scheme}://{host}:{web.port}"
