"""Small hospitals and nights drawn at random, and a hand that drives a real engine through them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from hypothesis import strategies as st

from healthmon.alerting.engine import Engine
from healthmon.alerting.engine_settings import EngineSettings, EngineStep
from healthmon.config import load
from healthmon.config.site import SiteConfig
from healthmon.impact.hours import Calendar
from healthmon.model.alert import Phase
from healthmon.model.incident import Incident, Notice, Policy, Step
from healthmon.model.journal import Changes, Restored
from healthmon.model.sample import Reading
from healthmon.model.topology import Acuity, AreaKind, Need, Site
from healthmon.simulation.plant import Blueprint, Group, Plant, any_of, check
from healthmon.simulation.stream import Delivery, Noise, Stream
from healthmon.simulation.world import Mode, World

#: A Tuesday, 10:00 in London.
T0 = 1_795_514_400.0
STEP_S = 1.0
SETTLE_S = EngineSettings().settle_s
#: Everybody is told of everything that pages, at once: the properties are about the engine, not about waking tables.
POLICIES = (Policy("all", (Step(0.0, ("pager",)),), (1, 2, 3, 4, 5)),)
ROUGH = Noise(
    failing=0.004, again=0.1, slow=0.004, missing=0.01, clock_s=0.4, wrong_clocks=0.1, switched_off_per_day=2.0
)
_MODES = (Mode.OFF, Mode.OFF, Mode.HUNG, Mode.ERROR, Mode.SLOW, Mode.EXPIRED, Mode.DEAF, Mode.CUT)


@cache
def stock() -> SiteConfig:
    return load(Path(__file__).parents[2] / "configs" / "minimal.yaml", env={})


def hospital(seed: int) -> Plant:
    """Two to four areas on one to three layers of switches, some in pairs; programs that need one another at random."""
    chance = random.Random(seed)
    plan = Blueprint("random", (Site("main", "Main", "Europe/London"),), "mon")
    looks = [check("icmp", 2.0)]
    core = tuple(plan.thing(f"core-{n}", "switch", checks=looks) for n in range(chance.choice((1, 2))))
    plan.thing("mon", "server", up=core if chance.random() < 0.7 else ())
    needed: list[str] = []
    for number in range(chance.randrange(3, 7)):
        others: list[Need] = [*chance.sample(needed, k=min(len(needed), chance.randrange(3)))]
        if len(needed) >= 2 and chance.random() < 0.4:
            others = [any_of(tuple(chance.sample(needed, k=2)))]
        kind, probe = chance.choice(
            (("endpoint", "http"), ("endpoint", "http"), ("database", "tcp"), ("server", "ldap"))
        )
        lookers = ("poller", "agents") if probe == "http" and chance.random() < 0.5 else ("poller",)
        needed.append(
            plan.thing(f"app-{number}", kind, up=core, functions=others,
                       checks=[check(probe, chance.choice((2.0, 4.0)), vantages=lookers)])
        )  # fmt: skip
    for number in range(chance.randrange(2, 5)):
        _area(plan, chance, number, core)
    for number, root in enumerate(chance.sample(needed, k=2)):
        plan.service(f"service-{number}", chance.randrange(4), None, root, fallback=None)
    return plan.plant()


def _area(plan: Blueprint, chance: random.Random, number: int, core: Group) -> None:
    up, looks = core, [check("icmp", 3.0)]
    if chance.random() < 0.4:
        up = (plan.thing(f"floor-{number}", "switch", up=core, checks=looks),)
    pair = tuple(
        plan.thing(f"sw-{number}-{side}", "switch", up=up, checks=looks) for side in range(chance.choice((1, 1, 2)))
    )
    kind, acuity = chance.choice(((AreaKind.ED, Acuity.CRITICAL), (AreaKind.WARD, Acuity.INPATIENT)))
    plan.area(f"area-{number}", kind, acuity, site="main", beds=20, needs=[any_of(pair)])
    for pc in range(chance.randrange(1, 4)):
        id_ = plan.thing(f"pc-{number}-{pc}", "ward-workstation", up=pair[:1], area=f"area-{number}")
        plan.agent(id_, role="ward-workstation", observes=pc == 0)
    if chance.random() < 0.5:
        plan.thing(f"lp-{number}", "label-printer", up=pair[:1], area=f"area-{number}", checks=[check("snmp", 5.0)])


@dataclass(frozen=True)
class Trouble:
    """A thing breaks so long after the start, and is mended so much later. `what` is taken modulo the hospital."""

    after_s: int
    lasts_s: int
    what: int
    mode: Mode


NIGHTS = st.lists(
    st.builds(Trouble, st.integers(2, 50), st.integers(4, 60), st.integers(0, 999), st.sampled_from(_MODES)), max_size=4
)
SEEDS = st.integers(0, 2**32)


class Drive:
    """One engine through one night. `restart_at`: seconds after which it is killed and comes back from its journal."""

    def __init__(
        self,
        seed: int,
        troubles: Sequence[Trouble] = (),
        *,
        noise: Noise = ROUGH,
        restart_at: Iterable[int] = (),
        altered: Callable[[Delivery], Iterable[Delivery]] = lambda one: (one,),
    ) -> None:
        self.plant = hospital(seed)
        self.world = World(self.plant)
        self.stream = Stream(self.world, seed=seed, start=T0, noise=noise)
        self.now = T0
        self.journal = Memory()
        self.engine = self._engine(None)
        self.steps: list[EngineStep] = []
        self.notices: list[Notice] = []
        self.incidents: dict[str, Incident] = {}
        self.fed: list[Reading] = []
        self.healthy_since: dict[str, float] = {}
        self._troubles = sorted(troubles, key=lambda one: (one.after_s, one.what, one.mode))
        self._restart_at = {T0 + after_s for after_s in restart_at}
        self._altered = altered
        self._take(self.stream.prime())
        self._tick()

    def run(self, seconds: float, each: Callable[[Drive], None] = lambda _: None) -> Drive:
        end = self.now + seconds
        while self.now < end:
            self.now += STEP_S
            self._happen()
            if self.now in self._restart_at:
                self.engine = self._engine(self.journal.state)
            self._take(self.stream.advance(self.now))
            self._tick()
            each(self)
        return self

    def broken_since(self, target: str) -> float | None:
        """Since when the thing has had a fault of its own, if it has one."""
        return self.world.since[target] if target in self.world.modes else None

    def _happen(self) -> None:
        targets = sorted(self.plant.estate.targets)
        for one in self._troubles:
            target = targets[one.what % len(targets)]
            if self.now == T0 + one.after_s:
                self.world.put(target, one.mode, at=self.now, figure=14.0)
            elif self.now == T0 + one.after_s + one.lasts_s:
                self.world.put(target, None, at=self.now)

    def _take(self, deliveries: Iterable[Delivery]) -> None:
        for one in (altered for delivery in deliveries for altered in self._altered(delivery)):
            self.fed += one.readings
            if one.readings:
                self.engine.observe(one.readings, now=self.now, live=one.live)
            if one.state is not None:
                self.engine.heard(one.vantage, one.state, self.now)

    def _tick(self) -> None:
        step = self.engine.tick(self.now)
        self.steps.append(step)
        self.notices += step.notices
        self.incidents.update((incident.id, incident) for incident in step.changes.incidents)
        self.journal.commit(step.changes)
        self.stream.ask(step.asks)

    def _engine(self, restored: Restored | None) -> Engine:
        return engine_of(self.plant, restored)


def engine_of(plant: Plant, restored: Restored | None = None) -> Engine:
    """An engine with the stock rules that pages at any hour."""
    site = stock()
    waking = replace(site.waking, hold_s=0.0, rules=(), never_alone=())
    return Engine(
        estate=plant.estate,
        rules=site.rules,
        policies=POLICIES,
        severity=site.severity,
        settings=EngineSettings(mode="live", waking=waking, text=site.text),
        staffed=Calendar(plant.estate).staffed,
        restored=restored,
    )


@dataclass
class Memory:
    """What a journal would give back after a kill."""

    state: Restored = field(default_factory=lambda: Restored(at=None))

    def commit(self, changes: Changes) -> None:
        if changes.empty():
            return
        old, alerts = self.state, dict(self.state.alerts)
        for alert in changes.alerts:
            alerts.pop(alert.key, None)
            if alert.phase is not Phase.CLEAR:
                alerts[alert.key] = alert
        self.state = replace(
            old,
            at=changes.at,
            readings={**old.readings, **{(r.target, r.check, r.vantage): r for r in changes.readings}},
            alerts=alerts,
            incidents={**old.incidents, **{one.id: one for one in changes.incidents}},
            notices={**old.notices, **{one.key: one for one in changes.notices}},
            presence={**old.presence, **changes.presence},
            memory={key: body for key, body in {**old.memory, **changes.memory}.items() if body},
            ledgered=old.ledgered | {row.key for row in changes.ledger},
        )
