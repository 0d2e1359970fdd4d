"""The workers by their own words, and how far their line was read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthmon.app.handover import LINE, Crew, place_of
from healthmon.app.workshift import LIFE_S
from healthmon.model.errors import MalformedBatch
from healthmon.model.journal import Epoch
from healthmon.model.sample import Outcome, Reading, Sample
from healthmon.transport.hands import Beat, Hand, Handed, decode_beat, decode_hand, encode_beat, encode_hand
from healthmon.transport.workline import Place


def test_counters_go_on_over_restarts_and_a_silent_worker_is_lost_once() -> None:
    crew = Crew()
    crew.heard(Beat("a", "first", counters={"done": 5.0}), 0.0)
    crew.heard(Beat("a", "second", counters={"done": 1.0}), 1.0)
    crew.heard(Beat("b", "only", counters={"done": 2.0}), 1.0)
    crew.missed(1.0 + LIFE_S)
    assert (crew.lost, crew.counted()) == (0, {"done": 8.0})
    crew.heard(Beat("b", "only", left=True, counters={"done": 3.0}), 2.0)
    crew.missed(2.0 + LIFE_S)
    crew.missed(3.0 + LIFE_S)
    assert (crew.lost, crew.alive, crew.counted()) == (1, {}, {"done": 9.0})


def test_reading_goes_on_where_the_newest_line_was_read() -> None:
    old = Epoch(LINE, "made-before", 0.0, 0.0, 10.0, received=((1, 900),))
    new = Epoch(LINE, "made-later", 0.0, 0.0, 20.0, received=((1, 7),))
    agent = Epoch("pc-1", "e", 0.0, 0.0, 30.0, received=((1, 99),))
    assert place_of({(one.agent, one.epoch): one for one in (new, old, agent)}) == Place("made-later", 7)
    assert place_of({}) == Place()


def test_a_hand_comes_out_as_it_went_in() -> None:
    look = Reading("t", "c", "pc-1", 1.5, 0.1, Outcome.OK, None, "", (Sample("icmp", "loss_ratio", 0.5),))
    epoch = Epoch("pc-1", "e", 0.25, 1.0, 2.0, received=((1, 3),), clock=((0, 0.25, 7.0),))
    hand = Hand("a", (Handed(epoch, 3, 2.0, 1.75, True, (look,), None, 31),), (("pc-1", "e", 2),))
    assert decode_hand(encode_hand(hand)) == hand
    beat = Beat("a", "run", 16, False, counters={"x": 1.0})
    assert decode_beat(encode_beat(beat)) == beat


@given(st.binary(max_size=200))
def test_what_is_no_hand_is_refused(payload: bytes) -> None:
    """Random bytes are neither; a damaged hand is refused in one way."""
    for decode in (decode_hand, decode_beat):
        with pytest.raises(MalformedBatch):
            decode(payload)


def test_a_hand_of_another_version_is_refused() -> None:
    with pytest.raises(MalformedBatch):
        decode_hand(encode_hand(Hand("a", (), (), 2)))
