"""How each noun becomes rows of the journal."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import msgspec

from healthmon.model.alert import Alert, Phase
from healthmon.model.incident import Entry, Incident, LedgerRow, Notice, NoticeResult
from healthmon.model.journal import Changes, Epoch
from healthmon.model.mute import MuteEvent
from healthmon.model.sample import Reading
from healthmon.runtime.sqlite import put_many

_FINAL = frozenset({NoticeResult.SENT, NoticeResult.ACKNOWLEDGED, NoticeResult.DEAD})
#: How far a notice has come: attempts count tens, the end beats every attempt, an acknowledgement beats the end.
_STAGE = {
    NoticeResult.QUEUED: 0,
    NoticeResult.RETRYING: 1,
    NoticeResult.DEAD: 1_000_000,
    NoticeResult.SENT: 2_000_000,
    NoticeResult.ACKNOWLEDGED: 3_000_000,
}
#: The audit kind under which it is kept that a person took an incident, or a ward reported it; by these entries.
REAL = "ledger_real"
_TAKEN = frozenset({"ack", "own", "report"})
#: The word a notice carries on disk while it is on the wire; a restart that finds it must mark the repeat.
SENDING = "sending"

_READING = "INSERT OR REPLACE INTO reading"
_INCIDENT = "INSERT OR REPLACE INTO incident VALUES (?, ?, ?, ?, ?)"
_EPOCH = "INSERT OR REPLACE INTO epoch"
_PRESENCE = "INSERT OR REPLACE INTO presence"
_MEMORY = "INSERT OR REPLACE INTO memory"
_EVENT = "INSERT OR IGNORE INTO event (at, kind, incident, key, body) VALUES (?, ?, ?, ?, ?)"
# The sender and the engine both write notices; the one that knows less must not undo the other.
_NOTICE = """
INSERT INTO notice VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET
finished = excluded.finished, progress = excluded.progress, head = excluded.head
WHERE excluded.progress > notice.progress
"""


def progress(notice: Notice) -> int:
    """A number that only grows over the life of a notice."""
    on_the_wire = notice.result is NoticeResult.RETRYING and notice.detail == SENDING
    delivered = 500_000 if notice.delivered_at is not None else 0
    return notice.attempts * 10 + _STAGE[notice.result] + delivered - (1 if on_the_wire else 0)


class Writer:
    """Writes changes into an open transaction; remembers which timeline entries are on disk to spare the disk."""

    def __init__(self) -> None:
        self._entries: dict[str, frozenset[Entry]] = {}
        self._json = msgspec.json.Encoder()

    def write(self, db: sqlite3.Connection, changes: Changes) -> None:
        """All rows of one set of changes."""
        db.execute("INSERT OR REPLACE INTO meta VALUES ('at', ?)", (changes.at,))
        self._readings(db, changes.readings)
        self._alerts(db, changes.alerts)
        for incident in changes.incidents:
            self._incident(db, incident)
        for notice in changes.notices:
            self._notice(db, notice, changes.at)
        for row in changes.ledger:
            self._ledger(db, row)
        for event in changes.mutes:
            self._mute(db, event)
        for line in changes.audit:
            self.event(db, at=line.at, kind=line.kind, incident=line.incident, body=line.body, key=line.key)
        self._epochs(db, changes.epochs)
        put_many(db, _PRESENCE, [(agent, state, at) for agent, (state, at) in changes.presence.items()])
        put_many(db, _MEMORY, [(key, body) for key, body in changes.memory.items() if body])
        db.executemany("DELETE FROM memory WHERE key = ?", [(key,) for key, body in changes.memory.items() if not body])

    def written(self, changes: Changes) -> None:
        """The transaction is durable."""
        for incident in changes.incidents:
            self._entries[incident.id] = frozenset(incident.timeline)
            if not incident.open:
                self._entries.pop(incident.id)

    def event(
        self,
        db: sqlite3.Connection,
        *,
        at: float,
        kind: str,
        incident: str | None,
        body: Any,
        key: str | None = None,
    ) -> bool:
        """One line of the log; False when a line of this kind with this key is already there."""
        return db.execute(_EVENT, (at, kind, incident, key, self._json.encode(body))).rowcount == 1

    def _readings(self, db: sqlite3.Connection, readings: Iterable[Reading]) -> None:
        put_many(db, _READING, [(r.target, r.check, r.vantage, self._json.encode(r)) for r in readings])

    def _alerts(self, db: sqlite3.Connection, alerts: Iterable[Alert]) -> None:
        for alert in alerts:
            key = self._json.encode(alert.key).decode()
            if alert.phase is Phase.CLEAR:
                db.execute("DELETE FROM alert WHERE key = ?", (key,))
            else:
                db.execute("INSERT OR REPLACE INTO alert VALUES (?, ?)", (key, self._json.encode(alert)))

    def _incident(self, db: sqlite3.Connection, incident: Incident) -> None:
        row = (incident.id, incident.open, incident.opened_at, incident.resolved_at, self._json.encode(incident))
        db.execute(_INCIDENT, row)
        known = self._entries.get(incident.id, frozenset())
        for entry in incident.timeline:
            if entry not in known:
                body = self._json.encode(entry)
                key = f"{incident.id}|{hashlib.sha256(body).hexdigest()[:16]}"
                db.execute(_EVENT, (entry.at, "timeline", incident.id, key, body))
                if entry.what in _TAKEN and entry.by != "healthmon":
                    self._real(db, incident, entry)

    def _notice(self, db: sqlite3.Connection, notice: Notice, at: float) -> None:
        head = self._json.encode(replace(notice, body={}))
        body = self._json.encode(notice.body)
        finished = notice.result in _FINAL
        row = (notice.key, notice.incident, notice.due, finished, progress(notice), head, body)
        if db.execute(_NOTICE, row).rowcount == 1:
            db.execute(_EVENT, (at, "notice", notice.incident, None, head))

    def _ledger(self, db: sqlite3.Connection, row: LedgerRow) -> None:
        key = f"{row.incident}|{row.key}|{row.cause}"
        db.execute(_EVENT, (row.at, "ledger", row.incident, key, self._json.encode(row)))

    def _mute(self, db: sqlite3.Connection, event: MuteEvent) -> None:
        """One line for each revision, never written again; an attempt that was refused changed nothing and has none."""
        body = self._json.encode(event)
        number = event.revision or f"refused-{hashlib.sha256(body).hexdigest()[:16]}"
        db.execute(_EVENT, (event.at, "mute", None, f"{event.id}|{number}", body))

    def _real(self, db: sqlite3.Connection, incident: Incident, entry: Entry) -> None:
        """A person took it: whatever page of it was held back before was about something real."""
        body = {"by": entry.by, "how": entry.what}
        key = f"{incident.id}|{entry.at:.3f}"
        self.event(db, at=entry.at, kind=REAL, incident=incident.id, body=body, key=key)

    def _epochs(self, db: sqlite3.Connection, epochs: Iterable[Epoch]) -> None:
        put_many(db, _EPOCH, [(e.agent, e.epoch, self._json.encode(e)) for e in epochs])


def is_final(notice: Notice) -> bool:
    """Nothing more will be tried."""
    return notice.result in _FINAL
