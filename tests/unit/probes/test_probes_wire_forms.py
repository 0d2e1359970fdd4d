"""Parsers of the probes against good, bad and random input."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemons.certs import Authority, der
from healthmon.model.sample import Reason
from healthmon.probes.address import host_port, parse_url, redirected
from healthmon.probes.certificate import validity
from healthmon.probes.echo import checksum
from healthmon.probes.http_expect import judge_body, statuses_of
from healthmon.probes.http_wire import Head, Wire
from healthmon.probes.icmp import summary
from healthmon.probes.reasons import Finding

HEAD = Head(200, "HTTP/1.1", {})


async def read(data: bytes, *, most_bytes: int = 1000) -> tuple[Head, bytes]:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    wire = Wire(reader)
    head = await wire.head()
    return head, await wire.body(head, method="GET", most_bytes=most_bytes)


async def ended(data: bytes) -> str:
    try:
        _, body = await read(data)
    except Finding as finding:
        return finding.fault.reason
    return "read" if len(body) <= 1000 else "too much"


@given(st.binary(max_size=400))
@settings(max_examples=300, deadline=None)
def test_no_answer_at_all_can_break_the_parser(data: bytes) -> None:
    for prefix in (b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"):
        assert asyncio.run(ended(prefix + data)) in ("read", Reason.BAD_RESPONSE, Reason.CLOSED, Reason.TOO_LARGE)


@given(st.binary(max_size=900), st.lists(st.integers(1, 50), min_size=1, max_size=20))
@settings(max_examples=100, deadline=None)
def test_chunks_of_any_size_give_the_body_back(body: bytes, sizes: list[int]) -> None:
    sent, at, turn = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0, 0
    while at < len(body):
        chunk = body[at : at + sizes[turn % len(sizes)]]
        sent += b"%x\r\n%s\r\n" % (len(chunk), chunk)
        at, turn = at + len(chunk), turn + 1
    assert asyncio.run(read(sent + b"0\r\n\r\n"))[1] == body


@pytest.mark.parametrize(
    ("wanted", "good", "bad"),
    [([200], [200], [201, 204]), (["2xx"], [200, 299], [300, 199]), (["200-204", "404"], [203, 404], [205, 403])],
)
def test_statuses(wanted: list[int | str], good: list[int], bad: list[int]) -> None:
    fits = statuses_of(wanted)
    assert all(fits(status) for status in good)
    assert not any(fits(status) for status in bad)


@pytest.mark.parametrize("wanted", ["ok", "20", "6xx", "200-", "200-2xx", "2000"])
def test_statuses_that_are_none(wanted: str) -> None:
    with pytest.raises(ValueError, match="allowed"):
        statuses_of([wanted])


@pytest.mark.parametrize(
    ("body", "path", "expected", "good"),
    [
        (b'{"a":{"b":[1,{"c":"x"}]}}', "a.b.1.c", "x", True),
        (b'{"a":1}', "a", 1.0, True),
        (b'{"a":true}', "a", 1, False),
        (b'{"a":null}', "a", None, True),
        (b'{"a":1}', "b", None, False),
        (b"[1,2]", "2", 3, False),
        (b'{"1":"x"}', "1", "x", True),
        (b"[[[", "0", 1, False),
    ],
)
def test_json_paths(body: bytes, path: str, expected: str | float | bool | None, good: bool) -> None:
    fault = judge_body(HEAD, body, regex=None, not_regex=None, json_path={path: expected})
    assert (fault is None) is good


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_what_is_no_certificate_is_a_bad_response(data: bytes) -> None:
    with pytest.raises(Finding) as caught:
        validity(data)
    assert caught.value.fault.reason is Reason.BAD_RESPONSE


@pytest.mark.parametrize(("starts", "ends"), [(-1.0, 90.0), (-400.0, -1.0), (5.0, 40_000.0)])
def test_certificate_dates(tmp_path_factory: pytest.TempPathFactory, starts: float, ends: float) -> None:
    issued = Authority(tmp_path_factory.mktemp("ca")).issue("one", starts_days=starts, ends_days=ends)
    found = validity(der(issued.cert_file))
    assert (found.not_before, found.not_after) == (issued.not_before, issued.not_after)


def test_lifetime_fields() -> None:
    from healthmon.probes.certificate import Validity

    assert Validity(0.0, 100.0).fields(25.0) == {"expires_in_seconds": 75.0, "lifetime_left_ratio": 0.75}
    assert Validity(0.0, 100.0).fields(150.0) == {"expires_in_seconds": -50.0, "lifetime_left_ratio": 0.0}
    assert Validity(50.0, 100.0).fields(0.0)["lifetime_left_ratio"] == 1.0


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("192.0.2.1", ("192.0.2.1", 25)),
        ("192.0.2.1:80", ("192.0.2.1", 80)),
        ("ehr.example:443", ("ehr.example", 443)),
        ("2001:db8::1", ("2001:db8::1", 25)),
        ("[2001:db8::1]:443", ("2001:db8::1", 443)),
        ("https://ehr.example:8443/path", ("ehr.example", 8443)),
        ("https://ehr.example", ("ehr.example", 25)),
    ],
)
def test_hosts_and_ports(address: str, expected: tuple[str, int]) -> None:
    assert host_port(address, 25) == expected


def test_the_scheme_of_a_url_is_the_last_word_on_its_port() -> None:
    assert host_port("https://ehr.example/app", None) == ("ehr.example", 443)
    assert host_port("http://[2001:db8::1]", None) == ("2001:db8::1", 80)


@pytest.mark.parametrize("address", ["", ":80", "host:99999", "host:x", "[::1"])
def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(Finding) as caught:
        host_port(address, None)
    assert caught.value.fault.reason is Reason.BAD_PARAMS


@pytest.mark.parametrize(
    ("address", "path", "shown", "target"),
    [
        ("https://ehr.example", "/health", "https://ehr.example/health", "/health"),
        ("https://ehr.example/fhir/", "metadata?x=1", "https://ehr.example/fhir/metadata", "/fhir/metadata?x=1"),
        ("ehr.example:8080", "", "http://ehr.example:8080/", "/"),
        ("http://[2001:db8::1]/a?q=1", "", "http://[2001:db8::1]/a", "/a?q=1"),
    ],
)
def test_urls(address: str, path: str, shown: str, target: str) -> None:
    url = parse_url(address, path=path)
    assert (url.shown, url.target) == (shown, target)


def test_redirects_are_relative_to_where_they_come_from() -> None:
    url = parse_url("https://ehr.example/app/login")
    assert redirected(url, "next?x=1").target == "/app/next?x=1"
    assert redirected(url, "//other.example/").host == "other.example"
    assert redirected(url, "/top").same_origin(url)
    assert not redirected(url, "http://ehr.example/").same_origin(url)


def test_checksum_of_rfc_1071() -> None:
    assert checksum(0x0001 + 0xF203 + 0xF4F5 + 0xF6F7) == 0x220D
    assert checksum(0x0100) == 0xFEFF
    assert checksum(0xFFFF + 0xFFFF) == 0x0000


def test_the_spread_of_round_trips() -> None:
    found = summary([0.010, None, 0.030, 0.020])
    assert found["loss_ratio"] == pytest.approx(0.25)
    assert found["rtt_avg_seconds"] == pytest.approx(0.020)
    assert found["rtt_median_seconds"] == pytest.approx(0.020)
    assert found["rtt_p95_seconds"] == found["rtt_max_seconds"] == 0.030
    assert found["rtt_jitter_seconds"] == pytest.approx(0.015)
    assert summary([None, None]) == {"sent": 2.0, "received": 0.0, "loss_ratio": 1.0}
