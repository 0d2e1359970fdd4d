"""The probe over an agent in memory: what is read, what a stall leaves, what counts as whose fault."""

from __future__ import annotations

import copy
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemons.snmpmemory import Memory
from healthmon.model.plan import Job
from healthmon.model.ports import Address
from healthmon.model.sample import Outcome, Reading, Reason
from healthmon.probes.snmp import FAMILIES, Params, SnmpProbe, pack_families, split_address
from healthmon.probes.snmp_client import SnmpTrouble
from healthmon.runtime.clock import ManualClock

IF_MIB: dict[str, Any] = yaml.safe_load(
    (Path(__file__).parents[3] / "probes" / "snmp" / "if-mib.yaml").read_text("utf-8")
)
UPTIME = "1.3.6.1.2.1.1.3.0"
OPER = "1.3.6.1.2.1.2.2.1.8"
NAME = "1.3.6.1.2.1.31.1.1.1.1"
DESCR = "1.3.6.1.2.1.2.2.1.2"
HIGH_SPEED = "1.3.6.1.2.1.31.1.1.1.15"
HC_IN = "1.3.6.1.2.1.31.1.1.1.6"
HC_OUT = "1.3.6.1.2.1.31.1.1.1.10"
IN = "1.3.6.1.2.1.2.2.1.10"


class Sight:
    """Looks from `poller` by a clock that the test moves; every name is one address."""

    vantage = "poller"
    waited_s = 0.0

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.asked: list[tuple[str, int]] = []

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        self.asked.append((host, port))
        return [Address(socket.AF_INET, "192.0.2.7", port)]

    def trace(self, line: str) -> None:
        assert line


def switch(*, uptime: int = 1000, traffic: int = 0) -> dict[str, Any]:
    """Two ports: Gi0/1 up with 64-bit counters, Gi0/2 down with 32-bit ones."""
    return {
        UPTIME: uptime,
        f"{OPER}.1": 1,
        f"{OPER}.2": 2,
        f"{NAME}.1": b"Gi0/1",
        f"{NAME}.2": b"Gi0/2",
        f"{HIGH_SPEED}.1": 1000,
        f"{HC_IN}.1": 2**40 + traffic,
        f"{HC_OUT}.1": 5,
        f"{IN}.1": 77,
        f"{IN}.2": 2**32 - 1000 + traffic if traffic < 1000 else traffic - 1000,
    }


def job(pack: dict[str, Any] | None = None, **params: Any) -> Job:
    whole = {"pack": IF_MIB if pack is None else pack, "client": "gufo", **params}
    return Job("sw-ward7", "snmp", "snmp", "sw-ward7.example", 30.0, 5.0, whole)


def value(reading: Reading, name: str, interface: str = "") -> Any:
    labels = {"interface": interface} if interface else {}
    found = [s.value for s in reading.samples if f"{s.family}.{s.field}" == name and s.labels == labels]
    return found[0] if found else None


async def test_the_first_poll_has_states_and_no_rates() -> None:
    memory = Memory(switch())
    reading = await SnmpProbe({"gufo": memory}).probe(job(), Sight())
    assert (reading.outcome, reading.reason, reading.vantage) == (Outcome.OK, None, "poller")
    assert value(reading, "snmp_if.oper_up", "Gi0/1") == 1.0
    assert value(reading, "snmp_if.oper_up", "Gi0/2") == 0.0
    assert value(reading, "snmp_if.speed_bits_per_second", "Gi0/1") == 1e9
    assert value(reading, "snmp_system.uptime_seconds") == 10.0
    assert not [s for s in reading.samples if s.field.endswith(("bytes_per_second", "utilisation_ratio"))]


async def test_the_second_poll_has_rates_and_what_is_derived_from_them() -> None:
    memory, sight = Memory(switch()), Sight()
    probe, one = SnmpProbe({"gufo": memory}), job()
    await probe.probe(one, sight)
    await sight.clock.advance(30.0)
    memory.values = switch(uptime=4000, traffic=3000)
    reading = await probe.probe(one, sight)
    assert value(reading, "snmp_if.in_bytes_per_second", "Gi0/1") == 100.0
    assert value(reading, "snmp_if.in_utilisation_ratio", "Gi0/1") == pytest.approx(100 * 8 / 1e9)
    assert value(reading, "snmp_if.in_bytes_per_second", "Gi0/2") == 100.0  # across its 32-bit wrap
    assert value(reading, "snmp_if.in_utilisation_ratio", "Gi0/2") is None  # its speed is not known


async def test_a_reboot_gives_no_rate_and_the_poll_after_it_does() -> None:
    memory, sight = Memory(switch(uptime=900_000, traffic=9000)), Sight()
    probe, one = SnmpProbe({"gufo": memory}), job()
    await probe.probe(one, sight)
    await sight.clock.advance(30.0)
    memory.values = switch(uptime=500, traffic=12000)
    reading = await probe.probe(one, sight)
    assert reading.outcome is Outcome.OK
    assert value(reading, "snmp_if.in_bytes_per_second", "Gi0/1") is None
    await sight.clock.advance(30.0)
    memory.values = switch(uptime=3500, traffic=15000)
    reading = await probe.probe(one, sight)
    assert value(reading, "snmp_if.in_bytes_per_second", "Gi0/1") == 100.0


async def test_a_new_plan_keeps_the_counters() -> None:
    memory, sight = Memory(switch()), Sight()
    probe = SnmpProbe({"gufo": memory})
    await probe.probe(job(), sight)
    await sight.clock.advance(30.0)
    memory.values = switch(uptime=4000, traffic=3000)
    reading = await probe.probe(job(), sight)
    assert value(reading, "snmp_if.in_bytes_per_second", "Gi0/1") == 100.0


async def test_two_targets_do_not_share_counters() -> None:
    memory, sight = Memory(switch()), Sight()
    probe, one = SnmpProbe({"gufo": memory}), job()
    other = Job("sw-ward8", "snmp", "snmp", "sw-ward8.example", 30.0, 5.0, one.params)
    await probe.probe(one, sight)
    await sight.clock.advance(30.0)
    memory.values = switch(uptime=4000, traffic=3000)
    assert value(await probe.probe(other, sight), "snmp_if.in_bytes_per_second", "Gi0/1") is None
    assert value(await probe.probe(one, sight), "snmp_if.in_bytes_per_second", "Gi0/1") == 100.0


async def test_alternatives_are_walked_only_where_they_are_needed() -> None:
    values = switch()
    del values[f"{IN}.2"]
    del values[f"{OPER}.2"], values[f"{NAME}.2"]
    memory = Memory(values)
    await SnmpProbe({"gufo": memory}).probe(job(), Sight())
    assert DESCR not in memory.asked  # ifName named every row
    assert IN not in memory.asked  # ifHCInOctets counted every row


async def test_rows_come_from_the_names_where_there_is_no_table_of_states() -> None:
    values = {oid: raw for oid, raw in switch().items() if not oid.startswith(OPER)}
    reading = await SnmpProbe({"gufo": Memory(values)}).probe(job(), Sight())
    assert value(reading, "snmp_if.speed_bits_per_second", "Gi0/1") == 1e9


async def test_interfaces_can_be_chosen() -> None:
    reading = await SnmpProbe({"gufo": Memory(switch())}).probe(job(interfaces=["!Gi0/2"]), Sight())
    assert {s.labels["interface"] for s in reading.samples if s.labels} == {"Gi0/1"}


async def test_a_stalled_column_leaves_the_others() -> None:
    memory = Memory(switch(), silent={HC_IN})
    reading = await SnmpProbe({"gufo": memory}).probe(job(), Sight())
    assert (reading.outcome, reading.reason) == (Outcome.FAILED, Reason.PARTIAL)
    assert reading.detail
    assert value(reading, "snmp_if.oper_up", "Gi0/1") == 1.0
    assert HC_OUT in memory.asked


async def test_a_device_that_has_fallen_silent_is_not_asked_for_every_column() -> None:
    everything = {HC_IN, HC_OUT, IN, NAME, DESCR, HIGH_SPEED}
    memory = Memory({UPTIME: 5, f"{OPER}.1": 1}, silent=everything)
    reading = await SnmpProbe({"gufo": memory}).probe(job(), Sight())
    assert reading.reason is Reason.PARTIAL
    assert value(reading, "snmp_if.oper_up", "1") == 1.0
    assert len(memory.asked) == 4  # uptime, ifOperStatus, ifName, ifDescr


@pytest.mark.parametrize(
    ("trouble", "outcome"),
    [
        (SnmpTrouble(Reason.AUTH_FAILED, "wrong key"), Outcome.FAILED),
        (SnmpTrouble(Reason.REFUSED, "port unreachable"), Outcome.FAILED),
        (SnmpTrouble(Reason.NO_ROUTE, "no route"), Outcome.UNKNOWN),
        (SnmpTrouble(Reason.NO_LIBRARY, "no 3DES"), Outcome.UNKNOWN),
    ],
)
async def test_whose_fault_it_is(trouble: SnmpTrouble, outcome: Outcome) -> None:
    reading = await SnmpProbe({"gufo": Memory({}, refuses=trouble)}).probe(job(), Sight())
    assert (reading.outcome, reading.reason, reading.detail) == (outcome, trouble.reason, trouble.detail)
    assert reading.samples == ()


async def test_silence_from_the_start_is_a_timeout() -> None:
    reading = await SnmpProbe({"gufo": Memory({}, silent={UPTIME})}).probe(job(), Sight())
    assert (reading.outcome, reading.reason) == (Outcome.FAILED, Reason.TIMEOUT)


async def test_the_wrong_pack_is_our_mistake() -> None:
    reading = await SnmpProbe({"gufo": Memory({UPTIME: 5})}).probe(job(), Sight())
    assert (reading.outcome, reading.reason) == (Outcome.UNKNOWN, Reason.BAD_PARAMS)
    assert "if-mib" in reading.detail
    assert value(reading, "snmp_system.uptime_seconds") == 0.05


async def test_without_a_pack_only_the_agent_is_asked() -> None:
    memory = Memory({UPTIME: 4200})
    reading = await SnmpProbe({"gufo": memory}).probe(job({}), Sight())
    assert reading.outcome is Outcome.OK
    assert memory.asked == [UPTIME]
    silent_about_time = await SnmpProbe({"gufo": Memory({})}).probe(job({}), Sight())
    assert silent_about_time.outcome is Outcome.OK


async def test_bad_params_are_unknown() -> None:
    broken = copy.deepcopy(IF_MIB)
    broken["tables"][0]["rows"] = "ifTable"
    for one in (job(broken), job(version="4"), job(max_repetitions=0)):
        reading = await SnmpProbe({"gufo": Memory({})}).probe(one, Sight())
        assert (reading.outcome, reading.reason) == (Outcome.UNKNOWN, Reason.BAD_PARAMS)


async def test_everything_emitted_is_declared() -> None:
    memory, sight = Memory(switch()), Sight()
    probe, one = SnmpProbe({"gufo": memory}), job()
    await probe.probe(one, sight)
    await sight.clock.advance(30.0)
    memory.values = switch(uptime=4000, traffic=3000)
    declared = {family.name: family for family in (*FAMILIES, *pack_families(IF_MIB))}
    for sample in (await probe.probe(one, sight)).samples:
        assert sample.field in declared[sample.family].fields
        assert set(sample.labels) == set(declared[sample.family].labels)
        assert isinstance(sample.value, float)


async def test_one_request_leaves_room_for_the_retries() -> None:
    memory, sight = Memory(switch()), Sight()
    await SnmpProbe({"gufo": memory}).probe(job(retries=2), sight)
    (device,) = memory.devices
    assert device.timeout_s * 4 <= 5.0
    assert sight.asked == [("sw-ward7.example", 161)]


async def test_every_run_of_a_job_is_the_same_device_so_that_its_session_is_found_again() -> None:
    memory = Memory(switch())

    class Slow(Sight):
        async def resolve(self, host: str, port: int) -> Sequence[Address]:
            await self.clock.advance(len(memory.devices) / 7)
            return await super().resolve(host, port)

    probe, sight, one = SnmpProbe({"gufo": memory}), Slow(), job()
    for _ in range(3):
        await probe.probe(one, sight)
    assert len(set(memory.devices)) == 1


@pytest.mark.parametrize(
    ("address", "split"),
    [
        ("192.0.2.7", ("192.0.2.7", 161)),
        ("sw.example:1161", ("sw.example", 1161)),
        ("2001:db8::7", ("2001:db8::7", 161)),
        ("[2001:db8::7]:1161", ("2001:db8::7", 1161)),
        ("[2001:db8::7]", ("2001:db8::7", 161)),
    ],
)
def test_addresses(address: str, split: tuple[str, int]) -> None:
    assert split_address(address, 161) == split


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"version": "4"}, "version must be one of"),
        ({"version": "3"}, "needs user"),
        ({"version": "3", "user": "u", "auth_protocol": "SHA", "auth_password": "short"}, "8 characters"),
        ({"version": "3", "user": "u", "auth_protocol": "ROT13", "auth_password": "long enough"}, "auth_protocol"),
        ({"version": "3", "user": "u", "priv_protocol": "AES", "priv_password": "long enough"}, "needs auth_protocol"),
        ({"port": 0}, "port must be"),
        ({"pack": {"slug": "x"}}, "needs 'title'"),
    ],
)
def test_params_say_what_is_wrong(params: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Params(**params)


def test_secrets_do_not_show() -> None:
    params = Params(version="3", user="u", community="c0mmunity", auth_protocol="SHA", auth_password="passw0rd")
    for shown in (repr(params), repr(params.credentials())):
        assert "passw0rd" not in shown
        assert "c0mmunity" not in shown
