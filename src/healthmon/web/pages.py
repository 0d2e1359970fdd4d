"""Templates and static files, loaded once from the package; nothing else touches the disk."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from healthmon import __version__

if TYPE_CHECKING:
    from healthmon.web.problem import Problem

TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file of the package, with the first characters of its SHA-256 as its version."""

    body: bytes
    content_type: str
    version: str


def load_static() -> dict[str, StaticFile]:
    """Every file of `static/` that a browser may have, by name."""
    found = {}
    for entry in files("healthmon.web").joinpath("static").iterdir():
        kind = TYPES.get("." + entry.name.rpartition(".")[2])
        if kind:
            body = entry.read_bytes()
            found[entry.name] = StaticFile(body, kind, hashlib.sha256(body).hexdigest()[:12])
    return found


class Pages:
    """Renders pages; every value is escaped unless a template of ours says otherwise (none does)."""

    def __init__(self) -> None:
        self.static = load_static()
        self._jinja = Environment(
            loader=PackageLoader("healthmon.web"),
            autoescape=select_autoescape(default=True, default_for_string=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._jinja.globals["static"] = self.static_url
        self._jinja.globals["product_version"] = __version__

    def static_url(self, name: str) -> str:
        """A URL that changes with the content, so that it may be cached for ever."""
        return f"/static/{name}?v={self.static[name].version}"

    def render(self, template: str, facts: Mapping[str, Any]) -> str:
        return self._jinja.get_template(template).render(facts)

    def error(self, problem: Problem) -> str:
        """A page that says what is wrong."""
        return self.render("error.html", {"problem": problem, "timezone": "UTC"})


def static_handler(pages: Pages) -> Any:
    """Serves the loaded files by exact name."""

    async def serve(request: web.Request) -> web.Response:
        found = pages.static.get(request.match_info["name"])
        if found is None:
            raise web.HTTPNotFound
        fresh = request.query.get("v") == found.version
        cache = "public, max-age=31536000, immutable" if fresh else "no-cache"
        headers = {"Cache-Control": cache, "ETag": f'"{found.version}"'}
        if request.headers.get("If-None-Match") == headers["ETag"]:
            return web.Response(status=304, headers=headers)
        return web.Response(body=found.body, content_type=found.content_type, charset="utf-8", headers=headers)

    return serve
