"""The API over a real socket: shapes, pages, errors, who may, and that a repeat acts once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from daemons.webboard import NOW, TOKEN, Hospital, health, hospital_app, sample_view, served
from healthmon.model.errors import NotAllowed
from healthmon.model.sample import Outcome, Reading, Reason, Sample
from healthmon.web import WebSettings
from healthmon.web.settings import Demand, Found

BEARER = {"Authorization": f"Bearer {TOKEN}"}
SEVERE = "i-20261122-0003"


@asynccontextmanager
async def client(hospital: Hospital | None = None, **more: Any) -> AsyncIterator[aiohttp.ClientSession]:
    async with served(hospital_app(hospital or Hospital(), **more)) as url, aiohttp.ClientSession(url) as session:
        yield session


async def get(session: aiohttp.ClientSession, path: str, **more: Any) -> tuple[int, Any]:
    async with session.get(path, **more) as answer:
        return answer.status, await answer.json(content_type=None)


async def post(session: aiohttp.ClientSession, path: str, body: Any, **headers: str) -> tuple[int, Any]:
    async with session.post(path, json=body, headers=BEARER | headers) as answer:
        return answer.status, await answer.json(content_type=None)


@pytest.mark.parametrize(
    "path",
    ["targets", "areas", "services", "impact", "alerts", "incidents", "ledger", "agents", "query?metric=icmp.rtt"],
)
async def test_lists_answer_items_and_next(path: str) -> None:
    async with client() as session:
        status, body = await get(session, f"/api/v1/{path}")
    assert status == 200
    assert set(body) == {"items", "next"}
    assert body["items"]


@pytest.mark.parametrize("path", ["targets", "areas", "services", "impact", "incidents", "ledger", "agents"])
async def test_pages_give_everything_once(path: str) -> None:
    async with client() as session:
        _, whole = await get(session, f"/api/v1/{path}?limit=1000")
        seen, cursor = [], ""
        while cursor is not None:
            _, part = await get(session, f"/api/v1/{path}?limit=4" + (f"&cursor={cursor}" if cursor else ""))
            assert len(part["items"]) <= 4
            seen += part["items"]
            cursor = part["next"]
    assert seen == whole["items"]


async def test_an_incident_has_its_notices_and_the_words_of_the_contract() -> None:
    async with client() as session:
        _, body = await get(session, f"/api/v1/incidents/{SEVERE}")
    assert body["root"]["target"] == "ehr-web"
    assert body["suppressed"][0]["why"] == "behind ehr-web"
    assert body["notices"] == [
        {
            "key": "n1",
            "channel": "pager",
            "to": "on-call applications",
            "why": "opened",
            "at": "2026-11-22T13:57:11.000Z",
            "result": "sent",
            "attempts": 1,
            "repeat": False,
            "detail": "",
            "person": None,
            "delivered_at": None,
        }
    ]


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("state=open", [SEVERE]),
        ("state=open,acknowledged", [SEVERE, "i-20261122-0002"]),
        ("severity=4", ["i-20261121-0001"]),
        ("area=imaging", ["i-20261122-0002"]),
        ("since=2026-11-22T13:30:00Z", [SEVERE]),
        ("since=2026-11-22T14:30:00%2B01:00", [SEVERE]),
        (f"since={NOW}", []),
    ],
)
async def test_incidents_are_filtered(query: str, ids: list[str]) -> None:
    async with client() as session:
        _, body = await get(session, f"/api/v1/incidents?{query}")
    assert [item["id"] for item in body["items"]] == ids


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("incidents?state=shut", "state"),
        ("incidents?severity=6", "severity"),
        ("incidents?severity=12", "severity"),
        ("incidents?colour=red", "colour"),
        ("incidents?since=yesterday", "since"),
        ("incidents?since=2026-11-22T13:30:00", "since"),
        ("incidents?since=nan", "since"),
        ("incidents?limit=0", "limit"),
        ("incidents?limit=99999", "limit"),
        ("incidents?limit=²", "limit"),
        ("incidents?cursor=zzz", "cursor"),
        ("targets?cursor=WzFd", "cursor"),
        ("ledger?cursor=WzFd", "cursor"),
        ("query", "metric"),
        ("query?metric=icmp", "metric"),
        ("query?metric=icmp.rtt&range=1x", "range"),
        ("query?metric=icmp.rtt&range=365d", "step"),
        ("query?metric=icmp.rtt&range=30d&step=1s", "step"),
        ("query?metric=icmp.rtt&start=2026-11-23T00:00:00Z&end=2026-11-22T00:00:00Z", "start"),
        ("query?metric=icmp.rtt&aggregate=median", "aggregate"),
    ],
)
async def test_wrong_parameters_are_named(path: str, field: str) -> None:
    async with client() as session, session.get(f"/api/v1/{path}") as answer:
        assert answer.status == 400
        assert answer.content_type == "application/problem+json"
        body = await answer.json(content_type=None)
    assert body["errors"][0]["field"] == field
    assert (body["type"], body["status"]) == ("urn:healthmon:problem:invalid", 400)


async def test_a_query_reaches_the_store_with_its_tags() -> None:
    hospital = Hospital()
    async with client(hospital) as session:
        path = (
            "/api/v1/query?metric=snmp_if.in_octets&target=sw-core&label.interface=ge-1&range=2h&step=5m&aggregate=max"
        )
        status, body = await get(session, path)
    assert status == 200
    (asked,) = hospital.asked
    assert (asked.family, asked.field, asked.step_s, asked.aggregate) == ("snmp_if", "in_octets", 300.0, "max")
    assert asked.match == {"target": "sw-core", "interface": "ge-1"}
    assert (asked.start, asked.end) == (NOW - 7200, NOW)
    assert body["items"][0]["points"][0] == ["2026-11-22T14:04:00.000Z", 1.0]


@pytest.mark.parametrize(
    "path",
    [
        "nope",
        "incidents/nope",
        "targets/nope",
        "areas/nope",
        "services/nope",
        "silences/nope",
        "ack/nope",
        "incidents/a/b",
    ],
)
async def test_what_is_not_there_is_a_problem(path: str) -> None:
    async with client() as session, session.get(f"/api/v1/{path}") as answer:
        assert (answer.status, answer.content_type) == (404, "application/problem+json")


async def test_a_wrong_method_says_which_is_right() -> None:
    async with client() as session, session.delete("/api/v1/incidents", headers=BEARER) as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "GET,HEAD")


async def test_health_needs_no_login_and_fails_when_the_engine_is_stuck() -> None:
    hospital = Hospital()
    async with client(hospital, settings=WebSettings(token=TOKEN, anonymous="never")) as session:
        assert (await get(session, "/api/v1/health"))[0] == 200
        assert (await get(session, "/api/v1/incidents"))[0] == 401
        hospital.show(health=health(engine_tick_age_s=31.0))
        status, body = await get(session, "/api/v1/health")
    assert (status, body["status"], body["engine_tick_age_s"]) == (503, "failing", 31.0)


@pytest.mark.parametrize(
    ("action", "body", "command"),
    [
        ("ack", {"by": "Dana", "note": "on it"}, {"by": "Dana", "text": "on it"}),
        ("unack", {"by": "Dana"}, {}),
        ("own", {"by": "Dana"}, {}),
        ("note", {"by": "Dana", "text": "rebooting\nnow"}, {"text": "rebooting\nnow"}),
        ("mitigate", {"by": "Dana"}, {}),
        ("resolve", {"by": "Dana", "reason": "disk full", "impact": "none seen"}, {"reason": "disk full"}),
        ("reopen", {"by": "Dana"}, {}),
        ("merge", {"by": "Dana", "into": "i-20261122-0002"}, {"into": "i-20261122-0002"}),
        ("split", {"by": "Dana", "members": ["epma-app"]}, {"members": ("epma-app",)}),
    ],
)
async def test_every_action_becomes_its_command(action: str, body: Any, command: dict[str, Any]) -> None:
    hospital = Hospital()
    async with client(hospital) as session:
        status, answer = await post(session, f"/api/v1/incidents/{SEVERE}/{action}", body)
    assert (status, answer["id"]) == (200, SEVERE)
    (made,) = hospital.commands
    assert (made.action, made.incident, made.by) == (action, SEVERE, "Dana")
    assert {name: getattr(made, name) for name in command} == command


async def test_a_member_as_the_api_gives_it_can_be_split_off() -> None:
    hospital = Hospital()
    async with client(hospital) as session:
        _, incident = await get(session, f"/api/v1/incidents/{SEVERE}")
        body = {"by": "Dana", "members": [incident["members"][0]]}
        assert (await post(session, f"/api/v1/incidents/{SEVERE}/split", body))[0] == 200
    assert hospital.commands[0].members == ("check-failed/ehr-web/up@poller",)


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("ack", {}),
        ("ack", {"by": ""}),
        ("ack", {"by": "  "}),
        ("ack", {"by": "x" * 81}),
        ("ack", {"by": 5}),
        ("ack", {"by": "Dana", "colour": "red"}),
        ("ack", {"by": "Dana\u202e"}),
        ("ack", ["Dana"]),
        ("note", {"by": "Dana"}),
        ("note", {"by": "Dana", "text": "x" * 2001}),
        ("resolve", {"by": "Dana"}),
        ("merge", {"by": "Dana"}),
        ("split", {"by": "Dana", "members": []}),
    ],
)
async def test_wrong_bodies_act_on_nothing(action: str, body: Any) -> None:
    hospital = Hospital()
    async with client(hospital) as session:
        status, problem = await post(session, f"/api/v1/incidents/{SEVERE}/{action}", body)
    assert (status, problem["type"]) == (400, "urn:healthmon:problem:invalid")
    assert hospital.commands == []


@pytest.mark.parametrize(
    ("raw", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"by=Dana", "application/x-www-form-urlencoded", 415),
        (b'{"by": "' + b"x" * 70_000 + b'"}', "application/json", 413),
    ],
)
async def test_wrong_payloads(raw: bytes, kind: str, status: int) -> None:
    async with (
        client() as session,
        session.post(f"/api/v1/incidents/{SEVERE}/ack", data=raw, headers=BEARER | {"Content-Type": kind}) as answer,
    ):
        assert (answer.status, answer.content_type) == (status, "application/problem+json")


async def test_conflicts_and_unknown_incidents_are_told_apart() -> None:
    async with client() as session:
        assert (await post(session, "/api/v1/incidents/i-20261121-0001/ack", {"by": "Dana"}))[0] == 409
        assert (await post(session, "/api/v1/incidents/none/ack", {"by": "Dana"}))[0] == 404


async def test_patient_data_is_refused_and_goes_nowhere() -> None:
    hospital = Hospital()

    def scrub(text: str) -> str | None:
        return "nhs_number" if "9434765919" in text else None

    async with client(hospital, scrub=scrub) as session:
        for body in ({"by": "Dana", "text": "bed 3, 9434765919"}, {"by": "9434765919", "text": "x"}):
            status, problem = await post(session, f"/api/v1/incidents/{SEVERE}/note", body)
            assert (status, problem["type"]) == (400, "urn:healthmon:problem:patient-data")
            assert "9434765919" not in str(problem)
    assert hospital.commands == []


async def test_a_repeated_key_acts_once_even_at_the_same_moment() -> None:
    hospital = Hospital()
    async with client(hospital) as session:
        path, body = f"/api/v1/incidents/{SEVERE}/note", {"by": "Dana", "text": "once"}
        answers = await asyncio.gather(*(post(session, path, body, **{"Idempotency-Key": "k1"}) for _ in range(5)))
        assert all(answer == answers[0] for answer in answers)
        assert len(hospital.commands) == 1
        status, problem = await post(session, path, body | {"text": "other"}, **{"Idempotency-Key": "k1"})
        assert (status, problem["type"]) == (422, "urn:healthmon:problem:key-reused")
        await post(session, path, body, **{"Idempotency-Key": "k2"})
        assert len(hospital.commands) == 2


async def test_a_refused_request_does_not_burn_its_key() -> None:
    hospital = Hospital()
    async with client(hospital) as session:
        path = "/api/v1/incidents/i-20261121-0001/ack"
        assert (await post(session, path, {"by": "Dana"}, **{"Idempotency-Key": "k"}))[0] == 409
        hospital.show(incidents=tuple(i for i in sample_view().incidents if i.id != "i-20261121-0001"))
        assert (await post(session, path, {"by": "Dana"}, **{"Idempotency-Key": "k"}))[0] == 404


async def test_the_stop_button() -> None:
    hospital = Hospital()
    async with client(hospital) as session:
        assert await post(session, "/api/v1/probing/stop", {"by": "Dana"}) == (200, {"probing": False})
        assert (await get(session, "/api/v1/health"))[1]["probing"] is False
        assert await post(session, "/api/v1/probing/resume", {"by": "Dana"}) == (200, {"probing": True})
    assert [c.action for c in hospital.commands] == ["stop", "resume"]


async def test_a_link_shows_and_only_a_post_acknowledges() -> None:
    hospital = Hospital()
    async with client(hospital, settings=WebSettings(token=TOKEN, anonymous="never")) as session:
        status, body = await get(session, "/api/v1/ack/tok-1")
        assert (status, body["incident"], body["owner"]) == (200, SEVERE, None)
        async with session.head("/api/v1/ack/tok-1") as answer:
            assert answer.status == 200
        assert hospital.commands == []
        async with session.post("/api/v1/ack/tok-1", json={"by": "Dana"}) as answer:
            assert (answer.status, (await answer.json())["owner"]) == (200, "Dana")


async def test_a_crash_answers_a_problem_without_its_words() -> None:
    class Broken(Hospital):
        async def ledger(self, limit: int, before: float | None = None) -> Any:
            raise RuntimeError("secret words")

    async with client(Broken()) as session:
        status, problem = await get(session, "/api/v1/ledger")
        async with session.get("/metrics") as answer:
            assert "healthmon_web_errors_total 1.0" in await answer.text()
    assert (status, problem["type"]) == (500, "urn:healthmon:problem:internal")
    assert "secret" not in str(problem)


async def test_probe_is_there_only_with_a_prober() -> None:
    async with client() as session:
        assert (await get(session, "/probe?target=x"))[0] == 404

    async def prober(demand: Demand) -> Found:
        target = demand.target
        if target == "medical":
            raise NotAllowed("198.51.100.7 is a medical network")
        if target == "blind":
            return Found(Reading(target, "probe", "poller", NOW, 0.1, Outcome.UNKNOWN, Reason.NO_ROUTE), "http")
        samples = (
            Sample("http", "status_code", 200.0),
            Sample("http", "connect_seconds", 0.01),
            Sample("http", "tls_seconds", 0.02),
            Sample("tls", "expires_in_seconds", 3600.0),
        )
        return Found(Reading(target, "probe", "poller", NOW, 0.25, Outcome.OK, samples=samples), "http")

    async with client(prober=prober) as session:
        async with session.get("/probe?target=ok&module=http_2xx") as answer:
            text = await answer.text()
        assert "probe_success 1.0" in text
        assert "probe_http_status_code 200.0" in text
        assert 'probe_http_duration_seconds{phase="tls"} 0.02' in text
        assert f"probe_ssl_earliest_cert_expiry {NOW + 3600:.9g}".replace("e+09", "") in text.replace("e+09", "")
        assert (await get(session, "/probe?target=medical"))[0] == 403
        assert (await get(session, "/probe?target=blind"))[0] == 503
        assert (await get(session, "/probe"))[0] == 400
        cross = {"Sec-Fetch-Site": "cross-site"}
        assert (await get(session, "/probe?target=ok", headers=cross))[0] == 403
