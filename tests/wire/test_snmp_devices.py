"""`pack: auto` over UDP: recordings of real devices give what is known of them, and bad agents end in time."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemons.snmpd import COMMUNITY, Request, agent, response
from daemons.snmpsight import Sight
from healthmon.model.plan import Job
from healthmon.model.sample import Outcome, Reading, Reason
from healthmon.probes.snmp import SnmpProbe
from healthmon.probes.snmp_pack import assemble_pack

pytestmark = pytest.mark.wire

ROOT = Path(__file__).parents[2]
PACKS = ROOT / "probes" / "snmp"
RECORDINGS = ROOT.parent / "shared" / "data" / "snmp"


def auto() -> dict[str, Any]:
    def load(slug: str) -> Any:
        return yaml.safe_load((PACKS / f"{slug}.yaml").read_text("utf-8"))

    return assemble_pack(load("index"), load)


async def look(port: int, *, timeout_s: float = 10.0) -> Reading:
    probe = SnmpProbe()
    params = {"pack": auto(), "community": COMMUNITY, "port": port}
    try:
        return await probe.probe(Job("t", "snmp", "snmp", "127.0.0.1", 60.0, timeout_s, params), Sight())
    finally:
        await probe.close()


def test_recordings_of_real_devices_give_what_their_truth_files_say() -> None:
    if not (RECORDINGS / "truth").is_dir():
        pytest.skip("recordings of real devices (../shared/data) are not here")
    run = [sys.executable, "-m", "benchmarks.devices", "-v"]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    said = re.search(r"^all +(\d+) +(\d+) +(\d+) ", done.stdout, flags=re.M)
    assert said, done.stdout + done.stderr
    right, wrong, missing = map(int, said.groups())
    assert wrong == 0, done.stdout
    assert right >= 0.99 * (right + missing), done.stdout


UPS = "1.3.6.1.2.1.33.1"


async def test_a_device_of_an_unknown_family_is_read_by_the_standard_mibs() -> None:
    values: dict[str, Any] = {
        "1.3.6.1.2.1.1.2.0": ("oid", "1.3.6.1.4.1.99999.7"),
        "1.3.6.1.2.1.1.3.0": ("timeticks", 100),
        f"{UPS}.2.3.0": ("int", 43),
        f"{UPS}.2.4.0": ("int", 97),
        f"{UPS}.4.1.0": ("int", 5),
        f"{UPS}.4.4.1.5.1": ("int", 61),
        f"{UPS}.4.4.1.2.1": ("int", 2300),  # tenths, where the MIB says volts: not 2,300 volts
        f"{UPS}.4.4.1.4.1": ("int", 14),
        "1.3.6.1.2.1.99.1.1.1.1.10": ("int", 8),
        "1.3.6.1.2.1.99.1.1.1.2.10": ("int", 8),
        "1.3.6.1.2.1.99.1.1.1.3.10": ("int", 0),
        "1.3.6.1.2.1.99.1.1.1.4.10": ("int", 24500),
        "1.3.6.1.2.1.99.1.1.1.5.10": ("int", 1),
        "1.3.6.1.2.1.47.1.1.1.1.7.10": ("octets", "Inlet"),
    }
    async with agent(values) as (_, port):
        reading = await look(port)
    found = {(s.family, s.field, *s.labels.values()): s.value for s in reading.samples}
    assert reading.outcome is Outcome.OK
    assert found["snmp_ups", "on_battery"] == 1.0
    assert found["snmp_ups", "remaining_seconds"] == 43 * 60
    assert found["snmp_ups", "charge_ratio"] == pytest.approx(0.97)
    assert found["snmp_ups_output", "load_ratio", "1"] == pytest.approx(0.61)
    assert ("snmp_ups_output", "volts", "1") not in found
    assert ("snmp_ups_output", "watts", "1") not in found
    assert found["snmp_sensor", "celsius", "Inlet"] == pytest.approx(24.5)
    assert found["snmp_sensor", "inlet_celsius", "Inlet"] == pytest.approx(24.5)


async def test_an_agent_whose_tables_never_end_is_left_in_time() -> None:
    def endless(request: Request, answer: bytes) -> bytes:
        if request.repetitions == 0:
            return answer
        head, _, last = request.oids[0].rpartition(".")
        column, at = (head, int(last)) if int(last) >= 10**6 else (request.oids[0], 10**6)
        ahead = range(at + 1, at + 1 + request.repetitions)
        return response(request, [(f"{column}.{n}", ("int", n)) for n in ahead])

    async with agent({"1.3.6.1.2.1.1.3.0": ("timeticks", 100)}, twist=endless) as (server, port):
        reading = await look(port, timeout_s=1.5)
    assert reading.took < 20.0  # a guard against hanging: asking ends within 1.5 s, then 2,000 rows a table
    assert reading.outcome is Outcome.FAILED or "more than" in reading.detail
    assert len(server.requests) < 10_000


async def test_an_agent_that_repeats_itself_is_left_in_time() -> None:
    def stuck(request: Request, answer: bytes) -> bytes:
        if request.repetitions == 0:
            return answer
        return response(request, [(f"{request.oids[0]}.1", ("int", 1)), (f"{request.oids[0]}.1", ("int", 1))])

    async with agent({"1.3.6.1.2.1.1.3.0": ("timeticks", 100)}, twist=stuck) as (_, port):
        reading = await look(port, timeout_s=5.0)
    assert reading.took < 5.0
    assert reading.reason in (None, Reason.PARTIAL, Reason.BAD_RESPONSE)


async def test_a_slow_agent_that_stalls_keeps_what_it_gave_and_is_asked_for_that_last() -> None:
    names = {f"1.3.6.1.2.1.31.1.1.1.1.{n}": ("octets", f"Gi0/{n}") for n in range(1, 5)}
    states = {f"1.3.6.1.2.1.2.2.1.8.{n}": ("int", 1) for n in range(1, 5)}
    values: dict[str, Any] = {"1.3.6.1.2.1.1.3.0": ("timeticks", 100), **names, **states}

    def stall(request: Request, answer: bytes) -> bytes | None:
        return None if request.oids[0].startswith("1.3.6.1.2.1.25") else answer

    probe = SnmpProbe()
    async with agent(values, twist=stall) as (server, port):
        one = Job("t", "snmp", "snmp", "127.0.0.1", 60.0, 2.0, {"pack": auto(), "community": COMMUNITY, "port": port})
        readings = []
        for _ in range(3):  # the agent is silent in two places, and each is met once
            server.requests.clear()
            readings.append(await probe.probe(one, Sight()))
    await probe.close()
    for reading in readings:
        assert (reading.outcome, reading.reason) == (Outcome.FAILED, Reason.PARTIAL)
        assert sum(s.field == "oper_up" for s in reading.samples) == 4
        assert reading.took < 2.0
    asked = [request.oids[0] for request in server.requests if request.repetitions]
    assert min(at for at, oid in enumerate(asked) if oid.startswith("1.3.6.1.2.1.25")) > asked.index(
        "1.3.6.1.2.1.33.1.4.4.1.5"
    )
