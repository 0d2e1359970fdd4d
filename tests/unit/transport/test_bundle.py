"""Several batches in one message, and what is none."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthmon.model.errors import MalformedBatch
from healthmon.model.sample import Batch
from healthmon.transport import bundle, codec

BATCH = codec.encode(Batch("pc-1", "0" * 16, 1, 1.0, 1.0, False, ()))


@given(st.lists(st.binary(max_size=40), max_size=70))
def test_what_is_bundled_comes_out_again(parts: list[bytes]) -> None:
    payload = bundle.bundle(parts)
    assert bundle.is_bundle(payload)
    assert bundle.unbundle(payload) == parts


@pytest.mark.parametrize("payload", [BATCH, b'{"v":1}', b"", b"\xde\x00\x01"])
def test_a_batch_is_no_bundle(payload: bytes) -> None:
    assert not bundle.is_bundle(payload)


@pytest.mark.parametrize(
    "payload",
    [
        b"\x91",
        b"\xdd\xff\xff\xff\xff",
        b"\x91" * 5000,
        msgspec.msgpack.encode([1, 2]),
        bundle.bundle([b""] * 1025),
        bundle.bundle([BATCH]) + b"x",
    ],
)
def test_what_is_damaged_is_malformed(payload: bytes) -> None:
    with pytest.raises(MalformedBatch) as caught:
        bundle.unbundle(payload)
    assert caught.value.reason == "malformed"


@given(st.lists(st.integers(0, bundle.BYTES), max_size=80))
def test_parcels_keep_the_order_and_their_bounds(sizes: list[int]) -> None:
    parts = [bytes(size) for size in sizes]
    parcels = list(bundle.parcels(parts))
    assert [part for parcel in parcels for part in parcel] == parts
    assert all(0 < len(parcel) <= bundle.MOST for parcel in parcels)
    assert all(len(parcel) == 1 or sum(map(len, parcel)) <= bundle.BYTES for parcel in parcels)
