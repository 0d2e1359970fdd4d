"""The SNMP probe: reads what a pack asks for, turns counters into rates, keeps what came before a stall."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, ClassVar

import msgspec

from healthmon.model.plan import Job
from healthmon.model.ports import Address, Sight
from healthmon.model.sample import Reading, Reason, Sample
from healthmon.probes.look import Look
from healthmon.probes.reasons import Fault
from healthmon.probes.snmp_auto import SYS_DESCR, SYS_OBJECT_ID
from healthmon.probes.snmp_client import Credentials, Device, SnmpClient, SnmpTrouble
from healthmon.probes.snmp_families import SYSTEM, VOCABULARY
from healthmon.probes.snmp_pack import pack_families, parse_pack, read_index
from healthmon.probes.snmp_read import Memory, Reader, Reads, Take
from healthmon.probes.snmp_rows import Choices, plain_text, scalar_samples, table_samples
from healthmon.probes.snmp_shapes import Pack
from healthmon.runtime.deadline import within
from healthmon.runtime.rates import Counters

__all__ = ["FAMILIES", "Params", "SnmpProbe", "pack_families"]

#: What the probe emits; packs of a hospital may declare more, see `pack_families(pack)`.
FAMILIES = tuple(VOCABULARY.values())

AUTH_PROTOCOLS = ("MD5", "SHA", "SHA-224", "SHA-256", "SHA-384", "SHA-512")
#: AES-192 and AES-256 stretch short keys as Blumenthal's draft says; with -C as Reeder's, which Cisco ships.
PRIV_PROTOCOLS = ("DES", "3DES", "AES", "AES-192", "AES-256", "AES-192-C", "AES-256-C")
CLIENTS = ("auto", "gufo", "pysnmp")

#: How makers call the sensor of the air that goes in.
INLETS = ("*inlet*", "*intake*", "*ambient*", "*room*")

#: The probe ends before the runner's own timeout would, so that what came is not lost.
BUDGET_RATIO = 0.9


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
    interfaces: tuple[str, ...] = ()  # shell patterns of interface names, `!pattern` leaves out
    uplinks: tuple[str, ...] = ()  # patterns of interfaces that must be up: `snmp_if.uplink_up`
    inlets: tuple[str, ...] = INLETS  # patterns (lower case) of sensors of inlet air: `snmp_sensor.inlet_celsius`

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        _one_of("version", self.version, ("1", "2c", "3"))
        _one_of("client", self.client, CLIENTS)
        _in_range("port", self.port, 1, 65535)
        _in_range("retries", self.retries, 0, 5)
        _in_range("max_repetitions", self.max_repetitions, 1, 100)
        _in_range("max_rows", self.max_rows, 1, 100_000)
        _reads_of(self.pack)
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
        if self.version != "3":
            return Credentials(self.version, self.community)
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
    reads: Reads | None  # None: `pack: auto`, and the device is not known yet
    counters: Counters
    memory: Memory = field(default_factory=Memory)
    device: Device | None = None  # as made for:
    address: Address | None = None
    whole_s: float = 0.0


class SnmpProbe:
    """One instance serves all SNMP jobs of a process; counters and sessions live in it."""

    def __init__(self, clients: Mapping[str, SnmpClient] | None = None) -> None:
        self._prepared: dict[tuple[str, str, str], _Prepared] = {}
        self._clients: dict[str, SnmpClient] = dict(clients or {})

    async def probe(self, job: Job, sight: Sight) -> Reading:
        look, take = Look(job, sight), Take()
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
                reads = _reads_of(params.pack)
            except (ValueError, msgspec.ValidationError) as error:
                raise SnmpTrouble(Reason.BAD_PARAMS, str(error)) from error
            counters = ready.counters if ready else Counters(forget_s=max(3600.0, 10 * job.every_s))
            ready = _Prepared(job.params, params, reads, counters)
            self._prepared[key] = ready
        return ready

    async def _read(self, look: Look, ready: _Prepared, take: Take, sight: Sight) -> None:
        """Fill `take`; a silence after the first answer is noted in it, everything before raises."""
        params = ready.params
        host, port = split_address(look.job.address, params.port)
        address = (await sight.resolve(host, port))[0]  # may wait for its turn: outside the budget
        whole_s = look.job.timeout_s * BUDGET_RATIO
        budget_s = max(0.05, whole_s - look.took_s())
        if ready.device is None or ready.address != address or ready.whole_s != whole_s:
            ready.device, ready.address, ready.whole_s = _device(address, params, whole_s), address, whole_s
        device = ready.device
        sight.trace(f"SNMP version {params.version} to {device.ip} port {device.port}")
        client = self._client(params, sight)
        try:
            async with within(budget_s, sight.clock), client.session(device) as session:
                reader = Reader(session, ready.memory, take, sight, params.retries, params.max_rows)
                await _read_all(reader, ready)
        except TimeoutError:
            if not take.answered:
                raise SnmpTrouble(Reason.TIMEOUT, f"no answer within {budget_s:.1f} s") from None
            take.troubles.append(SnmpTrouble(Reason.TIMEOUT, f"not done within {budget_s:.1f} s"))

    def _client(self, params: Params, sight: Sight) -> SnmpClient:
        name = params.client if params.client != "auto" else _best_library(params.priv_protocol)
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


@functools.cache
def _best_library(priv_protocol: str | None) -> str:
    """gufo-snmp where it is there and can; it has no 3DES."""
    order = (("gufo", "gufo.snmp"), ("pysnmp", "pysnmp"))
    for name, module in order if priv_protocol != "3DES" else reversed(order):
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


def _reads_of(pack: Mapping[str, Any]) -> Reads | None:
    """What the pack reads; None for `pack: auto`. Raises ValueError."""
    if not pack:
        return Reads.of([NOTHING])
    return None if read_index(pack) else Reads.of([parse_pack(pack)])


async def _read_all(reader: Reader, ready: _Prepared) -> None:
    """Scalars first: they say whether anybody is there, and whether it is still the same device."""
    known = ready.reads is not None and not await reader.scalars(ready.reads.scalar_oids)
    if ready.reads is None or (not known and read_index(ready.params.pack)):
        ready.reads = await _identify(reader, ready.params)
        await reader.more_scalars(ready.reads.scalar_oids)
    await reader.tables(ready.reads.tables)


async def _identify(reader: Reader, params: Params) -> Reads:
    """Which packs fit: one GET of sysObjectID, sysDescr and the markers."""
    known = read_index(params.pack)
    assert known is not None
    index, packs = known
    await reader.scalars(index.questions())
    answers = reader.take.answers
    object_id = plain_text(answers.value(SYS_OBJECT_ID, ""))
    descr = plain_text(answers.value(SYS_DESCR, ""))
    chosen = index.choose(object_id, descr, answers.columns)
    reader.sight.trace(f"sysObjectID {object_id or 'none'}: packs {', '.join(chosen)}")
    return Reads.of(packs[slug] for slug in chosen if slug in packs)


def _samples(ready: _Prepared, reads: Reads, take: Take) -> list[Sample]:
    """Every value once: where two packs know the same thing, the pack that is nearer to the device has said it."""
    choices = Choices(ready.params.interfaces, ready.params.uplinks, ready.params.inlets)
    ready.counters.begin(take.uptime_at, uptime_ticks=take.uptime_ticks)
    samples: list[Sample] = []
    if take.uptime_ticks is not None:
        samples.append(Sample(SYSTEM, "uptime_seconds", take.uptime_ticks / 100.0))
    for part in reads.scalars:
        samples += scalar_samples(part, take.answers, ready.counters, choices)
    for number, (table, _) in enumerate(reads.tables):
        rows = take.indexes.get(number, [])
        samples += table_samples(table, rows, take.answers, ready.counters, choices)
    families = [part.family for part in reads.scalars] + [table.family for table, _ in reads.tables]
    if len({*families, SYSTEM}) > len(families):
        return samples  # nobody says what another says
    once: dict[tuple[str, str, tuple[str, ...]], Sample] = {}
    for sample in samples:
        once.setdefault((sample.family, sample.field, tuple(sample.labels.values())), sample)
    return list(once.values())


def _reading(look: Look, ready: _Prepared, take: Take) -> Reading:
    """A stall is the device's fault; an odd table is worth a word; nothing of the pack is our mistake."""
    reads = ready.reads or Reads.of([NOTHING])
    samples = _samples(ready, reads, take)
    detail = "; ".join(dict.fromkeys(trouble.detail for trouble in take.troubles))[:300]
    if any(trouble.reason is Reason.TIMEOUT for trouble in take.troubles):
        return look.bad(Fault(Reason.PARTIAL, detail), samples)
    if not _asks_more(reads) or any(sample.family != SYSTEM for sample in samples):
        return look.ok(samples, detail)
    if take.troubles:
        return look.bad(Fault(Reason.BAD_RESPONSE, detail), samples)
    if read_index(ready.params.pack):
        return look.ok(samples, "the agent answers and has nothing of any pack")
    slug = reads.packs[0].slug
    return look.bad(Fault(Reason.BAD_PARAMS, f"the agent answers but has nothing of pack {slug}"), samples)


def _asks_more(reads: Reads) -> bool:
    """Whether the packs are about more than the agent itself."""
    return bool(reads.tables) or any(part.family != SYSTEM for part in reads.scalars)


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
