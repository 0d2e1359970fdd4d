"""Papers for the hours after: call list, situation report, recovery, hand-over, print pack. Pure; one shape for all.

None of them says when it will be over: nobody knows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from healthmon.impact.downtime import fallback_ready
from healthmon.impact.graph import NeedGraph
from healthmon.impact.restore import restore_order
from healthmon.impact.wards import proven_from
from healthmon.model.catalogue import Catalogue
from healthmon.model.incident import Incident, IncidentKind, IncidentState, Notice, ServiceState
from healthmon.model.paper import Paper, Part
from healthmon.model.report import Mark
from healthmon.model.topology import Acuity, Area, Service, Site, Target, Team
from healthmon.model.view import View
from healthmon.model.wards import WardPlan

_ACUITY = list(Acuity)
_HIT = (ServiceState.LOST, ServiceState.DEGRADED)
_WORDS = {
    ServiceState.LOST: "not available",
    ServiceState.DEGRADED: "slow or partly working",
    ServiceState.AT_RISK: "working, no spare route left",
    ServiceState.UNKNOWN: "we cannot see",
    ServiceState.OK: "no fault seen",
}
#: Kinds of devices whose faults belong to the people who keep the building.
ESTATES = frozenset({"ups", "generator", "environment", "cooling", "pdu", "power", "room-sensor"})
_NAMES_MOST = 8


@dataclass(frozen=True, slots=True)
class Rung:
    """Somebody was rung: an area's id, `team:ID` or `supplier:NAME`."""

    at: float
    who: str
    by: str


@dataclass(frozen=True, slots=True)
class Desktop:
    """What papers are made from, at one moment. next_update: when the next situation report comes (Unix s)."""

    view: View
    plan: WardPlan
    now: float
    words: Mapping[str, Catalogue]
    notices: Mapping[str, Sequence[Notice]] = field(default_factory=dict)
    rung: Sequence[Rung] = ()
    marks: Sequence[Mark] = ()
    oncall: Sequence[tuple[str, str, str]] = ()  # (rota, who now, who next)
    next_update: float = 0.0
    url: str = ""

    def make(self, kind: str) -> Paper:
        """The paper of this kind. Raises KeyError."""
        title, parts = {
            "call-list": ("Call list of the clinical site manager", self._call_list),
            "situation": ("Situation report", self._situation),
            "recovery": ("Recovery in restore order", self._recovery),
            "handover": ("Hand-over", self._handover),
            "print-pack": ("Print pack", self._print_pack),
        }[kind]
        return Paper(kind, title, f"{self._local(self.now):%a %d %b %Y, %H:%M %Z}", tuple(parts()))

    # --- call list --------------------------------------------------------------------------------------------------

    def _call_list(self) -> Iterator[Part]:
        areas = sorted(self._hit_areas(), key=lambda a: (_ACUITY.index(a.acuity), -a.beds, a.name))
        head = ("Area", "Ring", "What they lost", "Instead", "Told")
        rows = tuple((a.name, _phone(a), self._lost(a), self._instead(a), self._told(a.id)) for a in areas)
        yield Part("Areas, the most acute first", () if rows else ("No area is known to have lost anything.",),
                   head, rows, tuple(a.id for a in areas))  # fmt: skip
        desks = list(self._desks())
        if desks:
            told = tuple((name, phone, cause, self._told(who)) for who, name, phone, cause in desks)
            ids = tuple(who for who, *_ in desks)
            yield Part("Desks to tell, by cause", (), ("Desk", "Ring", "Cause", "Told"), told, ids)

    def _hit_areas(self) -> list[Area]:
        found = {line.area for one in self._bad() for line in one.impact if line.state in _HIT}
        found |= {said.area for one in self._bad() for said in one.reports if said.works_at is None}
        return [self.view.estate.areas[id_] for id_ in found if id_ in self.view.estate.areas]

    def _lost(self, area: Area) -> str:
        states: dict[str, ServiceState] = {}
        for one in self._bad():
            for line in one.impact:
                if line.area == area.id and line.state in _HIT and states.get(line.service) is not ServiceState.LOST:
                    states[line.service] = line.state
        return "; ".join(f"{self._name(s)} {_WORDS[state]}" for s, state in states.items()) or "see the incident"

    def _instead(self, area: Area) -> str:
        lost = {line.service for one in self._bad() for line in one.impact if line.area == area.id}
        said = []
        for id_ in sorted(lost):
            service = self.view.estate.services.get(id_)
            at = fallback_ready(service, area.id, self.view, self.now) if service else None
            if service and service.fallback and at is not None:
                said.append(f"{service.fallback.text} (ready {self._clock(at)})")
        return "; ".join(dict.fromkeys(said)) or "nothing is proven ready there: paper"

    def _told(self, who: str) -> str:
        since = min((one.opened_at for one in self._bad()), default=self.now)
        rung = [one for one in self.rung if one.who == who and one.at >= since]
        if rung:
            return f"rung {self._clock(rung[-1].at)} by {rung[-1].by}"
        said = [r.first_at for one in self._bad() for r in one.reports if r.area == who]
        return f"not rung; they told us {self._clock(min(said))}" if said else "not rung yet"

    def _desks(self) -> Iterator[tuple[str, str, str, str]]:
        """(who, name, phone, cause) of estates and suppliers whose fault it is."""
        estate, seen = self.view.estate, set()
        for one in self._bad():
            target = estate.targets.get(one.root.target) if one.root else None
            cause = f"{self._name(target.id)}: {one.title}" if target else one.title
            if one.root and one.root.supplier:
                team = next((t for t in estate.teams.values() if one.root.supplier in (t.id, t.name)), None)
                who, name = f"supplier:{one.root.supplier}", one.root.supplier
            elif target and (target.kind in ESTATES or target.team == "estates"):
                team = estate.teams.get(target.team or "estates") or estate.teams.get("estates")
                who, name = f"team:{team.id if team else 'estates'}", (team.name if team else "Estates")
            else:
                continue
            if who not in seen:
                seen.add(who)
                yield who, name, (team.phone or team.desk or "number not known") if team else "number not known", cause

    # --- situation --------------------------------------------------------------------------------------------------

    def _situation(self) -> Iterator[Part]:
        bad = self._bad()
        if not bad:
            yield Part("Known", ("No incident is open.",))
        for one in bad:
            yield Part(f"Severity {one.severity}: {one.title}", tuple(self._known(one)))
        yield Part("Not known", tuple(self._not_known()) or ("Nothing that we know of.",))
        yield Part("Told", tuple(self._who_was_told()) or ("Nobody yet.",))
        yield Part("Next update", (f"{self._clock(self.next_update)}, or when something changes.",
                                   "When it will be over is not known and not said here."))  # fmt: skip

    def _known(self, one: Incident) -> Iterator[str]:
        yield f"Since {self._clock(one.first_evidence_at)}, raised {self._clock(one.opened_at)}. Incident {one.id}."
        areas = sorted({line.area for line in one.impact if line.state in _HIT})
        if areas:
            yield f"{len(areas)} areas: {self._names(areas)}."
        if one.reports:
            yield f"Wards that told us: {self._names([r.area for r in one.reports if r.area])}."
        yield (
            f"Owner: {one.owner}, since {self._clock(one.acknowledged_at)}."
            if one.owner
            else "Nobody has taken it yet."
        )
        if one.state is IncidentState.MITIGATED:
            since = self._clock(one.mitigated_at)
            yield f"Reachable again since {since}; wards stay on paper until their nurse says stop."
        for entry in [entry for entry in one.timeline if entry.what == "note" and entry.by != "healthmon"][-3:]:
            yield f"{self._clock(entry.at)} {entry.by}: {entry.text}"

    def _not_known(self) -> Iterator[str]:
        for one in self.view.incidents:
            if not one.open:
                continue
            if one.kind is IncidentKind.BLIND:
                yield f"{one.title}."
            if one.impact_known != "full" and one.severity <= 3:
                yield f"What {one.id} means for care: not everything behind it is mapped."
            if one.root and one.root.certainty != "very likely" and one.severity <= 3:
                others = self._names(list(one.root.alternatives[:3]))
                yield f"The cause of {one.id}: {one.root.certainty}{f', or {others}' if others else ''}."
        unseen = sorted({a for (a, _), status in self.view.services.items() if status.state is ServiceState.UNKNOWN})
        if unseen:
            yield f"Services in {len(unseen)} areas that we cannot see: {self._names(unseen)}."

    def _who_was_told(self) -> Iterator[str]:
        for one in self._bad():
            told: dict[str, float] = {}
            for notice in self.notices.get(one.id, ()):
                if notice.at is not None:
                    told.setdefault(notice.person or notice.to, notice.at)
            for who, at in told.items():
                yield f"{self._clock(at)} {who} ({one.id})"
        for rung in self.rung:
            if rung.at >= self.now - 86_400.0:
                yield f"{self._clock(rung.at)} {self._name(rung.who)}, rung by {rung.by}"

    # --- recovery ---------------------------------------------------------------------------------------------------

    def _recovery(self) -> Iterator[Part]:
        lines = [(line.area, line.service) for one in self._bad() for line in one.impact if line.state in _HIT]
        ids = {member.key.target for one in self._bad() for member in one.members}
        stages = restore_order(NeedGraph(self.view.estate), ids, lines)
        if not stages:
            yield Part("Nothing is known to be down")
        for number, stage in enumerate(stages, start=1):
            rows = tuple((self._name(id_), *self._back(id_)) for id_ in stage)
            yield Part(f"Stage {number}", (), ("What", "State now", "Proven from"), rows)

    def _back(self, id_: str) -> tuple[str, str]:
        """State, and how many of its areas have seen it working."""
        if id_ not in self.view.estate.services:
            status = self.view.targets.get(id_)
            return (f"{status.outcome.value} since {self._clock(status.since)}" if status else "not known", "")
        own = [status for (_, service), status in self.view.services.items() if service == id_]
        proven = [status for status in own if proven_from(status, self.view.estate, self.now) is not None]
        states = {status.state for status in own}
        worst = next((s for s in (ServiceState.LOST, ServiceState.DEGRADED, ServiceState.UNKNOWN) if s in states), None)
        return _WORDS[worst or ServiceState.OK], f"{len(proven)} of {len(own)} areas"

    # --- hand-over --------------------------------------------------------------------------------------------------

    def _handover(self) -> Iterator[Part]:
        head = ("Sev", "Incident", "State", "Owner", "Since")
        shown = [one for one in self.view.incidents if one.open]
        rows = tuple(
            (str(i.severity), i.title, i.state.value, i.owner or "nobody", self._clock(i.opened_at)) for i in shown
        )
        yield Part("Open incidents", () if rows else ("None.",), head, rows)
        said = [(one, report) for one in shown for report in one.reports if report.works_at is None]
        rows = tuple(
            (self._named(r.area), self._named(r.service), r.effect.value.replace("_", " "), self._clock(r.first_at),
             i.owner or "nobody")
            for i, r in said
        )  # fmt: skip
        head = ("Area", "Service", "Effect", "Since", "Who")
        yield Part("What wards told us", () if rows else ("Nothing stands.",), head, rows)
        on = tuple((self._name(m.area), m.what.replace("_", " "), self._clock(m.at), m.by) for m in self._papers())
        yield Part("Wards on paper", () if on else ("None has said so.",), ("Area", "Said", "Since", "By"), on)
        mutes = tuple(f"{one.mute.id}: {one.state.value}" for one in self.view.mutes if one.state.value == "active")
        yield Part("Silences and changes in force", mutes or ("None.",))
        yield Part("On call", (), ("Rota", "Now", "Next"), tuple(self.oncall))

    def _papers(self) -> list[Mark]:
        """The last word of each area, unless all is written back."""
        last = {mark.area: mark for mark in self.marks}
        return [mark for mark in last.values() if mark.what != "done"]

    # --- print pack -------------------------------------------------------------------------------------------------

    def _print_pack(self) -> Iterator[Part]:
        areas = sorted(self.view.estate.areas.values(), key=lambda a: (a.site, a.name))
        until = f"Printed {self._local(self.now):%d %b %Y}. Throw it away after 7 days: a newer one is there."
        rows = tuple((a.name, self._name(a.site), _phone(a), a.contact.bleep or "" if a.contact else "") for a in areas)
        yield Part("Contact list: areas", (until,), ("Area", "Site", "Telephone", "Bleep"), rows)
        teams = tuple((t.name or t.id, t.phone or "", t.desk or "") for t in self.view.estate.teams.values())
        desks = {self.plan.desk, *self.plan.desks.values()}
        own = tuple((d.name, d.phone or "", "") for d in sorted(desks, key=lambda d: d.name))
        yield Part("Contact list: IT, estates, suppliers", (), ("Who", "Telephone", "Desk"), (*own, *teams))
        for area in areas:
            yield self._poster(area, until)
        words = self.words[self.plan.language]
        steps = tuple(
            (f"{stage.after_s / 60:.0f} min", stage.text or words.say(stage.message), "☐") for stage in self.plan.stages
        )
        yield Part("Downtime checklist", (until,), ("After", "Do", "Done"), steps, page=True)

    def _poster(self, area: Area, until: str) -> Part:
        words = self.words[self.plan.language_of(area=area.id, site=area.site)]
        desk = self.plan.desk_of(area.site)
        where = f"{self.url}/area/{area.id}"
        answers = [
            f"{words.say(f'report_{key}')}: {words.say(f'report_{key}_why')}" for key in ("nobody", "one", "can_wait")
        ]
        ring = words.say("ward_ring", desk=desk.name) if desk.phone else words.say("ward_ring_unknown")
        lines = (ring, words.say("report_what"), *answers, where, until)
        return Part(area.name, lines, page=True, big=desk.phone or "")

    # --- words ------------------------------------------------------------------------------------------------------

    def _bad(self) -> list[Incident]:
        """Open incidents that take something from care, the worst first; warnings and blindness stand elsewhere."""
        found = [one for one in self.view.incidents if one.open and one.kind is IncidentKind.INCIDENT]
        return sorted((one for one in found if one.severity <= 3), key=lambda one: (one.severity, one.opened_at))

    def _named(self, id_: str) -> str:
        return self._name(id_) if id_ else "not named"

    def _name(self, id_: str) -> str:
        estate, plain = self.view.estate, id_.removeprefix("team:").removeprefix("supplier:")
        known: Area | Service | Target | Site | Team | None = (
            estate.areas.get(plain) or estate.services.get(plain) or estate.targets.get(plain)
            or estate.sites.get(plain) or estate.teams.get(plain)
        )  # fmt: skip
        return known.name if known and known.name else plain

    def _names(self, ids: Sequence[str]) -> str:
        names = [self._name(id_) for id_ in dict.fromkeys(ids)]
        more = len(names) - _NAMES_MOST
        return ", ".join(names[:_NAMES_MOST]) + (f" and {more} more" if more > 0 else "")

    def _local(self, at: float) -> datetime:
        return datetime.fromtimestamp(at, ZoneInfo(self.view.estate.organisation.timezone))

    def _clock(self, at: float | None) -> str:
        if at is None:
            return "not known"
        then = self._local(at)
        return f"{then:%H:%M}" if then.date() == self._local(self.now).date() else f"{then:%a %H:%M}"


def _phone(area: Area) -> str:
    return (area.contact.phone if area.contact else None) or "number not known"
