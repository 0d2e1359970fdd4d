"""What people do to incidents: each action fits some states and is refused with Conflict in the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from healthmon.alerting.incidents.reconcile import incident_id, merged, noted
from healthmon.alerting.incidents.text import Texts
from healthmon.model.errors import Conflict, NotFound
from healthmon.model.incident import Command, Entry, Incident, IncidentState, Member

#: Whether a member fails by what is seen now.
Failing = Callable[[Member], bool]


def act(
    incidents: Mapping[str, Incident], command: Command, now: float, *, failing: Failing, texts: Texts
) -> tuple[Incident, ...]:
    """The incidents that the command changes, the one to answer with first."""
    incident = incidents.get(command.incident)
    if incident is None:
        raise NotFound(f"no incident {command.incident}")
    if not command.by:
        raise Conflict("say who acts: `by` is empty")
    if command.action == "merge":
        return _merge(incidents, incident, command, now, texts)
    if command.action == "split":
        return _split(incident, command, now)
    handler = _HANDLERS.get(command.action)
    if handler is None:
        raise Conflict(
            f"unknown action {command.action} (allowed: {', '.join(sorted((*_HANDLERS, 'merge', 'split')))})"
        )
    return (handler(incident, command, now, failing, texts),)


def _ack(incident: Incident, command: Command, now: float, failing: Failing, texts: Texts) -> Incident:
    _refuse_resolved(incident)
    state = IncidentState.ACKNOWLEDGED if incident.state is IncidentState.OPEN else incident.state
    after = noted(incident, _entry(command, now, "ack", "Acknowledged"))
    return replace(
        after,
        state=state,
        owner=incident.owner or command.by,
        accepted_by=tuple(dict.fromkeys((*incident.accepted_by, command.by))),
        passed_to="",
        acknowledged_at=incident.acknowledged_at if incident.acknowledged_at is not None else now,
    )


def _unack(incident: Incident, command: Command, now: float, failing: Failing, texts: Texts) -> Incident:
    if incident.state is not IncidentState.ACKNOWLEDGED:
        raise Conflict(f"{incident.id} is {incident.state.value}, not acknowledged")
    after = noted(incident, _entry(command, now, "unack", "Acknowledgement taken back"))
    return replace(after, state=IncidentState.OPEN, owner=None, acknowledged_at=None, accepted_by=())


def lapsed(incident: Incident, now: float) -> Incident:
    """Nobody has said a word for too long: the acknowledgement ends, and whoever is on call is asked anew."""
    text = f"No word from {incident.owner} for too long: open again, and on-call staff are asked anew"
    after = noted(incident, Entry(now, "lapsed", text))
    return replace(after, state=IncidentState.OPEN, owner=None, acknowledged_at=None, accepted_by=())


def _pass(incident: Incident, command: Command, now: float, failing: Failing, texts: Texts) -> Incident:
    """The other answer to a page: seen, not mine. Whoever is named is asked; the steps begin anew behind them."""
    _refuse_resolved(incident)
    if not command.to:
        raise Conflict("say whom to pass it to: a team, a person or duty-manager")
    after = noted(incident, _entry(command, now, "passed", f"Seen by {command.by}, not theirs: passed to {command.to}"))
    accepted = tuple(name for name in incident.accepted_by if name != command.by)
    state = IncidentState.OPEN if incident.state is IncidentState.ACKNOWLEDGED and not accepted else incident.state
    owner = incident.owner if incident.owner != command.by else next(iter(accepted), None)
    team = command.to.removeprefix("team:") if command.to.startswith("team:") else incident.team
    acknowledged_at = incident.acknowledged_at if owner else None
    return replace(
        after, state=state, owner=owner, accepted_by=accepted, passed_to=command.to, team=team,
        acknowledged_at=acknowledged_at,
    )  # fmt: skip


def _own(incident: Incident, command: Command, now: float, failing: Failing, texts: Texts) -> Incident:
    after = replace(_ack(incident, command, now, failing, texts), owner=command.by)
    return replace(after, timeline=(*incident.timeline, _entry(command, now, "own", f"Owned by {command.by}")))


def _note(incident: Incident, command: Command, now: float, failing: Failing, texts: Texts) -> Incident:
    if not command.text.strip():
        raise Conflict("a note needs a text")
    return noted(incident, _entry(command, now, "note", ""))


def _mitigate(incident: Incident, command: Command, now: float, failing: Failing, texts: Texts) -> Incident:
    _refuse_resolved(incident)
    if incident.state is IncidentState.MITIGATED:
        raise Conflict(f"{incident.id} is mitigated already")
    _refuse_failing(incident, failing)
    since = texts.clock(now, next((line.area for line in incident.impact), None))
    after = noted(incident, _entry(command, now, "mitigated", texts.say("mitigated_by_it", since=since)))
    return replace(after, state=IncidentState.MITIGATED, mitigated_at=now)


def _resolve(incident: Incident, command: Command, now: float, failing: Failing, texts: Texts) -> Incident:
    _refuse_resolved(incident)
    reason = command.reason.strip() or command.text.strip()
    impact = command.impact.strip() or incident.impact_note
    if incident.worst_severity <= 2 and not reason:
        raise Conflict(f"{incident.id} is severity {incident.worst_severity}: resolving it needs a reason")
    if incident.worst_severity <= 2 and not impact:
        raise Conflict(
            f"{incident.id} is severity {incident.worst_severity}: resolving it needs a line on what it meant for care "
            f"(impact; it may be `not known yet, by ROLE by DATE`)"
        )
    _refuse_failing(incident, failing)
    said = [reason, f"impact: {command.impact}" if command.impact else ""]
    text = "; ".join(part for part in said if part) or "Resolved"
    after = noted(incident, Entry(now, "resolved", text, command.by))
    mitigated_at = incident.mitigated_at if incident.mitigated_at is not None else now
    return replace(after, state=IncidentState.RESOLVED, resolved_at=now, mitigated_at=mitigated_at, impact_note=impact)


def _reopen(incident: Incident, command: Command, now: float, failing: Failing, texts: Texts) -> Incident:
    if incident.merged_into is not None:
        raise Conflict(f"{incident.id} went into {incident.merged_into}; reopen that one")
    if incident.state not in (IncidentState.MITIGATED, IncidentState.RESOLVED):
        raise Conflict(f"{incident.id} is {incident.state.value}: it is open already")
    after = noted(incident, _entry(command, now, "reopen", "Reopened: held open until a person says otherwise"))
    return replace(after, state=IncidentState.OPEN, mitigated_at=None, resolved_at=None, episode=incident.episode + 1)


def _merge(
    incidents: Mapping[str, Incident], incident: Incident, command: Command, now: float, texts: Texts
) -> tuple[Incident, ...]:
    into = incidents.get(command.into or "")
    if into is None:
        raise NotFound(f"no incident {command.into}")
    if into.id == incident.id:
        raise Conflict("an incident cannot be merged into itself")
    _refuse_resolved(incident)
    _refuse_resolved(into)
    kept, ended = merged(into, incident, now, texts, by=command.by)
    if into.state is IncidentState.MITIGATED and incident.state is not IncidentState.MITIGATED:
        kept = replace(kept, state=IncidentState.OPEN, mitigated_at=None, episode=kept.episode + 1)
    return kept, ended


def _split(incident: Incident, command: Command, now: float) -> tuple[Incident, ...]:
    """The named members (alert keys or target ids) get an incident of their own; it will not be merged back."""
    _refuse_resolved(incident)
    wanted = set(command.members)
    out = [member for member in incident.members if str(member.key) in wanted or member.key.target in wanted]
    kept = [member for member in incident.members if member not in out]
    if not out or not kept:
        raise Conflict("a split must take some members and leave some")
    new_id = incident_id(sorted(str(member.key) for member in out), now)
    stays = noted(incident, _entry(command, now, "split", f"{len(out)} members went to {new_id}"))
    goes = replace(
        incident,
        id=new_id,
        state=IncidentState.OPEN,
        members=tuple(out),
        opened_at=now,
        owner=None,
        accepted_by=(),
        acknowledged_at=None,
        mitigated_at=None,
        first_human_report_at=None,
        reports=(),
        episode=1,
        first_evidence_at=min(member.since for member in out),
        timeline=(
            Entry(now, "opened", f"Split from {incident.id}", command.by),
            _entry(command, now, "split", f"Split from {incident.id}"),
        ),
    )
    return goes, replace(stays, members=tuple(kept))


def _refuse_resolved(incident: Incident) -> None:
    if incident.state is IncidentState.RESOLVED:
        raise Conflict(f"{incident.id} is resolved; reopen it first")


def _refuse_failing(incident: Incident, failing: Failing) -> None:
    bad = [member for member in incident.members if failing(member)]
    if bad:
        names = ", ".join(sorted({member.key.target for member in bad})[:3])
        raise Conflict(f"{len(bad)} members of {incident.id} still fail: {names}")


def _entry(command: Command, now: float, what: str, text: str) -> Entry:
    said = command.text.strip() or command.reason.strip()
    return Entry(now, what, ": ".join(part for part in (text, said) if part), command.by)


_HANDLERS: Mapping[str, Callable[[Incident, Command, float, Failing, Texts], Incident]] = {
    "ack": _ack,
    "unack": _unack,
    "own": _own,
    "pass": _pass,
    "note": _note,
    "mitigate": _mitigate,
    "resolve": _resolve,
    "reopen": _reopen,
}
