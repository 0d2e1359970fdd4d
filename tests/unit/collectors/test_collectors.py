"""Collectors beside psutil itself, and what they do when the host cannot be seen."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from healthmon.collectors import COLLECTORS, families, load_collector
from healthmon.collectors.cpu import CpuCollector, CpuTimes, ratios
from healthmon.collectors.disk import DiskCollector, Params, Partition, Room, chosen_mounts
from healthmon.collectors.look import look
from healthmon.collectors.memory import MemoryCollector
from healthmon.collectors.network import NetworkCollector
from healthmon.collectors.processes import ProcessesCollector
from healthmon.collectors.uptime import UptimeCollector
from healthmon.model.plan import Job
from healthmon.model.ports import Address
from healthmon.model.sample import Outcome, Reading, Reason, Sample
from healthmon.runtime.clock import ManualClock, SystemClock


class Sight:
    """The agent's own vantage; collectors never resolve a name."""

    vantage = "pc-w7-01"
    waited_s = 0.0

    def __init__(self, clock: Any = None) -> None:
        self.clock = clock or ManualClock()

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        raise AssertionError("a collector looks at its own host only")

    def trace(self, line: str) -> None:
        return


def job(kind: str, **params: Any) -> Job:
    return Job("pc-w7-01", kind, kind, "", 30.0, 10.0, params)


def values(reading: Reading, label: str = "") -> dict[str, Any]:
    return {s.field: s.value for s in reading.samples if next(iter(s.labels.values()), "") == label}


#: Parameters of those that need some.
NEEDED: dict[str, dict[str, Any]] = {
    "host_processes": {"names": ["python"]},
    "host_services": {"names": ["cron"]},
    "host_waits": {"file": os.devnull},
    "backup_evidence": {"backups": [{"name": "here", "files": __file__}]},
}
#: What a machine may lack: systemd as process 1, disks that can be asked, a spooler, a journal, Windows.
MAY_BE_BLIND = {"host_services", "host_smart", "host_print_queue", "host_events", "host_remote_session"} | {
    "host_crashes", "host_wifi_roams",
}  # fmt: skip
BLIND = {Reason.NO_LIBRARY, Reason.NO_ANSWER, Reason.NO_PERMISSION}


@pytest.mark.parametrize("kind", sorted(COLLECTORS))
async def test_every_collector_says_only_what_it_declares(kind: str) -> None:
    collector = load_collector(kind)
    assert load_collector(kind) is collector
    one = job(kind, **NEEDED.get(kind, {}))
    sight = Sight()
    await collector.probe(one, sight)
    await sight.clock.advance(30.0)
    reading = await collector.probe(one, sight)
    if reading.outcome is Outcome.UNKNOWN and kind in MAY_BE_BLIND:
        assert reading.reason in BLIND
        assert reading.detail
        return
    assert (reading.outcome, reading.reason, reading.vantage) == (Outcome.OK, None, "pc-w7-01")
    assert reading.samples or kind == "host_wifi"
    for sample in reading.samples:
        family = families()[sample.family]
        assert sample.family.startswith(kind if kind != "host_print_queue" else "host_print")
        assert sample.field in family.fields
        assert set(sample.labels) == set(family.labels)
        assert type(sample.value) is float or (sample.family, sample.field) == ("host_os", "release")


@pytest.mark.parametrize(
    ("kind", "params"),
    [("host_disk", {"each_s": 0}), ("host_processes", {"names": []}), ("host_network", {"only": 5})],
)
async def test_wrong_params_are_ours(kind: str, params: dict[str, Any]) -> None:
    reading = await load_collector(kind).probe(job(kind, **params), Sight())
    assert (reading.outcome, reading.reason) == (Outcome.UNKNOWN, Reason.BAD_PARAMS)


async def test_memory_is_what_psutil_says() -> None:
    found = values(await MemoryCollector().probe(job("host_memory"), Sight()))
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    assert found["total_bytes"] == memory.total
    assert found["used_ratio"] == pytest.approx(1 - memory.available / memory.total, abs=0.05)
    assert found["swap_total_bytes"] == swap.total
    assert ("swap_used_ratio" in found) == bool(swap.total)


async def test_uptime_is_what_psutil_says() -> None:
    found = values(await UptimeCollector().probe(job("host_uptime"), Sight(SystemClock())))
    assert found["boot_time_seconds"] == pytest.approx(psutil.boot_time(), abs=2)
    assert found["uptime_seconds"] == pytest.approx(SystemClock().now() - psutil.boot_time(), abs=3)


async def test_cpu_needs_two_looks_and_sees_work() -> None:
    collector, sight = CpuCollector(), Sight()
    first = values(await collector.probe(job("host_cpu"), sight))
    assert "utilisation_ratio" not in first
    assert first["cores"] == psutil.cpu_count()
    burn_until = time.process_time() + 0.15
    while time.process_time() < burn_until:
        pass
    second = values(await collector.probe(job("host_cpu"), sight))
    assert 0.0 < second["utilisation_ratio"] <= 1.0
    if hasattr(os, "getloadavg"):
        assert second["load1"] == pytest.approx(os.getloadavg()[0], abs=1.0)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (CpuTimes(100, 80, 0, 0), CpuTimes(200, 130, 0, 0), {"utilisation_ratio": 0.5}),
        (CpuTimes(100, 80, 5, 0), CpuTimes(200, 130, 30, 10), {"utilisation_ratio": 0.25, "iowait_ratio": 0.25}),
        (CpuTimes(100, 80, 0, 0), CpuTimes(200, 79, 0, 0), {"utilisation_ratio": 1.0}),  # idle went back
        (CpuTimes(100, 80, 0, 0), CpuTimes(200, 190, 0, 0), {"utilisation_ratio": 0.0}),
        (CpuTimes(100, 80, 0, 0), CpuTimes(100, 80, 0, 0), {}),
    ],
)
def test_shares_of_the_time_between(before: CpuTimes, after: CpuTimes, expected: dict[str, float]) -> None:
    found = ratios(before, after)
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert all(0.0 <= value <= 1.0 for value in found.values())


async def test_disk_is_what_psutil_says(tmp_path: Path) -> None:
    found = values(await DiskCollector().probe(job("host_disk", mounts=[str(tmp_path)]), Sight()), str(tmp_path))
    usage = psutil.disk_usage(str(tmp_path))
    assert found["total_bytes"] == usage.total
    assert found["free_bytes"] == pytest.approx(usage.free, rel=0.05)
    assert found["used_ratio"] == pytest.approx(usage.percent / 100, abs=0.01)
    assert found["answers"] == 1.0


async def test_a_mount_that_is_not_there_does_not_answer(tmp_path: Path) -> None:
    gone = str(tmp_path / "gone")
    reading = await DiskCollector().probe(job("host_disk", mounts=[gone, str(tmp_path)]), Sight())
    assert reading.outcome is Outcome.OK
    assert values(reading, gone) == {"answers": 0.0}
    assert values(reading, str(tmp_path))["answers"] == 1.0


async def test_a_hung_mount_delays_nobody_and_is_asked_once() -> None:
    release, calls = threading.Event(), []

    def measure(mount: str) -> Room:
        calls.append(mount)
        if mount == "/dead":
            release.wait(30)
        return Room(100.0, 60.0, 40.0, 0.4)

    collector, one = DiskCollector(measure), job("host_disk", mounts=["/dead", "/"], each_s=0.1)
    for _ in range(3):
        reading = await asyncio.wait_for(collector.probe(one, Sight()), 5)
        assert reading.outcome is Outcome.OK
        assert values(reading, "/dead") == {"answers": 0.0}
        assert values(reading, "/")["used_ratio"] == 0.4
    assert calls.count("/dead") == 1
    release.set()
    for thread in collector._hung.values():
        thread.join(10)
    assert values(await collector.probe(one, Sight()), "/dead")["used_ratio"] == 0.4


def test_a_hung_mount_does_not_keep_the_agent_from_ending() -> None:
    script = (
        "import asyncio, threading\n"
        "from healthmon.collectors.disk import DiskCollector\n"
        "from healthmon.model.plan import Job\n"
        "from healthmon.runtime.clock import SystemClock\n"
        "class Sight:\n    vantage = 'a'; waited_s = 0.0; clock = SystemClock()\n"
        "collector = DiskCollector(lambda mount: threading.Event().wait(600))\n"
        "job = Job('h', 'd', 'host_disk', '', 30.0, 5.0, {'mounts': ['/dead'], 'each_s': 0.1})\n"
        "print(asyncio.run(collector.probe(job, Sight())).outcome)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "ok"


def test_which_mounts() -> None:
    partitions = [
        Partition("/dev/sda1", "/", "ext4"),
        Partition("/dev/sda1", "/var/lib/bind", "ext4"),
        Partition("/dev/sdb1", "/srv", "xfs"),
        Partition("/dev/loop0", "/snap/core", "squashfs"),
        Partition("tmpfs", "/run", "tmpfs"),
    ]
    assert chosen_mounts(Params(), partitions) == ["/", "/srv"]
    assert chosen_mounts(Params(skip=("/srv",)), partitions) == ["/"]
    assert chosen_mounts(Params(mounts=("/mnt/nfs",)), partitions) == ["/mnt/nfs"]
    assert chosen_mounts(Params(), [Partition("overlay", "/", "overlay")]) == ["/"]


async def test_network_is_what_psutil_says() -> None:
    collector, sight = NetworkCollector(), Sight()
    one = job("host_network", skip=[])
    links = psutil.net_if_stats()
    first = await collector.probe(one, sight)
    assert {s.labels["interface"] for s in first.samples} == set(links)
    assert not [s for s in first.samples if s.field.endswith("bytes_per_second")]
    before = psutil.net_io_counters(pernic=True, nowrap=False)
    await sight.clock.advance(10.0)
    second = await collector.probe(one, sight)
    after = psutil.net_io_counters(pernic=True, nowrap=False)
    for name in links:
        found = values(second, name)
        assert found["oper_up"] == float(links[name].isup)
        if name in before and name in after:
            moved = after[name].bytes_recv - before[name].bytes_recv
            assert found["in_bytes_per_second"] >= 0.0
            assert found["in_bytes_per_second"] <= (moved + 1e6) / 10.0


async def test_loopback_and_containers_are_left_out_by_default() -> None:
    reading = await NetworkCollector().probe(job("host_network"), Sight())
    names = {s.labels["interface"] for s in reading.samples}
    assert not [name for name in names if name == "lo" or name.startswith(("veth", "docker"))]


async def test_processes_by_name() -> None:
    own = psutil.Process().name()
    one = job("host_processes", names=[own.upper(), "no-such-program.exe"])
    reading = await ProcessesCollector().probe(one, Sight())
    assert values(reading, own.upper())["running"] == 1.0
    assert values(reading, own.upper())["memory_bytes"] > 1e6
    assert values(reading, "no-such-program.exe") == {"running": 0.0, "processes": 0.0, "memory_bytes": 0.0}


async def test_what_the_system_refuses_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise psutil.AccessDenied()

    monkeypatch.setattr(psutil, "virtual_memory", refuse)
    reading = await MemoryCollector().probe(job("host_memory"), Sight())
    assert (reading.outcome, reading.reason) == (Outcome.UNKNOWN, Reason.NO_PERMISSION)


async def test_an_operating_system_that_hangs_is_unknown_and_delays_nobody() -> None:
    release = threading.Event()

    def hang() -> list[Sample]:
        release.wait(30)
        return []

    slow = Job("pc-w7-01", "cpu", "host_cpu", "", 30.0, 0.2, {})
    other = MemoryCollector().probe(job("host_memory"), Sight())
    hung, fine = await asyncio.gather(look(slow, Sight(SystemClock()), hang), other)
    release.set()
    assert (hung.outcome, hung.reason) == (Outcome.UNKNOWN, Reason.NO_ANSWER)
    assert fine.outcome is Outcome.OK


async def test_a_bug_in_a_collector_reaches_the_runner() -> None:
    def wrong() -> list[Sample]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await look(job("host_cpu"), Sight(), wrong)


def test_imports_stay_thin() -> None:
    script = (
        "import json, sys\n"
        "from healthmon.collectors import families\n"
        "families()\n"
        "print(json.dumps(sorted(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    modules = json.loads(done.stdout)
    heavy = {"pydantic", "aiohttp", "yaml", "gufo", "pysnmp", "aiomqtt", "jinja2", "influxdb_client"}
    assert not heavy.intersection(modules)
    ours = {name.split(".")[1] for name in modules if name.startswith("healthmon.")}
    assert ours <= {"collectors", "model", "runtime"}
