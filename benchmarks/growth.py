"""How the engine's cost grows: with targets, with rules, with the depth of the network; and what a core failure costs.

The estates and their readings are ours. One core, CPU time of this process, the collector of cycles set as in a server.
A batch is a tenth of a second of readings; it waits while the one before is worked on, so latency counts the queue.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from benchmarks.rules import stream
from healthmon.alerting.engine import Engine, EngineSettings
from healthmon.impact.hours import Calendar
from healthmon.impact.severity import SeverityTable
from healthmon.model.alert import Effect, NoData, Rule, Selector
from healthmon.model.condition import OutcomeIs
from healthmon.model.sample import Outcome, Reading, Reason
from healthmon.model.topology import (
    Acuity,
    Agent,
    Area,
    AreaKind,
    Check,
    Estate,
    Organisation,
    Service,
    Site,
    Target,
)
from healthmon.runtime.memory import settle

START = 1_790_000_000.0
STEP_S = 0.1
EVERY_S = 3.0
LEAD_IN_S = 4.0
WATCH_S = 12.0
FAILED = Rule(
    "check-failed", Selector(), OutcomeIs((Outcome.FAILED,)), Effect.DOWN, NoData.HOLD, "{target} fails", confirm=3
)


@dataclass(frozen=True, slots=True)
class Tree:
    """A network: `lost` targets behind core one, `depth` switches on the way to each, the rest behind core two."""

    targets: int = 30_000
    lost: int = 5_000
    depth: int = 3
    under: int = 20  # devices on one access switch

    def estate(self) -> Estate:
        """Wards of one access switch each; every ward needs it, and two services in the data centre."""
        made: dict[str, Target] = {}
        areas: dict[str, Area] = {}
        check = (Check("up", "icmp", EVERY_S, 1.0),)

        def thing(id_: str, kind: str, need: str | None, area: str | None = None) -> str:
            made[id_] = Target(id_, id_, kind, "192.0.2.1", "main", area, (need,) if need else (), checks=check)
            return id_

        thing("mon", "server", thing("sw-dc", "switch", None))
        for web in ("web-1", "web-2"):
            thing(web, "endpoint", "sw-dc")
        for core, wanted in (("core-1", self.lost), ("core-2", self.targets - self.lost)):
            thing(core, "switch", "sw-dc")
            for number in range(wanted // (self.under + self.depth - 1)):
                ward, above = f"{core}-w{number}", core
                for level in range(self.depth - 1):
                    above = thing(f"{ward}-sw{level}", "switch", above, ward if level == self.depth - 2 else None)
                areas[ward] = Area(ward, ward, AreaKind.WARD, Acuity.INPATIENT, "main", 25, None, (above,))
                for device in range(self.under):
                    thing(f"{ward}-d{device}", "phone", above, ward)
        services = {web: Service(f"s-{web}", web, 1, tuple(areas), True, (web,)) for web in ("web-1", "web-2")}
        where = Site("main", "Main", "Europe/London")
        agents = {"poller": Agent("poller", "mon")}
        known = {service.id: service for service in services.values()}
        return Estate(Organisation("b", "B", "Europe/London"), {"main": where}, areas, known, made, {}, agents)


@dataclass(slots=True)
class Flip:
    """What a core failure cost: CPU of each step after it, when the first incident opened, how many there were."""

    lost: int = 0
    steps: list[float] = field(default_factory=list)
    opened_s: float | None = None
    incidents: set[str] = field(default_factory=set)
    free: float = 0.0
    waited: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        opened = "never" if self.opened_s is None else f"{self.opened_s:.1f} s"
        return (
            f"{self.lost:,} targets lost: {len(self.incidents)} incident after {opened}, worst step "
            f"{max(self.steps) * 1e3:.0f} ms, {sum(self.steps) / WATCH_S * 100:.0f} % of a core in the {WATCH_S:.0f} s "
            f"after it, p99 from reading to verdict {sorted(self.waited)[int(len(self.waited) * 0.99)] * 1e3:.0f} ms"
        )


def flip(tree: Tree) -> Flip:
    """Core one and everything behind it stop answering; its devices are looked at in turn, 10,000 a second at most."""
    estate = tree.estate()
    engine = Engine(estate=estate, rules=[FAILED], policies=(), severity=SeverityTable(), settings=EngineSettings(),
                    staffed=Calendar(estate).staffed)  # fmt: skip
    gone = {id_ for id_ in estate.targets if id_.startswith("core-1")}
    found = Flip(lost=len(gone))
    at = START + LEAD_IN_S
    for now, readings in _looks(list(estate.targets), gone, at):
        if abs(now - at) < STEP_S / 2:
            settle()
        began = time.process_time()
        engine.observe(readings, now=now)
        step = engine.tick(now)
        took = time.process_time() - began
        if now <= at:
            continue
        found.steps.append(took)
        found.free = max(found.free, now) + took
        found.waited.append(found.free - now)
        found.incidents |= {incident.id for incident in step.changes.incidents if incident.merged_into is None}
        if found.incidents and found.opened_s is None:
            found.opened_s = now - at
    return found


def _looks(ids: list[str], gone: set[str], at: float) -> Iterator[tuple[float, list[Reading]]]:
    """Every target each EVERY_S in turn; what fails is looked at twice more, a third of the interval apart."""
    again: list[tuple[float, str]] = []
    size = round(len(ids) * STEP_S / EVERY_S)
    number = 0
    now = START
    while now < at + WATCH_S:
        now += STEP_S
        due = [ids[(number + n) % len(ids)] for n in range(size)]
        number += size
        due += [id_ for when, id_ in again if when <= now]
        again = [(when, id_) for when, id_ in again if when > now]
        readings = []
        for id_ in dict.fromkeys(due):
            lost = id_ in gone and now > at
            outcome, reason = (Outcome.FAILED, Reason.TIMEOUT) if lost else (Outcome.OK, None)
            readings.append(Reading(id_, "up", "poller", now - 0.05, 0.01, outcome, reason))
            if lost and now - at <= EVERY_S:
                again += [(now + EVERY_S / 3, id_), (now + 2 * EVERY_S / 3, id_)]
        yield now, readings


def main() -> None:
    for targets in (3_000, 10_000, 30_000):
        for rules in (200, 2_000):
            stream(targets, rules)
    for depth in (2, 3, 5, 8):
        print(f"depth {depth}: {flip(Tree(depth=depth))}", flush=True)
    for targets, lost in ((3_000, 500), (10_000, 1_500), (30_000, 10_000)):
        print(f"{targets:,} targets: {flip(Tree(targets, lost))}", flush=True)
