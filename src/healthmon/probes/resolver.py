"""Names to addresses: the system's resolver in a bounded pool of threads, one look-up per name at a time."""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import socket
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from queue import SimpleQueue

#: (address family, address) in the resolver's order of preference.
Found = list[tuple[int, str]]
Lookup = Callable[[str], Awaitable[Found]]


@functools.lru_cache(maxsize=20_000)
def _literal(host: str) -> tuple[int, str] | None:
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None
    return (socket.AF_INET if address.version == 4 else socket.AF_INET6, str(address))


def literal(host: str) -> Found | None:
    """An IP address needs no resolver."""
    known = _literal(host)
    return None if known is None else [known]


class Resolver:
    """getaddrinfo in at most `threads` threads. A dead name server holds one thread per name, not per probe.

    The threads are daemons: one that hangs in the system's resolver must not hold up the end of the process,
    which an executor's would.
    """

    def __init__(self, *, threads: int = 16, getaddrinfo: Callable[[str], Found] | None = None) -> None:
        self._most = threads
        self._getaddrinfo = getaddrinfo or _getaddrinfo
        self._started = 0
        self._idle = 0
        self._lock = threading.Lock()
        self._queue: SimpleQueue[tuple[str, asyncio.Future[Found]]] = SimpleQueue()
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
        asked: asyncio.Future[Found] = asyncio.get_running_loop().create_future()
        self._asking[host] = asked
        asked.add_done_callback(lambda done: self._forget(host, done))
        self._queue.put((host, asked))
        with self._lock:
            if self._idle < self._queue.qsize() and self._started < self._most:
                self._started += 1
                threading.Thread(target=self._work, name=f"resolve-{self._started}", daemon=True).start()
        return asked

    def _forget(self, host: str, done: asyncio.Future[Found]) -> None:
        if self._asking.get(host) is done:
            del self._asking[host]
        if not done.cancelled():
            done.exception()  # nobody may be waiting any more; that is not worth a warning

    def _work(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
            host, asked = self._queue.get()
            with self._lock:
                self._idle -= 1
            try:
                found: Found | Exception = self._getaddrinfo(host)
            except (OSError, UnicodeError) as error:
                found = error
            with suppress(RuntimeError):  # the loop that asked is gone
                asked.get_loop().call_soon_threadsafe(_answer, asked, found)


def _answer(asked: asyncio.Future[Found], found: Found | Exception) -> None:
    if asked.done():
        return
    if isinstance(found, Exception):
        asked.set_exception(found)
    else:
        asked.set_result(found)


def _getaddrinfo(host: str) -> Found:
    answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys((int(family), str(where[0])) for family, _, _, _, where in answers))
