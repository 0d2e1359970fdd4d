"""Everything that the page of one incident says, in the order in which it is needed at night. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from healthmon.impact.grounds import Grounds, evidence_for, fate_text
from healthmon.impact.wards import ward_impact
from healthmon.model.incident import Entry, Incident, IncidentState, LedgerRow, Notice, NoticeResult
from healthmon.model.topology import Estate
from healthmon.model.view import View
from healthmon.web.cards import IncidentCard, card, thing_name
from healthmon.web.casework import restoring
from healthmon.web.drawing import Drawing
from healthmon.web.evidencegraph import cause_words, evidence_graph
from healthmon.web.storyline import Day, days_of
from healthmon.web.words import LocalTime

CANDIDATES_MOST = 4
#: `sent` is not `delivered`: what each result means to somebody who waits for an answer.
RESULT_WORDS = {
    NoticeResult.QUEUED: "waiting to be sent",
    NoticeResult.SENT: "sent; not known whether it arrived",
    NoticeResult.RETRYING: "not through yet, tried again",
    NoticeResult.ACKNOWLEDGED: "answered",
    NoticeResult.DEAD: "not delivered",
}
WHY_WORDS = {
    "opened": "it was opened",
    "worse": "it got worse",
    "new_area": "another area is hit",
    "escalated": "nobody had taken it",
    "mitigated": "it is reachable again",
    "resolved": "it was closed",
}


@dataclass(frozen=True, slots=True)
class Told:
    """One message. state: good (it arrived), wait, bad."""

    at: str
    who: str
    channel: str
    why: str
    result: str
    state: str
    detail: str = ""
    repeat: bool = False


@dataclass(frozen=True, slots=True)
class Suspect:
    """One possible cause with what speaks for and against it."""

    name: str
    certainty: str
    speaks_for: tuple[str, ...]
    speaks_against: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StillWorks:
    """One area of the incident: what was proven to work from there, and what is not known."""

    area: str
    works: tuple[tuple[str, str], ...]
    not_known: tuple[str, ...]
    pcs: str


@dataclass(frozen=True, slots=True)
class MemberRow:
    """All alerts of one target as one line."""

    target: str
    name: str
    checks: str
    seen_from: str
    rules: str
    since: str
    cleared: str
    behind: str
    alerts: int


@dataclass(frozen=True, slots=True)
class CaseFile:
    """One incident, whole."""

    card: IncidentCard
    who_has_it: str
    asked: str
    suspects: tuple[Suspect, ...]
    contradictions: tuple[str, ...]
    in_common: tuple[str, ...]
    graph: Drawing
    still: tuple[StillWorks, ...]
    restore: tuple[tuple[str, ...], ...]
    days: tuple[Day, ...]
    told: tuple[Told, ...]
    ledger: tuple[LedgerRow, ...]
    members: tuple[MemberRow, ...]


def case_file(
    incident: Incident,
    view: View,
    clock: LocalTime,
    *,
    timeline: Sequence[Entry],
    notices: Iterable[Notice],
    ledger: Iterable[LedgerRow],
    names: Mapping[str, str] = MappingProxyType({}),
) -> CaseFile:
    """Everything about it, as the view and the journal have it. names: on-call people by id."""
    grounds = evidence_for(incident, view)
    sent = sorted(notices, key=lambda notice: notice.at or notice.due, reverse=True)
    told = tuple(told_row(notice, clock, names) for notice in sent)
    return CaseFile(
        card=card(incident, view.estate, clock),
        who_has_it=who_has_it(incident, clock),
        asked=asked_words(incident, sent, clock, names),
        suspects=_suspects(incident, grounds, view.estate),
        contradictions=tuple(sight.text for sight in grounds.sights),
        in_common=_in_common(grounds),
        graph=evidence_graph(incident, view),
        still=_still(incident, view, clock),
        restore=_restore(incident, view),
        days=days_of(timeline, clock),
        told=told,
        ledger=tuple(ledger),
        members=member_rows(incident, view.estate, clock),
    )


def who_has_it(incident: Incident, clock: LocalTime) -> str:
    """Who owns it, and who else has accepted it."""
    if incident.owner is None:
        return "Nobody has it." if incident.open else "Nobody had it."
    since = f" since {clock.short(incident.acknowledged_at)}" if incident.acknowledged_at is not None else ""
    others = [name for name in incident.accepted_by if name != incident.owner]
    helping = f" With them: {', '.join(others)}." if others else ""
    verb = "has" if incident.open else "had"
    return f"{incident.owner} {verb} it{since}.{helping}"


def asked_words(
    incident: Incident, sent: Sequence[Notice], clock: LocalTime, names: Mapping[str, str] = MappingProxyType({})
) -> str:
    """While nobody has it: who was asked last."""
    if incident.owner is not None or not incident.open or incident.state is IncidentState.MITIGATED:
        return ""
    passed = f"It was passed to {_word(incident.passed_to, names)}. " if incident.passed_to else ""
    if not sent:
        return passed + "Nobody has been asked yet."
    newest = sent[0]
    return f"{passed}Last asked: {_who(newest, names)} by {newest.channel} at {clock.short(newest.at or newest.due)}."


def told_row(notice: Notice, clock: LocalTime, names: Mapping[str, str] = MappingProxyType({})) -> Told:
    """`sent` is never called delivered."""
    result, state = RESULT_WORDS[notice.result], "wait"
    if notice.delivered_at is not None and notice.result is not NoticeResult.DEAD:
        result, state = f"delivered {clock.short(notice.delivered_at)}", "good"
    if notice.result is NoticeResult.ACKNOWLEDGED:
        result, state = "answered", "good"
    if notice.result in (NoticeResult.DEAD, NoticeResult.RETRYING):
        state = "bad"
    return Told(
        at=clock.short(notice.at or notice.due),
        who=_who(notice, names),
        channel=notice.channel,
        why=WHY_WORDS.get(notice.why.value, notice.why.value.replace("_", " ")),
        result=result,
        state=state,
        detail=notice.detail,
        repeat=notice.repeat,
    )


def _who(notice: Notice, names: Mapping[str, str]) -> str:
    return names.get(notice.person or "", notice.person or notice.to)


def _word(said: str, names: Mapping[str, str]) -> str:
    """Whom a word of the roster means: `user:ID` by name, `duty-manager` as people say it."""
    kind, _, id_ = said.partition(":")
    return names.get(id_, id_) if kind == "user" else f"{kind} {id_}".strip().replace("-", " ")


def member_rows(incident: Incident, estate: Estate, clock: LocalTime) -> tuple[MemberRow, ...]:
    """The alerts by target: what still fails first, then the oldest."""
    by_target: dict[str, list[int]] = {}
    for number, member in enumerate(incident.members):
        by_target.setdefault(member.key.target, []).append(number)
    rows = []
    for target, numbers in by_target.items():
        own = [incident.members[n] for n in numbers]
        clear = [m.cleared_at for m in own if m.cleared_at is not None]
        ended = clock.short(max(clear)) if len(clear) == len(own) else ""
        behind = {m.behind for m in own}
        since = min(m.since for m in own)
        row = MemberRow(
            target=target,
            name=thing_name(estate, target),
            checks=_few(m.key.check for m in own),
            seen_from=_few(m.key.vantage for m in own),
            rules=_few(m.key.rule for m in own),
            since=clock.short(since),
            cleared=ended,
            behind=_few(one for one in behind if one) if None not in behind else "",
            alerts=len(own),
        )
        rows.append((bool(ended), bool(row.behind), since, target, row))
    return tuple(row for *_, row in sorted(rows, key=lambda one: one[:4]))


def _few(texts: Iterable[str], most: int = 3) -> str:
    found = list(dict.fromkeys(text for text in texts if text))
    return ", ".join(found[:most]) + (f" and {len(found) - most} more" if len(found) > most else "")


def _suspects(incident: Incident, grounds: Grounds, estate: Estate) -> tuple[Suspect, ...]:
    """The named cause first, in the same words as everywhere on the page."""
    if incident.root is None:
        return ()
    root = incident.root
    words = [cause_words(root)] + ["also possible"] * CANDIDATES_MOST
    common = [" or ".join(root.in_common) if root.check else ""] + [""] * CANDIDATES_MOST
    return tuple(
        Suspect(
            shared or thing_name(estate, one.target),
            sure,
            tuple(ground.text for ground in one.speaks_for),
            tuple(ground.text for ground in one.speaks_against),
        )
        for one, sure, shared in zip(grounds.candidates[:CANDIDATES_MOST], words, common, strict=False)
    )


def _in_common(grounds: Grounds) -> tuple[str, ...]:
    return tuple(fate_text(fate) for fate in grounds.in_common[:3])


def _still(incident: Incident, view: View, clock: LocalTime) -> tuple[StillWorks, ...]:
    estate = view.estate
    found = []
    for ward in ward_impact(incident, view):
        pcs = ward.pcs
        unseen = f", {pcs.unknown} not known" if pcs.unknown else ""
        found.append(
            StillWorks(
                estate.areas[ward.area].name,
                tuple((estate.services[one.service].name, clock.short(one.proven_at)) for one in ward.works),
                tuple(estate.services[id_].name for id_ in ward.not_known),
                f"{pcs.working} of {pcs.total} PCs working{unseen}" if pcs.total else "",
            )
        )
    return tuple(found)


def _restore(incident: Incident, view: View) -> tuple[tuple[str, ...], ...]:
    """Only where there is an order: two stages or more."""
    stages = restoring(incident, view) if incident.open else ()
    estate = view.estate
    named = tuple(
        tuple(estate.services[id_].name if id_ in estate.services else thing_name(estate, id_) for id_ in stage)
        for stage in stages
    )
    return named if len(named) > 1 else ()
