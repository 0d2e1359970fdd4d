"""The page of access: tokens without their secrets, who is signed in, what was done; for those who may configure."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from daemons.webboard import TOKEN, Hospital, hospital_app, served
from healthmon.runtime.auditlog import AuditLog

pytestmark = pytest.mark.wire


async def test_it_shows_what_there_is_and_only_to_who_may_configure(tmp_path: Path) -> None:
    hospital = Hospital()
    log = AuditLog(tmp_path / "audit.jsonl", now=lambda: 1_795_300_000.0)
    jar = aiohttp.CookieJar(unsafe=True)
    async with (
        served(hospital_app(hospital, audit=log)) as url,
        aiohttp.ClientSession(url, cookie_jar=jar) as browser,
        aiohttp.ClientSession(url) as reader,
    ):
        made = []
        for role in ("view", "configure"):
            header = {"Authorization": f"Bearer {TOKEN}"}
            body = {"name": f"for {role}", "role": role, "by": "Dana Example"}
            async with reader.post("/api/v1/tokens", json=body, headers=header) as answer:
                assert answer.status == 201, await answer.text()
                made.append((await answer.json())["token"])
        codes = []
        for token in made:
            async with reader.get("/access", headers={"Authorization": f"Bearer {token}"}) as answer:
                codes.append(answer.status)
        assert codes == [403, 200]
        form = {"name": "Dana Example", "token": TOKEN, "next": "/access"}
        async with browser.post("/login", data=form) as answer:
            page = await answer.text()
        assert answer.url.path == "/access"
        seen = ("for view", "for configure", "valid", "Dana Example", "127.0.0.1", "token", "refused", "Access</a>")
        for there in seen:
            assert there in page, there
        assert not [one for one in (*made, TOKEN) if one in page]
