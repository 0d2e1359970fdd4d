"""Several stored batches in one message: after an outage a server takes them with less work than one by one.

A msgpack array of payloads, each a batch as it would have gone alone, so one that cannot be read spoils no other. Only
a server that says so (`Probing.bundles`) gets any, and it takes them when no live batch waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated

import msgspec

from healthmon.model.errors import MalformedBatch

MOST = 32  # batches of one message
BYTES = 256 << 10  # about; a single batch may be larger
_PARTS_MOST = 1024

_pack = msgspec.msgpack.Encoder()
_unpack = msgspec.msgpack.Decoder(Annotated[list[bytes], msgspec.Meta(max_length=_PARTS_MOST)])


def bundle(payloads: Iterable[bytes]) -> bytes:
    """One message of several."""
    return _pack.encode(list(payloads))


def is_bundle(payload: bytes) -> bool:
    """Whether it begins as a msgpack array does; a batch is a map, in msgpack or in JSON."""
    first = payload[:1]
    return b"\x90" <= first <= b"\x9f" or first in (b"\xdc", b"\xdd")


def unbundle(payload: bytes) -> list[bytes]:
    """Its payloads; raises MalformedBatch."""
    try:
        return _unpack.decode(payload)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise MalformedBatch("malformed", str(error)) from None


def parcels(payloads: Iterable[bytes]) -> Iterator[list[bytes]]:
    """These in order, in lists of at most MOST and about BYTES."""
    parcel: list[bytes] = []
    size = 0
    for payload in payloads:
        if parcel and (len(parcel) == MOST or size + len(payload) > BYTES):
            yield parcel
            parcel, size = [], 0
        parcel.append(payload)
        size += len(payload)
    if parcel:
        yield parcel
