"""Names to addresses: the system's resolver in a bounded pool of threads, one look-up per name at a time."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

#: (address family, address) in the resolver's order of preference.
Found = list[tuple[int, str]]
Lookup = Callable[[str], Awaitable[Found]]


def literal(host: str) -> Found | None:
    """An IP address needs no resolver."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None
    return [(socket.AF_INET if address.version == 4 else socket.AF_INET6, str(address))]


class Resolver:
    """getaddrinfo in at most `threads` threads. A dead name server holds one thread per name, not per probe."""

    def __init__(self, *, threads: int = 16) -> None:
        self._threads = threads
        self._pool: ThreadPoolExecutor | None = None
        self._asking: dict[str, asyncio.Future[Found]] = {}

    async def __call__(self, host: str) -> Found:
        """Raises socket.gaierror, or UnicodeError for what cannot be a name."""
        found = literal(host)
        if found is not None:
            return found
        asked = self._asking.get(host)
        if asked is None or asked.get_loop() is not asyncio.get_running_loop():
            asked = self._ask(host)
        return await asyncio.shield(asked)

    def _ask(self, host: str) -> asyncio.Future[Found]:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="resolve")
        loop = asyncio.get_running_loop()
        asked = loop.run_in_executor(self._pool, _getaddrinfo, host)
        self._asking[host] = asked
        asked.add_done_callback(lambda done: self._forget(host, done))
        return asked

    def _forget(self, host: str, done: asyncio.Future[Found]) -> None:
        if self._asking.get(host) is done:
            del self._asking[host]
        if not done.cancelled():
            done.exception()  # nobody may be waiting any more; that is not worth a warning


def _getaddrinfo(host: str) -> Found:
    answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys((int(family), str(where[0])) for family, _, _, _, where in answers))
