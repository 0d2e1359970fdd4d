"""SNMP by gufo-snmp: sessions kept per device and credentials, keys hashed once per password."""

from __future__ import annotations

import functools
import os
import re
import resource
import socket
import struct
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from healthmon.model.ports import Clock
from healthmon.model.sample import Reason
from healthmon.probes.readiness import Readiness
from healthmon.probes.reasons import Fault, explain
from healthmon.probes.snmp_client import Credentials, Cursor, Device, SnmpTooBig, SnmpTrouble, SnmpValue

AUTH_KEYS = {
    "MD5": "Md5Key",
    "SHA": "Sha1Key",
    "SHA-224": "Sha224Key",
    "SHA-256": "Sha256Key",
    "SHA-384": "Sha384Key",
    "SHA-512": "Sha512Key",
}
PRIV_KEYS = {
    "DES": "DesKey",
    "AES": "Aes128Key",
    "AES-192": "Aes192Key",
    "AES-256": "Aes256Key",
    "AES-192-C": "Aes192Key",
    "AES-256-C": "Aes256Key",
}

#: RFC 3414 section 3.2: a message more than 150 s off the agent's time is refused, so learn it anew before.
REFRESH_AFTER_S = 100.0

OS_ERROR = re.compile(r"os error (\d+)")
#: linux/in.h and linux/in6.h; the socket module does not name them before Python 3.14.
IP_RECVERR = 11
IPV6_RECVERR = 25


@dataclass(slots=True)
class _Kept:
    inner: Any  # gufo.snmp.aio.SnmpSession
    used_at: float


class GufoClient:
    """Keeps up to `keep` idle sessions for up to `idle_s`; a session in trouble is thrown away."""

    def __init__(self, *, clock: Clock, keep: int = 2048, idle_s: float = 600.0) -> None:
        self._clock = clock
        self._keep = _affordable(keep)
        self._idle_s = idle_s
        self._idle: OrderedDict[Device, _Kept] = OrderedDict()

    @asynccontextmanager
    async def session(self, device: Device) -> AsyncIterator[GufoSession]:
        """A kept session, or a new one; kept again only when nothing went wrong."""
        session = GufoSession(device, kept=self._take(device), clock=self._clock)
        try:
            await session.ready()
            yield session
        finally:
            session.close()
        if session.sound:
            self._put(device, session.inner)

    async def close(self) -> None:
        self._idle.clear()

    def __len__(self) -> int:
        return len(self._idle)

    def _take(self, device: Device) -> _Kept | None:
        kept = self._idle.pop(device, None)
        if kept and self._clock.mono() - kept.used_at > self._idle_s:
            return None
        return kept

    def _put(self, device: Device, inner: Any) -> None:
        mono = self._clock.mono()
        self._idle[device] = _Kept(inner, mono)
        while True:
            oldest, kept = next(iter(self._idle.items()))
            if len(self._idle) <= self._keep and mono - kept.used_at <= self._idle_s:
                return
            del self._idle[oldest]


class GufoSession:
    """One gufo session; a kept one that the agent no longer knows (it restarted) is opened anew, once."""

    def __init__(self, device: Device, *, kept: _Kept | None, clock: Clock) -> None:
        self.inner: Any = kept.inner if kept else None
        self.sound = True
        self._device = device
        self._proven = kept is None
        self._clock = clock
        self._readiness: Readiness | None = None
        rested_s = clock.mono() - kept.used_at if kept else 0.0
        self._stale = device.credentials.version == "3" and rested_s > REFRESH_AFTER_S

    async def ready(self) -> None:
        """Open it, or bring the time of a long idle v3 session up to date. Raises SnmpTrouble."""
        if self.inner is None or self._stale:
            await self._open()

    async def get(self, oids: Sequence[str]) -> dict[str, SnmpValue]:
        wanted = list(oids)
        try:
            found = await self._get_many(wanted)
        except SnmpTrouble:
            if self._proven:
                raise
            await self._open()
            found = await self._get_many(wanted)
        self._proven = True
        if not found and len(wanted) > 1:
            raise SnmpTooBig  # gufo hides the error-status: tooBig looks like "none of these", so ask for less
        return {oid: value for oid, value in found.items() if value is not None}

    async def _get_many(self, wanted: list[str]) -> Any:
        sock = self.inner._sock
        return await self.exchange(lambda: sock.send_get_many(wanted), sock.recv_get_many)

    def column(self, oid: str) -> Cursor:
        from gufo.snmp._fast import GetIter

        return _GufoCursor(self, GetIter(oid, self._device.max_repetitions))

    async def _open(self) -> None:
        self._proven = True
        self.close()
        self.inner = _open_session(self._device)
        for left in range(self._device.retries, -1, -1):
            try:
                await self._ask(self.inner.refresh())
                self.sound = True
                return
            except SnmpTrouble as trouble:
                if trouble.reason is not Reason.TIMEOUT or not left:
                    raise

    async def exchange(self, send: Callable[[], object], receive: Callable[[], Any]) -> Any:
        """One request and its answer, waited for with less ado than gufo's own client makes. Raises SnmpTrouble."""
        return await self._ask(self._exchange(send, receive))

    async def _exchange(self, send: Callable[[], object], receive: Callable[[], Any]) -> Any:
        if self._readiness is None:
            self._readiness = Readiness(self.inner._fd)
        turns_s = self._clock.standstill.turns_s
        end = turns_s() + self._device.timeout_s
        await self.inner._send(send)
        while await self._readiness.wait_for(max(0.0, end - turns_s()), self._clock):
            try:
                return receive()
            except BlockingIOError:
                continue
        raise TimeoutError

    def close(self) -> None:
        """Watch the socket no more."""
        if self._readiness is not None:
            self._readiness.close()
            self._readiness = None

    async def _ask(self, call: Awaitable[Any]) -> Any:
        try:
            return await call
        except StopAsyncIteration:
            return None
        except BaseException as error:  # cancellation included: an answer may still be on its way
            self.sound = False
            trouble = _trouble(error, self.inner)
            if trouble is None:
                raise
            raise trouble from error


class _GufoCursor:
    """The end of the column, or of everything, is a None in gufo's last page."""

    def __init__(self, session: GufoSession, place: Any) -> None:
        self._session = session
        self._place = place
        self._ended = False

    async def page(self) -> Sequence[tuple[str, SnmpValue]]:
        if self._ended:
            return ()
        sock = self._session.inner._sock
        page = await self._session.exchange(
            lambda: sock.send_get_bulk(self._place), lambda: sock.recv_get_bulk(self._place)
        )
        self._ended = not page or None in page
        return [row for row in page or () if row is not None]


def _open_session(device: Device) -> Any:
    from gufo.snmp import SnmpVersion
    from gufo.snmp.aio import SnmpSession

    who = device.credentials
    common = {"port": device.port, "timeout": device.timeout_s, "max_repetitions": device.max_repetitions}
    identity = {"user": _user(who)} if who.version == "3" else {"community": who.community}
    identity |= {"version": SnmpVersion.v1} if who.version == "1" else {}  # it walks by GETNEXT then
    try:
        inner = SnmpSession(device.ip, **identity, **common)
        _watch_icmp(inner)
    except OSError as error:
        raise _os_trouble(error) from error
    return inner


def _user(who: Credentials) -> Any:
    """The v3 user with master keys: hashing the password costs 1 MiB of SHA, so it is done once."""
    import gufo.snmp as gufo
    from gufo.snmp.user import KeyType

    if who.auth_protocol is None:
        return gufo.User(who.user)
    auth_class = getattr(gufo, _named(AUTH_KEYS, who.auth_protocol))
    auth = auth_class(_master_key(auth_class, who.auth_password), KeyType.Master)
    if who.priv_protocol is None:
        return gufo.User(who.user, auth_key=auth)
    priv_class = getattr(gufo, _named(PRIV_KEYS, who.priv_protocol))
    priv = priv_class(_master_key(auth_class, who.priv_password), KeyType.Master)
    stretch = gufo.KeyExpansion.Cisco if who.priv_protocol.endswith("-C") else gufo.KeyExpansion.Blumenthal
    return gufo.User(who.user, auth_key=auth, priv_key=priv, key_expansion=stretch)


@functools.lru_cache(maxsize=256)
def _master_key(auth_class: Any, password: str) -> bytes:
    return bytes(auth_class.get_master_key(password.encode()))


def _named(known: dict[str, str], protocol: str) -> str:
    try:
        return known[protocol]
    except KeyError:
        raise SnmpTrouble(Reason.NO_LIBRARY, f"gufo-snmp has no {protocol}; it has {', '.join(known)}") from None


def _trouble(error: BaseException, inner: Any) -> SnmpTrouble | None:
    """gufo's exceptions in our words; None for what is not about SNMP."""
    from gufo.snmp import SnmpAuthError, SnmpDecodeError, SnmpError

    match error:
        case SnmpTrouble():
            return error
        case TimeoutError():
            # gufo says "timeout" at once for whatever the socket reports; the kernel knows what it was.
            code = _icmp_error(inner)
            return _os_trouble(OSError(code, os.strerror(code))) if code else SnmpTrouble(Reason.TIMEOUT, "no answer")
        case SnmpAuthError():
            return SnmpTrouble(Reason.AUTH_FAILED, "the agent refuses the user, a key or the security level")
        case SnmpDecodeError():
            return SnmpTrouble(Reason.BAD_RESPONSE, f"not SNMP: {error}")
        case SnmpError():
            return SnmpTrouble(Reason.BAD_RESPONSE, str(error))
        case OSError():
            return _os_trouble(error)
    return None


def _os_trouble(error: OSError) -> SnmpTrouble:
    if error.errno is None and (said := OS_ERROR.search(str(error))):  # gufo puts the number into the text
        code = int(said[1])
        error = OSError(code, os.strerror(code))
    fault = explain(error) or Fault(Reason.UNREACHABLE, error.strerror or str(error))
    if fault.reason is Reason.REFUSED:
        return SnmpTrouble(Reason.REFUSED, "port unreachable")
    return SnmpTrouble(fault.reason, fault.detail)


def _watch_icmp(inner: Any) -> None:
    """Let the kernel keep what ICMP says about this socket (ip(7), IP_RECVERR)."""
    with _socket_of(inner) as sock:
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)


def _icmp_error(inner: Any) -> int:
    """The newest errno that ICMP brought to this socket, 0 when there is none."""
    found = 0
    with _socket_of(inner) as sock, suppress(BlockingIOError):
        while True:
            _, ancillary, _, _ = sock.recvmsg(0, 512, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT)
            for _, kind, data in ancillary:
                if kind in (IP_RECVERR, IPV6_RECVERR):
                    found = int(struct.unpack_from("=I", data)[0])  # ee_errno of struct sock_extended_err
    return found


def _socket_of(inner: Any) -> socket.socket:
    """A second handle of gufo's socket; closing it leaves the first alone."""
    return socket.socket(fileno=os.dup(inner._fd))


def _affordable(keep: int) -> int:
    """A session is an open file; take no more than a quarter of what the process may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return keep if soft == resource.RLIM_INFINITY else max(16, min(keep, soft // 4))
