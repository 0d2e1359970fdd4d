"""Who may read and act: token, session, this machine, and everybody who must be kept out."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from daemons.webboard import TOKEN, Hospital, hospital_app, served
from healthmon.web import WebSettings

SEVERE = "i-20261122-0003"
NOTE = f"/api/v1/incidents/{SEVERE}/note"


@asynccontextmanager
async def client(hospital: Hospital | None = None, **more: Any) -> AsyncIterator[aiohttp.ClientSession]:
    jar = aiohttp.CookieJar(unsafe=True)
    async with (
        served(hospital_app(hospital or Hospital(), **more)) as url,
        aiohttp.ClientSession(url, cookie_jar=jar) as session,
    ):
        yield session


async def status(session: aiohttp.ClientSession, path: str, **headers: str) -> int:
    async with session.get(path, headers=headers, allow_redirects=False) as answer:
        return answer.status


async def sign_in(session: aiohttp.ClientSession, token: str = TOKEN, **fields: str) -> aiohttp.ClientResponse:
    form = {"name": "Dana Example", "token": token, "next": "/"} | fields
    async with session.post("/login", data=form, allow_redirects=False) as answer:
        await answer.read()
        return answer


async def form_token(session: aiohttp.ClientSession) -> str:
    async with session.get("/") as answer:
        found = re.search(r'name="form_token" value="([0-9a-f]+)"', await answer.text())
    assert found
    return found[1]


@pytest.mark.parametrize("path", ["/api/v1/incidents", "/api/v1/events", "/metrics", "/api/v1/openapi.json"])
@pytest.mark.parametrize(
    "header",
    [
        {"X-Forwarded-For": "127.0.0.1"},
        {"Forwarded": "for=127.0.0.1"},
        {"X-Real-IP": "127.0.0.1"},
        {"Via": "1.1 proxy"},
        {"X-Forwarded-Host": "localhost"},
        {"Host": "rebound.example"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Basic dTpw"},
        {"Authorization": ""},
    ],
)
async def test_reading_from_elsewhere_or_with_a_wrong_token_is_refused(path: str, header: dict[str, str]) -> None:
    async with client() as session:
        assert await status(session, path, **header) == 401


async def test_reading_from_this_machine_needs_nothing_and_can_be_closed() -> None:
    async with client() as session:
        assert await status(session, "/api/v1/incidents") == 200
        assert await status(session, "/") == 200
    async with client(settings=WebSettings(token=TOKEN, anonymous="never")) as session:
        assert await status(session, "/api/v1/incidents") == 401
        assert await status(session, "/api/v1/incidents", Authorization=f"Bearer {TOKEN}") == 200
        assert await status(session, "/api/v1/incidents", Authorization=f"bearer {TOKEN}") == 200


async def test_a_stranger_is_sent_to_sign_in_and_comes_back() -> None:
    async with (
        client() as session,
        session.get("/incident/x?a=1", headers={"X-Forwarded-For": "192.0.2.5"}, allow_redirects=False) as answer,
    ):
        assert answer.status == 303
        assert URL(answer.headers["Location"]).query["next"] == "/incident/x?a=1"


async def test_unknown_paths_tell_a_stranger_nothing() -> None:
    async with client() as session:
        assert await status(session, "/api/v1/nope", Via="x") == 401


async def test_acting_needs_more_than_this_machine() -> None:
    hospital = Hospital()
    async with client(hospital) as session:
        async with session.post(NOTE, json={"by": "x", "text": "y"}) as answer:
            assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, 'Bearer realm="healthmon"')
        async with session.post(f"/incident/{SEVERE}/ack", data={"next": "/"}) as answer:
            assert answer.status == 401
    assert hospital.commands == []


async def test_signing_in_gives_a_cookie_that_scripts_and_other_sites_do_not_get() -> None:
    async with client() as session:
        answer = await sign_in(session, next="/targets")
        assert (answer.status, answer.headers["Location"]) == (303, "/targets")
        cookie = answer.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert "Secure" not in cookie  # plain http on loopback
        assert TOKEN not in cookie


async def test_the_cookie_is_secure_behind_a_trusted_tls_proxy() -> None:
    settings = WebSettings(token=TOKEN, trusted_proxies=("127.0.0.1",))
    async with client(settings=settings) as session:
        headers = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.5", "X-Forwarded-Host": "monitor.example"}
        headers["Origin"] = "https://monitor.example"
        form = {"name": "Dana", "token": TOKEN}
        async with session.post("/login", data=form, headers=headers, allow_redirects=False) as answer:
            assert answer.status == 303
            assert "Secure" in answer.headers["Set-Cookie"]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"token": "wrong"}, 403),
        ({"token": ""}, 403),
        ({"name": " "}, 400),
        ({"name": "x" * 81}, 400),
    ],
)
async def test_a_wrong_sign_in_gives_no_cookie(fields: dict[str, str], code: int) -> None:
    async with client() as session:
        answer = await sign_in(session, **fields)
        assert (answer.status, "Set-Cookie" in answer.headers) == (code, False)


async def test_guessing_is_slowed_down_even_for_the_right_token() -> None:
    async with client() as session:
        for _ in range(10):
            assert (await sign_in(session, token="guess")).status == 403
        assert (await sign_in(session)).status == 429


async def test_a_redirect_after_sign_in_never_leaves_the_site() -> None:
    async with client() as session:
        assert (await sign_in(session, next="//evil.example/")).headers["Location"] == "/"


async def test_a_session_acts_through_forms_and_the_api() -> None:
    hospital = Hospital()
    async with client(hospital) as session:
        await sign_in(session)
        form = {"form_token": await form_token(session), "next": f"/incident/{SEVERE}"}
        async with session.post(f"/incident/{SEVERE}/ack", data=form, allow_redirects=False, headers=own(session)) as a:
            assert (a.status, a.headers["Location"]) == (303, f"/incident/{SEVERE}")
        async with session.post(NOTE, json={"text": "by api"}, headers=own(session)) as answer:
            assert answer.status == 200
    assert [(c.action, c.by) for c in hospital.commands] == [("ack", "Dana Example"), ("note", "Dana Example")]


def own(session: aiohttp.ClientSession) -> dict[str, str]:
    return {"Origin": str(session._base_url_origin), "Sec-Fetch-Site": "same-origin"}


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
    ],
)
async def test_another_sites_page_cannot_use_the_session(header: dict[str, str]) -> None:
    hospital = Hospital()
    async with client(hospital) as session:
        await sign_in(session)
        form = {"form_token": await form_token(session)}
        async with session.post(f"/incident/{SEVERE}/ack", data=form, headers=header) as answer:
            assert answer.status == 403
        async with session.post(NOTE, json={"text": "x"}, headers=header) as answer:
            assert answer.status == 403
    assert hospital.commands == []


async def test_a_form_without_its_token_does_nothing() -> None:
    hospital = Hospital()
    async with client(hospital) as session:
        await sign_in(session)
        for form in ({}, {"form_token": "0" * 64}, {"form_token": "é"}):
            async with session.post(f"/incident/{SEVERE}/ack", data=form, headers=own(session)) as answer:
                assert answer.status == 403
    assert hospital.commands == []


async def test_signing_out_ends_the_session_on_the_server() -> None:
    async with client(settings=WebSettings(token=TOKEN, anonymous="never")) as session:
        cookie = (await sign_in(session)).headers["Set-Cookie"].partition(";")[0]
        assert await status(session, "/api/v1/incidents") == 200
        form = {"form_token": await form_token(session)}
        async with session.post("/logout", data=form, headers=own(session), allow_redirects=False) as answer:
            assert answer.status == 303
        session.cookie_jar.clear()
        assert await status(session, "/api/v1/incidents", Cookie=cookie) == 401


async def test_every_answer_carries_the_security_headers() -> None:
    async with client() as session:
        for path in ("/", "/login", "/api/v1/health", "/api/v1/nope", "/metrics", "/ack/none"):
            async with session.get(path) as answer:
                policy = answer.headers["Content-Security-Policy"]
                assert "script-src 'self'" in policy
                assert "unsafe" not in policy
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                assert answer.headers["X-Frame-Options"] == "DENY"
                assert answer.headers["Cache-Control"] == "no-store"
                assert "Server" not in answer.headers


async def test_static_files_are_cached_by_content_and_only_they_are_served() -> None:
    async with client(settings=WebSettings(token=TOKEN, anonymous="never")) as session:
        async with session.get("/login") as answer:
            url = re.search(r"/static/board\.css\?v=\w+", await answer.text())
        assert url
        async with session.get(url[0]) as answer:
            assert (answer.status, answer.content_type) == (200, "text/css")
            assert "immutable" in answer.headers["Cache-Control"]
        for path in ("/static/none.css", "/static/..%2fapp.py", "/static/%2e%2e/app.py", "/static/"):
            assert await status(session, path) in (303, 401, 404)


async def unnamed(request: web.Request) -> web.Response:
    return web.Response(text="whoever added this named nobody who may read it")


async def test_a_route_that_the_table_does_not_name_is_refused_to_all() -> None:
    app = hospital_app(Hospital())
    app.router.add_get("/api/v1/new", unnamed)
    app.router.add_post("/new/{id}", unnamed)
    async with served(app) as url, aiohttp.ClientSession(url) as session:
        right = {"Authorization": f"Bearer {TOKEN}"}
        for headers in ({}, right):
            assert await status(session, "/api/v1/new", **headers) == 403
            async with session.post("/new/1", headers=headers) as answer:
                assert answer.status == 403
