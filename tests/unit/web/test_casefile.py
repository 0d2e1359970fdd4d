"""The page of one incident as facts: who has it, who was told and whether it arrived, what makes it up."""

from __future__ import annotations

from dataclasses import replace

from daemons.paging import MORNING, estate, incident, member, mitigated, notice
from healthmon.model.incident import NoticeResult, Why
from healthmon.web.casefile import asked_words, member_rows, told_row, who_has_it
from healthmon.web.words import LocalTime

CLOCK = LocalTime("Europe/London", MORNING + 600)


def test_sent_is_never_called_delivered() -> None:
    sent = notice(result=NoticeResult.SENT, at=MORNING)
    assert told_row(sent, CLOCK).result == "sent; not known whether it arrived"
    assert told_row(sent, CLOCK).state == "wait"
    receipt = told_row(replace(sent, delivered_at=MORNING + 5), CLOCK)
    assert (receipt.result, receipt.state) == ("delivered 10:00", "good")
    assert told_row(replace(sent, result=NoticeResult.ACKNOWLEDGED), CLOCK).result == "answered"
    dead = told_row(replace(sent, result=NoticeResult.DEAD, detail="SMTP 550"), CLOCK)
    assert (dead.result, dead.state, dead.detail) == ("not delivered", "bad", "SMTP 550")


def test_why_is_said_in_words_for_every_reason() -> None:
    said = [told_row(notice(why=why), CLOCK).why for why in Why]
    assert all(said)
    assert not any("_" in text for text in said)


def test_who_has_it_and_who_was_asked_last() -> None:
    nobody = incident(passed_to="duty-manager")
    page = notice(person="ann", channel="sms", result=NoticeResult.SENT, at=MORNING + 60)
    assert who_has_it(nobody, CLOCK) == "Nobody has it."
    asked = asked_words(nobody, [page], CLOCK)
    assert asked == "It was passed to duty manager. Last asked: ann by sms at 10:01."
    assert asked_words(incident(), [], CLOCK) == "Nobody has been asked yet."
    owned = incident(owner="Ann", accepted_by=("Ann", "Bob"), acknowledged_at=MORNING)
    assert who_has_it(owned, CLOCK) == "Ann has it since 10:00. With them: Bob."
    assert asked_words(owned, [page], CLOCK) == ""
    assert asked_words(mitigated(incident(), MORNING), [page], CLOCK) == ""


def test_the_alerts_of_one_target_are_one_line_and_what_fails_comes_first() -> None:
    clear = replace(member("pc-w7-01"), cleared_at=MORNING + 60)
    rows = member_rows(
        incident(members=(clear, member(), member(vantage="pc-w7-01"), replace(member("ups"), behind="sw-ward7"))),
        estate(),
        CLOCK,
    )
    assert [(row.target, row.alerts, row.behind, row.cleared) for row in rows] == [
        ("sw-ward7", 2, "", ""),
        ("ups", 1, "sw-ward7", ""),
        ("pc-w7-01", 1, "", "10:01"),
    ]
    assert rows[0].seen_from == "poller, pc-w7-01"
