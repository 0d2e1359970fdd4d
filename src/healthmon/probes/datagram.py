"""One question by UDP: asked again while time is left, strays told from answers."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TypeVar

from healthmon.model.errors import HealthmonError
from healthmon.model.plan import Job
from healthmon.model.ports import Address, Clock, Sight
from healthmon.model.sample import Reading, Reason, Value
from healthmon.probes.address import host_port
from healthmon.probes.connect import of_version
from healthmon.probes.look import Look, samples_of
from healthmon.probes.phases import Phases
from healthmon.probes.reasons import Finding
from healthmon.runtime.deadline import within

T = TypeVar("T")

#: So many datagrams that answer nothing are a flood; nobody reads on.
MOST_STRAYS = 64


class Exchange:
    """`hold` runs a question and gives the reading; the question raises Finding for what is wrong."""

    def __init__(self, job: Job, sight: Sight, family: str) -> None:
        self.phases = Phases(sight)
        self.fields: dict[str, Value] = {}
        self.sight = sight
        self._job = job
        self._family = family

    async def hold(
        self,
        port: int | None,
        default_port: int,
        ip_version: int,
        put: Callable[[Sequence[Address], float], Awaitable[None]],
    ) -> Reading:
        """`put` gets the addresses and the seconds that are left; ok, or the first thing that was wrong."""
        look = Look(self._job, self.sight)
        try:
            self.phases.enter("dns")
            host, written = host_port(self._job.address, default_port)
            addresses = of_version(await self.sight.resolve(host, port or written), ip_version)
            self.phases.enter("answer")
            await put(addresses, max(0.01, self._job.timeout_s - self.phases.total_s()))
        except (OSError, HealthmonError) as error:
            fault = self.phases.fault_of(error, self._job.timeout_s)
            return look.bad(fault, samples_of(self._family, {**self.phases.fields(), **self.fields}))
        return look.ok(samples_of(self._family, {**self.phases.fields(), **self.fields}))


async def ask(
    addresses: Sequence[Address],
    request: Callable[[], bytes],
    accept: Callable[[bytes], T | None],
    *,
    limit_s: float,
    tries: int,
    clock: Clock,
) -> T:
    """The first answer that `accept` takes; each address gets its share of the time. Raises OSError, Finding.

    A medical device gets one packet.
    """
    standstill = clock.standstill
    end = standstill.turns_s() + limit_s
    for left in range(len(addresses), 0, -1):
        address = addresses[len(addresses) - left]
        try:
            most = 1 if address.gentle else tries
            share_s = (end - standstill.turns_s()) / left
            return await _ask_one(address, request, accept, limit_s=share_s, tries=most, clock=clock)
        except OSError:
            if left == 1:
                raise
    raise Finding(Reason.DNS, "the name has no address")


async def _ask_one(
    address: Address,
    request: Callable[[], bytes],
    accept: Callable[[bytes], T | None],
    *,
    limit_s: float,
    tries: int,
    clock: Clock,
) -> T:
    loop = asyncio.get_running_loop()
    strays = 0
    with socket.socket(address.family, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.connect((address.ip, address.port))  # the kernel then drops what others send and tells a refusal
        for _ in range(tries):
            await loop.sock_sendall(sock, request())
            with suppress(TimeoutError):
                async with within(limit_s / tries, clock):
                    while strays < MOST_STRAYS:
                        found = accept(await loop.sock_recv(sock, 65535))
                        if found is not None:
                            return found
                        strays += 1
    if strays:
        raise Finding(Reason.BAD_RESPONSE, "what came back does not answer the question")
    raise TimeoutError
