"""A channel to a syslog server: RFC 5424 over UDP (RFC 5426) or TCP with octet counting (RFC 6587, 3.4.1)."""

from __future__ import annotations

import asyncio
import re
import ssl
from dataclasses import dataclass
from typing import ClassVar, Literal

from healthmon.alerting.notify.httpcalls import checked_timeout
from healthmon.model.incident import Notice
from healthmon.model.ports import Dead, Retry, Sent
from healthmon.model.render import rfc3339

#: Severities of syslog by those of incidents.
_SEVERITY = {1: 1, 2: 2, 3: 4, 4: 5, 5: 6}
#: What every receiver must take over UDP is 480 octets, what it should take is 2,048 (RFC 5426, 3.2).
_DATAGRAM_BYTES = 2048
_NAME = re.compile(r"[^!-~]")


@dataclass(frozen=True, slots=True)
class Params:
    """facility: 0 to 23 (16 is local0). UDP says nothing of whether it arrived; TLS checks the server's certificate."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    host: str
    port: int = 514
    transport: Literal["udp", "tcp", "tls"] = "tcp"
    facility: int = 16
    hostname: str = "healthmon"
    ca_file: str | None = None
    timeout_s: float = 10.0

    def __post_init__(self) -> None:
        checked_timeout(self.timeout_s)
        if not 0 <= self.facility <= 23:
            raise ValueError("facility must be between 0 and 23")
        if not 0 < self.port < 65536:
            raise ValueError("port must be between 1 and 65535")


class Syslog:
    """One connection a message over TCP, so that a dead one is noticed before the next message."""

    def __init__(self, params: Params) -> None:
        self._params = params

    async def send(self, notice: Notice) -> Sent | Retry | Dead:
        """One line with the key as structured data."""
        line = message(notice, facility=self._params.facility, hostname=self._params.hostname)
        if self._params.transport == "udp" and len(line) > _DATAGRAM_BYTES:
            line = line[:_DATAGRAM_BYTES].decode(errors="ignore").encode()
        try:
            async with asyncio.timeout(self._params.timeout_s):
                await (self._datagram(line) if self._params.transport == "udp" else self._stream(line))
        except TimeoutError:
            return Retry(f"no answer in {self._params.timeout_s:g} s")
        except ssl.SSLCertVerificationError:
            return Dead("the server's certificate is not to be trusted")
        except OSError as error:
            return Retry(type(error).__name__)
        return Sent("UDP: nobody says whether it arrived" if self._params.transport == "udp" else "")

    def preview(self, notice: Notice) -> str:
        """The line."""
        return message(notice, facility=self._params.facility, hostname=self._params.hostname).decode()

    async def _datagram(self, line: bytes) -> None:
        loop = asyncio.get_running_loop()
        target = (self._params.host, self._params.port)
        transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=target)
        transport.sendto(line)
        transport.close()

    async def _stream(self, line: bytes) -> None:
        params = self._params
        context = ssl.create_default_context(cafile=params.ca_file) if params.transport == "tls" else None
        _, writer = await asyncio.open_connection(params.host, params.port, ssl=context)
        try:
            writer.write(b"%d %s" % (len(line), line))
            await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
        finally:
            writer.close()
            await writer.wait_closed()


def message(notice: Notice, *, facility: int, hostname: str) -> bytes:
    """RFC 5424, section 6: header, one element of structured data, and the subject as UTF-8."""
    priority = facility * 8 + _SEVERITY.get(notice.severity, 5)
    data = {
        "key": notice.key,
        "incident": notice.incident,
        "why": notice.why.value,
        "repeat": str(notice.repeat).lower(),
    }
    pairs = " ".join(f'{name}="{_escaped(value)}"' for name, value in data.items())
    host = _NAME.sub("-", hostname)[:255] or "-"
    head = f"<{priority}>1 {rfc3339(notice.due)} {host} healthmon - {notice.why.value} [healthmon@32473 {pairs}]"
    return f"{head} \ufeff{' '.join(notice.subject.split())}".encode()


def _escaped(value: str) -> str:
    return re.sub(r'(["\\\]])', r"\\\1", value)
