"""A spool that catches up with a server whose store is believed only after a while, as VictoriaMetrics is."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from healthmon.model.ports import Bus, Message
from healthmon.model.sample import Outcome, Reading
from healthmon.runtime.clock import ManualClock, settle
from healthmon.transport import codec, topics
from healthmon.transport.publisher import Publisher
from healthmon.transport.spool import Spool

HOLD_S, STALL_S = 15.0, 6.0
BATCHES = 120  # an hour of a ward PC


class HoldingServer:
    """Broker and server in one: it has every batch at once and says so `HOLD_S` later. No real one can be hurried.

    once: the first answer alone is late, by `STALL_S`, as when a cluster elects a leader.
    """

    def __init__(self, clock: ManualClock, held: float, *, once: bool) -> None:
        self._clock = clock
        self._held = held
        self._once = once
        self._answers = 0
        self._due: deque[tuple[float, str, int]] = deque()
        self._out: asyncio.Queue[Message] = asyncio.Queue()

    async def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> None:
        if topic.endswith("/batch"):
            batch = codec.decode(payload)
            hold_s = HOLD_S if not self._once else STALL_S if self._answers == 0 else 0.0
            self._answers += 1
            self._due.append((self._clock.mono() + hold_s, batch.epoch, batch.seq))

    def post(self, messages: object) -> bool:
        raise NotImplementedError

    async def subscribe(self, *topics: str, qos: int = 1) -> None:
        pass

    async def messages(self) -> AsyncIterator[Message]:
        while True:
            yield await self._out.get()

    def answer(self) -> None:
        while self._due and self._due[0][0] <= self._clock.mono():
            _, epoch, seq = self._due.popleft()
            ack = codec.encode_ack(codec.Ack(epoch, 0, ((seq, seq),), self._held))
            self._out.put_nowait(Message(topics.ack("site", "pc-1"), ack))


async def caught_up_s(folder: Path, held: float, *, most_s: float, once: bool = False, fleet_size: int = 1) -> float:
    """Virtual seconds until an hour's batches are acknowledged."""
    clock = ManualClock()
    spool = Spool(folder / "spool.sqlite", agent="pc-1", max_bytes=1 << 24, clock=clock)
    for number in range(BATCHES):
        await spool.append([Reading(f"t{number}", "c", "pc-1", 1.0, 0.0, Outcome.OK)], live=False)
    server = HoldingServer(clock, held, once=once)

    @asynccontextmanager
    async def connect() -> AsyncIterator[Bus]:
        yield server  # type: ignore[misc]

    publisher = Publisher(spool=spool, connect=connect, site="site", agent="pc-1", clock=clock, fleet_size=fleet_size)
    task = asyncio.ensure_future(publisher.run())
    passed = 0.0
    while spool.batches and passed < most_s:
        await clock.advance(0.5)
        passed += 0.5
        server.answer()
        for _ in range(4):
            await settle()
            await spool._run(lambda: None)  # what its thread had to do is done
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await spool.close()
    return passed


async def test_what_is_held_on_purpose_does_not_slow_the_catch_up(tmp_path: Path) -> None:
    assert await caught_up_s(tmp_path, HOLD_S, most_s=600.0) < 180.0


async def test_a_server_that_is_slow_without_a_word_is_still_spared(tmp_path: Path) -> None:
    assert await caught_up_s(tmp_path, 0.0, most_s=200.0) == 200.0


async def test_one_late_answer_costs_a_small_fleet_seconds(tmp_path: Path) -> None:
    assert await caught_up_s(tmp_path, 0.0, most_s=200.0, once=True, fleet_size=8) < 60.0


async def test_one_late_answer_costs_a_large_fleet_no_more_than_a_quick_one_after_it(tmp_path: Path) -> None:
    """120 batches at one a second: the rest that was begun ends when the server is seen to be quick again."""
    assert await caught_up_s(tmp_path, 0.0, most_s=400.0, once=True, fleet_size=10_000) < 180.0


@pytest.mark.parametrize("held", [b"-1", b"1e9", b'"x"'])
def test_a_hold_that_makes_no_sense_is_refused(held: bytes) -> None:
    payload = b'{"v":1,"epoch":"' + b"0" * 16 + b'","upto":0,"held":' + held + b"}"
    with pytest.raises(codec.MalformedBatch):
        codec.decode_ack(payload)


def test_an_acknowledgement_without_a_hold_is_as_it_always_was() -> None:
    payload = codec.encode_ack(codec.Ack("0" * 16, 3))
    assert b"held" not in payload
    assert codec.decode_ack(payload).held == 0.0
