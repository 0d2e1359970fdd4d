"""A port goes down: the trap brings the poll that proves it, though the next would be minutes away."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemons.healthmon import answers, api, role, until
from daemons.process import free_port, need
from daemons.snmpd import COMMUNITY, Typed, agent
from daemons.traps import LINK_DOWN, about_port, send

pytestmark = [pytest.mark.wire, pytest.mark.slow]

#: The aim of M11 is 2 s; this only guards against the five minutes that the schedule would take.
WITHIN_S = 10.0
IF_ENTRY, IF_X_ENTRY = "1.3.6.1.2.1.2.2.1", "1.3.6.1.2.1.31.1.1.1"
OPER_STATUS = f"{IF_ENTRY}.8.7"


def port_table(*, up: bool) -> dict[str, Typed]:
    return {
        "1.3.6.1.2.1.1.3.0": ("timeticks", 100_000),
        f"{IF_ENTRY}.1.7": ("int", 7),
        f"{IF_ENTRY}.2.7": ("octets", "GigabitEthernet1/0/7"),
        f"{IF_ENTRY}.7.7": ("int", 1),
        OPER_STATUS: ("int", 1 if up else 2),
        f"{IF_X_ENTRY}.1.7": ("octets", "Gi1/0/7"),
    }


def site(folder: Path, *, snmp_port: int, trap_port: int, web: str) -> Path:
    path = folder / "healthmon.yaml"
    snmp = {"kind": "snmp", "pack": "if-mib", "community": COMMUNITY, "port": snmp_port, "every": "300s"}
    closed = {"kind": "tcp", "port": 9, "every": "300s"}
    path.write_text(
        yaml.safe_dump(
            {
                "organisation": {"id": "small", "name": "Small Hospital", "timezone": "UTC"},
                "targets": [
                    {"id": "sw-ward7", "kind": "switch", "address": "127.0.0.1", "checks": [snmp, closed]},
                ],
                "traps": {"listen": f"127.0.0.1:{trap_port}", "community": COMMUNITY},
                "data_dir": str(folder / "data"),
                "web": {"listen": web},
            }
        )
    )
    return path


def latest(base: str, metric: str) -> dict[str, Any]:
    """The newest value by interface and event."""
    items = api(base, f"query?metric={metric}&target=sw-ward7")["items"]
    return {
        (one["tags"].get("event", ""), one["tags"].get("interface", "")): one["points"][-1][1]
        for one in items
        if one["points"]
    }


async def test_a_link_down_trap_is_an_event_and_brings_the_poll(tmp_path: Path) -> None:
    need("snmptrap")
    web, trap_port = f"127.0.0.1:{free_port()}", free_port()
    base = f"http://{web}"
    async with agent(port_table(up=True)) as (switch, snmp_port):
        path = site(tmp_path, snmp_port=snmp_port, trap_port=trap_port, web=web)
        log = tmp_path / "up.log"
        daemon = role("up", "-c", str(path), log=log, ready=answers(base))
        await asyncio.to_thread(daemon.start)
        try:
            switch.replace(port_table(up=False))
            v2 = ("-v2c", "-c", COMMUNITY, f"127.0.0.1:{trap_port}", "", LINK_DOWN, *about_port(7))
            began = time.monotonic()
            code, out = await send(tmp_path / "net-snmp", "snmpinform", "-t1", "-r5", *v2)
            assert code == 0, out
            raised = await asyncio.to_thread(
                until, lambda: latest(base, "snmp_trap.raised"), timeout_s=WITHIN_S, every_s=0.05, what="the trap"
            )
            told_s = time.monotonic() - began
            polled = await asyncio.to_thread(
                until, lambda: latest(base, "snmp_if.oper_up"), timeout_s=WITHIN_S, every_s=0.05, what="the poll"
            )
            proven_s = time.monotonic() - began
        finally:
            await asyncio.to_thread(daemon.stop)

    print(f"\ntrap told after {told_s:.2f} s, port proven down after {proven_s:.2f} s")
    assert raised == {("link_down", "Gi1/0/7"): 1.0}
    assert polled == {("", "Gi1/0/7"): 0.0}
    assert "Traceback" not in log.read_text()
