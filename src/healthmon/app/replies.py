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
from healthmon.model.incident import Command, Incident, IncidentState
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
    """Reads a signed webhook: `1` accepts, `2` is "seen, not mine"; with a code where several incidents are open."""

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
        server, sender = self._server, said.get("from", "")
        to = _plain(sender)
        user = next((u for u in server.roster.plan.users.values() for c, address in u.readers
                     if c == channel and _plain(address) == to), None)  # fmt: skip
        reader = next((r for r in user.readers if r[0] == channel), (channel, sender)) if user else (channel, sender)
        match = _ANSWER.match(said.get("text", ""))
        if match is None:
            raise Conflict("not understood: answer 1 to take it, 2 if it is not yours")
        drill = self._drill(reader, match[2])
        if drill is not None:
            await server.drills.acknowledge(drill, user.name if user else sender)
            return "thank you, that was a fire drill"
        incident = await self._meant(reader, match[2])
        who = user.name if user else sender
        if not await self._first_time(channel, said, incident, who):
            return "known already"
        if match[1] == "1":
            done = await server.act(Command("ack", incident.id, who, text=f"by {channel}", reader=reader))
            return f"{done.owner} has it" if done.owner == who else f"noted; {done.owner} has it"
        to_whom = "next" if user else "duty-manager"
        await server.act(Command("pass", incident.id, who, text=f"by {channel}", to=to_whom, reader=reader))
        return "passed on"

    def _drill(self, reader: tuple[str, str], code: str | None) -> str | None:
        """The drill that this answers: the one of the code, or the only thing that this reader was asked about.

        A real incident always comes first: no drill swallows its answer.
        """
        found = self._server.drills.open_for(reader)
        if found is None or (code and not found.id.endswith(code.casefold())):
            return None
        if code is None and any(one.state in _OPEN for one in self._server.view().incidents):
            return None
        return found.id

    async def _meant(self, reader: tuple[str, str], code: str | None) -> Incident:
        """The open incident that this reader was paged about; with several, the one of the code."""
        server = self._server
        found = []
        for incident in server.view().incidents:
            if incident.state not in _OPEN or (code and not incident.id.endswith(code.casefold())):
                continue
            notices = await asyncio.to_thread(server.journal.notices, incident.id)
            fresh = server.clock.now() - _FRESH_S
            if any((n.channel, _plain(n.to)) == (reader[0], _plain(reader[1])) and n.due >= fresh for n in notices):
                found.append(incident)
        if not found:
            raise NotFound("nothing open was sent to this number")
        if len(found) > 1:
            answers = ", ".join(f"1 {incident.id[-4:]}" for incident in found[:4])
            raise Conflict(f"{len(found)} incidents are open: answer {answers}")
        return found[0]

    async def _first_time(self, channel: str, said: dict[str, str], incident: Incident, who: str) -> bool:
        """A gateway may send its webhook twice."""
        key = f"{channel}|{said['id']}" if said.get("id") else None
        body = {"channel": channel, "who": who, "text": said.get("text", "")}
        now = self._server.clock.now()
        return await self._server.record(Audit(KIND, now, body, incident.id, key))


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
