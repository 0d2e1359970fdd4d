"""Collectors against the real programs: a cupsd with jobs, a journal file, apt."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from daemons.printing import QUEUE, cupsd
from daemons.process import need
from healthmon.collectors import load_collector
from healthmon.collectors.crashes import CrashesCollector
from healthmon.collectors.events import EventsCollector
from healthmon.collectors.print_queue import PrintQueueCollector
from healthmon.collectors.roams import RoamsCollector
from healthmon.model.plan import Job
from healthmon.model.ports import Probe
from healthmon.model.sample import Outcome, Reading
from healthmon.runtime.clock import SystemClock

pytestmark = pytest.mark.wire


QUIET = {"enabled": 1.0, "accepting": 1.0, "queued_jobs": 0.0, "oldest_job_age_seconds": 0.0}


class Sight:
    """The agent's own vantage."""

    vantage = "v"
    waited_s = 0.0
    clock = SystemClock()

    async def resolve(self, host: str, port: int) -> Any:
        raise AssertionError("a collector looks at its own host only")

    def trace(self, line: str) -> None:
        return


async def see(collector: Probe, kind: str, **params: Any) -> Reading:
    return await collector.probe(Job("pc", kind, kind, "", 60.0, 30.0, params), Sight())


def run(argv: list[str], given: bytes = b"") -> str:
    """A program of the system, in the C locale."""
    environment = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C"}
    done = subprocess.run(argv, input=given, capture_output=True, check=True, timeout=60, env=environment)
    return done.stdout.decode()


def values(reading: Reading, family: str) -> dict[str, Any]:
    return {s.field: s.value for s in reading.samples if s.family == family}


async def test_a_real_print_server(tmp_path: Path) -> None:
    with cupsd(tmp_path) as cups:
        collector = PrintQueueCollector(f"127.0.0.1:{cups.port}")
        reading = await see(collector, "host_print_queue")
        assert reading.outcome is Outcome.OK, reading
        assert values(reading, "host_print_queue") == QUIET
        cups.command("cupsdisable")
        for _ in range(2):
            lp = [need("lp"), "-h", f"127.0.0.1:{cups.port}", "-d", QUEUE, "-t", "canary of Mrs Example", "-"]
            run(lp, b"x")
        cups.command("cupsreject")
        reading = await see(collector, "host_print_queue", only=[QUEUE])
        found = values(reading, "host_print_queue")
        assert (found["enabled"], found["accepting"], found["queued_jobs"]) == (0.0, 0.0, 2.0)
        assert 0.0 <= found["oldest_job_age_seconds"] < 60.0
        assert values(reading, "host_print_spooler")["stopped_queues"] == 1.0
        assert "canary" not in repr(reading)
        assert "root" not in repr(reading)
    reading = await see(collector, "host_print_queue")
    assert values(reading, "host_print_spooler") == {"running": 0.0}


async def test_a_real_journal(tmp_path: Path) -> None:
    writer = Path("/lib/systemd/systemd-journal-remote")
    if not writer.exists():
        pytest.skip("systemd-journal-remote is not installed")
    need("journalctl")
    now = SystemClock().now()
    entries = [(3, 10), (3, 20), (2, 30), (6, 40), (3, 5000)]  # priority, seconds ago
    text = "".join(
        f"__REALTIME_TIMESTAMP={int((now - ago) * 1e6)}\n__MONOTONIC_TIMESTAMP={int(1e10 - ago * 1e6)}\n"
        f"_BOOT_ID={'ab' * 16}\nPRIORITY={priority}\nMESSAGE=canary {number}\n\n"
        for number, (priority, ago) in enumerate(sorted(entries, key=lambda entry: -entry[1]))
    )
    run([str(writer), "-o", str(tmp_path / "system.journal"), "-"], text.encode())
    reading = await see(EventsCollector(str(tmp_path)), "host_events", window_s=3600.0)
    assert reading.outcome is Outcome.OK, reading
    assert values(reading, "host_events") == {"errors": 2.0, "critical_errors": 1.0, "window_seconds": 3600.0}
    assert "canary" not in repr(reading)


def journal_file(folder: Path, entries: list[tuple[float, dict[str, str]]]) -> None:
    """A journal with these entries, by systemd's own writer: (seconds ago, fields)."""
    writer, now = Path("/lib/systemd/systemd-journal-remote"), SystemClock().now()
    if not writer.exists():
        pytest.skip("systemd-journal-remote is not installed")
    need("journalctl")
    text = "".join(
        f"__REALTIME_TIMESTAMP={int((now - ago) * 1e6)}\n__MONOTONIC_TIMESTAMP={int(1e10 - ago * 1e6)}\n"
        f"_BOOT_ID={'ab' * 16}\n" + "".join(f"{name}={value}\n" for name, value in fields.items()) + "\n"
        for ago, fields in sorted(entries, key=lambda entry: -entry[0])
    )
    run([str(writer), "-o", str(folder / "system.journal"), "-"], text.encode())


async def test_core_dumps_of_a_real_journal_are_counted_once(tmp_path: Path) -> None:
    dump = {"MESSAGE_ID": "fc2e22bc6ee647b6b90729ab34a250b1", "MESSAGE": "canary"}
    entries = [(10.0, dump | {"COREDUMP_EXE": "/opt/epr/epr"}), (20.0, dump | {"COREDUMP_EXE": "/usr/bin/other"}),
               (5000.0, dump | {"COREDUMP_EXE": "/opt/epr/epr"}), (30.0, {"MESSAGE": "another"})]  # fmt: skip
    journal_file(tmp_path, entries)
    collector = CrashesCollector(str(tmp_path))
    first = await see(collector, "host_crashes", programs=["epr"])
    assert {one.labels["program"]: one.value for one in first.samples if one.field == "crashes"} == {
        "epr": 1,
        "other": 1,
    }
    assert values(first, "host_crashes_machine") == {"window_seconds": 900.0}
    assert "canary" not in repr(first)
    again = await see(collector, "host_crashes", programs=["epr"])
    assert {one.value for one in again.samples if one.field == "crashes"} == {0.0}


async def test_roams_of_a_real_journal(tmp_path: Path) -> None:
    kernel = {"_TRANSPORT": "kernel", "SYSLOG_IDENTIFIER": "kernel", "PRIORITY": "6", "_HOSTNAME": "pc"}
    away = "disconnect from AP 00:00:5e:00:53:01 for new auth to 00:00:5e:00:53:02"
    said = [(100.0, f"wlp2s0: {away}"), (99.75, "wlp2s0: associated"), (50.0, "usb 1-1: new device")]
    journal_file(tmp_path, [(ago, kernel | {"MESSAGE": words}) for ago, words in said])
    found = values(await see(RoamsCollector(str(tmp_path)), "host_wifi_roams"), "host_wifi_roams")
    assert found.pop("worst_roam_seconds") == pytest.approx(0.25, abs=0.001)
    assert found == {"roams": 1.0, "losses": 0.0, "away_seconds": 0.0, "failures": 0.0, "window_seconds": 900.0}


@pytest.mark.skipif(not Path("/etc/debian_version").exists(), reason="compares with apt")
async def test_waiting_updates_are_those_of_apt() -> None:
    reading = await see(load_collector("host_os"), "host_os")
    found = values(reading, "host_os")
    said = run(["apt-get", "-s", "dist-upgrade"])
    (summary,) = [line for line in said.splitlines() if " upgraded, " in line]
    upgraded, installed = (int(part.split()[0]) for part in summary.split(", ")[:2])
    assert found["pending_updates"] == upgraded + installed
    assert found["pending_security_updates"] <= found["pending_updates"]
    assert found["release"].startswith(Path("/etc/os-release").read_text().partition("\nID=")[2].partition("\n")[0])
