"""Readings that other tools push: judged whole, taken through the same pipeline, durable before the answer."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from healthmon.app.engineroom import Intake
from healthmon.app.server import Server
from healthmon.ingest.pipeline import FUTURE_S, Admitted
from healthmon.model.errors import StoreDown
from healthmon.model.sample import UNKNOWN_REASONS, Batch, Outcome, Reading
from healthmon.model.topology import PUSHED_KINDS
from healthmon.web.problem import Problem

#: How long the store may take to make a push durable; then the tool tries again.
STORE_WAIT_S = 10.0
_LONGEST_RUN_S = 86_400.0

Fault = tuple[str, str]


class Pushing:
    """One for the server. Each source speaks under an epoch of its own, made at the start."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._epoch = secrets.token_hex(8)
        self._seq: Counter[str] = Counter()

    def source_of(self, token: str) -> str | None:
        """Whose token this is; compared in constant time."""
        given = hashlib.sha256(token.encode()).digest()
        found = None
        for source, known in self._server.site.push_tokens.items():
            if hmac.compare_digest(given, hashlib.sha256(known.encode()).digest()):
                found = source
        return found

    async def push(self, source: str, readings: Sequence[Reading]) -> int:
        """Take all of them or none. Raises Problem naming each bad item, JournalDown, StoreDown."""
        faults = [
            {"field": f"readings[{n}]{'.' if place else ''}{place}", "message": message}
            for n, reading in enumerate(readings)
            for place, message in self._faults(source, reading)
        ]
        if faults:
            raise Problem(422, "bad-readings", f"{len(faults)} things are wrong; nothing was taken", errors=faults)
        told = self._server.clock.told
        await self._take(source, tuple(replace(one, started=told(one.started)) for one in readings))
        return len(readings)

    async def _take(self, source: str, readings: tuple[Reading, ...]) -> None:
        server, now = self._server, self._server.clock.now()
        self._seq[source] += 1
        batch = Batch(source, self._epoch, self._seq[source], now, server.clock.mono(), True, readings)
        admitted = server.pipeline.admit(batch, topic_agent=source, received_at=now)
        if not isinstance(admitted, Admitted):
            raise Problem(422, "bad-readings", f"refused: {admitted.reason}")
        durable = asyncio.Event()
        agent, epoch, seq = admitted.key

        def stored() -> None:
            server.pipeline.store_has(agent, epoch, seq)
            durable.set()

        if not server.writer.put(admitted.rows, stored, key=admitted.key):
            raise StoreDown("the store's queue is full", retry_after_s=STORE_WAIT_S)
        server.room.take(Intake(source, "up", now, admitted.key, admitted.epoch, admitted.readings, live=True))
        await server.step()
        try:
            async with asyncio.timeout(STORE_WAIT_S):
                await durable.wait()
        except TimeoutError:
            raise StoreDown("the store does not answer", retry_after_s=STORE_WAIT_S) from None

    def _faults(self, source: str, reading: Reading) -> Iterator[Fault]:
        """What is wrong with one reading; never the value itself, it may be a patient's."""
        target = self._server.site.estate.targets.get(reading.target)
        check = next((c for c in target.checks if c.id == reading.check), None) if target else None
        if target is None:
            yield "target", "no such target in the inventory"
        elif check is None or check.kind not in PUSHED_KINDS or source not in check.vantages:
            yield "check", f"no check of this target is of a pushed kind and names {source} under `from`"
        if reading.vantage != source:
            yield "vantage", f"this token speaks for {source}"
        yield from _outcome(reading)
        now = self._server.clock.now()
        if not 0.0 < reading.started <= now + FUTURE_S:
            yield "started", "is not a time up to now, in Unix seconds"
        if not 0.0 <= reading.took < _LONGEST_RUN_S:
            yield "took", "is not a duration in seconds, up to a day"
        yield from self._server.pipeline.guard.faults(reading)


def _outcome(reading: Reading) -> Iterator[Fault]:
    if reading.outcome is Outcome.OK:
        if reading.reason is not None:
            yield "reason", "goes with failed or unknown only"
    elif reading.reason is None:
        yield "reason", "is needed: why is it not ok?"
    elif (reading.reason in UNKNOWN_REASONS) is not (reading.outcome is Outcome.UNKNOWN):
        yield "reason", f"does not go with {reading.outcome.value}"
