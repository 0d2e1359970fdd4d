"""The table of ends of support as data: what it must look like."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_DAY = re.compile(r"20\d\d-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])")
_TABLE_KEYS = {"description", "source", "sources", "dated", "systems"}
_KEYS = ("id", "version", "end", "extended", "note")


def lint_pack(data: Mapping[str, Any]) -> list[str]:
    """What is wrong with a table, one line each; an empty list is a good one."""
    problems = [f"{key}: unknown key" for key in sorted(data.keys() - _TABLE_KEYS)]
    if not _DAY.fullmatch(str(data.get("dated", ""))):
        problems.append("dated: say on which day the table was right, like 2026-01-31")
    rows = data.get("systems")
    if not isinstance(rows, list) or not rows:
        return [*problems, "systems: must be a list of {id, version, end, extended}"]
    seen: set[tuple[str, str]] = set()
    for number, row in enumerate(rows):
        problems += [f"systems[{number}]: {wrong}" for wrong in _wrong(row, seen)]
    return problems


def _wrong(row: Any, seen: set[tuple[str, str]]) -> list[str]:
    if not isinstance(row, Mapping):
        return ["must be a mapping"]
    found = [f"unknown key {key!r} (allowed: {', '.join(_KEYS)})" for key in sorted(row.keys() - set(_KEYS))]
    key = (str(row.get("id", "")), str(row.get("version", "")))
    if not all(key) or not isinstance(row.get("version"), str):
        found.append("id and version (in quotes) are needed")
    if key in seen:
        found.append(f"{key[0]} {key[1]} comes twice")
    seen.add(key)
    for name in ("end", "extended"):
        if name in row and not _DAY.fullmatch(str(row[name])):
            found.append(f"{name}: {row[name]!r} is not a day like 2026-01-31")
    if "end" not in row:
        found.append("end is missing")
    elif str(row.get("extended", row["end"])) < str(row["end"]):
        found.append("extended is before end")
    return found
