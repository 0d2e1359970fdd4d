"""Whether an incident's pages are held back now, and the ledger line for each that is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from healthmon.alerting.mutes import windows
from healthmon.alerting.mutes.desk import MuteDesk, held_words
from healthmon.alerting.mutes.floor import Line, lifted, lifts, speaking
from healthmon.alerting.mutes.messages import local, of_change
from healthmon.alerting.oncall.case import BAD_NEWS, OVER, evidence_of, notice_key
from healthmon.model.alert import Effect
from healthmon.model.incident import Entry, Incident, LedgerRow, Member, Notice
from healthmon.model.mute import Change, HeldBy, Mute, Silence
from healthmon.model.topology import Estate

#: So long what needs a muted thing that came back is looked at again before it counts as failing by itself.
FREED_S = 30.0


@dataclass(frozen=True, slots=True)
class Decision:
    """`mutes` cover all that speaks in the incident; `floor` are the lines for which its page goes all the same."""

    mutes: tuple[Mute, ...]
    held: tuple[HeldBy, ...]
    floor: tuple[Line, ...] = ()

    @property
    def holds(self) -> bool:
        return bool(self.held) and not self.floor


def decide(
    incident: Incident, desk: MuteDesk, now: float, floor: Callable[[Incident], tuple[Line, ...]]
) -> Decision | None:
    """None when something in the incident is not muted: then it pages as if there were no mute."""
    members = speaking(incident)
    if not desk.mutes or not members:
        return None
    lifting = {mute.id for mute in desk.mutes.values() if lifts(mute)}
    found: dict[str, tuple[Mute, float]] = {}
    for member in members:
        one = desk.covering(member, now, lifting=lifting) or _freed(member, incident, desk, now)
        if one is None:
            return None
        found[one[0].id] = one
    mutes = tuple(mute for mute, _ in found.values())
    in_window = all(mute.ending is None and windows.window_at(mute.when, now) for mute in mutes)
    lines = () if in_window and lifted(mutes) else floor(incident)
    return Decision(mutes, tuple(_held_by(mute, until) for mute, until in found.values()), lines)


def _freed(member: Member, incident: Incident, desk: MuteDesk, now: float) -> tuple[Mute, float] | None:
    """What cannot work without a muted thing that is down, or came back a moment ago, is no news of its own yet."""
    for other in incident.members:
        back = now if other.cleared_at is None else other.cleared_at
        if other.effect is Effect.DOWN and now - back < FREED_S and desk.needs(member.key.target, other.key.target):
            one = desk.covering(other, now)
            if one is not None:
                return one[0], min(one[1], back + FREED_S)
    return None


def split(
    decision: Decision, incident: Incident, notices: Iterable[Notice], rows: Iterable[LedgerRow], now: float
) -> tuple[tuple[Notice, ...], tuple[LedgerRow, ...]]:
    """Bad news becomes lines of the ledger; everything else, recoveries above all, passes."""
    held = [notice for notice in notices if notice.why in BAD_NEWS]
    passed = tuple(notice for notice in notices if notice.why not in BAD_NEWS)
    listed = tuple(_row(decision, incident, notice, now) for notice in held)
    return passed, (*rows, *listed)


def marked(incident: Incident, decision: Decision | None, now: float, estate: Estate) -> Incident:
    """The incident as people see it: who holds its pages back until when, with a line when that begins or ends."""
    held = decision.held if decision is not None and decision.holds else ()
    if held == incident.silenced:
        return incident
    after = replace(incident, silenced=held)
    known = {one.id for one in incident.silenced}
    zone = _timezone(incident, estate)
    lines = [
        Entry(now, "silenced", f"Pages held back until {local(one.until, zone)}: {one.kind} {one.id} of {one.owner}, "
              f"{one.reason}") for one in held if one.id not in known
    ]  # fmt: skip
    if incident.silenced and not held and incident.state not in OVER:
        why = "no mute covers all of it any more"
        if decision is not None and decision.floor:
            places = ", ".join(f"{service} of {area}" for area, service in decision.floor[:3])
            why = f"no mute hides the last way to {places}"
        lines.append(Entry(now, "unsilenced", f"Pages go out again: {why}"))
    return replace(after, timeline=(*after.timeline, *lines))


def with_changes(notice: Notice, incident: Incident, desk: MuteDesk, now: float) -> Notice:
    """Bad news names the change in whose window it began, and says when it is after it."""
    near = [mute for id_ in incident.changes_open if isinstance(mute := desk.mutes.get(id_), Change)]
    if notice.why not in BAD_NEWS or not near:
        return notice
    words = of_change(near[0], now)
    lines = [f"Began in the window of change {change.id} ({change.title})." for change in near[:3]]
    return replace(notice, subject=f"{notice.subject} [{words}]", text="\n".join([notice.text, *lines]))


def _row(decision: Decision, incident: Incident, notice: Notice, now: float) -> LedgerRow:
    mute = decision.mutes[0]
    until = min(one.until for one in decision.held)
    names = "; ".join(f"{held_words(mute)}: {_reason(mute)}" for mute in decision.mutes)
    who = notice.to if notice.to == notice.channel else f"{notice.to} ({notice.channel})"
    return LedgerRow(
        at=now,
        incident=incident.id,
        key=notice_key(notice.key, *(one.id for one in decision.mutes)),
        who=who,
        cause="silenced" if isinstance(mute, Silence) else "expected",
        because=names,
        what=notice.subject,
        evidence=evidence_of(incident),
        expires_at=until,
        mute=mute.id,
    )


def _held_by(mute: Mute, until: float) -> HeldBy:
    kind = "silence" if isinstance(mute, Silence) else "change"
    return HeldBy(mute.id, kind, mute.owner or mute.created_by, _reason(mute), until)


def _reason(mute: Mute) -> str:
    return mute.reason if isinstance(mute, Silence) else mute.reason or mute.title


def _timezone(incident: Incident, estate: Estate) -> str:
    area = next((estate.areas[line.area] for line in incident.impact if line.area in estate.areas), None)
    site = estate.sites.get(area.site) if area else None
    return site.timezone if site else estate.organisation.timezone
