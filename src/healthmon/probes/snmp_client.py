"""The SNMP port: one session to one device, read as scalars and columns, with partial results."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from healthmon.model.errors import HealthmonError
from healthmon.model.sample import Reason

#: INTEGER and counters are int, OCTET STRING is bytes, OBJECT IDENTIFIER and IpAddress are str.
SnmpValue = int | float | bytes | str

#: OIDs in one GET: a response with this many counters stays under an Ethernet frame.
GET_CHUNK = 20


class SnmpTrouble(HealthmonError):
    """The device did not give what was asked; `reason` says whose fault that is."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
        self.detail = detail


class SnmpTooBig(SnmpTrouble):
    """The answer does not fit into a datagram of the device; ask for less."""

    def __init__(self) -> None:
        super().__init__(Reason.BAD_RESPONSE, "tooBig")


@dataclass(frozen=True, slots=True)
class Credentials:
    """SNMPv1 or v2c community, or SNMPv3 user with what protects it. Hashable: sessions are kept by it."""

    version: str = "2c"  # 1, 2c or 3
    community: str = field(default="public", repr=False)
    user: str = ""
    auth_protocol: str | None = None
    auth_password: str = field(default="", repr=False)
    priv_protocol: str | None = None
    priv_password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Device:
    """One agent. `timeout_s` is for one request, `retries` more follow a silence."""

    ip: str
    port: int
    credentials: Credentials
    timeout_s: float = 1.0
    retries: int = 1
    max_repetitions: int = 20


class Cursor(Protocol):
    """A place in a column."""

    async def page(self) -> Sequence[tuple[str, SnmpValue]]:
        """The next (OID, value) pairs, none at the end. After SnmpTrouble it may be called again."""
        ...


class SnmpSession(Protocol):
    """A conversation with one device; one request in flight."""

    async def get(self, oids: Sequence[str]) -> dict[str, SnmpValue]:
        """One GET; OIDs that the device does not have are absent. Raises SnmpTrouble."""
        ...

    def column(self, oid: str) -> Cursor:
        """Walk below `oid` by GETBULK."""
        ...


class SnmpClient(Protocol):
    """Gives sessions; keeps what is dear to make."""

    def session(self, device: Device) -> AbstractAsyncContextManager[SnmpSession]: ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Column:
    """What came of one column: (index, value) in order, and why it is not the whole."""

    rows: tuple[tuple[str, SnmpValue], ...]
    trouble: SnmpTrouble | None = None


async def read_scalars(
    session: SnmpSession, oids: Sequence[str], *, retries: int, anchor: str | None = None
) -> dict[str, SnmpValue]:
    """GET any number of OIDs in pieces; a piece that is too big is halved. Raises SnmpTrouble.

    `anchor` is an OID that most devices have. It goes with every piece, so that "none of these" is not mistaken
    for "too big" by a library that cannot tell them apart.
    """
    found: dict[str, SnmpValue] = {}
    with_it = [anchor] if anchor else []
    others = [oid for oid in oids if oid != anchor]
    size = GET_CHUNK - len(with_it)
    pieces = [with_it + others[at : at + size] for at in range(0, len(others), size)] or [with_it]
    while pieces:
        piece = pieces.pop()
        try:
            found.update(await _get(session, piece, retries=retries))
        except SnmpTooBig:
            if len(piece) == 1:
                raise
            pieces += [piece[: len(piece) // 2], piece[len(piece) // 2 :]]
    return found


async def _get(session: SnmpSession, oids: list[str], *, retries: int) -> dict[str, SnmpValue]:
    for left in range(retries, -1, -1):
        try:
            return await session.get(oids)
        except SnmpTrouble as trouble:
            if trouble.reason is not Reason.TIMEOUT or not left:
                raise
    raise AssertionError("unreachable")


async def read_column(session: SnmpSession, oid: str, *, retries: int, most: int) -> Column:
    """Walk one column. What came before a fault is kept; OIDs that do not increase and `most` rows end it."""
    rows: list[tuple[str, SnmpValue]] = []
    cursor = session.column(oid)
    prefix = oid + "."
    last: tuple[int, ...] = ()
    while True:
        try:
            page = await _page(cursor, retries=retries)
        except SnmpTrouble as trouble:
            return Column(tuple(rows), trouble)
        if not page:
            return Column(tuple(rows))
        for name, value in page:
            if not name.startswith(prefix):
                return Column(tuple(rows))
            index = name[len(prefix) :]
            here = tuple(map(int, index.split("."))) if "." in index else (int(index),)
            if here <= last:
                odd = SnmpTrouble(Reason.BAD_RESPONSE, f"OIDs do not increase after {oid}.{index}")
                return Column(tuple(rows), odd)
            if len(rows) >= most:
                return Column(tuple(rows), SnmpTrouble(Reason.TOO_LARGE, f"more than {most} rows under {oid}"))
            rows.append((index, value))
            last = here


async def _page(cursor: Cursor, *, retries: int) -> Sequence[tuple[str, SnmpValue]]:
    for left in range(retries, -1, -1):
        try:
            return await cursor.page()
        except SnmpTrouble as trouble:
            if trouble.reason is not Reason.TIMEOUT or not left:
                raise
    raise AssertionError("unreachable")
