"""Answers kept by Idempotency-Key, so that a repeated POST acts once."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web

from healthmon.model.ports import Clock
from healthmon.web.people import person
from healthmon.web.problem import Problem, bad_request

KEYS_MOST = 1024
KEEP_S = 86400.0
HEADER = "Idempotency-Key"


@dataclass(slots=True)
class Kept:
    """One key: what was asked with it and, once known, what was answered."""

    fingerprint: bytes
    at: float
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    status: int = 0
    body: bytes = b""
    content_type: str = ""


class Answers:
    """At most 1,024 answers for at most a day; the oldest go first. A server error is never kept."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: OrderedDict[tuple[str, str], Kept] = OrderedDict()

    async def once(self, request: web.Request, act: Callable[[], Awaitable[web.Response]]) -> web.Response:
        """Act, or give the answer that this key got before."""
        key = request.headers.get(HEADER)
        if key is None:
            return await act()
        if not 0 < len(key) <= 200:
            raise bad_request(HEADER, "must have 1 to 200 characters")
        kept = self._entry((person(request).identity, key), await fingerprint(request))
        async with kept.lock:
            if kept.status:
                return repeated(kept)
            answer = await act()
            kept.status, kept.body = answer.status, bytes(answer.body or b"")  # type: ignore[arg-type]
            kept.content_type = answer.content_type
            return answer

    def _entry(self, key: tuple[str, str], print_: bytes) -> Kept:
        now = self._clock.mono()
        while self._kept and (len(self._kept) > KEYS_MOST or next(iter(self._kept.values())).at < now - KEEP_S):
            self._kept.popitem(last=False)
        kept = self._kept.setdefault(key, Kept(print_, now))
        if kept.fingerprint != print_:
            raise Problem(422, "key-reused", f"this {HEADER} was used for another request")
        return kept


async def fingerprint(request: web.Request) -> bytes:
    """What makes two requests the same: method, path and body."""
    body = await request.read()
    return hashlib.sha256(b"\0".join((request.method.encode(), request.path.encode(), body))).digest()


def repeated(kept: Kept) -> web.Response:
    """The kept answer, marked."""
    return web.Response(
        body=kept.body, status=kept.status, content_type=kept.content_type, headers={"Idempotent-Replayed": "true"}
    )
