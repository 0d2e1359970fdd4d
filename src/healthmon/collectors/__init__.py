"""What can be seen of the host we run on: COLLECTORS maps a kind to `module:Class`."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import cache

from healthmon.model.ports import Probe
from healthmon.model.sample import Family

#: kind -> where it lives. A new collector is one file and one line here.
COLLECTORS: Mapping[str, str] = {
    "host_cpu": "healthmon.collectors.cpu:CpuCollector",
    "host_memory": "healthmon.collectors.memory:MemoryCollector",
    "host_disk": "healthmon.collectors.disk:DiskCollector",
    "host_network": "healthmon.collectors.network:NetworkCollector",
    "host_uptime": "healthmon.collectors.uptime:UptimeCollector",
    "host_processes": "healthmon.collectors.processes:ProcessesCollector",
}


@cache
def load_collector(kind: str) -> Probe:
    """The one instance of a kind: it remembers its last look. Raises KeyError for an unknown kind."""
    module, _, name = COLLECTORS[kind].partition(":")
    collector: Probe = getattr(importlib.import_module(module), name)()
    return collector


@cache
def families() -> dict[str, Family]:
    """Everything that collectors may emit, by family name."""
    found: dict[str, Family] = {}
    for dotted in COLLECTORS.values():
        module = importlib.import_module(dotted.partition(":")[0])
        found.update({family.name: family for family in module.FAMILIES})
    return found
