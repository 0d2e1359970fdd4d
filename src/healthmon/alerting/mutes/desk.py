"""All silences and changes of the site: who made them, which are in force, what falls due. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace

from healthmon.alerting.mutes import configured, making, messages, windows
from healthmon.alerting.mutes.floor import are_two
from healthmon.alerting.mutes.matching import covers, related, scope_of
from healthmon.impact.graph import NeedGraph
from healthmon.model.errors import Conflict, NotAllowed, NotFound
from healthmon.model.incident import Incident, Member, Notice
from healthmon.model.mute import (
    OVER,
    Change,
    Ending,
    Floor,
    Mute,
    MuteCommand,
    MuteEvent,
    MuteSettings,
    MuteState,
    Silence,
    Standing,
)
from healthmon.model.oncall import Reader

#: So long after a change has closed its expected signals are still held back, while its targets are looked at again.
VERIFY_S = 30.0
#: And so often in that time.
_LOOK_EVERY_S = 10.0
_REMIND_MOST_S, _REMIND_LEAST_S, _REMIND_RATIO = 1_800.0, 300.0, 0.1
_OVER_KEPT = 200


@dataclass(slots=True)
class MuteDesk:
    """`events` and `notices` wait to be drained; `turned`: something came into force or went out of it.

    passed_over: configured changes that would have a window, and whose id is over.
    """

    graph: NeedGraph
    settings: MuteSettings
    mutes: dict[str, Mute] = field(default_factory=dict)
    events: list[MuteEvent] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    turned: bool = False
    passed_over: tuple[str, ...] = ()
    _revisions: dict[str, int] = field(default_factory=dict)
    _covered: set[tuple[str, str]] = field(default_factory=set)
    _closing: bool = False
    _next_at: float = float("-inf")
    _scopes: dict[tuple[str, ...], tuple[frozenset[str], frozenset[str]]] = field(default_factory=dict)

    def restore(self, events: Iterable[MuteEvent], at: float | None = None) -> None:
        """Take up the audit of all runs; what the configuration says joins it, unless it was ended.

        at: the last moment of the run before, after which nothing has been passed yet.
        """
        for event in events:
            self._revisions[event.id] = max(event.revision, self._revisions.get(event.id, 0))
            known = self.mutes.get(event.id)
            if event.mute is not None and (event.mute.ending or known is None or not known.ending):  # an end is final
                self.mutes[event.id] = event.mute
            if event.action == "covers":
                self._covered.add((event.id, event.note))
        before = dict(self.mutes)
        self._take_up_config()
        self._forget_over()
        if at is not None and before.items() >= self.mutes.items():
            self._expect(at)

    def act(self, command: MuteCommand, now: float) -> Mute:
        """A person acts. Raises NotFound, Conflict, NotAllowed; what was refused is in the audit too."""
        try:
            after = self._after(command, now)
        except (Conflict, NotAllowed) as error:
            self._write(MuteEvent(now, "refused", command.id or "-", command.by, 0, f"{command.action}: {error}"))
            raise
        self._keep(after, command.action, command.by, now, note=command.note)
        self._next_at, self.turned = now, True
        if command.action == "add" and isinstance(after, Silence) and after.floor is Floor.BREAK_GLASS:
            self.notices += messages.glass_broken(after, now, self._site_manager())
        return after

    def pass_time(self, now: float) -> None:
        """Everything that falls due by itself: ends, reminders, reviews."""
        if now < self._next_at:
            return
        for mute in list(self.mutes.values()):
            self._pass(mute, now)
        self.turned = True
        self._expect(now)

    def _expect(self, now: float) -> None:
        """What falls due next."""
        self._closing = bool(self.in_verification(now))
        self._next_at = min((at for mute in self.mutes.values() for at in self._turns(mute, now)), default=float("inf"))

    def next_due(self) -> float | None:
        return self._next_at if self.mutes else None

    def covering(self, member: Member, now: float, *, lifting: Collection[str] = ()) -> tuple[Mute, float] | None:
        """What holds this member's pages back, and until when; one that may lift the floor is taken first."""
        found = []
        for mute in self.mutes.values():
            until = self.held_until(mute, now)
            if until is not None and covers(mute, self._scope(mute)[0], member, self.graph.estate):
                found.append((mute, until))
        return max(found, key=lambda one: (one[0].id in lifting, one[1], one[0].id), default=None)

    def held_until(self, mute: Mute, now: float) -> float | None:
        """The end of the window that is open, or of the look that follows a change; None when it is not in force."""
        ended_at = mute.ending.at if mute.ending else None
        if ended_at is None:
            window = windows.window_at(mute.when, now)
            if window is not None:
                return window[1]
        if isinstance(mute, Silence):
            return None
        closed = _closed(mute, now)
        return closed + VERIFY_S if closed is not None and now < closed + VERIFY_S else None

    def in_verification(self, now: float) -> list[Change]:
        """Changes that closed a moment ago."""
        changes = [mute for mute in self.mutes.values() if isinstance(mute, Change)]
        return [c for c in changes if (closed := _closed(c, now)) is not None and now < closed + VERIFY_S]

    def looks_due(self, now: float, before: float) -> frozenset[str]:
        """Targets to be asked now because a change of them has closed: at once, and twice more."""
        found: set[str] = set()
        if not self._closing:
            return frozenset()
        for change in self.in_verification(now):
            closed = _closed(change, now) or now
            times = [closed + n * _LOOK_EVERY_S for n in range(int(VERIFY_S // _LOOK_EVERY_S))]
            if any(before < at <= now for at in times):
                found |= self._scope(change)[1]
        return frozenset(found)

    def changes_open(self, targets: Collection[str], at: float) -> tuple[Change, ...]:
        """Changes that were open at a moment and work on one of these targets, or on something that one needs."""
        opened = (c for c in self.mutes.values() if isinstance(c, Change) and _open_at(c, at))
        return tuple(sorted((c for c in opened if self.touches(c, targets)), key=lambda change: change.id))

    def worked_on(self, at: float) -> dict[str, frozenset[str]]:
        """What each change that was open at a moment, or had closed just then, works on."""
        changes = [mute for mute in self.mutes.values() if isinstance(mute, Change)]
        lately = {change.id for change in self.in_verification(at)}
        return {c.id: self._scope(c)[0] for c in changes if c.id in lately or _open_at(c, at)}

    def hurries(self, target: str, now: float) -> bool:
        """Whether a change is open on the target or on something it needs: what fails there is confirmed sooner."""
        return any(
            isinstance(mute, Change) and target in self._scope(mute)[1] and _open_at(mute, now)
            for mute in self.mutes.values()
        )

    def needs(self, target: str, other: str) -> bool:
        """Whether the target cannot work without the other, whatever else works."""
        return target != other and target in self.graph and other in self.graph.strict(target)

    def touches(self, change: Change, targets: Collection[str]) -> bool:
        """Whether the change works on these targets or on something they need."""
        return not self._scope(change)[1].isdisjoint(targets)

    def attributed(self, incident: Incident) -> Incident:
        """The incident with every change in whose window something began that it works on, or that needs that."""
        began: dict[float, set[str]] = {}
        for member in incident.members:
            if member.cleared_at is None:
                began.setdefault(member.since, set()).add(member.key.target)
        found = [change.id for at in sorted(began) for change in self.changes_open(began[at], at)]
        after = tuple(dict.fromkeys((*incident.changes_open, *found)))
        return incident if after == incident.changes_open else replace(incident, changes_open=after)

    def first_cover(self, mute: Mute, incident: Incident, now: float) -> None:
        """A silence holds back an incident for the first time: its owner hears of it once."""
        if not isinstance(mute, Silence) or (mute.id, incident.id) in self._covered:
            return
        self._covered.add((mute.id, incident.id))
        self._note(mute, "covers", now, note=incident.id)
        self.notices += messages.covers(mute, incident, now, self._reminded(mute))

    def standings(self, now: float) -> tuple[Standing, ...]:
        """Every mute with its state, those in force first."""
        found = [self.standing(mute, now) for mute in self.mutes.values()]
        rank = list(MuteState)
        return tuple(sorted(found, key=lambda one: (one.state in OVER, rank.index(one.state), one.mute.id)))

    def standing(self, mute: Mute, now: float) -> Standing:
        if mute.ending is not None:
            return Standing(mute, mute.ending.state)
        window = windows.window_at(mute.when, now)
        if window is not None:
            return Standing(mute, MuteState.ACTIVE, *window)
        if isinstance(mute, Change) and _closed(mute, now) is not None and self.held_until(mute, now):
            return Standing(mute, MuteState.VERIFYING, None, self.held_until(mute, now))
        following = windows.next_window(mute.when, now)
        if following is None:
            return Standing(mute, MuteState.EXPIRED)
        first = mute.when.repeat is None or now < mute.when.starts_at
        return Standing(mute, MuteState.PENDING if first else MuteState.BETWEEN, *following)

    def drain(self) -> tuple[tuple[MuteEvent, ...], tuple[Notice, ...]]:
        events, notices = tuple(self.events), tuple(self.notices)
        self.events.clear()
        self.notices.clear()
        return events, notices

    def _after(self, command: MuteCommand, now: float) -> Mute:
        if not command.by.strip():
            raise Conflict("say who acts: `by` is empty")
        if command.action == "add" and command.draft is not None:
            known = list(self.mutes.values())
            estate, used = self.graph.estate, self._revisions
            return making.made(command.draft, by=command.by, now=now, estate=estate, used=used, known=known)
        mute = self.mutes.get(command.id)
        if mute is None:
            raise NotFound(f"no silence or change {command.id[:80]!r}")
        if command.action == "review":
            return _reviewed(mute, command, now)
        if mute.ending is not None or windows.is_over(mute.when, now):
            raise Conflict(f"{mute.id} is over: what has been ended or has expired never comes back")
        if command.action == "end":
            return replace(mute, ending=Ending(now, command.by, MuteState.ENDED, command.note))
        if command.action == "extend" and command.ends_at is not None:
            return making.extended(mute, command.ends_at, now=now)
        raise Conflict(f"unknown action {command.action} (allowed: add, extend, end, review)")

    def _pass(self, mute: Mute, now: float) -> None:
        mute = self._remind(mute, now)
        if isinstance(mute, Silence) and mute.review_due is not None and now >= mute.review_due:
            self.notices += messages.review_due(mute, now, self._site_manager())
            mute = replace(mute, review_due=None)
            self._keep(mute, "review_due", "healthmon", now)
        if mute.ending is None and windows.is_over(mute.when, now):
            last = mute.when.ends_at if mute.when.repeat is None else now
            self._keep(replace(mute, ending=Ending(last, "healthmon", MuteState.EXPIRED)), "expire", "healthmon", now)
            self._forget_over()

    def _remind(self, mute: Mute, now: float) -> Mute:
        at = _remind_at(mute)
        if at is None or not at <= now < mute.when.ends_at or mute.ending is not None:
            return mute
        mute = replace(mute, reminded_at=now)
        self._keep(mute, "remind", "healthmon", now)
        self.notices += messages.ends_soon(mute, now, self._reminded(mute))
        return mute

    def _turns(self, mute: Mute, now: float) -> Iterator[float]:
        """When something about this mute changes by itself."""
        if mute.ending is None:
            turn = windows.next_turn(mute.when, now)
            yield from [turn] if turn is not None else []
        if isinstance(mute, Change):
            closed = _closed(mute, now)
            steps = [closed + n * _LOOK_EVERY_S for n in range(4)] if closed is not None else []
            yield from (at for at in steps if at > now)
        times = (_remind_at(mute) if mute.ending is None else None, getattr(mute, "review_due", None))
        yield from (at for at in times if at is not None and at > now)

    def _take_up_config(self) -> None:
        files = {change.id: change for change in self.settings.changes}
        self.mutes, self.passed_over = configured.joined(self.mutes, files)
        for id_ in files:
            self._revisions.setdefault(id_, 0)

    def _keep(self, mute: Mute, action: str, by: str, now: float, *, note: str = "") -> None:
        self.mutes[mute.id] = mute
        self._note(mute, action, now, by=by, note=note)
        self.turned = True

    def _note(self, mute: Mute, action: str, now: float, *, by: str = "healthmon", note: str = "") -> None:
        revision = self._revisions[mute.id] = self._revisions.get(mute.id, 0) + 1
        silence = mute if isinstance(mute, Silence) else None
        change = mute if isinstance(mute, Change) else None
        self._write(MuteEvent(now, action, mute.id, by, revision, note, silence, change))

    def _write(self, event: MuteEvent) -> None:
        self.events.append(event)

    def _forget_over(self) -> None:
        """The newest few that are over stay in memory; their ids stay used for ever."""
        over = sorted((m.ending.at, id_) for id_, m in self.mutes.items() if m.ending and not _to_review(m))
        for _, id_ in over[: max(0, len(over) - _OVER_KEPT)]:
            del self.mutes[id_]

    def _scope(self, mute: Mute) -> tuple[frozenset[str], frozenset[str]]:
        """(targets worked on, those and whatever needs them) of a change."""
        if isinstance(mute, Silence):
            return frozenset(), frozenset()
        if mute.targets not in self._scopes:
            self._scopes[mute.targets] = (scope_of(mute, self.graph.estate), related(mute, self.graph))
        return self._scopes[mute.targets]

    def _site_manager(self) -> list[Reader]:
        return _readers(self.settings.site_manager)

    def _reminded(self, mute: Mute) -> list[Reader]:
        """The owner's own channels when the owner is a team, else those that hear of reminders."""
        team = self.graph.estate.teams.get(mute.owner)
        channels = team.channels if team and team.channels else self.settings.reminders
        return _readers(channels)


def held_words(mute: Mute) -> str:
    """Who or what holds a page back."""
    return f"silenced by {mute.owner}" if isinstance(mute, Silence) else f"expected in change {mute.id} ({mute.title})"


def _reviewed(mute: Mute, command: MuteCommand, now: float) -> Mute:
    if not isinstance(mute, Silence) or mute.floor is not Floor.BREAK_GLASS or mute.reviewed_at is not None:
        raise Conflict(f"{mute.id}: there is nothing to review")
    if not are_two(mute.created_by, command.by):
        raise NotAllowed(f"{mute.id}: another person than the one who broke the glass reviews it")
    return replace(mute, review_due=None, reviewed_at=now, reviewed_by=command.by)


def _remind_at(mute: Mute) -> float | None:
    """Some time before the end, once; what is short, repeated, or holds nothing back needs no reminder."""
    length_s = mute.when.ends_at - mute.when.starts_at
    if mute.when.repeat is not None or mute.reminded_at is not None or length_s < 2 * _REMIND_LEAST_S:
        return None
    if isinstance(mute, Change) and not mute.expected:
        return None
    return mute.when.ends_at - min(_REMIND_MOST_S, max(_REMIND_LEAST_S, _REMIND_RATIO * length_s))


def _readers(channels: Iterable[str]) -> list[Reader]:
    """`mail` is everyone behind that channel, `mail:ops@hospital.example` one address."""
    pairs = (name.partition(":") for name in channels)
    return [(channel, to or channel) for channel, _, to in pairs]


def _to_review(mute: Mute) -> bool:
    return isinstance(mute, Silence) and mute.floor is Floor.BREAK_GLASS and mute.reviewed_at is None


def _closed(change: Change, now: float) -> float | None:
    """When the change closed, if that was a moment ago."""
    if change.ending is not None and change.ending.state is MuteState.ENDED:
        was_open = windows.window_at(change.when, change.ending.at) is not None
        return change.ending.at if was_open and change.ending.at > now - VERIFY_S - 1.0 else None
    return windows.closed_within(change.when, now, VERIFY_S + 1.0)


def _open_at(change: Change, at: float) -> bool:
    if change.ending is not None and at >= change.ending.at:
        return False
    return windows.window_at(change.when, at) is not None
