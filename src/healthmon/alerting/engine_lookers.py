"""The engine's doubt of its own eyes: is the server's looker cut off, and until when must that be watched?"""

from __future__ import annotations

from collections.abc import Mapping

from healthmon.alerting.detect.desk import AlertDesk
from healthmon.alerting.detect.moments import Moments
from healthmon.alerting.incidents.blind import BLIND_RULE, outlook, turns, watch
from healthmon.alerting.incidents.evidence import Evidence
from healthmon.model.alert import Phase


class Lookers:
    """`suspect`: the looker may be cut off; `waiting`: that is not settled, or it is; `turns`: when it may settle."""

    def __init__(self, desk: AlertDesk, evidence: Evidence, *, server: str, settle_s: float) -> None:
        self._desk = desk
        self._evidence = evidence
        self._server = server
        self._settle_s = settle_s
        self.suspect = self.waiting = False
        self.turns: tuple[float, ...] = ()
        self._reached = Moments("*reached")  # when it last reached anything, once no newest look shows that
        self._cut = Moments("*cut")  # when it was cut off last

    def watch(self, now: float) -> bool:
        """Look anew; True when sight was lost or came back."""
        alerts, settle_s = self._desk.alerts, self._settle_s
        known = next((alert for alert in alerts.values() if alert.key.rule == BLIND_RULE), None)
        seen = outlook(self._evidence, self._server, alerts)
        after = watch(known, seen, self._evidence, alerts, now=now, settle_s=settle_s)
        if known is not None and (after is None or known.key != after.key):
            self._desk.drop(known.key, now)
        if after is not None:
            self._desk.put(after)
        self.suspect = after is not None and after.phase is Phase.PENDING
        self.waiting = after is not None
        self.turns = turns(after, seen, settle_s=settle_s)
        return self._set(is_blind=after is not None and after.phase is Phase.FIRING)

    def written(self) -> dict[str, bytes]:
        """Rows for the journal that have changed; an empty one forgets."""
        reached_at = self._evidence.reach(self._server).to_remember()
        if reached_at is None:
            self._reached.pop(())
        else:
            self._reached.put((), reached_at)
        if not self._desk.blind and self._desk.blind_at > float("-inf"):
            self._cut.put((), self._desk.blind_at)
        return self._reached.written() | self._cut.written()

    def remember(self, memory: Mapping[str, bytes]) -> dict[str, bytes]:
        """Take up what a run before has written; what is not ours is handed back."""
        rest = self._cut.restore(self._reached.restore(memory))
        known = self._evidence.reach(self._server)  # made now: from what was known at the last commit
        reached_at = self._reached.get(())
        if reached_at is not None:
            known.remember(reached_at)
        self._desk.blind_at = self._cut.get(()) or self._desk.blind_at
        return rest

    def restore(self) -> None:
        """As it was at the last commit, by its alert."""
        alerts = self._desk.alerts.values()
        self._set(is_blind=any(a.key.rule == BLIND_RULE and a.phase is Phase.FIRING for a in alerts))

    def _set(self, *, is_blind: bool) -> bool:
        before, self._desk.blind = self._evidence.blind, is_blind
        self._evidence.blind = {self._server} if is_blind else set()
        return self._evidence.blind != before
