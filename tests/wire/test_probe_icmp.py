"""The ICMP probe on loopback: one socket for all, no reply lost, permission explained."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from typing import Any

import pytest

from healthmon.model.plan import Job, MedicalAllow, MedicalNetwork, Rates, Safety
from healthmon.model.sample import Outcome, Reading, Reason
from healthmon.probes import families, load_probe
from healthmon.probes.echo import EchoSocket
from healthmon.probes.guard import Guard
from healthmon.probes.reasons import Finding
from healthmon.probes.runner import Runner
from healthmon.runtime.clock import SystemClock

pytestmark = pytest.mark.wire


@pytest.fixture
async def allowed() -> None:
    try:
        EchoSocket(2, SystemClock()).close()
    except Finding as finding:
        pytest.skip(str(finding))


def runner(safety: Safety | None = None, *, concurrency: int = 1000) -> Runner:
    clock = SystemClock()
    guard = Guard(safety or Safety(rates=Rates(1000.0, 10_000.0, 100_000.0)), clock)
    return Runner(
        vantage="v",
        guard=guard,
        clock=clock,
        probes=load_probe,
        on_reading=lambda reading: None,
        concurrency=concurrency,
    )


def job(address: str, *, timeout_s: float = 10.0, **params: Any) -> Job:
    return Job(f"t-{address}", "c", "icmp", address, 30.0, timeout_s, params)


def fields(reading: Reading) -> dict[str, Any]:
    return {sample.field: sample.value for sample in reading.samples}


@pytest.mark.usefixtures("allowed")
@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "localhost", "127.9.8.7"])
async def test_several_packets_with_their_spread(address: str) -> None:
    reading = await runner().run_once(job(address, count=5, spacing_s=0.05))
    assert reading.outcome is Outcome.OK
    found = fields(reading)
    assert set(found) == families()["icmp"].fields
    assert (found["sent"], found["received"], found["loss_ratio"]) == (5.0, 5.0, 0.0)
    order = [found[f"rtt_{name}_seconds"] for name in ("min", "median", "p95", "max")]
    assert order == sorted(order)
    assert 0.0 < order[0] <= found["rtt_avg_seconds"] <= order[-1] < 1.0
    assert 0.0 <= found["rtt_jitter_seconds"] <= order[-1] - order[0] + 1e-9
    assert reading.took == pytest.approx(0.2, abs=0.3)


@pytest.mark.usefixtures("allowed")
@pytest.mark.parametrize("targets", [500, 4000])
async def test_many_targets_at_once_lose_no_reply(targets: int) -> None:
    subject = runner(concurrency=targets)
    jobs = [job(f"127.1.{n // 250}.{n % 250 + 1}", count=2, spacing_s=0.05, wait_s=20.0) for n in range(targets)]
    readings = await asyncio.gather(*(subject.run_once(one) for one in jobs))
    assert [reading.target for reading in readings if reading.outcome is not Outcome.OK] == []
    assert sum(fields(reading)["received"] for reading in readings) == 2.0 * targets


@pytest.mark.usefixtures("allowed")
async def test_a_busy_loop_does_not_read_as_a_slow_network() -> None:
    async def stall() -> None:
        await asyncio.sleep(0.07)
        time.sleep(0.3)  # noqa: ASYNC251 - blocking the loop is the point

    async with asyncio.TaskGroup() as group:
        task = group.create_task(runner().run_once(job("127.0.0.1", count=3, spacing_s=0.05)))
        group.create_task(stall())
    found = fields(task.result())
    assert found["received"] == 3.0
    assert found["rtt_max_seconds"] < 0.2


@pytest.mark.usefixtures("allowed")
async def test_in_a_medical_network_one_packet_goes_out() -> None:
    approved = MedicalNetwork("127.7.0.0/16", (MedicalAllow("icmp", "clinical engineering", "2026-11-01"),), 60.0)
    subject = runner(Safety(medical=(approved,)))
    first = await subject.run_once(job("127.7.0.1", count=5))
    assert first.outcome is Outcome.OK
    assert fields(first)["sent"] == 1.0
    assert (await subject.run_once(job("127.7.0.1", count=5))).reason is Reason.RATE_LIMITED
    assert (await subject.run_once(job("127.7.0.2", count=5))).outcome is Outcome.OK


@pytest.mark.usefixtures("allowed")
async def test_the_socket_is_open_only_while_it_is_used() -> None:
    subject = runner()
    before = len(os.listdir("/proc/self/fd"))
    await subject.run_once(job("127.0.0.1", count=1))
    assert len(os.listdir("/proc/self/fd")) <= before


_ASK = """
import asyncio, json
from healthmon.model.plan import Job, Safety
from healthmon.probes import load_probe
from healthmon.probes.guard import Guard
from healthmon.probes.runner import Runner
from healthmon.runtime.clock import SystemClock
async def main():
    clock = SystemClock()
    r = Runner(vantage="v", guard=Guard(Safety(), clock), clock=clock, probes=load_probe, on_reading=print)
    reading = await r.run_once(Job("t", "c", "icmp", "127.0.0.1", 30.0, 5.0, {"count": 4, "spacing_s": 0.05}))
    found = {sample.field: sample.value for sample in reading.samples}
    print(json.dumps([reading.outcome, reading.reason, reading.detail, found]))
asyncio.run(main())
"""


def ask(*before: str) -> list[Any]:
    result = subprocess.run([*before, sys.executable, "-c", _ASK], capture_output=True, check=True, timeout=60)
    answer: list[Any] = json.loads(result.stdout)
    return answer


def test_without_permission_it_is_unknown_with_the_fix() -> None:
    setpriv = shutil.which("setpriv")
    if os.geteuid() != 0 or setpriv is None or not shutil.which("unshare"):
        pytest.skip("needs root, setpriv and unshare to take the permission away")
    closed = "ip link set lo up; echo 1 0 > /proc/sys/net/ipv4/ping_group_range;"
    drop = 'exec setpriv --bounding-set=-net_raw --inh-caps=-net_raw "$@"'
    outcome, reason, detail, _ = ask("unshare", "-n", "sh", "-c", f"{closed} {drop}", "sh")
    assert (outcome, reason) == ("unknown", "no_permission")
    assert "net.ipv4.ping_group_range" in detail
    assert "CAP_NET_RAW" in detail


def test_a_datagram_socket_needs_no_privilege() -> None:
    if os.geteuid() != 0 or not shutil.which("setpriv") or not shutil.which("unshare"):
        pytest.skip("needs root, setpriv and unshare to open the group range in a namespace of its own")
    opened = "ip link set lo up; echo 0 2147483647 > /proc/sys/net/ipv4/ping_group_range;"
    drop = 'exec setpriv --bounding-set=-net_raw --inh-caps=-net_raw "$@"'
    assert ask("unshare", "-n", "sh", "-c", f"{opened} {drop}", "sh")[:2] == ["ok", None]


def test_without_a_link_silence_is_unknown() -> None:
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("needs root and unshare")
    outcome, reason, *_ = ask("unshare", "-n")
    assert (outcome, reason) == ("unknown", "no_route")


@pytest.mark.parametrize(
    ("rule", "reason", "loss"),
    [
        ("drop", "timeout", 1.0),
        ("reject with icmp type host-unreachable", "unreachable", 1.0),
        ("numgen inc mod 4 != 0 drop", "packet_loss", 0.75),
        ("numgen inc mod 4 == 0 drop", None, 0.25),
    ],
    ids=["drop", "router says no", "most lost", "some lost"],
)
def test_loss_made_by_a_packet_filter(rule: str, reason: str | None, loss: float) -> None:
    if os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("nft"):
        pytest.skip("needs root, unshare and nft")
    table = "ip link set lo up; nft add table ip t; nft 'add chain ip t c { type filter hook input priority 0; }';"
    filtered = f"{table} nft 'add rule ip t c icmp type echo-request {rule}'; exec \"$@\""
    _, found_reason, detail, found = ask("unshare", "-n", "sh", "-c", filtered, "sh")
    assert found_reason == reason, detail
    assert found["loss_ratio"] == loss
    if reason == "unreachable":
        assert detail == "unreachable, says 127.0.0.1"
