"""A simulated SNMP v1/v2c agent on a real UDP socket: GET, GETNEXT and GETBULK over a sorted table.

Built on pysnmp's message layer (RFC 3416 PDUs), without its engine: forty devices share one event loop.
"""

from __future__ import annotations

import asyncio
import bisect
from collections.abc import Callable, Mapping
from typing import Any, cast

Oid = tuple[int, ...]
#: A value, or a function of the seconds since start (counters move).
Content = tuple[str, Any] | Callable[[float], tuple[str, Any]]


class SnmpAgent(asyncio.DatagramProtocol):
    """Answers for `content`: OID -> (kind, value); kinds: integer, string, oid, counter32, counter64, gauge, ticks."""

    def __init__(self, content: Mapping[Oid, Content], *, community: str = "public") -> None:
        self._content = dict(content)
        self._oids = sorted(self._content)
        self._community = community.encode()
        self._transport: asyncio.DatagramTransport | None = None
        self._started = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.DatagramTransport, transport)  # 3.11: the concrete class is not a subclass
        self._transport = transport
        self._started = asyncio.get_running_loop().time()

    def set(self, oid: Oid, content: Content) -> None:
        """Change one value: a port goes down, a UPS goes to battery."""
        if oid not in self._content:
            bisect.insort(self._oids, oid)
        self._content[oid] = content

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = self._answer(data)
        if answer is not None and self._transport:
            self._transport.sendto(answer, addr)

    def _answer(self, data: bytes) -> bytes | None:
        from pyasn1.codec.ber import decoder, encoder
        from pyasn1.error import PyAsn1Error
        from pysnmp.proto import api

        try:
            version = int(api.decodeMessageVersion(data))
            proto = api.PROTOCOL_MODULES[version]
            request, _ = decoder.decode(data, asn1Spec=proto.Message())
        except (PyAsn1Error, KeyError):
            return None
        if bytes(proto.apiMessage.get_community(request)) != self._community:
            return None
        pdu = proto.apiMessage.get_pdu(request)
        response = proto.apiMessage.get_response(request)
        proto.apiPDU.set_varbinds(proto.apiMessage.get_pdu(response), self._varbinds(proto, pdu))
        return bytes(encoder.encode(response))

    def _varbinds(self, proto: Any, pdu: Any) -> list[Any]:
        if pdu.isSameTypeWith(proto.GetRequestPDU()):
            return [self._exact(proto, tuple(oid)) for oid, _ in proto.apiPDU.get_varbinds(pdu)]
        if pdu.isSameTypeWith(proto.GetNextRequestPDU()):
            return [self._after(proto, tuple(oid)) for oid, _ in proto.apiPDU.get_varbinds(pdu)]
        asked = [tuple(oid) for oid, _ in proto.apiBulkPDU.get_varbinds(pdu)]
        fixed = int(proto.apiBulkPDU.get_non_repeaters(pdu))
        times = min(int(proto.apiBulkPDU.get_max_repetitions(pdu)), 50)
        found = [self._after(proto, oid) for oid in asked[:fixed]]
        columns = asked[fixed:]
        for _ in range(times):
            row = [self._after(proto, oid) for oid in columns]
            found.extend(row)
            columns = [tuple(oid) for oid, _ in row]
        return found

    def _exact(self, proto: Any, oid: Oid) -> tuple[Any, Any]:
        from pysnmp.proto import rfc1905

        value = self._content.get(oid)
        if value is None:
            return proto.ObjectIdentifier(oid), rfc1905.noSuchInstance
        return proto.ObjectIdentifier(oid), self._value(proto, value)

    def _after(self, proto: Any, oid: Oid) -> tuple[Any, Any]:
        from pysnmp.proto import rfc1905

        index = bisect.bisect_right(self._oids, oid)
        if index == len(self._oids):
            return proto.ObjectIdentifier(oid), rfc1905.endOfMibView
        following = self._oids[index]
        return proto.ObjectIdentifier(following), self._value(proto, self._content[following])

    def _value(self, proto: Any, content: Content) -> Any:
        if callable(content):
            content = content(asyncio.get_running_loop().time() - self._started)
        kind, value = content
        types = {
            "integer": proto.Integer,
            "string": proto.OctetString,
            "oid": proto.ObjectIdentifier,
            "counter32": proto.Counter32,
            "counter64": getattr(proto, "Counter64", proto.Counter32),
            "gauge": getattr(proto, "Gauge32", getattr(proto, "Gauge", None)),
            "ticks": proto.TimeTicks,
        }
        return types[kind](value)


SYSTEM = (1, 3, 6, 1, 2, 1, 1)
IF_TABLE = (1, 3, 6, 1, 2, 1, 2, 2, 1)
IFX_TABLE = (1, 3, 6, 1, 2, 1, 31, 1, 1, 1)
UPS = (1, 3, 6, 1, 2, 1, 33, 1)


def system_group(*, name: str, descr: str, object_id: Oid) -> dict[Oid, Content]:
    """SNMPv2-MIB system group (RFC 3418)."""
    return {
        (*SYSTEM, 1, 0): ("string", descr),
        (*SYSTEM, 2, 0): ("oid", object_id),
        (*SYSTEM, 3, 0): lambda age_s: ("ticks", int((age_s + 86_400) * 100) % 2**32),
        (*SYSTEM, 5, 0): ("string", name),
    }


def _counter(kind: str, per_second: float) -> Content:
    """A counter that grows at a steady rate and wraps at its width."""
    width = 2**64 if kind == "counter64" else 2**32
    return lambda age_s: (kind, int(age_s * per_second) % width)


def interface(index: int, *, name: str, up: bool = True, load_bytes_per_second: float = 50_000.0) -> dict[Oid, Content]:
    """One row of ifTable and ifXTable (RFC 2863), 1 Gbit/s, with moving counters."""
    return {
        (*IF_TABLE, 1, index): ("integer", index),
        (*IF_TABLE, 2, index): ("string", name),
        (*IF_TABLE, 3, index): ("integer", 6),
        (*IF_TABLE, 5, index): ("gauge", 1_000_000_000),
        (*IF_TABLE, 7, index): ("integer", 1),
        (*IF_TABLE, 8, index): ("integer", 1 if up else 2),
        (*IF_TABLE, 10, index): _counter("counter32", load_bytes_per_second),
        (*IF_TABLE, 13, index): ("counter32", 0),
        (*IF_TABLE, 14, index): ("counter32", 0),
        (*IF_TABLE, 16, index): _counter("counter32", load_bytes_per_second * 1.5),
        (*IF_TABLE, 19, index): ("counter32", 0),
        (*IF_TABLE, 20, index): ("counter32", 0),
        (*IFX_TABLE, 1, index): ("string", name),
        (*IFX_TABLE, 6, index): _counter("counter64", load_bytes_per_second),
        (*IFX_TABLE, 10, index): _counter("counter64", load_bytes_per_second * 1.5),
        (*IFX_TABLE, 15, index): ("gauge", 1000),
        (*IFX_TABLE, 18, index): ("string", f"to {name}"),
    }


def switch(name: str, *, ports: int = 8) -> dict[Oid, Content]:
    """An access switch with all ports up."""
    content = system_group(name=name, descr="Simulated access switch", object_id=(1, 3, 6, 1, 4, 1, 99999, 1))
    content[(1, 3, 6, 1, 2, 1, 2, 1, 0)] = ("integer", ports)
    for index in range(1, ports + 1):
        content.update(interface(index, name=f"1/0/{index}", load_bytes_per_second=20_000.0 * index))
    return content


def ups(name: str) -> dict[Oid, Content]:
    """A UPS on mains with a full battery (UPS-MIB, RFC 1628)."""
    content = system_group(name=name, descr="Simulated UPS", object_id=(1, 3, 6, 1, 4, 1, 99999, 2))
    content.update(
        {
            (*UPS, 2, 1, 0): ("integer", 2),
            (*UPS, 2, 2, 0): ("integer", 0),
            (*UPS, 2, 3, 0): ("integer", 38),
            (*UPS, 2, 4, 0): ("integer", 100),
            (*UPS, 4, 1, 0): ("integer", 3),
            (*UPS, 4, 4, 1, 5, 1): ("integer", 42),
        }
    )
    return content


def printer(name: str) -> dict[Oid, Content]:
    """A label printer that is idle (HOST-RESOURCES-MIB hrPrinterStatus, Printer-MIB RFC 3805)."""
    content = system_group(name=name, descr="Simulated label printer", object_id=(1, 3, 6, 1, 4, 1, 99999, 3))
    content.update(
        {
            (1, 3, 6, 1, 2, 1, 25, 3, 5, 1, 1, 1): ("integer", 3),
            (1, 3, 6, 1, 2, 1, 43, 11, 1, 1, 6, 1, 1): ("string", "Label ribbon"),
            (1, 3, 6, 1, 2, 1, 43, 11, 1, 1, 8, 1, 1): ("integer", 100),
            (1, 3, 6, 1, 2, 1, 43, 11, 1, 1, 9, 1, 1): ("integer", 64),
        }
    )
    content.update(interface(1, name="eth0"))
    return content
