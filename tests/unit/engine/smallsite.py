"""A small hospital and a hand that moves its engine: readings in, incidents out, no clock and no socket."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from healthmon.alerting.engine import Engine
from healthmon.alerting.engine_settings import EngineSettings, EngineStep
from healthmon.impact.severity import SeverityTable
from healthmon.model.alert import (
    Above,
    Absent,
    Alert,
    AlertKey,
    Below,
    Effect,
    NoData,
    OutcomeIs,
    Phase,
    Rule,
    Selector,
)
from healthmon.model.incident import Command, Incident, IncidentState, Notice, Policy, Step
from healthmon.model.journal import Changes, Restored
from healthmon.model.mute import MuteCommand, Standing
from healthmon.model.sample import Outcome, Reading, Reason, Sample
from healthmon.model.topology import (
    Acuity,
    Agent,
    Area,
    AreaKind,
    AtLeast,
    Check,
    Estate,
    Fallback,
    Hours,
    Organisation,
    Service,
    Site,
    Target,
)
from healthmon.model.view import Health, View

#: A Tuesday, 10:00 in London.
T0 = 1_795_514_400.0
HEALTH = Health("ok", T0, 0.0, True, 0, True, "live")

FAILED_RULE = Rule(
    id="check-failed",
    on=Selector(probes=("http", "snmp", "tcp", "icmp")),
    condition=OutcomeIs((Outcome.FAILED,)),
    effect=Effect.DOWN,
    no_data=NoData.HOLD,
    summary="{target} does not answer ({reason})",
    confirm=3,
    clear_confirm=2,
)
SLOW_RULE = Rule(
    id="http-slow",
    on=Selector(probes=("http",)),
    condition=Above("http.duration_seconds", 2.0),
    clear=Below("http.duration_seconds", 1.5),
    effect=Effect.DEGRADED,
    no_data=NoData.HOLD,
    summary="{target} answers slowly ({value} s)",
    confirm=3,
    clear_confirm=3,
    certainty="threshold",
)
SILENT_RULE = Rule(
    id="agent-silent",
    on=Selector(agents=True),
    condition=Absent(30.0),
    effect=Effect.DOWN,
    no_data=NoData.ALERT,
    summary="nothing heard from {target}",
)
EXPIRY_RULE = Rule(
    id="tls-expiry",
    on=Selector(probes=("http",)),
    condition=Below("tls.expires_seconds", 30 * 86_400.0),
    effect=Effect.WARNING,
    no_data=NoData.HOLD,
    summary="certificate of {target} ends in {days} days",
    certainty="deterministic",
)
RULES = (FAILED_RULE, SLOW_RULE, SILENT_RULE, EXPIRY_RULE)
POLICIES = (Policy("all", (Step(0.0, ("pager",)),), (1, 2, 3)),)


def check(kind: str, every_s: float = 5.0, *, id_: str | None = None, vantages: tuple[str, ...] = ("poller",)) -> Check:
    return Check(id_ or kind, kind, every_s, 2.0, vantages=vantages)


def target(
    id_: str, kind: str, *needs: Any, area: str | None = None, checks: tuple[Check, ...] = (), **more: Any
) -> Target:
    return Target(id_, id_, kind, "192.0.2.1", "main", area, tuple(needs), checks=checks, **more)


def area(id_: str, *needs: Any, kind: AreaKind = AreaKind.WARD, acuity: Acuity = Acuity.INPATIENT, **more: Any) -> Area:
    return Area(id_, id_.upper(), kind, acuity, "main", beds=more.pop("beds", 28), needs=tuple(needs), **more)


def estate_of(
    targets: Iterable[Target],
    areas: Iterable[Area] = (),
    services: Iterable[Service] = (),
    agents: Iterable[Agent] = (),
    *,
    sites: Sequence[Site] = (Site("main", "Main", "Europe/London"),),
) -> Estate:
    return Estate(
        organisation=Organisation("trust", "Trust", "Europe/London"),
        sites={site.id: site for site in sites},
        areas={one.id: one for one in areas},
        services={one.id: one for one in services},
        targets={one.id: one for one in targets},
        teams={},
        agents={one.id: one for one in agents},
    )


def hospital(*, poller_hop: bool = True, clinic_hours: bool = False, wards: int = 3, pcs: int = 4) -> Estate:
    """Core, two ED switches, three wards with a switch, a printer and four PCs each, the EHR with two databases."""
    snmp, http, tcp = check("snmp"), check("http"), check("tcp")
    targets = [
        target("mon", "server", *(["sw-core"] if poller_hop else [])),
        target("sw-core", "switch", checks=(snmp,), team="network"),
        target(
            "ehr-web",
            "endpoint",
            "sw-core",
            checks=(http, check("http", 10.0, id_="read", vantages=("poller", "agents"))),
        ),
        target("ehr-db-a", "database", "sw-core", checks=(tcp,)),
        target("ehr-db-b", "database", "sw-core", checks=(tcp,)),
        target("ad", "server", "sw-core", checks=(tcp,)),
        target("ehr-readonly", "endpoint", "sw-core", checks=(http,)),
        target("sw-ed-a", "switch", "sw-core", area="ed", checks=(snmp,)),
        target("sw-ed-b", "switch", "sw-core", area="ed", checks=(snmp,)),
        target("lonely", "server", checks=(tcp,)),
    ]
    areas = [
        area("ed", AtLeast(1, ("sw-ed-a", "sw-ed-b")), kind=AreaKind.ED, acuity=Acuity.CRITICAL, beds=40),
    ]
    agents = [Agent("poller", "mon")]
    for n in range(7, 7 + wards):
        ward, switch = f"ward-{n}", f"sw-w{n}"
        hours = Hours(tuple((day, 480, 1080) for day in range(5))) if clinic_hours and n == 9 else None
        areas.append(area(ward, switch, staffed=hours))
        targets.append(target(switch, "switch", "sw-core", area=ward, checks=(snmp,), team="network"))
        targets.append(target(f"prn-w{n}", "printer", switch, area=ward, checks=(snmp,)))
        for pc in range(1, 1 + pcs):
            targets.append(target(f"pc-w{n}-{pc}", "workstation", switch, area=ward))
            agents.append(Agent(f"pc-w{n}-{pc}", f"pc-w{n}-{pc}", ("ward-workstation",)))
    used = tuple(sorted(one.id for one in areas))
    services = [
        Service(
            "ehr",
            "Patient record",
            1,
            used,
            True,
            ("ehr-web", AtLeast(1, ("ehr-db-a", "ehr-db-b")), "ad"),
            Fallback("Read-only copy", "ehr-readonly"),
            team="apps",
        ),
        Service("printing", "Label printing", 2, ("ward-7",), False, ("prn-w7",)),
    ]
    return estate_of(targets, areas, services, agents)


@dataclass
class Night:
    """Moves one engine through time, probing everything that is due by what `broken` says."""

    estate: Estate
    rules: Sequence[Rule] = RULES
    settings: EngineSettings = field(default_factory=lambda: EngineSettings(mode="live"))
    policies: Sequence[Policy] = POLICIES
    staffed: Callable[[str, float], bool] = lambda _area, _at: True
    escalate: Any = None
    answer_asks: bool = True
    agents_see: bool = True
    now: float = T0
    restart_every_step: bool = False

    def __post_init__(self) -> None:
        self.down: dict[str, Reason] = {}
        self.slow: dict[str, float] = {}
        self.cut: set[str] = set()  # vantages that reach nothing
        self.quiet: set[str] = set()  # agents that say nothing
        self.from_area: dict[tuple[str, str], Reason] = {}  # (area, target) fails only from there
        self.slow_from: dict[tuple[str, str], float] = {}  # (area, target) answers slowly there
        self.from_poller: dict[str, Reason] = {}
        self.deaf: set[str] = set()  # their own check fails, what is behind them works
        self.chatty = 10.0  # seconds between two reports of an agent
        self.hidden: set[str] = set()  # not looked at for now
        self.steps: list[EngineStep] = []
        self.asked: list[Any] = []
        self.notices: list[Notice] = []
        self.ledger: list[Any] = []
        self.journal = Journal()
        self._due: dict[tuple[str, str, str], float] = {}
        self._agent_due: dict[str, float] = {}
        self.engine = self.make(None)

    def make(self, restored: Restored | None) -> Engine:
        return Engine(
            estate=self.estate,
            rules=self.rules,
            policies=self.policies,
            severity=SeverityTable(),
            settings=self.settings,
            staffed=self.staffed,
            restored=restored,
            escalate=self.escalate,
        )

    def run(self, seconds: float, step: float = 0.5) -> Night:
        end = self.now + seconds
        while self.now < end - 1e-9:
            self.now += step
            self.one_step()
        return self

    def one_step(self) -> EngineStep:
        readings = [self.look(*series) for series in self._series() if self._is_due(series)]
        if readings:
            self.engine.observe(readings, now=self.now)
        for agent in self.estate.agents.values():
            if agent.id != "poller" and self._agent_speaks(agent):
                self.engine.heard(agent.id, "up", self.now)
        return self.tick()

    def tick(self) -> EngineStep:
        step = self.engine.tick(self.now)
        self.steps.append(step)
        self.asked += step.asks
        self.notices += step.notices
        self.ledger += step.changes.ledger
        self.journal.commit(step.changes)
        if self.answer_asks:
            for ask in step.asks:
                self._due[(ask.target, ask.check, ask.vantage)] = self.now
        if self.restart_every_step:
            self.engine = self.make(self.journal.restored())
        return step

    def look(self, target_id: str, check_id: str, vantage: str) -> Reading:
        reason = self.reason(target_id, vantage)
        outcome = Outcome.OK if reason is None else Outcome.FAILED
        if reason in (Reason.NO_ROUTE, Reason.NAME_SERVICE):
            outcome = Outcome.UNKNOWN
        samples: tuple[Sample, ...] = ()
        if outcome is Outcome.OK and check_id in ("http", "read"):
            usual = self.slow.get(target_id, 0.2)
            took = self.slow_from.get((self.estate.vantage_area(vantage) or "", target_id), usual)
            samples = (Sample("http", "duration_seconds", took),)
        return Reading(target_id, check_id, vantage, self.now, 0.0, outcome, reason, samples=samples)

    def reason(self, target_id: str, vantage: str) -> Reason | None:
        host = self.estate.agents[vantage].target if vantage in self.estate.agents else None
        if vantage in self.cut and target_id != host:
            return Reason.TIMEOUT
        place = self.estate.vantage_area(vantage)
        if place and (place, target_id) in self.from_area:
            return self.from_area[(place, target_id)]
        if vantage == "poller" and target_id in self.from_poller:
            return self.from_poller[target_id]
        if target_id in self.deaf:
            return Reason.TIMEOUT
        if target_id in self.down:
            return self.down[target_id]
        return Reason.TIMEOUT if self._unreachable(target_id) or (host and self._unreachable(host)) else None

    def _unreachable(self, id_: str) -> bool:
        thing = self.estate.targets.get(id_) or self.estate.services[id_]
        return any(self._need_down(need) for need in thing.needs)

    def _need_down(self, need: Any) -> bool:
        if isinstance(need, AtLeast):
            return sum(not self._need_down(part) for part in need.of) < need.n
        return need in self.down or self._unreachable(need)

    def _series(self) -> list[tuple[str, str, str]]:
        found = []
        for one in self.estate.targets.values():
            for chk in one.checks:
                for vantage in chk.vantages:
                    if vantage == "agents":
                        if self.agents_see:
                            found += [
                                (one.id, chk.id, a) for a in self.estate.agents if a != "poller" and self._heard(a)
                            ]
                    elif vantage == "poller" or self._heard(vantage):
                        found.append((one.id, chk.id, vantage))
        return found

    def _is_due(self, series: tuple[str, str, str]) -> bool:
        if series[0] in self.hidden:
            return False
        due = self._due.get(series)
        every = next(c.every_s for c in self.estate.targets[series[0]].checks if c.id == series[1])
        if due is None:  # spread by name, the same every time
            due = T0 + (sum(map(ord, "".join(series))) % 97) / 97 * every
        if self.now < due:
            self._due[series] = due
            return False
        failing = self.reason(series[0], series[2]) is not None
        self._due[series] = self.now + (1.0 if failing else every)
        return True

    def _heard(self, agent: str) -> bool:
        host = self.estate.agents[agent].target
        unreachable = host is not None and (host in self.down or self._unreachable(host))
        return not (agent in self.quiet or unreachable or "poller" in self.cut)

    def _agent_speaks(self, agent: Agent) -> bool:
        if not self._heard(agent.id) or self.now < self._agent_due.get(agent.id, T0):
            return False
        self._agent_due[agent.id] = self.now + self.chatty
        return True

    def incidents(self, *, open_only: bool = True) -> list[Incident]:
        kept = self.engine.view(self.now, HEALTH).incidents
        return [one for one in kept if one.open or not open_only]

    def only(self) -> Incident:
        found = [one for one in self.incidents() if one.state is not IncidentState.MITIGATED]
        assert len(found) == 1, [(one.title, one.root) for one in found]
        return found[0]

    def only_or_mitigated(self) -> Incident:
        (found,) = self.incidents()
        return found

    def one_step_later(self) -> EngineStep:
        self.now += 0.5
        return self.one_step()

    def view(self) -> View:
        return self.engine.view(self.now, HEALTH)

    def mute(self, command: MuteCommand) -> Standing:
        return self.engine.mute(command, self.now)

    def act(self, action: str, incident: str, **more: Any) -> Incident:
        return self.engine.act(Command(action, incident, "kim", **more), self.now)


class Journal:
    """What a journal would give back after a kill."""

    def __init__(self) -> None:
        self.state = Restored(at=None)

    def commit(self, changes: Changes) -> None:
        if changes.empty():
            return
        old = self.state
        alerts: dict[AlertKey, Alert] = dict(old.alerts)
        for alert in changes.alerts:
            alerts.pop(alert.key, None)
            if alert.phase is not Phase.CLEAR:
                alerts[alert.key] = alert
        self.state = Restored(
            at=changes.at,
            readings={**old.readings, **{(r.target, r.check, r.vantage): r for r in changes.readings}},
            alerts=alerts,
            incidents={**old.incidents, **{i.id: i for i in changes.incidents}},
            notices={**old.notices, **{n.key: n for n in changes.notices}},
            presence={**old.presence, **changes.presence},
            memory={key: body for key, body in {**old.memory, **changes.memory}.items() if body},
            mutes=(*old.mutes, *changes.mutes),
            ledgered=old.ledgered | {row.key for row in changes.ledger},
        )

    def restored(self) -> Restored:
        return self.state


def areas_lost(incident: Incident, state: str = "lost") -> set[str]:
    return {line.area for line in incident.impact if line.state.value == state}
