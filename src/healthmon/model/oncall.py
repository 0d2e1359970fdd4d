"""Who is on call: people, rotas with layers and turns, and what people changed in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from healthmon.model.topology import Hours

#: (channel, to): who hears a message.
Reader = tuple[str, str]


@dataclass(frozen=True, slots=True)
class OncallUser:
    """Somebody who can be paged. `readers`: the ways to reach them, the best first."""

    id: str
    name: str
    email: str | None = None
    phone: str | None = None
    readers: tuple[Reader, ...] = ()


@dataclass(frozen=True, slots=True)
class Handover:
    """A moment of the local week: weekday (0 = Monday) and minute of the day."""

    weekday: int
    minute: int


@dataclass(frozen=True, slots=True)
class Span:
    """Somebody for a while: [start, end) in Unix seconds."""

    start: float
    end: float
    user: str


@dataclass(frozen=True, slots=True)
class Layer:
    """People who take turns. A turn lasts `turns` handovers; the first begins at the first handover from `first` on.

    hours: only then (None: always); holidays: `any`, `only` on bank holidays, `never` on them;
    fixed: shifts of a calendar instead of turns.
    """

    id: str
    people: tuple[str, ...] = ()
    handovers: tuple[Handover, ...] = (Handover(0, 9 * 60),)
    turns: int = 1
    first: date = date(2024, 1, 1)
    hours: Hours | None = None
    holidays: str = "any"
    fixed: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Rota:
    """Layers of turns in one time zone; of the layers that have somebody, the last wins."""

    id: str
    name: str
    timezone: str
    layers: tuple[Layer, ...]
    holidays: frozenset[date] = field(default=frozenset(), repr=False)


@dataclass(frozen=True, slots=True)
class Override:
    """Somebody stands in on [start, end) (Unix s), for everybody or only for `replaces`; the newest wins.

    pair: the other half of a swap has the same; ended: it was taken back.
    """

    id: str
    rota: str
    user: str
    start: float
    end: float
    replaces: str | None = None
    by: str = ""
    reason: str = ""
    pair: str | None = None
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Shift:
    """Who answers for a rota on [start, end); None is a gap. via: `layer ID`, `override ID` or empty."""

    start: float
    end: float
    user: str | None
    via: str = ""


@dataclass(frozen=True, slots=True)
class Standby:
    """Who answers for a rota at a moment, until when, who comes after, and who is asked if they do not answer."""

    rota: Rota
    shift: Shift
    user: OncallUser | None
    following: Shift
    backup: OncallUser | None
    teams: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OncallPlan:
    """The on-call part of a configuration.

    duty_manager and default are words: `rota:ID` or `user:ID`; morning_minute: local minute of the day of the list of
    what was held; morning and reports are channels; fallbacks: the channel that is used when the first one fails;
    records: channels that keep a record of each incident and reach nobody.
    """

    users: Mapping[str, OncallUser] = field(default_factory=dict)
    rotas: Mapping[str, Rota] = field(default_factory=dict)
    team_rotas: Mapping[str, str] = field(default_factory=dict)
    duty_manager: str | None = None
    default: str | None = None
    morning_minute: int = 7 * 60 + 30
    morning: tuple[str, ...] = ()
    reports: tuple[str, ...] = ()
    pages_per_shift: int = 5
    fallbacks: Mapping[str, str] = field(default_factory=dict)
    records: frozenset[str] = frozenset()
