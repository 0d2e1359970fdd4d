"""What waits for a second person, in the journal: a restart or the other server of a pair goes on with it."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from typing import TYPE_CHECKING

import msgspec

from healthmon.alerting.journal import Journal
from healthmon.model.approval import WAITS_S, Waiting
from healthmon.model.errors import JournalDown
from healthmon.model.journal import Audit

if TYPE_CHECKING:
    from healthmon.app.server import Server

log = logging.getLogger(__name__)

#: Audit kinds: somebody asked; somebody else has approved; people have logins.
ASKED, APPROVED, LOGINS = "approval_asked", "approval_given", "people_sign_in"


class ApprovalBook:
    """Implements the ApprovalLog port."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._noted = False

    def kept(self) -> list[Waiting]:
        """What the journal says still waits, oldest first."""
        return still_waiting(self._server.journal, self._server.clock.now())

    async def asked(self, waiting: Waiting) -> None:
        """On disk before the asker is told that it waits. Raises JournalDown."""
        body = msgspec.to_builtins(waiting)
        try:
            await self._server.record(Audit(ASKED, waiting.at, body, key=waiting.id))
        except (OSError, sqlite3.Error) as error:
            raise JournalDown(f"the journal cannot be written: {error}") from error

    async def approved(self, waiting: Waiting, by: str) -> None:
        """The silence or change is made and on disk: a mark that cannot be written does not undo it."""
        body = {"id": waiting.id, "by": by}
        try:
            await self._server.record(Audit(APPROVED, self._server.clock.now(), body, key=waiting.id))
        except (OSError, sqlite3.Error) as error:
            log.error("an approval may wait again after a restart", extra={"id": waiting.id, "error": str(error)})

    async def people_sign_in(self, *, here: bool) -> bool:
        """A server that took over without the file of users must not take two names on trust."""
        if not here:
            return self._server.journal.knows(LOGINS, LOGINS)
        if not self._noted:
            with contextlib.suppress(OSError, sqlite3.Error):  # said again at the next question
                await self._server.record(Audit(LOGINS, self._server.clock.now(), {}, key=LOGINS))
                self._noted = True
        return True


def still_waiting(journal: Journal, now: float) -> list[Waiting]:
    """What was asked for in the last half hour and neither approved nor over."""
    since = now - WAITS_S
    given = {event.body["id"] for event in journal.events(APPROVED, since=since)}
    asked = [msgspec.convert(event.body, Waiting) for event in journal.events(ASKED, since=since)]
    return [one for one in asked if one.waits(now) and one.id not in given]
