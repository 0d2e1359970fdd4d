"""One incident at one moment, with everything that the decision whom to tell looks at."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from healthmon.alerting.oncall import wording
from healthmon.alerting.oncall.roster import Roster
from healthmon.alerting.oncall.waking import Wake, Waking
from healthmon.impact.bedside import toll
from healthmon.model.alert import Effect
from healthmon.model.incident import (
    Incident,
    IncidentKind,
    IncidentState,
    LedgerRow,
    Notice,
    ServiceState,
    Why,
)
from healthmon.model.oncall import Reader
from healthmon.model.render import incident_json
from healthmon.model.topology import Acuity, Area, Estate, Target

Staffed = Callable[[str, float], bool]
#: What is gone now in any incident, and since when.
Gone = Callable[[], Mapping[str, float]]
BAD_NEWS = frozenset({Why.OPENED, Why.WORSE, Why.NEW_AREA, Why.ESCALATED})
OVER = frozenset({IncidentState.MITIGATED, IncidentState.RESOLVED})
#: The urgency of what has a date, and not within this week.
_NOT_THIS_WEEK = 5
_HIT = frozenset({ServiceState.LOST, ServiceState.DEGRADED})


def notice_key(*parts: object) -> str:
    """The told-log key: 16 hex digits over incident, episode, step, channel, to, why and severity (and new areas)."""
    return hashlib.sha256("|".join(str(part) for part in parts).encode()).hexdigest()[:16]


def areas_hit(incident: Incident) -> frozenset[str]:
    """Areas that lose something now; for a monitoring fault, those that we cannot see."""
    states = _HIT | {ServiceState.UNKNOWN} if incident.kind is IncidentKind.BLIND else _HIT
    return frozenset(line.area for line in incident.impact if line.state in states)


def evidence_of(incident: Incident) -> str:
    """What was seen, in a line: the first few members that speak for themselves."""
    failing = [member for member in incident.members if member.cleared_at is None] or list(incident.members)
    own = [member for member in failing if member.behind is None] or failing
    seen = [f"{m.key.target} {m.key.check} {m.reason or m.effect.value} (seen by {m.key.vantage})" for m in own[:3]]
    return "; ".join(seen) + (f"; {len(own) - 3} more" if len(own) > 3 else "")


def gone_since(incidents: Iterable[Incident]) -> dict[str, float]:
    """What is gone in any open incident, and since when."""
    found: dict[str, float] = {}
    for incident in incidents:
        if incident.state in OVER or incident.kind is not IncidentKind.INCIDENT:
            continue
        for member in incident.members:
            if member.cleared_at is None and member.effect is Effect.DOWN:
                id_ = member.key.target
                found[id_] = min(member.since, found.get(id_, member.since))
    return found


@dataclass(frozen=True, slots=True)
class Case:
    """`told`: notices of this incident and of those it absorbed, in the order in which they were decided.

    recorded: what its own records in ticket systems were told; nobody reads those as a page.
    """

    incident: Incident
    told: tuple[Notice, ...]
    episode: int
    now: float
    estate: Estate
    waking: Waking
    staffed: Staffed | None = None
    roster: Roster | None = None
    recorded: tuple[Notice, ...] = ()
    gone: Gone | None = None

    @classmethod
    def of(
        cls,
        incident: Incident,
        told: Mapping[str, Notice],
        *,
        absorbed: Collection[str],
        now: float,
        estate: Estate,
        waking: Waking,
        staffed: Staffed | None,
        roster: Roster | None = None,
        gone: Gone | None = None,
    ) -> Case:
        """The case with its own notices picked out and the episode counted."""
        ids = {incident.id, *absorbed}
        records = roster.plan.records if roster else frozenset()
        mine = tuple(sorted((n for n in told.values() if n.incident in ids and n.channel not in records), key=_order))
        noted = (n for n in told.values() if n.incident == incident.id and n.channel in records)
        recorded = tuple(sorted(noted, key=lambda notice: notice.due))
        return cls(incident, mine, _episode(incident, mine), now, estate, waking, staffed, roster, recorded, gone)

    def heard(self) -> tuple[Notice, ...]:
        """Bad news of this episode, whatever became of its sending."""
        return tuple(
            n for n in self.told if n.why in BAD_NEWS and (n.episode == self.episode or n.incident != self.incident.id)
        )

    def started_at(self) -> float:
        """When this episode began."""
        back = [entry.at for entry in self.incident.timeline if entry.what in ("reopened", "reopen", "still_down")]
        return back[-1] if back and self.episode > 1 else self.incident.opened_at

    def night(self) -> bool:
        """Whether it is night at the incident's site."""
        local = datetime.fromtimestamp(self.now, wording.zone_of(self.incident, self.estate))
        return self.waking.night(local.hour * 60 + local.minute)

    def wake(self) -> Wake:
        """What the waking table says now."""
        areas = [self.estate.areas[line.area] for line in self.incident.impact if line.area in self.estate.areas]
        return self.waking.decide(
            severity=self.incident.severity,
            night=self.night(),
            critical=any(area.acuity is Acuity.CRITICAL for area in areas),
            staffed=not areas or any(self._staffed(area) for area in areas),
            later=self.incident.kind is IncidentKind.EARLY_WARNING and self.incident.urgency >= _NOT_THIS_WEEK,
        )

    def single_device(self) -> str | None:
        """The one ward PC (or whatever never pages alone) that this incident is all about."""
        targets = {member.key.target for member in self.incident.members}
        if len(targets) != 1 or self.incident.nobody_can_work or self.incident.kind is IncidentKind.BLIND:
            return None
        (target_id,) = targets
        target = self.estate.targets.get(target_id)
        roles = {role for agent in self.estate.agents.values() if agent.target == target_id for role in agent.roles}
        kinds = roles | ({target.kind} if target else set())
        if not kinds & set(self.waking.never_alone) or (target is not None and self._without_neighbour(target)):
            return None
        return target_id

    def _without_neighbour(self, target: Target) -> bool:
        """Nobody there can go on at the next one: it was the last to go; in an ED, ICU or theatre also: half are gone.

        The only one of its kind in such a place has no neighbour; elsewhere one that is alone by design pages nobody.
        """
        area = self.estate.areas.get(target.area or "")
        if area is None:
            return False
        critical = area.acuity is Acuity.CRITICAL
        gone = self.gone() if self.gone is not None else {}
        near = {id_ for id_ in gone if self._alike(self.estate.targets.get(id_), target)}
        if not critical and not near:
            return False
        alike = [one for one in self.estate.targets.values() if self._alike(one, target)]
        hosts = {agent.target for agent in self.estate.agents.values()}
        watched = {one.id for one in alike if one.checks or one.id in hosts} | {target.id}
        state = toll({target.id}, watched, {id_: gone[id_] for id_ in gone.keys() & watched}).state
        return (critical and not alike) or state is ServiceState.LOST or (critical and state is ServiceState.DEGRADED)

    def _alike(self, other: Target | None, target: Target) -> bool:
        return other is not None and other.id != target.id and (other.area, other.kind) == (target.area, target.kind)

    def held_until(self) -> float | None:
        """The end of the night hold, if this incident has one: seen from one vantage point only, and by no person."""
        if self.incident.reports:
            return None
        vantages = {m.key.vantage for m in self.incident.members if m.cleared_at is None or self.incident.state in OVER}
        held = self.incident.severity in self.waking.hold_severities and len(vantages) <= 1 and self.night()
        return self.started_at() + self.waking.hold_s if held and self.waking.hold_s > 0 else None

    def gathers_until(self, *, worse: bool = False) -> float | None:
        """The end of the wait for what fails with it (or, when it got worse, for what makes it worse still).

        What gets worse before anybody was told waits from then, and no longer than it would have if it had stayed mild.
        """
        wait_s = self.waking.gather_s(self.incident.severity)
        if not wait_s or self.incident.nobody_can_work:
            return None
        started = self.started_at()
        rose = [entry.at for entry in self.incident.timeline if entry.what in ("severity", "kind")]
        until = max([started, *rose]) + wait_s
        return until if worse else min(until, started + self.waking.longest_gather_s(self.incident.severity))

    def of_the_storm(self, heard: tuple[Notice, ...]) -> frozenset[str]:
        """Areas that were hit so soon after the first page that they are an update of it.

        The first critical area is none of them: that is told whenever it comes.
        """
        until = heard[0].due + self.waking.storm_s
        since: dict[str, float] = {}
        for line in self.incident.impact:
            since[line.area] = min(line.since, since.get(line.area, line.since))
        soon = {area for area in areas_hit(self.incident) if since[area] < until}
        told_critical = any(self._critical(area) for notice in heard for area in notice.areas)
        return frozenset(soon if told_critical else (area for area in soon if not self._critical(area)))

    def notice(
        self, step: int, reader: Reader, why: Why, *more: str, person: str | None = None, round_: int = 0
    ) -> Notice:
        """A message about the incident as it is now; `more` sets apart what the key would not."""
        channel, to = reader
        incident = self.incident
        more = (*more, f"round {round_}") if round_ else more
        return Notice(
            key=notice_key(incident.id, self.episode, step, channel, to, why.value, incident.severity, *more),
            incident=incident.id,
            step=step,
            channel=channel,
            to=to,
            why=why,
            due=self.now,
            subject=wording.subject(incident, why),
            text=wording.text(incident, why, self.estate),
            body=incident_json(incident),
            severity=incident.severity,
            areas=tuple(sorted(areas_hit(incident))),
            episode=self.episode,
            kind=incident.kind,
            person=person,
            round=round_,
        )

    def row(self, cause: str, *, who: str, because: str, key: str | None = None) -> LedgerRow:
        """A page that is not sent; the key defaults to one per cause, episode and severity."""
        key = key or notice_key(self.incident.id, self.episode, cause, self.incident.severity)
        return LedgerRow(
            at=self.now,
            incident=self.incident.id,
            key=key,
            who=who,
            cause=cause,
            because=because,
            what=self.incident.title,
            evidence=evidence_of(self.incident),
        )

    def _critical(self, area: str) -> bool:
        known = self.estate.areas.get(area)
        return known is not None and known.acuity is Acuity.CRITICAL

    def _staffed(self, area: Area) -> bool:
        if self.staffed is not None:
            return self.staffed(area.id, self.now)
        if area.staffed is None:
            return True
        site = self.estate.sites.get(area.site)
        zone = ZoneInfo(site.timezone if site else self.estate.organisation.timezone)
        local = datetime.fromtimestamp(self.now, zone)
        return area.staffed.open_at(local.weekday(), local.hour * 60 + local.minute, holiday=False)


def _order(notice: Notice) -> tuple[float, int, bool]:
    return (notice.due, notice.episode, notice.why not in BAD_NEWS)


def _episode(incident: Incident, told: tuple[Notice, ...]) -> int:
    """One more than the last that was told as over, while the incident is open again."""
    own = [notice for notice in told if notice.incident == incident.id]
    last = max((notice.episode for notice in own), default=1)
    over = any(notice.why not in BAD_NEWS and notice.episode == last for notice in own)
    came_back = over and incident.state not in OVER
    return max(last + 1 if came_back else last, incident.episode)
