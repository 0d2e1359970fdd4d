"""Fire drills, the pure part: what is taken out of the stream, what is paged, which hop is missing and why."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemons.paging import MORNING, notice
from healthmon.alerting.drills import (
    Called,
    DrillDesk,
    Seen,
    acknowledged,
    first_missing,
    judged,
    late_words,
    page,
    reached,
    shown,
)
from healthmon.alerting.notify.shorttext import SMS_CHARACTERS, short_text
from healthmon.alerting.oncall.case import BAD_NEWS
from healthmon.model.drill import CHECK, Drill, DrillPlan, DrillState, Hop
from healthmon.model.incident import NoticeResult
from healthmon.model.sample import Outcome, Reading

EXAMPLES = int(os.environ.get("HEALTHMON_PROPERTIES") or 30)
PLAN = DrillPlan()
DRILL = Drill("drill-0123abcd", "pc-1", "Desk", MORNING)
WAY = [hop for hop in Hop if hop is not Hop.STORED]


def through(*hops: Hop, drill: Drill = DRILL) -> Drill:
    """Reached one second after another."""
    for number, hop in enumerate(hops, start=1):
        drill = reached(drill, hop, MORNING + number)
    return drill


def answer(agent: str = "pc-1", detail: str = DRILL.id) -> Reading:
    return Reading("pc-1", CHECK, agent, MORNING, 0.0, Outcome.OK, detail=detail)


def test_its_answer_is_taken_out_and_paged_once() -> None:
    desk = DrillDesk()
    desk.begin(DRILL, [Called(("sms", "+44"), "ann", "Ann by sms"), Called(("mail", "mail"))])
    other = Reading("pc-1", "cpu", "pc-1", MORNING, 0.0, Outcome.OK)
    assert list(desk.take([answer(), other, answer()])) == [other]
    pages = desk.due(MORNING + 1.0)
    assert [(one.channel, one.person) for one in pages] == [("sms", "ann"), ("mail", None)]
    assert desk.due(MORNING + 2.0) == ()
    desk.take([answer()])
    assert {one.key for one in desk.due(MORNING + 3.0)} == {one.key for one in pages}, "a repeat has the same keys"


@pytest.mark.parametrize(
    "said", [answer("pc-2"), answer(detail="drill-ffffffff"), answer(detail=""), answer("pc-1", "drill-0123abce")]
)
def test_an_answer_that_nobody_asked_for_pages_nobody_and_goes_no_further(said: Reading) -> None:
    desk = DrillDesk()
    desk.begin(DRILL, [Called(("sms", "+44"))])
    assert list(desk.take([said])) == []
    assert desk.due(MORNING) == ()
    desk.end(DRILL.id)
    desk.take([answer()])
    assert desk.due(MORNING) == ()


def test_a_page_says_everywhere_that_it_is_a_drill() -> None:
    made = page(DRILL, Called(("sms", "+44")), MORNING, {})
    assert made.why not in BAD_NEWS, "it is in nobody's pages per shift"
    assert made.subject.startswith("[FIRE DRILL]")
    assert made.text.startswith("FIRE DRILL, nothing has failed")
    assert made.body["drill"] is True
    text = short_text(made)
    assert text.startswith("(FIRE DRILL)")
    assert text.endswith("Reply 1 abcd=I have it 2=not mine")
    assert len(text) <= SMS_CHARACTERS
    assert shown(DRILL, {}).title.startswith("FIRE DRILL")


@settings(max_examples=EXAMPLES)
@given(st.permutations(list(Hop)), st.integers(0, len(Hop)), st.floats(0.0, 2000.0))
def test_it_passes_only_with_every_hop_and_else_names_the_first_that_is_not_there(
    order: list[Hop], count: int, wait_s: float
) -> None:
    drill = through(*order[:count])
    after = judged(drill, PLAN, Seen(), MORNING + wait_s, {})
    if count == len(Hop):
        assert (after.state, after.missing) == (DrillState.PASSED, None)
    elif after.state is DrillState.FAILED:
        assert after.missing is first_missing(drill)
        assert after.missing not in drill.hops
        assert after.because
    else:
        assert wait_s < 30.0 + PLAN.answer_within_s
    assert judged(after, PLAN, Seen(), MORNING + 9999.0, {}) == after or after.running


@pytest.mark.parametrize(
    ("hops", "seen", "words"),
    [
        ((), Seen(), "server -> broker"),
        (WAY[:1], Seen(last_heard="at 10:01:02"), "nothing came back within 60 s; pc-1 was last heard at 10:01:02"),
        (WAY[:1], Seen(broker_ok=False), "the server itself lost the broker"),
        (WAY[:1], Seen(refused="unknown_agent"), "the server refused what it sent (unknown_agent)"),
        (WAY[:4], Seen(), "engine: the answer came in"),
        (WAY[:5], Seen(pages=(notice(result=NoticeResult.RETRYING, detail="HTTP 503"),)), "pager: HTTP 503"),
        (WAY[:6], Seen(), "nobody answered within 15 min"),
        (WAY, Seen(), "store: the answer is not durable"),
    ],
)
def test_why_a_hop_is_missing(hops: list[Hop], seen: Seen, words: str) -> None:
    after = judged(through(*hops), PLAN, seen, MORNING + 2000.0, {})
    assert after.state is DrillState.FAILED
    assert words in after.because


def test_a_page_that_every_channel_refused_is_not_waited_for() -> None:
    dead = notice(result=NoticeResult.DEAD, detail="HTTP 404")
    assert judged(through(*WAY[:5]), PLAN, Seen(pages=(dead,)), MORNING + 6.0, {}).missing is Hop.PAGE_SENT
    assert judged(through(*WAY[:5]), PLAN, Seen(pages=(dead, notice())), MORNING + 6.0, {}).running


def test_a_late_answer_says_that_the_agent_spoke() -> None:
    failed = judged(through(Hop.ASKED), PLAN, Seen(), MORNING + 100.0, {})
    late = reached(failed, Hop.AGENT_HEARD, MORNING + 1.5)
    late = reached(reached(late, Hop.AGENT_SPOKE, MORNING + 1.6), Hop.SERVER_HEARD, MORNING + 601.5)
    assert late.hops == failed.hops, "what came after the end is no hop of it"
    said = late_words(late, {})
    assert "heard the question after 1.5 s and spoke, and the server heard it only 600 s later" in said


def test_times_are_from_hop_to_hop() -> None:
    took = through(*WAY).took_s()
    assert set(took) == {hop.value for hop in WAY}
    assert set(took.values()) == {1.0}
    stored = reached(through(*WAY), Hop.STORED, MORNING + 4.5)
    assert stored.took_s()["stored"] == 0.5, "after the server heard it"


def test_the_first_who_answers_is_the_one() -> None:
    drill = acknowledged(acknowledged(through(*WAY[:6]), "Ann", MORNING + 9.0), "Bob", MORNING + 10.0)
    assert (drill.answered_by, drill.hops[Hop.ACKNOWLEDGED]) == ("Ann", MORNING + 9.0)
    assert replace(drill, answered_by="").took_s()["acknowledged"] == 3.0
