"""One DICOM association over streams: opened, asked, released; of answers only status and counts remain."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from contextlib import suppress

from healthmon.model.sample import Reason
from healthmon.probes import dicom_wire as wire
from healthmon.probes.connect import Streams
from healthmon.probes.dicom_wire import Context, Response
from healthmon.probes.reasons import Finding

#: A sentinel matches once. Who sends more ignores the key and is about to send every study there is.
MOST_MATCHES = 10
SUCCESS, NOT_AUTHORISED = 0x0000, 0x0124
PENDING = (0xFF00, 0xFF01)
_RELEASE_S = 1.0


class Association:
    """Over streams that somebody else closes. Raises Finding and OSError."""

    def __init__(self, streams: Streams) -> None:
        self._reader, self._writer = streams
        self._message_id = 0
        self._open = False

    async def open(self, *, called: str, calling: str, contexts: Sequence[Context]) -> None:
        """Associate; every context must be accepted."""
        self._writer.write(wire.associate_request(called=called, calling=calling, contexts=contexts))
        kind, body = await self._pdu()
        if kind == wire.ASSOCIATE_RJ:
            raise wire.rejection(body)
        if kind != wire.ASSOCIATE_AC:
            raise Finding(Reason.BAD_RESPONSE, "the answer to an association request is something else")
        self._open = True
        answers = wire.parse_accept(body)
        for context in contexts:
            why_not = answers.get(context.number, "not answered")
            if why_not is not None:
                raise Finding(Reason.BAD_STATUS, f"presentation context {context.abstract_syntax}: {why_not}")

    async def echo(self, context: Context) -> int:
        """The status of a C-ECHO."""
        self._send(wire.echo_request(context, self._next()))
        response, _ = await self._response(wire.C_ECHO)
        return response.status

    async def find(self, context: Context, *, identifier: bytes, tag: tuple[int, int], value: str) -> tuple[int, int]:
        """Status and number of matches; a match that is not the sentinel is a Finding(bad_body)."""
        self._send(wire.find_request(context, self._next(), identifier))
        matches = 0
        while True:
            response, data = await self._response(wire.C_FIND)
            if response.status not in PENDING:
                return response.status, matches
            matches += 1
            if matches > MOST_MATCHES:
                raise Finding(Reason.TOO_LARGE, f"more than {MOST_MATCHES} matches for one sentinel")
            if not wire.has_value(data, tag, value):
                raise Finding(Reason.BAD_BODY, "a match that is not the sentinel")

    async def release(self) -> None:
        """End it in order. A target that does not answer this has answered what mattered."""
        self._writer.write(wire.release_request())
        self._open = False
        try:
            async with asyncio.timeout(_RELEASE_S):
                while (await self._pdu())[0] != wire.RELEASE_RP:
                    pass
        except (OSError, asyncio.IncompleteReadError, Finding):
            return

    def abort(self) -> None:
        """End it at once, if it is open."""
        if self._open:
            self._open = False
            self._writer.write(wire.abort_request())

    def _next(self) -> int:
        self._message_id += 1
        return self._message_id

    def _send(self, request: bytes) -> None:
        """A server that writes its answer in two pieces waits 40 ms for a delayed acknowledgement: give it at once."""
        self._writer.write(request)
        sock, option = self._writer.get_extra_info("socket"), getattr(socket, "TCP_QUICKACK", None)
        if sock is not None and option is not None:
            with suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, option, 1)

    async def _pdu(self) -> tuple[int, bytes]:
        kind, length = wire.parse_header(await self._exactly(6))
        return kind, await self._exactly(length)

    async def _exactly(self, length: int) -> bytes:
        try:
            return await self._reader.readexactly(length)
        except asyncio.IncompleteReadError as error:
            where = "in the middle of an answer" if error.partial or length != 6 else "without an answer"
            raise Finding(Reason.CLOSED, f"closed {where}") from None

    async def _response(self, command: int) -> tuple[Response, bytes]:
        """The next response to the running request, with its data set if it has one."""
        parts: dict[bool, bytearray] = {True: bytearray(), False: bytearray()}
        response: Response | None = None
        while True:
            kind, body = await self._pdu()
            if kind == wire.ABORT:
                self._open = False
                raise wire.aborted(body)
            if kind != wire.P_DATA:
                raise Finding(Reason.BAD_RESPONSE, "the answer to a request is something else")
            for fragment in wire.fragments(body):
                part = parts[fragment.command]
                part += fragment.data
                if len(part) > wire.MOST_MESSAGE_BYTES:
                    raise Finding(Reason.TOO_LARGE, f"a message over {wire.MOST_MESSAGE_BYTES} bytes")
                if fragment.command and fragment.last:
                    response = self._ours(wire.parse_response(bytes(part)), command)
                if response is not None and (not response.has_data or (fragment.last and not fragment.command)):
                    return response, bytes(parts[False])

    def _ours(self, response: Response, command: int) -> Response:
        if response.command != command | wire.RESPONSE or response.answers != self._message_id:
            raise Finding(Reason.BAD_RESPONSE, "a response to another request")
        return response
