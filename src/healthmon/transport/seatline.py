"""One partition's part of the line where workers judge: hands in one order, and what was remembered beside it.

A hand goes on only if the worker has seen the one before it of this partition: JetStream compares the number and
refuses otherwise. So whoever judges goes on from everything that was judged before, whichever worker did it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from healthmon.transport.workline import CLOCKS_AGE_S, WorkLine

#: Messages that are fetched at once while catching up.
_AT_ONCE = 64
FETCH_S = 5.0
#: An object of some MiB over a slow line.
KEEP_S = 30.0


class SeatLine:
    """What a worker that judges needs beyond `WorkLine`. Raises TransportDown."""

    def __init__(self, line: WorkLine) -> None:
        self._line = line
        self._bucket = f"healthmon-memory-{line.organisation}"
        self._objects: Any = None

    async def made(self) -> tuple[str, int]:
        """Which line it is (another word after it was made anew), and the oldest number that it still has."""
        made, first, _ = await self._line.looks_state()
        return made, first

    async def hand(self, partition: int, payload: bytes, *, after: int) -> int:
        """Add to the line behind this number; the number that it has now. Raises Overtaken."""
        return await self._line.add(self._line.looks_of(partition), payload, after=after)

    async def last(self, partition: int) -> int:
        """The number of the newest hand of this partition; 0 where there is none."""
        from nats.js.errors import NotFoundError

        async with self._line.asking():
            try:
                newest = await self._line.jetstream.get_last_msg(self._line.looks, self._line.looks_of(partition))
                return int(newest.seq)
            except NotFoundError:
                return 0

    async def replay(self, partition: int, begin: int, last: int, put: Callable[[bytes], None]) -> None:
        """Every hand of this partition from one number to another, in order."""
        from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

        subject = self._line.looks_of(partition)
        wanted = ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=max(begin, 1), ack_policy=AckPolicy.NONE,
            inactive_threshold=KEEP_S, mem_storage=True, num_replicas=1,
        )  # fmt: skip
        async with self._line.asking():
            reader = await self._line.jetstream.pull_subscribe(subject, stream=self._line.looks, config=wanted)
        seen = 0
        while seen < last:
            async with self._line.asking():
                messages = await reader.fetch(_AT_ONCE, timeout=FETCH_S)
            for message in messages:
                seen = int(message.metadata.sequence.stream)
                if seen <= last:
                    put(bytes(message.data))
        async with self._line.asking():
            await reader.unsubscribe()

    async def saved(self, partition: int) -> bytes | None:
        """What was kept of this partition last."""
        from nats.js.errors import NotFoundError, ObjectNotFoundError

        async with self._line.asking(within_s=KEEP_S):
            objects = await self._opened()
            try:
                return bytes((await objects.get(f"p{partition}")).data or b"")
            except (NotFoundError, ObjectNotFoundError):
                return None

    async def save(self, partition: int, body: bytes) -> None:
        """Keep it; what was kept before stands until all of this is there."""
        async with self._line.asking(within_s=KEEP_S):
            await (await self._opened()).put(f"p{partition}", body)

    async def _opened(self) -> Any:
        self._objects = self._objects or await self._line.objects(self._bucket, age_s=CLOCKS_AGE_S)
        return self._objects
