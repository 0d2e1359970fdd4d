"""Who must be told now. Pure: one incident, the policies, and what was already told of it."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterator, Mapping, Sequence

from healthmon.alerting.oncall.case import BAD_NEWS, OVER, Case, Reader, Staffed, areas_hit, notice_key
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
    Step,
    Why,
)
from healthmon.model.topology import Estate

Due = tuple[tuple[Notice, ...], tuple[LedgerRow, ...]]
_NOTHING: Due = ((), ())


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
) -> Due:
    """New notices, and ledger rows for the pages that are not sent, each with its cause.

    told: every notice intended so far, by key (other incidents' are ignored, save those `absorbed` by a merge);
    ledgered: keys of ledger rows already written; mode: `live` or `shadow`; staffed: whether an area is at a time.
    """
    if incident.merged_into is not None:
        return _NOTHING
    case = Case.of(incident, told, absorbed=absorbed, now=now, estate=estate, waking=waking, staffed=staffed)
    notices, rows = _told_over(case) if incident.state in OVER else _told_bad(case, policies, live=mode == "live")
    fresh = {notice.key: notice for notice in notices if notice.key not in told}
    return tuple(fresh.values()), tuple({row.key: row for row in rows if row.key not in ledgered}.values())


def _told_over(case: Case) -> Due:
    return tuple(_endings(case)), _brief_loss(case)


def _told_bad(case: Case, policies: Sequence[Policy], *, live: bool) -> Due:
    notices, rows = _pages(case, policies, live=live)
    return (notices, rows) if live else ((), (*rows, *(_shadow(case, notice) for notice in notices)))


def _pages(case: Case, policies: Sequence[Policy], *, live: bool) -> Due:
    heard = case.heard()
    asleep = _not_woken(case)
    if asleep is not None:
        return (), () if heard else (asleep,)
    hold = case.held_until()
    if hold is not None and case.now < hold and not heard:
        return (), (_held(case, hold),)
    matching = [policy for policy in policies if _matches(policy, case.incident)]
    changed = tuple(_changes(case, heard))
    known = (*heard, *changed)
    notices = (*changed, *(n for policy in matching for n in _steps(case, policy, known, live=live)))
    return notices, () if matching else (_no_policy(case),)


def _matches(policy: Policy, incident: Incident) -> bool:
    return incident.severity in policy.severities and (not policy.teams or incident.team in policy.teams)


def _changes(case: Case, heard: tuple[Notice, ...]) -> Iterator[Notice]:
    """It got worse, or reached a new area: everyone who was paged hears of it, the owner too."""
    if not heard:
        return
    incident, known = case.incident, {area for notice in heard for area in notice.areas}
    new = areas_hit(incident) - known
    came_true = incident.kind is not IncidentKind.EARLY_WARNING and all(
        notice.kind is IncidentKind.EARLY_WARNING for notice in heard
    )
    why: Why
    more: tuple[str, ...]
    if came_true or incident.severity < min(notice.severity for notice in heard):
        why, more = Why.WORSE, ("came_true",) if came_true else ()
    elif new and case.now - heard[-1].due >= case.waking.regroup_s:
        why, more = Why.NEW_AREA, tuple(sorted(new))
    else:
        return
    for reader in dict.fromkeys((notice.channel, notice.to) for notice in heard):
        yield case.notice(0, reader, why, *more)


def _steps(case: Case, policy: Policy, heard: tuple[Notice, ...], *, live: bool) -> Iterator[Notice]:
    """Steps whose time has come and which were not told yet."""
    # What was told of something less bad than this policy is about does not count as told under it.
    counted = tuple(notice for notice in heard if notice.severity <= max(policy.severities))
    taken = case.incident.state is IncidentState.ACKNOWLEDGED or case.incident.owner is not None
    began = _began(case, heard, counted)
    for number, step in enumerate(policy.steps):
        waited = case.now >= began + step.after_s or _nobody_reached(counted, number)
        if not waited or (taken and step.after_s > 0):
            continue
        if live and not counted and step.after_s > policy.steps[0].after_s:
            return  # waking came late: later steps wait for the first to be told
        told = {(notice.channel, notice.to) for notice in counted if notice.step == number}
        for reader in _readers(case, step, first=number == 0):
            if reader not in told:
                yield case.notice(number, reader, Why.ESCALATED if number else Why.OPENED)


def _began(case: Case, heard: tuple[Notice, ...], counted: tuple[Notice, ...]) -> float:
    """Waits count from the first page that this policy's readers got; before any, from the start of the episode."""
    if counted:
        return min(notice.due for notice in counted)
    return case.now if heard else case.started_at()


def _nobody_reached(heard: tuple[Notice, ...], number: int) -> bool:
    """Every page so far is dead, so the next step does not wait."""
    if not heard or any(notice.result is not NoticeResult.DEAD for notice in heard):
        return False
    return number == max(notice.step for notice in heard) + 1


def _readers(case: Case, step: Step, *, first: bool) -> Iterator[Reader]:
    """The step's channels, and with the first step those of the team whose fault it is.

    `mail` is everyone behind that channel, `mail:ops@hospital.example` one address.
    """
    team = case.estate.teams.get(case.incident.team or "") if first else None
    for name in dict.fromkeys((*step.channels, *(team.channels if team else ()))):
        channel, _, to = name.partition(":")
        yield channel, to or channel


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


def _brief_loss(case: Case) -> tuple[LedgerRow, ...]:
    """What healed inside the night hold is listed, never dropped."""
    hold, end = case.held_until(), case.incident.mitigated_at or case.incident.resolved_at
    if hold is None or end is None or end > hold or case.heard() or _not_woken(case):
        return ()
    lasted = end - case.started_at()
    return (case.row("brief_loss", who="morning list", because=f"healed after {lasted:.0f} s, inside the night hold"),)


def _no_policy(case: Case) -> LedgerRow:
    team = case.incident.team or "no team"
    because = f"no policy takes severity {case.incident.severity} of {team}: nobody is told"
    return case.row("no_policy", who="nobody", because=because)


def _shadow(case: Case, notice: Notice) -> LedgerRow:
    """The worst severity stands in the key, so that an incident which eases is not listed again."""
    incident = case.incident
    who = notice.to if notice.to == notice.channel else f"{notice.to} ({notice.channel})"
    severity = min(incident.severity, incident.worst_severity)
    key = notice_key(incident.id, case.episode, notice.step, notice.channel, notice.to, notice.why.value, severity)
    when = clock_text(case.now, zone_of(incident, case.estate))
    because = f"would have paged {who} at {when} because {notice.subject} ({notice.why.value}, step {notice.step})"
    return case.row("shadow", who=who, because=because, key=key)
