"""Every parser of something that comes over the network, with good messages and the errors that it may raise."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import importlib
import importlib.util
import json
import socket
import struct
import zlib
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec

from healthmon.ingest.guard import PatientDataGuard
from healthmon.ingest.identifiers import scrub, suspicious
from healthmon.model.errors import MalformedBatch, StoreDown
from healthmon.model.sample import Batch, Family, Outcome, Query, Reading, Reason, Row, Sample
from healthmon.probes import (
    certificate,
    dicom_wire,
    dns,
    fhir_answers,
    hl7_wire,
    http_cookies,
    http_decode,
    http_expect,
    http_json,
    ipp_wire,
    ldap_wire,
    ntp,
    radius_wire,
    smb,
    snmp_rows,
    ssh,
)
from healthmon.probes.address import parse_url, redirected
from healthmon.probes.dicom_association import Association
from healthmon.probes.dicom_wire import Context
from healthmon.probes.echo import _DIALECTS, EchoSocket, Flight
from healthmon.probes.http_wire import Head, Wire
from healthmon.probes.reasons import Finding
from healthmon.runtime.clock import SystemClock
from healthmon.store import answers, influxql, lineproto
from healthmon.transport import codec, topics
from healthmon.transport.bundle import bundle, unbundle


@dataclass(frozen=True)
class Parser:
    """`parse` may return whatever it likes, and raise `may_raise` and nothing else."""

    name: str
    parse: Callable[[bytes], object]
    seeds: tuple[bytes, ...]
    may_raise: tuple[type[Exception], ...] = (Finding,)


# streams


class Dripping(asyncio.StreamReader):
    """A stream that gives seven bytes at a time, so that every boundary falls inside something."""

    async def read(self, n: int = -1) -> bytes:
        return await super().read(7)


def reading(
    talk: Callable[[asyncio.StreamReader], Coroutine[Any, Any, object]], *, drip: bool = False
) -> Callable[[bytes], object]:
    """A parser of a stream as a parser of bytes; a stream that has ended makes waiting impossible."""

    def parse(data: bytes) -> object:
        async def run() -> object:
            reader = Dripping() if drip else asyncio.StreamReader()
            reader.feed_data(data)
            reader.feed_eof()
            async with asyncio.timeout(5):
                return await talk(reader)

        loop = asyncio.new_event_loop()
        try:
            return loop.run_until_complete(run())
        finally:
            loop.close()

    return parse


class Nowhere:
    """A writer whose bytes go nowhere."""

    def write(self, data: bytes) -> None:
        """Taken."""

    def get_extra_info(self, name: str) -> None:
        """No socket."""


async def _http(reader: asyncio.StreamReader) -> object:
    wire = Wire(reader)
    head = await wire.head()
    return await wire.body(head, method="GET", most_bytes=100_000)


async def _hl7(reader: asyncio.StreamReader) -> object:
    return hl7_wire.parse_ack(await hl7_wire.read_block(reader))


async def _dicom(reader: asyncio.StreamReader) -> object:
    association = Association((reader, Nowhere()))  # type: ignore[arg-type]
    echo, find = Context(1, dicom_wire.VERIFICATION), Context(3, dicom_wire.FIND_MODELS["study_root"])
    await association.open(called="A", calling="B", contexts=[echo, find])
    status = await association.echo(echo)
    tag, value = (0x0010, 0x0020), "HM"
    return status, await association.find(find, identifier=b"", tag=tag, value=value)


# bytes


def _http_rest(body: bytes) -> object:
    head = Head(200, "HTTP/1.1", {"content-type": "text/html; charset=" + body[:12].decode("latin-1")})
    fault = http_expect.judge_body(
        head, body, regex="a+b", not_regex="zz", json_path={"a.0.b": 1}, json_compare={"len(a)": "> 1"}
    )
    return fault, http_expect.text_of(head, body)


def _location(data: bytes) -> object:
    return redirected(parse_url("https://a.example/x"), data.decode("latin-1"))


def _cookies(data: bytes) -> object:
    jar, url = http_cookies.Jar(), parse_url("https://a.example/x/y")
    jar.take(url, data.decode("latin-1").split("\n"))
    return jar.header(url)


def _gzip(data: bytes) -> object:
    unpacked = http_decode.decoded("gzip" if data[:1] == b"\x1f" else "deflate", data, 50_000)
    assert len(unpacked) <= 50_000
    return unpacked


def _json(data: bytes) -> object:
    try:
        document = http_json.decode(data)
    except ValueError:
        return None
    for path in ("a", "a[0].b", "[*]", "len(a)", "a[*].b[-1]"):
        http_json.find(document, http_json.parse_path(path))
    return http_json.judge_json(data, {"a": 1}, {"b": "> 3", "c": "~ x"})


def _fhir(data: bytes) -> object:
    fhir_answers.first_issue(data)
    for kind, wanted in ((fhir_answers.Capability, "CapabilityStatement"), (fhir_answers.Found, "Bundle")):
        try:
            fhir_answers.decode(data, kind, wanted)  # type: ignore[type-var]
        except Finding:
            continue
    return fhir_answers.decode(data, fhir_answers.Resource, "Patient")


def _dicom_parts(data: bytes) -> object:
    for parse in (dicom_wire.parse_accept, dicom_wire.parse_response, lambda d: list(dicom_wire.fragments(d))):
        try:
            parse(data)
        except Finding:
            continue
    dicom_wire.rejection(data), dicom_wire.aborted(data)
    dicom_wire.has_value(data, (0x0010, 0x0020), "HM")
    return dicom_wire.parse_header(data[:6].ljust(6, b"\0"))


def _ntp(data: bytes) -> object:
    answer = ntp.parse(data)
    if answer is None:
        return None
    fields = ntp.measured(answer, (1795300718.0, 1795300718.1))
    return ntp.judge(answer, fields, ntp.Params())


def _dns(data: bytes) -> object:
    answer = dns.parse(data)
    if answer is None:
        return None
    dns.measured(answer)
    return dns.judge(answer, dns.Params(name="a.example"))


def _ldap(data: bytes) -> object:
    with suppress(Finding):
        ldap_wire.size_of(data[:10])
    answer = ldap_wire.parse(data)
    for look in (ldap_wire.result_code, ldap_wire.attributes_of):
        try:
            look(answer)
        except Finding:
            continue
    return answer


_RADIUS = radius_wire.status_server(number=1, authenticator=bytes(range(16)), secret=b"s", nas="n")


_RADIUS_HEAD = bytes([2, 1, 0, 20])
_RADIUS_GOOD = _RADIUS_HEAD + hashlib.md5(_RADIUS_HEAD + _RADIUS.authenticator + b"s").digest()


def _radius(data: bytes) -> object:
    """As it came, and once more signed by somebody who knows the secret: only then are the attributes read."""
    with suppress(radius_wire.Forged):
        radius_wire.parse(data, _RADIUS, b"s")
    body = data[20:4000]
    head = bytes([2, 1]) + (20 + len(body)).to_bytes(2, "big")
    signature = hashlib.md5(head + _RADIUS.authenticator + body + b"s").digest()
    return radius_wire.parse(head + signature + body, _RADIUS, b"s")


def _icmp(data: bytes) -> object:
    """What the socket hands over: IPv4 with its header (raw), without (datagram), and ICMPv6."""
    for family, raw in ((socket.AF_INET, True), (socket.AF_INET, False), (socket.AF_INET6, True)):
        echo: Any = object.__new__(EchoSocket)
        flight = Flight("192.0.2.1", [None], {1})
        echo._clock, echo._token, echo._ident, echo._raw = SystemClock(), b"t" * 8, 7, raw
        echo._dialect, echo._skips_ip_header = _DIALECTS[family], raw and family == socket.AF_INET
        echo._flying = {1: (1, flight, 0, (0.0, 0.0))}
        # The kernel never hands over less than an IPv4 header.
        echo._take(memoryview(data.ljust(20, b"\0") if echo._skips_ip_header else data), [])
    return None


def _snmp(data: bytes) -> object:
    values: list[Any] = [data, data.decode("latin-1"), int.from_bytes(data[:40], "big"), float(len(data))]
    values += struct.unpack("<d", data[:8]) if len(data) >= 8 else []
    for value in values:
        snmp_rows.label_text(value)
        number = snmp_rows.number(value)
        assert number is None or number - number == 0.0  # finite
    return [snmp_rows.bit_of(data, bit) for bit in (0, 7, 8, 100)]


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _identifiers(data: bytes) -> object:
    """As the guard calls them: on the first 4,000 characters."""
    text = _text(data)[:4000]
    return suspicious(text), scrub(text)


def _batch(data: bytes) -> object:
    batch = codec.decode(data)
    guard = PatientDataGuard({"icmp": Family("icmp", frozenset({"loss_ratio"}), frozenset({"interface"}))})
    return [guard.admit(one) for one in batch.readings]


def _database(data: bytes) -> object:
    text = data.decode("utf-8", "replace")
    answers.seconds_of(text)
    return answers.meaning(400, text, retry_after=text[:20], at="store", stored=False)


def _influxql(data: bytes) -> object:
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return influxql.series_of(body, Query("icmp", "loss_ratio"))


def _lines(data: bytes) -> object:
    """What somebody else named becomes exactly one line, or is refused."""
    text = data.decode("utf-8", "replace")
    half = len(text) // 2
    row = Row("icmp", (("area", text[:half]), ("interface", text[half:])), (("reason", text), ("up", True)), 1.5)
    (line,) = _split(lineproto.encode([row]))
    return line


def _split(written: bytes) -> list[bytes]:
    """Lines as a database reads them: a line feed inside a quoted text is part of it."""
    lines, quoted, fields, escaped, begun = list[bytes](), False, False, False, 0
    for at, byte in enumerate(written):
        fields = fields or (byte == 0x20 and not escaped)  # before the first bare space a quote is a plain character
        if byte == 0x22 and fields and not escaped:
            quoted = not quoted
        if byte == 0x0A and not quoted:
            lines.append(written[begun:at])
            fields, begun = False, at + 1
        escaped = byte == 0x5C and not escaped
    assert not quoted
    return [*lines, written[begun:]] if begun < len(written) else lines


SAMPLE = Sample("icmp", "loss_ratio", 0.5, {"interface": "x"})
BATCH = Batch(
    "pc-1", "9f3c0d5e7a1b2c48", 3, 1795300718.0, 12.0, True,
    (Reading("t", "c", "v", 1.0, 0.1, Outcome.FAILED, Reason.TIMEOUT, "d", (SAMPLE,)),),
    ((1, 2),),
)  # fmt: skip

_AC = dicom_wire.pdu(
    dicom_wire.ASSOCIATE_AC,
    struct.pack(">HH64x", 1, 0)
    + b"".join(b"\x21\0\0\x19" + bytes([n]) + b"\0\0\0\x40\0\0\x11" + b"1.2.840.10008.1.2" for n in (1, 3)),
)


def _rsp(command: int, message: int, status: int, data: bytes = b"") -> bytes:
    pairs = ((0x100, command | 0x8000), (0x120, message), (0x800, 1 if data else 0x101), (0x900, status))
    body = b"".join(struct.pack("<HHIH", 0, element, 2, value) for element, value in pairs)
    out = dicom_wire.pdu(4, struct.pack(">IBB", len(body) + 2, 1, 3) + body)
    return out + (dicom_wire.pdu(4, struct.pack(">IBB", len(data) + 2, 3, 2) + data) if data else b"")


_MATCH = dicom_wire.data_set({(0x0008, 0x0052): "STUDY", (0x0010, 0x0020): "HM"})
_ASSOCIATION = _AC + _rsp(0x30, 1, 0) + _rsp(0x20, 2, 0xFF00, _MATCH) + _rsp(0x20, 2, 0)
_HTTP = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n3\r\nabc\r\n0\r\nA: b\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 404 Not Found\r\nA: b\r\n\r\nuntil the end",
    b"HTTP/1.1 302 Found\nLocation: /x\nSet-Cookie: a=b; Path=/; Secure\n\n",
)
_ACK = b"\x0bMSH|^~\\&|A|B|C|D|20261101||ACK|1|T|2.5\rMSA|AA|HM0123|text\rERR|||207|E\r\x1c\r"
_FHIR = tuple(
    json.dumps(document).encode()
    for document in (
        {
            "resourceType": "CapabilityStatement",
            "status": "active",
            "fhirVersion": "4.0.1",
            "rest": [{"mode": "server"}],
        },
        {"resourceType": "Bundle", "type": "searchset", "total": 1, "entry": [{"resource": {"id": "x"}}]},
        {"resourceType": "Patient", "id": "hm", "name": [{"family": "x", "given": ["y"]}]},
        {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "login", "diagnostics": "x"}]},
    )
)


def _dns_seeds() -> tuple[bytes, ...]:
    import dns.message
    import dns.rrset

    query = dns.message.make_query("a.example", "A")
    good, bad = dns.message.make_response(query), dns.message.make_response(query)
    good.answer += [
        dns.rrset.from_text("a.example.", 60, "IN", "CNAME", "b.example."),
        dns.rrset.from_text("b.example.", 60, "IN", "A", "192.0.2.1", "192.0.2.2"),
        dns.rrset.from_text("b.example.", 60, "IN", "TXT", '"some text"'),
    ]
    bad.set_rcode(3)
    bad.authority.append(dns.rrset.from_text("example.", 60, "IN", "SOA", "m.example. h.example. 1 2 3 4 5"))
    return good.to_wire(), bad.to_wire()


def _der(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    size = bytes([len(body)]) if len(body) < 128 else b"\x81" + bytes([len(body)])
    return bytes([tag]) + size + body


_IP = b"\x45" + bytes(11) + bytes([192, 0, 2, 1, 192, 0, 2, 2])
_QUOTED = struct.pack("!BBHHH", 8, 0, 0, 7, 1)
_ICMP = (
    struct.pack("!BBHHH8sQ", 0, 0, 0, 7, 1, b"t" * 8, 1),
    _IP + struct.pack("!BBHHH8sQ", 0, 0, 0, 7, 1, b"t" * 8, 1),
    _IP + struct.pack("!BBHI", 3, 1, 0, 0) + _IP + _QUOTED,
    struct.pack("!BBHI", 1, 0, 0, 0) + bytes(40) + _QUOTED.replace(b"\x08", b"\x80", 1),
)
_NTP = struct.pack("!BBbbIIIQQQQ", 0x24, 2, 6, -20, 100, 200, 0xC0000201, *[0xEA1B2C3D << 32] * 4)
_LDAP = (
    _der(2, b"\1") + _der(0x61, _der(10, b"\0"), _der(4), _der(4)),
    _der(2, b"\2") + _der(0x64, _der(4, b"dc=x"), _der(0x30, _der(0x30, _der(4, b"cn"), _der(0x31, _der(4, b"abcd"))))),
)
_IPP = (
    b"\1\1\0\0\0\0\0\1\1\x47\0\x12attributes-charset\0\5utf-8\4\x23\0\x0dprinter-state\0\4\0\0\0\3\x44\0\x15printer-state-reasons\0\4none\3",
)
_KEXINIT = (
    bytes([20])
    + bytes(16)
    + b"".join(struct.pack(">I", len(x)) + x for x in [b"a,b", b"ssh-rsa", *[b"c"] * 8])
    + bytes(5)
)
_SMB = (
    b"\xfeSMB" + struct.pack("<HHIHHIIQIIQ16s", 64, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, bytes(16))
    + struct.pack("<HHHH16sIIIIQQHHI", 65, 1, 0x311, 1, bytes(16), 0x7F, 1, 1, 1, 133 * 10**15, 0, 128, 0, 128)
    + struct.pack("<HHI", 1, 6, 0) + bytes(8) + struct.pack("<HHI", 2, 4, 0) + bytes(8),
)  # fmt: skip
_VALIDITY = _der(0x30, _der(0x17, b"260101000000Z"), _der(0x18, b"20270101000000Z"))
_CERTIFICATE = (
    _der(0x30, _der(0x30, _der(0xA0, _der(2, b"\2")), _der(2, b"\1"), _der(0x30), _der(0x30), _VALIDITY)),
    _der(0x30, _der(0x30, _der(2, b"\1"), _der(0x30), _der(0x30), _VALIDITY)),
)
_BATCHES = (codec.encode(BATCH), msgspec.json.encode(BATCH))
_SMALL = (
    codec.encode_ack(codec.Ack("9f3c0d5e7a1b2c48", 5, ((7, 9),))),
    b'{"v":1,"target":"t","check":"","vantage":"v","deadline":5.0}',
    codec.encode_state(codec.State("a", "up", "9f3c0d5e7a1b2c48")),
)
_INFLUX = (
    b'{"results":[{"series":[{"name":"icmp","tags":{"a":"b"},"columns":["time","v"],"values":[[1,0.5],[2,null]]}]}]}',
    b'{"results":[{"error":"database not found: x"}]}',
    b'{"error":"partial write: field type conflict"}',
    b'{"code":"invalid","message":"unable to parse"}',
    b'{"error":"partial write","data":[{"error_message":"bad","line_number":1}]}',
)

PARSERS = (
    Parser("http wire", reading(_http), _HTTP),
    Parser("http wire, dripping", reading(_http, drip=True), _HTTP),
    Parser("http body", _http_rest, (b"<p>caf\xe9</p>", b'{"a":[{"b":1}]}')),
    Parser("http redirect", _location, (b"/x?y=z", b"https://b.example:99/a#b", b"//[::1]:80/x", b"http://u:p@c/")),
    Parser("http cookies", _cookies, (b"a=b; Path=/; Domain=example; Max-Age=0; Secure", b"c=d; Expires=Wed")),
    Parser("http compression", _gzip, (gzip.compress(b"a" * 90), zlib.compress(b"b" * 90), gzip.compress(bytes(9**5)))),
    Parser("http json", _json, (b'{"a":[{"b":[1,2]}],"b":4,"c":"xyz"}', b"[1,2,3]")),
    Parser("hl7", reading(_hl7), (_ACK, _ACK.replace(b"\r", b"\n"))),
    Parser("hl7, dripping", reading(_hl7, drip=True), (_ACK,)),
    Parser("fhir", _fhir, _FHIR),
    Parser("dicom association", reading(_dicom), (_ASSOCIATION, _AC + _rsp(0x30, 1, 0x122), _AC[:74])),
    Parser("dicom parts", _dicom_parts, (_AC[6:], _rsp(0x30, 1, 0)[6:], _rsp(0x30, 1, 0)[12:], _MATCH, _AC)),
    Parser("icmp", _icmp, _ICMP),
    Parser("ntp", _ntp, (_NTP,)),
    Parser("dns", _dns, _dns_seeds()),
    Parser("ldap", _ldap, _LDAP),
    Parser("radius", _radius, (_RADIUS_GOOD, _RADIUS_GOOD + b"\x12\5abc\x50\x12" + bytes(16)), (radius_wire.Forged,)),
    Parser("ipp", ipp_wire.parse, _IPP),
    Parser("ssh algorithms", ssh.algorithms, (_KEXINIT,)),
    Parser("smb", lambda data: smb.measured(smb.parse(data), 1795300718.0), _SMB),
    Parser("certificate", certificate.validity, _CERTIFICATE),
    Parser("snmp values", _snmp, (b"12.5", b"\x9fx\x04\x42\xc8\0\0", b"\x9fy\x08" + bytes(8), b"Te1/0/1", bytes(8))),
    Parser("batch", _batch, _BATCHES, (MalformedBatch,)),
    Parser("bundle", unbundle, (bundle(_BATCHES), bundle(())), (MalformedBatch,)),
    Parser("acknowledgement", codec.decode_ack, _SMALL, (MalformedBatch,)),
    Parser("ask", codec.decode_ask, _SMALL, (MalformedBatch,)),
    Parser("state", codec.decode_state, _SMALL, (MalformedBatch,)),
    Parser("topic", lambda data: topics.parse(_text(data)), (b"healthmon/v1/site/agent/batch",)),
    Parser("database answer", _database, (*_INFLUX, b"<html>404 page not found</html>"), (StoreDown,)),
    Parser("database series", _influxql, _INFLUX, (ValueError,)),
    Parser("line protocol", _lines, (b"Te1/0/1, a=b c", b"R\\", b'quote"d\nline'), (lineproto.Unwritable,)),
    Parser("patient identifiers", _identifiers, (b"NHS 943 476 5919", b"Mrs A. Example, 01/02/1990")),
)  # fmt: skip


_PERFDATA = (
    b"DISK OK - free | /=2643MB;5948;5958;0;5968 'a b'=1,5s;;@1:2\nmore\nlines | /home=69357MB;253404;253409;0;9\n",
    b"OK|x=1U y=U z=12.5%;~:80;90",
)
if importlib.util.find_spec("healthmon.probes.perfdata"):
    _perfdata = importlib.import_module("healthmon.probes.perfdata")
    PARSERS += (Parser("perfdata", lambda data: _perfdata.parse_output(_text(data)), _PERFDATA),)

_PAGES = (
    b'# HELP up x\nup 1\nq{a="b",c="d\\n\\"e } #"} 2.5e3 1395066363000\nt NaN\n',
    b'up{code="200"} 17 1.5 # {trace_id="abc"} 0.67 1.0\nq_bucket{le="0.1"} 8 # {} 0.05\n# EOF\n',
)


def _page(data: bytes) -> object:
    from healthmon.probes.openmetrics_text import parse_page

    return [parse_page(_text(data), {"up", "q", "t"}, openmetrics=strict, most_series=50) for strict in (False, True)]


PARSERS += (Parser("page of an exporter", _page, _PAGES),)


def seeds_of(name: str) -> tuple[bytes, ...]:
    """The good messages of a parser."""
    return next(parser.seeds for parser in PARSERS if parser.name == name)
