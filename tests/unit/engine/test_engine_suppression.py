"""The five things of dependency suppression at once, told as the failures that other systems were reported for.

Only the root pages; children are shown as suppressed with the reason; children go on being judged and recoveries
always pass; the parent is asked before a child pages; the child is asked before its parent's recovery frees it.
"""

from __future__ import annotations

from collections import Counter

import pytest
from smallsite import RULES, Night, area, areas_lost, check, estate_of, hospital, target

from healthmon.alerting.engine_settings import EngineSettings
from healthmon.model.alert import Phase
from healthmon.model.incident import IncidentState, Why
from healthmon.model.render import incident_json
from healthmon.model.sample import Reason
from healthmon.model.topology import Agent, AtLeast, Service

TIMEOUT = Reason.TIMEOUT
BEHIND_W7 = {"prn-w7", *(f"pc-w7-{n}" for n in range(1, 5))}


def ward_down(*more: str, **settings: object) -> Night:
    night = Night(hospital(poller_hop=False), **settings).run(40)  # type: ignore[arg-type]
    night.down.update(dict.fromkeys(("sw-w7", *more), TIMEOUT))
    return night


def opened(night: Night) -> list[str]:
    return [notice.incident for notice in night.notices if notice.why is Why.OPENED]


def test_only_the_root_pages_and_every_child_is_shown_behind_it_and_in_the_ledger() -> None:
    night = ward_down().run(60)
    incident = night.only()
    assert opened(night) == [incident.id]
    shown = incident_json(incident)["suppressed"]
    assert {(one["target"], one["why"]) for one in shown} == {(id_, "behind sw-w7") for id_ in BEHIND_W7}
    rows = [row for row in night.ledger if row.cause == "behind_root"]
    assert len({row.key.split("/")[1] for row in rows}) == len(BEHIND_W7)


def test_children_go_on_being_judged_while_they_are_suppressed() -> None:
    """A printer that comes back while its switch is still said to be down is said to be back (OneUptime #3122)."""
    night = ward_down().run(60)
    del night.down["sw-w7"]
    night.deaf.add("sw-w7")  # only its management is dead from now on
    night.run(40)
    clear = {member.key.target for member in night.only().members if member.cleared_at is not None}
    assert clear >= BEHIND_W7
    assert not areas_lost(night.only())


@pytest.mark.parametrize("late", ["sw-w7", "prn-w7"])
def test_the_parent_is_asked_before_the_child_pages(late: str) -> None:
    """LibreNMS #8353: the poll that comes first must not decide who pages; the parent's is 60 s away."""
    estate = hospital(poller_hop=False)
    slow = {late: tuple(check("snmp", 60.0) for _ in estate.targets[late].checks)}
    targets = {id_: one if id_ not in slow else target(id_, one.kind, *one.needs, area=one.area, checks=slow[id_],
               team=one.team) for id_, one in estate.targets.items()}  # fmt: skip
    night = Night(estate_of(targets.values(), estate.areas.values(), estate.services.values(), estate.agents.values()))
    night.run(70)
    night.down["sw-w7"] = TIMEOUT
    night.run(40)
    root = night.only().root
    assert root is not None
    assert root.target == "sw-w7"
    assert len(opened(night)) == 1
    assert late == "prn-w7" or any(ask.target == "sw-w7" for ask in night.asked)


def test_no_answer_from_the_parent_within_the_time_and_the_child_pages() -> None:
    """The wait is bounded: what nobody answers holds no page back."""
    night = Night(hospital(poller_hop=False), answer_asks=False).run(40)
    night.hidden = {"sw-w7", "sw-core"}
    night.down["prn-w7"] = TIMEOUT
    night.run(40)
    assert {member.key.target for member in night.only().members} == {"prn-w7"}


def test_children_do_not_page_for_one_check_after_the_parent_is_back() -> None:
    """Icinga #5208 and #4689: the parent recovers, the children's last word is still `failed`."""
    night = ward_down().run(60)
    before = len(night.asked)
    del night.down["sw-w7"]
    night.hidden = {"prn-w7"}  # its next poll is far away: only an ask brings news
    night.quiet.update(f"pc-w7-{n}" for n in range(1, 5))
    night.run(8)
    assert opened(night) == [night.only().id], "the children wait for a look of their own"
    assert any(ask.target == "prn-w7" for ask in night.asked[before:]), "and are asked for it"
    night.hidden = set()
    night.quiet.clear()
    night.run(60)
    assert night.only_or_mitigated().state is IncidentState.MITIGATED
    assert [notice.why for notice in night.notices] == [Why.OPENED, Why.MITIGATED]


def test_a_child_that_is_down_by_itself_is_told_once_its_parent_is_back() -> None:
    """It was behind the switch; now the printer itself is what is wrong, in the same incident."""
    night = ward_down("prn-w7").run(60)
    del night.down["sw-w7"]
    night.run(60)
    incident = night.only()
    assert incident.root is not None
    assert incident.root.target == "prn-w7"
    assert areas_lost(incident) == {"ward-7"}
    assert {line.service for line in incident.impact} == {"printing"}


def test_a_recovery_passes_though_the_page_was_suppressed() -> None:
    """Alertmanager #2754: what began under suppression and ends outside it must be heard of, and the reverse."""
    night = ward_down().run(60)
    night.down["sw-core"] = TIMEOUT  # now the whole ward, switch included, is behind the core
    night.run(60)
    night.down.clear()
    night.run(90)
    told = Counter((notice.incident, notice.why) for notice in night.notices)
    for incident in night.incidents(open_only=False):
        if incident.merged_into is None:
            assert incident.state is IncidentState.MITIGATED
            assert told[(incident.id, Why.MITIGATED)] == (1 if told[(incident.id, Why.OPENED)] else 0)
    assert not [alert for alert in night.view().alerts if alert.phase is Phase.FIRING]


def test_asks_stay_under_the_probing_budget() -> None:
    """Thirty things behind one dead core ask for one another: never more at once than the budget lets out."""
    wards = [target(f"sw-{n}", "switch", "core", checks=(check("snmp", 30.0),)) for n in range(30)]
    core = target("core", "switch", checks=(check("snmp", 60.0),))
    estate = estate_of([target("mon", "server"), core, *wards], agents=[Agent("poller", "mon")])
    night = Night(estate, rules=RULES, settings=EngineSettings(mode="live", ask_budget_per_s=0.5, settle_s=4.0))
    night.run(70)
    night.down["core"] = TIMEOUT
    open_asks: list[tuple[float, int]] = []
    for _ in range(120):
        step = night.one_step_later()
        open_asks = [(until, n) for until, n in open_asks if until > night.now]
        open_asks += [(ask.deadline, 1) for ask in step.asks]
        assert sum(n for _, n in open_asks) <= 2
    root = night.only().root
    assert root is not None
    assert root.target == "core"


def test_one_of_two_cores_down_suppresses_nothing_behind_it() -> None:
    """A printer that fails while one core of two is down is not behind that core: it pages for itself."""
    pair = AtLeast(1, ("core-a", "core-b"))
    cores = [target(id_, "switch", checks=(check("snmp"),)) for id_ in ("core-a", "core-b")]
    printer = target("prn", "server", pair, checks=(check("tcp"),))
    night = Night(
        estate_of(
            [target("mon", "server"), *cores, printer],
            [area("icu", pair)],
            [Service("print", "Labels", 1, ("icu",), True, ("prn",))],
            [Agent("poller", "mon")],
        )
    ).run(30)
    night.down["core-a"] = TIMEOUT
    night.run(30)
    night.down["prn"] = Reason.REFUSED
    night.run(30)
    roots = {one.root.target for one in night.incidents() if one.root}
    assert roots == {"core-a", "prn"}
    assert len(opened(night)) == 2
