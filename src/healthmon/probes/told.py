"""What other tools know and no probe can ask in a standard way: families for packs, exporters and pushes."""

from __future__ import annotations

from healthmon.model.sample import Family


def _family(name: str, label: str | None, fields: str) -> Family:
    return Family(name, frozenset(fields.split()), frozenset({label} if label else ()))


#: Leases of one scope of a DHCP server.
DHCP_SCOPE = _family("dhcp_scope", "scope", "used_addresses free_addresses used_ratio")
#: What a RADIUS server counts of logins (RFC 4669); `decided_total` is what it accepted and rejected.
RADIUS_SERVER = _family("radius_server", None, "requests_total accepts_total rejects_total decided_total")
#: Disks and volumes: seconds spent waiting and operations, how busy, how long the queue, how slow by the maker's word.
STORAGE = _family(
    "storage",
    "volume",
    "read_seconds_total reads_total write_seconds_total writes_total busy_ratio queue latency_seconds",
)
#: Replication between directory servers, by the partner that is replicated from.
DIRECTORY = _family("directory", "partner", "replication_age_seconds replication_failures")
#: Licences, domains, passwords of service accounts, middleware: what ends on a day, by the name it has here.
EXPIRY = _family("expiry", "item", "left_seconds life_left_ratio")
#: A generator's own controller, or its contacts on an environment monitor.
GENERATOR = _family("generator", None, "mains_present running ready fuel_ratio")
#: The weather outside and the highest that is forecast for the days to come.
WEATHER = _family("weather", "place", "forecast_celsius outside_celsius")

TOLD = (DHCP_SCOPE, RADIUS_SERVER, STORAGE, DIRECTORY, EXPIRY, GENERATOR, WEATHER)
