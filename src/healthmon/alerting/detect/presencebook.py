"""What is remembered of one ward PC: its hours, its present absence, how earlier ones turned out. Exact on disk."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from typing import Any

from healthmon.alerting.detect.cells import Cell
from healthmon.impact.presence import HOURS, Absence, Week

_WEEK = struct.Struct("<qq")
_HOURS, _STORY = 0, 1
#: Kind and detail of the cells that are kept of presence.
PRESENCE_CELLS = (("p", "hours"), ("p", "watch"))


@dataclass(slots=True)
class Past:
    """The last absence that is over. `judged` at the time; `turned_out`: None until the PC has said what it was."""

    start: float
    end: float
    judged: Absence
    turned_out: Absence | None = None


@dataclass(slots=True)
class Story:
    """The absence of now (`since` 0: none), the last one, and how all of them turned out."""

    since: float = 0.0
    absence: Absence | None = None
    cause: str = ""
    told: bool = False
    because: tuple[str, ...] = ()
    past: Past | None = None
    turned_out: dict[str, int] = field(default_factory=dict)
    asleep_total_s: float = -1.0  # as it said last; -1: never
    speed: float = 0.0  # of its port while it is on, bit/s; 0: not known
    day: int = -1  # of the words about its hours
    usual_hours: str = ""


class Book(Cell):
    """One PC. Part 0 changes once an hour, part 1 with its absences."""

    __slots__ = ("revision", "story", "usual_at", "week")

    def __init__(self) -> None:
        super().__init__()
        self.week = Week()
        self.story = Story()
        self.revision = 0
        self.usual_at: tuple[int, bool | None] = (-1, None)  # worked out once an hour

    def seen(self, hour: int, at: float) -> bool:
        """It was heard in this hour; True when that is new."""
        week = self.week
        if week.hour == hour and week.slots[hour % HOURS] & 1:
            return False
        new = week.mark(hour)
        if new:
            self.at = at
            self.dirty |= 1 << _HOURS
        return new

    def told(self, **more: Any) -> None:
        """Something of its story has changed."""
        for name, value in more.items():
            setattr(self.story, name, value)
        self.revision += 1
        self.dirty |= 1 << _STORY

    def pack(self, part: int) -> bytes:
        if part == _HOURS:
            return _WEEK.pack(self.week.hour, self.week.began) + bytes(self.week.slots)
        story, past = self.story, self.story.past
        ended = [past.start, past.end, past.judged, past.turned_out] if past else None
        body = [story.since, story.absence, story.cause, story.told, story.because, ended, story.turned_out,
                story.asleep_total_s, story.speed, story.day, story.usual_hours]  # fmt: skip
        return json.dumps(body, separators=(",", ":")).encode()

    def load(self, part: int, body: bytes) -> None:
        if part == _HOURS:
            hour, began = _WEEK.unpack_from(body)
            self.week = Week(hour, began, body[_WEEK.size :])
            return
        since, absence, cause, told, because, ended, turned_out, *rest = json.loads(body)
        past = Past(ended[0], ended[1], Absence(ended[2]), Absence(ended[3]) if ended[3] else None) if ended else None
        self.story = Story(since, Absence(absence) if absence else None, cause, told, tuple(because), past, turned_out,
                           *rest)  # fmt: skip


class Watch(Cell):
    """The hours in which the engine itself watched a site."""

    __slots__ = ("week",)

    def __init__(self) -> None:
        super().__init__()
        self.week = Week()

    def pack(self, part: int) -> bytes:
        return _WEEK.pack(self.week.hour, self.week.began) + bytes(self.week.slots)

    def load(self, part: int, body: bytes) -> None:
        hour, began = _WEEK.unpack_from(body)
        self.week = Week(hour, began, body[_WEEK.size :])
