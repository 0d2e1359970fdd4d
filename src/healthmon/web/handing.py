"""Whom an incident can be passed to, as the choices of a form. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from healthmon.model.ports import Duty
from healthmon.model.topology import Estate


@dataclass(frozen=True, slots=True)
class Choice:
    """`word` is what the engine understands, `label` what people read."""

    word: str
    label: str


def hand_choices(estate: Estate, duty: Duty | None, *, people: bool) -> tuple[Choice, ...]:
    """Teams that somebody answers for now, the duty manager, and with `people` everyone who can be paged."""
    if duty is None or not duty.users():
        return ()
    named: dict[str, str] = {}
    for standby in duty.oncall():
        if standby.user is not None:
            named.update(dict.fromkeys(standby.teams, standby.user.name if people else ""))
    found = [
        Choice(f"team:{team.id}", f"team {team.name}" + (f" ({named[team.id]})" if named[team.id] else ""))
        for team in estate.teams.values()
        if team.id in named
    ]
    found.append(Choice("duty-manager", "the duty manager"))
    if people:
        found += [Choice(f"user:{user.id}", user.name) for user in duty.users().values()]
    return tuple(found)
