"""The RADIUS probe against a real FreeRADIUS, and against servers that forge answers."""

from __future__ import annotations

import hashlib
import hmac
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from daemons.freeradius import PASSWORD, SECRET, USER, freeradius
from daemons.looking import fields, look
from daemons.process import free_port
from daemons.stream_faults import answering_udp
from healthmon.model.sample import Outcome, Reason

pytestmark = pytest.mark.wire

LOGIN = {"user": USER, "password": PASSWORD}


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with freeradius(tmp_path_factory.mktemp("freeradius")) as port:
        yield port


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
@pytest.mark.parametrize("params", [{}, LOGIN], ids=["status-server", "login"])
async def test_a_server_that_lets_in(port: int, host: str, params: dict[str, Any]) -> None:
    reading = await look("radius", f"{host}:{port}", secret=SECRET, **params)
    assert reading.outcome is Outcome.OK, reading
    found = fields(reading, "radius")
    assert found["code"] == 2.0
    assert found["answer_seconds"] > 0.0


async def test_a_refused_account_rests(port: int) -> None:
    wrong = {"secret": SECRET, "user": USER, "password": "wrong", "target": "lock"}
    first = await look("radius", f"127.0.0.1:{port}", **wrong)
    again = await look("radius", f"127.0.0.1:{port}", **wrong)
    assert (first.reason, first.detail) == (Reason.AUTH_FAILED, "the server rejects the test account")
    assert "so that the account is not locked" in again.detail


async def test_an_account_that_must_be_refused(port: int) -> None:
    wrong = {"user": "nobody", "password": "x"}
    reading = await look("radius", f"127.0.0.1:{port}", secret=SECRET, expect="reject", **wrong)
    assert reading.outcome is Outcome.OK, reading
    reading = await look("radius", f"127.0.0.1:{port}", secret=SECRET, expect="reject", **LOGIN)
    assert (reading.reason, reading.detail) == (
        Reason.BAD_STATUS,
        "the server answers with accept, expected reject",
    )
    assert (await look("radius", f"127.0.0.1:{port}", secret=SECRET, expect="any", **wrong)).outcome is Outcome.OK


@pytest.mark.parametrize("params", [{}, LOGIN], ids=["status-server", "login"])
async def test_another_secret_is_met_with_silence(port: int, params: dict[str, Any]) -> None:
    """The server drops requests whose signature is wrong; it must, and so we cannot tell this from a dead one."""
    reading = await look("radius", f"127.0.0.1:{port}", secret="another", timeout_s=0.4, tries=1, **params)
    assert reading.reason is Reason.TIMEOUT


def answer(
    data: bytes, code: int, *, secret: bytes = SECRET.encode(), signed: bool = True, break_signature: bool = False
) -> bytes:
    """A server by hand."""
    size = 20 + (18 if signed else 0)
    head, body = bytes((code, data[1])) + size.to_bytes(2, "big"), b""
    if signed:
        body = bytes((80, 18)) + hmac.digest(secret, head + data[4:20] + bytes((80, 18)) + bytes(16), "md5")
    if break_signature:
        body = body[:-1] + bytes([body[-1] ^ 1])
    return head + hashlib.md5(head + data[4:20] + body + secret).digest() + body


@pytest.mark.parametrize(
    ("reply", "params", "reason"),
    [
        (lambda data: answer(data, 2), {"must_sign": True}, None),
        (lambda data: answer(data, 2, signed=False), {}, None),
        (lambda data: answer(data, 2, signed=False), {"must_sign": True}, Reason.BAD_RESPONSE),
        (lambda data: answer(data, 3), {}, Reason.AUTH_FAILED),
        (lambda data: answer(data, 11), {}, Reason.BAD_STATUS),
        (lambda data: answer(data, 2, secret=b"another"), {}, Reason.AUTH_FAILED),
        (lambda data: answer(data, 2, break_signature=True), {}, Reason.AUTH_FAILED),
        (lambda data: b"\2" + bytes([data[1] ^ 1]) + answer(data, 2)[2:], {}, Reason.BAD_RESPONSE),
        (lambda data: answer(data, 5), {}, Reason.BAD_RESPONSE),
        (lambda data: b"\xff" * 30, {}, Reason.BAD_RESPONSE),
        (lambda data: answer(data, 2)[:25], {}, Reason.BAD_RESPONSE),
    ],
    ids=[
        "signed", "not signed", "not signed but must", "reject", "challenge", "another secret", "broken signature",
        "another number", "accounting", "garbage", "cut short",
    ],
)  # fmt: skip
async def test_answers(reply: Any, params: dict[str, Any], reason: Reason | None) -> None:
    async with answering_udp(lambda data: [reply(data)]) as port:
        reading = await look("radius", f"127.0.0.1:{port}", secret=SECRET, timeout_s=0.4, **LOGIN, **params)
    assert reading.reason is reason, reading


async def test_a_forged_answer_before_the_true_one_changes_nothing() -> None:
    async with answering_udp(lambda data: [answer(data, 3, secret=b"another"), answer(data, 2)]) as port:
        reading = await look("radius", f"127.0.0.1:{port}", secret=SECRET, **LOGIN)
    assert reading.outcome is Outcome.OK, reading


async def test_the_password_is_hidden_and_the_request_signed() -> None:
    seen: list[bytes] = []

    def keep(data: bytes) -> list[bytes]:
        seen.append(data)
        return [answer(data, 2)]

    async with answering_udp(keep) as port:
        await look("radius", f"127.0.0.1:{port}", secret=SECRET, **LOGIN)
    (request,) = seen
    assert PASSWORD.encode() not in request
    assert request[20:22] == bytes((80, 18))  # the Message-Authenticator comes first


async def test_silence_and_a_closed_port() -> None:
    async with answering_udp(lambda data: []) as port:
        reading = await look("radius", f"127.0.0.1:{port}", secret=SECRET, timeout_s=0.3)
        assert reading.reason is Reason.TIMEOUT
    for host in ("127.0.0.1", "[::1]"):
        address = f"{host}:{free_port(socket.SOCK_DGRAM)}"
        assert (await look("radius", address, secret=SECRET, timeout_s=1.0)).reason is Reason.REFUSED


async def test_wrong_settings_are_ours() -> None:
    for params in ({}, {"secret": ""}, {"secret": "s", "user": "u"}, {"secret": "s", "expect": "yes"}):
        reading = await look("radius", "127.0.0.1:1", **params)
        assert (reading.outcome, reading.reason) == (Outcome.UNKNOWN, Reason.BAD_PARAMS), params
