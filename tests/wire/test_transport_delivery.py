"""Spool to server over real brokers: nothing is lost, the newest comes first, and what is asked for is heard."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from daemons.fleet import CLOCK, SITE, ended, make_agent, publishing, reading, serving, until
from daemons.mosquitto import Mosquitto
from daemons.nats import Nats
from daemons.relay import relay_to
from healthmon.model.incident import Ask
from healthmon.model.sample import Batch
from healthmon.runtime.ranges import merge
from healthmon.transport import bundle, codec, inbox, mqtt, topics
from healthmon.transport.codec import Ack

pytestmark = pytest.mark.wire
DAEMONS: dict[str, Callable[[Path], Any]] = {"nats": Nats, "mosquitto": Mosquitto}


@pytest.fixture(params=DAEMONS)
def daemon(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    one = DAEMONS[request.param](tmp_path / request.param)
    one.start()
    yield one
    one.stop()


async def test_live_batches_arrive_in_order_and_leave_the_spool_when_acknowledged(daemon: Any, tmp_path: Path) -> None:
    agent = make_agent(daemon.broker, tmp_path / "spool.sqlite")
    async with serving(daemon.broker) as server, publishing(agent):
        for number in range(20):
            await agent.see(f"t{number}")
            await until(lambda expected=number + 1: len(server.arrived) == expected)
        await until(lambda: agent.spool.batches == 0)
    assert server.targets() == [f"t{number}" for number in range(20)]
    batches = [batch for _, batch in server.arrived]
    assert [batch.seq for batch in batches] == list(range(1, 21))
    assert all(batch.live and batch.agent == "pc-1" and batch.epoch == agent.spool.epoch for batch in batches)
    assert [batch.mono for batch in batches] == sorted(batch.mono for batch in batches)


async def test_catch_up_is_newest_first_paced_and_never_delays_live_data(daemon: Any, tmp_path: Path) -> None:
    backlog, pace_hz = 300, 100.0
    agent = make_agent(daemon.broker, tmp_path / "spool.sqlite", catch_up_hz=pace_hz)
    for number in range(1, backlog + 1):
        await agent.see(f"old{number}", live=False)
    async with serving(daemon.broker) as server:
        began = CLOCK.mono()
        async with publishing(agent):
            fresh = 0
            while agent.spool.batches > 0:
                fresh += 1
                await agent.see(f"live{fresh}")
                await asyncio.sleep(0.05)
                assert CLOCK.mono() - began < 60
            took = CLOCK.mono() - began
    late = [batch.seq for _, batch in server.arrived if not batch.live]
    assert late == list(range(backlog, 0, -1)), "newest first, each once"
    ages = [at - batch.readings[0].started for at, batch in server.arrived if batch.live]
    assert len(ages) == fresh
    assert max(ages) < 5.0
    assert took > (backlog - 2 * 16) / pace_hz, "paced"


async def test_what_is_not_acknowledged_is_sent_again_ever_less_often(daemon: Any, tmp_path: Path) -> None:
    agent = make_agent(daemon.broker, tmp_path / "spool.sqlite", resend_s=0.3)
    async with serving(daemon.broker) as server:
        server.acking = False
        async with publishing(agent):
            await agent.see("t1")
            await until(lambda: len(server.arrived) >= 3)
            gaps = [later[0] - sooner[0] for sooner, later in pairwise(server.arrived)]
            assert gaps[0] >= 0.3
            assert gaps[1] >= 0.6
            assert [batch.live for _, batch in server.arrived] == [True, False, False]
            assert all(batch.readings == server.arrived[0][1].readings for _, batch in server.arrived)
            assert agent.spool.batches == 1
            server.acking = True
            await until(lambda: agent.spool.batches == 0)


async def test_a_silent_server_is_asked_batch_by_batch_not_flooded(daemon: Any, tmp_path: Path) -> None:
    """Nobody may be there to hear it: a backlog must not go out each 30 s."""
    agent = make_agent(daemon.broker, tmp_path / "spool.sqlite", resend_s=0.1)
    for number in range(1, 201):
        await agent.see(f"t{number}", live=False)
    async with serving(daemon.broker) as server:
        server.acking = False
        async with publishing(agent):
            await asyncio.sleep(3.5)
            assert 2 <= len(server.arrived) <= 8
            assert len(set(server.targets())) >= 2, "one that is never taken does not block the others"
            server.acking = True
            await until(lambda: agent.spool.batches == 0)
    assert set(server.targets()) == {f"t{number}" for number in range(1, 201)}


async def test_live_data_goes_out_while_nothing_is_acknowledged(daemon: Any, tmp_path: Path) -> None:
    """A dead store must not stop the engine from hearing: far more live batches than the catch-up window."""
    agent = make_agent(daemon.broker, tmp_path / "spool.sqlite")
    async with serving(daemon.broker) as server:
        server.acking = False
        async with publishing(agent):
            for number in range(400):
                await agent.see(f"t{number}")
                if number % 100 == 99:
                    await until(lambda sent=number + 1: len(server.arrived) == sent)
    assert all(batch.live for _, batch in server.arrived)
    assert set(server.targets()) == {f"t{number}" for number in range(400)}, "a slow broker may hear one twice"


async def test_kill_9_of_the_broker_while_publishing_loses_nothing(daemon: Any, tmp_path: Path) -> None:
    agents = [
        make_agent(daemon.broker, tmp_path / f"{name}.sqlite", name, resend_s=1.0) for name in ("pc-1", "pc-2", "pc-3")
    ]
    appended: set[str] = set()
    stop = asyncio.Event()

    async def work(agent: Any) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            name = f"{agent.name}-{number}"
            await agent.see(name)
            appended.add(name)
            await asyncio.sleep(0.002)

    async with serving(daemon.broker) as server, publishing(agents[0]), publishing(agents[1]), publishing(agents[2]):
        working = [asyncio.ensure_future(work(agent)) for agent in agents]
        for _ in range(2):
            await asyncio.sleep(0.5)
            daemon.kill9()
            await asyncio.sleep(0.3)
            await asyncio.to_thread(daemon.start)
            await until(lambda: all(agent.publisher.connected.is_set() for agent in agents))
        await asyncio.sleep(0.5)
        stop.set()
        await asyncio.gather(*working)
        await until(lambda: all(agent.spool.batches == 0 for agent in agents), within_s=60)
    got = Counter(server.targets())
    assert set(got) == appended
    assert len(appended) > 300
    for agent in agents:
        assert agent.spool.stats().dropped_readings == 0
        assert agent.publisher.stats().connections >= 2


async def test_a_server_that_was_away_gets_everything(daemon: Any, tmp_path: Path) -> None:
    agent = make_agent(daemon.broker, tmp_path / "spool.sqlite", resend_s=0.5)
    async with serving(daemon.broker) as server:
        pass
    async with publishing(agent):
        for number in range(50):
            await agent.see(f"t{number}")
        async with serving(daemon.broker) as server:
            await until(lambda: agent.spool.batches == 0)
    assert set(server.targets()) == {f"t{number}" for number in range(50)}


async def test_what_went_to_nobody_comes_again_as_soon_as_the_server_says_that_it_is_here(
    daemon: Any, tmp_path: Path
) -> None:
    """The broker keeps no batch; without the server's word the agent would wait for `resend_s`."""
    agent = make_agent(daemon.broker, tmp_path / "spool.sqlite", resend_s=3600.0)
    async with publishing(agent):
        for number in range(50):
            await agent.see(f"t{number}")
        await until(lambda: agent.publisher.stats().sent_live == 50)
        async with serving(daemon.broker) as server:
            await agent.see("first after it")
            await until(lambda: agent.spool.batches == 0)
    assert Counter(server.targets()) == Counter([f"t{number}" for number in range(50)] + ["first after it"])
    assert server.arrived[0][1].live, "what is new goes first"
    assert server.messages <= 1 + 1 + 3, "a live one, one that asks, the others in bundles"


async def test_a_server_that_knows_no_bundles_gets_none(daemon: Any, tmp_path: Path) -> None:
    agent = make_agent(daemon.broker, tmp_path / "spool.sqlite")
    for number in range(40):
        await agent.see(f"t{number}", live=False)
    async with serving(daemon.broker, older=True) as server, publishing(agent):
        await until(lambda: agent.spool.batches == 0)
    assert server.messages == len(server.arrived) == 40


async def test_live_batches_pass_the_bundles_that_wait(daemon: Any) -> None:
    def batch(seq: int, *, live: bool) -> bytes:
        return codec.encode(Batch("pc-1", "0" * 16, seq, 1.0, 1.0, live, (reading(f"t{seq}"),)))

    async with serving(daemon.broker) as server:
        server.going.clear()
        async with mqtt.connector(daemon.broker, client_id="other")() as bus:
            for first in range(0, 50, 10):
                parts = [batch(seq, live=False) for seq in range(first + 1, first + 11)]
                await bus.publish(topics.batch(SITE, "pc-1"), bundle.bundle(parts))
            await until(lambda: server.inbox.stats().backlog >= 4)  # one is in hand
            for seq in range(101, 106):
                await bus.publish(topics.batch(SITE, "pc-1"), batch(seq, live=True))
            await until(lambda: server.inbox.stats().backlog >= 9)
            server.going.set()
            await until(lambda: len(server.arrived) == 55)
    seqs = [batch.seq for _, batch in server.arrived]
    assert seqs == [*range(1, 11), *range(101, 106), *range(11, 51)]


async def test_bundles_wait_while_what_comes_after_the_inbox_is_full(daemon: Any) -> None:
    full = True
    other = mqtt.connector(daemon.broker, client_id="other")
    async with serving(daemon.broker, busy=lambda: full) as server, other() as bus:
        for seq in (1, 2, 3):
            batch = Batch("pc-1", "0" * 16, seq, 1.0, 1.0, seq == 3, (reading(f"t{seq}"),))
            payload = codec.encode(batch)
            await bus.publish(topics.batch(SITE, "pc-1"), payload if batch.live else bundle.bundle([payload]))
        await until(lambda: [one.seq for _, one in server.arrived] == [3])
        assert server.inbox.stats().backlog == 2
        full = False
        await until(lambda: [one.seq for _, one in server.arrived] == [3, 1, 2])


async def test_bundles_beyond_the_bound_are_refused_and_sent_again(
    daemon: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "LATE_BACKLOG", 1)
    agents = [
        make_agent(daemon.broker, tmp_path / f"{name}.sqlite", name, resend_s=0.5) for name in ("pc-1", "pc-2", "pc-3")
    ]
    for agent in agents:
        for number in range(3):
            await agent.see(f"{agent.name}-{number}", live=False)
    full = True
    sending = [publishing(agent) for agent in agents]
    async with serving(daemon.broker, busy=lambda: full) as server, sending[0], sending[1], sending[2]:
        await until(lambda: len(server.arrived) >= 3)  # one of each asks whether the server is there
        await until(lambda: server.inbox.stats().refused >= 2)
        full = False
        await until(lambda: all(agent.spool.batches == 0 for agent in agents))
    assert set(server.targets()) == {f"pc-{agent}-{number}" for agent in (1, 2, 3) for number in range(3)}


async def test_live_batches_do_not_wait_behind_what_grows_old(
    daemon: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "LIVE_WAITS_S", 0.1)
    agent = make_agent(daemon.broker, tmp_path / "spool.sqlite", resend_s=0.5)
    async with serving(daemon.broker) as server, publishing(agent):
        server.going.clear()
        for number in range(inbox.AT_ONCE + 1):  # so many may be in hand
            await agent.see(f"t{number}")
        await until(lambda: server.inbox.stats().backlog >= 1)
        await asyncio.sleep(0.2)
        await agent.see("too late")
        await until(lambda: server.inbox.stats().refused >= 1)
        server.going.set()
        await until(lambda: agent.spool.batches == 0)
    assert set(server.targets()) == {f"t{number}" for number in range(inbox.AT_ONCE + 1)} | {"too late"}


@pytest.mark.parametrize(("kinds", "wanted"), [(("batch", "state", "lp"), (True, 0)), (("state", "lp"), (False, 1))])
async def test_how_batches_are_taken_is_said_with_the_stop_button(
    daemon: Any, kinds: tuple[str, ...], wanted: tuple[bool, int]
) -> None:
    """Where workers take them, one by one and at QoS 1: they come out of a stream."""
    async with serving(daemon.broker, kinds=kinds), mqtt.connector(daemon.broker, client_id="other")() as bus:
        await bus.subscribe(topics.probing(SITE))
        async with asyncio.timeout(20):
            said = codec.decode_probing((await anext(bus.messages())).payload)
    assert (said.bundles, said.qos) == wanted


async def test_a_session_that_kept_batches_at_the_broker_keeps_none_any_more(daemon: Any, tmp_path: Path) -> None:
    """An older server subscribed at QoS 1 in the same session; its queue must not come in before what is new."""
    topic = topics.every(SITE, "batch")
    async with mqtt.connector(daemon.broker, client_id="server", clean=False)() as bus:
        await bus.subscribe(topic, qos=1)
    async with serving(daemon.broker):
        pass
    async with mqtt.connector(daemon.broker, client_id="other")() as other:
        await other.publish(topics.batch(SITE, "pc-1"), b"kept by nobody")
    agent = make_agent(daemon.broker, tmp_path / "spool.sqlite")
    async with serving(daemon.broker) as server, publishing(agent):
        await agent.see("new")
        await until(lambda: server.targets() == ["new"])
        assert server.inbox.stats().failures == 0


async def test_live_batches_that_waited_a_moment_arrive_in_the_order_they_were_seen(
    daemon: Any, tmp_path: Path
) -> None:
    agent = make_agent(daemon.broker, tmp_path / "spool.sqlite")
    for number in range(10):
        await agent.see(f"t{number}")
    async with serving(daemon.broker) as server, publishing(agent):
        await until(lambda: agent.spool.batches == 0)
    assert server.targets() == [f"t{number}" for number in range(10)]
    assert all(batch.live for _, batch in server.arrived)


async def test_an_agent_cut_off_comes_back_with_the_newest_first(daemon: Any, tmp_path: Path) -> None:
    async with serving(daemon.broker) as server, relay_to(daemon.port) as relay:
        far = replace(daemon.broker, url=f"mqtt://127.0.0.1:{relay.port}")
        agent = make_agent(far, tmp_path / "spool.sqlite", resend_s=1.0)
        async with publishing(agent):
            await agent.see("before")
            await until(lambda: agent.spool.batches == 0)
            await relay.cut()
            await until(lambda: not agent.publisher.connected.is_set())
            await until(lambda: [state.state for state in server.states][-1:] == ["lost"])
            assert server.states[-1].epoch == agent.spool.epoch
            for number in range(1, 11):
                await agent.see(f"old{number}", live=False)
            await agent.see("now")
            await relay.up()
            await until(lambda: agent.spool.batches == 0)
            assert server.states[-1].state == "up"
    assert sorted(server.targets()) == sorted(["before", "now", *(f"old{number}" for number in range(1, 11))])
    assert server.targets()[:2] == ["before", "now"]
    assert server.targets()[2:] == [f"old{number}" for number in range(10, 0, -1)]


async def test_state_is_retained_and_a_clean_stop_says_so(daemon: Any, tmp_path: Path) -> None:
    agent = make_agent(daemon.broker, tmp_path / "spool.sqlite")
    async with publishing(agent), serving(daemon.broker) as server:
        await until(lambda: [state.state for state in server.states] == ["up"])
        assert server.states[0].agent == "pc-1"
        assert server.states[0].epoch == agent.spool.epoch
        assert server.states[0].spool["state"] == "ok"
    async with serving(daemon.broker) as server:
        await until(lambda: len(server.states) > 0)
        assert {state.state for state in server.states} == {"stopped"}


async def test_a_clean_stop_sends_what_is_fresh_first(daemon: Any, tmp_path: Path) -> None:
    agent = make_agent(daemon.broker, tmp_path / "spool.sqlite")
    async with serving(daemon.broker) as server:
        async with publishing(agent):
            await agent.spool.append([reading("last")])  # nobody woke the publisher
        await until(lambda: server.targets() == ["last"])
        await until(lambda: [state.state for state in server.states][-1:] == ["stopped"])


async def test_an_ask_is_heard(daemon: Any, tmp_path: Path) -> None:
    agent = make_agent(daemon.broker, tmp_path / "spool.sqlite")
    ask = Ask("ehr-web", "up", "pc-1", CLOCK.now() + 5)
    async with serving(daemon.broker) as server, publishing(agent):
        await server.inbox.send_ask("pc-2", ask)
        await server.inbox.send_ask("pc-1", ask)
        await until(lambda: agent.asked == [ask])


async def test_answers_that_are_no_answers_are_counted_and_change_nothing(daemon: Any, tmp_path: Path) -> None:
    agent = make_agent(daemon.broker, tmp_path / "spool.sqlite")
    async with publishing(agent), mqtt.connector(daemon.broker, client_id="liar")() as bus:
        await agent.see("t1")
        for payload in (b"", b"{}", b"\xff" * 100, b'{"v":9,"epoch":"' + b"0" * 16 + b'","upto":1}'):
            await bus.publish(topics.ack(SITE, "pc-1"), payload)
        await bus.publish(topics.ask(SITE, "pc-1"), b"[]")
        await bus.publish(topics.ack(SITE, "pc-1"), b'{"v":1,"epoch":"' + b"0" * 16 + b'","upto":99}')
        await until(lambda: agent.publisher.stats().malformed == 5)
        assert agent.publisher.connected.is_set()
        assert agent.spool.batches == 1


async def test_dropped_ranges_are_declared_until_the_server_has_heard(daemon: Any, tmp_path: Path) -> None:
    agent = make_agent(daemon.broker, tmp_path / "spool.sqlite", max_bytes=5_000)
    for number in range(1, 101):
        await agent.see(f"t{number}", live=False)
    dropped = agent.spool.dropped(agent.spool.epoch)
    assert dropped
    async with serving(daemon.broker) as server, publishing(agent):
        await until(lambda: agent.spool.batches == 0)
        declared = merge(*(batch.dropped for _, batch in server.arrived))
        assert declared == dropped
        arrived = {batch.seq for _, batch in server.arrived}
        assert merge(declared, ((seq, seq) for seq in arrived)) == ((1, 100),), "every seq is accounted for"
        await until(lambda: agent.spool.dropped(agent.spool.epoch) == ())
        await agent.see("after")
        await until(lambda: agent.spool.batches == 0)
        assert server.arrived[-1][1].dropped == ()


async def test_the_inbox_counts_what_it_does_not_take_and_goes_on(daemon: Any, tmp_path: Path) -> None:
    async with serving(daemon.broker, max_bytes=1000) as server:
        async with mqtt.connector(daemon.broker, client_id="other")() as bus:
            await bus.publish(topics.batch(SITE, "pc-1"), b"x" * 1001)
            await bus.publish(f"healthmon/v1/{SITE}/PC-1/batch", b"x")
            await bus.publish(topics.batch(SITE, "pc-1"), b"garbage")
            await bus.publish(topics.batch("another-site", "pc-1"), b"x")
            await bus.publish(topics.ack(SITE, "pc-1"), b"x")
            await until(lambda: server.inbox.stats().failures == 1)
        agent = make_agent(daemon.broker, tmp_path / "spool.sqlite")
        async with publishing(agent):
            await agent.see("good")
            await until(lambda: server.targets() == ["good"])
        stats = server.inbox.stats()
        assert (stats.oversize, stats.foreign, stats.failures, stats.refused) == (1, 1, 1, 0)


async def test_a_backlog_that_is_full_refuses_and_the_spool_sends_again(
    daemon: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "BACKLOG", 5)
    agent = make_agent(daemon.broker, tmp_path / "spool.sqlite", resend_s=0.5)
    async with serving(daemon.broker) as server, publishing(agent):
        server.going.clear()
        for number in range(100):
            await agent.see(f"t{number}")
        await until(lambda: server.inbox.stats().refused > 0)
        server.going.set()
        await until(lambda: agent.spool.batches == 0)
    assert set(server.targets()) == {f"t{number}" for number in range(100)}


async def test_answers_without_a_broker_are_counted_not_raised(daemon: Any) -> None:
    async with serving(daemon.broker) as server:
        daemon.kill9()
        await until(lambda: not server.inbox.stats().connected)
        server.inbox.send_acks([("pc-1", Ack("0" * 16, 1))])
        assert server.inbox.stats().answers_lost == 1


async def test_cancelling_before_there_is_a_broker_ends_at_once(daemon: Any, tmp_path: Path) -> None:
    daemon.kill9()
    agent = make_agent(daemon.broker, tmp_path / "spool.sqlite")
    running = asyncio.ensure_future(agent.publisher.run())
    await asyncio.sleep(0.2)
    async with asyncio.timeout(5):
        await ended(running)
    assert await agent.spool.append([reading("kept")]) == 1
