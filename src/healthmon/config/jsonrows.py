"""The items of a list inside a JSON text, each with the line and the column where it begins."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

_SPACE = re.compile(r"[ \t\n\r]*")
_read = json.JSONDecoder().raw_decode

Item = tuple[int, int, Any]  # line and column, both from 1, and the value


def json_items(text: str, way: Sequence[str]) -> list[Item] | None:
    """The list at the end of these keys; None when there is no list. Raises ValueError for what is no JSON.

    The parser of JSON gives the values, for JSON has escapes that YAML refuses.
    """
    try:
        json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    at: int | None = _after_space(text, 0)
    for key in way:
        at = None if at is None else _value_of(text, at, key)
    return None if at is None or text[at] != "[" else list(_placed(text, at))


def _value_of(text: str, at: int, wanted: str) -> int | None:
    """Where the value of this key begins in the object that begins at `at`."""
    if text[at] != "{":
        return None
    at = _after_space(text, at + 1)
    while text[at] != "}":
        key, at = _read(text, at)
        at = _after_space(text, _after_space(text, at) + 1)
        if key == wanted:
            return at
        at = _next(text, _read(text, at)[1])
    return None


def _placed(text: str, at: int) -> Iterator[Item]:
    line, counted = 1, 0
    at = _after_space(text, at + 1)
    while text[at] != "]":
        line, counted = line + text.count("\n", counted, at), at
        column = at - text.rfind("\n", 0, at)
        value, at = _read(text, at)
        yield line, column, value
        at = _next(text, at)


def _next(text: str, at: int) -> int:
    """Over the comma, if there is one."""
    at = _after_space(text, at)
    return _after_space(text, at + 1) if text[at] == "," else at


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at
