"""The line between workers and the server that leads: NATS with JetStream, every failure is TransportDown.

Two streams and one bucket, made by whoever comes first. `batches` catches what agents publish over MQTT and counts each
agent into a partition; it is a queue in memory, for an agent keeps what nobody has acknowledged. `looks` is what was
admitted, on disk, in one order for whoever leads. `clocks` keeps how far off each agent's clock was when it was first
heard, so that the next worker corrects it by the same amount.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from healthmon.transport import topics
from healthmon.transport.jetline import ANSWER_S, JetLine
from healthmon.transport.natsclient import unsubscribed
from healthmon.transport.pulls import Pulls

log = logging.getLogger(__name__)

#: What a worker took and did not finish is given to another one after this.
ACK_WAIT_S = 10.0
BATCHES_AGE_S, BATCHES_BYTES = 600.0, 256 << 20
LOOKS_AGE_S, LOOKS_BYTES = 3600.0, 1 << 30
CLOCKS_AGE_S = 30 * 86_400.0
#: A consumer of the leader that nobody asks is forgotten.
IDLE_S = 30.0

Heard = Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class Place:
    """How far the line was read: `stream` changes when it was made anew, numbers begin at 1."""

    stream: str = ""
    number: int = 0


class WorkLine(JetLine):
    """One process's connection. `open` first; then a worker pulls and hands over, a leader reads."""

    def __init__(
        self,
        url: str,
        *,
        organisation: str,
        name: str,
        username: str | None = None,
        password: str | None = None,
        ca_file: str | None = None,
        partitions: int = 32,
    ) -> None:
        super().__init__(
            url, organisation=organisation, name=name, username=username, password=password, ca_file=ca_file
        )
        self._partitions = partitions
        self._clocks: Any = None
        self.batches = f"healthmon-batches-{organisation}"
        self.looks = f"healthmon-looks-{organisation}"

    async def open(self) -> None:
        """Connect and see that the streams are there. Raises TransportDown."""
        async with self.asking(within_s=30.0):
            await self.connect()
            await self._make_streams()

    def looks_of(self, partition: int) -> str:
        """Where the hands of one partition go when workers judge."""
        return f"healthmon.looks.{self.organisation}.{partition}"

    async def looks_state(self) -> tuple[str, int, int]:
        """Which line it is, the oldest number that it has, and the newest. Raises TransportDown."""
        async with self.asking():
            info = await self.jetstream.stream_info(self.looks)
            return str(info.created or ""), int(info.state.first_seq or 0), int(info.state.last_seq or 0)

    # --- a worker's end

    def pulls(self, put: Callable[[str, Any], None], room: Callable[[], Awaitable[None]]) -> Pulls:
        """What asks for batches."""
        return Pulls(self._client, self.batches, put=put, room=room)

    async def take(self, pulls: Pulls, partition: int) -> None:
        """Pull one partition until its consumer is gone or nobody answers. Raises TransportDown."""
        async with self.asking(within_s=None):
            await self._make_consumer(partition)
            await pulls.keep(str(partition), f"p{partition}")

    async def hand(self, payload: bytes) -> None:
        """Add to the line; it is on more than one node when this returns."""
        async with self.asking():
            await self.jetstream.publish(f"healthmon.looks.{self.organisation}", payload, timeout=ANSWER_S)

    async def acknowledge(self, agent: str, payload: bytes) -> None:
        """Tell an agent what is durable; MQTT agents hear it as any other publish."""
        async with self.asking():
            await self._client.publish(topics.ack(self.organisation, agent).replace("/", "."), payload)

    async def finished(self, messages: Iterable[Any]) -> None:
        """These need not be given to anybody again."""
        async with self.asking():
            for message in messages:
                await message.ack()

    async def beat(self, payload: bytes) -> None:
        """Say that we live."""
        async with self.asking():
            await self._client.publish(f"healthmon.workers.{self.organisation}", payload)
            await self._client.flush(timeout=2)

    async def clock(self, agent: str, epoch: str) -> bytes | None:
        """What the first worker that heard this epoch wrote down."""
        from nats.js.errors import KeyNotFoundError

        async with self.asking():
            try:
                return bytes((await self._clocks.get(f"{agent}.{epoch}")).value or b"")
            except KeyNotFoundError:
                return None

    async def keep_clock(self, agent: str, epoch: str, body: bytes) -> None:
        """Write it down for whoever takes this partition next."""
        async with self.asking():
            await self._clocks.put(f"{agent}.{epoch}", body)

    # --- both

    @asynccontextmanager
    async def beats(self, heard: Heard) -> AsyncIterator[None]:
        """Hear every worker's word while the block runs."""

        async def take(message: Any) -> None:
            heard(bytes(message.data))

        async with self.asking():
            subscription = await self._client.subscribe(f"healthmon.workers.{self.organisation}", cb=take)
        try:
            yield
        finally:
            await unsubscribed(subscription)

    # --- the leader's end

    async def read(self, after: Place, put: Callable[[Place, bytes], None], room: Callable[[], Awaitable[None]]) -> int:
        """Everything behind this place, in order, until the consumer is gone; how much was missed at the beginning.

        Raises TransportDown.
        """
        made, first, last = await self.looks_state()
        same = after.stream == made and after.number <= last
        begin = after.number + 1 if same else max(1, first)
        missed = max(0, first - begin) if same and last >= begin else 0
        if missed:
            log.error("the line of the workers has lost what was not read in time", extra={"hands": missed})

        def taken(_: str, message: Any) -> None:
            put(Place(made, int(message.metadata.sequence.stream)), bytes(message.data))

        async with self.asking(within_s=None):
            name = await self._make_reader(max(begin, 1))
            pulls = Pulls(self._client, self.looks, put=taken, room=room)
            await pulls.keep("looks", name)
        return missed

    async def _make_reader(self, begin: int) -> str:
        from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

        wanted = ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=begin, ack_policy=AckPolicy.NONE,
            inactive_threshold=IDLE_S, mem_storage=True, num_replicas=1,
        )  # fmt: skip
        return str((await self.jetstream.add_consumer(self.looks, wanted)).name)

    async def _make_consumer(self, partition: int) -> None:
        from nats.js.api import AckPolicy, ConsumerConfig

        wanted = ConsumerConfig(
            durable_name=f"p{partition}", filter_subject=f"healthmon.part.{self.organisation}.{partition}.*",
            ack_policy=AckPolicy.EXPLICIT, ack_wait=ACK_WAIT_S, max_ack_pending=5_000, mem_storage=True,
        )  # fmt: skip
        await self.jetstream.add_consumer(self.batches, wanted)

    async def _make_streams(self) -> None:
        from nats.js.api import KeyValueConfig, RetentionPolicy, StorageType, StreamConfig, SubjectTransform

        every = topics.every(self.organisation, "batch").replace("/", ".").replace("+", "*")
        looks = f"healthmon.looks.{self.organisation}"
        part = f"healthmon.part.{self.organisation}.{{{{partition({self._partitions},1)}}}}.{{{{wildcard(1)}}}}"
        await self.make(
            StreamConfig(
                name=self.batches, subjects=[every], retention=RetentionPolicy.WORK_QUEUE, storage=StorageType.MEMORY,
                max_age=BATCHES_AGE_S, max_bytes=BATCHES_BYTES, subject_transform=SubjectTransform(every, part),
            )
        )  # fmt: skip
        await self.make(
            StreamConfig(
                name=self.looks, subjects=[looks, f"{looks}.*"], storage=StorageType.FILE,
                max_age=LOOKS_AGE_S, max_bytes=LOOKS_BYTES,
            )
        )  # fmt: skip
        bucket = f"healthmon-clocks-{self.organisation}"
        self._clocks = await self._bucket(KeyValueConfig(bucket=bucket, history=1, ttl=CLOCKS_AGE_S))

    async def _bucket(self, wanted: Any) -> Any:
        from nats.js.errors import APIError, BucketNotFoundError, NotFoundError

        try:
            return await self.jetstream.key_value(wanted.bucket)
        except (BucketNotFoundError, NotFoundError):
            pass
        for replicas in (3, 1):
            wanted.replicas = replicas
            try:
                return await self.jetstream.create_key_value(wanted)
            except APIError as error:
                if error.err_code == 10058:
                    return await self.jetstream.key_value(wanted.bucket)
                refused = error
        raise refused
