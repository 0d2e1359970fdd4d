"""Names are looked up in few threads, once at a time each, and a dead name server holds nobody else."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter

import pytest

from healthmon.probes.resolver import Resolver


class NameServer:
    """A blocking resolver whose names beginning with `dead` hang until released."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.release = threading.Event()
        self.busy = 0
        self.busiest = 0
        self._lock = threading.Lock()

    def __call__(self, host: str) -> list[tuple[int, str]]:
        with self._lock:
            self.asked[host] += 1
            self.busy += 1
            self.busiest = max(self.busiest, self.busy)
        try:
            if host.startswith("dead"):
                self.release.wait(30)
            if host.startswith("none"):
                raise socket.gaierror(socket.EAI_NONAME, "no such name")
            return [(socket.AF_INET, "192.0.2.1")]
        finally:
            with self._lock:
                self.busy -= 1


async def test_literals_need_no_resolver() -> None:
    server = NameServer()
    resolver = Resolver(getaddrinfo=server)
    assert await resolver("192.0.2.7") == [(socket.AF_INET, "192.0.2.7")]
    assert await resolver("2001:DB8::7") == [(socket.AF_INET6, "2001:db8::7")]
    assert not server.asked


async def test_the_same_name_is_asked_once_at_a_time() -> None:
    server = NameServer()
    resolver = Resolver(getaddrinfo=server)
    async with asyncio.TaskGroup() as group:
        asks = [group.create_task(resolver("dead.example")) for _ in range(50)]
        await asyncio.sleep(0)
        server.release.set()
    assert {tuple(ask.result()) for ask in asks} == {((socket.AF_INET, "192.0.2.1"),)}
    assert server.asked["dead.example"] == 1
    await resolver("dead.example")
    assert server.asked["dead.example"] == 2


async def test_dead_names_hold_a_bounded_number_of_threads_and_good_ones_go_on() -> None:
    server = NameServer()
    resolver = Resolver(threads=4, getaddrinfo=server)
    async with asyncio.TaskGroup() as group:
        stuck = [group.create_task(resolver(f"dead{n}.example")) for n in range(3)]
        assert await asyncio.gather(*(resolver(f"good{n}.example") for n in range(20)))
        assert not any(task.done() for task in stuck)
        server.release.set()
    assert server.busiest <= 4


async def test_giving_up_on_a_name_does_not_disturb_who_still_waits() -> None:
    server = NameServer()
    resolver = Resolver(getaddrinfo=server)
    async with asyncio.TaskGroup() as group:
        patient = group.create_task(resolver("dead.example"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await resolver("dead.example")
        server.release.set()
    assert patient.result()
    assert server.asked["dead.example"] == 1


async def test_the_name_servers_words_come_through() -> None:
    resolver = Resolver(getaddrinfo=NameServer())
    with pytest.raises(socket.gaierror) as caught:
        await resolver("none.example")
    assert caught.value.errno == socket.EAI_NONAME


async def test_the_real_resolver_knows_this_machine() -> None:
    assert "127.0.0.1" in {ip for _, ip in await Resolver()("localhost")}
