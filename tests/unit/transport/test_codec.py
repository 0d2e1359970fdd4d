"""The wire form: what goes in comes out, what does not fit is refused with one word."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthmon.model.errors import MalformedBatch
from healthmon.model.incident import Ask
from healthmon.model.sample import Batch, Outcome, Reading, Reason, Sample
from healthmon.transport import codec

numbers = st.floats(allow_nan=False, allow_infinity=False)
words = st.text(max_size=20)
samples = st.builds(
    Sample, words, words, st.one_of(numbers, st.booleans(), words), st.dictionaries(words, words, max_size=3)
)
readings = st.builds(
    Reading,
    words,
    words,
    words,
    numbers,
    numbers,
    st.sampled_from(Outcome),
    st.one_of(st.none(), st.sampled_from(Reason)),
    words,
    st.lists(samples, max_size=4).map(tuple),
)
seqs = st.integers(1, 1 << 40)
batches = st.builds(
    Batch,
    agent=st.text(min_size=1, max_size=20),
    epoch=st.text("0123456789abcdef", min_size=16, max_size=16),
    seq=seqs,
    sent=numbers,
    mono=numbers,
    live=st.booleans(),
    readings=st.lists(readings, max_size=4).map(tuple),
    dropped=st.lists(st.tuples(seqs, seqs).map(lambda pair: (min(pair), max(pair))), max_size=3).map(tuple),
)

#: The example of the contract, word for word.
CONTRACT_EXAMPLE = b"""
{"v": 1, "agent": "pc-w7-01", "epoch": "9f3c0d5e7a1b2c48", "seq": 42, "sent": 1795300718.25, "mono": 812.5,
 "live": true, "dropped": [[3, 9]],
 "readings": [{"target": "ehr-web", "check": "up", "vantage": "pc-w7-01", "started": 1795300718.0, "took": 0.18,
   "outcome": "failed", "reason": "bad_status", "detail": "503",
   "samples": [{"family": "http", "field": "status_code", "value": 503.0, "labels": {}}]}]}
""".strip()


def example(**changed: Any) -> dict[str, Any]:
    return {**json.loads(CONTRACT_EXAMPLE), **changed}


def with_sample(value: Any) -> dict[str, Any]:
    body = example()
    body["readings"][0]["samples"][0]["value"] = value
    return body


def with_reading(**changed: Any) -> dict[str, Any]:
    body = example()
    body["readings"][0].update(changed)
    return body


def refusal(payload: bytes, **limits: int) -> str:
    with pytest.raises(MalformedBatch) as caught:
        codec.decode(payload, **limits)
    return caught.value.reason


def verdict(payload: bytes) -> str:
    try:
        codec.decode(payload)
    except MalformedBatch as error:
        return error.reason
    return "taken"


@given(batches)
def test_round_trip(batch: Batch) -> None:
    assert codec.decode(codec.encode(batch)) == batch


@given(batches)
def test_round_trip_as_json(batch: Batch) -> None:
    payload = msgspec.json.encode(batch)
    assert payload[:1] == b"{"
    assert codec.decode(payload) == batch


@given(batches)
def test_an_envelope_around_encoded_readings_is_the_same_batch(batch: Batch) -> None:
    body = codec.encode_readings(batch.readings)
    assert codec.decode_readings(body) == batch.readings
    payload = codec.envelop(
        body,
        agent=batch.agent,
        epoch=batch.epoch,
        seq=batch.seq,
        sent=batch.sent,
        mono=batch.mono,
        live=batch.live,
        dropped=batch.dropped,
    )
    assert codec.decode(payload) == batch


def test_the_contract_example() -> None:
    batch = codec.decode(CONTRACT_EXAMPLE)
    assert (batch.agent, batch.epoch, batch.seq, batch.live, batch.dropped) == (
        "pc-w7-01",
        "9f3c0d5e7a1b2c48",
        42,
        True,
        ((3, 9),),
    )
    assert batch.readings == (
        Reading(
            "ehr-web",
            "up",
            "pc-w7-01",
            1795300718.0,
            0.18,
            Outcome.FAILED,
            Reason.BAD_STATUS,
            "503",
            (Sample("http", "status_code", 503.0, {}),),
        ),
    )


def test_whole_numbers_are_floats_and_the_optional_may_be_absent() -> None:
    body = with_sample(503)
    del body["dropped"]
    del body["readings"][0]["detail"]
    batch = codec.decode(msgspec.msgpack.encode(body))
    assert batch.readings[0].samples[0].value == 503.0
    assert isinstance(batch.readings[0].samples[0].value, float)
    assert batch.dropped == ()


@pytest.mark.parametrize("encode", [msgspec.json.encode, msgspec.msgpack.encode])
def test_unknown_keys_are_ignored_at_every_level(encode: Any) -> None:
    body = with_reading(colour={"deep": [1, {"deeper": None}]})
    body["readings"][0]["samples"][0]["unit"] = "1"
    body["note"] = [[[]]]
    assert codec.decode(encode(body)) == codec.decode(CONTRACT_EXAMPLE)


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{", id="cut json"),
        pytest.param(b"\xc1", id="no such msgpack byte"),
        pytest.param(b"hello", id="text"),
        pytest.param(CONTRACT_EXAMPLE[:-1], id="json cut by one"),
        pytest.param(CONTRACT_EXAMPLE + b"x", id="json with a tail"),
        pytest.param(msgspec.msgpack.encode(example())[:-1], id="msgpack cut by one"),
        pytest.param(msgspec.msgpack.encode(example()) + b"\x00", id="msgpack with a tail"),
        pytest.param(b"\x91" * 100_000, id="deep msgpack array"),
        pytest.param(b'{"note":' + b"[" * 100_000, id="deep json under an unknown key"),
        pytest.param(b"\x82\xa1v\x01\xa1x" + b"\x81\xa1a" * 50_000, id="deep msgpack under an unknown key"),
        pytest.param(b"\x85\xa1v\x01\xa5agent\xa2\xff\xfe", id="not utf-8"),
        pytest.param(msgspec.json.encode([example()]), id="a list"),
    ],
)
def test_garbage_is_malformed(payload: bytes) -> None:
    assert refusal(payload) == "malformed"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(example(seq=0), id="seq 0"),
        pytest.param(example(seq=-1), id="seq negative"),
        pytest.param(example(seq=1.5), id="seq broken"),
        pytest.param(example(seq="42"), id="seq text"),
        pytest.param(example(seq=True), id="seq bool"),
        pytest.param(example(epoch="9F3C0D5E7A1B2C48"), id="epoch in capitals"),
        pytest.param(example(epoch="9f3c0d5e7a1b2c4"), id="epoch short"),
        pytest.param(example(epoch="9f3c0d5e7a1b2c48\n"), id="epoch with newline"),
        pytest.param(example(agent=""), id="agent empty"),
        pytest.param(example(agent="a" * 201), id="agent long"),
        pytest.param(example(live=1), id="live a number"),
        pytest.param(example(dropped=[[9, 3]]), id="dropped backwards"),
        pytest.param(example(dropped=[[0, 3]]), id="dropped from 0"),
        pytest.param(example(dropped=[[n, n] for n in range(1, 1002)]), id="dropped too many"),
        pytest.param(example(readings=None), id="readings null"),
        pytest.param(example(readings={}), id="readings a map"),
        pytest.param(with_reading(outcome="down"), id="no such outcome"),
        pytest.param(with_reading(reason="because"), id="no such reason"),
        pytest.param(with_reading(reason=""), id="empty reason"),
        pytest.param(with_reading(target=7), id="target a number"),
        pytest.param(with_sample(None), id="value null"),
        pytest.param(with_sample([1.0]), id="value a list"),
    ],
)
def test_a_batch_that_does_not_fit_is_malformed(body: dict[str, Any]) -> None:
    assert refusal(msgspec.msgpack.encode(body)) == "malformed"
    assert refusal(msgspec.json.encode(body)) == "malformed"


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_numbers_must_be_finite(bad: float) -> None:
    bodies = [with_sample(bad), with_reading(started=bad), with_reading(took=bad), example(sent=bad), example(mono=bad)]
    assert [refusal(msgspec.msgpack.encode(body)) for body in bodies] == ["malformed"] * len(bodies)


def test_json_numbers_beyond_a_float_are_malformed() -> None:
    assert refusal(CONTRACT_EXAMPLE.replace(b"503.0", b"1e999")) == "malformed"


@pytest.mark.parametrize("version", [0, 2, 99, -1])
def test_other_versions_are_told_apart(version: int) -> None:
    assert refusal(msgspec.msgpack.encode(example(v=version))) == "version"
    assert refusal(msgspec.json.encode({"v": version, "frames": "another form"})) == "version"


def test_a_batch_without_a_version_is_malformed() -> None:
    body = example()
    del body["v"]
    assert refusal(msgspec.json.encode(body)) == "malformed"


def test_the_version_before_is_accepted_once_there_is_one() -> None:
    assert codec.VERSION in codec.ACCEPTED_VERSIONS
    assert 0 not in codec.ACCEPTED_VERSIONS


def test_size_limit_is_inclusive() -> None:
    size = len(CONTRACT_EXAMPLE)
    assert codec.decode(CONTRACT_EXAMPLE, max_bytes=size).seq == 42
    assert refusal(CONTRACT_EXAMPLE, max_bytes=size - 1) == "oversize"
    assert refusal(b"\x00" * (codec.MAX_PAYLOAD_BYTES + 1)) == "oversize"


def test_count_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    one = example()["readings"][0]
    assert refusal(msgspec.msgpack.encode(example(readings=[one] * (codec.MAX_READINGS + 1)))) in (
        "malformed",
        "oversize",
    )
    slim = {**one, "samples": []}
    many = msgspec.msgpack.encode(example(readings=[slim] * (codec.MAX_READINGS + 1)))
    assert refusal(many, max_bytes=len(many)) == "malformed"
    monkeypatch.setattr(codec, "MAX_SAMPLES", 3)
    assert refusal(msgspec.msgpack.encode(example(readings=[one] * 4))) == "malformed"
    assert len(codec.decode(msgspec.msgpack.encode(example(readings=[one] * 3))).readings) == 3


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_are_refused(payload: bytes) -> None:
    assert verdict(payload) in ("taken", "malformed", "version")


@given(st.data(), batches)
def test_damaged_batches_decode_or_are_refused(data: st.DataObject, batch: Batch) -> None:
    payload = bytearray(codec.encode(batch))
    payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    assert verdict(bytes(payload)) in ("taken", "malformed", "version")


def test_only_finite_samples_are_kept() -> None:
    good, bad = Sample("a", "b", 1.0), Sample("a", "c", math.nan)
    reading = Reading("t", "c", "v", 0.0, 0.0, Outcome.OK, samples=(good, bad, Sample("a", "d", math.inf)))
    assert codec.finite_only(reading).samples == (good,)
    clean = codec.finite_only(reading)
    assert codec.finite_only(clean) is clean


def test_ack_is_the_json_of_the_contract() -> None:
    ack = codec.Ack("9f3c0d5e7a1b2c48", 41, ((43, 45), (50, 50)))
    payload = codec.encode_ack(ack)
    assert json.loads(payload) == {"v": 1, "epoch": ack.epoch, "upto": 41, "ranges": [[43, 45], [50, 50]]}
    assert codec.decode_ack(payload) == ack


def test_ask_and_state_round_trip() -> None:
    ask = Ask("ehr-web", "up", "pc-w7-01", 1795300720.5)
    assert codec.decode_ask(codec.encode_ask(ask)) == ask
    state = codec.State(agent="pc-w7-01", state="up", epoch="9f3c0d5e7a1b2c48", at=5.0, spool={"state": "ok"})
    assert codec.decode_state(codec.encode_state(state)) == state


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "malformed"),
        (b"[]", "malformed"),
        (b'{"v":1,"epoch":"zz","upto":1}', "malformed"),
        (b'{"v":1,"epoch":"9f3c0d5e7a1b2c48","upto":-1}', "malformed"),
        (b'{"v":1,"epoch":"9f3c0d5e7a1b2c48","upto":1,"ranges":[[0,1]]}', "malformed"),
        (b'{"v":2,"epoch":"9f3c0d5e7a1b2c48","upto":1}', "version"),
    ],
)
def test_bad_acks_are_refused(payload: bytes, reason: str) -> None:
    with pytest.raises(MalformedBatch) as caught:
        codec.decode_ack(payload)
    assert caught.value.reason == reason


def test_a_stop_button_is_heard_whatever_else_a_later_server_says_with_it() -> None:
    said = b'{"v":1,"stopped":true,"by":"it","at":1.0,"bundles":true,"qos":7,"more":[1]}'
    assert codec.decode_probing(said).stopped
    assert (codec.decode_probing(b'{"v":1,"stopped":false}').qos, codec.decode_probing(said).bundles) == (1, True)
