"""Links that can be cut or slowed, and relays that carry real TCP and UDP traffic over them.

A cut link is silent, as a dead switch is: connections stay open and nothing moves. Closing the socket
instead would look like a refusing host, which is another fault.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from healthmon.runtime.supervise import detach, spawn


@dataclass(slots=True)
class Link:
    """One cable or switch on the way. delay_s is added to every TCP piece that passes."""

    id: str
    delay_s: float = 0.0
    _open: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._open.set()

    @property
    def cut(self) -> bool:
        return not self._open.is_set()

    def sever(self) -> None:
        """Nothing passes until `mend`."""
        self._open.clear()

    def mend(self) -> None:
        self._open.set()

    async def passable(self) -> None:
        """Wait until something can pass."""
        await self._open.wait()


@dataclass(frozen=True, slots=True)
class Route:
    """Alternative ways, each a chain of links; open when one way has no cut link."""

    ways: tuple[tuple[Link, ...], ...]

    @property
    def open(self) -> bool:
        return any(not any(link.cut for link in way) for way in self.ways)

    async def passable(self) -> float:
        """Wait until a way is open; its delay in seconds."""
        while True:
            for way in self.ways:
                if not any(link.cut for link in way):
                    return sum(link.delay_s for link in way)
            await self._any_mended()

    async def _any_mended(self) -> None:
        cut = {link.id: link for way in self.ways for link in way if link.cut}
        waiters = [detach(f"link {link.id}", link.passable()) for link in cut.values()]
        try:
            await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for waiter in waiters:
                waiter.cancel()


class TcpRelay:
    """Listens on `host:port` and carries each connection to `to` over a path."""

    def __init__(self, path: Route, *, host: str, port: int, to: tuple[str, int]) -> None:
        self._path = path
        self._host = host
        self._port = port
        self._to = to
        self._server: asyncio.Server | None = None
        self._carrying: set[asyncio.Task[None]] = set()

    async def start(self) -> int:
        """Listen; the port that was bound."""
        self._server = await asyncio.start_server(self._accept, self._host, self._port, backlog=512)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Close the listener and every connection it carries."""
        if self._server:
            self._server.close()
        for task in self._carrying:
            task.cancel()
        await asyncio.gather(*self._carrying, return_exceptions=True)

    def _accept(self, near_in: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
        task = detach("relay", self._carry(near_in, near_out))
        self._carrying.add(task)
        task.add_done_callback(self._carrying.discard)

    async def _carry(self, near_in: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
        await self._path.passable()
        try:
            far_in, far_out = await asyncio.open_connection(*self._to)
        except OSError:
            near_out.transport.abort()
            return
        try:
            async with asyncio.TaskGroup() as group:
                spawn(group, "relay out", self._pump(near_in, far_out))
                spawn(group, "relay back", self._pump(far_in, near_out))
        except* OSError:
            pass
        finally:
            near_out.close()
            far_out.close()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while piece := await source.read(65536):
            delay_s = await self._path.passable()
            if delay_s:
                await asyncio.sleep(delay_s)
            sink.write(piece)
            await sink.drain()
        await self._path.passable()
        if sink.can_write_eof():
            sink.write_eof()


class UdpRelay(asyncio.DatagramProtocol):
    """Carries datagrams between whoever asks and `to`; drops them while the path is cut."""

    def __init__(self, path: Route, *, to: tuple[str, int]) -> None:
        self._path = path
        self._to = to
        self._near: asyncio.DatagramTransport | None = None
        self._returns: dict[tuple[str, int], asyncio.DatagramTransport] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.DatagramTransport, transport)  # 3.11: the concrete class is not a subclass
        self._near = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if self._path.open:
            detach("relay datagram", self._forward(data, addr))

    def answer(self, data: bytes, addr: tuple[str, int]) -> None:
        """A datagram on its way back."""
        if self._path.open and self._near:
            self._near.sendto(data, addr)

    async def _forward(self, data: bytes, addr: tuple[str, int]) -> None:
        back = self._returns.get(addr)
        if back is None or back.is_closing():
            loop = asyncio.get_running_loop()
            back, _ = await loop.create_datagram_endpoint(lambda: _Return(self, addr), remote_addr=self._to)
            self._returns[addr] = back
            self._forget_oldest()
        back.sendto(data)

    def _forget_oldest(self) -> None:
        while len(self._returns) > 64:
            self._returns.pop(next(iter(self._returns))).close()


class _Return(asyncio.DatagramProtocol):
    """The way back for one asker."""

    def __init__(self, relay: UdpRelay, addr: tuple[str, int]) -> None:
        self._relay = relay
        self._addr = addr

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._relay.answer(data, self._addr)


async def udp_relay(path: Route, *, host: str, port: int, to: tuple[str, int]) -> asyncio.DatagramTransport:
    """Start a UDP relay on `host:port`."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: UdpRelay(path, to=to), local_addr=(host, port))
    return transport


def one_way(*links: Link) -> Route:
    """A path without a spare."""
    return Route((links,))


def redundant(*ways: Sequence[Link]) -> Route:
    """A path with spares."""
    return Route(tuple(tuple(way) for way in ways))
