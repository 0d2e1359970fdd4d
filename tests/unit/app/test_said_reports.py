"""Tickets that came over the API, told line by line, are reports of the month; an export of the same says more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from daemons.month import START, incident, october
from healthmon.alerting.journal import Journal
from healthmon.app.saidreports import both, told_tickets, ward_reports
from healthmon.model.report import Said, WardReport
from healthmon.reports.tickets import Ticket


def told(journal: Journal, number: str, state: str, at: float, *, incidents: tuple[str, ...] = ()) -> None:
    body = {"system": "desk", "number": number, "state": state, "at": START + at, "opened_at": START + 100.0,
            "area": "ward-7", "service": "", "incidents": list(incidents)}  # fmt: skip
    journal.append("ticket", at=START + at, body=body, key=f"{number}|{state}")


def test_lines_of_one_ticket_are_one_report(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite")
    told(journal, "A1", "open", 110.0)
    told(journal, "A1", "closed", 500.0, incidents=("inc-a",))
    told(journal, "A1", "reopened", 900.0)
    told(journal, "A2", "open", 120.0)
    first, second = told_tickets(journal, october(), {"inc-a": START + 200.0})
    assert first == Ticket("A1", START + 100.0, area="ward-7", owned_at=START + 200.0, closed_at=START + 500.0,
                           reopened=True, incident="inc-a", source="desk")  # fmt: skip
    assert (second.id, second.service, second.owned_at, second.closed_at) == ("A2", None, None, None)
    journal.close()


def test_what_a_ward_pressed_is_a_report_with_the_owner_of_its_incident() -> None:
    pressed = WardReport("ward-7", "ehr", Said.NOBODY_CAN_WORK, START + 60.0, START + 90.0, again_at=(START + 900.0,))
    told_of = replace(pressed, area="ed", source="desk")
    one = incident("inc-a", 100.0, reports=(pressed, told_of))
    assert ward_reports([one]) == [
        Ticket("inc-a/ward-7/ehr", START + 60.0, channel="ward", area="ward-7", service="ehr", priority=1,
               owned_at=START + 220.0, reopened=True, incident="inc-a", source="ward")
    ]  # fmt: skip


def test_of_one_that_came_both_ways_the_export_counts() -> None:
    exported = [Ticket("A1", 5.0, channel="phone"), Ticket("A3", 6.0)]
    found = both(exported, [Ticket("A1", 5.0), Ticket("A2", 7.0)])
    assert sorted((one.id, one.channel) for one in found) == [("A1", "phone"), ("A2", ""), ("A3", "")]
