"""Errors as RFC 9457 problem details, or as a page for people; the per-request boundary."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

from aiohttp import web

from healthmon.model.errors import ConfigError, Conflict, HealthmonError, JournalDown, NotAllowed, NotFound, StoreDown
from healthmon.web.settings import WEB

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Problem(HealthmonError):
    """The request cannot be served as it is; `slug` is the stable word clients may switch on."""

    def __init__(
        self,
        status: int,
        slug: str,
        detail: str,
        *,
        errors: list[dict[str, str]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.slug = slug
        self.detail = detail
        self.errors = errors or []
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """The problem document."""
        document: dict[str, Any] = {
            "type": f"urn:healthmon:problem:{self.slug}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            document["errors"] = self.errors
        return document


def bad_request(field: str, message: str) -> Problem:
    """A 400 that names the field."""
    return Problem(400, "invalid", f"{field}: {message}", errors=[{"field": field, "message": message}])


async def form_of(request: web.Request) -> Any:
    """The posted form; raises 400 where the body is none."""
    try:
        return await request.post()
    except (ValueError, LookupError) as error:
        raise bad_request("body", "is not a form") from error


def for_machines(request: web.Request) -> bool:
    """Whether the answer is read by a program."""
    return request.path.startswith("/api/") or request.path in ("/metrics", "/probe")


def from_error(error: HealthmonError) -> Problem:
    """What an error of the core means to a client."""
    match error:
        case Problem():
            return error
        case NotFound():
            return Problem(404, "not-found", str(error) or "no such thing")
        case Conflict():
            return Problem(409, "conflict", str(error) or "does not fit the present state")
        case NotAllowed():
            return Problem(403, "not-allowed", str(error) or "not allowed")
        case ConfigError():
            return Problem(503, "files-down", "a file in data_dir cannot be used now; the log of the server says which")
        case StoreDown():
            retry = {"Retry-After": str(max(1, round(error.retry_after_s)))}
            return Problem(503, "store-down", "the time-series store does not answer now", headers=retry)
        case JournalDown():
            said = "healthmon cannot write to its disk now: this is not safe yet and will be tried again"
            return Problem(503, "journal-down", said, headers={"Retry-After": "5"})
        case _:
            return Problem(500, "internal", "healthmon could not do this; its log says why")


def from_http(error: web.HTTPException) -> Problem:
    """What aiohttp's own errors (no route, wrong method, too large) mean to a client."""
    slug = {404: "not-found", 405: "method-not-allowed", 413: "too-large"}.get(error.status, "http")
    headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
    details = {404: "nothing is served here", 413: "the body is larger than 64 KiB"}
    return Problem(error.status, slug, details.get(error.status, error.reason), headers=headers)


def problem_response(request: web.Request, problem: Problem) -> web.Response:
    """The problem as JSON for programs, as a page for people."""
    if for_machines(request):
        return web.json_response(
            problem.body(), status=problem.status, headers=problem.headers, content_type="application/problem+json"
        )
    page = request.app[WEB].pages.error(problem)
    return web.Response(text=page, status=problem.status, headers=problem.headers, content_type="text/html")


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever a handler raises into an answer."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return problem_response(request, from_http(error))
    except HealthmonError as error:
        problem = from_error(error)
        if problem.status == 500 or isinstance(error, ConfigError):
            log.error("request failed", exc_info=error, extra={"path": _route(request)})
        return problem_response(request, problem)
    except Exception as error:  # boundary: one request must not take the surfaces down
        request.app[WEB].errors += 1
        log.exception("request crashed", extra={"path": _route(request)})
        return problem_response(request, from_error(HealthmonError(str(error))))


def _route(request: web.Request) -> str:
    """The route's pattern, never the path itself: an acknowledgement token must not reach a log."""
    resource = request.match_info.route.resource
    return resource.canonical if resource else "(none)"
