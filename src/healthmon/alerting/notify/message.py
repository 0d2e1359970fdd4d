"""What every channel sends, and how an answer is read: sent, not now, or never."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Any

from healthmon.model.incident import Notice
from healthmon.model.ports import Dead, Retry, Sent
from healthmon.model.render import rfc3339

#: Client errors that time can heal: request timeout, too early, too many requests.
_PASSING_4XX = frozenset({408, 425, 429})


def payload(notice: Notice) -> dict[str, Any]:
    """The JSON of one notice. `key` is the same on every sending, `repeat` is true after a kill in between."""
    return {
        "v": 1,
        "key": notice.key,
        "why": notice.why.value,
        "repeat": notice.repeat,
        "attempt": notice.attempts,
        "step": notice.step,
        "episode": notice.episode,
        "channel": notice.channel,
        "to": notice.to,
        "due": rfc3339(notice.due),
        "severity": notice.severity,
        "subject": notice.subject,
        "text": notice.text,
        "incident_id": notice.incident,
        "incident": dict(notice.body),
    }


def read_status(status: int, *, retry_after: str | None = None, date: str | None = None) -> Sent | Retry | Dead:
    """What an HTTP status means for the message.

    Redirects count as passing: a proxy's sign-in page in the way must not cost a page for good.
    """
    if 200 <= status < 300:
        return Sent(f"HTTP {status}")
    if 400 <= status < 500 and status not in _PASSING_4XX:
        return Dead(f"HTTP {status}")
    return Retry(f"HTTP {status}", after_s=seconds_of(retry_after, date))


def seconds_of(retry_after: str | None, date: str | None) -> float | None:
    """Retry-After in seconds: a number, or a date measured against the answer's own Date (RFC 9110, 10.2.3)."""
    if not retry_after:
        return None
    try:
        return max(0.0, float(int(retry_after)))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(retry_after) - parsedate_to_datetime(date or "")).total_seconds())
    except (ValueError, TypeError):
        return None
