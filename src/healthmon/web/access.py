"""Who is asking, and whether they may: token, session, or anonymous reading from this very machine."""

from __future__ import annotations

import ipaddress
import logging
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from aiohttp import hdrs, web

from healthmon.web.permissions import Role, asked
from healthmon.web.problem import Handler, Problem, for_machines
from healthmon.web.session import Session
from healthmon.web.settings import WEB, Web, networks

log = logging.getLogger(__name__)

COOKIE = "healthmon_session"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
FORWARDING = frozenset(
    {"forwarded", "via", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip", "x-cluster-client-ip"}
)
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


@dataclass(frozen=True, slots=True)
class Person:
    """Whoever asks. kind: token, session or anonymous; `name` is empty unless a session gives it."""

    kind: str
    name: str = ""
    session: Session | None = None
    role: Role = Role.CONFIGURE

    @property
    def signed_in(self) -> bool:
        return self.kind != "anonymous"

    def may(self, asked: Role) -> bool:
        """Whether this person may do what asks for `asked`."""
        return self.role.holds(asked)


NOBODY = Person("anonymous", role=Role.PUBLIC)
PERSON: web.RequestKey[Person] = web.RequestKey("healthmon_person", Person)


def person(request: web.Request) -> Person:
    """The one who asks, as the middleware found; a nobody on open pages."""
    return request.get(PERSON) or NOBODY


@web.middleware
async def admit(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let the request through or refuse it, before anything of it is read."""
    site = request.app[WEB]
    who = identify(request, site)
    if who:
        request[PERSON] = who
    needed = needed_for(request)
    if needed is Role.WARD:
        refuse_outsiders(request, who, site)
    elif needed not in (Role.PUBLIC, Role.CARRIED):
        refuse_strangers(request, who, needed)
    return await handler(request)


def needed_for(request: web.Request) -> Role:
    """What this route asks for by the table. What no route serves tells a stranger nothing."""
    resource = request.match_info.route.resource
    if resource is None:
        return Role.VIEW
    found = asked(request.method, resource.canonical)
    if found is None:
        log.error(
            "route without a row in web/permissions.py", extra={"route": f"{request.method} {resource.canonical}"}
        )
        raise Problem(403, "not-allowed", "nobody was given the right to do this")
    return found


def refuse_outsiders(request: web.Request, who: Person | None, site: Web) -> None:
    """Raise unless it comes from a ward, or from somebody who may view. No other site's page may report for a ward."""
    if request.method not in SAFE and request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site"):
        raise Problem(403, "cross-site", "reports come from healthmon's own pages")
    if not _inside(client(request), networks(site.settings.ward_networks)) and not (who and who.may(Role.VIEW)):
        refuse_strangers(request, None, Role.WARD)


def refuse_strangers(request: web.Request, who: Person | None, needed: Role) -> None:
    """Raise unless this person may make this request."""
    acting = request.method not in SAFE
    if who is None or (acting and not who.signed_in) or (not who.signed_in and not who.may(needed)):
        if not for_machines(request) and not acting:
            raise web.HTTPSeeOther(f"/login?next={quote(request.path_qs, safe='/')}")
        detail = "acting needs a token or a session" if who else "reading needs a token or a session from here"
        raise Problem(401, "not-signed-in", detail, headers={"WWW-Authenticate": 'Bearer realm="healthmon"'})
    if acting and who.kind == "session" and not from_own_page(request, strict=True):
        raise Problem(403, "cross-site", "a session may act only from healthmon's own pages")
    if not who.may(needed):
        raise Problem(403, "not-allowed", f"this needs the role {needed}; yours is {who.role}")


def identify(request: web.Request, site: Web) -> Person | None:
    """Token, session or anonymous; None for a stranger. A wrong token never falls back to anonymous."""
    header = request.headers.get(hdrs.AUTHORIZATION)
    if header is not None:
        scheme, _, given = header.partition(" ")
        right = scheme.lower() == "bearer" and site.sessions.token_is(given.strip())
        return Person("token") if right else None
    session = site.sessions.read(request.cookies.get(COOKIE, ""))
    if session:
        return Person("session", session.name, session)
    return Person("anonymous", role=Role.VIEW) if may_read_anonymously(request, site) else None


def may_read_anonymously(request: web.Request, site: Web) -> bool:
    """A loopback peer, no forwarding header, and a loopback Host (a rebound DNS name is not this machine)."""
    if site.settings.anonymous != "loopback" or forwarded(request):
        return False
    return is_loopback(peer(request)) and is_loopback_host(request.host)


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
        if not _inside(hop, trusted):
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
    if origin is not None and urlsplit(origin).netloc.lower() != _own_host(request):
        return False
    return not strict or fetch_site is not None or origin is not None


def secure(request: web.Request) -> bool:
    """Whether the browser speaks TLS to us or to a trusted proxy."""
    if request.app[WEB].settings.tls or request.secure:
        return True
    return _behind_trusted(request) and request.headers.get("X-Forwarded-Proto", "").lower() == "https"


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


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Security headers on every answer, streams included; nothing but static files may be cached."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault(hdrs.CACHE_CONTROL, "no-store")
    response.headers.pop(hdrs.SERVER, None)
    if request.app[WEB].settings.tls:
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")


def _inside(address: str, trusted: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in trusted)


def _behind_trusted(request: web.Request) -> bool:
    return _inside(peer(request), networks(request.app[WEB].settings.trusted_proxies))


def _own_host(request: web.Request) -> str:
    if _behind_trusted(request):
        return request.headers.get("X-Forwarded-Host", request.host).lower()
    return request.host.lower()
