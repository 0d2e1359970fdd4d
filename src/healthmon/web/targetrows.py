"""The targets as rows, what fails first. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from healthmon.model.sample import Outcome
from healthmon.model.view import TargetStatus, View
from healthmon.web.cards import thing_name
from healthmon.web.presencewords import presence_words
from healthmon.web.words import LocalTime, reason_words


@dataclass(frozen=True, slots=True)
class TargetRow:
    """One line of the targets table."""

    id: str
    name: str
    kind: str
    area: str
    state: str
    word: str
    symbol: str
    reason: str
    since: str
    last: str


def target_rows(view: View, now: float, *, most: int = 100_000) -> list[TargetRow]:
    """The targets, what fails first."""
    clock = LocalTime.of(view.estate, now)
    order = {"lost": 0, "unknown": 1, "suppressed": 2, "ok": 3}
    ranked = sorted((order[target_state(view.targets.get(key))[0]], key) for key in view.estate.targets)
    gaps = _gaps(view)
    return [_target_row(view, key, clock, gaps.get(key, 0.0)) for _, key in ranked[:most]]


def _target_row(view: View, target_id: str, clock: LocalTime, gap_s: float) -> TargetRow:
    target, status = view.estate.targets[target_id], view.targets.get(target_id)
    area = view.estate.areas.get(target.area or "")
    state, word, symbol = target_state(status)
    reason = reason_words(status.reason) if status and status.reason else ""
    if status and status.explained_by:
        reason = f"behind {thing_name(view.estate, status.explained_by)}"
    present = view.presence.get(target_id)
    if present is not None and (why := presence_words(present)):
        reason = f"{reason}: {why}" if status and status.explained_by else why
    if gap_s and status and status.outcome is Outcome.FAILED:
        reason += f" (asked every {gap_s:g} s now)"
    since = clock.short(status.since) if status else ""
    last = clock.short(status.last_at) if status and status.last_at else "never"
    return TargetRow(
        target.id, target.name, target.kind, area.name if area else "", state, word, symbol, reason, since, last
    )


def _gaps(view: View) -> dict[str, float]:
    """Where a looker backs off: how often it looks at a target now, seconds."""
    every = {(target.id, check.id): check.every_s for target in view.estate.targets.values() for check in target.checks}
    found: dict[str, float] = {}
    for reading in view.latest.values():
        if reading.rest_s:
            gap_s = every.get((reading.target, reading.check), 0.0) + reading.rest_s
            found[reading.target] = max(gap_s, found.get(reading.target, 0.0))
    return found


def target_state(status: TargetStatus | None) -> tuple[str, str, str]:
    """(css class, word, symbol) of a target; no reading is no all-clear."""
    if status is None or status.outcome is Outcome.UNKNOWN:
        return "unknown", "we cannot see", "?"
    if status.outcome is Outcome.OK:
        return "ok", "answers", "✓"
    return ("suppressed", "not reached", "◌") if status.explained_by else ("lost", "failing", "✕")
