"""One incident in any language of the catalogues: for IT, for one ward, and as one SMS of at most 160 characters. Pure.

Ward texts name no device, no protocol and no time at which it will be over; a fallback is named only with its proof.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from healthmon.alerting.incidents.text import Texts
from healthmon.alerting.notify.shorttext import SMS_CHARACTERS, gsm
from healthmon.model.incident import ImpactLine, Incident, IncidentKind, IncidentState, ServiceState, Why
from healthmon.model.wards import Desk

_ORDER = (ServiceState.LOST, ServiceState.DEGRADED, ServiceState.UNKNOWN, ServiceState.AT_RISK)
_HIT = (ServiceState.LOST, ServiceState.DEGRADED)
_NAMES_SHOWN = 3
_ENDED = (Why.MITIGATED, Why.RESOLVED)


class Phrases:
    """The words of one language over one estate; `words` brings names and local times."""

    def __init__(self, words: Texts) -> None:
        self._words = words

    def subject(self, incident: Incident, why: Why) -> str:
        """One line for IT: severity, what is not available where, the thing that is thought to be at fault."""
        say, worst = self._words.say, _worst(incident)
        head = say("it_head", severity=incident.severity)
        lead = say(f"it_{why.value}") if f"it_{why.value}" in self._words else ""
        if worst is None or incident.kind is IncidentKind.BLIND:
            key = "it_blind" if incident.kind is IncidentKind.BLIND else "it_no_impact"
            return _joined(head, lead, say(key, root=self._root(incident)))
        lines = [line for line in incident.impact if line.state is worst]
        what = say(
            "it_impact",
            services=self._words.services(line.service for line in lines),
            state=self._words.state(worst),
            areas=self._words.areas(line.area for line in lines),
        )
        early = say("it_early") if incident.kind is IncidentKind.EARLY_WARNING else ""
        return _joined(head, lead, early, what, say("it_root", root=self._root(incident)) if incident.root else "")

    def text(self, incident: Incident, why: Why) -> str:
        """The whole message for IT."""
        say = self._words.say
        lines = [self.subject(incident, why)]
        if why in _ENDED:
            lines.append(self._ending(incident))
        lines += [f"- {said}" for said in self._lines(incident.impact)]
        first = self._words.clock(incident.first_evidence_at, self._area(incident))
        lines.append(say("it_first", at=first))
        lines.append(say("it_owner", owner=incident.owner) if incident.owner else say("it_nobody"))
        lines.append(say("it_id", incident=incident.id))
        return "\n".join(lines)

    def for_ward(self, incident: Incident, area: str, desk: Desk, now: float) -> str:
        """A few plain sentences for one area; never that something works, unless it is over and proven elsewhere."""
        return " ".join(self._ward_parts(incident, area, desk, now))

    def sms(self, incident: Incident, area: str, desk: Desk, now: float) -> str:
        """The same in one SMS: what does not work and whom to ring always fit, the rest as far as there is room."""
        what, *rest, ring, as_at = self._ward_parts(incident, area, desk, now)
        place = self._words.name(area)
        for parts in _shorter(rest):
            text = gsm(" ".join([f"{place}: {what}", *parts, ring, as_at]))
            if len(text) <= SMS_CHARACTERS:
                return text
        tail = gsm(f" {ring} {as_at}")
        head = gsm(f"{place}: {what}")
        return head[: SMS_CHARACTERS - len(tail) - 3].rstrip() + "..." + tail

    def _ward_parts(self, incident: Incident, area: str, desk: Desk, now: float) -> list[str]:
        say, clock = self._words.say, self._words.clock
        parts = [self._ward_what(incident, area)]
        if incident.state is not IncidentState.MITIGATED and parts != [say("text_nothing")]:
            parts += self._ward_fallback(incident, area)
            parts.append(say("text_taken", owner=incident.owner) if incident.owner else say("text_not_taken"))
        parts.append(say("answer_ring", desk=desk.name, phone=desk.phone) if desk.phone else say("text_ring_poster"))
        return [*parts, say("text_as_at", time=clock(now, area))]

    def _ward_what(self, incident: Incident, area: str) -> str:
        say = self._words.say
        if incident.state in (IncidentState.MITIGATED, IncidentState.RESOLVED):
            return self._ending(incident, area)
        if incident.kind is IncidentKind.BLIND:
            return say("text_blind", since=self._words.clock(incident.first_evidence_at, area))
        mine = [line for line in incident.impact if line.area == area and line.state in _HIT]
        said = [one for one in incident.reports if one.area == area and one.works_at is None]
        if mine:
            return " ".join(self._own(mine, area))
        if said:
            service = self._words.name(said[0].service) if said[0].service else say("service_unknown")
            return say("text_reported", service=service, since=self._words.clock(said[0].first_at, area))
        return say("text_nothing")

    def _own(self, lines: Sequence[ImpactLine], area: str) -> Iterator[str]:
        for state in _HIT:
            found = [line for line in lines if line.state is state]
            if found:
                yield self._words.say(
                    "text_line",
                    services=self._words.services(line.service for line in found),
                    state=self._words.state(state),
                    since=self._words.clock(min(line.since for line in found), area),
                )

    def _ward_fallback(self, incident: Incident, area: str) -> list[str]:
        proven = {
            line.fallback_text.rstrip("."): line.fallback_proven_at
            for line in incident.impact
            if line.area == area and line.state in _HIT and line.fallback_text and line.fallback_proven_at is not None
        }
        return [
            self._words.say("ward_fallback", fallback=text, proven=self._words.clock(at, area))
            for text, at in list(proven.items())[:1]
        ]

    def _ending(self, incident: Incident, area: str | None = None) -> str:
        said = [entry for entry in incident.timeline if entry.what == "mitigated"]
        by_it = bool(said) and said[-1].by != "healthmon"
        at = incident.mitigated_at if incident.mitigated_at is not None else incident.resolved_at
        since = self._words.clock(at, area or self._area(incident)) if at is not None else "?"
        return self._words.say("mitigated_by_it" if by_it else "mitigated", since=since)

    def _lines(self, lines: Sequence[ImpactLine]) -> Iterator[str]:
        groups: dict[tuple[str, ServiceState], list[ImpactLine]] = {}
        for line in sorted(lines, key=lambda one: _ORDER.index(one.state) if one.state in _ORDER else 9):
            groups.setdefault((line.service, line.state), []).append(line)
        for (service, state), found in groups.items():
            yield self._words.say(
                "line",
                service=self._words.name(service),
                state=self._words.state(state),
                areas=self._words.areas(line.area for line in found),
                since=self._words.clock(min(line.since for line in found), found[0].area),
            )

    def _root(self, incident: Incident) -> str:
        if incident.root is None:
            return self._words.say("it_people")
        key = f"reason_{incident.root.reason}"
        reason = self._words.say(key) if key in self._words else incident.root.reason.replace("_", " ")
        names = [incident.root.target, *incident.root.alternatives[: _NAMES_SHOWN - 1]]
        if incident.root.certainty != "one of these":
            names = names[:1]
        return f"{', '.join(self._words.name(id_) for id_ in names)} ({reason})"

    def _area(self, incident: Incident) -> str | None:
        return next((line.area for line in incident.impact), None)


def _worst(incident: Incident) -> ServiceState | None:
    states = {line.state for line in incident.impact}
    return next((state for state in _ORDER if state in states), None)


def _shorter(parts: Sequence[str]) -> Iterator[list[str]]:
    """All of them, then without who has it, then without anything that can be left out."""
    for keep in range(len(parts), -1, -1):
        yield list(parts[:keep])


def _joined(*parts: str) -> str:
    return " ".join(part for part in parts if part)
