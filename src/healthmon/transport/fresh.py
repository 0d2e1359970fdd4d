"""Live batches at hand for sending without a read of the disk."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from healthmon.transport.shelf import Pending

FRESH_LIMIT = 256


class Fresh:
    """Live batches that were not sent yet, with the moment of their append (monotonic s); for both threads."""

    def __init__(self) -> None:
        self._items: dict[tuple[str, int], tuple[Pending, float]] = {}
        self._lock = threading.Lock()

    def add(self, batch: Pending, mono: float) -> None:
        with self._lock:
            while len(self._items) >= FRESH_LIMIT:  # the oldest becomes catch-up, it is on disk anyway
                del self._items[next(iter(self._items))]
            self._items[batch.epoch, batch.seq] = (batch, mono)

    def newest(self, limit: int, since: float) -> list[Pending]:
        with self._lock:
            for name in [name for name, (_, mono) in self._items.items() if mono < since]:
                del self._items[name]
            return [batch for batch, _ in reversed(self._items.values())][:limit]

    def names(self) -> frozenset[tuple[str, int]]:
        with self._lock:
            return frozenset(self._items)

    def drop(self, names: Iterable[tuple[str, int]]) -> None:
        with self._lock:
            for name in names:
                self._items.pop(name, None)
