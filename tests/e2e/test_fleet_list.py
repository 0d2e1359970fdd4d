"""The fleet list over real processes: what an agent says of itself, and why it was silent, told apart."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from daemons.healthmon import role, until
from daemons.onesite import OneSite, one_site
from daemons.process import Daemon
from daemons.relay import relay_to
from healthmon import __version__
from healthmon.app.reception import BACKLOG_S
from healthmon.config import load, plan_for, plan_to_json
from healthmon.model.plan import Broker

pytestmark = [pytest.mark.wire, pytest.mark.slow]


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneSite]:
    with one_site(tmp_path_factory.mktemp("fleet"), role_name="server") as found:
        time.sleep(BACKLOG_S)  # what comes sooner may have waited in the broker: no word on when
        yield found


def agent_process(site: OneSite, name: str, *, port: int | None = None) -> Daemon:
    """`healthmon agent` as a ward PC runs it; port: of a relay in front of the broker."""
    broker = Broker(**site.broker())
    if port is not None:
        broker = replace(broker, url=f"mqtt://127.0.0.1:{port}")
    folder = site.folder / name
    folder.mkdir(exist_ok=True)
    (folder / "agent.json").write_text(plan_to_json(plan_for(load(site.config), name, broker=broker)))
    return role("agent", "-c", str(folder / "agent.json"), log=folder / "agent.log", ready=lambda: True)


def listed(site: OneSite, name: str) -> dict[str, Any]:
    (found,) = [one for one in site.get("agents")["items"] if one["agent"] == name]
    return dict(found)


def wait(site: OneSite, name: str, what: str, true: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    return dict(until(lambda: (one := listed(site, name)) and true(one) and one, timeout_s=60, what=f"{name}: {what}"))


def ended(one: dict[str, Any]) -> str | None:
    """The cause of the last absence that is over, by the agent's own word."""
    absence = one["absence"]
    return absence["cause"] if absence and absence["until"] and absence["sure"] else None


def test_a_kill_and_a_stop_are_told_apart(site: OneSite) -> None:
    agent = agent_process(site, "pc-1")
    agent.start()
    try:
        first = wait(site, "pc-1", "speaks of itself", lambda one: one["spool"] is not None)
        assert (first["version"], first["last_stop"], first["absence"]) == (__version__, "first", None)
        assert (first["spool"]["state"], first["gaps"], first["remarks"]) == ("ok", 0, [])
        assert first["booted_at"] < first["started_at"] <= first["last_at"]
        wait(site, "pc-1", "its clock and backlog are settled", lambda one: one["seq"] >= 1)
        agent.kill9()
        agent.start()
        killed = wait(site, "pc-1", "was killed", lambda one: ended(one) == "died")
        assert killed["last_stop"] == "killed"
        agent.stop()
        stopped = wait(site, "pc-1", "is stopped", lambda one: one["state"] == "stopped")
        assert (stopped["absence"]["cause"], stopped["absence"]["until"]) == ("stopped", None)
        assert stopped["remarks"] == ["stopped: it said goodbye"]
        agent.start()
        back = wait(site, "pc-1", "was stopped", lambda one: ended(one) == "stopped")
        assert (back["last_stop"], back["state"], back["gaps"]) == ("clean", "up", 0)
    finally:
        agent.stop()


async def test_a_network_that_was_away_is_neither(site: OneSite) -> None:
    async with relay_to(int(site.broker()["url"].rpartition(":")[2])) as relay:
        agent = agent_process(site, "pc-2", port=relay.port)
        await asyncio.to_thread(agent.start)
        try:
            await asyncio.to_thread(wait, site, "pc-2", "speaks of itself", lambda one: one["spool"] is not None)
            await asyncio.to_thread(wait, site, "pc-2", "is heard", lambda one: one["seq"] >= 1)
            await relay.cut()
            await asyncio.sleep(7.0)  # longer than what counts as a mere reconnect
            await relay.up()
            back = await asyncio.to_thread(wait, site, "pc-2", "was cut off", lambda one: ended(one) == "cut")
            assert (back["last_stop"], back["state"]) == ("first", "up")
        finally:
            await asyncio.to_thread(agent.stop)


def test_the_command_and_the_page_say_the_same(site: OneSite) -> None:
    argv = [sys.executable, "-m", "healthmon", "agents", "-c", str(site.config)]
    shown = subprocess.run([*argv, "--json"], capture_output=True, text=True, timeout=60, check=True)
    assert [one["agent"] for one in json.loads(shown.stdout)] == ["pc-1", "pc-2", "pc-3", "poller"]
    table = subprocess.run([*argv, "--state", "never"], capture_output=True, text=True, timeout=60, check=True)
    heads, *rows = table.stdout.splitlines()
    assert heads.split()[:2] == ["agent", "state"]
    assert any(row.startswith("pc-3") for row in rows)
    page = site.page("/agents")
    assert all(f'<tr id="{name}">' in page for name in ("pc-1", "pc-2", "pc-3"))
