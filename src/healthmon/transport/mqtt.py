"""The Bus port over aiomqtt: MQTT 5 or 3.1.1, one connection at a time, every loss is TransportDown."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import zlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiomqtt
from paho.mqtt.client import MQTTMessageInfo

from healthmon.model.errors import ConfigError, TransportDown
from healthmon.model.plan import Broker
from healthmon.model.ports import Bus, Connect, Message
from healthmon.runtime import stopping
from healthmon.runtime.supervise import heeding, spawn
from healthmon.transport import mqtt5, packets
from healthmon.transport.arrivals import Arrivals
from healthmon.transport.codec import Will
from healthmon.transport.readahead import ReadAhead
from healthmon.transport.sideloop import in_side_thread
from healthmon.transport.trust import trusting

IN_FLIGHT = 64  # publishes that wait for their PUBACK at once
KEEPALIVE_S = 20
CONNECT_S = 10.0
GOODBYE_S = 2.0
HURRY_S = 5.0  # where another node can be asked
PUBACK_S = 30.0  # a broker cluster that loses a node was seen to stall for 18.5 s
UNANSWERED_MS = 10_000
POSTS_WAIT = 64  # writes that nobody waits for, until the connection takes them
_PUBLISH_QOS_0 = 0x30
Result = TypeVar("Result")
_PORTS = {"mqtt": 1883, "tcp": 1883, "mqtts": 8883, "ssl": 8883}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A broker URL taken apart."""

    host: str
    port: int
    tls: bool


def endpoint(url: str) -> Endpoint:
    """Read mqtt://host[:port] or mqtts://host[:port]; raises ConfigError."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or parts.scheme not in _PORTS:
        raise ConfigError([f"broker url {url!r} is not mqtt://host[:port] or mqtts://host[:port]"])
    return Endpoint(host, port or _PORTS[parts.scheme], parts.scheme in ("mqtts", "ssl"))


class MqttBus:
    """An open connection; once it is lost every call says so."""

    def __init__(self, client: aiomqtt.Client, *, in_flight: int = IN_FLIGHT) -> None:
        self.version_5 = client._client.protocol == aiomqtt.ProtocolVersion.V5.value  # else 3.1.1
        self._client = client
        self._slots = asyncio.Semaphore(in_flight)
        self._arrivals = Arrivals()
        self._waiting: set[asyncio.Timeout] = set()

    async def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> None:
        """Return when the broker has it (QoS 1: after its PUBACK)."""
        async with self._slots:
            await self._until_lost(self._client.publish(topic, payload, qos=qos, retain=retain, timeout=PUBACK_S))

    def post(self, messages: Iterable[tuple[str, bytes]]) -> bool:
        """(topic, payload) at QoS 0, in one write that nobody waits for. False: too much waits to go out, none goes.

        A publish of aiomqtt is a task, a timer and a write each: a seventh of a server's work on a fleet's backlog.
        """
        if self._arrivals.lost is not None:
            raise TransportDown(self._arrivals.lost)
        paho: Any = self._client._client
        if len(paho._out_packet) >= POSTS_WAIT:
            return False
        version_5 = self.version_5
        if data := b"".join(packets.publish(*one, number=None, version_5=version_5) for one in messages):
            paho._packet_queue(_PUBLISH_QOS_0, data, 0, 0, MQTTMessageInfo(0))  # it has no public place for several
        return True

    async def subscribe(self, *topics: str, qos: int = 0) -> None:
        """In one packet: an embedded broker writes a session down for each. A refusal is TransportDown too."""
        wanted = [(topic, qos) for topic in topics]
        codes = await self._until_lost(self._client.subscribe(wanted, timeout=PUBACK_S))
        if any(getattr(code, "value", code) >= 0x80 for code in codes or ()):
            raise TransportDown(f"the broker refused the subscription to {', '.join(topics)}")

    def messages(self) -> AsyncIterator[Message]:
        """Everything that arrives, in order; ends only by TransportDown."""
        return self._arrivals

    async def pump(self) -> None:
        """Move arrivals over until the connection is lost."""
        try:
            async for message in self._client.messages:
                payload = message.payload if isinstance(message.payload, bytes) else str(message.payload).encode()
                self._arrivals.put(Message(str(message.topic), payload))
        except (aiomqtt.MqttError, OSError) as error:
            self._lose(str(error))

    def _lose(self, why: str) -> None:
        """Wake everyone who waits for an answer that cannot come any more."""
        self._arrivals.end(why)
        for scope in self._waiting:
            scope.reschedule(0.0)

    async def _until_lost(self, call: Coroutine[Any, Any, Result]) -> Result:
        """Await the client's call, or TransportDown as soon as the connection is gone."""
        if self._arrivals.lost is not None:
            call.close()
            raise TransportDown(self._arrivals.lost)
        try:
            async with asyncio.timeout(None) as scope:
                self._waiting.add(scope)
                try:
                    return await heeding(call)
                finally:
                    self._waiting.discard(scope)
        except TimeoutError:
            raise TransportDown(self._arrivals.lost or "connection lost") from None
        except (aiomqtt.MqttError, OSError, ValueError) as error:
            raise TransportDown(str(error)) from None


class Nodes:
    """The nodes of one broker; each client begins at another and stays where it was let in."""

    def __init__(self, url: str, client_id: str) -> None:
        self._nodes = [endpoint(one.strip()) for one in url.split(",")]
        self._at = zlib.crc32(client_id.encode()) % len(self._nodes)
        self.older: set[Endpoint] = set()  # those that speak 3.1.1 only, as far as we know

    def __len__(self) -> int:
        return len(self._nodes)

    @property
    def here(self) -> Endpoint:
        """Where to connect now."""
        return self._nodes[self._at]

    def move_on(self) -> None:
        """That one does not let us in: the next."""
        self._at = (self._at + 1) % len(self._nodes)


def connector(
    broker: Broker, *, client_id: str, clean: bool = True, will: Will | Callable[[], Will] | None = None
) -> Connect:
    """A function that opens one connection to this broker; the caller reconnects with backoff.

    A URL that names several nodes of a cluster is tried node by node.
    """
    nodes = Nodes(broker.url, client_id)

    def connect() -> AbstractAsyncContextManager[Bus]:
        def opened() -> AbstractAsyncContextManager[Bus]:
            testament = will() if callable(will) else will
            return _open(broker, nodes, client_id=client_id, clean=clean, will=testament)

        return in_side_thread(opened) if _needs_side_loop() else opened()

    return connect


def _needs_side_loop() -> bool:
    """paho registers its socket with add_reader, which the proactor loop of Windows does not have."""
    return sys.platform == "win32" and type(asyncio.get_running_loop()).__name__ == "ProactorEventLoop"


@asynccontextmanager
async def _open(broker: Broker, nodes: Nodes, *, client_id: str, clean: bool, will: Will | None) -> AsyncIterator[Bus]:
    client = await _entered(broker, nodes, client_id=client_id, clean=clean, will=will)
    bus = MqttBus(client)
    failure: BaseException | None = None
    try:
        async with asyncio.TaskGroup() as group:
            pump = spawn(group, f"mqtt-pump {client_id}", bus.pump())
            try:
                yield bus
            except Exception as error:  # boundary: a task group would wrap the caller's own error
                failure = error
            pump.cancel()
    finally:
        await _goodbye(client)
    if failure is not None:
        raise failure


async def _entered(broker: Broker, nodes: Nodes, *, client_id: str, clean: bool, will: Will | None) -> aiomqtt.Client:
    """A connected client at the first node that lets us in, each asked once; raises TransportDown."""
    refusals = []
    for _ in range(len(nodes)):
        where = nodes.here
        try:
            return await _let_in(broker, nodes, client_id=client_id, clean=clean, will=will)
        except (aiomqtt.MqttError, OSError, ValueError, TransportDown) as error:
            refusals.append(f"{where.host}:{where.port}: {error}")
            nodes.move_on()
    raise TransportDown("; ".join(refusals))


async def _let_in(broker: Broker, nodes: Nodes, *, client_id: str, clean: bool, will: Will | None) -> aiomqtt.Client:
    """A connected client at this node: with MQTT 5, unless it is older."""
    where = nodes.here
    how = _How(client_id, clean, will, hurry=len(nodes) > 1)
    if broker.mqtt5 and where not in nodes.older:
        try:
            return await _enter(_client(broker, where, how, version_5=True))
        except aiomqtt.MqttError as error:
            if not mqtt5.is_older(error):
                raise
    client = await _enter(_client(broker, where, how, version_5=False))
    nodes.older.add(where)
    return client


async def _enter(client: aiomqtt.Client) -> aiomqtt.Client:
    """Connect; an attempt that fails or is cancelled leaves nothing behind."""
    _notice_an_early_end(client)
    try:
        await heeding(client.__aenter__())
    except BaseException:
        _abandon(client)
        raise
    _read_ahead(client)
    return client


def _notice_an_early_end(client: aiomqtt.Client) -> None:
    """aiomqtt would wait for the answer of a broker that has closed the connection until its timeout is over.

    A broker that was killed does so to whoever comes while it starts: ten seconds for nothing.
    """
    paho: Any = client._client
    heard, loop = paho.on_disconnect, asyncio.get_running_loop()

    def refuse() -> None:
        if not client._connected.done():
            client._connected.set_exception(mqtt5.ClosedEarly("closed before the broker let us in"))

    def gone(*told: Any) -> None:
        if not client._connected.done():
            loop.call_soon_threadsafe(refuse)
        elif not client._connected.cancelled():  # else nobody waits for word of it, and aiomqtt trips over that
            heard(*told)

    paho.on_disconnect = gone


def _read_ahead(client: aiomqtt.Client) -> None:
    """aiomqtt reads on while its socket has something `pending`; neither it nor paho has a public place for another."""
    paho: Any = client._client
    if paho._sock is not None:
        paho._sock = ReadAhead(paho._sock)


def _abandon(client: aiomqtt.Client) -> None:
    """End an attempt that nobody waits for any more.

    aiomqtt 2.5 has no public way: its callbacks ask a future that was cancelled with us and print a traceback each,
    and the socket keeps its reader. A connection that the worker thread still makes gets no reader at all.
    """
    paho = client._client
    paho.on_socket_open = paho.on_disconnect = None
    client._connected = asyncio.get_running_loop().create_future()
    paho.disconnect()


async def _goodbye(client: aiomqtt.Client) -> None:
    """Say DISCONNECT if the connection still stands; nobody can use an error here."""
    try:
        async with stopping.within(GOODBYE_S):
            await client.__aexit__(None, None, None)
    except (aiomqtt.MqttError, OSError, ValueError):
        pass
    except TimeoutError:
        _abandon(client)


_LIBRARY = logging.getLogger(f"{__name__}.library")


def _is_news(record: logging.LogRecord) -> bool:
    """Answers that the closing of a connection overtook come with a traceback, and are no error of ours."""
    return not record.exc_info or _LIBRARY.isEnabledFor(logging.DEBUG)


_LIBRARY.addFilter(_is_news)


@dataclass(frozen=True, slots=True)
class _How:
    """clean: nothing of the session outlasts the connection; hurry: another node can be asked."""

    client_id: str
    clean: bool
    will: Will | None
    hurry: bool


def _client(broker: Broker, where: Endpoint, how: _How, *, version_5: bool) -> aiomqtt.Client:
    version: dict[str, Any] = {"protocol": aiomqtt.ProtocolVersion.V311, "clean_session": how.clean}
    if version_5:
        version = {"protocol": aiomqtt.ProtocolVersion.V5, "clean_start": how.clean}
        version["properties"] = mqtt5.session(clean=how.clean)
    will = how.will
    client = aiomqtt.Client(
        where.host,
        where.port,
        username=broker.username,
        password=broker.password,
        identifier=how.client_id,
        **version,
        will=aiomqtt.Will(will.topic, will.payload, qos=1, retain=will.retain) if will else None,
        keepalive=KEEPALIVE_S,
        timeout=HURRY_S if how.hurry else CONNECT_S,
        max_inflight_messages=IN_FLIGHT,
        socket_options=_socket_options(),
        tls_context=trusting(broker.ca_file) if where.tls else None,
        logger=_LIBRARY,
    )
    if version_5:
        mqtt5.tell_refusals(client)
    client.pending_calls_threshold = 4 * IN_FLIGHT  # it warns above; our own limit is below
    return client


def _socket_options() -> list[tuple[int, int, int]]:
    """Send at once: Nagle and delayed ACKs cost 40 ms a batch. Give up a peer that vanished, where the kernel can:

    otherwise a link that was down for minutes costs as long again, by the pauses between TCP's own resends.
    """
    options = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        options.append((socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNANSWERED_MS))
    return options
