"""What a new silence or change must satisfy. Pure: the draft, what there is already, now."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Container, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from healthmon.alerting.mutes import windows
from healthmon.alerting.mutes.floor import are_two
from healthmon.alerting.mutes.matching import targets_of
from healthmon.model.errors import Conflict, NotAllowed
from healthmon.model.mute import (
    BREAK_GLASS_MOST_S,
    TWO_PEOPLE_MOST_S,
    Change,
    Floor,
    Mute,
    Silence,
    When,
)
from healthmon.model.topology import Estate

#: The longest silence: what must be quiet for longer is retired, or changed in the rules.
SILENCE_MOST_S = 92 * 86_400.0
CHANGE_MOST_S = 31 * 86_400.0
#: One glass a day: a person, or what it was about, may not have it broken again before the review.
GLASS_REST_S = 86_400.0
#: So much may the asker's clock be ahead.
_GLASS_AHEAD_S = 60.0
_REVIEW_HOUR = 9


def made(draft: Mute, *, by: str, now: float, estate: Estate, used: Container[str], known: Iterable[Mute]) -> Mute:
    """The mute as it will be kept. Raises Conflict, and NotAllowed where the floor may not be lifted."""
    if isinstance(draft, Silence) and not draft.match.given():
        raise Conflict("match: say what to silence (allowed: target, area, rule, check, kind, site)")
    if isinstance(draft, Change):
        _known_targets(draft, estate)
    if draft.when.ends_at <= now and draft.when.repeat is None:
        raise Conflict("ends_at: is in the past")
    when = _when(draft, now)
    ready = replace(draft, when=when, created_by=by, created_at=now, ending=None, reminded_at=None)
    _check_floor(ready, known, now, estate)
    ready = replace(ready, id=ready.id or new_id(ready, used))
    if ready.id in used:
        raise Conflict(f"id {ready.id} was used before: what has been ended or has expired never comes back")
    if isinstance(ready, Silence):
        due = review_at(when, now) if ready.floor is Floor.BREAK_GLASS else None
        ready = replace(ready, review_due=due, reviewed_at=None, reviewed_by=None)
    return ready


def extended(mute: Mute, ends_at: float, *, now: float) -> Mute:
    """The same with a later (or earlier) end. Raises Conflict, NotAllowed."""
    if mute.when.repeat is not None:
        raise Conflict(f"{mute.id} is repeated: end it and make another")
    if ends_at <= now:
        raise Conflict("ends_at: is in the past; to stop it now, end it")
    if mute.floor is not Floor.KEEP and ends_at > mute.when.ends_at:
        raise NotAllowed(f"floor: {mute.id} lifts the clinical floor and is never made longer; make another")
    when = replace(mute.when, ends_at=ends_at)
    _check_length(mute, when)
    after = replace(mute, when=when, reminded_at=None)
    if isinstance(after, Change):
        moved = mute.when.ends_at if isinstance(mute, Change) and mute.ends_in_file is None else after.ends_in_file
        return replace(after, ends_in_file=moved) if after.source == "config" else after
    return after


def new_id(mute: Mute, used: Container[str]) -> str:
    """Derived from what it is, who made it and when; never one that was used."""
    prefix = "sil" if isinstance(mute, Silence) else "chg"
    text = repr((replace(mute, id=""), prefix))
    for number in range(1_000):
        found = f"{prefix}-{hashlib.sha256(f'{text}|{number}'.encode()).hexdigest()[:10]}"
        if found not in used:
            return found
    raise Conflict("no id is free")


def review_at(when: When, now: float) -> float:
    """09:00 of the next day at the site."""
    zone = ZoneInfo(when.timezone)
    tomorrow = datetime.fromtimestamp(now, zone).date() + timedelta(days=1)
    return datetime(tomorrow.year, tomorrow.month, tomorrow.day, _REVIEW_HOUR, tzinfo=zone).timestamp()


def _when(draft: Mute, now: float) -> When:
    try:
        when = windows.checked(draft.when)
    except windows.BadRepeat as error:
        raise Conflict(str(error)) from None
    if when.repeat is None and isinstance(draft, Silence):
        when = replace(when, starts_at=max(when.starts_at, now))  # nothing is silenced backwards
    _check_length(draft, when)
    if when.repeat is not None and isinstance(draft, Silence):
        _check_last(when, now)
    return when


def _check_last(when: When, now: float) -> None:
    """The last window of a repeated silence ends in time, as that of a single one does."""
    limit = max(when.starts_at, now) + SILENCE_MOST_S
    counted = re.search(r"\b(UNTIL|COUNT)=", when.repeat or "", re.IGNORECASE)
    if not counted or windows.window_at(when, limit) or windows.next_window(when, limit):
        raise Conflict("repeat: a silence has an end: give UNTIL or COUNT, within 92 days")


def _check_length(mute: Mute, when: When) -> None:
    most = SILENCE_MOST_S if isinstance(mute, Silence) else CHANGE_MOST_S
    if when.ends_at - when.starts_at > most:
        raise Conflict(f"ends_at: a window lasts at most {most / 86_400:.0f} days")


def _known_targets(change: Change, estate: Estate) -> None:
    unknown = [id_ for id_ in change.targets if id_ not in estate.targets and id_ not in estate.services]
    if unknown or not change.targets:
        raise Conflict(f"targets: {', '.join(unknown) or 'none given'} (allowed: ids of targets and services)")


def _check_floor(mute: Mute, known: Iterable[Mute], now: float, estate: Estate) -> None:
    if mute.floor is Floor.KEEP:
        return
    if mute.when.repeat is not None:
        raise NotAllowed("floor: a repeated window never hides the last way of an ED, ICU or theatre")
    length_s = mute.when.ends_at - mute.when.starts_at
    if mute.floor is Floor.TWO_PEOPLE:
        if not are_two(mute.created_by, mute.approved_by):
            raise NotAllowed("floor: two_people needs approved_by, another named person than the one who makes it")
        if length_s > TWO_PEOPLE_MOST_S:
            raise NotAllowed("floor: two people may hide the last way of an ED, ICU or theatre for at most 4 hours")
        return
    if not isinstance(mute, Silence):
        raise NotAllowed("floor: break_glass is for a silence; a planned change takes two_people")
    if mute.when.starts_at > now + _GLASS_AHEAD_S:
        raise NotAllowed("floor: break_glass starts now; what is planned takes two_people")
    if length_s > BREAK_GLASS_MOST_S:
        raise NotAllowed("floor: one person may break the glass for at most 1 hour")
    _check_rest(mute, known, now, estate)


def _check_rest(glass: Silence, known: Iterable[Mute], now: float, estate: Estate) -> None:
    """Nobody, and nothing that an unreviewed glass was about, has it broken again within a day."""
    for other in known:
        if not isinstance(other, Silence) or other.floor is not Floor.BREAK_GLASS or other.reviewed_at is not None:
            continue
        if now - other.created_at < GLASS_REST_S and _same_glass(glass, other, estate):
            raise NotAllowed(f"floor: the glass of {other.id} is broken and not reviewed; take two people")


def _same_glass(one: Silence, other: Silence, estate: Estate) -> bool:
    if one.match == other.match or not are_two(one.created_by, other.created_by):
        return True
    return not targets_of(one, estate).isdisjoint(targets_of(other, estate))
