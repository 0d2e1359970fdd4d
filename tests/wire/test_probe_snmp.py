"""The SNMP probe against a real snmpd, a misbehaving agent, and recordings of real devices, by both libraries."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemons.snmpd import (
    AUTH_PASSWORD,
    COMMUNITY,
    PRIV_PASSWORD,
    Request,
    agent,
    make_snmpd,
    read_recording,
    silent_port,
    snmpd,
    walk_tool,
)
from healthmon.model.plan import Job
from healthmon.model.ports import Address
from healthmon.model.sample import Outcome, Reading, Reason
from healthmon.probes.snmp import SnmpProbe
from healthmon.runtime.clock import SystemClock

pytestmark = pytest.mark.wire

ROOT = Path(__file__).parents[2]
PACKS: dict[str, Any] = {
    path.stem: yaml.safe_load(path.read_text("utf-8")) for path in (ROOT / "probes" / "snmp").glob("*.yaml")
}
RECORDINGS = ROOT.parent / "shared" / "data" / "snmp"
CODES = {1: "up", 2: "down", 3: "testing", 4: "unknown", 5: "dormant", 6: "notPresent", 7: "lowerLayerDown"}


class Sight:
    """Looks at loopback without a guard; keeps the transcript."""

    vantage = "poller"
    waited_s = 0.0

    def __init__(self) -> None:
        self.clock = SystemClock()
        self.lines: list[str] = []

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        return [Address(socket.AF_INET, host, port)]

    def trace(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with snmpd(tmp_path_factory.mktemp("snmpd")) as port:
        yield port


@pytest.fixture(params=["gufo", "pysnmp"])
def library(request: pytest.FixtureRequest) -> str:
    pytest.importorskip("gufo.snmp" if request.param == "gufo" else "pysnmp")
    name: str = request.param
    return name


def job(port: int, library: str = "auto", *, pack: str = "if-mib", timeout_s: float = 10.0, **params: Any) -> Job:
    whole = {"pack": PACKS[pack], "client": library, "port": port, "community": COMMUNITY, **params}
    return Job("sw-ward7", "snmp", "snmp", "127.0.0.1", 30.0, timeout_s, whole)


async def look(one: Job) -> Reading:
    probe = SnmpProbe()
    try:
        return await probe.probe(one, Sight())
    finally:
        await probe.close()


def field(reading: Reading, family: str, name: str) -> dict[str, Any]:
    """Label value (or "") -> value."""
    found = [s for s in reading.samples if (s.family, s.field) == (family, name)]
    return {next(iter(s.labels.values()), ""): s.value for s in found}


SEALED = {
    "version": "3",
    "user": "seal-sha",
    "auth_protocol": "SHA",
    "auth_password": AUTH_PASSWORD,
    "priv_protocol": "AES",
    "priv_password": PRIV_PASSWORD,
}


@pytest.mark.parametrize("version", ["2c", "3"])
async def test_interfaces_are_what_net_snmp_says(library: str, port: int, version: str) -> None:
    reading = await look(job(port, library, **(SEALED if version == "3" else {})))
    assert (reading.outcome, reading.reason) == (Outcome.OK, None), reading.detail
    names = [text.split('"')[1] for _, text in walk_tool(port, "1.3.6.1.2.1.31.1.1.1.1")]
    states = [int(text.split(": ")[1]) for _, text in walk_tool(port, "1.3.6.1.2.1.2.2.1.8")]
    known = {name: float(state == 1) for name, state in zip(names, states, strict=True) if state != 4}
    assert field(reading, "snmp_if", "oper_up") == known
    assert field(reading, "snmp_system", "uptime_seconds")[""] >= 0.0


class Sight6(Sight):
    """Looks at IPv6 loopback."""

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        return [Address(socket.AF_INET6, "::1", port)]


@pytest.mark.parametrize("version", ["2c", "3"])
async def test_ipv6(library: str, port: int, version: str) -> None:
    probe, one = SnmpProbe(), job(port, library, **(SEALED if version == "3" else {}))
    try:
        by_six, by_four = await probe.probe(one, Sight6()), await probe.probe(one, Sight())
    finally:
        await probe.close()
    assert (by_six.outcome, by_six.reason) == (Outcome.OK, None), by_six.detail
    assert field(by_six, "snmp_if", "oper_up") == field(by_four, "snmp_if", "oper_up") != {}


async def test_traffic_makes_a_rate(port: int) -> None:
    probe, sight, one = SnmpProbe(), Sight(), job(port)
    await probe.probe(one, sight)
    await asyncio.sleep(0.2)
    reading = await probe.probe(one, sight)
    await probe.close()
    rates = field(reading, "snmp_if", "in_bytes_per_second")
    assert rates["lo"] >= 0.0
    assert set(rates) == set(field(reading, "snmp_if", "oper_up"))


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({**SEALED, "auth_password": "not the password"}, Reason.AUTH_FAILED),
        ({**SEALED, "user": "nobody"}, Reason.AUTH_FAILED),
        ({"community": "wrong"}, Reason.TIMEOUT),
    ],
    ids=["password", "user", "community"],
)
async def test_wrong_credentials(library: str, port: int, params: dict[str, Any], reason: Reason) -> None:
    reading = await look(job(port, library, timeout_s=1.5, **params))
    assert (reading.outcome, reading.reason) == (Outcome.FAILED, reason)
    assert "password" not in reading.detail
    assert reading.samples == ()


async def test_a_port_that_never_answers_ends_before_the_runner_would_end_it(library: str) -> None:
    """It is the probe that gave up, with words of its own and a limit below the runner's."""
    with silent_port() as port:
        reading = await look(job(port, library, timeout_s=0.8))
    assert (reading.outcome, reading.reason) == (Outcome.FAILED, Reason.TIMEOUT)
    assert re.fullmatch(r"no answer( within 0\.[1-7] s)?", reading.detail), reading.detail


async def test_a_hanging_device_does_not_delay_another(library: str, port: int) -> None:
    probe, sight = SnmpProbe(), Sight()
    with silent_port() as dead:
        hung = [asyncio.create_task(probe.probe(job(dead, library, timeout_s=600.0), sight)) for _ in range(20)]
        reading = await probe.probe(job(port, library, timeout_s=30.0), sight)
        waiting = [task for task in hung if not task.done()]
        for task in hung:
            task.cancel()
        await asyncio.gather(*hung, return_exceptions=True)
    await probe.close()
    assert (reading.outcome, len(waiting)) == (Outcome.OK, 20), reading


def recording(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    path = RECORDINGS / "snmprec" / f"{name}.snmprec"
    if not path.exists():
        pytest.skip("recordings of real devices (../shared/data) are not here")
    truth = json.loads((RECORDINGS / "truth" / f"{name}.json").read_text("utf-8"))
    return read_recording(path), truth


def recordings_with_ports() -> list[str]:
    """Names of the recordings that have interfaces; one that is missing where there are none at all."""
    truths = {path.stem: json.loads(path.read_text("utf-8")) for path in (RECORDINGS / "truth").glob("*.json")}
    return sorted(name for name, truth in truths.items() if truth.get("ports_by_oid")) or ["ios_c3560"]


def states(reading: Reading, name: str) -> Counter[float]:
    return Counter(field(reading, "snmp_if", name).values())


def expected_states(counts: dict[str, int], unknown: tuple[str, ...]) -> Counter[float]:
    found: Counter[float] = Counter()
    for word, count in counts.items():
        if word not in unknown:
            found[float(word == "up")] += count
    return found


@pytest.mark.parametrize("name", recordings_with_ports())
async def test_ports_of_real_devices(library: str, name: str) -> None:
    values, truth = recording(name)
    ports = truth["ports_by_oid"]
    async with agent(values) as (_, port):
        reading = await look(job(port, library, timeout_s=60.0))
    assert reading.outcome is Outcome.OK, (reading.reason, reading.detail)
    assert states(reading, "oper_up") == expected_states(ports["oper"], ("unknown",))
    assert states(reading, "admin_up") == expected_states(ports["admin"], ())


async def test_a_real_ups() -> None:
    values, truth = recording("eaton-mgeups_5px")
    async with agent(values) as (_, port):
        reading = await look(job(port, pack="ups-mib"))
    said = {name: float(item["value"]) for name, item in truth["from_standard_mibs"]["ups_mib"].items()}
    assert reading.outcome is Outcome.OK
    assert field(reading, "snmp_ups", "remaining_seconds")[""] == 60 * said["upsEstimatedMinutesRemaining"]
    assert field(reading, "snmp_ups", "charge_ratio")[""] == pytest.approx(said["upsEstimatedChargeRemaining"] / 100)
    assert field(reading, "snmp_ups", "battery_volts")[""] == pytest.approx(said["upsBatteryVoltage"] / 10)
    assert field(reading, "snmp_ups", "on_battery")[""] == float(said["upsOutputSource"] == 5)
    assert field(reading, "snmp_ups_output", "load_ratio")["1"] == pytest.approx(said["upsOutputPercentLoad.1"] / 100)


@pytest.mark.parametrize("name", ["brother", "jetdirect"])
async def test_a_real_printer(name: str) -> None:
    values, truth = recording(name)
    async with agent(values) as (_, port):
        reading = await look(job(port, pack="printer-mib"))
    supplies = truth["from_standard_mibs"]["prtMarkerSupplies"]
    known = sorted(item["percent"] for item in supplies if item["percent"] is not None)
    found = sorted(round(ratio * 100, 1) for ratio in field(reading, "snmp_printer_supply", "remaining_ratio").values())
    assert found == known  # "some is left" is no percentage


@pytest.mark.parametrize("name", ["windows_svr_2019_1809", "linux_opensips", "panos_440"])
async def test_a_real_server(name: str) -> None:
    values, truth = recording(name)
    async with agent(values) as (_, port):
        reading = await look(job(port, pack="host-resources"))
    said = {
        (item["size_bytes"], item["used_bytes"]): item["used_percent"]
        for item in truth["from_standard_mibs"]["hrStorage"]
        if item["size_bytes"] and item["used_percent"] is not None
    }
    found = {}
    for family, name in (
        ("snmp_storage", "used_bytes"),
        ("snmp_memory", "allocated_bytes"),
        ("snmp_swap", "used_bytes"),
        ("snmp_buffer", "used_bytes"),
    ):
        total, used = field(reading, family, "total_bytes"), field(reading, family, name)
        found |= {(total[row], used[row]): round(100 * used[row] / total[row], 2) for row in used if total[row]}
    assert found == pytest.approx(said)


async def test_a_switch_that_stalls_in_mid_walk_keeps_what_came(library: str) -> None:
    table = {f"1.3.6.1.2.1.2.2.1.8.{n}": ("int", 1) for n in range(1, 31)}
    table |= {f"1.3.6.1.2.1.31.1.1.1.1.{n}": ("octets", f"Gi0/{n}".encode()) for n in range(1, 31)}
    table |= {f"1.3.6.1.2.1.31.1.1.1.15.{n}": ("gauge32", 1000) for n in range(1, 31)}

    def stall(request: Request, answer: bytes) -> bytes | None:
        return None if request.oids[0].startswith("1.3.6.1.2.1.31.1.1.1.15") else answer

    async with agent(table, twist=stall) as (made, port):
        reading = await look(job(port, library, timeout_s=6.0, max_repetitions=10, retries=0))
    assert (reading.outcome, reading.reason) == (Outcome.FAILED, Reason.PARTIAL), reading
    assert len(field(reading, "snmp_if", "oper_up")) == 30
    asked = [request.oids[0] for request in made.requests]
    silent = [oid for oid in asked if oid.startswith("1.3.6.1.2.1.31.1.1.1.15")]
    assert len(silent) == 1  # the silent column costs one request, not one for each row
    assert asked.index(silent[0]) < len(asked) - 1  # and the columns after it are still asked for


async def test_a_replaced_device_with_another_engine_is_found_at_once(tmp_path: Path) -> None:
    daemon, port = make_snmpd(tmp_path)
    probe, sight, one = SnmpProbe(), Sight(), job(port, "gufo", timeout_s=5.0, **SEALED)
    daemon.start()
    try:
        assert (await probe.probe(one, sight)).outcome is Outcome.OK
        daemon.stop()
        config = tmp_path / "snmpd.conf"
        config.write_text(config.read_text().replace("engineID sw-ward7", "engineID another"))
        (tmp_path / "state" / "snmpd.conf").unlink(missing_ok=True)
        daemon.start()
        assert (await probe.probe(one, sight)).outcome is Outcome.OK
    finally:
        daemon.stop()
