"""The dates of a certificate, read from its DER so that an untrusted or expired one can be told from too."""

from __future__ import annotations

import calendar
import math
import ssl
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache

from healthmon.model.errors import HealthmonError
from healthmon.model.ports import Sight
from healthmon.model.sample import Family, Reason, Sample, Value
from healthmon.probes.connect import Trust, dial, hang_up, open_streams, tls_object
from healthmon.probes.look import samples_of
from healthmon.probes.reasons import Finding
from healthmon.runtime.deadline import within

TLS_FAMILY = Family(
    "tls",
    frozenset(
        {
            "expires_in_seconds",
            "lifetime_left_ratio",
            "chain_expires_in_seconds",
            "certificates",
            "version",
            "cipher",
            "subject",
            "issuer",
            "alternatives",
            "fingerprint_sha256",
            "serial",
            "handshake_seconds",
            "connect_seconds",
            "dns_seconds",
            "duration_seconds",
            "verified",
        }
    ),
)

_VERSION, _UTC_TIME, _GENERALIZED_TIME = 0xA0, 0x17, 0x18
Peer = ssl.SSLObject | ssl.SSLSocket

#: The number of `_ssl.ENCODING_DER`.
_DER = 2


@dataclass(frozen=True, slots=True)
class Validity:
    """Unix seconds."""

    not_before: float
    not_after: float

    def fields(self, now: float) -> dict[str, Value]:
        """Seconds left (negative when expired) and the share of the lifetime left, 0 to 1."""
        left_s = self.not_after - now
        whole_s = max(1.0, self.not_after - self.not_before)
        return {"expires_in_seconds": left_s, "lifetime_left_ratio": min(1.0, max(0.0, left_s / whole_s))}


def samples_of_peer(peer: Peer, now: float, *, details: bool = False) -> list[Sample]:
    """Family `tls`: the certificate that ends first of those the peer showed, intermediates included.

    `chain_expires_in_seconds` is the same for the chain that was believed, with its root; absent when nothing was
    verified. details: also whose certificate it is.
    """
    fields: dict[str, Value] = {"version": peer.version() or "unknown"}
    shown = _chain(peer, "get_unverified_chain") or _leaf(peer)
    if shown:
        first = min((validity(der) for der in shown), key=lambda dates: dates.not_after)
        fields |= first.fields(now)
        fields["certificates"] = float(len(shown))
    believed = _chain(peer, "get_verified_chain") if peer.context.verify_mode is ssl.CERT_REQUIRED else []
    if believed:
        fields["chain_expires_in_seconds"] = min(validity(der).not_after for der in believed) - now
    if details and shown:
        from healthmon.probes.certificate_names import described

        cipher = peer.cipher()
        fields |= {**described(shown[0]), **({"cipher": cipher[0]} if cipher else {})}
    return samples_of("tls", fields)


def seconds_left(samples: list[Sample]) -> float:
    """Until what `samples_of_peer` told of ends; without an end, never."""
    ends = (one.value for one in samples if one.field == "expires_in_seconds")
    return next((value for value in ends if isinstance(value, float)), math.inf)


def _leaf(peer: Peer) -> list[bytes]:
    der = peer.getpeercert(binary_form=True)
    return [der] if der else []


def _chain(peer: Peer, method: str) -> list[bytes]:
    """DER of each certificate, the server's own first: public from Python 3.13 on, an inner object's before."""
    ask = getattr(peer, method, None) or getattr(getattr(peer, "_sslobj", None), method, None)
    found = ask() if ask is not None else None
    return [entry if isinstance(entry, bytes) else entry.public_bytes(_DER) for entry in found or ()]


async def peek(sight: Sight, host: str, port: int, trust: Trust, server_name: str, limit_s: float) -> list[Sample]:
    """The certificate of a server that was not believed: a second handshake, guarded like any connection.

    Gives nothing when that is not allowed now or does not work.
    """
    believing = replace(trust, verify=False)
    with suppress(OSError, HealthmonError):
        addresses = await sight.resolve(host, port)
        async with within(limit_s, sight.clock):
            sock, _ = await dial(addresses, limit_s, sight.clock)
            _, writer = await open_streams(sock, believing, server_name)
            try:
                peer = tls_object(writer)
                return samples_of_peer(peer, sight.clock.now()) if peer else []
            finally:
                hang_up(writer)
    return []


@lru_cache(maxsize=4096)
def validity(der: bytes) -> Validity:
    """RFC 5280 section 4.1: Certificate > tbsCertificate > [version] serial signature issuer **validity** ...

    Raises Finding(bad_response) for what is not a certificate.
    """
    try:
        _, certificate, _ = element(der, 0)
        _, tbs, _ = element(certificate, 0)
        tag, _, at = element(tbs, 0)
        if tag == _VERSION:
            _, _, at = element(tbs, at)  # serial
        for _skip in ("signature", "issuer"):
            _, _, at = element(tbs, at)
        _, dates, _ = element(tbs, at)
        tag, first, at = element(dates, 0)
        last_tag, last, _ = element(dates, at)
        return Validity(_time(tag, first), _time(last_tag, last))
    except (IndexError, ValueError):
        raise Finding(Reason.BAD_RESPONSE, "the certificate cannot be read") from None


def element(data: bytes, at: int) -> tuple[int, bytes, int]:
    """Tag, content and the offset after it of one DER element."""
    tag, length, start = data[at], data[at + 1], at + 2
    if length & 0x80:
        width = length & 0x7F
        length = int.from_bytes(data[start : start + width], "big")
        start += width
    if start + length > len(data):
        raise ValueError("runs past the end")
    return tag, data[start : start + length], start + length


def _time(tag: int, content: bytes) -> float:
    """UTCTime has two digits of the year, below 50 meaning 20xx; GeneralizedTime has four."""
    text = content.decode("ascii")
    if tag == _UTC_TIME:
        text = ("20" if int(text[:2]) < 50 else "19") + text
    elif tag != _GENERALIZED_TIME:
        raise ValueError("not a time")
    if len(text) != 15 or text[-1] != "Z":
        raise ValueError("not a time in UTC to the second")
    return float(calendar.timegm((int(text[:4]), *(int(text[n : n + 2]) for n in range(4, 14, 2)), 0, 0, 0)))
