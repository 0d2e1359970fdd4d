"""The wire form of CONTRACT section 4: strict to read, plain to write, version 1."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import isfinite
from typing import Annotated, Any

import msgspec

from healthmon.model.about import About, Ended
from healthmon.model.ask import Ask
from healthmon.model.errors import MalformedBatch
from healthmon.model.sample import Batch, Reading
from healthmon.runtime.ranges import Ranges

VERSION = 1
#: This version and the one before it, where there was one.
ACCEPTED_VERSIONS = tuple(v for v in (VERSION, VERSION - 1) if v >= 1)

MAX_PAYLOAD_BYTES = 1 << 20
MAX_READINGS = 10_000
MAX_SAMPLES = 50_000  # over the whole batch
MAX_RANGES = 1_000

#: Not the codec's errors alone: deep nesting ends in RecursionError, a bad string in UnicodeDecodeError.
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

_Seq = Annotated[int, msgspec.Meta(ge=1, lt=1 << 53)]
_Epoch = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{16}\Z")]
_Count = Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]
_Hex = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{0,16}\Z")]
_Word = Annotated[str, msgspec.Meta(pattern=r"^[a-z_]{0,20}\Z")]
_Ranges = Annotated[tuple[tuple[_Seq, _Seq], ...], msgspec.Meta(max_length=MAX_RANGES)]


class _Header(msgspec.Struct):
    """Enough of a payload to tell its version."""

    v: int


class _WireBatch(msgspec.Struct):
    """What a batch must look like to be taken; unknown keys are ignored."""

    v: int
    agent: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    epoch: _Epoch
    seq: _Seq
    sent: float
    mono: float
    live: bool
    readings: Annotated[tuple[Reading, ...], msgspec.Meta(max_length=MAX_READINGS)]
    dropped: _Ranges = ()
    about: msgspec.Raw = msgspec.Raw()  # a hint: one that cannot be read costs no reading
    clock: float | None = None


class _WireAbout(msgspec.Struct):
    """What an agent may say of itself: numbers, and words of closed sets or of harmless letters."""

    started: float
    booted: float
    ended: Ended = Ended.FIRST
    spool: _Word = "ok"
    why: _Word = ""
    bytes: _Count = 0
    batches: _Count = 0
    readings: _Count = 0
    dropped_readings: _Count = 0
    set_aside: _Count = 0
    version: Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Za-z.+-]{0,40}\Z")] = ""
    run: _Hex = ""
    boot: _Hex = ""


class _Envelope(msgspec.Struct, omit_defaults=True):
    """A batch to be written whose readings are encoded already."""

    v: int
    agent: str
    epoch: str
    seq: int
    sent: float
    mono: float
    live: bool
    dropped: Ranges
    readings: msgspec.Raw
    about: About | None = None
    clock: float | None = None


@dataclass(frozen=True, slots=True)
class Ack:
    """Every seq <= upto and every one in `ranges` is durable in store and journal.

    held: seconds that the server waits on purpose before it says so, because its store answers before its disk has it.
    room: so many stored batches may go now, to a server that takes bundles.
    """

    epoch: str
    upto: int
    ranges: Ranges = ()
    held: float = 0.0
    room: int = 0


class _WireAck(msgspec.Struct, omit_defaults=True):
    v: int
    epoch: _Epoch
    upto: Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]
    ranges: tuple[tuple[_Seq, _Seq], ...] = ()
    held: Annotated[float, msgspec.Meta(ge=0.0, le=600.0)] = 0.0
    room: Annotated[int, msgspec.Meta(ge=0, le=1 << 16)] = 0


class _WireAsk(msgspec.Struct):
    v: int
    target: str
    check: str
    vantage: str
    deadline: float


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes for us when the connection ends without a goodbye."""

    topic: str
    payload: bytes
    retain: bool = True


class State(msgspec.Struct, frozen=True):
    """The retained presence hint. state: up, stopped (clean), lost (the broker's word, by last will)."""

    agent: str
    state: str
    epoch: str
    at: float = 0.0
    spool: dict[str, Any] = {}
    v: int = VERSION


class Probing(msgspec.Struct, frozen=True):
    """The retained state of the stop button: whether any probe may leave, and who pressed or released it.

    Said anew at each connection of the server. bundles: it takes several stored batches in one message, and says in
    its acknowledgements whose turn it is.
    qos: at which batches are worth publishing. 0: nobody but their agent keeps them, so a PUBACK would say nothing, and
    an embedded broker writes to its disk for each.
    """

    stopped: bool
    by: str = ""
    at: float = 0.0
    v: int = VERSION
    bundles: bool = False
    qos: int = 1


_pack = msgspec.msgpack.Encoder()
_json = msgspec.json.Encoder()
_unpack_batch = msgspec.msgpack.Decoder(_WireBatch)
_parse_batch = msgspec.json.Decoder(_WireBatch)
_unpack_header = msgspec.msgpack.Decoder(_Header)
_parse_header = msgspec.json.Decoder(_Header)
_unpack_readings = msgspec.msgpack.Decoder(tuple[Reading, ...])
_unpack_about = msgspec.msgpack.Decoder(_WireAbout)
_parse_about = msgspec.json.Decoder(_WireAbout)
_parse_ack = msgspec.json.Decoder(_WireAck)
_parse_ask = msgspec.json.Decoder(_WireAsk)
_parse_state = msgspec.json.Decoder(State)
_parse_probing = msgspec.json.Decoder(Probing)


def encode(batch: Batch) -> bytes:
    """One batch as a msgpack map."""
    return _pack.encode(batch)


def decode(payload: bytes, *, max_bytes: int = MAX_PAYLOAD_BYTES) -> Batch:
    """A batch from msgpack, or from JSON when it starts with `{`; raises MalformedBatch with a reason word."""
    if len(payload) > max_bytes:
        raise MalformedBatch("oversize", f"{len(payload)} bytes, at most {max_bytes}")
    is_json = payload[:1] == b"{"
    try:
        wire = (_parse_batch if is_json else _unpack_batch).decode(payload)
    except _UNREADABLE as error:
        _refuse_version(payload, is_json=is_json)
        raise MalformedBatch("malformed", str(error)) from None
    if wire.v not in ACCEPTED_VERSIONS:
        raise MalformedBatch("version", str(wire.v))
    _refuse_nonsense(wire)
    about = _about(wire.about, is_json=is_json)
    return Batch(
        wire.agent,
        wire.epoch,
        wire.seq,
        wire.sent,
        wire.mono,
        wire.live,
        wire.readings,
        wire.dropped,
        wire.v,
        about,
        wire.clock,
    )


def _about(raw: msgspec.Raw, *, is_json: bool) -> About | None:
    """What it says of itself; None when it says nothing, or nothing that has this form."""
    if not bytes(raw):
        return None
    try:
        said = (_parse_about if is_json else _unpack_about).decode(raw)
    except _UNREADABLE:
        return None
    if not (isfinite(said.started) and isfinite(said.booted)):
        return None
    return About(*(getattr(said, name) for name in said.__struct_fields__))


def _refuse_version(payload: bytes, *, is_json: bool) -> None:
    """A payload of another version need not fit this one's form: say that it is the version."""
    try:
        version = (_parse_header if is_json else _unpack_header).decode(payload).v
    except _UNREADABLE:
        return
    if version not in ACCEPTED_VERSIONS:
        raise MalformedBatch("version", str(version))


def _refuse_nonsense(wire: _WireBatch) -> None:
    """Well-formed is not enough: no number may be NaN or infinite, no range may run backwards."""
    samples = 0
    finite = isfinite(wire.sent) and isfinite(wire.mono) and isfinite(wire.clock or 0.0)
    for reading in wire.readings:
        samples += len(reading.samples)
        finite = finite and isfinite(reading.started) and isfinite(reading.took) and isfinite(reading.rest_s)
        finite = finite and all(type(s.value) is not float or isfinite(s.value) for s in reading.samples)
    if not finite:
        raise MalformedBatch("malformed", "a number is not finite")
    if samples > MAX_SAMPLES:
        raise MalformedBatch("malformed", f"{samples} samples, at most {MAX_SAMPLES}")
    if any(low > high for low, high in wire.dropped):
        raise MalformedBatch("malformed", "a dropped range runs backwards")


def encode_readings(readings: Iterable[Reading]) -> bytes:
    """Readings as they lie in the spool, ready to be put into an envelope at each sending."""
    return _pack.encode(list(readings))


def decode_readings(body: bytes) -> tuple[Reading, ...]:
    """What `encode_readings` made."""
    return _unpack_readings.decode(body)


def envelop(
    body: bytes,
    *,
    agent: str,
    epoch: str,
    seq: int,
    sent: float,
    mono: float,
    live: bool,
    dropped: Ranges,
    about: About | None = None,
    clock: float | None = None,
) -> bytes:
    """A batch around readings that are encoded already; the same as `encode` would give in other key order."""
    return _pack.encode(
        _Envelope(VERSION, agent, epoch, seq, sent, mono, live, dropped, msgspec.Raw(body), about, clock)
    )


def finite_only(reading: Reading) -> Reading:
    """The reading without samples that are NaN or infinite: one of them would have the whole batch refused."""
    if all(type(s.value) is not float or isfinite(s.value) for s in reading.samples):
        return reading
    kept = tuple(s for s in reading.samples if type(s.value) is not float or isfinite(s.value))
    return replace(reading, samples=kept)


def encode_ack(ack: Ack) -> bytes:
    """An acknowledgement as JSON."""
    return _json.encode(_WireAck(VERSION, ack.epoch, ack.upto, ack.ranges, ack.held, ack.room))


def decode_ack(payload: bytes) -> Ack:
    """Raises MalformedBatch."""
    wire = _decode_small(_parse_ack, payload)
    return Ack(wire.epoch, wire.upto, wire.ranges, wire.held, wire.room)


def encode_ask(ask: Ask) -> bytes:
    """A request to probe as JSON."""
    return _json.encode(_WireAsk(VERSION, ask.target, ask.check, ask.vantage, ask.deadline))


def decode_ask(payload: bytes) -> Ask:
    """Raises MalformedBatch."""
    wire = _decode_small(_parse_ask, payload)
    return Ask(wire.target, wire.check, wire.vantage, wire.deadline)


def encode_state(state: State) -> bytes:
    """A presence hint as JSON."""
    return _json.encode(state)


def decode_state(payload: bytes) -> State:
    """Raises MalformedBatch."""
    state: State = _decode_small(_parse_state, payload)
    return state


def encode_probing(probing: Probing) -> bytes:
    """The stop button as JSON."""
    return _json.encode(probing)


def decode_probing(payload: bytes) -> Probing:
    """Raises MalformedBatch."""
    probing: Probing = _decode_small(_parse_probing, payload)
    return probing


def _decode_small(decoder: Any, payload: bytes) -> Any:
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise MalformedBatch("oversize", f"{len(payload)} bytes")
    try:
        wire = decoder.decode(payload)
    except _UNREADABLE as error:
        raise MalformedBatch("malformed", str(error)) from None
    if wire.v not in ACCEPTED_VERSIONS:
        raise MalformedBatch("version", str(wire.v))
    return wire
