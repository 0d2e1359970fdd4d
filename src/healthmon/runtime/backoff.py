"""Exponential backoff with full jitter (AWS Architecture Blog, 2015: "Exponential Backoff And Jitter")."""

from __future__ import annotations

import random


class Backoff:
    """Delays in seconds: uniform in (0, min(cap, first * 2^n)], never below `floor_s`."""

    def __init__(self, *, first_s: float = 0.5, cap_s: float = 30.0, floor_s: float = 0.05) -> None:
        self._first_s = first_s
        self._cap_s = cap_s
        self._floor_s = floor_s
        self._tries = 0

    def next_s(self) -> float:
        """The next delay."""
        ceiling = min(self._cap_s, self._first_s * 2.0 ** min(self._tries, 30))
        self._tries += 1
        return max(self._floor_s, random.uniform(0.0, ceiling))

    def reset(self) -> None:
        """Call after success."""
        self._tries = 0
