"""Columns come back bit for bit, whatever is in them."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from healthmon.model.sample import Value
from healthmon.store import blocks
from healthmon.store.blocks import Block, Column, expand, pack, squeeze
from healthmon.store.columns import (
    Damaged,
    last_time,
    last_value,
    pack_times,
    pack_values,
    unpack_times,
    unpack_values,
)

EDGES = [0.0, -0.0, 0.1 + 0.2, 2.0**53, 2.0**53 - 1, -(2.0**52), 2.0**63, 5e-324, 1.7976931348623157e308, math.inf]
numbers = st.one_of(
    st.floats(),
    st.sampled_from([*EDGES, math.nan]),
    st.decimals(-1000, 1000, places=3).map(float),
    st.integers(-(2**60), 2**60).map(float),
)
anything = st.one_of(numbers, st.booleans(), st.text(max_size=6))
moments = st.lists(st.integers(0, 1 << 62), min_size=1, max_size=40, unique=True).map(sorted)


def bits(value: Value) -> tuple[type, object]:
    return type(value), struct.pack("<d", value) if type(value) is float else value


@settings(max_examples=150)
@given(st.one_of(st.lists(numbers, min_size=1, max_size=40), st.lists(anything, min_size=1, max_size=20)))
@example([1.0, True, 1.0, "1.0"])
@example([0.25, -0.0, 0.5])
@example([float(2**52), float(2**52 + 1)])
def test_values_come_back_bit_for_bit(values: list[Value]) -> None:
    body = pack_values(values)
    assert [bits(value) for value in unpack_values(body)] == [bits(value) for value in values]
    assert bits(last_value(body)) == bits(values[-1])


@settings(max_examples=150)
@given(
    st.one_of(
        moments,
        st.builds(range, st.integers(0, 1 << 50), st.integers(1 << 51, 1 << 52), st.integers(1 << 46, 1 << 47)).map(
            list
        ),
        st.lists(st.integers(-900, 900), min_size=1, max_size=50).map(
            lambda off: [10**15 + i * 30_000_000 + o for i, o in enumerate(off)]
        ),
    )
)
def test_times_come_back(times: list[int]) -> None:
    body = pack_times(times)
    assert list(unpack_times(body)) == times
    assert last_time(body) == times[-1]


def test_what_repeats_costs_next_to_nothing() -> None:
    assert len(pack_times(range(0, 30_000_000 * 2880, 30_000_000))) < 32
    assert len(pack_values([1.0] * 2880)) < 16
    assert len(pack_values(["ok"] * 2880)) < 16


def test_short_decimals_cost_what_their_digits_cost() -> None:
    values = [round(0.5 + 0.2 * math.sin(i * 1.7), 3) for i in range(2880)]
    assert len(squeeze(pack_values(values))[1]) < 2.0 * len(values)


@settings(max_examples=60)
@given(st.binary(max_size=60))
def test_nonsense_is_damage_and_nothing_else(body: bytes) -> None:
    for read in (unpack_values, unpack_times, last_value, last_time):
        try:
            read(body)
        except Damaged:
            pass
    try:
        block = Block(body)
        [block.column(series) for series in block.series]
    except Damaged:
        pass


@pytest.mark.parametrize("codec", [blocks.ZLIB, blocks.ZSTD])
def test_a_flipped_bit_is_found(codec: int) -> None:
    body = pack([Column(1, [1, 2, 3], [0.1, 0.2, 0.3])])
    packed = bytearray(squeeze(body, codec)[1])
    assert expand(codec, bytes(packed)) == body
    packed[len(packed) // 2] ^= 4
    with pytest.raises(Damaged):
        expand(codec, bytes(packed))
    with pytest.raises(Damaged):
        expand(codec, bytes(packed[:-3]))


def test_columns_of_one_look_share_their_times() -> None:
    times = [n * n for n in range(1, 200)]
    one = len(pack([Column(1, times, [1.0] * 199)]))
    assert len(pack([Column(n, list(times), [1.0] * 199) for n in range(1, 6)])) < one + 5 * 25


def test_a_codec_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    codec, packed = squeeze(b"x", blocks.ZSTD)
    monkeypatch.setattr(blocks, "_CODECS", {blocks.ZLIB: blocks._CODECS[blocks.ZLIB]})
    with pytest.raises(Damaged, match="zstandard"):
        expand(codec, packed)
    assert expand(*squeeze(b"x", blocks.ZLIB)) == b"x"
    with pytest.raises(Damaged, match="unknown codec 9"):
        expand(9, b"")
