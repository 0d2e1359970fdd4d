"""`healthmon changes import`: the server's changes in step with a calendar file, one refused event at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from healthmon.cli.calendars import Calendar, read_calendar
from healthmon.cli.client import Client
from healthmon.cli.mutes import OVER
from healthmon.model.errors import Conflict, NotAllowed


@dataclass(slots=True)
class Done:
    """`new`: bodies that were added; `refused`: sources whose old change stays, since the new one is not there."""

    new: list[dict[str, Any]] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    past: int = 0


def imported(
    client: Client, path: Path, *, by: str, timezone: str, targets: list[str], expected: list[str], now: float,
    preview: bool, as_json: bool,
) -> tuple[str, int]:  # fmt: skip
    """Add what is new, then end what was replaced; the same file twice changes nothing. 1: something was left out."""
    calendar = read_calendar(path, timezone=timezone, targets=targets, expected=expected, now=now)
    known = {one["id"]: one for one in client.items("changes")}
    done = Done(left_out=list(calendar.skipped), refused=set(calendar.unread), past=len(calendar.past))
    for body in calendar.changes:
        _take(client, body, known, done, by=None if preview else by)
    for id_ in _outdated(calendar, known, done):
        done.ended.append(id_)
        if not preview:
            client.post(f"changes/{id_}/end", {"by": by, "note": f"replaced by {path.name}"})
    return (_as_json(done) if as_json else _words(done, preview=preview)), 1 if done.left_out else 0


def _take(client: Client, body: dict[str, Any], known: dict[str, Any], done: Done, *, by: str | None) -> None:
    """Add one event; without `by` only ask whether it would be taken."""
    before = known.get(body["id"])
    if before is None:
        try:
            client.post("changes?preview=true", body | {"by": by or "preview"})
            if by is not None:
                client.post("changes", body | {"by": by})
        except (Conflict, NotAllowed) as error:
            done.left_out.append(f"{body['title']}: {error}")
            done.refused.add(body["source"])
        else:
            done.new.append(body)
    elif before["state"] in OVER:
        words = f"{body['id']} was ended and never comes back; raise the event's SEQUENCE or move it"
        done.left_out.append(f"{body['title']}: {words}")
    else:
        done.unchanged.append(body["id"])


def _outdated(calendar: Calendar, known: dict[str, Any], done: Done) -> Iterator[str]:
    wanted = {body["id"] for body in calendar.changes}
    sources = {body["source"] for body in calendar.changes} | {*calendar.cancelled, *calendar.past} - done.refused
    for id_, one in known.items():
        if one["source"] in sources - done.refused and id_ not in wanted and one["state"] not in OVER:
            yield id_


def _as_json(done: Done) -> str:
    return json.dumps(
        {
            "added": [body["id"] for body in done.new],
            "ended": done.ended,
            "unchanged": sorted(done.unchanged),
            "skipped": done.left_out,
            "past": done.past,
        }
    )


def _words(done: Done, *, preview: bool) -> str:
    lines = [f"{body['id']}  {body['starts_at']}  {body['title']} ({', '.join(body['targets'])})" for body in done.new]
    verb = "would be added" if preview else "added"
    past = f", {done.past} over already" if done.past else ""
    lines.append(f"{len(done.new)} {verb}, {len(done.ended)} ended, {len(done.unchanged)} unchanged{past}")
    return "\n".join([*lines, *(f"left out: {line}" for line in done.left_out)])
