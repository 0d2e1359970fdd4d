"""docs/probing.md is what code and packs say, and what it says of SNMP is what a device is asked."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemons.snmpmemory import Memory
from healthmon.config.askings import ASKINGS
from healthmon.config.kinds import probe_names
from healthmon.config.probing import page, snmp_requests
from healthmon.model.plan import Job
from healthmon.model.ports import Address
from healthmon.probes.snmp import SnmpProbe
from healthmon.probes.snmp_needs import scalar_oids, table_needs
from healthmon.probes.snmp_pack import parse_pack
from healthmon.runtime.clock import ManualClock

ROOT = Path(__file__).parents[3]
PACKS = sorted(file.stem for file in (ROOT / "probes" / "snmp").glob("*.yaml") if file.stem != "index")


class Sight:
    vantage = "poller"
    waited_s = 0.0

    def __init__(self) -> None:
        self.clock = ManualClock()

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        return [Address(socket.AF_INET, "192.0.2.7", port)]

    def trace(self, line: str) -> None:
        assert line


def test_the_page_is_fresh() -> None:
    fresh = (ROOT / "docs" / "probing.md").read_text(encoding="utf-8") == page()
    assert fresh, "docs/probing.md is stale: python tools/generate.py"


def test_every_kind_says_what_it_asks() -> None:
    assert set(ASKINGS) == probe_names()


@pytest.mark.parametrize("name", PACKS)
async def test_a_device_that_has_everything_is_asked_no_more_than_the_page_says(name: str) -> None:
    data: dict[str, Any] = yaml.safe_load((ROOT / "probes" / "snmp" / f"{name}.yaml").read_text("utf-8"))
    pack = parse_pack(data)
    columns = set[str]()
    for table in pack.tables:
        needs = table_needs(table)
        columns |= {table.rows, *needs.conditions, *needs.labels, *(oid for group in needs.groups for oid in group)}
    values: dict[str, Any] = dict.fromkeys(scalar_oids(pack.scalars, pack.tables), 1)
    values |= {"1.3.6.1.2.1.1.3.0": 1000, **{f"{oid}.1": 1 for oid in columns}}
    device, sight = Memory(values), Sight()
    probe = SnmpProbe({"gufo": device})
    job = Job("sw", "snmp", "snmp", "sw.example", 30.0, 5.0, {"pack": data, "client": "gufo"})
    walked = []
    for _ in range(2):
        device.asked.clear()
        await probe.probe(job, sight)
        walked.append(sum(1 for oid in device.asked if oid in columns))
        await sight.clock.advance(30.0)
        device.values["1.3.6.1.2.1.1.3.0"] += 3000
    _, often, seldom = snmp_requests(pack)
    assert walked[0] <= often + seldom
    assert walked[1] <= often
