"""host_crashes: programs that crashed or hung, and unplanned stops, since the last look. No message is read."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from healthmon.collectors.journal import MOST_EVENTS, numbered, read_journal, readable_journal
from healthmon.collectors.look import Unseen, look, params_of
from healthmon.collectors.windows import events_xml
from healthmon.model.plan import Job
from healthmon.model.ports import Sight
from healthmon.model.sample import Family, Reading, Reason, Sample

FAMILIES = (
    Family("host_crashes", frozenset({"crashes", "hangs"}), frozenset({"program"})),
    Family("host_crashes_machine", frozenset({"unplanned_stops", "window_seconds"})),
)
#: What is not in `programs` is counted under this name.
OTHER = "other"
#: systemd-coredump writes one entry with this id for each program that dumped core (systemd's sd-messages.h).
_COREDUMP = "fc2e22bc6ee647b6b90729ab34a250b1"
_PATTERN = Path("/proc/sys/kernel/core_pattern")
_MOST_PROGRAMS = 20
#: Application log: 1000 a crash, 1002 a hang. System log: 41 a stop without shutdown, 1001 a stop error.
_APPLICATION = (
    "(Provider[@Name='Application Error'] and EventID=1000) or (Provider[@Name='Application Hang'] and EventID=1002)"
)
_SYSTEM = "Provider[@Name='Microsoft-Windows-Kernel-Power'] and EventID=41"


@dataclass(frozen=True, slots=True)
class Params:
    """`programs`: file names that are counted apart; `window_s`: how far back the first look goes."""

    programs: tuple[str, ...] = ()
    window_s: float = 900.0

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        if len(self.programs) > _MOST_PROGRAMS:
            raise ValueError(f"programs: at most {_MOST_PROGRAMS}")
        if not 60.0 <= self.window_s <= 7 * 86400.0:
            raise ValueError("window_s must be 60 to 604800")


class CrashesCollector:
    """Core dumps in the system's journal; on Windows crashes, hangs and stops without shutdown in its event logs."""

    def __init__(self, journal_directory: str | None = None) -> None:
        self._directory = journal_directory
        self._looked_at: dict[str, float] = {}

    async def probe(self, job: Job, sight: Sight) -> Reading:
        now = sight.clock.now()

        def see() -> list[Sample]:
            params = params_of(job, Params)
            since = max(self._looked_at.get(job.check, 0.0), now - params.window_s)
            windows = sys.platform == "win32"
            found = windows_crashes(now - since) if windows else self._linux(since, now)
            told = list(samples(found, params.programs, windows=windows))
            self._looked_at[job.check] = now
            return [*told, Sample("host_crashes_machine", "window_seconds", now - since)]

        return await look(job, sight, see)

    def _linux(self, since: float, until: float) -> Iterator[tuple[str, str]]:
        if self._directory is None:
            readable_journal()
            if "systemd-coredump" not in _PATTERN.read_text():
                raise Unseen(Reason.NO_LIBRARY, "crashes are not recorded here: install systemd-coredump")
        what = ["--output=json", "--output-fields=COREDUMP_EXE", f"MESSAGE_ID={_COREDUMP}"]
        yield from parse_coredumps(read_journal(self._directory, *what, since=since, until=until))


def samples(found: Iterable[tuple[str, str]], programs: tuple[str, ...], *, windows: bool) -> Iterator[Sample]:
    """A sample for each program counted apart, 0 where nothing happened; what Linux does not tell is left out."""
    known = {name.lower(): name for name in programs}
    counted = Counter((field, known.get(program.lower(), OTHER)) for field, program in found)
    for field in ("crashes", "hangs") if windows else ("crashes",):
        for program in (*programs, OTHER):
            yield Sample("host_crashes", field, float(counted[field, program]), {"program": program})
    if windows:
        yield Sample("host_crashes_machine", "unplanned_stops", float(counted["unplanned_stops", OTHER]))


def parse_coredumps(text: str) -> Iterator[tuple[str, str]]:
    """One JSON object on each line; of the program only its file's name is taken."""
    for line in text.splitlines():
        try:
            path = json.loads(line).get("COREDUMP_EXE", "")
        except ValueError:
            raise Unseen(Reason.NO_ANSWER, "journalctl did not answer in JSON") from None
        yield "crashes", str(path).rpartition("/")[2]


def windows_crashes(window_s: float) -> Iterator[tuple[str, str]]:
    """Blocking. Raises Unseen."""
    for log, which in (("Application", _APPLICATION), ("System", _SYSTEM)):
        yield from parse_events(events_xml(log, which, window_s=window_s, most=MOST_EVENTS))


def parse_events(xml: str) -> Iterator[tuple[str, str]]:
    """Events as wevtutil prints them: their number, and of a program's event its first datum, the file's name."""
    fields = {"1000": "crashes", "1002": "hangs", "41": "unplanned_stops"}
    for number, event in numbered(xml):
        if number in fields:
            named = re.search(r"<EventData>\s*<Data[^>]*>([^<]*)<", event)
            yield fields[number], named[1].strip() if named and number != "41" else ""
