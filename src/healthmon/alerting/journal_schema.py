"""The tables of the journal; each entry of MIGRATIONS leads from one schema version to the next."""

from __future__ import annotations

_V1 = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE event (
    seq INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, incident TEXT, key TEXT, body BLOB NOT NULL
);
CREATE INDEX event_by_time ON event (kind, at);
CREATE INDEX event_by_incident ON event (incident, kind) WHERE incident IS NOT NULL;
CREATE UNIQUE INDEX event_once ON event (kind, key) WHERE key IS NOT NULL;
CREATE TABLE reading (
    target TEXT, "check" TEXT, vantage TEXT, body BLOB NOT NULL, PRIMARY KEY (target, "check", vantage)
) WITHOUT ROWID;
CREATE TABLE alert (key TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE incident (
    id TEXT PRIMARY KEY, open INTEGER NOT NULL, opened_at REAL NOT NULL, resolved_at REAL, body BLOB NOT NULL
);
CREATE INDEX incident_by_state ON incident (open, resolved_at);
CREATE TABLE notice (
    key TEXT PRIMARY KEY, incident TEXT NOT NULL, due REAL NOT NULL, finished INTEGER NOT NULL,
    progress INTEGER NOT NULL, head BLOB NOT NULL, body BLOB NOT NULL
);
CREATE INDEX notice_by_incident ON notice (incident);
CREATE INDEX notice_unfinished ON notice (due) WHERE finished = 0;
CREATE TABLE epoch (agent TEXT, epoch TEXT, body BLOB NOT NULL, PRIMARY KEY (agent, epoch)) WITHOUT ROWID;
CREATE TABLE presence (agent TEXT PRIMARY KEY, state TEXT NOT NULL, at REAL NOT NULL) WITHOUT ROWID;
"""

# What rules remember beyond the newest reading: windows, baselines, flapping. The words are detect/cells.py's.
_V2 = "CREATE TABLE memory (key TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;"

MIGRATIONS = (_V1, _V2)
