"""Whether the plan of fire drills is kept: the age of the last that passed, the alert when it is too old, who hears."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from healthmon.alerting.incidents.text import DEFAULT_TEXT
from healthmon.alerting.oncall.case import notice_key
from healthmon.alerting.oncall.workload import about_duty, reader_of
from healthmon.model.alert import Alert, AlertKey, Effect, Phase
from healthmon.model.drill import CHECK, Drill, DrillState
from healthmon.model.journal import Changes

if TYPE_CHECKING:
    from healthmon.app.server import Server

#: What the told-log calls messages about drills to on-call staff.
ABOUT = "duty-drill"
#: The rule, target and vantage of the alert: no rule of a pack and no target of an inventory.
RULE, PAGES, SERVER = "drill-overdue", "pages", "server"
_DAY_S = 86_400.0


class DrillWatch:
    """drills: newest first; known_since: when this journal first knew of drills, before that none can be overdue."""

    def __init__(self, server: Server, drills: Callable[[], Sequence[Drill]], known_since: float) -> None:
        self._server = server
        self._drills = drills
        self._known_since = known_since
        self._was_overdue = False

    def age_s(self) -> float | None:
        """Since the last drill that passed; None: there was none."""
        passed = [one.ended for one in self._drills() if one.state is DrillState.PASSED and one.ended]
        return self._server.clock.now() - max(passed) if passed else None

    def overdue(self) -> bool:
        """Whether the plan wants a drill to have passed by now. Without a plan none is."""
        limit_s = self._server.site.drills.overdue_after_s
        return limit_s is not None and self._without_s() > limit_s

    def alerts(self) -> tuple[Alert, ...]:
        """What `GET alerts` lists while one is overdue. It pages nobody by itself: `drills.reports` hears of it."""
        limit_s = self._server.site.drills.overdue_after_s
        if limit_s is None or not self.overdue():
            return ()
        since, key = self._since() + limit_s, AlertKey(RULE, PAGES, CHECK, SERVER)
        value = self._without_s() / _DAY_S
        return (Alert(key, Phase.FIRING, Effect.WARNING, since, since, since, value=value, detail=self._words()),)

    def coverage(self, spots: Sequence[Mapping[str, str]]) -> dict[str, Any]:
        """For the page of blind spots: the last drill, and a spot where none has proven that pages arrive."""
        last, age = next(iter(self._drills()), None), self.age_s()
        said = {"last_id": last.id if last else None, "state": last.state.value if last else None, "age_s": age,
                "overdue": self.overdue()}  # fmt: skip
        if age is None and self._server.pages_somebody():
            spot = {"kind": "never_drilled", "id": PAGES, "text": self._say("drill_never")}
        elif self.overdue():
            spot = {"kind": "drill_overdue", "id": PAGES, "text": self._words()}
        else:
            return {"drill": said}
        return {"drill": said, "blind_spots": [spot, *spots]}

    async def look(self) -> None:
        """Say that one is overdue, once a day."""
        overdue = self.overdue()
        if overdue is not self._was_overdue:
            self._was_overdue = overdue
            self._server.changed_something()
        if overdue:
            day = int(self._server.clock.now() // _DAY_S)
            await self.tell(f"overdue|{day}", self._say("drill_overdue_title"), self._words())

    async def failed(self, drill: Drill) -> None:
        """Say that one did not get to its end."""
        await self.tell(drill.id, self._say("drill_failed_title", because=drill.because), drill.because)

    async def tell(self, about: str, title: str, text: str) -> None:
        """To on-call staff, once."""
        server, now = self._server, self._server.clock.now()
        readers = server.site.drills.reports or server.roster.plan.reports or server.roster.plan.morning
        notices = [
            about_duty(notice_key("drill", about, *reader), ABOUT, reader, title, text, now)
            for reader in map(reader_of, readers)
        ]
        fresh = [one for one in notices if await asyncio.to_thread(server.journal.notice, one.key) is None]
        if fresh and server.pages_somebody():
            await server.commit(Changes(at=now, notices=tuple(fresh)))
            server.dispatcher.put(fresh)

    def _since(self) -> float:
        age_s = self.age_s()
        return self._known_since if age_s is None else self._server.clock.now() - age_s

    def _without_s(self) -> float:
        return self._server.clock.now() - self._since()

    def _words(self) -> str:
        last = next((one for one in self._drills() if one.because), None)
        days = int(self._without_s() // _DAY_S)
        return self._say("drill_overdue", days=days, last=last.because if last else "").strip()

    def _say(self, key: str, **facts: object) -> str:
        return {**DEFAULT_TEXT, **self._server.site.text}[key].format(**facts)
