"""A trial of rules on a series in virtual time: the same desk as the engine's, and nothing beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from healthmon.alerting.detect.desk import AlertDesk
from healthmon.alerting.detect.index import RuleIndex
from healthmon.impact.hours import Calendar
from healthmon.model.alert import AlertKey, Phase, Rule
from healthmon.model.sample import Reading, Reason
from healthmon.model.topology import Estate


@dataclass(frozen=True, slots=True)
class Transition:
    """One alert came into another phase. `at`: Unix seconds of virtual time."""

    at: float
    key: AlertKey
    before: Phase
    after: Phase
    value: float | None = None
    reason: Reason | None = None
    detail: str = ""


class Trial:
    """Moves a desk through virtual time and notes every change of phase."""

    def __init__(self, rules: Sequence[Rule], estate: Estate, *, staffed: Callable[[str, float], bool]) -> None:
        self.transitions: list[Transition] = []
        self._estate = estate
        self._latest: dict[tuple[str, str, str], Reading] = {}
        self._presence: dict[str, tuple[str, float]] = {}
        index = RuleIndex(estate, rules)
        self.desk = AlertDesk(estate, index, staffed, self._latest, self._presence)
        self._phases: dict[AlertKey, Phase] = {}
        self._at = float("-inf")

    def start(self, at: float) -> None:
        """From now on the declared agents are expected."""
        self._presence.update(dict.fromkeys(self._estate.agents, ("never", at)))
        self.desk.agents.watch_all(at)
        self._at = at

    def read(self, reading: Reading) -> None:
        """One reading, when its look has ended. An older one than the newest of its series only teaches."""
        now = max(self._at, reading.started + reading.took)
        self.pass_time(now)
        series = (reading.target, reading.check, reading.vantage)
        known = self._latest.get(series)
        if known is not None and known.started >= reading.started:
            return
        self._latest[series] = reading
        self.desk.read(reading, now)
        if reading.vantage in self._estate.agents:
            self.heard(reading.vantage, "up", now)
        self._note(now)
        self.pass_time(now)

    def heard(self, agent: str, state: str, now: float) -> None:
        """A word of an agent: `up`, or `stopped`."""
        self._presence[agent] = (state, now)
        self.desk.heard(agent, state, now)
        self._note(now)

    def pass_time(self, until: float) -> None:
        """Holds, keeps and silence, each at its moment."""
        while (due := self.desk.next_due()) is not None and due <= until:
            at = max(due, self._at)
            self.desk.pass_time(at, self._at)
            self._note(at)
            self._at = at
        self._at = max(self._at, until)

    def _note(self, at: float) -> None:
        for alert in self.desk.drain():
            before = self._phases.get(alert.key, Phase.CLEAR)
            if before is not alert.phase:
                found = Transition(at, alert.key, before, alert.phase, alert.value, alert.reason, alert.detail)
                self.transitions.append(found)
            self._phases[alert.key] = alert.phase


def run(
    rules: Sequence[Rule],
    estate: Estate,
    readings: Iterable[Reading],
    until: float,
    *,
    start: float | None = None,
    staffed: Callable[[str, float], bool] | None = None,
) -> list[Transition]:
    """Every change of phase that these readings bring by `until` (Unix s), in order of time.

    Readings are taken by the end of their look; a reading from an agent of the estate is also its sign of life.
    Agents are expected from `start` (default: the first reading, else `until`). Areas are staffed by their own hours
    unless `staffed` says otherwise. Pure: no clock, no I/O.
    """
    ordered = sorted(readings, key=lambda reading: (reading.started + reading.took, reading.started))
    trial = Trial(rules, estate, staffed=staffed or Calendar(estate).staffed)
    trial.start(start if start is not None else ordered[0].started if ordered else until)
    for reading in ordered:
        if reading.started + reading.took <= until:
            trial.read(reading)
    trial.pass_time(until)
    return trial.transitions
