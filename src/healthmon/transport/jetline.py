"""One process's connection to JetStream, whatever it is for: every failure is TransportDown."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from healthmon.model.errors import TransportDown
from healthmon.runtime.supervise import heeded
from healthmon.transport.natsclient import closed, connected

log = logging.getLogger(__name__)

ANSWER_S = 5.0
#: JetStream: wrong last sequence.
_OVERTAKEN = 10071


class Overtaken(Exception):
    """Somebody else has written what we have not seen."""


class JetLine:
    """`connect` first, within `asking`; `jetstream` is the client's own view of the streams."""

    def __init__(
        self,
        url: str,
        *,
        organisation: str,
        name: str,
        username: str | None = None,
        password: str | None = None,
        ca_file: str | None = None,
    ) -> None:
        self.organisation = organisation
        self.jetstream: Any = None
        self._url = url
        self._name = name
        self._who = {"username": username, "password": password, "ca_file": ca_file}
        self._client: Any = None

    async def connect(self) -> None:
        """Once; the client finds its way back by itself."""
        if self._client is None:
            self._client = await connected(self._url, name=self._name, **self._who)
        self.jetstream = self._client.jetstream(timeout=ANSWER_S)

    @property
    def hears(self) -> bool:
        """What is said to us arrives now; false while the client looks for a node that answers."""
        return self._client is not None and bool(self._client.is_connected)

    async def close(self) -> None:
        """End the connection."""
        client, self._client = self._client, None
        if client is not None:
            await closed(client)

    async def add(self, subject: str, payload: bytes, *, after: int, whole_stream: bool = False) -> int:
        """One message behind this number (of its subject, or of the whole stream); its own. Raises Overtaken."""
        from nats.js.api import Header
        from nats.js.errors import APIError

        fence = Header.EXPECTED_LAST_SEQUENCE if whole_stream else Header.EXPECTED_LAST_SUBJECT_SEQUENCE
        async with self.asking():
            try:
                return int((await self.jetstream.publish(subject, payload, headers={fence.value: str(after)})).seq)
            except APIError as error:
                if error.err_code == _OVERTAKEN:
                    raise Overtaken from None
                raise

    async def make(self, wanted: Any) -> None:
        """On three nodes where there are three, else on the one; as it is if it is there, but for its subjects."""
        from nats.js.errors import APIError, NotFoundError

        try:
            there = (await self.jetstream.stream_info(wanted.name)).config
            if not set(wanted.subjects) <= set(there.subjects or ()):
                there.subjects = wanted.subjects
                await self.jetstream.update_stream(there)
            return
        except NotFoundError:
            pass
        for replicas in (3, 1):
            wanted.num_replicas = replicas
            try:
                await self.jetstream.add_stream(wanted)
                return
            except APIError as error:
                if error.err_code == 10058:  # another process was faster, with other replicas
                    return
                refused = error
        raise refused

    async def objects(self, bucket: str, *, age_s: float | None = None) -> Any:
        """A bucket for large things, on three nodes where there are three. Raises TransportDown."""
        from nats.js.api import ObjectStoreConfig
        from nats.js.errors import APIError, BucketNotFoundError, NotFoundError

        for replicas in (3, 1):
            with contextlib.suppress(BucketNotFoundError, NotFoundError):
                return await self.jetstream.object_store(bucket)
            with contextlib.suppress(APIError):  # another was faster, or there are fewer nodes
                await self.jetstream.create_object_store(bucket, config=ObjectStoreConfig(replicas=replicas, ttl=age_s))
        try:
            return await self.jetstream.object_store(bucket)
        except (BucketNotFoundError, NotFoundError) as error:
            raise TransportDown(f"JetStream: bucket {bucket}: {error}") from None

    @asynccontextmanager
    async def asking(self, within_s: float | None = 2 * ANSWER_S) -> AsyncIterator[None]:
        """What goes wrong with the cluster within this block is TransportDown."""
        import nats.errors
        import nats.js.errors

        if self._client is None and self.jetstream is not None:
            raise TransportDown("JetStream: closed")
        try:
            with heeded():
                async with asyncio.timeout(within_s):
                    yield
        except nats.js.errors.KeyNotFoundError:
            raise
        except (nats.errors.Error, OSError, TimeoutError, ValueError) as error:
            raise TransportDown(f"JetStream: {type(error).__name__} {error}".strip()) from None
