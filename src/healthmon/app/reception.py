"""What comes over the bus: batches to the ingest, the store and the engine, words of presence to the fleet."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path
from typing import Protocol

from healthmon.app.drills import DrillBook
from healthmon.app.engineroom import EngineRoom, Intake
from healthmon.app.fleet import Fleet
from healthmon.app.lines import Lines
from healthmon.app.quarantine import Quarantine
from healthmon.app.steadyclock import SteadyClock
from healthmon.config import SiteConfig
from healthmon.ingest.allowance import Allowances
from healthmon.ingest.pipeline import POLLER, Admitted, Pipeline
from healthmon.model.errors import MalformedBatch
from healthmon.store.writer import StoreWriter
from healthmon.transport import codec
from healthmon.transport.bundle import is_bundle, unbundle
from healthmon.transport.inbox import Inbox

log = logging.getLogger(__name__)

#: Messages that waited in the broker while nobody listened arrive within this of connecting; they fix no clock.
BACKLOG_S = 3.0


class Home(Protocol):
    """What it needs of the server."""

    site: SiteConfig
    clock: SteadyClock
    pipeline: Pipeline
    quarantine: Quarantine
    writer: StoreWriter
    room: EngineRoom
    inbox: Inbox
    lines: Lines
    drills: DrillBook

    def arrived(self) -> None: ...

    def durable(self, agent: str, epoch: str) -> None: ...


class Reception:
    """`handle` takes one message; nothing in it can stop the ingest. `counters`: what was put off, by reason."""

    def __init__(self, home: Home, fleet: Fleet) -> None:
        self._home = home
        self._fleet = fleet
        self._allowances = Allowances()
        self.counters: Counter[str] = Counter()

    async def handle(self, kind: str, agent: str, payload: bytes) -> None:
        """One MQTT message."""
        if not self._may(agent, len(payload)):
            self._too_fast(kind, agent, payload)
            return
        now = self._home.clock.now()
        for part in self._parts(agent, payload) if kind == "batch" and is_bundle(payload) else (payload,):
            self._take(kind, agent, part, now)

    def _parts(self, agent: str, payload: bytes) -> list[bytes]:
        try:
            return unbundle(payload)
        except MalformedBatch as error:
            self._home.quarantine.refuse(agent, payload, error.reason, str(error))
            return []

    def _take(self, kind: str, agent: str, payload: bytes, now: float) -> None:
        home = self._home
        try:
            if kind == "batch":
                self._take_batch(agent, payload, now)
            elif kind == "state":
                self._take_state(agent, payload, now)
            elif kind == "lp" and home.site.line_protocol is not None:
                home.lines.take(agent, payload)
            else:
                home.quarantine.refuse(agent, payload, "unsupported")
        except MalformedBatch as error:
            home.quarantine.refuse(agent, payload, error.reason, str(error))
        except Exception as error:  # boundary: one message; counted and noted, never stops the ingest
            log.error("message refused, a bug", extra={"agent": agent, "error": type(error).__name__, **_place(error)})
            home.quarantine.refuse(agent, payload, "bug")

    def _may(self, agent: str, size: int) -> bool:
        known = agent == POLLER or agent in self._home.site.estate.agents
        return self._allowances.allow(agent if known else None, size, self._home.clock.mono())

    def _too_fast(self, kind: str, agent: str, payload: bytes) -> None:
        """A batch comes again, so it is put off; nothing else does."""
        if kind == "batch":
            self._put_off("too_fast")
        else:
            self._home.quarantine.refuse(agent, payload, "too_fast")

    def _take_batch(self, agent: str, payload: bytes, now: float) -> None:
        home = self._home
        batch = codec.decode(payload)
        listening_s = home.clock.mono() - home.inbox.connected_since
        backlog = listening_s < BACKLOG_S
        admitted = home.pipeline.admit(batch, topic_agent=agent, received_at=now, backlog=backlog)
        if not isinstance(admitted, Admitted):
            if admitted.reason == "skew_unsettled":  # the agent sends it again in a moment
                self._put_off(admitted.reason)
            else:
                home.quarantine.refuse(agent, payload, admitted.reason)
            return
        key = admitted.key
        if not home.writer.put(admitted.rows, lambda: self._stored(*key), key=key):
            self._put_off("store_queue_full")
        skew_s = admitted.epoch.skew_s
        if batch.about is not None:
            home.inbox.turns.says(agent, batch.about.batches)
        self._fleet.spoke(agent, now, batch.about, skew_s=skew_s, listening_since=now - listening_s)
        if admitted.new:
            home.drills.arrived(batch, admitted)
            home.room.take(Intake(agent, "up", now, key, admitted.epoch, admitted.readings, batch.live))
            home.arrived()
        else:
            home.durable(*key[:2])

    def _take_state(self, agent: str, payload: bytes, now: float) -> None:
        home = self._home
        state = codec.decode_state(payload)
        if state.agent != agent:
            home.quarantine.refuse(agent, payload, "foreign")
        elif agent != POLLER and agent not in home.site.estate.agents:
            home.quarantine.refuse(agent, payload, "unknown_agent")
        elif state.state == "stopped":
            self._fleet.said(agent, "stopped", now)
            home.room.take(Intake(agent, "stopped", now))
            home.arrived()
        elif home.clock.mono() - home.inbox.connected_since >= BACKLOG_S:  # an old will says nothing of when
            self._fleet.said(agent, state.state, now)

    def _stored(self, agent: str, epoch: str, seq: int) -> None:
        self._home.pipeline.store_has(agent, epoch, seq)
        self._home.drills.stored((agent, epoch, seq))
        self._home.durable(agent, epoch)

    def _put_off(self, reason: str) -> None:
        self.counters[f"ingest_deferred_total.{reason}"] += 1


def _place(error: BaseException) -> dict[str, str]:
    """Where it was raised. What the error says may be a piece of the payload, so that goes nowhere."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return {"at": f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"} if trace else {}
