"""How much one agent may send: so much at once and so much a second, in messages and in bytes. Pure.

A loop, a cloned disk or a stranger must not take what the others need. What is too much is put off, not lost: it is not
acknowledged, so the agent's spool keeps it and sends it again, later and ever less often.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Well above the pace at which one agent catches up (200 batches a second).
MESSAGES_HZ, MESSAGES_AT_ONCE = 500.0, 5_000.0
BYTES_HZ, BYTES_AT_ONCE = 8.0 * (1 << 20), 64.0 * (1 << 20)


@dataclass(slots=True)
class _Purse:
    """What an agent has left, as of `at` (monotonic s)."""

    at: float
    messages: float = MESSAGES_AT_ONCE
    bytes: float = BYTES_AT_ONCE

    def spend(self, size: int, mono: float) -> bool:
        passed = max(0.0, mono - self.at)
        self.at = mono
        self.messages = min(MESSAGES_AT_ONCE, self.messages + passed * MESSAGES_HZ)
        self.bytes = min(BYTES_AT_ONCE, self.bytes + passed * BYTES_HZ)
        if self.messages < 1.0 or self.bytes < size:
            return False
        self.messages -= 1.0
        self.bytes -= size
        return True


class Allowances:
    """One purse for each agent that is declared, and one for all strangers together, so that names cost nothing."""

    def __init__(self) -> None:
        self._purses: dict[str, _Purse] = {}

    def allow(self, agent: str | None, size: int, mono: float) -> bool:
        """Whether this message may be looked at now; `agent` None is a stranger."""
        purse = self._purses.setdefault(agent or "", _Purse(mono))
        return purse.spend(size, mono)
