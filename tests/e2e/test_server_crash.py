"""A server whose engine crashes: real broker, journal, store and inbox file; the engine alone is told to crash.

The fault is injected by a subclass of the real engine, since the real one has no way to be made to crash.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemons.onesite import CLOCK, OneSite, reading, speaker
from healthmon.alerting.engine import Engine, EngineStep
from healthmon.app import lastresort, wiring
from healthmon.app.roles import broker_of
from healthmon.app.server import Server
from healthmon.config import load
from healthmon.model.sample import Reading
from healthmon.runtime.supervise import spawn

pytestmark = [pytest.mark.wire, pytest.mark.slow]


class Fault:
    """What the engine does wrong."""

    always = False
    check = ""


class Crashing(Engine):
    """The real engine with a bug."""

    def observe(self, readings: Sequence[Reading], *, now: float, live: bool = True, **more: Any) -> None:
        if any(one.check == Fault.check for one in readings):
            raise KeyError("a bug")
        super().observe(readings, now=now, live=live, **more)

    def tick(self, now: float) -> EngineStep:
        if Fault.always:
            raise ZeroDivisionError
        return super().tick(now)


@contextlib.asynccontextmanager
async def running(site: OneSite, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    """The server in this process, with the engine that crashes."""
    monkeypatch.setattr(wiring, "Engine", Crashing)
    monkeypatch.setattr(Fault, "always", False)
    monkeypatch.setattr(Fault, "check", "")
    site.data.mkdir(parents=True)
    config = load(site.config)
    async with broker_of(config, clock=CLOCK) as broker:
        found = Server(config, clock=CLOCK, broker=broker)
        async with asyncio.TaskGroup() as group:
            task = spawn(group, "server", found.run())
            await found.inbox.connected.wait()
            yield found
            task.cancel()


async def until(true: Any, what: str, within_s: float = 20.0) -> None:
    try:
        async with asyncio.timeout(within_s):
            while not true():  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(what) from None


def set_mode(site: OneSite, mode: str) -> None:
    site.site["alerting"] = {"mode": mode}
    site.config.write_text(yaml.safe_dump(site.site))


async def test_a_poisonous_batch_costs_the_engine_that_batch_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = OneSite(tmp_path)
    async with running(site, monkeypatch) as found, speaker(site) as agent:
        await agent.say()
        await agent.durable()
        Fault.check = "uptime"
        await agent.say(reading("pc-1", check="uptime", samples=()))
        await agent.say()
        await agent.durable()
        assert found.quarantine.counters == {"ingest_rejected_total.engine_crash": 1.0}
        (note,) = (site.data / "quarantine").glob("engine_crash-*.json")
        kept = json.loads(note.read_bytes())
        assert (kept["batch"]["key"], kept["batch"]["readings"][0]["check"]) == (["pc-1", agent.epoch, 2], "uptime")
        assert ("pc-1", "cpu", "pc-1") in found.view().latest
        assert ("pc-1", "uptime", "pc-1") not in found.view().latest
        assert found.health().status == "ok"
    assert site.pages() == [], "two crashes are not three"


async def test_the_third_crash_is_told_once_and_its_end_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = OneSite(tmp_path)
    async with running(site, monkeypatch) as found, speaker(site) as agent:
        Fault.always = True
        await agent.say()
        await until(site.pages, "three crashes page")
        await until(lambda: found._unit.crashes_within(300) >= 4, "it goes on crashing")
        (page,) = site.pages()
        assert "engine keeps crashing" in page["text"]
        assert "ack_url" not in page["incident"]
        assert (page["severity"], page["incident"]["kind"], page["why"]) == (1, "blind", "opened")
        Fault.always = False
        monkeypatch.setattr(lastresort, "WINDOW_S", 1.0)
        await until(lambda: len(site.pages()) == 2, "the end is told")
        await agent.durable()
    assert [page["why"] for page in site.pages()] == ["opened", "mitigated"]


async def test_in_shadow_mode_it_stands_in_the_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = OneSite(tmp_path)
    set_mode(site, "shadow")
    async with running(site, monkeypatch) as found:
        Fault.always = True
        await until(lambda: found.journal.ledger(5), "a line in the ledger")
        (row,) = found.journal.ledger(5)
    assert (row.cause, row.who) == ("shadow", "inbox")
    assert "engine keeps crashing" in row.because
    assert site.pages() == []
