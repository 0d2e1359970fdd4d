"""Routes of the tools: reload of the configuration, readings from elsewhere, and questions about the whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Protocol

import msgspec
from aiohttp import web

from healthmon.model.errors import ConfigError
from healthmon.model.sample import Reading
from healthmon.web import params
from healthmon.web.actions import Name, acting_name, check_person, read_body
from healthmon.web.problem import Problem, bad_request
from healthmon.web.settings import WEB

Said = Mapping[str, Any]


class Tools(Protocol):
    """What the tools ask of the server. Raises ConfigError, NotFound, Problem, JournalDown, StoreDown."""

    async def reload(self, by: str) -> Said: ...

    async def explain(self, incident: str) -> Said: ...

    async def report(self, incident: str, *, html: bool) -> str: ...

    async def why_not(self, rule: str, target: str) -> Said: ...

    async def coverage(self) -> Said: ...

    async def links(self) -> Said: ...

    async def learn_links(self, links: Sequence[Said]) -> int: ...

    def source_of(self, token: str) -> str | None: ...

    async def push(self, source: str, readings: Sequence[Reading]) -> int: ...

    async def take_alerts(self, source: str, alerts: Sequence[Said]) -> Said: ...


class Reload(msgspec.Struct, forbid_unknown_fields=True):
    """Who asks."""

    by: Name | None = None


async def reload(request: web.Request) -> web.Response:
    """Read the configuration again; a bad one is refused whole, with every problem."""
    site = request.app[WEB]

    async def act() -> web.Response:
        body = await read_body(request, Reload)
        by = acting_name(request, body.by)
        check_person(site.scrub, by)
        try:
            return web.json_response(await tools_of(request).reload(by))
        except ConfigError as error:
            raise bad_config(error) from None

    return await site.answers.once(request, act)


async def explain(request: web.Request) -> web.Response:
    """One incident in words."""
    return web.json_response(await tools_of(request).explain(request.match_info["id"]))


async def report(request: web.Request) -> web.Response:
    """The report after an incident, however old it is."""
    params.only(request, "format")
    form = request.query.get("format", "markdown")
    if form not in ("markdown", "html"):
        raise bad_request("format", "must be markdown or html")
    text = await tools_of(request).report(request.match_info["id"], html=form == "html")
    return web.Response(text=text, content_type=f"text/{form}", charset="utf-8")


async def why_not(request: web.Request) -> web.Response:
    """Why this rule pages nobody about this target."""
    params.only(request, "rule", "target")
    rule, target = request.query.get("rule"), request.query.get("target")
    if not rule or not target:
        raise bad_request("target" if rule else "rule", "say which one")
    return web.json_response(await tools_of(request).why_not(rule, target))


async def coverage(request: web.Request) -> web.Response:
    """What is mapped and watched, and every blind spot."""
    return web.json_response(await tools_of(request).coverage())


End = Annotated[str, msgspec.Meta(min_length=1, max_length=120)]
Word = Annotated[str, msgspec.Meta(max_length=120)]


class LearnedLink(msgspec.Struct, forbid_unknown_fields=True):
    """What one device says of a neighbour; `leaf` is the end that hangs on the other, if either does."""

    one: End
    other: End
    source: Annotated[str, msgspec.Meta(pattern="^(lldp|fdb)$")]
    seen_by: Annotated[tuple[End, ...], msgspec.Meta(min_length=1, max_length=8)]
    one_port: Word = ""
    other_port: Word = ""
    leaf: Word = ""
    other_name: Word = ""
    mac: Word = ""


class LearnedLinks(msgspec.Struct, forbid_unknown_fields=True):
    """What a sweep learned."""

    links: Annotated[tuple[LearnedLink, ...], msgspec.Meta(max_length=1_000)]


async def links(request: web.Request) -> web.Response:
    """What devices say of their neighbours, and the needs that it speaks for."""
    return web.json_response(await tools_of(request).links())


async def learn_links(request: web.Request) -> web.Response:
    """Keep links that a sweep learned; ends whose names look like patient data are left out."""
    site = request.app[WEB]

    async def act() -> web.Response:
        body = await read_body(request, LearnedLinks)
        scrub = site.scrub
        clean = [one for one in body.links if not (scrub and (scrub(one.one) or scrub(one.other)))]
        kept = await tools_of(request).learn_links([msgspec.structs.asdict(one) for one in clean])
        return web.json_response({"kept": kept})

    return await site.answers.once(request, act)


def bad_config(error: ConfigError) -> Problem:
    """The running configuration stays; each problem with its place."""
    errors = [{"field": spot, "message": message} for spot, message in map(_placed, error.problems)]
    detail = f"the configuration on disk has {len(errors)} problem{'s' * (len(errors) != 1)}; the one that runs stays"
    return Problem(422, "bad-config", detail, errors=errors)


def tools_of(request: web.Request) -> Tools:
    """The tools of this server; raises 404 where there are none."""
    tools = request.app[WEB].tools
    if tools is None:
        raise Problem(404, "not-found", "this server does not offer it")
    return tools


def _placed(line: str) -> tuple[str, str]:
    """`file:line:col: message` in two."""
    spot, colon, message = line.partition(": ")
    return (spot, message) if colon else ("", line)


def routes() -> list[web.RouteDef]:
    return [
        web.post("/api/v1/reload", reload),
        web.get("/api/v1/incidents/{id}/explanation", explain),
        web.get("/api/v1/incidents/{id}/report", report),
        web.get("/api/v1/why-not", why_not),
        web.get("/api/v1/coverage", coverage),
        web.get("/api/v1/links", links),
        web.post("/api/v1/links", learn_links),
    ]
