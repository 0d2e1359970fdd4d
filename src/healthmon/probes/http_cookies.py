"""Cookies of one visit (RFC 6265), forgotten at its end."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from healthmon.probes.address import Url

_MOST = 50
_MOST_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Cookie:
    """`domain` is a host, or with `wide` also every host below it."""

    name: str
    value: str
    domain: str
    wide: bool
    path: str
    secure: bool

    def fits(self, url: Url) -> bool:
        """Whether it is sent there."""
        if self.secure and url.scheme != "https" and not _loopback(url.host):
            return False
        host = url.host.lower()
        if host != self.domain and not (self.wide and host.endswith(f".{self.domain}")):
            return False
        return url.path == self.path or url.path.startswith(self.path.rstrip("/") + "/")


class Jar:
    """Takes cookies from answers and gives those that fit an address."""

    def __init__(self) -> None:
        self._cookies: dict[tuple[str, str, str], Cookie] = {}

    def take(self, url: Url, lines: Iterable[str]) -> None:
        """What Set-Cookie headers say; those for other sites, too large or too many are left."""
        for line in lines:
            cookie, gone = _parse(url, line)
            if cookie is None:
                continue
            key = (cookie.name, cookie.domain, cookie.path)
            if gone:
                self._cookies.pop(key, None)
            elif key in self._cookies or len(self._cookies) < _MOST:
                self._cookies[key] = cookie

    def header(self, url: Url) -> str:
        """The Cookie header for this address, longer paths first; empty when there is nothing to send."""
        fitting = sorted((cookie for cookie in self._cookies.values() if cookie.fits(url)), key=lambda c: -len(c.path))
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in fitting)


def _parse(url: Url, line: str) -> tuple[Cookie | None, bool]:
    pair, *attributes = line.split(";")
    name, sign, value = pair.partition("=")
    name, value = name.strip(), value.strip()
    if not sign or not name or len(line) > _MOST_BYTES or any(ord(char) < 0x20 for char in line):
        return None, False
    known = {key.strip().lower(): text.strip() for key, _, text in (entry.partition("=") for entry in attributes)}
    domain = known.get("domain", "").lstrip(".").lower()
    host = url.host.lower()
    if domain and domain != host and not (_under(host, domain)):
        return None, False
    path = known.get("path", "")
    path = path if path.startswith("/") else url.path.rpartition("/")[0] or "/"
    # Only a cookie that is ended at once matters within the seconds of a visit; other dates lie ahead.
    gone = known.get("max-age", "1").lstrip("-").isdigit() and int(known.get("max-age", "1")[:12]) <= 0
    gone = gone or "01 jan 1970" in known.get("expires", "").lower().replace("-", " ")
    return Cookie(name, value, domain or host, bool(domain), path, "secure" in known), gone


def _under(host: str, domain: str) -> bool:
    """Whether a host may set cookies for a domain above it; never for a bare top level or from an address."""
    if "." not in domain or not host.endswith(f".{domain}"):
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return True
    return False


def _loopback(host: str) -> bool:
    return host == "localhost" or host.startswith("127.") or host == "::1"
