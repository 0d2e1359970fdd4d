"""Weeks of a fleet of ward PCs: shifts, weekends, holidays, leave, sleep, crashes, pulled cables, a dead switch. Ours.

FLEET_ONE and FLEET_ALSO were looked at while the presence model was written, FLEET_TWO was not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from random import Random

DAY_S, HOUR_S, WEEK_S = 86_400.0, 3_600.0, 604_800.0


class Why(StrEnum):
    """What really happened: why a PC is not heard."""

    OFF = "off"
    ASLEEP = "asleep"
    UNCLEAN = "unclean_stop"
    UNPLUGGED = "unplugged"
    CUT_OFF = "network"
    AGENT = "agent_stopped"


class Use(StrEnum):
    """When a PC is used."""

    ALWAYS = "always"
    DAY = "day"  # on a ward that never closes, by people who go home
    CLINIC = "clinic"  # its area has declared hours
    OFFICE = "office"  # its area has none, and is empty at night all the same


@dataclass(frozen=True, slots=True)
class Habits:
    """Rates are per PC and four weeks, shares are of going home, spans are (least, most) seconds."""

    areas: tuple[tuple[str, Use, int], ...]  # name, use, PCs
    opens: float = 7.0
    closes: float = 19.0
    ragged_s: float = 1_200.0  # how far people come and go from the hour
    clean: float = 0.70
    sleeps_home: float = 0.15
    stays_on: float = 0.10  # what is left of 1: the power strip
    leave: float = 0.06  # days on which nobody comes
    sleepers: float = 0.2  # PCs that sleep in the day
    naps_per_day: float = 1.5
    crash: float = 0.4
    unplug: float = 0.2
    restart: float = 1.0
    pause: float = 0.3  # switched off for a while by day
    agent: float = 0.1
    crash_s: tuple[float, float] = (600.0, 5_400.0)
    unplug_s: tuple[float, float] = (600.0, 7_200.0)
    switch_outages: int = 3
    retired: int = 3
    ports_known: float = 0.75
    slow_asleep: float = 0.85  # network cards that fall back to a slow link
    pinged: float = 0.3
    declared_holidays: tuple[int, ...] = (14,)
    local_holidays: tuple[int, ...] = (22,)  # nobody told the monitor


_AREAS = (
    ("ed", Use.ALWAYS, 12), ("icu", Use.ALWAYS, 8), ("ward-1", Use.ALWAYS, 8), ("ward-1-day", Use.DAY, 6),
    ("ward-2", Use.ALWAYS, 8), ("ward-2-day", Use.DAY, 6), ("clinic", Use.CLINIC, 12), ("office", Use.OFFICE, 12),
)  # fmt: skip
FLEET_ONE = Habits(_AREAS)
FLEET_ALSO = Habits(
    (("ed", Use.ALWAYS, 9), ("theatre", Use.DAY, 10), ("ward", Use.ALWAYS, 14), ("clinic-a", Use.CLINIC, 8),
     ("clinic-b", Use.CLINIC, 8), ("labs", Use.DAY, 9), ("office", Use.OFFICE, 18)),
    opens=8.0, closes=17.5, ragged_s=2_700.0, clean=0.55, sleeps_home=0.25, stays_on=0.12, leave=0.12, sleepers=0.35,
    naps_per_day=2.5, crash=0.8, unplug=0.4, restart=2.0, pause=0.6, agent=0.2, switch_outages=4, retired=4,
    ports_known=0.5, slow_asleep=0.7, pinged=0.2, declared_holidays=(9,), local_holidays=(17, 25),
)  # fmt: skip
FLEET_TWO = Habits(
    (("ed", Use.ALWAYS, 10), ("icu", Use.ALWAYS, 6), ("theatre", Use.DAY, 8), ("maternity", Use.ALWAYS, 9),
     ("ward-day", Use.DAY, 7), ("clinic", Use.CLINIC, 14), ("office", Use.OFFICE, 18)),
    opens=7.5, closes=18.0, ragged_s=1_800.0, clean=0.62, sleeps_home=0.2, stays_on=0.13, leave=0.09, sleepers=0.3,
    naps_per_day=2.0, crash=0.6, unplug=0.3, restart=1.5, pause=0.5, agent=0.15, crash_s=(400.0, 9_000.0),
    switch_outages=4, retired=4, ports_known=0.6, slow_asleep=0.75, pinged=0.25, declared_holidays=(11,),
    local_holidays=(18,),
)  # fmt: skip
CRITICAL = ("ed", "icu", "theatre")
_PORTS_ON_A_SWITCH = 24


@dataclass(frozen=True, slots=True)
class WardPc:
    """`port`: whether the inventory knows its port; `pinged`: whether the poller pings it."""

    id: str
    area: str
    use: Use
    switch: str
    port: bool
    pinged: bool
    sleeper: bool
    slow_asleep: bool


@dataclass(frozen=True, slots=True)
class Gap:
    """Seconds since the start in which a PC is not heard. wanted: somebody should be told; end inf: for ever."""

    pc: str
    start: float
    end: float
    why: Why
    clean: bool = False
    wanted: bool = False
    switch_dead: bool = False


@dataclass(frozen=True, slots=True)
class Fleet:
    habits: Habits
    pcs: tuple[WardPc, ...]
    gaps: tuple[Gap, ...]  # by start; those of one PC do not touch
    outages: tuple[tuple[str, float, float], ...]  # switch, from, to


def fleet_of(habits: Habits, *, seed: int, weeks: int = 4) -> Fleet:
    """The same fleet and the same weeks for the same seed. Time starts on a Monday at 00:00."""
    chance = Random(seed)
    pcs = tuple(_pcs(habits, chance))
    outages = tuple(_outages(habits, pcs, chance, weeks))
    retired = {pc.id: chance.uniform(0.2, 0.8) * weeks * WEEK_S for pc in chance.sample(pcs, habits.retired)}
    gaps: list[Gap] = []
    for pc in pcs:
        gaps += _lived(pc, habits, chance, weeks, retired.get(pc.id), outages)
    return Fleet(habits, pcs, tuple(sorted(gaps, key=lambda gap: (gap.start, gap.pc))), outages)


def open_at(use: Use, habits: Habits, at: float, *, local_holidays: bool = True) -> bool:
    """Whether people are at work there, with no raggedness."""
    day = int(at // DAY_S)
    free = day % 7 >= 5 or day in habits.declared_holidays or (local_holidays and day in habits.local_holidays)
    return use is Use.ALWAYS or (not free and habits.opens * HOUR_S <= at % DAY_S < habits.closes * HOUR_S)


def _pcs(habits: Habits, chance: Random) -> Iterator[WardPc]:
    number = 0
    for area, use, count in habits.areas:
        for _ in range(count):
            yield WardPc(
                f"pc-{number:03}", area, use, f"sw-{number // _PORTS_ON_A_SWITCH}",
                chance.random() < habits.ports_known, chance.random() < habits.pinged,
                use is not Use.ALWAYS and chance.random() < habits.sleepers, chance.random() < habits.slow_asleep,
            )  # fmt: skip
            number += 1


def _outages(habits: Habits, pcs: tuple[WardPc, ...], chance: Random, weeks: int) -> Iterator[tuple[str, float, float]]:
    """By day and, the last one, at night."""
    switches = sorted({pc.switch for pc in pcs})
    for number in range(habits.switch_outages):
        day = chance.randrange(5) + 7 * chance.randrange(weeks)
        clock = chance.uniform(9.0, 16.0) if number < habits.switch_outages - 1 else chance.uniform(1.0, 4.0)
        start = day * DAY_S + clock * HOUR_S
        yield chance.choice(switches), start, start + chance.uniform(1_200.0, 4_800.0)


def _lived(
    pc: WardPc,
    habits: Habits,
    chance: Random,
    weeks: int,
    retired: float | None,
    outages: tuple[tuple[str, float, float], ...],
) -> list[Gap]:
    """One PC's gaps: at home time, then what happens in between where there is room for it."""
    end = weeks * WEEK_S
    gaps = list(_nights(pc, habits, chance, weeks))
    if retired is not None:
        clean = chance.random() < 0.5
        here = open_at(pc.use, habits, retired)
        gone = Gap(pc.id, retired, float("inf"), Why.OFF if clean else Why.UNPLUGGED, clean, not clean and here)
        gaps = [gap for gap in gaps if gap.end <= retired]
        gaps.append(gone)
        end = retired
    for gap in [*_cut(pc, habits, outages), *_mishaps(pc, habits, chance, end, weeks)]:
        room = all(gap.end + HOUR_S / 4 < other.start or other.end + HOUR_S / 4 < gap.start for other in gaps)
        if room and gap.end < end:
            gaps.append(gap)
    return gaps


def _nights(pc: WardPc, habits: Habits, chance: Random, weeks: int) -> Iterator[Gap]:
    if pc.use is Use.ALWAYS:
        return
    left: tuple[float, Why, bool] | None = (0.0, Why.OFF, True)
    for day in range(weeks * 7):
        noon = day * DAY_S + 12 * HOUR_S
        if not open_at(pc.use, habits, noon) or chance.random() < habits.leave:
            continue
        opens = day * DAY_S + habits.opens * HOUR_S + chance.uniform(-habits.ragged_s, habits.ragged_s)
        if left is not None and left[0] < opens:
            yield Gap(pc.id, left[0], opens, left[1], left[2])
        closes = day * DAY_S + habits.closes * HOUR_S + chance.uniform(-habits.ragged_s, habits.ragged_s)
        left = _goes_home(habits, chance, closes)
    if left is not None:
        yield Gap(pc.id, left[0], float("inf"), left[1], left[2])


def _goes_home(habits: Habits, chance: Random, at: float) -> tuple[float, Why, bool] | None:
    draw = chance.random()
    if draw < habits.clean:
        return at, Why.OFF, True
    if draw < habits.clean + habits.sleeps_home:
        return at, Why.ASLEEP, False
    return None if draw < habits.clean + habits.sleeps_home + habits.stays_on else (at, Why.UNCLEAN, False)


def _cut(pc: WardPc, habits: Habits, outages: tuple[tuple[str, float, float], ...]) -> Iterator[Gap]:
    for switch, start, end in outages:
        if switch == pc.switch:
            wanted = open_at(pc.use, habits, start)
            yield Gap(pc.id, start, end, Why.CUT_OFF, wanted=wanted, switch_dead=True)


def _mishaps(pc: WardPc, habits: Habits, chance: Random, end: float, weeks: int) -> Iterator[Gap]:
    rates = (
        (Why.UNCLEAN, habits.crash, habits.crash_s, False), (Why.UNPLUGGED, habits.unplug, habits.unplug_s, False),
        (Why.OFF, habits.restart, (120.0, 480.0), True), (Why.OFF, habits.pause, (1_800.0, 14_400.0), True),
        (Why.AGENT, habits.agent if pc.pinged else 0.0, (1_200.0, 20_000.0), False),
        (Why.ASLEEP, habits.naps_per_day * 20 if pc.sleeper else 0.0, (900.0, 5_400.0), False),
    )  # fmt: skip
    for why, rate, (least, most), clean in rates:
        for _ in range(int(rate * weeks / 4 + chance.random())):
            start, lasts = chance.uniform(HOUR_S, min(end, weeks * WEEK_S)), chance.uniform(least, most)
            if open_at(pc.use, habits, start) and open_at(pc.use, habits, start + lasts):
                ill = why in (Why.UNCLEAN, Why.UNPLUGGED, Why.AGENT)
                yield Gap(pc.id, start, start + lasts, why, clean, ill)
