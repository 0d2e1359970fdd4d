"""What a database's HTTP answer to a write means: stored, split it, make the database, or keep and retry."""

from __future__ import annotations

import json
import re
from enum import StrEnum

from healthmon.model.errors import StoreDown

_KEPT = "the rows are kept until it works"
_LOGIN_RETRY_S = 30.0
_LONGEST_RETRY_S = 300.0
#: A 400 that blames points. Any other 400 blames the request (a wrong path, a proxy), and must not lose rows.
_POINTS = re.compile(
    r"partial write|unable to parse|parsing failed|field type|unprocessable|beyond retention|line protocol|invalid",
    re.IGNORECASE,
)


class Meaning(StrEnum):
    """split: some of these points are bad or they are too many; missing: no such database."""

    STORED = "stored"
    SPLIT = "split"
    MISSING = "missing"


def meaning(status: int, text: str, *, retry_after: str | None, at: str, stored: bool) -> Meaning:
    """What to do next; raises StoreDown, with the database's words, when the rows must wait."""
    if stored:
        return Meaning.STORED
    words = message_of(text)
    if status == 413 or (status in (400, 422) and _POINTS.search(words)):
        return Meaning.SPLIT
    if status == 404 and "not found" in words and "page" not in words:
        return Meaning.MISSING
    if status in (401, 403):
        raise StoreDown(
            f"{at} refuses the login ({status} {words}): correct the token or the name and password; {_KEPT}",
            retry_after_s=_LOGIN_RETRY_S,
        )
    if 300 <= status < 400:
        raise StoreDown(f"{at} redirects ({status}): set the final address; {_KEPT}", retry_after_s=_LOGIN_RETRY_S)
    raise StoreDown(f"{at} answered {status}: {words}", retry_after_s=seconds_of(retry_after))


def message_of(text: str) -> str:
    """The database's own words, from `error` (1.x, 3.x) or `message` (2.x), at most 300 characters."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        body = None
    if isinstance(body, dict):
        data = body.get("data")
        if isinstance(data, list) and data and isinstance(data[0], dict):  # 3.x names each bad line
            text = f"{body.get('error')}: {data[0].get('error_message')}"
        else:
            text = str(body.get("message") or body.get("error") or text)
    return " ".join(text.split())[:300]


def seconds_of(retry_after: str | None) -> float:
    """The wait of a Retry-After header in seconds; dates and nonsense count as one second."""
    try:
        return min(max(float(retry_after or 1.0), 0.1), _LONGEST_RETRY_S)
    except ValueError:
        return 1.0
