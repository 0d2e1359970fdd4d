"""A server's journal as a stream of JetStream, and the newest copy of the whole beside it.

Every message is a set of changes, or a piece of one, written only behind the last that the writer has seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from healthmon.model.errors import MalformedBatch
from healthmon.transport.jetline import ANSWER_S, JetLine

PIECE_BYTES = 512 * 1024
#: The stream is cut behind each copy; more than this is not kept in any case.
STREAM_BYTES = 4 << 30
COPY_S = 120.0
_AT_ONCE = 64
_COPY, _COMMIT = "journal", "commit"


class Piece(msgspec.Struct, frozen=True, array_like=True):
    """writer: whose run it is; offset, size: where it belongs in the packed changes, and how long they are.

    commit: which commit of this journal it is, counted on from file to file; 0 of writers that did not count.
    """

    writer: float
    offset: int
    size: int
    body: bytes
    v: int = 1
    commit: int = 0


@dataclass(frozen=True, slots=True)
class Stand:
    """made: when the stream was (Unix s; another stream, another number); first and last number that it has."""

    made: float
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Copied:
    """The copy beside the stream. made, number: of which stream, and up to which message; commit: as in `Piece`."""

    made: float
    number: int
    commit: int


_pack = msgspec.msgpack.Encoder()
_unpack = msgspec.msgpack.Decoder(Piece)


def pieces_of(writer: float, body: bytes, commit: int) -> Iterator[bytes]:
    """One set of changes as messages."""
    for offset in range(0, len(body), PIECE_BYTES):
        yield _pack.encode(Piece(writer, offset, len(body), body[offset : offset + PIECE_BYTES], commit=commit))


def piece_of(payload: bytes) -> Piece:
    """Raises MalformedBatch."""
    try:
        piece = _unpack.decode(payload)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise MalformedBatch("malformed", str(error)) from None
    if piece.v != 1:
        raise MalformedBatch("version", str(piece.v))
    return piece


class JournalLine(JetLine):
    """`open` first. Raises TransportDown, and Overtaken where somebody else has written."""

    def __init__(
        self,
        url: str,
        *,
        organisation: str,
        username: str | None = None,
        password: str | None = None,
        ca_file: str | None = None,
    ) -> None:
        super().__init__(
            url, organisation=organisation, name="journal", username=username, password=password, ca_file=ca_file
        )
        self._stream = f"healthmon-journal-{organisation}"
        self._subject = f"healthmon.journal.{organisation}"
        self._objects: Any = None

    async def open(self) -> None:
        """Connect and see that stream and bucket are there."""
        from nats.js.api import StorageType, StreamConfig

        async with self.asking(within_s=2 * ANSWER_S):
            await self.connect()
            await self.make(StreamConfig(name=self._stream, subjects=[self._subject], storage=StorageType.FILE,
                                         max_bytes=STREAM_BYTES))  # fmt: skip
            self._objects = await self.objects(self._stream)

    async def stand(self) -> Stand:
        """What the stream has."""
        async with self.asking():
            info = await self.jetstream.stream_info(self._stream)
            return Stand(info.created.timestamp(), int(info.state.first_seq or 0), int(info.state.last_seq or 0))

    async def put(self, payload: bytes, *, after: int) -> int:
        """Write behind this number; the number that it has now."""
        return await self.add(self._subject, payload, after=after, whole_stream=True)

    async def newest(self) -> Piece | None:
        """The newest message; None: there is none any more."""
        from nats.js.errors import NotFoundError

        async with self.asking():
            try:
                newest = await self.jetstream.get_last_msg(self._stream, self._subject)
            except NotFoundError:
                return None
            return piece_of(bytes(newest.data or b""))

    async def replay(self, begin: int, last: int, put: Callable[[int, bytes], None]) -> None:
        """Every message from one number to another, in order."""
        from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

        wanted = ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=begin, ack_policy=AckPolicy.NONE,
            inactive_threshold=30.0, mem_storage=True, num_replicas=1,
        )  # fmt: skip
        async with self.asking():
            reader = await self.jetstream.pull_subscribe(self._subject, stream=self._stream, config=wanted)
        seen = begin - 1
        while seen < last:
            async with self.asking():
                messages = await reader.fetch(_AT_ONCE, timeout=ANSWER_S)
            for message in messages:
                seen = int(message.metadata.sequence.stream)
                if seen <= last:
                    put(seen, bytes(message.data))
        async with self.asking():
            await reader.unsubscribe()

    async def copied(self) -> Copied | None:
        """What the newest copy says of itself; None: there is none."""
        from nats.js.errors import NotFoundError, ObjectNotFoundError

        async with self.asking():
            try:
                info = await self._objects.get_info(_COPY)
            except (NotFoundError, ObjectNotFoundError):
                return None
            made, _, number = str(info.description).partition(" ")
            return Copied(float(made), int(number), int((info.headers or {}).get(_COMMIT, 0)))

    async def copy(self) -> bytes:
        """The newest copy."""
        async with self.asking(within_s=COPY_S):
            return bytes((await self._objects.get(_COPY)).data or b"")

    async def keep(self, body: bytes, copied: Copied) -> None:
        """Put a copy of everything up to this number in the place of the last, and cut the stream behind it."""
        from nats.js.api import ObjectMeta, ObjectMetaOptions

        options = ObjectMetaOptions(max_chunk_size=128 * 1024)
        meta = ObjectMeta(name=_COPY, description=f"{copied.made!r} {copied.number}", options=options,
                          headers={_COMMIT: str(copied.commit)})  # fmt: skip
        async with self.asking(within_s=COPY_S):
            await self._objects.put(_COPY, body, meta)
            await self.jetstream.purge_stream(self._stream, seq=copied.number + 1)
