"""The second graph: links that devices themselves have told of, undirected, each with whose word it is and how old.

It is shown and proposed from, and never becomes part of `needs` by itself; rings in it are normal.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from healthmon.alerting.detect.presences import Plug
from healthmon.app.difference import Known, ProposedNeed, proposed_needs
from healthmon.app.neighbours import Link
from healthmon.model.topology import Estate, need_ids
from healthmon.runtime.sqlite import open_database

#: What has not been seen for so long is marked stale: cables are moved, tables are not swept every day.
STALE_S = 30 * 86_400.0
#: And forgotten after so long; beyond this many the ones not seen for longest go, counted.
FORGET_S = 400 * 86_400.0
MOST_LINKS = 50_000

_V1 = """
CREATE TABLE link (
    one TEXT, one_port TEXT, other TEXT, other_port TEXT, source TEXT, leaf TEXT NOT NULL, mac TEXT NOT NULL,
    seen_by TEXT NOT NULL, first_at REAL NOT NULL, last_at REAL NOT NULL,
    PRIMARY KEY (one, one_port, other, other_port, source)
) WITHOUT ROWID;
CREATE INDEX link_by_age ON link (last_at);
"""
_LEARN = """
INSERT INTO link VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
leaf = excluded.leaf, mac = excluded.mac, seen_by = excluded.seen_by, last_at = max(last_at, excluded.last_at)
"""
_TOO_MANY = "DELETE FROM link WHERE (one, one_port, other, other_port, source) IN (SELECT one, one_port, other, other_port, source FROM link ORDER BY last_at LIMIT ?)"  # noqa: E501


@dataclass(frozen=True, slots=True)
class Learned:
    """A link between two ids (or names that no target bears), when it was first and last told of, epoch seconds."""

    link: Link
    first_at: float
    last_at: float

    def stale(self, now: float) -> bool:
        return now - self.last_at > STALE_S


class LinkBook:
    """Links on disk. Any thread may call it."""

    def __init__(self, path: str | Path) -> None:
        self._db = open_database(path, (_V1,))
        self._lock = threading.Lock()
        self.forgotten = 0  # for want of room

    def learn(self, links: Iterable[Link], at: float) -> int:
        """Take up what was told at a moment; how many links that were."""
        rows = [_row(link, at) for link in links]
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.executemany(_LEARN, rows)
                self._db.execute("DELETE FROM link WHERE last_at < ?", (at - FORGET_S,))
                (count,) = self._db.execute("SELECT count(*) FROM link").fetchone()
                self.forgotten += self._db.execute(_TOO_MANY, (max(0, count - MOST_LINKS),)).rowcount
                self._db.execute("COMMIT")
            except sqlite3.Error:
                self._db.execute("ROLLBACK")
                raise
        return len(rows)

    def all(self) -> list[Learned]:
        """Every link, by its ends."""
        with self._lock:
            rows = self._db.execute("SELECT * FROM link ORDER BY one, one_port, other, other_port, source").fetchall()
        return [_learned(row) for row in rows]

    def close(self) -> None:
        with self._lock:
            self._db.close()


def answer(learned: Sequence[Learned], estate: Estate, now: float) -> dict[str, Any]:
    """The link graph as people and programs read it, with what differs from `needs`."""
    fresh = [one.link for one in learned if not one.stale(now)]
    proposed = proposals(fresh, estate)
    return {
        "items": [_item(one, estate, now) for one in learned],
        "proposed_needs": [
            {"target": one.target, "needs": [one.needs], "source": one.source, "seen_by": list(one.seen_by),
             "port": one.port}
            for one in proposed
        ],
        "stale_after_seconds": STALE_S,
    }  # fmt: skip


def proposals(links: Sequence[Link], estate: Estate) -> list[ProposedNeed]:
    """Needs that fresh links speak for and the inventory does not know; those that would close a circle are not."""
    things: Iterable[Any] = (*estate.targets.values(), *estate.services.values())
    known = [Known(one.id, (), needs=tuple(need_ids(one.needs))) for one in things]
    ids = {end: end for link in links for end in (link.one, link.other) if end in estate.targets}
    return proposed_needs(known, links, ids)[0]


def plugs_of(learned: Sequence[Learned], estate: Estate, now: float) -> dict[str, Plug]:
    """On which port of which switch a target hangs, by fresh links that say which end is the leaf."""
    found: dict[str, Plug] = {}
    for one in learned:
        link = one.link
        switch, port = (link.other, link.other_port) if link.leaf == link.one else (link.one, link.one_port)
        if link.leaf in estate.targets and switch in estate.targets and port and not one.stale(now):
            found[link.leaf] = Plug(switch, port.casefold(), f"{link.source}, told by {', '.join(link.seen_by)}")
    return found


def _item(one: Learned, estate: Estate, now: float) -> dict[str, Any]:
    link = one.link
    return {
        "between": [
            {"target": link.one, "port": link.one_port, "known": link.one in estate.targets},
            {"target": link.other, "port": link.other_port, "known": link.other in estate.targets},
        ],
        "source": link.source,
        "seen_by": list(link.seen_by),
        "first_seen": one.first_at,
        "last_seen": one.last_at,
        "age_seconds": round(max(0.0, now - one.last_at), 1),
        "stale": one.stale(now),
        "declared": _declared(link, estate),
    }


def _declared(link: Link, estate: Estate) -> bool:
    """One end says that it needs the other."""
    for one, other in ((link.one, link.other), (link.other, link.one)):
        target = estate.targets.get(one)
        if target is not None and other in need_ids(target.needs):
            return True
    return False


def links_from(items: Iterable[Mapping[str, Any]]) -> list[Link]:
    """Links as `healthmon discover --keep` sends them; the two ends in one order, whoever saw them."""
    return [_straight(msgspec.convert(dict(item), Link)) for item in items]


def _straight(link: Link) -> Link:
    if (link.one, link.one_port) <= (link.other, link.other_port):
        return link
    return Link(
        link.other, link.other_port, link.one, link.one_port, link.source, link.seen_by, link.leaf, "", link.mac
    )


def _row(link: Link, at: float) -> tuple[object, ...]:
    seen_by = msgspec.json.encode(sorted(link.seen_by)).decode()
    ends = (link.one, link.one_port, link.other, link.other_port)
    return (*ends, link.source, link.leaf, link.mac, seen_by, at, at)


def _learned(row: Sequence[Any]) -> Learned:
    one, one_port, other, other_port, source, leaf, mac, seen_by, first_at, last_at = row
    names = tuple(msgspec.json.decode(seen_by))
    return Learned(Link(one, one_port, other, other_port, source, names, leaf, "", mac), first_at, last_at)
