"""Two people, each signed in: what one asks for waits here until another one approves it."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Protocol

from aiohttp import web

from healthmon.model.approval import Waiting, waiting_for
from healthmon.model.errors import ConfigError, Conflict, NotFound
from healthmon.model.mute import Floor, Mute, MuteCommand, Standing
from healthmon.model.ports import Clock
from healthmon.web.people import Person, person
from healthmon.web.problem import Problem
from healthmon.web.settings import WEB, Web

WAITING_MOST = 100


class ApprovalLog(Protocol):
    """Where what waits outlives this process. Raises JournalDown."""

    def kept(self) -> Sequence[Waiting]: ...

    async def asked(self, waiting: Waiting) -> None: ...

    async def approved(self, waiting: Waiting, by: str) -> None: ...

    async def people_sign_in(self, *, here: bool) -> bool:
        """Whether people have logins; `here`: this server knows of some now. Once they had, they have."""
        ...


class Approvals:
    """What waits, newest last; without a log it is forgotten at a restart."""

    def __init__(self, clock: Clock, kept: ApprovalLog | None = None) -> None:
        self._clock = clock
        self._log = kept
        self._waiting = {one.id: one for one in (kept.kept() if kept else ())}

    def all(self) -> list[Waiting]:
        now = self._clock.now()
        self._waiting = {id_: one for id_, one in self._waiting.items() if one.waits(now)}
        return list(self._waiting.values())

    async def ask(self, draft: Mute, who: Person) -> Waiting:
        """Let it wait. Raises Conflict when too much does."""
        if len(self.all()) >= WAITING_MOST:
            raise Conflict(f"{WAITING_MOST} approvals wait already")
        id_, now = secrets.token_hex(6), self._clock.now()
        found = waiting_for(draft, id_=id_, by=who.name, user=who.user, at=now)
        if self._log:
            await self._log.asked(found)
        self._waiting[id_] = found
        return found

    async def people_sign_in(self, *, here: bool) -> bool:
        return await self._log.people_sign_in(here=here) if self._log else here

    def find(self, id_: str) -> Waiting:
        """Raises NotFound."""
        for one in self.all():
            if one.id == id_:
                return one
        raise NotFound("nothing of this name waits for approval; it may have been too long")

    @asynccontextmanager
    async def taken(self, waiting: Waiting, by: str) -> AsyncIterator[None]:
        """Out of the list while it is made, so that two approvals make one; back in when that fails."""
        self._waiting.pop(waiting.id, None)
        try:
            yield
        except BaseException:
            self._waiting[waiting.id] = waiting
            raise
        if self._log:
            await self._log.approved(waiting, by)


async def individuals(site: Web) -> bool:
    """Whether people sign in here each under their own name, so that names on trust are not enough for two.

    Also where the file of users is missing that the other server of a pair had.
    """
    sign_in = site.settings.sign_in
    return await site.approvals.people_sign_in(here=bool(sign_in.proxy or sign_in.oidc or users_kept(site)))


def users_kept(site: Web) -> bool:
    """A file that cannot be read was one of users."""
    try:
        return bool(site.accounts.all())
    except ConfigError:
        return True


async def note_logins(app: web.Application) -> None:
    """At a start: what this server knows of logins is known to the other one from then on."""
    await individuals(app[WEB])


def one_person(request: web.Request) -> Person:
    """The person who asks, known by a login of their own; raises 403 for a token that several may hold."""
    who = person(request)
    if not who.user:
        detail = "below the clinical floor people act each under a login of their own, not with a shared token"
        raise Problem(403, "not-a-person", f"{detail}; alone, break the glass (at most 1 h, reviewed)")
    return who


async def waits_for_second(request: web.Request, draft: Mute) -> Waiting | None:
    """Put down what needs a second person, where people have logins; None when it can be made at once."""
    site = request.app[WEB]
    if draft.floor is not Floor.TWO_PEOPLE or not await individuals(site):
        return None
    if draft.approved_by:
        raise Problem(403, "approve-signed-in", "the second person approves by signing in; leave approved_by out")
    return await site.approvals.ask(draft, one_person(request))


async def approve(request: web.Request, id_: str) -> Standing:
    """The second person's word: makes what waits. Raises 403 for the one who asked, NotFound, NotAllowed."""
    site, who = request.app[WEB], one_person(request)
    found = site.approvals.find(id_)
    if who.user == found.user:
        raise Problem(403, "second-person", "another person than the one who asked has to approve it")
    draft = replace(found.draft, approved_by=who.name)
    async with site.approvals.taken(found, who.name):
        return await site.commands.mute(MuteCommand("add", found.by, draft=draft))


async def reviewer(request: web.Request) -> None:
    """Who reviews a broken glass is one person with a login, where people have logins."""
    if await individuals(request.app[WEB]):
        one_person(request)


async def listed(request: web.Request) -> web.Response:
    """What waits for a second person."""
    return web.json_response({"items": [one.as_json() for one in request.app[WEB].approvals.all()], "next": None})


def approving(shape: Callable[[Standing], dict[str, Any]]) -> Callable[[web.Request], Any]:
    """The handler of approving; `shape` is how a silence or change is shown."""

    async def handle(request: web.Request) -> web.Response:
        async def act() -> web.Response:
            return web.json_response(shape(await approve(request, request.match_info["id"])), status=201)

        return await request.app[WEB].answers.once(request, act)

    return handle
