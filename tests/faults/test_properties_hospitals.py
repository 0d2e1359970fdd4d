"""What must hold in any hospital on any night, with noise, lost readings and wrong clocks.

A few examples in every run; thousands with `make properties` (HEALTHMON_PROPERTIES=N examples of each).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import Phase as Phases
from hypothesis import strategies as st
from random_hospitals import NIGHTS, SEEDS, SETTLE_S, STEP_S, T0, Drive, Trouble, engine_of

from healthmon.model.alert import Phase
from healthmon.model.incident import IncidentState, Why
from healthmon.model.sample import Outcome, Reading
from healthmon.model.view import Health
from healthmon.simulation.stream import Delivery, Noise
from healthmon.simulation.world import Mode

EXAMPLES = int(os.environ.get("HEALTHMON_PROPERTIES", "6"))
SLOW = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=EXAMPLES < 100,  # in CI the same few every time; `make properties` looks for new ones
    phases=[Phases.explicit, Phases.reuse, Phases.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
NIGHT_S = 110.0
#: A fault that has lasted so long is one that somebody has looked at since it began, whatever the intervals are.
LOOKED_AT_S = 12.0
CALM = Noise(failing=0.0, slow=0.0, missing=0.0, switched_off_per_day=0.0)
HEALTH = Health("ok", T0, 0.0, True, 0, True, "live")
_GOOD_NEWS = (Why.MITIGATED, Why.RESOLVED)


def one_home_for_each(drive: Drive) -> None:
    """Every alert that fires and has had its time is in exactly one open incident."""
    view = drive.engine.view(drive.now, HEALTH)
    homes = Counter(m.key for i in view.incidents if i.open for m in i.members if m.cleared_at is None)
    for alert in view.alerts:
        if alert.phase is Phase.FIRING and alert.fired_at is not None:
            late = drive.now - alert.fired_at > SETTLE_S + STEP_S
            assert homes[alert.key] == 1 if late else homes[alert.key] <= 1, (alert, homes[alert.key])


def no_false_all_clear(drive: Drive) -> None:
    """Good news goes out only when nothing that the incident spoke of still has the fault that it had."""
    for notice in drive.steps[-1].notices:
        if notice.why not in _GOOD_NEWS:
            continue
        for member in drive.incidents[notice.incident].members:
            began = drive.broken_since(member.key.target)
            if began is None or drive.world.modes[member.key.target] in (Mode.DEAF, Mode.SLOW):
                continue
            seen = drive.stream.failing(member.key.target, member.key.check, member.key.vantage)
            assert not (seen and drive.now - began > LOOKED_AT_S), (notice.subject, member.key, drive.now - began)


@given(SEEDS, NIGHTS)
@SLOW
def test_one_home_for_each_alert_no_false_all_clear_and_the_told_hear_the_end(seed: int, night: list[Trouble]) -> None:
    def watch(drive: Drive) -> None:
        one_home_for_each(drive)
        no_false_all_clear(drive)

    drive = Drive(seed, night).run(NIGHT_S, watch)
    drive.stream.noise = CALM
    drive.run(200.0, watch)  # nothing is broken any more; PCs that were switched off may stay away
    last: dict[tuple[str, str, str], Why] = {}
    merged = {i.id: i.merged_into for i in drive.incidents.values() if i.merged_into}
    for notice in drive.notices:
        incident = notice.incident
        while incident in merged:
            incident = merged[incident] or ""
        last[(incident, notice.channel, notice.to)] = notice.why
    for (id_, _, _), why in last.items():
        incident = drive.incidents[id_]
        over = incident.state in (IncidentState.MITIGATED, IncidentState.RESOLVED)
        assert not over or why in _GOOD_NEWS, (incident.title, why)
        still = [m.key for m in incident.members if m.cleared_at is None]
        away = [key for key in still if not (present(drive, key.target) and present(drive, key.vantage))]
        assert over or still == away, f"never ended: {incident.title}"


def present(drive: Drive, id_: str) -> bool:
    """Not a PC that somebody has switched off: what it saw last stands until it comes back."""
    return id_ not in drive.plant.estate.agents or id_ == "poller" or drive.stream.present(id_)


@given(SEEDS, NIGHTS)
@SLOW
def test_the_same_input_twice_is_byte_identical(seed: int, night: list[Trouble]) -> None:
    first, second = Drive(seed, night).run(NIGHT_S), Drive(seed, night).run(NIGHT_S)
    assert repr(first.steps) == repr(second.steps)


@given(SEEDS, NIGHTS, st.lists(st.integers(1, int(NIGHT_S)), min_size=1, max_size=4))
@SLOW
def test_a_restart_at_any_instant_changes_nothing(seed: int, night: list[Trouble], at: list[int]) -> None:
    """Killed after any commit, it comes back to the same incidents and tells the same people the same, to the byte."""
    steady, killed = Drive(seed, night).run(NIGHT_S), Drive(seed, night, restart_at=at).run(NIGHT_S)
    for drive in (steady, killed):
        drive.stream.noise = CALM
        drive.run(30.0)
    assert killed.notices == steady.notices
    assert killed.incidents == steady.incidents


@given(SEEDS, NIGHTS, st.floats(70.0, 7_200.0))
@SLOW
def test_late_data_never_pages(seed: int, night: list[Trouble], age_s: float) -> None:
    """Readings of a bad night that arrive too late, or as catch-up, raise nothing in a hospital where all is well."""
    bad = [reading for reading in Drive(seed, night).run(60.0).fed if reading.outcome is not Outcome.OK]
    drive = Drive(seed, noise=CALM, altered=lambda one: with_late(one, bad, age_s)).run(40.0)
    assert not [alert for step in drive.steps for alert in step.changes.alerts]
    assert not drive.incidents
    assert not drive.notices


def with_late(one: Delivery, bad: list[Reading], age_s: float) -> Iterable[Delivery]:
    """What really came, and beside it the past: once as catch-up, once as if it were fresh."""
    yield one
    if one.readings and bad:
        aged = tuple(replace(reading, started=reading.started - 60.0 - age_s) for reading in bad[:20])
        yield Delivery(one.vantage, aged, live=False)
        yield Delivery(one.vantage, aged, live=True)


def test_a_new_engine_that_hears_only_the_past_says_nothing() -> None:
    bad = [Trouble(2, 60, number, Mode.OFF) for number in range(6)]
    fed = Drive(5, bad).run(60.0)
    assert fed.notices
    engine = engine_of(fed.plant)
    engine.tick(fed.now + 3_000.0)
    engine.observe(fed.fed, now=fed.now + 3_600.0)
    step = engine.tick(fed.now + 3_600.0)
    assert not step.notices
    assert not step.changes.alerts


@pytest.mark.parametrize("seed", [3, 11])
def test_the_same_night_in_another_process_is_the_same_night(seed: int) -> None:
    """Sets and dicts of strings are laid out anew in every process; what people are told is not."""
    program = (
        "import hashlib, sys; from random_hospitals import Drive, Trouble; from healthmon.simulation.world import Mode;"
        f"d = Drive({seed}, [Trouble(3, 40, n, Mode.OFF) for n in (0, 4, 9)]).run(60.0);"
        "print(len(d.notices), hashlib.sha256(repr(d.steps).encode()).hexdigest())"
    )
    said = set()
    for number in ("1", "2"):
        path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
        env = {**os.environ, "PYTHONHASHSEED": number, "PYTHONPATH": path}
        done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
        said.add(done.stdout)
    assert len(said) == 1, said
