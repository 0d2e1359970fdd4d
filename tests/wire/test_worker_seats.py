"""Workers that judge, by turns and at once, on a real JetStream: the line says what one engine would have seen."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import pytest

from daemons.nats import Nats
from healthmon.alerting.detect.told import Findings
from healthmon.alerting.engine import Engine, EngineSettings
from healthmon.app.seats import Seats
from healthmon.impact.severity import SeverityTable
from healthmon.model.alert import Effect, NoData, Phase, Rule, Selector
from healthmon.model.condition import Limit, OfLast, OutcomeIs, Take, Window
from healthmon.model.journal import Epoch
from healthmon.model.judged import Judged
from healthmon.model.sample import Outcome, Reading, Reason, Sample
from healthmon.model.topology import Agent, Check, Estate, Organisation, Site, Target
from healthmon.runtime.clock import SystemClock
from healthmon.transport.hands import Hand, Handed, decode_hand
from healthmon.transport.seatline import SeatLine
from healthmon.transport.workline import WorkLine

pytestmark = [pytest.mark.wire, pytest.mark.timeout(120)]

START, EVERY_S, PARTITION = 1_793_577_600.0, 10.0, 7
RULES = tuple(
    Rule(id_, Selector(), condition, Effect.DEGRADED, NoData.HOLD, "x", confirm=2)
    for id_, condition in {
        "often": OfLast(12, 20, OutcomeIs((Outcome.FAILED,))),
        "average": Window("http.duration_seconds", 120.0, Take.AVG, Limit(high=1.0)),
    }.items()
)
ESTATE = Estate(
    Organisation("seats", "Seats", "UTC"), {"main": Site("main", "Main", "UTC")}, {}, {},
    {"web": Target("web", "web", "endpoint", "192.0.2.1", "main", checks=(Check("up", "http", EVERY_S, 2.0),)),
     "pc-1": Target("pc-1", "pc-1", "workstation", "192.0.2.2", "main")},
    {}, {"pc-1": Agent("pc-1", "pc-1")},
)  # fmt: skip


@pytest.fixture(scope="module")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nats]:
    node = Nats(tmp_path_factory.mktemp("nats"))
    node.start()
    yield node
    node.stop()


def engine() -> Engine:
    return Engine(estate=ESTATE, rules=RULES, policies=(), severity=SeverityTable(), settings=EngineSettings(),
                  staffed=lambda _area, _at: True)  # fmt: skip


def batch(chance: random.Random, seq: int, *, failing: bool) -> Handed:
    now = START + seq * EVERY_S
    if failing:
        look = Reading("web", "up", "pc-1", now - 1.0, 0.1, Outcome.FAILED, Reason.TIMEOUT)
    else:
        took = round(chance.expovariate(1.0), 3)
        look = Reading("web", "up", "pc-1", now - 1.0, 0.1, Outcome.OK,
                       samples=(Sample("http", "duration_seconds", took),))  # fmt: skip
    epoch = Epoch("pc-1", "e", 0.0, START, now, received=((1, seq),))
    return Handed(epoch, seq, now, now - 0.5, True, (look,), None, PARTITION)


@dataclass
class Worker:
    """One process's half of it: its own connection and memory."""

    line: WorkLine
    seats: Seats
    heard: list[int]

    @classmethod
    async def made(cls, nats: Nats, organisation: str) -> Worker:
        line = WorkLine(nats.url, organisation=organisation, name="test", username="tester", password="a-password")
        await line.open()
        heard: list[int] = []
        site: Any = SimpleNamespace(estate=ESTATE, rules=RULES)
        seats = Seats(site, SeatLine(line), name="test", clock=SystemClock(), until_done=at_once,
                      heard=lambda one: heard.append(one.seq), aside=refuse)  # fmt: skip
        return cls(line, seats, heard)


async def at_once(call: Callable[[], Awaitable[Any]]) -> Any:
    return await call()


def refuse(_agent: str, reason: str, _note: dict[str, Any]) -> None:
    raise AssertionError(reason)


async def on_line(line: WorkLine) -> list[Hand]:
    """Everything that the leader would read."""
    seats, found = SeatLine(line), list[Hand]()
    last = await seats.last(PARTITION)
    if last:
        await seats.replay(PARTITION, 1, last, lambda payload: found.append(decode_hand(payload)))
    return found


def test_three_workers_by_turns_judge_as_one_engine_would(nats: Nats) -> None:
    async def story() -> tuple[list[Handed], list[Hand], float]:
        chance = random.Random(7)
        workers = [await Worker.made(nats, "turns") for _ in range(3)]
        made, overtaken = [], 0.0
        for seq in range(1, 121):
            number = chance.randrange(3) if chance.random() < 0.3 else (seq // 40) % 3
            worker = workers[number]
            made.append(batch(chance, seq, failing=30 < seq < 50 or chance.random() < 0.1))
            again = made[-2:] if chance.random() < 0.3 else made[-1:]  # what was not acknowledged comes again
            await worker.seats.hand(PARTITION, again)
            if chance.random() < 0.1:
                await worker.seats.sit(PARTITION)
                await worker.seats.save(PARTITION)
            if chance.random() < 0.1:  # killed: everything that was not on the line is gone
                overtaken += worker.seats.counters["worker_overtaken_total"]
                await worker.line.close()
                workers[number] = await Worker.made(nats, "turns")
        overtaken += sum(worker.seats.counters["worker_overtaken_total"] for worker in workers)
        found = await on_line(workers[0].line)
        for worker in workers:
            await worker.line.close()
        return made, found, overtaken

    made, found, overtaken = asyncio.run(story())
    alone, leader, fired = engine(), engine(), set[str]()
    by_seq: dict[int, Handed] = {}
    for hand in found:
        for handed in hand.batches:
            by_seq.setdefault(handed.seq, handed)
    assert list(by_seq) == [one.seq for one in made], "nothing is missing, and the order is kept"
    for one in made:
        told = by_seq[one.seq]
        alone.observe(one.readings, now=one.heard)
        leader.observe(told.readings, now=one.heard, found=Findings.of(told.readings, told.judged or ()))
        mine, theirs = alone.tick(one.heard).changes, leader.tick(one.heard).changes
        assert replace(mine, memory={}) == replace(theirs, memory={}), one.seq
        fired |= {alert.key.rule for alert in mine.alerts if alert.phase is Phase.FIRING}
    assert overtaken > 5, "workers that did not know of each other met"
    assert fired == {"often", "average"}


def test_what_another_worker_has_handed_on_is_not_handed_on_again(nats: Nats) -> None:
    async def story() -> tuple[list[int], list[int]]:
        chance = random.Random(1)
        first, second = [await Worker.made(nats, "twice") for _ in range(2)]
        batches = [batch(chance, seq, failing=False) for seq in (1, 2, 3)]
        await first.seats.sit(PARTITION)
        await second.seats.sit(PARTITION)
        await first.seats.hand(PARTITION, batches[:2])
        await second.seats.hand(PARTITION, batches)
        found = [one.seq for hand in await on_line(first.line) for one in hand.batches]
        for worker in (first, second):
            await worker.line.close()
        return found, second.heard

    assert asyncio.run(story()) == ([1, 2, 3], [1, 2])


def test_a_new_configuration_forgets_nothing_of_what_its_rules_remember_too(nats: Nats) -> None:
    async def story() -> tuple[list[Handed], set[str]]:
        worker = await Worker.made(nats, "reloaded")
        for seq in range(1, 13):
            await worker.seats.hand(PARTITION, [batch(random.Random(seq), seq, failing=True)])
        more: Any = SimpleNamespace(estate=ESTATE, rules=(*RULES, replace(RULES[0], id="another")))
        worker.seats.adopt(more)
        await worker.seats.hand(PARTITION, [batch(random.Random(13), 13, failing=True)])
        found = await on_line(worker.line)
        await worker.line.close()
        return [one for hand in found for one in hand.batches], {hand.seal for hand in found}

    batches, seals = asyncio.run(story())
    (first,), (last,) = batches[0].judged or (), batches[-1].judged or ()
    assert first == Judged(0, bad=False, usual=None), "of the first of twenty nothing is known"
    assert last.bad
    assert last.answers[0].says is True, "the thirteenth failure of twenty"
    assert len(seals) == 2, "the leader hears that it is judged by other rules"


def test_a_memory_that_cannot_be_read_is_counted_and_begun_anew(nats: Nats) -> None:
    async def story() -> float:
        worker = await Worker.made(nats, "spoiled")
        await SeatLine(worker.line).save(PARTITION, b"\x93 not what it was")
        await worker.seats.hand(PARTITION, [batch(random.Random(2), 1, failing=False)])
        await worker.line.close()
        return worker.seats.counters["worker_memory_unreadable_total"]

    assert asyncio.run(story()) == 1
