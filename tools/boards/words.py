"""States as people read them: a word and a colour for each, and for what nobody measured."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
State = tuple[str, str, str]

NO_DATA = "no data: we cannot see"
UNKNOWN = "UNKNOWN: we cannot see"

#: Colours that people with colour blindness tell apart; there is no green, so that nothing looks fine by accident.
CALM, CARE, WARN, BAD, BLIND, GREY = "#2a7f9e", "#c9a227", "#d9730d", "#a4133c", "#6c5b9e", "#8d99ae"

SERVICE: tuple[State, ...] = (
    ("ok", "ok", CALM),
    ("at_risk", "at risk: working, no spare route left", CARE),
    ("degraded", "slow or partly working", WARN),
    ("lost", "NOT AVAILABLE", BAD),
    ("unknown", UNKNOWN, BLIND),
)
AGENT: tuple[State, ...] = (
    ("up", "up", CALM),
    ("stopped", "stopped on purpose", GREY),
    ("silent", "SILENT: nothing heard", WARN),
    ("never", "never heard", BLIND),
)
STATUS: tuple[State, ...] = (("ok", "ok", CALM), ("degraded", "degraded", WARN), ("failing", "FAILING", BAD))
OUTCOME: tuple[State, ...] = (
    ("ok", "ok", CALM),
    ("failed", "FAILED", BAD),
    ("unknown", UNKNOWN, BLIND),
)


def mappings(states: tuple[State, ...], *, numbered: bool = False) -> list[Json]:
    """Words and colours of states, and of their absence. numbered: the states are told as 1, 2, 3 in this order."""
    options = {
        str(index + 1) if numbered else value: {"text": text, "color": color, "index": index}
        for index, (value, text, color) in enumerate(states)
    }
    return [{"type": "value", "options": options}, nothing(len(states))]


def yes_no(yes: str, no: str, *, good: bool) -> list[Json]:
    """Words for 1 and 0. good: whether yes is what one wants."""
    colors = (CALM, BAD) if good else (BAD, CALM)
    options = {
        "1": {"text": yes, "color": colors[0], "index": 0},
        "0": {"text": no, "color": colors[1], "index": 1},
    }
    return [{"type": "value", "options": options}, nothing(2)]


def nothing(index: int = 0) -> Json:
    """What stands where a value is missing."""
    return {"type": "special", "options": {"match": "null", "result": {"text": NO_DATA, "color": GREY, "index": index}}}


def thresholds(*steps: tuple[float | None, str]) -> Json:
    """Colour from each value upwards; None is below all."""
    return {"mode": "absolute", "steps": [{"value": value, "color": color} for value, color in steps]}
