"""A channel to a network management station: SNMP informs or traps, v2c or v3 (RFC 3416, RFC 3414)."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from healthmon.alerting.notify.httpcalls import checked_timeout
from healthmon.model.incident import Notice
from healthmon.model.ports import Dead, Retry, Sent
from healthmon.runtime.clock import SystemClock
from healthmon.runtime.usm import AUTH_PROTOCOLS, PRIV_PROTOCOLS, REFUSALS

#: Enterprise number of examples (RFC 5612), until healthmon has one; alerting/mibs/HEALTHMON-MIB.txt names all below.
ENTERPRISE = "1.3.6.1.4.1.32473.470"
_TRAP_OID = "1.3.6.1.6.3.1.1.4.1.0"
_UPTIME = "1.3.6.1.2.1.1.3.0"
#: Below enterprise.0: the notifications, by why somebody is told.
NOTIFICATIONS = {
    "opened": 1, "worse": 2, "new_area": 3, "escalated": 4, "mitigated": 5, "resolved": 6, "mute": 7, "duty": 8,
    "drill": 9,
}  # fmt: skip
#: A datagram that no router has to cut: 1,472 octets less headers, keys and the fixed fields.
_TEXT_BYTES = 700
_SUBJECT_BYTES = 255


@dataclass(frozen=True, slots=True)
class Params:
    """inform: the station confirms each message, and silence is tried again; without it nobody says what arrived.

    user, auth_* and priv_* are version 3. engine_id: hex, of a station that knows senders of traps by it.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    host: str
    port: int = 162
    version: Literal["2c", "3"] = "2c"
    community: str = field(default="", repr=False)
    inform: bool = True
    user: str = ""
    auth_protocol: str | None = None
    auth_password: str | None = field(default=None, repr=False)
    priv_protocol: str | None = None
    priv_password: str | None = field(default=None, repr=False)
    engine_id: str = ""
    timeout_s: float = 5.0

    def __post_init__(self) -> None:
        checked_timeout(self.timeout_s)
        if not 0 < self.port < 65536:
            raise ValueError("port must be between 1 and 65535")
        if self.version == "2c" and not self.community:
            raise ValueError("version 2c needs a community")
        if self.version == "3" and not (self.user and self.auth_protocol and self.auth_password):
            raise ValueError("version 3 needs user, auth_protocol and auth_password")
        for name, known in (("auth_protocol", AUTH_PROTOCOLS), ("priv_protocol", PRIV_PROTOCOLS)):
            if getattr(self, name) not in (None, *known):
                raise ValueError(f"{name}: {getattr(self, name)!r} (allowed: {', '.join(known)})")
        if self.engine_id and not 5 <= len(bytes.fromhex(self.engine_id)) <= 32:
            raise ValueError("engine_id must be 5 to 32 octets in hex")


class SnmpTrap:
    """One engine, made at the first message. `key` is a variable, so that a station can drop a repeat."""

    def __init__(self, params: Params) -> None:
        self._params = params
        self._engine: Any = None
        self._began_s = 0.0

    async def send(self, notice: Notice) -> Sent | Retry | Dead:
        """An inform that is confirmed, or a trap that nobody confirms."""
        from pysnmp.error import PySnmpError
        from pysnmp.hlapi.v3arch import asyncio as hlapi

        kind = "inform" if self._params.inform else "trap"
        try:
            async with asyncio.timeout(self._params.timeout_s + 1.0):
                target = await self._target(hlapi)
                error, status, _, _ = await hlapi.send_notification(
                    self._opened(), self._user(hlapi), target, hlapi.ContextData(), kind,
                    *self._variables(notice), lookupMib=False,
                )  # fmt: skip
        except TimeoutError:
            return Retry(f"no answer in {self._params.timeout_s:g} s")
        except (PySnmpError, OSError) as failure:
            return Retry(type(failure).__name__)
        return self._judged(error, int(status or 0))

    def preview(self, notice: Notice) -> str:
        """The variables, one a line."""
        return "\n".join(f"{number}: {text.decode()}" for number, text in _texts(notice))

    async def close(self) -> None:
        """Give the sockets back."""
        if self._engine is not None:
            with contextlib.suppress(RuntimeError):  # its loop may be gone
                self._engine.close_dispatcher()
            self._engine = None

    def _judged(self, error: Any, status: int) -> Sent | Retry | Dead:
        if error is not None:
            name = type(error).__name__
            if name in REFUSALS:
                return Dead(f"the station refuses the user or a key ({name})")
            slow = name == "RequestTimedOut"
            return Retry(f"no answer in {self._params.timeout_s:g} s" if slow else name)
        if status:
            return Retry(f"error-status {status}")
        return Sent("confirmed" if self._params.inform else "UDP: nobody says whether it arrived")

    async def _target(self, hlapi: Any) -> Any:
        kind = hlapi.Udp6TransportTarget if ":" in self._params.host else hlapi.UdpTransportTarget
        address = (self._params.host, self._params.port)
        return await kind.create(address, timeout=self._params.timeout_s, retries=0)

    def _user(self, hlapi: Any) -> Any:
        params = self._params
        if params.version == "2c":
            return hlapi.CommunityData(params.community, mpModel=1)
        sealed = params.priv_protocol is not None
        return hlapi.UsmUserData(
            params.user,
            authKey=params.auth_password,
            privKey=params.priv_password if sealed else None,
            authProtocol=getattr(hlapi, AUTH_PROTOCOLS[params.auth_protocol or "SHA"]),
            privProtocol=getattr(hlapi, PRIV_PROTOCOLS[params.priv_protocol or "AES"]) if sealed else None,
        )

    def _opened(self) -> Any:
        """Boots are seconds of 1970, so that a station which keeps them believes us after a restart as well."""
        if self._engine is None:
            from pysnmp.entity.engine import SnmpEngine
            from pysnmp.proto.rfc1902 import OctetString

            self._began_s = SystemClock().now()
            engine = SnmpEngine()
            builder = engine.get_mib_builder()
            own, boots = builder.import_symbols("__SNMP-FRAMEWORK-MIB", "snmpEngineID", "snmpEngineBoots")
            own.syntax = own.syntax.clone(OctetString(self._own_id()))
            boots.syntax = boots.syntax.clone(int(self._began_s))
            engine.snmpEngineID = own.syntax
            self._engine = engine
        return self._engine

    def _own_id(self) -> bytes:
        """RFC 3411: enterprise 32473, format 5 (octets); the same for the same user and station."""
        if self._params.engine_id:
            return bytes.fromhex(self._params.engine_id)
        told = f"{self._params.user}@{self._params.host}:{self._params.port}"
        return bytes.fromhex("80007ed905") + hashlib.sha256(told.encode()).digest()[:8]

    def _variables(self, notice: Notice) -> list[tuple[Any, Any]]:
        from pysnmp.proto.rfc1902 import Integer32, ObjectIdentifier, ObjectName, OctetString, TimeTicks

        uptime = int(max(0.0, SystemClock().now() - self._began_s) * 100) % 2**32
        fixed = [
            (ObjectName(_UPTIME), TimeTicks(uptime)),
            (ObjectName(_TRAP_OID), ObjectIdentifier(f"{ENTERPRISE}.0.{NOTIFICATIONS[notice.why.value]}")),
        ]
        said = [(ObjectName(f"{ENTERPRISE}.1.{number}.0"), OctetString(text)) for number, text in _texts(notice)]
        return [*fixed, *said, (ObjectName(f"{ENTERPRISE}.1.7.0"), Integer32(notice.severity))]


def _texts(notice: Notice) -> list[tuple[int, bytes]]:
    text = " / ".join(line.strip() for line in notice.text.splitlines() if line.strip())
    said = (notice.key, notice.incident, notice.subject, text, ",".join(notice.areas),
            "true" if notice.repeat else "false")  # fmt: skip
    room = {3: _SUBJECT_BYTES, 4: _TEXT_BYTES, 5: _SUBJECT_BYTES}
    return [(number, cut(text, room.get(number, 64))) for number, text in enumerate(said, start=1)]


def cut(text: str, most: int) -> bytes:
    """At most so many octets of UTF-8, never half a character."""
    return text.encode()[:most].decode(errors="ignore").encode()
