"""Rotas on a virtual clock: turns, layers, overrides, bank holidays, and the two days when clocks are changed."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healthmon.alerting.oncall.localtime import moment
from healthmon.alerting.oncall.rota import gaps, next_in_turn, on_call, shift_at, shifts
from healthmon.model.oncall import Handover, Layer, Override, Rota, Span
from healthmon.model.topology import Hours

LONDON = ZoneInfo("Europe/London")
WEEK_S, DAY_S, HOUR_S = 7 * 86_400.0, 86_400.0, 3_600.0
EVERY_DAY = tuple(Handover(day, 9 * 60) for day in range(7))


def at(text: str) -> float:
    """A local time in London."""
    return datetime.fromisoformat(text).replace(tzinfo=LONDON).timestamp()


def rota(*layers: Layer, zone: str = "Europe/London", holidays: frozenset[date] = frozenset()) -> Rota:
    return Rota("net", "Network", zone, layers, holidays)


WEEKLY = Layer("weeks", ("ann", "bob", "cat"), first=date(2026, 1, 5))


def test_turns_go_round_and_begin_at_the_handover() -> None:
    found = shifts(rota(WEEKLY), at("2026-01-01T00:00"), at("2026-02-02T09:00"))
    assert [shift.user for shift in found] == [None, "ann", "bob", "cat", "ann"]
    assert [shift.start for shift in found[1:]] == [at(f"2026-01-{day:02}T09:00") for day in (5, 12, 19, 26)]


@pytest.mark.parametrize(("day", "hours"), [("2026-03-28", 23), ("2026-10-24", 25), ("2026-06-01", 24)])
def test_a_daily_shift_over_the_change_of_the_clocks(day: str, hours: int) -> None:
    """Handover is at nine on the wall clock: the shift is an hour shorter in spring and an hour longer in autumn."""
    daily = rota(Layer("days", ("ann", "bob"), EVERY_DAY, first=date(2026, 1, 1)))
    start = at(f"{day}T09:00")
    mine = shift_at(daily, start + HOUR_S)
    assert (mine.start, mine.end - mine.start) == (start, hours * HOUR_S)


def test_a_handover_that_the_clocks_skip_is_at_the_skip_and_one_that_comes_twice_at_the_first() -> None:
    night = rota(Layer("n", ("ann", "bob"), tuple(Handover(day, 90) for day in range(7)), first=date(2026, 1, 1)))
    spring = datetime(2026, 3, 29, 1, 0, tzinfo=UTC).timestamp()  # 01:00 GMT becomes 02:00 BST
    autumn = datetime(2026, 10, 25, 0, 30, tzinfo=UTC).timestamp()  # 01:30 BST, an hour before 01:30 GMT
    for handover in (spring, autumn):
        before, after = on_call(night, handover - 1.0).user, on_call(night, handover).user
        assert before != after
        assert on_call(night, handover + HOUR_S).user == after


def test_two_weeks_each() -> None:
    found = shifts(rota(replace(WEEKLY, turns=2)), at("2026-01-05T09:00"), at("2026-02-16T09:00"))
    assert [(shift.user, round((shift.end - shift.start) / WEEK_S)) for shift in found] == [
        ("ann", 2), ("bob", 2), ("cat", 2),
    ]  # fmt: skip


def test_weekdays_and_weekends_change_at_their_own_times() -> None:
    halves = Layer("halves", ("ann", "bob"), (Handover(0, 8 * 60), Handover(4, 17 * 60)), first=date(2026, 1, 5))
    found = shifts(rota(halves), at("2026-01-05T08:00"), at("2026-01-12T08:00"))
    assert [(shift.user, shift.start) for shift in found] == [
        ("ann", at("2026-01-05T08:00")), ("bob", at("2026-01-09T17:00")),
    ]  # fmt: skip


def test_the_last_layer_that_has_somebody_wins() -> None:
    office = Layer("office", ("day",), hours=Hours(tuple((d, 8 * 60, 18 * 60) for d in range(5))), holidays="never")
    both = rota(WEEKLY, office, holidays=frozenset({date(2026, 4, 6)}))
    assert on_call(both, at("2026-04-02T12:00")).user == "day"
    assert on_call(both, at("2026-04-02T20:00")).user in WEEKLY.people
    assert on_call(both, at("2026-04-06T12:00")).user in WEEKLY.people, "Easter Monday is nobody's office day"
    feast = Layer("feast", ("eve",), holidays="only")
    assert on_call(replace(both, layers=(*both.layers, feast)), at("2026-04-06T03:00")).user == "eve"


def test_bank_holidays_are_those_of_the_nation() -> None:
    import holidays

    days = {part: holidays.country_holidays("GB", subdiv=part, years=2026) for part in ("ENG", "SCT")}
    second_of_january = date(2026, 1, 2)
    for part, someone in (("ENG", None), ("SCT", "eve")):
        feast = rota(Layer("feast", ("eve",), holidays="only"), holidays=frozenset(days[part]))
        assert on_call(feast, at(f"{second_of_january}T12:00")).user == someone


def test_an_override_and_its_end() -> None:
    start = at("2026-01-06T00:00")
    stand_in = Override("o", "net", "dan", start, start + DAY_S)
    weeks = rota(WEEKLY)
    found = shifts(weeks, at("2026-01-05T09:00"), at("2026-01-12T09:00"), [stand_in])
    assert [shift.user for shift in found] == ["ann", "dan", "ann"]
    assert [shift.via for shift in found] == ["layer weeks", "override o", "layer weeks"]
    assert len(shifts(weeks, start, start + DAY_S, [replace(stand_in, ended=True)])) == 1


def test_the_newest_override_wins_and_one_of_another_rota_does_not_count() -> None:
    start = at("2026-01-06T00:00")
    first = Override("a", "net", "dan", start, start + DAY_S)
    newest = Override("b", "net", "eve", start + HOUR_S, start + DAY_S)
    other = Override("c", "apps", "fay", start, start + DAY_S)
    assert on_call(rota(WEEKLY), start + 2 * HOUR_S, [first, newest, other]).user == "eve"


def test_a_swap_moves_only_the_shifts_of_the_one_who_swapped() -> None:
    """`replaces`: where somebody else is on call within the stretch, they stay."""
    start = at("2026-01-11T00:00")
    half = Override("s", "net", "dan", start, start + 2 * DAY_S, replaces="ann")
    found = shifts(rota(WEEKLY), start, start + 2 * DAY_S, [half])
    assert [shift.user for shift in found] == ["dan", "bob"]


def test_gaps_are_found() -> None:
    nights = Layer("nights", ("ann",), hours=Hours(tuple((d, 18 * 60, 24 * 60) for d in range(7))))
    found = gaps(rota(nights), at("2026-01-05T00:00"), at("2026-01-07T00:00"))
    assert [(g.start, g.end) for g in found] == [
        (at("2026-01-05T00:00"), at("2026-01-05T18:00")), (at("2026-01-06T00:00"), at("2026-01-06T18:00")),
    ]  # fmt: skip


def test_who_is_next() -> None:
    assert next_in_turn(rota(WEEKLY), at("2026-01-06T00:00")) == "bob"
    alone = rota(replace(WEEKLY, people=("ann",)))
    assert next_in_turn(alone, at("2026-01-06T00:00")) is None
    covered = Override("o", "net", "bob", at("2026-01-06T00:00"), at("2026-01-07T00:00"))
    assert next_in_turn(rota(WEEKLY), at("2026-01-06T01:00"), [covered]) == "cat", "never the one who did not answer"


def test_shifts_of_a_calendar() -> None:
    start = at("2026-01-06T00:00")
    layer = Layer("ics", fixed=(Span(start, start + DAY_S, "ann"),))
    assert [s.user for s in shifts(rota(layer), start - DAY_S, start + 2 * DAY_S)] == [None, "ann", None]


ZONES = ("Europe/London", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC")
MOMENTS = st.floats(min_value=1_767_225_600.0, max_value=1_798_761_600.0).map(round).map(float)  # the year 2026
HANDOVERS = st.lists(
    st.builds(Handover, st.integers(0, 6), st.integers(0, 24 * 60 - 1)), min_size=1, max_size=4, unique=True
).map(lambda found: tuple(sorted(found, key=lambda one: (one.weekday, one.minute))))
SPAN = st.tuples(st.integers(0, 6), st.integers(0, 20 * 60), st.integers(1, 4 * 60)).map(
    lambda s: (s[0], s[1], s[1] + s[2])
)
HOURS = st.none() | st.lists(SPAN, min_size=1, max_size=3).map(lambda spans: Hours(tuple(spans)))
LAYERS = st.builds(
    Layer,
    id=st.sampled_from(("x", "y")),
    people=st.lists(st.sampled_from(("ann", "bob", "cat", "dan")), min_size=1, max_size=4, unique=True).map(tuple),
    handovers=HANDOVERS,
    turns=st.integers(1, 3),
    first=st.dates(date(2025, 12, 1), date(2026, 2, 1)),
    hours=HOURS,
    holidays=st.sampled_from(("any", "only", "never")),
)
HOLIDAYS = st.frozensets(st.dates(date(2026, 1, 1), date(2026, 12, 31)), max_size=5)
ROTAS = st.builds(
    Rota, st.just("net"), st.just("N"), st.sampled_from(ZONES), st.lists(LAYERS, min_size=1, max_size=3).map(tuple),
    HOLIDAYS,
)  # fmt: skip
OVERRIDES = st.lists(
    st.builds(
        lambda id, user, start, length, replaces: Override(id, "net", user, start, start + length, replaces),
        st.uuids().map(str), st.sampled_from(("ann", "eve")), MOMENTS, st.integers(1, 10 * 86_400).map(float),
        st.sampled_from((None, "ann", "bob")),
    ),
    max_size=4,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(ROTAS, OVERRIDES, MOMENTS, st.lists(st.floats(0.0, 1.0), min_size=5, max_size=5))
def test_shifts_cover_the_time_without_seam_or_overlap_and_agree_with_each_moment(
    any_rota: Rota, overrides: list[Override], start: float, places: list[float]
) -> None:
    end = start + 20 * DAY_S
    found = shifts(any_rota, start, end, overrides)
    assert found[0].start == start
    assert found[-1].end == end
    assert all(a.end == b.start for a, b in itertools.pairwise(found))
    assert all((a.user, a.via) != (b.user, b.via) for a, b in itertools.pairwise(found))
    for place in places:
        moment_ = start + place * (end - start - 1.0)
        shift = next(s for s in found if s.start <= moment_ < s.end)
        assert shift.user == on_call(any_rota, moment_, overrides).user


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(ZONES), st.dates(date(2026, 1, 1), date(2027, 12, 30)))
def test_local_minutes_never_go_back(zone: str, day: date) -> None:
    """Also on the days when clocks are changed: what hands over at the same minute does so at the same moment."""
    moments = [moment(ZoneInfo(zone), day, minute) for minute in range(0, 24 * 60 + 1, 15)]
    assert moments == sorted(moments)
    assert moments[-1] == moment(ZoneInfo(zone), day + timedelta(days=1), 0)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(ZONES), HANDOVERS, st.integers(1, 4), st.integers(1, 3), MOMENTS)
def test_turns_are_fair(zone: str, handovers: tuple[Handover, ...], people: int, turns: int, start: float) -> None:
    """Without hours or overrides nobody is left out, and one follows another in the order of the list."""
    names = tuple(f"p{n}" for n in range(people))
    one = rota(Layer("l", names, handovers, turns, date(2025, 1, 1)), zone=zone)
    found = [s.user for s in shifts(one, start, start + (people * turns + 2) * WEEK_S)]
    assert set(found) == set(names)
    for first, then in itertools.pairwise(found):
        assert names.index(str(then)) == (names.index(str(first)) + 1) % people
