"""RADIUS packets as bytes: passwords hidden, requests signed, the signatures of answers checked (RFC 2865, 3579)."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

ACCESS_REQUEST, ACCESS_ACCEPT, ACCESS_REJECT, ACCESS_CHALLENGE, STATUS_SERVER = 1, 2, 3, 11, 12
USER_NAME, USER_PASSWORD, NAS_IDENTIFIER, NAS_PORT_TYPE, MESSAGE_AUTHENTICATOR = 1, 2, 32, 61, 80
_HEAD, _MOST = 20, 4096
_VIRTUAL = 5


@dataclass(frozen=True, slots=True)
class Request:
    """What goes out: `authenticator` ties the answer to it."""

    number: int
    authenticator: bytes
    data: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, its signature already checked. `signed`: with a Message-Authenticator."""

    code: int
    signed: bool


class Forged(Exception):
    """An answer to our request that was not made with our secret."""


def access_request(*, number: int, authenticator: bytes, secret: bytes, user: str, password: str, nas: str) -> Request:
    """Access-Request with PAP; the password is hidden with the secret (RFC 2865 section 5.2)."""
    body = _attribute(USER_NAME, user.encode()) + _attribute(
        USER_PASSWORD, hidden(password.encode(), secret, authenticator)
    )
    body += _attribute(NAS_IDENTIFIER, nas.encode()) + _attribute(NAS_PORT_TYPE, _VIRTUAL.to_bytes(4, "big"))
    return _signed(ACCESS_REQUEST, number, authenticator, body, secret)


def status_server(*, number: int, authenticator: bytes, secret: bytes, nas: str) -> Request:
    """Are you there? Needs no account (RFC 5997)."""
    return _signed(STATUS_SERVER, number, authenticator, _attribute(NAS_IDENTIFIER, nas.encode()), secret)


def _attribute(kind: int, value: bytes) -> bytes:
    return bytes((kind, len(value) + 2)) + value


def hidden(password: bytes, secret: bytes, authenticator: bytes) -> bytes:
    """MD5 keystream over 16-byte blocks."""
    padded = password + b"\0" * (-len(password) % 16 or (0 if password else 16))
    out, last = b"", authenticator
    for at in range(0, len(padded), 16):
        key = hashlib.md5(secret + last, usedforsecurity=False).digest()
        last = bytes(plain ^ mask for plain, mask in zip(padded[at : at + 16], key, strict=True))
        out += last
    return out


def _signed(code: int, number: int, authenticator: bytes, body: bytes, secret: bytes) -> Request:
    """The Message-Authenticator stands first (what patched servers want since CVE-2024-3596)."""
    size = _HEAD + 18 + len(body)
    head = bytes((code, number)) + size.to_bytes(2, "big") + authenticator
    empty = _attribute(MESSAGE_AUTHENTICATOR, b"\0" * 16)
    signature = hmac.digest(secret, head + empty + body, "md5")
    return Request(number, authenticator, head + _attribute(MESSAGE_AUTHENTICATOR, signature) + body)


def parse(data: bytes, request: Request, secret: bytes) -> Answer | None:
    """The answer, or None for what is not an answer to this request. Raises Forged."""
    if len(data) < _HEAD or data[1] != request.number:
        return None
    size = int.from_bytes(data[2:4], "big")
    if data[0] not in (ACCESS_ACCEPT, ACCESS_REJECT, ACCESS_CHALLENGE) or not _HEAD <= size <= min(len(data), _MOST):
        return None
    head, given, body = data[:4], data[4:20], data[20:size]
    made = hashlib.md5(head + request.authenticator + body + secret, usedforsecurity=False).digest()
    if not hmac.compare_digest(made, given):
        raise Forged
    at = _find(body, MESSAGE_AUTHENTICATOR)
    if at is None:
        return None
    if at < 0:
        return Answer(data[0], signed=False)
    blank = body[: at + 2] + b"\0" * 16 + body[at + 18 :]
    if not hmac.compare_digest(
        hmac.digest(secret, head + request.authenticator + blank, "md5"), body[at + 2 : at + 18]
    ):
        raise Forged
    return Answer(data[0], signed=True)


def _find(body: bytes, kind: int) -> int | None:
    """Where an attribute begins, -1 when it is not there, None when the attributes cannot be read."""
    at, found = 0, -1
    while at < len(body):
        size = body[at + 1] if at + 1 < len(body) else 0
        if size < 2 or at + size > len(body):
            return None
        if body[at] == kind:
            if size != 18:
                return None
            found = at
        at += size
    return found
