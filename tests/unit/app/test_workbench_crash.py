"""A worker that crashes while it hands on: what it had admitted is handed on when the queue gives it again.

The line is a stand-in, on purpose: the real one cannot be made to crash its caller.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from healthmon.app.quarantine import Quarantine
from healthmon.app.workbench import WorkBench
from healthmon.config import load
from healthmon.model.sample import Batch, Outcome, Reading
from healthmon.runtime.clock import SystemClock
from healthmon.store.embedded import EmbeddedStore
from healthmon.store.writer import StoreWriter
from healthmon.transport import codec
from healthmon.transport.hands import decode_hand

CLOCK = SystemClock()
SITE = """
organisation: {id: small, name: Small, timezone: UTC}
sites: [{id: main, name: Main}]
areas: [{id: ed, name: Emergency, kind: ed, acuity: critical, beds: 4}]
targets: [{id: pc-1, kind: ward-workstation, address: 192.0.2.1, area: ed}]
agents: [{id: pc-1, target: pc-1, roles: [ward-workstation]}]
"""


class Line:
    """Takes hands, but for the first; remembers what was finished."""

    def __init__(self) -> None:
        self.hands: list[bytes] = []
        self.finished_messages = 0
        self.crashes = 1

    async def hand(self, payload: bytes) -> None:
        if self.crashes:
            self.crashes -= 1
            raise RuntimeError("a bug")
        self.hands.append(payload)

    async def clock(self, _agent: str, _epoch: str) -> None: ...

    async def keep_clock(self, *_: object) -> None: ...

    async def acknowledge(self, *_: object) -> None: ...

    async def finished(self, messages: Iterable[Any]) -> None:
        self.finished_messages += len(list(messages))


def message(seq: int) -> Any:
    now = CLOCK.now()
    look = Reading("pc-1", "cpu", "pc-1", now, 0.01, Outcome.OK)
    batch = Batch("pc-1", "0123456789abcdef", seq, now, CLOCK.mono(), True, (look,))
    return SimpleNamespace(subject="healthmon.part.small.3.pc-1", data=codec.encode(batch),
                           metadata=SimpleNamespace(timestamp=datetime.fromtimestamp(now, UTC)))  # fmt: skip


async def until(condition: Any) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def test_what_was_admitted_before_a_crash_is_handed_on_when_it_comes_again(tmp_path: Path) -> None:
    async def story() -> tuple[Line, list[int]]:
        (tmp_path / "site.yaml").write_text(SITE)
        line, store = Line(), EmbeddedStore(tmp_path / "store.sqlite")
        writer = StoreWriter(store, clock=CLOCK)
        bench = WorkBench(load(tmp_path / "site.yaml"), name="w", line=cast(Any, line), writer=writer,
                          quarantine=Quarantine(tmp_path / "q", clock=CLOCK), clock=CLOCK)  # fmt: skip
        writing = asyncio.ensure_future(writer.run())
        bench.put("3", message(1))
        with pytest.raises(ExceptionGroup):
            await bench.run()
        running = asyncio.ensure_future(bench.run())
        for again in (message(1), message(1), message(2)):
            bench.put("3", again)
        await until(lambda: line.finished_messages == 4)
        for task in (running, writing):
            task.cancel()
        await asyncio.gather(running, writing, return_exceptions=True)
        await store.close()
        return line, [one.seq for payload in line.hands for one in decode_hand(payload).batches]

    line, handed = asyncio.run(story())
    assert handed == [1, 2]
    assert line.finished_messages == 4, "all that the queue gave are done with"
