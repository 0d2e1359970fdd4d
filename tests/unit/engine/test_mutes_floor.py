"""Below the clinical floor: never longer, never later, never by fewer people than was said when it was made."""

from __future__ import annotations

from dataclasses import replace

import pytest
from mutenights import GLASS, TWO, silence
from smallsite import T0, hospital

from healthmon.alerting.mutes.desk import MuteDesk
from healthmon.impact.graph import NeedGraph
from healthmon.model.errors import NotAllowed
from healthmon.model.mute import Match, Mute, MuteCommand, MuteEvent, MuteSettings, Silence

HOUR_S = 3600.0
GRAPH = NeedGraph(hospital(wards=2, pcs=1))


def desk() -> MuteDesk:
    made = MuteDesk(GRAPH, MuteSettings(site_manager=("site",)))
    made.restore(())
    return made


def add(made: MuteDesk, draft: Silence, *, by: str = "Duty engineer", now: float = T0) -> Mute:
    return made.act(MuteCommand("add", by, draft=draft), now)


def extend(made: MuteDesk, mute: Mute, ends_at: float) -> Mute:
    return made.act(MuteCommand("extend", "Duty engineer", mute.id, ends_at=ends_at), T0 + 60.0)


@pytest.mark.parametrize(
    "draft",
    [
        silence(Match(target="*"), minutes=30, floor=TWO, approved_by="Clinical lead"),
        silence(Match(target="*"), minutes=5, floor=GLASS),
    ],
)
def test_what_lifts_the_floor_is_never_made_longer_and_may_be_made_shorter(draft: Silence) -> None:
    made = desk()
    mute = add(made, draft)
    with pytest.raises(NotAllowed, match="make another"):
        extend(made, mute, mute.when.ends_at + 1.0)
    assert made.mutes[mute.id] == mute
    assert extend(made, mute, mute.when.ends_at - 60.0).when.ends_at == mute.when.ends_at - 60.0


def test_the_glass_is_broken_for_now_and_not_ahead() -> None:
    made = desk()
    with pytest.raises(NotAllowed, match="starts now"):
        add(made, silence(Match(target="*"), start=T0 + 7 * 86_400.0, minutes=60, floor=GLASS))
    assert add(made, silence(Match(target="*"), start=T0 + 20.0, minutes=60, floor=GLASS)), "clocks differ a little"


@pytest.mark.parametrize("match", [Match(target="?*"), Match(target="sw-ed-*"), Match(area="ed"), Match(rule="*")])
def test_another_name_and_another_pattern_are_the_same_glass(match: Match) -> None:
    made = desk()
    add(made, silence(Match(target="sw-ed-a"), minutes=10, floor=GLASS))
    with pytest.raises(NotAllowed, match="not reviewed"):
        add(made, silence(match, start=T0 + 600.0, floor=GLASS), by="Duty engineer 2", now=T0 + 600.0)
    elsewhere = silence(Match(target="sw-w7"), start=T0 + 600.0, floor=GLASS)
    assert add(made, elsewhere, by="Duty engineer 2", now=T0 + 600.0), "another place, another person"


def reviewed_glass() -> tuple[Mute, list[MuteEvent]]:
    """Broken, expired, due for review and reviewed, with all that was written of it."""
    made, log = desk(), []
    mute = add(made, silence(Match(target="sw-core"), minutes=30, floor=GLASS))
    for at in (T0 + 31 * 60.0, T0 + 86_400.0):
        made.pass_time(at)
    made.act(MuteCommand("review", "Head of IT", mute.id), T0 + 86_500.0)
    log += made.drain()[0]
    return made.mutes[mute.id], log


def test_a_review_outlives_a_restart_and_blocks_no_glass_after_it() -> None:
    before, log = reviewed_glass()
    assert [event.action for event in log] == ["add", "expire", "review_due", "review"]
    again = desk()
    again.restore(log, T0 + 86_501.0)
    assert again.mutes[before.id] == before
    again.pass_time(T0 + 86_502.0)
    assert again.drain() == ((), ())


def test_what_is_over_stays_over_whatever_a_later_line_says() -> None:
    before, log = reviewed_glass()
    alive = replace(log[0], revision=9)
    again = desk()
    again.restore([*log, alive], T0 + 86_501.0)
    assert again.mutes[before.id].ending == before.ending
