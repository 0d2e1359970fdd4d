"""POST alerts/alertmanager: the webhook of Prometheus' Alertmanager (payload version 4), under a source's token."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from aiohttp import web

from healthmon.web.actions import read_body
from healthmon.web.pushed import sourced
from healthmon.web.settings import WEB
from healthmon.web.tooling import tools_of

ALERTS_MOST = 1000
Text = Annotated[str, msgspec.Meta(max_length=2000)]
Labels = Annotated[dict[Annotated[str, msgspec.Meta(max_length=200)], Text], msgspec.Meta(max_length=100)]


class Alert(msgspec.Struct):
    """One alert. Annotations and links are not read: free text may hold anything, and the rule's name says it."""

    status: Literal["firing", "resolved"]
    labels: Labels
    fingerprint: Annotated[str, msgspec.Meta(max_length=64)] = ""


class Payload(msgspec.Struct):
    """Keys of newer versions are ignored."""

    alerts: Annotated[list[Alert], msgspec.Meta(max_length=ALERTS_MOST)]


async def take(request: web.Request) -> web.Response:
    """Turn alerts into readings of the checks that they are about. What fits no check is named in the answer."""
    site, tools = request.app[WEB], tools_of(request)
    source = sourced(request)

    async def act() -> web.Response:
        body = await read_body(request, Payload)
        return web.json_response(await tools.take_alerts(source, [msgspec.to_builtins(one) for one in body.alerts]))

    return await site.answers.once(request, act)


def routes() -> list[web.RouteDef]:
    return [web.post("/api/v1/alerts/alertmanager", take)]
