"""The permission matrix: every route of the table against every kind of caller, over HTTP through the real door.

The handlers are replaced by one that answers 299, so that the door alone decides and nothing is done behind it.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from daemons.webboard import TOKEN, Hospital, hospital_app, served
from healthmon.web import WebSettings
from healthmon.web.access import SAFE
from healthmon.web.people import COOKIE
from healthmon.web.permissions import LADDER, TABLE, Role
from healthmon.web.session import Identity
from healthmon.web.settings import WEB, Demand, Found, SignIn

WARD = "198.51.100.7"
AFAR = "192.0.2.9"
OPEN = {Role.PUBLIC, Role.CARRIED}
VIEW, ACT, SILENCE = {Role.VIEW}, {Role.VIEW, Role.ACT}, {Role.VIEW, Role.ACT, Role.SILENCE}
#: Who may pass which kind of route, said once more and apart from the code; reading and acting.
MAY: dict[str, tuple[set[Role], set[Role]]] = {
    "a stranger from afar": (OPEN, OPEN),
    "a ward": (OPEN | {Role.WARD}, OPEN | {Role.WARD}),
    "this machine": (OPEN | {Role.WARD} | VIEW, OPEN | {Role.WARD}),
    "a session that may view": (OPEN | {Role.WARD} | VIEW,) * 2,
    "a session that may act": (OPEN | {Role.WARD} | ACT,) * 2,
    "a session that may silence": (OPEN | {Role.WARD} | SILENCE,) * 2,
    "a session that may configure": (set(Role),) * 2,
    "a session without a role": (OPEN, OPEN),
    "a token that may view": (OPEN | {Role.WARD} | VIEW,) * 2,
    "a token that may act": (OPEN | {Role.WARD} | ACT,) * 2,
    "a token that may silence": (OPEN | {Role.WARD} | SILENCE,) * 2,
    "a token that may configure": (set(Role),) * 2,
    "the site's token": (set(Role),) * 2,
    "a wrong token": (OPEN, OPEN),
    "a session from another site's page": (OPEN | {Role.WARD} | SILENCE, OPEN),
}


async def look(demand: Demand) -> Found:
    raise AssertionError("the door alone is asked")


async def reached(request: web.Request) -> web.Response:
    return web.Response(status=299)


class Door:
    """The application with nothing behind the door, and the headers of every caller."""

    def __init__(self, folder: Path) -> None:
        people = {f"u-{role}": role for role in LADDER}
        settings = WebSettings(
            token=TOKEN,
            data_dir=folder,
            ward_networks=("198.51.100.0/24",),
            trusted_proxies=("127.0.0.1",),
            sign_in=SignIn(people=people),
        )
        self.app = hospital_app(Hospital(), settings=settings, prober=look)
        for route in self.app.router.routes():
            route._handler = reached  # aiohttp has no public way
        self.url = ""

    def headers(self, caller: str) -> dict[str, str]:
        site = self.app[WEB]
        role = caller.rpartition(" ")[2]
        afar = {"X-Forwarded-For": AFAR}
        own = {"Sec-Fetch-Site": "same-origin"}
        match caller:
            case "a stranger from afar":
                return afar
            case "a ward":
                return {"X-Forwarded-For": WARD}
            case "this machine":
                return {}
            case "the site's token":
                return afar | {"Authorization": f"Bearer {TOKEN}"}
            case "a wrong token":
                return {"Authorization": "Bearer hm_0123456789ab_wrong"}
            case "a session from another site's page":
                cookie = site.sessions.issue(Identity("Dana", "oidc", "u-silence"))
                return afar | {"Sec-Fetch-Site": "cross-site", "Cookie": f"{COOKIE}={cookie}"}
            case "a session without a role":
                return afar | own | {"Cookie": f"{COOKIE}={site.sessions.issue(Identity('Kim', 'oidc', 'kim'))}"}
            case _ if caller.startswith("a session"):
                cookie = site.sessions.issue(Identity("Dana", "oidc", f"u-{role}"))
                return afar | own | {"Cookie": f"{COOKIE}={cookie}"}
        _, text = site.tokens.make("tool", Role(role), by="Dana", expires_at=None)
        return afar | {"Authorization": f"Bearer {text}"}


@asynccontextmanager
async def door(folder: Path) -> AsyncIterator[Door]:
    made = Door(folder)
    async with served(made.app) as made.url:
        yield made


async def passes(session: aiohttp.ClientSession, row: str, headers: dict[str, str]) -> bool:
    """Whether the door lets it through; a refusal has to be one of the door's own."""
    method, path = row.split(" ", 1)
    path = re.sub(r"\{\w+\}", "x", path)
    async with session.request(method, path, headers=headers, allow_redirects=False) as answer:
        text = await answer.text()
    if answer.status == 299:
        return True
    if answer.status == 303:
        assert answer.headers["Location"].startswith("/login?next="), row
    else:
        assert answer.status in (401, 403), f"{row}: {answer.status} {text}"
        if path.startswith("/api/"):
            slug = json.loads(text)["type"].rpartition(":")[2]
            assert slug in ("not-signed-in", "not-allowed", "cross-site"), f"{row}: {slug}"
    return False


@pytest.mark.parametrize("caller", MAY)
async def test_every_route_lets_in_whom_the_table_says_and_nobody_else(tmp_path: Path, caller: str) -> None:
    async with door(tmp_path) as here, aiohttp.ClientSession(here.url) as session:
        headers = here.headers(caller)
        reading, acting = MAY[caller]
        wrong = []
        for row, role in TABLE.items():
            safe = row.split(" ", 1)[0] in SAFE
            expected = role in (reading if safe else acting)
            if await passes(session, row, headers) is not expected:
                wrong.append(f"{row} (asks for {role}) {'refuses' if expected else 'lets in'} {caller}")
        assert not wrong, "\n".join(wrong)


async def test_head_is_as_get(tmp_path: Path) -> None:
    async with door(tmp_path) as here, aiohttp.ClientSession(here.url) as session:
        for path in ("/", "/api/v1/incidents", "/api/v1/audit"):
            afar = here.headers("a stranger from afar")
            async with session.head(path, headers=afar, allow_redirects=False) as answer:
                assert answer.status in (303, 401)
            await asyncio.sleep(0)


async def test_every_kind_of_route_is_met_by_somebody_who_may_and_somebody_who_may_not() -> None:
    """Otherwise a row of the matrix could not fail."""
    for role in {*TABLE.values()} - OPEN:
        assert any(role in may for pair in MAY.values() for may in pair)
        assert any(role not in may for pair in MAY.values() for may in pair)
