"""Links that acknowledge without a login: signed, for one incident and one reader, expiring, used once.

Pure: the caller keeps the ids of spent tokens (the journal's `append` with the id as key does it durably).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Container
from dataclasses import dataclass
from enum import StrEnum

from healthmon.model.errors import NotAllowed

#: A night shift and its hand-over.
DEFAULT_LIFE_S = 12 * 3600.0
#: The shortest secret that is accepted.
SECRET_BYTES = 16


class Refusal(StrEnum):
    """Why a token was refused."""

    FORGED = "forged"
    EXPIRED = "expired"
    USED = "used"


class TokenRefused(NotAllowed):
    """The link does not work (any more); `refusal` says why."""

    def __init__(self, refusal: Refusal) -> None:
        words = {
            Refusal.FORGED: "this link is not known",
            Refusal.EXPIRED: "this link is too old",
            Refusal.USED: "this link was used already",
        }
        super().__init__(words[refusal])
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class Token:
    """What a valid token stands for; `id` is what to remember once it is spent (Unix s)."""

    id: str
    incident: str
    channel: str
    to: str
    expires_at: float


def make_token(secret: bytes, *, incident: str, channel: str, to: str, expires_at: float) -> str:
    """URL-safe text; the same arguments give the same token, so that a repeated message carries the same link."""
    claims = json.dumps([1, incident, channel, to, int(expires_at)], separators=(",", ":")).encode()
    return f"{_text(claims)}.{_text(_sign(secret, claims))}"


def verify_token(secret: bytes, token: str, *, now: float, spent: Container[str] = frozenset()) -> Token:
    """The token's meaning; `spent` holds the ids of used tokens. Raises TokenRefused."""
    claims, signed = _split(token)
    if not hmac.compare_digest(_sign(secret, claims), signed):
        raise TokenRefused(Refusal.FORGED)
    version, incident, channel, to, expires_at = json.loads(claims)
    if version != 1:
        raise TokenRefused(Refusal.FORGED)
    if now >= expires_at:
        raise TokenRefused(Refusal.EXPIRED)
    found = Token(hashlib.sha256(claims).hexdigest()[:32], incident, channel, to, float(expires_at))
    if found.id in spent:
        raise TokenRefused(Refusal.USED)
    return found


def _split(token: str) -> tuple[bytes, bytes]:
    left, dot, right = token.partition(".")
    try:
        if not dot:
            raise TokenRefused(Refusal.FORGED)
        return _bytes(left), _bytes(right)
    except (binascii.Error, ValueError) as error:
        raise TokenRefused(Refusal.FORGED) from error


def _sign(secret: bytes, claims: bytes) -> bytes:
    if len(secret) < SECRET_BYTES:
        raise ValueError(f"the secret must have at least {SECRET_BYTES} bytes")
    return hmac.new(secret, b"healthmon acknowledge\0" + claims, hashlib.sha256).digest()[:16]


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    raw = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if _text(raw) != text:
        raise ValueError("not in its one canonical form")
    return raw
