"""Waits counted while they come in cost what the month's report says that they cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

from daemons.paging import MORNING, estate
from daemons.webboard import Hospital
from healthmon.app.lostticker import LostTicker
from healthmon.app.lostwaits import LiveWaits
from healthmon.config import SiteConfig
from healthmon.impact.hours import Calendar
from healthmon.impact.losttime import measured_s, wait_cost_s
from healthmon.model.sample import Outcome, Reading, Sample
from healthmon.model.view import View
from healthmon.reports.care import Care
from healthmon.reports.endpoints import Event, pc_of
from healthmon.reports.lostwork import wait_of

PC = "pc-w7-01"
START = MORNING
CARE = Care()
CALENDAR = Calendar(estate(), {})


def told(minute: float, family: str, **values: float) -> Reading:
    samples = tuple(Sample(family, field, value) for field, value in values.items())
    return Reading(PC, family, PC, START + minute * 60.0, 0.1, Outcome.OK, samples=samples)


def logons(minute: float, *, logon_minute: float, took: float, boot: float = 30.0, sessions: float = 1.0) -> Reading:
    return told(minute, "host_logons", last_logon_age_seconds=(minute - logon_minute) * 60.0, logon_seconds=took,
                boot_seconds=boot, sessions=sessions)  # fmt: skip


#: A morning: the first look repeats what was before; two logons, a restart with and one without somebody there.
MINUTES = (
    logons(0, logon_minute=-40, took=20.0),
    logons(1, logon_minute=-40, took=20.0),
    logons(2, logon_minute=1.5, took=95.0),
    told(2.5, "host_waits", app_starts=2.0, app_start_seconds=50.0, record_opens=1.0, record_open_seconds=90.0),
    logons(3, logon_minute=1.5, took=95.0),
    told(3.5, "host_waits", app_starts=0.0, app_start_seconds=0.0, reconnects=1.0, reconnect_seconds=700.0),
    logons(4, logon_minute=3.9, took=61.0, boot=240.0),
    logons(5, logon_minute=3.9, took=61.0, boot=500.0, sessions=0.0),
)


def live(readings: Sequence[Reading], look_every: int = 1) -> list[Event]:
    """What is counted when the server looks after each so many readings."""
    waits, found, latest = LiveWaits(), [], {}
    for number, reading in enumerate(readings):
        latest[reading.target, reading.check, reading.vantage] = reading
        if number % look_every == 0:
            found += [event for _, event in waits.fresh(view(latest, reading.started), CALENDAR)]
    return found


def view(latest: dict[tuple[str, str, str], Reading], at: float) -> View:
    return replace(Hospital().view(), at=at, estate=estate(), latest=dict(latest))


def month(readings: Sequence[Reading]) -> float:
    points: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for reading in readings:
        for one in reading.samples:
            points.setdefault((one.family, one.field), []).append((reading.started, float(one.value)))
    pc = pc_of(PC, "ward-7", points, start=START, staffed=lambda at: CALENDAR.staffed("ward-7", at), hour=lambda at: 10)
    return measured_s([wait_of(event, CARE) for event in pc.events], CARE.costs)


def test_live_and_month_are_one_sum() -> None:
    events = live(MINUTES)
    assert [event.kind for event in events] == ["logon", "app_start", "app_start", "record_open", "reconnect", "logon",
                                                "restart", "restart"]  # fmt: skip
    assert [event.attended for event in events[-2:]] == [True, False]
    lost = sum(wait_cost_s(wait_of(event, CARE), CARE.costs) for event in events)
    # 35 + 1 of logons, twice 15 of programs, 58 + 180 of a record given up, 590 + 180 of a reconnect, 240 of a restart
    assert lost == month(MINUTES) == 35.0 + 1.0 + 30.0 + 238.0 + 770.0 + 240.0


def test_what_is_seen_again_counts_once() -> None:
    again = [reading for reading in MINUTES for _ in range(3)]
    assert live(again) == live(MINUTES)


def test_what_was_there_at_the_start_is_from_before() -> None:
    waits = LiveWaits()
    first = {(one.target, one.check, one.vantage): one for one in MINUTES[2:4]}
    assert list(waits.fresh(view(first, START + 200.0), CALENDAR)) == []


def test_a_word_where_sessions_are_counted_counts_nobody() -> None:
    people = LostTicker().people
    site = cast(SiteConfig, SimpleNamespace(care=CARE, estate=estate()))
    word = Sample("host_logons", "sessions", "two")
    odd = Reading(PC, "host_logons", PC, START, 0.1, Outcome.OK, samples=(word,))
    told_so = {(PC, "host_logons", PC): odd, (PC, "look", PC): told(0, "host_logons", sessions=2.0)}
    assert people(view({(PC, "host_logons", PC): odd}, START), site, "ward-7", CALENDAR) is None
    assert people(view(told_so, START), site, "ward-7", CALENDAR) == 2.0
