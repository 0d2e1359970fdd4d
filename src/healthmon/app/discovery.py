"""A slow, polite look at every address of one network: who answers, who they say they are, whom they are linked to.

Everything goes through the one guard, as every probe does: denied networks and rates hold, medical networks are closed
whatever has been approved there (that was for known devices), and the stop button ends the sweep.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from healthmon.app.difference import Known, names_of
from healthmon.app.neighbours import COLUMNS, SCALARS, Found, described
from healthmon.app.traps import snmp_client
from healthmon.config import SiteConfig
from healthmon.model.errors import ConfigError
from healthmon.model.plan import Job, Safety
from healthmon.model.ports import Clock, Probe, Sight
from healthmon.model.sample import Outcome, Reading, Reason
from healthmon.model.topology import Target, need_ids
from healthmon.probes import load_probe
from healthmon.probes.address import host_port
from healthmon.probes.guard import Guard
from healthmon.probes.limits import Pace
from healthmon.probes.look import Look
from healthmon.probes.reasons import Fault, Finding
from healthmon.probes.runner import Runner
from healthmon.probes.snmp import Params
from healthmon.probes.snmp_client import Device, SnmpClient, SnmpSession, SnmpTrouble, SnmpValue, read_column
from healthmon.runtime.supervise import spawn

#: A /20, or an IPv6 /116: at the default rate it takes three and a half minutes.
MOST_ADDRESSES = 4096
RATE_HZ = 20.0
#: Where ICMP needs a permission that we do not have, or is filtered: what most devices have open or refuse.
TCP_PORTS = (22, 443, 80)
#: Rows of one table; a forwarding table of a core switch is longer, and its ports are uplinks anyway.
MOST_ROWS = 4000
IDENTIFY_LIMIT_S = 60.0
_LOOK_LIMIT_S = 2.0
_WORKERS = 32
#: Answers that come from the address itself, or from a firewall in front of it.
_ALIVE = frozenset({Reason.REFUSED, Reason.RESET, Reason.CLOSED})
#: Our own fault or the safety block's: nothing is known of the address.
_NO_LOOK = frozenset({Reason.NOT_ALLOWED, Reason.RATE_LIMITED, Reason.NO_ROUTE, Reason.NO_PERMISSION})

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
Progress = Callable[[int, int, int], None]


@dataclass(slots=True)
class Swept:
    """What came of a sweep. `not_looked_at` gives reasons by address; `stopped`: it ended early; `tcp`: silent ones
    were tried by TCP as well.
    """

    network: str
    addresses: int = 0
    found: dict[str, Found] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    not_looked_at: dict[str, str] = field(default_factory=dict)
    stopped: bool = False
    tcp: bool = False
    took_s: float = 0.0

    @property
    def done(self) -> int:
        return len(self.found) + len(self.silent) + len(self.not_looked_at)

    def reasons(self) -> dict[str, int]:
        """How many addresses were not looked at, by reason."""
        return dict(Counter(self.not_looked_at.values()))


def network_of(text: str) -> IPNetwork:
    """The network to sweep. Raises ConfigError for something else, and for one that is too large."""
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ConfigError([f"discover {text}: not a network such as 192.0.2.0/24"]) from None
    if network.num_addresses > MOST_ADDRESSES:
        most = f"/{network.max_prefixlen - 12}"
        raise ConfigError([
            f"discover {text}: {network.num_addresses} addresses are too many, at most {most} at once; "
            "sweep the parts that are in use, one after the other"
        ])  # fmt: skip
    return network


class Sweep:
    """One sweep. Without `params` nobody is asked who he is."""

    def __init__(
        self,
        safety: Safety,
        *,
        clock: Clock,
        stop_file: Any = None,
        params: Mapping[str, Any] | None = None,
        rate_hz: float = RATE_HZ,
        progress: Progress | None = None,
        ports: tuple[int, ...] = TCP_PORTS,
        tcp: bool = False,
    ) -> None:
        """`tcp`: try every silent address by TCP; else only where no address at all answered an echo."""
        closed = replace(safety, medical=tuple(replace(network, allow=()) for network in safety.medical))
        self.guard = Guard(closed, clock, stop_file=stop_file)
        self._clock = clock
        self._identify = Identify(dict(params), clock) if params is not None else None
        self._runner = Runner(
            vantage="discover", guard=self.guard, clock=clock, probes=self._probe, on_reading=lambda reading: None
        )
        self._pace = Pace(rate_hz, burst=1.0)
        self._progress = progress or (lambda done, of, found: None)
        self._ports = ports
        self._tcp = tcp
        self._no_icmp = False

    async def run(self, text: str) -> Swept:
        """Look at every address. Raises ConfigError for a network that may not be swept."""
        network = network_of(text)
        addresses = [str(address) for address in network.hosts()]
        swept = Swept(str(network), len(addresses))
        began = self._clock.mono()
        try:
            await self._each(addresses, swept)
            if self._wants_tcp(swept):
                await self._silent_by_tcp(swept)
        finally:
            if self._identify is not None:
                await self._identify.close()
        swept.took_s = self._clock.mono() - began
        return swept

    async def _each(self, addresses: list[str], swept: Swept) -> None:
        waiting = iter(addresses)
        async with asyncio.TaskGroup() as group:
            for number in range(min(_WORKERS, len(addresses))):
                spawn(group, f"sweep {number}", self._work(waiting, swept))

    def _wants_tcp(self, swept: Swept) -> bool:
        """Not one echo came back: a filter is likelier than an empty network."""
        return bool(swept.silent) and not (swept.stopped or self._no_icmp) and (self._tcp or not swept.found)

    async def _silent_by_tcp(self, swept: Swept) -> None:
        again = sorted(swept.silent, key=lambda ip: int(ipaddress.ip_address(ip)))
        swept.silent.clear()
        swept.tcp = self._no_icmp = True
        await self._each(again, swept)

    def _probe(self, kind: str) -> Probe:
        return self._identify if kind == "snmp" and self._identify is not None else load_probe(kind)

    async def _work(self, waiting: Iterator[str], swept: Swept) -> None:
        for ip in waiting:
            if swept.stopped:
                return
            await self._address(ip, swept)
            self._progress(swept.done, swept.addresses, len(swept.found))

    async def _address(self, ip: str, swept: Swept) -> None:
        by, reading = await self._alive(ip)
        if by:
            swept.found[ip] = await self._identified(Found(ip, by), swept)
        elif reading.reason is Reason.PROBING_STOPPED:
            swept.stopped = True
            swept.not_looked_at[ip] = Reason.PROBING_STOPPED.value
        elif reading.reason in _NO_LOOK:
            swept.not_looked_at[ip] = reading.reason.value
        else:
            swept.silent.add(ip)

    async def _alive(self, ip: str) -> tuple[str, Reading]:
        """What it answered to, "" for nothing."""
        if not self._no_icmp:
            reading = await self._look("icmp", ip, {"count": 1, "max_loss_ratio": 0.0})
            if reading.reason is not Reason.NO_PERMISSION:
                return ("icmp" if reading.outcome is Outcome.OK else ""), reading
            self._no_icmp = True
        for port in self._ports:
            reading = await self._look("tcp", ip, {"port": port})
            if reading.outcome is Outcome.OK or reading.reason in _ALIVE:
                return f"tcp {port}", reading
            if reading.reason in _NO_LOOK or reading.reason is Reason.PROBING_STOPPED:
                break
        return "", reading

    async def _identified(self, found: Found, swept: Swept) -> Found:
        if self._identify is None:
            return found
        reading = await self._look("snmp", found.ip, {}, limit_s=IDENTIFY_LIMIT_S)
        swept.stopped = swept.stopped or reading.reason is Reason.PROBING_STOPPED
        answers = self._identify.answers.pop(found.ip, None)
        if answers is None:
            return replace(found, trouble=f"SNMP: {reading.reason.value}" if reading.reason else "")
        device = described(found, answers.scalars, answers.rows)
        return replace(device, trouble="; ".join(answers.troubles)[:200])

    async def _look(self, kind: str, ip: str, params: dict[str, Any], *, limit_s: float = _LOOK_LIMIT_S) -> Reading:
        now = self._clock.mono()
        wait_s = self._pace.wait_s(now)
        self._pace.take(now)
        if wait_s > 0.0:
            await self._clock.sleep(wait_s)
        return await self._runner.run_once(Job(f"discover {ip}", kind, kind, ip, 3600.0, limit_s, params, recheck=0))


@dataclass(slots=True)
class Answers:
    """What a device said: scalars, and the rows of each column."""

    scalars: dict[str, SnmpValue] = field(default_factory=dict)
    rows: dict[str, tuple[tuple[str, SnmpValue], ...]] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)


class Identify:
    """A probe that reads the system group and the tables of neighbours; what it read lies in `answers` by address."""

    def __init__(self, params: Mapping[str, Any], clock: Clock) -> None:
        self.answers: dict[str, Answers] = {}
        self._params = msgspec.convert({key: value for key, value in params.items() if key != "pack"}, Params)
        self._client: SnmpClient = snmp_client(clock)

    async def probe(self, job: Job, sight: Sight) -> Reading:
        look = Look(job, sight)
        params = self._params
        address = (await sight.resolve(job.address, params.port))[0]
        device = Device(
            address.ip, address.port, params.credentials(), timeout_s=1.0, max_repetitions=params.max_repetitions
        )
        try:
            async with self._client.session(device) as session:
                answers = Answers(await _scalars(session, params.retries))
                self.answers[job.address] = answers
                await _tables(session, answers, params.retries)
        except SnmpTrouble as trouble:
            return look.bad(Fault(trouble.reason, trouble.detail))
        return look.ok()

    async def close(self) -> None:
        await self._client.close()


async def _scalars(session: SnmpSession, retries: int) -> dict[str, SnmpValue]:
    for left in range(retries, -1, -1):
        try:
            return await session.get(SCALARS)
        except SnmpTrouble as trouble:
            if trouble.reason is not Reason.TIMEOUT or not left:
                raise
    raise AssertionError("unreachable")


async def _tables(session: SnmpSession, answers: Answers, retries: int) -> None:
    """One column after the other; after two that stalled the rest is left alone."""
    stalled = 0
    for name, oid in COLUMNS.items():
        column = await read_column(session, oid, retries=retries, most=MOST_ROWS)
        answers.rows[name] = column.rows
        if column.trouble is not None:
            answers.troubles.append(f"{name}: {column.trouble.detail}")
            stalled += column.trouble.reason is Reason.TIMEOUT
        if stalled > 1:
            return


async def inventory_of(site: SiteConfig | None, guard: Guard, text: str) -> list[Known]:
    """Every target with its addresses in this network, and every service; names are looked up."""
    if site is None:
        return []
    network = network_of(text)
    services = [
        Known(service.id, (), frozenset(), tuple(need_ids(service.needs))) for service in site.estate.services.values()
    ]
    return [await _known(target, guard, network) for target in site.estate.targets.values()] + services


async def _known(target: Target, guard: Guard, network: IPNetwork) -> Known:
    names = {target.id, target.name}
    ips: tuple[str, ...] = ()
    try:
        host, _ = host_port(target.address, 1)
        names.add(host)
        ips = tuple(ip for _, ip in await guard.lookup(host) if ipaddress.ip_address(ip) in network)
    except (Finding, OSError, UnicodeError):
        pass  # a name that does not resolve has no place in any network
    return Known(target.id, ips, names_of(*names), tuple(need_ids(target.needs)))
