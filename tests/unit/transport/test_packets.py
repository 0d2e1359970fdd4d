"""MQTT packets of the load generator: what they look like on the wire, and how they are read in pieces."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healthmon.transport import packets


def test_a_connect_is_what_the_standard_says() -> None:
    packet = packets.connect("pc", username="u", password="p", will=("t", b"x"), keepalive_s=20)
    head = b"\x00\x04MQTT\x04" + bytes((0x80 | 0x40 | 0x20 | 0x08 | 0x04 | 0x02,)) + b"\x00\x14"
    assert packet == b"\x10" + bytes((len(packet) - 2,)) + head + b"\x00\x02pc\x00\x01t\x00\x01x\x00\x01u\x00\x01p"


def test_who_has_no_password_sends_none() -> None:
    packet = packets.connect("pc", username=None, password=None, will=None, keepalive_s=20)
    assert packet == b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x14\x00\x02pc"


@settings(max_examples=30, deadline=None)
@given(
    payloads=st.lists(st.binary(max_size=300) | st.just(b"x" * 20_000), max_size=4),
    cuts=st.lists(st.integers(0, 60_000), max_size=6),
)
def test_packets_are_read_whole_however_they_come(payloads: list[bytes], cuts: list[int]) -> None:
    sent = b"".join(packets.publish("a/b", payload, number=7, retain=True) for payload in payloads)
    places = sorted({0, *(min(cut, len(sent)) for cut in cuts), len(sent)})
    received, got = bytearray(), []
    for start, end in pairwise(places):
        received += sent[start:end]
        got += [packets.published(flags, body) for kind, flags, body in packets.split(received)]
    assert got == [("a/b", payload) for payload in payloads]
    assert not received


def test_a_length_without_end_is_refused() -> None:
    with pytest.raises(packets.NotMqtt):
        list(packets.split(bytearray(b"\x30\xff\xff\xff\xff\xff\x01")))


def test_a_topic_that_is_no_text_is_refused() -> None:
    with pytest.raises(packets.NotMqtt):
        packets.published(0, b"\x00\x01\xff")
