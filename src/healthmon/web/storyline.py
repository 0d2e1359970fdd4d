"""A timeline as people read it, newest first: by day, long runs of healthmon's own lines folded into one. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from healthmon.model.incident import Entry
from healthmon.web.words import LocalTime

MACHINE = "healthmon"
#: A run of so many lines by healthmon is folded, but for its newest and its oldest.
FOLD_FROM = 8
#: Days that stand open; older ones are folded, each with its count.
DAYS_OPEN = 2
#: Lines of one day that are written out, and lines inside one fold; the report has all.
LINES_MOST = 200
INSIDE_MOST = 40
#: These are landmarks: never folded.
LANDMARKS = frozenset({"opened", "resolved", "merged", "lapsed", "kind"})
WORDS = {
    "joined": "more alerts joined",
    "mitigated": "reachable again",
    "reopened": "failed again",
    "rerooted": "cause named anew",
    "severity": "severity changed",
    "new_area": "another area hit",
    "moved": "alerts moved elsewhere",
    "absorbed": "taken in",
    "silenced": "silenced",
    "unsilenced": "no longer silenced",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One entry, or a run of healthmon's own as one line with the entries `inside` (the newest of them first)."""

    at: float
    text: str
    by: str
    person: bool
    what: str = ""
    inside: tuple[Entry, ...] = ()
    count: int = 1
    until: float = 0.0


@dataclass(frozen=True, slots=True)
class Day:
    """One local day. `left_out` lines are in the report only."""

    key: str
    label: str
    lines: tuple[Line, ...]
    count: int
    opened: bool
    left_out: int = 0


def days_of(entries: Sequence[Entry], clock: LocalTime) -> tuple[Day, ...]:
    """Every entry, newest day first."""
    newest = sorted(entries, key=lambda entry: entry.at, reverse=True)
    by_day = [(day, list(own)) for day, own in groupby(newest, key=lambda entry: clock.local(entry.at).date())]
    made = []
    for number, (day, own) in enumerate(by_day):
        lines = _folded(own)
        label = f"{day:%A} {day.day} {day:%B}" if day != clock.local(clock.now).date() else "Today"
        left = max(0, len(lines) - LINES_MOST)
        opened = number < DAYS_OPEN
        made.append(Day(day.isoformat(), label, tuple(lines[:LINES_MOST]), len(own), opened, left))
    return tuple(made)


def _folded(newest: Iterable[Entry]) -> list[Line]:
    found: list[Line] = []
    for machine, run in groupby(newest, key=lambda entry: entry.by == MACHINE and entry.what not in LANDMARKS):
        own = list(run)
        if machine and len(own) >= FOLD_FROM:
            found += [_line(own[0]), _fold(own[1:-1]), _line(own[-1])]
        else:
            found += [_line(entry) for entry in own]
    return found


def _line(entry: Entry) -> Line:
    return Line(entry.at, entry.text or entry.what, entry.by, entry.by != MACHINE, entry.what)


def _fold(own: Sequence[Entry]) -> Line:
    """`24 lines by healthmon: 12 times failed again, 12 times reachable again`."""
    counts = Counter(WORDS.get(entry.what, entry.what.replace("_", " ")) for entry in own)
    said = ", ".join(f"{count} times {word}" if count > 1 else word for word, count in counts.most_common(4))
    text = f"{len(own)} lines by healthmon: {said}"
    return Line(
        own[0].at, text, MACHINE, person=False, inside=tuple(own[:INSIDE_MOST]), count=len(own), until=own[-1].at
    )
