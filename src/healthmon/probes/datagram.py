"""One question by UDP: asked again while time is left, strays told from answers."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

from healthmon.model.ports import Address
from healthmon.model.sample import Reason
from healthmon.probes.reasons import Finding

T = TypeVar("T")

#: So many datagrams that answer nothing are a flood; nobody reads on.
MOST_STRAYS = 64


async def ask(
    addresses: Sequence[Address],
    request: Callable[[], bytes],
    accept: Callable[[bytes], T | None],
    *,
    limit_s: float,
    tries: int,
) -> T:
    """The first answer that `accept` takes; each address gets its share of the time. Raises OSError, Finding.

    A medical device gets one packet.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + limit_s
    for left in range(len(addresses), 0, -1):
        address = addresses[len(addresses) - left]
        try:
            return await _ask_one(
                address, request, accept, limit_s=(end - loop.time()) / left, tries=1 if address.gentle else tries
            )
        except OSError:
            if left == 1:
                raise
    raise Finding(Reason.DNS, "the name has no address")


async def _ask_one(
    address: Address, request: Callable[[], bytes], accept: Callable[[bytes], T | None], *, limit_s: float, tries: int
) -> T:
    loop = asyncio.get_running_loop()
    strays = 0
    with socket.socket(address.family, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.connect((address.ip, address.port))  # the kernel then drops what others send and tells a refusal
        for _ in range(tries):
            await loop.sock_sendall(sock, request())
            with suppress(TimeoutError):
                async with asyncio.timeout(limit_s / tries):
                    while strays < MOST_STRAYS:
                        found = accept(await loop.sock_recv(sock, 65535))
                        if found is not None:
                            return found
                        strays += 1
    if strays:
        raise Finding(Reason.BAD_RESPONSE, "what came back does not answer the question")
    raise TimeoutError
