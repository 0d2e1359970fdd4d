"""The engine's memory on disk: what it knew at the last commit, and an append-only log of what it did.

Current state lives in keyed tables; one `event` table holds timeline, told-log, ledger and audit, read back as views.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from healthmon.alerting.journal_ledger import ledger_query
from healthmon.alerting.journal_rows import Writer
from healthmon.alerting.journal_schema import MIGRATIONS
from healthmon.model.alert import Alert
from healthmon.model.incident import Entry, Incident, LedgerFilter, LedgerRow, Notice, NoticeFilter
from healthmon.model.journal import Changes, Epoch, Restored
from healthmon.model.mute import MuteEvent
from healthmon.model.sample import Reading
from healthmon.runtime.sqlite import check_database, open_database

log = logging.getLogger(__name__)
Noun = TypeVar("Noun")

#: Resolved incidents stay in the engine's memory this long (a person may reopen them).
RECENT_S = 30 * 86400.0
#: The newest readings of 10,000 agents are 20 MiB, and each is written again with every look.
CACHE_MIB = 32


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the log. `kind`: timeline, notice, ledger, or an audit word; `body` is the thing as JSON."""

    seq: int
    at: float
    kind: str
    incident: str | None
    body: Mapping[str, Any]


class Journal:
    """sqlite with synchronous FULL: what `commit` has returned from survives a power cut. Any thread may call it."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.marks: dict[str, float] = {}  # written with every transaction: how far a copy of it elsewhere is
        self.unreadable = 0  # rows that did not decode; they are left where they are and never stop a start
        self._db = open_database(self.path, MIGRATIONS, cache_mib=CACHE_MIB)
        self._reader = open_database(self.path, MIGRATIONS)
        self._write_lock = threading.Lock()
        self._read_lock = threading.Lock()
        self._writer = Writer()

    def commit(self, *several: Changes) -> None:
        """Write all of it in one durable transaction, or nothing and raise sqlite3.Error."""
        wanted = [changes for changes in several if not changes.empty()]
        if not wanted:
            return
        with self._transaction() as db:
            for changes in wanted:
                self._writer.write(db, changes)
        for changes in wanted:
            self._writer.written(changes)

    def append(
        self, kind: str, *, at: float, body: Mapping[str, Any], incident: str | None = None, key: str | None = None
    ) -> bool:
        """Add one audit line; with a `key`, only if no line of this kind has it. True when it was added.

        The key makes single use durable: spending an acknowledgement token is appending it.
        """
        with self._transaction() as db:
            return self._writer.event(db, at=at, kind=kind, incident=incident, body=body, key=key)

    def knows(self, kind: str, key: str) -> bool:
        """Whether a line of this kind has this key."""
        return bool(self._rows("SELECT 1 FROM event WHERE kind = ? AND key = ?", kind, key))

    def restore(self) -> Restored:
        """The state at the last commit: open incidents and those resolved in the 30 days before it."""
        at = self._one("SELECT value FROM meta WHERE key = 'at'")
        recent = (at or 0.0) - RECENT_S
        incidents = {i.id: i for i in self._incidents("open = 1 OR resolved_at >= ?", recent)}
        alerts = self._nouns(Alert, "SELECT body FROM alert")
        readings = self._nouns(Reading, "SELECT body FROM reading")
        epochs = self._nouns(Epoch, "SELECT body FROM epoch")
        open_ids = [i.id for i in incidents.values() if i.open]
        return Restored(
            at=at,
            readings={(r.target, r.check, r.vantage): r for r in readings},
            alerts={a.key: a for a in alerts},
            incidents=incidents,
            notices={n.key: n for n in self._restored_notices(incidents)},
            epochs={(e.agent, e.epoch): e for e in epochs},
            presence={agent: (state, at) for agent, state, at in self._rows("SELECT agent, state, at FROM presence")},
            memory=dict(self._rows("SELECT key, body FROM memory")),
            mutes=tuple(self.mute_events()),
            ledgered=frozenset(row.key for row in self._ledger_of(open_ids)),
        )

    def notices(self, incident: str) -> list[Notice]:
        """The told-log of one incident, oldest first; the bodies are left on disk."""
        return list(self._nouns(Notice, "SELECT head FROM notice WHERE incident = ? ORDER BY due, rowid", incident))

    def notice(self, key: str) -> Notice | None:
        """One notice with its body."""
        for row in self._rows("SELECT head, body FROM notice WHERE key = ?", key):
            return self._whole(*row)
        return None

    def told_log(self, limit: int, before: float | None, wanted: NoticeFilter) -> list[Notice]:
        """Notices of every incident, newest first, due strictly before a moment; the bodies are left on disk."""
        where: list[str] = ["due < ?"]
        params: list[Any] = [float("inf") if before is None else before]
        for clause, value in (
            ("incident = ?", wanted.incident),
            ("due >= ?", wanted.since),
            ("json_extract(CAST(head AS TEXT), '$.channel') = ?", wanted.channel),
        ):
            if value is not None:
                where.append(clause)
                params.append(value)
        if wanted.results:
            marks = ", ".join("?" * len(wanted.results))
            where.append(f"json_extract(CAST(head AS TEXT), '$.result') IN ({marks})")
            params += sorted(result.value for result in wanted.results)
        sql = f"SELECT head FROM notice WHERE {' AND '.join(where)} ORDER BY due DESC, rowid DESC LIMIT ?"
        return list(self._nouns(Notice, sql, *params, limit))

    def incident(self, incident: str) -> Incident | None:
        """One incident, however old."""
        return next(iter(self._incidents("id = ?", incident)), None)

    def incidents(self, since: float, until: float) -> list[Incident]:
        """Every incident that opened in [since, until), however it ended, the oldest first."""
        return self._incidents("opened_at >= ? AND opened_at < ?", since, until)

    def timeline(self, incident: str) -> list[Entry]:
        """Every line that was written about it, oldest first, however many they are."""
        sql = "SELECT body FROM event WHERE kind = 'timeline' AND incident = ? ORDER BY at, seq"
        return list(self._nouns(Entry, sql, incident))

    def ledger(self, limit: int, before: float | None = None, wanted: LedgerFilter | None = None) -> list[LedgerRow]:
        """Pages that were not sent, newest first, strictly before a moment; what was real after all says so."""
        sql, params = ledger_query(limit, before, wanted or LedgerFilter())
        found = ((self._decoded(LedgerRow, body), at, how) for body, at, how in self._rows(sql, *params))
        return [row if at is None else replace(row, real_at=at, real_how=_how(how)) for row, at, how in found if row]

    def mute_events(self, mute: str | None = None) -> Iterator[MuteEvent]:
        """The audit of silences and changes, oldest first; of one, or of all."""
        sql, params = "SELECT body FROM event WHERE kind = 'mute' {} ORDER BY seq", ()
        if mute is None:
            return self._nouns(MuteEvent, sql.format(""), *params)
        only = "AND key >= ? AND key < ?"
        return self._nouns(MuteEvent, sql.format(only), f"{mute}|", f"{mute}}}")

    def events(self, kind: str, since: float = 0.0, limit: int = 10_000) -> list[Event]:
        """The log of one kind from a moment on, oldest first."""
        sql = "SELECT seq, at, kind, incident, body FROM event WHERE kind = ? AND at >= ? ORDER BY at, seq LIMIT ?"
        rows = self._rows(sql, kind, since, limit)
        return [Event(seq, at, kind, incident, msgspec.json.decode(body)) for seq, at, kind, incident, body in rows]

    def marked(self) -> dict[str, float]:
        """The marks as they are on disk."""
        return {key: value for key, value in self._rows("SELECT key, value FROM meta") if key != "at"}

    def check(self) -> str:
        """`ok`, or sqlite's own words on what is wrong."""
        with self._read_lock:
            return check_database(self._reader)

    def close(self) -> None:
        """Close both connections; the journal is complete at any moment, so this is only tidiness."""
        with self._write_lock, self._read_lock:
            self._db.close()
            self._reader.close()

    def _restored_notices(self, incidents: Mapping[str, Incident]) -> Iterator[Notice]:
        """All of the restored incidents, and whatever is unfinished anywhere (those with their bodies)."""
        for head, body in self._rows("SELECT head, body FROM notice WHERE finished = 0"):
            yield from filter(None, [self._whole(head, body)])
        sql = "SELECT n.head FROM notice n JOIN incident i ON i.id = n.incident WHERE n.finished = 1 AND i.id IN ({})"
        for marks, ids in _in_chunks(incidents):
            yield from self._nouns(Notice, sql.format(marks), *ids)

    def _ledger_of(self, incidents: Sequence[str]) -> Iterator[LedgerRow]:
        for marks, ids in _in_chunks(incidents):
            yield from self._nouns(
                LedgerRow, f"SELECT body FROM event WHERE kind = 'ledger' AND incident IN ({marks})", *ids
            )

    def _whole(self, head: bytes, body: bytes) -> Notice | None:
        notice = self._decoded(Notice, head)
        return replace(notice, body=msgspec.json.decode(body)) if notice else None

    def _incidents(self, where: str, *params: Any) -> list[Incident]:
        return list(self._nouns(Incident, f"SELECT body FROM incident WHERE {where} ORDER BY opened_at", *params))

    def _nouns(self, noun: type[Noun], sql: str, *params: Any) -> Iterator[Noun]:
        for (body,) in self._rows(sql, *params):
            value = self._decoded(noun, body)
            if value is not None:
                yield value

    def _decoded(self, noun: type[Noun], body: bytes) -> Noun | None:
        try:
            return msgspec.json.decode(body, type=noun)
        except msgspec.MsgspecError as error:
            self.unreadable += 1
            log.error("journal row set aside", extra={"noun": noun.__name__, "error": str(error)})
            return None

    def _rows(self, sql: str, *params: Any) -> list[Any]:
        with self._read_lock:
            return self._reader.execute(sql, params).fetchall()

    def _one(self, sql: str) -> float | None:
        rows = self._rows(sql)
        return float(rows[0][0]) if rows else None

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._write_lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", list(self.marks.items()))
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise


def _how(body: bytes) -> str:
    """`ack by Duty engineer`, from the line that says it was real."""
    said = msgspec.json.decode(body)
    return f"{said['how']} by {said['by']}"


def _in_chunks(ids: Iterable[str], size: int = 500) -> Iterator[tuple[str, list[str]]]:
    """Placeholders and values for `IN (...)`, in pieces that every sqlite accepts."""
    listed = list(ids)
    for start in range(0, len(listed), size):
        chunk = listed[start : start + size]
        yield ",".join("?" * len(chunk)), chunk
