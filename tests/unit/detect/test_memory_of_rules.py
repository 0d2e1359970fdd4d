"""What rules remember: windows, counters, flapping, what is usual; bounded, and the same after a restart."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruleseries import MONDAY, estate, readings, told

from healthmon.alerting.detect.cells import SLOTS_MOST, Flapping, Slots, increase
from healthmon.alerting.detect.courses import seconds_to, theil_sen
from healthmon.alerting.detect.desk import AlertDesk
from healthmon.alerting.detect.figures import span_text
from healthmon.alerting.detect.index import RuleIndex
from healthmon.alerting.detect.recall import Recall
from healthmon.alerting.detect.seasons import READINGS_KEPT, WEEKS_KEPT, HourBook, LocalHours, unusual
from healthmon.alerting.detect.trial import run
from healthmon.model.alert import AlertKey, Effect, Flap, NoData, OutcomeIs, Phase, Rule, Selector
from healthmon.model.condition import (
    Above,
    AnyOf,
    Baseline,
    Below,
    Changed,
    Condition,
    Forecast,
    Group,
    Limit,
    OfLast,
    Rate,
    Season,
    Slope,
    Take,
    Window,
)
from healthmon.model.sample import Outcome, Reading, Sample

METRIC = "http.duration_seconds"
FAILS = OutcomeIs((Outcome.FAILED,))


def rule(condition: Condition, **more: object) -> Rule:
    return replace(Rule("r", Selector(), condition, Effect.DEGRADED, NoData.HOLD, "x"), **more)  # type: ignore[arg-type]


def phases(one: Rule, text: str, every_s: float = 10.0) -> list[Phase]:
    return [step.after for step in told(one, {METRIC: text}, every_s)]


# counters and windows


@pytest.mark.parametrize(
    ("before", "after", "bits", "rise"),
    [
        (10.0, 25.0, 0, 15.0),
        (10.0, 4.0, 0, 4.0),  # restarted
        (2.0**32 - 10, 5.0, 32, 15.0),  # wrapped
        (2.0**31, 5.0, 32, 5.0),  # half way: restarted
        (2.0**32 - 10, 5.0, 64, 5.0),  # a 64-bit counter does not wrap there
        (2.0**64 - 4096, 4096.0, 64, 8192.0),
    ],
)
def test_how_far_a_counter_rose(before: float, after: float, bits: int, rise: float) -> None:
    assert increase(before, after, bits) == rise


@given(st.lists(st.floats(0, 1e9), min_size=2, max_size=40), st.sampled_from([0, 32, 64]))
@settings(max_examples=30, deadline=None)
def test_a_counter_never_falls(seen: list[float], bits: int) -> None:
    slots = Slots(1000.0)
    totals = []
    for number, value in enumerate(seen):
        slots.count_up(number * 10.0, value, bits)
        totals.append(slots.total)
    assert totals == sorted(totals)


@given(st.lists(st.tuples(st.floats(0.1, 40), st.floats(-1e6, 1e6)), min_size=1, max_size=200))
@settings(max_examples=30, deadline=None)
def test_a_window_is_bounded_and_comes_back_as_it_was(steps: list[tuple[float, float]]) -> None:
    slots, at = Slots(300.0), 1000.0
    for step, value in steps:
        at += step
        slots.put(at, value)
        again = Slots(300.0)
        for part in (0, 1):
            again.load(part, slots.pack(part))
        assert [again.column(n) for n in range(6)] == [slots.column(n) for n in range(6)]
        assert (again.at, again.began, again.count()) == (slots.at, slots.began, slots.count())
    assert len(slots.column(0)) <= SLOTS_MOST + 1
    assert all(seen > at - 300.0 for seen in slots.column(0))


def test_nothing_is_judged_before_a_window_was_full() -> None:
    one = rule(Window(METRIC, 100.0, Take.AVG, Limit(high=1.0)))
    assert phases(one, "9*8") == []
    assert phases(one, "9*9") == [Phase.FIRING]
    assert phases(one, "9*8 _*11 9*8") == []


# open questions


EITHER = rule(AnyOf((Below("a.b", 0.5), Above("a.c", 0.5))))


def steps_of(*samples: dict[str, float]) -> list[Phase]:
    looks = [
        Reading(
            "web", "up", "poller", MONDAY + 10 * n, 0.0, Outcome.OK, samples=tuple(Sample("a", *p) for p in one.items())
        )
        for n, one in enumerate(samples)
    ]
    return [step.after for step in run([EITHER], estate(10.0), looks, MONDAY + 10 * len(looks))]


def test_a_metric_that_is_not_there_does_not_keep_what_another_raised() -> None:
    assert steps_of({"b": 0.0}, {"b": 1.0}) == [Phase.FIRING, Phase.CLEAR]


def test_a_metric_that_raised_it_keeps_it_until_it_is_seen_again() -> None:
    assert steps_of({"b": 1.0, "c": 1.0}, {"b": 1.0}) == [Phase.FIRING]
    assert steps_of({"b": 0.0}, {"b": 0.0, "c": 1.0}, {"b": 1.0}) == [Phase.FIRING]
    assert steps_of({"b": 1.0, "c": 1.0}, {"b": 1.0}, {"b": 1.0, "c": 0.0}) == [Phase.FIRING, Phase.CLEAR]
    assert steps_of({"b": 0.0}, {}) == [Phase.FIRING]


# flapping


def test_icingas_example_is_39_1_percent() -> None:
    """Its changes weigh 0.84, 0.86, 0.88, 0.9, 0.98, 1.06, 1.12 and 1.18; seven quiet ones later it is calm."""
    cell, bad = Flapping(), False
    for place in range(20):
        bad ^= place in (2, 3, 4, 5, 9, 13, 16, 19)
        on = cell.put(float(place), bad, high=0.30, low=0.25)
    assert cell.share() == pytest.approx(0.391)
    assert on
    calm = [cell.put(20.0 + n, bad, high=0.30, low=0.25) for n in range(7)]
    assert (calm[0], calm[-1]) == (True, False)


def test_an_alert_that_flaps_is_one_alert() -> None:
    flapping = "1*3" + " x 1" * 10 + " 1*30"
    assert phases(rule(FAILS), flapping).count(Phase.FIRING) == 10
    one = rule(FAILS, flap=Flap())
    found = phases(one, flapping)
    assert found.count(Phase.CLEAR) < 5
    assert found[-1] is Phase.CLEAR


# what is coming


@pytest.mark.parametrize("noise", [0.0, 0.0005])
@pytest.mark.parametrize("hours", [2.0, 10.0])
def test_the_time_to_full_of_a_ramp_is_right_within_a_tenth(hours: float, noise: float) -> None:
    shake = random.Random(7)
    slope = (0.98 - 0.70) / ((hours + 3.0) * 3600.0)
    points = [(60.0 * n, 0.70 + slope * 60.0 * n + shake.gauss(0, noise)) for n in range(0, 181, 3)]
    points[20] = (points[20][0], 0.1)  # one wild value
    course = theil_sen(points, 0.9)
    assert course is not None
    likely, soonest, latest = seconds_to(course, 0.98, 10_800.0, rising=True)
    assert likely == pytest.approx(hours * 3600.0, rel=0.1)
    assert soonest <= likely <= latest


def test_what_does_not_move_there_never_arrives() -> None:
    course = theil_sen([(60.0 * n, 0.5 - 0.0001 * n) for n in range(20)], 0.9)
    assert course is not None
    assert seconds_to(course, 0.98, 1200.0, rising=True)[0] == math.inf
    assert (span_text(math.inf), span_text(2400), span_text(18_000), span_text(864_000)) == (
        "never",
        "40 min",
        "5.0 h",
        "10.0 days",
    )


# what is usual


def test_hours_are_those_of_the_sites_wall_with_both_changes_of_the_clock() -> None:
    zone = ZoneInfo("Europe/London")
    hours = LocalHours(lambda _site, at: datetime.fromtimestamp(at, zone))
    autumn = datetime(2026, 10, 25, 0, 30, tzinfo=zone).timestamp()
    assert [hours.of("main", autumn + 3600 * n)[1] for n in range(4)] == [144, 145, 145, 146]
    spring = datetime(2026, 3, 29, 0, 30, tzinfo=zone).timestamp()
    assert [hours.of("main", spring + 3600 * n)[1] for n in range(3)] == [144, 146, 147]


def weeks(book: HourBook, count: int, first: int, level: float = 1.0) -> int:
    """So many whole weeks with a daily rhythm, four readings an hour; the hour after them."""
    for hour in range(first, first + count * 168):
        for n in range(4):
            book.learn(hour, level + (hour % 24) / 10 + n / 100, unusual=False)
    return first + count * 168


def test_it_learns_weeks_and_forgets_none_of_the_rhythm() -> None:
    book, first = HourBook(Season.HOUR_OF_WEEK), 24 * (datetime(2026, 11, 2).toordinal())
    nxt = weeks(book, 3, first)
    usual = book.usual(nxt + 10)
    assert usual is not None
    assert (usual.periods, round(usual.value, 1)) == (3, 2.0)
    assert book.known() == 3
    weeks(book, 9, nxt)
    assert book.known() == WEEKS_KEPT, "counted again after it has learned"
    assert sum(len(book.pack(part)) for part in range(9)) < 20_000


def test_an_incident_is_not_learned_and_a_new_normal_is() -> None:
    book, first = HourBook(Season.HOUR_OF_WEEK), 24 * (datetime(2026, 11, 2).toordinal())
    nxt = weeks(book, 3, first)
    for hour in range(nxt, nxt + 30):
        for _ in range(4):
            book.learn(hour, 99.0, unusual=True)
    after = book.usual(nxt + 168 + 10)
    assert after is not None
    assert round(after.value, 1) == 2.0
    for hour in range(nxt + 30, nxt + 170):
        for _ in range(4):
            book.learn(hour, 99.0, unusual=True)
    assert book.usual(nxt + 171) is None


@pytest.mark.parametrize(
    ("season", "weeks_known", "unusual_weeks"), [(Season.HOUR_OF_WEEK, 6, 3), (Season.HOUR_OF_DAY, 3, 1)]
)
def test_a_new_normal_by_day_is_learned_although_the_night_is_as_ever(
    season: Season, weeks_known: int, unusual_weeks: int
) -> None:
    """The day goes from 0.5 to 3.0 and stays; written and read every week, as a restart would."""
    asked, book = Baseline(METRIC, factor=3.0, mads=5.0, floor=0.5, season=season), HourBook(season)
    first, found = 24 * datetime(2026, 11, 2).toordinal(), []
    for week in range(weeks_known + 8):
        wrong = 0
        for hour in range(first + week * 168, first + week * 168 + 168):
            by_day = 0.5 if week < weeks_known else 3.0
            value = by_day if 8 <= hour % 24 < 18 else 0.3
            for _ in range(3):
                usual = book.usual(hour)
                odd = usual is not None and usual.periods >= asked.weeks and unusual(asked, usual, value)
                wrong += odd
                book.learn(hour, value, unusual=odd)
        found.append(wrong)
        parts = {part: book.pack(part) for part in range(9 if season is Season.HOUR_OF_WEEK else 3)}
        book = HourBook(season)
        for part, body in parts.items():
            book.load(part, body)
    assert found == [0] * weeks_known + [3 * 10 * 7] * unusual_weeks + [0] * (8 - unusual_weeks)


def test_what_went_wrong_two_weeks_running_is_not_the_new_normal() -> None:
    book, first = HourBook(Season.HOUR_OF_WEEK), 24 * datetime(2026, 11, 2).toordinal()
    nxt = weeks(book, 3, first)
    for week in range(3):
        for hour in range(nxt + week * 168, nxt + week * 168 + 168):
            odd = week < 2 and hour % 24 == 10
            for n in range(4):
                book.learn(hour, 99.0 if odd else 1.0 + (hour % 24) / 10 + n / 100, unusual=odd)
    usual = book.usual(nxt + 3 * 168 + 10)
    assert usual is not None
    assert round(usual.value, 1) == 2.0


def test_late_hours_fill_gaps_and_change_nothing_else() -> None:
    book, first = HourBook(Season.HOUR_OF_WEEK), 24 * (datetime(2026, 11, 2).toordinal())
    nxt = weeks(book, 2, first)
    for hour in (nxt + 40, nxt + 20, nxt + 19, first + 10, first + 9):
        for _ in range(4):
            book.learn(hour, 7.0, unusual=False)
    book.learn(nxt + 41, 1.0, unusual=False)
    late, before = book.usual(nxt + 168 + 20), book.usual(nxt + 10)
    assert late is not None
    assert before is not None
    assert late.periods == 3
    assert round(before.value, 1) == 2.0


def test_an_hour_keeps_few_readings() -> None:
    book = HourBook(Season.HOUR_OF_DAY)
    for n in range(3600):
        book.learn(1, float(n), unusual=False)
    assert len(book.open.values) < READINGS_KEPT


def test_planted_anomalies_are_found_and_noise_is_not() -> None:
    """Our own series: six weeks of daily load, noise with a heavy tail; every tenth hour of the last week is bad."""
    shake, book = random.Random(3), HourBook(Season.HOUR_OF_WEEK)
    asked = Baseline(METRIC, factor=2.0, mads=5.0, floor=0.2)
    from healthmon.alerting.detect.sight import _against

    hits = false = missed = quiet = 0
    first = 24 * (datetime(2026, 11, 2).toordinal())
    for hour in range(first, first + 6 * 168):
        level = 0.4 + 0.8 * (8 <= hour % 24 < 18)
        bad = hour >= first + 5 * 168 and hour % 10 == 0
        for _ in range(12):
            value = (
                level * (5.0 if bad else 1.0) * math.exp(shake.gauss(0, 0.12)) * (1.6 if shake.random() < 0.01 else 1)
            )
            said = _against(asked, book.usual(hour), value)[0]
            hits, missed = hits + (bad and said is True), missed + (bad and said is not True)
            false, quiet = false + (not bad and said is True), quiet + (not bad and said is not True)
            book.learn(hour, value, unusual=said is True)
    assert hits / (hits + missed) > 0.99  # recall
    assert false / (false + quiet) < 0.001


# restarts


REMEMBERING = (
    rule(Window(METRIC, 60.0, Take.AVG, Limit(high=1.0)), id="avg", clear_confirm=2),
    rule(Rate(METRIC, 60.0, Limit(high=0.05), bits=32), id="rate"),
    rule(Slope(METRIC, 60.0, Limit(high=5.0)), id="slope"),
    rule(OfLast(2, 4, FAILS), id="two"),
    rule(Changed(METRIC, 30.0), id="changed"),
    rule(Forecast(METRIC, Limit(high=9.0), 600.0, 120.0, least=3), id="soon"),
    rule(FAILS, id="flap", flap=Flap()),
    rule(Group(FAILS, by="site", at_least=2), id="both", hold_s=15.0),
    rule(Baseline(METRIC, factor=1.5, floor=0.1, weeks=1, season=Season.HOUR_OF_DAY), id="usual"),
)


class Run:
    """A desk that may be put down and taken up from what it has written after every reading."""

    def __init__(self, *, restarts: bool) -> None:
        self.restarts = restarts
        self.disk: dict[str, bytes] = {}
        self.latest: dict[tuple[str, str, str], Reading] = {}
        self.said: list[tuple[float, AlertKey, Phase]] = []
        self.desk = self.fresh()

    def fresh(self) -> AlertDesk:
        own = estate(10.0)
        return AlertDesk(own, RuleIndex(own, REMEMBERING), lambda _area, _at: True, self.latest, {})

    def read(self, reading: Reading) -> None:
        at = reading.started
        self.desk.pass_time(at, at)
        self.latest[(reading.target, reading.check, reading.vantage)] = reading
        self.desk.read(reading, at)
        self.desk.pass_time(at, at)
        self.said += [(at, alert.key, alert.phase) for alert in self.desk.drain()]
        for key, body in self.desk.recall.written().items():
            self.disk[key] = body
            if not body:
                del self.disk[key]
        if self.restarts:
            alerts, self.desk = dict(self.desk.alerts), self.fresh()
            self.desk.restore(alerts, at)
            self.desk.remember(self.disk)
            self.desk.count_again(self.latest.values())
            for one in self.latest.values():
                self.desk.unheard.watch(one)


@given(st.lists(st.sampled_from(["0.5", "0.7", "1.4", "3", "9", "x", "?", "_"]), min_size=20, max_size=60))
@settings(max_examples=20, deadline=None)
def test_a_restart_after_every_reading_changes_nothing(words: list[str]) -> None:
    plain, restarted = Run(restarts=False), Run(restarts=True)
    other = " ".join(reversed(words))
    series = {f"web {METRIC}": " ".join(words), f"archive {METRIC}": other}
    for reading in readings(series, 1500.0 if len(words) % 2 else 10.0):
        plain.read(reading)
        restarted.read(reading)
    assert restarted.said == plain.said
    assert restarted.disk == plain.disk


def test_memory_of_rules_and_targets_that_are_gone_is_forgotten() -> None:
    run_ = Run(restarts=False)
    for reading in readings({f"web {METRIC}": "1 2 3"}, 10.0):
        run_.read(reading)
    recall = Recall(lambda _id: "main", lambda _site, at: datetime.fromtimestamp(at, ZoneInfo("UTC")))
    recall.restore({**run_.disk, "nonsense": b"1"}, [], lambda _id: True)
    assert len(recall) == 0
    assert recall.written() == dict.fromkeys([*run_.disk, "nonsense"], b"")
