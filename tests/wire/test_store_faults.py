"""InfluxStore against a server that fails in every documented way, over real sockets."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from healthmon.model.errors import StoreDown
from healthmon.model.sample import Query, Row
from healthmon.store import influx
from healthmon.store.influx import InfluxStore

NOW = 1_800_000_000.0
Respond = Callable[[list[str]], web.Response]


@dataclass
class FaultServer:
    """Answers writes as `respond` says and keeps the lines of those it answered 204."""

    url: str = ""
    respond: Respond = lambda lines: web.Response(status=204)
    lines: list[str] = field(default_factory=list)
    requests: list[web.Request] = field(default_factory=list)
    created: list[str] = field(default_factory=list)
    bodies: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    delay_s: float = 0.0

    async def write(self, request: web.Request) -> web.Response:
        self.requests.append(request)
        await asyncio.sleep(self.delay_s)
        body = await request.read()  # aiohttp has unpacked gzip when the header says so
        text = (gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body).decode()
        answer = self.respond(text.split("\n"))
        if answer.status == 204:
            self.lines += text.split("\n")
        return answer

    async def query(self, request: web.Request) -> web.Response:
        form = await request.post()
        self.created.append(str(form.get("q")))
        return web.json_response({"results": [{"statement_id": 0}]})

    async def buckets(self, request: web.Request) -> web.Response:
        if request.method == "GET":
            return web.json_response({"orgs": [{"id": "0123456789abcdef"}]})
        self.created.append((await request.json())["name"])
        return web.json_response({"id": f"b{len(self.created)}"}, status=201)

    async def api(self, request: web.Request) -> web.Response:
        self.bodies.append((request.path, await request.json()))
        return web.json_response({"id": "1"}, status=201)

    def app(self) -> web.Application:
        app = web.Application(client_max_size=1 << 26)
        for path in ("/write", "/api/v2/write", "/api/v3/write_lp"):
            app.router.add_post(path, self.write)
        app.router.add_post("/query", self.query)
        app.router.add_get("/api/v2/orgs", self.buckets)
        app.router.add_post("/api/v2/buckets", self.buckets)
        app.router.add_post("/api/v2/dbrps", self.api)
        app.router.add_post("/api/v2/tasks", self.api)
        return app


@asynccontextmanager
async def serving() -> AsyncIterator[FaultServer]:
    server = FaultServer()
    runner = web.AppRunner(server.app(), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()


@asynccontextmanager
async def store_on(server: FaultServer, **more: object) -> AsyncIterator[InfluxStore]:
    store = InfluxStore(**{"url": server.url, **more})  # type: ignore[arg-type]
    try:
        yield store
    finally:
        await store.close()


def rows(n: int) -> list[Row]:
    return [Row("icmp", (("target", f"t{i}"),), (("rtt", float(i)),), NOW + i) for i in range(n)]


def refuse(bad: Callable[[str], bool], status: int, body: object) -> Respond:
    """Refuse a whole request when any of its lines is bad, as the strictest database would."""

    def respond(lines: list[str]) -> web.Response:
        if any(bad(line) for line in lines):
            return web.json_response(body, status=status)
        return web.Response(status=204)

    return respond


PARTIAL = [
    (1, 400, {"error": 'partial write: field type conflict: input field "rtt" dropped=2'}),
    (1, 400, {"error": "unable to parse 'x'"}),
    (2, 400, {"code": "invalid", "message": "unable to parse 'x'"}),
    (2, 422, {"code": "unprocessable entity", "message": "failure writing points to database: field type conflict"}),
    (3, 400, {"error": "partial write of line protocol occurred", "data": [{"error_message": "invalid column"}]}),
]


@pytest.mark.parametrize(("version", "status", "body"), PARTIAL)
async def test_bad_points_are_named_and_all_others_written(version: int, status: int, body: object) -> None:
    bad = {"t3", "t17"}
    async with serving() as server, store_on(server, version=version) as store:
        server.respond = refuse(lambda line: line.split("=")[1].split(" ")[0] in bad, status, body)
        written = await store.write(rows(40))
    assert written.accepted == 38
    assert {dict(row.tags)["target"] for row, _ in written.rejected} == bad
    assert len(set(server.lines)) == 38


@pytest.mark.parametrize(
    ("status", "headers", "wait_s"),
    [
        (429, {"Retry-After": "7"}, 7.0),
        (503, {"Retry-After": "0.5"}, 0.5),
        (503, {}, 1.0),
        (500, {}, 1.0),
        (401, {}, 30.0),
    ],
)
async def test_a_database_that_cannot_now_is_down_for_as_long_as_it_says(
    status: int, headers: dict[str, str], wait_s: float
) -> None:
    async with serving() as server, store_on(server) as store:
        server.respond = lambda lines: web.Response(status=status, headers=headers, text="no")
        with pytest.raises(StoreDown, match=str(status)) as caught:
            await store.write(rows(3))
        assert caught.value.retry_after_s == wait_s
        server.respond = lambda lines: web.Response(status=204)
        assert (await store.write(rows(3))).accepted == 3


async def test_a_silent_database_is_down_after_the_timeout() -> None:
    async with serving() as server, store_on(server, timeout_s=0.2) as store:
        await store.write(rows(1))
        server.delay_s = 30.0
        with pytest.raises(StoreDown, match=r"within 0\.2 s"):
            await store.write(rows(1))


async def test_a_missing_database_is_down() -> None:
    async with serving() as server:
        pass
    async with store_on(server) as store:
        with pytest.raises(StoreDown, match="write"):
            await store.write(rows(1))
        with pytest.raises(StoreDown):
            await store.query(Query("icmp", "rtt"))


async def test_a_request_too_large_is_split() -> None:
    async with serving() as server, store_on(server) as store:
        server.respond = lambda lines: web.Response(status=413 if len(lines) > 10 else 204)
        assert (await store.write(rows(100))).accepted == 100
    assert len(set(server.lines)) == 100


@pytest.mark.parametrize("status", [200, 302, 404, 400])
async def test_a_page_that_is_no_database_is_no_success(status: int) -> None:
    async with serving() as server, store_on(server) as store:
        server.respond = lambda lines: web.Response(
            status=status, text="<html>please log in</html>", headers={"Location": "/login"}
        )
        with pytest.raises(StoreDown):
            await store.write(rows(3))


@pytest.mark.parametrize(
    ("version", "body", "made"),
    [
        (
            1,
            {"error": 'database not found: "healthmon"'},
            'CREATE DATABASE "healthmon" WITH DURATION 3024000s REPLICATION 1 NAME raw',
        ),
        (2, {"code": "not found", "message": 'bucket "healthmon" not found'}, "healthmon"),
    ],
)
async def test_a_first_start_makes_the_database(version: int, body: object, made: str) -> None:
    async with serving() as server, store_on(server, version=version, org="o") as store:
        server.respond = lambda lines: (
            web.Response(status=204) if server.created else web.json_response(body, status=404)
        )
        assert (await store.write(rows(2))).accepted == 2
        assert server.created[0] == made


async def test_a_first_start_of_2_makes_buckets_mappings_and_tasks() -> None:
    """A stand-in that only records: there is no InfluxDB 2 here. The bodies are those of its API documentation."""
    missing = {"code": "not found", "message": 'bucket "ward" not found'}
    async with serving() as server, store_on(server, version=2, org="trust", bucket="ward") as store:
        server.respond = lambda lines: (
            web.Response(status=204) if server.bodies else web.json_response(missing, status=404)
        )
        assert (await store.write(rows(2))).accepted == 2
    assert server.created == ["ward", "ward_minutes", "ward_hours"]
    mappings = [body for path, body in server.bodies if path.endswith("dbrps")]
    assert [(m["database"], m["retention_policy"], m["bucketID"], m["default"]) for m in mappings] == [
        ("ward", "raw", "b1", True),
        ("ward", "minutes", "b2", False),
        ("ward", "hours", "b3", False),
    ]
    tasks = [body["flux"] for path, body in server.bodies if path.endswith("tasks")]
    assert ["every: 1m}" in tasks[0], "every: 1h}" in tasks[1]] == [True, True]
    assert 'to(bucket: "ward_hours", org: "trust")' in tasks[1]


async def test_a_database_that_cannot_be_made_is_down() -> None:
    async with serving() as server, store_on(server) as store:
        server.respond = lambda lines: web.json_response({"error": 'database not found: "healthmon"'}, status=404)
        with pytest.raises(StoreDown, match="not found"):
            await store.write(rows(2))


@pytest.mark.parametrize(
    ("version", "query", "login"),
    [
        (1, {"db": "ward", "precision": "n"}, "Token s"),
        (2, {"org": "trust", "bucket": "ward", "precision": "ns"}, "Token s"),
        (3, {"db": "ward", "precision": "nanosecond"}, "Bearer s"),
        (None, {}, "Bearer s"),
    ],
)
async def test_each_dialect_says_what_its_documentation_asks(
    version: int | None, query: dict[str, str], login: str
) -> None:
    async with (
        serving() as server,
        store_on(server, version=version, database="ward", bucket="ward", org="trust", token="s") as store,
    ):
        await store.write(rows(1))
        (request,) = server.requests
        assert dict(request.query) == query
        assert request.headers["Authorization"] == login
        assert request.headers["Content-Encoding"] == "gzip"
        assert server.lines == ["icmp,target=t0 rtt=0.0 1800000000000000000"]


async def test_a_half_done_write_is_made_again_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(influx, "MAX_LINES", 10)
    async with serving() as server, store_on(server) as store:
        server.respond = lambda lines: web.Response(status=204 if len(server.lines) < 20 else 503)
        with pytest.raises(StoreDown):
            await store.write(rows(50))
        server.respond = lambda lines: web.Response(status=204)
        assert (await store.write(rows(50))).accepted == 50
    assert len(set(server.lines)) == 50


async def test_a_dropped_connection_is_down() -> None:
    async def slam(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 20")
        writer.close()

    listener = await asyncio.start_server(slam, "127.0.0.1", 0)
    store = InfluxStore(f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}")
    with pytest.raises(StoreDown):
        await store.write(rows(1))
    await store.close()
    listener.close()


async def test_the_login_never_shows_in_an_error() -> None:
    async with serving() as server:
        server.respond = lambda lines: web.Response(status=401, text=json.dumps({"error": "no"}))
        address = server.url.replace("http://", "http://user:hunter2@")
        with pytest.raises(StoreDown, match="correct the token") as caught:
            async with store_on(server, url=address, token="t0ps3cret") as store:
                await store.write(rows(1))
    assert "hunter2" not in str(caught.value)
    assert "t0ps3cret" not in str(caught.value) + repr(store.dialect)
