"""What older agents say and older agents understand: payloads as they were, held against today's code."""

from __future__ import annotations

import json

import msgspec
import pytest

from healthmon.model.errors import MalformedBatch
from healthmon.transport import codec
from healthmon.transport.codec import Ack

#: As the first agents wrote it: no `clock`, no `about`.
FIRST = {
    "v": 1, "agent": "pc-w7-01", "epoch": "9f3c0d5e7a1b2c48", "seq": 42, "sent": 1795300718.25, "mono": 812.5,
    "live": True, "dropped": [[3, 9]],
    "readings": [{
        "target": "ehr-web", "check": "up", "vantage": "pc-w7-01", "started": 1795300718.0, "took": 0.18,
        "outcome": "failed", "reason": "bad_status", "detail": "503",
        "samples": [{"family": "http", "field": "status_code", "value": 503.0, "labels": {}}],
    }],
}  # fmt: skip


class FirstAck(msgspec.Struct):
    """An acknowledgement as the first agents read it: before `held`."""

    v: int
    epoch: str
    upto: int
    ranges: tuple[tuple[int, int], ...] = ()


def forms(batch: dict[str, object]) -> list[bytes]:
    return [json.dumps(batch).encode(), msgspec.msgpack.encode(batch)]


@pytest.mark.parametrize("payload", forms(FIRST), ids=["json", "msgpack"])
def test_a_batch_of_the_first_agents_is_taken_whole(payload: bytes) -> None:
    batch = codec.decode(payload)
    assert (batch.seq, batch.dropped, batch.clock, batch.about) == (42, ((3, 9),), None, None)
    assert batch.readings[0].samples[0].value == 503.0


@pytest.mark.parametrize("payload", forms({**FIRST, "clock": 1795299905.75, "of_tomorrow": {"x": 1}}))
def test_a_clock_is_read_and_keys_of_tomorrow_are_ignored(payload: bytes) -> None:
    assert codec.decode(payload).clock == 1795299905.75


@pytest.mark.parametrize("version", [0, codec.VERSION + 1, 99])
@pytest.mark.parametrize("form", [0, 1], ids=["json", "msgpack"])
def test_a_version_that_is_neither_ours_nor_the_one_before_is_refused_by_name(version: int, form: int) -> None:
    with pytest.raises(MalformedBatch) as caught:
        codec.decode(forms({**FIRST, "v": version})[form])
    assert (caught.value.reason, str(version) in str(caught.value)) == ("version", True)


def test_the_first_agents_understand_every_acknowledgement() -> None:
    for ack in (Ack("9f3c0d5e7a1b2c48", 7, ((9, 12),)), Ack("9f3c0d5e7a1b2c48", 0, (), 15.0)):
        read = msgspec.json.decode(codec.encode_ack(ack), type=FirstAck)
        assert (read.epoch, read.upto, read.ranges) == (ack.epoch, ack.upto, ack.ranges)
