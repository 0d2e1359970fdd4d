"""The small written forms: durations, rates, ids, networks, opening hours."""

from __future__ import annotations

import ipaddress
import re
from datetime import date, datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

ID_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,62}$"
_ID = re.compile(ID_PATTERN)
_DURATION_PATTERN = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+$"
_DURATION = re.compile(_DURATION_PATTERN)
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_RATE_PATTERN = r"^[0-9]+(\.[0-9]+)?/(s|min|h)$"
_RATE_UNIT_S = {"s": 1.0, "min": 60.0, "h": 3600.0}


def duration_s(value: Any) -> float:
    """`30s`, `5m`, `1h30m` as seconds; a bare number has no unit and is refused, except 0."""
    if isinstance(value, str) and _DURATION.match(value):
        return sum(float(number) * _UNIT_S[unit] for number, unit in _DURATION_PART.findall(value))
    if not isinstance(value, bool) and value in (0, "0"):
        return 0.0
    raise ValueError("is not a duration (allowed: 500ms, 30s, 5m, 1h, 7d)")


def range_of_s(low: str, high: str) -> AfterValidator:
    """Refuses durations out of this range, in words that a person wrote it in."""
    low_s, high_s = duration_s(low), duration_s(high)

    def check(value: float) -> float:
        if not low_s <= value <= high_s:
            raise ValueError(f"is out of range (allowed: {low} to {high})")
        return value

    return AfterValidator(check)


def checked_date(value: str) -> str:
    """A day."""
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError:
        raise ValueError("is not a date (allowed: 2026-11-01)") from None


def rate_hz(value: Any) -> float:
    """`2/s`, `100/min`, `10/h` as events a second."""
    if isinstance(value, str) and re.match(_RATE_PATTERN, value):
        number, _, unit = value.partition("/")
        if float(number) > 0:
            return float(number) / _RATE_UNIT_S[unit]
    raise ValueError("is not a rate (allowed: 2/s, 100/min, 10/h)")


def checked_id(value: str) -> str:
    """Ids go into topics, tags and addresses, so they are plain."""
    if not _ID.match(value):
        raise ValueError("is not an id (allowed: a-z, 0-9, '-' and '_', first a letter or digit, at most 63)")
    return value


def checked_network(value: str) -> str:
    """A network in CIDR form or one address."""
    try:
        return str(ipaddress.ip_network(value))
    except ValueError as error:
        text = "has bits set behind the prefix" if "host bits" in str(error) else "is not a network"
        raise ValueError(f"{text} (allowed: 192.0.2.0/24, 2001:db8::/32, 192.0.2.7)") from None


def checked_timezone(value: str) -> str:
    """A name of the time zone database."""
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("is not a time zone (allowed: names such as Europe/London)") from None
    return value


def checked_url(value: str) -> str:
    """A URL with a scheme and a host."""
    if not re.match(r"^[a-z][a-z0-9+.-]*://[^/\s]+", value):
        raise ValueError("is not a URL (allowed: scheme://host[:port]/path)")
    return value


def moment_s(value: Any) -> float:
    """RFC 3339 with an offset as Unix seconds."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError("is not a time with an offset (allowed: 2027-01-31T22:00:00Z)")
    return moment.timestamp()


RATE_SCHEMA: dict[str, Any] = {"type": "string", "pattern": _RATE_PATTERN}
DURATION_SCHEMA: dict[str, Any] = {"anyOf": [{"type": "string", "pattern": _DURATION_PATTERN}, {"const": 0}]}
Duration = Annotated[float, BeforeValidator(duration_s), WithJsonSchema(DURATION_SCHEMA)]
Interval = Annotated[float, BeforeValidator(duration_s), range_of_s("100ms", "1d"), WithJsonSchema(DURATION_SCHEMA)]
MedicalInterval = Annotated[
    float, BeforeValidator(duration_s), range_of_s("60s", "1d"), WithJsonSchema(DURATION_SCHEMA)
]
Retention = Annotated[float, BeforeValidator(duration_s), range_of_s("1h", "3650d"), WithJsonSchema(DURATION_SCHEMA)]
Day = Annotated[str, AfterValidator(checked_date), WithJsonSchema({"type": "string", "format": "date"})]
Rate = Annotated[float, BeforeValidator(rate_hz), WithJsonSchema(RATE_SCHEMA)]
Id = Annotated[
    str,
    AfterValidator(checked_id),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": ID_PATTERN}, {"type": "integer", "minimum": 0}]}),
]
Network = Annotated[str, AfterValidator(checked_network)]
Timezone = Annotated[str, AfterValidator(checked_timezone)]
Url = Annotated[str, AfterValidator(checked_url)]
Moment = Annotated[float, BeforeValidator(moment_s), WithJsonSchema({"type": "string", "format": "date-time"})]
