"""One column of a series as bytes that compress well, and back bit for bit: times, numbers, words.

Numbers that are short decimals become whole numbers (0.25 is 25 with two places), whole numbers become differences
where those are smaller, and the bytes of one weight stand side by side, so that a general compressor finds the runs.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Sequence
from itertools import accumulate, groupby
from operator import sub
from typing import Any

import msgspec

from healthmon.model.sample import Value

_CONST, _DECIMAL, _DECIMAL_STEPS, _DOUBLE, _RUNS = range(5)
_REGULAR, _GRID, _GAPS = range(3)
_SCALES = tuple(float(10**places) for places in range(10))
#: Beyond this a float holds no more whole numbers, and rounding could meet another one.
_MOST_WHOLE = float(1 << 52)
_SAMPLED = 8
_WIDTHS = ((1, "B"), (2, "H"), (4, "I"), (8, "Q"))
_CODES = dict(_WIDTHS)
_SWAPPED = sys.byteorder == "big"

_head = struct.Struct("<BBq")
_regular = struct.Struct("<BqqI")
_grid = struct.Struct("<Bqq")
_decimal = struct.Struct("<BB")
_const = struct.Struct("<Bd")
_pack = msgspec.msgpack.Encoder().encode
_runs = msgspec.msgpack.Decoder(list[tuple[float | bool | str, int]])


class Damaged(ValueError):
    """These bytes are no column."""


def pack_times(times: Sequence[int]) -> bytes:
    """Rising microseconds. An even beat costs nothing, a jittering one what its jitter costs."""
    count, first = len(times), times[0]
    gaps = list(map(sub, times[1:], times))
    step = sorted(gaps)[len(gaps) // 2] if gaps else 0
    if gaps.count(step) == len(gaps):
        return _regular.pack(_REGULAR, first, step, count)
    off = list(map(sub, times, range(first, first + step * count, step))) if step else list(times)
    if step and max(off) - min(off) <= max(gaps) - min(gaps):
        return _grid.pack(_GRID, first, step) + _pack_whole(off)
    return _grid.pack(_GAPS, first, 0) + _pack_whole(gaps)


def unpack_times(body: bytes) -> Sequence[int]:
    """What `pack_times` took; raises Damaged."""
    try:
        if body[0] == _REGULAR:
            _, first, step, count = _regular.unpack(body)
            return range(first, first + step * count, step) if step else [first] * count
        kind, first, step = _grid.unpack_from(body)
        whole = _unpack_whole(body[_grid.size :])
    except (struct.error, IndexError, KeyError, ValueError) as error:
        raise Damaged(f"times: {error}") from None
    if kind == _GAPS:
        return list(accumulate(whole, initial=first))
    return [at + off for at, off in zip(range(first, first + step * len(whole), step), whole, strict=True)]


def last_time(body: bytes) -> int:
    """The newest of the times, without the others."""
    try:
        if body[0] == _REGULAR:
            _, first, step, count = _regular.unpack(body)
            return int(first + step * (count - 1))
        kind, first, step = _grid.unpack_from(body)
        whole = body[_grid.size :]
        if kind == _GAPS:
            return int(first + sum(_unpack_whole(whole)))
        count, last = _last_whole(whole)
    except (struct.error, IndexError, KeyError, ValueError) as error:
        raise Damaged(f"times: {error}") from None
    return int(first + step * (count - 1) + last)


def pack_values(values: Sequence[Value]) -> bytes:
    """Floats keep every bit (NaN and -0.0 too); truth and text are kept as runs."""
    if set(map(type, values)) != {float}:
        return bytes((_RUNS,)) + _pack([(value, len(list(same))) for (_, value), same in groupby(values, _typed)])
    doubles: array[float] = array("d", values)  # type: ignore[arg-type]  # all of them are float
    raw = doubles.tobytes()
    if raw == raw[:8] * len(doubles):
        return _const.pack(_CONST, doubles[0]) + len(doubles).to_bytes(4, "little")
    return _decimals(doubles, raw) or bytes((_DOUBLE,)) + _planes(doubles, 8)


def unpack_values(body: bytes) -> Sequence[Value]:
    """What `pack_values` took; raises Damaged."""
    try:
        kind = body[0]
        if kind == _RUNS:
            return [value for value, count in _runs.decode(body[1:]) for _ in range(count)]
        if kind == _CONST:
            return [_const.unpack_from(body)[1]] * int.from_bytes(body[_const.size :], "little")
        if kind == _DOUBLE:
            return _from_planes(body[1:], 8, "d").tolist()
        return _from_decimals(body)
    except (struct.error, IndexError, KeyError, ValueError, OverflowError) as error:
        raise Damaged(f"values: {error}") from None


def last_value(body: bytes) -> Value:
    """The last of the values, without the others where that is quicker."""
    try:
        if body[0] == _CONST:
            return float(_const.unpack_from(body)[1])
        if body[0] == _DECIMAL:
            return float(_last_whole(body[_decimal.size :])[1] / _SCALES[body[1]])
        if body[0] == _DOUBLE:
            count = (len(body) - 1) // 8
            return float(_from_planes(body[count::count], 8, "d")[0])
    except (struct.error, IndexError, KeyError, ValueError) as error:
        raise Damaged(f"values: {error}") from None
    return unpack_values(body)[-1]


def _typed(value: Value) -> tuple[type, Value]:
    """True and 1.0 are equal, and no run may join them."""
    return type(value), value


def _decimals(doubles: Sequence[float], raw: bytes) -> bytes | None:
    """As whole numbers with some places after the point; None when that would lose a bit."""
    for places in range(_places(doubles[:_SAMPLED]), len(_SCALES)):
        scale = _SCALES[places]
        if max(doubles) * scale > _MOST_WHOLE or min(doubles) * scale < -_MOST_WHOLE:
            return None
        try:
            whole = [round(value * scale) for value in doubles]
        except (ValueError, OverflowError):  # NaN, infinity
            return None
        if array("d", [number / scale for number in whole]).tobytes() == raw:
            return _pack_decimals(whole, places)
    return None


def _places(sample: Sequence[float]) -> int:
    """How many places the first few need at least; 10 (none will do) when they are no short decimals."""
    try:
        return next(
            (p for p, scale in enumerate(_SCALES) if all(round(v * scale) / scale == v for v in sample)), len(_SCALES)
        )
    except (ValueError, OverflowError):
        return len(_SCALES)


def _pack_decimals(whole: list[int], places: int) -> bytes:
    steps = list(map(sub, whole[1:], whole))
    if max(steps) - min(steps) < (max(whole) - min(whole)) // 2:
        return _decimal.pack(_DECIMAL_STEPS, places) + _pack_whole([*steps[:1], *steps], first=whole[0])
    return _decimal.pack(_DECIMAL, places) + _pack_whole(whole)


def _from_decimals(body: bytes) -> list[float]:
    kind, places = _decimal.unpack_from(body)
    rest = body[_decimal.size :]
    if kind == _DECIMAL_STEPS:
        first = int.from_bytes(rest[:8], "little", signed=True)
        steps = _unpack_whole(rest[8:])
        whole: Sequence[int] = list(accumulate(steps[1:], initial=first))
    elif kind == _DECIMAL:
        whole = _unpack_whole(rest)
    else:
        raise ValueError(f"kind {kind}")
    if places == 0:
        return list(map(float, whole))
    scale = _SCALES[places]
    return [number / scale for number in whole]


def _pack_whole(whole: Sequence[int], *, first: int | None = None) -> bytes:
    """Whole numbers above their least one, in as few bytes as the largest needs."""
    least = min(whole)
    span = max(whole) - least
    width, code = next((width, code) for width, code in _WIDTHS if span < 1 << (8 * width))
    above = array(code, [number - least for number in whole]) if least else array(code, whole)
    lead = b"" if first is None else first.to_bytes(8, "little", signed=True)
    return lead + _head.pack(width, 0, least) + _planes(above, width)


def _unpack_whole(body: bytes) -> Sequence[int]:
    width, _, least = _head.unpack_from(body)
    above = _from_planes(body[_head.size :], width, _CODES[width])
    return [number + least for number in above] if least else above


def _last_whole(body: bytes) -> tuple[int, int]:
    """(how many, the last of them)."""
    width, _, least = _head.unpack_from(body)
    planes = body[_head.size :]
    count = len(planes) // width
    return count, least + int.from_bytes(planes[count - 1 :: count], "little")


def _planes(numbers: array[Any], width: int) -> bytes:
    """All lowest bytes, then all second ones, and so on."""
    if _SWAPPED:
        numbers.byteswap()
    raw = numbers.tobytes()
    return raw if width == 1 else b"".join(raw[place::width] for place in range(width))


def _from_planes(planes: bytes, width: int, code: str) -> array[Any]:
    count, odd = divmod(len(planes), width)
    if odd:
        raise ValueError("cut off")
    raw = bytearray(len(planes))
    for place in range(width):
        raw[place::width] = planes[place * count : (place + 1) * count]
    numbers: array[Any] = array(code, bytes(raw))
    if _SWAPPED:
        numbers.byteswap()
    return numbers
