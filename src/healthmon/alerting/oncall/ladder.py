"""The steps of one policy: which have come, whom they mean now, by which ways, and when it all begins anew."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from healthmon.alerting.oncall.case import Case
from healthmon.alerting.oncall.roster import DUTY_MANAGER, TEAM
from healthmon.model.incident import Incident, IncidentState, Notice, NoticeResult, Policy, Step, Why
from healthmon.model.oncall import OncallUser, Reader

#: Timeline words after which nobody has the incident any more, so that the steps begin anew.
LAPSED, PASSED = "lapsed", "passed"
#: So many ways of each person at once for severity 1.
MEDIA_FOR_THE_WORST = 2
#: A way that has tried and failed for so long is not waited for: the next one is used as well.
STALLED_S = 60.0


@dataclass(frozen=True, slots=True)
class Call:
    """One way to one reader; `person`: the user whose way it is."""

    reader: Reader
    person: str | None = None


@dataclass(frozen=True, slots=True)
class Round:
    """One time through the steps: `id` 0 for the first, else its start; passed: it began because it was passed on."""

    id: int
    start: float
    passed: bool = False


def steps_due(case: Case, policy: Policy, heard: tuple[Notice, ...], *, live: bool) -> Iterator[Notice]:
    """Steps whose time has come and which were not told yet."""
    # What was told of something less bad than this policy is about does not count as told under it.
    counted = tuple(notice for notice in heard if notice.severity <= max(policy.severities))
    taken = is_taken(case.incident, policy)
    now = round_at(case, policy, _began(case, heard, counted))
    if taken and now.id:
        return
    told = tuple(notice for notice in counted if notice.round == now.id)
    nobody = now.id == 0  # no step so far had anybody to tell, so the next one does not wait
    for number, step in enumerate(policy.steps):
        if step.only and case.incident.severity not in step.only:
            continue
        mine = {(notice.channel, notice.to): notice for notice in told if notice.step == number}
        waited = case.now >= now.start + step.after_s or _nobody_reached(told, number) or (nobody and number > 0)
        if not waited or (taken and (step.after_s > 0 or mine)):
            nobody = False
            continue
        if live and not counted and step.after_s > policy.steps[0].after_s and not nobody:
            return  # waking came late: later steps wait for the first to be told
        calls = list(_calls(case, policy, number, step, now, mine))
        nobody = nobody and not calls
        for call in calls:
            if call.reader not in mine:
                why = Why.ESCALATED if number or now.id else Why.OPENED
                yield case.notice(number, call.reader, why, person=call.person, round_=now.id)


def is_taken(incident: Incident, policy: Policy) -> bool:
    """Whether as many have accepted as the policy asks for."""
    if policy.quorum <= 1:
        return incident.state is IncidentState.ACKNOWLEDGED or incident.owner is not None
    owners = {name for name in (*incident.accepted_by, incident.owner) if name}
    return len(owners) >= policy.quorum


def round_at(case: Case, policy: Policy, began: float) -> Round:
    """The time through the ladder that it is now: after a lapse, after it was passed on, or by `repeat`."""
    starts = [Round(0, began)]
    for entry in case.incident.timeline:
        if entry.what in (LAPSED, PASSED) and entry.at >= began:
            starts.append(Round(int(entry.at), entry.at, entry.what == PASSED))
    last = starts[-1]
    times = min(int((case.now - last.start) // policy.repeat_every_s) if policy.repeat_every_s else 0, policy.repeat)
    if times < 1:
        return last
    start = last.start + times * policy.repeat_every_s
    return Round(int(start), start)


def lapses_at(incident: Incident, policies: tuple[Policy, ...]) -> float | None:
    """When an accepted incident is nobody's again, unless somebody says a word before; None: never."""
    limits = [policy.unack_after_s for policy in policies if policy.unack_after_s and fits(policy, incident)]
    if incident.state is not IncidentState.ACKNOWLEDGED or not limits:
        return None
    said = [entry.at for entry in incident.timeline if entry.by != "healthmon"]
    last = max([*said, incident.acknowledged_at or incident.opened_at])
    return last + min(limits)


def fits(policy: Policy, incident: Incident) -> bool:
    """Whether the policy is about such an incident."""
    return incident.severity in policy.severities and (not policy.teams or incident.team in policy.teams)


def _began(case: Case, heard: tuple[Notice, ...], counted: tuple[Notice, ...]) -> float:
    """Waits count from the first page that this policy's readers got; before any, from the start of the episode."""
    if counted:
        return min(notice.due for notice in counted)
    return case.now if heard else case.started_at()


def _nobody_reached(told: tuple[Notice, ...], number: int) -> bool:
    """Every page so far is dead, so the next step does not wait."""
    if not told or any(notice.result is not NoticeResult.DEAD for notice in told):
        return False
    return number == max(notice.step for notice in told) + 1


def _calls(
    case: Case, policy: Policy, number: int, step: Step, now: Round, mine: dict[Reader, Notice]
) -> Iterator[Call]:
    """The step's people and channels, and with the first step those of the team whose fault it is.

    `mail` is everyone behind that channel, `mail:ops@hospital.example` one address. A person's own way on a channel
    stands for the channel as a whole. Who accepted already is not asked again.
    """
    if now.passed and number == 0:
        yield from _people(case, (case.incident.passed_to,), step, mine)
        return
    team = case.estate.teams.get(case.incident.team or "") if number == 0 else None
    words = (*step.to, TEAM) if team and team.rota and not step.to else step.to
    people = list(_people(case, words, step, mine))
    yield from people
    personal = {call.reader[0] for call in people if call.reader[1] == call.person}
    records = case.roster.plan.records if case.roster else frozenset()
    for name in dict.fromkeys((*step.channels, *(team.channels if team else ()))):
        channel, _, to = name.partition(":")
        if channel in records:
            continue
        if to or channel not in personal:
            yield from _instead(Call((channel, to or channel)), case, mine)


def failed(notice: Notice | None, now: float) -> bool:
    """It is dead, or what was tried for it has not worked for a minute."""
    if notice is None or notice.result is NoticeResult.DEAD:
        return notice is not None
    return notice.result is NoticeResult.RETRYING and now - notice.due >= STALLED_S


def _instead(call: Call, case: Case, mine: dict[Reader, Notice]) -> Iterator[Call]:
    """The call, and as long as the last one has failed its channel's fallback."""
    seen: set[Reader] = set()
    while call.reader not in seen:
        yield call
        seen.add(call.reader)
        fallback = case.roster.plan.fallbacks.get(call.reader[0]) if case.roster else None
        if fallback is None or not failed(mine.get(call.reader), case.now):
            return
        call = Call((fallback, fallback), call.person)


def _people(case: Case, words: tuple[str, ...], step: Step, mine: dict[Reader, Notice]) -> Iterator[Call]:
    incident, roster = case.incident, case.roster
    if roster is None or not words:
        return
    found = [roster.meant(word, incident.team, case.now) for word in words]
    users = {user.id: user for user in found if user is not None}
    if not users and incident.severity <= 2:  # a gap: never a page into the void
        instead = roster.meant(DUTY_MANAGER, incident.team, case.now)
        users = {instead.id: instead} if instead else {}
    accepted = {name.casefold() for name in incident.accepted_by}
    for user in users.values():
        if not accepted & {user.id, user.name.casefold()}:
            yield from _ways(user, step.media or (MEDIA_FOR_THE_WORST if incident.severity == 1 else 1), case, mine)


def _ways(user: OncallUser, wanted: int, case: Case, mine: dict[Reader, Notice]) -> Iterator[Call]:
    """The best ways of a person; one that has failed is replaced by the next, the last by its channel's fallback."""
    for number, reader in enumerate(user.readers, start=1):
        if wanted <= 0:
            return
        call = Call(reader, user.id)
        yield from _instead(call, case, mine) if number == len(user.readers) else [call]
        if not failed(mine.get(reader), case.now):
            wanted -= 1
