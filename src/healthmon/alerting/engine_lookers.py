"""The engine's doubt of its own eyes: is the server's looker cut off, and until when must that be watched?"""

from __future__ import annotations

from collections.abc import Mapping

from healthmon.alerting.detect.desk import AlertDesk
from healthmon.alerting.incidents.blind import BLIND_RULE, outlook, turns, watch
from healthmon.alerting.incidents.evidence import Evidence
from healthmon.model.alert import Phase

#: When the server's looker last reached anything, once no newest look shows that; and when it was cut off last.
_REACHED, _CUT = "*reached", "*cut"


class Lookers:
    """`suspect`: the looker may be cut off; `waiting`: that is not settled, or it is; `turns`: when it may settle."""

    def __init__(self, desk: AlertDesk, evidence: Evidence, *, server: str, settle_s: float) -> None:
        self._desk = desk
        self._evidence = evidence
        self._server = server
        self._settle_s = settle_s
        self.suspect = self.waiting = False
        self.turns: tuple[float, ...] = ()
        self._on_disk: dict[str, bytes] = {}

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
        """Rows for the journal that differ from those on disk; an empty one forgets."""
        rows = {_REACHED: _row(self._evidence.reach(self._server).to_remember())}
        if not self._desk.blind and self._desk.blind_at > float("-inf"):
            rows[_CUT] = _row(self._desk.blind_at)
        fresh = {key: body for key, body in rows.items() if body != self._on_disk.get(key, b"")}
        self._on_disk |= fresh
        return fresh

    def remember(self, memory: Mapping[str, bytes]) -> dict[str, bytes]:
        """Take up what a run before has written; what is not ours is handed back."""
        self._on_disk = {key: memory[key] for key in (_REACHED, _CUT) if key in memory}
        known = self._evidence.reach(self._server)  # made now: from what was known at the last commit
        if _REACHED in self._on_disk:
            known.remember(float(self._on_disk[_REACHED]))
        if _CUT in self._on_disk:
            self._desk.blind_at = float(self._on_disk[_CUT])
        return {key: body for key, body in memory.items() if key not in self._on_disk}

    def restore(self) -> None:
        """As it was at the last commit, by its alert."""
        alerts = self._desk.alerts.values()
        self._set(is_blind=any(a.key.rule == BLIND_RULE and a.phase is Phase.FIRING for a in alerts))

    def _set(self, *, is_blind: bool) -> bool:
        before, self._desk.blind = self._evidence.blind, is_blind
        self._evidence.blind = {self._server} if is_blind else set()
        return self._evidence.blind != before


def _row(at: float | None) -> bytes:
    return b"" if at is None else repr(at).encode()
