"""SNMP by pysnmp: one engine per set of credentials, shared by all devices that take them."""

from __future__ import annotations

import asyncio
import functools
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from healthmon.model.ports import Clock
from healthmon.model.sample import Reason
from healthmon.probes.snmp_client import Credentials, Cursor, Device, SnmpTooBig, SnmpTrouble, SnmpValue
from healthmon.runtime.deadline import within
from healthmon.runtime.usm import AUTH_PROTOCOLS, PRIV_PROTOCOLS, REFUSALS

#: error-status, RFC 3416 section 3.
TOO_BIG = 1
NO_SUCH_NAME = 2
AUTHORIZATION_ERROR = 16


@dataclass(slots=True)
class _Engine:
    """One pysnmp engine, the loop it belongs to, and the name that each device has inside it."""

    loop: asyncio.AbstractEventLoop
    snmp: Any
    auth: Any
    getter: Any
    nexter: Any
    bulker: Any
    names: dict[Device, str] = field(default_factory=dict)


class _NoSuchName(Exception):
    """The OID at this place of the request is not there; the agent answered none of the others."""

    def __init__(self, at: int) -> None:
        super().__init__(at)
        self.at = at


class PysnmpClient:
    """Engines live as long as the client; an engine per device would cost 3.8 MiB each."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._engines: dict[Credentials, _Engine] = {}

    @asynccontextmanager
    async def session(self, device: Device) -> AsyncIterator[PysnmpSession]:
        engine = self._engine(device.credentials)
        if device not in engine.names:
            engine.names[device] = await _register(engine, device)
        yield PysnmpSession(device, engine, self._clock)

    async def close(self) -> None:
        for engine in self._engines.values():
            with suppress(RuntimeError):  # its loop may be gone
                engine.snmp.close_dispatcher()
        self._engines.clear()

    def _engine(self, who: Credentials) -> _Engine:
        engine = self._engines.get(who)
        loop = asyncio.get_running_loop()
        if engine is None or engine.loop is not loop:
            engine = self._engines[who] = _make_engine(who, loop)
        return engine


class PysnmpSession:
    """Requests to one device through the shared engine."""

    def __init__(self, device: Device, engine: _Engine, clock: Clock) -> None:
        self._device = device
        self._clock = clock
        self._engine = engine
        self._name = engine.names[device]

    async def get(self, oids: Sequence[str]) -> dict[str, SnmpValue]:
        send = functools.partial(self._engine.getter.send_varbinds, self._engine.snmp, self._name, None, b"")
        left = list(oids)
        while left:
            try:
                return {oid: value for oid, raw in await self._ask(send, left) if (value := value_of(raw)) is not None}
            except _NoSuchName as lack:  # version 1 says this instead of everything else
                del left[lack.at]
        return {}

    def column(self, oid: str) -> Cursor:
        return _PysnmpCursor(self, oid)

    async def page(self, after: str) -> list[tuple[str, Any]]:
        """One GETBULK: what follows `after`, as the agent says it, values in pysnmp's types. GETNEXT in version 1."""
        if self._device.credentials.version == "1":
            step = functools.partial(self._engine.nexter.send_varbinds, self._engine.snmp, self._name, None, b"")
            try:
                return await self._ask(step, [after])
            except _NoSuchName:
                return []  # the end of what the agent has
        bulk = self._engine.bulker.send_varbinds
        send = functools.partial(bulk, self._engine.snmp, self._name, None, b"", 0, self._device.max_repetitions)
        return await self._ask(send, [after])

    async def _ask(self, send: Any, oids: Sequence[str]) -> list[tuple[str, Any]]:
        from pysnmp.error import PySnmpError

        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        try:
            send([_null(oid) for oid in oids], _settle, answer)
            async with within(self._device.timeout_s, self._clock):
                indication, status, at, binds = await answer
        except TimeoutError:
            raise SnmpTrouble(Reason.TIMEOUT, "no answer") from None
        except PySnmpError as error:
            raise SnmpTrouble(Reason.BAD_RESPONSE, type(error).__name__) from error
        if not indication and int(status or 0) == NO_SUCH_NAME and 1 <= int(at or 0) <= len(oids):
            raise _NoSuchName(int(at) - 1)
        _refuse(indication, int(status or 0))
        return [(str(bind[0]), bind[1]) for bind in binds or ()]


class _PysnmpCursor:
    def __init__(self, session: PysnmpSession, oid: str) -> None:
        self._session = session
        self._prefix = oid + "."
        self._after = oid
        self._ended = False

    async def page(self) -> Sequence[tuple[str, SnmpValue]]:
        rows: list[tuple[str, SnmpValue]] = []
        if self._ended:
            return rows
        for oid, raw in await self._session.page(self._after):
            value = value_of(raw) if oid.startswith(self._prefix) else None
            if value is None:  # values are translated only as far as the column goes
                self._ended = True
                break
            rows.append((oid, value))
            self._after = oid
        return rows


def _settle(engine: Any, handle: Any, error: Any, status: Any, index: Any, binds: Any, answer: Any) -> None:
    """pysnmp's callback; the answer to a request that we gave up on is dropped."""
    if not answer.done():
        answer.set_result((error, status, index, binds))


def _refuse(error: Any, status: int) -> None:
    """Raise what an error indication or an error status means."""
    if error:
        name = type(error).__name__
        if name == "RequestTimedOut":
            raise SnmpTrouble(Reason.TIMEOUT, "no answer")
        if name in REFUSALS:
            raise SnmpTrouble(Reason.AUTH_FAILED, f"the agent refuses the user, a key or the security level ({name})")
        if name in ("UnsupportedAuthProtocol", "UnsupportedPrivProtocol"):
            raise SnmpTrouble(Reason.NO_LIBRARY, f"pysnmp cannot: {name}")
        raise SnmpTrouble(Reason.BAD_RESPONSE, str(error) or name)
    if status == TOO_BIG:
        raise SnmpTooBig
    if status == AUTHORIZATION_ERROR:
        raise SnmpTrouble(Reason.AUTH_FAILED, "the agent does not let this user read it")
    if status:
        raise SnmpTrouble(Reason.BAD_RESPONSE, f"error-status {status}")


def _null(oid: str) -> Any:
    from pysnmp.proto.rfc1902 import Null, ObjectName

    return ObjectName(oid), Null("")


def value_of(raw: Any) -> SnmpValue | None:
    """pysnmp's types as plain Python; None for the three that say "nothing here"."""
    from pyasn1.type import univ
    from pysnmp.proto import rfc1902

    if isinstance(raw, univ.Null):  # noSuchObject and its kin are Null, and Null is an OctetString
        return None
    if isinstance(raw, rfc1902.IpAddress | univ.ObjectIdentifier):
        return str(raw.prettyPrint())
    if isinstance(raw, univ.OctetString):  # Opaque is one too
        return bytes(raw)
    return int(raw)


async def _register(engine: _Engine, device: Device) -> str:
    """Make the device known to the engine. pysnmp's own timeout only cleans up, so it is longer than ours."""
    from pysnmp.hlapi.v3arch.asyncio import Udp6TransportTarget, UdpTransportTarget
    from pysnmp.hlapi.v3arch.asyncio.lcd import CommandGeneratorLcdConfigurator

    kind = Udp6TransportTarget if ":" in device.ip else UdpTransportTarget
    patience_s = math.ceil(device.timeout_s) + 1
    target = await kind.create((device.ip, device.port), timeout=patience_s, retries=0)
    name, _ = CommandGeneratorLcdConfigurator().configure(engine.snmp, engine.auth, target)
    return str(name)


def _make_engine(who: Credentials, loop: asyncio.AbstractEventLoop) -> _Engine:
    from pysnmp.entity.engine import SnmpEngine
    from pysnmp.entity.rfc3413 import cmdgen

    auth = _auth(who)
    get, step, bulk = (
        cmdgen.GetCommandGenerator(),
        cmdgen.NextCommandGeneratorSingleRun(),
        cmdgen.BulkCommandGeneratorSingleRun(),
    )
    return _Engine(loop, SnmpEngine(), auth, get, step, bulk)


def _auth(who: Credentials) -> Any:
    from pysnmp.hlapi.v3arch import asyncio as hlapi

    if who.version != "3":
        return hlapi.CommunityData(who.community, mpModel=0 if who.version == "1" else 1)
    auth = priv = None
    if who.auth_protocol is not None:
        auth = getattr(hlapi, _named(AUTH_PROTOCOLS, who.auth_protocol))
    if who.priv_protocol is not None:
        priv = getattr(hlapi, _named(PRIV_PROTOCOLS, who.priv_protocol))
    return hlapi.UsmUserData(
        who.user,
        authKey=who.auth_password if auth else None,
        privKey=who.priv_password if priv else None,
        authProtocol=auth,
        privProtocol=priv,
    )


def _named(known: dict[str, str], protocol: str) -> str:
    try:
        return known[protocol]
    except KeyError:
        raise SnmpTrouble(Reason.NO_LIBRARY, f"pysnmp has no {protocol}; it has {', '.join(known)}") from None
