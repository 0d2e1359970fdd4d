"""Who was first: tickets to incidents, shares and leads, each recomputed by hand from the raw month."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from daemons.month import START, TICKETS, incident, incidents, notice, october, site
from healthmon.config.tickets import read_ticket_map, read_tickets
from healthmon.model.errors import ConfigError
from healthmon.reports.figures import interval, percentile
from healthmon.reports.leadtime import lead_times
from healthmon.reports.record import Record
from healthmon.reports.tickets import Ticket, by_incident


@pytest.fixture
def tickets(tmp_path: Path) -> list[Ticket]:
    file = tmp_path / "export.csv"
    file.write_text(TICKETS)
    found, problems = read_tickets(file, read_ticket_map("servicenow"), site(tmp_path).estate)
    assert not problems
    return found


@pytest.fixture
def record(tmp_path: Path, tickets: list[Ticket]) -> Record:
    found = incidents()
    told = {found[0].id: (notice(found[0]),)}
    return Record(october(), site(tmp_path).estate, tuple(found[:4]), told, (), tuple(tickets))


def test_an_export_becomes_reports_in_our_words(tickets: list[Ticket]) -> None:
    first = tickets[0]
    assert (first.area, first.service, first.channel, first.priority) == ("ward-7", "ehr", "portal", 2)
    assert first.opened_at == START + 10 * 3600 + 310
    assert first.owned_at == first.opened_at + 900
    assert [one.reopened for one in tickets] == [False, True, False, False, False]
    assert [one.channel for one in tickets] == ["portal", "phone", "phone", "email", "chatbot"]


def test_lead_times_by_hand(record: Record) -> None:
    part = lead_times(record)
    rows = {row["incident"]: row for row in part.rows}
    assert rows["inc-a"]["lead_seconds"] == (START + 10 * 3600 + 310) - (START + 36_010.0) == 300.0
    assert rows["inc-a"]["page_lead_seconds"] == 299.0
    assert rows["inc-a"]["reports"] == 2
    assert rows["inc-b"]["lead_seconds"] == (START + 13 * 3600 + 49 * 60 + 40) - (START + 50_020.0) == -240.0
    assert rows["inc-c"]["lead_seconds"] is None
    assert "inc-d" not in rows
    share = part.figures["raised_before_the_first_report"]
    assert (share["count"], share["of"], share["ratio"]) == (1, 2, 0.5)
    assert part.figures["nobody_reported"] == 1
    assert part.figures["reports_without_an_incident"] == 2
    assert part.figures["lead_seconds"] == {"n": 2, "least": -240.0, "p50": -240.0, "p90": 300.0, "most": 300.0}
    assert "before anyone noticed" not in " ".join(part.says)


def test_the_ward_button_counts_as_a_report(record: Record) -> None:
    pressed = replace(record.incidents[2], first_human_report_at=START + 60_030.0)
    part = lead_times(replace(record, incidents=(*record.incidents[:2], pressed)))
    row = next(row for row in part.rows if row["incident"] == "inc-c")
    assert row["lead_seconds"] == 30.0
    assert part.figures["raised_before_the_first_report"]["of"] == 3


def test_a_ticket_of_another_place_or_time_is_not_about_it() -> None:
    one = incident("x", 1000.0)
    for wrong in (Ticket("1", START + 1100, area="ed"), Ticket("2", START + 1100, area="ward-7", service="pacs"),
                  Ticket("3", START + 1000 + 3600 + 1801, area="ward-7"), Ticket("4", START - 6205, area="ward-7"),
                  Ticket("5", START + 1100), Ticket("6", START + 1100, incident="y")):  # fmt: skip
        assert by_incident([wrong], [one], until=START + 10_000) == ({}, (wrong,))
    for right in (Ticket("1", START + 1100, area="ward-7"), Ticket("2", START + 1100, target="sw-7"),
                  Ticket("3", START + 1100, service="lab"), Ticket("4", START + 90_000, incident="x")):  # fmt: skip
        assert by_incident([right], [one], until=START + 10_000) == ({"x": (right,)}, ())


def test_of_two_incidents_the_one_with_the_same_area_and_service_has_it() -> None:
    early = incident("early", 0.0)
    exact = replace(incident("exact", 900.0), impact=incident("z", 0.0).impact[1:])
    ticket = Ticket("1", START + 10.0, area="ward-7", service="lab")
    assert by_incident([ticket], [early, exact], until=START + 9e5)[0] == {"early": (ticket,)}
    other = replace(early, impact=early.impact[:1])
    assert by_incident([ticket], [other, exact], until=START + 9e5)[0] == {"exact": (ticket,)}


def test_bad_rows_are_named_and_the_rest_counts(tmp_path: Path) -> None:
    file = tmp_path / "export.csv"
    file.write_text(TICKETS + "INC6,some day,,,0,Phone,Ward 7,,,1\nINC1,2025-10-01 10:05:10,,,0,,,,,\n,,,,,,,,,\n")
    found, problems = read_tickets(file, read_ticket_map("servicenow"), site(tmp_path).estate)
    assert len(found) == 5
    assert [one.rpartition("csv")[2][:4] for one in problems] == [":7: ", ":8: ", ":9: "]
    file.write_text("a,b\n1,2\n")
    with pytest.raises(ConfigError, match="has no column number, opened_at"):
        read_tickets(file, read_ticket_map("servicenow"), site(tmp_path).estate)


@pytest.mark.parametrize("name", ["servicenow", "ivanti", "jira"])
def test_every_shipped_map_reads_its_own_columns(name: str, tmp_path: Path) -> None:
    form = read_ticket_map(name)
    file = tmp_path / "one.csv"
    file.write_text(f'"{form.id}","{form.opened}"\nA-1,2025-10-01T10:00:00+01:00\n')
    found, problems = read_tickets(file, form, site(tmp_path).estate)
    assert not problems
    assert found[0].opened_at == START + 36_000.0


def test_shares_have_wilsons_interval() -> None:
    low, high = interval(8, 10) or (0.0, 0.0)
    assert (round(low, 4), round(high, 4)) == (0.4902, 0.9433)  # Wilson (1927), as any table has it
    assert interval(0, 0) is None
    assert percentile([], 0.5) is None
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
