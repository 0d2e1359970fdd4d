"""An SNMP library, network and agent in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from healthmon.model.sample import Reason
from healthmon.probes.snmp_client import Device, SnmpTrouble

#: Rows of one answer.
PAGE = 3


@dataclass
class Memory:
    """An SNMP library, network and agent in one: values by OID, columns that stay silent, a log of what was asked."""

    values: dict[str, Any]
    silent: set[str] = field(default_factory=set)
    refuses: SnmpTrouble | None = None
    asked: list[str] = field(default_factory=list)
    devices: list[Device] = field(default_factory=list)

    @asynccontextmanager
    async def session(self, device: Device) -> AsyncIterator[Memory]:
        self.devices.append(device)
        if self.refuses:
            raise self.refuses
        yield self

    async def close(self) -> None:
        self.devices.clear()

    async def get(self, oids: Sequence[str]) -> dict[str, Any]:
        self.asked += oids
        if self.silent.intersection(oids):
            raise SnmpTrouble(Reason.TIMEOUT, "no answer")
        return {oid: self.values[oid] for oid in oids if oid in self.values}

    def column(self, oid: str) -> MemoryCursor:
        self.asked.append(oid)
        rows = [(name, value) for name, value in self.values.items() if name.startswith(oid + ".")]
        return MemoryCursor(rows, stalls=oid in self.silent)


@dataclass
class MemoryCursor:
    rows: list[tuple[str, Any]]
    stalls: bool

    async def page(self) -> Sequence[tuple[str, Any]]:
        page, self.rows = self.rows[:PAGE], self.rows[PAGE:]
        if not page and self.stalls:
            raise SnmpTrouble(Reason.TIMEOUT, "no answer")
        return page
