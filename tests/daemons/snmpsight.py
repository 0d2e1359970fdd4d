"""A look at loopback without a guard, for probes whose server runs in the test."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from healthmon.model.ports import Address
from healthmon.runtime.clock import SystemClock


class Sight:
    """Keeps the transcript."""

    vantage = "poller"
    waited_s = 0.0

    def __init__(self) -> None:
        self.clock = SystemClock()
        self.lines: list[str] = []

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        return [Address(socket.AF_INET, host, port)]

    def trace(self, line: str) -> None:
        self.lines.append(line)
