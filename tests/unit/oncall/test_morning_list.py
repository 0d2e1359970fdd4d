"""What was held over night reaches the morning list once, also on the days when clocks are changed; pages per shift."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from daemons.paging import incident, notice
from healthmon.alerting.oncall.roster import Roster
from healthmon.alerting.oncall.workload import MORNING_LIST, Load, loads, morning_at, morning_lists, too_much
from healthmon.model.incident import LedgerRow, Notice, NoticeResult, Why
from healthmon.model.oncall import Layer, OncallPlan, OncallUser, Rota

LONDON = "Europe/London"
ANN = OncallUser("ann", "Ann", readers=(("sms", "+441"), ("mail", "ann@h.example")))
ROTA = Rota("net", "Network", LONDON, (Layer("weeks", ("ann", "bob"), first=date(2027, 1, 11)),))
PLAN = OncallPlan(
    users={"ann": ANN, "bob": OncallUser("bob", "Bob")},
    rotas={"net": ROTA},
    morning=("mail",),
    reports=("mail:head@h.example",),
)


def local(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(LONDON)).timestamp()


def held(at: float, number: int, cause: str = "not_woken", who: str = MORNING_LIST) -> LedgerRow:
    return LedgerRow(at, f"inc-{number}", f"k{number}", who, cause, "severity 3 at night", what=f"fault {number}")


@pytest.mark.parametrize("day", ["2027-01-15", "2027-03-28", "2027-10-31"])
def test_the_list_is_due_at_half_past_seven_on_the_wall(day: str) -> None:
    roster = Roster(PLAN)
    due = local(f"{day}T07:30")
    assert morning_at(roster, LONDON, due) == due
    assert morning_at(roster, LONDON, due + 3600.0) == due
    assert morning_at(roster, LONDON, due - 1.0) < due - 22 * 3600.0


@pytest.mark.parametrize(("around", "hours"), [("2027-03-28", 23), ("2027-10-31", 25)])
def test_every_row_is_on_exactly_one_list_over_the_change_of_the_clocks(around: str, hours: int) -> None:
    roster = Roster(PLAN)
    middle = local(f"{around}T07:30")
    rows = [held(middle - 3 * 86_400.0 + number * 3600.0, number) for number in range(6 * 24)]
    listed: list[str] = []
    now = middle - 2.5 * 86_400.0
    lengths = set()
    for _ in range(5):
        due = morning_at(roster, LONDON, now)
        since = morning_at(roster, LONDON, due - 1.0)
        lengths.add(round((due - since) / 3600.0))
        mine = [row for row in rows if since <= row.at < due]
        for one in morning_lists(mine, {}, {None: ("mail",)}, due=due, timezone=LONDON):
            listed += [line.split()[3] for line in one.text.splitlines()[1:] if line.startswith("- ")]
        now = due + 86_400.0 + 7200.0
    assert hours in lengths
    assert len(listed) > 90
    assert len(listed) == len(set(listed))


def test_the_list_goes_to_the_team_by_its_own_channel_and_says_how_it_stands() -> None:
    due = local("2027-01-15T07:30")
    rows = [
        held(due - 7200.0, 1),
        held(due - 7100.0, 2, "brief_loss"),
        held(due - 7000.0, 3, who="board"),
        held(due - 6900.0, 4, "shadow"),
    ]
    incidents = {"inc-1": incident(3, id="inc-1", team="network"), "inc-2": incident(2, id="inc-2", team="apps")}
    channels = {None: ("mail",), "network": ("chat",), "apps": ()}
    found = {one.channel: one for one in morning_lists(rows, incidents, channels, due=due, timezone=LONDON)}
    assert set(found) == {"chat", "mail"}
    assert "05:30 fault 1 (inc-1, open now)" in found["chat"].text
    assert "fault 2" in found["mail"].text
    assert not any(f"fault {number}" in one.text for one in found.values() for number in (3, 4))
    assert {one.why for one in found.values()} == {Why.DUTY}


def page(number: int, due: float, channel: str = "sms", why: Why = Why.OPENED) -> Notice:
    return notice(f"{number:016x}", channel=channel, incident=f"inc-{number}", due=due, person="ann", why=why,
                  result=NoticeResult.SENT)  # fmt: skip


def test_pages_are_counted_by_person_and_shift_two_media_once() -> None:
    now = local("2027-01-15T03:00")
    pages = [page(n, now - 60.0 * n, channel) for n in range(6) for channel in ("sms", "mail")]
    pages += [page(20, now - 8 * 86_400.0), page(21, now, why=Why.RESOLVED)]
    (load,) = loads(pages, Roster(PLAN), now)
    assert (load.user, load.pages) == ("ann", 6)


def test_more_than_five_pages_in_a_shift_is_told_once_to_whoever_wants_it() -> None:
    roster, now = Roster(PLAN), local("2027-01-15T03:00")
    start = local("2027-01-11T09:00")
    assert not list(too_much(Load("ann", "net", start, start + 7 * 86_400.0, 5), roster, now))
    (one,) = too_much(Load("ann", "net", start, start + 7 * 86_400.0, 6), roster, now)
    (again,) = too_much(Load("ann", "net", start, start + 7 * 86_400.0, 9), roster, now + 3600.0)
    assert one.key == again.key, "once a shift and person"
    assert (one.channel, one.to) == ("mail", "head@h.example")
    assert "Ann: 6 pages in one shift" in one.text
    assert datetime.fromtimestamp(start, UTC)
