"""What an agent saw while it could not be heard: on a timeline, marked late, and nobody is paged for it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from smallsite import Night, check, estate_of, hospital, target

from healthmon.alerting.incidents import latefaults
from healthmon.alerting.incidents.latefaults import LATE, QUIET_S, LateBook
from healthmon.model.alert import Phase
from healthmon.model.incident import Incident
from healthmon.model.sample import Outcome, Reading, Reason
from healthmon.model.topology import Agent

PC = "pc-w7-1"


def silent(seconds: float, *, restart: bool = False) -> tuple[Night, float]:
    """A night in which one PC has not been heard for so long; when that began."""
    night = Night(hospital(), restart_every_step=restart)
    night.run(40.0)
    night.quiet.add(PC)
    began = night.now
    night.run(seconds)
    return night, began


def looks(began: float, seconds: float, bad: Callable[[float], Reason | None]) -> list[Reading]:
    """What the PC saw of the patient record, each 10 s, newest first."""
    found = []
    for n in range(int(seconds // 10)):
        reason = bad(n * 10.0)
        outcome = Outcome.FAILED if reason else Outcome.OK
        found.append(Reading("ehr-web", "read", PC, began + n * 10.0, 0.0, outcome, reason))
    return found[::-1]


def heard_again(night: Night, late: list[Reading]) -> None:
    """It is back, live first, then what it has kept, in pieces."""
    night.quiet.discard(PC)
    night.run(3.0)
    for first in range(0, len(late), 5):
        night.engine.observe(late[first : first + 5], now=night.now, live=False)
        night.run(1.0)
    night.run(QUIET_S + 2.0)


def entries(night: Night) -> list[tuple[Incident, str]]:
    return [
        (incident, entry.text)
        for incident in night.incidents(open_only=False)
        for entry in incident.timeline
        if entry.what == LATE
    ]


def ended(at: float) -> Reason | None:
    return Reason.BAD_STATUS if 60.0 <= at < 110.0 else None


@pytest.mark.parametrize("restart", [False, True])
def test_a_fault_wholly_inside_a_silence_is_on_its_timeline_and_pages_nobody(restart: bool) -> None:
    night, began = silent(200.0, restart=restart)
    told = len(night.notices)
    heard_again(night, looks(began, 200.0, ended))
    ((incident, text),) = entries(night)
    assert any(PC in member.key.target for member in incident.members)
    assert "ehr-web failed from 10:01 to 10:02 (bad_status, 5 looks)" in text
    assert {notice.incident for notice in night.notices[told:]} <= {incident.id}
    assert [one.id for one in night.incidents(open_only=False)] == [incident.id], "no incident of its own"
    assert not any(key.startswith("*late") for key in night.journal.state.memory), "nothing is kept once it is told"


def test_two_faults_in_one_silence_are_two_entries() -> None:
    night, began = silent(300.0)
    heard_again(night, looks(began, 300.0, lambda at: Reason.REFUSED if at in (50.0, 60.0, 200.0, 210.0) else None))
    assert [text.partition(" failed ")[2][:18] for _, text in entries(night)] == [
        "from 10:01 to 10:0",
        "from 10:04 to 10:0",
    ]


def test_the_looker_s_own_cut_is_no_fault_of_what_it_could_not_reach() -> None:
    night, began = silent(200.0)
    heard_again(night, looks(began, 200.0, lambda at: Reason.TIMEOUT if at >= 10.0 else None))
    assert entries(night) == []


def test_a_fault_that_lasts_is_told_to_have_begun_earlier() -> None:
    night, began = silent(100.0)
    for vantage in ("poller", PC):
        assert vantage in night.estate.agents
    night.down["ehr-web"] = Reason.BAD_STATUS
    night.run(100.0)
    heard_again(night, looks(began, 200.0, lambda at: Reason.BAD_STATUS if at >= 50.0 else None))
    ((incident, text),) = entries(night)
    assert incident.root is not None
    assert incident.root.target == "ehr-web"
    assert "had failed since 10:01 already (bad_status)" in text


def test_what_no_incident_tells_of_stands_in_the_ledger() -> None:
    night = Night(hospital()).run(40.0)
    late = looks(night.now - 400.0, 200.0, ended)
    night.engine.observe(late, now=night.now, live=False)
    night.run(QUIET_S + 2.0)
    rows = [row for row in night.ledger if row.cause == LATE]
    assert [(row.incident, "ehr-web failed from" in row.because) for row in rows] == [("", True)]
    assert night.notices == []


def test_any_order_gives_the_same_spans() -> None:
    late = looks(1_000_000.0, 600.0, lambda at: Reason.REFUSED if int(at / 70) % 2 else None)
    chance, found = random.Random(5), set()
    for _ in range(20):
        chance.shuffle(late)
        book = LateBook()
        for reading in late:
            book.note(reading, 1.0, every_s=10.0)
        found.add(tuple(book.settled(1.0 + QUIET_S)))
    (spans,) = found
    assert [span.looks for span in spans] == [7, 7, 7, 7]


def test_it_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latefaults, "_SPANS_MOST", 10)
    book, first = LateBook(), looks(1_000_000.0, 10.0, lambda at: Reason.REFUSED)[0]
    for n in range(50):
        book.note(replace(first, started=first.started + 1000.0 * n), 1.0, every_s=10.0)
    assert book.counters["late_faults_left_out"] == 40
    assert len(book.settled(100.0)) == 10


HOURLY = estate_of(
    [target("srv", "server", checks=(check("http", 3_600.0),)), target("mon", "server")],
    agents=[Agent("poller", "mon")],
)


def hourly(late_s: float, *, live: bool = True) -> Night:
    """Four looks of a check that runs each hour; each fails, and comes in so late."""
    night = Night(HOURLY)
    night.engine.tick(night.now)
    for _ in range(4):
        night.now += 3_600.0
        look = Reading("srv", "http", "poller", night.now - late_s, 0.0, Outcome.FAILED, Reason.REFUSED)
        night.engine.observe([look], now=night.now, live=live)
        night.tick()
    return night


def phases(night: Night) -> dict[str, Phase]:
    return {alert.key.target: alert.phase for alert in night.view().alerts}


@pytest.mark.parametrize("late_s", [61.0, 90.0, 3_000.0])
def test_the_newest_look_of_a_slow_check_is_of_the_present_until_the_next_is_due(late_s: float) -> None:
    night = hourly(late_s)
    assert phases(night) == {"srv": Phase.FIRING}
    night.now += 10.0  # long enough for news of what it depends on
    night.tick()
    assert len(night.incidents()) == 1


@pytest.mark.parametrize(("late_s", "live"), [(3_700.0, True), (90.0, False)])
def test_what_is_older_than_its_interval_or_was_kept_in_a_spool_raises_nothing(late_s: float, live: bool) -> None:
    assert phases(hourly(late_s, live=live)) == {}


def test_a_late_look_of_a_slow_check_changes_nothing_once_a_newer_one_is_known() -> None:
    night = Night(HOURLY)
    night.engine.tick(night.now)
    night.now += 3_600.0
    good = Reading("srv", "http", "poller", night.now - 1.0, 0.0, Outcome.OK)
    bad = [
        replace(good, started=night.now - age, outcome=Outcome.FAILED, reason=Reason.REFUSED) for age in (99, 98, 97)
    ]
    night.engine.observe([good, *bad], now=night.now)
    night.tick()
    assert phases(night) == {}
