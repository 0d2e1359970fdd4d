"""What people may do to an incident in which state, and what it becomes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from healthmon.alerting.incidents.actions import act
from healthmon.alerting.incidents.text import Texts
from healthmon.impact.hours import Calendar
from healthmon.model.alert import AlertKey, Effect
from healthmon.model.errors import Conflict, NotFound
from healthmon.model.incident import Command, Entry, Incident, IncidentKind, IncidentState, Member
from healthmon.model.topology import Estate, Organisation, Site

T0 = 1_795_514_400.0
ESTATE = Estate(
    Organisation("trust", "Trust", "Europe/London"), {"main": Site("main", "Main", "Europe/London")}, {}, {}, {}, {}, {}
)
TEXTS = Texts({}, ESTATE, Calendar(ESTATE))
OPEN, ACKED = IncidentState.OPEN, IncidentState.ACKNOWLEDGED
MITIGATED, RESOLVED = IncidentState.MITIGATED, IncidentState.RESOLVED


def member(target: str, *, cleared: bool = False) -> Member:
    key = AlertKey("check-failed", target, "http", "poller")
    return Member(key, Effect.DOWN, T0, "timeout", cleared_at=T0 + 50 if cleared else None)


def incident(state: IncidentState = OPEN, *, id_: str = "inc-1", **more: Any) -> Incident:
    values: dict[str, Any] = {
        "id": id_,
        "kind": IncidentKind.INCIDENT,
        "state": state,
        "severity": 2,
        "impact_level": 2,
        "urgency": 1,
        "title": "x",
        "plain_text": "x",
        "root": None,
        "members": (member("web"), member("db")),
        "impact": (),
        "impact_known": "none",
        "opened_at": T0,
        "first_evidence_at": T0 - 5,
        "worst_severity": 2,
        "mitigated_at": T0 + 60 if state in (MITIGATED, RESOLVED) else None,
        "resolved_at": T0 + 90 if state is RESOLVED else None,
        "timeline": (Entry(T0, "opened", "x"),),
    }
    return Incident(**{**values, **more})


def do(action: str, *known: Incident, failing: bool = False, **more: Any) -> tuple[Incident, ...]:
    command = Command(action, known[0].id, more.pop("by", "kim"), **more)
    return act({one.id: one for one in known}, command, T0 + 100, failing=lambda _: failing, texts=TEXTS)


@pytest.mark.parametrize(
    ("action", "state", "after"),
    [
        ("ack", OPEN, ACKED),
        ("ack", ACKED, ACKED),
        ("ack", MITIGATED, MITIGATED),
        ("unack", ACKED, OPEN),
        ("own", OPEN, ACKED),
        ("own", ACKED, ACKED),
        ("mitigate", OPEN, MITIGATED),
        ("mitigate", ACKED, MITIGATED),
        ("resolve", OPEN, RESOLVED),
        ("resolve", MITIGATED, RESOLVED),
        ("reopen", MITIGATED, OPEN),
        ("reopen", RESOLVED, OPEN),
        ("note", RESOLVED, RESOLVED),
        ("note", OPEN, OPEN),
    ],
)
def test_allowed(action: str, state: IncidentState, after: IncidentState) -> None:
    (found,) = do(action, incident(state), text="said", reason="why", impact="none seen")
    assert found.state is after
    assert found.timeline[-1].by == "kim"
    assert found.timeline[-1].at == T0 + 100


@pytest.mark.parametrize(
    ("action", "state"),
    [
        ("ack", RESOLVED),
        ("own", RESOLVED),
        ("unack", OPEN),
        ("unack", MITIGATED),
        ("mitigate", MITIGATED),
        ("mitigate", RESOLVED),
        ("resolve", RESOLVED),
        ("reopen", OPEN),
        ("reopen", ACKED),
        ("split", RESOLVED),
        ("fly", OPEN),
    ],
)
def test_refused(action: str, state: IncidentState) -> None:
    with pytest.raises(Conflict):
        do(action, incident(state), text="said", reason="why", members=("web",))


@pytest.mark.parametrize("action", ["mitigate", "resolve"])
def test_nobody_calls_it_over_while_a_member_fails(action: str) -> None:
    with pytest.raises(Conflict, match="still fail"):
        do(action, incident(), failing=True, reason="why", impact="none seen")


def test_severity_one_and_two_need_a_reason_and_the_worst_ever_counts() -> None:
    with pytest.raises(Conflict, match="reason"):
        do("resolve", incident(MITIGATED, severity=4, worst_severity=1))
    (found,) = do("resolve", incident(MITIGATED, severity=4, worst_severity=3))
    assert found.state is RESOLVED
    (found,) = do("resolve", incident(MITIGATED), reason="cable", impact="not known yet, by the duty manager by Friday")
    assert "cable" in found.timeline[-1].text
    assert "not known yet" in found.timeline[-1].text


def test_who_acknowledges_first_owns_it_until_somebody_takes_it() -> None:
    (found,) = do("ack", incident())
    assert (found.owner, found.acknowledged_at) == ("kim", T0 + 100)
    (again,) = do("ack", found, by="lee")
    assert (again.owner, again.acknowledged_at) == ("kim", T0 + 100)
    (taken,) = do("own", again, by="lee")
    assert taken.owner == "lee"
    (back,) = do("unack", replace(taken, state=ACKED), by="lee")
    assert (back.owner, back.acknowledged_at) == (None, None)


def test_a_note_needs_words_and_everyone_a_name() -> None:
    with pytest.raises(Conflict):
        do("note", incident())
    with pytest.raises(Conflict):
        do("ack", incident(), by="")
    with pytest.raises(NotFound):
        act({}, Command("ack", "inc-9", "kim"), T0, failing=lambda _: False, texts=TEXTS)


def test_mitigated_by_a_person_says_who_says_so() -> None:
    (found,) = do("mitigate", incident())
    assert "IT reports working again since" in found.timeline[-1].text
    assert found.mitigated_at == T0 + 100


def test_merge_moves_the_members_and_ends_the_first() -> None:
    into = incident(id_="inc-2", members=(member("db"), member("mail")), first_evidence_at=T0 - 9)
    kept, ended = do("merge", incident(), into, into="inc-2")
    assert kept.id == "inc-2"
    assert [one.key.target for one in kept.members] == ["db", "mail", "web"]
    assert kept.first_evidence_at == T0 - 9
    assert (ended.id, ended.state, ended.merged_into, ended.members) == ("inc-1", RESOLVED, "inc-2", ())
    with pytest.raises(Conflict, match="inc-2"):
        do("reopen", ended)


@pytest.mark.parametrize("into", ["inc-1", "inc-3"])
def test_merge_refuses_itself_and_what_is_over(into: str) -> None:
    with pytest.raises(Conflict):
        do("merge", incident(), incident(RESOLVED, id_="inc-3"), into=into)


def test_split_takes_members_by_key_or_target_and_leaves_some() -> None:
    goes, stays = do("split", incident(ACKED, owner="kim"), members=("db",))
    assert [one.key.target for one in goes.members] == ["db"]
    assert [one.key.target for one in stays.members] == ["web"]
    assert (goes.state, goes.owner, goes.id != stays.id) == (OPEN, None, True)
    by_key = do("split", incident(), members=(str(member("db").key),))
    assert by_key[0].members == goes.members
    for wrong in ((), ("nothing",), ("web", "db")):
        with pytest.raises(Conflict):
            do("split", incident(), members=wrong)
