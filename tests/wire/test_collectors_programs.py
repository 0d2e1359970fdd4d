"""Collectors against the real programs: a cupsd with jobs, a journal file, apt."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from daemons.printing import QUEUE, cupsd
from daemons.process import need
from healthmon.collectors import load_collector
from healthmon.collectors.events import EventsCollector
from healthmon.collectors.print_queue import PrintQueueCollector
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
