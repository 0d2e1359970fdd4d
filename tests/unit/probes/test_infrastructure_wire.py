"""Parsers of what servers send: any bytes end in an answer or a named fault, quickly; and what goes out is right."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healthmon.model.plan import Job
from healthmon.model.sample import Reason
from healthmon.probes import dns, ipp, ipp_wire, ldap_wire, mqtt_roundtrip, ntp, radius_wire, smb, ssh
from healthmon.probes.credentials import Refusals, check_account
from healthmon.probes.reasons import Finding
from healthmon.runtime.clock import ManualClock

WORDS = st.binary(max_size=400)


class only:
    """The block ends well or in a Finding of one of these reasons, with a text that can be shown."""

    def __init__(self, *reasons: Reason) -> None:
        self._reasons = reasons

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: object, trace: object) -> bool:
        if not isinstance(error, Finding):
            return False
        assert error.fault.reason in self._reasons
        assert error.fault.detail.isprintable()
        return True


def flipped(good: bytes) -> st.SearchStrategy[bytes]:
    """A good message with some bytes changed, cut or repeated: it gets deeper into a parser than noise."""
    spots = st.lists(st.tuples(st.integers(0, len(good) - 1), st.integers(0, 255)), max_size=6)

    def change(drawn: tuple[list[tuple[int, int]], int, bytes]) -> bytes:
        edits, end, tail = drawn
        data = bytearray(good)
        for at, value in edits:
            data[at] = value
        return bytes(data[: len(good) - end]) + tail

    return st.tuples(spots, st.integers(0, len(good)) | st.just(0), st.binary(max_size=20)).map(change)


def _reply(query: bytes) -> bytes:
    return (
        query[:2]
        + b"\x81\x80\0\1\0\2\0\0\0\0"
        + query[12:-11]
        + (b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\x0a\xc0\x0c\0\x21\0\1\0\0\0\x3c\0\x0b\0\0\0\1\1\x85\2dc\0\0\0")
    )


QUERY = dns.query_of(dns.Params(name="ehr.example")).to_wire() if pytest.importorskip("dns") else b""


@given(WORDS | flipped(_reply(QUERY)))
@settings(deadline=None, max_examples=400)
def test_dns_answers(data: bytes) -> None:
    answer = dns.parse(data)
    if answer is not None:
        dns.measured(answer)
        with only(Reason.BAD_STATUS, Reason.BAD_BODY):
            dns.judge(answer, dns.Params(name="ehr.example", answer_regex="x"))


@given(WORDS | flipped(bytes([0x24, 2, 6, 0xEC]) + bytes(44)))
def test_ntp_answers(data: bytes) -> None:
    answer = ntp.parse(data)
    if answer is not None:
        fields = ntp.measured(answer, (1.8e9, 1.8e9 + 0.1))
        with only(Reason.BAD_STATUS, Reason.BAD_BODY):
            ntp.judge(answer, fields, ntp.Params(max_offset_s=1.0))


ENTRY = ldap_wire.message(
    2,
    ldap_wire.element(
        ldap_wire.ENTRY,
        ldap_wire.octets("cn=x")
        + ldap_wire.element(
            0x30,
            ldap_wire.element(0x30, ldap_wire.octets("cn") + ldap_wire.element(0x31, ldap_wire.octets("x"))),
        ),
    ),
)


@given(WORDS | flipped(ENTRY))
def test_ldap_answers(data: bytes) -> None:
    with only(Reason.BAD_RESPONSE):
        size = ldap_wire.size_of(data)
        if size is None:
            return
        answer = ldap_wire.parse(data[size[0] : sum(size)])
        ldap_wire.attributes_of(answer)
        ldap_wire.result_code(answer)


def test_an_ldap_entry_is_read() -> None:
    head, size = ldap_wire.size_of(ENTRY) or (0, 0)
    answer = ldap_wire.parse(ENTRY[head : head + size])
    assert (answer.number, answer.operation, ldap_wire.attributes_of(answer)) == (2, 0x64, {"cn": [b"x"]})


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("(cn=*)", b"\x87\2cn"),
        ("(cn=a)", b"\xa3\7\4\2cn\4\1a"),
        (r"(cn=\2a\c3\a9)", b"\xa3\x09\4\2cn\4\3*\xc3\xa9"),
        ("(n>=1)", b"\xa5\6\4\1n\4\0011"),
        ("(!(cn=*))", b"\xa2\4\x87\2cn"),
        ("(&(a=*)(b=*))", b"\xa0\6\x87\1a\x87\1b"),
        ("(|(a=*)(b=*))", b"\xa1\6\x87\1a\x87\1b"),
    ],
)
def test_ldap_filters(text: str, made: bytes) -> None:
    assert ldap_wire.search_filter(text) == made


@given(st.text(alphabet="()&|!=*a<>\\2", max_size=30))
def test_any_text_is_a_filter_or_a_mistake(text: str) -> None:
    with contextlib.suppress(ValueError):
        ldap_wire.search_filter(text)


def test_a_deep_filter_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="filter"):
        ldap_wire.search_filter("(!" * 5000 + "(a=b)" + ")" * 5000)


SECRET = b"secret"
REQUEST = radius_wire.status_server(number=7, authenticator=bytes(16), secret=SECRET, nas="n")


@given(WORDS | flipped(bytes([2, 7, 0, 38]) + bytes(16) + bytes([80, 18]) + bytes(16)))
def test_radius_answers(data: bytes) -> None:
    try:
        radius_wire.parse(data, REQUEST, SECRET)
    except radius_wire.Forged:
        pass


@given(st.binary(max_size=60))
def test_radius_answers_with_a_good_outer_signature(body: bytes) -> None:
    """Whoever has the secret may still send attributes that cannot be read."""
    head = bytes([2, 7]) + (20 + len(body)).to_bytes(2, "big")
    data = head + hashlib.md5(head + REQUEST.authenticator + body + SECRET).digest() + body
    try:
        answer = radius_wire.parse(data, REQUEST, SECRET)
        assert answer is None or answer.code == 2
    except radius_wire.Forged:
        pass


def test_a_hidden_password_by_the_example_of_rfc_2865() -> None:
    """Section 7.1: user nemo, password arctangent, secret xyzzy5461."""
    authenticator = bytes.fromhex("0f403f9473978057bd83d5cb98f4227a")
    hidden = radius_wire.hidden(b"arctangent", b"xyzzy5461", authenticator)
    assert hidden.hex() == "0dbe708d93d413ce3196e43f782a0aee"


def test_a_request_is_signed_over_the_whole_of_it() -> None:
    data = REQUEST.data
    blank = data[:22] + bytes(16) + data[38:]
    assert data[22:38] == hmac.digest(SECRET, blank, "md5")
    assert int.from_bytes(data[2:4], "big") == len(data)


OFFER = bytes([20]) + bytes(16) + b"\0\0\0\3a,b" * 10 + bytes(5)


@given(WORDS | flipped(OFFER))
def test_ssh_offers(data: bytes) -> None:
    with only(Reason.BAD_RESPONSE):
        ssh.algorithms(data)


def test_an_ssh_offer_is_read() -> None:
    assert ssh.algorithms(OFFER)["cipher"] == ("a", "b")


@given(WORDS | flipped(b"\xfeSMB\x40\0" + bytes(58) + b"\x41\0\1\0\x11\3\1\0" + bytes(80)))
def test_smb_answers(data: bytes) -> None:
    with only(Reason.BAD_RESPONSE, Reason.BAD_STATUS, Reason.BAD_BODY):
        answer = smb.parse(data)
        smb.judge(answer, smb.Params(min_dialect="3.0", require_signing=True))


def test_an_smb_request_has_its_contexts_on_eight_bytes() -> None:
    data = smb.request()
    assert int.from_bytes(data[:4], "big") == len(data) - 4
    start = int.from_bytes(data[4 + 64 + 28 : 4 + 64 + 32], "little")
    assert start % 8 == 0
    assert data[4 + start : 4 + start + 2] == b"\1\0"


PRINTER = b"\2\0\0\0\0\0\0\1\4" + b"\x23\0\x0dprinter-state\0\4\0\0\0\5" + b"\x21\0\x0dmarker-levels\0\4\0\0\0\x05\3"


@given(WORDS | flipped(PRINTER))
def test_ipp_answers(data: bytes) -> None:
    with only(Reason.BAD_RESPONSE, Reason.BAD_STATUS):
        _, attributes = ipp_wire.parse(data)
        ipp.measured(attributes)
        for sample in ipp.markers(attributes):
            assert 0.0 <= sample.value <= 1.0
            assert sample.labels["marker"].isascii()
        ipp.judge(attributes, ipp.Params())


class _Said:
    """The part of a dialogue that reading a packet needs."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def exactly(self, size: int) -> bytes:
        if len(self._data) < size:
            raise Finding(Reason.CLOSED)
        taken, self._data = self._data[:size], self._data[size:]
        return taken


@given(st.binary(max_size=300))
def test_mqtt_packets_of_any_length_are_read_back(content: bytes) -> None:
    data = mqtt_roundtrip.packet(0x30, content)
    assert asyncio.run(mqtt_roundtrip.read_packet(_Said(data))) == (0x30, content)  # type: ignore[arg-type]


@given(WORDS)
def test_mqtt_noise(data: bytes) -> None:
    with only(Reason.CLOSED, Reason.BAD_RESPONSE):
        asyncio.run(mqtt_roundtrip.read_packet(_Said(data)))  # type: ignore[arg-type]


def test_a_refused_password_rests_and_a_new_one_does_not() -> None:
    clock, refusals = ManualClock(), Refusals()
    job = Job("dc1", "login", "ldap", "dc1.example", 30.0, 5.0)
    refusals.refused(job, "probe", "old", clock=clock)
    with pytest.raises(Finding) as caught:
        refusals.check(job, "probe", "old", rest_s=1800.0, clock=clock)
    assert caught.value.fault.reason is Reason.AUTH_FAILED
    assert "old" not in caught.value.fault.detail
    refusals.check(job, "probe", "new", rest_s=1800.0, clock=clock)
    refusals.check(job, "probe", "old", rest_s=0.0, clock=clock)
    refusals.accepted(job, "probe", "old")
    refusals.check(job, "probe", "old", rest_s=1800.0, clock=clock)


@pytest.mark.parametrize(
    ("user", "password", "protected", "clear"),
    [("u", "", True, False), ("", "p", True, False), ("u", "p", False, False)],
)
def test_accounts_that_are_a_mistake(user: str, password: str, protected: bool, clear: bool) -> None:
    with pytest.raises(ValueError, match="password"):
        check_account(user, password, protected=protected, clear_password=clear)


def test_a_user_name_without_a_password_would_be_an_anonymous_login() -> None:
    """RFC 4513 section 5.1.2: servers say success to a name without a password, which proves nothing."""
    with pytest.raises(ValueError, match="go together"):
        check_account("cn=probe", "", protected=True, clear_password=False)


def test_without_its_library_dns_is_unknown_and_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dns.exception", None)
    with pytest.raises(Finding, match=r"healthmon\[dns\]") as caught:
        dns.query_of(dns.Params(name="ehr.example"))
    assert caught.value.fault.reason is Reason.NO_LIBRARY
