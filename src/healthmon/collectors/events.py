"""host_events: how many errors a host has logged. Counted by level; no message is read."""

from __future__ import annotations

import os
import sys
from collections import Counter
from dataclasses import dataclass
from glob import glob
from typing import ClassVar

from healthmon.collectors.commands import run
from healthmon.collectors.look import Unseen, look, params_of
from healthmon.collectors.windows import events_xml
from healthmon.model.plan import Job
from healthmon.model.ports import Sight
from healthmon.model.sample import Family, Reading, Reason, Sample

FAMILIES = (Family("host_events", frozenset({"errors", "critical_errors", "window_seconds"})),)
#: More than these are not told apart.
MOST_EVENTS = 5000
_JOURNALS = ("/var/log/journal/*/system*.journal", "/run/log/journal/*/system*.journal")
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
        place = [f"--directory={self._directory}"] if self._directory else []
        if not place:
            readable_journal()
        since = f"--since=@{int(now - params.window_s)}"
        what = ["--quiet", "--no-pager", "--priority=err", "--output=cat", "--output-fields=PRIORITY"]
        return parse_priorities(run(["journalctl", *place, *what, since, f"--lines={MOST_EVENTS}"]))


def readable_journal() -> None:
    """Without the right to read it, journalctl shows a small part and says nothing. Raises Unseen."""
    found = [path for pattern in _JOURNALS for path in glob(pattern)]
    if not found and not any(os.path.isdir(folder) for folder in ("/var/log/journal", "/run/log/journal")):
        raise Unseen(Reason.NO_ANSWER, "this host keeps no journal")
    if sys.platform != "win32" and os.geteuid() != 0 and not any(os.access(path, os.R_OK) for path in found):
        raise Unseen(
            Reason.NO_PERMISSION, "the journal cannot be read: put the agent's user into group systemd-journal"
        )


def parse_priorities(text: str) -> dict[str, float]:
    """One syslog priority on each line."""
    counts = Counter(text.split())
    return {
        "errors": float(counts["3"]),
        "critical_errors": float(counts["0"] + counts["1"] + counts["2"]),
    }


def ask_windows(window_s: float) -> dict[str, float]:
    """Blocking. Raises Unseen."""
    recent = f"TimeCreated[timediff(@SystemTime) <= {int(window_s * 1000)}]"
    query = f"*[System[(Level=1 or Level=2) and {recent}]]"
    return parse_levels("".join(events_xml(log, query, most=MOST_EVENTS) for log in _WINDOWS_LOGS))


def parse_levels(xml: str) -> dict[str, float]:
    """Events as wevtutil prints them: only their level is looked at."""
    return {"errors": float(xml.count("<Level>2</Level>")), "critical_errors": float(xml.count("<Level>1</Level>"))}
