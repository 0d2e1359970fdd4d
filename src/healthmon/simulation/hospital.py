"""A small hospital on loopback: devices behind links, the site file that describes it, and its ward agents' ways.

Every device has its own 127/8 address and stands behind a relay, so that cutting the link with a device's id
silences that device and all that is reached through it. The hospital is ours; it is no evidence from the field.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from healthmon.model.errors import HealthmonError
from healthmon.simulation import snmp_agent
from healthmon.simulation.links import Link, Route, TcpRelay, udp_relay
from healthmon.simulation.services import BannerService, PatientRecord

SNMP_PORT = 1161
EVERY = "2s"


@dataclass(frozen=True, slots=True)
class Device:
    """One row of the hospital: what it is, where it stands, through what it is reached."""

    id: str
    name: str
    kind: str
    area: str | None
    via: str  # the switch, or "core" for a redundant pair, or "" for the core itself
    team: str = "network"
    greets: str = ""  # TCP services greet with this


DEVICES = (
    Device("sw-core-a", "Core switch A", "switch", "dc", ""),
    Device("sw-core-b", "Core switch B", "switch", "dc", ""),
    Device("sw-ward7", "Switch Ward 7", "switch", "ward-7", "core"),
    Device("sw-ward8", "Switch Ward 8", "switch", "ward-8", "core"),
    Device("sw-icu", "Switch ICU", "switch", "icu", "core"),
    Device("sw-theatres", "Switch Theatres", "switch", "theatres", "core"),
    Device("sw-pharmacy", "Switch Pharmacy", "switch", "pharmacy", "core"),
    Device("sw-ed-a", "Switch ED A", "switch", "ed", "core"),
    Device("sw-ed-b", "Switch ED B", "switch", "ed", "core"),
    Device("ehr-web", "Patient record front end", "endpoint", "dc", "core", "apps"),
    Device("ehr-db-a", "Patient record database A", "database", "dc", "core", "apps", "EHRDB 14"),
    Device("ehr-db-b", "Patient record database B", "database", "dc", "core", "apps", "EHRDB 14"),
    Device("ad-1", "Directory 1", "server", "dc", "core", "apps", "DIRECTORY"),
    Device("ad-2", "Directory 2", "server", "dc", "core", "apps", "DIRECTORY"),
    Device("lims", "Laboratory system", "server", "dc", "core", "apps", "LIMS 6"),
    Device("pacs", "Imaging archive", "server", "dc", "core", "apps", "PACS"),
    Device("print-1", "Print server", "print-server", "dc", "core", "apps", "SPOOLER"),
    Device("ups-dc", "UPS data centre", "ups", "dc", "core", "estates"),
    Device("lp-ward7", "Label printer Ward 7", "printer", "ward-7", "sw-ward7", "apps"),
    Device("lp-ward8", "Label printer Ward 8", "printer", "ward-8", "sw-ward8", "apps"),
    Device("lp-icu", "Label printer ICU", "printer", "icu", "sw-icu", "apps"),
    Device("lp-ed", "Label printer ED", "printer", "ed", "ed", "apps"),
)

#: Agents: id, area, through.
PCS = (
    ("pc-w7-01", "ward-7", "sw-ward7"),
    ("pc-w7-02", "ward-7", "sw-ward7"),
    ("pc-w8-01", "ward-8", "sw-ward8"),
    ("pc-icu-01", "icu", "sw-icu"),
    ("pc-ed-01", "ed", "ed"),
    ("pc-ed-02", "ed", "ed"),
)

AREAS: tuple[dict[str, Any], ...] = (
    {"id": "ward-7", "name": "Ward 7 Respiratory", "kind": "ward", "acuity": "inpatient", "beds": 28,
     "needs": ["sw-ward7"], "contact": {"phone": "2-7117", "bleep": "417"}},
    {"id": "ward-8", "name": "Ward 8 Care of the Elderly", "kind": "ward", "acuity": "inpatient", "beds": 24,
     "needs": ["sw-ward8"], "contact": {"phone": "2-7118"}},
    {"id": "ed", "name": "Emergency Department", "kind": "ed", "acuity": "critical", "beds": 40,
     "needs": [{"at_least": 1, "of": ["sw-ed-a", "sw-ed-b"]}], "contact": {"phone": "2-9900"}},
    {"id": "icu", "name": "Intensive Care", "kind": "icu", "acuity": "critical", "beds": 16,
     "needs": ["sw-icu"], "contact": {"phone": "2-9910"}},
    {"id": "theatres", "name": "Theatres", "kind": "theatre", "acuity": "critical", "beds": 10,
     "needs": ["sw-theatres"], "contact": {"phone": "2-9920"}},
    {"id": "pharmacy", "name": "Pharmacy", "kind": "pharmacy", "acuity": "outpatient",
     "needs": ["sw-pharmacy"], "contact": {"phone": "2-9930"}},
    {"id": "dc", "name": "Data centre", "kind": "datacentre", "acuity": "none", "contact": {"phone": "2-1000"}},
)  # fmt: skip

CARE = ["ward-7", "ward-8", "ed", "icu", "theatres", "pharmacy"]
DIRECTORY = {"at_least": 1, "of": ["ad-1", "ad-2"]}
SERVICES: tuple[dict[str, Any], ...] = (
    {"id": "ehr", "name": "Patient record", "tier": 1, "used_in": CARE, "team": "apps",
     "needs": ["ehr-web", {"at_least": 1, "of": ["ehr-db-a", "ehr-db-b"]}, "identity"],
     "fallback": {"text": "Paper downtime pack"}, "standards": {"response_p95_seconds": 2}},
    {"id": "results", "name": "Laboratory results", "tier": 1, "used_in": CARE, "team": "apps",
     "needs": ["lims", "identity"], "fallback": {"text": "Telephone the laboratory"}},
    {"id": "imaging", "name": "Imaging", "tier": 1, "used_in": ["ed", "icu", "theatres"], "team": "apps",
     "needs": ["pacs"], "fallback": {"text": "View on the modality"}},
    {"id": "labels", "name": "Labels and wristbands", "tier": 1, "used_in": ["ward-7", "ward-8", "ed", "icu"],
     "team": "apps", "needs": ["print-1"], "fallback": {"text": "Handwritten labels"}},
    {"id": "identity", "name": "Sign-in", "tier": 0, "used_in": CARE, "team": "apps", "needs": [DIRECTORY]},
)  # fmt: skip


@dataclass(slots=True)
class Hospital:
    """Running devices and links. `net` is the first two octets that all addresses share."""

    net: str
    links: dict[str, Link] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)
    snmp: dict[str, snmp_agent.SnmpAgent] = field(default_factory=dict)
    services: dict[str, BannerService] = field(default_factory=dict)
    ehr: PatientRecord = field(default_factory=PatientRecord)
    ehr_behind: tuple[str, int] = ("", 0)  # the record itself, behind its relay
    _stops: list[Any] = field(default_factory=list)

    async def stop(self) -> None:
        """Close every socket."""
        for thing in reversed(self._stops):
            if hasattr(thing, "close"):
                thing.close()
            else:
                await thing.stop()

    def path(self, *hops: str) -> Route:
        """The way over these hops; `core` and `ed` are redundant pairs."""
        ways: list[tuple[Link, ...]] = [()]
        for hop in hops:
            pair = {"core": ("sw-core-a", "sw-core-b"), "ed": ("sw-ed-a", "sw-ed-b")}.get(hop, (hop,))
            ways = [(*way, self.links[link]) for way in ways for link in pair if link]
        return Route(tuple(ways))

    def way_to(self, device: Device) -> Route:
        """How the poller, which stands beside the core, reaches a device."""
        hops = {"": (), "core": ("core",)}.get(device.via, ("core", device.via))
        return self.path(*hops, device.id)


async def open_hospital(net: str | None = None) -> Hospital:
    """Start every device behind its link. `net` like `127.23`; random by default so that two can run at once."""
    reserved = _reserve(net)
    hospital = Hospital(".".join(reserved.getsockname()[0].split(".")[:2]))
    hospital._stops.append(reserved)
    for device in DEVICES:
        hospital.links[device.id] = Link(device.id)
    for pc, _, _ in PCS:
        hospital.links[pc] = Link(pc)
    for number, device in enumerate(DEVICES, start=1):
        await _start(hospital, device, number)
    return hospital


def _reserve(net: str | None) -> socket.socket:
    """A socket that marks the addresses as taken while the hospital runs."""
    for _ in range(200):
        holder = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            holder.bind((f"{net or f'127.{20 + secrets.randbelow(200)}'}.0.1", SNMP_PORT))
        except OSError:
            holder.close()
            continue
        return holder
    raise HealthmonError(f"no free loopback addresses for a simulated hospital ({net or '127.20-219'}.0.0/16)")


async def _start(hospital: Hospital, device: Device, number: int) -> None:
    public, hidden = f"{hospital.net}.1.{number}", f"{hospital.net}.2.{number}"
    path = hospital.way_to(device)
    hospital.addresses[device.id] = public
    if device.kind in ("switch", "printer", "ups"):
        make = {"switch": snmp_agent.switch, "printer": snmp_agent.printer, "ups": snmp_agent.ups}[device.kind]
        agent = hospital.snmp[device.id] = snmp_agent.SnmpAgent(make(device.id))
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: agent, local_addr=(hidden, SNMP_PORT))
        relay = await udp_relay(path, host=public, port=SNMP_PORT, to=(hidden, SNMP_PORT))
        hospital._stops += [transport, relay]
        return
    service: BannerService | PatientRecord
    if device.kind == "endpoint":
        service = hospital.ehr
    else:
        service = hospital.services[device.id] = BannerService(device.greets)
    port = await service.start(host=hidden, port=0)
    if device.kind == "endpoint":
        hospital.ehr_behind = (hidden, port)
    tcp = TcpRelay(path, host=public, port=8080, to=(hidden, port))
    await tcp.start()
    hospital._stops += [service, tcp]


async def ward_way(hospital: Hospital, pc: str, *, to: tuple[str, int], via: str, last: str | None) -> tuple[str, int]:
    """A relay from a ward PC over its switch and the core to a server; where the PC should connect."""
    hops = [pc, via, "core"] + ([last] if last else [])
    relay = TcpRelay(hospital.path(*hops), host="127.0.0.1", port=0, to=to)
    port = await relay.start()
    hospital._stops.append(relay)
    return "127.0.0.1", port


def _target(hospital: Hospital, device: Device) -> dict[str, Any]:
    needs: dict[str, list[Any]] = {
        "": [],
        "core": [{"at_least": 1, "of": ["sw-core-a", "sw-core-b"]}],
        "ed": [{"at_least": 1, "of": ["sw-ed-a", "sw-ed-b"]}],
    }
    address = hospital.addresses[device.id]
    target: dict[str, Any] = {
        "id": device.id,
        "name": device.name,
        "kind": device.kind,
        "address": address,
        "area": device.area,
        "team": device.team,
        "needs": needs.get(device.via, [device.via]),
    }
    if device.kind == "endpoint":
        target["address"] = f"http://{address}:8080"
        where = {"every": "4s", "timeout": "4s", "from": ["poller", "agents"]}
        target["checks"] = [{"id": "up", "kind": "http", "path": "/health", **where}]
    elif device.greets:
        check = {"kind": "tcp", "port": 8080, "expect": device.greets, "every": EVERY, "timeout": "1s"}
        target["checks"] = [check]
    else:
        pack = {"switch": "if-mib", "printer": "system", "ups": "ups-mib"}[device.kind]
        snmp = {"kind": "snmp", "port": SNMP_PORT, "pack": pack, "community": "public", "every": EVERY, "timeout": "1s"}
        target["checks"] = [snmp]
    return target


def site_file(
    hospital: Hospital, *, listen: str, data_dir: str, inbox: str, store: Any = "embedded"
) -> Mapping[str, Any]:
    """The site's configuration as a hospital would write it."""
    targets = [_target(hospital, device) for device in DEVICES]
    targets.append({"id": "mon", "name": "Monitoring host", "kind": "server", "address": "127.0.0.1", "area": "dc"})
    for pc, area, via in PCS:
        needs = [{"at_least": 1, "of": ["sw-ed-a", "sw-ed-b"]}] if via == "ed" else [via]
        targets.append(
            {
                "id": pc,
                "name": f"PC {pc[3:]}",
                "kind": "ward-workstation",
                "address": "127.0.0.1",
                "area": area,
                "needs": needs,
            }
        )
    return {
        "organisation": {"id": "demo", "name": "St Elsewhere (simulated)", "timezone": "Europe/London"},
        "sites": [{"id": "main", "name": "Main site"}],
        "areas": list(AREAS),
        "services": list(SERVICES),
        "targets": targets,
        "teams": {"network": {"phone": "2-2201"}, "apps": {"phone": "2-2202"}, "estates": {"phone": "2-2200"}},
        "agents": [
            {"id": "poller", "target": "mon"},
            *({"id": pc, "target": pc, "roles": ["ward-workstation"]} for pc, _, _ in PCS),
        ],
        "store": store,
        "data_dir": data_dir,
        "alerting": {"mode": "live"},
        "notify": {"channels": {"inbox": {"kind": "inbox", "path": inbox}}},
        "oncall": {
            "policies": [
                {"id": "demo", "severities": [1, 2, 3], "steps": [{"after": "0s", "channels": ["inbox"]}]},
            ]
        },
        "web": {"listen": listen},
        "packs": ["packs"],
    }


#: The demo pages at any hour and at once; written as the hospital's own pack over the stock table.
WAKING: Mapping[str, Any] = {
    "hold": {"seconds": 0, "severities": []},
    "gather_seconds": {},
    "rules": [{"severities": [1, 2, 3], "do": "page"}, {"severities": [4, 5], "do": "board"}],
}
