"""`healthmon watchdog` beside `healthmon server`, two processes: each way to fail is one page and one recovery."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemons.healthmon import role, until
from daemons.onesite import OneSite, one_site
from daemons.relay import Relay, relay_to

pytestmark = [pytest.mark.wire, pytest.mark.slow]


class Watchdog:
    """A watchdog process that looks at the server through a relay."""

    def __init__(self, folder: Path, port: int) -> None:
        self.inbox = folder / "watchdog.jsonl"
        config = folder / "watchdog.yaml"
        config.write_text(
            yaml.safe_dump(
                {
                    "organisation": {"id": "elsewhere", "name": "Elsewhere", "timezone": "UTC"},
                    "data_dir": str(folder / "watchdog"),
                    "notify": {
                        "channels": {"own": {"kind": "inbox", "path": str(self.inbox)}},
                        "watch": {"url": f"http://127.0.0.1:{port}", "every": "1s", "name": "small"},
                    },
                }
            )
        )
        state = folder / "watchdog" / "watchdog.sqlite"
        self.daemon = role("watchdog", "-c", str(config), log=folder / "watchdog.log", ready=state.exists)

    def pages(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.inbox.read_text().splitlines()] if self.inbox.exists() else []

    def told(self, count: int, within_s: float) -> list[dict[str, Any]]:
        until(lambda: len(self.pages()) >= count, timeout_s=within_s, what=f"{count} messages, not {self.pages()}")
        return self.pages()


@contextlib.asynccontextmanager
async def watched(folder: Path, role_name: str = "server") -> AsyncIterator[tuple[OneSite, Watchdog, Relay]]:
    with one_site(folder, role_name=role_name) as site:
        async with relay_to(site.port) as relay:
            watchdog = Watchdog(folder, relay.port)
            await asyncio.to_thread(watchdog.daemon.start)
            try:
                yield site, watchdog, relay
            finally:
                await asyncio.to_thread(watchdog.daemon.stop)


def both_words(pages: list[dict[str, Any]], words: str) -> None:
    page, end = pages
    assert words in page["text"]
    assert (page["why"], end["why"]) == ("opened", "mitigated")
    assert (page["severity"], page["incident"]["kind"]) == (1, "blind")
    assert page["incident_id"] == end["incident_id"]


async def test_every_way_to_fail_is_one_page_and_one_recovery(tmp_path: Path) -> None:
    """Three sites at once, since each way takes its time by design."""
    async with (
        watched(tmp_path / "gone") as gone,
        watched(tmp_path / "frozen") as frozen,
        watched(tmp_path / "stuck", "up") as stuck,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(cut_off_and_kill(*gone))
        group.create_task(freeze(*frozen[:2]))
        group.create_task(hold_the_journal(*stuck[:2]))


async def cut_off_and_kill(site: OneSite, watchdog: Watchdog, relay: Relay) -> None:
    """Two episodes of two messages."""
    await asyncio.sleep(2.5)
    assert watchdog.pages() == []
    await relay.cut()
    await asyncio.to_thread(watchdog.told, 1, 30)
    await relay.up()
    both_words(await asyncio.to_thread(watchdog.told, 2, 30), "cannot be reached")
    await asyncio.to_thread(site.daemon.kill9)
    await asyncio.to_thread(watchdog.told, 3, 30)
    await asyncio.to_thread(site.daemon.start)
    both_words((await asyncio.to_thread(watchdog.told, 4, 30))[2:], "cannot be reached")
    await asyncio.sleep(2.5)
    assert len(watchdog.pages()) == 4
    assert len({page["incident_id"] for page in watchdog.pages()}) == 2


async def freeze(site: OneSite, watchdog: Watchdog) -> None:
    assert site.daemon.process
    site.daemon.process.send_signal(signal.SIGSTOP)
    try:
        await asyncio.to_thread(watchdog.told, 1, 40)
    finally:
        site.daemon.process.send_signal(signal.SIGCONT)
    both_words(await asyncio.to_thread(watchdog.told, 2, 20), "does not answer (frozen)")


async def hold_the_journal(site: OneSite, watchdog: Watchdog) -> None:
    """Another process has the journal's lock: nothing can be committed, while HTTP answers as ever."""
    await asyncio.to_thread(until, site.both_seen, timeout_s=20)
    with contextlib.closing(sqlite3.connect(site.data / "journal.sqlite", isolation_level=None)) as thief:
        thief.execute("BEGIN IMMEDIATE")
        site.services["ed"].down()
        await asyncio.to_thread(until, lambda: site.health()["status"] == "failing", timeout_s=30)
        first = site.health()["engine_tick_age_s"]
        await asyncio.to_thread(watchdog.told, 1, 30)
        assert site.health()["engine_tick_age_s"] > first > 10.0
        assert site.pages() == []
        thief.execute("ROLLBACK")
    both_words(await asyncio.to_thread(watchdog.told, 2, 30), "its engine stands still")
    assert site.health()["engine_tick_age_s"] < 5.0
    await asyncio.to_thread(until, site.pages, timeout_s=20, what="the fault of that time is told after all")
    assert site.pages()[0]["incident"]["root"]["target"] == "srv-ed"
    log = site.log.read_text()
    assert log.count("journal cannot be written") == 1, "said once"
    assert log.count("journal can be written again") == 1
    assert "Traceback" not in log
