"""A bounded queue with a named policy for when it is full, and counts of what happened."""

from __future__ import annotations

import asyncio
from collections import deque
from enum import StrEnum
from typing import Generic, TypeVar

Item = TypeVar("Item")


class FullPolicy(StrEnum):
    """block: the producer waits; drop_oldest: the oldest goes, counted; refuse: `offer` says no (spool keeps it)."""

    BLOCK = "block"
    DROP_OLDEST = "drop_oldest"
    REFUSE = "refuse"


class BoundedQueue(Generic[Item]):
    """First in, first out. accepted, dropped and refused are three numbers."""

    def __init__(self, *, name: str, limit: int, policy: FullPolicy) -> None:
        self.name = name
        self.limit = limit
        self.policy = policy
        self.accepted = 0
        self.dropped = 0
        self.refused = 0
        self._items: deque[Item] = deque()
        self._filled = asyncio.Event()
        self._drained = asyncio.Event()

    def __len__(self) -> int:
        return len(self._items)

    @property
    def first(self) -> Item | None:
        """What has waited longest."""
        return self._items[0] if self._items else None

    def offer(self, item: Item) -> bool:
        """Put without waiting; False when the queue is full and the policy is not to drop."""
        if len(self._items) >= self.limit:
            if self.policy is not FullPolicy.DROP_OLDEST:
                self.refused += 1
                return False
            self._items.popleft()
            self.dropped += 1
        self._items.append(item)
        self.accepted += 1
        self._filled.set()
        return True

    async def put(self, item: Item) -> bool:
        """Put by the policy; waits only under `block`."""
        while self.policy is FullPolicy.BLOCK and len(self._items) >= self.limit:
            self._drained.clear()
            await self._drained.wait()
        return self.offer(item)

    async def take(self, most: int) -> list[Item]:
        """Wait for at least one item and return up to `most`."""
        while not self._items:
            self._filled.clear()
            await self._filled.wait()
        taken = [self._items.popleft() for _ in range(min(most, len(self._items)))]
        self._drained.set()
        return taken
