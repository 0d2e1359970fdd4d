"""The pages over a real socket, as a browser without scripts gets them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from daemons.webboard import TOKEN, Hospital, health, hospital_app, sample_view, served, severe
from healthmon.model.errors import StoreDown
from healthmon.model.sample import Query, Series
from healthmon.web import WebSettings

SEVERE = "i-20261122-0003"


@asynccontextmanager
async def client(hospital: Hospital | None = None, **more: Any) -> AsyncIterator[aiohttp.ClientSession]:
    async with served(hospital_app(hospital or Hospital(), **more)) as url, aiohttp.ClientSession(url) as session:
        yield session


async def text(session: aiohttp.ClientSession, path: str) -> str:
    async with session.get(path) as answer:
        assert answer.status == 200, path
        return await answer.text()


@pytest.mark.parametrize(
    "path",
    [
        "/",
        f"/incident/{SEVERE}",
        "/incident/i-20261122-0002",
        "/targets",
        "/targets/ehr-web",
        "/map",
        "/map?area=ward-7",
        "/ledger",
    ],
)
async def test_pages_work_without_scripts(path: str) -> None:
    async with client() as session:
        page = await text(session, path)
    assert '<noscript><meta http-equiv="refresh"' in page
    assert not re.search(r"<script(?![^>]* src=)", page)
    assert not re.search(r"\son\w+=|style=", page)
    for needed in ("<main", "<header", "<nav", "<footer", 'lang="en-GB"', 'aria-live="polite"'):
        assert needed in page
    assert all("scope=" in cell for cell in re.findall(r"<th\b[^>]*>", page))


async def test_the_board_says_it_in_words() -> None:
    async with client() as session:
        page = await text(session, "/")
    for words in (
        "not available",
        "slow or partly working",
        "working, no spare route left",
        "we cannot see",
        "no fault seen",
        "Shadow mode",
        "very likely EHR front door",
        "monitoring fault: state not known",
        "3 part of this incident, no extra page",
        "ward with 28 beds",
        "R. Okafor",
        "2 open incidents, worst severity 1",
    ):
        assert words in page, words
    assert "0.97" not in page
    assert "97" not in re.sub(r"<[^>]*>|v=\w+", "", page)


async def test_texts_from_outside_are_escaped() -> None:
    nasty = "<script>alert(1)</script>\"'><img src=x>"
    incident = replace(severe(), title=nasty, plain_text=nasty, owner=nasty)
    async with client(Hospital(sample_view(incidents=(incident,)))) as session:
        for path in ("/", f"/incident/{SEVERE}", "/ack/tok-1"):
            page = await text(session, path)
            assert "<script>alert" not in page
            assert "<img src=x" not in page


async def test_a_stuck_engine_and_stopped_probing_are_loud() -> None:
    view = sample_view(health=health(engine_tick_age_s=120.0, probing=False))
    async with client(Hospital(view)) as session:
        page = await text(session, "/")
    assert 'class="stale"' in page
    assert '<span id="stale-since">14:03</span>' in page
    assert "Probing is stopped." in page
    assert re.search(r'id="stale"[^>]*role="alert">', page)  # not hidden


async def test_no_incident_and_nothing_mapped_is_said_plainly() -> None:
    async with client(Hospital(sample_view(incidents=(), services={}))) as session:
        page = await text(session, "/")
    assert "No open incident" in page
    assert "No service is mapped to an area yet" in page


async def test_an_incident_page_tells_the_whole_story() -> None:
    async with client() as session:
        page = await text(session, f"/incident/{SEVERE}")
    for words in (
        "Timeline",
        "Who was told",
        "on-call applications",
        "behind ehr-web: no extra page",
        "Raised as severity 1",
    ):
        assert words in page, words


async def test_an_unknown_incident_is_a_page_not_json() -> None:
    async with client() as session, session.get("/incident/none") as answer:
        assert (answer.status, answer.content_type) == (404, "text/html")


async def test_the_link_in_a_message_shows_a_button_and_changes_nothing() -> None:
    hospital = Hospital()
    names = {"tok-1": "Sam Example"}
    settings = WebSettings(token=TOKEN, anonymous="never")
    async with client(hospital, settings=settings, name_for_token=names.get) as session:
        async with session.head("/ack/tok-1") as answer:
            assert answer.status == 200
        page = await text(session, "/ack/tok-1")
        assert "I have it, Sam Example" in page
        assert hospital.commands == []
        async with session.post("/ack/tok-1", data={"known": "Sam Example", "by": ""}) as answer:
            assert "Thank you, Sam Example" in await answer.text()
    assert [(c.action, c.by) for c in hospital.commands] == [("ack", "Sam Example")]


async def test_whoever_else_holds_the_phone_says_so() -> None:
    hospital = Hospital()
    async with client(hospital) as session:
        async with session.post("/ack/tok-1", data={"by": ""}) as answer:
            assert answer.status == 400
        async with session.post("/ack/tok-1", data={"known": "Sam", "by": "Kim"}) as answer:
            assert answer.status == 200
    assert hospital.commands[0].by == "Kim"


async def test_a_link_that_came_too_late_says_who_has_it() -> None:
    hospital = Hospital()
    hospital.tokens["old"] = "i-20261121-0001"
    async with client(hospital) as session, session.post("/ack/old", data={"by": "Kim"}) as answer:
        assert answer.status == 409
        assert "the incident is closed" in await answer.text()


async def test_only_the_live_part_is_sent_to_scripts() -> None:
    async with client() as session:
        part = await text(session, "/?part=live")
    assert "<html" not in part
    assert part.lstrip().startswith('<div class="live"')


async def test_a_target_has_a_page_with_charts_that_say_it_in_words_too() -> None:
    hospital = Hospital()
    async with client(hospital) as session:
        page = await text(session, "/targets/sw-core?hours=24")
        async with session.get("/targets/none") as answer:
            assert answer.status == 404
    assert "Core switch" in page
    assert re.search(r'aria-label="icmp rtt avg[^"]*: now 2.5 s, between 1 s and 2.5 s"', page)
    assert "Images (PACS)" in page, "what needs it"
    asked = {(query.family, query.field): query for query in hospital.asked}
    assert {("probe", "duration_seconds"), ("probe", "success"), ("icmp", "rtt_avg_seconds")} == set(asked)
    query = asked["icmp", "rtt_avg_seconds"]
    assert query.end - query.start == 86400.0
    assert query.match == {"target": "sw-core"}


async def test_a_store_that_is_down_takes_no_page_with_it() -> None:
    hospital = Hospital()

    async def down(query: Query) -> list[Series]:
        raise StoreDown("no answer")

    hospital.series = down  # type: ignore[method-assign]
    async with client(hospital) as session:
        assert "The store cannot be read now" in await text(session, "/targets/sw-core")
        assert "Core switch" in await text(session, "/targets")
