"""Signing in through OpenID Connect: the real flow against npm's oidc-provider, and a provider that lies.

No real provider forges its tokens, so the second one is written here with the same library that checks them.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey
from yarl import URL

from daemons.nodemodules import node_modules
from daemons.process import Daemon, free_port, listens, need, running
from daemons.webboard import TOKEN, Hospital, hospital_app, served
from healthmon.runtime.auditlog import AuditLog
from healthmon.runtime.clock import SystemClock
from healthmon.web import WebSettings
from healthmon.web.permissions import Role
from healthmon.web.settings import Oidc, SignIn

pytestmark = pytest.mark.wire
HERE = Path(__file__).parent
SECRET = "a-client-secret: with / signs & spaces"
GROUPS = {"it-oncall": Role.ACT, "it-admin": Role.CONFIGURE}


def settings(issuer: str, folder: Path, **more: Any) -> WebSettings:
    oidc = Oidc(issuer, "healthmon", SECRET, **more)
    return WebSettings(token=TOKEN, data_dir=folder, anonymous="never", sign_in=SignIn(groups=GROUPS, oidc=oidc))


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """(issuer, the port on which healthmon has to listen)."""
    folder, port, own = tmp_path_factory.mktemp("oidc"), free_port(), free_port()
    script = folder / "provider.mjs"
    script.write_text((HERE.parent / "daemons" / "provider.mjs").read_text())
    (folder / "node_modules").symlink_to(node_modules("oidc-provider"))
    argv = [need("node"), str(script), str(port), f"http://127.0.0.1:{own}/login/oidc/callback", SECRET]
    with running(Daemon(argv, ready=listens(port), log=folder / "provider.log")):
        yield f"http://127.0.0.1:{port}", own


@asynccontextmanager
async def browser(url: str) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(url, cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield session


async def to_the_callback(session: aiohttp.ClientSession, user: str, next_: str = "/targets") -> str:
    """Through the provider's pages as a browser goes, up to the address that leads back to healthmon."""
    url, method, form = URL(f"/login/oidc?next={next_}"), "GET", None
    for _ in range(12):
        async with session.request(method, url, data=form, allow_redirects=False) as answer:
            text = await answer.text()
            here = answer.url
        if answer.status in (302, 303):
            url, method, form = here.join(URL(answer.headers["Location"])), "GET", None
            if url.path == "/login/oidc/callback":
                return str(url)
            continue
        action = re.search(r'action="([^"]+)" method="post"', text)
        assert action, text[:500]
        prompt = "login" if 'value="login"' in text else "consent"
        url, method, form = here.join(URL(action[1])), "POST", {"prompt": prompt, "login": user, "password": "any"}
    raise AssertionError("the flow never came back")


async def me(session: aiohttp.ClientSession) -> dict[str, Any]:
    async with session.get("/api/v1/me") as answer:
        return {"status": answer.status} | await answer.json()


async def test_a_person_signs_in_with_the_role_of_their_group(real: tuple[str, int], tmp_path: Path) -> None:
    issuer, port = real
    app = hospital_app(Hospital(), settings=settings(issuer, tmp_path), clock=SystemClock())
    async with served(app, port) as url, browser(url) as session:
        async with session.get("/login") as answer:
            assert "/login/oidc" in await answer.text()
        back = await to_the_callback(session, "dana")
        async with session.get(back) as answer:
            text = await answer.text()
            assert (answer.status, "0; url=/targets" in text) == (200, True)
        found = await me(session)
        assert (found["identity"], found["name"], found["role"]) == ("user:dana", "dana example", "act")
        async with session.get(back) as answer:  # the same address once more
            assert answer.status == 403
    rows = [(r["who"], r["what"], r["result"]) for r in AuditLog(tmp_path / "audit.jsonl", now=lambda: 0.0).rows()]
    assert rows == [("user:dana", "login oidc", "done"), ("user:dana", "login oidc", "refused")]
    kept = "".join(path.read_text() for path in tmp_path.iterdir())
    assert SECRET not in kept
    assert "code=" not in kept


async def test_who_has_no_role_here_is_told_so(real: tuple[str, int], tmp_path: Path) -> None:
    issuer, port = real
    app = hospital_app(Hospital(), settings=settings(issuer, tmp_path), clock=SystemClock())
    async with served(app, port) as url, browser(url) as session:
        async with session.get(await to_the_callback(session, "kim")) as answer:
            assert answer.status == 403
            assert "no role here" in await answer.text()
        assert (await me(session))["status"] == 401


async def test_another_browser_cannot_use_the_answer(real: tuple[str, int], tmp_path: Path) -> None:
    issuer, port = real
    app = hospital_app(Hospital(), settings=settings(issuer, tmp_path), clock=SystemClock())
    async with served(app, port) as url, browser(url) as dana, browser(url) as other:
        back = await to_the_callback(dana, "dana")
        async with other.get(back) as answer:
            assert answer.status == 403
        async with dana.get("/login/oidc/callback?code=x&state=unknown") as answer:
            assert answer.status == 403


async def test_a_provider_that_is_away_leaves_the_other_way_in(tmp_path: Path) -> None:
    app = hospital_app(Hospital(), settings=settings(f"http://127.0.0.1:{free_port()}", tmp_path), clock=SystemClock())
    async with served(app) as url, browser(url) as session:
        async with session.get("/login/oidc") as answer:
            assert answer.status == 503
            assert "token still works" in await answer.text()
        form = {"name": "Dana Example", "token": TOKEN}
        async with session.post("/login", data=form, allow_redirects=False) as answer:
            assert answer.status == 303


class Liar:
    """A provider whose ID token, keys and userinfo are what a test wants."""

    def __init__(self) -> None:
        self.issuer = ""
        self.key = RSAKey.generate_key(2048, {"kid": "1"}, private=True)
        self.published: Any = self.key
        self.header: dict[str, Any] = {"alg": "RS256", "kid": "1"}
        self.claims: dict[str, Any] = {}
        self.userinfo: dict[str, Any] = {}
        self.token: str | None = None
        self.nonce = ""

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/.well-known/openid-configuration", self.discovery)
        app.router.add_get("/jwks", self.jwks)
        app.router.add_post("/token", self.redeem)
        app.router.add_get("/me", self.me)
        return app

    async def discovery(self, request: web.Request) -> web.Response:
        found = {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/jwks", "userinfo_endpoint": f"{self.issuer}/me"}
        found |= {"authorization_endpoint": f"{self.issuer}/auth", "token_endpoint": f"{self.issuer}/token"}
        return web.json_response(found)

    async def jwks(self, request: web.Request) -> web.Response:
        return web.json_response(KeySet([self.published]).as_dict(private=False))

    async def redeem(self, request: web.Request) -> web.Response:
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": "healthmon", "sub": "id-robin", "nonce": self.nonce, "iat": now}
        claims |= {"exp": now + 60, "preferred_username": "robin", "name": "Robin", "groups": ["it-admin"]}
        claims = {k: v for k, v in (claims | self.claims).items() if v is not None}
        text = self.token or jwt.encode(self.header, claims, self.key, algorithms=["RS256", "HS256", "none"])
        return web.json_response({"id_token": text, "access_token": "x", "token_type": "Bearer"})

    async def me(self, request: web.Request) -> web.Response:
        return web.json_response(self.userinfo)


@asynccontextmanager
async def liar(folder: Path) -> AsyncIterator[tuple[Liar, aiohttp.ClientSession]]:
    made = Liar()
    async with served(made.app()) as made.issuer:
        app = hospital_app(Hospital(), settings=settings(made.issuer, folder), clock=SystemClock())
        async with served(app) as url, browser(url) as session:
            yield made, session


async def came_back(made: Liar, session: aiohttp.ClientSession) -> int:
    async with session.get("/login/oidc", allow_redirects=False) as answer:
        asked = URL(answer.headers["Location"]).query
    assert (asked["code_challenge_method"], asked["response_type"]) == ("S256", "code")
    made.nonce = made.nonce or asked["nonce"]
    async with session.get("/login/oidc/callback", params={"code": "c", "state": asked["state"]}) as answer:
        return answer.status


async def test_an_honest_word_of_it_is_taken(tmp_path: Path) -> None:
    async with liar(tmp_path) as (made, session):
        assert await came_back(made, session) == 200
        assert (await me(session))["role"] == "configure"


async def test_changed_keys_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("healthmon.web.oidc.ASK_AGAIN_S", 0.0)
    async with liar(tmp_path) as (made, session):
        assert await came_back(made, session) == 200
        made.key = made.published = RSAKey.generate_key(2048, {"kid": "2"}, private=True)
        made.header, made.nonce = {"alg": "RS256", "kid": "2"}, ""
        assert await came_back(made, session) == 200


def another_key(made: Liar) -> None:
    made.published = ECKey.generate_key("P-256", {"kid": "1"}, private=True)


def another_rsa_key(made: Liar) -> None:
    made.published = RSAKey.generate_key(2048, {"kid": "1"}, private=True)


def shared_secret(made: Liar) -> None:
    made.key = OctKey.import_key(SECRET)  # type: ignore[assignment]
    made.header = {"alg": "HS256"}


def unsigned(made: Liar) -> None:
    made.token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJpZC1yb2JpbiJ9."


def garbage(made: Liar) -> None:
    made.token = "x.y.z"


def late(made: Liar) -> None:
    made.claims = {"exp": int(time.time()) - 120}


def for_another(made: Liar) -> None:
    made.claims = {"aud": "somebody-else"}


def by_another(made: Liar) -> None:
    made.claims = {"iss": "https://other.example"}


def replayed(made: Liar) -> None:
    made.nonce = "of-another-sign-in"


def for_another_party(made: Liar) -> None:
    made.claims = {"aud": ["healthmon", "x"], "azp": "x"}


def of_nobody(made: Liar) -> None:
    made.claims = {"sub": None}


def two_people(made: Liar) -> None:
    made.claims, made.userinfo = {"groups": None}, {"sub": "id-other", "groups": ["it-admin"]}


LIES = [
    another_key, another_rsa_key, shared_secret, unsigned, garbage, late, for_another, by_another, replayed,
    for_another_party, of_nobody, two_people,
]  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
async def test_a_lie_lets_nobody_in(tmp_path: Path, lie: Any) -> None:
    async with liar(tmp_path) as (made, session):
        lie(made)
        assert await came_back(made, session) == 403
        assert (await me(session))["status"] == 401
        await asyncio.sleep(0)
