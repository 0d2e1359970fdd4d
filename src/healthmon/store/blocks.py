"""A block: the columns of many series over one stretch of time, compressed together. A file says by which codec."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import msgspec

from healthmon.model.sample import Value
from healthmon.store.columns import Damaged, last_time, last_value, pack_times, pack_values, unpack_times, unpack_values

ZLIB, ZSTD = 1, 2
_LENGTH_BYTES = 4
#: No block is ever larger than this when it is unpacked; more is damage.
_MOST_BYTES = 1 << 28


class _Index(msgspec.Struct, array_like=True):
    """Which series a block holds: for each its number, which times it has, and how long its values are."""

    times: list[int]
    series: list[int]
    at: list[int]
    lengths: list[int]


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(_Index)


#: (codec, bytes) of a block, as the file has it.
Pressed = tuple[int, bytes]


@dataclass(frozen=True, slots=True)
class Column:
    """One series' points in time order."""

    series: int
    times: Sequence[int]
    values: Sequence[Value]


def pack(columns: Sequence[Column]) -> bytes:
    """Columns in the order of their numbers; those with the same times share them."""
    index = _Index([], [], [], [])
    times: list[bytes] = []
    bodies: list[bytes] = []
    known: dict[bytes | int, int] = {}
    for column in columns:
        place = known.get(id(column.times))
        if place is None:
            packed = pack_times(column.times)
            place = known.get(packed)
            if place is None:
                place = known[packed] = len(times)
                times.append(packed)
            known[id(column.times)] = place
        body = pack_values(column.values)
        index.series.append(column.series)
        index.at.append(place)
        index.lengths.append(len(body))
        bodies.append(body)
    index.times = [len(body) for body in times]
    head = _pack(index)
    return b"".join([len(head).to_bytes(_LENGTH_BYTES, "little"), head, *times, *bodies])


class Block:
    """An unpacked block; a column is decoded when somebody asks for it. Raises Damaged."""

    def __init__(self, body: bytes) -> None:
        start = _LENGTH_BYTES + int.from_bytes(body[:_LENGTH_BYTES], "little")
        try:
            index = _unpack.decode(body[_LENGTH_BYTES:start])
        except msgspec.MsgspecError as error:
            raise Damaged(f"index: {error}") from None
        self._body = body
        self._times: list[bytes | Sequence[int]] = []
        for length in index.times:
            self._times.append(body[start : start + length])
            start += length
        self._places: dict[int, tuple[int, int, int]] = {}
        for series, at, length in zip(index.series, index.at, index.lengths, strict=True):
            self._places[series] = (at, start, start + length)
            start += length
        if start != len(body):
            raise Damaged("cut off")

    @classmethod
    def empty(cls) -> Block:
        """In the place of one that cannot be read."""
        return cls(pack(()))

    @property
    def series(self) -> Set[int]:
        """The numbers of the series within."""
        return self._places.keys()

    def column(self, series: int) -> Column | None:
        """One series' points, or None when it is not here."""
        place = self._places.get(series)
        if place is None:
            return None
        at, start, end = place
        times = self._times[at]
        if isinstance(times, bytes):
            times = self._times[at] = unpack_times(times)
        values = unpack_values(self._body[start:end])
        if len(values) != len(times):
            raise Damaged(f"{len(times)} times and {len(values)} values")
        return Column(series, times, values)

    def newest(self, series: int) -> tuple[int, Value]:
        """Microseconds and value of the last point of a series that is here."""
        at, start, end = self._places[series]
        times = self._times[at]
        return last_time(times) if isinstance(times, bytes) else times[-1], last_value(self._body[start:end])


def _zlib_in(body: bytes) -> bytes:
    return zlib.compress(body, 6)


def _zlib_out(body: bytes) -> bytes:
    unpacking = zlib.decompressobj()
    unpacked = unpacking.decompress(body, _MOST_BYTES)
    if not unpacking.eof:
        raise zlib.error("cut off")
    return unpacked


def _zstd() -> tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]] | None:
    """None where the library is not installed. A checksum tells a flipped bit from a value."""
    try:
        import zstandard
    except ImportError:
        return None

    def pack_in(body: bytes) -> bytes:
        return zstandard.ZstdCompressor(level=3, write_checksum=True).compress(body)

    def pack_out(body: bytes) -> bytes:
        return zstandard.ZstdDecompressor().decompress(body, max_output_size=_MOST_BYTES)

    return pack_in, pack_out


def _codecs() -> Mapping[int, tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]]:
    found = _zstd()
    return {ZLIB: (_zlib_in, _zlib_out), **({ZSTD: found} if found else {})}


_CODECS: Mapping[int, tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]] = _codecs()
#: The codec of what is written from now on.
BEST = max(_CODECS)


def squeeze(body: bytes, codec: int | None = None) -> tuple[int, bytes]:
    """(codec, compressed)."""
    codec = codec or BEST
    return codec, _CODECS[codec][0](body)


def pressed(columns: Sequence[Column]) -> Pressed:
    """These columns as one block."""
    return squeeze(pack(columns))


def expand(codec: int, body: bytes) -> bytes:
    """The bytes again; raises Damaged, and says which library is missing."""
    if codec == ZSTD and ZSTD not in _CODECS:
        raise Damaged("packed with zstd: install healthmon[server], which brings zstandard")
    try:
        return _CODECS[codec][1](body)
    except KeyError:
        raise Damaged(f"unknown codec {codec}") from None
    except _errors() as error:
        raise Damaged(str(error)) from None


def _errors() -> tuple[type[BaseException], ...]:
    found: list[Any] = [zlib.error]
    if ZSTD in _CODECS:
        import zstandard

        found.append(zstandard.ZstdError)
    return tuple(found)
