"""How fast a channel goes, on a manual clock: what is folded, what never waits, and what a lost hour costs."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemons.paging import notice
from healthmon.alerting.notify.digest import FOLDED, digest
from healthmon.alerting.notify.dispatch import Dispatcher
from healthmon.alerting.notify.lane import Pace
from healthmon.alerting.notify.shorttext import SMS_CHARACTERS, short_text
from healthmon.model.incident import Notice, NoticeResult, Why
from healthmon.model.ports import Dead, Retry, Sent
from healthmon.runtime.clock import settle
from unit.notify.test_dispatch import Channel, Desk, key, running

TEN = Pace(10.0, folds=True)


@dataclass
class Phone(Channel):
    """Down from `down` to `up` on the clock of the desk; knows when each message came."""

    desk: Desk = field(default_factory=Desk)
    down: float = 0.0
    up: float = 0.0
    at: list[float] = field(default_factory=list)

    async def send(self, notice: Notice) -> Sent | Retry | Dead:
        if self.down <= self.desk.clock.mono() < self.up:
            return Retry("HTTP 503")
        self.at.append(self.desk.clock.mono())
        return await Channel.send(self, notice)

    def told(self) -> list[str]:
        """The keys that arrived, those inside digests too."""
        return [part["key"] for n in self.arrived for part in n.body.get(FOLDED, [{"key": n.key}])]


def paced(desk: Desk, phone: Phone, pace: Pace = TEN) -> Dispatcher:
    return Dispatcher(
        channels={"sms": phone},
        journal_commit=desk.commit,
        clock=desk.clock,
        on_result=desk.results.append,
        paces={"sms": pace},
    )


async def put(dispatcher: Dispatcher, notices: list[Notice]) -> None:
    """Queue them and let the workers see them."""
    dispatcher.put(notices)
    await settle(60)


async def finish(desk: Desk, dispatcher: Dispatcher, *, steps: int = 400, step_s: float = 10.0) -> None:
    """Let time pass until nothing waits."""
    for _ in range(steps):
        if dispatcher.idling:
            return
        await desk.clock.advance(step_s)
    raise AssertionError("something still waits")


def many(count: int, first: int = 0, *, severity: int = 2, to: str = "+44") -> list[Notice]:
    return [
        notice(key(n), channel="sms", to=to, incident=f"inc-{n}", severity=severity, subject=f"[sev {severity}] no {n}")
        for n in range(first, first + count)
    ]


async def test_a_few_go_singly_and_a_storm_becomes_one_digest_that_names_all() -> None:
    desk = Desk()
    phone = Phone(desk=desk)
    dispatcher = paced(desk, phone)
    async with running(dispatcher):
        await put(dispatcher, many(3))
        await finish(desk, dispatcher)
        assert len(phone.arrived) == 3
        await put(dispatcher, many(40, 100))
        await finish(desk, dispatcher)
    assert sorted(phone.told()) == sorted([key(n) for n in (*range(3), *range(100, 140))])
    assert len(phone.arrived) <= 3 + 4 + 1, "four workers may each have one in hand, the rest is one message"
    folded = phone.arrived[-1]
    assert all(key(n) in folded.text for n in range(104, 140))
    results = {n.key: n for n in desk.results}
    assert {n.result for n in results.values()} == {NoticeResult.SENT}
    assert "in a digest" in results[key(139)].detail


async def test_severity_1_never_waits_and_is_never_folded() -> None:
    desk = Desk()
    phone = Phone(desk=desk)
    dispatcher = paced(desk, phone, Pace(1.0, folds=True))
    async with running(dispatcher):
        await put(dispatcher, many(30))
        await put(dispatcher, many(5, 50, severity=1))
        await desk.clock.advance(0.5)
        at_once = [n.key for n in phone.arrived if n.severity == 1]
        assert sorted(at_once) == [key(n) for n in range(50, 55)]
        assert not any(FOLDED in n.body for n in phone.arrived if n.severity == 1)
        await finish(desk, dispatcher)
    assert Counter(phone.told()) == Counter([key(n) for n in (*range(30), *range(50, 55))])


async def test_severity_1_does_not_wait_behind_the_rest_of_its_own_incident() -> None:
    desk = Desk()
    phone = Phone(desk=desk, up=1.5)
    dispatcher = paced(desk, phone, Pace(1.0, folds=True))
    async with running(dispatcher):
        await put(dispatcher, [notice(key(1), channel="sms", severity=3)])
        await desk.clock.advance(1.6)
        before = len(phone.arrived)
        await put(dispatcher, [notice(key(2), channel="sms", severity=1, why=Why.WORSE)])
        await desk.clock.advance(0.5)
        assert phone.keys()[before:][-1:] == [key(2)]
        await finish(desk, dispatcher)
    assert phone.keys() == [key(1), key(2)]


async def test_what_machines_read_is_paced_and_never_folded() -> None:
    desk = Desk()
    phone = Phone(desk=desk)
    dispatcher = paced(desk, phone, Pace(6.0, folds=False))
    async with running(dispatcher):
        await put(dispatcher, many(12))
        await finish(desk, dispatcher)
    assert sorted(phone.keys()) == sorted(key(n) for n in range(12))
    assert len([at for at in phone.at if at < 1.0]) == 6
    assert max(phone.at) >= 59.0


async def test_a_digest_that_is_refused_goes_one_by_one() -> None:
    desk = Desk()
    phone = Phone(desk=desk, answers=lambda n: Dead("HTTP 413") if FOLDED in n.body else Sent())
    dispatcher = paced(desk, phone)
    async with running(dispatcher):
        await put(dispatcher, many(20))
        await finish(desk, dispatcher)
    assert {n.result for n in {n.key: n for n in desk.results}.values()} == {NoticeResult.SENT}
    assert sorted(n.key for n in phone.arrived if FOLDED not in n.body) == sorted(key(n) for n in range(20))


async def test_readers_are_not_mixed() -> None:
    desk = Desk()
    phone = Phone(desk=desk)
    dispatcher = paced(desk, phone)
    async with running(dispatcher):
        await put(dispatcher, [*many(15, to="+1"), *many(15, 100, to="+2")])
        await finish(desk, dispatcher)
    for arrived in phone.arrived:
        ours = range(15) if arrived.to == "+1" else range(100, 115)
        assert {part["key"] for part in arrived.body.get(FOLDED, [{"key": arrived.key}])} <= {key(n) for n in ours}


async def test_a_channel_that_is_gone_for_an_hour_loses_nothing_and_does_not_flood() -> None:
    desk = Desk()
    phone = Phone(desk=desk, up=3600.0)
    dispatcher = paced(desk, phone)
    async with running(dispatcher):
        for minute in range(60):
            await put(dispatcher, many(2, 10 * minute, severity=1 + minute % 3))
            await desk.clock.advance(60.0)
        await finish(desk, dispatcher)
    sent = [10 * minute + n for minute in range(60) for n in range(2)]
    assert Counter(phone.told()) == Counter(key(n) for n in sent), "each arrived, none twice"
    assert not desk.ledger(), "none is dead"
    others = [n for n in phone.arrived if n.severity > 1]
    assert len(others) <= 8, "eighty messages of severity 2 and 3 are a handful"
    assert max(phone.at) < 3600.0 + 301.0, "the longest wait between tries is five minutes"


async def test_retry_after_holds_even_against_a_digest() -> None:
    desk = Desk()
    phone = Phone(desk=desk, answers=lambda n: Retry("HTTP 429", after_s=600.0) if n.attempts == 1 else Sent())
    dispatcher = paced(desk, phone)
    async with running(dispatcher):
        await put(dispatcher, many(3))
        await desk.clock.advance(599.0)
        assert {n.attempts for n in phone.arrived} == {1}
        await desk.clock.advance(2.0)
        await finish(desk, dispatcher)


def test_a_digest_has_the_same_key_for_the_same_notices() -> None:
    notices = many(4)
    one, other = digest(notices), digest(notices[::-1])
    assert one.key == other.key != digest(notices[:3]).key
    assert one.subject.startswith("4 messages, the worst: [sev 2]")


def test_a_digest_as_sms_fits_and_asks_for_no_answer() -> None:
    text = short_text(digest(many(12)))
    assert len(text) <= SMS_CHARACTERS
    assert text.startswith("12 messages")
    assert "Reply" not in text


Moves = st.lists(
    st.tuples(st.integers(1, 4), st.sampled_from(["+1", "+2"]), st.integers(0, 5), st.floats(0, 30)), max_size=40
)


EXAMPLES = int(os.environ.get("HEALTHMON_PROPERTIES") or 12)


@settings(max_examples=EXAMPLES)
@pytest.mark.parametrize("pace", [Pace(), Pace(2.0, folds=True), Pace(6.0, folds=False)])
@given(moves=Moves, down=st.tuples(st.floats(0, 200), st.floats(0, 400)))
async def test_whatever_comes_everything_arrives_once_and_in_order(
    pace: Pace, moves: list[tuple[int, str, int, float]], down: tuple[float, float]
) -> None:
    """Severity 1 waits for nothing but the channel itself; each reader hears of each incident in order."""
    desk = Desk()
    phone = Phone(desk=desk, down=down[0], up=sum(down))
    dispatcher = paced(desk, phone, pace)
    wanted: dict[tuple[str, str], list[str]] = {}
    async with running(dispatcher):
        for number, (severity, to, incident, wait_s) in enumerate(moves):
            one = notice(key(number), channel="sms", to=to, incident=f"inc-{incident}", severity=severity)
            wanted.setdefault((to, one.incident), []).append(one.key)
            await put(dispatcher, [one])
            await desk.clock.advance(wait_s)
            if severity == 1 and desk.clock.mono() - wait_s > phone.up + 300.0:  # no try from before is still resting
                assert one.key in phone.told()
        await finish(desk, dispatcher, step_s=30.0)
    told = phone.told()
    assert Counter(told) == Counter(key(number) for number in range(len(moves)))
    for keys in wanted.values():
        assert [one for one in told if one in keys] == keys
