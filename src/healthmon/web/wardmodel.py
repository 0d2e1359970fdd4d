"""What a ward page says: what does not work, what was proven to work from there, who has it. Pure; the ward's words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from healthmon.impact.downtime import Access, fallback_ready, ready_pc, record_access, stage_of
from healthmon.impact.wards import proven_from
from healthmon.model.catalogue import Catalogue
from healthmon.model.incident import ImpactLine, Incident, IncidentKind, IncidentState, ServiceState
from healthmon.model.report import Mark, Said, WardReport
from healthmon.model.topology import Area, Service
from healthmon.model.view import View
from healthmon.model.wards import Desk, Stage
from healthmon.web.words import LocalTime

_HIT = (ServiceState.LOST, ServiceState.DEGRADED)
#: A mark of the reconciliation by its word, and the message that tells it.
MARKS = {"paper": "mark_paper", "writing_back": "mark_writing_back", "done": "mark_done"}


@dataclass(frozen=True, slots=True)
class Trouble:
    """One service that does not work here, in words. kind: lost, degraded or over (css class, beside symbol and word).

    still: the ward may say that it still does not work; works: that it can work again.
    """

    service: str
    name: str
    kind: str
    symbol: str
    state: str
    fallback: str
    who: str
    told: str
    incident: str
    still: bool
    works: bool


@dataclass(frozen=True, slots=True)
class Clock:
    """The downtime clock. `minutes` None: it does not run; text says why or since when."""

    minutes: int | None
    text: str
    now_do: str = ""
    next_do: str = ""


@dataclass(frozen=True, slots=True)
class WardPage:
    """Everything on it. headline: one line that says it all; calm: nothing is known to be wrong."""

    headline: str
    calm: bool
    troubles: tuple[Trouble, ...]
    works: tuple[tuple[str, str], ...]
    not_known: tuple[str, ...]
    clock: Clock
    refuge: str
    marks: tuple[str, ...]
    services: tuple[Service, ...]


@dataclass(frozen=True, slots=True)
class Ward:
    """One area, seen now, in its words and its local time."""

    view: View
    area: Area
    words: Catalogue
    desk: Desk
    clock: LocalTime

    def page(self, stages: Sequence[Stage], marks: Sequence[Mark]) -> WardPage:
        """The page."""
        troubles = tuple(self._troubles())
        hit = {one.service for one in troubles}
        quiet = [service for service in self.services() if service.id not in hit]
        proven = {service.id: at for service in quiet if (at := self._proven(service)) is not None}
        access = record_access(self.view, self.area.id, self.clock.now)
        return WardPage(
            headline=self._headline(troubles),
            calm=not any(one.kind != "over" for one in troubles),
            troubles=troubles,
            works=tuple((s.name, self._works(s, proven[s.id])) for s in quiet if s.id in proven),
            not_known=tuple(service.name for service in quiet if service.id not in proven),
            clock=self._downtime(access, stages),
            refuge=self._refuge() if access.down_s(self.clock.now) is not None else "",
            marks=tuple(self._mark(one) for one in marks if one.area == self.area.id),
            services=self.services(),
        )

    def services(self) -> tuple[Service, ...]:
        """What is used here, the most important first."""
        used = [one for one in self.view.estate.services.values() if self.area.id in one.used_in and one.tier > 0]
        return tuple(sorted(used, key=lambda one: (one.tier, one.name)))

    def _troubles(self) -> Iterator[Trouble]:
        for service in self.view.estate.services.values():
            found = self._incident_of(service)
            if found is not None:
                yield self._trouble(service, *found)
        for incident in self._here():
            for report in incident.reports:
                if report.area == self.area.id and not report.service and report.works_at is None:
                    yield self._trouble(None, incident, None, report)

    def _incident_of(self, service: Service) -> tuple[Incident, ImpactLine | None, WardReport | None] | None:
        """The incident that takes this service from here, or in which people here say so."""
        key, found = (self.area.id, service.id), []
        for incident in self._here():
            line = next((one for one in incident.impact if (one.area, one.service) == key), None)
            report = next((one for one in incident.reports if (one.area, one.service) == key), None)
            standing = report is not None and report.works_at is None
            hit = line is not None and line.state in _HIT and (incident.members or standing)
            if hit or standing:
                over = incident.state is IncidentState.MITIGATED
                found.append((over, incident.severity, incident.opened_at, incident.id, (incident, line, report)))
        return min(found)[-1] if found else None

    def _here(self) -> Iterator[Incident]:
        return (one for one in self.view.incidents if one.open and one.kind is IncidentKind.INCIDENT)

    def _trouble(
        self, service: Service | None, incident: Incident, line: ImpactLine | None, report: WardReport | None
    ) -> Trouble:
        words, over = self.words, incident.state is IncidentState.MITIGATED
        lost = (line is not None and line.state is ServiceState.LOST) or (
            report is not None and report.effect is Said.NOBODY_CAN_WORK
        )
        kind = "over" if over else "lost" if lost else "degraded"
        since = line.since if line is not None else report.first_at if report is not None else incident.opened_at
        word = words.say(f"state_{'lost' if lost else 'degraded'}")
        state = words.say("ward_since", state=word, since=self._at(since))
        standing = report is not None and report.works_at is None
        return Trouble(
            service=service.id if service else "",
            name=service.name if service else words.say("service_unknown"),
            kind=kind,
            symbol={"over": "↻", "lost": "✕", "degraded": "◐"}[kind],
            state=self._over(incident, service) if over else state,
            fallback=self._fallback(service),
            who=self._who(incident),
            told=self._told(report) if report is not None and standing else "",
            incident=incident.id,
            still=over,
            works=standing and (over or not incident.members),
        )

    def _over(self, incident: Incident, service: Service | None) -> str:
        """Works is only said of what was proven from here."""
        said = [entry for entry in incident.timeline if entry.what == "mitigated"]
        since = self._at(incident.mitigated_at)
        if service is None or self._proven(service) is None:
            return self.words.say("ward_over_elsewhere", since=since)
        by_it = bool(said) and said[-1].by != "healthmon"
        return self.words.say("mitigated_by_it" if by_it else "mitigated", since=since)

    def _fallback(self, service: Service | None) -> str:
        """With its proven age, or not at all: a copy that the server room reaches may be out of reach from here."""
        at = fallback_ready(service, self.area.id, self.view, self.clock.now) if service else None
        if service is None or service.fallback is None or at is None:
            return ""
        text = service.fallback.text.rstrip(".")
        return self.words.say("ward_fallback", fallback=text, proven=self._at(at))

    def _who(self, incident: Incident) -> str:
        phone = self.area.contact.phone if self.area.contact else None
        if incident.owner is None:
            return self.words.say("ward_not_seen")
        since = self._at(incident.acknowledged_at)
        if phone:
            return self.words.say("ward_seen_rings", owner=incident.owner, since=since, phone=phone)
        return self.words.say("ward_seen", owner=incident.owner, since=since)

    def _told(self, report: WardReport) -> str:
        effect, since = self.words.say(f"effect_{report.effect}"), self._at(report.first_at)
        if report.count > 1:
            return self.words.say("ward_told_often", effect=effect, since=since, count=report.count)
        return self.words.say("ward_told", effect=effect, since=since)

    def _proven(self, service: Service) -> float | None:
        status = self.view.services.get((self.area.id, service.id))
        return proven_from(status, self.view.estate, self.clock.now) if status is not None else None

    def _works(self, service: Service, at: float) -> str:
        status = self.view.services[self.area.id, service.id]
        risk = status.state is ServiceState.AT_RISK
        return self.words.say("ward_works_no_spare" if risk else "ward_works", proven=self._at(at))

    def _downtime(self, access: Access, stages: Sequence[Stage]) -> Clock:
        down_s = access.down_s(self.clock.now)
        if access.works:
            return Clock(None, self.words.say("clock_works", at=self._at(access.last)))
        if down_s is None:
            return Clock(None, self.words.say("clock_not_known"))
        come, left = stage_of(stages, down_s)
        text = self.words.say("clock_since", at=self._at(access.last))
        following = ""
        if left is not None:
            at = self._at((access.last or self.clock.now) + left.after_s)
            following = self.words.say("clock_next", at=at, do=self._do(left))
        return Clock(int(down_s // 60), text, self._do(come) if come else "", following)

    def _refuge(self) -> str:
        """Where the nearest downtime PC stands that was seen ready; nothing when none is known to be."""
        found = ready_pc(self.view, self.area.id, self.clock.now)
        if found is None:
            return ""
        near, at = found
        place = self.view.estate.areas[near.at].name
        key = "ward_pc_own" if near.distance == "own" else "ward_pc_near"
        return self.words.say(key, place=place, at=self._at(at))

    def _do(self, stage: Stage) -> str:
        return stage.text or self.words.say(stage.message)

    def _mark(self, mark: Mark) -> str:
        return self.words.say(MARKS[mark.what], at=self._at(mark.at), by=mark.by)

    def _headline(self, troubles: Sequence[Trouble]) -> str:
        now = [one for one in troubles if one.kind != "over"]
        if not troubles:
            return self.words.say("ward_calm")
        if not now:
            return self.words.say("ward_over_head")
        names = ", ".join(dict.fromkeys(one.name for one in now[:3]))
        key = "ward_head_lost" if any(one.kind == "lost" for one in now) else "ward_head_degraded"
        return self.words.say(key, services=names)

    def _at(self, at: float | None) -> str:
        return self.clock.short(at) if at is not None else "?"
