"""Every number of the report, worked out again by another way from the raw month."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from typing import Any

import pytest

from daemons.month import DAY_S, LOGONS, LOOKS, START, TICKETS, incidents, journal, october, pc_rows, rows, site
from healthmon.app.reporting import asking, journal_of, record_of
from healthmon.config.tickets import read_ticket_map, read_tickets
from healthmon.reports.healthcheck import as_data, sections
from healthmon.reports.page import html
from healthmon.reports.record import Record, Section
from healthmon.store.embedded import EmbeddedStore

DAYS = 1.2


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Record:
    return asyncio.run(collected(tmp_path_factory.mktemp("month")))


async def collected(folder: Path) -> Record:
    hospital = site(folder)
    store = EmbeddedStore(folder / "store.sqlite")
    await store.write([*rows(hospital, DAYS), *pc_rows(hospital)])
    await store.close()
    journal(folder / "journal.sqlite").close()
    export = folder / "tickets.csv"
    export.write_text(TICKETS)
    tickets, _ = read_tickets(export, read_ticket_map("servicenow"), hospital.estate)
    kept = journal_of(hospital)
    ask, close = asking(hospital)
    found = await record_of(hospital, october(), ask=ask, journal=kept, tickets=tickets)
    await close()
    kept.close()
    return found


@pytest.fixture(scope="module")
def parts(record: Record) -> dict[str, Section]:
    return {part.id: part for part in sections(record)}


def rows_by(part: Section, key: str) -> dict[Any, Any]:
    return {row[key]: row for row in part.rows}


def test_zero_touch_by_hand(parts: dict[str, Section]) -> None:
    """INC1 portal, sev 2, 15 min; 2 phone, reopened, 2 min; 3 phone, nobody; 4 email, 6 h; 5 chatbot, high, 1 h."""
    figures = parts["zero-touch"].figures
    assert figures["reports"] == 5
    assert figures["human_seconds"] == {"n": 4, "least": 120.0, "p50": 900.0, "p90": 21_600.0, "most": 21_600.0}
    assert (figures["never_taken"], figures["again"], figures["should_have_been_calls"]) == (1, 2, 2)
    assert figures["by_channel"] == {"chatbot": 1, "email": 1, "phone": 2, "portal": 1}
    flags = {one["id"]: (one["again"], one["should_have_been_a_call"]) for one in figures["tickets"]}
    assert flags == {"INC1": (False, True), "INC2": (True, False), "INC3": (False, False), "INC4": (True, False),
                     "INC5": (False, True)}  # fmt: skip
    ward = next(row for row in parts["zero-touch"].rows if row["area"] == "ward-7")
    assert (ward["hour"], ward["reports"], ward["human_p50_seconds"]) == (10, 2, 120.0)


def test_owners_by_hand(parts: dict[str, Section]) -> None:
    """Severity 2: inc-a after 120 s, inc-e never. 3: inc-b after 120 s, inc-f never. 4: inc-c."""
    found = rows_by(parts["owners"], "severity")
    assert {k: (v["incidents"], v["never"], v["p50_seconds"]) for k, v in found.items()} == {
        2: (2, 1, 120.0), 3: (2, 1, 120.0), 4: (1, 0, 120.0)}  # fmt: skip
    share = parts["owners"].figures["severity_1_and_2_owned_in_5_minutes"]
    assert (share["count"], share["of"]) == (1, 2)


def test_pages_by_hand(parts: dict[str, Section]) -> None:
    """Paged: inc-a, inc-b by day; inc-e at 01:59, inc-f at 22:46, which was over in a minute with nothing lost."""
    figures, found = parts["pages"].figures, rows_by(parts["pages"], "incident")
    assert {id_: (row["pages"], row["night"], row["came_of_it"]) for id_, row in found.items()} == {
        "inc-a": (1, 0, "real"),
        "inc-b": (1, 0, "real"),
        "inc-e": (1, 1, "real"),
        "inc-f": (1, 1, "brief"),
    }
    assert (figures["pages"], figures["night_pages"], figures["brief"], figures["called_false"]) == (4, 2, 1, 0)
    assert (figures["held_back"], figures["held_back_and_real"]) == (1, [])


def test_lost_time_second_by_second(record: Record, parts: dict[str, Section]) -> None:
    """Another way: every second of the made-up month, without minutes, stores and attribution."""
    wanted = 0.0
    for service in ("ehr", "lab"):
        for second in range(int(DAYS * DAY_S)):
            since = second - second % 15 + 0.25  # states are stored every 15 s
            local = record.period.local(START + second)
            people = 9 if 8 <= local.hour < 20 else 6
            lost = 36_000 <= since < 41_430 or (service == "lab" and DAY_S + 3_600 <= since < DAY_S + 9_000)
            if service == "lab" and DAY_S + 7_200 <= second < DAY_S + 10_800:
                lost = False  # planned
            slow = service == "ehr" and 50_000 <= since < 50_900
            wanted += people * (0.5 if lost else 0.15 if slow else 0.0)
    found = {(row["area"], row["basis"], row["service"]): row for row in parts["lost-time"].rows}
    ward = sum(
        row["usual_seconds"] for (area, basis, _), row in found.items() if (area, basis) == ("ward-7", "estimated")
    )
    assert ward == pytest.approx(wanted, abs=0.01)
    for row in found.values():
        if row["usual_seconds"] is not None:
            assert row["low_seconds"] <= row["usual_seconds"] <= row["high_seconds"]
    assert parts["lost-time"].figures["areas_without_people"] == ["ed"]
    assert parts["lost-time"].figures["areas_too_small"] == ["clinic", "ed"]
    assert found["clinic", "estimated", "ehr"]["usual_seconds"] is None
    assert parts["lost-time"].figures["estimated"]["usual_seconds"] == pytest.approx(wanted, abs=0.01)


def test_measured_waits_by_hand(parts: dict[str, Section]) -> None:
    """pc-1: logons of 40..110 s against 60; pc-2: 700 s is capped at 600, plus 180; a restart of 95.5 s on each."""
    found = {(row["area"], row["basis"]): row for row in parts["lost-time"].rows if row["service"] == "workstation"}
    first = sum(max(0.0, took - 60.0) for _, took in LOGONS["pc-1"]) + 95.5
    second = (600.0 - 60.0 + 180.0) + 95.5
    assert found["ward-7", "measured"]["usual_seconds"] == round(first + second, 3) == 150.0 + 720.0 + 191.0
    whole = found["ward-7", "measured, for all PCs"]  # three of four PCs report: the trolley lost nothing
    sums = [first, second, 0.0]
    mean = sum(sums) / 3
    half = 1.959963984540054 * 4 * math.sqrt(sum((one - mean) ** 2 for one in sums) / 2 / 3 * (1 - 3 / 4))
    assert whole["usual_seconds"] == pytest.approx(4 * mean, abs=0.001)
    assert whole["high_seconds"] == pytest.approx(4 * mean + half, abs=0.001)


def test_lost_time_goes_to_the_incident_that_was_open(parts: dict[str, Section]) -> None:
    found = rows_by(parts["lost-time-by-incident"], "incident")
    minutes = math.ceil((41_430 - 36_000) / 60)
    covered = 62  # from the minute of its first evidence to that after its end, an hour later
    total = 2 * 9 * 0.5 * 5_430.0
    assert found["inc-a"]["usual_seconds"] == 2 * 9 * 0.5 * 60.0 * covered
    assert found["none"]["usual_seconds"] > total - found["inc-a"]["usual_seconds"]
    assert minutes == 91


def test_standards_by_hand(parts: dict[str, Section]) -> None:
    found = {(row["standard"], row["area"], row["service"]): row for row in parts["standards"].rows}
    page = sorted(LOOKS)
    assert found["response_p50_seconds", "ward-7", "ehr"]["value"] == pytest.approx(page[49])
    p95 = found["response_p95_seconds", "ward-7", "ehr"]
    assert (p95["value"], p95["verdict"], p95["looks"]) == (pytest.approx(page[94]), "met", 100)
    assert found["response_p50_seconds", "ed", "ehr"]["verdict"] == "not known"
    ward = found["availability_ratio", "ward-7", "ehr"]
    assert ward["verdict"] == "missed"  # 5,430 s lost and 900 s slow of 31 days and an hour: more than 2,682 s
    assert found["availability_ratio", "ed", "ehr"]["verdict"] == "not known"  # 900 s slow, but 29.8 days not seen
    assert ("availability_ratio", "ed", "lab") not in found  # tier 2
    signal = sorted(-60.0 - n / 2 for n in range(50))
    assert found["wifi_signal_dbm", "ward-7", None]["value"] == signal[4]
    assert found["battery_ratio", "ward-7", None]["value"] == pytest.approx(1.0 - 39 / 60)
    logons = sorted(took for listed in LOGONS.values() for _, took in listed)
    assert len(logons) == 10
    assert found["logon_p95_seconds", "ward-7", None]["verdict"] == "not known"  # fewer than 20 logons
    for row in parts["standards"].rows:
        assert (row["verdict"] == "not known") or row["value"] is not None


def test_working_at_a_pc_by_hand(parts: dict[str, Section]) -> None:
    """Looks at the record from pc-1 alone; the trolley changed its channel four times in 50 looks of five steps."""
    ward = rows_by(parts["experience"], "area")["ward-7"]
    logons = sorted(took for listed in LOGONS.values() for _, took in listed)
    assert (ward["reporting"], ward["pcs"], ward["logons"], ward["restarts"]) == (3, 4, 10, 2)
    assert (ward["logon_p50_seconds"], ward["logon_p95_seconds"]) == (logons[4], logons[9])
    assert (ward["screens"], ward["attention_breaks"], ward["roams"]) == (100, 0, 4)
    assert ward["screen_p95_seconds"] == sorted(LOOKS)[94]
    assert ward["battery_least_ratio"] == pytest.approx(1.0 - 39 / 60)
    nothing = rows_by(parts["experience"], "area")["ed"]
    assert (nothing["reporting"], nothing["pcs"], nothing["logon_p50_seconds"]) == (0, 1, None)


def test_slowest_pcs_are_machines(parts: dict[str, Section]) -> None:
    (row,) = parts["slowest-pcs"].rows  # pc-2 had two logons only
    took = sorted(took for _, took in LOGONS["pc-1"])
    assert (row["pc"], row["logons"], row["logon_p50_seconds"], row["logon_p95_seconds"]) == (
        "pc-1",
        8,
        took[3],
        took[7],
    )
    assert parts["slowest-pcs"].figures == {"reporting": 3, "pcs": 4}


def test_scorecard_and_changes_by_hand(parts: dict[str, Section]) -> None:
    found = rows_by(parts["scorecard"], "who")
    supplier = found["supplier-x: record"]
    assert (supplier["incidents"], supplier["open_seconds"], supplier["mean_to_repair_seconds"]) == (1, 3600.0, 3600.0)
    assert found["apps: lims"]["lost_seconds"] == pytest.approx(6 * 0.5 * 3_600.0, abs=6 * 0.5 * 120)
    (change,) = parts["changes"].rows
    assert (change["change"], change["incidents"], change["hurt"], change["worst_severity"]) == ("patch", 1, True, 2)
    assert change["starts_at"] == START + DAY_S + 7_200.0


def test_legacy_wishes_and_votes_by_hand(parts: dict[str, Section]) -> None:
    old, still = parts["legacy"].rows
    assert (old["id"], old["state"], still["id"], still["state"]) == ("scanner", "retired", "lims-7", "out of support")
    assert (old["incidents_before"], old["incidents_after"]) == (1, 0)  # inc-f before; inc-g is 30 days before
    assert old["days_after"] == round(
        20 + 1 + 1 / 24, 3
    )  # 11 October to the end of the month, with the hour of October
    assert [(row["id"], row["done_on"], row["waiting_days"]) for row in parts["asked"].rows] == [
        ("a2", None, 26), ("a1", "2025-10-20", None)]  # fmt: skip
    (ward,) = parts["shifts"].rows  # one answer of ED is not shown
    assert (ward["answers"], ward["good"], ward["slow"], ward["bad"]) == (6, 4, 1, 1)
    assert parts["shifts"].figures == {"answers": 6, "areas_not_shown": 1}


def test_the_page_has_every_part_and_no_person(record: Record, parts: dict[str, Section]) -> None:
    listed = list(parts.values())
    page, data = html(record, listed), as_data(record, listed)
    for part in listed:
        assert f'id="{part.id}"' in page
        assert all(set(row) >= {column.key for column in part.columns} for row in part.rows)
        assert part.chart is None or not part.rows or part.chart.value in part.rows[0]
    text = page + str(data)
    assert "Duty engineer" not in text
    assert len(incidents()) == 7
