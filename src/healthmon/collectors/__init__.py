"""What can be seen of the host we run on: COLLECTORS maps a kind to `module:Class`."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import cache

from healthmon.model.ports import Probe
from healthmon.model.sample import Family

#: kind -> where it lives. A new collector is one file and one line here.
COLLECTORS: Mapping[str, str] = {
    "backup_evidence": "healthmon.collectors.backup:BackupCollector",
    "host_battery": "healthmon.collectors.battery:BatteryCollector",
    "host_crashes": "healthmon.collectors.crashes:CrashesCollector",
    "host_cpu": "healthmon.collectors.cpu:CpuCollector",
    "host_memory": "healthmon.collectors.memory:MemoryCollector",
    "host_disk": "healthmon.collectors.disk:DiskCollector",
    "host_network": "healthmon.collectors.network:NetworkCollector",
    "host_uptime": "healthmon.collectors.uptime:UptimeCollector",
    "host_processes": "healthmon.collectors.processes:ProcessesCollector",
    "host_events": "healthmon.collectors.events:EventsCollector",
    "host_logons": "healthmon.collectors.logons:LogonsCollector",
    "host_os": "healthmon.collectors.oslevel:OsCollector",
    "host_print_queue": "healthmon.collectors.print_queue:PrintQueueCollector",
    "host_reboot": "healthmon.collectors.reboot:RebootCollector",
    "host_remote_session": "healthmon.collectors.remote_session:RemoteSessionCollector",
    "host_services": "healthmon.collectors.services:ServicesCollector",
    "host_smart": "healthmon.collectors.smart:SmartCollector",
    "host_waits": "healthmon.collectors.waits:WaitsCollector",
    "host_wifi": "healthmon.collectors.wifi:WifiCollector",
    "host_wifi_roams": "healthmon.collectors.roams:RoamsCollector",
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
