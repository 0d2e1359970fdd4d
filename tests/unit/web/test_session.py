"""Sessions and the limits on signing in."""

from __future__ import annotations

import base64
import json

import pytest

from healthmon.runtime.clock import ManualClock
from healthmon.web.access import is_loopback, is_loopback_host, local_path
from healthmon.web.session import Sessions
from healthmon.web.settings import WebSettings


def sessions(clock: ManualClock | None = None, token: str = "t0ken") -> Sessions:
    return Sessions(token=token, hours=12, clock=clock or ManualClock())


def test_a_session_outlives_a_restart_but_not_the_token() -> None:
    cookie = sessions().issue("Dana")
    found = sessions().read(cookie)
    assert found is not None
    assert found.name == "Dana"
    assert sessions(token="another").read(cookie) is None


async def test_a_session_ends() -> None:
    clock = ManualClock()
    one = sessions(clock)
    cookie = one.issue("Dana")
    await clock.advance(12 * 3600 + 1)
    assert one.read(cookie) is None


def test_signing_out_ends_copies_too() -> None:
    one = sessions()
    cookie = one.issue("Dana")
    found = one.read(cookie)
    assert found is not None
    one.revoke(found)
    assert one.read(cookie) is None


@pytest.mark.parametrize("spoil", ["", ".", "x.y", "é.é", "a" * 5000])
def test_garbage_is_nobody(spoil: str) -> None:
    assert sessions().read(spoil) is None


def test_a_changed_name_is_nobody() -> None:
    one = sessions()
    body, _, signature = one.issue("Dana").partition(".")
    facts = json.loads(base64.urlsafe_b64decode(body))
    forged = base64.urlsafe_b64encode(json.dumps(["Root", *facts[1:]]).encode()).decode()
    assert one.read(f"{forged}.{signature}") is None


def test_a_form_token_belongs_to_one_session() -> None:
    one = sessions()
    first, second = one.read(one.issue("Dana")), one.read(one.issue("Dana"))
    assert first is not None
    assert second is not None
    assert one.form_token_is(first, one.form_token(first))
    assert not one.form_token_is(second, one.form_token(first))


async def test_ten_wrong_tokens_a_minute_are_enough() -> None:
    clock = ManualClock()
    one = sessions(clock)
    for _ in range(10):
        assert one.may_try("192.0.2.9")
        one.failed("192.0.2.9")
    assert not one.may_try("192.0.2.9")
    assert one.may_try("192.0.2.10")
    await clock.advance(61)
    assert one.may_try("192.0.2.9")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("/incident/x?a=1", "/incident/x?a=1"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("/a\r\nSet-Cookie: x", "/"),
        ("", "/"),
    ],
)
def test_a_redirect_stays_here(text: str, path: str) -> None:
    assert local_path(text) == path


def test_loopback() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1")))
    assert not any(map(is_loopback, ("10.0.0.1", "::ffff:10.0.0.1", "", "localhost")))
    assert all(map(is_loopback_host, ("localhost:8470", "127.0.0.1", "[::1]:8470")))
    assert not any(map(is_loopback_host, ("evil.example", "127.0.0.1.evil.example", "10.0.0.1:80", "")))


@pytest.mark.parametrize(
    "wrong", [{"token": " "}, {"anonymous": "yes"}, {"trusted_proxies": ("proxy",)}, {"ward_networks": ("10.0.0/8",)}]
)
def test_wrong_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        WebSettings(**({"token": "t"} | wrong))  # type: ignore[arg-type]
