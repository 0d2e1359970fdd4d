"""Web applications written for these tests with aiohttp: a record system with a login form, an identity provider
with an application behind it, a FHIR server, and a token service. They are ours; real ones differ in detail."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ssl import SSLContext
from typing import Any
from urllib.parse import quote

import pytest

web = pytest.importorskip("aiohttp.web", reason="the test applications run on aiohttp (server extra)")

USER, PASSWORD = "zz-monitor", "open sesame & co"
_FORM = (
    '<html><meta name="csrf-token" content="m"><form action="/session" method="post">'
    '<input type="hidden" name="csrf" value="{csrf}"/><input name="username"><input type="password" name="password">'
    "</form></html>"
)


@asynccontextmanager
async def serving_app(app: Any, host: str = "127.0.0.1", tls: SSLContext | None = None) -> AsyncIterator[str]:
    """The application on loopback; gives its URL."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, 0, ssl_context=tls).start()
        shown = f"[{host}]" if ":" in host else host
        yield f"{'http' if tls is None else 'https'}://{shown}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@dataclass
class Records:
    """The record system: CSRF token in the form, session in a cookie. `break_at` makes one path answer 503 or hang."""

    sessions: set[str] = field(default_factory=set)
    tokens: set[str] = field(default_factory=set)
    requests: list[tuple[str, str]] = field(default_factory=list)
    logins: int = 0
    refused: int = 0
    break_at: str = ""
    how: Callable[[], Any] | None = None

    def app(self) -> Any:
        app = web.Application(middlewares=[self._watch])
        app.add_routes(
            [
                web.get("/login", self._form),
                web.post("/session", self._login),
                web.get("/home", self._home),
                web.get("/search", self._search),
                web.get("/record/{id}", self._record),
                web.get("/logout", self._logout),
            ]
        )
        return app

    @web.middleware
    async def _watch(self, request: Any, handler: Any) -> Any:
        self.requests.append((request.method, request.path_qs))
        if self.break_at and request.path.startswith(self.break_at):
            return web.Response(status=503) if self.how is None else await self.how()
        return await handler(request)

    def _known(self, request: Any) -> bool:
        return request.cookies.get("sid") in self.sessions

    async def _form(self, request: Any) -> Any:
        token = secrets.token_hex(8)
        self.tokens.add(token)
        answer = web.Response(text=_FORM.format(csrf=token), content_type="text/html")
        answer.set_cookie("visit", "1", path="/")
        return answer

    async def _login(self, request: Any) -> Any:
        form = await request.post()
        if form.get("csrf") not in self.tokens or "visit" not in request.cookies:
            return web.Response(status=400, text="no token")
        self.logins += 1
        if (form.get("username"), form.get("password")) != (USER, PASSWORD):
            self.refused += 1
            return await self._form(request)  # as most applications do: 200 and the form once more
        sid = secrets.token_hex(8)
        self.sessions.add(sid)
        answer: Any = web.Response(status=302, headers={"Location": "/home"})
        answer.set_cookie("sid", sid, path="/", httponly=True)
        return answer

    async def _home(self, request: Any) -> Any:
        return web.Response(text="welcome" if self._known(request) else _FORM, content_type="text/html")

    async def _search(self, request: Any) -> Any:
        if not self._known(request):
            raise web.HTTPFound("/login")
        hits = '<a href="/record/zz-test-7?a=1&amp;b=2">zz-test</a>' if request.query.get("q") == "zz-test" else "none"
        return web.Response(text=f"<html>{hits}</html>", content_type="text/html")

    async def _record(self, request: Any) -> Any:
        if not self._known(request) or request.query_string != "a=1&b=2":
            raise web.HTTPFound("/login")
        return web.Response(text="record of zz-test, born 1 January 1901", content_type="text/html")

    async def _logout(self, request: Any) -> Any:
        self.sessions.discard(request.cookies.get("sid", ""))
        answer = web.Response(text="goodbye")
        answer.del_cookie("sid", path="/")
        return answer


@dataclass
class Provider:
    """An OpenID provider: an authorisation code after a login form, by redirect or by a form that posts itself."""

    form_post: bool = False
    codes: set[str] = field(default_factory=set)
    posted: list[str] = field(default_factory=list)

    def app(self) -> Any:
        app = web.Application()
        app.add_routes([web.get("/authorize", self._authorize), web.post("/session", self._login)])
        return app

    async def _authorize(self, request: Any) -> Any:
        query = request.query
        assert query["response_type"] == "code"
        answer = web.Response(text=_FORM.format(csrf=query["state"]), content_type="text/html")
        answer.set_cookie("back", quote(query["redirect_uri"], safe=""))
        return answer

    async def _login(self, request: Any) -> Any:
        form = await request.post()
        self.posted.append(form.get("password", ""))
        if (form.get("username"), form.get("password")) != (USER, PASSWORD):
            return web.Response(status=401, text="who?")
        code, state = secrets.token_hex(8), form["csrf"]
        self.codes.add(code)
        from urllib.parse import unquote

        back = unquote(request.cookies["back"])
        if not self.form_post:
            raise web.HTTPFound(f"{back}?code={code}&state={state}")
        page = (
            f'<form method="post" action="{back}"><input type="hidden" name="code" value="{code}">'
            f'<input type="hidden" name="state" value="{state}"></form>'
        )
        return web.Response(text=page, content_type="text/html")


@dataclass
class Application:
    """The application behind a provider. `provider_url` is set once the provider listens."""

    provider: Provider
    provider_url: str = ""
    states: set[str] = field(default_factory=set)
    sessions: set[str] = field(default_factory=set)

    def app(self) -> Any:
        app = web.Application()
        app.add_routes(
            [
                web.get("/", self._home),
                web.get("/callback", self._back),
                web.post("/callback", self._back),
                web.get("/logout", self._logout),
            ]
        )
        return app

    async def _home(self, request: Any) -> Any:
        if request.cookies.get("app_sid") in self.sessions:
            return web.Response(text="signed in as the test account", content_type="text/html")
        state = secrets.token_hex(8)
        self.states.add(state)
        back = quote(f"{request.scheme}://{request.host}/callback", safe="")
        raise web.HTTPFound(f"{self.provider_url}/authorize?response_type=code&state={state}&redirect_uri={back}")

    async def _back(self, request: Any) -> Any:
        given = await request.post() if request.method == "POST" else request.query
        if given.get("state") not in self.states or given.get("code") not in self.provider.codes:
            return web.Response(status=400)
        sid = secrets.token_hex(8)
        self.sessions.add(sid)
        answer: Any = web.Response(status=303, headers={"Location": "/"})
        answer.set_cookie("app_sid", sid)
        return answer

    async def _logout(self, request: Any) -> Any:
        self.sessions.discard(request.cookies.get("app_sid", ""))
        raise web.HTTPNoContent


@dataclass
class Fhir:
    """FHIR R4 as far as the journey goes: capability, search by identifier, read. `token` makes it ask for one."""

    patients: int = 1
    token: str | None = None
    methods: list[str] = field(default_factory=list)

    def app(self) -> Any:
        app = web.Application(middlewares=[self._watch])
        app.add_routes(
            [
                web.get("/fhir/metadata", self._metadata),
                web.get("/fhir/Patient", self._search),
                web.get("/fhir/Patient/{id}", self._read),
            ]
        )
        return app

    @web.middleware
    async def _watch(self, request: Any, handler: Any) -> Any:
        self.methods.append(request.method)
        if self.token is not None and request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.Response(status=401)
        return await handler(request)

    async def _metadata(self, request: Any) -> Any:
        rest = [{"mode": "server", "resource": [{"type": "Observation"}, {"type": "Patient"}]}]
        return _fhir({"resourceType": "CapabilityStatement", "status": "active", "rest": rest})

    def _patient(self, number: int) -> dict[str, Any]:
        identifier = [{"system": "urn:other", "value": "x"}, {"system": "urn:test", "value": "healthmon-test"}]
        return {"resourceType": "Patient", "id": f"p{number}", "identifier": identifier}

    async def _search(self, request: Any) -> Any:
        found = range(self.patients) if request.query.get("identifier") == "healthmon-test" else ()
        entries = [{"resource": self._patient(number)} for number in found]
        return _fhir({"resourceType": "Bundle", "type": "searchset", "total": len(entries), "entry": entries})

    async def _read(self, request: Any) -> Any:
        return _fhir(self._patient(int(request.match_info["id"][1:])))


def _fhir(document: dict[str, Any]) -> Any:
    return web.json_response(document, content_type="application/fhir+json")


@dataclass
class TokenService:
    """OAuth 2.0 client credentials; counts what it is asked."""

    client: str = "healthmon"
    secret: str = "s3cret/+"
    token: str = "t0ken"
    life_s: int = 300
    asked: list[dict[str, str]] = field(default_factory=list)

    def app(self) -> Any:
        app = web.Application()
        app.add_routes([web.post("/token", self._issue), web.get("/api", self._api), web.get("/moved", self._moved)])
        return app

    async def _issue(self, request: Any) -> Any:
        import aiohttp

        form = {key: str(value) for key, value in (await request.post()).items()}
        self.asked.append(form)
        given = (form.get("client_id"), form.get("client_secret"))
        if "Authorization" in request.headers:
            from urllib.parse import unquote

            basic = aiohttp.BasicAuth.decode(request.headers["Authorization"])
            given = (unquote(basic.login), unquote(basic.password))
        if given != (self.client, self.secret):
            return web.json_response({"error": "invalid_client"}, status=401)
        return web.json_response({"access_token": self.token, "token_type": "Bearer", "expires_in": self.life_s})

    async def _api(self, request: Any) -> Any:
        good = request.headers.get("Authorization") == f"Bearer {self.token}"
        return web.Response(text="in", status=200 if good else 401)

    async def _moved(self, request: Any) -> Any:
        raise web.HTTPFound(request.query["to"])
