"""Silences and changes over a real socket: preview first, make once, end for good; the page needs no JavaScript."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from daemons.webboard import NOW, TOKEN, Hospital, hospital_app, served
from healthmon.model.mute import Change

BEARER = {"Authorization": f"Bearer {TOKEN}"}
BODY = {
    "match": {"target": "sw-*"},
    "owner": "network",
    "reason": "new modules",
    "ends_at": "2026-11-22T16:00:00Z",
    "by": "Duty engineer",
}
CHANGE = {
    "title": "New firmware",
    "targets": ["sw-core"],
    "starts_at": "2026-11-22T14:00:00Z",
    "ends_at": "2026-11-22T15:00:00Z",
    "expected": ["down"],
    "by": "Duty engineer",
}


@asynccontextmanager
async def client(hospital: Hospital | None = None) -> AsyncIterator[aiohttp.ClientSession]:
    async with served(hospital_app(hospital or Hospital())) as url, aiohttp.ClientSession(url) as session:
        yield session


async def post(session: aiohttp.ClientSession, path: str, body: Any, **headers: str) -> tuple[int, Any]:
    async with session.post(f"/api/v1/{path}", json=body, headers=BEARER | headers) as answer:
        return answer.status, await answer.json(content_type=None)


async def get(session: aiohttp.ClientSession, path: str) -> Any:
    async with session.get(f"/api/v1/{path}") as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def test_a_preview_makes_nothing_and_names_whom_it_leaves_alone() -> None:
    async with client() as session:
        status, body = await post(session, "silences?preview=true", BODY)
        assert (await get(session, "silences"))["items"] == []
    assert status == 200
    seen = body["preview"]
    assert "sw-core" in seen["targets"]
    assert {"area": "ward-7", "service": "ehr"} in seen["uncovered"]
    assert {"area": "ed", "service": "ehr"} in seen["pages_all_the_same"]


async def test_a_silence_is_made_once_listed_shown_and_ended_for_good() -> None:
    async with client() as session:
        status, made = await post(session, "silences", BODY, **{"Idempotency-Key": "k1"})
        assert status == 201
        assert (await post(session, "silences", BODY, **{"Idempotency-Key": "k1"}))[1] == made
        (listed,) = (await get(session, "silences?state=active"))["items"]
        assert (listed["id"], listed["owner"], listed["timezone"]) == (made["id"], "network", "Europe/London")
        status, _ = await post(session, f"silences/{made['id']}/extend", {"ends_at": "2026-11-22T17:00:00Z", "by": "x"})
        assert status == 200
        status, ended = await post(session, f"silences/{made['id']}/end", {"by": "Duty manager"})
        assert (status, ended["state"], ended["ended_by"]) == (200, "ended", "Duty manager")
        for action, more in (("end", {}), ("extend", {"ends_at": "2026-11-22T18:00:00Z"})):
            status, problem = await post(session, f"silences/{made['id']}/{action}", {"by": "x", **more})
            assert (status, problem["type"]) == (409, "urn:healthmon:problem:conflict")
        shown = await get(session, f"silences/{made['id']}")
    assert [line["action"] for line in shown["audit"]] == ["add", "extend", "end", "refused", "refused"]


async def test_a_change_is_made_and_a_used_id_never_comes_back() -> None:
    async with client() as session:
        status, made = await post(session, "changes", CHANGE | {"id": "chg-1"})
        assert (status, made["id"], made["state"]) == (201, "chg-1", "active")
        assert (await post(session, "changes", CHANGE | {"id": "chg-1"}))[0] == 409
        status, weekly = await post(session, "changes", CHANGE | {"repeat": "FREQ=WEEKLY;BYDAY=SU"})
        assert (status, weekly["repeat"]) == (201, "FREQ=WEEKLY;BYDAY=SU")
        assert len((await get(session, "changes"))["items"]) == 2


@pytest.mark.parametrize(
    ("noun", "change", "status", "words"),
    [
        ("silences", {"ends_at": "tomorrow"}, 400, "is not a time"),
        ("silences", {"ends_at": "2026-11-22T16:00:00"}, 400, "needs an offset"),
        ("silences", {"match": {}}, 409, "say what to silence"),
        ("silences", {"match": {"ward": "x"}}, 400, "unknown field"),
        ("silences", {"reason": ""}, 400, "reason"),
        ("silences", {"reason": "Mr John Smith, born 01/02/1950, in bed 4"}, 400, "patient data"),
        ("silences", {"timezone": "Mars/Base"}, 400, "Europe/London"),
        ("silences", {"floor": "two_people"}, 403, "another named person"),
        ("silences", {"floor": "break_glass"}, 403, "1 hour"),
        ("changes", {"targets": ["nowhere"]}, 409, "nowhere"),
        ("changes", {"repeat": "FREQ=HOURLY"}, 409, "DAILY"),
        ("changes", {"ends_at": "2026-11-22T13:00:00Z"}, 400, "after starts_at"),
    ],
)
async def test_what_is_refused_says_why(noun: str, change: dict[str, Any], status: int, words: str) -> None:
    from healthmon.ingest.guard import suspicious

    app = hospital_app(Hospital(), scrub=suspicious)
    async with served(app) as url, aiohttp.ClientSession(url) as session:
        found, problem = await post(session, noun, (BODY if noun == "silences" else CHANGE) | change)
    assert found == status, problem
    assert words in problem["detail"]


async def test_who_may_not_act_makes_nothing() -> None:
    async with client() as session, session.post("/api/v1/silences", json=BODY) as answer:
        assert answer.status == 401


async def test_the_ledger_takes_filters() -> None:
    hospital = Hospital()
    async with client(hospital) as session:
        await get(
            session, "ledger?cause=silenced&mute=sil-1&since=2026-11-22T00:00:00Z&real=true&who=pager&incident=i-1"
        )
        assert hospital.wanted is not None
        assert (hospital.wanted.cause, hospital.wanted.mute, hospital.wanted.real) == ("silenced", "sil-1", True)
        async with session.get("/api/v1/ledger?real=perhaps") as answer:
            assert answer.status == 400


async def test_the_page_lists_what_is_held_back_without_javascript() -> None:
    async with client() as session:
        await post(session, "silences", BODY)
        await post(session, "changes", CHANGE)
        async with session.get("/mutes?target=sw-core") as answer:
            page = await answer.text()
        async with session.get("/metrics") as answer:
            metrics = await answer.text()
    assert answer.status == 200
    for words in (
        "new modules",
        "New firmware",
        "left without a page if it fails",
        "pages all the same",
        "It would hide",
    ):
        assert words in page
    assert 'healthmon_mutes_active{kind="silence"} 1.0' in metrics


async def test_the_forms_silence_and_end() -> None:
    hospital = Hospital()
    async with served(hospital_app(hospital)) as url:
        jar = aiohttp.CookieJar(unsafe=True)
        origin = {"Origin": url, "Sec-Fetch-Site": "same-origin"}
        async with aiohttp.ClientSession(url, cookie_jar=jar, headers=origin) as session:
            await session.post("/login", data={"token": TOKEN, "name": "Duty engineer", "next": "/mutes"})
            async with session.get("/mutes?target=sw-core") as answer:
                token = (await answer.text()).split('name="form_token" value="')[1].split('"')[0]
            form = {"form_token": token, "target": "sw-core", "reason": "noisy", "hours": "2"}
            async with session.post("/mutes", data=form) as answer:
                assert "noisy" in await answer.text()
            (made,) = hospital.view().mutes
            async with session.post(f"/mutes/{made.mute.id}/end", data={"form_token": token}) as answer:
                assert answer.status == 200
    assert hospital.view().mutes[0].state.value == "ended"


async def test_a_change_is_planned_on_the_page_after_a_look_at_whom_it_could_leave_alone() -> None:
    hospital = Hospital()
    async with served(hospital_app(hospital)) as url:
        jar = aiohttp.CookieJar(unsafe=True)
        origin = {"Origin": url, "Sec-Fetch-Site": "same-origin"}
        async with aiohttp.ClientSession(url, cookie_jar=jar, headers=origin) as session:
            await session.post("/login", data={"token": TOKEN, "name": "Duty engineer", "next": "/mutes"})
            wanted = "targets=sw-ward-7,+sw-ward-8&expected=down&starts=2026-11-22T22:00&hours=6"
            async with session.get(f"/mutes?{wanted}") as answer:
                page = await answer.text()
            assert "Ward 7 Respiratory" in page.split("It would hide")[1]
            assert hospital.view().mutes == (), "a look makes nothing"
            form = dict(pair.split("=") for pair in wanted.replace("+", " ").split("&"))
            form["form_token"] = page.split('name="form_token" value="')[1].split('"')[0]
            async with session.post("/mutes/changes", data=form) as answer:
                assert answer.status == 400, "it needs a title"
            async with session.post("/mutes/changes", data=form | {"title": "New firmware"}) as answer:
                assert answer.status == 200
                assert "New firmware" in await answer.text()
            for wrong in ({"starts": "tonight"}, {"hours": "-1"}, {"hours": "nan"}):
                async with session.post("/mutes/changes", data=form | {"title": "x"} | wrong) as answer:
                    assert answer.status == 400, wrong
    change = hospital.view().mutes[0].mute
    assert isinstance(change, Change)
    assert (change.targets, change.expected, change.owner) == (("sw-ward-7", "sw-ward-8"), ("down",), "Duty engineer")
    assert change.when.ends_at - change.when.starts_at == 6 * 3600.0
    assert change.when.starts_at == NOW + (22 * 60 - 14 * 60 - 5) * 60.0, "22:00 as the clock of the site shows it"
