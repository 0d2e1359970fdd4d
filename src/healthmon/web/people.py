"""Who is asking: the site's token, an API token, a session, whom a proxy names, or anonymous reading from here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from aiohttp import hdrs, web

from healthmon.web.origin import behind_trusted, forwarded, is_loopback, is_loopback_host, peer
from healthmon.web.permissions import LADDER, Role
from healthmon.web.session import Session
from healthmon.web.settings import Proxy, SignIn, Web

COOKIE = "healthmon_session"


@dataclass(frozen=True, slots=True)
class Person:
    """Whoever asks. kind: site-token, token, session, proxy or anonymous. user: the id, where one person is meant."""

    kind: str
    name: str = ""
    role: Role = Role.PUBLIC
    user: str = ""
    session: Session | None = None
    token: str = ""

    @property
    def signed_in(self) -> bool:
        return self.kind != "anonymous"

    @property
    def by_browser(self) -> bool:
        """Whether a browser sends what lets this person in by itself, so that other sites' pages could use it."""
        return self.kind in ("session", "proxy")

    @property
    def subject(self) -> str:
        """What forms are bound to."""
        return self.session.key if self.session else f"proxy:{self.user}"

    @property
    def identity(self) -> str:
        """Who, as the audit names them."""
        if self.user:
            return f"user:{self.user}"
        return f"token:{self.token}" if self.token else "site-token" if self.kind == "session" else self.kind

    @property
    def acts(self) -> bool:
        """Whether pages show this person the forms of incidents."""
        return self.by_browser and self.may(Role.ACT)

    @property
    def silences(self) -> bool:
        """Whether pages show this person the forms of silences."""
        return self.by_browser and self.may(Role.SILENCE)

    @property
    def configures(self) -> bool:
        """Whether pages show this person the forms of access."""
        return self.by_browser and self.may(Role.CONFIGURE)

    def may(self, asked: Role) -> bool:
        """Whether this person may do what asks for `asked`."""
        return self.role.holds(asked)


NOBODY = Person("anonymous")
PERSON: web.RequestKey[Person] = web.RequestKey("healthmon_person", Person)


class StrangerWithHeader(Exception):
    """Somebody who is no trusted proxy says who the user is."""


def person(request: web.Request) -> Person:
    """The one who asks, as the middleware found; a nobody on open pages."""
    return request.get(PERSON) or NOBODY


def identify(request: web.Request, site: Web) -> Person | None:
    """None for a stranger. A wrong token never falls back to anything else. Raises StrangerWithHeader."""
    header = request.headers.get(hdrs.AUTHORIZATION)
    if header is not None:
        return by_token(header, site)
    proxy = site.settings.sign_in.proxy
    if proxy and proxy.user_header in request.headers:
        if not behind_trusted(request):
            raise StrangerWithHeader
        return by_proxy(request, proxy, site)
    session = site.sessions.read(request.cookies.get(COOKIE, ""))
    if session:
        return by_session(session, site)
    return Person("anonymous", role=Role.VIEW) if may_read_anonymously(request, site) else None


def by_token(header: str, site: Web) -> Person | None:
    scheme, _, given = header.partition(" ")
    if scheme.lower() != "bearer":
        return None
    if site.sessions.token_is(given.strip()):
        return Person("site-token", role=Role.CONFIGURE)
    found = site.tokens.find(given.strip())
    return Person("token", found.name, found.role, token=found.id) if found else None


def by_proxy(request: web.Request, proxy: Proxy, site: Web) -> Person | None:
    """Whom a trusted proxy names; groups with commas between."""
    user = printable(request.headers[proxy.user_header])
    if not user:
        return None
    name = printable(request.headers.get(proxy.name_header, "")) or user
    groups = [part.strip() for part in request.headers.get(proxy.groups_header, "").split(",") if part.strip()]
    return Person("proxy", name, role_of(site.settings.sign_in, user, groups) or Role.PUBLIC, user)


def by_session(session: Session, site: Web) -> Person | None:
    """The person of a session with the role that they have now: a local user who was taken out is out."""
    if session.how == "site-token":
        return Person("session", session.name, Role.CONFIGURE, session=session)
    own, groups = None, session.groups
    if session.how == "password":
        account = site.accounts.find(session.user)
        if account is None:
            return None
        own, groups = account.role, account.groups
    role = role_of(site.settings.sign_in, session.user, groups, own) or Role.PUBLIC
    return Person("session", session.name, role, session.user, session)


def role_of(sign_in: SignIn, user: str, groups: Iterable[str], own: Role | None = None) -> Role | None:
    """The strongest of a person's own role and those of their groups; else the default."""
    held = [own, sign_in.people.get(user), *(sign_in.groups.get(group) for group in groups)]
    found = [role for role in held if role]
    return max(found, key=LADDER.index) if found else sign_in.default_role


def may_read_anonymously(request: web.Request, site: Web) -> bool:
    """A loopback peer, no forwarding header, and a loopback Host (a rebound DNS name is not this machine)."""
    if site.settings.anonymous != "loopback" or forwarded(request):
        return False
    return is_loopback(peer(request)) and is_loopback_host(request.host)


def printable(text: str) -> str:
    """A header's text as a name: one line, bounded."""
    return " ".join(text.split())[:80] if text.isprintable() else ""
