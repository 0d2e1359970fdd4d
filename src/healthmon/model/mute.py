"""Silences, planned changes, and the log of who did what to them. A mute hides a page, never the truth."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

#: The longest that a silence may hide the last way to the record of an ED, ICU or theatre (seconds).
TWO_PEOPLE_MOST_S = 4 * 3600.0
BREAK_GLASS_MOST_S = 3600.0


class Floor(StrEnum):
    """keep: the clinical floor stands. Two named people lift it for at most 4 h, one who breaks the glass for 1 h."""

    KEEP = "keep"
    TWO_PEOPLE = "two_people"
    BREAK_GLASS = "break_glass"


class MuteState(StrEnum):
    """between: a recurring one outside its window; verifying: a change has closed, its targets are looked at again."""

    PENDING = "pending"
    ACTIVE = "active"
    BETWEEN = "between"
    VERIFYING = "verifying"
    ENDED = "ended"  # by a person
    EXPIRED = "expired"


OVER = frozenset({MuteState.ENDED, MuteState.EXPIRED})


@dataclass(frozen=True, slots=True)
class When:
    """One window, or its repetition by an RRULE (RFC 5545) in site-local time. Times are Unix seconds.

    `except_on`: local starts that do not take place, `YYYY-MM-DDTHH:MM:SS`.
    """

    starts_at: float
    ends_at: float
    repeat: str | None = None
    timezone: str = "UTC"
    except_on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Match:
    """What a silence is about: everything given must fit; `*` and `?` stand for any text."""

    target: str | None = None
    area: str | None = None
    rule: str | None = None
    check: str | None = None
    kind: str | None = None  # of the target
    site: str | None = None

    def given(self) -> dict[str, str]:
        """The parts that were given."""
        pairs = {name: getattr(self, name) for name in ("target", "area", "rule", "check", "kind", "site")}
        return {name: value for name, value in pairs.items() if value is not None}

    def words(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self.given().items())


@dataclass(frozen=True, slots=True)
class Ending:
    """When it was over for good, and by whom."""

    at: float
    by: str
    state: MuteState
    note: str = ""


@dataclass(frozen=True, slots=True)
class Silence:
    """Pages about what matches are held back. `reviewed_by`: who looked at a broken glass afterwards."""

    id: str
    match: Match
    owner: str
    reason: str
    when: When
    created_at: float = 0.0
    created_by: str = ""
    floor: Floor = Floor.KEEP
    approved_by: str | None = None
    reminded_at: float | None = None
    review_due: float | None = None
    reviewed_at: float | None = None
    reviewed_by: str | None = None
    ending: Ending | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """Planned work on targets (or services). `expected` are signals that page nobody in the window:
    a rule, a check, a reason or an effect (down, degraded, warning); everything else pages and is put down to it."""

    id: str
    title: str
    targets: tuple[str, ...]
    when: When
    expected: tuple[str, ...] = ()
    owner: str = ""
    reason: str = ""
    created_at: float = 0.0
    created_by: str = ""
    floor: Floor = Floor.KEEP
    approved_by: str | None = None
    source: str = "api"  # api, config, or ics: and a hash of the UID
    ending: Ending | None = None
    reminded_at: float | None = None
    ends_in_file: float | None = None  # of a configured one: its end there, when a person has moved it


Mute = Silence | Change


@dataclass(frozen=True, slots=True)
class MuteEvent:
    """One line of the audit: append-only. `action`: add, extend, end, expire, remind, covers, review, refused.

    `revision` counts the lines of one mute; the newest line has the whole mute as it is since.
    """

    at: float
    action: str
    id: str
    by: str
    revision: int
    note: str = ""
    silence: Silence | None = None
    change: Change | None = None

    @property
    def mute(self) -> Mute | None:
        return self.silence or self.change


@dataclass(frozen=True, slots=True)
class MuteCommand:
    """A person acts on a mute: add (with `draft`), extend (`ends_at`), end, review."""

    action: str
    by: str
    id: str = ""
    draft: Mute | None = None
    ends_at: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """A mute as it is now, with the window that is open, or else the next one."""

    mute: Mute
    state: MuteState
    opens_at: float | None = None
    closes_at: float | None = None


@dataclass(frozen=True, slots=True)
class HeldBy:
    """What holds an incident's pages back now. kind: silence or change."""

    id: str
    kind: str
    owner: str
    reason: str
    until: float


@dataclass(frozen=True, slots=True)
class Preview:
    """What a mute would hide if it were in force now.

    uncovered: (area, service) that could be lost without a page; floor: those where the page would go all the same.
    """

    targets: tuple[str, ...] = ()
    areas: tuple[str, ...] = ()
    alerts: tuple[str, ...] = ()
    incidents: tuple[str, ...] = ()
    uncovered: tuple[tuple[str, str], ...] = ()
    floor: tuple[tuple[str, str], ...] = ()
    floor_lifted: bool = False


@dataclass(frozen=True, slots=True)
class MuteSettings:
    """changes: those of the configuration; site_manager, reminders: channels that hear of broken glass, of ends."""

    changes: tuple[Change, ...] = ()
    site_manager: tuple[str, ...] = ()
    reminders: tuple[str, ...] = ()
    timezone: str = "UTC"
