"""Every route of wards."""

from __future__ import annotations

from aiohttp import web

from healthmon.web import papers, status, wardpages, wards


def routes() -> list[web.RouteDef]:
    return [*wards.routes(), *wardpages.routes(), *papers.routes(), *status.routes()]
