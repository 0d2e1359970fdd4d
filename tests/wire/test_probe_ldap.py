"""The LDAP probe against a real slapd: logins, sentinels, TLS both ways, good and bad certificates."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemons.certs import Authority
from daemons.directory import BASE, PASSWORD, SENTINEL, USER, Directory, directory
from daemons.looking import fields, look
from daemons.stream_faults import says
from daemons.wire_faults import serving
from healthmon.model.sample import Outcome, Reason

pytestmark = pytest.mark.wire

LOGIN = {"user": USER, "password": PASSWORD}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Directory]:
    folder = tmp_path_factory.mktemp("slapd")
    authority = Authority(folder)
    with directory(folder, authority, authority.issue("good")) as server:
        yield server


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
async def test_the_root_entry_needs_no_account(server: Directory, host: str) -> None:
    reading = await look("ldap", f"{host}:{server.port}")
    assert reading.outcome is Outcome.OK, reading
    assert fields(reading, "ldap")["entries"] == 1.0


@pytest.mark.parametrize("tls", ["starttls", "ldaps"])
async def test_a_sentinel_behind_a_login(server: Directory, tls: str) -> None:
    port = server.tls_port if tls == "ldaps" else server.port
    reading = await look(
        "ldap", f"localhost:{port}", tls=tls, ca_file=server.ca_file, ip_version=4, base=SENTINEL, **LOGIN,
        attribute_regex={"Description": "^alive [0-9]+$"},
    )  # fmt: skip
    assert reading.outcome is Outcome.OK, reading
    assert {"tls_seconds", "login_seconds", "search_seconds"} <= set(fields(reading, "ldap"))
    assert fields(reading, "tls")["expires_in_seconds"] > 86400.0


CLEAR = {**LOGIN, "clear_password": True}


@pytest.mark.parametrize(
    ("params", "reason", "detail"),
    [
        ({**CLEAR, "base": SENTINEL}, None, ""),
        ({**CLEAR, "base": BASE, "scope": "sub", "filter": "(&(cn=sentinel)(!(cn=r1)))"}, None, ""),
        ({**CLEAR, "base": BASE, "scope": "one", "filter": "(|(cn=r1)(cn=r2))", "min_entries": 2}, None, ""),
        ({**CLEAR, "base": BASE, "scope": "sub", "max_entries": 5}, None, ""),  # there are more: size limit
        ({**CLEAR, "base": SENTINEL, "attribute_regex": {"description": "^dead"}}, Reason.BAD_BODY,
         "attribute description does not match"),
        ({**CLEAR, "base": SENTINEL, "attribute_regex": {"mail": "."}}, Reason.BAD_BODY, "attribute mail is missing"),
        ({**CLEAR, "base": f"cn=none,{BASE}"}, Reason.BAD_BODY, "search: no such entry (32)"),
        ({**CLEAR, "base": BASE, "scope": "sub", "filter": "(cn=none)"}, Reason.BAD_BODY,
         "0 entries found, expected 1"),
        ({"base": SENTINEL}, Reason.BAD_BODY, "search: no such entry (32)"),  # hidden from strangers
        ({**CLEAR, "base": "not a name"}, Reason.BAD_STATUS, "search: not a name (34)"),
        ({**CLEAR, "user": "not a name"}, Reason.BAD_STATUS, "login: not a name (34)"),
    ],
)  # fmt: skip
async def test_what_is_found(server: Directory, params: dict[str, Any], reason: Reason | None, detail: str) -> None:
    reading = await look("ldap", f"127.0.0.1:{server.port}", **params)
    assert (reading.reason, reading.detail) == (reason, detail)


async def test_a_refused_login_is_not_repeated_until_the_account_is_safe(server: Directory) -> None:
    wrong = {**CLEAR, "password": "wrong"}
    first = await look("ldap", f"127.0.0.1:{server.port}", target="lock", **wrong)
    again = await look("ldap", f"127.0.0.1:{server.port}", target="lock", **wrong)
    mended = await look("ldap", f"127.0.0.1:{server.port}", target="lock", base=SENTINEL, **CLEAR)
    impatient = await look("ldap", f"127.0.0.1:{server.port}", target="lock", auth_retry_s=0.0, **wrong)
    assert (first.reason, first.detail) == (Reason.AUTH_FAILED, "login: login refused (49)")
    assert again.reason is Reason.AUTH_FAILED
    assert "so that the account is not locked" in again.detail
    assert fields(again, "ldap")["connect_seconds"] > 0.0  # the server itself was still looked at
    assert mended.outcome is Outcome.OK
    assert impatient.detail == first.detail


@pytest.mark.parametrize("tls", ["starttls", "ldaps"])
@pytest.mark.parametrize(
    ("issue", "reason"),
    [
        ({"starts_days": -90.0, "ends_days": -3.0}, Reason.CERT_EXPIRED),
        ({"names": ("other.example",)}, Reason.CERT_WRONG_HOST),
        ({"self_signed": True}, Reason.CERT_UNTRUSTED),
    ],
)
async def test_a_bad_certificate_tells_its_dates(
    tmp_path: Path, tls: str, issue: dict[str, Any], reason: Reason
) -> None:
    authority = Authority(tmp_path)
    issued = authority.issue("bad", **issue)
    with directory(tmp_path, authority, issued) as server:
        port = server.tls_port if tls == "ldaps" else server.port
        reading = await look("ldap", f"127.0.0.1:{port}", tls=tls, ca_file=server.ca_file)
    assert reading.reason is reason, reading
    left_s = fields(reading, "tls")["expires_in_seconds"]
    assert left_s == pytest.approx(issued.not_after - reading.started, abs=30.0)


async def test_a_server_that_shuts_down_says_so() -> None:
    notice = b"\x30\x24\2\1\0\x78\x1f\x0a\1\x34\4\0\4\0\x8a\x16" + b"1.3.6.1.4.1.1466.20036"
    async with serving(says(notice)) as port:
        reading = await look("ldap", f"127.0.0.1:{port}")
    assert (reading.reason, reading.detail) == (Reason.CLOSED, "the server ends the connection (52)")


@pytest.mark.parametrize(
    "answer",
    [
        b"\x30\x80\0\0",
        b"\x30\x05\2\1\1\x65\x05",
        b"\x30\x03\2\1\1",
        b"\x30\x05\2\1\x07\x65\0",
        b"\x30\x05\2\1\1\x65\0",
        b"\x30\x07\2\1\1\x42\2\5\0",
    ],
    ids=["indefinite", "cut", "no operation", "another number", "no result", "another operation"],
)
async def test_what_is_not_an_answer(answer: bytes) -> None:
    async with serving(says(answer)) as port:
        assert (await look("ldap", f"127.0.0.1:{port}")).reason is Reason.BAD_RESPONSE


async def test_wrong_settings_are_ours() -> None:
    for params in (LOGIN, {"filter": "cn=x"}, {"filter": "(cn=x*y)"}, {"user": USER, "tls": "ldaps"}, {"scope": "all"}):
        reading = await look("ldap", "127.0.0.1:1", **params)
        assert (reading.outcome, reading.reason) == (Outcome.UNKNOWN, Reason.BAD_PARAMS), params
