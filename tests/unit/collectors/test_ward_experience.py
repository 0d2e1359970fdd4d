"""Waits that a script timed; crashes and roams in samples written by hand: neither Windows nor a radio was there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from healthmon.collectors.crashes import parse_coredumps, parse_events, samples
from healthmon.collectors.look import Unseen
from healthmon.collectors.roams import facts_of, parse_autoconfig, parse_kernel, roaming
from healthmon.collectors.waits import MOST_BYTES, WaitsCollector, parse_waits
from healthmon.model.plan import Job
from healthmon.model.ports import Address
from healthmon.model.sample import Outcome, Reading, Reason
from healthmon.runtime.clock import ManualClock

EVENT = """<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider Name='{provider}'/>\
<EventID Qualifiers='0'>{number}</EventID><Level>2</Level>\
<TimeCreated SystemTime='2026-11-21T22:{at}.5000000Z'/></System>\
<EventData>{data}</EventData></Event>"""
CRASH = EVENT.format(
    provider="Application Error", number=1000, at="01:00",
    data="<Data>EPR.exe</Data><Data>9.1.0.0</Data><Data>C:\\Users\\canary\\EPR.exe</Data>",
)  # fmt: skip
HANG = EVENT.format(provider="Application Hang", number=1002, at="02:00", data="<Data Name='AppName'>viewer.exe</Data>")
STOP = EVENT.format(provider="Microsoft-Windows-Kernel-Power", number=41, at="03:00", data="<Data Name='x'>0</Data>")
OTHER = EVENT.format(provider="canary", number=7, at="04:00", data="<Data>canary.exe</Data>")

ROAM = """\
1795300700.100000 pc kernel: wlp2s0: disconnect from AP 00:00:5e:00:53:01 for new auth to 00:00:5e:00:53:02
1795300700.110000 pc kernel: wlp2s0: authenticate with 00:00:5e:00:53:02
1795300700.250000 pc kernel: wlp2s0: associated
1795300800.000000 pc kernel: wlp2s0: Connection to AP 00:00:5e:00:53:02 lost
1795300803.000000 pc kernel: wlp2s0: authentication with 00:00:5e:00:53:02 timed out
1795300812.500000 pc kernel: wlp2s0: associated
1795300900.000000 pc kernel: wlp2s0: deauthenticating from 00:00:5e:00:53:02 by local choice (Reason: 3=DEAUTH_LEAVING)
1795300960.000000 pc kernel: wlp2s0: associated
1795300970.000000 pc kernel: usb 1-1: associated with canary
"""


def wlan(number: int, at: str, adapter: str = "{a}") -> str:
    data = f"<Data Name='InterfaceGuid'>{adapter}</Data><Data Name='SSID'>canary</Data>"
    return EVENT.format(provider="Microsoft-Windows-WLAN-AutoConfig", number=number, at=at, data=data)


class Sight:
    vantage = "pc-w7-01"
    waited_s = 0.0

    def __init__(self) -> None:
        self.clock = ManualClock(1_795_300_000.0)

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        raise AssertionError("a collector looks at its own host only")

    def trace(self, line: str) -> None:
        return


async def look(collector: WaitsCollector, file: Path, sight: Sight) -> Reading:
    return await collector.probe(Job("pc", "waits", "host_waits", "", 60.0, 10.0, {"file": str(file)}), sight)


def told(reading: Reading) -> dict[str, Any]:
    assert reading.outcome is Outcome.OK, reading
    return {one.field: one.value for one in reading.samples if one.value}


async def test_each_wait_is_told_once_however_it_was_written(tmp_path: Path) -> None:
    file, sight, collector = tmp_path / "waits", Sight(), WaitsCollector()
    at = sight.clock.now()
    file.write_text(f"{at - 900} app_start 99\n{at - 10} app_start 12.5\n{at - 5} reconnect 8\n{at} app_sta")
    assert told(await look(collector, file, sight)) == {
        "app_starts": 1.0, "app_start_seconds": 12.5, "reconnects": 1.0, "reconnect_seconds": 8.0,
    }  # fmt: skip
    with file.open("a") as more:  # the half line is finished, and one of another session was late
        more.write(f"rt 3\n{at - 30} record_open 2\n")
    assert told(await look(collector, file, sight)) == {
        "app_starts": 1.0, "app_start_seconds": 3.0, "record_opens": 1.0, "record_open_seconds": 2.0,
    }  # fmt: skip
    assert told(await look(collector, file, sight)) == {}
    file.write_text(f"{at} reconnect 4\n")  # begun again, as a log that is rotated
    assert told(await look(collector, file, sight)) == {"reconnects": 1.0, "reconnect_seconds": 4.0}


async def test_a_huge_file_is_read_from_a_whole_line_near_its_end(tmp_path: Path) -> None:
    file, sight = tmp_path / "waits", Sight()
    line = f"{sight.clock.now() - 1} app_start 1\n"
    file.write_text(line * (2 * MOST_BYTES // len(line)))
    assert told(await look(WaitsCollector(), file, sight))["app_starts"] == (MOST_BYTES - 1) // len(line)


async def test_a_line_that_is_none_is_unknown_and_never_repeated(tmp_path: Path) -> None:
    file = tmp_path / "waits"
    for line in ("1795300000 app_start Mrs Canary", "canary", "1795300000 canary 3", "1795300000 app_start nan",
                 "1795300000 app_start -1", "1795300000 app_start 3 canary", "1795300000 app_start 86401"):  # fmt: skip
        file.write_text(f"1795300000 app_start 1\n{line}\n")
        reading = await look(WaitsCollector(), file, Sight())
        assert (reading.outcome, reading.reason) == (Outcome.UNKNOWN, Reason.NO_ANSWER), line
        assert reading.detail.startswith("line 2 is not TIME KIND SECONDS")
        assert "anary" not in repr(reading)
    missing = await look(WaitsCollector(), tmp_path / "none", Sight())
    assert (missing.outcome, missing.reason) == (Outcome.UNKNOWN, Reason.NO_ANSWER)
    assert list(parse_waits("\n  \n")) == []


def test_crashes_of_the_windows_logs() -> None:
    found = list(parse_events(CRASH + HANG + STOP + OTHER))
    assert found == [("crashes", "EPR.exe"), ("hangs", "viewer.exe"), ("unplanned_stops", "")]
    shown = {(one.field, one.labels.get("program")): one.value for one in samples(found, ("epr.exe",), windows=True)}
    assert shown == {
        ("crashes", "epr.exe"): 1.0, ("crashes", "other"): 0.0, ("hangs", "epr.exe"): 0.0, ("hangs", "other"): 1.0,
        ("unplanned_stops", None): 1.0,
    }  # fmt: skip


def test_core_dumps_tell_a_program_and_nothing_else() -> None:
    text = '{"COREDUMP_EXE":"/opt/epr/bin/epr","MESSAGE":"canary"}\n{"COREDUMP_EXE":"/usr/bin/canary"}\n{}\n'
    found = list(parse_coredumps(text))
    shown = {(one.field, one.labels["program"]): one.value for one in samples(found, ("epr",), windows=False)}
    assert shown == {("crashes", "epr"): 1.0, ("crashes", "other"): 2.0}, "hangs and stops are not told on Linux"
    with pytest.raises(Unseen):
        list(parse_coredumps("Hint: You are currently not seeing messages"))


def test_a_roam_a_loss_and_a_parting_that_was_wanted() -> None:
    seen = roaming(list(parse_kernel(ROAM)))
    assert seen.roams == [pytest.approx(0.15)]
    assert (seen.losses, seen.away_s, seen.failures) == (1, 12.5, 1)
    assert set(facts_of(seen, roams_told=True)) == {"roams", "worst_roam_seconds", "losses", "away_seconds", "failures"}
    assert "roams" not in facts_of(seen, roams_told=False)


def test_two_adapters_of_windows_are_told_apart() -> None:
    text = wlan(8003, "10:00") + wlan(8003, "10:05", "{b}") + wlan(8001, "10:20") + wlan(8002, "10:30", "{b}")
    seen = roaming(sorted(parse_autoconfig(text + OTHER)))
    assert (seen.roams, seen.losses, seen.away_s, seen.failures) == ([], 2, 20.0, 1)
