"""What the board shows, from a view alone."""

from __future__ import annotations

from dataclasses import replace

from daemons.webboard import NOW, blind, health, sample_view, severe
from healthmon.model.incident import IncidentState, Paths, ServiceState
from healthmon.model.topology import Acuity, Area, AreaKind, Service
from healthmon.model.view import ServiceStatus, TargetStatus
from healthmon.web.boardmodel import board, strip
from healthmon.web.matrix import matrix_of
from healthmon.web.targetrows import target_rows
from healthmon.web.words import LocalTime

CLOCK = LocalTime("Europe/London", NOW)


def cells() -> dict[tuple[str, str], object]:
    return {(c.area, c.service): c for row in matrix_of(sample_view(), CLOCK).rows for c in row.cells}


def test_worst_incident_comes_first_and_mitigated_ones_last() -> None:
    over = replace(severe(), state=IncidentState.MITIGATED, mitigated_at=NOW)
    shown = board(sample_view(incidents=(over, blind())), health(), now=NOW)
    assert [card.incident.id for card in shown.open] == [blind().id, over.id]


def test_ok_is_said_only_where_the_area_itself_proved_it() -> None:
    found = cells()
    assert found["ward-7", "results"].word == "ok"  # type: ignore[attr-defined]
    assert found["ward-5", "results"].word == "no fault seen"  # type: ignore[attr-defined]


def test_an_old_proof_proves_nothing() -> None:
    view = sample_view()
    old = ServiceStatus("ward-7", "results", ServiceState.OK, NOW - 9e4, Paths(2, 2), proven_at=NOW - 301)
    row = next(
        row
        for row in matrix_of(replace(view, services=dict(view.services) | {("ward-7", "results"): old}), CLOCK).rows
        if row.id == "ward-7"
    )
    assert next(cell for cell in row.cells if cell.service == "results").state == "quiet"


def test_every_state_has_its_word_and_a_symbol_of_its_own() -> None:
    words = {cell.state: (cell.word, cell.symbol) for cell in cells().values()}  # type: ignore[attr-defined]
    assert words["lost"][0] == "not available"
    assert words["degraded"][0] == "slow or partly working"
    assert words["at_risk"][0] == "working, no spare route left"
    assert words["unknown"][0] == "we cannot see"
    assert len({symbol for _, symbol in words.values()}) == len(words)


def test_rows_in_trouble_come_first_critical_areas_before_wards() -> None:
    names = [row.id for row in matrix_of(sample_view(), CLOCK).rows]
    assert names[:4] == ["ed", "icu", "maternity", "theatres"]
    assert names.index("imaging") < names.index("ward-8") < names.index("lab")


def test_a_service_not_used_in_an_area_is_not_called_well() -> None:
    assert cells()["ward-5", "transfusion"].state == "none"  # type: ignore[attr-defined]


def test_a_large_hospital_shows_what_has_something_to_say() -> None:
    view = sample_view()
    areas = {f"a{n}": Area(f"a{n}", f"Area {n}", AreaKind.WARD, Acuity.INPATIENT, "main") for n in range(100)}
    services = {f"s{n}": Service(f"s{n}", f"Service {n}", 2, tuple(areas), True) for n in range(40)}
    states = {(a, s): ServiceStatus(a, s, ServiceState.OK, NOW, Paths(1, 1)) for a in areas for s in services}
    states["a7", "s3"] = replace(states["a7", "s3"], state=ServiceState.LOST)
    large = replace(view, estate=replace(view.estate, areas=areas, services=services), services=states)
    shown = matrix_of(large, CLOCK)
    assert [row.id for row in shown.rows] == ["a7"]
    assert [service.id for service in shown.columns] == ["s3"]
    assert (shown.quiet_rows, shown.quiet_columns) == (99, 39)
    assert len(matrix_of(large, CLOCK, everything=True).rows) == 100


def test_a_stuck_engine_is_never_a_quiet_board() -> None:
    shown = board(sample_view(incidents=()), health(engine_tick_age_s=65.0), now=NOW)
    assert shown.headline == "Out of date: the state is not known"
    assert shown.strip.stale_since == "14:03"
    assert ("Engine", False, "stuck for 1 min") in shown.strip.items


def test_silent_agents_show_and_those_switched_off_do_not_alarm() -> None:
    view = sample_view()
    assert ("Agents", False, "1 of 2 heard") in board(view, health(), now=NOW).strip.items
    off = dict(view.agents) | {"pc-w7-01": replace(view.agents["pc-w7-01"], state="stopped")}
    assert ("Agents", True, "1 of 1 heard, 1 switched off") in board(
        replace(view, agents=off), health(), now=NOW
    ).strip.items


def test_shadow_mode_and_what_it_held_back() -> None:
    shown = board(sample_view(), health(mode="shadow"), now=NOW)
    assert (shown.shadow, shown.held) == (True, 1)
    assert not board(sample_view(), health(mode="live"), now=NOW).shadow


def test_only_a_proven_fallback_is_named() -> None:
    card = board(sample_view(), health(), now=NOW).open[0]
    told = {group.area: group.fallbacks for group in card.impact}
    assert told["ward-7"] == ("Patient record: Read-only copy on the downtime PC (proven 2 min ago)",)
    assert told["ed"] == ()


def test_a_merged_incident_is_not_shown_beside_the_one_it_went_into() -> None:
    gone = replace(blind(), merged_into=severe().id)
    assert [c.incident.id for c in board(sample_view(incidents=(severe(), gone)), health(), now=NOW).open] == [
        severe().id
    ]


def test_targets_fail_first_and_name_what_they_are_behind() -> None:
    rows = target_rows(sample_view(), NOW)
    assert [row.id for row in rows[:3]] == ["ehr-web", "sw-imaging", "pc-w7-01"]
    assert rows[2].reason == "behind Switch Ward 7 Respiratory (sw-ward-7) (asked every 40 s now)"
    assert rows[1].word == "we cannot see"


def test_a_target_never_heard_of_is_not_well() -> None:
    view = sample_view()
    lone: dict[str, TargetStatus] = {}
    assert {row.state for row in target_rows(replace(view, targets=lone), NOW)} == {"unknown"}


def test_the_strip_says_when_times_are_ahead_of_the_wall() -> None:
    right, ahead = (strip(sample_view(), replace(health(), clock_ahead_s=s), CLOCK).items for s in (2.0, 3_540.0))
    assert ("Clock", False, "went back: times here are 59 min ahead of it") in ahead
    assert "Clock" not in {name for name, _, _ in right}


def test_a_configuration_that_waits_for_a_restart_has_no_errors() -> None:
    def said(**more: bool) -> str:
        found = strip(sample_view(), replace(health(), **more), CLOCK)  # type: ignore[arg-type]
        return next(words for name, _, words in found.items if name == "Config")

    assert said(config_ok=False) == "a part waits for a restart"
    assert said(config_ok=False, config_refused=True) == "the new one has errors; the old one runs"
    assert said() == "in force"
