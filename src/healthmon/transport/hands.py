"""What workers hand on to the server that leads, and what they say of themselves; msgpack and JSON, one version."""

from __future__ import annotations

import msgspec

from healthmon.model.about import About
from healthmon.model.errors import MalformedBatch
from healthmon.model.journal import Epoch
from healthmon.model.judged import Judged
from healthmon.model.sample import Reading

VERSION = 1
#: No rows, packed.
NOTHING = msgspec.Raw(b"\x80")


class Handed(msgspec.Struct, frozen=True, array_like=True):
    """One batch as it was admitted: guarded, its clock corrected. partition: where it came through.

    heard: when the worker took it, sent: when the agent sent it, both Unix seconds by the worker's clock; epoch:
    everything the worker knows of that epoch; judged: what it found of the readings that are more than good, None
    where the leader is to judge.
    """

    epoch: Epoch
    seq: int
    heard: float
    sent: float
    live: bool
    readings: tuple[Reading, ...]
    about: About | None = None
    partition: int = 0
    part: int = 0  # of a batch too large for one message: not its first piece
    judged: tuple[Judged, ...] | None = None
    more: bool = False  # a further piece of it follows


class Hand(msgspec.Struct, frozen=True, array_like=True):
    """Some batches, and the keys of drills' batches that the store has by now.

    seal: by which rules they were judged; memory: what the worker remembers differently from before, name by name,
    for the worker that takes the partition next. The leader does not unpack it.
    """

    worker: str
    batches: tuple[Handed, ...]
    stored: tuple[tuple[str, str, int], ...] = ()
    v: int = VERSION
    seal: str = ""
    memory: msgspec.Raw = NOTHING


class Beat(msgspec.Struct, frozen=True):
    """A worker's word that it lives. run: changes with each start; counters only grow within a run.

    left: it stops now and gives its partitions up.
    """

    worker: str
    run: str
    partitions: int = 0
    store_ok: bool = True
    left: bool = False
    counters: dict[str, float] = {}
    v: int = VERSION


class Saved(msgspec.Struct, frozen=True, array_like=True):
    """What a worker remembers of one partition. stream: which line it counts on; after: everything up to this number
    of the line is in it; newest: when each series was looked at last, Unix seconds."""

    stream: str
    after: int
    memory: dict[str, bytes]
    newest: dict[tuple[str, str, str], float]
    v: int = VERSION


_pack = msgspec.msgpack.Encoder()
_unpack_hand = msgspec.msgpack.Decoder(Hand)
_unpack_rows = msgspec.msgpack.Decoder(dict[str, bytes])
_unpack_saved = msgspec.msgpack.Decoder(Saved)
_json = msgspec.json.Encoder()
_parse_beat = msgspec.json.Decoder(Beat)


def encode_hand(hand: Hand) -> bytes:
    """As it goes into the stream."""
    return _pack.encode(hand)


def decode_hand(payload: bytes) -> Hand:
    """Raises MalformedBatch."""
    try:
        hand = _unpack_hand.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedBatch("malformed", str(error)) from None
    if hand.v != VERSION:
        raise MalformedBatch("version", str(hand.v))
    return hand


def encode_beat(beat: Beat) -> bytes:
    """As it is said once a second."""
    return _json.encode(beat)


def decode_beat(payload: bytes) -> Beat:
    """Raises MalformedBatch."""
    try:
        beat = _parse_beat.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedBatch("malformed", str(error)) from None
    return beat


def encode_rows(rows: dict[str, bytes]) -> msgspec.Raw:
    """What is remembered, as it travels in a hand."""
    return msgspec.Raw(_pack.encode(rows))


def rows_of(hand: Hand) -> dict[str, bytes]:
    """What is remembered differently since the hand before. Raises MalformedBatch."""
    try:
        return _unpack_rows.decode(hand.memory)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise MalformedBatch("malformed", str(error)) from None


def encode_saved(saved: Saved) -> bytes:
    """As it is kept beside the line."""
    return _pack.encode(saved)


def decode_saved(body: bytes) -> Saved:
    """Raises MalformedBatch."""
    try:
        saved = _unpack_saved.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedBatch("malformed", str(error)) from None
    if saved.v != VERSION:
        raise MalformedBatch("version", str(saved.v))
    return saved
