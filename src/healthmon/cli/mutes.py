"""`healthmon silences` and `healthmon changes`: what the API says, as text or JSON."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

from healthmon.cli.client import Client
from healthmon.cli.tables import table
from healthmon.model.errors import ConfigError

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(m|h|d)")
_UNITS_S = {"m": 60.0, "h": 3600.0, "d": 86_400.0}
OVER = ("ended", "expired")


def listing(client: Client, noun: str, *, everything: bool, as_json: bool) -> str:
    """Those that are not over, one a line; `everything` shows the others too."""
    items = [one for one in client.items(noun) if everything or one["state"] not in OVER]
    if as_json:
        return json.dumps(items)
    rows = [[one["id"], one["state"], one["ends_at"], one["owner"], what(one), one["reason"]] for one in items]
    return table(["id", "state", "ends", "owner", "what", "reason"], rows) if rows else f"no {noun}"


def what(one: dict[str, Any]) -> str:
    if "match" in one:
        return ", ".join(f"{name} {value}" for name, value in one["match"].items())
    return f"{one['title']} ({', '.join(one['targets'])})"


def made(client: Client, noun: str, body: dict[str, Any], *, as_json: bool) -> str:
    """Make one and say what it hides."""
    answer = client.post(noun, body)
    if as_json:
        return json.dumps(answer)
    lines = [f"{answer['id']}: {answer['state']} until {answer['ends_at']}", *preview_words(answer["preview"])]
    return "\n".join(lines)


def previewed(client: Client, noun: str, body: dict[str, Any], *, as_json: bool) -> str:
    """Say what it would hide, and make nothing."""
    answer = client.post(f"{noun}?preview=true", body)
    return json.dumps(answer) if as_json else "\n".join(preview_words(answer["preview"]))


def acted(client: Client, noun: str, id_: str, action: str, body: dict[str, Any], *, as_json: bool) -> str:
    answer = client.post(f"{noun}/{id_}/{action}", body)
    return json.dumps(answer) if as_json else f"{answer['id']}: {answer['state']}"


def preview_words(seen: dict[str, Any]) -> list[str]:
    """A preview for a person at a terminal."""
    uncovered = [f"{line['service']} of {line['area']}" for line in seen["uncovered"]]
    floor = [f"{line['service']} of {line['area']}" for line in seen["pages_all_the_same"]]
    lines = [
        f"hides {len(seen['targets'])} targets: {_some(seen['targets'])}",
        f"holds back now: {len(seen['alerts'])} alerts, incidents: {_some(seen['incidents'])}",
        f"left without a page if it fails: {_some(uncovered)}",
    ]
    if floor:
        lines.append(f"pages all the same, last way of an ED, ICU or theatre: {_some(floor)}")
    if seen["clinical_floor_lifted"]:
        lines.append("THE CLINICAL FLOOR IS LIFTED: the loss of the last way may go untold")
    return lines


def until(now: float, *, ends: str | None, for_: str | None) -> str:
    """`--ends` as it is, or `--for 2h` from now."""
    if (ends is None) == (for_ is None):
        raise ConfigError(["say when it ends: --for 2h, or --ends 2027-01-31T22:00:00Z"])
    if ends is not None:
        return ends
    found = _DURATION.fullmatch(for_ or "")
    if found is None:
        raise ConfigError([f"--for {for_}: is not a duration (allowed: 30m, 2h, 1d)"])
    return datetime.fromtimestamp(now + float(found[1]) * _UNITS_S[found[2]], UTC).isoformat()


def moment_s(text: str) -> float:
    """RFC 3339 with an offset as Unix seconds."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = datetime.min
    if found.tzinfo is None:
        raise ConfigError([f"{text}: is not a time with an offset (allowed: 2027-01-31T22:00:00Z)"])
    return found.timestamp()


def _some(items: list[str], most: int = 10) -> str:
    return (", ".join(items[:most]) + (f" and {len(items) - most} more" if len(items) > most else "")) or "none"
