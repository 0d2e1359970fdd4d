"""Hands that are too large for one message go in pieces, and nothing of them is missing."""

from __future__ import annotations

from typing import Any

import pytest

from healthmon.app import handpieces
from healthmon.app.handpieces import groups, pieces
from healthmon.model.journal import Epoch
from healthmon.model.judged import Answered, Judged
from healthmon.model.sample import Outcome, Reading, Sample
from healthmon.transport.hands import Hand, Handed, decode_hand, rows_of


def refuse(_agent: str, reason: str, _note: dict[str, Any]) -> None:
    raise AssertionError(reason)


def handed(seq: int, readings: int, *, bad: int | None = None) -> Handed:
    looks = tuple(
        Reading("web", f"c{n}", "pc-1", 1.0 + n, 0.1, Outcome.OK, samples=(Sample("icmp", "rtt_avg_seconds", n / 3),))
        for n in range(readings)
    )
    judged = (Judged(bad, bad=True, usual=None, answers=(Answered("q", (), True, 1.5, "word"),)),) if bad else ()
    return Handed(Epoch("pc-1", "e", 0.0, 0.0, 0.0), seq, 2.0, 1.5, True, looks, judged=judged)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handpieces, "PIECE_BYTES", 2_000)


def test_readings_findings_and_memory_arrive_whole_and_say_where_a_batch_ends() -> None:
    whole = [handed(1, 40, bad=33), handed(2, 3), handed(3, 1)]
    rows = {f"w|{n}": bytes(10) for n in range(400)}
    found = [decode_hand(payload) for payload in pieces(Hand("w", tuple(whole), seal="s"), rows, refuse)]
    assert all(len(payload) <= 2_000 for payload in pieces(Hand("w", tuple(whole), seal="s"), {}, refuse))
    remembered: dict[str, bytes] = {}
    for hand in found:
        remembered |= rows_of(hand)
    assert remembered == rows
    first = next(number for number, hand in enumerate(found) if hand.batches)
    assert not any(rows_of(hand) for hand in found[first:]), "memory goes before what was judged with it"
    parts = [one for hand in found for one in hand.batches]
    for one in whole:
        mine = [part for part in parts if part.seq == one.seq]
        assert tuple(reading for part in mine for reading in part.readings) == one.readings
        assert [part.more for part in mine] == [True] * (len(mine) - 1) + [False]
        assert [bool(part.part) for part in mine] == [False] + [True] * (len(mine) - 1)
        bad = [part.readings[judged.number].check for part in mine for judged in part.judged or ()]
        assert bad == [one.readings[judged.number].check for judged in one.judged or ()]


def test_a_small_hand_is_one_message_with_its_memory() -> None:
    (payload,) = pieces(Hand("w", (handed(1, 2),)), {"w|x": b"1"}, refuse)
    assert rows_of(decode_hand(payload)) == {"w|x": b"1"}


def test_one_reading_that_is_too_large_is_set_aside() -> None:
    large = Reading("web", "c", "pc-1", 1.0, 0.1, Outcome.FAILED, detail="x" * 3_000)
    one = Handed(Epoch("pc-1", "e", 0.0, 0.0, 0.0), 1, 2.0, 1.5, True, (large,))
    aside: list[str] = []
    assert list(pieces(Hand("w", (one,)), {}, lambda agent, reason, _note: aside.append(f"{agent} {reason}"))) == []
    assert aside == ["pc-1 oversize"]


def test_groups_keep_order_and_lose_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handpieces, "HAND_BYTES", 1_000)
    batches = [handed(seq, 5) for seq in range(1, 8)]
    found = list(groups(batches))
    assert [one for group in found for one in group] == batches
    assert len(found) > 1
