"""What a device's own tables say of its neighbours: LLDP, forwarding and ARP tables as links with provenance. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from healthmon.probes.snmp_client import SnmpValue

SYS_DESCR, SYS_OBJECT_ID, SYS_NAME = (f"1.3.6.1.2.1.1.{arc}.0" for arc in (1, 2, 5))
LLDP = "1.0.8802.1.1.2.1"
CHASSIS_SUBTYPE, CHASSIS_ID = f"{LLDP}.3.1.0", f"{LLDP}.3.2.0"
SCALARS = (SYS_DESCR, SYS_OBJECT_ID, SYS_NAME, CHASSIS_SUBTYPE, CHASSIS_ID)
#: Every column that is walked, by the name used here.
COLUMNS: Mapping[str, str] = {
    "if_name": "1.3.6.1.2.1.31.1.1.1.1",
    "if_descr": "1.3.6.1.2.1.2.2.1.2",
    "if_mac": "1.3.6.1.2.1.2.2.1.6",
    "arp": "1.3.6.1.2.1.4.22.1.2",
    "bridge_port": "1.3.6.1.2.1.17.1.4.1.2",
    "fdb": "1.3.6.1.2.1.17.4.3.1.2",
    "fdb_status": "1.3.6.1.2.1.17.4.3.1.3",
    "vlan_fdb": "1.3.6.1.2.1.17.7.1.2.2.1.2",
    "vlan_fdb_status": "1.3.6.1.2.1.17.7.1.2.2.1.3",
    "local_port": f"{LLDP}.3.7.1.3",
    "remote_chassis_subtype": f"{LLDP}.4.1.1.4",
    "remote_chassis": f"{LLDP}.4.1.1.5",
    "remote_port": f"{LLDP}.4.1.1.7",
    "remote_port_descr": f"{LLDP}.4.1.1.8",
    "remote_name": f"{LLDP}.4.1.1.9",
    "remote_enabled": f"{LLDP}.4.1.1.12",
    "remote_address": f"{LLDP}.4.2.1.3",
}
#: LldpChassisIdSubtype: which kind of id it is; 4 is a MAC, 5 a network address.
_MAC_ID, _NETWORK_ID = 4, 5
#: dot1dTpFdbStatus: learned from traffic.
_LEARNED = 3
#: LldpSystemCapabilitiesMap, a string of bits from the left: bridge 2, router 4.
_FORWARDS = 0x20 | 0x08
#: A phone with a PC behind it and one more; a port with more is a way to somewhere, not the place of one device.
MOST_ON_EDGE = 3

Rows = Mapping[str, Iterable[tuple[str, SnmpValue]]]


@dataclass(frozen=True, slots=True)
class Neighbour:
    """What LLDP heard on a port. `forwards`: it says that it is a bridge or a router."""

    port: str
    name: str = ""
    mac: str = ""
    ip: str = ""
    remote_port: str = ""
    forwards: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """One address that answered, and what the device behind it says. `by` is what it answered to."""

    ip: str
    by: str
    identified: bool = False
    name: str = ""
    descr: str = ""
    object_id: str = ""
    macs: frozenset[str] = frozenset()
    neighbours: tuple[Neighbour, ...] = ()
    learned: tuple[tuple[str, str], ...] = ()  # (port, MAC)
    arp: tuple[tuple[str, str], ...] = ()  # (IP, MAC)
    trouble: str = ""

    @property
    def bridges(self) -> bool:
        """It forwards for others."""
        return bool(self.learned)


@dataclass(frozen=True, slots=True)
class Link:
    """Two ends that see each other. `leaf` is the end that hangs on the other, "" where neither does.

    source: `lldp` or `fdb`; seen_by: whose table says so. An end is an address, or "" when only its name is known.
    """

    one: str
    one_port: str
    other: str
    other_port: str
    source: str
    seen_by: tuple[str, ...]
    leaf: str = ""
    other_name: str = ""
    mac: str = ""


def described(found: Found, scalars: Mapping[str, SnmpValue], rows: Rows) -> Found:
    """`found` with what its tables say. Whatever does not fit is left out."""
    tables = {name: tuple(rows.get(name, ())) for name in COLUMNS}
    names = {index: text_of(value) for index, value in (*tables["if_descr"], *tables["if_name"]) if text_of(value)}
    macs = {mac for _, value in tables["if_mac"] if (mac := mac_of(value))}
    if scalars.get(CHASSIS_SUBTYPE) == _MAC_ID and (chassis := mac_of(scalars.get(CHASSIS_ID))):
        macs.add(chassis)
    return replace(
        found,
        identified=True,
        name=text_of(scalars.get(SYS_NAME)),
        descr=text_of(scalars.get(SYS_DESCR)),
        object_id=str(scalars.get(SYS_OBJECT_ID, "")),
        macs=frozenset(macs),
        neighbours=tuple(_neighbours(tables)),
        learned=tuple(sorted(set(_learned(tables, names)))),
        arp=tuple(sorted(set(_arp(tables)))),
    )


def links_of(devices: Iterable[Found]) -> list[Link]:
    """Every link once, LLDP before the forwarding tables; the order of the devices does not matter."""
    known = sorted(devices, key=lambda one: ipaddress.ip_address(one.ip).packed)
    places = _Places(known)
    links: dict[object, Link] = {}
    for device in known:
        for link in _lldp_links(device, places):
            key = _pair(link)
            mirrored = links.get(key)
            links[key] = replace(mirrored, seen_by=tuple(sorted({*mirrored.seen_by, *link.seen_by})),
                                 leaf=mirrored.leaf or link.leaf) if mirrored else link  # fmt: skip
    told = {frozenset((link.one, link.other)) for link in links.values()}
    edges = [link for link in _edges(known, places) if frozenset((link.one, link.other)) not in told]
    return [*links.values(), *edges]


def text_of(value: SnmpValue | None) -> str:
    """A name for people: printable, one line, not long."""
    if value is None:
        return ""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return "".join(char if char.isprintable() else " " for char in text).strip()[:120]


def mac_of(value: SnmpValue | None) -> str:
    """Six octets as `00:11:22:33:44:55`; "" for anything else, for groups and for none."""
    if not isinstance(value, bytes) or len(value) != 6 or value[0] & 1 or not any(value):
        return ""
    return value.hex(":")


class _Places:
    """Where a MAC, a name or an address has been found."""

    def __init__(self, devices: Iterable[Found]) -> None:
        self._by_mac: dict[str, str] = {}
        self._by_name: dict[str, str] = {}
        self.ips: set[str] = set()
        for device in devices:
            self.ips.add(device.ip)
            self._by_mac.update(dict.fromkeys(device.macs, device.ip))
            if device.name:
                known = self._by_name.setdefault(device.name.casefold(), device.ip)
                if known != device.ip:
                    self._by_name[device.name.casefold()] = ""  # two of one name: it names neither
        for device in devices:
            for ip, mac in device.arp:
                if ip in self.ips:
                    self._by_mac.setdefault(mac, ip)

    def of_mac(self, mac: str) -> str:
        return self._by_mac.get(mac, "")

    def of(self, neighbour: Neighbour) -> str:
        """The address of a neighbour, "" when it was not found."""
        if neighbour.ip in self.ips:
            return neighbour.ip
        return self.of_mac(neighbour.mac) or self._by_name.get(neighbour.name.casefold(), "")


def _lldp_links(device: Found, places: _Places) -> Iterator[Link]:
    for near in device.neighbours:
        other = places.of(near)
        if other == device.ip or not (other or near.name or near.mac):
            continue
        leaf = other if other and not near.forwards else ""
        name = near.name or near.mac
        yield Link(device.ip, near.port, other, near.remote_port, "lldp", (device.ip,), leaf, name, near.mac)


def _pair(link: Link) -> object:
    """The same for both ends' view of a link between two found devices."""
    if not link.other:
        return (link.one, link.one_port, link.other_name)
    return frozenset(((link.one, link.one_port), (link.other, link.other_port)))


def _edges(devices: Iterable[Found], places: _Places) -> Iterator[Link]:
    """Ports on which one device is, by forwarding tables. A MAC that is at the edge of two switches is at neither."""
    bridge_macs = {mac for device in devices if device.bridges for mac in device.macs}
    at: dict[str, list[tuple[str, str]]] = {}
    for device in devices:
        towards = {near.port for near in device.neighbours if near.forwards}
        ports: dict[str, set[str]] = {}
        for port, mac in device.learned:
            ports.setdefault(port, set()).add(mac)
        for port, macs in ports.items():
            if port not in towards and len(macs) <= MOST_ON_EDGE and not macs & bridge_macs:
                for mac in macs:
                    at.setdefault(mac, []).append((device.ip, port))
    for mac, seen in sorted(at.items()):
        host = places.of_mac(mac)
        if host and len(seen) == 1 and seen[0][0] != host:
            (switch, port), = seen  # fmt: skip
            yield Link(switch, port, host, "", "fdb", (switch,), leaf=host, mac=mac)


def _neighbours(tables: Mapping[str, tuple[tuple[str, SnmpValue], ...]]) -> Iterator[Neighbour]:
    columns = {name: dict(tables[name]) for name in tables if name.startswith("remote_")}
    ports = {index: text_of(value) for index, value in tables["local_port"]}
    addresses = dict(_managed(tables["remote_address"]))
    for index, chassis in columns["remote_chassis"].items():
        arcs = index.split(".")
        if len(arcs) != 3:
            continue
        subtype = columns["remote_chassis_subtype"].get(index)
        enabled = columns["remote_enabled"].get(index, b"")
        remote_port = columns["remote_port"].get(index)
        port = text_of(remote_port) if not mac_of(remote_port) else text_of(columns["remote_port_descr"].get(index))
        yield Neighbour(
            port=ports.get(arcs[1]) or f"port {arcs[1]}",
            name=text_of(columns["remote_name"].get(index)),
            mac=mac_of(chassis) if subtype == _MAC_ID else "",
            ip=addresses.get(index, "") or (_address(chassis) if subtype == _NETWORK_ID else ""),
            remote_port=port,
            forwards=isinstance(enabled, bytes) and bool(enabled[:1]) and bool(enabled[0] & _FORWARDS),
        )


def _managed(rows: Iterable[tuple[str, SnmpValue]]) -> Iterator[tuple[str, str]]:
    """The management address stands in the index: time, port, number, 1 for IPv4, 4, and the octets."""
    for index, _ in rows:
        arcs = index.split(".")
        if len(arcs) == 9 and arcs[3:5] == ["1", "4"] and all(int(arc) < 256 for arc in arcs[5:]):
            yield ".".join(arcs[:3]), ".".join(arcs[5:])


def _address(value: SnmpValue) -> str:
    """Family 1 (IPv4) and four octets."""
    if isinstance(value, bytes) and len(value) == 5 and value[0] == 1:
        return str(ipaddress.IPv4Address(value[1:]))
    return ""


def _learned(
    tables: Mapping[str, tuple[tuple[str, SnmpValue], ...]], names: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    interfaces = {port: text_of(value) for port, value in tables["bridge_port"]}
    for table in ("fdb", "vlan_fdb"):
        status = dict(tables[f"{table}_status"])
        for index, port in tables[table]:
            arcs = index.split(".")[-6:]
            if len(arcs) != 6 or not all(int(arc) < 256 for arc in arcs) or status.get(index, _LEARNED) != _LEARNED:
                continue
            mac = mac_of(bytes(map(int, arcs)))
            if mac and port:
                interface = interfaces.get(str(port), "")
                yield names.get(interface) or f"port {text_of(port)}", mac


def _arp(tables: Mapping[str, tuple[tuple[str, SnmpValue], ...]]) -> Iterator[tuple[str, str]]:
    for index, value in tables["arp"]:
        arcs = index.split(".")[1:]
        mac = mac_of(value)
        if mac and len(arcs) == 4 and all(int(arc) < 256 for arc in arcs):
            yield ".".join(arcs), mac
