"""Answers that come back through a gateway: an SMS reply or a key pressed on the phone, and receipts of delivery."""

from __future__ import annotations

import asyncio
import hmac
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import msgspec

from healthmon.alerting.notify.webhook import signature as signature_of
from healthmon.config.site import ChannelConfig
from healthmon.model.errors import Conflict, NotAllowed, NotFound
from healthmon.model.incident import Command, Incident, IncidentState, Notice
from healthmon.model.journal import Audit

if TYPE_CHECKING:
    from healthmon.app.server import Server

#: The audit kind under which answers are kept; one with the same id counts once.
KIND = "reply"
#: Our names of what a gateway sends; `reply_fields` gives its own.
FIELDS = ("from", "text", "id", "key", "status")
DELIVERED = frozenset({"delivered", "delivrd", "received"})
_ANSWER = re.compile(r"^\s*([12])(?:\s+([0-9a-zA-Z-]{3,}))?\s*$")
_OPEN = (IncidentState.OPEN, IncidentState.ACKNOWLEDGED, IncidentState.MITIGATED)
#: A page older than this is not what an answer without a code is about (Unix s).
_FRESH_S = 12 * 3600.0


class Replies:
    """Reads a signed webhook: `1` accepts, `2` is "seen, not mine".

    With several incidents open the code of the SMS tells them apart, or the key of the message, where the gateway gives
    it back: a telephone has no letters, and a call is about one message.
    """

    def __init__(self, server: Server) -> None:
        self._server = server

    async def take(self, channel: str, raw: bytes, signature: str) -> str:
        """What to say back. Raises NotFound, NotAllowed (not signed), Conflict (not understood)."""
        config = self._server.site.channels.get(channel)
        if config is None or not config.reply_secret:
            raise NotFound(f"channel {channel[:63]!r} takes no replies")
        if not hmac.compare_digest(signature_of(config.reply_secret, raw).encode(), signature.encode()):
            raise NotAllowed("this reply is not signed with the secret of its channel")
        said = _read(raw, config)
        if said.get("status"):
            return self._receipt(said)
        return await self._answer(channel, said)

    def _receipt(self, said: dict[str, str]) -> str:
        if said["status"].casefold() not in DELIVERED:
            return "noted"
        known = self._server.delivered(said.get("key", ""))
        return "delivered" if known else "no such message"

    async def _answer(self, channel: str, said: dict[str, str]) -> str:
        page = await self._page(channel, said)
        server, sender = self._server, said.get("from") or (page.to if page else "")
        to = _plain(sender)
        user = next((u for u in server.roster.plan.users.values() for c, address in u.readers
                     if c == channel and _plain(address) == to), None)  # fmt: skip
        reader = next((r for r in user.readers if r[0] == channel), (channel, sender)) if user else (channel, sender)
        match = _ANSWER.match(said.get("text", ""))
        if match is None:
            raise Conflict("not understood: answer 1 to take it, 2 if it is not yours")
        key = f"{channel}|{said['id']}" if said.get("id") else None
        known = await asyncio.to_thread(server.journal.knows, KIND, key) if key is not None else False
        if known:
            return "known already"  # a gateway may send its webhook twice
        code, who = page.incident if page else match[2], user.name if user else sender
        drill = self._drill(reader, code)
        if drill is not None:
            await server.drills.acknowledge(drill, who)
            about, answer = drill, "thank you, that was a fire drill"
        else:
            about = (self._live(page.incident) if page else await self._meant(reader, code)).id
            answer = await self._acted(about, accepts=match[1] == "1", who=who, known=user is not None, reader=reader)
        # After the act: what could not be done is done when the gateway says it again.
        body = {"channel": channel, "who": who, "text": said.get("text", "")}
        await server.record(Audit(KIND, server.clock.now(), body, about, key))
        return answer

    async def _acted(self, about: str, *, accepts: bool, who: str, known: bool, reader: tuple[str, str]) -> str:
        server, how = self._server, f"by {reader[0]}"
        if accepts:
            done = await server.act(Command("ack", about, who, text=how, reader=reader))
            return f"{done.owner} has it" if done.owner == who else f"noted; {done.owner} has it"
        to_whom = "next" if known and self._somebody_is_next(about) else "duty-manager"
        await server.act(Command("pass", about, who, text=how, to=to_whom, reader=reader))
        return "passed on"

    def _somebody_is_next(self, about: str) -> bool:
        server = self._server
        found = server.incident(about)
        return server.roster.meant("next", found.team if found else None, server.clock.now()) is not None

    async def _page(self, channel: str, said: dict[str, str]) -> Notice | None:
        """The message that is answered, by its key; only by whom it was sent to."""
        found = await asyncio.to_thread(self._server.journal.notice, said["key"]) if said.get("key") else None
        mine = found is not None and found.channel == channel
        return found if found and mine and _plain(said.get("from") or found.to) == _plain(found.to) else None

    def _drill(self, reader: tuple[str, str], code: str | None) -> str | None:
        """The drill that this answers: the one of the code, or the only thing that this reader was asked about.

        A real incident always comes first: no drill swallows its answer.
        """
        found = self._server.drills.open_for(
            lambda one: (one[0], _plain(one[1])) == (reader[0], _plain(reader[1]))  # however the number is written
        )
        if found is None or (code and not found.id.endswith(code.casefold())):
            return None
        if not code and any(one.state in _OPEN for one in self._server.view().incidents):
            return None
        return found.id

    async def _meant(self, reader: tuple[str, str], code: str | None) -> Incident:
        """The open incident that this reader was paged about; with several, the one of the code."""
        server = self._server
        found: dict[str, Incident] = {}
        for incident in server.view().incidents:
            live = server.incident(incident.id) or incident  # what went into another is answered there
            if live.state not in _OPEN or (code and not incident.id.endswith(code.casefold())):
                continue
            notices = await asyncio.to_thread(server.journal.notices, incident.id)
            fresh = server.clock.now() - _FRESH_S
            if any((n.channel, _plain(n.to)) == (reader[0], _plain(reader[1])) and n.due >= fresh for n in notices):
                found[live.id] = live
        if not found:
            raise NotFound("nothing open was sent to this number")
        if len(found) > 1:
            answers = ", ".join(f"1 {id_[-4:]}" for id_ in list(found)[:4])
            raise Conflict(f"{len(found)} incidents are open: answer {answers}")
        return next(iter(found.values()))

    def _live(self, id_: str) -> Incident:
        """The incident of a message, wherever it went. Raises NotFound."""
        found = self._server.incident(id_)
        if found is None or found.state not in _OPEN:
            raise NotFound("what this message was about is over")
        return found


def _read(raw: bytes, config: ChannelConfig) -> dict[str, str]:
    """JSON or a form, under the gateway's own names. Raises Conflict."""
    try:
        data: Any = msgspec.json.decode(raw) if raw.lstrip()[:1] == b"{" else dict(parse_qsl(raw.decode()))
    except (msgspec.DecodeError, UnicodeDecodeError):
        data = None
    if not isinstance(data, dict):
        raise Conflict("not understood: send JSON or a form")
    names = {field: config.reply_fields.get(field, field) for field in FIELDS}
    return {field: str(data[name]) for field, name in names.items() if data.get(name) not in (None, "")}


def _plain(address: str) -> str:
    """A telephone number without what people write between the digits."""
    kept = re.sub(r"[\s().-]", "", address)
    return kept if re.fullmatch(r"\+?\d+", kept) else address.casefold()
