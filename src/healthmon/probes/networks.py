"""Which addresses may be probed by which kind: pure, and decided on the address, never on the name."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from healthmon.model.plan import MedicalNetwork, Safety

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

#: RFC 6052: an IPv4 address carried inside IPv6 by NAT64.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Ruling:
    """`refused` says why not; `medical` is the network whose spacing applies; `subnet` is None on loopback."""

    refused: str | None = None
    medical: MedicalNetwork | None = None
    subnet: IPNetwork | None = None


class Networks:
    """The `safety` block read as networks. Raises ValueError for something that is not a network."""

    def __init__(self, safety: Safety) -> None:
        self._deny = [ipaddress.ip_network(cidr, strict=False) for cidr in safety.deny]
        self._medical = [(ipaddress.ip_network(net.cidr, strict=False), net) for net in safety.medical]
        self._known: dict[tuple[str, str], Ruling] = {}

    def ruling(self, ip: str, kind: str) -> Ruling:
        """May a probe of this kind go to this address?"""
        key = (ip, kind)
        known = self._known.get(key)
        if known is None:
            if len(self._known) > 100_000:
                self._known.clear()
            known = self._known[key] = self._decide(ipaddress.ip_address(ip), kind)
        return known

    def _decide(self, address: IPAddress, kind: str) -> Ruling:
        faces = _faces(address)
        for face in faces:
            if face.is_unspecified or face.is_multicast or face == ipaddress.IPv4Address("255.255.255.255"):
                return Ruling(refused="not the address of one machine")
            if any(face in network for network in self._deny if network.version == face.version):
                return Ruling(refused="the address is in a denied network")
        for face in faces:
            for network, medical in self._medical:
                if network.version == face.version and face in network:
                    return self._medical_ruling(face, medical, kind)
        return Ruling(subnet=_subnet(faces[-1]))

    def _medical_ruling(self, address: IPAddress, medical: MedicalNetwork, kind: str) -> Ruling:
        if not any(allow.kind == kind for allow in medical.allow):
            return Ruling(f"{kind} is not approved in the medical network {medical.cidr}", medical)
        return Ruling(medical=medical, subnet=_subnet(address))


def _faces(address: IPAddress) -> list[IPAddress]:
    """The address and the IPv4 address that it carries inside, if any: a deny must hold for both."""
    faces: list[IPAddress] = [address]
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            faces.append(inner)
    return faces


def _subnet(address: IPAddress) -> IPNetwork | None:
    """/24 or /64. Loopback is this machine: there is no link and no device to spare."""
    if address.is_loopback:
        return None
    width = 24 if address.version == 4 else 64
    return ipaddress.ip_network(
        (int(address) >> (address.max_prefixlen - width) << (address.max_prefixlen - width), width)
    )
