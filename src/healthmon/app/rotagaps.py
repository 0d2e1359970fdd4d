"""Stretches of the coming week in which nobody is on call, as blind spots for the board."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from healthmon.alerting.oncall.roster import Roster

#: So far ahead, and at most so many of a rota.
AHEAD_S = 7 * 86_400.0
_MOST = 3


def gap_spots(roster: Roster, now: float) -> Iterator[dict[str, str]]:
    """With every stand-in and swap that people made; `healthmon check` knows only those of the configuration."""
    for rota in roster.plan.rotas.values():
        zone = ZoneInfo(rota.timezone)
        gaps = [shift for shift in roster.shifts(rota.id, now, now + AHEAD_S) if shift.user is None]
        for gap in gaps[:_MOST]:
            since, until = (datetime.fromtimestamp(at, UTC).astimezone(zone) for at in (gap.start, gap.end))
            text = f"{rota.name}: nobody is on call from {since:%a %d %b %H:%M} to {until:%a %d %b %H:%M}"
            yield {"kind": "rota_gap", "id": rota.id, "text": text}
        if len(gaps) > _MOST:
            text = f"{rota.name}: {len(gaps) - _MOST} more gaps within a week"
            yield {"kind": "rota_gap", "id": rota.id, "text": text}
