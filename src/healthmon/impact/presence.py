"""Whether a ward PC should be on at this hour, and why it is not heard: learned hours and evidence. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

#: Earlier weeks that are remembered of each hour of the week.
WEEKS_KEPT = 8
HOURS = 168
#: So many earlier periods must be known before an hour is called usual; until then the declared hours count alone.
LEAST_PERIODS = 3
#: With so many weeks an hour of the week speaks for itself; before, days of its kind speak together.
_OWN_PERIODS = 4
#: On in this share of the earlier weeks: usually on.
USUAL_SHARE = 0.6
#: Days begin and end raggedly: an hour is expected when the ones before and after it are nearly as usual.
_EDGE_OF_HOUR = 0.8
#: Many at once: so many, and this share of those that were on.
_MANY, _MANY_SHARE = 3, 0.5
#: Habits are believed after so many absences.
_HABIT, _HABIT_SHARE = 3, 0.5
#: A shutdown that is a restart is over by then.
GRACE_S = 900.0
#: Silent for so long: the machine is probably gone from the ward.
GONE_S = 21 * 86_400.0
#: Clocks and boot times are this exact.
_SLACK_S = 30.0


class Absence(StrEnum):
    """Why nothing is heard of a PC, as far as the evidence goes."""

    OFF = "off"  # shut down cleanly, or at an hour when it is usually off
    ASLEEP = "asleep"
    UNCLEAN = "unclean_stop"  # crashed, hung, or lost its power
    UNPLUGGED = "unplugged"  # no link on its port: the cable, or the power of the PC
    CUT_OFF = "network"
    AGENT = "agent_stopped"  # the machine answers, the agent does not
    GONE = "gone"
    UNKNOWN = "not_known"


class Port(StrEnum):
    """The switch port that a PC hangs on, since the PC fell silent. `slow`: the link fell back, as it does asleep."""

    UP = "up"
    SLOW = "slow"
    DOWN = "down"


class Week:
    """The hours of a week in which something was seen, for the last WEEKS_KEPT weeks: bit 0 is the latest.

    Hours are counted on the wall clock, from Monday 00:00 of some week. `hour`: the running one; `began`: the first.
    """

    __slots__ = ("began", "hour", "slots")

    def __init__(self, hour: int = -1, began: int = -1, slots: bytes = b"") -> None:
        self.hour, self.began = hour, began
        self.slots = bytearray(slots or bytes(HOURS))

    def roll(self, hour: int) -> None:
        """Move on to this hour; what lies between was not seen."""
        if self.began < 0:
            self.began = self.hour = hour
        if hour - self.hour > WEEKS_KEPT * HOURS:
            self.slots, self.hour = bytearray(HOURS), hour
        for passing in range(self.hour + 1, hour + 1):
            self.slots[passing % HOURS] = self.slots[passing % HOURS] << 1 & 0xFF
        self.hour = max(self.hour, hour)

    def mark(self, hour: int) -> bool:
        """Seen in this hour; True when that is new."""
        self.roll(hour)
        if hour < self.hour or self.slots[hour % HOURS] & 1:
            return False
        self.slots[hour % HOURS] |= 1
        return True


def share_of(seen: Week, watched: Week, hour: int) -> tuple[float, int] | None:
    """(share, periods): how often it was on in this hour of earlier weeks, of those in which somebody watched.

    Both must have been rolled to the same hour.

    With too few weeks of the same hour, other working days (or weekend days) count too; None: learning.
    """
    slot = hour % HOURS
    on, of = _counted(seen, watched, slot)
    if of < _OWN_PERIODS:
        on, of = _together(_counted(seen, watched, one) for one in _alike(slot))
    return (on / of, of) if of >= LEAST_PERIODS else None


def _shares(seen: Week, watched: Week) -> list[tuple[float, int] | None]:
    """`share_of` every hour of the week; each is counted once."""
    counted = [_counted(seen, watched, slot) for slot in range(HOURS)]
    kinds = {first: [_together(counted[one] for one in _alike(first * 24 + clock)) for clock in range(24)]
             for first in (0, 5)}  # fmt: skip
    found: list[tuple[float, int] | None] = []
    for slot, own in enumerate(counted):
        on, of = own if own[1] >= _OWN_PERIODS else kinds[0 if slot < 5 * 24 else 5][slot % 24]
        found.append((on / of, of) if of >= LEAST_PERIODS else None)
    return found


def _alike(slot: int) -> range:
    """The same hour of all working days, or of the weekend."""
    day, clock = divmod(slot, 24)
    return range(clock, 5 * 24, 24) if day < 5 else range(5 * 24 + clock, HOURS, 24)


def _together(counted: Iterable[tuple[int, int]]) -> tuple[int, int]:
    on = of = 0
    for one in counted:
        on, of = on + one[0], of + one[1]
    return on, of


def _counted(seen: Week, watched: Week, slot: int) -> tuple[int, int]:
    """(weeks in which it was on, weeks known) of one hour of the week."""
    known = _known(seen, watched, slot)
    return (known & seen.slots[slot]).bit_count(), known.bit_count()


def _known(seen: Week, watched: Week, slot: int) -> int:
    """The weeks in which somebody watched in this hour, since it is known at all; the running hour is not history."""
    latest = seen.hour - (seen.hour - slot) % HOURS
    weeks = (latest - seen.began) // HOURS + 1
    if seen.began < 0 or weeks <= 0:
        return 0
    bits = watched.slots[slot] & (1 << weeks) - 1
    return bits & 0xFE if latest == seen.hour else bits


def usually_on(seen: Week, watched: Week, hour: int) -> bool | None:
    """Whether it is on at this hour as a rule, well inside its day; None: learning."""
    now = share_of(seen, watched, hour)
    if now is None:
        return None
    edges = [known[0] for step in (-1, 1) if (known := share_of(seen, watched, hour + step)) is not None]
    return now[0] >= USUAL_SHARE and all(edge >= _EDGE_OF_HOUR * now[0] for edge in edges)


@dataclass(frozen=True, slots=True)
class Signs:
    """What is known of a PC that is not heard.

    usual: whether it is on at this hour as a rule (None: learning); left_usual: the same of the hour when it left;
    port, switch_ok, ping: what was seen since then, None where nobody looked; lost, were_on: PCs of the same switch (or
    area) that fell silent with it without a goodbye, and all that were on; on_now, should_be_on: PCs of its area;
    slept, absences: how its earlier unexplained absences turned out.
    """

    clean: bool = False
    staffed: bool = True
    usual: bool | None = None
    left_usual: bool | None = None
    critical: bool = False
    port: Port | None = None
    port_name: str = ""
    switch: str = ""
    switch_ok: bool | None = None
    ping: bool | None = None
    lost: int = 0
    were_on: int = 0
    on_now: int = 0
    should_be_on: int = 0
    slept: int = 0
    absences: int = 0
    silent_s: float = 0.0

    @property
    def expected(self) -> bool:
        """It should be on now."""
        return self.staffed and self.usual is not False

    @property
    def together(self) -> bool:
        """Many fell silent at once."""
        return self.lost + 1 >= _MANY and self.lost + 1 >= _MANY_SHARE * self.were_on

    @property
    def short(self) -> bool:
        """Fewer than half of the PCs of the area that should be on are on."""
        return 2 * self.on_now < self.should_be_on


@dataclass(frozen=True, slots=True)
class Judged:
    """Why it is not heard, whether that is told, by which word of the ledger it is not, and the evidence."""

    absence: Absence
    tells: bool
    cause: str
    because: tuple[str, ...]


def judge(signs: Signs) -> Judged:
    """The likeliest reason, and whether somebody should know."""
    absence, because = _why(signs)
    tells, cause, why = _told(signs, absence)
    return Judged(absence, tells, "" if tells else cause, (*because, why))


def _why(signs: Signs) -> tuple[Absence, tuple[str, ...]]:
    seen = tuple(_seen(signs))
    if signs.clean:
        return Absence.OFF, ("it was shut down cleanly", *seen)
    if signs.ping:
        return Absence.AGENT, ("the machine answers, its agent does not", *seen)
    if signs.switch_ok is False:
        return Absence.CUT_OFF, (f"{signs.switch} does not answer either", *seen)
    if signs.silent_s >= GONE_S:
        return Absence.GONE, (f"nothing was heard for {signs.silent_s / 86_400:.0f} days", *seen)
    if _off_by_habit(signs):
        return Absence.OFF, ("at this hour it is usually off", *seen)
    if signs.together:
        crowd = f"{signs.lost} of {signs.were_on - 1} others fell silent with it"
        if signs.port is not None and signs.switch_ok:
            return (Absence.UNPLUGGED if signs.port is Port.DOWN else Absence.UNCLEAN), (crowd, *seen)
        return Absence.CUT_OFF, (crowd, *seen)
    return _alone(signs), seen


def _alone(signs: Signs) -> Absence:
    """One PC, no goodbye."""
    sleeper = signs.absences >= _HABIT and signs.slept >= _HABIT_SHARE * signs.absences
    if signs.port is Port.SLOW or (sleeper and signs.port is not Port.DOWN):
        return Absence.ASLEEP
    if signs.port is Port.DOWN:
        return Absence.UNPLUGGED
    return Absence.UNCLEAN if signs.port is Port.UP else Absence.UNKNOWN


def _off_by_habit(signs: Signs) -> bool:
    """Out of its hours, both now and when it went; a link at full speed speaks against it."""
    off = signs.usual is False or not signs.staffed
    return off and signs.left_usual is not True and signs.port is not Port.UP


def _seen(signs: Signs) -> Iterator[str]:
    port = f"port {signs.port_name} of {signs.switch}"
    if signs.port is not None:
        yield {
            Port.UP: f"{port} has its link at full speed",
            Port.SLOW: f"{port} fell back to a slow link, as it does when a PC sleeps or is off",
            Port.DOWN: f"{port} has no link",
        }[signs.port]
    if signs.ping is False:
        yield "it does not answer a ping"
    if signs.absences >= _HABIT and not signs.clean:
        yield f"{signs.slept} of {signs.absences} earlier absences were sleep"


def _told(signs: Signs, absence: Absence) -> tuple[bool, str, str]:
    """(told, cause for the ledger, words)."""
    if absence is Absence.GONE:
        return False, "gone", "take it out of the inventory, or find it"
    if not signs.expected:
        hours = "nobody is there at this hour" if not signs.staffed else "at this hour it is usually off"
        return False, "out_of_hours", hours
    if absence is Absence.OFF:
        at_work = signs.usual is True and signs.left_usual is True  # learned: a goodbye is trusted until then
        if signs.critical and at_work and signs.short and signs.silent_s >= GRACE_S:
            return True, "", f"{signs.on_now} of {signs.should_be_on} PCs that should be on there are on"
        return False, "clean_stop", "nobody is called for a PC that was switched off"
    if absence is Absence.ASLEEP:
        return False, "asleep", "a key wakes it"
    if signs.left_usual is False and signs.short and not signs.critical:
        return False, "out_of_hours", "it went off out of hours, and the area is not at work today"
    return True, "", "it should be on at this hour"


@dataclass(frozen=True, slots=True)
class Return:
    """What a PC says when it is back. Spans are seconds before now; None where it does not say.

    up_s: since the host booted; running_s: since the agent started; asleep_s: time asleep since it fell silent;
    clean: its own mark says that the last stop was clean; ran: readings of the gap have arrived since.
    """

    gap_s: float
    up_s: float | None = None
    running_s: float | None = None
    asleep_s: float | None = None
    clean: bool | None = None
    ran: bool = False


def settle(before: Absence, said: Return) -> Absence:
    """What the absence turns out to have been."""
    if said.up_s is not None and said.up_s < said.gap_s - _SLACK_S:
        return Absence.OFF if said.clean or before is Absence.OFF else Absence.UNCLEAN
    if said.asleep_s is not None and said.asleep_s >= 0.5 * said.gap_s:
        return Absence.ASLEEP
    if said.running_s is not None and said.running_s < said.gap_s - _SLACK_S:
        return Absence.AGENT
    ran = said.ran or said.asleep_s is not None
    if said.up_s is None and not ran:
        return before
    if not ran:
        return Absence.ASLEEP
    return before if before in (Absence.UNPLUGGED, Absence.CUT_OFF) else Absence.CUT_OFF


def hours_text(seen: Week, watched: Week) -> str:
    """Its usual hours in words (`mon-fri 07-19, sat 08-13`); "" while nothing is known, "always", "never"."""
    shares = _shares(seen, watched)
    days = [_spans(shares[day * 24 : day * 24 + 24]) for day in range(7)]
    if all(one is None for one in days):
        return ""
    known = [one or () for one in days]
    if all(one == ((0, 24),) for one in known):
        return "always"
    if not any(known):
        return "never"
    return ", ".join(_grouped(known))


def _spans(shares: Sequence[tuple[float, int] | None]) -> tuple[tuple[int, int], ...] | None:
    """Spans of hours of a day in which it is usually on; None: nothing known of the day."""
    if all(share is None for share in shares):
        return None
    spans: list[tuple[int, int]] = []
    for clock in (n for n, share in enumerate(shares) if share is not None and share[0] >= USUAL_SHARE):
        if spans and spans[-1][1] == clock:
            spans[-1] = (spans[-1][0], clock + 1)
        else:
            spans.append((clock, clock + 1))
    return tuple(spans)


def _grouped(days: Iterable[tuple[tuple[int, int], ...]]) -> Iterator[str]:
    """Days in a row with the same hours as one."""
    names = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    runs: list[tuple[int, int, tuple[tuple[int, int], ...]]] = []
    for day, spans in enumerate(days):
        if runs and runs[-1][2] == spans:
            runs[-1] = (runs[-1][0], day, spans)
        else:
            runs.append((day, day, spans))
    for first, last, spans in runs:
        if spans:
            name = names[first] if first == last else f"{names[first]}-{names[last]}"
            yield f"{name} {' '.join(f'{start:02}-{end:02}' for start, end in spans)}"
