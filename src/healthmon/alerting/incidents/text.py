"""What an incident is called and says of itself, in the plain words of the catalogue; no figure that is not known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from healthmon.impact.hours import Calendar
from healthmon.impact.refuge import Nearest
from healthmon.model.catalogue import Catalogue, filled
from healthmon.model.incident import ImpactLine, IncidentKind, Root, ServiceState
from healthmon.model.topology import Acuity, Area, AreaKind, Estate, Organisation, Service, Site, Target

#: What the built-in catalogue is written in.
DEFAULT_LANGUAGE = "en"
#: The built-in catalogue; alerting/text/en.yaml holds the same, for a hospital to overwrite.
DEFAULT_TEXT: Mapping[str, str] = {
    "state_lost": "not available",
    "state_degraded": "slow or partly working",
    "state_at_risk": "working, no spare route left",
    "state_unknown": "we cannot see",
    "title_impact": "{services} {state} in {areas}: {cause}",
    "title_unmapped": "{cause}",
    "title_blind": "Monitoring fault: state not known beyond {root}",
    "title_warning": "Early warning: {cause}",
    "services_many": "{count} services",
    "areas_many": "{count} areas",
    "areas_all": "all areas",
    "area_beds_ward": "{area} (ward with {beds} beds)",
    "area_beds_other": "{area} ({beds} beds)",
    "line": "{service}: {state} in {areas} since {since}.",
    "more_lines": "And {count} more lines.",
    "fallback": "{areas}: {fallback} was checked and ready at {proven}.",
    "downtime_pc": "Nearest ready downtime PC for {areas}: {pc} in {place}.",
    "cause_very_likely": "Very likely cause: {cause}.",
    "cause_likely": "Likely cause: {cause}.",
    "cause_one_of": "The cause is one of these: {cause}; {alternatives}.",
    "cause_inferred": "{root}: nothing that depends on it has been seen working, and nobody looks at it directly",
    "cause_default": "{target} is not well ({reason})",
    "cause_peers": "{count} of {total} devices ({kind}) in {area} gone at once ({reason})",
    "cause_last": "{cause}; the last of {total} devices ({kind}) in {area}",
    "cause_peers_share": "{cause}; all of them have {shared}",
    "cause_behind": "{count} that hang on {target} fail at once; {target} itself still answers",
    "cause_in_common": "{count} gone at once ({reason}); in common: {common}; {healthy} with the same are well",
    "cause_from": "{cause}, seen only from {areas}",
    "cause_elsewhere": "{cause}, but other looks at it since then find it working",
    "cause_passing": "{cause}; what depends on it is seen working",
    "supplier": "This is with {supplier}: our own side of the way there was seen working. Nobody here can mend it.",
    "not_mapped": "Clinical impact not known: nothing is mapped behind {root}.",
    "no_loss": "No service is known to be affected.",
    "spare_gone": "No spare any more: if {spares} fails too, {services} will not be available in {areas}.",
    "spare_down": "What would stand in for it has failed already: {things}.",
    "spare_no_backup": "No good backup is known of {things}: what is lost there cannot be restored.",
    "would_lose": "If it fails: {services} in {areas}.",
    "blind": "Monitoring fault: state not known. We cannot see beyond {root} since {since}.",
    "blind_means": "This says nothing about the services themselves.",
    "mitigated": "Reachable again since {since}; keep using paper until the nurse in charge says stop.",
    "mitigated_by_it": "IT reports working again since {since}; keep using paper until the nurse in charge says stop.",
    "title_reported": "{areas} report: {effect} ({services})",
    "effect_nobody_can_work": "nobody can work",
    "effect_one_of_us_cannot": "one of us cannot work",
    "effect_can_wait": "something does not work, it can wait",
    "reported": "Said by people in {areas} since {since}. No check of ours has found a fault that explains it.",
    "place_unknown": "a place that was not named",
    "service_unknown": "something that was not named",
    "entry_report": "{area}: {effect} ({service})",
    "entry_still": "{area}: still not working ({service}). Held open until a person says otherwise",
    "entry_ticket": "Ticket {number} of {system}",
    "entry_works": "{area} says it works again",
    "entry_opened": "Opened: {title}",
    "entry_joined": "{count} more: {targets}",
    "entry_rerooted": "Cause is now thought to be {root}, before: {before}",
    "entry_severity": "Severity {after}, before: {before}",
    "entry_areas": "Now also in {areas}",
    "entry_kind": "Now a case of {after}, before: {before}",
    "entry_reopened": "Failing again: {targets}",
    "entry_merged": "Merged into {incident}",
    "entry_absorbed": "Took in {incident}",
    "entry_moved": "{count} fail by themselves and have an incident of their own",
    "entry_unwatched": "{targets}: not watched any more, the configuration has changed. Whether it works is not known",
    "entry_flapping": "{target} comes and goes ({rule}): one alert stays until it has settled",
    "entry_settled": "{target} has settled ({rule})",
    "entry_late": "Heard afterwards from {vantage}: {target} failed from {since} to {until} ({reason}, {count} looks). "
    "It was over when we heard of it, so nobody was paged",
    "entry_late_before": "Heard afterwards from {vantage}: {target} had failed since {since} already ({reason})",
    "entry_late_more": "More was heard afterwards of the time when we could not see; it is in the store",
    "entry_resolved": "Resolved by itself after {minutes} minutes without a new failure",
    "late_notice": "SENT LATE by {by}: this was first tried at {since} and could not be delivered then{state}.",
    "drill_title": "FIRE DRILL, nothing has failed: please answer this page ({agent})",
    "drill_subject": "[FIRE DRILL] nothing has failed, please answer ({agent})",
    "drill_text": "It only proves that pages arrive. {by} asked for it; it came by way of {agent}. Nothing is wrong.",
    "drill_no_ask": "server -> broker: the broker did not take the server's question",
    "drill_no_broker": "broker -> server: the server itself lost the broker while it waited for {agent}",
    "drill_no_answer": "agent {agent} -> broker -> server: nothing came back within {seconds} s; {agent} was last "
    "heard {last}. It did not hear the question, or it spoke and the server never heard it; a late answer says which",
    "drill_refused": "ingest: {agent} spoke, and the server refused what it sent ({why})",
    "drill_late": "agent {agent} -> broker -> server: the agent heard the question after {heard} s and spoke, and the "
    "server heard it only {gone} s later",
    "drill_no_store": "store: the answer is not durable in the time-series store after {seconds} s",
    "drill_no_engine": "engine: the answer came in, and no page was decided within {seconds} s",
    "drill_no_page": "page: no channel took it ({pages})",
    "drill_no_person": "acknowledgement: the page was sent, and nobody answered within {minutes} min",
    "drill_overdue": "No fire drill has passed for {days} days: nobody knows whether pages still arrive. {last}",
    "drill_never": "No fire drill has passed yet: nobody knows whether a page reaches a person. See healthmon drill.",
    "drill_overdue_title": "Fire drill overdue",
    "drill_failed_title": "Fire drill failed: {because}",
}
_LINES_SHOWN = 6
_NAMES_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Story:
    """What a text is made from."""

    kind: IncidentKind
    root: Root
    cause: str  # what the rule says of the root
    lines: Sequence[ImpactLine]
    impact_known: str
    since: float
    passing: bool = False
    answers: bool = False  # the root is inferred from what hangs on it, though its own looks find it there
    from_areas: tuple[str, ...] | None = None  # seen only from there; empty: by one looker or check among several
    spares_gone: Mapping[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    unrestorable: Sequence[str] = ()  # of what fails by itself, what has no good backup
    spares_down: Sequence[str] = ()  # what would have stood in for what a warning is about
    downtime: Sequence[Nearest] = ()  # downtime PCs that were seen ready, for areas that lost something


class Texts(Catalogue):
    """The catalogue with the estate's names and local times; a hospital's file may hold only what it changes."""

    def __init__(self, catalogue: Mapping[str, str], estate: Estate, calendar: Calendar) -> None:
        super().__init__(DEFAULT_LANGUAGE, {**DEFAULT_TEXT, **catalogue})
        self._estate = estate
        self._calendar = calendar

    def fill(self, template: str, values: Mapping[str, object]) -> str:
        """A rule's summary with its placeholders filled; one that cannot be filled is shown as it is written."""
        try:
            return filled(template, values)
        except (ValueError, IndexError, AttributeError, TypeError):
            return template

    def name(self, id_: str) -> str:
        """The name that people know a target, service, area or site by; the organisation's for its own id."""
        estate = self._estate
        known: Target | Service | Area | Site | Organisation | None = (
            estate.targets.get(id_) or estate.services.get(id_) or estate.areas.get(id_) or estate.sites.get(id_)
        )
        if known is None and id_ == estate.organisation.id:
            known = estate.organisation
        return known.name if known and known.name else id_

    def label(self, attribute: str) -> str:
        """The name of an attribute or label as people write it."""
        return attribute.replace("_", " ").replace("-", " ")

    def clock(self, at: float, area: str | None = None) -> str:
        """HH:MM on the wall of the area's site."""
        known = self._estate.areas.get(area or "")
        site = known.site if known else next(iter(self._estate.sites), "")
        return f"{self._calendar.local(site, at):%H:%M}"

    def areas(self, ids: Iterable[str]) -> str:
        """The areas by name while they are few."""
        known = sorted(set(ids), key=self._area_rank)
        if len(known) > 1 and len(known) == len(self._estate.areas):
            return self.say("areas_all")
        if len(known) > _NAMES_SHOWN:
            return self.say("areas_many", count=len(known))
        return ", ".join(self._area(id_) for id_ in known)

    def services(self, ids: Iterable[str]) -> str:
        known = sorted(set(ids), key=self._service_rank)
        if len(known) > _NAMES_SHOWN:
            return self.say("services_many", count=len(known))
        return ", ".join(self.name(id_) for id_ in known)

    def title(self, story: Story) -> str:
        """One line for a pager: what is not available where, else what fails."""
        if story.kind is IncidentKind.BLIND:
            return self.say("title_blind", root=self.name(story.root.target))
        if story.kind is IncidentKind.EARLY_WARNING:
            return self.say("title_warning", cause=story.cause)
        worst = _worst(story.lines)
        if worst is None:
            return self.say("title_unmapped", cause=self.cause(story))
        lines = [line for line in story.lines if line.state is worst]
        services = self.services(line.service for line in lines)
        areas = self.areas(line.area for line in lines)
        return self.say(
            "title_impact", services=services, state=self.state(worst), areas=areas, cause=self.cause(story)
        )

    def plain(self, story: Story) -> str:
        """A few sentences: what does not work where since when, the cause in words, what is proven ready."""
        if story.kind is IncidentKind.BLIND:
            root, since = self.name(story.root.target), self.clock(story.since)
            return f"{self.say('blind', root=root, since=since)} {self.say('blind_means')}"
        said = [
            *self._said_lines(story),
            *self._said_spares(story),
            self._said_cause(story),
            self._said_supplier(story),
            *self._said_standins(story),
        ]
        parts = [*said, *self._said_fallbacks(story.lines), *self._said_downtime(story.downtime)]
        return " ".join(part for part in parts if part)

    def state(self, state: ServiceState) -> str:
        return self.say(f"state_{state.value}")

    def cause(self, story: Story) -> str:
        """What is thought to be wrong, without how sure that is."""
        cause = story.cause
        if story.root.reason == "inferred" and not story.root.in_common and not story.answers:
            cause = self.say("cause_inferred", root=self.name(story.root.target))
        if story.passing:
            return self.say("cause_passing", cause=cause)
        if story.from_areas:
            return self.say("cause_from", cause=cause, areas=self.areas(story.from_areas))
        if story.from_areas is not None:
            return self.say("cause_elsewhere", cause=cause)
        return cause

    def _said_lines(self, story: Story) -> list[str]:
        if not story.lines and story.spares_gone:
            return []
        if not story.lines:
            known = story.impact_known == "none"
            return [self.say("not_mapped", root=self.name(story.root.target)) if known else self.say("no_loss")]
        groups: dict[tuple[str, ServiceState, float], list[str]] = {}
        for line in sorted(story.lines, key=lambda one: (_STATES.index(one.state), self._service_rank(one.service))):
            groups.setdefault((line.service, line.state, line.since // 60), []).append(line.area)
        if story.kind is IncidentKind.EARLY_WARNING:
            services = self.services(line.service for line in story.lines)
            return [self.say("would_lose", services=services, areas=self.areas(line.area for line in story.lines))]
        said = [
            self.say(
                "line",
                service=self.name(service),
                state=self.state(state),
                areas=self.areas(areas),
                since=self.clock(minute * 60, areas[0]),
            )
            for (service, state, minute), areas in groups.items()
        ]
        more = len(said) - _LINES_SHOWN
        return said if more <= 0 else [*said[:_LINES_SHOWN], self.say("more_lines", count=more)]

    def _said_spares(self, story: Story) -> list[str]:
        """What the next failure would do, where a spare has gone."""
        if not story.spares_gone:
            return []
        spares = sorted(set().union(*story.spares_gone.values()))
        named = ", ".join(self.name(id_) for id_ in spares[:_NAMES_SHOWN])
        services = self.services(service for _, service in story.spares_gone)
        return [
            self.say("spare_gone", spares=named, services=services, areas=self.areas(a for a, _ in story.spares_gone))
        ]

    def _said_cause(self, story: Story) -> str:
        cause, root = self.cause(story), story.root
        if root.alternatives:
            others = ", ".join(self.name(id_) for id_ in root.alternatives[:_NAMES_SHOWN])
            return self.say("cause_one_of", cause=cause, alternatives=others)
        return self.say(f"cause_{root.certainty.replace(' ', '_')}", cause=cause)

    def _said_supplier(self, story: Story) -> str:
        """Whose it is, where it is not ours to mend."""
        return self.say("supplier", supplier=story.root.supplier) if story.root.supplier else ""

    def _said_standins(self, story: Story) -> list[str]:
        """That the spare is down as well, and that there is no good backup."""
        said = (("spare_down", story.spares_down), ("spare_no_backup", story.unrestorable))
        return [
            self.say(key, things=", ".join(self.name(id_) for id_ in ids[:_NAMES_SHOWN])) for key, ids in said if ids
        ]

    def _said_fallbacks(self, lines: Sequence[ImpactLine]) -> list[str]:
        """Only what was proven ready is named."""
        proven: dict[tuple[str, float], list[str]] = {}
        for line in lines:
            if line.fallback_text and line.fallback_proven_at is not None:
                proven.setdefault((line.fallback_text, line.fallback_proven_at // 60 * 60), []).append(line.area)
        return [
            self.say("fallback", areas=self.areas(areas), fallback=text.rstrip("."), proven=self.clock(at, areas[0]))
            for (text, at), areas in proven.items()
        ]

    def _said_downtime(self, found: Sequence[Nearest]) -> list[str]:
        """Where staff can go on, one sentence for each PC."""
        pcs: dict[tuple[str, str], list[str]] = {}
        for one in found:
            pcs.setdefault((one.pc, one.at), []).append(one.area)
        return [
            self.say("downtime_pc", areas=self.areas(areas), pc=self.name(pc), place=self.name(at))
            for (pc, at), areas in list(pcs.items())[:_LINES_SHOWN]
        ]

    def _area(self, id_: str) -> str:
        area = self._estate.areas.get(id_)
        if area is None:
            return id_
        named = area.name or area.id
        if area.beds <= 0:
            return named
        key = "area_beds_ward" if area.kind is AreaKind.WARD else "area_beds_other"
        return self.say(key, area=named, beds=area.beds)

    def _area_rank(self, id_: str) -> tuple[int, str]:
        area = self._estate.areas.get(id_)
        return (_ACUITIES.index(area.acuity) if area else len(_ACUITIES), id_)

    def _service_rank(self, id_: str) -> tuple[int, str]:
        service = self._estate.services.get(id_)
        return (service.tier if service else 9, id_)


_STATES = (
    ServiceState.LOST,
    ServiceState.DEGRADED,
    ServiceState.AT_RISK,
    ServiceState.UNKNOWN,
    ServiceState.OK,
)
_ACUITIES = (Acuity.CRITICAL, Acuity.HIGH, Acuity.INPATIENT, Acuity.OUTPATIENT, Acuity.NONE)


def _worst(lines: Iterable[ImpactLine]) -> ServiceState | None:
    return min((line.state for line in lines), key=_STATES.index, default=None)
