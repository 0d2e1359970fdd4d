"""The page of access: tokens without their secrets, who is signed in, what was done; for those who may configure."""

from __future__ import annotations

import re
from pathlib import Path

import aiohttp
import pytest

from daemons.signedin import House, get, house, own, post, sign_in
from daemons.webboard import TOKEN, Hospital, hospital_app, served
from healthmon.runtime.auditlog import AuditLog
from healthmon.web.permissions import Role

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


async def page_of(session: aiohttp.ClientSession) -> tuple[str, str]:
    """The page, and the token that its forms carry."""
    async with session.get("/access") as answer:
        text = await answer.text()
    found = re.search(r'name="form_token" value="([0-9a-f]+)"', text)
    return text, found[1] if found else ""


async def press(session: aiohttp.ClientSession, path: str, **form: str) -> tuple[int, str]:
    """Post a form as the page itself would."""
    async with session.post(path, data=form, headers=own(session), allow_redirects=False) as answer:
        return answer.status, await answer.text()


async def may(session: aiohttp.ClientSession, token: str) -> bool:
    return (await get(session, "incidents", Authorization=f"Bearer {token}"))[0] == 200


async def test_a_token_is_made_shown_once_and_revoked_there(tmp_path: Path) -> None:
    async with house(tmp_path, anonymous="never") as here, here.browser() as dana, here.browser() as tool:
        here.add("dana", Role.CONFIGURE)
        await sign_in(dana, "dana")
        _, form = await page_of(dana)
        asked = {"name": "grafana", "role": "view", "days": "90"}
        assert (await press(dana, "/access/tokens", **asked))[0] == 403, "a form without its token"
        assert [one["name"] for one in (await get(dana, "tokens"))[1]["items"]] == []
        for wrong in ({"role": "god"}, {"days": "4000"}, {"days": "x"}, {"name": ""}, {"name": "x" * 81}):
            assert (await press(dana, "/access/tokens", form_token=form, **asked | wrong))[0] == 400, wrong
        status, shown = await press(dana, "/access/tokens", form_token=form, **asked)
        found = re.search(r"hm_[0-9a-f]{12}_[\w-]+", shown)
        assert status == 200
        assert found
        assert await may(tool, found[0])
        (made,) = (await get(dana, "tokens"))[1]["items"]
        assert (made["role"], made["made_by"], made["state"]) == ("view", "Dana Example", "valid")
        text, form = await page_of(dana)
        assert found[0] not in text
        assert f'action="/access/tokens/{made["id"]}/revoke"' in text
        assert (await press(dana, f"/access/tokens/{made['id']}/revoke", form_token=form))[0] == 303
        assert not await may(tool, found[0])
        assert (await press(dana, "/access/tokens/none/revoke", form_token=form))[0] == 404
        assert done_of(here) == ["access tokens", "access tokens revoke"]
        assert found[0] not in (tmp_path / "audit.jsonl").read_text()


async def test_a_session_is_ended_there_also_ones_own(tmp_path: Path) -> None:
    async with house(tmp_path, anonymous="never") as here, here.browser() as dana, here.browser() as kim:
        for session, user, role in ((dana, "dana", Role.CONFIGURE), (kim, "kim", Role.SILENCE)):
            here.add(user, role)
            await sign_in(session, user)
        listed = {one["user"]: one["id"] for one in (await get(dana, "sessions"))[1]["items"]}
        text, form = await page_of(dana)
        assert ("Sign Kim Example out" in text, "Sign yourself out" in text) == (True, True)
        assert (await press(kim, f"/access/sessions/{listed['dana']}/end", form_token=form))[0] == 403
        assert (await press(dana, f"/access/sessions/{listed['kim']}/end", form_token=form))[0] == 303
        assert (await get(kim, "me"))[0] == 401
        assert (await press(dana, f"/access/sessions/{listed['kim']}/end", form_token=form))[0] == 404
        assert (await press(dana, f"/access/sessions/{listed['dana']}/end", form_token=form))[0] == 303
        assert (await get(dana, "me"))[0] == 401
        assert done_of(here) == ["access sessions end", "access sessions end"]


async def test_who_only_looks_with_a_token_sees_no_buttons(tmp_path: Path) -> None:
    async with house(tmp_path) as here, here.browser() as session:
        site = {"Authorization": f"Bearer {TOKEN}"}
        assert (await post(session, "tokens", {"name": "x", "role": "view", "by": "Desk"}, **site))[0] == 201
        async with session.get("/access", headers=site) as answer:
            text = await answer.text()
        assert "API tokens" in text
        assert 'action="/access' not in text


def done_of(here: House) -> list[str]:
    return [what for _, what, result in here.audit() if what.startswith("access") and result == "done"]
