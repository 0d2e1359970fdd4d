"""What an HTTP answer must look like: pure judgements that never repeat any of the body."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from healthmon.model.sample import Reason
from healthmon.probes.http_wire import Head
from healthmon.probes.reasons import Fault

Scalar = str | int | float | bool | None

_CHARSET = re.compile(r"charset=\"?([\w.:-]+)", re.IGNORECASE)
_MISSING = object()


def statuses_of(wanted: Sequence[int | str]) -> Callable[[int], bool]:
    """Reads 200, "200", "2xx" and "200-299". Raises ValueError with what is allowed."""
    spans = [_span(str(entry).strip().lower()) for entry in wanted]
    return lambda status: any(low <= status <= high for low, high in spans)


def _span(entry: str) -> tuple[int, int]:
    if re.fullmatch(r"[1-5]xx", entry):
        return int(entry[0]) * 100, int(entry[0]) * 100 + 99
    low, dash, high = entry.partition("-")
    if re.fullmatch(r"[1-5]\d\d", low) and (not dash or re.fullmatch(r"[1-5]\d\d", high)):
        return int(low), int(high) if dash else int(low)
    raise ValueError(f"statuses: {entry} is not a status (allowed: 200, 2xx, 200-299)")


def check_patterns(**patterns: str | None) -> None:
    """Raises ValueError for a regular expression that does not compile."""
    for name, pattern in patterns.items():
        try:
            re.compile(pattern or "")
        except re.error as error:
            raise ValueError(f"{name}: {error}") from None


def judge_headers(head: Head, wanted: Mapping[str, str]) -> Fault | None:
    """Every named header must be there and match its pattern."""
    for name, pattern in wanted.items():
        value = head.headers.get(name.lower())
        if value is None:
            return Fault(Reason.BAD_RESPONSE, f"header {name} is missing")
        if not re.search(pattern, value):
            return Fault(Reason.BAD_RESPONSE, f"header {name} does not match")
    return None


def judge_body(
    head: Head, body: bytes, *, regex: str | None, not_regex: str | None, json_path: Mapping[str, Scalar]
) -> Fault | None:
    """The first thing that is wrong with the body."""
    if regex is not None or not_regex is not None:
        text = _text(head, body)
        if regex is not None and not re.search(regex, text):
            return Fault(Reason.BAD_BODY, "body_regex does not match")
        if not_regex is not None and re.search(not_regex, text):
            return Fault(Reason.BAD_BODY, "body_not_regex matches")
    return _judge_json(body, json_path) if json_path else None


def _judge_json(body: bytes, wanted: Mapping[str, Scalar]) -> Fault | None:
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Fault(Reason.BAD_BODY, "the body is not JSON")
    for path, expected in wanted.items():
        found = _at(document, path)
        if found is _MISSING:
            return Fault(Reason.BAD_BODY, f"json_path {path} is missing")
        if not _same(found, expected):
            return Fault(Reason.BAD_BODY, f"json_path {path} is not as expected")
    return None


def _at(document: Any, path: str) -> Any:
    """`entry.0.status`: names of objects and numbers of list items."""
    for step in path.split("."):
        if isinstance(document, dict) and step in document:
            document = document[step]
        elif isinstance(document, list) and step.isdigit() and int(step) < len(document):
            document = document[int(step)]
        else:
            return _MISSING
    return document


def _same(found: Any, expected: Scalar) -> bool:
    """1 equals 1.0, but true does not equal 1."""
    return isinstance(found, bool) == isinstance(expected, bool) and bool(found == expected)


def _text(head: Head, body: bytes) -> str:
    named = _CHARSET.search(head.headers.get("content-type", ""))
    try:
        return body.decode(named.group(1) if named else "utf-8", "replace")
    except LookupError:
        return body.decode("utf-8", "replace")
