"""Content codings (RFC 9110 section 8.4) undone, with the size that comes out bounded."""

from __future__ import annotations

import zlib

from healthmon.model.sample import Reason
from healthmon.probes.reasons import Finding

_MOST_CODINGS = 3


def decoded(coding: str, body: bytes, most_bytes: int) -> bytes:
    """The body as it was before `Content-Encoding`. Raises Finding(too_large, bad_response)."""
    codings = [name.strip().lower() for name in coding.split(",") if name.strip()]
    if len(codings) > _MOST_CODINGS:
        raise Finding(Reason.BAD_RESPONSE, f"more than {_MOST_CODINGS} content codings")
    for name in reversed(codings):
        if name != "identity":
            body = _one(name, body, most_bytes)
    return body


def _one(name: str, body: bytes, most_bytes: int) -> bytes:
    match name:
        case "gzip" | "x-gzip":
            return _inflate(body, zlib.MAX_WBITS | 16, most_bytes)
        case "deflate":
            # RFC 9110 means zlib; some servers send the bare stream of RFC 1951
            zlib_header = len(body) > 1 and body[0] & 0x0F == 8 and (body[0] << 8 | body[1]) % 31 == 0
            return _inflate(body, zlib.MAX_WBITS if zlib_header else -zlib.MAX_WBITS, most_bytes)
    return body  # judged only where somebody must read it (http_expect.py)


def _inflate(body: bytes, window: int, most_bytes: int) -> bytes:
    """A bomb costs `most_bytes` of memory and no more: the rest is never unpacked."""
    unpacked = bytearray()
    while body:
        stream = zlib.decompressobj(window)
        try:
            unpacked += stream.decompress(body, most_bytes + 1 - len(unpacked))
        except zlib.error:
            raise Finding(Reason.BAD_RESPONSE, "the compressed body is damaged") from None
        if len(unpacked) > most_bytes:
            raise Finding(Reason.TOO_LARGE, f"body over {most_bytes} bytes after decompression")
        if not stream.eof:
            raise Finding(Reason.BAD_RESPONSE, "the compressed body ends too early")
        body = stream.unused_data if window > zlib.MAX_WBITS else b""  # gzip may have several members
    return bytes(unpacked)
