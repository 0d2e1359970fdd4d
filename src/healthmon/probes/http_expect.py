"""What an HTTP answer must look like: pure judgements that never repeat any of the body."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from healthmon.model.sample import Reason
from healthmon.probes.http_json import Scalar, judge_json
from healthmon.probes.http_wire import Head
from healthmon.probes.reasons import Fault

__all__ = ["Patterns", "Scalar", "check_patterns", "judge_body", "judge_headers", "statuses_of", "text_of"]

#: One regular expression, or several that must all hold.
Patterns = str | tuple[str, ...] | None

_READABLE = frozenset({"", "identity", "gzip", "x-gzip", "deflate"})
_CHARSET = re.compile(r"charset=\"?([\w.:-]+)", re.IGNORECASE)


def statuses_of(wanted: Sequence[int | str]) -> Callable[[int], bool]:
    """Reads 200, "200", "2xx" and "200-299". Raises ValueError with what is allowed."""
    return _statuses_of(tuple(wanted))


@lru_cache(maxsize=512)
def _statuses_of(wanted: tuple[int | str, ...]) -> Callable[[int], bool]:
    spans = [_span(str(entry).strip().lower()) for entry in wanted]
    return lambda status: any(low <= status <= high for low, high in spans)


def _span(entry: str) -> tuple[int, int]:
    if re.fullmatch(r"[1-5]xx", entry):
        return int(entry[0]) * 100, int(entry[0]) * 100 + 99
    low, dash, high = entry.partition("-")
    if re.fullmatch(r"[1-5]\d\d", low) and (not dash or re.fullmatch(r"[1-5]\d\d", high)):
        return int(low), int(high) if dash else int(low)
    raise ValueError(f"statuses: {entry} is not a status (allowed: 200, 2xx, 200-299)")


def check_patterns(**patterns: Patterns) -> None:
    """Raises ValueError for a regular expression that does not compile."""
    for name, given in patterns.items():
        for pattern in several(given):
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{name}: {error}") from None


def several(patterns: Patterns) -> tuple[str, ...]:
    """None, one or more as a tuple."""
    return () if patterns is None else (patterns,) if isinstance(patterns, str) else patterns


def judge_headers(
    head: Head, wanted: Mapping[str, str], unwanted: Mapping[str, str] | None = None, may_miss: Sequence[str] = ()
) -> Fault | None:
    """Every wanted header must be there (or may miss) and match; no unwanted one may match."""
    optional = {name.lower() for name in may_miss}
    for name, pattern in wanted.items():
        value = head.headers.get(name.lower())
        if value is None and name.lower() not in optional:
            return Fault(Reason.BAD_RESPONSE, f"header {name} is missing")
        if value is not None and not re.search(pattern, value):
            return Fault(Reason.BAD_RESPONSE, f"header {name} does not match")
    for name, pattern in (unwanted or {}).items():
        value = head.headers.get(name.lower())
        if value is not None and re.search(pattern, value):
            return Fault(Reason.BAD_RESPONSE, f"header {name} matches what it must not")
    return None


def judge_body(
    head: Head,
    body: bytes,
    *,
    regex: Patterns,
    not_regex: Patterns,
    json_path: Mapping[str, Scalar],
    json_compare: Mapping[str, str] | None = None,
) -> Fault | None:
    """The first thing that is wrong with the body."""
    if not (regex or not_regex or json_path or json_compare):
        return None
    coding = head.headers.get("content-encoding", "")
    if not all(name.strip().lower() in _READABLE for name in coding.split(",")):
        return Fault(Reason.BAD_RESPONSE, f"content coding {coding[:20]} was not asked for")
    if regex is not None or not_regex is not None:
        text = text_of(head, body)
        if not all(re.search(pattern, text) for pattern in several(regex)):
            return Fault(Reason.BAD_BODY, "body_regex does not match")
        if any(re.search(pattern, text) for pattern in several(not_regex)):
            return Fault(Reason.BAD_BODY, "body_not_regex matches")
    return judge_json(body, json_path, json_compare or {}) if json_path or json_compare else None


def text_of(head: Head, body: bytes) -> str:
    """The body as text in the encoding that the head names, else UTF-8."""
    named = _CHARSET.search(head.headers.get("content-type", ""))
    try:
        return body.decode(named.group(1) if named else "utf-8", "replace")
    except LookupError:
        return body.decode("utf-8", "replace")
