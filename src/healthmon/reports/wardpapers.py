"""Papers for wards and for who rings them: call list and print pack, in the language of whom each is for. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from healthmon.impact.downtime import fallback_ready
from healthmon.model.catalogue import Catalogue
from healthmon.model.incident import Incident, ServiceState
from healthmon.model.paper import Paper, Part
from healthmon.model.topology import Acuity, Area, Target, Team

if TYPE_CHECKING:
    from healthmon.reports.papers import Desktop

_ACUITY = list(Acuity)
HIT = (ServiceState.LOST, ServiceState.DEGRADED)
#: Kinds of devices whose faults belong to the people who keep the building.
ESTATES = frozenset({"ups", "generator", "environment", "cooling", "pdu", "power", "room-sensor"})


def ward_paper(kind: str, desktop: Desktop) -> Paper:
    """The paper of this kind in the hospital's language; posters and checklists also in those of their areas."""
    words = desktop.words[desktop.plan.language]
    title, parts = {
        "call-list": ("paper_call_list", CallList(desktop, words).parts),
        "print-pack": ("paper_print_pack", PrintPack(desktop, words).parts),
    }[kind]
    as_at = desktop.stamp(words)
    dated = words.say("ward_as_at", time=as_at)
    return Paper(kind, words.say(title), as_at, tuple(parts()), dated=dated, language=words.language)


WARD_PAPERS = frozenset({"call-list", "print-pack"})


class CallList:
    """Whom the clinical site manager rings, the most acute first, and the desks to tell by cause."""

    def __init__(self, desktop: Desktop, words: Catalogue) -> None:
        self._desk = desktop
        self._say = words.say

    def parts(self) -> Iterator[Part]:
        """Areas, then desks where the fault is theirs."""
        areas = sorted(self._hit_areas(), key=lambda a: (_ACUITY.index(a.acuity), -a.beds, a.name))
        rows = tuple((a.name, _phone(a, self._say), self._lost(a), self._instead(a), self._told(a.id)) for a in areas)
        head = self._heads("area", "ring", "lost", "instead", "told")
        lines = () if rows else (self._say("paper_areas_none"),)
        yield Part(self._say("paper_areas"), lines, head, rows, tuple(a.id for a in areas))
        desks = list(self._desks())
        if desks:
            told = tuple((name, phone, cause, self._told(who)) for who, name, phone, cause in desks)
            ids = tuple(who for who, *_ in desks)
            yield Part(self._say("paper_desks"), (), self._heads("desk", "ring", "cause", "told"), told, ids)

    def _heads(self, *names: str) -> tuple[str, ...]:
        return tuple(self._say(f"paper_{name}") for name in names)

    def _hit_areas(self) -> list[Area]:
        bad, known = self._desk.bad(), self._desk.view.estate.areas
        found = {line.area for one in bad for line in one.impact if line.state in HIT}
        found |= {said.area for one in bad for said in one.reports if said.works_at is None}
        return [known[id_] for id_ in found if id_ in known]

    def _lost(self, area: Area) -> str:
        states: dict[str, ServiceState] = {}
        for one in self._desk.bad():
            for line in one.impact:
                if line.area == area.id and line.state in HIT and states.get(line.service) is not ServiceState.LOST:
                    states[line.service] = line.state
        lost = (f"{self._desk.name(id_)} {self._say(f'state_{state}')}" for id_, state in states.items())
        return "; ".join(lost) or self._say("paper_see")

    def _instead(self, area: Area) -> str:
        view, now = self._desk.view, self._desk.now
        said = []
        for id_ in sorted({line.service for one in self._desk.bad() for line in one.impact if line.area == area.id}):
            service = view.estate.services.get(id_)
            at = fallback_ready(service, area.id, view, now) if service else None
            if service and service.fallback and at is not None:
                said.append(self._say("paper_ready", fallback=service.fallback.text, at=self._desk.clock(at)))
        return "; ".join(dict.fromkeys(said)) or self._say("paper_nothing_ready")

    def _told(self, who: str) -> str:
        bad = self._desk.bad()
        since = min((one.opened_at for one in bad), default=self._desk.now)
        rung = [one for one in self._desk.rung if one.who == who and one.at >= since]
        if rung:
            return self._say("paper_rung", at=self._desk.clock(rung[-1].at), by=rung[-1].by)
        said = [r.first_at for one in bad for r in one.reports if r.area == who]
        return self._say("paper_they_told", at=self._desk.clock(min(said))) if said else self._say("paper_not_rung")

    def _desks(self) -> Iterator[tuple[str, str, str, str]]:
        """(who, name, phone, cause) of estates and suppliers whose fault it is."""
        seen = set()
        for one in self._desk.bad():
            who, name, team = self._owner(one)
            if who and who not in seen:
                seen.add(who)
                phone = (team.phone or team.desk) if team else None
                yield who, name, phone or self._say("paper_no_number"), self._cause(one)

    def _owner(self, incident: Incident) -> tuple[str, str, Team | None]:
        """(who, name, team) of the supplier or of estates; nobody when it is IT's own."""
        teams, root, target = self._desk.view.estate.teams, incident.root, self._root(incident)
        if root and root.supplier:
            team = next((team for team in teams.values() if root.supplier in (team.id, team.name)), None)
            return f"supplier:{root.supplier}", root.supplier, team
        if target and (target.kind in ESTATES or target.team == "estates"):
            team = teams.get(target.team or "estates") or teams.get("estates")
            return f"team:{team.id if team else 'estates'}", team.name if team else self._say("paper_estates"), team
        return "", "", None

    def _cause(self, incident: Incident) -> str:
        target = self._root(incident)
        return f"{self._desk.name(target.id)}: {incident.title}" if target else incident.title

    def _root(self, incident: Incident) -> Target | None:
        return self._desk.view.estate.targets.get(incident.root.target) if incident.root else None


class PrintPack:
    """What hangs on the wall and lies in the folder: telephone lists, a poster for each area, downtime checklists."""

    def __init__(self, desktop: Desktop, words: Catalogue) -> None:
        self._desk = desktop
        self._words = words

    def parts(self) -> Iterator[Part]:
        """Lists for the house, then posters and checklists in the language of whom they are for."""
        say, areas = self._words.say, self._areas()
        rows = tuple(
            (a.name, self._desk.name(a.site), _phone(a, say), a.contact.bleep or "" if a.contact else "") for a in areas
        )
        head = tuple(say(f"paper_{name}") for name in ("area", "site", "phone", "bleep"))
        yield Part(say("paper_contacts"), (self._until(self._words),), head, rows)
        head = tuple(say(f"paper_{name}") for name in ("who", "phone", "desk"))
        yield Part(say("paper_contacts_it"), (), head, self._numbers())
        for area in areas:
            yield self._poster(area)
        for words in self._languages(areas):
            yield self._checklist(words)

    def _areas(self) -> list[Area]:
        return sorted(self._desk.view.estate.areas.values(), key=lambda area: (area.site, area.name))

    def _numbers(self) -> tuple[tuple[str, ...], ...]:
        plan, teams = self._desk.plan, self._desk.view.estate.teams
        desks = sorted({plan.desk, *plan.desks.values()}, key=lambda desk: desk.name)
        own = tuple((desk.name, desk.phone or "", "") for desk in desks)
        return (*own, *((team.name or team.id, team.phone or "", team.desk or "") for team in teams.values()))

    def _languages(self, areas: list[Area]) -> list[Catalogue]:
        """The hospital's first, then each other that an area reads."""
        read = (self._language(area) for area in areas)
        return list({words.language: words for words in (self._words, *read)}.values())

    def _language(self, area: Area) -> Catalogue:
        return self._desk.words[self._desk.plan.language_of(area=area.id, site=area.site)]

    def _until(self, words: Catalogue) -> str:
        return words.say("paper_until", date=self._desk.local(self._desk.now).strftime(words.say("paper_date")))

    def _poster(self, area: Area) -> Part:
        words, desk = self._language(area), self._desk.plan.desk_of(area.site)
        where = f"{self._desk.url}/area/{area.id}"
        answers = [
            f"{words.say(f'report_{key}')}: {words.say(f'report_{key}_why')}" for key in ("nobody", "one", "can_wait")
        ]
        ring = words.say("ward_ring", desk=desk.name) if desk.phone else words.say("ward_ring_unknown")
        lines = (ring, words.say("report_what"), *answers, where, self._until(words))
        return Part(area.name, lines, page=True, big=desk.phone or "", language=words.language)

    def _checklist(self, words: Catalogue) -> Part:
        head = tuple(words.say(f"paper_{name}") for name in ("after", "do", "done"))
        steps = tuple(
            (words.say("clock_minutes", minutes=f"{one.after_s / 60:.0f}"), one.text or words.say(one.message), "☐")
            for one in self._desk.plan.stages
        )
        title = words.say("paper_checklist")
        return Part(title, (self._until(words),), head, steps, page=True, language=words.language)


def _phone(area: Area, say: Callable[..., str]) -> str:
    return (area.contact.phone if area.contact else None) or say("paper_no_number")
