"""Availability by the minute: what is counted, what is unknown, what was planned, and that it adds up."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.month import START, journal, october, rows, site, state_at
from healthmon.app.reporting import asking, changes_of, silent, tallies
from healthmon.model.errors import ConfigError
from healthmon.model.incident import ServiceState
from healthmon.reports.availability import STATES, Count, Tally
from healthmon.reports.period import month
from healthmon.store.embedded import EmbeddedStore

ALWAYS = Count(lambda at: True, lambda at: False)


def shares(**given: float) -> tuple[float, ...]:
    return tuple(given.get(state.value, 0.0) for state in STATES)


def test_a_minute_without_a_point_is_unknown_and_never_available() -> None:
    tally = Tally()
    ALWAYS.add(tally, {0: shares(ok=1.0)}, 0, 180)
    assert (tally.available_ms, tally.unknown_ms, tally.ratio) == (60_000, 120_000, 1.0)


def test_at_risk_is_available_and_slow_is_not() -> None:
    tally = Tally()
    ALWAYS.add(tally, {0: shares(at_risk=0.5, degraded=0.25, lost=0.25)}, 0, 60)
    assert (tally.available_ms, tally.at_risk_ms, tally.degraded_ms, tally.lost_ms) == (30_000, 30_000, 15_000, 15_000)
    assert tally.ratio == 0.5


def test_planned_time_is_only_what_was_lost_in_it() -> None:
    tally = Tally()
    Count(lambda at: True, lambda at: at == 60).add(
        tally, {0: shares(lost=1.0), 60: shares(lost=0.5, ok=0.5), 120: shares(ok=1.0)}, 0, 180
    )
    assert (tally.lost_ms, tally.planned_ms, tally.available_ms, tally.due_ms) == (60_000, 30_000, 90_000, 150_000)


def test_while_nobody_is_there_nothing_counts() -> None:
    tally = Tally()
    Count(lambda at: False, lambda at: False).add(tally, {0: shares(lost=1.0)}, 0, 60)
    assert (tally.closed_ms, tally.counted_ms, tally.ratio) == (60_000, 0, None)


@given(st.lists(st.lists(st.integers(0, 9), min_size=5, max_size=5), min_size=1, max_size=20))
def test_it_always_adds_up_to_the_minutes(counts: list[list[int]]) -> None:
    seen = {60 * n: tuple(c / sum(one) for c in one) for n, one in enumerate(counts) if sum(one)}
    tally = Tally()
    ALWAYS.add(tally, seen, 0, 60 * len(counts))
    assert tally.counted_ms == 60_000 * len(counts)
    assert sum(one.lost_ms for one in tally.bad) == tally.lost_ms
    assert tally.ratio is None or 0.0 <= tally.ratio <= 1.0


@pytest.mark.parametrize(("name", "hours"), [("2025-10", 31 * 24 + 1), ("2026-03", 31 * 24 - 1), ("2025-12", 0)])
def test_a_month_is_local_and_has_both_changes_of_the_clock(name: str, hours: int) -> None:
    now = START + 400 * 86_400.0 if hours else START
    if not hours:
        with pytest.raises(ConfigError, match="has not begun"):
            month(name, now=now, timezone="Europe/London")
        return
    period = month(name, now=now, timezone="Europe/London")
    assert (period.end - period.start) / 3600 == hours
    assert period.complete


def test_the_default_is_the_last_whole_month_and_a_wrong_word_is_an_error() -> None:
    assert month(None, now=START + 5 * 86_400, timezone="Europe/London").name == "2025-09"
    with pytest.raises(ConfigError, match="is no month"):
        month("october", now=START, timezone="UTC")


async def test_the_month_recomputed_from_every_stored_point(tmp_path: Path) -> None:
    """Another way: exact fractions over the raw points, a minute at a time, without the store's sums."""
    hospital, period = site(tmp_path), october()
    store = EmbeddedStore(tmp_path / "store.sqlite")
    stored = list(rows(hospital, 1.2))
    await store.write(stored)
    await store.close()
    kept = journal(tmp_path / "journal.sqlite")
    ask, close = asking(hospital)
    found = await tallies(hospital, period, ask, changes_of(hospital, kept), area=None, progress=silent)
    await close()
    kept.close()
    points: dict[tuple[str, str], dict[int, list[ServiceState]]] = {}
    for row in stored:
        tags, fields = dict(row.tags), dict(row.fields)
        state = next(one for one in ServiceState if fields[one.value] == 1.0)
        points.setdefault((tags["area"], tags["service"]), {}).setdefault(int(row.at // 60), []).append(state)
    assert len(found) == 5
    for (area, service), tally in found.items():
        wanted = {"lost": Fraction(0), "degraded": Fraction(0), "available": Fraction(0), "planned": Fraction(0)}
        for minute, states in points[area, service].items():
            local = period.local(minute * 60)
            if area == "clinic" and not (local.weekday() < 5 and 8 <= local.hour < 18):
                continue
            planned = service == "lab" and START + 86_400 + 7_200 <= minute * 60 < START + 86_400 + 10_800
            for state in states:
                part = Fraction(60, len(states))
                if state in (ServiceState.OK, ServiceState.AT_RISK):
                    wanted["available"] += part
                elif state is not ServiceState.UNKNOWN:
                    wanted["planned" if planned else state.value] += part
        data = tally.as_data()
        assert {name: data[f"{name}_seconds"] for name in wanted} == {k: float(v) for k, v in wanted.items()}
        assert tally.counted_ms + tally.closed_ms == (period.until - period.start) * 1000
    ward = found["ward-7", "ehr"]
    assert ward.lost_ms == 5_430_000
    assert ward.degraded_ms == 900_000
    assert state_at("ward-7", "ehr", START + 36_000) is ServiceState.LOST
