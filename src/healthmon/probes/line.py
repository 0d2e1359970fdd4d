"""A connection for one question and one answer, straight on the socket: half the cost of asyncio's streams.

A fresh connection for each look pays for a transport, a protocol, a reader and a writer (and for TLS two of each)
that are thrown away some milliseconds later. Where the event loop can watch a socket this does without them;
elsewhere (Windows' own loop) `open_line` gives asyncio's streams, which serve the same calls.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Protocol

from healthmon.model.sample import Reason
from healthmon.probes.connect import Streams, Trust, hang_up, open_streams, tls_object
from healthmon.probes.readiness import Readiness
from healthmon.probes.reasons import Finding

_READ = (BlockingIOError, InterruptedError, ssl.SSLWantReadError)


class Readable(Protocol):
    """What gives bytes: at most `most` of them, none at the end."""

    async def read(self, most: int, /) -> bytes: ...


class Line(Readable, Protocol):
    """One connection, TLS or not. `peer` is the TLS side."""

    peer: ssl.SSLObject | ssl.SSLSocket | None

    def write(self, data: bytes) -> None:
        """Send what fits now; `read` sends the rest."""
        ...

    def hang_up(self) -> None:
        """Close without waiting for the peer."""
        ...


class StreamLine:
    """Asyncio's streams."""

    def __init__(self, streams: Streams) -> None:
        self._reader, self._writer = streams
        self.peer: ssl.SSLObject | ssl.SSLSocket | None = tls_object(self._writer)

    async def read(self, most: int, /) -> bytes:
        return await self._reader.read(most)

    def write(self, data: bytes) -> None:
        self._writer.write(data)

    def hang_up(self) -> None:
        hang_up(self._writer)


class SocketLine:
    """A socket that the event loop watches while somebody waits for it."""

    def __init__(self, sock: socket.socket) -> None:
        self.peer: ssl.SSLObject | ssl.SSLSocket | None = sock if isinstance(sock, ssl.SSLSocket) else None
        self._socket = sock
        self._readiness = Readiness(sock.fileno())
        self._unsent = b""
        self._broken: OSError | None = None

    async def shake_hands(self, secured: ssl.SSLSocket) -> None:
        """The client's side of a TLS handshake. Raises ssl.SSLError, OSError, Finding(tls_handshake)."""
        while True:
            try:
                return secured.do_handshake()
            except ssl.SSLWantReadError:
                await self._readiness.wait()
            except ssl.SSLWantWriteError:
                await self._readiness.wait(writable=True)
            except ssl.SSLEOFError:
                raise Finding(Reason.TLS_HANDSHAKE, "closed during the TLS handshake") from None

    async def read(self, most: int, /) -> bytes:
        """Raises OSError."""
        while True:
            self._send()
            try:
                got = self._socket.recv(most)
                if not got and self._broken is not None:
                    raise self._broken
                return got
            except _READ:
                await self._readiness.wait(writable=bool(self._unsent))
            except ssl.SSLWantWriteError:
                await self._readiness.wait(writable=True)

    def write(self, data: bytes) -> None:
        self._unsent += data
        self._send()

    def hang_up(self) -> None:
        self._readiness.close()
        self._socket.close()

    def _send(self) -> None:
        while self._unsent:
            try:
                self._unsent = self._unsent[self._socket.send(self._unsent) :]
            except (*_READ, ssl.SSLWantWriteError):
                return
            except OSError as error:  # what the peer said before it hung up is still to be read
                self._unsent, self._broken = b"", error


async def open_line(sock: socket.socket, trust: Trust | None = None, server_name: str | None = None) -> Line:
    """A line over a connected socket; with `trust` the TLS handshake is done when it returns. Owns the socket."""
    if type(asyncio.get_running_loop()).__name__ == "ProactorEventLoop":
        return StreamLine(await open_streams(sock, trust, server_name))
    if trust is None:
        return SocketLine(sock)
    try:
        wrapped = trust.context().wrap_socket(sock, server_hostname=server_name, do_handshake_on_connect=False)
    except BaseException:
        sock.close()
        raise
    line = SocketLine(wrapped)
    try:
        await line.shake_hands(wrapped)
    except BaseException:
        line.hang_up()
        raise
    return line
