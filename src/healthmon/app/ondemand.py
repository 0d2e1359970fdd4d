"""Looks on demand (`GET /probe`): the configured modules at the inventory's targets and at networks that were named."""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

from healthmon.app.restraint import counters
from healthmon.config import SiteConfig
from healthmon.config.site import ProbeModule
from healthmon.model.errors import NotFound
from healthmon.model.plan import Job, Safety
from healthmon.model.ports import Clock
from healthmon.model.sample import Reason
from healthmon.probes import PROBES, load_probe
from healthmon.probes.address import host_port
from healthmon.probes.guard import Guard
from healthmon.probes.reasons import Finding, Forbidden
from healthmon.probes.resolver import Found as Addresses
from healthmon.probes.resolver import Resolver, literal
from healthmon.probes.runner import Runner
from healthmon.probes.transcript import Transcript
from healthmon.web.settings import Demand, Found

VANTAGE = "probe"
_CONCURRENCY = 100
#: When neither the module nor the scrape says how long a look may take (Prometheus' own default is 10 s).
_LIMIT_S = 9.5
_MOST_LIMIT_S = 120.0


@dataclass(slots=True)
class Seen:
    """What one look learned of names: the first address, and how long it took."""

    address: str = ""
    dns_s: float = 0.0
    prefer: int = 0


_SEEN: ContextVar[Seen | None] = ContextVar("healthmon_on_demand_seen", default=None)


class Allowed:
    """A resolver that gives only addresses which /probe may look at; redirects come here as well."""

    def __init__(self, site: SiteConfig, clock: Clock) -> None:
        self._resolver = Resolver()
        self._clock = clock
        self._hosts = frozenset(_hosts(site))
        self._networks = [ipaddress.ip_network(cidr, strict=False) for cidr in site.probe_modules.networks]

    async def __call__(self, host: str) -> Addresses:
        """Raises Forbidden(not_allowed) where no address is left."""
        begun = self._clock.mono()
        found = await self._resolver(host)
        if _plain(host) not in self._hosts:
            found = [entry for entry in found if self._inside(entry[1])]
        seen = _SEEN.get()
        if seen is not None and seen.prefer:
            found = sorted(found, key=lambda entry: ipaddress.ip_address(entry[1]).version != seen.prefer)[:1]
        if seen is not None:
            seen.dns_s += self._clock.mono() - begun
            seen.address = seen.address or (found[0][1] if found else "")
        if not found:
            raise Forbidden(Reason.NOT_ALLOWED, "neither a target of the inventory nor in probe_modules.networks")
        return found

    def _inside(self, ip: str) -> bool:
        address = ipaddress.ip_address(ip)
        return any(address.version == network.version and address in network for network in self._networks)


class OnDemand:
    """The prober of the web. Its rates are its own; medical networks are closed to it altogether.

    Their spacing is kept by the one who polls them, and a look from here would come in between.
    """

    def __init__(self, site: SiteConfig, *, clock: Clock, stop_file: Path | None) -> None:
        self._clock = clock
        self._modules = site.probe_modules.modules
        self._refused = site.probe_modules.refused
        self._addresses = {target.id: target.address for target in site.estate.targets.values()}
        self._guard = Guard(_without_medical(site.safety), clock, stop_file=stop_file, lookup=Allowed(site, clock))
        self._runner = Runner(
            vantage=VANTAGE,
            guard=self._guard,
            clock=clock,
            probes=load_probe,
            on_reading=lambda reading: None,
            concurrency=_CONCURRENCY,
        )

    async def __call__(self, demand: Demand) -> Found:
        """Raises NotFound for an unknown module."""
        module = self._modules.get(demand.module)
        if demand.module in self._refused:
            raise NotFound(f"module {demand.module} is not offered: {self._refused[demand.module]}")
        if module is None:
            raise NotFound(f"unknown module {demand.module[:60]!r} (allowed: {', '.join(sorted(self._modules))})")
        transcript, seen = Transcript(self._clock), Seen(prefer=module.prefer)
        kept = _SEEN.set(seen)
        try:
            reading = await self._runner.run_once(self._job(demand, module), transcript)
        finally:
            _SEEN.reset(kept)
        return Found(reading, module.kind, seen.address, seen.dns_s, tuple(transcript.lines))

    def counters(self) -> dict[str, float]:
        """What its guard let through, held back and refused."""
        return counters(VANTAGE, self._guard, self._runner)

    def _job(self, demand: Demand, module: ProbeModule) -> Job:
        known = _fields(module.kind)
        params = dict(module.params) | ({"details": True} if "details" in known else {})
        if demand.hostname:
            params |= {
                name: demand.hostname for name in ("host", "server_name") if name in known and name not in params
            }
        limit_s = min(demand.limit_s or module.limit_s or _LIMIT_S, module.limit_s or _MOST_LIMIT_S)
        address = self._addresses.get(demand.target, demand.target)
        check = f"{demand.module} {demand.hostname}".strip()
        return Job(demand.target, check, module.kind, address, _MOST_LIMIT_S, limit_s, params, recheck=0)


def _hosts(site: SiteConfig) -> Iterator[str]:
    for target in site.estate.targets.values():
        try:
            yield _plain(host_port(target.address, 1)[0])
        except Finding:
            continue


def _plain(host: str) -> str:
    found = literal(host)
    return found[0][1] if found else host.lower().rstrip(".")


def _without_medical(safety: Safety) -> Safety:
    return replace(safety, medical=tuple(replace(network, allow=()) for network in safety.medical))


def _fields(kind: str) -> frozenset[str]:
    module = import_module(PROBES[kind].partition(":")[0])
    return frozenset(field.name for field in dataclasses.fields(module.Params))
