"""Silences and changes as tests make them."""

from __future__ import annotations

from typing import Any

from smallsite import T0, Night

from healthmon.model.mute import Change, Floor, Match, MuteCommand, Silence, Standing, When


def silence(match: Match, *, minutes: float = 60.0, start: float = T0, **more: Any) -> Silence:
    return Silence(
        "", match, "network", "switch is noisy", When(start, start + 60 * minutes, None, "Europe/London"), **more
    )


def change(
    *targets: str, expected: tuple[str, ...] = ("down",), start: float = T0, minutes: float = 60.0, **more: Any
) -> Change:
    when = When(start, start + 60 * minutes, None, "Europe/London")
    return Change(more.pop("id", ""), more.pop("title", "New firmware"), targets, when, expected, "network", **more)


def add(night: Night, draft: Silence | Change, by: str = "Duty engineer") -> Standing:
    return night.mute(MuteCommand("add", by, draft=draft))


def mute_target(night: Night, target: str, **more: Any) -> Standing:
    return add(night, silence(Match(target=target), start=night.now, **more))


GLASS = Floor.BREAK_GLASS
TWO = Floor.TWO_PEOPLE
