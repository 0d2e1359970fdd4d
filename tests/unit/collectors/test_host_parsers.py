"""What Linux tells of a host, in the shapes that its programs document; no person's name comes out of any of it."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from test_collectors import Sight, job, values

from healthmon.collectors import backup, battery, events, logons, oslevel, print_queue, reboot, services, smart, wifi
from healthmon.collectors.commands import run
from healthmon.collectors.disk import Growth, Room
from healthmon.collectors.look import Unseen
from healthmon.collectors.oslevel_pack import lint_pack
from healthmon.model.sample import Outcome, Reason
from healthmon.runtime.clock import ManualClock

NOW = 1_800_000_000.0
EOL: dict[str, Any] = yaml.safe_load((Path(__file__).parents[3] / "collectors/host_os/eol.yaml").read_text("utf-8"))


# programs


def test_a_program_gets_no_environment_and_no_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "canary")
    assert "canary" not in run(["env"])
    assert run(["echo", "$(id)", "; id"]) == "$(id) ; id\n"


@pytest.mark.parametrize(
    ("argv", "reason", "words"),
    [
        (["no-such-program-here"], Reason.NO_LIBRARY, "not installed"),
        (["false"], Reason.NO_ANSWER, "ended with 1"),
        (["sleep", "30"], Reason.NO_ANSWER, "did not end in 0.2 s"),
        (["yes"], Reason.NO_ANSWER, "said more than"),
    ],
)
def test_a_program_that_does_not_answer(argv: list[str], reason: Reason, words: str) -> None:
    with pytest.raises(Unseen, match=words) as caught:
        run(argv, timeout_s=0.2 if argv[0] == "sleep" else 10.0)
    assert caught.value.reason is reason


# disks


def room(used: float, total: float = 1000.0) -> Room:
    return Room(total, total - used, used, used / total)


def test_a_disk_that_fills_says_when() -> None:
    growth = Growth()
    found: dict[str, float] = {}
    for minute in range(0, 121, 5):
        found = growth.forecast(room(100.0 + minute * 6.0), minute * 60.0)
        assert bool(found) == (minute >= 30)
    assert found["growth_bytes_per_second"] == pytest.approx(0.1)
    assert found["full_in_seconds"] == pytest.approx((900.0 - 720.0) / 0.1)


def test_a_disk_that_does_not_fill_has_no_end_and_a_larger_one_starts_anew() -> None:
    growth = Growth()
    for minute in range(0, 61, 5):
        found = growth.forecast(room(500.0 - minute), minute * 60.0)
    assert found["growth_bytes_per_second"] < 0.0
    assert found["full_in_seconds"] == Growth.MOST_S
    assert growth.forecast(room(400.0, 2000.0), 3900.0) == {}


# services


SYSTEMD = """\
Id=cups.service
Names=cups.service org.cups.cupsd.service
NRestarts=3
LoadState=loaded
ActiveState=active
UnitFileState=enabled

Id=mirth.service
Names=mirth.service
NRestarts=0
LoadState=loaded
ActiveState=failed
UnitFileState=enabled

Id=nothere.service
Names=nothere.service
NRestarts=0
LoadState=not-found
ActiveState=inactive
UnitFileState=
"""


async def test_services_of_systemd() -> None:
    found = services.parse_systemd(SYSTEMD)
    assert found["cups.service"] == found["org.cups.cupsd.service"]
    collector = services.ServicesCollector(lambda names: {name: found[services.unit_name(name)] for name in names})
    reading = await collector.probe(job("host_services", names=["cups", "mirth", "nothere.service"]), Sight())
    assert values(reading, "cups") == {"installed": 1, "running": 1, "failed": 0, "enabled": 1, "restarts": 3}
    assert values(reading, "mirth")["failed"] == 1.0
    assert values(reading, "nothere.service")["installed"] == 0.0


@pytest.mark.parametrize("names", [[], ["--all"], ["a;b"], ["x" * 200]])
async def test_names_of_services_are_plain(names: list[str]) -> None:
    reading = await services.ServicesCollector(lambda _: {}).probe(job("host_services", names=names), Sight())
    assert reading.reason is Reason.BAD_PARAMS


# system and updates


@pytest.mark.parametrize(
    ("release", "day", "expected"),
    [
        (("debian", "12"), "2026-07-11", {"listed": 1.0, "supported": 1.0}),
        (("debian", "12"), "2026-07-12", {"listed": 1.0, "supported": 0.0}),
        (("rhel", "9.4"), "2026-06-11", {"listed": 1.0, "supported": 1.0}),
        (("windows-10-pro", "22h2"), "2026-06-11", {"listed": 1.0, "supported": 0.0}),
        (("templeos", "5"), "2026-06-11", {"listed": 0.0}),
        (("debian", ""), "2026-06-11", {"listed": 0.0}),
    ],
)
def test_end_of_support(release: tuple[str, str], day: str, expected: dict[str, float]) -> None:
    now = oslevel._at(day)
    assert now is not None
    found = oslevel.support(release, oslevel.Params(pack=EOL), now - 3600.0)
    assert {name: found.get(name) for name in expected} == expected
    assert ("supported" in found) == bool(found["listed"])


def test_extended_support_is_for_those_who_have_it() -> None:
    now = oslevel._at("2027-01-01")
    assert now is not None
    assert oslevel.support(("debian", "12"), oslevel.Params(pack=EOL, extended=True), now)["supported"] == 1.0
    assert oslevel.support(("debian", "12"), oslevel.Params(pack=EOL), now)["supported"] == 0.0
    assert oslevel.support(("debian", "12"), oslevel.Params(), now) == {"listed": 0.0}


def test_the_table_is_sound() -> None:
    assert lint_pack(EOL) == []
    assert len(EOL["systems"]) > 40
    broken = {"dated": "soon", "systems": [{"id": "a", "version": 7, "end": "2026-13-01"}, {"id": "a", "version": "7"}]}
    assert len(lint_pack(broken)) == 5


def test_os_release_and_apt() -> None:
    assert oslevel.parse_os_release('PRETTY_NAME="X"\nVERSION_ID="12"\nID=debian\nBUILD_ID=1\n') == ("debian", "12")
    assert oslevel.parse_os_release("ID='rhel'\nVERSION_ID='9.4'\n") == ("rhel", "9.4")
    said = (
        "Inst tzdata [2024a-0] (2025b-0 Debian:12/oldstable [all])\n"
        "Inst openssl [3.0.15] (3.0.17 Debian-Security:12/oldstable-security [amd64])\n"
        "Inst linux-image-6.1.0-40-amd64 (6.1.153-1 Debian-Security:12/oldstable-security [amd64])\n"
        "Conf openssl (3.0.17 Debian-Security:12/oldstable-security [amd64])\n"
    )
    assert oslevel.parse_apt(said) == {"pending_updates": 3.0, "pending_security_updates": 2.0}


async def test_this_system(tmp_path: Path) -> None:
    reading = await oslevel.OsCollector(tmp_path).probe(job("host_os", updates=False), Sight())
    assert (reading.reason, reading.detail) == (Reason.NO_ANSWER, "there is no os-release on this host")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text("ID=debian\nVERSION_ID=12\n")
    (tmp_path / "var/lib/dpkg").mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/status").write_text("")
    os.utime(tmp_path / "var/lib/dpkg/status", (NOW - 500.0, NOW - 500.0))
    reading = await oslevel.OsCollector(tmp_path).probe(
        job("host_os", updates=False, pack=EOL), Sight(ManualClock(NOW))
    )
    found = values(reading)
    assert (found["release"], found["update_age_seconds"], found["listed"]) == ("debian 12", 500.0, 1.0)


# restarts


@pytest.mark.parametrize(
    ("running", "installed", "newer"),
    [
        ("6.1.0-18-amd64", ["6.1.0-18-amd64", "6.1.0-21-amd64"], True),
        ("6.1.0-21-amd64", ["6.1.0-9-amd64", "6.1.0-21-amd64"], False),
        ("6.1.0-18-amd64", ["6.1.0-21-cloud-amd64"], False),
        ("5.14.0-427.el9.x86_64", ["5.14.0-503.el9.x86_64"], True),
        ("6.18.44-custom", [], False),
    ],
)
def test_a_newer_kernel(running: str, installed: list[str], newer: bool) -> None:
    assert reboot.newer_kernel(running, installed) is newer


async def test_packages_that_ask_for_a_restart(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/reboot-required").write_text("*** System restart required ***\n")
    os.utime(tmp_path / "run/reboot-required", (NOW - 60.0, NOW - 60.0))
    collector = reboot.RebootCollector(tmp_path, lambda: "6.1.0-18-amd64")
    found = values(await collector.probe(job("host_reboot"), Sight(ManualClock(NOW))))
    assert found == {"pending": 1.0, "asked_by_packages": 1.0, "newer_kernel": 0.0, "waiting_seconds": 60.0}
    (tmp_path / "run/reboot-required").unlink()
    (tmp_path / "lib/modules/6.1.0-21-amd64/kernel").mkdir(parents=True)
    found = values(await collector.probe(job("host_reboot"), Sight()))
    assert (found["pending"], found["newer_kernel"]) == (1.0, 1.0)


# logons


def record(kind: int, at: float, user: bytes) -> bytes:
    return struct.pack(
        "hi32s4s32s256shhiii4i20s", kind, 77, b"tty1", b"1", user, b"", 0, 0, 0, int(at), 0, 0, 0, 0, 0, b""
    )


async def test_the_last_logon_without_its_user(tmp_path: Path) -> None:
    wtmp = tmp_path / "wtmp"
    records = [record(7, NOW - 900, b"canary"), record(7, NOW - 300, b"canary"), record(8, NOW - 100, b"canary")]
    for tail in (b"", b"cut short"):
        wtmp.write_bytes(b"".join(records) + tail)
        reading = await logons.LogonsCollector(wtmp).probe(job("host_logons"), Sight(ManualClock(NOW)))
        assert values(reading)["last_logon_age_seconds"] == 300.0
        assert "canary" not in repr(reading)


@pytest.mark.skipif(shutil.which("last") is None, reason="the program last is not installed")
def test_the_systems_own_reader_sees_the_same_logon(tmp_path: Path) -> None:
    wtmp = tmp_path / "wtmp"
    wtmp.write_bytes(record(7, NOW - 900, b"canary") + record(7, NOW - 300, b"canary"))
    argv = ["last", "-f", str(wtmp), "--time-format", "iso"]
    said = subprocess.run(
        argv, capture_output=True, text=True, check=True, env={"TZ": "UTC", "PATH": os.environ["PATH"]}
    )
    newest = datetime.fromisoformat(next(word for word in said.stdout.split() if word.startswith("20")))
    assert said.stdout.count("canary") == 2
    assert logons.last_logon(wtmp) == newest.timestamp() == NOW - 300


@pytest.mark.parametrize("content", [b"", b"x" * 10, record(2, NOW, b"reboot")])
async def test_no_logon_yet(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "wtmp").write_bytes(content)
    for name in ("wtmp", "none"):
        reading = await logons.LogonsCollector(tmp_path / name).probe(job("host_logons"), Sight())
        assert (reading.outcome, set(values(reading))) == (Outcome.OK, {"sessions"})


def test_sessions_are_counted_and_not_named() -> None:
    assert logons.parse_loginctl("  1 1000 canary seat0 tty2\n  3 1001 canary2 -     pts/0\n\n") == 2.0


# Wi-Fi, battery


WIRELESS = """\
Inter-| sta-|   Quality        |   Discarded packets               | Missed | WE
 face | tus | link level noise |  nwid  crypt   frag  retry   misc | beacon | 22
 wlan0: 0000   54.  -56.  -256        0      0      0      0     17       3
 wlan1: 0000   35   200    161        0      0      0      0      0       0
"""
IW = """\
Connected to 00:00:5e:00:53:01 (on wlan0)
\tSSID: Ward-7 canary
\tfreq: 5180
\tRX: 1234 bytes (10 packets)
\tsignal: -61 dBm
\trx bitrate: 866.7 MBit/s VHT-MCS 9 80MHz short GI VHT-NSS 2
\ttx bitrate: 780.0 MBit/s VHT-MCS 8
"""


async def test_wifi_by_kernel_and_iw(tmp_path: Path) -> None:
    found = wifi.parse_wireless(WIRELESS)
    assert found["wlan0"] == {
        "connected": 1.0,
        "quality_ratio": pytest.approx(54 / 70),
        "signal_dbm": -56.0,
        "missed_beacons": 3.0,
    }
    assert "signal_dbm" not in found["wlan1"]
    assert wifi.parse_iw_link(IW) == {
        "signal_dbm": -61.0,
        "receive_bits_per_second": 866.7e6,
        "transmit_bits_per_second": 780e6,
        "frequency_hertz": 5.18e9,
    }
    assert wifi.parse_iw_link("Not connected.\n") == {"connected": 0.0}
    (tmp_path / "wireless").write_text(WIRELESS)
    reading = await wifi.WifiCollector(tmp_path / "wireless").probe(job("host_wifi"), Sight())
    assert {s.labels["interface"] for s in reading.samples} == {"wlan0", "wlan1"}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (None, {"present": 0.0}),
        ((87.5, 5400, False), {"present": 1.0, "charge_ratio": 0.875, "on_mains": 0.0, "left_seconds": 5400.0}),
        ((100, -2, True), {"present": 1.0, "charge_ratio": 1.0, "on_mains": 1.0}),
        ((50, -1, None), {"present": 1.0, "charge_ratio": 0.5}),
    ],
)
async def test_battery(answer: tuple[Any, ...] | None, expected: dict[str, float]) -> None:
    given = answer and SimpleNamespace(percent=answer[0], secsleft=answer[1], power_plugged=answer[2])
    reading = await battery.BatteryCollector(lambda: given).probe(job("host_battery"), Sight())
    assert values(reading) == expected


# SMART


ATA = {
    "smart_status": {"passed": False},
    "serial_number": "CANARY",
    "temperature": {"current": 41},
    "power_on_time": {"hours": 10},
    "ata_smart_attributes": {
        "table": [{"id": 5, "raw": {"value": 8}}, {"id": 197, "raw": {"value": 2}}, {"id": 9, "raw": {"value": 10}}]
    },
}
NVME = {
    "smart_status": {"passed": True},
    "nvme_smart_health_information_log": {"percentage_used": 93, "media_errors": 4, "available_spare": 100},
}


def test_smart_of_ata_and_nvme() -> None:
    assert smart.parse_smart(ATA) == {
        "answers": 1.0,
        "passed": 0.0,
        "temperature_celsius": 41.0,
        "power_on_seconds": 36000.0,
        "reallocated_sectors": 8.0,
        "pending_sectors": 2.0,
        "damaged_places": 2.0,
    }
    found = smart.parse_smart(NVME)
    assert smart.parse_smart({"smart_status": {"passed": True}})["damaged_places"] == 0.0
    assert (found["used_life_ratio"], found["media_errors"], found["spare_ratio"]) == (pytest.approx(0.93), 4.0, 1.0)


def test_smart_that_says_little() -> None:
    denied = {"smartctl": {"messages": [{"string": "Smartctl open device: /dev/sda failed: Permission denied"}]}}
    assert smart.refused(denied)
    assert not smart.refused(ATA)
    for answer in ({}, {"smart_status": 1}, {"smart_status": {"passed": "yes"}}, denied):
        assert smart.parse_smart(answer) == {"answers": 0.0}
    assert smart.parse_scan({"devices": [{"name": "/dev/sda", "type": "sat"}, {}, 3]}) == [("/dev/sda", "sat")]
    with pytest.raises(Unseen):
        smart._json("smartctl 6.6 2017")


# print queues, events


LPSTAT = """\
printer labels-ed is idle.  enabled since Sun Nov 22 01:40:00 2026
printer ward-7 disabled since Sun Nov 22 01:41:00 2026 -
\tPaused
printer theatre now printing theatre-12.  enabled since Sun Nov 22 01:40:00 2026
labels-ed accepting requests since Sun Nov 22 01:40:00 2026
ward-7 not accepting requests since Sun Nov 22 01:40:00 2026 -
\tRejecting Jobs
"""


def test_queues_of_cups() -> None:
    jobs = "ward-7-11   canary   1024   Sun Nov 22 01:40:00 2026\nward-7-12   canary   10   Sun Nov 22 01:50:00 2026\n"
    found = print_queue.parse_lpstat(LPSTAT, jobs)
    assert {name: (q.enabled, q.accepting, q.jobs) for name, q in found.items()} == {
        "labels-ed": (True, True, 0),
        "ward-7": (False, False, 2),
        "theatre": (True, True, 0),
    }
    assert found["ward-7"].oldest_at is not None
    samples = print_queue.samples_of_queues(found, print_queue.Params(), found["ward-7"].oldest_at + 60.0)
    assert {s.field: s.value for s in samples if not s.labels} == {
        "running": 1.0,
        "queues": 3.0,
        "stopped_queues": 1.0,
        "queued_jobs": 2.0,
    }
    assert {s.field: s.value for s in samples if s.labels.get("queue") == "ward-7"}["oldest_job_age_seconds"] == 60.0
    assert "canary" not in repr(samples)
    with pytest.raises(Unseen):
        print_queue.samples_of_queues(found, print_queue.Params(only=("gone",)), NOW)


def test_events_are_counted() -> None:
    assert events.parse_priorities("3\n3\n2\n0\n") == {"errors": 2.0, "critical_errors": 2.0}
    assert events.parse_priorities("") == {"errors": 0.0, "critical_errors": 0.0}


# backups


def aged(file: Path, age_s: float, size: int = 10) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"x" * size)
    os.utime(file, (NOW - age_s, NOW - age_s))
    return file


async def look_at(**written: Any) -> dict[str, Any]:
    reading = await backup.BackupCollector().probe(
        job("backup_evidence", backups=[{"name": "ehr", **written}]), Sight(ManualClock(NOW))
    )
    assert reading.outcome is Outcome.OK, reading
    return values(reading, "ehr")


async def test_the_newest_file_that_is_large_enough(tmp_path: Path) -> None:
    aged(tmp_path / "a.dump", 90_000, 500)
    aged(tmp_path / "b.dump", 4_000, 900)
    aged(tmp_path / "c.dump", 100, 3)  # the disk was full
    found = await look_at(files=f"{tmp_path}/*.dump", least_bytes=100)
    assert found == {"found": 1.0, "files": 2.0, "age_seconds": 4000.0, "size_bytes": 900.0}
    assert await look_at(files=f"{tmp_path}/*.bak") == {"found": 0.0, "files": 0.0}


async def test_copies_elsewhere_and_tests_of_restoring(tmp_path: Path) -> None:
    aged(tmp_path / "a.dump", 60)
    aged(tmp_path / "tape/1", 86_400)
    found = await look_at(
        files=f"{tmp_path}/*.dump", off_site_files=f"{tmp_path}/tape/*", restore_test_files=f"{tmp_path}/restored/*"
    )
    assert (found["off_site"], found["off_site_age_seconds"]) == (1.0, 86_400.0)
    assert "restore_test_age_seconds" not in found
    found = await look_at(files=f"{tmp_path}/*.dump", off_site_files=f"{tmp_path}/vault/*")
    assert found["off_site"] == 0.0


async def test_what_a_backup_program_writes(tmp_path: Path) -> None:
    status = tmp_path / "status.json"
    status.write_text(
        json.dumps(
            {
                "jobs": [{"ok": False}, {"ok": True, "end": NOW * 1000 - 7_200_000, "bytes": 5e9, "who": "canary"}],
                "copy": {"at": "2027-01-15T07:00:00+00:00", "locked": True},
                "restore": "2027-01-10 08:00:00",
            }
        )
    )
    keys = {
        "finished": "jobs.-1.end",
        "succeeded": "jobs.-1.ok",
        "size_bytes": "jobs.-1.bytes",
        "off_site_at": "copy.at",
        "immutable": "copy.locked",
        "restore_test": "restore",
    }
    found = await look_at(status=str(status), keys=keys)
    assert found == {
        "found": 1.0,
        "age_seconds": 7200.0,
        "succeeded": 1.0,
        "size_bytes": 5e9,
        "off_site": 1.0,
        "off_site_age_seconds": 3600.0,
        "immutable": 1.0,
        "restore_test_age_seconds": 5 * 86400.0,
    }
    assert await look_at(status=str(tmp_path / "gone.json"), keys=keys) == {"found": 0.0}
    assert "age_seconds" not in await look_at(status=str(status), keys={"finished": "no.such.key"})


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000, b" " * 2_000_000])
def test_a_status_that_is_no_json(content: bytes) -> None:
    with pytest.raises(Unseen):
        backup.parse_status(content, {"finished": "a"}, NOW)


@pytest.mark.parametrize(
    "written",
    [{}, {"files": "x", "keys": {"colour": "a"}}, {"name": "", "files": "x"}, {"files": "x", "least_bytes": "a"}],
)
async def test_wrong_params_of_backups(written: dict[str, Any]) -> None:
    one = job("backup_evidence", backups=[{"name": "ehr", **written}])
    assert (await backup.BackupCollector().probe(one, Sight())).reason is Reason.BAD_PARAMS


@pytest.mark.skipif(sys.platform != "linux", reason="compares with this kernel")
def test_this_machine_has_wifi_or_not() -> None:
    assert isinstance(wifi.WifiCollector()._see(wifi.Params()), list)
