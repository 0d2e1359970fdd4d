"""host_wifi_roams: changes of access point, how long each took, and connections lost. No address or name is kept."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from healthmon.collectors.journal import MOST_EVENTS, numbered, read_journal
from healthmon.collectors.look import look, params_of
from healthmon.collectors.windows import events_xml
from healthmon.model.plan import Job
from healthmon.model.ports import Sight
from healthmon.model.sample import Family, Reading, Sample

FAMILIES = (
    Family(
        "host_wifi_roams",
        frozenset({"roams", "worst_roam_seconds", "losses", "away_seconds", "failures", "window_seconds"}),
    ),
)
#: What mac80211 writes into the kernel's log, and what it means here.
_KERNEL = (
    ("roam", re.compile(r"^(\w+): disconnect from AP \S+ for new auth to ")),
    ("joined", re.compile(r"^(\w+): associated$")),
    ("lost", re.compile(r"^(\w+): (?:deauthenticated from|disassociated from|Connection to AP) ")),
    ("left", re.compile(r"^(\w+): (?:deauthenticating from|disassociating from) ")),
    ("failed", re.compile(r"^(\w+): (?:authentication|association) with \S+ timed out")),
)
#: WLAN-AutoConfig: connected, failed to connect, disconnected.
_AUTOCONFIG = {"8001": "joined", "8002": "failed", "8003": "lost"}
_LOG = "Microsoft-Windows-WLAN-AutoConfig/Operational"
#: Unix seconds, what happened, interface.
Event = tuple[float, str, str]


@dataclass(frozen=True, slots=True)
class Params:
    """`window_s`: how far back the first look goes."""

    window_s: float = 900.0

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        if not 60.0 <= self.window_s <= 86400.0:
            raise ValueError("window_s must be 60 to 86400")


@dataclass(slots=True)
class Roaming:
    """What the events came to. away: seconds between a loss and the next connection, both seen."""

    roams: list[float] = field(default_factory=list)
    losses: int = 0
    away_s: float = 0.0
    failures: int = 0


class RoamsCollector:
    """The kernel's words on Linux (mac80211 drivers); on Windows connections lost and made again, not roams."""

    def __init__(self, journal_directory: str | None = None) -> None:
        self._directory = journal_directory
        self._looked_at: dict[str, float] = {}

    async def probe(self, job: Job, sight: Sight) -> Reading:
        now = sight.clock.now()

        def see() -> list[Sample]:
            since = max(self._looked_at.get(job.check, 0.0), now - params_of(job, Params).window_s)
            windows = sys.platform == "win32"
            seen = roaming(windows_events(now - since) if windows else self._linux(since, now))
            self._looked_at[job.check] = now
            facts = facts_of(seen, roams_told=not windows) | {"window_seconds": now - since}
            return [Sample("host_wifi_roams", name, value) for name, value in facts.items()]

        return await look(job, sight, see)

    def _linux(self, since: float, until: float) -> list[Event]:
        what = ["--output=short-unix", "_TRANSPORT=kernel"]
        return list(parse_kernel(read_journal(self._directory, *what, since=since, until=until)))


def parse_kernel(text: str) -> Iterator[Event]:
    """Lines of `journalctl --output=short-unix`: `SECONDS HOST kernel: WORDS`."""
    for line in text.splitlines():
        stamp, _, rest = line.partition(" ")
        words = rest.partition(": ")[2]
        for what, pattern in _KERNEL:
            match = pattern.match(words)
            if match and re.fullmatch(r"\d+\.\d+", stamp):
                yield float(stamp), what, match[1]


def windows_events(window_s: float) -> list[Event]:
    """Blocking. Raises Unseen."""
    numbers = " or ".join(f"EventID={number}" for number in _AUTOCONFIG)
    return sorted(parse_autoconfig(events_xml(_LOG, numbers, window_s=window_s, most=MOST_EVENTS)))


def parse_autoconfig(xml: str) -> Iterator[Event]:
    """Events as wevtutil prints them: number, time, and the adapter's GUID to tell adapters apart."""
    for number, event in numbered(xml):
        time = re.search(r"""SystemTime=["'](\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,6})?""", event)
        if time is None or number not in _AUTOCONFIG:
            continue
        adapter = re.search(r"""Name=["']InterfaceGuid["']>([^<]*)<""", event)
        at = datetime.fromisoformat(f"{time[1]}+00:00").timestamp() + float(time[2] or 0.0)
        yield at, _AUTOCONFIG[number], adapter[1] if adapter else ""


def roaming(events: list[Event]) -> Roaming:
    """A roam lasts from leaving one access point for another to being associated; a wanted parting is no loss."""
    found, leaving, away = Roaming(), dict[str, float](), dict[str, float]()
    for at, what, interface in events:
        if what == "roam":
            leaving[interface] = at
        elif what == "lost":
            found.losses += 1
            away[interface] = at
        elif what == "left":
            leaving.pop(interface, None)
            away.pop(interface, None)
        elif what == "failed":
            found.failures += 1
        elif interface in leaving:
            found.roams.append(at - leaving.pop(interface))
        elif interface in away:
            found.away_s += at - away.pop(interface)
    return found


def facts_of(seen: Roaming, *, roams_told: bool) -> dict[str, float]:
    """As fields; where the platform does not tell of roams, nothing is said of them."""
    facts = {"losses": float(seen.losses), "away_seconds": seen.away_s, "failures": float(seen.failures)}
    if roams_told:
        facts["roams"] = float(len(seen.roams))
        if seen.roams:
            facts["worst_roam_seconds"] = max(seen.roams)
    return facts
