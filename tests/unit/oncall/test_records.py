"""What the record of an incident in a ticket system hears: made once, every change, the end; it is nobody's page."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from daemons.paging import AT_ONCE, MORNING, NIGHT, estate, impact, incident, member, mitigated
from healthmon.alerting.oncall.escalation import due
from healthmon.alerting.oncall.roster import Roster
from healthmon.alerting.oncall.waking import DEFAULT_WAKING
from healthmon.model.incident import Entry, Incident, IncidentState, Notice, NoticeResult, Policy, Step, Why
from healthmon.model.oncall import OncallPlan

ESTATE = estate()
ROSTER = Roster(OncallPlan(records=frozenset({"tickets"})))
POLICY = Policy("all", (Step(0.0, ("tickets", "pager")), Step(300.0, ("mail",))), severities=(1, 2, 3, 4, 5))


class Book:
    """Asks as the engine does, and keeps what was told."""

    def __init__(self, *policies: Policy, **more: Any) -> None:
        self.told: dict[str, Notice] = {}
        self.more = {"policies": policies or (POLICY,), "mode": "live", "waking": AT_ONCE, "roster": ROSTER} | more
        self.rows: list[str] = []

    def ask(self, about: Incident, now: float) -> list[tuple[str, Why]]:
        found, rows = due(about, told=self.told, now=now, estate=ESTATE, **self.more)
        self.told |= {one.key: replace(one, result=NoticeResult.SENT) for one in found}
        self.rows += [row.cause for row in rows]
        assert due(about, told=self.told, now=now, estate=ESTATE, **self.more)[0] == ()  # asked again, nothing new
        return [(one.channel, one.why) for one in found]

    def records(self, about: Incident, now: float) -> list[Why]:
        return [why for channel, why in self.ask(about, now) if channel == "tickets"]


def resolved(of: Incident, at: float) -> Incident:
    return replace(of, state=IncidentState.RESOLVED, resolved_at=at)


def test_the_whole_life_of_a_record() -> None:
    book, about = Book(), incident(3)
    assert book.records(about, MORNING) == [Why.OPENED]
    assert book.records(about, MORNING + 5.0) == []
    worse = replace(about, severity=2, worst_severity=2)
    assert book.records(worse, MORNING + 10.0) == []  # changes are told together, every half minute at most
    assert book.records(worse, MORNING + 40.0) == [Why.WORSE]
    wider = replace(worse, impact=impact("ward-7", "ed"))
    assert book.records(wider, MORNING + 80.0) == [Why.NEW_AREA]
    line = Entry(MORNING + 100.0, "ack", "Duty engineer has it", by="Duty engineer")
    taken = replace(wider, owner="Duty engineer", state=IncidentState.ACKNOWLEDGED, timeline=(line,))
    assert book.records(taken, MORNING + 120.0) == [Why.CHANGED]
    eased = replace(taken, severity=4, impact=impact("ed"))
    assert book.records(eased, MORNING + 160.0) == [Why.CHANGED]
    assert book.records(eased, MORNING + 900.0) == []
    assert book.records(mitigated(eased, MORNING + 910.0), MORNING + 910.0) == [Why.MITIGATED]
    assert book.records(resolved(eased, MORNING + 2800.0), MORNING + 2800.0) == [Why.RESOLVED]
    assert book.records(resolved(eased, MORNING + 2800.0), MORNING + 2900.0) == []
    again = replace(eased, episode=2)
    assert book.records(again, MORNING + 3000.0) == [Why.OPENED]
    assert book.records(resolved(again, MORNING + 3100.0), MORNING + 3100.0) == [Why.RESOLVED]


def test_people_are_paged_as_if_there_were_no_record() -> None:
    book, plain = Book(), Book(replace(POLICY, steps=(Step(0.0, ("pager",)), Step(300.0, ("mail",)))))
    about = incident(2)
    worse = replace(about, severity=1, worst_severity=1, impact=impact("ward-7", "ed"))
    for state, after in ((about, 0.0), (about, 301.0), (worse, 400.0), (mitigated(worse, MORNING + 500.0), 500.0)):
        mine = [one for one in book.ask(state, MORNING + after) if one[0] != "tickets"]
        assert mine == plain.ask(state, MORNING + after)
    assert book.rows == plain.rows


@pytest.mark.parametrize("severity", [4, 5])
def test_what_wakes_nobody_has_a_record(severity: int) -> None:
    book = Book()
    assert book.ask(incident(severity), NIGHT) == [("tickets", Why.OPENED)]
    assert book.rows == ["not_woken"]


def test_a_step_of_records_alone_reaches_nobody_so_the_next_does_not_wait() -> None:
    book = Book(Policy("all", (Step(0.0, ("tickets",)), Step(300.0, ("mail",))), severities=(1, 2)))
    assert book.ask(incident(2), MORNING) == [("mail", Why.ESCALATED), ("tickets", Why.OPENED)]


def test_a_record_that_nobody_asked_for_is_not_made() -> None:
    book = Book(replace(POLICY, severities=(1, 2)))
    assert book.records(incident(3), MORNING) == []
    later = Book(Policy("all", (Step(0.0, ("pager",)), Step(600.0, ("tickets",))), severities=(1, 2, 3)))
    taken = replace(incident(2), state=IncidentState.ACKNOWLEDGED, owner="Duty engineer")
    assert later.records(incident(2), MORNING + 599.0) == []
    assert later.records(taken, MORNING + 601.0) == []
    assert later.records(incident(2), MORNING + 602.0) == [Why.OPENED]


def test_what_heals_before_its_page_has_no_record() -> None:
    book = Book(waking=DEFAULT_WAKING)
    about = replace(incident(2, at=NIGHT), members=(member(at=NIGHT),))
    assert book.records(about, NIGHT + 5.0) == []
    assert book.records(mitigated(about, NIGHT + 30.0), NIGHT + 30.0) == []
    assert Book(waking=DEFAULT_WAKING).records(about, NIGHT + 61.0) == [Why.OPENED]


def test_what_went_into_another_incident_is_closed_and_the_other_goes_on() -> None:
    book, younger = Book(), incident(2)
    older = replace(younger, id="inc-0")
    assert book.records(younger, MORNING) == [Why.OPENED]
    assert book.records(older, MORNING) == [Why.OPENED]
    gone = replace(resolved(younger, MORNING + 60.0), merged_into="inc-0")
    assert book.records(gone, MORNING + 60.0) == [Why.RESOLVED]
    assert book.records(gone, MORNING + 61.0) == []
    book.more["absorbed"] = ("inc-1",)
    assert book.records(older, MORNING + 61.0) == []


def test_nothing_is_recorded_in_shadow_mode() -> None:
    book = Book(mode="shadow")
    assert book.ask(incident(2), MORNING) == []
    assert book.rows.count("shadow") == 2


def test_a_record_that_could_not_be_made_is_tried_with_the_next_change() -> None:
    book, about = Book(), incident(3)
    assert book.records(about, MORNING) == [Why.OPENED]
    book.told = {key: replace(one, result=NoticeResult.DEAD) for key, one in book.told.items()}
    assert book.records(replace(about, severity=2), MORNING + 1.0) == [Why.WORSE]
