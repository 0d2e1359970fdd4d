"""The readings that probes and agents of a plant would give, in the order in which they arrive; the same for one seed.

With the scatter of a real estate: load by the hour of the week, lost and late readings, single failures and slow
answers without a cause, clocks that are wrong, PCs that are switched off for the night or just now.
"""

from __future__ import annotations

import heapq
import random
import zlib
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from healthmon.impact.hours import Calendar
from healthmon.model.ask import Ask
from healthmon.model.sample import Outcome, Reading, Reason, record
from healthmon.model.topology import Check
from healthmon.simulation.looks import USUAL, Face, face, look
from healthmon.simulation.plant import Plant
from healthmon.simulation.world import Mode, World

Series = tuple[str, str, str]
POLLER = "poller"
_BEAT_S = 15.0
_SPOOLED = 2_000
_FRESH_S = 45.0
_ASK_S = 0.1
_RECHECK_HZ, _RECHECK_BURST = 20.0, 40.0
_SAID_BY_DEVICE = (Mode.BATTERY, Mode.STUCK, Mode.SLOW, Mode.LOSSY)
FAILED_ONCE = Face(Outcome.FAILED, Reason.TIMEOUT)
SLOW_ONCE = Face(Outcome.OK, slow=12.0)
#: Share of the week's busiest hour, by hour of a weekday; nights and weekends have the rest.
_LOAD = (
    *(0.12, 0.1, 0.1, 0.1, 0.12, 0.18, 0.3, 0.6, 0.9, 1.0, 1.0, 0.95),
    *(0.85, 0.85, 0.9, 0.9, 0.85, 0.7, 0.5, 0.4, 0.35, 0.3, 0.22, 0.15),
)


@dataclass(frozen=True, slots=True)
class Noise:
    """Shares are of all readings, unless said otherwise."""

    failing: float = 2e-4  # fails once, for no reason
    again: float = 0.01  # and fails at the next look as well
    slow: float = 1e-3
    missing: float = 1e-3
    clock_s: float = 0.4  # standard deviation of an agent's clock, what remains after correction
    wrong_clocks: float = 0.01  # of agents: wrong by up to half a minute
    off_at_night: float = 0.75  # of PCs where nobody works at night
    clean_goodbye: float = 0.9  # of PCs that are switched off
    switched_off_per_day: float = 0.1  # of PCs in areas that never close


DEFAULT_NOISE = Noise()


@record
class Delivery:
    """What reaches the server at once: readings of one looker, and what its presence is then."""

    vantage: str
    readings: tuple[Reading, ...] = ()
    live: bool = True
    state: str | None = None  # up, stopped


@dataclass(slots=True)
class _Job:
    series: Series
    check: Check
    host: str
    area: str | None
    failing: bool = False


class Stream:
    """Moves with `advance`; `ask` has things looked at soon. The world may be changed between two calls."""

    def __init__(self, world: World, *, seed: int, start: float, noise: Noise = DEFAULT_NOISE) -> None:
        self.world = world
        self.plant: Plant = world.plant
        self.noise = noise
        self.chance = random.Random(f"stream-{self.plant.name}-{seed}")
        self.now = start
        self.made = 0
        self._calendar = Calendar(self.plant.estate)
        self._load_until, self._load = start, 0.0
        self._jobs = [_Job(series, check, *self._place(series[2])) for series, check in self._all_series()]
        self._by_series = {job.series: index for index, job in enumerate(self._jobs)}
        self._faces: list[Face | None] = [None] * len(self._jobs)
        self._version = world.version
        self._agents = [id_ for id_ in sorted(self.plant.estate.agents) if id_ != POLLER]
        self._host = {id_: agent.target or id_ for id_, agent in self.plant.estate.agents.items()}
        self._reaches: dict[str, bool] = {}  # agents: whether they run and can be heard, until the world changes
        self._closes = {agent: area for agent in self._agents if (area := self._ward(agent)) is not None}
        self._alone = {agent: Delivery(agent, state="up") for agent in self._agents}
        self._clock = {agent: self._clock_error() for agent in self._agents}
        self._goes_home = {agent for agent in self._agents if self.chance.random() < noise.off_at_night}
        self._away_until: dict[str, float] = {}
        self._on: dict[str, bool] = {}
        self._spool: dict[str, deque[Reading]] = {agent: deque(maxlen=_SPOOLED) for agent in self._agents}
        self._queue: list[tuple[float, int, str, int]] = []  # when, order, what happens, index
        self._arriving: list[tuple[float, int, Reading]] = []  # at the server, without a detour over a spool
        self._order = 0
        self._tokens, self._tokens_at = _RECHECK_BURST, start

    def prime(self) -> list[Delivery]:
        """Everything has been looked at once, just now, and all is well: the start of a test."""
        by_looker: dict[str, list[Reading]] = {POLLER: []}
        for number, agent in enumerate(self._agents):
            self._on[agent] = self._present(agent, self.now)
            self._push(self.now + _spread(agent) * _BEAT_S, "beat", number)
        for index, job in enumerate(self._jobs):
            offset = _spread("/".join(job.series)) * job.check.every_s
            self._push(self.now + offset, "look", index)
            if job.series[2] == POLLER or self._on[job.series[2]]:
                began = self.now - min(job.check.every_s - offset, _FRESH_S) - 1.0
                by_looker.setdefault(job.series[2], []).append(self._reading(index, began, quiet=True))
        found = [Delivery(looker, tuple(readings)) for looker, readings in by_looker.items()]
        return found + [Delivery(a, state="up" if self._on[a] else "stopped") for a in self._agents]

    def advance(self, now: float) -> list[Delivery]:
        """Everything that arrives up to now."""
        self.now = now
        found: list[Delivery] = []
        queue = self._queue
        while queue and queue[0][0] <= now:
            when, _, what, index = queue[0]
            if what == "beat":
                self._again(when + _BEAT_S, what, index)
                self._beat(self._agents[index], when, found)
            elif what == "look":
                self._again(when + self._jobs[index].check.every_s, what, index)
                self._run(index, when, what)
            else:
                heapq.heappop(queue)
                self._run(index, when, what)
        direct: dict[str, list[Reading]] = {}
        while self._arriving and self._arriving[0][0] <= now:
            reading = heapq.heappop(self._arriving)[2]
            direct.setdefault(reading.vantage, []).append(reading)
        return [*(Delivery(looker, tuple(readings)) for looker, readings in direct.items()), *found]

    def ask(self, asks: Iterable[Ask]) -> None:
        """Whoever can be reached looks at once and answers by itself, not with the next batch."""
        for ask in asks:
            index = self._by_series.get((ask.target, ask.check, ask.vantage))
            if index is None:
                continue
            if ask.vantage == POLLER or self._heard(ask.vantage):
                self._push(self.now + _ASK_S, "ask", index)

    def symptomatic(self) -> set[str]:
        """Targets that show something now, from somewhere, or whose agent cannot be heard for a fault."""
        found = {job.series[0] for index, job in enumerate(self._jobs) if self._alters(index)}
        for agent in self._agents:
            host = self._host[agent]
            if not self.world.alive(host) or not self._way_home(host):
                found.add(host)
        return found

    def shortest_look_s(self) -> float | None:
        """The interval of the most frequent look from the server that shows a fault now; None when none does."""
        shown = (
            job.check.every_s for index, job in enumerate(self._jobs) if job.series[2] == POLLER and self._alters(index)
        )
        return min(shown, default=None)

    def failing(self, target: str, check: str, vantage: str) -> bool:
        """Whether this series shows a fault now (an agent's own word: whether it cannot be heard for one)."""
        index = self._by_series.get((target, check, vantage))
        if index is None:
            return not self.world.alive(target) or not self._way_home(target)
        return self._alters(index)

    def present(self, agent: str) -> bool:
        """Whether the agent's machine is switched on."""
        return self._on[agent]

    # one look, one word

    def _run(self, index: int, when: float, what: str) -> None:
        job = self._jobs[index]
        looker = job.series[2]
        if looker != POLLER and not self._runs(looker):
            return
        was_failing = job.failing
        reading = self._reading(index, when)
        done = when + reading.took
        job.failing = reading.outcome is Outcome.FAILED
        if job.failing and (what.startswith("again") or (what == "look" and not was_failing)):
            self._recheck(index, done, what)
        if self.chance.random() < self.noise.missing:
            return
        if looker == POLLER or what == "ask":
            self._order += 1
            heapq.heappush(self._arriving, (done, self._order, reading))
        else:
            self._spool[looker].append(reading)

    def _recheck(self, index: int, done: float, what: str) -> None:
        """Twice, within a quarter of the interval, under a budget of looks per second: as the runner does."""
        every_s = self._jobs[index].check.every_s
        gap_s = max(1.0, every_s / 4.0) / 2
        taken = int(what[5:] or 0) if what.startswith("again") else 0
        earned = (done - self._tokens_at) * _RECHECK_HZ if done > self._tokens_at else 0.0
        self._tokens, self._tokens_at = min(_RECHECK_BURST, self._tokens + earned), max(done, self._tokens_at)
        if taken < 2 and (taken + 1) * gap_s < every_s and self._tokens >= 1.0:
            self._tokens -= 1.0
            self._push(done + gap_s, f"again{taken + 1}", index)

    def _reading(self, index: int, when: float, *, quiet: bool = False) -> Reading:
        job = self._jobs[index]
        target, check, looker = job.series
        shown = USUAL if quiet else self._face(index)
        self.made += 1
        chance = self.chance
        if shown is USUAL and not quiet:
            draw = chance.random()
            noise = self.noise
            if draw < noise.failing or (job.failing and draw < noise.again):
                shown = FAILED_ONCE
            elif draw > 1.0 - noise.slow:
                shown = SLOW_ONCE
        seen = look(self.world, target, job.check, shown, at=when, load=self._load_at(when), chance=chance)
        started = when + self._clock.get(looker, 0.0)
        return Reading(target, check, looker, started, seen.took, seen.outcome, seen.reason, "", seen.samples)

    def _face(self, index: int) -> Face:
        self._keep_up()
        known = self._faces[index]
        if known is None:
            job = self._jobs[index]
            known = face(self.world, job.series[0], job.check, host=job.host, area=job.area)
            self._faces[index] = known
        return known

    def _keep_up(self) -> None:
        """What was worked out of the world holds until it changes."""
        if self._version != self.world.version:
            self._version = self.world.version
            self._faces = [None] * len(self._jobs)
            self._reaches = {}

    def _alters(self, index: int) -> bool:
        """The series differs from what it shows when all is well."""
        target = self._jobs[index].series[0]
        return not self._face(index).usual or self.world.modes.get(target) in _SAID_BY_DEVICE

    def _beat(self, agent: str, when: float, found: list[Delivery]) -> None:
        """The agent's batch: new readings live, those that waited for the way back as what they are."""
        present = self._present(agent, when)
        if self._on[agent] and not present and self._heard(agent):
            clean = self.chance.random() < self.noise.clean_goodbye
            found += [Delivery(agent, state="stopped")] if clean else []
        self._on[agent] = present
        if not present or not self._heard(agent):
            return
        spool = self._spool[agent]
        if not spool:
            found.append(self._alone[agent])
            return
        fresh = tuple(reading for reading in spool if when - reading.started < _FRESH_S)
        stale = tuple(reading for reading in spool if when - reading.started >= _FRESH_S)
        spool.clear()
        found.append(Delivery(agent, fresh, state="up"))
        if stale:
            found.append(Delivery(agent, stale, live=False))

    # who is there

    def _present(self, agent: str, when: float) -> bool:
        """The machine is switched on: not at home time where nobody stays, and not when somebody presses the button."""
        area = self._closes.get(agent)
        if area is None:
            return True
        if not self._calendar.staffed(area, when):
            return agent not in self._goes_home
        if self._away_until.get(agent, when) > when:
            return False
        if self.chance.random() < self.noise.switched_off_per_day * _BEAT_S / 86_400.0:
            self._away_until[agent] = when + self.chance.uniform(600.0, 7_200.0)
            return False
        return True

    def _ward(self, agent: str) -> str | None:
        """The area of a machine that people switch off; None: it stays on."""
        area = self.plant.estate.targets[self._host[agent]].area
        return area if "ward-workstation" in self.plant.estate.agents[agent].roles else None

    def _runs(self, agent: str) -> bool:
        return self._on[agent] and self.world.alive(self._host[agent])

    def _heard(self, agent: str) -> bool:
        if not self._on[agent]:
            return False
        self._keep_up()
        known = self._reaches.get(agent)
        if known is None:
            host = self._host[agent]
            known = self._reaches[agent] = self.world.alive(host) and self._way_home(host)
        return known

    def _way_home(self, host: str) -> bool:
        return self.world.sight(host, self.plant.monitor).reaches

    # what there is

    def _all_series(self) -> Iterable[tuple[Series, Check]]:
        watchers = [agent for _, agents in sorted(self.plant.observers.items()) for agent in agents]
        for target in self.plant.estate.targets.values():
            for check in target.checks:
                for vantage in check.vantages:
                    for looker in watchers if vantage == "agents" else (vantage,):
                        yield (target.id, check.id, looker), check

    def _place(self, vantage: str) -> tuple[str, str | None]:
        agent = self.plant.estate.agents[vantage]
        host = agent.target or vantage
        return host, None if vantage == POLLER else self.plant.estate.targets[host].area

    def _clock_error(self) -> float:
        wrong = self.chance.random() < self.noise.wrong_clocks
        return self.chance.uniform(-30.0, 30.0) if wrong else self.chance.gauss(0.0, self.noise.clock_s)

    def _load_at(self, when: float) -> float:
        if when >= self._load_until:
            local = self._calendar.local("", when)
            self._load = _LOAD[local.hour] * (1.0 if local.weekday() < 5 else 0.45)
            self._load_until = when + 60.0
        return self._load

    def _again(self, when: float, what: str, index: int) -> None:
        """What is first in the queue happens again then."""
        self._order += 1
        heapq.heapreplace(self._queue, (when, self._order, what, index))

    def _push(self, when: float, what: str, index: int) -> None:
        self._order += 1
        heapq.heappush(self._queue, (when, self._order, what, index))


def _spread(name: str) -> float:
    """A place in [0, 1) that the name always has."""
    return zlib.crc32(name.encode()) / 2**32
