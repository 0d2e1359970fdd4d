"""Fields that the forms of silences and changes share."""

from __future__ import annotations

from healthmon.web.problem import bad_request

HOURS_MOST = 92 * 24


def hours_of(text: str) -> float:
    """How long; raises 400."""
    try:
        hours = float(text or "1")
    except ValueError:
        hours = 0.0
    if not 0.0 < hours <= HOURS_MOST:
        raise bad_request("hours", f"must be more than 0 and at most {HOURS_MOST}")
    return hours
