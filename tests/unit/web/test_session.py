"""Sessions and the limits on signing in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from healthmon.runtime.clock import ManualClock
from healthmon.web.origin import is_loopback, is_loopback_host, local_path
from healthmon.web.session import Identity, Sessions
from healthmon.web.settings import WebSettings
from healthmon.web.throttle import Throttle


def sessions(clock: ManualClock | None = None, token: str = "t0ken", **more: Any) -> Sessions:
    return Sessions(token=token, hours=12, clock=clock or ManualClock(), **more)


def test_a_session_outlives_a_restart_but_not_the_token(tmp_path: Path) -> None:
    kept = {"path": tmp_path / "sessions.json"}
    cookie = sessions(**kept).issue("Dana")
    found = sessions(**kept).read(cookie)
    assert found is not None
    assert found.name == "Dana"
    assert sessions(token="another", **kept).read(cookie) is None


def test_what_is_kept_signs_nobody_in(tmp_path: Path) -> None:
    one = sessions(path=tmp_path / "sessions.json")
    cookie = one.issue("Dana")
    text = (tmp_path / "sessions.json").read_text()
    assert cookie not in text
    assert all(one.read(key) is None for key in json.loads(text))
    assert (tmp_path / "sessions.json").stat().st_mode & 0o777 == 0o600


def test_a_spoilt_file_means_to_sign_in_again(tmp_path: Path) -> None:
    path = tmp_path / "sessions.json"
    for text in ("{", "[]", '{"x": 1}', '{"x": {"no": 1}}'):
        path.write_text(text)
        assert sessions(path=path).all() == []


async def test_a_session_ends_after_its_hours_however_busy() -> None:
    clock = ManualClock()
    one = sessions(clock)
    cookie = one.issue("Dana")
    for _ in range(12):
        await clock.advance(3600)
        found = one.read(cookie)
        assert found is not None
        one.touch(found)
    await clock.advance(1)
    assert one.read(cookie) is None


async def test_a_session_that_nobody_uses_ends_earlier() -> None:
    clock = ManualClock()
    one = sessions(clock, idle_s=600.0)
    idle, used = one.issue("Dana"), one.issue("Kim")
    await clock.advance(400)
    found = one.read(used)
    assert found is not None
    one.touch(found)
    await clock.advance(400)
    assert one.read(idle) is None
    assert one.read(used) is not None


def test_signing_out_ends_copies_too_and_stays_so(tmp_path: Path) -> None:
    one = sessions(path=tmp_path / "sessions.json")
    cookie = one.issue("Dana")
    found = one.read(cookie)
    assert found is not None
    one.revoke(found)
    assert one.read(cookie) is None
    assert sessions(path=tmp_path / "sessions.json").read(cookie) is None


def test_a_person_keeps_the_newest_twenty() -> None:
    one = sessions()
    first, *rest = [one.issue(Identity("Dana", "password", "dana")) for _ in range(21)]
    other = one.issue("Kim")
    assert one.read(first) is None
    assert all(one.read(cookie) for cookie in (*rest, other))


@pytest.mark.parametrize("spoil", ["", ".", "x.y", "é.é", "a" * 5000])
def test_garbage_is_nobody(spoil: str) -> None:
    assert sessions().read(spoil) is None


def test_a_form_token_belongs_to_one_session() -> None:
    one = sessions()
    first, second = one.read(one.issue("Dana")), one.read(one.issue("Dana"))
    assert first is not None
    assert second is not None
    assert one.form_token_is(first.key, one.form_token(first.key))
    assert not one.form_token_is(second.key, one.form_token(first.key))


async def test_ten_wrong_tokens_a_minute_are_enough() -> None:
    clock = ManualClock()
    one = Throttle(clock)
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
