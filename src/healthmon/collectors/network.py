"""host_network: traffic, errors and link state of this host's own interfaces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, ClassVar

import psutil

from healthmon.collectors.look import look, params_of
from healthmon.model.plan import Job
from healthmon.model.ports import Sight
from healthmon.model.sample import Family, Reading, Sample
from healthmon.runtime.rates import Counters

#: Field -> name of the counter in psutil's snetio.
RATES = {
    "in_bytes_per_second": "bytes_recv",
    "out_bytes_per_second": "bytes_sent",
    "in_errors_per_second": "errin",
    "out_errors_per_second": "errout",
    "in_discards_per_second": "dropin",
    "out_discards_per_second": "dropout",
}
FAMILIES = (
    Family(
        "host_network",
        frozenset({*RATES, "oper_up", "speed_bits_per_second", "in_utilisation_ratio", "out_utilisation_ratio"}),
        frozenset({"interface"}),
    ),
)


@dataclass(frozen=True, slots=True)
class Params:
    """Shell patterns of interface names: `only` these, never `skip`."""

    only: tuple[str, ...] = ("*",)
    skip: tuple[str, ...] = ("lo", "lo0", "Loopback*", "veth*", "docker*", "br-*", "virbr*", "tap*", "ifb*")

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def wants(self, name: str) -> bool:
        """Whether this interface is to be looked at."""
        kept = any(fnmatchcase(name, pattern) for pattern in self.only)
        return kept and not any(fnmatchcase(name, pattern) for pattern in self.skip)


class NetworkCollector:
    """Rates need two looks; the first gives link state and speed only."""

    def __init__(self) -> None:
        self._counters: dict[tuple[str, str], Counters] = {}

    async def probe(self, job: Job, sight: Sight) -> Reading:
        return await look(job, sight, lambda: self._see(job, sight))

    def _see(self, job: Job, sight: Sight) -> list[Sample]:
        params = params_of(job, Params)
        counters = self._counters.setdefault((job.target, job.check), Counters())
        traffic = psutil.net_io_counters(pernic=True, nowrap=False)
        links = psutil.net_if_stats()
        mono = sight.clock.mono()
        counters.begin(mono)
        samples: list[Sample] = []
        for name in sorted(links):
            if params.wants(name):
                found = _link(links[name]) | _rates(name, traffic.get(name), counters, mono)
                samples += _samples(name, _with_utilisation(found))
        return samples


def _link(link: Any) -> dict[str, float]:
    found = {"oper_up": 1.0 if link.isup else 0.0}
    if link.speed > 0:  # Mbit/s; 0 means not known
        found["speed_bits_per_second"] = link.speed * 1e6
    return found


def _rates(name: str, traffic: Any, counters: Counters, mono: float) -> dict[str, float]:
    found: dict[str, float] = {}
    for field, counter in RATES.items():
        if traffic is not None:
            rate = counters.rate((name, counter), int(getattr(traffic, counter)), mono)
            if rate is not None:
                found[field] = rate
    return found


def _with_utilisation(found: Mapping[str, float]) -> dict[str, float]:
    full = dict(found)
    speed = found.get("speed_bits_per_second")
    for way in ("in", "out"):
        rate = found.get(f"{way}_bytes_per_second")
        if speed and rate is not None:
            full[f"{way}_utilisation_ratio"] = rate * 8.0 / speed
    return full


def _samples(name: str, found: Mapping[str, float]) -> list[Sample]:
    labels = {"interface": name}
    return [Sample("host_network", field, value, labels) for field, value in found.items()]
