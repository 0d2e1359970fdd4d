"""The spool on real disks that fill up or become read-only: a state and a count, never a crash, and back by itself."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from daemons import fleet
from daemons.healthmon import role, until
from daemons.onesite import OneSite, one_site
from daemons.process import need
from healthmon.config import load, plan_for, plan_to_json
from healthmon.model.errors import TransportDown
from healthmon.model.plan import Broker
from healthmon.runtime.clock import SystemClock
from healthmon.transport import embedded, mqtt

pytestmark = [pytest.mark.lab]

SCRIPT = Path(__file__).parents[1] / "faults" / "small_disk.py"


def need_mounts(*programs: str) -> None:
    """Skip, with the reason, where nothing can be mounted."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    for program in ("unshare", "mount", *programs):
        need(program)
    tried = subprocess.run(["unshare", "-m", "true"], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"mount namespaces cannot be made: {tried.stderr.strip()}")


def outcome(scenario: str, folder: Path) -> dict[str, Any]:
    argv = ["unshare", "-m", sys.executable, str(SCRIPT), scenario, str(folder)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(json.loads(done.stdout))


def test_a_disk_that_others_fill_costs_nothing(tmp_path: Path) -> None:
    need_mounts()
    assert outcome("full_by_others", tmp_path) == {"meanwhile": ["memory", "disk_full"], "after": ["ok", "", 0]}


def test_a_disk_smaller_than_the_cap_drops_declares_and_is_used_again(tmp_path: Path) -> None:
    need_mounts()
    found = outcome("full_of_itself", tmp_path)
    assert (found["meanwhile"], found["after"]) == (["memory", "disk_full"], ["ok", ""])
    assert found["dropped"] > 200


def test_a_disk_that_the_kernel_makes_read_only_costs_nothing(tmp_path: Path) -> None:
    need_mounts("mkfs.ext4", "losetup", "e2fsck")
    if not Path("/dev/loop-control").exists():
        pytest.skip("no loop devices")
    assert outcome("read_only", tmp_path) == {"meanwhile": ["memory", "read_only"], "after": ["ok", "", 0]}


def test_a_disk_that_is_read_only_at_the_start_costs_nothing(tmp_path: Path) -> None:
    need_mounts()
    assert outcome("read_only_at_start", tmp_path) == {"meanwhile": ["memory", "read_only"], "after": ["ok", "", 0]}


@pytest.mark.slow
def test_an_agent_on_a_full_disk_keeps_sending_and_says_so(tmp_path: Path) -> None:
    """A real agent, server and broker; the agent's disk is full before it starts, then there is room."""
    need_mounts("nsenter")
    with one_site(tmp_path / "site", role_name="server") as site:
        disk = tmp_path / "pc"
        disk.mkdir()
        plan = tmp_path / "agent.json"
        made = plan_for(load(site.config), "pc-1", broker=Broker(**site.broker()))
        plan.write_text(plan_to_json(made).replace(made.spool_path, str(disk / "spool.sqlite")))
        fill = f'mount -t tmpfs -o size=1m none {disk}; cat /dev/zero > {disk}/ballast 2>/dev/null; exec "$@"'
        agent = role("agent", "-c", str(plan), log=tmp_path / "agent.log", ready=lambda: True,
                     inside=["unshare", "-m", "sh", "-c", fill, "sh"])  # fmt: skip
        agent.start()
        try:
            one = until(lambda: spool_of(site, "memory"), timeout_s=60, what="the list says that its disk is full")
            assert (one["spool"]["why"], one["state"], one["gaps"]) == ("disk_full", "up", 0)
            assert one["remarks"] == ["keeps readings in memory only: disk full"]
            assert agent.process is not None
            subprocess.run(["nsenter", "-t", str(agent.process.pid), "-m", "rm", str(disk / "ballast")], check=True)
            one = until(lambda: spool_of(site, "ok"), timeout_s=90, what="it is on disk again")
            assert (one["gaps"], one["dropped"], one["remarks"]) == (0, 0, [])
        finally:
            agent.stop()
    said = (tmp_path / "agent.log").read_text()
    assert said.count("spool cannot use its disk") == 1
    assert said.count("spool is on disk again") == 1
    assert "Traceback" not in said


@pytest.mark.slow
async def test_an_embedded_broker_whose_disk_was_full_takes_messages_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """nats-server stops keeping messages for good once its disk was full, and lives on."""
    need_mounts()
    monkeypatch.setattr(embedded, "TAKES_EVERY_S", 0.5)
    monkeypatch.setattr(embedded, "TAKES_S", 2.0)
    disk = tmp_path / "disk"
    disk.mkdir()
    await asyncio.to_thread(subprocess.run, ["mount", "-t", "tmpfs", "-o", "size=24m", "none", str(disk)], check=True)
    try:
        async with embedded.EmbeddedBroker(disk / "broker", clock=SystemClock()) as broker:
            await keeps(broker.broker, b"x" * 1000)
            with (disk / "ballast").open("wb", buffering=0) as file, contextlib.suppress(OSError):
                while file.write(b"\0" * 4096):
                    pass
            with pytest.raises((TransportDown, TimeoutError)):
                await keep_until_refused(broker.broker)
            (disk / "ballast").unlink()
            await fleet.until(lambda: broker.restarts > 0, within_s=90.0)
            async with asyncio.timeout(60):
                while not await embedded._takes(broker.broker):
                    pass
            await keeps(broker.broker, b"again")
    finally:
        await asyncio.to_thread(subprocess.run, ["umount", "-l", str(disk)], check=False)


async def keep_until_refused(broker: Broker) -> None:
    for _ in range(200):
        await keeps(broker, b"x" * 100_000)


async def keeps(broker: Broker, payload: bytes) -> None:
    """A subscriber that is away has a message kept for it."""
    async with asyncio.timeout(5), mqtt.connector(broker, client_id="away", clean=False)() as bus:
        await bus.subscribe("kept/one", qos=1)
    async with asyncio.timeout(5), mqtt.connector(broker, client_id="sender")() as bus:
        await bus.publish("kept/one", payload, qos=1)


def spool_of(site: OneSite, state: str) -> dict[str, Any] | None:
    (one,) = [one for one in site.get("agents")["items"] if one["agent"] == "pc-1"]
    return dict(one) if one["spool"] and one["spool"]["state"] == state else None
