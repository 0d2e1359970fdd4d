"""HTTP/1.1 on the wire (RFC 9112): one request, one response, everything bounded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from healthmon.model.sample import Reason
from healthmon.probes.line import Readable
from healthmon.probes.reasons import Finding

MOST_HEAD_BYTES = 64 * 1024
_READ_BYTES = 64 * 1024
_MOST_INTERIM = 8


@dataclass(frozen=True, slots=True)
class Head:
    """Status line and headers; header names in lower case, repeated ones joined by a comma (cookies apart)."""

    status: int
    version: str
    headers: Mapping[str, str]
    cookies: tuple[str, ...] = ()


def request_bytes(method: str, target: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """The whole request. Header names and values have been checked for line ends."""
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + body


class Wire:
    """Reads one response from a stream, keeping what came beyond the present step."""

    def __init__(self, reader: Readable) -> None:
        self._reader = reader
        self._buffer = bytearray()
        self._ended = False

    async def head(self) -> Head:
        """The final response's head; interim ones (1xx) are passed over."""
        for _ in range(_MOST_INTERIM):
            head = _parse_head(await self._head_bytes())
            if head.status >= 200 or head.status == 101:
                return head
        raise Finding(Reason.BAD_RESPONSE, "only interim responses")

    async def body(self, head: Head, *, method: str, most_bytes: int) -> bytes:
        """The body as framed by the head. Raises Finding(too_large, closed, bad_response)."""
        if method == "HEAD" or head.status in (204, 304):
            return b""
        if "chunked" in head.headers.get("transfer-encoding", "").lower():
            return await self._chunked(most_bytes)
        declared = head.headers.get("content-length")
        if declared is None:
            return await self._until_end(most_bytes)
        if not declared.isascii() or not declared.isdigit():
            raise Finding(Reason.BAD_RESPONSE, "Content-Length is not a number")
        length = int(declared[:20])
        _within(length, most_bytes)
        return await self._exactly(length)

    async def _more(self) -> bool:
        """False at the end of the stream."""
        if self._ended:
            return False
        data = await self._reader.read(_READ_BYTES)
        self._ended = not data
        self._buffer += data
        return bool(data)

    async def _head_bytes(self) -> bytes:
        while True:
            if self._buffer and not b"HTTP/1.".startswith(self._buffer[:7]):
                raise Finding(Reason.BAD_RESPONSE, "the answer is not HTTP/1")
            end, skip = _blank_line(self._buffer)
            if end >= 0:
                head = bytes(self._buffer[:end])
                del self._buffer[: end + skip]
                return head
            if len(self._buffer) > MOST_HEAD_BYTES:
                raise Finding(Reason.BAD_RESPONSE, f"more than {MOST_HEAD_BYTES} bytes of headers")
            if not await self._more():
                began = "in the middle of the headers" if self._buffer else "without an answer"
                raise Finding(Reason.CLOSED, f"closed {began}")

    async def _exactly(self, length: int) -> bytes:
        while len(self._buffer) < length:
            if not await self._more():
                raise Finding(Reason.CLOSED, f"closed after {len(self._buffer)} of {length} bytes")
        taken = bytes(self._buffer[:length])
        del self._buffer[:length]
        return taken

    async def _until_end(self, most_bytes: int) -> bytes:
        while await self._more():
            _within(len(self._buffer), most_bytes)
        _within(len(self._buffer), most_bytes)
        return bytes(self._buffer)

    async def _line(self) -> bytes:
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > MOST_HEAD_BYTES:
                raise Finding(Reason.BAD_RESPONSE, "a line without an end")
            if not await self._more():
                raise Finding(Reason.CLOSED, "closed in the middle of the body")
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line.strip()

    async def _chunked(self, most_bytes: int) -> bytes:
        body = bytearray()
        while True:
            size = await self._line()
            try:
                length = int(size.partition(b";")[0][:17], 16)
            except ValueError:
                length = -1
            if length < 0:
                raise Finding(Reason.BAD_RESPONSE, "a chunk without a size")
            _within(len(body) + length, most_bytes)
            if length == 0:
                break
            body += await self._exactly(length)
            await self._line()
        for _ in range(100):  # trailers
            if not await self._line():
                break
        return bytes(body)


def _within(length: int, most_bytes: int) -> None:
    if length > most_bytes:
        raise Finding(Reason.TOO_LARGE, f"body over {most_bytes} bytes")


def _blank_line(data: bytearray) -> tuple[int, int]:
    """Where the head ends and how many bytes the blank line takes; small devices send bare line feeds."""
    strict, bare = data.find(b"\r\n\r\n"), data.find(b"\n\n")
    if strict >= 0 and (bare < 0 or strict < bare):
        return strict, 4
    return bare, 2


def _parse_head(data: bytes) -> Head:
    lines = data.decode("latin-1").splitlines()
    version, _, rest = lines[0].partition(" ")
    code = rest[:3]
    if not (code.isascii() and code.isdigit() and len(code) == 3):
        raise Finding(Reason.BAD_RESPONSE, "the status line has no status")
    headers: dict[str, str] = {}
    cookies: list[str] = []
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon:
            raise Finding(Reason.BAD_RESPONSE, "a header without a colon")
        name, value = name.strip().lower(), value.strip()
        if name == "set-cookie":
            cookies.append(value)
        headers[name] = f"{headers[name]}, {value}" if name in headers and name != "content-length" else value
    return Head(int(code), version, headers, tuple(cookies))
