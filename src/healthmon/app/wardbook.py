"""The shell around what wards say: on disk before the answer, kept for the engine when that is stuck, never refused."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from healthmon.alerting.incidents.reports import Placed
from healthmon.alerting.journal import Journal
from healthmon.model.catalogue import Catalogue
from healthmon.model.errors import HealthmonError
from healthmon.model.incident import Incident
from healthmon.model.journal import Audit
from healthmon.model.render import report_json
from healthmon.model.report import Filed, Mark, Said
from healthmon.model.wards import Desk
from healthmon.runtime.supervise import detach

if TYPE_CHECKING:
    from healthmon.app.server import Server

log = logging.getLogger(__name__)

#: Audit kinds: a report that waits for the engine, and the same once the engine has it.
WAITING, TAKEN = "report_waiting", "report_taken"
#: The audit kind of what wards say of paper; how long it stands on their page.
MARK, MARKS_KEPT_S = "downtime", 2 * 86_400.0
#: So long the engine may take to put a report on disk; then it is put there beside the engine.
ENGINE_WAIT_S = 3.0
DISK_WAIT_S = 3.0
#: A flood of reports is one step of the engine.
_GATHER_S = 0.02
#: Reports that waited longer than this for an engine tell nobody anything new.
_WAIT_MOST_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a report. safe: it is on disk; placed: None while the engine does not have it."""

    filed: Filed
    placed: Placed | None
    safe: bool
    incident: Incident | None = None
    paged: bool = False


class WardBook:
    """Takes reports for one server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._gathering: asyncio.Future[None] | None = None
        self._owed: dict[str, Filed] = {one.id: one for one in waiting(server.journal, server.clock.now())}
        self._unmarked: set[str] = set()
        since = server.clock.now() - MARKS_KEPT_S
        self.marks = [msgspec.convert(event.body, Mark) for event in server.journal.events(MARK, since=since)]

    async def report(self, filed: Filed) -> Taken:
        """Take it; the answer comes when it is on disk, by the engine or beside it, or says that it is not."""
        placed: Placed | None = None
        try:
            async with asyncio.timeout(ENGINE_WAIT_S):
                placed = await self._server.report(filed)
                await self._step()
        except (TimeoutError, HealthmonError, OSError, sqlite3.Error) as error:
            return await self._beside(filed, placed, error)
        except Exception as error:  # boundary: one report; whatever the engine does, the ward gets an answer
            return await self._beside(filed, placed, error)
        return await self._found(filed, placed)

    async def works_again(self, incident: str, area: str) -> Incident | None:
        """A ward says that it can work again."""
        found = await self._server.works_again(incident, area)
        await self._step()
        return found

    async def look(self) -> None:
        """Give the engine what it could not take when it was said."""
        for filed in list(self._owed.values()):
            try:
                await self._server.report(filed)
                await self._step()
            except HealthmonError:
                return
            del self._owed[filed.id]
            self._unmarked.add(filed.id)
        await self._mark()

    async def mark(self, mark: Mark) -> None:
        """A ward began or ended paper, or writing back. Raises OSError, sqlite3.Error."""
        body = msgspec.to_builtins(mark)
        await self._server.record(Audit(MARK, mark.at, body))
        self.marks = [one for one in self.marks if one.at > mark.at - MARKS_KEPT_S] + [mark]
        self._server.changed_beside()

    def desk(self, area: str) -> Desk:
        """Whom this area rings."""
        site = self._server.site
        known = site.estate.areas.get(area)
        return site.wards.desk_of(known.site if known else None)

    def catalogue(self, area: str) -> Catalogue:
        """The words of this area."""
        site = self._server.site
        known = site.estate.areas.get(area)
        language = site.wards.language_of(area=area, site=known.site if known else None)
        return Catalogue(language, site.catalogues[language])

    async def _step(self) -> None:
        """The next step of the engine, shared by everybody who asks within a moment."""
        if self._gathering is None:
            self._gathering = asyncio.get_running_loop().create_future()
            detach("ward step", self._gathered(self._gathering))
        await asyncio.shield(self._gathering)

    async def _gathered(self, done: asyncio.Future[None]) -> None:
        await self._server.clock.sleep(_GATHER_S)
        self._gathering = None
        try:
            await self._server.step()
        except Exception as error:  # boundary: whoever waits for the step hears of it
            done.set_exception(error)
            done.exception()  # heard, also when nobody waits any more
        else:
            done.set_result(None)

    async def _beside(self, filed: Filed, placed: Placed | None, error: Exception) -> Taken:
        """The engine did not put it on disk: write it beside, and let the engine have it later if it has not."""
        log.error("a ward's report waits for the engine", extra={"error": type(error).__name__})
        self._owed[filed.id] = filed  # the engine may be built anew without it; the same filing counts once
        body = msgspec.to_builtins(filed)
        line = Audit(WAITING, filed.at, body, key=filed.id)
        try:
            async with asyncio.timeout(DISK_WAIT_S):
                await self._server.record(line)
        except (TimeoutError, OSError, sqlite3.Error):
            return Taken(filed, placed, safe=False, incident=placed.incident if placed else None)
        return Taken(filed, placed, safe=True, incident=placed.incident if placed else None)

    async def _found(self, filed: Filed, placed: Placed) -> Taken:
        incident = self._server.incident(placed.incident.id) or placed.incident
        notices = await asyncio.to_thread(self._server.journal.notices, incident.id)
        return Taken(filed, placed, safe=True, incident=incident, paged=bool(notices))

    async def _mark(self) -> None:
        """The engine has these on disk itself: a restart must not count them twice."""
        now = self._server.clock.now()
        for id_ in sorted(self._unmarked):
            try:
                await self._server.record(Audit(TAKEN, now, {"id": id_}, key=id_))
            except (OSError, sqlite3.Error):
                return
            self._unmarked.discard(id_)


def waiting(journal: Journal, now: float) -> list[Filed]:
    """What was put beside the engine and never reached it."""
    taken = {event.body["id"] for event in journal.events(TAKEN, since=now - _WAIT_MOST_S)}
    found = [msgspec.convert(event.body, Filed) for event in journal.events(WAITING, since=now - _WAIT_MOST_S)]
    return [filed for filed in found if filed.id not in taken]


def answer(taken: Taken, words: Catalogue, desk: Desk, *, clock: Any, dropped: bool, broken: bool) -> dict[str, Any]:
    """What the ward is told: who has it, whom to ring, and what happens next. `clock` gives a local HH:MM."""
    incident, filed = taken.incident, taken.filed
    report = taken.placed.report if taken.placed else None
    names = clock.names(filed)
    said = [words.say("answer_not_understood")] if broken else []
    effect = words.say(f"effect_{filed.effect}")
    if report is not None and report.count > 1:
        since = clock.short(report.first_at)
        said.append(words.say("answer_again", effect=effect, service=names, count=report.count, since=since))
    else:
        said.append(words.say("answer_noted", effect=effect, service=names))
    if dropped:
        said.append(words.say("answer_text_dropped"))
    owner = incident.owner if incident else None
    if owner and incident is not None:
        said.append(words.say("answer_has", owner=owner, since=clock.short(incident.acknowledged_at)))
    said += _next(taken, words, desk, clock.phone(filed))
    has_it = {"name": owner, "since": clock.utc(incident.acknowledged_at)} if owner and incident is not None else None
    return {
        "taken": True,
        "safe": taken.safe,
        "report": report_json(report) if report else None,
        "joined": bool(taken.placed and taken.placed.joined),
        "incident": incident.id if incident else None,
        "severity": incident.severity if incident else None,
        "has_it": has_it,
        "paged": taken.paged,
        "ring": {"name": desk.name, "phone": desk.phone},
        "text_dropped": dropped,
        "understood": not broken,
        "said": " ".join(said),
    }


def _next(taken: Taken, words: Catalogue, desk: Desk, phone: str | None) -> list[str]:
    """What happens next, and whom to ring if it does not."""
    severe = taken.filed.effect is Said.NOBODY_CAN_WORK
    if not taken.safe:
        return [words.say("answer_not_safe"), ring(words, desk, "answer_ring_now")]
    if severe and not taken.paged:
        return [words.say("answer_nobody_paged"), ring(words, desk, "answer_ring_now")]
    if taken.filed.effect is Said.CAN_WAIT:
        return [words.say("answer_ticket"), ring(words, desk, "answer_ring")]
    back = words.say("answer_call_back_on", phone=phone) if phone else words.say("answer_call_back")
    called = [words.say("answer_paged")] if severe and not (taken.incident and taken.incident.owner) else []
    return [*called, back, ring(words, desk, "answer_ring_if" if severe else "answer_ring")]


def ring(words: Catalogue, desk: Desk, key: str) -> str:
    """The number to ring; the poster's where none was given."""
    return words.say(key, desk=desk.name, phone=desk.phone) if desk.phone else words.say("answer_ring_unknown")
