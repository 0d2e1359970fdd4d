"""Server-sent events: what changed since the version a client knows, and a heartbeat that proves life."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

from aiohttp import web

from healthmon.model.incident import Incident
from healthmon.model.render import rfc3339
from healthmon.model.view import Health, View
from healthmon.web.problem import Problem, bad_request
from healthmon.web.settings import WEB, Web

BEAT_S = 3.0  # a client may call its page stale after 10 s, three beats
SPACING_S = 0.5  # two changes within this are told as one,
NEWS_SPACING_S = 0.1  # but an incident that changed after this
WRITE_S = 10.0  # a client that takes nothing for so long is let go

Versions = dict[str, Incident]


def last_event_id(request: web.Request) -> int | None:
    """The version that the client has, if it resumes."""
    text = request.headers.get("Last-Event-ID", request.query.get("last_event_id", ""))
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise bad_request("Last-Event-ID", "is not a version")
    return int(text)


def view_event(view: View, health: Health, known: Versions) -> dict[str, Any]:
    """What a `view` event carries; `changed` are the incidents that differ from those known."""
    return {
        "version": view.version,
        "at": rfc3339(view.at),
        "status": health.status,
        "mode": health.mode,
        "probing": health.probing,
        "engine_tick_age_s": round(health.engine_tick_age_s, 1),
        "open": [
            {"id": i.id, "kind": i.kind.value, "state": i.state.value, "severity": i.severity}
            for i in view.incidents
            if i.open
        ],
        "changed": [i.id for i in view.incidents if known.get(i.id) is not i and known.get(i.id) != i],
    }


def frame(kind: str, data: dict[str, Any], number: int | None = None) -> bytes:
    """One event on the wire."""
    head = f"id: {number}\n" if number is not None else ""
    return f"{head}event: {kind}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode()


async def events(request: web.Request) -> web.StreamResponse:
    """Stream until the client goes or the server stops."""
    site, known = request.app[WEB], last_event_id(request)
    if len(site.streams) >= site.settings.streams_cap:
        raise Problem(503, "too-many-streams", "too many pages are open", headers={"Retry-After": "10"})
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
    await response.prepare(request)
    with contextlib.suppress(ConnectionError, TimeoutError):  # the client went, or we stop; it resumes with its id
        async with asyncio.timeout(None) as leash:
            site.streams.add(leash)
            try:
                await stream(site, response, known)
            finally:
                site.streams.discard(leash)
    return response


def end_streams(site: Web) -> None:
    """Let every stream end now, so that stopping the server waits for none."""
    for leash in site.streams:
        leash.reschedule(asyncio.get_running_loop().time())


async def stream(site: Web, response: web.StreamResponse, known: int | None) -> None:
    """Tell the present version unless the client has it, then every newer one; beat in between."""
    await send(response, b"retry: 2000\n\n")
    view = site.queries.view()
    told = known if known == view.version else None
    incidents: Versions = {} if told is None else {i.id: i for i in view.incidents}
    while True:
        health = site.health()
        if view.version != told:
            await send(response, frame("view", view_event(view, health, incidents), view.version))
            told, incidents = view.version, {i.id: i for i in view.incidents}
        beat = {"engine_tick_age_s": round(health.engine_tick_age_s, 1), "status": health.status}
        await send(response, b": beat\n" + frame("health", beat))
        view = await following(site, told)


async def following(site: Web, told: int) -> View:
    """The next view to tell of, at the latest with the next beat."""
    await site.clock.sleep(NEWS_SPACING_S)
    return await site.queries.changed(told, BEAT_S - SPACING_S, SPACING_S - NEWS_SPACING_S)


async def send(response: web.StreamResponse, data: bytes) -> None:
    async with asyncio.timeout(WRITE_S):
        await response.write(data)
