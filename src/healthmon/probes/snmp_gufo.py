"""SNMP by gufo-snmp: sessions kept per device and credentials, keys hashed once per password."""

from __future__ import annotations

import errno
import functools
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from healthmon.model.ports import Clock
from healthmon.model.sample import Reason
from healthmon.probes.snmp_client import Credentials, Cursor, Device, SnmpTooBig, SnmpTrouble, SnmpValue

AUTH_KEYS = {
    "MD5": "Md5Key",
    "SHA": "Sha1Key",
    "SHA-224": "Sha224Key",
    "SHA-256": "Sha256Key",
    "SHA-384": "Sha384Key",
    "SHA-512": "Sha512Key",
}
PRIV_KEYS = {"DES": "DesKey", "AES": "Aes128Key", "AES-192": "Aes192Key", "AES-256": "Aes256Key"}

#: RFC 3414 section 3.2: a message more than 150 s off the agent's time is refused, so learn it anew before.
REFRESH_AFTER_S = 100.0


@dataclass(slots=True)
class _Kept:
    inner: Any  # gufo.snmp.aio.SnmpSession
    used_at: float


class GufoClient:
    """Keeps up to `keep` idle sessions for up to `idle_s`; a session in trouble is thrown away."""

    def __init__(self, *, clock: Clock, keep: int = 2048, idle_s: float = 600.0) -> None:
        self._clock = clock
        self._keep = keep
        self._idle_s = idle_s
        self._idle: OrderedDict[Device, _Kept] = OrderedDict()

    @asynccontextmanager
    async def session(self, device: Device) -> AsyncIterator[GufoSession]:
        """A kept session, or a new one; kept again only when nothing went wrong."""
        session = GufoSession(device, kept=self._take(device), clock=self._clock)
        await session.ready()
        yield session
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
        self._idle.move_to_end(device)
        while self._idle:
            oldest = next(iter(self._idle))
            if len(self._idle) <= self._keep and mono - self._idle[oldest].used_at <= self._idle_s:
                return
            del self._idle[oldest]


class GufoSession:
    """One gufo session; a kept one that the agent no longer knows (it restarted) is opened anew, once."""

    def __init__(self, device: Device, *, kept: _Kept | None, clock: Clock) -> None:
        self.inner: Any = kept.inner if kept else None
        self.sound = True
        self._device = device
        self._clock = clock
        self._proven = kept is None
        rested_s = clock.mono() - kept.used_at if kept else 0.0
        self._stale = device.credentials.version == "3" and rested_s > REFRESH_AFTER_S

    async def ready(self) -> None:
        """Open it, or bring the time of a long idle v3 session up to date. Raises SnmpTrouble."""
        if self.inner is None or self._stale:
            await self._open()

    async def get(self, oids: Sequence[str]) -> dict[str, SnmpValue]:
        wanted = list(oids)
        try:
            found = await self._ask(lambda inner: inner.get_many(wanted))
        except SnmpTrouble:
            if self._proven:
                raise
            await self._open()
            found = await self._ask(lambda inner: inner.get_many(wanted))
        self._proven = True
        if not found and len(wanted) > 1:
            raise SnmpTooBig  # gufo hides the error-status: tooBig looks like "none of these", so ask for less
        return {oid: value for oid, value in found.items() if value is not None}

    def column(self, oid: str) -> Cursor:
        return _GufoCursor(self, self.inner.getbulk(oid, self._device.max_repetitions))

    async def _open(self) -> None:
        self._proven = True
        self.inner = _open_session(self._device)
        for left in range(self._device.retries, -1, -1):
            try:
                await self._ask(lambda inner: inner.refresh())
                self.sound = True
                return
            except SnmpTrouble as trouble:
                if trouble.reason is not Reason.TIMEOUT or not left:
                    raise

    async def _ask(self, call: Any) -> Any:
        began = self._clock.mono()
        try:
            return await call(self.inner)
        except StopAsyncIteration:
            return None
        except BaseException as error:  # cancellation included: an answer may still be on its way
            self.sound = False
            trouble = _trouble(error, early=self._clock.mono() - began < self._device.timeout_s / 2)
            if trouble is None:
                raise
            raise trouble from error


class _GufoCursor:
    def __init__(self, session: GufoSession, rows: Any) -> None:
        self._session = session
        self._rows = rows

    async def next(self) -> tuple[str, SnmpValue] | None:
        row: tuple[str, SnmpValue] | None = await self._session._ask(lambda _: self._rows.__anext__())
        return row


def _open_session(device: Device) -> Any:
    from gufo.snmp.aio import SnmpSession

    who = device.credentials
    common = {"port": device.port, "timeout": device.timeout_s, "max_repetitions": device.max_repetitions}
    try:
        if who.version == "3":
            return SnmpSession(device.ip, user=_user(who), **common)
        return SnmpSession(device.ip, community=who.community, **common)
    except OSError as error:
        raise _os_trouble(error) from error


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
    return gufo.User(who.user, auth_key=auth, priv_key=priv)


@functools.lru_cache(maxsize=256)
def _master_key(auth_class: Any, password: str) -> bytes:
    return bytes(auth_class.get_master_key(password.encode()))


def _named(known: dict[str, str], protocol: str) -> str:
    try:
        return known[protocol]
    except KeyError:
        raise SnmpTrouble(Reason.NO_LIBRARY, f"gufo-snmp has no {protocol}; it has {', '.join(known)}") from None


def _trouble(error: BaseException, *, early: bool) -> SnmpTrouble | None:
    """gufo's exceptions in our words; None for what is not about SNMP."""
    from gufo.snmp import SnmpAuthError, SnmpDecodeError, SnmpError

    match error:
        case SnmpTrouble():
            return error
        case TimeoutError():
            # gufo says "timeout" at once when the host answers with ICMP port unreachable.
            if early:
                return SnmpTrouble(Reason.REFUSED, "port unreachable")
            return SnmpTrouble(Reason.TIMEOUT, "no answer")
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
    reasons = {
        errno.ECONNREFUSED: Reason.REFUSED,
        errno.EHOSTUNREACH: Reason.UNREACHABLE,
        errno.ENETUNREACH: Reason.NO_ROUTE,
        errno.EACCES: Reason.NO_PERMISSION,
        errno.EPERM: Reason.NO_PERMISSION,
    }
    return SnmpTrouble(reasons.get(error.errno or 0, Reason.UNREACHABLE), error.strerror or str(error))
