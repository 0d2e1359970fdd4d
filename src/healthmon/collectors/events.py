"""host_events: how many errors a host has logged. Counted by level; no message is read."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

from healthmon.collectors.journal import MOST_EVENTS, read_journal
from healthmon.collectors.look import look, params_of
from healthmon.collectors.windows import events_xml
from healthmon.model.plan import Job
from healthmon.model.ports import Sight
from healthmon.model.sample import Family, Reading, Sample

FAMILIES = (Family("host_events", frozenset({"errors", "critical_errors", "window_seconds"})),)
_WINDOWS_LOGS = ("System", "Application")


@dataclass(frozen=True, slots=True)
class Params:
    """`window_s`: how far back is counted."""

    window_s: float = 3600.0

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        if not 60.0 <= self.window_s <= 7 * 86400.0:
            raise ValueError("window_s must be 60 to 604800")


class EventsCollector:
    """The system's journal (levels 0 to 3) or the Windows logs System and Application (levels 1 and 2)."""

    def __init__(self, journal_directory: str | None = None) -> None:
        self._directory = journal_directory

    async def probe(self, job: Job, sight: Sight) -> Reading:
        def see() -> list[Sample]:
            params = params_of(job, Params)
            levels = ask_windows(params.window_s) if sys.platform == "win32" else self._ask(params, sight.clock.now())
            facts = {**levels, "window_seconds": params.window_s}
            return [Sample("host_events", field, value) for field, value in facts.items()]

        return await look(job, sight, see)

    def _ask(self, params: Params, now: float) -> dict[str, float]:
        what = ["--priority=err", "--output=cat", "--output-fields=PRIORITY"]
        return parse_priorities(read_journal(self._directory, *what, since=now - params.window_s, until=now))


def parse_priorities(text: str) -> dict[str, float]:
    """One syslog priority on each line."""
    counts = Counter(text.split())
    return {
        "errors": float(counts["3"]),
        "critical_errors": float(counts["0"] + counts["1"] + counts["2"]),
    }


def ask_windows(window_s: float) -> dict[str, float]:
    """Blocking. Raises Unseen."""
    found = (events_xml(log, "Level=1 or Level=2", window_s=window_s, most=MOST_EVENTS) for log in _WINDOWS_LOGS)
    return parse_levels("".join(found))


def parse_levels(xml: str) -> dict[str, float]:
    """Events as wevtutil prints them: only their level is looked at."""
    return {"errors": float(xml.count("<Level>2</Level>")), "critical_errors": float(xml.count("<Level>1</Level>"))}
