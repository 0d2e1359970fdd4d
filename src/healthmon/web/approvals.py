"""Two people, each signed in: what one asks for waits here until another one approves it."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from aiohttp import web

from healthmon.model.errors import Conflict, NotFound
from healthmon.model.mute import Floor, Mute, MuteCommand, Silence, Standing
from healthmon.model.ports import Clock
from healthmon.model.render import rfc3339
from healthmon.web.people import Person, person
from healthmon.web.problem import Problem
from healthmon.web.settings import WEB, Web

#: What nobody approves in this time is forgotten; so is everything at a restart, and the asker asks again.
WAITS_S = 1800.0
WAITING_MOST = 100


@dataclass(frozen=True, slots=True)
class Waiting:
    """One silence or change below the clinical floor that a second person has to approve."""

    id: str
    draft: Mute
    by: str
    user: str
    at: float

    @property
    def what(self) -> str:
        return self.draft.match.words() if isinstance(self.draft, Silence) else self.draft.title

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "kind": "silence" if isinstance(self.draft, Silence) else "change",
            "what": self.what,
            "reason": self.draft.reason,
            "asked_by": self.by,
            "asked_at": rfc3339(self.at),
            "until": rfc3339(self.at + WAITS_S),
            "ends_at": rfc3339(self.draft.when.ends_at),
        }


class Approvals:
    """What waits, newest last."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: OrderedDict[str, Waiting] = OrderedDict()

    def all(self) -> list[Waiting]:
        now = self._clock.now()
        for one in [one for one in self._waiting.values() if not 0.0 <= now - one.at <= WAITS_S]:
            del self._waiting[one.id]
        return list(self._waiting.values())

    def ask(self, draft: Mute, who: Person) -> Waiting:
        """Let it wait. Raises Conflict when too much does."""
        if len(self.all()) >= WAITING_MOST:
            raise Conflict(f"{WAITING_MOST} approvals wait already")
        found = Waiting(secrets.token_hex(6), draft, who.name, who.user, self._clock.now())
        self._waiting[found.id] = found
        return found

    def find(self, id_: str) -> Waiting:
        """Raises NotFound."""
        for one in self.all():
            if one.id == id_:
                return one
        raise NotFound("nothing of this name waits for approval; it may have been too long")

    def done(self, id_: str) -> None:
        self._waiting.pop(id_, None)


def individuals(site: Web) -> bool:
    """Whether people sign in here each under their own name, so that names on trust are not enough for two."""
    sign_in = site.settings.sign_in
    return bool(sign_in.proxy or sign_in.oidc or site.accounts.all())


def one_person(request: web.Request) -> Person:
    """The person who asks, known by a login of their own; raises 403 for a token that several may hold."""
    who = person(request)
    if not who.user:
        detail = "below the clinical floor people act each under a login of their own, not with a shared token"
        raise Problem(403, "not-a-person", f"{detail}; alone, break the glass (at most 1 h, reviewed)")
    return who


def waits_for_second(request: web.Request, draft: Mute) -> Waiting | None:
    """Put down what needs a second person, where people have logins; None when it can be made at once."""
    site = request.app[WEB]
    if draft.floor is not Floor.TWO_PEOPLE or not individuals(site):
        return None
    if draft.approved_by:
        raise Problem(403, "approve-signed-in", "the second person approves by signing in; leave approved_by out")
    return site.approvals.ask(draft, one_person(request))


async def approve(request: web.Request, id_: str) -> Standing:
    """The second person's word: makes what waits. Raises 403 for the one who asked, NotFound, NotAllowed."""
    site, who = request.app[WEB], one_person(request)
    found = site.approvals.find(id_)
    if who.user == found.user:
        raise Problem(403, "second-person", "another person than the one who asked has to approve it")
    made = await site.commands.mute(MuteCommand("add", found.by, draft=replace(found.draft, approved_by=who.name)))
    site.approvals.done(id_)
    return made


def reviewer(request: web.Request) -> None:
    """Who reviews a broken glass is one person with a login, where people have logins."""
    if individuals(request.app[WEB]):
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
