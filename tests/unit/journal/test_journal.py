"""What goes in comes out: state by key, and the log as views."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from daemons.paging import MORNING, alert, incident, mitigated, notice, row
from healthmon.alerting.journal import Journal
from healthmon.alerting.journal_rows import SENDING, progress
from healthmon.model.alert import Phase
from healthmon.model.incident import Entry, Incident, IncidentState, NoticeResult
from healthmon.model.journal import Changes, Epoch, Restored
from healthmon.model.sample import Outcome, Reading, Reason, Sample


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.sqlite")


def reading(target: str = "sw-ward7", value: float = 1.5, **more: object) -> Reading:
    samples = (
        Sample("icmp", "rtt_avg_seconds", value),
        Sample("snmp_if", "up", True, {"interface": "Gi0/1"}),
        Sample("tls", "subject", "CN=x"),
    )
    return Reading(target, "icmp", "poller", MORNING, 0.1, Outcome.FAILED, Reason.TIMEOUT, "no answer", samples)


EPOCH = Epoch("pc-w7-01", "9f3c0d5e7a1b2c48", 0.25, MORNING, MORNING + 9, ((1, 7), (9, 9)), ((1, 7),), ((8, 8),))
EVERYTHING = Changes(
    at=MORNING,
    readings=(reading(),),
    alerts=(alert(), alert(mount="/var")),
    incidents=(incident(timeline=(Entry(MORNING, "opened", "it began"),)),),
    notices=(notice(),),
    ledger=(row(),),
    epochs=(EPOCH,),
    presence={"pc-w7-01": ("up", MORNING)},
    memory={"w|x": b"\x00\x01"},
)


def test_everything_comes_back_as_it_was(journal: Journal) -> None:
    journal.commit(EVERYTHING)
    restored = journal.restore()
    assert restored == Restored(
        at=MORNING,
        readings={("sw-ward7", "icmp", "poller"): reading()},
        alerts={a.key: a for a in EVERYTHING.alerts},
        incidents={"inc-1": EVERYTHING.incidents[0]},
        notices={notice().key: notice()},
        epochs={("pc-w7-01", "9f3c0d5e7a1b2c48"): EPOCH},
        presence={"pc-w7-01": ("up", MORNING)},
        memory={"w|x": b"\x00\x01"},
        ledgered=frozenset({"k1"}),
    )


def test_it_comes_back_from_the_file_too(journal: Journal) -> None:
    journal.commit(EVERYTHING)
    journal.close()
    assert Journal(journal.path).restore().incidents == {"inc-1": EVERYTHING.incidents[0]}


def test_a_first_start_is_empty(journal: Journal) -> None:
    assert journal.restore() == Restored()


def test_writing_the_same_changes_twice_changes_nothing(journal: Journal) -> None:
    journal.commit(EVERYTHING)
    before = journal.restore(), journal.ledger(9), journal.events("timeline"), journal.events("notice")
    journal.commit(EVERYTHING)
    assert (journal.restore(), journal.ledger(9), journal.events("timeline"), journal.events("notice")) == before


def test_newer_state_replaces_older_and_a_clear_alert_is_forgotten(journal: Journal) -> None:
    journal.commit(EVERYTHING)
    newer = replace(reading(), started=MORNING + 1, outcome=Outcome.OK, reason=None)
    journal.commit(Changes(at=MORNING + 1, readings=(newer,), alerts=(alert(Phase.CLEAR),)))
    restored = journal.restore()
    assert restored.at == MORNING + 1
    assert list(restored.readings.values()) == [newer]
    assert list(restored.alerts.values()) == [alert(mount="/var")]


def closed(of: Incident, at: float) -> Incident:
    return replace(of, state=IncidentState.RESOLVED, resolved_at=at)


def test_old_resolved_incidents_stay_on_disk_only(journal: Journal) -> None:
    recent, old = incident(id="recent"), incident(id="old")
    now = MORNING + 31 * 86400
    notices = (notice("a" * 16, incident="recent"), notice("b" * 16, incident="old"))
    sent = tuple(replace(n, result=NoticeResult.SENT, attempts=1) for n in notices)
    journal.commit(Changes(at=MORNING, incidents=(closed(recent, now - 86400), closed(old, MORNING)), notices=sent))
    journal.commit(Changes(at=now, presence={"x": ("up", now)}))
    restored = journal.restore()
    assert set(restored.incidents) == {"recent"}
    assert set(restored.notices) == {"a" * 16}, "a reopened incident needs to know who was told"
    assert journal.incident("old") == closed(old, MORNING)
    assert journal.incident("never") is None


def test_an_unfinished_notice_comes_back_with_its_body_whatever_its_incident(journal: Journal) -> None:
    lost = notice(incident="watchdog-1", result=NoticeResult.RETRYING, attempts=1, detail=SENDING)
    done = notice("d" * 16, incident="watchdog-1", result=NoticeResult.SENT, attempts=1)
    journal.commit(Changes(at=MORNING, notices=(lost, done)))
    assert journal.restore().notices == {lost.key: lost}
    assert journal.notice(lost.key) == lost
    assert journal.notice("nobody") is None


def test_finished_notices_leave_their_bodies_on_disk(journal: Journal) -> None:
    sent = notice(result=NoticeResult.SENT, attempts=1)
    journal.commit(Changes(at=MORNING, incidents=(incident(),), notices=(sent,)))
    assert journal.restore().notices == {sent.key: replace(sent, body={})}
    assert journal.notices("inc-1") == [replace(sent, body={})]
    assert journal.notice(sent.key) == sent


def test_a_notice_only_moves_forward(journal: Journal) -> None:
    life = [
        notice(),
        notice(result=NoticeResult.RETRYING, attempts=1, detail=SENDING),
        notice(result=NoticeResult.RETRYING, attempts=1, detail="HTTP 503"),
        notice(result=NoticeResult.RETRYING, attempts=2, detail=SENDING),
        notice(result=NoticeResult.SENT, attempts=2),
        notice(result=NoticeResult.ACKNOWLEDGED, attempts=2),
    ]
    steps = [progress(n) for n in life]
    assert steps == sorted(set(steps))
    for newer in life:
        journal.commit(Changes(at=MORNING, notices=(newer,)))
        for older in life:
            if progress(older) < progress(newer):
                journal.commit(Changes(at=MORNING, notices=(older,)))
        assert journal.notices("inc-1") == [replace(newer, body={})]
    assert [event.body["result"] for event in journal.events("notice")] == [n.result.value for n in life]


def test_the_timeline_is_written_once_across_restarts_and_merges(journal: Journal) -> None:
    first, second, third = (Entry(MORNING + n, "note", f"line {n}") for n in range(3))
    journal.commit(Changes(at=MORNING, incidents=(incident(timeline=(first, third)),)))
    again = Journal(journal.path)
    again.commit(Changes(at=MORNING, incidents=(incident(timeline=(first, second, third)),)))
    again.commit(Changes(at=MORNING, incidents=(closed(incident(timeline=(first, second, third)), MORNING),)))
    assert [event.body["text"] for event in again.events("timeline")] == ["line 0", "line 1", "line 2"]


def test_the_ledger_reads_backwards_in_pages(journal: Journal) -> None:
    rows = tuple(row(f"k{n}", MORNING + n) for n in range(5))
    journal.commit(Changes(at=MORNING, ledger=rows))
    assert [r.key for r in journal.ledger(2)] == ["k4", "k3"]
    assert [r.key for r in journal.ledger(9, before=MORNING + 3)] == ["k2", "k1", "k0"]


def test_one_ledger_row_per_key_and_cause(journal: Journal) -> None:
    journal.commit(Changes(at=MORNING, ledger=(row(), row(at=MORNING + 1), row(cause="held"), row(of="inc-2"))))
    assert [(r.at, r.cause, r.incident) for r in journal.ledger(9)] == [
        (MORNING, "shadow", "inc-2"),
        (MORNING, "held", "inc-1"),
        (MORNING, "shadow", "inc-1"),
    ]


def test_ledger_keys_of_closed_incidents_are_not_carried(journal: Journal) -> None:
    journal.commit(Changes(at=MORNING, incidents=(closed(incident(), MORNING),), ledger=(row(),)))
    assert journal.restore().ledgered == frozenset()


def test_audit_lines_and_what_may_happen_once(journal: Journal) -> None:
    assert journal.append("token", at=MORNING, body={"by": "on call"}, incident="inc-1", key="t1")
    assert not journal.append("token", at=MORNING + 1, body={"by": "somebody else"}, key="t1")
    assert journal.append("probing", at=MORNING, body={"stopped": True})
    assert journal.append("probing", at=MORNING, body={"stopped": True})
    assert [event.body["by"] for event in journal.events("token")] == ["on call"]
    assert len(journal.events("probing", since=MORNING)) == 2
    assert journal.events("probing", since=MORNING + 1) == []


def test_nothing_is_written_when_one_part_fails(journal: Journal) -> None:
    broken = Changes(at=MORNING, readings=(reading(),), presence={"pc": (None, MORNING)})  # type: ignore[dict-item]
    with pytest.raises(sqlite3.IntegrityError):
        journal.commit(broken)
    assert journal.restore() == Restored()
    journal.commit(EVERYTHING)
    assert journal.restore().at == MORNING, "the next commit works"


def test_an_unreadable_row_does_not_stop_a_start(journal: Journal) -> None:
    strange = replace(reading("ups-1", value=float("nan")))
    journal.commit(Changes(at=MORNING, readings=(reading(), strange)))
    assert set(journal.restore().readings) == {("sw-ward7", "icmp", "poller")}
    assert journal.unreadable == 1
    assert journal.check() == "ok"


def test_a_mitigated_incident_is_still_open(journal: Journal) -> None:
    journal.commit(Changes(at=MORNING, incidents=(mitigated(incident(), MORNING),), ledger=(row(),)))
    assert set(journal.restore().incidents) == {"inc-1"}
    assert journal.restore().ledgered == {"k1"}


def test_more_incidents_than_sqlite_takes_in_one_question(journal: Journal) -> None:
    many = tuple(incident(id=f"inc-{n}") for n in range(1201))
    sent = tuple(notice(f"{n:016x}", incident=i.id, result=NoticeResult.SENT) for n, i in enumerate(many))
    journal.commit(Changes(at=MORNING, incidents=many, notices=sent, ledger=tuple(row(of=i.id) for i in many)))
    restored = journal.restore()
    assert len(restored.incidents) == len(restored.notices) == 1201
