"""Per-agent identities: what `enrol` writes, on a real mosquitto (TLS, password, ACL) and a real nats-server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from daemons.certs import Authority
from daemons.fleet import SITE, make_agent, publishing, reading, serving, until
from daemons.mosquitto import Mosquitto, Tls
from daemons.nats import nats_server
from daemons.process import Daemon, free_port, listens
from healthmon.model.errors import TransportDown
from healthmon.model.plan import Broker
from healthmon.runtime.clock import SystemClock
from healthmon.transport import access, codec, mqtt, topics
from healthmon.transport.codec import Ack, Probing, State
from healthmon.transport.embedded import EmbeddedBroker, Opened

pytestmark = pytest.mark.wire

USERS = {"healthmon": "the server's own", "pc-1": "secret of one", "pc-2": "secret of two"}


@dataclass
class Guarded:
    """A broker with three users."""

    broker: Broker

    def of(self, name: str) -> Broker:
        return replace(self.broker, username=name, password=USERS[name])


@pytest.fixture(scope="module", params=["mosquitto", "nats"])
def guarded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp(request.param)
    daemon = _mosquitto(folder) if request.param == "mosquitto" else _nats(folder)
    daemon.start()
    try:
        yield Guarded(daemon.broker)
    finally:
        daemon.stop()


def _mosquitto(folder: Path) -> Mosquitto:
    passwords = folder / "passwords"
    passwords.write_text(access.mosquitto_passwords(USERS))
    acl = access.mosquitto_acl(SITE, server="healthmon")
    tls = _certificate(folder)
    return Mosquitto(folder, passwords=passwords, acl=acl, tls=tls, extra="use_username_as_clientid true")


def _certificate(folder: Path) -> Tls:
    authority = Authority(folder)
    issued = authority.issue("broker")
    return Tls(authority.ca_file, issued.cert_file, issued.key_file)


def _nats(folder: Path) -> Daemon:
    port, tls = free_port(), _certificate(folder)
    config = folder / "nats.conf"
    config.write_text(
        f'server_name: test\nhost: 127.0.0.1\nport: -1\njetstream {{ store_dir: "{folder / "js"}" }}\n'
        f"mqtt {{ host: 127.0.0.1, port: {port}, ack_wait: 5s\n"
        f'tls {{ cert_file: "{tls.cert_file}", key_file: "{tls.key_file}" }} }}\n'
        f"authorization {{ {access.nats_users(SITE, USERS, server='healthmon')} }}\n"
    )
    daemon = Daemon([nats_server(), "-c", str(config)], ready=listens(port), log=folder / "nats.log")
    daemon.broker = Broker(f"mqtts://127.0.0.1:{port}", ca_file=str(tls.ca_file))  # type: ignore[attr-defined]
    return daemon


async def test_an_agent_works_under_its_own_name(guarded: Guarded, tmp_path: Path) -> None:
    agent = make_agent(guarded.of("pc-1"), tmp_path / "spool.sqlite", "pc-1")
    pressed: list[Probing] = []
    agent.publisher._on_probing = pressed.append
    async with serving(guarded.of("healthmon")) as server:
        await server.inbox.announce(Probing(stopped=True, by="test"))
        async with publishing(agent):
            await agent.see("t1")
            await until(lambda: agent.spool.batches == 0 and bool(pressed))
        await until(lambda: [state.state for state in server.states][-1:] == ["stopped"])
    assert server.targets() == ["t1"]


async def test_nobody_speaks_as_another(guarded: Guarded, tmp_path: Path) -> None:
    """Neither readings nor line protocol, presence, acknowledgements or the stop button, retained or not."""
    forged = make_agent(guarded.of("pc-1"), tmp_path / "forged.sqlite", "pc-2")
    batch = codec.envelop(
        codec.encode_readings([reading("forged")]),
        agent="pc-2", epoch="0" * 16, seq=1, sent=1.0, mono=1.0, live=True, dropped=(),
    )  # fmt: skip
    lies = {
        topics.batch(SITE, "pc-2"): batch,
        topics.lp(SITE, "pc-2"): b"cpu value=1",
        topics.state(SITE, "pc-2"): codec.encode_state(State("pc-2", "stopped", "0" * 16)),
        topics.ack(SITE, "pc-2"): codec.encode_ack(Ack("0" * 16, 99)),
        topics.ack(SITE, "pc-1"): codec.encode_ack(Ack("0" * 16, 99)),
        topics.probing(SITE): codec.encode_probing(Probing(stopped=True, by="forged")),
    }
    heard = await _heard_by_all(guarded, lies)
    assert heard == []
    await forged.spool.close()


async def _heard_by_all(guarded: Guarded, lies: dict[str, bytes]) -> list[str]:
    """Topics of forged messages that anybody got, until an honest one has come through."""
    heard: list[str] = []
    async with mqtt.connector(guarded.of("healthmon"), client_id="listener")() as listener:
        for kind in access.AGENT_SAYS:
            await listener.subscribe(topics.every(SITE, kind), qos=1)
        async with mqtt.connector(guarded.of("pc-2"), client_id="victim")() as victim:
            for topic in (topics.ack(SITE, "pc-2"), topics.probing(SITE)):
                await victim.subscribe(topic)
            for topic, payload in lies.items():
                with contextlib.suppress(TransportDown):
                    async with mqtt.connector(guarded.of("pc-1"), client_id="liar")() as liar:
                        await liar.publish(topic, payload, retain=b"forged" in payload or b"stopped" in payload)
            async with mqtt.connector(guarded.of("pc-1"), client_id="liar")() as honest:
                await honest.publish(topics.lp(SITE, "pc-1"), b"honest")
                async with asyncio.timeout(20):
                    async for message in listener.messages():
                        if message.payload == b"honest":
                            break
                        if message.topic in lies:
                            heard.append(message.topic)
            await listener.publish(topics.ack(SITE, "pc-2"), b"honest")
            async with asyncio.timeout(20):
                async for message in victim.messages():
                    if message.payload == b"honest":
                        break
                    if b"forged" in message.payload or b"99" in message.payload:
                        heard.append(message.topic)
    return heard


async def test_nobody_listens_to_another(guarded: Guarded) -> None:
    """What is refused may be told at the subscription, or be given and never filled."""
    for topic in (topics.every(SITE, "batch"), topics.ack(SITE, "pc-2"), "#"):
        async with mqtt.connector(guarded.of("pc-1"), client_id="curious")() as curious:
            try:
                await curious.subscribe(topic)
            except TransportDown:
                continue
            await curious.subscribe(topics.ack(SITE, "pc-1"))
            async with mqtt.connector(guarded.of("healthmon"), client_id="talker")() as talker:
                await talker.publish(topics.ack(SITE, "pc-2"), b"not for you")
                await talker.publish(topics.ack(SITE, "pc-1"), b"for you")
            async with asyncio.timeout(20):
                async for message in curious.messages():
                    assert message.payload != b"not for you"
                    if message.payload == b"for you":
                        break


async def test_a_wrong_password_and_a_stranger_stay_out(guarded: Guarded) -> None:
    for broker in (
        replace(guarded.of("pc-1"), password=USERS["pc-2"]),
        replace(guarded.of("pc-1"), username="pc-9"),
        guarded.broker,
    ):
        with pytest.raises(TransportDown):
            async with mqtt.connector(broker, client_id="x")():
                pytest.fail("it was let in")


@contextlib.asynccontextmanager
async def opened(folder: Path, users: Callable[[str], str]) -> AsyncIterator[EmbeddedBroker]:
    nats_server()
    tls = _certificate(folder)
    where = Opened("127.0.0.1", free_port(), "127.0.0.1", str(tls.cert_file), str(tls.key_file), str(tls.ca_file))
    async with EmbeddedBroker(folder / "broker", clock=SystemClock(), opened=where, users=users) as broker:
        yield broker


async def test_the_embedded_broker_lets_in_who_is_enrolled_while_it_runs(tmp_path: Path) -> None:
    users: dict[str, str] = {}

    def rendered(password: str) -> str:
        return access.nats_users(SITE, {"healthmon": password} | users, server="healthmon")

    async def comes_in(broker: Broker) -> bool:
        try:
            async with asyncio.timeout(3), mqtt.connector(broker, client_id="pc-1")():
                return True
        except (TransportDown, TimeoutError):  # what speaks plainly to TLS hears nothing at all
            return False

    async with opened(tmp_path, rendered) as embedded:
        mine = replace(embedded.broker, username="pc-1", password="given later")
        assert mine.url.startswith("mqtts://")
        assert not await comes_in(replace(mine, url=mine.url.replace("mqtts", "mqtt")))
        assert not await comes_in(mine)
        first = embedded.pid
        for wanted in (True, False):
            users.update({"pc-1": "given later"}) if wanted else users.clear()
            async with asyncio.timeout(30):
                while await comes_in(mine) is not wanted:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
        assert embedded.pid == first, "nobody else was cut off"
