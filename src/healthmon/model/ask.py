"""The one noun that goes the other way to an agent: a request to look again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ask:
    """Please probe this now; the answer is an ordinary reading, no answer by the deadline means unknown."""

    target: str
    check: str
    vantage: str
    deadline: float
