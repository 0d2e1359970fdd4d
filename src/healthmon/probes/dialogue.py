"""One TCP conversation with a server: phases, TLS from the start or later, and every way it can end."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Protocol

from healthmon.model.errors import HealthmonError
from healthmon.model.plan import Job
from healthmon.model.ports import Address, Sight
from healthmon.model.sample import Reading, Reason, Sample, Value
from healthmon.probes.address import host_port
from healthmon.probes.certificate import samples_of_peer
from healthmon.probes.connect import Streams, Trust, dial, hang_up, of_version, open_streams, tls_object
from healthmon.probes.look import Look, samples_of
from healthmon.probes.phases import Phases
from healthmon.probes.reasons import CERTIFICATE_REASONS, Finding
from healthmon.runtime.deadline import within

#: No answer that these protocols give to us is longer.
MOST_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Place:
    """Where to call and what to believe there. With `tls` the handshake comes before the first byte."""

    host: str
    port: int
    ip_version: int = 0
    trust: Trust = field(default_factory=Trust)
    tls: bool = False
    server_name: str | None = None
    details: bool = False  # who the certificate is for, and from whom


def place_of(
    job: Job,
    port: int | None,
    default_port: int,
    *,
    ip_version: int = 0,
    trust: Trust | None = None,
    tls: bool = False,
    server_name: str | None = None,
) -> Place:
    """The port of the check, else that of the address, else the default. Raises Finding(bad_params)."""
    host, written = host_port(job.address, default_port)
    return Place(host, port or written, ip_version, trust or Trust(), tls, server_name)


class Calling(Protocol):
    """Parameters of a protocol that is spoken over TCP, with or without TLS."""

    @property
    def port(self) -> int | None: ...
    @property
    def ip_version(self) -> int: ...
    @property
    def ca_file(self) -> str | None: ...
    @property
    def verify(self) -> bool: ...
    @property
    def min_version(self) -> str: ...
    @property
    def server_name(self) -> str | None: ...


def place_for(job: Job, params: Calling, default_port: int, *, tls: bool) -> Place:
    """Where these parameters say. Raises Finding(bad_params)."""
    trust = Trust(params.ca_file, params.verify, params.min_version)
    return place_of(
        job,
        params.port,
        default_port,
        ip_version=params.ip_version,
        trust=trust,
        tls=tls,
        server_name=params.server_name,
    )


class _Enough(Exception):
    """The certificate has been seen; a second look needs no more."""


class Dialogue:
    """`hold` runs a talk and gives the reading; the talk reads, writes and raises Finding for what is wrong."""

    def __init__(self, job: Job, sight: Sight, family: str, place: Place) -> None:
        self.place = place
        self.phases = Phases(sight)
        self.fields: dict[str, Value] = {}
        self.more: list[Sample] = []
        self.sight = sight
        self.sock: socket.socket | None = None
        self._job = job
        self._family = family
        self._streams: Streams | None = None
        self._buffer = bytearray()
        self._certificate: list[Sample] = []
        self._only_certificate = False

    async def hold(self, talk: Callable[[Dialogue], Awaitable[None]]) -> Reading:
        """ok, or failed with the first thing that was wrong; a bad certificate still tells its dates."""
        look = Look(self._job, self.sight)
        try:
            await self._whole(talk)
        except (OSError, HealthmonError) as error:
            fault = self.phases.fault_of(error, self._job.timeout_s)
        else:
            return look.ok(self.samples())
        reading = look.bad(fault, self.samples())
        if fault.reason not in CERTIFICATE_REASONS:
            return reading
        found = await self._bad_certificate(talk, self._job.timeout_s - look.took_s())
        return replace(reading, samples=(*reading.samples, *found))

    def samples(self) -> list[Sample]:
        """Everything known so far."""
        return samples_of(self._family, {**self.phases.fields(), **self.fields}) + self.more + self._certificate

    async def _whole(self, talk: Callable[[Dialogue], Awaitable[None]]) -> None:
        try:
            self.phases.enter("dns")
            found = await self.sight.resolve(self.place.host, self.place.port)
            addresses = of_version(found, self.place.ip_version)
            left_s = max(0.01, self._job.timeout_s - self.phases.total_s())
            async with within(left_s, self.sight.clock):
                await self._connect(addresses, left_s)
                await talk(self)
            self.phases.enter("")
        finally:
            self._close()

    async def _connect(self, addresses: Sequence[Address], left_s: float) -> None:
        self.phases.enter("connect")
        self.sock, address = await dial(addresses[:1] if addresses[0].gentle else addresses, left_s, self.sight.clock)
        self.sight.trace(f"connected to {address.ip} port {address.port}")
        if self.place.tls:
            await self.start_tls()

    async def start_tls(self) -> None:
        """The handshake, now. Anything that the peer said in clear and we have not read is an attack or a bug."""
        if self._buffer or self.sock is None:
            raise Finding(Reason.BAD_RESPONSE, "spoke in clear after agreeing to TLS")
        self.phases.enter("tls")
        self._streams = await open_streams(self.sock, self.place.trust, self.place.server_name or self.place.host)
        peer = tls_object(self._streams[1])
        if peer is not None:
            self._certificate = samples_of_peer(peer, self.sight.clock.now(), details=self.place.details)
            self.sight.trace(f"{peer.version()}, certificate verified: {self.place.trust.verify}")
        if self._only_certificate:
            raise _Enough

    async def _bad_certificate(self, talk: Callable[[Dialogue], Awaitable[None]], left_s: float) -> list[Sample]:
        """The dates of a certificate that was refused, by a second call that believes anything and ends there.

        It has the time that is left: the verdict must not be lost to a server that hangs now.
        """
        believing = replace(self.place, trust=replace(self.place.trust, verify=False))
        second = Dialogue(self._job, self.sight, self._family, believing)
        second._only_certificate = True
        with suppress(OSError, HealthmonError, _Enough):
            async with within(left_s, self.sight.clock):
                await second._whole(talk)
        return second._certificate

    def _close(self) -> None:
        if self._streams is not None:
            hang_up(self._streams[1])
        elif self.sock is not None:
            self.sock.close()

    # what talks are made of

    async def streams(self) -> Streams:
        """For protocols whose reader wants asyncio's streams; nothing may have been read before."""
        if self._streams is None:
            assert self.sock is not None
            self._streams = await open_streams(self.sock)
        return self._streams

    async def send(self, data: bytes) -> None:
        """Hand these bytes to the peer."""
        if self._streams is not None:
            self._streams[1].write(data)
            await self._streams[1].drain()
        elif self.sock is not None:
            await asyncio.get_running_loop().sock_sendall(self.sock, data)

    async def line(self, most: int = 4096) -> bytes:
        """Up to the next line feed, without it or a carriage return. Raises Finding(closed, bad_response)."""
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > most:
                raise Finding(Reason.BAD_RESPONSE, "a line without an end")
            await self._fill()
        if end > most:
            raise Finding(Reason.BAD_RESPONSE, "a line without an end")
        return self._take(end + 1).rstrip(b"\r\n")

    def rest(self) -> bytes:
        """What has come and is no whole line."""
        return self._take(len(self._buffer))

    async def exactly(self, size: int) -> bytes:
        """So many bytes. Raises Finding(closed, too_large)."""
        if size > MOST_BYTES:
            raise Finding(Reason.TOO_LARGE, f"an answer of {size} bytes is announced")
        while len(self._buffer) < size:
            await self._fill()
        return self._take(size)

    async def until(self, pattern: re.Pattern[bytes], most: int) -> None:
        """Read until this is found in the first `most` bytes. Raises Finding(closed, bad_response)."""
        while not pattern.search(self._buffer[:most]):
            if len(self._buffer) >= most or (not await self._more() and self._buffer):
                raise Finding(Reason.BAD_RESPONSE, "the answer does not match")
            if not self._buffer:
                raise Finding(Reason.CLOSED, "closed without an answer")

    async def _fill(self) -> None:
        if not await self._more():
            raise Finding(Reason.CLOSED, "closed in the middle of an answer" if self._buffer else "closed unanswered")

    async def _more(self) -> bool:
        """False at the end of the stream."""
        if self._streams is not None:
            data = await self._streams[0].read(65536)
        else:
            assert self.sock is not None
            data = await asyncio.get_running_loop().sock_recv(self.sock, 65536)
        self._buffer += data
        return bool(data)

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken
