"""Links that acknowledge: nothing but the right one, in time, once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthmon.alerting.oncall.tokens import Refusal, TokenRefused, make_token, verify_token

SECRET = b"0123456789abcdef0123456789abcdef"
GOOD = make_token(SECRET, incident="inc-1", channel="pager", to="on-call", expires_at=2000.0)


def refusal(token: str, *, secret: bytes = SECRET, now: float = 1000.0, spent: frozenset[str] = frozenset()) -> Refusal:
    with pytest.raises(TokenRefused) as caught:
        verify_token(secret, token, now=now, spent=spent)
    return caught.value.refusal


def test_it_says_whom_it_is_for() -> None:
    token = verify_token(SECRET, GOOD, now=1000.0)
    assert (token.incident, token.channel, token.to, token.expires_at) == ("inc-1", "pager", "on-call", 2000.0)


def test_it_is_safe_in_a_url_and_the_same_every_time() -> None:
    assert set(GOOD) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
    assert make_token(SECRET, incident="inc-1", channel="pager", to="on-call", expires_at=2000.0) == GOOD


def test_it_expires() -> None:
    assert verify_token(SECRET, GOOD, now=1999.9)
    assert refusal(GOOD, now=2000.0) is Refusal.EXPIRED


def test_it_works_once() -> None:
    token = verify_token(SECRET, GOOD, now=1000.0)
    assert refusal(GOOD, spent=frozenset({token.id})) is Refusal.USED
    other = make_token(SECRET, incident="inc-1", channel="pager", to="manager", expires_at=2000.0)
    assert verify_token(SECRET, other, now=1000.0, spent={token.id}).to == "manager"


def test_another_secret_does_not_do() -> None:
    assert refusal(GOOD, secret=b"another secret of good length..") is Refusal.FORGED


@given(st.integers(0, len(GOOD) - 1), st.characters(codec="ascii"))
def test_no_changed_character_passes(place: int, character: str) -> None:
    changed = GOOD[:place] + character + GOOD[place + 1 :]
    if changed != GOOD:
        assert refusal(changed) is Refusal.FORGED


@given(st.text(max_size=200))
def test_anything_else_is_forged(text: str) -> None:
    assert refusal(text) is Refusal.FORGED


def test_a_weak_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        make_token(b"short", incident="inc-1", channel="pager", to="on-call", expires_at=2000.0)
