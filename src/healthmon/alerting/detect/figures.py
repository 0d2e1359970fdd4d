"""Figures as people read them at night: whole numbers, spans of time, never a power of ten."""

from __future__ import annotations

import math

_DIGITS = 3


def plain(value: float) -> str:
    """Three digits, or all of a large number: `0.25`, `12.3`, `4360`."""
    if not math.isfinite(value):
        return str(value)
    size = abs(value)
    if size >= 100:
        return f"{value:.0f}"
    places = _DIGITS - 1 - math.floor(math.log10(size)) if size > 0 else 0
    text = f"{value:.{min(places, 12)}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def percent(ratio: float) -> str:
    """A share in percent: whole from 10 on, two digits below."""
    value = ratio * 100
    return f"{value:.0f}" if abs(value) >= 9.95 else plain(float(f"{value:.2g}"))


def days(seconds: float) -> str:
    """Seconds as days: whole from 2 on, else tenths."""
    value = seconds / 86_400
    return f"{value:.0f}" if abs(value) >= 2 else plain(round(value, 1))


def span_text(seconds: float) -> str:
    """A time in words that a pager can hold: `95 s`, `40 min`, `5.2 h`, `3.1 days`."""
    size = abs(seconds)
    if math.isinf(size):
        return "never"
    if size < 120:
        return f"{plain(seconds)} s" if size < 10 else f"{seconds:.0f} s"
    if size < 5_400:
        return f"{seconds / 60:.0f} min"
    if size < 172_800:
        return f"{seconds / 3_600:.1f} h"
    return f"{seconds / 86_400:.1f} days"


def amount(metric: str, value: float) -> str:
    """A value of this metric, with its unit where it is a time."""
    return span_text(value) if metric.endswith("_seconds") else plain(value)


def figures(value: float | None) -> dict[str, str]:
    """The value as the summary of a rule may say it: `value`, `span`, `percent`, `days`."""
    if value is None:
        return dict.fromkeys(("value", "span", "percent", "days"), "")
    return {"value": plain(value), "span": span_text(value), "percent": percent(value), "days": days(value)}
