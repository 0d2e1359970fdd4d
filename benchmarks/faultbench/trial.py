"""One fault through the real engine, with the stock rules, and what a peer would have made of the same readings."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from benchmarks.faultbench.peer import NOTHING, Peer
from healthmon.alerting.engine import Engine
from healthmon.alerting.engine_settings import EngineSettings, EngineStep
from healthmon.config import load
from healthmon.config.site import SiteConfig
from healthmon.impact.hours import Calendar
from healthmon.model.incident import (
    Command,
    Incident,
    IncidentState,
    Notice,
    Policy,
    ServiceState,
    Step,
    Why,
)
from healthmon.simulation.faults import Fault
from healthmon.simulation.plant import Plant
from healthmon.simulation.stream import Delivery, Stream
from healthmon.simulation.truth import Truth, judge
from healthmon.simulation.world import Line, World

STEP_S = 0.5
#: All is well for so long before the fault.
LEAD_IN_S = 30.0
#: On-call takes a page in hand after so long; escalation for want of an answer is no page too many.
ACKNOWLEDGED_AFTER_S = 60.0
POLICIES = (Policy("on-call", (Step(0.0, ("pager",)), Step(300.0, ("pager",))), (1, 2, 3)),)
_PAGES = (Why.OPENED, Why.WORSE, Why.NEW_AREA)
_HARD = (ServiceState.LOST, ServiceState.DEGRADED)


@cache
def stock() -> SiteConfig:
    """A site without packs of its own: the stock rules, severities and waking table, as they are."""
    return load(Path(__file__).parents[2] / "configs" / "minimal.yaml", env={})


def engine_for(plant: Plant) -> Engine:
    """The engine as a server of this hospital would start it, paging switched on."""
    site = stock()
    return Engine(
        estate=plant.estate,
        rules=site.rules,
        policies=POLICIES,
        severity=site.severity,
        settings=EngineSettings(mode="live", waking=site.waking, text=site.text),
        staffed=Calendar(plant.estate).staffed,
    )


@dataclass(slots=True)
class Run:
    """An engine fed from a stream, step by step."""

    plant: Plant
    world: World
    stream: Stream
    engine: Engine
    peer: Peer | None
    now: float
    pages: list[Notice] = field(default_factory=list)
    busy_s: float = 0.0
    slowest_s: float = 0.0
    incidents: dict[str, Incident] = field(default_factory=dict)
    _to_acknowledge: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, plant: Plant, *, start: float, seed: int, with_peer: bool = True) -> Run:
        world = World(plant)
        stream = Stream(world, seed=seed, start=start)
        peer = Peer(plant.estate, stock().rules) if with_peer else None
        run = cls(plant, world, stream, engine_for(plant), peer, start)
        run.take(stream.prime())
        run.tick()
        return run

    def step(self, step_s: float) -> EngineStep:
        self.now += step_s
        self.take(self.stream.advance(self.now))
        return self.tick()

    def take(self, deliveries: Sequence[Delivery]) -> None:
        """Feed what arrived, to the engine and to the peer."""
        began = time.process_time()
        for one in deliveries:
            if one.readings:
                self.engine.observe(one.readings, now=self.now, live=one.live)
            if one.state is not None:
                self.engine.heard(one.vantage, one.state, self.now)
        self.busy_s += time.process_time() - began
        for one in deliveries if self.peer is not None else ():
            if self.peer is not None and one.live:
                self.peer.observe(one.readings, self.now)

    def tick(self) -> EngineStep:
        began = time.process_time()
        step = self.engine.tick(self.now)
        took = time.process_time() - began
        self.busy_s += took
        self.slowest_s = max(self.slowest_s, took)
        self.incidents.update((incident.id, incident) for incident in step.changes.incidents)
        self.stream.ask(step.asks)
        self.pages += [notice for notice in step.notices if notice.why in _PAGES]
        for notice in step.notices:
            self._to_acknowledge.setdefault(notice.incident, self.now + ACKNOWLEDGED_AFTER_S)
        self._acknowledge()
        if self.peer is not None:
            self.peer.tick(self.now)
        return step

    def _acknowledge(self) -> None:
        for id_ in sorted(id_ for id_, at in self._to_acknowledge.items() if at <= self.now):
            self._to_acknowledge[id_] = float("inf")
            known = self.incidents.get(id_)
            if known is not None and known.state is IncidentState.OPEN:
                self.engine.act(Command("ack", id_, "on-call"), self.now)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One fault, judged. Times are seconds after the fault began; None: never."""

    kind: str
    at: float
    truth: Truth
    roots: tuple[str, ...]
    named: tuple[str, ...]  # what the main incident names, best first
    top1: bool
    top3: bool
    raised_s: float | None
    named_s: float | None  # since when the right root has been named without interruption
    vital_s: float | None  # raised, counted from the first loss of a tier 0 or 1 line
    severity: int | None
    found: dict[Line, ServiceState]
    pages: int
    false_pages: int
    incidents: int  # that speak of this fault
    busy_s: float
    slowest_s: float
    readings: int
    peer_raised_s: float | None = None
    peer_pages: int = 0
    peer_alerts: int = 0
    peer_names_root: bool = False
    title: str = ""
    number: int = 0
    vital_every_s: float | None = None  # how often the server looks at what shows the first loss of tier 0 or 1
    worse_pages: int = 0  # of the pages: those that say a severity has become worse

    @property
    def hard_truth(self) -> set[Line]:
        return {line for line, state in self.truth.lines.items() if state in _HARD}

    @property
    def hard_found(self) -> set[Line]:
        return {line for line, state in self.found.items() if state in _HARD}


def trial(plant: Plant, fault: Fault, *, seed: int, with_peer: bool = True, step_s: float = STEP_S) -> Outcome:
    """Thirty quiet seconds, the fault, and the verdict when its time is up."""
    run = Run.of(plant, start=fault.at - LEAD_IN_S, seed=seed, with_peer=with_peer)
    watch = _Watch(run, fault)
    before = run.now
    while run.now < fault.at + fault.watch_s:
        fault.apply(run.world, after=before, until=run.now)
        before = run.now
        watch.look(run.step(step_s))
    return watch.judged()


@dataclass(slots=True)
class _Watch:
    """Notes when things were first seen, and judges at the end."""

    run: Run
    fault: Fault
    touched: set[str] = field(default_factory=set)
    raised_at: float | None = None
    named_at: float | None = None
    vital_at: float | None = None
    vital_every_s: float | None = None
    ours: set[str] = field(default_factory=set)
    _version: int = -1

    def look(self, step: EngineStep) -> None:
        run = self.run
        if run.now < self.fault.at:
            return
        if run.world.version != self._version:
            self._version = run.world.version
            self.touched |= run.stream.symptomatic()
            if self.vital_at is None and self._judge().vital_lost:
                self.vital_at = run.world.changed_at
                self.vital_every_s = run.stream.shortest_look_s()
        if step.changes.incidents:
            self._note()

    def _note(self) -> None:
        """What the engine says has changed."""
        mine = self.mine()
        self.ours |= {incident.id for incident in mine}
        main = _main(mine) if mine else None
        if main and self.raised_at is None:
            self.raised_at = self.run.now
        if main is None or not self._named(_names(main)[:1], main):
            self.named_at = None
        elif self.named_at is None:
            self.named_at = self.run.now

    def mine(self) -> list[Incident]:
        """Open incidents that speak of something which this fault touches."""
        after = (i for i in self.run.incidents.values() if i.opened_at >= self.fault.at)
        return [incident for incident in after if incident.open and self._about(incident)]

    def _about(self, incident: Incident) -> bool:
        if self.fault.blind and incident.kind.value == "blind":
            return True
        targets = {member.key.target for member in incident.members}
        return bool(targets & self.touched) or (incident.root is not None and incident.root.target in self.fault.roots)

    def judged(self) -> Outcome:
        run, fault = self.run, self.fault
        mine = self.mine()
        main = _main(mine) if mine else None
        named = _names(main)
        paged = [notice for notice in run.pages if notice.due >= fault.at]
        own = run.peer.since(fault.at, self.touched) if run.peer is not None else NOTHING
        return Outcome(
            kind=fault.kind,
            at=fault.at,
            truth=self._judge(),
            roots=tuple(sorted(fault.roots | fault.marks)),
            named=named,
            top1=self._named(named[:1], main),
            top3=self._named(named[:3], main),
            raised_s=_after(self.raised_at, fault.at),
            named_s=_after(self.named_at, fault.at),
            vital_s=_after(self.raised_at, self.vital_at) if self.vital_at is not None else None,
            severity=min((incident.severity for incident in mine), default=None),
            found=_lines(mine),
            pages=_count(n for n in paged if n.incident in self.ours),
            false_pages=_count(n for n in paged if n.incident not in self.ours),
            incidents=len(mine),
            busy_s=run.busy_s,
            slowest_s=run.slowest_s,
            readings=run.stream.made,
            peer_raised_s=_after(own.first_at, fault.at),
            peer_pages=own.pages,
            peer_alerts=own.alerts,
            peer_names_root=own.alerts > 0 and len(own.first) == 1 and bool(own.first & fault.roots),
            title=main.title if main else "",
            vital_every_s=self.vital_every_s,
            worse_pages=_count(n for n in paged if n.incident in self.ours and n.why is Why.WORSE),
        )

    def _judge(self) -> Truth:
        run = self.run
        symptoms = run.stream.symptomatic()
        return judge(run.world, self.fault, symptoms, at=run.now, table=stock().severity)

    def _named(self, names: Sequence[str], incident: Incident | None) -> bool:
        """A root among these, or a shared mark that is named to the reader."""
        if set(names) & (self.fault.roots | self.fault.marks):
            return True
        told = f"{incident.title} {incident.plain_text}" if incident and incident.root else ""
        return any(mark in told for mark in self.fault.marks)


def _count(notices: Iterable[Notice]) -> int:
    """Pages, however many people each goes to."""
    return len({(notice.incident, notice.due) for notice in notices})


def _main(incidents: Sequence[Incident]) -> Incident:
    """The one that a reader would open: blind, then the worst, then the largest."""
    return min(incidents, key=lambda i: (i.severity, -len(i.impact), -len(i.members), i.opened_at, i.id))


def _names(incident: Incident | None) -> tuple[str, ...]:
    if incident is None or incident.root is None:
        return ()
    return (incident.root.target, *incident.root.alternatives)


def _lines(incidents: Iterable[Incident]) -> dict[Line, ServiceState]:
    """The worst that any incident says of each line."""
    order = (ServiceState.LOST, ServiceState.DEGRADED, ServiceState.UNKNOWN, ServiceState.AT_RISK)
    found: dict[Line, ServiceState] = {}
    for incident in incidents:
        for line in incident.impact if incident.state is not IncidentState.MITIGATED else ():
            key = (line.area, line.service)
            known = found.get(key)
            if known is None or order.index(line.state) < order.index(known):
                found[key] = line.state
    return found


def _after(at: float | None, began: float | None) -> float | None:
    return None if at is None or began is None else max(0.0, at - began)
