"""Papers for the hours after: situation report, recovery, hand-over. Pure; one shape for all.

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
        """The paper of this kind, in the hospital's language. Raises KeyError."""
        if kind in WARD_PAPERS:
            return ward_paper(kind, self)
        parts = {"situation": self._situation, "recovery": self._recovery, "handover": self._handover}[kind]
        as_at = self.stamp(self._words)
        dated = self._say("ward_as_at", time=as_at)
        return Paper(
            kind, self._say(f"brief_{kind}"), as_at, tuple(parts()), dated=dated, language=self._words.language
        )

    # --- situation --------------------------------------------------------------------------------------------------

    def _situation(self) -> Iterator[Part]:
        say, bad = self._say, self.bad()
        if not bad:
            yield Part(say("brief_known"), (say("brief_none_open"),))
        for one in bad:
            yield Part(say("brief_severity", severity=one.severity, title=one.title), tuple(self._known(one)))
        yield Part(say("brief_not_known"), tuple(self._not_known()) or (say("brief_nothing"),))
        yield Part(say("brief_told"), tuple(self._who_was_told()) or (say("brief_nobody_told"),))
        following = say("brief_next_at", at=self.clock(self.next_update))
        yield Part(say("brief_next"), (following, say("brief_no_end")))

    def _known(self, one: Incident) -> Iterator[str]:
        say, clock = self._say, self.clock
        since, raised = clock(one.first_evidence_at), clock(one.opened_at)
        yield say("brief_since", since=since, raised=raised, incident=one.id)
        areas = sorted({line.area for line in one.impact if line.state in HIT})
        if areas:
            yield say("brief_areas", count=len(areas), areas=self._names(areas))
        if one.reports:
            yield say("brief_wards", areas=self._names([r.area for r in one.reports if r.area]))
        owned = say("brief_owner", owner=one.owner, since=clock(one.acknowledged_at))
        yield owned if one.owner else say("it_nobody")
        if one.state is IncidentState.MITIGATED:
            yield say("brief_mitigated", since=clock(one.mitigated_at))
        for entry in [entry for entry in one.timeline if entry.what == "note" and entry.by != "healthmon"][-3:]:
            yield f"{clock(entry.at)} {entry.by}: {entry.text}"

    def _not_known(self) -> Iterator[str]:
        for one in self.view.incidents:
            if one.open:
                yield from self._not_known_of(one)
        unseen = sorted({a for (a, _), status in self.view.services.items() if status.state is ServiceState.UNKNOWN})
        if unseen:
            yield self._say("brief_unseen", count=len(unseen), areas=self._names(unseen))

    def _not_known_of(self, one: Incident) -> Iterator[str]:
        if one.kind is IncidentKind.BLIND:
            yield f"{one.title}."
        if one.impact_known != "full" and one.severity <= 3:
            yield self._say("brief_unmapped", incident=one.id)
        if one.root and one.root.certainty != "very likely" and one.severity <= 3:
            certainty = self._say("brief_likely" if one.root.certainty == "likely" else "brief_one_of")
            others = self._names(list(one.root.alternatives[:3]))
            key = "brief_cause_or" if others else "brief_cause"
            yield self._say(key, incident=one.id, certainty=certainty, others=others)

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
                yield self._say("brief_rung", at=self.clock(rung.at), who=self.name(rung.who), by=rung.by)

    # --- recovery ---------------------------------------------------------------------------------------------------

    def _recovery(self) -> Iterator[Part]:
        lines = [(line.area, line.service) for one in self.bad() for line in one.impact if line.state in HIT]
        ids = {member.key.target for one in self.bad() for member in one.members}
        stages = restore_order(NeedGraph(self.view.estate), ids, lines)
        if not stages:
            yield Part(self._say("brief_nothing_down"))
        for number, stage in enumerate(stages, start=1):
            rows = tuple((self.name(id_), *self._back(id_)) for id_ in stage)
            yield Part(self._say("brief_stage", number=number), (), self._heads("what", "state_now", "proven"), rows)

    def _back(self, id_: str) -> tuple[str, str]:
        """State, and how many of its areas have seen it working."""
        say = self._say
        if id_ not in self.view.estate.services:
            status = self.view.targets.get(id_)
            if status is None:
                return say("brief_unclear"), ""
            return say("brief_outcome", outcome=say(f"brief_{status.outcome}"), since=self.clock(status.since)), ""
        own = [status for (_, service), status in self.view.services.items() if service == id_]
        proven = [status for status in own if proven_from(status, self.view.estate, self.now) is not None]
        states = {status.state for status in own}
        worst = next((s for s in (ServiceState.LOST, ServiceState.DEGRADED, ServiceState.UNKNOWN) if s in states), None)
        seen = say(f"state_{worst}") if worst else say("brief_no_fault")
        return seen, say("brief_proven_of", count=len(proven), total=len(own))

    # --- hand-over --------------------------------------------------------------------------------------------------

    def _handover(self) -> Iterator[Part]:
        say, nobody = self._say, self._say("brief_nobody")
        shown = [one for one in self.view.incidents if one.open]
        rows = tuple(
            (str(i.severity), i.title, say(f"brief_is_{i.state}"), i.owner or nobody, self.clock(i.opened_at))
            for i in shown
        )
        head = self._heads("sev", "incident", "state", "whose", "from")
        yield Part(say("brief_open_incidents"), () if rows else (say("brief_none"),), head, rows)
        yield self._told_us(shown)
        on = tuple((self.name(m.area), say(f"brief_mark_{m.what}"), self.clock(m.at), m.by) for m in self._papers())
        head = self._heads("area", "said", "from", "by")
        yield Part(say("brief_on_paper"), () if on else (say("brief_none_said"),), head, on)
        mutes = tuple(one.mute.id for one in self.view.mutes if one.state.value == "active")
        yield Part(say("brief_mutes"), mutes or (say("brief_none"),))
        rotas = tuple((rota, now or nobody, following or nobody) for rota, now, following in self.oncall)
        yield Part(say("brief_on_call"), (), self._heads("rota", "now", "then"), rotas)

    def _told_us(self, shown: Sequence[Incident]) -> Part:
        say = self._say
        said = [(one, report) for one in shown for report in one.reports if report.works_at is None]
        rows = tuple(
            (self._named(r.area), self._named(r.service), say(f"brief_effect_{r.effect}"), self.clock(r.first_at),
             i.owner or say("brief_nobody"))
            for i, r in said
        )  # fmt: skip
        head = self._heads("area", "service", "effect", "from", "who")
        return Part(say("brief_wards_told"), () if rows else (say("brief_nothing_stands"),), head, rows)

    def _papers(self) -> list[Mark]:
        """The last word of each area, unless all is written back."""
        last = {mark.area: mark for mark in self.marks}
        return [mark for mark in last.values() if mark.what != "done"]

    # --- words ------------------------------------------------------------------------------------------------------

    @property
    def _words(self) -> Catalogue:
        return self.words[self.plan.language]

    def _say(self, key: str, **values: object) -> str:
        return self._words.say(key, **values)

    def _heads(self, *names: str) -> tuple[str, ...]:
        return tuple(self._say(f"brief_{name}") for name in names)

    def stamp(self, words: Catalogue) -> str:
        """This moment with its day, as this language writes it."""
        now = self.local(self.now)
        return f"{now.strftime(words.say('paper_date'))}, {now:%H:%M %Z}"

    def bad(self) -> list[Incident]:
        """Open incidents that take something from care, the worst first; warnings and blindness stand elsewhere."""
        found = [one for one in self.view.incidents if one.open and one.kind is IncidentKind.INCIDENT]
        return sorted((one for one in found if one.severity <= 3), key=lambda one: (one.severity, one.opened_at))

    def _named(self, id_: str) -> str:
        return self.name(id_) if id_ else self._say("brief_not_named")

    def name(self, id_: str) -> str:
        estate, plain = self.view.estate, id_.removeprefix("team:").removeprefix("supplier:")
        known: Area | Service | Target | Site | Team | None = (
            estate.areas.get(plain) or estate.services.get(plain) or estate.targets.get(plain)
            or estate.sites.get(plain) or estate.teams.get(plain)
        )  # fmt: skip
        return known.name if known and known.name else plain

    def _names(self, ids: Sequence[str]) -> str:
        names = [self.name(id_) for id_ in dict.fromkeys(ids)]
        more, shown = len(names) - _NAMES_MOST, ", ".join(names[:_NAMES_MOST])
        return self._say("brief_more", names=shown, count=more) if more > 0 else shown

    def local(self, at: float) -> datetime:
        return datetime.fromtimestamp(at, ZoneInfo(self.view.estate.organisation.timezone))

    def clock(self, at: float | None) -> str:
        if at is None:
            return self._say("brief_unclear")
        then = self.local(at)
        today = then.date() == self.local(self.now).date()
        return f"{then:%H:%M}" if today else f"{then.strftime(self._say('paper_day'))} {then:%H:%M}"
