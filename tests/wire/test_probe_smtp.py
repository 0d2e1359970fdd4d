"""The SMTP probe against a real aiosmtpd, and against servers that answer with the wrong code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from daemons.certs import Authority
from daemons.looking import fields, look
from daemons.mailhost import PASSWORD, USER, mailhost
from daemons.stream_faults import says
from daemons.wire_faults import serving
from healthmon.model.sample import Outcome, Reason

pytestmark = pytest.mark.wire

LOGIN = {"user": USER, "password": PASSWORD}


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
async def test_a_visit_without_a_letter(host: str) -> None:
    async with mailhost() as (port, seen):
        reading = await look("smtp", f"{host}:{port}", banner_regex=r"^mail\.example ", extensions=["SIZE", "8bitmime"])
    assert reading.outcome is Outcome.OK, reading
    found = fields(reading, "smtp")
    assert found["max_message_bytes"] == 33554432.0
    assert {"banner_seconds", "hello_seconds"} <= set(found)
    assert seen.letters == []


@pytest.mark.parametrize("tls", ["starttls", "smtps"])
@pytest.mark.parametrize("only", ["PLAIN", "LOGIN"])
async def test_a_login_under_tls(tmp_path: Path, tls: str, only: str) -> None:
    authority = Authority(tmp_path)
    issued = authority.issue("good")
    async with mailhost(certificate=issued, implicit_tls=tls == "smtps", only=only) as (port, seen):
        ca_file = str(authority.ca_file)
        wrong_login = {"tls": tls, "ca_file": ca_file, "user": USER, "password": "wrong", "target": f"{tls}-{only}"}
        good = await look("smtp", f"127.0.0.1:{port}", tls=tls, ca_file=ca_file, **LOGIN)
        wrong = await look("smtp", f"127.0.0.1:{port}", **wrong_login)
        again = await look("smtp", f"127.0.0.1:{port}", **wrong_login)
    assert good.outcome is Outcome.OK, good
    assert fields(good, "tls")["expires_in_seconds"] > 86400.0
    assert fields(good, "smtp")["login_seconds"] > 0.0
    assert (wrong.reason, wrong.detail) == (Reason.AUTH_FAILED, "535 where 235 was expected")
    assert "so that the account is not locked" in again.detail
    assert (seen.letters, seen.logins) == ([], 2)


@pytest.mark.parametrize("tls", ["starttls", "smtps"])
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
    async with mailhost(certificate=issued, implicit_tls=tls == "smtps") as (port, _):
        reading = await look("smtp", f"127.0.0.1:{port}", tls=tls, ca_file=str(authority.ca_file))
    assert reading.reason is reason, reading
    left_s = fields(reading, "tls")["expires_in_seconds"]
    assert left_s == pytest.approx(issued.not_after - reading.started, abs=30.0)


HELLO = b"250 mail.example\r\n"


@pytest.mark.parametrize(
    ("said", "params", "reason", "detail"),
    [
        (b"421 too busy\r\n", {}, Reason.BAD_STATUS, "421 where 220 was expected"),
        (b"554-go\r\n554 away\r\n", {}, Reason.BAD_STATUS, "554 where 220 was expected"),
        (b"220 x\r\n502 what\r\n", {}, Reason.BAD_STATUS, "502 where 250 was expected"),
        (b"220 x\r\n" + HELLO, {"tls": "starttls"}, Reason.TLS_HANDSHAKE, "STARTTLS is not offered"),
        (b"220 x\r\n250-x\r\n250 STARTTLS\r\n454 no\r\n", {"tls": "starttls"}, Reason.BAD_STATUS,
         "454 where 220 was expected"),
        (b"220 x\r\n" + HELLO, {"extensions": ["SIZE"]}, Reason.BAD_BODY, "not offered: SIZE"),
        (b"220 x\r\n" + HELLO, {"banner_regex": "mail"}, Reason.BAD_BODY, "the banner does not match"),
        (b"220 x\r\n" + HELLO, {**LOGIN, "clear_password": True}, Reason.AUTH_FAILED,
         "neither AUTH PLAIN nor AUTH LOGIN is offered"),
        (b"220 x\r\n250-x\r\n250 AUTH PLAIN\r\n454 later\r\n", {**LOGIN, "clear_password": True}, Reason.BAD_STATUS,
         "454 where 235 was expected"),
        (b"220-x\r\n" * 200, {}, Reason.BAD_RESPONSE, "a reply without an end"),
        (b"220x\r\n", {}, Reason.BAD_RESPONSE, "the answer is not SMTP"),
        (b"220 " + b"x" * 10_000, {}, Reason.BAD_RESPONSE, "a line without an end"),
    ],
)  # fmt: skip
async def test_what_the_server_says(said: bytes, params: dict[str, Any], reason: Reason, detail: str) -> None:
    async with serving(says(said)) as port:
        reading = await look("smtp", f"127.0.0.1:{port}", **params)
    assert (reading.reason, reading.detail) == (reason, detail)


async def test_wrong_settings_are_ours() -> None:
    for params in (LOGIN, {"tls": "tls"}, {"hello_name": "a b"}, {"banner_regex": "("}, {"user": USER}):
        reading = await look("smtp", "127.0.0.1:1", **params)
        assert (reading.outcome, reading.reason) == (Outcome.UNKNOWN, Reason.BAD_PARAMS), params
