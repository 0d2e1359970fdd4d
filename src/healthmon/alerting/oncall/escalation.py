"""Who must be told now. Pure: one incident, the policies, and what was already told of it."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterator, Mapping, Sequence

from healthmon.alerting.oncall.case import BAD_NEWS, OVER, Case, Gone, Staffed, areas_hit, notice_key
from healthmon.alerting.oncall.ladder import fits, steps_due
from healthmon.alerting.oncall.records import records_due
from healthmon.alerting.oncall.roster import Roster
from healthmon.alerting.oncall.waking import DEFAULT_WAKING, Wake, Waking
from healthmon.alerting.oncall.wording import clock_text, zone_of
from healthmon.model.incident import (
    Incident,
    IncidentKind,
    IncidentState,
    LedgerRow,
    Notice,
    NoticeResult,
    Policy,
    Why,
)
from healthmon.model.oncall import Reader
from healthmon.model.topology import Estate

Due = tuple[tuple[Notice, ...], tuple[LedgerRow, ...]]


def due(
    incident: Incident,
    *,
    policies: Sequence[Policy],
    told: Mapping[str, Notice],
    mode: str,
    now: float,
    estate: Estate,
    waking: Waking = DEFAULT_WAKING,
    staffed: Staffed | None = None,
    ledgered: Container[str] = frozenset(),
    absorbed: Collection[str] = (),
    roster: Roster | None = None,
    gone: Gone | None = None,
) -> Due:
    """New notices, and ledger rows for the pages that are not sent, each with its cause.

    told: every notice intended so far, by key (other incidents' are ignored, save those `absorbed` by a merge);
    ledgered: keys of ledger rows already written; mode: `live` or `shadow`; staffed: whether an area is at a time;
    roster: who is on call; gone: what is gone now in any incident, and since when.
    """
    case = Case.of(
        incident,
        told,
        absorbed=absorbed,
        now=now,
        estate=estate,
        waking=waking,
        staffed=staffed,
        roster=roster,
        gone=gone,
    )
    if incident.merged_into is not None:
        return tuple(records_due(case, policies)), ()
    notices, rows = (
        _told_over(case, policies) if incident.state in OVER else _told_bad(case, policies, live=mode == "live")
    )
    fresh = {notice.key: notice for notice in notices if notice.key not in told}
    return tuple(fresh.values()), tuple({row.key: row for row in rows if row.key not in ledgered}.values())


def _told_over(case: Case, policies: Sequence[Policy]) -> Due:
    return (*_endings(case), *records_due(case, policies)), _brief_loss(case)


def _told_bad(case: Case, policies: Sequence[Policy], *, live: bool) -> Due:
    notices, rows = _pages(case, policies, live=live)
    notices = (*notices, *records_due(case, policies))
    return (notices, rows) if live else ((), (*rows, *(_shadow(case, notice) for notice in notices)))


def _pages(case: Case, policies: Sequence[Policy], *, live: bool) -> Due:
    heard = case.heard()
    asleep = _not_woken(case)
    if asleep is not None:
        return (), tuple(_asleep(case, policies, heard, asleep, live=live)) if heard else (asleep,)
    hold = case.held_until()
    if hold is not None and case.now < hold and not heard:
        return (), (_held(case, hold),)
    gathers = case.gathers_until()
    if gathers is not None and case.now < gathers and not heard:
        return (), (_gathering(case),)
    matching = [policy for policy in policies if fits(policy, case.incident)]
    changed = tuple(_changes(case, heard))
    known = (*heard, *changed)
    updates = _updates(case, heard)
    notices = (*changed, *(n for policy in matching for n in steps_due(case, policy, known, live=live)))
    if matching and not notices and not heard and _all_steps_over(case, matching):
        return (), (_nobody_on_call(case),)
    return notices, (*updates, *(() if matching else (_no_policy(case),)))


def _asleep(
    case: Case, policies: Sequence[Policy], heard: tuple[Notice, ...], because: LedgerRow, *, live: bool
) -> Iterator[LedgerRow]:
    """Further pages of what was paged before, which the waking table does not send now: a line for each."""
    known = (*heard, *(changed := tuple(_changes(case, heard))))
    matching = [policy for policy in policies if fits(policy, case.incident)]
    steps = (notice for policy in matching for notice in steps_due(case, policy, known, live=live))
    for notice in (*changed, *steps):
        words = f"{because.because}: {notice.why.value}, step {notice.step}, is not told to {_reader(notice)}"
        yield case.row(because.cause, who=_reader(notice), because=words, key=notice_key(notice.key, because.cause))


def _changes(case: Case, heard: tuple[Notice, ...]) -> Iterator[Notice]:
    """It got worse, or reached a new area: everyone who was paged hears of it, the owner too."""
    if not heard:
        return
    incident = case.incident
    new = _new_areas(case, heard) - case.of_the_storm(heard)
    came_true = incident.kind is not IncidentKind.EARLY_WARNING and all(
        notice.kind is IncidentKind.EARLY_WARNING for notice in heard
    )
    why: Why
    more: tuple[str, ...]
    if came_true or incident.severity < min(notice.severity for notice in heard):
        gathers = case.gathers_until(worse=True)
        if gathers is not None and case.now < gathers:
            return
        why, more = Why.WORSE, ("came_true",) if came_true else ()
    elif new and case.now - heard[-1].due >= case.waking.regroup_s:
        why, more = Why.NEW_AREA, tuple(sorted(new))
    else:
        return
    people = {(notice.channel, notice.to): notice.person for notice in heard}
    for reader, person in people.items():
        yield case.notice(0, reader, why, *more, person=person)


def _new_areas(case: Case, heard: tuple[Notice, ...]) -> frozenset[str]:
    """Hit now, and in no page so far."""
    return areas_hit(case.incident) - {area for notice in heard for area in notice.areas}


def _updates(case: Case, heard: tuple[Notice, ...]) -> tuple[LedgerRow, ...]:
    """Areas that the outage reached as it unfolded: no page of their own, and that is written down."""
    new = _new_areas(case, heard) & case.of_the_storm(heard) if heard else frozenset()
    if not new:
        return ()
    names = ", ".join(sorted(new))
    because = f"reached within {case.waking.storm_s:.0f} s of the first page, so part of it: {names}"
    key = notice_key(case.incident.id, case.episode, "same_storm", *sorted(new))
    return (case.row("same_storm", who="board", because=because, key=key),)


def _endings(case: Case) -> Iterator[Notice]:
    """It is over: once for everyone whose last word was bad news (and may have reached them)."""
    why = Why.MITIGATED if case.incident.state is IncidentState.MITIGATED else Why.RESOLVED
    waiting: dict[Reader, None] = {}
    for notice in case.told:
        reader = (notice.channel, notice.to)
        if notice.why not in BAD_NEWS:
            waiting.pop(reader, None)
        elif notice.result is not NoticeResult.DEAD:
            waiting[reader] = None
    for reader in waiting:
        yield case.notice(0, reader, why)


def _not_woken(case: Case) -> LedgerRow | None:
    """The ledger row when the waking table wakes nobody for this."""
    alone = case.single_device()
    if alone is not None:
        because = f"{alone} alone; one device of its kind never pages by itself"
        return case.row("single_device", who="board", because=because)
    wake = case.wake()
    if wake is Wake.PAGE:
        return None
    hours = "at night" if case.night() else "by day"
    because = f"severity {case.incident.severity} {hours} is not a page by the waking table"
    return case.row("not_woken", who="morning list" if wake is Wake.LIST else "board", because=because)


def _held(case: Case, until: float) -> LedgerRow:
    when = clock_text(until, zone_of(case.incident, case.estate))
    return case.row("held", who="on call", because=f"seen from one vantage point only, at night: held until {when}")


def _gathering(case: Case) -> LedgerRow:
    wait_s = case.waking.gather_s(case.incident.severity)
    because = f"waits {wait_s:.0f} s for what fails with it, to be told in one page"
    return case.row("gathering", who="on call", because=because)


def _brief_loss(case: Case) -> tuple[LedgerRow, ...]:
    """What healed before its page was due is listed, never dropped."""
    ends = [until for until in (case.held_until(), case.gathers_until()) if until is not None]
    end = case.incident.mitigated_at or case.incident.resolved_at
    if not ends or end is None or end > max(ends) or case.heard() or _not_woken(case):
        return ()
    lasted = end - case.started_at()
    because = f"healed after {lasted:.0f} s, before its page was due"
    return (case.row("brief_loss", who="morning list", because=because),)


def _all_steps_over(case: Case, policies: Sequence[Policy]) -> bool:
    """No step that is still to come could tell anybody."""
    severity, waited = case.incident.severity, case.now - case.started_at()
    steps = (step for policy in policies for step in policy.steps if not step.only or severity in step.only)
    return case.incident.owner is None and all(step.after_s <= waited for step in steps)


def _nobody_on_call(case: Case) -> LedgerRow:
    team = case.incident.team or "no team"
    return case.row("nobody_on_call", who="nobody", because=f"no step of a policy had anybody to tell for {team}")


def _no_policy(case: Case) -> LedgerRow:
    team = case.incident.team or "no team"
    because = f"no policy takes severity {case.incident.severity} of {team}: nobody is told"
    return case.row("no_policy", who="nobody", because=because)


def _shadow(case: Case, notice: Notice) -> LedgerRow:
    """The worst severity stands in the key, so that an incident which eases is not listed again."""
    incident = case.incident
    who = _reader(notice)
    severity = min(incident.severity, incident.worst_severity)
    key = notice_key(incident.id, case.episode, notice.step, notice.channel, notice.to, notice.why.value, severity)
    when = clock_text(case.now, zone_of(incident, case.estate))
    because = f"would have paged {who} at {when} because {notice.subject} ({notice.why.value}, step {notice.step})"
    return case.row("shadow", who=who, because=because, key=key)


def _reader(notice: Notice) -> str:
    return notice.to if notice.to == notice.channel else f"{notice.to} ({notice.channel})"
