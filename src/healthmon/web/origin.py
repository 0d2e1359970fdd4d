"""Where a request comes from: the peer, what trusted proxies say, and whether a browser's page of ours sent it."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from healthmon.web.settings import WEB, Network, networks

FORWARDING = frozenset(
    {"forwarded", "via", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip", "x-cluster-client-ip"}
)


def forwarded(request: web.Request) -> bool:
    """Whether any header says that somebody passed the request on."""
    names = (name.lower() for name in request.headers)
    return any(name in FORWARDING or name.startswith("x-forwarded") for name in names)


def peer(request: web.Request) -> str:
    """The address at the other end of the connection; empty when there is none."""
    found = request.transport.get_extra_info("peername") if request.transport else None
    return str(found[0]) if isinstance(found, tuple) else ""


def client(request: web.Request) -> str:
    """The client's address: the peer, or what trusted proxies say of it."""
    trusted = networks(request.app[WEB].settings.trusted_proxies)
    hops = [peer(request)]
    for value in request.headers.getall("X-Forwarded-For", []):
        hops[:0] = [hop.strip() for hop in value.split(",")]
    for hop in reversed(hops):
        if not inside(hop, trusted):
            return hop
    return hops[0]


def from_own_page(request: web.Request, *, strict: bool) -> bool:
    """Whether a browser says that our own page sent this; strict also refuses who says nothing."""
    fetch_site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get(hdrs.ORIGIN)
    if fetch_site is not None and fetch_site != "same-origin":
        return False
    if origin == "null" and fetch_site:  # a referrer policy hid the origin; the browser vouches for it all the same
        return True
    if origin is not None and urlsplit(origin).netloc.lower() != own_host(request):
        return False
    return not strict or fetch_site is not None or origin is not None


def secure(request: web.Request) -> bool:
    """Whether the browser speaks TLS to us or to a trusted proxy."""
    if request.app[WEB].settings.tls or request.secure:
        return True
    return behind_trusted(request) and request.headers.get("X-Forwarded-Proto", "").lower() == "https"


def is_loopback(address: str) -> bool:
    """127.0.0.0/8, ::1 or the former mapped into IPv6."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return bool((mapped or parsed).is_loopback)


def is_loopback_host(host: str) -> bool:
    """Whether a Host header names this machine's loopback."""
    name = urlsplit(f"//{host}").hostname or ""
    return name == "localhost" or name.endswith(".localhost") or is_loopback(name)


def local_path(text: str) -> str:
    """A path on this site to return to, or `/`."""
    safe = text.startswith("/") and not text.startswith(("//", "/\\")) and "\\" not in text and text.isprintable()
    return text if safe else "/"


def inside(address: str, trusted: tuple[Network, ...]) -> bool:
    """Whether an address is in any of these networks."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    return any(parsed in network for network in trusted)


def behind_trusted(request: web.Request) -> bool:
    """Whether the peer is a proxy that the configuration trusts."""
    return inside(peer(request), networks(request.app[WEB].settings.trusted_proxies))


def own_host(request: web.Request) -> str:
    """The name under which the browser asked for us."""
    if behind_trusted(request):
        return request.headers.get("X-Forwarded-Host", request.host).lower()
    return request.host.lower()
