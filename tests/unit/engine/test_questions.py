"""Open looks: answered, overdue, within the budget, and the same after a restart."""

from __future__ import annotations

from healthmon.alerting.incidents.questions import Questions

SERIES = ("sw-core", "snmp", "poller")


def questions(returned: dict[str, float] | None = None) -> Questions:
    return Questions(budget_per_s=1.0, settle_s=4.0, returned={} if returned is None else returned)


def test_what_is_asked_comes_back_from_the_journal_and_what_was_answered_does_not() -> None:
    returned = {"pc-7": 12.5}
    first = questions(returned)
    first.asked[SERIES] = first.asked[("ad", "tcp", "poller")] = 14.0
    first.went_out(2, 10.0)
    disk = dict(first.written())
    first.answered(SERIES)
    disk.update(first.written())
    kept = {key: body for key, body in disk.items() if body}
    back: dict[str, float] = {}
    second = questions(back)
    assert second.restore({**kept, "w\x1fcpu@60": b"x"}) == {"w\x1fcpu@60": b"x"}
    assert second.asked == {("ad", "tcp", "poller"): 14.0}
    assert back == returned
    assert second.room(11.0) == first.room(11.0) == 2
    assert second.written() == {}


def test_an_overdue_answer_and_a_spent_budget_each_set_a_time_to_look_again() -> None:
    one = questions()
    one.asked[SERIES] = 14.0
    assert one.deadlines() == [14.0]
    one.went_out(4, 11.0)
    assert one.room(12.0) == 0
    assert one.deadlines() == [14.0, 15.0]
    assert one.room(15.0) == 4
    assert one.asked == {}
