"""Hands in pieces: a message of NATS may have 1 MiB, and readings take more room in a hand than in the batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import msgspec

from healthmon.transport.hands import NOTHING, Hand, Handed, encode_hand, encode_rows

HAND_BYTES = 384 * 1024
PIECE_BYTES = 900 * 1024
#: A batch that is too large even with one reading: its agent, the word for it, and what it was.
Aside = Callable[[str, str, dict[str, Any]], None]


def groups(handed: Sequence[Handed]) -> Iterator[list[Handed]]:
    """So that few have to be encoded twice: about so many bytes each."""
    group: list[Handed] = []
    size = 0
    for one in handed:
        size += sum(80 + 60 * len(reading.samples) for reading in one.readings)
        group.append(one)
        if size > HAND_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def pieces(hand: Hand, rows: Mapping[str, bytes], aside: Aside) -> Iterator[bytes]:
    """As it goes onto the line. What is remembered goes first: remembered twice is harmless, forgotten is not."""
    payload = encode_hand(msgspec.structs.replace(hand, memory=encode_rows(dict(rows)) if rows else NOTHING))
    if len(payload) <= PIECE_BYTES:
        yield payload
        return
    yield from _memory(hand, rows)
    yield from _batches(hand, aside)


def _memory(hand: Hand, rows: Mapping[str, bytes]) -> Iterator[bytes]:
    left = iter(rows.items())
    while some := list(islice(left, 256)):
        yield encode_hand(Hand(hand.worker, (), seal=hand.seal, memory=encode_rows(dict(some))))


def _batches(hand: Hand, aside: Aside) -> Iterator[bytes]:
    payload = encode_hand(hand)
    if len(payload) <= PIECE_BYTES:
        yield payload
    elif len(hand.batches) > 1:
        for one in hand.batches:
            yield from _batches(msgspec.structs.replace(hand, batches=(one,)), aside)
    elif len(hand.batches[0].readings) > 1:
        for half in _halves(hand.batches[0]):
            yield from _batches(msgspec.structs.replace(hand, batches=(half,)), aside)
    else:
        one = hand.batches[0]
        batch = {"key": (one.epoch.agent, one.seq), "readings": msgspec.to_builtins(one.readings)}
        aside(one.epoch.agent, "oversize", batch)


def _halves(whole: Handed) -> Iterator[Handed]:
    half = len(whole.readings) // 2
    for part, (begin, end) in enumerate(((0, half), (half, len(whole.readings)))):
        judged = whole.judged
        if judged is not None:
            judged = tuple(replace(one, number=one.number - begin) for one in judged if begin <= one.number < end)
        yield msgspec.structs.replace(
            whole, readings=whole.readings[begin:end], part=whole.part or part, judged=judged,
            more=whole.more or part == 0,
        )  # fmt: skip
