"""What people do to incidents and to probing, strictly validated before a command is made of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, TypeVar

import msgspec
from aiohttp import web

from healthmon.model.alert import AlertKey
from healthmon.model.incident import Command
from healthmon.model.render import incident_json
from healthmon.web.audit import said_by
from healthmon.web.people import person
from healthmon.web.problem import Problem, bad_request
from healthmon.web.settings import WEB, Scrub

NAME_MOST = 80
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_MOST)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Body = TypeVar("Body", bound=msgspec.Struct)
#: What msgspec repeats of a body: values in quotes, unknown keys in backquotes.
_QUOTED = re.compile(r""" (['"]).*\1(?= - at|$)""", re.DOTALL)
_KEY = re.compile(r"(?<=unknown field )`(.*?)`(?= - at|$)", re.DOTALL)
_PLAIN_KEY = re.compile(r"[a-z][a-z_]{0,30}")


class Act(msgspec.Struct, forbid_unknown_fields=True):
    """Who acts; a session's name stands in when `by` is left out."""

    by: Name | None = None
    note: Text | None = None


class Pass(msgspec.Struct, forbid_unknown_fields=True):
    """Seen, not mine: who is asked instead (a team, a person, `duty-manager`)."""

    to: Name
    by: Name | None = None
    note: Text | None = None


class Note(msgspec.Struct, forbid_unknown_fields=True):
    text: Text
    by: Name | None = None


class Resolve(msgspec.Struct, forbid_unknown_fields=True):
    reason: Text
    by: Name | None = None
    impact: Text | None = None


class Merge(msgspec.Struct, forbid_unknown_fields=True):
    into: Id
    by: Name | None = None


class MemberRef(msgspec.Struct, forbid_unknown_fields=True):
    """One member as `GET incidents/ID` gives it; its times and reason may stay."""

    rule: Id
    target: Id
    check: Id
    vantage: Id
    labels: dict[str, str] = {}
    since: str | None = None
    cleared_at: str | None = None
    reason: str | None = None

    def key(self) -> str:
        """As alerts are named in text."""
        return str(AlertKey(self.rule, self.target, self.check, self.vantage, tuple(sorted(self.labels.items()))))


class Split(msgspec.Struct, forbid_unknown_fields=True):
    members: Annotated[list[Id | MemberRef], msgspec.Meta(min_length=1, max_length=10_000)]
    by: Name | None = None


class Probing(msgspec.Struct, forbid_unknown_fields=True):
    by: Name | None = None


class Acknowledge(msgspec.Struct, forbid_unknown_fields=True):
    """`pass_to`: seen, not mine; whoever is named is asked instead."""

    by: Name
    pass_to: Name | None = None


BODIES: dict[str, type[msgspec.Struct]] = {
    "ack": Act,
    "unack": Act,
    "own": Act,
    "pass": Pass,
    "note": Note,
    "mitigate": Act,
    "resolve": Resolve,
    "reopen": Act,
    "merge": Merge,
    "split": Split,
}


def command_of(action: str, incident: str, body: Any, *, by: str) -> Command:
    """The command that a checked body asks for."""
    match body:
        case Pass():
            return Command(action, incident, by, text=body.note or "", to=body.to)
        case Note():
            return Command(action, incident, by, text=body.text)
        case Resolve():
            return Command(action, incident, by, reason=body.reason, impact=body.impact or "")
        case Merge():
            return Command(action, incident, by, into=body.into)
        case Split():
            keys = (one if isinstance(one, str) else one.key() for one in body.members)
            return Command(action, incident, by, members=tuple(keys))
        case _:
            return Command(action, incident, by, text=body.note or "")


async def read_body(request: web.Request, kind: type[Body]) -> Body:
    """The JSON body as `kind`; raises 400 with the place and what was expected."""
    if request.content_type not in ("application/json", "application/octet-stream"):
        raise Problem(415, "not-json", "the body must be application/json")
    try:
        return msgspec.json.decode(await request.read() or b"{}", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise bad_request("body", _unquoted(str(error))) from None


def _unquoted(message: str) -> str:
    """What was wrong, without what was said: a value may be anything, and so may a key that is no plain word."""
    without = _QUOTED.sub("", message)
    return _KEY.sub(lambda found: found[0] if _PLAIN_KEY.fullmatch(found[1]) else "", without).strip()


def check_person(scrub: Scrub | None, by: str | None) -> None:
    """Who acts signs with a name, title and all ("Dr ..."); numbers and addresses are refused as anywhere."""
    is_name = by is not None and not any(char.isdigit() for char in by) and scrub is not None and scrub(by) == "name"
    check_texts(None if is_name else scrub, by)


def check_texts(scrub: Scrub | None, *texts: str | None) -> None:
    """Refuse what looks like patient data; nothing of it is stored, logged or repeated."""
    for text in texts:
        if text and not all(char.isprintable() or char in "\n\t" for char in text):
            raise bad_request("text", "holds control characters")
        if text and scrub and scrub(text):
            raise Problem(
                400,
                "patient-data",
                "This looks like patient data (a name, a number or a date of birth), so nothing of it was stored. "
                "Please say it again without naming the patient.",
            )


def acting_name(request: web.Request, given: str | None, otherwise: str = "") -> str:
    """Who acts: the person that signed in; where the site's or a tool's token was used, as given."""
    who = person(request)
    if who.user and given and given.strip() not in (who.name, who.user):
        raise Problem(403, "not-you", f"you are signed in as {who.name}; leave `by` out")
    name = who.name if who.user else (given or otherwise or who.name).strip()
    if not name:
        raise bad_request("by", "say who acts")
    said_by(request, name)
    return name


def incident_action(action: str) -> Callable[[web.Request], Coroutine[Any, Any, web.Response]]:
    """The handler of one action on an incident."""

    async def handle(request: web.Request) -> web.Response:
        site = request.app[WEB]

        async def act() -> web.Response:
            body: Any = await read_body(request, BODIES[action])
            by = acting_name(request, body.by)
            command = command_of(action, request.match_info["id"], body, by=by)
            check_person(site.scrub, by)
            check_texts(site.scrub, command.text, command.reason, command.impact)
            done = await site.commands.act(command)
            return web.json_response(incident_json(done, await site.queries.notices(done.id)))

        return await site.answers.once(request, act)

    return handle


def probing_action(*, resume: bool) -> Callable[[web.Request], Coroutine[Any, Any, web.Response]]:
    """The stop button and its release."""

    async def handle(request: web.Request) -> web.Response:
        site = request.app[WEB]

        async def act() -> web.Response:
            body = await read_body(request, Probing)
            by = acting_name(request, body.by)
            check_person(site.scrub, by)
            await site.commands.probing(resume=resume, by=by)
            return web.json_response({"probing": resume})

        return await site.answers.once(request, act)

    return handle


async def token_incident(request: web.Request) -> web.Response:
    """What a message's token is about; changes nothing."""
    site = request.app[WEB]
    found = await site.commands.incident_for_token(request.match_info["token"])
    return web.json_response(
        {
            "incident": found.id,
            "severity": found.severity,
            "state": found.state.value,
            "title": found.title,
            "owner": found.owner,
            "name": site.name_for_token(request.match_info["token"]) if site.name_for_token else None,
        }
    )


async def token_acknowledge(request: web.Request) -> web.Response:
    """Accept by the token of a message, or pass it on; the token is the permission."""
    site = request.app[WEB]

    async def act() -> web.Response:
        body = await read_body(request, Acknowledge)
        check_person(site.scrub, body.by)
        said_by(request, body.by)
        token = request.match_info["token"]
        if body.pass_to:
            done = await site.commands.pass_by_token(token, body.by, body.pass_to)
        else:
            done = await site.commands.acknowledge_by_token(token, body.by)
        return web.json_response(incident_json(done))

    return await site.answers.once(request, act)


def routes() -> list[web.RouteDef]:
    """Every acting route of /api/v1."""
    found = [web.post(f"/api/v1/incidents/{{id}}/{action}", incident_action(action)) for action in BODIES]
    found.append(web.post("/api/v1/probing/stop", probing_action(resume=False)))
    found.append(web.post("/api/v1/probing/resume", probing_action(resume=True)))
    found.append(web.get("/api/v1/ack/{token}", token_incident))
    found.append(web.post("/api/v1/ack/{token}", token_acknowledge))
    return found
