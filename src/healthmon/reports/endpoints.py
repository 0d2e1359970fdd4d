"""What the PCs of an area told in a month: logons, restarts, Wi-Fi, batteries. Machines, never persons."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from healthmon.model.sample import Value

Points = Sequence[tuple[float, Value]]
#: What is read of each PC: (family, field).
ASKED = (
    ("host_logons", "logon_seconds"), ("host_logons", "last_logon_age_seconds"), ("host_logons", "boot_seconds"),
    ("host_logons", "sessions"), ("host_wifi", "signal_dbm"), ("host_wifi", "noise_dbm"),
    ("host_wifi", "frequency_hertz"), ("host_battery", "charge_ratio"), ("host_battery", "on_mains"),
    ("host_waits", "app_starts"), ("host_waits", "app_start_seconds"), ("host_waits", "reconnects"),
    ("host_waits", "reconnect_seconds"), ("host_waits", "record_opens"), ("host_waits", "record_open_seconds"),
    ("host_crashes", "crashes"), ("host_crashes", "hangs"), ("host_crashes_machine", "unplanned_stops"),
    ("host_wifi_roams", "roams"), ("host_wifi_roams", "worst_roam_seconds"), ("host_wifi_roams", "losses"),
    ("host_wifi_roams", "away_seconds"),
)  # fmt: skip
#: What scripts in sessions time: kind, number of a look, seconds of them together.
_WAITS = (
    ("app_start", "app_starts", "app_start_seconds"), ("reconnect", "reconnects", "reconnect_seconds"),
    ("record_open", "record_opens", "record_open_seconds"),
)  # fmt: skip
#: A logon later than the last one by so much is another one.
APART_S = 30.0


@dataclass(frozen=True, slots=True)
class Event:
    """Somebody waited: a logon, a program, a restart to the next usable screen. at: Unix s; took: seconds."""

    kind: str
    at: float
    took_s: float
    attended: bool = True


@dataclass(frozen=True, slots=True)
class Pc:
    """One PC in one month. signal, snr: each look; roams: changes of channel seen; battery: each look off the mains."""

    id: str
    area: str
    events: tuple[Event, ...] = ()
    signal_dbm: tuple[float, ...] = ()
    snr_db: tuple[float, ...] = ()
    roams: int = 0
    battery: tuple[float, ...] = ()
    reported: bool = True
    sessions: Mapping[int, float] = field(default_factory=dict)  # by hour of the local day, mean
    sums: Mapping[str, float] = field(default_factory=dict)  # crashes, hangs ... of the month; absent: not told
    worst_roam_s: float | None = None

    def took(self, kind: str) -> list[float]:
        return [event.took_s for event in self.events if event.kind == kind]


def pc_of(
    id_: str,
    area: str,
    told: Mapping[tuple[str, str], Points],
    *,
    start: float,
    staffed: Callable[[float], bool],
    hour: Callable[[float], int],
) -> Pc:
    """One PC from the points that it told."""
    sessions = told.get(("host_logons", "sessions"), ())
    logons = logons_of(told.get(("host_logons", "last_logon_age_seconds"), ()),
                       told.get(("host_logons", "logon_seconds"), ()), start=start)  # fmt: skip
    boots = [
        Event("restart", at, took, staffed(at) and in_use(sessions, at))
        for at, took in changed(told.get(("host_logons", "boot_seconds"), ()))
    ]
    signal = _numbers(told.get(("host_wifi", "signal_dbm"), ()))
    noise = dict(told.get(("host_wifi", "noise_dbm"), ()))
    snr = [value - float(noise[at]) for at, value in signal if at in noise]
    mains = dict(told.get(("host_battery", "on_mains"), ()))
    battery = [value for at, value in _numbers(told.get(("host_battery", "charge_ratio"), ())) if mains.get(at) == 0.0]
    return Pc(
        id_,
        area,
        tuple(sorted((*logons, *boots, *timed(told)), key=lambda event: (event.at, event.kind))),
        tuple(value for _, value in signal),
        tuple(snr),
        len(changed(told.get(("host_wifi", "frequency_hertz"), ()))),
        tuple(battery),
        reported=any(len(points) for points in told.values()),
        sessions=_by_hour(sessions, hour),
        sums={
            name: sum(value for _, value in _numbers(told[family, name]))
            for family, name in ASKED
            if family.startswith(("host_crashes", "host_wifi_roams")) and told.get((family, name))
        },
        worst_roam_s=max(
            (v for _, v in _numbers(told.get(("host_wifi_roams", "worst_roam_seconds"), ()))), default=None
        ),
    )


def timed(told: Mapping[tuple[str, str], Points]) -> list[Event]:
    """Waits that scripts timed: each look tells how many and how long together; each counts as their mean."""
    found: list[Event] = []
    for kind, number, seconds in _WAITS:
        together = dict(_numbers(told.get(("host_waits", seconds), ())))
        for at, count in _numbers(told.get(("host_waits", number), ())):
            if count > 0 and at in together:
                found += [Event(kind, at, together[at] / count)] * int(count)
    return found


def logons_of(ages: Points, took: Points, *, start: float) -> list[Event]:
    """One event for each logon: by its moment where the PC tells its age, else wherever the duration changes.

    Each look repeats the last logon, so looks are not events; one from before the month is none of it.
    """
    if not ages:
        return [Event("logon", at, seconds) for at, seconds in changed(took)]
    found: list[Event] = []
    last = start - APART_S
    waits = _numbers(took)
    for at, age in _numbers(ages):
        moment = at - age
        if moment <= last + APART_S:
            continue
        last = moment
        seconds = next((value for seen, value in waits if seen >= moment), None)
        if seconds is not None:
            found.append(Event("logon", moment, seconds))
    return found


def changed(points: Points) -> list[tuple[float, float]]:
    """Where a value differs from the one before; the first is no change."""
    numbers = _numbers(points)
    return [(at, value) for (_, before), (at, value) in pairwise(numbers) if value != before]


def in_use(sessions: Points, at: float) -> bool:
    """Whether somebody was logged on at the first look from then on (an hour at the most)."""
    return next((value > 0 for seen, value in _numbers(sessions) if at <= seen < at + 3600.0), False)


def _by_hour(sessions: Points, hour: Callable[[float], int]) -> dict[int, float]:
    sums: dict[int, list[float]] = {}
    for at, value in _numbers(sessions):
        sums.setdefault(hour(at), []).append(value)
    return {number: sum(values) / len(values) for number, values in sums.items()}


def _numbers(points: Points) -> list[tuple[float, float]]:
    return [(at, float(value)) for at, value in points if not isinstance(value, str)]
