"""The SNMP probe: reads what a pack asks for, turns counters into rates, keeps what came before a stall."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, ClassVar

import msgspec

from healthmon.model.plan import Job
from healthmon.model.ports import Address, Sight
from healthmon.model.sample import Family, Reading, Reason, Sample
from healthmon.probes.look import Look
from healthmon.probes.reasons import Fault
from healthmon.probes.snmp_client import (
    Credentials,
    Device,
    SnmpClient,
    SnmpSession,
    SnmpTrouble,
    read_column,
    read_scalars,
)
from healthmon.probes.snmp_pack import Pack, Table, pack_families, parse_pack
from healthmon.probes.snmp_rows import (
    Answers,
    needed_columns,
    scalar_oids,
    scalar_samples,
    table_samples,
)
from healthmon.runtime.rates import Counters

__all__ = ["FAMILIES", "Params", "SnmpProbe", "pack_families"]

SYS_UPTIME = "1.3.6.1.2.1.1.3.0"
#: What the probe emits whatever the pack; the rest is in `pack_families(pack)`.
SYSTEM = "snmp_system"
FAMILIES = (Family(SYSTEM, frozenset({"uptime_seconds"})),)

AUTH_PROTOCOLS = ("MD5", "SHA", "SHA-224", "SHA-256", "SHA-384", "SHA-512")
PRIV_PROTOCOLS = ("DES", "AES", "AES-192", "AES-256")
CLIENTS = ("auto", "gufo", "pysnmp")

#: The probe ends before the runner's own timeout would, so that what came is not lost.
BUDGET_RATIO = 0.9
#: After so many silent columns in a row the device is not asked further.
SILENT_COLUMNS = 2


@dataclass(frozen=True, slots=True)
class Params:
    """How to talk to the agent and what to read. `pack` is the pack's content; without one only the uptime is read."""

    pack: Mapping[str, Any] = field(default_factory=dict)
    version: str = "2c"
    community: str = field(default="public", repr=False)
    user: str = ""
    auth_protocol: str | None = None
    auth_password: str = field(default="", repr=False)
    priv_protocol: str | None = None
    priv_password: str = field(default="", repr=False)
    port: int = 161
    retries: int = 1
    max_repetitions: int = 20
    max_rows: int = 2000
    client: str = "auto"
    interfaces: tuple[str, ...] = ()  # shell patterns of row names, `!pattern` leaves out

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        _one_of("version", self.version, ("2c", "3"))
        _one_of("client", self.client, CLIENTS)
        _in_range("port", self.port, 1, 65535)
        _in_range("retries", self.retries, 0, 5)
        _in_range("max_repetitions", self.max_repetitions, 1, 100)
        _in_range("max_rows", self.max_rows, 1, 100_000)
        if self.pack:
            parse_pack(self.pack)
        if self.version == "3":
            self._check_user()

    def _check_user(self) -> None:
        if not self.user:
            raise ValueError("version 3 needs user")
        if self.auth_protocol is not None:
            _one_of("auth_protocol", self.auth_protocol, AUTH_PROTOCOLS)
            _password("auth_password", self.auth_password)
        if self.priv_protocol is not None:
            _one_of("priv_protocol", self.priv_protocol, PRIV_PROTOCOLS)
            _password("priv_password", self.priv_password)
            if self.auth_protocol is None:
                raise ValueError("priv_protocol needs auth_protocol")

    def credentials(self) -> Credentials:
        """What identifies us to the agent."""
        if self.version == "2c":
            return Credentials("2c", self.community)
        return Credentials(
            "3", "", self.user, self.auth_protocol, self.auth_password, self.priv_protocol, self.priv_password
        )


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}")


def _in_range(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name} must be {low} to {high}")


def _password(name: str, value: str) -> None:
    """RFC 3414 section 11.2: at least eight characters; agents refuse shorter ones."""
    if len(value) < 8:
        raise ValueError(f"{name} needs at least 8 characters")


#: Without a pack the probe asks for sysUpTime: is the agent there?
NOTHING = Pack("system", "uptime only", "mib", "RFC 3418")


@dataclass(slots=True)
class _Prepared:
    raw: Mapping[str, Any]
    params: Params
    pack: Pack
    counters: Counters


@dataclass(slots=True)
class _Take:
    """What one run has so far."""

    answers: Answers = field(default_factory=Answers)
    uptime_ticks: int | None = None
    uptime_at: float = 0.0
    answered: bool = False
    indexes: dict[str, list[str]] = field(default_factory=dict)  # family -> rows that exist
    troubles: list[SnmpTrouble] = field(default_factory=list)
    skipped: int = 0  # columns not asked for, because the device had fallen silent


class SnmpProbe:
    """One instance serves all SNMP jobs of a process; counters and sessions live in it."""

    def __init__(self, clients: Mapping[str, SnmpClient] | None = None) -> None:
        self._prepared: dict[tuple[str, str, str], _Prepared] = {}
        self._clients: dict[str, SnmpClient] = dict(clients or {})

    async def probe(self, job: Job, sight: Sight) -> Reading:
        look, take = Look(job, sight), _Take()
        try:
            ready = self._prepare(job, sight)
            await self._read(look, ready, take, sight)
        except SnmpTrouble as trouble:
            return look.bad(Fault(trouble.reason, trouble.detail))
        return _reading(look, ready, take)

    async def close(self) -> None:
        """Let go of every session."""
        for client in self._clients.values():
            await client.close()

    def _prepare(self, job: Job, sight: Sight) -> _Prepared:
        key = (job.target, job.check, sight.vantage)
        ready = self._prepared.get(key)
        if ready is None or ready.raw is not job.params:
            try:
                params = msgspec.convert(job.params, Params)
                pack = parse_pack(params.pack) if params.pack else NOTHING
            except (ValueError, msgspec.ValidationError) as error:
                raise SnmpTrouble(Reason.BAD_PARAMS, str(error)) from error
            counters = ready.counters if ready else Counters(forget_s=max(3600.0, 10 * job.every_s))
            ready = _Prepared(job.params, params, pack, counters)
            self._prepared[key] = ready
        return ready

    async def _read(self, look: Look, ready: _Prepared, take: _Take, sight: Sight) -> None:
        """Fill `take`; a silence after the first answer is noted in it, everything before raises."""
        params = ready.params
        host, port = split_address(look.job.address, params.port)
        address = (await sight.resolve(host, port))[0]  # may wait for its turn: outside the budget
        whole_s = look.job.timeout_s * BUDGET_RATIO
        budget_s = max(0.05, whole_s - look.took_s())
        device = _device(address, params, whole_s)
        sight.trace(f"SNMP version {params.version} to {device.ip} port {device.port}")
        client = self._client(params.client, sight)
        try:
            async with asyncio.timeout(budget_s), client.session(device) as session:
                await _read_scalars(session, ready, take, sight)
                for table in ready.pack.tables:
                    await _read_table(session, table, params, take, sight)
        except TimeoutError:
            if not take.answered:
                raise SnmpTrouble(Reason.TIMEOUT, f"no answer within {budget_s:.1f} s") from None
            take.troubles.append(SnmpTrouble(Reason.TIMEOUT, f"not done within {budget_s:.1f} s"))

    def _client(self, wish: str, sight: Sight) -> SnmpClient:
        name = wish if wish != "auto" else _best_library()
        if name not in self._clients:
            self._clients[name] = _make_client(name, sight)
        return self._clients[name]


def split_address(address: str, port: int) -> tuple[str, int]:
    """`host`, `host:port`, `[ipv6]:port`, or a bare IPv6 address."""
    if address.startswith("["):
        host, _, rest = address[1:].partition("]")
        return host, int(rest[1:]) if rest.startswith(":") else port
    host, colon, rest = address.partition(":")
    if colon and rest.isdigit():
        return host, int(rest)
    return address, port


def _best_library() -> str:
    for name, module in (("gufo", "gufo.snmp"), ("pysnmp", "pysnmp")):
        with suppress(ModuleNotFoundError):  # of the parent package
            if importlib.util.find_spec(module) is not None:
                return name
    raise SnmpTrouble(Reason.NO_LIBRARY, "no SNMP library is installed; install healthmon[snmp]")


def _make_client(name: str, sight: Sight) -> SnmpClient:
    try:
        if name == "gufo":
            import gufo.snmp  # noqa: F401

            from healthmon.probes.snmp_gufo import GufoClient

            return GufoClient(clock=sight.clock)
        import pysnmp  # noqa: F401

        from healthmon.probes.snmp_pysnmp import PysnmpClient

        return PysnmpClient(clock=sight.clock)
    except ImportError as error:
        raise SnmpTrouble(Reason.NO_LIBRARY, f"{error}; install healthmon[snmp]") from error


async def _read_scalars(session: SnmpSession, ready: _Prepared, take: _Take, sight: Sight) -> None:
    """The first GET: is anybody there, how long is it up, and the pack's scalars."""
    oids = [SYS_UPTIME, *scalar_oids(ready.pack.scalars)]
    found = await read_scalars(session, oids, retries=ready.params.retries)
    mono = sight.clock.mono()
    take.answered = True
    uptime = found.get(SYS_UPTIME)
    take.uptime_ticks = uptime if isinstance(uptime, int) else None
    take.uptime_at = mono
    for oid, value in found.items():
        take.answers.put(oid, [("", value)], mono)
    sight.trace(f"GET {len(oids)} OIDs: {len(found)} values")


async def _read_table(session: SnmpSession, table: Table, params: Params, take: _Take, sight: Sight) -> None:
    """Walk the columns of one table. Alternatives are walked only for rows that still lack a value."""
    rows: dict[str, None] = {}
    silent = 0
    from_column = False
    for group in needed_columns(table):
        have: set[str] = set()
        for oid in group:
            if have and have.issuperset(rows):
                break
            if silent >= SILENT_COLUMNS:
                take.skipped += 1
                continue
            if oid not in take.answers.columns:
                trouble = await _walk(session, oid, params, take, sight)
                silent = silent + 1 if trouble and trouble.reason is Reason.TIMEOUT else 0
            have.update(take.answers.columns[oid])
            if group[0] == table.rows or (group == table.label_oids and not from_column):
                rows.update(dict.fromkeys(take.answers.columns[oid]))
        from_column = from_column or bool(rows)  # a device may lack the column of rows; then its names count
    take.indexes[table.family] = list(rows)


async def _walk(session: SnmpSession, oid: str, params: Params, take: _Take, sight: Sight) -> SnmpTrouble | None:
    column = await read_column(session, oid, retries=params.retries, most=params.max_rows)
    take.answers.put(oid, column.rows, sight.clock.mono())
    sight.trace(f"walk {oid}: {len(column.rows)} rows" + (f", {column.trouble}" if column.trouble else ""))
    if column.trouble is not None:
        if column.trouble.reason not in (Reason.TIMEOUT, Reason.BAD_RESPONSE, Reason.TOO_LARGE):
            raise column.trouble
        take.troubles.append(column.trouble)
    return column.trouble


def _samples(ready: _Prepared, take: _Take) -> list[Sample]:
    ready.counters.begin(take.uptime_at, uptime_ticks=take.uptime_ticks)
    samples: list[Sample] = []
    if take.uptime_ticks is not None:
        samples.append(Sample(SYSTEM, "uptime_seconds", take.uptime_ticks / 100.0))
    for part in ready.pack.scalars:
        if part.family == SYSTEM:  # read above, with every pack
            continue
        samples += scalar_samples(part, take.answers, ready.counters)
    for table in ready.pack.tables:
        rows = take.indexes.get(table.family, [])
        samples += table_samples(table, rows, take.answers, ready.counters, rows=ready.params.interfaces)
    return samples


def _reading(look: Look, ready: _Prepared, take: _Take) -> Reading:
    """A stall is the device's fault; an odd table is worth a word; nothing of the pack is our mistake."""
    samples = _samples(ready, take)
    detail = "; ".join(dict.fromkeys(trouble.detail for trouble in take.troubles))[:300]
    if any(trouble.reason is Reason.TIMEOUT for trouble in take.troubles):
        return look.bad(Fault(Reason.PARTIAL, detail), samples)
    if not _asks_more(ready.pack) or any(sample.family != SYSTEM for sample in samples):
        return look.ok(samples, detail)
    if take.troubles:
        return look.bad(Fault(Reason.BAD_RESPONSE, detail), samples)
    return look.bad(Fault(Reason.BAD_PARAMS, f"the agent answers but has nothing of pack {ready.pack.slug}"), samples)


def _asks_more(pack: Pack) -> bool:
    """Whether the pack is about more than the agent itself."""
    return bool(pack.tables) or any(part.family != SYSTEM for part in pack.scalars)


def _device(address: Address, params: Params, budget_s: float) -> Device:
    """One request may take so long that the retries and one more column fit into the budget.

    The same job gives an equal Device every time: sessions are kept by it.
    """
    return Device(
        address.ip,
        address.port,
        params.credentials(),
        timeout_s=min(2.0, budget_s / (params.retries + 2)),
        retries=params.retries,
        max_repetitions=params.max_repetitions,
    )
