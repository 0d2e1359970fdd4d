"""The told-log for people: what was sent, what is dead and sent again, and what a channel would carry."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from healthmon.alerting.incidents.text import DEFAULT_TEXT
from healthmon.alerting.notify import make_channel
from healthmon.alerting.oncall import wording
from healthmon.alerting.oncall.case import areas_hit, notice_key
from healthmon.model.errors import Conflict, NotFound
from healthmon.model.incident import (
    ImpactLine,
    Incident,
    IncidentKind,
    IncidentState,
    Notice,
    NoticeFilter,
    NoticeResult,
    Paths,
    Root,
    ServiceState,
    Why,
)
from healthmon.model.journal import Audit, Changes
from healthmon.model.ports import Previewed
from healthmon.model.render import incident_json
from healthmon.model.topology import Estate

if TYPE_CHECKING:
    from healthmon.app.server import Server

#: The audit kind under which it is kept who had what sent again.
KIND = "resend"
EXAMPLE = "inc-example"


class Letters:
    """Implements the Letters port on top of the server."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def told(self, limit: int, before: float | None, wanted: NoticeFilter) -> Sequence[Notice]:
        return await asyncio.to_thread(self._server.journal.told_log, limit, before, wanted)

    async def resend(self, key: str, by: str) -> Notice:
        server, now = self._server, self._server.clock.now()
        dead = await asyncio.to_thread(server.journal.notice, key)
        if dead is None:
            raise NotFound(f"no notice {key[:80]!r}")
        if dead.result is not NoticeResult.DEAD:
            raise Conflict(f"it is not dead but {dead.result.value}")
        if not server.pages_somebody():
            raise Conflict("nothing is live here (alerting.mode: shadow): nobody is told")
        if dead.channel not in server.site.channels:
            raise Conflict(f"there is no channel '{dead.channel}' any more")
        again = self._late(dead, by, now)
        line = Audit(KIND, now, {"by": by, "key": key, "new": again.key}, dead.incident, key)
        if not await server.record(line):
            raise Conflict("it was sent again already; what came of that has a key of its own")
        await server.commit(Changes(at=now, notices=(again,)))
        server.dispatcher.put([again])
        return again

    async def previews(self, incident: str | None, why: Why) -> Sequence[Previewed]:
        server = self._server
        if incident is None:
            about = example(server.site.estate, server.clock.now())
        else:
            known = await asyncio.to_thread(server.journal.incident, incident)
            known = next((one for one in server.view().incidents if one.id == incident), known)
            if known is None:
                raise NotFound(f"no incident {incident[:80]!r}")
            about = known
        found = []
        for channel in server.site.channels.values():
            notice = self._notice(about, channel.id, why)
            sender = make_channel(channel.kind, channel.params)
            text = getattr(sender, "preview", _plain)(notice)
            found.append(Previewed(channel.id, channel.kind, notice.subject, text))
        return found

    def _notice(self, about: Incident, channel: str, why: Why) -> Notice:
        """What the escalation would make of it now, save the key."""
        server = self._server
        return Notice(
            key="0" * 16, incident=about.id, step=0, channel=channel, to=channel, why=why, due=server.clock.now(),
            subject=wording.subject(about, why), text=wording.text(about, why, server.site.estate),
            body=incident_json(about), severity=about.severity, areas=tuple(sorted(areas_hit(about))), kind=about.kind,
        )  # fmt: skip

    def _late(self, dead: Notice, by: str, now: float) -> Notice:
        server = self._server
        incident = next((one for one in server.view().incidents if one.id == dead.incident), None)
        zone = wording.zone_of(incident, server.site.estate) if incident else None
        words = {**DEFAULT_TEXT, **server.site.text}
        since = wording.clock_text(dead.due, zone or wording.organisation_zone(server.site.estate))
        state = f" ({incident.state.value})" if incident else ""
        head = words["late_notice"].format(since=since, state=state, by=by)
        return replace(
            dead, key=notice_key(dead.key, KIND), due=now, text=f"{head}\n{dead.text}", result=NoticeResult.QUEUED,
            at=None, attempts=0, detail="", repeat=False, delivered_at=None,
        )  # fmt: skip


def example(estate: Estate, now: float) -> Incident:
    """An invented incident about this estate's first service, area and target: for looking at words, never stored."""
    service = next(iter(estate.services.values()), None)
    area = next(iter(estate.areas.values()), None)
    target = next(iter(estate.targets), "sw-example")
    lines: tuple[ImpactLine, ...] = ()
    if service and area:
        lines = (ImpactLine(area.id, service.id, ServiceState.LOST, now - 60.0, Paths(0, 1)),)
    what = f"{service.name} not available in {area.name}" if service and area else f"{target} does not answer"
    return Incident(
        id=EXAMPLE, kind=IncidentKind.INCIDENT, state=IncidentState.OPEN, severity=2, impact_level=2, urgency=2,
        title=f"EXAMPLE: {what}", plain_text="This is an example: nothing has failed.",
        root=Root(target, "icmp", "timeout", 0.9), members=(), impact=lines, impact_known="full" if lines else "none",
        opened_at=now - 60.0, first_evidence_at=now - 65.0,
    )  # fmt: skip


def _plain(notice: Notice) -> str:
    return notice.text
