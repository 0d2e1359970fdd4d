"""What is known of each agent beside the engine's word on its presence: numbers, clock, spool, causes of silence."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf

from healthmon.ingest.absence import SILENT_S, Hints, guess, settled
from healthmon.ingest.epochs import Track
from healthmon.ingest.pipeline import Pipeline
from healthmon.model.about import About, Absence, Cause
from healthmon.model.journal import Ranges
from healthmon.model.sample import Outcome, Reading
from healthmon.model.view import AgentStatus, View

log = logging.getLogger(__name__)

#: Breaks that an agent ran through and that were shorter are reconnects, not worth a word.
BRIEF_S = 5.0
PAST_KEPT = 16
_AWAY = ("silent", "stopped")


@dataclass(slots=True)
class _Known:
    """One agent. `returned`: an absence that is over and waits for the agent's own word."""

    last_at: float
    about: About | None = None
    goodbye_at: float | None = None
    will_at: float | None = None
    returned: Absence | None = None
    past: deque[Absence] = field(default_factory=lambda: deque(maxlen=PAST_KEPT))


class Fleet:
    """`presence`: what the journal restored, agent -> (state, at)."""

    def __init__(self, presence: Mapping[str, tuple[str, float]] | None = None) -> None:
        self._known: dict[str, _Known] = {}
        for agent, (state, at) in (presence or {}).items():
            if state in ("up", "stopped"):
                self._known[agent] = _Known(at, goodbye_at=at if state == "stopped" else None)

    def spoke(
        self, agent: str, at: float, about: About | None, *, skew_s: float = 0.0, listening_since: float = -inf
    ) -> Absence | None:
        """A batch has come; the absence that it ends, once the agent has said what it was.

        listening_since: when we ourselves came back; what was not heard before that is not the agent's silence.
        """
        known = self._known.get(agent)
        if known is None:
            self._known[agent] = _Known(at, about)
            return None
        if known.returned is None and _was_away(known, at, listening_since):
            known.returned = replace(guess(agent, _hints(known, None)), until=at)
        known.last_at, known.goodbye_at, known.will_at = at, None, None
        if about is None:
            return None
        return self._settle(known, about, at, skew_s)

    def _settle(self, known: _Known, about: About, at: float, skew_s: float) -> Absence | None:
        before, known.about = known.about, about
        returned, known.returned = known.returned, None
        if returned is None:
            return None
        absence = settled(returned, about, back_at=returned.until or at, before=before, skew_s=skew_s)
        if absence.cause is Cause.CUT and (absence.until or at) - absence.since < BRIEF_S:
            return None
        known.past.append(absence)
        log.info("agent is back", extra={"agent": absence.agent, "cause": absence.cause.value})
        return absence

    def said(self, agent: str, state: str, at: float) -> None:
        """A word of its state topic: `stopped` from itself, `lost` from the broker."""
        known = self._known.get(agent)
        if known is not None and state == "stopped":
            known.goodbye_at = at
        elif known is not None and state == "lost" and known.will_at is None:
            known.will_at = at

    def past(self, agent: str) -> tuple[Absence, ...]:
        """Its last absences, oldest first."""
        known = self._known.get(agent)
        return tuple(known.past) if known else ()

    def with_facts(self, view: View, pipeline: Pipeline, now: float) -> dict[str, AgentStatus]:
        """Each status of the view with everything that is known here and in the ingest."""
        tracks, cloned = pipeline.newest(), pipeline.cloned(now)
        looks = _looks(view, [one for one in view.agents.values() if one.state in _AWAY])
        found: dict[str, AgentStatus] = {}
        for name, status in view.agents.items():
            about, absence = self._said_of(status, looks.get(name, ()))
            found[name] = _status(status, tracks.get(name), about, absence, cloned=name in cloned)
        return found

    def _said_of(self, status: AgentStatus, looks: Sequence[Reading]) -> tuple[About | None, Absence | None]:
        known = self._known.get(status.agent)
        if known is None:
            return None, None
        absence = known.past[-1] if known.past else None
        if status.state in _AWAY:
            absence = guess(status.agent, _hints(known, _host_up(looks, since=known.last_at)))
        return known.about, absence


def _was_away(known: _Known, at: float, listening_since: float) -> bool:
    silent_s = at - max(known.last_at, listening_since)
    return silent_s > SILENT_S or known.goodbye_at is not None or known.will_at is not None


def _hints(known: _Known, host_up: bool | None) -> Hints:
    return Hints(known.last_at, known.goodbye_at, known.will_at, host_up)


def _looks(view: View, away: Sequence[AgentStatus]) -> dict[str, list[Reading]]:
    """What others saw of the machines of these agents."""
    at_home = {status.target: status.agent for status in away if status.target}
    found: dict[str, list[Reading]] = {}
    if not at_home:
        return found
    for (target, _, vantage), reading in view.latest.items():
        agent = at_home.get(target)
        if agent is not None and agent != vantage:
            found.setdefault(agent, []).append(reading)
    return found


def _host_up(looks: Sequence[Reading], *, since: float) -> bool | None:
    """Whether others have reached it since then; None when nobody has looked."""
    outcomes = {reading.outcome for reading in looks if reading.started > since}
    if Outcome.OK in outcomes:
        return True
    return False if Outcome.FAILED in outcomes else None


def _status(
    seen: AgentStatus, track: Track | None, about: About | None, absence: Absence | None, *, cloned: bool
) -> AgentStatus:
    """With the epoch that spoke last. Made in one go: a view of 10,000 agents is made each few seconds."""
    of = (seen.agent, seen.target, seen.state, seen.last_at)
    if track is None:
        return AgentStatus(*of, about=about, absence=absence)
    return AgentStatus(
        *of,
        epoch=track.epoch,
        seq=track.received[-1][1] if track.received else 0,
        skew_s=track.clock[-1][1],
        gaps=_count(track.gaps()),
        dropped=_count(track.dropped),
        cloned=cloned,
        about=about,
        absence=absence,
    )


def _count(ranges: Ranges) -> int:
    return sum(high - low + 1 for low, high in ranges)
