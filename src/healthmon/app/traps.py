"""Traps beside the poller: whose address is whose, which polls a trap asks for, and the name of a port."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial

import msgspec

from healthmon.app.agent import AgentRuntime
from healthmon.config import SiteConfig
from healthmon.config.site import TrapsConfig
from healthmon.ingest.pipeline import POLLER
from healthmon.model.errors import HealthmonError
from healthmon.model.plan import Job
from healthmon.model.ports import Clock, Sight
from healthmon.model.topology import Target
from healthmon.probes.address import host_port
from healthmon.probes.guard import Guard
from healthmon.probes.reasons import Finding
from healthmon.probes.resolver import Lookup
from healthmon.probes.snmp import Params
from healthmon.probes.snmp_client import Device, SnmpClient
from healthmon.probes.trap import CHECK, Settings, TrapReceiver, plain_ip
from healthmon.probes.trap_pack import IF_DESCR, IF_NAME, plain_name
from healthmon.runtime.supervise import keep, spawn

#: Traps of one target bring at most one poll in this time, and one after the last: a poll may have begun too early.
ASK_SPACING_S = 3.0
#: What a trap may set off. A forged datagram must not make a login or a journey run.
ASKED_KINDS = frozenset({"snmp", "icmp"})
#: Names of targets are looked up again this often.
LOOK_UP_EVERY_S = 300.0
STATS_EVERY_S = 60.0
#: How long a reading waits for its port's name, and how long a silent device is not asked for one again.
NAME_LIMIT_S = 1.0
NAME_REST_S = 60.0
_MOST_NAMES = 50_000


class Senders:
    """Source address -> target. Where several targets share an address, the one that is asked by SNMP has it."""

    def __init__(self, targets: Iterable[Target], lookup: Lookup) -> None:
        self._targets = sorted(targets, key=lambda one: not any(check.kind == "snmp" for check in one.checks))
        self._lookup = lookup
        self._by_ip: dict[str, str] = {}

    def __call__(self, ip: str) -> str | None:
        return self._by_ip.get(ip)

    async def refresh(self) -> None:
        """Look all names up; a name that does not resolve keeps the addresses it had."""
        found: dict[str, str] = {}
        for target in self._targets:
            for ip in await self._addresses(target):
                found.setdefault(ip, target.id)
        for ip, target_id in self._by_ip.items():
            if target_id not in found.values():
                found.setdefault(ip, target_id)
        self._by_ip = found

    async def _addresses(self, target: Target) -> list[str]:
        with suppress(Finding, OSError, UnicodeError):
            host, _ = host_port(target.address, 1)
            return [plain_ip(ip) for _, ip in await self._lookup(host)]
        return []


class Asks:
    """Hints become polls: at once, then at most one each `ASK_SPACING_S`, the last of them after the last hint."""

    def __init__(self, jobs: Iterable[Job], ask: Callable[[str, str], object], clock: Clock) -> None:
        self._checks: dict[str, list[str]] = {}
        for job in jobs:
            if job.kind in ASKED_KINDS:
                self._checks.setdefault(job.target, []).append(job.check)
        self._ask = ask
        self._clock = clock
        self._asked: dict[str, float] = {}
        self._again: set[str] = set()

    def hint(self, target: str) -> None:
        """Something happened there."""
        if target not in self._checks:
            return
        self._again.add(target)
        now = self._clock.mono()
        if now - self._asked.get(target, float("-inf")) >= ASK_SPACING_S:
            self._go(target, now)

    def due(self, now: float) -> None:
        """Ask again where the spacing is over."""
        for target in [one for one in self._again if now - self._asked[one] >= ASK_SPACING_S]:
            self._again.discard(target)
            self._go(target, now)

    def _go(self, target: str, now: float) -> None:
        self._asked[target] = now
        for check in self._checks[target]:
            self._ask(target, check)


class PortNames:
    """ifName, else ifDescr, asked of the device itself as its SNMP check would ask: same guard, same credentials."""

    def __init__(self, jobs: Iterable[Job], guard: Guard, vantage: str, client: Callable[[Clock], SnmpClient]) -> None:
        self._jobs = {job.target: job for job in jobs if job.kind == "snmp"}
        self._guard = guard
        self._vantage = vantage
        self._make_client = client
        self._client: SnmpClient | None = None
        self._known: OrderedDict[tuple[str, int], str] = OrderedDict()
        self._resting: dict[str, float] = {}

    async def __call__(self, target: str, index: int) -> str | None:
        known = self._known.get((target, index))
        job = self._jobs.get(target)
        now = self._guard.clock.mono()
        if known is not None or job is None or self._resting.get(target, float("-inf")) > now:
            return known
        sight = self._guard.sight(job, self._vantage)
        try:
            async with asyncio.timeout(NAME_LIMIT_S):
                name = await self._get(job, index, sight)
        except (TimeoutError, HealthmonError, OSError, msgspec.ValidationError):
            name = ""
        finally:
            sight.close()
        if not name:
            self._resting[target] = now + NAME_REST_S
            return None
        self._known[(target, index)] = name
        while len(self._known) > _MOST_NAMES:
            self._known.popitem(last=False)
        return name

    async def _get(self, job: Job, index: int, sight: Sight) -> str:
        params = msgspec.convert(job.params, Params)
        host, port = host_port(job.address, params.port)
        address = (await sight.resolve(host, port))[0]
        device = Device(address.ip, address.port, params.credentials(), timeout_s=NAME_LIMIT_S / 2)
        if self._client is None:
            self._client = self._make_client(sight.clock)
        oids = [f"{IF_NAME}{index}", f"{IF_DESCR}{index}"]
        async with self._client.session(device) as session:
            answers = await session.get(oids)
        return next(filter(None, (plain_name(answers.get(oid)) for oid in oids)), "")


class TrapSource:
    """Listens as long as it runs; an address that cannot be had is said once and tried again."""

    def __init__(self, config: TrapsConfig, site: SiteConfig) -> None:
        self._config = config
        self._targets = tuple(site.estate.targets.values())

    async def __call__(self, agent: AgentRuntime, clock: Clock) -> None:
        """Run until cancelled."""
        senders = Senders(self._targets, agent.guard.lookup)
        asks = Asks(agent.plan.jobs, agent.runner.ask, clock)
        config = self._config
        settings = Settings(config.host, config.port, config.community, config.users, config.per_sender_hz)
        receiver = TrapReceiver(
            settings,
            clock=clock,
            vantage=agent.plan.agent,
            senders=senders,
            meanings=config.meanings,
            emit=partial(agent.take, urgent=True),
            hint=asks.hint,
            port_name=PortNames(agent.plan.jobs, agent.guard, agent.plan.agent, snmp_client),
        )
        async with asyncio.TaskGroup() as group:
            spawn(group, "trap senders", _refresh(senders, clock))
            spawn(group, "trap asks", _ask_again(asks, clock))
            spawn(group, "traps read", receiver.work())
            if agent.plan.target:
                spawn(group, "trap counts", _report(receiver, agent, agent.plan.target, clock))
            listen = partial(_listen, receiver, settings, clock)
            spawn(group, "traps", keep("traps", listen, clock=clock, recoverable=(OSError,)))


def sources_of(site: SiteConfig) -> tuple[TrapSource, ...]:
    """What the poller hears beside what it asks."""
    return (TrapSource(site.traps, site),) if site.traps is not None else ()


def heard_by(site: SiteConfig) -> Callable[[str, str, str], bool] | None:
    """Which readings are admitted though no check of the target declares them: (target, check, vantage)."""
    if site.traps is None:
        return None
    return lambda target, check, vantage: (check, vantage) == (CHECK, POLLER)


def snmp_client(clock: Clock) -> SnmpClient:
    """The quicker library where it is there."""
    try:
        import gufo.snmp  # noqa: F401

        from healthmon.probes.snmp_gufo import GufoClient

        return GufoClient(clock=clock)
    except ImportError:
        from healthmon.probes.snmp_pysnmp import PysnmpClient

        return PysnmpClient(clock=clock)


async def _listen(receiver: TrapReceiver, settings: Settings, clock: Clock) -> None:
    loop = asyncio.get_running_loop()
    try:
        transport, _ = await loop.create_datagram_endpoint(lambda: receiver, local_addr=(settings.host, settings.port))
    except PermissionError as error:
        fix = "give the service CAP_NET_BIND_SERVICE, or listen above 1024 and redirect port 162 to it"
        raise PermissionError(f"{settings.host}:{settings.port}: not permitted; {fix}") from error
    try:
        while not transport.is_closing():
            await clock.sleep(1.0)
    finally:
        transport.close()


async def _refresh(senders: Senders, clock: Clock) -> None:
    while True:
        await senders.refresh()
        await clock.sleep(LOOK_UP_EVERY_S)


async def _ask_again(asks: Asks, clock: Clock) -> None:
    while True:
        await clock.sleep(0.5)
        asks.due(clock.mono())


async def _report(receiver: TrapReceiver, agent: AgentRuntime, target: str, clock: Clock) -> None:
    while True:
        await clock.sleep(STATS_EVERY_S)
        agent.take(receiver.stats(target))
