"""Gaps of the coming week on the board: with the stand-ins that people made, and never more than a few a rota."""

from __future__ import annotations

from datetime import date

from daemons.paging import MORNING
from healthmon.alerting.oncall.roster import Roster
from healthmon.app.rotagaps import gap_spots
from healthmon.model.oncall import Layer, OncallPlan, OncallUser, Override, Rota
from healthmon.model.topology import Hours

DAYS = Hours(tuple((day, 8 * 60, 18 * 60) for day in range(5)))
NET = Rota("net", "Network", "Europe/London", (Layer("days", ("ann",), first=date(2027, 1, 4), hours=DAYS),))


def roster(rota: Rota = NET) -> Roster:
    return Roster(OncallPlan(users={"ann": OncallUser("ann", "Ann")}, rotas={"net": rota}))


def test_nights_and_a_weekend_without_anybody_are_named() -> None:
    found = list(gap_spots(roster(), MORNING))
    assert [spot["id"] for spot in found] == ["net"] * 4
    assert found[0]["text"] == "Network: nobody is on call from Fri 15 Jan 18:00 to Mon 18 Jan 08:00"
    assert found[3]["text"] == "Network: 2 more gaps within a week"


def test_a_stand_in_closes_one() -> None:
    known = roster()
    known.override(Override("", "net", "ann", MORNING, MORNING + 4 * 86_400.0), MORNING)
    assert "Fri 15 Jan" not in next(gap_spots(known, MORNING))["text"]


def test_without_gaps_there_is_nothing_to_say() -> None:
    whole = Rota("net", "Network", "Europe/London", (Layer("all", ("ann",), first=date(2027, 1, 4)),))
    assert list(gap_spots(roster(whole), MORNING)) == []
