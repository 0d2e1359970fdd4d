"""When each job runs: a stable offset spreads the load, late runs are counted and never stacked."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Hashable, Iterable
from dataclasses import dataclass


def stable_offset_s(key: str, every_s: float) -> float:
    """The same key always starts at the same fraction of its interval.

    BLAKE2, because a CRC of names that differ in one digit leaves whole tenths of the interval empty.
    """
    digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64 * every_s


@dataclass(slots=True)
class Slot:
    """One entry of a schedule; `late` counts intervals that passed while it still ran, `rest` runs to leave out."""

    key: Hashable
    every_s: float
    next_at: float
    running: bool = False
    late: int = 0
    rest: int = 0


class Schedule:
    """Pure: `due(mono)` gives what should start, `done(key)` says it ended. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._slots: dict[Hashable, Slot] = {}
        self._heap: list[tuple[float, int, Hashable]] = []
        self._order = 0
        self._rested = 0

    def add(self, key: Hashable, *, every_s: float, start: float, offset_s: float | None = None) -> None:
        """First run at `start` plus the stable offset of the key (or `offset_s`)."""
        first = start + (stable_offset_s(str(key), every_s) if offset_s is None else offset_s)
        self._slots[key] = Slot(key, every_s, first)
        self._push(key, first)

    def take_over(self, other: Schedule, key: Hashable) -> bool:
        """Go on with this key where another schedule is; False when it does not know it."""
        slot = other._slots.get(key)
        if slot is None:
            return False
        self._slots[key] = slot
        self._push(key, slot.next_at)
        return True

    def due(self, mono: float) -> list[Hashable]:
        """Keys whose time has come; one still running is skipped and counted as late."""
        ready: list[Hashable] = []
        while self._heap and self._heap[0][0] <= mono:
            _, _, key = heapq.heappop(self._heap)
            slot = self._slots[key]
            missed = max(0, int((mono - slot.next_at) // slot.every_s))
            slot.next_at += (missed + 1) * slot.every_s
            self._push(key, slot.next_at)
            rested = min(slot.rest, missed + 1)
            slot.rest -= rested
            self._rested += rested
            slot.late += max(0, missed - rested)
            if rested == missed + 1:
                continue
            if slot.running:
                slot.late += 1
            else:
                slot.running = True
                ready.append(key)
        return ready

    def done(self, key: Hashable) -> None:
        """The run of `key` has ended; it may have been taken off the schedule meanwhile."""
        slot = self._slots.get(key)
        if slot is not None:
            slot.running = False

    def rest(self, key: Hashable, runs: int) -> None:
        """Leave out the next runs of `key`; 0 ends a rest. They are not late."""
        self._slots[key].rest = runs

    def next_at(self) -> float | None:
        """When something is due next, monotonic seconds."""
        return self._heap[0][0] if self._heap else None

    def late(self) -> int:
        """Runs that did not start on time, over all keys."""
        return sum(slot.late for slot in self._slots.values())

    def rested(self) -> int:
        """Runs that were left out on purpose, over all keys."""
        return self._rested

    def keys(self) -> Iterable[Hashable]:
        return self._slots.keys()

    def _push(self, key: Hashable, at: float) -> None:
        self._order += 1
        heapq.heappush(self._heap, (at, self._order, key))
