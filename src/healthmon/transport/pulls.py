"""Standing pull requests on JetStream consumers: messages come as they arrive, never more than asked for.

The client's own `fetch` waits for a full batch or its timeout; this asks again when that is used up.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from healthmon.runtime.supervise import heeding
from healthmon.transport.natsclient import unsubscribed

#: So many messages of one consumer may be on their way to us.
AT_ONCE = 64
EXPIRES_S = 4.0
#: A request that is answered by nothing at all after that: whoever keeps the consumer is gone.
SILENT_S = 10.0


#: Nothing was there; the time is up.
_GOES_ON = ("404", "408")


class _Answers:
    """What comes to one request after another; a message has the subject that it had in the stream."""

    def __init__(self, put: Callable[[Any], None]) -> None:
        self._put = put
        self._left = 0
        self.over = asyncio.Event()
        self.status = ""

    def begin(self) -> None:
        """The next request."""
        self._left, self.status = AT_ONCE, ""
        self.over.clear()

    async def arrived(self, message: Any) -> None:
        """One message, or the server's word on the request."""
        if message.reply:
            self._put(message)
            self._left -= 1
            if self._left <= 0:
                self.over.set()
        elif (status := str((message.headers or {}).get("Status", ""))) != "100":
            self.status = status
            self.over.set()


class Pulls:
    """`put` takes (key, message) of every consumer that is kept; `room` holds back further requests."""

    def __init__(
        self, client: Any, stream: str, *, put: Callable[[str, Any], None], room: Callable[[], Awaitable[None]]
    ) -> None:
        self._client = client
        self._stream = stream
        self._put = put
        self._room = room
        self._inbox = str(client.new_inbox())

    async def keep(self, key: str, consumer: str) -> None:
        """Ask again and again until the consumer is not there any more; raises the client's errors."""
        inbox = f"{self._inbox}.{key}"
        answers = _Answers(partial(self._put, key))
        subscription = await self._client.subscribe(inbox, cb=answers.arrived)
        try:
            await self._ask(f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{consumer}", inbox, answers)
        finally:
            await unsubscribed(subscription)

    async def _ask(self, subject: str, inbox: str, answers: _Answers) -> None:
        wanted = json.dumps({"batch": AT_ONCE, "expires": int(EXPIRES_S * 1e9)}).encode()
        while True:
            await self._room()
            answers.begin()
            await heeding(self._client.publish(subject, wanted, reply=inbox))
            try:
                async with asyncio.timeout(SILENT_S):
                    await answers.over.wait()
            except TimeoutError:
                return
            if answers.status not in ("", *_GOES_ON):
                return
