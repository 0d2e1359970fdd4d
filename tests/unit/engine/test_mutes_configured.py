"""Changes of the configuration: an id that is over is said, and what a person moved stays moved."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from mutenights import change, silence
from smallsite import T0, hospital

from healthmon.alerting.mutes.desk import MuteDesk
from healthmon.config.loading import load_text
from healthmon.impact.graph import NeedGraph
from healthmon.model.errors import Conflict
from healthmon.model.mute import Change, Match, MuteCommand, MuteEvent, MuteSettings, When

HOUR_S, DAY_S = 3600.0, 86_400.0
GRAPH = NeedGraph(hospital(wards=2, pcs=1))
UPS = change("sw-core", id="ups", source="config")


def desk(*configured: Change, log: list[MuteEvent], at: float) -> MuteDesk:
    made = MuteDesk(GRAPH, MuteSettings(changes=configured))
    made.restore(log, at)
    return made


def extended(ends_at: float) -> list[MuteEvent]:
    made = desk(UPS, log=[], at=T0)
    made.act(MuteCommand("extend", "Duty engineer", "ups", ends_at=ends_at), T0 + 60.0)
    return list(made.drain()[0])


def end_of(made: MuteDesk) -> float:
    return made.mutes["ups"].when.ends_at - T0


@pytest.mark.parametrize("ends_at", [T0 + 2 * HOUR_S, T0 + 1800.0])
def test_an_end_that_a_person_moved_outlives_restarts(ends_at: float) -> None:
    log = extended(ends_at)
    for _ in range(2):
        assert end_of(desk(UPS, log=log, at=T0 + 70.0)) == ends_at - T0
    other_title = replace(UPS, title="UPS of the east wing")
    again = desk(other_title, log=log, at=T0 + 70.0)
    assert (again.mutes["ups"].when.ends_at, again.mutes["ups"].title) == (ends_at, other_title.title)  # type: ignore[union-attr]


def test_a_person_moves_it_twice_and_a_newer_file_has_the_last_word() -> None:
    log = extended(T0 + 2 * HOUR_S)
    made = desk(UPS, log=log, at=T0 + 70.0)
    made.act(MuteCommand("extend", "Duty engineer", "ups", ends_at=T0 + 3 * HOUR_S), T0 + 80.0)
    log += made.drain()[0]
    assert end_of(desk(UPS, log=log, at=T0 + 90.0)) == 3 * HOUR_S
    later = replace(UPS, when=replace(UPS.when, ends_at=T0 + 1.5 * HOUR_S))
    assert end_of(desk(later, log=log, at=T0 + 90.0)) == 1.5 * HOUR_S


def test_a_new_date_under_an_id_that_is_over_is_said() -> None:
    made = desk(UPS, log=[], at=T0)
    made.pass_time(T0 + HOUR_S + 1.0)
    log = list(made.drain()[0])
    assert desk(UPS, log=log, at=T0 + 2 * HOUR_S).passed_over == ()
    tomorrow = replace(UPS, when=When(T0 + DAY_S, T0 + DAY_S + HOUR_S))
    assert desk(tomorrow, log=log, at=T0 + 2 * HOUR_S).passed_over == ("ups",)


def test_one_that_a_person_ended_early_is_no_surprise() -> None:
    made = desk(UPS, log=[], at=T0)
    made.act(MuteCommand("end", "Duty engineer", "ups"), T0 + 60.0)
    assert desk(UPS, log=list(made.drain()[0]), at=T0 + 70.0).passed_over == ()


TEXT = """
organisation: {{id: x, name: X}}
targets: [{{id: a, kind: k, address: 192.0.2.1}}, {{id: b, kind: k, address: 192.0.2.2}}]
changes:
{changes}
"""
FIRST = '  - {title: UPS, targets: [a], starts_at: "2027-01-05T20:00:00Z", ends_at: "2027-01-05T22:00:00Z"}'
SECOND = '  - {title: Core, targets: [b], starts_at: "2027-01-06T20:00:00Z", ends_at: "2027-01-06T22:00:00Z"}'


def ids(*changes: str) -> list[str]:
    site = load_text(TEXT.format(changes="\n".join(changes)), env={})
    return [one.id for one in site.changes]


def test_an_id_that_nobody_gave_is_of_the_change_and_not_of_its_place() -> None:
    first, second = ids(FIRST, SECOND)
    assert ids(SECOND) == [second] != [first]
    assert ids(FIRST.replace("05T20", "12T20").replace("05T22", "12T22")) != [first]
    assert ids(FIRST.replace("UPS", "UPS test").replace("22:00", "23:00")) == [first]
    assert len({first, *ids(FIRST, FIRST.replace("UPS", "Fan"))}) == 3


def test_check_names_changes_that_are_over() -> None:
    text = TEXT.format(changes="\n".join((FIRST, SECOND.replace("{title", "{id: core, title"))))
    found = [line for line in load_text(text, env={}, today=date(2027, 1, 6)).warnings if "is over" in line]
    assert len(found) == 1
    assert "(UPS) is over and does nothing any more; delete it" in found[0]
    found = [line for line in load_text(text, env={}, today=date(2027, 1, 7)).warnings if "is over" in line]
    assert found[1].endswith("change 'core' (Core) is over and does nothing any more; a new date needs a new id")


def test_a_repeated_silence_has_an_end() -> None:
    made = desk(log=[], at=T0)
    for repeat, ok in (
        ("FREQ=DAILY", False),
        ("FREQ=DAILY;COUNT=10", True),
        ("FREQ=WEEKLY;COUNT=20", False),
        ("FREQ=DAILY;UNTIL=20270115T000000Z", True),
        ("FREQ=DAILY;UNTIL=20280115T000000Z", False),
        ("FREQ=YEARLY;INTERVAL=3", False),
    ):
        draft = silence(Match(target="sw-core"))
        draft = replace(draft, when=replace(draft.when, repeat=repeat))
        if ok:
            assert made.act(MuteCommand("add", "Duty engineer", draft=draft), T0)
        else:
            with pytest.raises(Conflict, match="UNTIL or COUNT, within 92 days"):
                made.act(MuteCommand("add", "Duty engineer", draft=draft), T0)
