"""Performance data of monitoring plugins: `'label'=value[unit];warn;crit;min;max`, read into base units. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

#: Unit as written -> (field, factor). Bytes by 1024, as the plugins themselves count.
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ns": 1e-9}
_BYTE_PREFIXES = "kmgtpe"
_OTHERS = {
    "": ("value", 1.0),
    "%": ("ratio", 0.01),
    "c": ("counter", 1.0),
    "b": ("bytes", 1.0),
    "hz": ("hertz", 1.0),
    "w": ("watts", 1.0),
    "v": ("volts", 1.0),
    "a": ("amperes", 1.0),
    "°c": ("celsius", 1.0),
}
#: A bare C is degrees where it is a capital, a counter where it is small.
_CELSIUS = ("celsius", 1.0)

FIELDS = frozenset({"seconds", "bytes", "celsius", *(field for field, _ in _OTHERS.values())})

_ITEM = re.compile(
    r"(?:'((?:[^']|'')*)'|([^\s='|]+))=([-+]?(?:\d+\.?\d*|[.,]\d+)(?:,\d+)?(?:[eE][-+]?\d+)?|U)([^\s;0-9]*)((?:;[^\s;]*)*)"
)
_MOST_ITEMS = 2000


@dataclass(frozen=True, slots=True)
class Perf:
    """One figure in a base unit; `warn` and `crit` are ranges as the plugin wrote them."""

    label: str
    field: str
    value: float
    warn: str = ""
    crit: str = ""


@dataclass(frozen=True, slots=True)
class Output:
    """What a plugin said: its first line, and figures. `unread`: items that are no figure or have an unknown unit."""

    text: str
    perfs: tuple[Perf, ...]
    unread: int


def parse_output(output: str) -> Output:
    """Text before the first `|` of the first line; figures after it, and after a second `|` in the lines below."""
    first, _, rest = output.partition("\n")
    text, _, perfdata = first.partition("|")
    more = rest.partition("|")[2]
    perfs: list[Perf] = []
    unread = 0
    for perf in _items(f"{perfdata} {more}"):
        if perf is None:
            unread += 1
        else:
            perfs.append(perf)
    return Output(text.strip(), tuple(perfs), unread)


def _items(text: str) -> Iterator[Perf | None]:
    """Each item; None for what cannot be read. A label that comes twice counts once: the first."""
    seen: set[tuple[str, str]] = set()
    end = 0
    for number, match in enumerate(_ITEM.finditer(text)):
        if number >= _MOST_ITEMS:
            return
        if text[end : match.start()].strip():
            yield None
        end = match.end()
        perf = _perf(match)
        if perf is None or (perf.label, perf.field) not in seen:
            yield perf
        if perf is not None:
            seen.add((perf.label, perf.field))
    if text[end:].strip():
        yield None


def _perf(match: re.Match[str]) -> Perf | None:
    quoted, bare, number, unit, ranges = match.groups()
    label = (quoted.replace("''", "'") if quoted is not None else bare).strip()
    found = base_unit(unit)
    if not label or number == "U" or found is None:
        return None
    value = _number(number) * found[1]
    if not math.isfinite(value):
        return None
    warn, crit = [*ranges.split(";")[1:3], "", ""][:2]
    return Perf(label, found[0], value, warn, crit)


def _number(text: str) -> float:
    """Some plugins write the decimal comma of their locale."""
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return math.nan


def base_unit(unit: str) -> tuple[str, float] | None:
    """The field and the factor of a unit; None for one that is not known."""
    if unit == "C":
        return _CELSIUS
    small = unit.lower()
    if small in _SECONDS:
        return "seconds", _SECONDS[small]
    if small in _OTHERS:
        return _OTHERS[small]
    prefix, binary = small[:1], small.removesuffix("ib").removesuffix("b")
    if small.endswith("b") and len(binary) == 1 and prefix in _BYTE_PREFIXES:
        return "bytes", 1024.0 ** (_BYTE_PREFIXES.index(prefix) + 1)
    return None
