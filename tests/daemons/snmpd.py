"""A real snmpd with users of every security level, and an agent of our own that can be made to misbehave."""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import os
import re
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from daemons.process import Daemon, free_port, need, running

AUTH_PASSWORD = "authpass2"
PRIV_PASSWORD = "privpass2"
COMMUNITY = "st-elsewhere"

CONFIG = f"""
agentaddress udp:127.0.0.1:{{port}},udp6:[::1]:{{port}}
rocommunity {COMMUNITY} 127.0.0.1
rocommunity6 {COMMUNITY} ::1
sysname sw-ward7
engineID sw-ward7
createUser open
createUser sign-sha SHA {AUTH_PASSWORD}
createUser seal-sha SHA {AUTH_PASSWORD} AES {PRIV_PASSWORD}
createUser seal-sha256 SHA-256 {AUTH_PASSWORD} AES {PRIV_PASSWORD}
createUser seal-sha512 SHA-512 {AUTH_PASSWORD} AES256 {PRIV_PASSWORD}
rouser open noauth
rouser sign-sha auth
rouser seal-sha priv
rouser seal-sha256 priv
rouser seal-sha512 priv
"""


#: net-snmp's names of what can sign and what can seal; -C is the key stretching that Cisco ships.
SIGNING = {"MD5": "MD5", "SHA": "SHA", "SHA-224": "SHA-224", "SHA-256": "SHA-256", "SHA-384": "SHA-384",
           "SHA-512": "SHA-512"}  # fmt: skip
SEALING = {"DES": "DES", "AES": "AES", "AES-192": "AES192", "AES-256": "AES256", "AES-192-C": "AES192C",
           "AES-256-C": "AES256C"}  # fmt: skip


def every_pair() -> str:
    """Configuration of one user for each pair of signing and sealing, called by both."""
    lines = []
    for auth, sign in SIGNING.items():
        for priv, seal in SEALING.items():
            name = f"{auth}.{priv}".lower()
            lines.append(f"createUser {name} {sign} {AUTH_PASSWORD} {seal} {PRIV_PASSWORD}\nrouser {name} priv\n")
    return "".join(lines)


def make_snmpd(folder: Path, port: int | None = None, *, users: str = "") -> tuple[Daemon, int]:
    """An snmpd that keeps its engine boots in `folder`, and its UDP port."""
    binary = need("snmpd")
    port = port or free_port(socket.SOCK_DGRAM)
    config = folder / "snmpd.conf"
    config.write_text(CONFIG.format(port=port) + users)
    state = folder / "state"
    state.mkdir(exist_ok=True)
    environment = ["env", f"SNMP_PERSISTENT_DIR={state}", "MIBS="]
    argv = [*environment, binary, "-f", "-C", "-c", str(config), "-Lf", str(folder / "snmpd.log")]
    return Daemon(argv, ready=lambda: _answers(port), log=folder / "snmpd.out"), port


@contextlib.contextmanager
def snmpd(folder: Path, *, users: str = "") -> Iterator[int]:
    """The UDP port of a running snmpd."""
    daemon, port = make_snmpd(folder, users=users)
    with running(daemon):
        yield port


def _answers(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, contextlib.suppress(OSError):
        sock.settimeout(0.2)
        sock.connect(("127.0.0.1", port))
        sock.send(message(COMMUNITY, 0xA0, 1, 0, 0, [("1.3.6.1.2.1.1.3.0", ("null", b""))]))
        return bool(sock.recv(2000))
    return False


@contextlib.contextmanager
def silent_port() -> Iterator[int]:
    """A UDP port where somebody listens and never says a word."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        yield int(sock.getsockname()[1])


# -- BER, just what SNMPv2c needs (X.690, RFC 3416)

TAGS = {
    "int": 0x02,
    "octets": 0x04,
    "null": 0x05,
    "oid": 0x06,
    "ip": 0x40,
    "counter32": 0x41,
    "gauge32": 0x42,
    "timeticks": 0x43,
    "opaque": 0x44,
    "counter64": 0x46,
    "noSuchInstance": 0x81,
    "endOfMibView": 0x82,
}
Typed = tuple[str, bytes | int | str]


def tlv(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 128:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def integer(value: int, tag: int = 0x02) -> bytes:
    return tlv(tag, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def oid_octets(oid: str) -> bytes:
    first, second, *rest = (int(part) for part in oid.split("."))
    octets = b""
    for arc in (first * 40 + second, *rest):
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(0x80 | arc & 0x7F)
        octets += bytes(reversed(groups))
    return octets


def typed(value: Typed) -> bytes:
    kind, content = value
    tag = TAGS[kind]
    match content:
        case int():
            return integer(content, tag)
        case str() if kind == "oid":
            return tlv(tag, oid_octets(content))
        case str() if kind == "ip":
            return tlv(tag, socket.inet_aton(content))
        case str():
            return tlv(tag, content.encode())
    return tlv(tag, content)


def message(community: str, pdu: int, request: int, status: int, index: int, binds: list[tuple[str, Typed]]) -> bytes:
    """A whole SNMPv2c message."""
    pairs = b"".join(tlv(0x30, tlv(0x06, oid_octets(oid)) + typed(value)) for oid, value in binds)
    body = integer(request) + integer(status) + integer(index) + tlv(0x30, pairs)
    return tlv(0x30, integer(1) + tlv(0x04, community.encode()) + tlv(pdu, body))


def split(data: bytes) -> list[tuple[int, bytes]]:
    """The elements of a constructed value."""
    found: list[tuple[int, bytes]] = []
    at = 0
    while at < len(data):
        tag, size = data[at], data[at + 1]
        at += 2
        if size & 0x80:
            more = size & 0x7F
            size = int.from_bytes(data[at : at + more], "big")
            at += more
        found.append((tag, data[at : at + size]))
        at += size
    return found


def oid_text(octets: bytes) -> str:
    arcs: list[int] = []
    arc = 0
    for octet in octets:
        arc = arc << 7 | octet & 0x7F
        if not octet & 0x80:
            arcs.append(arc)
            arc = 0
    return ".".join(map(str, (arcs[0] // 40, arcs[0] % 40, *arcs[1:])))


def arcs_of(oid: str) -> tuple[int, ...]:
    return tuple(map(int, oid.split(".")))


@dataclass(frozen=True)
class Request:
    """What a manager asked. `number` counts requests from 1; repetitions 0 means GET."""

    number: int
    pdu: int
    id: int
    repetitions: int
    oids: tuple[str, ...]


@dataclass
class Agent(asyncio.DatagramProtocol):
    """An SNMPv2c agent over a dictionary. `twist` may answer in another way: bytes, or None for silence."""

    values: dict[str, Typed]
    twist: Callable[[Request, bytes], bytes | None] | None = None
    most_bytes: int = 1400
    requests: list[Request] = field(default_factory=list)
    transport: asyncio.DatagramTransport | None = None

    def __post_init__(self) -> None:
        self.replace(self.values)

    def replace(self, values: dict[str, Typed]) -> None:
        """From now on answer with these."""
        self.values = values
        self.order = sorted(values, key=arcs_of)
        self.keys = [arcs_of(oid) for oid in self.order]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        _, _, (pdu, body) = split(split(data)[0][1])
        (_, request_id), _, (_, repetitions), (_, binds) = split(body)
        oids = tuple(oid_text(split(pair)[0][1]) for _, pair in split(binds))
        request = Request(
            len(self.requests) + 1,
            pdu,
            int.from_bytes(request_id, "big", signed=True),
            int.from_bytes(repetitions, "big") if pdu == 0xA5 else 0,
            oids,
        )
        self.requests.append(request)
        answer: bytes | None = self.answer(request)
        if self.twist:
            answer = self.twist(request, answer or b"")
        if answer is not None and self.transport:
            self.transport.sendto(answer, addr)

    def answer(self, request: Request) -> bytes:
        """What a good agent would say; fewer repetitions where they do not fit."""
        if request.pdu == 0xA0:
            binds = [(oid, self.values.get(oid, ("noSuchInstance", b""))) for oid in request.oids]
            whole = response(request, binds)
            return whole if len(whole) <= self.most_bytes else response(request, [], status=1)
        binds = self.following(request.oids[0], request.repetitions)
        while len(response(request, binds)) > self.most_bytes:
            binds.pop()
        return response(request, binds)

    def following(self, oid: str, most: int) -> list[tuple[str, Typed]]:
        """What comes after `oid`, then the end of the MIB."""
        at = bisect.bisect_right(self.keys, arcs_of(oid))
        found = [(name, self.values[name]) for name in self.order[at : at + most]]
        if len(found) < most:
            found.append((found[-1][0] if found else oid, ("endOfMibView", b"")))
        return found


def response(request: Request, binds: list[tuple[str, Typed]], *, status: int = 0) -> bytes:
    return message(COMMUNITY, 0xA2, request.id, status, 0, binds)


@contextlib.asynccontextmanager
async def agent(values: dict[str, Typed], **ways: object) -> AsyncIterator[tuple[Agent, int]]:
    """The agent and its UDP port."""
    loop = asyncio.get_running_loop()
    made = Agent(values, **ways)  # type: ignore[arg-type]
    transport, _ = await loop.create_datagram_endpoint(lambda: made, local_addr=("127.0.0.1", 0))
    try:
        yield made, int(transport.get_extra_info("sockname")[1])
    finally:
        transport.close()


#: snmpsim's numbers of types (ASN.1 tags) -> ours.
REC_TYPES = {
    2: "int",
    4: "octets",
    5: "null",
    6: "oid",
    64: "ip",
    65: "counter32",
    66: "gauge32",
    67: "timeticks",
    68: "opaque",
    70: "counter64",
}

RECORDED_START = re.compile(r"(\w+)=(\d+)")


def read_recording(path: Path) -> dict[str, Typed]:
    """A .snmprec file as values for an agent; lines that continue a text and simulation variables are left out."""
    values: dict[str, Typed] = {}
    for line in path.read_text("utf-8", "replace").splitlines():
        oid, kind, raw = [*line.split("|", 2), "", ""][:3]
        if kind.endswith(":numeric"):  # a value that a simulator moves: where it starts
            kind, raw = kind.partition(":")[0], dict(RECORDED_START.findall(raw)).get("initial", "0")
        if kind.rstrip("x").isdigit():
            name = REC_TYPES[int(kind.rstrip("x"))]
            values[oid] = (name, _recorded(name, raw, hexed=kind.endswith("x")))
    return values


def as_value(recorded: Typed | None) -> int | bytes | str | None:
    """A recorded value as an SNMP library gives it."""
    if recorded is None or recorded[0] == "null":
        return None
    kind, content = recorded
    return content.encode() if isinstance(content, str) and kind in ("octets", "opaque") else content


def _recorded(name: str, raw: str, *, hexed: bool) -> bytes | int | str:
    if hexed:
        octets = bytes.fromhex(raw)
        return socket.inet_ntoa(octets) if name == "ip" else octets
    if name in ("octets", "null", "opaque"):
        return raw.encode("utf-8")
    return raw if name in ("oid", "ip") else int(raw)


def walk_tool(port: int, oid: str) -> list[tuple[str, str]]:
    """The same walk by net-snmp's own tool, as (OID, `TYPE: value`)."""
    argv = [need("snmpbulkwalk"), "-v2c", "-c", COMMUNITY, "-On", "-Oe", f"127.0.0.1:{port}", oid]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, env={**os.environ, "MIBS": ""})
    pairs = (line.split(" = ", 1) for line in done.stdout.splitlines() if " = " in line)
    return [(name.lstrip("."), value) for name, value in pairs]
