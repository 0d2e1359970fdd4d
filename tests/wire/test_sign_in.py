"""People with roles of their own over HTTP: passwords, API tokens, a trusted proxy, sessions, the audit."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from daemons.signedin import SEVERE, SITE, House, get, house, own, post, sign_in
from daemons.webboard import TOKEN, hospital_app, served
from healthmon.runtime.auditlog import verify
from healthmon.runtime.clock import ManualClock
from healthmon.web.permissions import Role
from healthmon.web.settings import Proxy, SignIn

SILENCE = {"match": {"target": "label-w7"}, "owner": "Net", "reason": "work", "ends_at": "2026-11-22T16:00:00Z"}


async def test_a_user_acts_under_the_name_of_the_login_and_within_the_role(tmp_path: Path) -> None:
    async with house(tmp_path) as here, here.browser() as dana:
        here.add("dana", Role.ACT)
        assert await sign_in(dana, "dana") == 303
        status, me = await get(dana, "me")
        assert (status, me["identity"], me["role"]) == (200, "user:dana", "act")
        assert (await post(dana, f"incidents/{SEVERE}/ack", {}))[0] == 200
        assert (await post(dana, f"incidents/{SEVERE}/note", {"text": "on it", "by": "Dana Example"}))[0] == 200
        status, refused = await post(dana, f"incidents/{SEVERE}/note", {"text": "x", "by": "Kim Example"})
        assert (status, refused["type"]) == (403, "urn:healthmon:problem:not-you")
        status, refused = await post(dana, "silences", SILENCE)
        assert (status, refused["detail"]) == (403, "this needs the role silence; yours is act")
        assert (await post(dana, "reload", {}))[0] == 403
        assert (await get(dana, "audit"))[0] == 403
        assert [(c.action, c.by) for c in here.hospital.commands] == [("ack", "Dana Example"), ("note", "Dana Example")]
        assert here.audit() == [
            ("user:dana", "login", "done"),
            ("user:dana", "incidents ack", "done"),
            ("user:dana", "incidents note", "done"),
            ("user:dana", "incidents note", "refused"),
            ("user:dana", "silences", "refused"),
            ("user:dana", "reload", "refused"),
            ("user:dana", "read audit", "refused"),
        ]


async def test_a_user_who_is_taken_out_is_out_at_the_next_request(tmp_path: Path) -> None:
    async with house(tmp_path, anonymous="never") as here, here.browser() as dana:
        here.add("dana")
        assert await sign_in(dana, "dana") == 303
        assert (await get(dana, "incidents"))[0] == 200
        here.accounts.put(replace(here.accounts.get("dana"), disabled=True))
        assert (await get(dana, "incidents"))[0] == 401
        assert await sign_in(dana, "dana") == 403


async def test_a_wrong_password_and_an_unknown_user_look_the_same(tmp_path: Path) -> None:
    async with house(tmp_path) as here, here.browser() as dana:
        here.add("dana")
        seen = set()
        for user in ("dana", "a-password-typed-in-the-wrong-field"):
            async with dana.post("/login", data={"user": user, "password": "wrong wrong wrong"}) as answer:
                seen.add((answer.status, await answer.text()))
        assert len(seen) == 1
        assert "Set-Cookie" not in answer.headers
        assert here.audit() == [("anonymous", "login", "refused")] * 2
        assert "wrong-field" not in (tmp_path / "audit.jsonl").read_text()


async def test_guessing_shuts_out_no_one_elsewhere_and_no_token(tmp_path: Path) -> None:
    settings = {"trusted_proxies": ("127.0.0.1",)}
    async with house(tmp_path, **settings) as here, here.browser() as session:
        here.add("dana")
        for _ in range(11):
            form = {"user": "dana", "password": "guess guess guess"}
            async with session.post("/login", data=form, headers={"X-Forwarded-For": "192.0.2.66"}) as answer:
                status = answer.status
        assert status == 429
        assert (await get(session, "me", **SITE))[0] == 200
        assert await sign_in(session, "dana") == 303


async def test_someone_without_a_role_is_told_so(tmp_path: Path) -> None:
    async with house(tmp_path) as here, here.browser() as dana:
        here.add("dana", None, groups=("porters",))
        assert await sign_in(dana, "dana") == 403
    async with house(tmp_path, sign_in=SignIn(groups={"porters": Role.VIEW})) as here, here.browser() as dana:
        assert await sign_in(dana, "dana") == 303
        assert (await get(dana, "me"))[1]["role"] == "view"


async def test_whoever_configures_ends_a_session(tmp_path: Path) -> None:
    async with house(tmp_path, anonymous="never") as here, here.browser() as dana, here.browser() as kim:
        here.add("dana", Role.VIEW)
        here.add("kim", Role.CONFIGURE)
        assert [await sign_in(dana, "dana"), await sign_in(kim, "kim")] == [303, 303]
        rows = (await get(kim, "sessions"))[1]["items"]
        assert {row["user"] for row in rows} == {"dana", "kim"}
        found = next(row["id"] for row in rows if row["user"] == "dana")
        assert (await post(kim, f"sessions/{found}/end", {}))[0] == 200
        assert (await get(dana, "incidents"))[0] == 401
        assert (await get(kim, "incidents"))[0] == 200


async def test_a_session_that_nobody_uses_ends_and_a_page_that_refreshes_itself_does_not_keep_it(
    tmp_path: Path,
) -> None:
    clock = ManualClock()
    house_ = House(tmp_path, anonymous="never", sign_in=SignIn(idle_s=600.0))
    async with served(hospital_app(house_.hospital, settings=house_.settings, clock=clock)) as url:
        house_.url = url
        async with house_.browser() as dana:
            house_.add("dana")
            assert await sign_in(dana, "dana") == 303
            for path, alive in (("/", True), ("/?part=live", True), ("/?part=live", False)):
                await clock.advance(400)
                async with dana.get(path, allow_redirects=False) as answer:
                    assert (answer.status == 200) is alive, path


async def test_an_api_token_has_a_role_and_an_end(tmp_path: Path) -> None:
    async with house(tmp_path) as here, here.browser() as session:
        body = {"name": "grafana", "role": "view", "days": 30, "by": "Duty engineer"}
        status, made = await post(session, "tokens", body, **SITE)
        assert (status, made["state"]) == (201, "valid")
        bearer = {"Authorization": f"Bearer {made['token']}"}
        assert (await get(session, "me", **bearer))[1]["identity"] == f"token:{made['id']}"
        assert (await post(session, f"incidents/{SEVERE}/ack", {"by": "x"}, **bearer))[0] == 403
        listed = (await get(session, "tokens", **SITE))[1]["items"]
        assert [(one["id"], "token" in one) for one in listed] == [(made["id"], False)]
        assert (await post(session, f"tokens/{made['id']}/revoke", {}, **SITE))[0] == 200
        assert (await get(session, "me", **bearer))[0] == 401
        for wrong in ({"name": "x", "role": "root"}, {"name": "x", "role": "view", "days": 0}, {"role": "view"}):
            assert (await post(session, "tokens", wrong, **SITE))[0] == 400


PROXY = SignIn(proxy=Proxy("X-Remote-User"), groups={"it": Role.ACT})
NAMED = {"X-Remote-User": "dana", "X-Remote-Name": "Dana Example", "X-Remote-Groups": "porters, it"}


async def test_a_trusted_proxy_says_who_it_is_and_nobody_else_does(tmp_path: Path) -> None:
    async with house(tmp_path, sign_in=PROXY, trusted_proxies=("127.0.0.1",)) as here, here.browser() as session:
        _, me = await get(session, "me", **NAMED)
        assert (me["identity"], me["name"], me["role"]) == ("user:dana", "Dana Example", "act")
        assert (await post(session, f"incidents/{SEVERE}/ack", {}, **NAMED))[0] == 200
        async with session.get("/", headers=NAMED) as answer:
            token = re.search(r'name="form_token" value="([0-9a-f]+)"', await answer.text())
        assert token
        form = {"form_token": token[1], "next": "/", "text": "from a form"}
        path = f"/incident/{SEVERE}/note"
        async with session.post(path, data=form, headers=NAMED | own(session), allow_redirects=False) as answer:
            assert answer.status == 303
        async with session.post(path, data=form, headers=NAMED | {"Sec-Fetch-Site": "cross-site"}) as answer:
            assert answer.status == 403
        other = NAMED | {"X-Remote-User": "kim"}
        async with session.post(path, data=form, headers=other | own(session)) as answer:
            assert answer.status == 403
        assert (await get(session, "me", **(NAMED | {"X-Remote-Groups": "porters"})))[0] == 403
    async with house(tmp_path, sign_in=PROXY, trusted_proxies=("192.0.2.1",)) as here, here.browser() as session:
        status, refused = await get(session, "me", **NAMED)
        assert (status, refused["type"]) == (401, "urn:healthmon:problem:not-a-proxy")
        assert here.audit()[-1] == ("anonymous", "read me", "refused")


async def test_the_audit_can_be_read_and_checked_by_whoever_configures(tmp_path: Path) -> None:
    async with house(tmp_path) as here, here.browser() as session:
        for text in ("one", "two", "three"):
            await post(session, f"incidents/{SEVERE}/note", {"by": "Duty engineer", "text": text}, **SITE)
        status, page = await get(session, "audit?limit=2", **SITE)
        assert (status, [row["seq"] for row in page["items"]]) == (200, [3, 2])
        assert page["items"][0]["by"] == "Duty engineer"
        assert [row["seq"] for row in (await get(session, f"audit?cursor={page['next']}", **SITE))[1]["items"]] == [1]
        _, checked = await get(session, "audit/check", **SITE)
        assert (checked["whole"], checked["entries"]) == (True, 3)
        path = tmp_path / "audit.jsonl"
        path.write_text(path.read_text().replace("Duty engineer", "Somebody else", 1))
        _, checked = await get(session, "audit/check", **SITE)
        assert (checked["whole"], len(checked["problems"])) == (False, 1)


async def test_a_scanner_does_not_fill_the_disk(tmp_path: Path) -> None:
    async with house(tmp_path, anonymous="never") as here, here.browser() as session:
        for _ in range(100):
            assert (await get(session, "incidents"))[0] == 401
        assert verify(tmp_path / "audit.jsonl").entries == 60


@pytest.mark.parametrize("broken", ["users.json", "tokens.json"])
async def test_a_file_that_cannot_be_read_is_said_and_the_sites_token_still_works(tmp_path: Path, broken: str) -> None:
    (tmp_path / broken).write_text("{")
    async with house(tmp_path) as here, here.browser() as session:
        assert (await get(session, "me", **SITE))[0] == 200
        status, said = await get(session, broken.removesuffix(".json"), **SITE)
        assert (status, said["type"]) == (503, "urn:healthmon:problem:files-down")
        assert "{" not in said["detail"]
        async with session.get("/login") as answer:
            assert answer.status == 200
        form = {"name": "Dana Example", "token": TOKEN, "next": "/"}
        async with session.post("/login", data=form, allow_redirects=False) as answer:
            assert answer.status == 303
