"""One suite for the Bus port: over nats-server and mosquitto, and again through the side thread for Windows."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from daemons.mosquitto import Mosquitto
from daemons.nats import Nats
from daemons.process import Daemon
from daemons.relay import relay_to
from healthmon.model.errors import ConfigError, TransportDown
from healthmon.model.plan import Broker
from healthmon.model.ports import Bus, Message
from healthmon.transport import mqtt
from healthmon.transport.codec import Will
from healthmon.transport.sideloop import in_side_thread

pytestmark = pytest.mark.wire
DAEMONS: dict[str, Callable[[Path], Any]] = {"nats": Nats, "mosquitto": Mosquitto}
Open = Callable[..., AbstractAsyncContextManager[Bus]]


@pytest.fixture(params=DAEMONS)
def daemon(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    one = DAEMONS[request.param](tmp_path / request.param)
    one.start()
    yield one
    one.stop()


@pytest.fixture(params=["same loop", "side thread"])
def open_bus(request: pytest.FixtureRequest, daemon: Any) -> Open:
    def opened(client_id: str | None = None, **how: Any) -> AbstractAsyncContextManager[Bus]:
        connect = mqtt.connector(daemon.broker, client_id=client_id or f"c-{secrets.token_hex(4)}", **how)
        return in_side_thread(connect) if request.param == "side thread" else connect()

    return opened


async def take(messages: AsyncIterator[Message], count: int, within_s: float = 15.0) -> list[Message]:
    async with asyncio.timeout(within_s):
        return [await anext(messages) for _ in range(count)]


async def nothing_comes(messages: AsyncIterator[Message], within_s: float = 0.5) -> bool:
    try:
        async with asyncio.timeout(within_s):
            await anext(messages)
    except TimeoutError:
        return True
    return False


async def test_what_is_posted_arrives_in_order_and_whole_however_large(open_bus: Open) -> None:
    posted = [("healthmon/v1/s/a/ack", b"%06d" % number * 2_000) for number in range(300)]  # 3.6 MB in one write
    async with open_bus() as reader, open_bus() as writer:
        await reader.subscribe("healthmon/v1/s/+/ack")
        assert writer.post(posted)
        assert writer.post([])
        await writer.publish("healthmon/v1/s/b/ack", b"after it", qos=1)
        got = await take(reader.messages(), 301)
    assert got == [*(Message(*one) for one in posted), Message("healthmon/v1/s/b/ack", b"after it")]


async def test_a_post_finds_no_room_where_nothing_goes_out(daemon: Any) -> None:
    async with mqtt.connector(daemon.broker, client_id="stuck")() as bus:
        taken = 0
        while bus.post([("healthmon/v1/s/a/ack", b"x" * 1_000)]):  # this loop never comes to write
            taken += 1
        assert taken == mqtt.POSTS_WAIT


async def test_what_is_published_arrives_in_order(open_bus: Open) -> None:
    async with open_bus() as reader, open_bus() as writer:
        await reader.subscribe("healthmon/v1/s/+/batch", qos=1)
        for number in range(50):
            await writer.publish("healthmon/v1/s/a/batch", b"%d" % number, qos=1)
        got = await take(reader.messages(), 50)
    assert got == [Message("healthmon/v1/s/a/batch", b"%d" % number) for number in range(50)]


async def test_many_publishes_at_once_all_arrive(open_bus: Open) -> None:
    async with open_bus() as reader, open_bus() as writer:
        await reader.subscribe("t/#", qos=1)
        async with asyncio.TaskGroup() as group:
            for number in range(500):
                group.create_task(writer.publish("t/x", b"%d" % number, qos=1))
        got = await take(reader.messages(), 500)
    assert sorted(int(one.payload) for one in got) == list(range(500))


async def test_payloads_are_bytes_of_any_kind(open_bus: Open) -> None:
    payloads = [b"", bytes(range(256)), b"\x00" * 300_000]
    async with open_bus() as reader, open_bus() as writer:
        await reader.subscribe("t/x", qos=1)
        for payload in payloads:
            await writer.publish("t/x", payload)
        assert [one.payload for one in await take(reader.messages(), 3)] == payloads


async def test_only_subscribed_topics_come(open_bus: Open) -> None:
    async with open_bus() as reader, open_bus() as writer:
        await reader.subscribe("t/mine", qos=0)
        await writer.publish("t/other", b"no", qos=0)
        await writer.publish("t/mine", b"yes", qos=0)
        assert await take(reader.messages(), 1) == [Message("t/mine", b"yes")]


async def test_retained_state_is_there_for_who_comes_later(open_bus: Open) -> None:
    async with open_bus() as writer:
        await writer.publish("t/a/state", b"first", retain=True)
        await writer.publish("t/a/state", b"second", retain=True)
    async with open_bus() as reader:
        await reader.subscribe("t/+/state", qos=1)
        messages = reader.messages()
        assert (await take(messages, 1))[0].payload == b"second"
        assert await nothing_comes(messages)


async def test_a_persistent_session_gets_what_came_while_it_was_away(open_bus: Open) -> None:
    async with open_bus("server", clean=False) as reader:
        await reader.subscribe("t/batch", qos=1)
    async with open_bus() as writer:
        for number in range(20):
            await writer.publish("t/batch", b"%d" % number)
    async with open_bus("server", clean=False) as reader:
        await reader.subscribe("t/batch", qos=1)
        got = await take(reader.messages(), 20)
    assert sorted(int(one.payload) for one in got) == list(range(20))


async def test_a_clean_session_starts_empty(open_bus: Open) -> None:
    async with open_bus("agent") as reader:
        await reader.subscribe("t/ack", qos=0)
    async with open_bus() as writer:
        await writer.publish("t/ack", b"missed")
    async with open_bus("agent") as reader:
        await reader.subscribe("t/ack", qos=0)
        assert await nothing_comes(reader.messages())


async def test_the_will_is_published_when_the_client_vanishes_and_not_after_a_goodbye(
    daemon: Any, open_bus: Open
) -> None:
    will = Will("t/a/state", b"lost", retain=True)
    async with open_bus() as reader, relay_to(daemon.port) as relay:
        await reader.subscribe("t/a/state", qos=1)
        messages = reader.messages()
        async with open_bus("a", will=will):
            pass
        assert await nothing_comes(messages)
        behind = replace(daemon.broker, url=f"mqtt://127.0.0.1:{relay.port}")
        async with mqtt.connector(behind, client_id="a", will=lambda: will)() as bus:
            await relay.cut()
            assert [one.payload for one in await take(messages, 1)] == [b"lost"]
            with pytest.raises(TransportDown):
                await bus.publish("t/x", b"")


async def test_a_second_client_of_the_same_name_throws_out_the_first(open_bus: Open) -> None:
    async with open_bus("a") as first, open_bus("a") as second:
        with pytest.raises(TransportDown):
            await take(first.messages(), 1)
        await second.publish("t/x", b"")


async def test_the_newest_version_is_spoken_that_the_broker_has(daemon: Daemon) -> None:
    connect = mqtt.connector(daemon.broker, client_id="versed")
    for _ in range(2):  # what an older one said is remembered
        async with connect() as bus:
            assert isinstance(bus, mqtt.MqttBus)
            assert bus.version_5 is (Path(daemon.argv[0]).name == "mosquitto")
            await bus.publish("t/x", b"", qos=1)


async def test_a_publish_that_the_broker_refuses_is_said_once(tmp_path: Path, caplog: Any) -> None:
    daemon = Mosquitto(tmp_path, acl="topic write allowed/#\n")
    daemon.start()
    try:
        async with mqtt.connector(daemon.broker, client_id="stranger")() as bus:
            for topic in ("allowed/x", "other/x", "other/y"):
                await bus.publish(topic, b"", qos=1)
    finally:
        daemon.stop()
    said = [record for record in caplog.records if "refuses what is published" in record.getMessage()]
    assert [record.reason for record in said] == ["Not authorized"]


async def test_losing_the_broker_raises_from_every_method(daemon: Daemon, open_bus: Open) -> None:
    async with open_bus() as bus:
        await bus.subscribe("t/x", qos=1)
        waiting = asyncio.ensure_future(anext(bus.messages()))
        await asyncio.sleep(0)
        daemon.kill9()
        async with asyncio.timeout(15.0):
            with pytest.raises(TransportDown):
                await waiting
            with pytest.raises(TransportDown):
                await bus.publish("t/x", b"")
            with pytest.raises(TransportDown):
                bus.post([("t/x", b"")])
            with pytest.raises(TransportDown):
                await bus.subscribe("t/y")
            with pytest.raises(TransportDown):
                await anext(bus.messages())


async def test_publishes_under_way_fail_when_the_broker_dies(daemon: Daemon, open_bus: Open) -> None:
    async with open_bus() as bus:

        async def pour() -> None:
            while True:
                await bus.publish("t/x", b"." * 1000)

        pouring = [asyncio.ensure_future(pour()) for _ in range(8)]
        await asyncio.sleep(0.2)
        daemon.kill9()
        async with asyncio.timeout(15.0):
            ends = await asyncio.gather(*pouring, return_exceptions=True)
    assert [type(end) for end in ends] == [TransportDown] * 8


async def test_connecting_where_nobody_listens_is_transport_down(daemon: Daemon, open_bus: Open) -> None:
    daemon.kill9()
    with pytest.raises(TransportDown):
        async with open_bus():
            pytest.fail("there is no broker")


async def test_the_callers_own_error_passes_unchanged(open_bus: Open) -> None:
    with pytest.raises(ZeroDivisionError):
        async with open_bus():
            raise ZeroDivisionError
    with pytest.raises(TransportDown, match="mine"):
        async with open_bus():
            raise TransportDown("mine")


async def test_a_cancelled_user_leaves_nothing_behind(open_bus: Open) -> None:
    entered = asyncio.Event()

    async def use() -> None:
        async with open_bus() as bus:
            entered.set()
            await anext(bus.messages())

    before = len(asyncio.all_tasks())
    using = asyncio.ensure_future(use())
    await entered.wait()
    using.cancel()
    with pytest.raises(asyncio.CancelledError):
        await using
    await asyncio.sleep(0.05)
    assert len(asyncio.all_tasks()) <= before


async def test_a_wrong_password_is_transport_down(tmp_path: Path) -> None:
    nats = Nats(tmp_path / "n")
    nats.start()
    try:
        wrong = Broker(nats.broker.url, "tester", "not-it")
        with pytest.raises(TransportDown):
            async with mqtt.connector(wrong, client_id="x")():
                pytest.fail("it was let in")
    finally:
        nats.stop()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mqtt://h", ("h", 1883, False)),
        ("mqtts://h", ("h", 8883, True)),
        ("mqtt://127.0.0.1:1999", ("127.0.0.1", 1999, False)),
        ("mqtts://[2001:db8::1]:8884", ("2001:db8::1", 8884, True)),
    ],
)
def test_broker_urls(url: str, expected: tuple[str, int, bool]) -> None:
    assert mqtt.endpoint(url) == mqtt.Endpoint(*expected)


@pytest.mark.parametrize("url", ["", "h:1883", "http://h", "mqtt://", "mqtt://h:port", "mqtt://h:70000"])
def test_bad_broker_urls_are_config_errors(url: str) -> None:
    with pytest.raises(ConfigError):
        mqtt.endpoint(url)
