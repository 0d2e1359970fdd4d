"""SNMPv3 notifications by pysnmp's engine, fed datagram by datagram: it owns no socket and takes no time of its own."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

from healthmon.probes.snmp_client import Credentials
from healthmon.probes.snmp_pysnmp import value_of
from healthmon.probes.trap_wire import Malformed, Notification, Signed, notification_of, read_signed
from healthmon.runtime.usm import AUTH_PROTOCOLS, PRIV_PROTOCOLS

#: A sender has one engine, or two while it is replaced. One that was never proven goes first.
MOST_ENGINES = 4
#: 2020-01-01: boots must grow from start to start, and seconds since then do, without a file.
_BOOTS_FROM = 1_577_836_800
#: RFC 3411's enterprise number of net-snmp with format 128 is left alone; 5 = octets follow, 0 = no enterprise of ours.
_ENGINE_PREFIX = b"\x80\x00\x00\x00\x05"

Reply = Callable[[bytes], None]


class Users:
    """Takes v3 messages of known senders; what a configured user has signed comes out as a Notification."""

    def __init__(self, users: Iterable[Credentials], *, name: str, now: float) -> None:
        from pysnmp.entity.engine import SnmpEngine
        from pysnmp.entity.rfc3413 import ntfrcv
        from pysnmp.proto.rfc1902 import OctetString

        self._users = tuple(users)
        self.engine_id = _ENGINE_PREFIX + hashlib.sha256(name.encode()).digest()[:8]
        self._engine = SnmpEngine(snmpEngineID=OctetString(self.engine_id))
        (boots,) = self._engine.get_mib_builder().import_symbols("__SNMP-FRAMEWORK-MIB", "snmpEngineBoots")
        boots.syntax = boots.syntax.clone(max(1, int(now) - _BOOTS_FROM) & 0x7FFFFFFF)
        self._wire = _wire()
        self._engine.register_transport_dispatcher(self._wire)
        self._known: dict[str, OrderedDict[bytes, bool]] = {}
        self._came: list[Any] = []
        ntfrcv.NotificationReceiver(self._engine, self._take)
        self._add(None)

    def hear(self, message: bytes, peer: tuple[str, int], reply: Reply) -> Notification | None:
        """What the message says; None when it is not a notification or nobody we know has signed it."""
        from pysnmp.error import PySnmpError

        outside = read_signed(message)
        if not self._strong_enough(outside):
            return None
        engine = outside.engine
        if engine and engine != self.engine_id:
            self._meet(peer[0], engine)
        self._came.clear()
        self._wire.reply = reply
        try:
            self._wire.feed(message, peer)
        except PySnmpError as error:
            raise Malformed(type(error).__name__) from error
        if not self._came or not engine:
            return None
        if engine in self._known.get(peer[0], ()):
            self._known[peer[0]][engine] = True
        binds = ((str(name), value_of(value)) for name, value in self._came.pop())
        return notification_of(tuple((name, value) for name, value in binds if isinstance(value, int | str | bytes)))

    def _strong_enough(self, outside: Signed) -> bool:
        """pysnmp takes a message without a signature in the name of a user who has one; we do not."""
        if not outside.engine:
            return True  # a question for our engine's id: nothing of it is believed
        return any(
            user.user.encode() == outside.user and outside.flags & need == need
            for user in self._users
            for need in [(1 if user.auth_protocol else 0) | (2 if user.priv_protocol else 0)]
        )

    def _take(self, engine: Any, state: Any, context: Any, name: Any, binds: Any, context_object: Any) -> None:
        self._came.append(binds)

    def _meet(self, ip: str, engine: bytes) -> None:
        """Keys are made for each sender's engine; how many there may be is bounded."""
        if not 5 <= len(engine) <= 32:
            raise Malformed("an engine id of the wrong length")
        known = self._known.setdefault(ip, OrderedDict())
        if engine in known:
            return
        if len(known) >= MOST_ENGINES:
            out = next((one for one, proven in known.items() if not proven), next(iter(known)))
            del known[out]
            self._forget(out)
        known[engine] = False
        self._add(engine)

    def _add(self, engine: bytes | None) -> None:
        from pysnmp.entity import config
        from pysnmp.proto.rfc1902 import OctetString

        for user in self._users:
            auth = getattr(config, AUTH_PROTOCOLS[user.auth_protocol]) if user.auth_protocol else config.USM_AUTH_NONE
            priv = getattr(config, PRIV_PROTOCOLS[user.priv_protocol]) if user.priv_protocol else config.USM_PRIV_NONE
            config.add_v3_user(
                self._engine,
                user.user,
                auth,
                user.auth_password or None,
                priv,
                user.priv_password or None,
                securityEngineId=None if engine is None else OctetString(engine),
            )

    def _forget(self, engine: bytes) -> None:
        from pysnmp.entity import config
        from pysnmp.proto.rfc1902 import OctetString

        if any(engine in known for known in self._known.values()):
            return
        for user in self._users:
            config.delete_v3_user(self._engine, user.user, OctetString(engine))


def _wire() -> Any:
    from pysnmp.carrier.asyncio.dgram import udp
    from pysnmp.carrier.base import AbstractTransportDispatcher

    class Wire(AbstractTransportDispatcher):  # type: ignore[misc]
        """pysnmp's way to the network, ending at our socket."""

        reply: Reply

        def register_recv_callback(self, take: Any, recvId: Any = None) -> None:
            self._take = take

        def register_timer_callback(self, *_: Any, **__: Any) -> None:
            """Nothing we receive needs its timers."""

        def feed(self, message: bytes, peer: tuple[str, int]) -> None:
            self._take(self, udp.DOMAIN_NAME, udp.UdpTransportAddress(peer), message)

        def send_message(self, message: bytes, domain: Any, address: Any) -> None:
            self.reply(bytes(message))

    return Wire()
