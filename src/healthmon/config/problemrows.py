"""What `check` found, as rows for editors and CI: where, how bad, what, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

_PLACE = re.compile(r"(?P<file>.+?):(?P<line>\d+):(?P<col>\d+): (?P<message>.*)", re.DOTALL)
_MEANT = re.compile(r"did you mean '(?P<name>[^']+)'\?")
_ALLOWED = re.compile(r"\(allowed: (?P<names>.*)\)\s*$", re.DOTALL)
#: What a warning asks for, by its words.
_FIXES = (
    ("has no team", "give it `team`"),
    ("has no contact", "give the area `contact: {phone: ...}`"),
    ("needs nothing", "give it `needs`"),
    ("has no spare by design", "add an alternative with `at_least`, or accept it"),
    ("have no checks", "give them `checks`"),
    ("no channel is declared", "declare one under `notify.channels`"),
    ("is about nothing here", "correct `on`, or take the rule out"),
    ("which no check here gives", "add a check or pack that gives it, or take the metric out of the rule"),
    ("has no policy", "add its severity (or team) to a policy"),
    ("is never taken", "give the policy teams that own something, or take it out"),
    ("never reached", "correct `severities`, or take the step out"),
    ("reaches nobody", "give that person, rota or team a channel"),
    ("has no channel", "give that person `channels`"),
    ("is never asked", "name the rota in a team or a step, or take it out"),
    ("is never used", "name the channel in a step, or take it out"),
    ("nobody is on call", "fill the gap, or add a layer"),
    ("no duty_manager", "set `oncall.duty_manager`"),
    ("fewer than two looks", "look more often, or look back further"),
)


def rows(lines: Iterable[str], severity: str) -> list[dict[str, Any]]:
    """`severity`: error or warning. What has no place in a file has no file, line and column."""
    return [_row(line, severity) for line in lines]


def _row(line: str, severity: str) -> dict[str, Any]:
    found = _PLACE.match(line)
    message = found["message"] if found else line
    return {
        "file": found["file"] if found else None,
        "line": int(found["line"]) if found else None,
        "col": int(found["col"]) if found else None,
        "severity": severity,
        "message": message,
        "fix": _fix(message),
    }


def _fix(message: str) -> str | None:
    meant = _MEANT.search(message)
    if meant:
        return f"write '{meant['name']}'"
    named = _ALLOWED.search(message)
    if named:
        return f"write one of: {named['names']}"
    return next((fix for words, fix in _FIXES if words in message), None)
