"""Parsers of what Windows prints: samples written by hand in the documented shape. Nothing here ran on Windows."""

from __future__ import annotations

import subprocess
import sys

import pytest

from healthmon.collectors import events, logons, oslevel, print_queue, remote_session, services, wifi, windows
from healthmon.collectors.look import Unseen

POLICY = """<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider \
Name='Microsoft-Windows-GroupPolicy'/><EventID>8001</EventID><Level>4</Level></System><EventData>\
<Data Name='PolicyElaspedTimeInSeconds'>17</Data><Data Name='ErrorCode'>0</Data>\
<Data Name='PrincipalSamName'>EXAMPLE\\canary</Data></EventData></Event>"""
BOOT = """<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><EventID>100</EventID>\
<Level>2</Level></System><EventData><Data Name='BootTsVersion'>2</Data><Data Name='BootTime'>64123</Data>\
<Data Name='MainPathBootTime'>31123</Data></EventData></Event>"""
NETSH = """
There is 1 interface on the system:

    Name                   : Wi-Fi
    Description            : Some adapter
    State                  : connected
    SSID                   : canary
    BSSID                  : 00:00:5e:00:53:01
    Receive rate (Mbps)    : 866.7
    Transmit rate (Mbps)   : 780
    Signal                 : 86%
    Profile                : canary

"""
NETSH_DE = """
    Name                   : WLAN
    Beschreibung           : Adapter
    Status                 : Verbunden
    SSID                   : canary
    Empfangsrate (MBit/s)  : 144,4
    Übertragungsrate (MBit/s) : 72,2
    Signal                 : 40 %
"""
NETSH_OFF = """
    Name                   : Wi-Fi
    Description            : Some adapter
    GUID                   : 0
    State                  : disconnected
    Radio status           : Hardware On
"""
TYPEPERF = (
    '\n"(PDH-CSV 4.0)","\\\\TS01\\ICA Session(Console (canary))\\Latency - Session Average",'
    '"\\\\TS01\\ICA Session(ICA 2 (canary2))\\Latency - Session Average","\\\\TS01\\x"\n'
    '"11/22/2026 01:40:00.123","20.000000","180.500000"," "\nExiting, please wait...\n'
    "The command completed successfully.\n"
)


def test_how_long_the_last_logon_and_boot_took() -> None:
    assert logons.parse_policy_event(POLICY) == {"logon_seconds": 17.0}
    assert logons.parse_policy_event(POLICY.replace("Elasped", "Elapsed").replace("'", '"')) == {"logon_seconds": 17.0}
    assert logons.parse_boot_event(BOOT) == {"boot_seconds": 64.123}
    assert logons.parse_policy_event("") == logons.parse_boot_event(POLICY) == {}


@pytest.mark.parametrize("fraction", ["", ".5", ".5000000"])
def test_when_the_last_logon_was(fraction: str) -> None:
    made = f"<TimeCreated SystemTime='2025-10-01T10:00:00{fraction}Z'/>"
    at = 1_759_312_800.0 + (0.5 if fraction else 0.0)
    assert logons.parse_age(POLICY.replace("<Level>", f"{made}<Level>"), at + 90.0) == {"last_logon_age_seconds": 90.0}
    assert logons.parse_age(POLICY, at) == {}


def test_events_by_level() -> None:
    assert events.parse_levels(BOOT + BOOT + POLICY + BOOT.replace(">2</Level", ">1</Level")) == {
        "errors": 2.0,
        "critical_errors": 1.0,
    }


def test_wifi_in_two_languages() -> None:
    assert wifi.parse_netsh(NETSH) == {
        "wlan1": {
            "connected": 1.0,
            "quality_ratio": 0.86,
            "signal_dbm": pytest.approx(-57.0),
            "receive_bits_per_second": pytest.approx(866.7e6),
            "transmit_bits_per_second": 780e6,
        }
    }
    german = wifi.parse_netsh(NETSH_DE)["wlan1"]
    assert (german["quality_ratio"], german["receive_bits_per_second"]) == (0.4, pytest.approx(144.4e6))
    assert wifi.parse_netsh(NETSH_OFF) == {"wlan1": {"connected": 0.0}}
    assert wifi.parse_netsh("There is no wireless interface on the system.") == {}


def test_remote_sessions_without_their_people() -> None:
    found = remote_session.parse_typeperf(TYPEPERF)
    assert found == {
        "sessions": 2.0,
        "worst_latency_seconds": pytest.approx(0.1805),
        "mean_latency_seconds": pytest.approx(0.10025),
    }
    with pytest.raises(Unseen):
        remote_session.parse_typeperf("Error: No valid counters.\n")


def test_print_queues() -> None:
    counters = windows.json_rows(
        '[{"Name":"ward-7","Jobs":4,"JobErrors":1},{"Name":"_Total","Jobs":4,"JobErrors":1},{"Name":"x","Jobs":null}]'
    )
    printers = windows.json_rows(
        '[{"Name":"ward-7","PrinterState":2,"WorkOffline":false},{"Name":"ed","PrinterState":0}]'
    )
    found = print_queue.parse_windows_queues(counters, printers)
    assert {name: (q.enabled, q.jobs, q.errors) for name, q in found.items()} == {
        "ward-7": (False, 4, 1.0),
        "ed": (True, 0, None),
    }


def test_answers_of_powershell() -> None:
    assert windows.json_rows("") == []
    assert windows.json_rows('{"a":1}\r\n') == [{"a": 1}]
    assert windows.json_rows('\ufeff[{"a":1},2]') == [{"a": 1}]
    with pytest.raises(Unseen):
        windows.json_rows("Get-CimInstance : Access denied")


@pytest.mark.parametrize(
    ("build", "shown", "edition", "kind", "release"),
    [
        ("22631", "23H2", "Enterprise", "Client", ("windows-11-enterprise", "23h2")),
        ("26100", "24H2", "Professional", "Client", ("windows-11-pro", "24h2")),
        ("19045", "22H2", "Education", "Client", ("windows-10-enterprise", "22h2")),
        ("17763", "", "EnterpriseS", "Client", ("windows-10-ltsc", "2019")),
        ("19044", "21H2", "IoTEnterpriseS", "Client", ("windows-10-ltsc", "2021")),
        ("20348", "21H2", "ServerStandard", "Server", ("windows-server", "2022")),
        ("14393", "", "ServerDatacenter", "Server Core", ("windows-server", "2016")),
        ("", "", "", "", ("windows-10-pro", "")),
    ],
)
def test_which_windows_it_is(build: str, shown: str, edition: str, kind: str, release: tuple[str, str]) -> None:
    values = {
        "CurrentBuildNumber": build,
        "DisplayVersion": shown,
        "EditionID": edition,
        "InstallationType": kind,
    }
    assert oslevel.windows_release(values) == release


def test_the_newest_hot_fix() -> None:
    rows = windows.json_rows('[{"HotFixID":"KB1","On":"2026-10-14"},{"HotFixID":"KB2","On":null},{"On":"2026-11-11"}]')
    at = oslevel._at("2026-11-11")
    assert at is not None
    assert oslevel.parse_hotfixes(rows, at + 100.0) == {"update_age_seconds": 100.0}
    assert oslevel.parse_hotfixes([], at) == {}


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (None, (False, False, False)),
        (("running", "automatic"), (True, True, False)),
        (("stopped", "automatic"), (True, False, True)),
        (("stopped", "manual"), (True, False, False)),
        (("start_pending", "automatic"), (True, True, False)),
    ],
)
def test_services(state: tuple[str, str] | None, expected: tuple[bool, bool, bool]) -> None:
    service = services.windows_service(state)
    assert (service.installed, service.running, service.failed) == expected


@pytest.mark.skipif(sys.platform == "win32", reason="what happens elsewhere")
def test_the_port_says_that_this_is_not_windows() -> None:
    for call in (
        lambda: windows.registry_value("a", "b"),
        lambda: windows.registry_key_exists("a"),
        lambda: windows.service_status("a"),
    ):
        with pytest.raises(Unseen):
            call()


def test_types_hold_for_windows() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "mypy", "--platform", "win32", "-p", "healthmon.collectors"],
        capture_output=True,
        text=True,
    )
    if "No module named mypy" in result.stderr:
        pytest.skip("mypy is not installed (it comes with the dev extra)")
    assert result.returncode == 0, result.stdout
