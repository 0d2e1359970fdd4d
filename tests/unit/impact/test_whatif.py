"""What a change would take away, against trying every set of failures and every start."""

from __future__ import annotations

from itertools import combinations

from estates import area, estate_of, service, targets
from hypothesis import given, settings
from hypothesis import strategies as st
from test_graph import estates, slow_works

from healthmon.impact.graph import NeedGraph
from healthmon.impact.severity import SeverityTable
from healthmon.impact.whatif import STEP_S, WhatIf, behind
from healthmon.model.incident import ServiceState
from healthmon.model.topology import AtLeast, Estate, Need

DAY = 86_400.0
PAIRS: dict[str, tuple[Need, ...]] = {"web-a": (), "web-b": (), "sw-a": (), "sw-b": (), "pc": ("sw-a",)}


def ward(**more: object) -> Estate:
    return estate_of(
        targets(PAIRS),
        [area("ward-7", AtLeast(1, ("sw-a", "sw-b"))), area("clinic", "sw-b")],
        [service("ehr", AtLeast(1, ("web-a", "web-b")), used_in=("ward-7", "clinic"))],
    )


def always(area: str, at: float) -> bool:
    return True


def by_day(area: str, at: float) -> bool:
    return area != "clinic" or 8 * 3600.0 <= at % DAY < 18 * 3600.0


def ask(estate: Estate, staffed: object = always, **more: object) -> WhatIf:
    return WhatIf(estate, SeverityTable(), staffed, **more)  # type: ignore[arg-type]


@given(estates(most=7), st.data())
@settings(max_examples=150, deadline=None)
def test_lost_and_no_spare_left_are_what_trying_everything_says(estate: Estate, data: st.DataObject) -> None:
    ids = sorted(estate.targets)
    needs = tuple(data.draw(st.lists(st.sampled_from(ids), max_size=2, unique=True)))
    whole = estate_of(
        estate.targets.values(), [area("w", *needs)], [service("s", *estate.services["s"].needs, used_in=("w",))]
    )
    down = frozenset(data.draw(st.sets(st.sampled_from(ids), min_size=1, max_size=3)))

    def works(failed: frozenset[str]) -> bool:
        return all(slow_works(whole, id_, failed) for id_ in (*needs, "s"))

    def least(gone: frozenset[str]) -> int:
        rest = sorted(set(ids) - gone)
        sizes = (n for n in range(len(rest) + 1) if any(not works(gone | set(some)) for some in combinations(rest, n)))
        return next(sizes, len(rest) + 1)

    def alone(gone: frozenset[str]) -> set[str]:
        return {id_ for id_ in set(ids) - gone if not works(gone | {id_})}

    found = ask(whole).losses(down)
    new = sorted(alone(down) - alone(frozenset())) if works(down) else []
    if not works(down):
        assert [(loss.state, loss.paths.left) for loss in found] == [(ServiceState.LOST, 0)]
    elif new or (least(down) == 1 and least(frozenset()) > 1):
        assert [(loss.state, list(loss.spares_gone)) for loss in found] == [(ServiceState.AT_RISK, new)]
        assert found[0].paths.left == least(down)
    else:
        assert found == ()


@given(estates(most=7), st.data())
@settings(max_examples=80, deadline=None)
def test_behind_is_what_cannot_work_then(estate: Estate, data: st.DataObject) -> None:
    down = frozenset(data.draw(st.sets(st.sampled_from(sorted(estate.targets)), min_size=1, max_size=3)))
    assert set(behind(estate, down)) == {
        id_ for id_ in estate.targets if id_ not in down and not slow_works(estate, id_, down)
    }


def test_one_switch_of_two_leaves_the_ward_on_the_other() -> None:
    outlook = ask(ward()).outlook({"sw-b"}, 0.0)
    states = {(loss.area, loss.state, loss.spares_gone) for loss in outlook.losses}
    assert states == {("clinic", ServiceState.LOST, ()), ("ward-7", ServiceState.AT_RISK, ("sw-a",))}
    assert behind(ward(), {"sw-a"}) == ("pc",)


def test_by_night_it_is_milder_and_the_window_finds_the_night() -> None:
    question = ask(ward(), by_day)
    day, night = question.outlook({"sw-b"}, 12 * 3600.0), question.outlook({"sw-b"}, 22 * 3600.0)
    assert day.score.severity < night.score.severity
    best, worst = question.least_harmful({"sw-b"}, now=7 * 3600.0, within_s=DAY, lasts_s=7_200.0)
    assert (best.start, best.end) == (18 * 3600.0, 20 * 3600.0)
    assert worst.start < 18 * 3600.0
    assert best.worst.score.severity == night.score.severity


@given(st.floats(0.0, DAY), st.integers(1, 12), st.integers(1, 30))
@settings(max_examples=30, deadline=None)
def test_no_start_is_better_than_the_best(now: float, hours: int, steps: int) -> None:
    question = ask(ward(), by_day, planned=[(9 * 3600.0, 21 * 3600.0, frozenset({"web-a"}))])
    lasts_s = steps * STEP_S
    best, _ = question.least_harmful({"sw-b"}, now=now, within_s=hours * 3600.0, lasts_s=lasts_s)
    start = -(-now // STEP_S) * STEP_S
    while start <= now + hours * 3600.0:
        slow = max(question.outlook({"sw-b"}, start + n * STEP_S).harm for n in range(steps))
        assert best.worst.harm <= slow
        start += STEP_S


def test_work_that_is_planned_already_counts() -> None:
    question = ask(ward(), planned=[(100.0, 200.0, frozenset({"web-a"}))])
    assert question.outlook({"web-b"}, 99.0).of(ServiceState.LOST) == ()
    assert len(question.outlook({"web-b"}, 100.0).of(ServiceState.LOST)) == 2
    assert question.outlook({"web-b"}, 200.0).of(ServiceState.LOST) == ()


def test_what_nothing_is_mapped_behind_is_not_called_harmless() -> None:
    outlook = ask(ward()).outlook({"pc"}, 0.0)
    assert (outlook.losses, outlook.mapped) == ((), False)
    assert NeedGraph(ward()).lines_behind("pc") == ()
