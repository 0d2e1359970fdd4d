"""The word on an engine that crashes again and again: on every channel, past the engine that would have paged."""

from __future__ import annotations

import logging
import sqlite3
from typing import Protocol

from healthmon.alerting.notify.dispatch import Dispatcher
from healthmon.app import lastresort
from healthmon.app.steadyclock import SteadyClock
from healthmon.config import SiteConfig
from healthmon.model.incident import LedgerRow, Why
from healthmon.model.journal import Changes
from healthmon.runtime.supervise import Unit, detach

log = logging.getLogger(__name__)


class Home(Protocol):
    """What it needs of the server."""

    site: SiteConfig
    clock: SteadyClock
    dispatcher: Dispatcher

    def count(self, name: str, label: str) -> None: ...

    def pages_somebody(self) -> bool: ...

    async def commit(self, changes: Changes) -> None: ...


class CrashWord:
    """Tells of the third crash within five minutes, once until the engine has run well as long."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._since: float | None = None

    def crashed(self, unit: Unit, error: BaseException) -> None:
        """The engine's unit has ended with an error and is started again."""
        self._home.count("engine_crashes_total", type(error).__name__)
        if self._since is None and unit.crashes_within(lastresort.WINDOW_S) >= lastresort.CRASHES:
            self._since = self._home.clock.now()
            self._tell(Why.OPENED, self._since)

    def ran(self, unit: Unit) -> None:
        """A step went well."""
        if self._since is not None and not unit.crashes_within(lastresort.WINDOW_S):
            self._tell(Why.MITIGATED, self._since)
            self._since = None

    def _tell(self, why: Why, since: float) -> None:
        organisation = self._home.site.estate.organisation
        notices = lastresort.crash_notices(
            self._home.site.channels,
            name=organisation.name,
            timezone=organisation.timezone,
            since=since,
            now=self._home.clock.now(),
            why=why,
        )
        if self._home.pages_somebody():
            self._home.dispatcher.put(notices)
        else:
            detach("crash ledger", self._list(lastresort.shadow_rows(notices)))

    async def _list(self, rows: tuple[LedgerRow, ...]) -> None:
        try:
            await self._home.commit(Changes(at=self._home.clock.now(), ledger=rows))
        except (OSError, sqlite3.Error) as error:
            log.error("ledger cannot be written", extra={"error": str(error)})
