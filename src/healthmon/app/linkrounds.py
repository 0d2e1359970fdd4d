"""The link graph kept fresh by ordinary polling: devices whose `lldp` or `bridge` pack is polled tell of neighbours.

One device after the other, through a guard as every probe; what they say goes into the link book, never into `needs`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from healthmon.app.discovery import IDENTIFY_LIMIT_S, Identify
from healthmon.app.linkgraph import LinkBook, links_from
from healthmon.app.neighbours import Found, Link, described, links_of
from healthmon.config import SiteConfig
from healthmon.ingest.pipeline import POLLER
from healthmon.model.plan import Job
from healthmon.model.ports import Clock
from healthmon.model.sample import Outcome
from healthmon.probes.address import host_port
from healthmon.probes.guard import Guard
from healthmon.probes.reasons import Finding
from healthmon.probes.runner import Runner

log = logging.getLogger(__name__)

#: Packs that ask what is plugged in where.
PACKS = frozenset({"lldp", "bridge"})
#: Neighbour tables are long and change slowly: never read more often than this, whatever the check's interval.
LEAST_EVERY_S = 900.0
_LOOK_EVERY_S = 30.0


@dataclass(frozen=True, slots=True)
class Told:
    """A device whose neighbours are asked for. `params`: how its SNMP is reached, as its check says."""

    target: str
    address: str
    params: Mapping[str, Any]
    every_s: float


class LinkRounds:
    """`run` asks for ever; `round` once. `learned`: links of the last round; `troubles`: why a device gave none."""

    def __init__(
        self,
        site: SiteConfig,
        links: LinkBook,
        *,
        clock: Clock,
        least_every_s: float = LEAST_EVERY_S,
        heard: Callable[[], None] = lambda: None,
    ) -> None:
        """`heard` is called when the book has news."""
        self._heard = heard
        self._links, self._clock, self._least_every_s = links, clock, least_every_s
        self._due: dict[str, float] = {}
        self._devices: dict[str, Found] = {}
        self._ids: dict[str, str] = {}
        self.learned = 0
        self.troubles: dict[str, str] = {}
        self.adopt(site)

    def adopt(self, site: SiteConfig) -> None:
        """Another configuration: other devices, another safety block."""
        self._site = site
        self._guard = Guard(site.safety, self._clock, stop_file=site.data_dir / "stop-probing")
        kept = {told.target for told in told_by(site)}
        self._devices = {ip: found for ip, found in self._devices.items() if self._ids.get(ip) in kept}

    async def run(self) -> None:
        while True:
            await self.round()
            await self._clock.sleep(_LOOK_EVERY_S)

    async def round(self) -> int:
        """Ask every device that is due; how many links were told of."""
        now = self._clock.mono()
        due = [told for told in told_by(self._site) if self._due.get(told.target, now) <= now]
        fresh = [ip for told in due if (ip := await self._ask(told, now))]
        if not fresh:
            return 0
        links = [self._named(link) for link in links_of(self._devices.values()) if set(link.seen_by) & set(fresh)]
        self.learned = self._links.learn(links_from(_plain(link) for link in links), self._clock.now())
        self._heard()
        return self.learned

    async def _ask(self, told: Told, now: float) -> str:
        """The address of a device that answered; "" for one that did not."""
        self._due[told.target] = now + max(self._least_every_s, told.every_s)
        ip = await self._ip(told.address)
        if not ip:
            return ""
        identify = Identify(told.params, self._clock)
        try:
            runner = Runner(vantage="links", guard=self._guard, clock=self._clock, probes=lambda kind: identify,
                            on_reading=lambda reading: None)  # fmt: skip
            job = Job(told.target, "links", "snmp", ip, told.every_s, IDENTIFY_LIMIT_S, {}, recheck=0)
            reading = await runner.run_once(job)
        finally:
            await identify.close()
        answers = identify.answers.get(ip)
        if reading.outcome is not Outcome.OK or answers is None:
            self.troubles[told.target] = reading.reason.value if reading.reason else "no_answer"
            return ""
        self.troubles.pop(told.target, None)
        self._devices[ip] = described(Found(ip, "snmp"), answers.scalars, answers.rows)
        self._ids[ip] = told.target
        return ip

    async def _ip(self, address: str) -> str:
        try:
            host, _ = host_port(address, 1)
            return next((ip for _, ip in await self._guard.lookup(host)), "")
        except (Finding, OSError, UnicodeError):
            return ""

    def _named(self, link: Link) -> Link:
        """Ids of targets in the place of addresses and of names that a target bears."""
        other = self._ids.get(link.other, link.other) or self._by_name(link.other_name)
        seen_by = tuple(sorted(self._ids.get(ip, ip) for ip in link.seen_by))
        leaf = self._ids.get(link.leaf, link.leaf)
        return replace(
            link, one=self._ids.get(link.one, link.one), other=other, seen_by=seen_by, leaf=leaf, other_name=""
        )

    def _by_name(self, name: str) -> str:
        """The target that is called so, by id or by name, with or without its domain; else the name itself."""
        short = name.casefold().partition(".")[0]
        for target in self._site.estate.targets.values():
            if short and short in (target.id, target.name.casefold().partition(".")[0]):
                return target.id
        return name


def told_by(site: SiteConfig) -> tuple[Told, ...]:
    """Devices of the inventory that the poller asks for their neighbours."""
    return tuple(_told_by(site))


def _told_by(site: SiteConfig) -> Iterator[Told]:
    for target in site.estate.targets.values():
        for check in target.checks:
            pack = check.params.get("pack")
            slug = pack.get("slug") if isinstance(pack, Mapping) else pack
            if check.kind == "snmp" and slug in PACKS and POLLER in check.vantages:
                params = {key: value for key, value in check.params.items() if key != "pack"}
                yield Told(target.id, target.address, params, check.every_s)
                break


def _plain(link: Link) -> dict[str, Any]:
    shape: dict[str, Any] = json.loads(json.dumps({name: getattr(link, name) for name in Link.__slots__}))
    return shape
