"""One ICMP socket for all targets: sent in turn, drained in batches, every reply matched by number and token."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from healthmon.model.ports import Clock
from healthmon.model.sample import Reason
from healthmon.probes.reasons import Finding
from healthmon.runtime.deadline import Deadline

NO_PERMISSION = (
    "ICMP needs net.ipv4.ping_group_range to include this process's group "
    "(sysctl -w net.ipv4.ping_group_range='0 2147483647') or CAP_NET_RAW (setcap cap_net_raw+ep on the interpreter)"
)

#: Token (8 bytes, one per socket) and number of the packet (8 bytes) at the start of every payload.
_MARK = struct.Struct("!8sQ")
_HEADER = struct.Struct("!BBHHH")
SMALLEST_BYTES = _MARK.size

#: A burst of replies must fit: at about 1 KiB of kernel memory for each small packet, 8 MiB hold 8,000.
_BUFFER_BYTES = 8 * 1024 * 1024
_DRAIN_MOST = 2048
#: After so many sends in one go the socket is drained in between, or loopback would overflow it.
_DRAIN_EVERY = 64
_FULL_PAUSE_S = 0.002

_SO_RCVBUFFORCE, _SO_SNDBUFFORCE = 33, 32
_SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("=qq")
_NOTE_BYTES = 128
_SOL_RAW, _ICMP_FILTER = 255, 1  # linux/icmp.h and linux/icmpv6.h: a set bit blocks the type


#: Control messages as recvmsg gives them.
Notes = list[tuple[int, int, bytes]]


@dataclass(frozen=True, slots=True)
class Dialect:
    """ICMP for one address family: numbers of RFC 792 and RFC 4443."""

    protocol: int
    request: int
    reply: int
    errors: dict[int, str]
    hop_limit: tuple[int, int]  # level and type of the note that goes with a packet
    tell_hop_limit: int  # option of the same level


_DIALECTS = {
    socket.AF_INET: Dialect(
        socket.IPPROTO_ICMP,
        8,
        0,
        {3: "unreachable", 11: "time exceeded on the way"},
        (socket.IPPROTO_IP, 2),
        12,
    ),  # IP_TTL and IP_RECVTTL, linux/in.h
    socket.AF_INET6: Dialect(
        socket.IPPROTO_ICMPV6,
        128,
        129,
        {1: "unreachable", 3: "time exceeded on the way"},
        (socket.IPPROTO_IPV6, 52),
        51,
    ),  # IPV6_HOPLIMIT and IPV6_RECVHOPLIMIT, linux/in6.h
}


@dataclass(slots=True)
class Flight:
    """The packets of one run: round trip seconds by packet, None while or when there is none.

    `hop_limit` is what was left of it in the last reply.
    """

    ip: str
    rtts_s: list[float | None] = field(default_factory=list)
    open: set[int] = field(default_factory=set)
    error: str | None = None
    waiter: asyncio.Future[None] | None = None
    hop_limit: int | None = None

    def close(self, seq: int) -> None:
        """This packet is answered, one way or another."""
        self.open.discard(seq)
        if not self.open:
            self.wake()

    def wake(self) -> None:
        """Whoever waits has waited long enough."""
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    async def landed(self, clock: Clock, limit_s: float) -> bool:
        """Wait until every packet is answered; False when that took longer than the limit."""
        if self.open:
            self.waiter = asyncio.get_running_loop().create_future()
            deadline = Deadline(clock, limit_s, self.wake)
            try:
                await self.waiter
            finally:
                deadline.cancel()
        return not self.open


class EchoSocket:
    """A datagram (ping_group_range) or raw (CAP_NET_RAW) socket. Raises Finding(no_permission)."""

    def __init__(self, family: int, clock: Clock) -> None:
        self.users = 0
        self.loop = asyncio.get_running_loop()
        self._clock = clock
        self._dialect = _DIALECTS[socket.AddressFamily(family)]
        self._socket, self._raw = _open(family, self._dialect)
        self._skips_ip_header = self._raw and family == socket.AF_INET
        self._token = os.urandom(8)
        self._ident = int.from_bytes(os.urandom(2), "big")
        blank = _HEADER.pack(self._dialect.request, 0, 0, self._ident, 0)
        self._constant: int = sum(struct.unpack("!8H", blank + self._token))
        self._numbers = itertools.count(1)
        self._flying: dict[int, tuple[int, Flight, int, tuple[float, float]]] = {}
        self._since_drain = 0
        self._inbox = memoryview(bytearray(65536))
        try:
            self.loop.add_reader(self._socket.fileno(), self.drain)
        except NotImplementedError:
            self._socket.close()
            raise Finding(Reason.NO_LIBRARY, "ICMP needs a selector event loop; use a tcp check here") from None

    async def send(self, flight: Flight, *, size_bytes: int, hop_limit: int | None = None) -> None:
        """One echo request that may pass so many routers. Raises OSError; waits while the send buffer is full."""
        number = next(self._numbers)
        seq = self._free_seq(number)
        packet = self._packet(seq, number, size_bytes)
        notes = [] if hop_limit is None else [(*self._dialect.hop_limit, struct.pack("=i", hop_limit))]
        while True:
            sent = (self._clock.mono(), self._clock.now())
            try:
                if notes:
                    self._socket.sendmsg([packet], notes, 0, (flight.ip, 0))
                else:
                    self._socket.sendto(packet, (flight.ip, 0))
                break
            except BlockingIOError:
                self.drain()
                await self._clock.sleep(_FULL_PAUSE_S)
        self._flying[seq] = (number, flight, len(flight.rtts_s), sent)
        flight.rtts_s.append(None)
        flight.open.add(seq)
        self._since_drain += 1
        if self._since_drain >= _DRAIN_EVERY:
            self.drain()

    def forget(self, flight: Flight) -> None:
        """Nobody waits for its open packets any more."""
        for seq in flight.open:
            self._flying.pop(seq, None)

    def drain(self) -> None:
        """Take what has arrived, up to a bound so that others get their turn."""
        self._since_drain = 0
        for _ in range(_DRAIN_MOST):
            try:
                length, notes, _, _ = self._socket.recvmsg_into([self._inbox], _NOTE_BYTES)
            except BlockingIOError:
                return
            except OSError:
                continue  # an error queued for one of the targets; its packet stays unanswered
            self._take(self._inbox[:length], notes)

    def close(self) -> None:
        """Stop listening."""
        self.loop.remove_reader(self._socket.fileno())
        self._socket.close()

    def _free_seq(self, number: int) -> int:
        for step in range(65536):
            seq = (number + step) & 0xFFFF
            if seq not in self._flying:
                return seq
        raise Finding(Reason.RATE_LIMITED, "65536 echo requests are in flight")

    def _packet(self, seq: int, number: int, size_bytes: int) -> bytes:
        payload = _MARK.pack(self._token, number).ljust(size_bytes, b"\0")
        # The kernel fills in the checksum of ICMPv6 and of datagram sockets; a raw ICMPv4 one is ours to do.
        # Only what changes is summed anew; the zeros that fill up a packet add nothing.
        total = self._constant + seq + (number & 0xFFFF) + (number >> 16 & 0xFFFF) + (number >> 32)
        return _HEADER.pack(self._dialect.request, 0, checksum(total), self._ident, seq) + payload

    def _take(self, data: memoryview, notes: Notes) -> None:
        source = ""
        if self._skips_ip_header:
            source = socket.inet_ntoa(data[12:16])
            data = data[(data[0] & 0x0F) * 4 :]
        if len(data) < _HEADER.size:
            return
        kind, _, _, _, seq = _HEADER.unpack_from(data)
        if kind == self._dialect.reply:
            self._answered(seq, data[_HEADER.size :], notes)
        elif kind in self._dialect.errors:
            self._refused(data[_HEADER.size :], self._dialect.errors[kind], source)

    def _answered(self, seq: int, payload: memoryview, notes: Notes) -> None:
        known = self._flying.get(seq)
        if known is None or len(payload) < _MARK.size:
            return
        number, flight, index, sent = known
        if _MARK.unpack_from(payload) != (self._token, number):
            return  # somebody else's ping, or an old one of ours
        del self._flying[seq]
        flight.rtts_s[index] = self._rtt_s(sent, _stamp(notes))
        flight.hop_limit = _hop_limit(notes, self._dialect)
        flight.close(seq)

    def _rtt_s(self, sent: tuple[float, float], stamped: float | None) -> float:
        """By the kernel's time of arrival, so that a busy loop does not read as a slow network.

        The kernel stamps by the wall clock: a stamp that does not lie between sending and now (the clock was
        stepped) is not used.
        """
        until_now_s = max(0.0, self._clock.mono() - sent[0])
        if stamped is not None and 0.0 <= stamped - sent[1] <= until_now_s:
            return stamped - sent[1]
        return until_now_s

    def _refused(self, original: memoryview, what: str, source: str) -> None:
        """An ICMP error quotes the packet that it is about: IP header and at least 8 bytes (RFC 1122)."""
        if self._skips_ip_header:
            inner = original[(original[0] & 0x0F) * 4 :] if len(original) >= 20 else original[:0]
        else:
            inner = original[40:]
        if len(inner) < _HEADER.size:
            return
        kind, _, _, ident, seq = _HEADER.unpack_from(inner)
        known = self._flying.get(seq)
        if known is None or kind != self._dialect.request or (self._raw and ident != self._ident):
            return
        del self._flying[seq]
        flight = known[1]
        flight.error = f"{what}, says {source}" if source else what
        flight.close(seq)


class EchoSockets:
    """The shared socket of each address family, open while somebody uses it."""

    def __init__(self) -> None:
        self._open: dict[int, EchoSocket] = {}

    @contextmanager
    def use(self, family: int, clock: Clock) -> Iterator[EchoSocket]:
        """Borrow it. Raises Finding(no_permission)."""
        shared = self._open.get(family)
        if shared is None or shared.loop is not asyncio.get_running_loop():
            shared = self._open[family] = EchoSocket(family, clock)
        shared.users += 1
        try:
            yield shared
        finally:
            shared.users -= 1
            if shared.users == 0:
                shared.close()
                if self._open.get(family) is shared:
                    del self._open[family]


def checksum(total: int) -> int:
    """RFC 1071: the ones' complement of the ones' complement sum, from the plain sum of the 16-bit words."""
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def _stamp(notes: list[tuple[int, int, bytes]]) -> float | None:
    """When the kernel received it, Unix seconds; None where it does not say."""
    for level, kind, data in notes:
        if (level, kind, len(data)) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS, _TIMESPEC.size):
            seconds, nanoseconds = _TIMESPEC.unpack(data)
            return float(seconds) + float(nanoseconds) / 1e9
    return None


def _hop_limit(notes: Notes, dialect: Dialect) -> int | None:
    """What the reply had left, where the kernel says so."""
    found = [data for level, kind, data in notes if (level, kind) == dialect.hop_limit]
    return int.from_bytes(found[0][:4], sys.byteorder) if found else None


def _open(family: int, dialect: Dialect) -> tuple[socket.socket, bool]:
    """Datagram first (no privilege needed), then raw."""
    for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
        try:
            opened = socket.socket(family, kind, dialect.protocol)
        except PermissionError:
            continue
        opened.setblocking(False)
        _widen(opened)
        with suppress(OSError):
            opened.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        with suppress(OSError):
            opened.setsockopt(dialect.hop_limit[0], dialect.tell_hop_limit, 1)
        if kind == socket.SOCK_RAW:
            _only(opened, family, dialect)
        return opened, kind == socket.SOCK_RAW
    raise Finding(Reason.NO_PERMISSION, NO_PERMISSION)


def _widen(opened: socket.socket) -> None:
    """Beyond the system's limit where we may, else up to it."""
    for forced, plain in ((_SO_RCVBUFFORCE, socket.SO_RCVBUF), (_SO_SNDBUFFORCE, socket.SO_SNDBUF)):
        try:
            opened.setsockopt(socket.SOL_SOCKET, forced, _BUFFER_BYTES)
        except OSError:
            with suppress(OSError):
                opened.setsockopt(socket.SOL_SOCKET, plain, _BUFFER_BYTES)


def _only(opened: socket.socket, family: int, dialect: Dialect) -> None:
    """Let the kernel drop everything but replies and errors (on loopback our own requests would come too)."""
    wanted = {dialect.reply, *dialect.errors}
    with suppress(OSError):
        if family == socket.AF_INET:
            blocked = 0xFFFFFFFF & ~sum(1 << kind for kind in wanted)
            opened.setsockopt(_SOL_RAW, _ICMP_FILTER, struct.pack("=I", blocked))
        else:
            words = [0xFFFFFFFF] * 8
            for kind in wanted:
                words[kind >> 5] &= ~(1 << (kind & 31))
            opened.setsockopt(dialect.protocol, _ICMP_FILTER, struct.pack("=8I", *words))
