"""Query parameters read strictly, and lists cut into pages."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

from aiohttp import web

from healthmon.web.problem import bad_request

Item = TypeVar("Item")
Word = TypeVar("Word", bound=StrEnum)

PAGE = 100
PAGE_MOST = 1000
UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


def only(request: web.Request, *names: str, prefix: str = "\0") -> None:
    """Refuse unknown query parameters, naming those that exist."""
    for name in request.query:
        if name not in names and not name.startswith(prefix):
            raise bad_request(name, f"unknown parameter (allowed: {', '.join(sorted(names))})")


def words(request: web.Request, name: str, kind: type[Word]) -> frozenset[Word]:
    """A comma-separated or repeated choice; empty when not given."""
    found = set()
    for text in _texts(request, name):
        try:
            found.add(kind(text))
        except ValueError:
            raise bad_request(name, f"{text!r} (allowed: {', '.join(kind)})") from None
    return frozenset(found)


def severities(request: web.Request) -> frozenset[int]:
    """Severities 1 to 5; empty when not given."""
    texts = _texts(request, "severity")
    if any(text not in "12345" or len(text) != 1 for text in texts):
        raise bad_request("severity", "must be 1 to 5")
    return frozenset(int(text) for text in texts)


def moment(request: web.Request, name: str) -> float | None:
    """RFC 3339 or Unix seconds as Unix seconds."""
    text = request.query.get(name)
    if text is None:
        return None
    try:
        parsed = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        return finite(name, text)
    if parsed.tzinfo is None:
        raise bad_request(name, "needs an offset or Z")
    return parsed.astimezone(UTC).timestamp()


def duration(request: web.Request, name: str, default_s: float) -> float:
    """`90`, `90s`, `5m`, `1h`, `7d` as seconds."""
    text = request.query.get(name)
    if not text:
        return default_s
    unit = UNITS_S.get(text[-1])
    seconds = finite(name, text[:-1]) * unit if unit else finite(name, text)
    if seconds < 0:
        raise bad_request(name, "must not be negative")
    return seconds


def finite(name: str, text: str) -> float:
    """A plain number, never nan or infinity."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise bad_request(name, f"{text[:40]!r} is not a number or a time")
    return number


def limit(request: web.Request, *, default: int = PAGE, most: int = PAGE_MOST) -> int:
    """How many items a page may hold."""
    text = request.query.get("limit", str(default))
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= most):
        raise bad_request("limit", f"must be 1 to {most}")
    return int(text)


def cursor(request: web.Request) -> list[Any] | None:
    """Where the last page ended, as this server wrote it."""
    text = request.query.get("cursor")
    if text is None:
        return None
    try:
        value = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, binascii.Error):
        value = None
    if not isinstance(value, list):
        raise bad_request("cursor", "is not one that this server gave")
    return value


def moment_cursor(request: web.Request) -> tuple[float | None, int]:
    """(rows before this moment, how many of them were shown already), of a list by time."""
    match cursor(request):
        case None:
            return None, 0
        case [float() | int() as before, int() as skip] if 0 <= skip <= 100_000 and math.isfinite(before):
            return float(before), skip
        case _:
            raise bad_request("cursor", "belongs to another list")


def to_cursor(key: Iterable[Any]) -> str:
    """An opaque cursor."""
    return base64.urlsafe_b64encode(json.dumps(list(key)).encode()).decode().rstrip("=")


def page(
    request: web.Request,
    items: Iterable[Item],
    *,
    key: Callable[[Item], tuple[Any, ...]],
    shape: Callable[[Item], dict[str, Any]],
    most: int = PAGE_MOST,
) -> dict[str, Any]:
    """`{items, next}` in the order of `key`; next is null on the last page."""
    count, after = limit(request, default=min(PAGE, most), most=most), cursor(request)
    ordered = sorted(items, key=key)
    if after is not None:
        try:
            ordered = [item for item in ordered if list(key(item)) > after]
        except TypeError:
            raise bad_request("cursor", "belongs to another list") from None
    shown = ordered[:count]
    following = to_cursor(key(shown[-1])) if len(ordered) > count else None
    return {"items": [shape(item) for item in shown], "next": following}


def _texts(request: web.Request, name: str) -> list[str]:
    return [text for value in request.query.getall(name, []) for text in value.split(",") if text]
