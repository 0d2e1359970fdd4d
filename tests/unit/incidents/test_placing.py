"""Which incident an alert goes to: members decide, never the root."""

from __future__ import annotations

from typing import Any

from healthmon.alerting.incidents.groups import Group
from healthmon.alerting.incidents.placing import Placement, place
from healthmon.model.alert import Alert, AlertKey, Effect, Phase
from healthmon.model.incident import Entry, Incident, IncidentKind, IncidentState, Member, Root

T0 = 1_795_514_400.0
DAY = 86_400.0


def key(target: str) -> AlertKey:
    return AlertKey("check-failed", target, "http", "poller")


def alert(target: str) -> Alert:
    return Alert(key(target), Phase.FIRING, Effect.DOWN, T0, T0, fired_at=T0)


def group(*targets: str, kind: IncidentKind = IncidentKind.INCIDENT, root: str | None = None) -> Group:
    lead = root or targets[0]
    members = tuple((alert(one), None if one == lead else lead) for one in targets)
    return Group(kind, Root(lead, "http", "timeout", 0.9), members, (lead,))


def incident(id_: str, *targets: str, cleared: tuple[str, ...] = (), **more: Any) -> Incident:
    members = [Member(key(one), Effect.DOWN, T0) for one in targets]
    members += [Member(key(one), Effect.DOWN, T0, cleared_at=T0 + 5) for one in cleared]
    values: dict[str, Any] = {
        "id": id_,
        "kind": IncidentKind.INCIDENT,
        "state": IncidentState.OPEN,
        "severity": 2,
        "impact_level": 2,
        "urgency": 1,
        "title": "",
        "plain_text": "",
        "root": None,
        "members": tuple(members),
        "impact": (),
        "impact_known": "none",
        "opened_at": T0,
        "first_evidence_at": T0,
    }
    return Incident(**{**values, **more})


def placed(groups: list[Group], *known: Incident, ready: bool = True, now: float = T0 + 10) -> Placement:
    return place({one.id: one for one in known}, groups, lambda _: ready, now)


def members(placement: Placement, id_: str) -> list[str]:
    return sorted(one.key.target for one, _ in placement.active.get(id_, []))


def opened(placement: Placement) -> list[list[str]]:
    return [[one.key.target for one, _ in pairs] for _, pairs in placement.opening]


def test_nothing_opens_before_it_is_ready_and_members_stay_members() -> None:
    found = placed([group("web", "mail")], incident("a", "web"), ready=False)
    assert members(found, "a") == ["web"]
    assert placed([group("db")], ready=False).opening == []


def test_a_new_root_over_a_known_member_is_the_same_incident() -> None:
    found = placed([group("switch", "web")], incident("a", "web"))
    assert members(found, "a") == ["switch", "web"]
    assert not found.opening


def test_two_incidents_that_turn_out_to_be_one_keep_the_older() -> None:
    young, old = incident("a", "web", opened_at=T0 + 5), incident("b", "db")
    found = placed([group("switch", "web", "db")], young, old)
    assert found.merged == {"a": "b"}
    assert members(found, "b") == ["db", "switch", "web"]


def test_what_a_person_split_stays_split() -> None:
    split = (Entry(T0, "split", ""),)
    old, young = incident("a", "web", timeline=split), incident("b", "db", opened_at=T0 + 5, timeline=split)
    found = placed([group("switch", "web", "db")], old, young)
    assert not found.merged
    assert members(found, "b") == ["db"]
    assert members(found, "a") == ["switch", "web"]


def test_members_whose_groups_part_stay_together() -> None:
    found = placed([group("web"), group("db")], incident("a", "web", "db"))
    assert members(found, "a") == ["db", "web"]


def test_a_dead_printer_does_not_glue_weeks_together() -> None:
    """A lone mild member stops drawing others in after a day; it stays where it is."""
    printer = incident("a", "printer", severity=3)
    soon = placed([group("switch", "printer", "pc")], printer, now=T0 + DAY - 1)
    assert members(soon, "a") == ["pc", "printer", "switch"]
    late = placed([group("switch", "printer", "pc")], printer, now=T0 + DAY + 1)
    assert members(late, "a") == ["printer"]
    assert opened(late) == [["switch", "pc"]]


def test_a_severe_or_a_large_incident_keeps_drawing_in() -> None:
    for one in (incident("a", "printer", severity=2), incident("a", "printer", "pc", severity=4)):
        assert "switch" in members(placed([group("switch", "printer")], one, now=T0 + 3 * DAY), "a")


def test_what_was_blindness_and_fails_by_itself_leaves() -> None:
    blind = incident("a", "hop", "web", kind=IncidentKind.BLIND)
    found = placed([group("hop", kind=IncidentKind.BLIND), group("web")], blind)
    assert members(found, "a") == ["hop"]
    assert opened(found) == [["web"]]
    assert found.moved == {key("web"): "a"}


def test_blindness_does_not_take_what_an_incident_has_already() -> None:
    found = placed([group("hop", "web", kind=IncidentKind.BLIND)], incident("a", "web"))
    assert members(found, "a") == ["web"]
    assert opened(found) == [["hop"]]


def test_a_member_that_had_cleared_comes_back_only_when_it_is_ready() -> None:
    known = incident("a", cleared=("web",), state=IncidentState.MITIGATED)
    assert members(placed([group("web")], known, ready=False), "a") == []
    assert members(placed([group("web")], known), "a") == ["web"]


def test_what_is_resolved_is_over() -> None:
    found = placed([group("web")], incident("a", cleared=("web",), state=IncidentState.RESOLVED))
    assert opened(found) == [["web"]]
