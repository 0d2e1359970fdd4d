"""What rules remember of one series: windows of readings, recent judgements, last values. Bounded, and exact on disk.

A cell is kept in parts, so that a reading rewrites a small one. Cells hold no rules and no clock.
"""

from __future__ import annotations

import math
import struct
from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterator
from itertools import pairwise

from healthmon.alerting.detect.courses import Course

#: A window keeps at most so many slots; readings that fall into one slot share its mean, least, greatest and last.
SLOTS_MOST = 60
#: Judgements kept for flapping (Icinga keeps 20).
CHANGES_KEPT = 20
#: The most that `OfLast` looks back.
READINGS_MOST = 64
_FIELDS = 6  # at, last, count, sum, min, max
_HEAD = struct.Struct("<9d")
_MASK = struct.Struct("<QId")
_FLAP = struct.Struct("<I??d")
#: A window counts as full when readings have come for this share of it.
_FULL = 0.8
_NAN = math.nan


#: (kind, detail, target, check, vantage, labels); w gauge, r counter, c changed, n of last, b baseline, f flapping,
#: p presence.
CellKey = tuple[str, str, str, str, str, tuple[tuple[str, str], ...]]


class Cell(ABC):
    """One thing remembered. Parts are counted in bits: part 3 is 1 << 3.

    at: when it was last told something (Unix s); dirty: parts that differ from the disk; stored: parts on the disk;
    key: None while no memory keeps it; queued: it will be looked at when the next rows are written.
    """

    __slots__ = ("at", "dirty", "key", "name", "queued", "stored")

    def __init__(self) -> None:
        self.at = -math.inf
        self.dirty = self.stored = 0
        self.key: CellKey | None = None
        self.name = ""
        self.queued = False

    @abstractmethod
    def pack(self, part: int) -> bytes:
        """One part as it stands on disk."""

    @abstractmethod
    def load(self, part: int, body: bytes) -> None:
        """Take up one part. Raises ValueError, IndexError, struct.error."""


class Slots(Cell):
    """Readings of one metric over the last `over_s` seconds, in at most SLOTS_MOST slots (part 0: newest, 1: the rest).

    A counter is kept as a running total that rises by what it rose, whatever resets and wraps it went through.
    `least` and `most` enclose every reading of the window, and may be wider than need be until `tighten`.
    """

    __slots__ = (
        "began", "closed", "fit_at", "fits", "least", "most", "open", "over_s", "raw", "slot_s", "steep", "steep_at",
        "total",
    )  # fmt: skip

    def __init__(self, over_s: float) -> None:
        super().__init__()
        self.over_s = over_s
        self.slot_s = over_s / SLOTS_MOST
        self.closed = array("d")
        self.open: list[float] = []
        self.began = -math.inf
        self.raw, self.total = _NAN, 0.0
        self.least, self.most = math.inf, -math.inf
        self.steep_at, self.steep = -math.inf, (0.0, 0.0)
        self.fit_at = -math.inf  # lines through the closed slots up to here, by confidence
        self.fits: dict[float, Course | None] = {}

    def put(self, at: float, value: float) -> None:
        """One more reading; an older one than the newest is left out."""
        if at <= self.at:
            return
        if at - self.at > self.over_s:
            self.began = at
            self.open = []
        newest, self.dirty = self.open, self.dirty | 1
        if newest and at // self.slot_s == self.at // self.slot_s:
            newest[0], newest[1] = at, value
            newest[2] += 1
            newest[3] += value
            if value < newest[4]:
                newest[4] = value
            elif value > newest[5]:
                newest[5] = value
        else:
            self.closed.extend(newest)
            self.open = [at, value, 1.0, value, value, value]
            self.dirty = 3
        if value < self.least:
            self.least = value
        if value > self.most:
            self.most = value
        self.at = at
        if self.closed and self.closed[0] <= at - self.over_s:
            self._forget(at - self.over_s)

    def tighten(self) -> None:
        """Have `least` and `most` be those of the window."""
        self.least, self.most = min(self.column(4), default=math.inf), max(self.column(5), default=-math.inf)

    def steepest(self) -> tuple[float, float]:
        """The least and the greatest slope between neighbours of `settled`, per second: no two points lie outside."""
        newest = self.closed[-_FIELDS] if self.closed else -math.inf
        if self.steep_at != newest:
            points = self.settled()
            slopes = [(w - v) / (u - t) for (t, v), (u, w) in pairwise(points)] or [0.0]
            self.steep_at, self.steep = newest, (min(slopes), max(slopes))
        return self.steep

    def count_up(self, at: float, value: float, bits: int) -> None:
        """One more value of a counter."""
        if at > self.at:
            if at - self.at <= self.over_s and not math.isnan(self.raw):
                self.total += increase(self.raw, value, bits)
            self.raw = value
            self.put(at, self.total)

    def full(self, least: int = 2) -> bool:
        """Enough readings, over enough of the window."""
        if self.at - self.began < _FULL * self.over_s:
            return False
        slots = len(self.closed) // _FIELDS + bool(self.open)
        return slots >= least or self.count() >= least  # no slot is without a reading

    def count(self) -> int:
        """Readings in the window."""
        return int(sum(self.closed[2::_FIELDS]) + (self.open[2] if self.open else 0.0))

    def column(self, field: int) -> list[float]:
        """One figure of every slot, oldest first: 0 time, 1 last, 2 count, 3 sum, 4 least, 5 greatest."""
        return [*self.closed[field::_FIELDS], *self.open[field : field + 1]]

    def points(self) -> Iterator[tuple[float, float]]:
        """(Unix s, mean) of every slot, the newest too."""
        return ((at, total / n) for at, n, total in zip(self.column(0), self.column(2), self.column(3), strict=True))

    def settled(self) -> list[tuple[float, float]]:
        """(Unix s, mean) of the slots that no further reading can change."""
        cells = self.closed
        return [(cells[n], cells[n + 3] / cells[n + 2]) for n in range(0, len(cells), _FIELDS)]

    def rise(self) -> tuple[float, float]:
        """(change, seconds) between the oldest and the newest reading of the window."""
        first = self.closed if self.closed else self.open
        return self.open[1] - first[1], self.open[0] - first[0]

    def pack(self, part: int) -> bytes:
        if part == 1:
            return self.closed.tobytes()
        return _HEAD.pack(self.began, self.raw, self.total, *self.open)

    def load(self, part: int, body: bytes) -> None:
        if part == 1:
            self.closed = array("d", body)
        else:
            self.began, self.raw, self.total, *self.open = _HEAD.unpack(body)
            self.at = self.open[0]
        self.least, self.most = -math.inf, math.inf

    def _forget(self, before: float) -> None:
        gone = 0
        while gone < len(self.closed) and self.closed[gone] <= before:
            gone += _FIELDS
        if gone:
            del self.closed[:gone]
            self.dirty |= 2


def increase(before: float, after: float, bits: int) -> float:
    """How far a counter rose. Less than before is a wrap near the end of its range, else a restart from nothing.

    bits: 32 or 64 where the counter's width is known (RFC 2578 Counter32, Counter64); 0 allows restarts only.
    """
    if after >= before:
        return after - before
    span = 2.0**bits if bits else 0.0
    wrapped = bits and before > 0.75 * span and after < 0.25 * span
    return after + span - before if wrapped else after


class Mask(Cell):
    """The last judgements of one condition, newest in bit 0."""

    __slots__ = ("bits", "seen")

    def __init__(self) -> None:
        super().__init__()
        self.bits = self.seen = 0

    def put(self, at: float, held: bool) -> None:
        if at > self.at:
            self.bits = (self.bits << 1 | held) & (1 << READINGS_MOST) - 1
            if self.seen < READINGS_MOST:
                self.seen += 1
            self.at = at
            self.dirty |= 1

    def held(self, last: int) -> int:
        """How often it held among the last so many."""
        return (self.bits & (1 << last) - 1).bit_count()

    def pack(self, part: int) -> bytes:
        return _MASK.pack(self.bits, self.seen, self.at)

    def load(self, part: int, body: bytes) -> None:
        self.bits, self.seen, self.at = _MASK.unpack(body)


class Last(Cell):
    """The newest value as a word, and when it last became another."""

    __slots__ = ("changed_at", "was", "word")

    def __init__(self) -> None:
        super().__init__()
        self.word = self.was = ""
        self.changed_at = -math.inf

    def put(self, at: float, word: str) -> None:
        if at <= self.at:
            return
        if self.at > -math.inf and word != self.word:
            self.was, self.changed_at = self.word, at
        self.at, self.word = at, word
        self.dirty |= 1

    def pack(self, part: int) -> bytes:
        return struct.pack("<2d", self.at, self.changed_at) + f"{self.was}\0{self.word}".encode()

    def load(self, part: int, body: bytes) -> None:
        self.at, self.changed_at = struct.unpack_from("<2d", body)
        self.was, _, self.word = body[16:].decode().partition("\0")


class Flapping(Cell):
    """Changes of state among the last 20 judgements, weighted from 0.8 (oldest) to 1.18 (newest).

    Source: Icinga 2 documentation, section Check Flapping, with its example of 39.1 %.
    """

    __slots__ = ("bad", "changes", "on")

    def __init__(self) -> None:
        super().__init__()
        self.changes = 0  # newest in bit 0
        self.bad = self.on = False

    def put(self, at: float, bad: bool, *, high: float, low: float) -> bool:
        """One more judgement; whether it flaps now."""
        self.changes = (self.changes << 1 | (bad is not self.bad)) & (1 << CHANGES_KEPT) - 1
        self.bad, self.at = bad, at
        share = self.share()
        self.on = share >= low if self.on else share > high
        self.dirty |= 1
        return self.on

    def share(self) -> float:
        """The weighted share of changes, 0 to 0.99."""
        weights = (0.8 + 0.02 * (CHANGES_KEPT - 1 - n) for n in range(CHANGES_KEPT) if self.changes >> n & 1)
        return sum(weights) / CHANGES_KEPT

    def quiet(self) -> bool:
        """Nothing left to remember."""
        return not (self.changes or self.bad)

    def pack(self, part: int) -> bytes:
        return _FLAP.pack(self.changes, self.bad, self.on, self.at)

    def load(self, part: int, body: bytes) -> None:
        self.changes, self.bad, self.on, self.at = _FLAP.unpack(body)
