"""Server-sent events over a real socket."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp

from daemons.webboard import TOKEN, Hospital, hospital_app, sample_view, served
from healthmon.web import WebSettings

SEVERE = "i-20261122-0003"


class Stream:
    """Reads one stream, event by event; comments are events named `:`."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    async def next(self, *wanted: str) -> tuple[str, str, Any]:
        """(kind, id, data) of the next event of these kinds."""
        async with asyncio.timeout(20):
            while True:
                kind, number, data = await self._one()
                if kind in wanted:
                    return kind, number, data

    async def _one(self) -> tuple[str, str, Any]:
        kind, number, data = "", "", None
        async for raw in self._answer.content:
            line = raw.decode().rstrip("\n")
            name, _, value = line.partition(": ")
            match name:
                case "event":
                    kind = value
                case "id":
                    number = value
                case "data":
                    data = json.loads(value)
                case "":
                    if line == "" and kind:
                        return kind, number, data
                    if line.startswith(": "):
                        return ":", "", value
        raise EOFError


async def test_a_change_is_told_with_what_changed() -> None:
    hospital = Hospital()
    async with served(hospital_app(hospital)) as url, aiohttp.ClientSession(url) as session:  # noqa: SIM117
        async with session.get("/api/v1/events") as answer:
            assert answer.content_type == "text/event-stream"
            stream = Stream(answer)
            _, number, first = await stream.next("view")
            assert (number, first["version"]) == ("7", 7)
            assert {one["id"] for one in first["open"]} == {SEVERE, "i-20261122-0002"}
            async with session.post(
                f"/api/v1/incidents/{SEVERE}/ack", json={"by": "Dana"}, headers={"Authorization": f"Bearer {TOKEN}"}
            ) as done:
                assert done.status == 200
            _, number, second = await stream.next("view")
    assert (number, second["changed"]) == ("8", [SEVERE])


async def test_a_client_that_resumes_gets_nothing_it_has_and_everything_it_lacks() -> None:
    hospital = Hospital()
    async with served(hospital_app(hospital)) as url, aiohttp.ClientSession(url) as session:
        async with session.get("/api/v1/events", headers={"Last-Event-ID": "7"}) as answer:
            assert (await Stream(answer).next("view", "health"))[0] == "health"
        for other in ("6", "99"):  # 99: a server that began to count anew
            async with session.get("/api/v1/events", headers={"Last-Event-ID": other}) as answer:
                assert (await Stream(answer).next("view", "health"))[1] == "7"
        async with session.get("/api/v1/events", headers={"Last-Event-ID": "x"}) as answer:
            assert answer.status == 400


async def test_silence_is_broken_by_a_beat_within_the_ten_seconds() -> None:
    async with served(hospital_app(Hospital())) as url, aiohttp.ClientSession(url) as session:  # noqa: SIM117
        async with session.get("/api/v1/events", headers={"Last-Event-ID": "7"}) as answer:
            stream = Stream(answer)
            assert (await stream.next(":"))[2] == "beat"
            began = asyncio.get_running_loop().time()
            assert (await stream.next("health"))[2]["status"] == "ok"
            assert (await stream.next("health"))[2]["engine_tick_age_s"] == 0.3
            assert asyncio.get_running_loop().time() - began < 9.0


async def test_streams_are_bounded_and_given_back() -> None:
    settings = WebSettings(token=TOKEN, streams_cap=1)
    async with served(hospital_app(Hospital(), settings=settings)) as url, aiohttp.ClientSession(url) as session:
        first = await session.get("/api/v1/events")
        await Stream(first).next("view")
        async with session.get("/api/v1/events") as refused:
            assert (refused.status, refused.headers["Retry-After"]) == (503, "10")
        first.close()
        async with asyncio.timeout(20):
            while True:
                async with session.get("/api/v1/events") as again:
                    if again.status == 200:
                        break
                await asyncio.sleep(0.2)


async def test_a_stopping_server_lets_its_streams_end() -> None:
    hospital = Hospital(sample_view())
    async with aiohttp.ClientSession() as session:
        async with served(hospital_app(hospital)) as url:
            answer = await session.get(f"{url}/api/v1/events")
            await Stream(answer).next("view")
        async with asyncio.timeout(10):
            await answer.content.read()
