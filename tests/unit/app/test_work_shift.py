"""A worker says goodbye when it stops; a cluster that does not answer keeps it from stopping no longer than that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from healthmon.app import workshift
from healthmon.app.workshift import WorkShift
from healthmon.runtime.clock import SystemClock
from healthmon.transport.hands import Beat, decode_beat


class Line:
    """Stands for the cluster, which is real in tests/faults/test_workers.py; `answers` no more once it is told so."""

    hears = True

    def __init__(self) -> None:
        self.beats_heard: list[Beat] = []
        self.answers = True
        self.heard = asyncio.Event()

    def pulls(self, *_: object) -> None:
        pass

    @asynccontextmanager
    async def beats(self, _: Callable[[bytes], None]) -> AsyncIterator[None]:
        yield

    async def beat(self, payload: bytes) -> None:
        if not self.answers:
            await asyncio.Event().wait()
        self.beats_heard.append(decode_beat(payload))
        self.heard.set()


def shift(line: Any) -> WorkShift:
    bench: Any = type("Bench", (), {"put": None, "room": None})()
    return WorkShift(line, bench, name="a", clock=SystemClock(), word=lambda: (True, {}))


@pytest.mark.parametrize("answers", [True, False])
async def test_a_stop_ends_with_a_goodbye_or_without(monkeypatch: pytest.MonkeyPatch, *, answers: bool) -> None:
    monkeypatch.setattr(workshift, "BEAT_S", 0.05)
    line = Line()
    task = asyncio.ensure_future(shift(line).run())
    await line.heard.wait()
    line.answers = answers
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5.0)
    assert line.beats_heard[-1].left is answers
