"""Papers for the hours after: situation report, recovery, hand-over. Pure; one shape for all. Those are for IT.

None of them says when it will be over: nobody knows. What wards and who rings them read is in `wardpapers`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from healthmon.impact.graph import NeedGraph
from healthmon.impact.restore import restore_order
from healthmon.impact.wards import proven_from
from healthmon.model.catalogue import Catalogue
from healthmon.model.incident import Incident, IncidentKind, IncidentState, Notice, ServiceState
from healthmon.model.paper import Paper, Part
from healthmon.model.report import Mark
from healthmon.model.topology import Area, Service, Site, Target, Team
from healthmon.model.view import View
from healthmon.model.wards import WardPlan
from healthmon.reports.wardpapers import HIT, WARD_PAPERS, ward_paper

_WORDS = {
    ServiceState.LOST: "not available",
    ServiceState.DEGRADED: "slow or partly working",
    ServiceState.AT_RISK: "working, no spare route left",
    ServiceState.UNKNOWN: "we cannot see",
    ServiceState.OK: "no fault seen",
}
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
        if kind in WARD_PAPERS:
            return ward_paper(kind, self)
        title, parts = {
            "situation": ("Situation report", self._situation),
            "recovery": ("Recovery in restore order", self._recovery),
            "handover": ("Hand-over", self._handover),
        }[kind]
        as_at = f"{self.local(self.now):%a %d %b %Y, %H:%M %Z}"
        return Paper(kind, title, as_at, tuple(parts()), dated=f"As at {as_at}")

    # --- situation --------------------------------------------------------------------------------------------------

    def _situation(self) -> Iterator[Part]:
        bad = self.bad()
        if not bad:
            yield Part("Known", ("No incident is open.",))
        for one in bad:
            yield Part(f"Severity {one.severity}: {one.title}", tuple(self._known(one)))
        yield Part("Not known", tuple(self._not_known()) or ("Nothing that we know of.",))
        yield Part("Told", tuple(self._who_was_told()) or ("Nobody yet.",))
        yield Part("Next update", (f"{self.clock(self.next_update)}, or when something changes.",
                                   "When it will be over is not known and not said here."))  # fmt: skip

    def _known(self, one: Incident) -> Iterator[str]:
        yield f"Since {self.clock(one.first_evidence_at)}, raised {self.clock(one.opened_at)}. Incident {one.id}."
        areas = sorted({line.area for line in one.impact if line.state in HIT})
        if areas:
            yield f"{len(areas)} areas: {self._names(areas)}."
        if one.reports:
            yield f"Wards that told us: {self._names([r.area for r in one.reports if r.area])}."
        yield (
            f"Owner: {one.owner}, since {self.clock(one.acknowledged_at)}." if one.owner else "Nobody has taken it yet."
        )
        if one.state is IncidentState.MITIGATED:
            since = self.clock(one.mitigated_at)
            yield f"Reachable again since {since}; wards stay on paper until their nurse says stop."
        for entry in [entry for entry in one.timeline if entry.what == "note" and entry.by != "healthmon"][-3:]:
            yield f"{self.clock(entry.at)} {entry.by}: {entry.text}"

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
        for one in self.bad():
            told: dict[str, float] = {}
            for notice in self.notices.get(one.id, ()):
                if notice.at is not None:
                    told.setdefault(notice.person or notice.to, notice.at)
            for who, at in told.items():
                yield f"{self.clock(at)} {who} ({one.id})"
        for rung in self.rung:
            if rung.at >= self.now - 86_400.0:
                yield f"{self.clock(rung.at)} {self.name(rung.who)}, rung by {rung.by}"

    # --- recovery ---------------------------------------------------------------------------------------------------

    def _recovery(self) -> Iterator[Part]:
        lines = [(line.area, line.service) for one in self.bad() for line in one.impact if line.state in HIT]
        ids = {member.key.target for one in self.bad() for member in one.members}
        stages = restore_order(NeedGraph(self.view.estate), ids, lines)
        if not stages:
            yield Part("Nothing is known to be down")
        for number, stage in enumerate(stages, start=1):
            rows = tuple((self.name(id_), *self._back(id_)) for id_ in stage)
            yield Part(f"Stage {number}", (), ("What", "State now", "Proven from"), rows)

    def _back(self, id_: str) -> tuple[str, str]:
        """State, and how many of its areas have seen it working."""
        if id_ not in self.view.estate.services:
            status = self.view.targets.get(id_)
            return (f"{status.outcome.value} since {self.clock(status.since)}" if status else "not known", "")
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
            (str(i.severity), i.title, i.state.value, i.owner or "nobody", self.clock(i.opened_at)) for i in shown
        )
        yield Part("Open incidents", () if rows else ("None.",), head, rows)
        said = [(one, report) for one in shown for report in one.reports if report.works_at is None]
        rows = tuple(
            (self._named(r.area), self._named(r.service), r.effect.value.replace("_", " "), self.clock(r.first_at),
             i.owner or "nobody")
            for i, r in said
        )  # fmt: skip
        head = ("Area", "Service", "Effect", "Since", "Who")
        yield Part("What wards told us", () if rows else ("Nothing stands.",), head, rows)
        on = tuple((self.name(m.area), m.what.replace("_", " "), self.clock(m.at), m.by) for m in self._papers())
        yield Part("Wards on paper", () if on else ("None has said so.",), ("Area", "Said", "Since", "By"), on)
        mutes = tuple(f"{one.mute.id}: {one.state.value}" for one in self.view.mutes if one.state.value == "active")
        yield Part("Silences and changes in force", mutes or ("None.",))
        yield Part("On call", (), ("Rota", "Now", "Next"), tuple(self.oncall))

    def _papers(self) -> list[Mark]:
        """The last word of each area, unless all is written back."""
        last = {mark.area: mark for mark in self.marks}
        return [mark for mark in last.values() if mark.what != "done"]

    # --- words ------------------------------------------------------------------------------------------------------

    def bad(self) -> list[Incident]:
        """Open incidents that take something from care, the worst first; warnings and blindness stand elsewhere."""
        found = [one for one in self.view.incidents if one.open and one.kind is IncidentKind.INCIDENT]
        return sorted((one for one in found if one.severity <= 3), key=lambda one: (one.severity, one.opened_at))

    def _named(self, id_: str) -> str:
        return self.name(id_) if id_ else "not named"

    def name(self, id_: str) -> str:
        estate, plain = self.view.estate, id_.removeprefix("team:").removeprefix("supplier:")
        known: Area | Service | Target | Site | Team | None = (
            estate.areas.get(plain) or estate.services.get(plain) or estate.targets.get(plain)
            or estate.sites.get(plain) or estate.teams.get(plain)
        )  # fmt: skip
        return known.name if known and known.name else plain

    def _names(self, ids: Sequence[str]) -> str:
        names = [self.name(id_) for id_ in dict.fromkeys(ids)]
        more = len(names) - _NAMES_MOST
        return ", ".join(names[:_NAMES_MOST]) + (f" and {more} more" if more > 0 else "")

    def local(self, at: float) -> datetime:
        return datetime.fromtimestamp(at, ZoneInfo(self.view.estate.organisation.timezone))

    def clock(self, at: float | None) -> str:
        if at is None:
            return "not known"
        then = self.local(at)
        return f"{then:%H:%M}" if then.date() == self.local(self.now).date() else f"{then:%a %H:%M}"
