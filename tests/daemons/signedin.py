"""A hospital's web with a data folder of its own, and people who sign in to it through real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from daemons.webboard import TOKEN, Hospital, hospital_app, served
from healthmon.runtime.auditlog import AuditLog
from healthmon.web import WebSettings
from healthmon.web.accounts import FILE, Account, Accounts
from healthmon.web.permissions import Role

SEVERE = "i-20261122-0003"
WORDS = "three quiet wards"
SITE = {"Authorization": f"Bearer {TOKEN}"}


class House:
    """A hospital with its data folder; everybody of it goes through real sockets."""

    def __init__(self, folder: Path, **more: Any) -> None:
        self.folder, self.hospital = folder, Hospital()
        self.accounts = Accounts(folder / FILE)
        self.settings = WebSettings(token=TOKEN, data_dir=folder, **more)
        self.url = ""

    def add(self, user: str, role: Role | None = Role.ACT, **more: Any) -> None:
        self.accounts.put(Account(user, f"{user.title()} Example", role, **more), password=WORDS, new=True)

    @asynccontextmanager
    async def browser(self) -> AsyncIterator[aiohttp.ClientSession]:
        async with aiohttp.ClientSession(self.url, cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
            yield session

    def audit(self) -> list[tuple[str, str, str]]:
        rows = AuditLog(self.folder / "audit.jsonl", now=lambda: 0.0).rows()
        return [(row["who"], row["what"], row["result"]) for row in rows]


@asynccontextmanager
async def house(folder: Path, **more: Any) -> AsyncIterator[House]:
    made = House(folder, **more)
    async with served(hospital_app(made.hospital, settings=made.settings)) as url:
        made.url = url
        yield made


async def sign_in(session: aiohttp.ClientSession, user: str, password: str = WORDS) -> int:
    form = {"user": user, "password": password, "next": "/"}
    async with session.post("/login", data=form, allow_redirects=False) as answer:
        return answer.status


def own(session: aiohttp.ClientSession) -> dict[str, str]:
    return {"Origin": str(session._base_url_origin), "Sec-Fetch-Site": "same-origin"}


async def post(session: aiohttp.ClientSession, path: str, body: Any, **headers: str) -> tuple[int, Any]:
    async with session.post(f"/api/v1/{path}", json=body, headers=own(session) | headers) as answer:
        return answer.status, await answer.json()


async def get(session: aiohttp.ClientSession, path: str, **headers: str) -> tuple[int, Any]:
    async with session.get(f"/api/v1/{path}", headers=headers) as answer:
        return answer.status, await answer.json()
