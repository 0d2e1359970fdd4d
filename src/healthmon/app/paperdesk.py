"""The shell around the papers of the hours after: who was rung is kept; some papers come by themselves."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from healthmon.model.catalogue import Catalogue
from healthmon.model.incident import IncidentKind, Notice, Why
from healthmon.model.journal import Audit
from healthmon.model.oncall import Standby
from healthmon.model.paper import Paper, text
from healthmon.reports.papers import Desktop, Rung

if TYPE_CHECKING:
    from healthmon.app.server import Server

#: The audit kind of who was rung.
KIND = "rung"
_KEPT_S = 7 * 86_400.0
_WEEK_S = 7 * 86_400.0
#: A hand-over goes out this long before a shift changes.
HANDOVER_BEFORE_S = 900.0

Render = Callable[[Paper], str]


class PaperDesk:
    """Makes papers for one server, and sends those that are due."""

    def __init__(self, server: Server) -> None:
        self._server = server
        since = server.clock.now() - _KEPT_S
        self._rung = [msgspec.convert(event.body, Rung) for event in server.journal.events(KIND, since=since)]

    async def make(self, kind: str) -> Paper:
        """One paper, as things are now. Raises KeyError."""
        server, view = self._server, self._server.view()
        site, now = server.site, server.clock.now()
        shown = [one.id for one in view.incidents if one.open]
        notices = {id_: await asyncio.to_thread(server.journal.notices, id_) for id_ in shown}
        words = {language: Catalogue(language, messages) for language, messages in site.catalogues.items()}
        return Desktop(
            view=view,
            plan=site.wards,
            now=now,
            words=words,
            notices=notices,
            rung=tuple(self._rung),
            marks=tuple(server.wards.marks),
            oncall=self._oncall(now),
            next_update=self._next(now),
            url=server.public_url,
        ).make(kind)

    async def rang(self, who: str, by: str) -> Rung:
        """Somebody was rung. Raises OSError, sqlite3.Error."""
        made = Rung(self._server.clock.now(), who, by)
        await self._server.record(Audit(KIND, made.at, msgspec.to_builtins(made)))
        self._rung = [one for one in self._rung if one.at > made.at - _KEPT_S] + [made]
        self._server.changed_beside()
        return made

    async def due(self) -> list[Notice]:
        """Situation reports and hand-overs whose time has come; the key makes each of them one."""
        site, now = self._server.site, self._server.clock.now()
        found: list[Notice] = []
        if site.wards.situation and self._severe():
            slot = int(now // site.wards.situation_every_s)
            opened = min(one for one in self._severe())
            if slot * site.wards.situation_every_s > opened:
                found += self._notices("situation", site.wards.situation, await self.make("situation"), str(slot))
        changes = [s.shift.end for s in self._standbys(now) if 0.0 < s.shift.end - now <= HANDOVER_BEFORE_S]
        if site.wards.handover and changes:
            found += self._notices("handover", site.wards.handover, await self.make("handover"), f"{min(changes):.0f}")
        return found

    async def print_pack(self, render: Render) -> Path | None:
        """The week's print pack as a file, once a week; None when this week has one."""
        now = self._server.clock.now()
        folder = self._server.data_dir / "print-pack"
        file = folder / f"week-{int(now // _WEEK_S)}.html"
        if file.exists():
            return None
        page = render(await self.make("print-pack"))

        def write() -> None:
            folder.mkdir(exist_ok=True)
            part = file.with_suffix(".part")
            part.write_text(page, encoding="utf-8")
            part.replace(file)
            for old in sorted(folder.glob("week-*.html"))[:-4]:
                old.unlink()

        await asyncio.to_thread(write)
        return file

    def _severe(self) -> list[float]:
        """When each open incident of severity 1 or 2 was opened."""
        view = self._server.view()
        return [i.opened_at for i in view.incidents if i.open and i.severity <= 2 and i.kind is IncidentKind.INCIDENT]

    def _next(self, now: float) -> float:
        every = self._server.site.wards.situation_every_s
        return (now // every + 1) * every

    def _standbys(self, now: float) -> Sequence[Standby]:
        roster = self._server.roster
        return [roster.standby(rota, roster.wall(now)) for rota in sorted(roster.plan.rotas)]

    def _oncall(self, now: float) -> tuple[tuple[str, str, str], ...]:
        users = self._server.roster.plan.users
        found = []
        for one in self._standbys(now):
            following = users.get(one.following.user or "")
            found.append((one.rota.name, one.user.name if one.user else "", following.name if following else ""))
        return tuple(found)

    def _notices(self, kind: str, channels: Sequence[str], paper: Paper, slot: str) -> list[Notice]:
        now, body = self._server.clock.now(), text(paper)
        made = []
        for channel in channels:
            key = hashlib.sha256(f"{kind}|{slot}|{channel}".encode()).hexdigest()[:16]
            name = channel.partition(":")[2] or channel
            made.append(
                Notice(key, f"{kind}-{slot}", 0, channel.partition(":")[0], name, Why.DUTY, now,
                       f"{paper.title}, {paper.as_at}", body)
            )  # fmt: skip
        return made
