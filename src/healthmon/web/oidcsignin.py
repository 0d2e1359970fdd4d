"""The two routes of signing in through an OpenID provider."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from aiohttp import web

from healthmon.web.audit import said_by, write
from healthmon.web.origin import local_path, own_host, secure
from healthmon.web.problem import Problem
from healthmon.web.settings import WEB
from healthmon.web.signin import let_in, login_page

if TYPE_CHECKING:
    from healthmon.web.oidc import Provider

log = logging.getLogger(__name__)

COOKIE = "healthmon_oidc"
PATH = "/login/oidc"


class ProviderDown(Exception):
    """The provider cannot be reached or answers what it should not; try again, or sign in another way."""


class ProviderRefused(Exception):
    """The answer proves nobody: forged, late, for somebody else, or refused over there."""


def provider_of(request: web.Request) -> Provider:
    found = request.app[WEB].provider
    if found is None:
        raise web.HTTPNotFound
    return found


async def begin(request: web.Request) -> web.Response:
    """Send the browser to the provider, holding what ties the answer to it."""
    provider = provider_of(request)
    scheme = "https" if secure(request) else "http"
    redirect_uri = f"{scheme}://{own_host(request)}{PATH}/callback"
    following = local_path(request.query.get("next", "/"))
    try:
        url, browser = await provider.begin(following=following, redirect_uri=redirect_uri)
    except (ProviderDown, ProviderRefused) as error:
        return down(request, error)
    answer = web.Response(status=303, headers={"Location": url})
    # Lax: the provider's redirect is another site's, and a strict cookie would stay at home
    answer.set_cookie(COOKIE, browser, max_age=600, httponly=True, samesite="Lax", secure=secure(request), path=PATH)
    return answer


async def callback(request: web.Request) -> web.Response:
    """Take the provider's word for who it is. The page then leads on: a redirect would leave the new cookie at home."""
    site, provider = request.app[WEB], provider_of(request)
    try:
        who, following = await provider.finish(request.query, browser=request.cookies.get(COOKIE, ""))
    except ProviderRefused as error:
        await write(request, site, "refused", str(error), what="login oidc")
        return login_page(request, following="/", wrong=f"Not signed in: {error}.", status=403)
    except ProviderDown as error:
        return down(request, error)
    page = site.pages.render("signedin.html", {"following": local_path(following), "name": who.name, "timezone": "UTC"})
    answer = web.Response(text=page, content_type="text/html")
    answer.del_cookie(COOKIE, path=PATH)
    try:
        let_in(request, who, answer)
    except Problem as problem:
        await write(request, site, "refused", problem.slug, what="login oidc")
        return login_page(request, following="/", wrong=problem.detail, status=403)
    said_by(request, who.name)
    await write(request, site, "done", what="login oidc")
    return answer


def down(request: web.Request, error: Exception) -> web.Response:
    log.warning("login provider", extra={"error": str(error)})
    words = f"The login provider is of no help now: {error}. The site's token still works."
    return login_page(request, following="/", wrong=words, status=503)


def routes() -> list[web.RouteDef]:
    return [web.get(PATH, begin, allow_head=False), web.get(f"{PATH}/callback", callback, allow_head=False)]
