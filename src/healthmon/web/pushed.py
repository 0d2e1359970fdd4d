"""POST readings: what other tools have seen, under the token of their source."""

from __future__ import annotations

from typing import Annotated

import msgspec
from aiohttp import hdrs, web

from healthmon.model.ports import Clock
from healthmon.model.sample import Outcome, Reading, Reason, Sample, Value
from healthmon.web.actions import read_body
from healthmon.web.people import PERSON, Person
from healthmon.web.problem import Problem
from healthmon.web.settings import WEB
from healthmon.web.tooling import tools_of

READINGS_MOST = 500
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Text = Annotated[str, msgspec.Meta(max_length=2000)]


class PushedSample(msgspec.Struct, forbid_unknown_fields=True):
    family: Id
    field: Id
    value: Value
    labels: dict[Id, Text] = {}


class PushedReading(msgspec.Struct, forbid_unknown_fields=True):
    """As on the wire; `vantage` is the token's source, `started` is now unless it is given (Unix seconds)."""

    target: Id
    check: Id
    outcome: Outcome
    reason: Reason | None = None
    detail: Text = ""
    started: float | None = None
    took: float = 0.0
    vantage: Id | None = None
    samples: Annotated[list[PushedSample], msgspec.Meta(max_length=2000)] = []


class Push(msgspec.Struct, forbid_unknown_fields=True):
    readings: Annotated[list[PushedReading], msgspec.Meta(min_length=1, max_length=READINGS_MOST)]


async def push(request: web.Request) -> web.Response:
    """Take readings, all or none; the answer comes when they are on disk. The token is the permission."""
    site, tools = request.app[WEB], tools_of(request)
    source = sourced(request)

    async def act() -> web.Response:
        body = await read_body(request, Push)
        readings = [_reading(one, source, site.clock) for one in body.readings]
        return web.json_response({"accepted": await tools.push(source, readings)})

    return await site.answers.once(request, act)


def sourced(request: web.Request) -> str:
    """The source whose token the request carries. Raises Problem 401."""
    scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    source = tools_of(request).source_of(token.strip()) if scheme.lower() == "bearer" and token.strip() else None
    if source is None:
        detail = "readings need the token of a source under `push`"
        raise Problem(401, "not-signed-in", detail, headers={"WWW-Authenticate": 'Bearer realm="healthmon push"'})
    request[PERSON] = Person("push", token=f"push/{source}")
    return source


def _reading(pushed: PushedReading, source: str, clock: Clock) -> Reading:
    return Reading(
        target=pushed.target,
        check=pushed.check,
        vantage=pushed.vantage or source,
        started=clock.now() if pushed.started is None else pushed.started,
        took=pushed.took,
        outcome=pushed.outcome,
        reason=pushed.reason,
        detail=pushed.detail,
        samples=tuple(Sample(one.family, one.field, one.value, dict(one.labels)) for one in pushed.samples),
    )


def routes() -> list[web.RouteDef]:
    return [web.post("/api/v1/readings", push)]
