"""One lease for two servers, and the line between them: NATS with JetStream, which also counts the terms.

The lease is one key of a KV bucket, changed only by who names the revision it last saw. `term` grows with each new
holder and is the fencing token: what carries a smaller one comes from a server that has been replaced.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec

from healthmon.model.errors import TransportDown
from healthmon.runtime.supervise import heeded
from healthmon.transport.natsclient import closed, connected, unsubscribed

log = logging.getLogger(__name__)

ANSWER_S = 3.0
BUCKET = "healthmon-lease"
#: The server of NATS takes 1 MiB; a larger message goes in pieces.
PIECE_BYTES = 512 * 1024


@dataclass(frozen=True, slots=True)
class Lease:
    """holder leads in this term; "" when it stopped cleanly. `revision` changes at each renewal."""

    holder: str
    term: int
    revision: int


class _Value(msgspec.Struct):
    holder: str
    term: int


Answer = Callable[[bytes], Awaitable[bytes]]


class PairLink:
    """One server's connection. Every method raises TransportDown when NATS cannot be asked."""

    def __init__(
        self,
        url: str,
        *,
        organisation: str,
        holder: str,
        username: str | None = None,
        password: str | None = None,
        ca_file: str | None = None,
    ) -> None:
        self.holder = holder
        self._url = url
        self._key = organisation
        self._who = {"username": username, "password": password, "ca_file": ca_file}
        self._client: Any = None
        self._bucket: Any = None

    async def look(self) -> Lease | None:
        """Who holds it; None when nobody ever did."""
        from nats.js.errors import KeyNotFoundError

        async with self._asking() as bucket:
            try:
                return _lease(await bucket.get(self._key))
            except KeyNotFoundError:
                return None

    async def take(self, seen: Lease | None) -> Lease | None:
        """Begin the next term, if nothing has changed since `seen`; None when somebody was faster."""
        value = _Value(self.holder, (seen.term if seen else 0) + 1)
        return await self._write(value, seen.revision if seen else 0)

    async def renew(self, mine: Lease) -> Lease | None:
        """Hold it longer; None when somebody else has it now."""
        return await self._write(_Value(mine.holder, mine.term), mine.revision)

    async def release(self, mine: Lease) -> None:
        """A planned stop: whoever stands by need not wait."""
        await self._write(_Value("", mine.term), mine.revision)

    async def ask(self, word: str, payload: bytes, *, within_s: float = ANSWER_S) -> bytes | None:
        """The other server's answer; None when nobody listens. Raises TransportDown when it does not answer."""
        from nats.errors import NoRespondersError

        try:
            async with self._asking():
                answer = await self._client.request(self._subject(word), payload, timeout=within_s)
                return bytes(answer.data)
        except NoRespondersError:
            return None

    @asynccontextmanager
    async def answering(self, word: str, answer: Answer) -> AsyncIterator[None]:
        """Answer the other server's questions while the block runs."""

        async def reply(message: Any) -> None:
            await message.respond(await answer(message.data))

        async with self._asking():
            subscription = await self._client.subscribe(self._subject(word), cb=reply)
        try:
            yield
        finally:
            await unsubscribed(subscription)

    async def close(self) -> None:
        """End the connection."""
        client, self._client, self._bucket = self._client, None, None
        if client is not None:
            await closed(client)

    def _subject(self, word: str) -> str:
        return f"healthmon.pair.{self._key}.{word}"

    async def _write(self, value: _Value, revision: int) -> Lease | None:
        from nats.js.errors import KeyWrongLastSequenceError

        async with self._asking() as bucket:
            try:
                written = await bucket.update(self._key, msgspec.json.encode(value), last=revision)
            except KeyWrongLastSequenceError:
                return None
            return Lease(value.holder, value.term, int(written))

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[Any]:
        """The bucket, connected to first; whatever goes wrong below is TransportDown."""
        import nats.errors
        import nats.js.errors

        try:
            with heeded():
                async with asyncio.timeout(2 * ANSWER_S):
                    if self._bucket is None:
                        await self._open()
                    yield self._bucket
        except (nats.errors.NoRespondersError, nats.js.errors.KeyNotFoundError):
            raise
        except (nats.errors.Error, OSError, TimeoutError, ValueError) as error:
            raise TransportDown(f"lease: {type(error).__name__} {error}".strip()) from None

    async def _open(self) -> None:
        from nats.js.errors import BucketNotFoundError, NotFoundError

        if self._client is None:
            self._client = await connected(self._url, name=self.holder, **self._who)
        stream = self._client.jetstream(timeout=ANSWER_S)
        try:
            self._bucket = await stream.key_value(BUCKET)
        except (BucketNotFoundError, NotFoundError):
            self._bucket = await self._make(stream)

    async def _make(self, stream: Any) -> Any:
        """On three nodes where there are three, else on the one."""
        from nats.js.api import KeyValueConfig
        from nats.js.errors import APIError

        try:
            return await stream.create_key_value(KeyValueConfig(bucket=BUCKET, history=1, replicas=3))
        except APIError:
            return await stream.create_key_value(KeyValueConfig(bucket=BUCKET, history=1, replicas=1))


def _lease(entry: Any) -> Lease:
    try:
        value = msgspec.json.decode(entry.value, type=_Value)
    except msgspec.MsgspecError as error:
        raise TransportDown(f"the lease cannot be read: {error}") from None
    return Lease(value.holder, value.term, int(entry.revision))
