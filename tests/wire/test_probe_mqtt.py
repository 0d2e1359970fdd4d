"""The MQTT round trip through a real mosquitto, and past brokers that refuse, lose and garble."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from daemons.certs import Authority
from daemons.looking import fields, look
from daemons.mosquitto import Mosquitto, Tls
from daemons.process import free_port, running
from daemons.stream_faults import says
from daemons.wire_faults import serving
from healthmon.model.sample import Outcome, Reason

pytestmark = pytest.mark.wire

USER, PASSWORD = "healthmon-probe", "probe-password"
LOGIN = {"user": USER, "password": PASSWORD}


async def test_a_message_goes_round_and_leaves_nothing(tmp_path: Path) -> None:
    six = free_port()
    broker = Mosquitto(tmp_path, extra=f"listener {six} ::1\nlog_type all")
    with running(broker):
        for address in (f"127.0.0.1:{broker.port}", f"[::1]:{six}"):
            reading = await look("mqtt", address)
            assert reading.outcome is Outcome.OK, reading
            found = fields(reading, "mqtt")
            assert 0.0 < found["roundtrip_seconds"] <= found["duration_seconds"]
            assert {"connect_seconds", "login_seconds", "subscribe_seconds"} <= set(found)
    log = broker.log.read_text()
    assert "healthmon-probe/" in log
    assert ", r1," not in log  # nothing was retained


async def test_accounts(tmp_path: Path) -> None:
    with running(Mosquitto(tmp_path, users={USER: PASSWORD})) as broker:
        address = f"127.0.0.1:{broker.port}"
        good = await look("mqtt", address, clear_password=True, **LOGIN)
        wrong = {"user": USER, "password": "wrong", "clear_password": True, "target": "lock"}
        first, again = await look("mqtt", address, **wrong), await look("mqtt", address, **wrong)
        nobody = await look("mqtt", address)
    assert good.outcome is Outcome.OK, good
    assert (first.reason, first.detail) == (Reason.AUTH_FAILED, "not authorised")
    assert "so that the account is not locked" in again.detail
    assert nobody.reason is Reason.AUTH_FAILED


async def test_a_publish_that_the_broker_acknowledges_and_drops(tmp_path: Path) -> None:
    """A 3.1.1 broker says PUBACK to what its rules forbid; only a round trip shows it."""
    acl = f"user {USER}\ntopic read healthmon-probe/#\n"
    with running(Mosquitto(tmp_path, users={USER: PASSWORD}, acl=acl)) as broker:
        reading = await look("mqtt", f"127.0.0.1:{broker.port}", clear_password=True, timeout_s=0.5, **LOGIN)
    assert (reading.reason, reading.detail) == (
        Reason.TIMEOUT,
        "no answer in 0.5 s (waiting for the message to come back)",
    )


@pytest.mark.parametrize(
    ("issue", "reason"),
    [
        ({}, None),
        ({"starts_days": -90.0, "ends_days": -3.0}, Reason.CERT_EXPIRED),
        ({"names": ("other.example",)}, Reason.CERT_WRONG_HOST),
        ({"self_signed": True}, Reason.CERT_UNTRUSTED),
    ],
)
async def test_tls(tmp_path: Path, issue: dict[str, Any], reason: Reason | None) -> None:
    authority = Authority(tmp_path)
    issued = authority.issue("broker", **issue)
    tls = Tls(authority.ca_file, issued.cert_file, issued.key_file)
    with running(Mosquitto(tmp_path, users={USER: PASSWORD}, tls=tls)) as broker:
        ca_file = str(authority.ca_file)
        reading = await look("mqtt", f"127.0.0.1:{broker.port}", tls=True, ca_file=ca_file, **LOGIN)
    assert reading.reason is reason, reading
    left_s = fields(reading, "tls")["expires_in_seconds"]
    assert left_s == pytest.approx(issued.not_after - reading.started, abs=30.0)


CONNACK, SUBACK, PUBACK = b"\x20\2\0\0", b"\x90\3\0\1\1", b"\x40\2\0\2"


@pytest.mark.parametrize(
    ("said", "reason", "detail"),
    [
        (b"\x20\2\0\3", Reason.BAD_STATUS, "server unavailable"),
        (b"\x20\2\0\1", Reason.BAD_STATUS, "protocol version not supported"),
        (b"\x20\2\0\4", Reason.AUTH_FAILED, "user name or password refused"),
        (b"\x20\2\0\x63", Reason.BAD_STATUS, "code 99"),
        (b"\x20\1\0", Reason.BAD_RESPONSE, "the answer is not MQTT"),
        (CONNACK + b"\x90\3\0\1\x80", Reason.AUTH_FAILED, "the broker refuses the subscription"),
        (CONNACK + b"\x90\3\0\7\1", Reason.BAD_RESPONSE, "the broker answers another subscription"),
        (CONNACK + SUBACK + PUBACK, Reason.TIMEOUT, "no answer in 0.4 s (waiting for the message to come back)"),
        (CONNACK + SUBACK + b"\xd0\0", Reason.BAD_RESPONSE, "the broker says something unexpected"),
    ],
)
async def test_what_brokers_say(said: bytes, reason: Reason, detail: str) -> None:
    async with serving(says(said)) as port:
        reading = await look("mqtt", f"127.0.0.1:{port}", timeout_s=0.4)
    assert (reading.reason, reading.detail) == (reason, detail)


async def test_another_message_on_our_topic_is_not_ours() -> None:
    stray = b"\x30\x07\0\3a/bhi"
    async with serving(says(CONNACK + SUBACK + stray + PUBACK)) as port:
        assert (await look("mqtt", f"127.0.0.1:{port}", timeout_s=0.4)).reason is Reason.TIMEOUT


async def test_wrong_settings_are_ours() -> None:
    for params in (LOGIN, {"topic": "a/#"}, {"topic": "$SYS/x"}, {"topic": ""}, {"user": USER, "tls": True}):
        reading = await look("mqtt", "127.0.0.1:1", **params)
        assert (reading.outcome, reading.reason) == (Outcome.UNKNOWN, Reason.BAD_PARAMS), params
