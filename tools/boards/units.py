"""Numbers with the units that the boards use, short."""

from __future__ import annotations

_STEPS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
_PLAIN = {"celsius": " °C", "dBm": " dBm", "watt": " W", "cps": "/s", "none": "", "short": ""}


def said(value: float | str, unit: str) -> str:
    """For example 0.25 and percentunit: 25 %."""
    if isinstance(value, str):
        return value
    if unit == "percentunit":
        return f"{value * 100:.3g} %"
    if unit == "s":
        return seconds(value)
    if unit in ("bytes", "Bps"):
        return _scaled(value) + ("B" if unit == "bytes" else "B/s")
    return f"{value:.4g}{_PLAIN.get(unit, ' ' + unit)}"


def seconds(value: float) -> str:
    """In the unit that keeps the number small."""
    for size, word in ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"), (1.0, "s")):
        if abs(value) >= size:
            return f"{value / size:.3g} {word}"
    return f"{value * 1000:.3g} ms" if value else "0 s"


def _scaled(value: float) -> str:
    for size, word in _STEPS:
        if abs(value) >= size:
            return f"{value / size:.3g} {word}"
    return f"{value:.3g} "
