"""Line protocol of other tools: lines become readings of declared targets and take the way that batches take.

A tool has no spool of ours: MQTT's own acknowledgement is all it gets. What cannot be taken is counted by reason.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from healthmon.app.engineroom import EngineRoom, Intake
from healthmon.app.quarantine import Quarantine
from healthmon.app.steadyclock import SteadyClock
from healthmon.config import SiteConfig
from healthmon.config.lineforms import PREFIX
from healthmon.config.site import LineProtocolConfig
from healthmon.ingest.lineprotocol import BadLine, Point, lines_of, parse_line
from healthmon.ingest.pipeline import FUTURE_S, Admitted, Pipeline
from healthmon.model.sample import Batch, Outcome, Reading, Sample
from healthmon.store.writer import StoreWriter

MAX_LINES = 10_000
#: Older lines would be of a series that the store has sealed long ago.
OLDEST_S = 7 * 86_400.0
#: What a tool was not asked for is left out and counted; these other refusals are noted too.
_NOTED = frozenset({"malformed", "too_many_lines", "undeclared_host", "bad_time"})
_KEY = "lines_refused_total."


class Home(Protocol):
    """What is used of the server."""

    site: SiteConfig
    clock: SteadyClock
    pipeline: Pipeline
    writer: StoreWriter
    room: EngineRoom
    quarantine: Quarantine

    def arrived(self) -> None: ...


class Lines:
    """One for the server. Each agent speaks under an epoch of this process, so that its clock is not corrected."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._epoch = secrets.token_hex(8)
        self._seq: Counter[str] = Counter()
        self.counters: dict[str, float] = {}

    def take(self, agent: str, payload: bytes) -> None:
        """One payload: its good lines are taken, its bad ones counted, and one note is kept of them."""
        home, config = self._home, self._home.site.line_protocol
        assert config is not None
        now = home.clock.now()
        refused: Counter[str] = Counter()
        readings = _Gathering(home.site, config, agent, now, refused, told=home.clock.told).readings(payload)
        for reason, number in refused.items():
            self._count(f"{_KEY}{reason}", number)
        if not _NOTED.isdisjoint(refused):
            home.quarantine.refuse(agent, payload, "bad_lines")
        if readings:
            self._admit(agent, tuple(readings), payload, now)

    def _admit(self, agent: str, readings: tuple[Reading, ...], payload: bytes, now: float) -> None:
        home = self._home
        self._seq[agent] += 1
        batch = Batch(agent, self._epoch, self._seq[agent], now, home.clock.mono(), True, readings)
        admitted = home.pipeline.admit(batch, topic_agent=agent, received_at=now)
        if not isinstance(admitted, Admitted):
            home.quarantine.refuse(agent, payload, admitted.reason)
            return
        key = admitted.key
        if not home.writer.put(admitted.rows, lambda: home.pipeline.store_has(*key), key=key):
            home.quarantine.refuse(agent, payload, "store_queue_full")
        self._count("lines_points_total", sum(len(reading.samples) for reading in admitted.readings))
        home.room.take(Intake(agent, "up", now, key, admitted.epoch, admitted.readings, live=True))
        home.arrived()

    def _count(self, name: str, number: int) -> None:
        self.counters[name] = self.counters.get(name, 0.0) + number


class _Gathering:
    """Reads one payload. One reading per target and moment."""

    def __init__(
        self,
        site: SiteConfig,
        config: LineProtocolConfig,
        agent: str,
        now: float,
        refused: Counter[str],
        *,
        told: Callable[[float], float],
    ) -> None:
        self._site = site
        self._config = config
        self._agent = agent
        self._now = now
        self._refused = refused
        self._told = told
        self._found: dict[tuple[str, str, float], list[Sample]] = {}
        declared = site.estate.agents.get(agent)
        self._own = declared.target if declared else None

    def readings(self, payload: bytes) -> list[Reading]:
        """In the order of their times."""
        for number, line in enumerate(lines_of(payload)):
            if number >= MAX_LINES:
                self._refused["too_many_lines"] += 1
                break
            try:
                self._take(parse_line(line))
            except BadLine:
                self._refused["malformed"] += 1
        return [
            Reading(target, check, self._agent, at, 0.0, Outcome.OK, samples=tuple(samples))
            for (target, check, at), samples in sorted(self._found.items(), key=lambda item: item[0][2])
        ]

    def _take(self, point: Point) -> None:
        place = self._place(point.tags.pop("host", None))
        at = self._now if point.at is None else self._told(point.at)
        family = self._config.families.get(f"{PREFIX}{point.measurement}")
        labels = {name: text for name, text in point.tags.items() if name not in self._config.drop_tags}
        if family is None:
            self._refused["undeclared_measurement"] += 1
        elif place is None:
            self._refused["undeclared_host"] += 1
        elif not family.labels.issuperset(labels):
            self._refused["undeclared_tag"] += 1
        elif not self._now - OLDEST_S <= at <= self._now + FUTURE_S:
            self._refused["bad_time"] += 1
        else:
            known = {name: value for name, value in point.fields.items() if name in family.fields}
            if left_out := len(point.fields) - len(known):
                self._refused["undeclared_field"] += left_out
            samples = [Sample(family.name, name, value, labels) for name, value in known.items()]
            if samples:
                self._found.setdefault((*place, at), []).extend(samples)

    def _place(self, host: str | None) -> tuple[str, str] | None:
        """(target, check) that this agent may speak of: the one with a check of kind `push` that names it."""
        name = self._own if host is None else self._config.hosts.get(host, host.partition(".")[0].lower())
        target = self._site.estate.targets.get(name or "")
        for check in target.checks if target else ():
            if check.kind == "push" and self._agent in check.vantages and target is not None:
                return target.id, check.id
        return None
